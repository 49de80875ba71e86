//! A folder that changes as the volumes of a pod do: all of its files at once, by one rename of a
//! symbolic link.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// A Secret, ConfigMap or projected token as the kubelet mounts it: `tls.crt -> ..data/tls.crt`,
/// `..data -> ..1`, and every change a new folder that `..data` is turned to.
#[derive(Debug)]
pub struct Volume {
    path: PathBuf,
    changes: usize,
}

impl Volume {
    /// A volume mounted at `path`, which is made when it does not exist.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        fs::create_dir_all(&path)?;
        Ok(Self { path, changes: 0 })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of one of its files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Turns all of it to these files, whatever they were.
    pub fn set(&mut self, files: &[(&str, &str)]) -> Result<()> {
        let old = fs::read_link(self.path.join("..data")).ok();
        self.changes += 1;
        let new = format!("..{}", self.changes);
        fs::create_dir(self.path.join(&new))?;
        for (name, text) in files {
            fs::write(self.path.join(&new).join(name), text)?;
        }
        symlink(&new, self.path.join("..data_tmp"))?;
        fs::rename(self.path.join("..data_tmp"), self.path.join("..data"))?;
        for (name, _) in files {
            match symlink(Path::new("..data").join(name), self.path.join(name)) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
                _ => {}
            }
        }
        if let Some(old) = old {
            fs::remove_dir_all(self.path.join(old))?;
        }
        Ok(())
    }
}
