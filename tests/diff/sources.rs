//! What is compared: folders, revisions of git, checkpoints, and what another binary makes of a
//! folder.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{NODES, diff, folder, manifest, refused, side, text};

/// Runs git in a folder, with an identity and nothing else of the machine's.
#[track_caller]
fn git(folder: &Path, args: &[&str]) {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder);
    command.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]);
    command.args(args).env("GIT_CONFIG_GLOBAL", "/dev/null");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
}

#[test]
fn a_revision_is_compared_with_what_is_there() {
    let root = folder(&[]);
    let manifests = root.path().join("manifests");
    fs::create_dir(&manifests).unwrap();
    fs::write(manifests.join("nodes.yaml"), NODES).unwrap();
    fs::write(
        manifests.join("world.yaml"),
        manifest("several", "from.yaml"),
    )
    .unwrap();
    fs::write(root.path().join("beside.yaml"), "not: read").unwrap();
    git(root.path(), &["init", "--quiet"]);
    git(root.path(), &["add", "."]);
    git(root.path(), &["commit", "--quiet", "-m", "one"]);
    git(root.path(), &["tag", "v1"]);
    fs::write(manifests.join("world.yaml"), manifest("several", "to.yaml")).unwrap();
    let at = text(&manifests);
    let old = format!("{at}@v1");
    let (said, code) = diff(&["--from", &old, "--to", at]);
    let (from, to) = (side("several", "from.yaml"), side("several", "to.yaml"));
    let expected = diff(&["--from", text(from.path()), "--to", text(to.path())]);
    assert_eq!((said, code), expected);
    assert_eq!(diff(&["--from", &old, "--to", &format!("{at}@HEAD")]).1, 0);

    // A folder that is no longer there.
    fs::rename(&manifests, root.path().join("moved")).unwrap();
    let moved = root.path().join("moved");
    assert_eq!(diff(&["--from", &old, "--to", text(&moved)]).1, 1);
    refused(
        &["--from", &format!("{at}@v2"), "--to", text(&moved)],
        &["--from", "v2", "no such revision"],
    );
    let none = format!("{}@v1", text(&moved));
    refused(
        &["--from", &old, "--to", &none],
        &["--to", "the folder is not in it"],
    );
    let option = format!("{at}@--help");
    refused(
        &["--from", &option, "--to", text(&moved)],
        &["not a revision"],
    );
}

#[test]
fn a_folder_without_a_repository_has_no_revisions() {
    let some = side("several", "from.yaml");
    let revision = format!("{}@v1", text(some.path()));
    refused(
        &["--from", &revision, "--to", text(some.path())],
        &["--from", "@v1"],
    );
    let output = Command::new(env!("CARGO_BIN_EXE_seaway"))
        .args(["diff", "--from", &revision, "--to", text(some.path())])
        .env_clear()
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("needs git on the PATH"), "{said}");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_cannot_be_compared_is_one_line() {
    let some = side("several", "from.yaml");
    let empty = folder(&[("notes.txt", "")]);
    let (some, empty) = (text(some.path()), text(empty.path()));
    refused(&["--from", some], &["--to"]);
    refused(
        &["--from", "/does/not/exist", "--to", some],
        &["/does/not/exist", "no such folder"],
    );
    refused(&["--from", some, "--to", empty], &["--to", "no readable"]);
    refused(
        &["--from", some, "--to", some, "--nodes", "n9"],
        &["--nodes n9"],
    );
    refused(&["--from", some, "--to", some, "--role", "grpc"], &["grpc"]);
    refused(
        &["--from", some, "--to", some, "-o", "xml"],
        &["xml", "text", "json"],
    );
    refused(
        &["--from", some, "--to", "/etc/hostname"],
        &["--to", "checkpoint"],
    );
    refused(
        &["--from", some, "--with", "/does/not/exist"],
        &["/does/not/exist", "cannot be run"],
    );
    refused(&["--from", some, "--with", "/bin/false"], &["/bin/false"]);
}

#[test]
fn a_checkpoint_is_compared_as_a_file_and_as_a_folder() {
    let sample = include_str!("../../src/source/checkpoint/sample.jsonl");
    let kept = folder(&[("checkpoint.jsonl", sample)]);
    let file = kept.path().join("checkpoint.jsonl");
    let some = side("several", "from.yaml");
    let (kept, file, some) = (text(kept.path()), text(&file), text(some.path()));
    let (said, code) = diff(&["--from", kept, "--to", file]);
    assert!(said.starts_with("no difference") && code == 0, "{said}");
    let (said, code) = diff(&["--from", file, "--to", some, "--role", "ingress"]);
    let note = "note: a checkpoint has no Secrets: certificates are not compared\n";
    assert!(said.starts_with(note) && code == 1, "{said}");
    let cut = folder(&[("checkpoint.jsonl", &sample[..sample.len() / 2])]);
    refused(
        &["--from", text(cut.path()), "--to", some],
        &["--from", "checkpoint", "line"],
    );
}

/// What this binary makes of a folder is compared by what it prints.
#[test]
fn the_same_binary_makes_the_same_of_a_folder() {
    let binary = env!("CARGO_BIN_EXE_seaway");
    let some = side("several", "from.yaml");
    let args = [
        "--from",
        text(some.path()),
        "--with",
        binary,
        "--keep-source",
    ];
    let (said, code) = diff(&args);
    assert!(said.starts_with("no difference") && code == 0, "{said}");
}

/// A binary that stands for another version: it changes what `translate` prints.
#[test]
fn another_binary_shows_what_an_upgrade_sends() {
    let some = side("several", "from.yaml");
    let other = folder(&[(
        "other",
        &format!(
            "#!/bin/sh\n{} \"$@\" | sed 's/\"connect_timeout\": \"1s\"/\"connect_timeout\": \"2s\"/'\n",
            env!("CARGO_BIN_EXE_seaway")
        ),
    )]);
    let binary = other.path().join("other");
    let run = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&binary, run).unwrap();
    let args = [
        "--from",
        text(some.path()),
        "--with",
        text(&binary),
        "--nodes",
        "n1",
    ];
    let (said, code) = diff(&args);
    let line = "~ shop/web:80     seaway.dev/connect-timeout 1s -> 2s; no connection is cut";
    assert!(said.contains(line) && code == 1, "{said}");
    assert!(said.contains("5 of 5 Services change"), "{said}");
}
