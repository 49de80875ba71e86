//! `seaway translate` prints the same bytes whatever the order of the files.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use seaway_testing::repository;

/// What `seaway translate` prints of a folder.
fn translate(folder: &Path, form: &str) -> Result<Vec<u8>> {
    let mut seaway = Command::new(env!("CARGO_BIN_EXE_seaway"));
    let output = seaway
        .args(["translate", "--node-name", "n1", "-o", form, "--files"])
        .arg(folder)
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(!output.stdout.is_empty());
    Ok(output.stdout)
}

#[test]
fn files_in_another_order_give_the_same_bytes() -> Result<()> {
    let (one, other) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let mut documents = Vec::new();
    for entry in fs::read_dir(repository().join("deploy/demo"))? {
        let text = fs::read_to_string(entry?.path())?;
        documents.extend(text.split("\n---\n").map(str::to_owned));
    }
    documents.sort();
    for (number, document) in documents.iter().enumerate() {
        fs::write(one.path().join(format!("{number:03}.yaml")), document)?;
        let last = documents.len() - number;
        fs::write(other.path().join(format!("{last:03}.yaml")), document)?;
    }
    for form in ["json", "yaml", "static"] {
        ensure!(
            translate(one.path(), form)? == translate(other.path(), form)?,
            "{form} differs"
        );
    }
    Ok(())
}
