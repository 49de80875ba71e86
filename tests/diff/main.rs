//! `seaway diff` as a user meets it: what a change means for clients, in words and in its exit
//! code.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cases;
mod held;
mod live;
mod sources;

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The Nodes of every case: n1 in zone a, n2 and n3 in zone b.
const NODES: &str = include_str!("nodes.yaml");

fn seaway(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seaway"));
    command.args(args).env_clear().stdin(Stdio::null());
    // Where git is.
    command.env("PATH", std::env::var_os("PATH").unwrap());
    command.output().unwrap()
}

/// What `seaway diff` says with these arguments, and its exit code.
#[track_caller]
fn diff(args: &[&str]) -> (String, i32) {
    let output = seaway(&[&["diff"], args].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "", "{args:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    (text, output.status.code().unwrap())
}

/// `seaway diff` must end with code 2 after one line that holds all of `words`.
#[track_caller]
fn refused(args: &[&str], words: &[&str]) {
    let output = seaway(&[&["diff"], args].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{args:?} does not say {word}: {said}");
    }
    assert!(output.stdout.is_empty(), "{args:?}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// The manifest of a case.
fn manifest(case: &str, side: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diff/cases");
    std::fs::read_to_string(folder.join(case).join(side)).unwrap()
}

/// The folder of one side of a case, with the Nodes.
fn side(case: &str, side: &str) -> tempfile::TempDir {
    let text = manifest(case, side);
    folder(&[("nodes.yaml", NODES), ("world.yaml", &text)])
}
