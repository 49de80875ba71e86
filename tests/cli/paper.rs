//! What the command line says of itself: completion, pages for man, help without colours.

use std::collections::BTreeSet;
use std::fs;

use crate::{run, seaway};

/// The commands, as `seaway --help` lists them.
fn commands() -> BTreeSet<String> {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    let (_, list) = help.split_once("Commands:\n").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    let lines = list
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    lines
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_command_is_completed_in_every_shell() {
    let commands = commands();
    assert!(commands.len() > 12, "{commands:?}");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completion", shell]);
        assert!(output.status.success(), "{shell}");
        let script = String::from_utf8(output.stdout).unwrap();
        for command in &commands {
            assert!(script.contains(command), "{shell} does not know {command}");
        }
        for flag in ["for", "seaway-namespace", "token-audience"] {
            assert!(script.contains(flag), "{shell} does not know --{flag}");
        }
    }
    assert_eq!(run(&["completion", "tcsh"]).status.code(), Some(2));
}

#[test]
fn every_command_has_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    let output = run(&["man", pages.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    for command in commands() {
        let page = pages.join(format!("seaway-{command}.1"));
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{command}: {text}");
    }
    assert!(pages.join("seaway-get-proxies.1").is_file());
    let output = run(&["man"]);
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.contains(".TH seaway 1"), "{page}");
}

#[test]
fn nothing_is_coloured_whoever_asks_for_it() {
    for line in [
        &["--help"][..],
        &["wait", "--help"],
        &["wait", "--for", "x"],
    ] {
        for (name, value) in [("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")] {
            let output = seaway(line).env(name, value).output().unwrap();
            let all = [output.stdout, output.stderr].concat();
            assert!(!all.contains(&0x1b), "{line:?} with {name}");
            assert!(!all.is_empty());
        }
    }
}
