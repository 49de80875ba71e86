//! `deploy/worlds`: each is translated without a word of complaint, and its page prints what
//! `seaway explain` says of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use seaway_testing::certs::Ca;
use seaway_testing::repository;
use serde_json::json;

use crate::seaway;

/// What each world is asked for: a proxy for which something is made of it.
const WORLDS: [(&str, &[&str]); 9] = [
    ("canary", &["ingress"]),
    ("external-service", &["mesh"]),
    ("grpc", &["mesh", "node"]),
    ("headless-database", &["mesh"]),
    ("hello", &["mesh", "node"]),
    ("local-fallback", &["node", "mesh"]),
    ("session-affinity", &["node", "mesh"]),
    ("tls-ingress", &["ingress"]),
    ("two-teams", &["ingress"]),
];

fn worlds() -> PathBuf {
    repository().join("deploy/worlds")
}

/// A copy of a world, with what its page has people make.
fn copied(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(worlds().join(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    if page(name).contains("> secret.yaml") {
        let leaf = Ca::new("ca").unwrap().server(&["shop.example.com"]);
        let leaf = leaf.unwrap();
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": "shop", "namespace": "default"},
            "stringData": {"tls.crt": leaf.pem(), "tls.key": leaf.key_pem()},
        });
        fs::write(copy.path().join("secret.yaml"), secret.to_string()).unwrap();
    }
    copy
}

fn page(name: &str) -> String {
    fs::read_to_string(worlds().join(name).join("README.md")).unwrap()
}

/// What a command prints in this folder; it must end well.
#[track_caller]
fn said(folder: &Path, args: &[&str]) -> String {
    let output = seaway(args).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_world_is_translated_without_a_problem() {
    for (name, roles) in WORLDS {
        let world = copied(name);
        for role in roles {
            let printed = said(
                world.path(),
                &[
                    "translate",
                    "--files",
                    ".",
                    "--role",
                    role,
                    "--node-name",
                    "n1",
                ],
            );
            let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
            assert_eq!(printed["problems"], json!([]), "{name}");
            let clusters = printed["clusters"].as_array().unwrap();
            assert!(!clusters.is_empty(), "{name}: nothing for role {role}");
        }
    }
}

#[test]
fn every_world_is_in_the_table_and_in_the_index() {
    let entries = fs::read_dir(worlds()).unwrap().map(Result::unwrap);
    let folders = entries.filter(|entry| entry.path().is_dir());
    let folders: BTreeSet<String> = folders
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    let listed = WORLDS.map(|(name, _)| name.to_owned());
    assert_eq!(folders, BTreeSet::from(listed));
    let index = fs::read_to_string(worlds().join("README.md")).unwrap();
    for (name, _) in WORLDS {
        assert!(index.contains(&format!("| [{name}]({name}/README.md) |")));
    }
}

/// The lines that a page shows below a command are some of those that it prints, in their order.
#[test]
fn a_page_shows_what_the_command_prints() {
    for (name, _) in WORLDS {
        let (world, page) = (copied(name), page(name));
        let (_, block) = page.split_once("```console\n").unwrap();
        let (block, _) = block.split_once("```").unwrap();
        let mut shown = 0;
        let mut printed = String::new();
        let mut left = printed.lines();
        for line in block.lines() {
            if let Some(command) = line.strip_prefix("$ seaway ") {
                let args: Vec<&str> = command.split(' ').collect();
                printed = said(world.path(), &args);
                left = printed.lines();
            } else {
                shown += 1;
                assert!(
                    left.any(|said| said == line),
                    "{name}: {line:?} is not in\n{printed}"
                );
            }
        }
        assert!(shown > 0, "{name}");
    }
}
