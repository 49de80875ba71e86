//! A compressed archive in memory, of a bounded size.

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

/// How many bytes the files of an archive have at most, before they are compressed.
const MOST: usize = 20 << 20;

/// An archive that is made.
pub(super) struct Archive {
    builder: Builder<GzEncoder<Vec<u8>>>,
    /// The time of its files, in seconds since 1970.
    time: u64,
    bytes: usize,
    left_out: Vec<String>,
}

impl Archive {
    /// An empty archive.
    pub(super) fn new(time: i64) -> Archive {
        Archive {
            builder: Builder::new(GzEncoder::new(Vec::new(), Compression::default())),
            time: u64::try_from(time).unwrap_or_default(),
            bytes: 0,
            left_out: Vec::new(),
        }
    }

    /// Adds a file, unless there would be too much.
    ///
    /// # Errors
    ///
    /// Its name is too long.
    pub(super) fn add(&mut self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        if self.bytes + content.len() > MOST {
            self.left_out.push(name.to_owned());
            return Ok(());
        }
        self.bytes += content.len();
        let mut header = Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(self.time);
        let path = format!("seaway-bug-report/{name}");
        self.builder.append_data(&mut header, path, content)?;
        Ok(())
    }

    /// The bytes of the archive, and the names of the files that are not in it.
    ///
    /// # Errors
    ///
    /// Never, since it is in memory.
    pub(super) fn finish(self) -> anyhow::Result<(Vec<u8>, Vec<String>)> {
        let bytes = self.builder.into_inner()?.finish()?;
        Ok((bytes, self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_too_much_is_left_out_and_named() {
        let mut archive = Archive::new(0);
        archive.add("one", &vec![b'x'; MOST - 10]).unwrap();
        archive.add("two", &[b'y'; 11]).unwrap();
        archive.add("three", &[b'z'; 10]).unwrap();
        let (bytes, left_out) = archive.finish().unwrap();
        assert_eq!(left_out, ["two"]);
        assert!(bytes.len() < MOST);
    }
}
