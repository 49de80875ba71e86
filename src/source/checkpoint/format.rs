//! The checkpoint's file format, written and read: lines of JSON. A header says of which source and
//! when the checkpoint is, one line follows for each object, and a trailer has their number and the
//! hash of all bytes before it. A file that differs from that in a single byte is refused as a
//! whole.

use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use seaway_translator::read;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::{Entry, Loaded};
use crate::process::outside::brief;

/// The version of the file format. It changes with every change of what the lines mean: of the
/// model's types, too, and of the kinds of objects there are. A checkpoint of another version is
/// refused.
pub(super) const FORMAT: u32 = 9;
/// The header's `magic`, which tells a checkpoint from any other file.
const MAGIC: &str = "seaway-checkpoint";
/// The largest checkpoint, in bytes. One that is larger is neither written nor read.
pub(super) const MAX_BYTES: u64 = 1 << 30;

/// The reason why a checkpoint on disk is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("line {line}: {what}")]
    Corrupt { line: u64, what: String },
    #[error("its format is {0}, and this version reads {FORMAT} only")]
    Format(u32),
    #[error("it is of {found:?}, not of {expected:?}")]
    Source { found: String, expected: String },
    #[error("it has {0} bytes, more than {MAX_BYTES}")]
    TooLarge(u64),
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
}

impl Refused {
    /// The reason as a stable word: the label of a metric.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Refused::Corrupt { .. } => "corrupt",
            Refused::Format(_) => "format",
            Refused::Source { .. } => "source",
            Refused::TooLarge(_) => "too_large",
            Refused::Read(_) => "read",
        }
    }
}

/// The fields of the header line that every version of the format has: enough to tell whether the
/// rest can be decoded.
#[derive(Deserialize)]
struct Mark {
    magic: String,
    format: u32,
}

/// The first line of a checkpoint, in the current [`FORMAT`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    magic: String,
    format: u32,
    /// The version of Seaway that wrote it, for people.
    version: String,
    source: String,
    /// Milliseconds since 1970.
    written: u64,
    entries: u64,
}

/// The last line of a checkpoint: the number of objects and the hash of every line before it.
#[derive(Serialize)]
struct Trailer {
    entries: u64,
    xxh3: String,
}

impl Trailer {
    fn line(entries: u64, hash: u64) -> io::Result<Vec<u8>> {
        let trailer = Trailer {
            entries,
            xxh3: format!("{hash:016x}"),
        };
        let mut line = serde_json::to_vec(&trailer)?;
        line.push(b'\n');
        Ok(line)
    }
}

/// Writes a checkpoint; returns its size in bytes.
///
/// # Errors
///
/// Those of `out`; and [`io::ErrorKind::FileTooLarge`] as soon as there are more than `limit`
/// bytes.
pub(super) fn write(
    out: impl Write,
    source: &str,
    written: SystemTime,
    entries: &[Entry],
    limit: u64,
) -> io::Result<u64> {
    let since = written.duration_since(SystemTime::UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    let header = Header {
        magic: MAGIC.to_owned(),
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        source: source.to_owned(),
        written: u64::try_from(millis).unwrap_or(u64::MAX),
        entries: entries.len() as u64,
    };
    let mut lines = Lines::new(out, limit);
    lines.put(&header)?;
    for entry in entries {
        lines.put(entry)?;
    }
    let trailer = Trailer::line(header.entries, lines.hash.digest())?;
    lines.put_raw(&trailer)?;
    Ok(lines.bytes)
}

/// The hash of the lines of these objects alone, without header: equal worlds have equal ones.
pub(super) fn body(entries: &[Entry]) -> io::Result<u64> {
    let mut lines = Lines::new(io::sink(), u64::MAX);
    for entry in entries {
        lines.put(entry)?;
    }
    Ok(lines.hash.digest())
}

/// Writes values as lines of JSON, hashes them on the way, and fails once they exceed a limit in
/// bytes.
struct Lines<W> {
    out: W,
    buffer: Vec<u8>,
    hash: Xxh3,
    bytes: u64,
    limit: u64,
}

impl<W: Write> Lines<W> {
    fn new(out: W, limit: u64) -> Lines<W> {
        Lines {
            out,
            buffer: Vec::new(),
            hash: Xxh3::new(),
            bytes: 0,
            limit,
        }
    }

    /// Writes one value as a line, and adds the line to the hash.
    fn put(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = std::mem::take(&mut self.buffer);
        line.clear();
        serde_json::to_writer(&mut line, value)?;
        line.push(b'\n');
        self.hash.update(&line);
        let result = self.put_raw(&line);
        self.buffer = line;
        result
    }

    /// Writes bytes that do not count for the hash.
    fn put_raw(&mut self, line: &[u8]) -> io::Result<()> {
        self.bytes += line.len() as u64;
        if self.bytes > self.limit {
            let message = format!("it would have more than {} bytes", self.limit);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        self.out.write_all(line)
    }
}

/// A checkpoint that was read from disk and verified.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) loaded: Loaded,
    /// The hash of its objects, as [`body`] computes it.
    pub(super) body: u64,
    pub(super) bytes: u64,
}

/// Reads and verifies a checkpoint of `source`, or of any source.
///
/// # Errors
///
/// It cannot be read, or differs from what was written; no part of it may be used.
pub(super) fn read(input: impl BufRead, source: Option<&str>) -> Result<Found, Refused> {
    let mut reader = Reader {
        input,
        buffer: Vec::new(),
        line: 0,
        hash: Xxh3::new(),
        bytes: 0,
    };
    let header = reader.header(source)?;
    let (entries, body) = reader.entries(header.entries)?;
    reader.trailer(header.entries)?;
    let written = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(header.written));
    let written = written.ok_or_else(|| reader.corrupt("it was written at no time there is"))?;
    Ok(Found {
        loaded: Loaded { entries, written },
        body,
        bytes: reader.bytes,
    })
}

