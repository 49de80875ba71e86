//! The folder of manifests that Seaway watches, edited the way people and tools do.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// A folder of manifests.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Uses the folder `path`, made when it does not exist.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        fs::create_dir_all(&path)?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Copies every file of `source` into it.
    pub fn copy_from(&self, source: &Path) -> Result<()> {
        for entry in
            fs::read_dir(source).with_context(|| format!("cannot read {}", source.display()))?
        {
            let entry = entry?;
            fs::copy(entry.path(), self.path.join(entry.file_name()))?;
        }
        Ok(())
    }

    /// Saves a file as careful editors do: a hidden temporary file, then a rename. Returns the
    /// moment of the rename.
    pub fn save(&self, name: &str, text: &str) -> Result<Instant> {
        let temporary = self.path.join(format!(".{name}.tmp"));
        fs::write(&temporary, text)?;
        let saved = Instant::now();
        fs::rename(&temporary, self.path.join(name))?;
        Ok(saved)
    }

    /// Saves a file with every `old` replaced by `new`; fails when there is none.
    pub fn replace(&self, name: &str, old: &str, new: &str) -> Result<Instant> {
        let text = self.read(name)?;
        ensure!(text.contains(old), "{name} does not contain {old:?}");
        self.save(name, &text.replace(old, new))
    }

    /// The text of a file.
    pub fn read(&self, name: &str) -> Result<String> {
        fs::read_to_string(self.path.join(name)).with_context(|| format!("cannot read {name}"))
    }

    /// Deletes a file.
    pub fn delete(&self, name: &str) -> Result<()> {
        Ok(fs::remove_file(self.path.join(name))?)
    }
}
