//! A checkpoint comes back as it was written, or not at all.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Instant;

use seaway_translator::{Object, ObjectKind};

use self::sample::sample;
use super::format::{FORMAT, Found, Refused};
use super::*;

mod routes;
mod sample;

const SOURCE: &str = "files:/etc/seaway";
/// A checkpoint of the format that this version writes. Its predecessors are refused, and need not
/// be kept.
const SAMPLE: &str = include_str!("../sample.jsonl");

fn written() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123)
}

fn encode(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    format::write(&mut bytes, SOURCE, written(), entries, u64::MAX).unwrap();
    bytes
}

fn decode(bytes: &[u8]) -> Result<Found, Refused> {
    format::read(bytes, Some(SOURCE))
}

/// What is said of a checkpoint whose `from` is `to`, checksum and all.
fn refused(from: &str, to: &str) -> String {
    let text = String::from_utf8(encode(&sample())).unwrap();
    assert!(text.contains(from), "{from}");
    let (body, _) = text.trim_end().rsplit_once('\n').unwrap();
    let body = format!("{}\n", body.replacen(from, to, 1));
    let hash = xxhash_rust::xxh3::xxh3_64(body.as_bytes());
    let text = format!(
        "{body}{{\"entries\":{},\"xxh3\":\"{hash:016x}\"}}\n",
        sample().len()
    );
    let refused = decode(text.as_bytes()).unwrap_err();
    format!("{}: {refused}", refused.reason())
}

/// When this fails, checkpoints that older versions wrote mean something else now, or cannot be
/// read: raise `FORMAT` in `format.rs`, so that they are refused, and put what this test prints
/// into `sample.jsonl`.
#[test]
fn the_format_changes_only_together_with_its_number() {
    let now = String::from_utf8(encode(&sample())).unwrap();
    let mine = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    let lines = |text: &str| -> Vec<String> {
        let lines: Vec<_> = text
            .lines()
            .map(|line| line.replacen(&mine, "\"version\":\"0.1.0\"", 1))
            .collect();
        lines[..lines.len() - 1].to_vec()
    };
    assert!(
        lines(&now) == lines(SAMPLE),
        "the format of checkpoints has changed: raise FORMAT in src/source/checkpoint/format.rs, and let sample.jsonl be\n{now}"
    );
    let found = decode(SAMPLE.as_bytes()).expect("raise FORMAT in src/source/checkpoint/format.rs");
    assert_eq!(found.loaded.entries, sample());
    assert_eq!(found.loaded.written, written());
    assert_eq!(found.bytes, SAMPLE.len() as u64);
}

/// A kind of object that older checkpoints lack needs a new number too: they would stand for a
/// world without any.
#[test]
fn every_kind_of_object_is_in_the_sample() {
    let kinds: BTreeSet<ObjectKind> = sample()
        .iter()
        .map(|entry| entry.object.id().kind)
        .collect();
    let kept = ObjectKind::ALL.iter().filter(|kind| !kind.is_secret());
    assert_eq!(kinds, kept.copied().collect());
}

#[test]
fn a_world_comes_back_as_it_was_written() {
    for entries in [Vec::new(), sample()] {
        let found = decode(&encode(&entries)).unwrap();
        assert_eq!(found.body, format::body(&entries).unwrap());
        assert_eq!(found.loaded.entries, entries);
    }
    let found = decode(&encode(&sample())).unwrap();
    let files: Vec<_> = found
        .loaded
        .entries
        .iter()
        .filter_map(|entry| entry.file.as_ref())
        .collect();
    let Object::EndpointSlice(slice) = &found.loaded.entries[1].object else {
        panic!("no slice");
    };
    let hints = |index: usize| &slice.endpoints[index].zone_hints;
    assert!(
        Arc::ptr_eq(&hints(0)[1], &hints(1)[1]),
        "a zone's name is kept once"
    );
    assert!(
        Arc::ptr_eq(files[0], files[1]),
        "a file's name is kept once"
    );
}

#[test]
fn a_truncated_checkpoint_is_refused_wherever_it_ends() {
    let bytes = encode(&sample());
    for end in 0..bytes.len() {
        let refused = decode(&bytes[..end]).unwrap_err();
        assert_eq!(refused.reason(), "corrupt", "{end}: {refused}");
    }
    let longer = [&bytes[..], b"\n"].concat();
    assert!(decode(&longer).is_err());
}

#[test]
fn a_flipped_bit_is_refused_wherever_it_is() {
    let mut bytes = encode(&sample());
    for place in 0..bytes.len() {
        let bit = 1 << (place % 8);
        bytes[place] ^= bit;
        assert!(decode(&bytes).is_err(), "byte {place}, mask {bit:#x}");
        bytes[place] ^= bit;
    }
    assert!(decode(&bytes).is_ok());
}

#[test]
fn what_is_of_another_format_or_source_is_refused_by_name() {
    for other in [0, FORMAT + 1] {
        let (mine, other) = (
            format!("\"format\":{FORMAT}"),
            format!("\"format\":{other},\"more\":1"),
        );
        let said = refused(&mine, &other);
        assert!(said.starts_with("format: its format is "), "{said}");
    }
    let said = refused(SOURCE, "kube:abc");
    assert_eq!(
        said,
        "source: it is of \"kube:abc\", not of \"files:/etc/seaway\""
    );
    let said = refused("seaway-checkpoint", "seaway");
    assert_eq!(said, "corrupt: line 1: this is no checkpoint");
}

