//! A folder as git has it in a revision: its manifests are written to a folder of their own, and
//! read there as any other. The repository is only read.

use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use tempfile::TempDir;

use super::program;
use crate::source::files;

/// The most manifests of one revision.
const MAX_FILES: usize = 200_000;

/// A manifest in a tree of git.
#[derive(Debug, PartialEq, Eq)]
struct Blob {
    id: String,
    size: usize,
    path: PathBuf,
}

/// Writes the manifests that a folder has in a revision.
///
/// # Errors
///
/// There is no git, no repository, no such revision, or the folder is not in it.
pub(super) fn write_out(folder: &Path, revision: &str) -> anyhow::Result<TempDir> {
    let shown = format!("{}@{revision}", folder.display());
    if revision.starts_with('-') || revision.contains(':') {
        bail!("{shown}: not a revision of git");
    }
    let folder = std::path::absolute(folder)?;
    let (base, below) = existing(&folder);
    let git = |args: &[&str], input: Vec<u8>| -> anyhow::Result<Vec<u8>> {
        let mut command = Command::new("git");
        command.arg("-C").arg(base).args(args);
        command.env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
        let ended = program::run(command, input).context("a revision needs git on the PATH")?;
        match ended.code {
            Some(0) => Ok(ended.output),
            _ => bail!("{shown}: git {}: {}", args[0], ended.said.trim()),
        }
    };
    let tree = format!("{revision}:./{}", below.to_string_lossy());
    let id = git(
        &["rev-parse", "--verify", "--end-of-options", &tree],
        Vec::new(),
    )
    .with_context(|| format!("{shown}: no such revision, or the folder is not in it"))?;
    let id = String::from_utf8_lossy(&id).trim().to_owned();
    let list = git(
        &["ls-tree", "-r", "-z", "-l", "--full-tree", &id],
        Vec::new(),
    )?;
    let blobs = blobs(&list);
    if blobs.len() > MAX_FILES {
        bail!("{shown}: more than {MAX_FILES} manifests");
    }
    let ids: String = blobs.iter().map(|blob| format!("{}\n", blob.id)).collect();
    let contents = git(&["cat-file", "--batch"], ids.into_bytes())?;
    let written = tempfile::Builder::new().prefix("seaway-diff-").tempdir()?;
    write(&blobs, &contents, written.path()).with_context(|| shown.clone())?;
    Ok(written)
}

/// The longest part of a path that is a folder now, and the rest of it.
fn existing(folder: &Path) -> (&Path, PathBuf) {
    let mut base = folder;
    while !base.is_dir() {
        let Some(above) = base.parent() else { break };
        base = above;
    }
    let below = folder.strip_prefix(base).unwrap_or(Path::new(""));
    (base, below.to_owned())
}

/// The manifests that `ls-tree -r -z -l` lists: `100644 blob ID SIZE<tab>PATH<nul>`. Links are left
/// out, since what they lead to need not be in the revision.
fn blobs(list: &[u8]) -> Vec<Blob> {
    let lines = list.split(|byte| *byte == 0);
    let blob = |line: &[u8]| {
        let (about, path) = std::str::from_utf8(line).ok()?.split_once('\t')?;
        let mut words = about.split_whitespace();
        let (mode, kind) = (words.next()?, words.next()?);
        let (id, size) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
        let is_file = kind == "blob" && mode.starts_with("100");
        let is_plain = |path: &Path| {
            let mut parts = path.components();
            parts.all(|part| matches!(part, Component::Normal(_)))
        };
        let is_read = files::is_manifest(path) && size <= usize::try_from(files::MAX_BYTES).ok()?;
        let path = PathBuf::from(path);
        (is_file && is_read && is_plain(&path)).then_some(Blob { id, size, path })
    };
    lines.filter_map(blob).collect()
}

/// Writes what `cat-file --batch` says of these: `ID blob SIZE<newline>CONTENT<newline>` each.
fn write(blobs: &[Blob], contents: &[u8], to: &Path) -> anyhow::Result<()> {
    let mut rest = contents;
    for blob in blobs {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let end = end.context("git cat-file ended early")?;
        let content = rest.get(end + 1..end + 1 + blob.size);
        let content = content.with_context(|| format!("{}: git has no content", blob.id))?;
        let path = to.join(&blob.path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, content)?;
        rest = rest.get(end + 2 + blob.size..).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_manifests_of_a_tree_are_taken() {
        let list = b"100644 blob aa      12\ta.yaml\x00120000 blob bb       6\tlink.yaml\0\
            100644 blob cc       3\tREADME.md\x00100755 blob dd       4\tshop/b.yml\0\
            160000 commit ee       -\tsub\x00100644 blob ff       1\t.hidden/c.yaml\0";
        let found = blobs(list);
        let names: Vec<_> = found.iter().map(|b| b.path.to_str().unwrap()).collect();
        assert_eq!(names, ["a.yaml", "shop/b.yml"]);
        assert_eq!((found[0].id.as_str(), found[0].size), ("aa", 12));
    }
}
