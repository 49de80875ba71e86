//! What `seaway explain` prints: `tests/fixtures/explain/CASE.yaml` is a world, `CASE.snap` what is
//! said of it. The first lines of a case are the arguments, once per question. A fault is named by
//! its first screen, with its cause and the object.
//! `INSTA_UPDATE=always cargo test -p seaway --test cli explain` accepts what is new.

use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use serde_json::Value;

use super::{folder, refused, run, text};

#[test]
fn what_is_explained_is_what_is_expected() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/explain");
    let mut failed = Vec::new();
    let mut found = 0;
    for entry in fs::read_dir(cases).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        found += 1;
        let case = path.file_stem().unwrap().to_string_lossy().into_owned();
        let world = fs::read_to_string(&path).unwrap();
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path("../fixtures/explain");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let check = || settings.bind(|| insta::assert_snapshot!(case.as_str(), explained(&world)));
        if catch_unwind(AssertUnwindSafe(check)).is_err() {
            failed.push(case);
        }
    }
    assert_eq!(failed, Vec::<String>::new());
    assert!(found >= 20, "{found} cases");
}

/// What is printed for each question of a case, with its exit code.
fn explained(world: &str) -> String {
    let questions = world
        .lines()
        .filter_map(|line| line.strip_prefix("# explain: "));
    let files = folder(&[("world.yaml", world)]);
    let mut printed = String::new();
    for question in questions {
        let mut args = vec!["explain", "--files", text(files.path())];
        args.extend(question.split(' '));
        let output = run(&args);
        let said = String::from_utf8(output.stdout).unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(complaint, "", "{question}");
        assert!(said.lines().count() <= 80, "more than a screen: {said}");
        for line in said.lines() {
            assert!(
                line.chars().count() <= 120 || !line.trim().contains(' '),
                "{line}"
            );
        }
        let code = output.status.code().unwrap();
        writeln!(printed, "$ seaway explain {question}\n{said}[{code}]\n").unwrap();
    }
    printed
}

const WORLD: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.11, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.1.0.5]}]
";

#[test]
fn the_answer_is_json_and_yaml_too() {
    let files = folder(&[("world.yaml", WORLD)]);
    let ask = |form: &str| {
        let args = [
            "explain",
            "shop/web",
            "--files",
            text(files.path()),
            "-o",
            form,
        ];
        let output = run(&args);
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let answer: Value = serde_json::from_str(&ask("json")).unwrap();
    assert_eq!(answer["asked"], "shop/web");
    assert_eq!(answer["served"], "yes");
    let section = &answer["sections"][0];
    assert_eq!(
        section["addresses"][0]["listener"],
        "shop/web/80@clusterip:10.96.0.11:80"
    );
    assert_eq!(section["endpoints"][0]["taken"], "yes");
    assert_eq!(section["endpoints"][0]["priority"], 0);
    assert_eq!(seaway_proto::json::from_yaml(&ask("yaml")).unwrap(), answer);
}

#[test]
fn what_cannot_be_asked_is_one_line_and_code_2() {
    let files = folder(&[("world.yaml", WORLD)]);
    let dir = text(files.path());
    for (what, word) in [
        (vec!["node/n1"], "cannot be explained"),
        (vec!["10.96.0.11"], "lacks a port"),
        (vec!["Web"], "is none of"),
        (vec!["shop/web", "--from", "n1"], "is none of node/NAME"),
        (vec!["ftp://web"], "is not served"),
        (vec!["shop/web", "-o", "static"], "static"),
    ] {
        let mut args = vec!["explain", "--files", dir];
        args.extend(what);
        refused(&args, &[word]);
    }
    refused(
        &["explain", "shop/web", "--files", "/nowhere"],
        &["/nowhere"],
    );
    refused(&["explain", "--files", dir], &["WHAT"]);
}