#[test]
fn what_no_reading_gives_is_refused_although_the_checksum_is_right() {
    let said = refused("10.96.0.1", "::ffff:10.96.0.1");
    assert!(
        said.starts_with("corrupt: line 2: Service default/web cluster_ips"),
        "{said}"
    );
    let said = refused("\"number\":80", "\"number\":0");
    assert!(said.starts_with("corrupt: line 2: "), "{said}");
    let said = refused("\"leaving\":true", "\"leaving\":true,\"more\":1");
    assert!(said.contains("unknown field `more`"), "{said}");
}

#[test]
fn a_world_that_is_too_large_is_not_written() {
    let size = encode(&sample()).len() as u64;
    let write = |limit| format::write(io::sink(), SOURCE, written(), &sample(), limit);
    assert_eq!(write(size).unwrap(), size);
    assert_eq!(
        write(size - 1).unwrap_err().kind(),
        io::ErrorKind::FileTooLarge
    );
}

/// A folder with a keeper.
struct Kept {
    dir: tempfile::TempDir,
    metrics: Metrics,
}

impl Kept {
    fn new() -> Kept {
        Kept {
            dir: tempfile::tempdir().unwrap(),
            metrics: Metrics::register(&mut Registry::default()),
        }
    }

    fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("new/checkpoint.jsonl")
    }

    fn open(&self) -> (Option<Loaded>, Keeper) {
        open(&self.dir.path().join("new"), SOURCE, &self.metrics).unwrap()
    }

    fn save(&self, entries: Vec<Entry>) {
        let (_, mut keeper) = self.open();
        keeper.save(entries, Instant::now());
        keeper.finish(Vec::new);
    }

    fn errors(&self, reason: &'static str) -> u64 {
        self.metrics
            .errors
            .get_or_create(&ErrorLabel { reason })
            .get()
    }
}

#[test]
fn a_saved_world_is_found_and_one_that_is_the_same_is_not_written_again() {
    let kept = Kept::new();
    assert!(kept.open().0.is_none());
    kept.save(sample());
    let (loaded, _) = kept.open();
    assert_eq!(loaded.unwrap().entries, sample());
    let mode = fs::metadata(kept.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only for its owner");
    assert!(kept.metrics.written.get() > 1_700_000_000);
    assert_eq!(
        kept.metrics.bytes.get() as u64,
        fs::metadata(kept.file()).unwrap().len()
    );

    let before = fs::read(kept.file()).unwrap();
    kept.save(sample());
    assert_eq!(fs::read(kept.file()).unwrap(), before);
    kept.save(sample()[1..].to_vec());
    assert_eq!(kept.open().0.unwrap().entries, sample()[1..]);
    fs::remove_file(kept.file()).unwrap();
    kept.save(sample());
    assert_eq!(kept.open().0.unwrap().entries, sample());
}

#[test]
fn a_refused_checkpoint_stays_until_a_world_is_saved() {
    let kept = Kept::new();
    kept.save(sample());
    fs::write(
        kept.file(),
        "{\"magic\": \"seaway-checkpoint\", \"format\": 0}\n",
    )
    .unwrap();
    let before = fs::read(kept.file()).unwrap();
    assert!(kept.open().0.is_none());
    assert_eq!((kept.errors("format"), kept.errors("corrupt")), (1, 0));
    assert_eq!(fs::read(kept.file()).unwrap(), before);
    kept.save(sample());
    assert_eq!(kept.open().0.unwrap().entries, sample());
}

#[test]
fn what_is_half_written_is_cleared_away_unless_somebody_is_at_it() {
    let kept = Kept::new();
    kept.save(sample());
    let dir = kept.file().parent().unwrap().to_owned();
    let (left, busy) = (
        dir.join(".checkpoint-left.tmp"),
        dir.join(".checkpoint-busy.tmp"),
    );
    fs::write(&left, "half").unwrap();
    let at_it = fs::File::create(&busy).unwrap();
    at_it.try_lock().unwrap();
    drop(kept.open());
    assert_eq!((left.exists(), busy.exists()), (false, true));
}

#[test]
fn a_folder_that_cannot_be_used_is_an_error_and_one_that_fails_later_is_counted() {
    let kept = Kept::new();
    let file = kept.dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = open(&file, SOURCE, &kept.metrics).unwrap_err();
    let (error, file) = (format!("{error:#}"), file.display());
    assert!(
        error.starts_with(&format!("--checkpoint {file}: ")),
        "{error}"
    );

    let (_, mut keeper) = kept.open();
    fs::remove_dir_all(kept.dir.path().join("new")).unwrap();
    keeper.save(sample(), Instant::now());
    keeper.finish(Vec::new);
    assert_eq!(kept.errors("write"), 1);
}

#[test]
fn only_a_full_disk_is_no_reason_to_end_a_start_without_a_checkpoint() {
    for (kind, passes) in [
        (io::ErrorKind::StorageFull, true),
        (io::ErrorKind::QuotaExceeded, true),
        (io::ErrorKind::PermissionDenied, false),
        (io::ErrorKind::NotADirectory, false),
    ] {
        assert_eq!(may_pass(&kind.into()), passes, "{kind}");
    }
}