/// Reads a checkpoint line by line, and checks its header, its digest and the number of its lines.
struct Reader<R> {
    input: R,
    /// The line last read, its end included.
    buffer: Vec<u8>,
    /// Its number, from 1.
    line: u64,
    hash: Xxh3,
    bytes: u64,
}

impl<R: BufRead> Reader<R> {
    fn header(&mut self, source: Option<&str>) -> Result<Header, Refused> {
        self.next()?;
        let mark: Mark = self.decode()?;
        if mark.magic != MAGIC {
            return Err(self.corrupt("this is no checkpoint"));
        }
        if mark.format != FORMAT {
            return Err(Refused::Format(mark.format));
        }
        let header: Header = self.decode()?;
        if let Some(source) = source.filter(|source| header.source != *source) {
            return Err(Refused::Source {
                found: brief(&header.source),
                expected: source.to_owned(),
            });
        }
        self.hash.update(&self.buffer);
        Ok(header)
    }

    /// Reads `count` objects; returns them with the hash of their lines.
    fn entries(&mut self, count: u64) -> Result<(Vec<Entry>, u64), Refused> {
        let mut body = Xxh3::new();
        let mut entries: Vec<Entry> = Vec::new();
        let mut file: Option<Arc<str>> = None;
        for _ in 0..count {
            self.next()?;
            self.hash.update(&self.buffer);
            body.update(&self.buffer);
            let mut entry: Entry = self.decode()?;
            let restored = read::validate(entry.object);
            entry.object = restored.map_err(|problem| {
                self.corrupt(format!(
                    "{} {}: {}",
                    problem.object, problem.field, problem.message
                ))
            })?;
            // The objects of a file follow each other: its name is kept once.
            if entry.file == file {
                entry.file.clone_from(&file);
            } else {
                file.clone_from(&entry.file);
            }
            entries.push(entry);
        }
        Ok((entries, body.digest()))
    }

    fn trailer(&mut self, entries: u64) -> Result<(), Refused> {
        self.next()?;
        if self.buffer != Trailer::line(entries, self.hash.digest())? {
            return Err(self.corrupt("the checksum is another one"));
        }
        if !self.input.fill_buf()?.is_empty() {
            return Err(self.corrupt("something follows it"));
        }
        Ok(())
    }

    fn next(&mut self) -> Result<(), Refused> {
        self.buffer.clear();
        self.line += 1;
        self.bytes += self.input.read_until(b'\n', &mut self.buffer)? as u64;
        if self.buffer.last() != Some(&b'\n') {
            return Err(self.corrupt("the file ends here"));
        }
        Ok(())
    }

    fn decode<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        serde_json::from_slice(&self.buffer).map_err(|error| self.corrupt(error.to_string()))
    }

    fn corrupt(&self, what: impl Into<String>) -> Refused {
        Refused::Corrupt {
            line: self.line,
            what: brief(&what.into()),
        }
    }
}
