//! Reads foreign files and shortens foreign text. Every file that is not Seaway's own is opened
//! here and nowhere else, so that a pipe, a device, a file without end or a disk that does not
//! answer costs a line that names it, and never a thread or the memory.

use std::fmt::Write as _;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::fs::OFlags;

/// How long a disk may take to answer at the start.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it may take later before `/readyz` says so.
const SLOW: Duration = Duration::from_secs(10);
/// The length to which a line with text from outside is cut, in bytes.
const BRIEF: usize = 1024;
/// The length to which a quotation inside such a line is cut, in bytes.
const QUOTE: usize = 400;
/// The largest file with a certificate, a key, a token or a bundle of authorities, in bytes:
/// Kubernetes stores no larger ones.
const MAX_CREDENTIAL: u64 = 1 << 20;

/// Opens a regular file of at most `max` bytes.
///
/// # Errors
/// It is absent, something else, larger, or cannot be opened.
pub(crate) fn open(path: &Path, max: u64) -> io::Result<(File, Metadata)> {
    // To open a device can be to use it, so it is looked at first.
    is_regular(&fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    // What took its place meanwhile does not have to be waited for either: a pipe opens at once.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = options.read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    is_regular(&metadata)?;
    if metadata.len() > max {
        return Err(too_large(max));
    }
    Ok((file, metadata))
}

/// Reads a whole regular file of at most `max` bytes; returns its metadata from before the first
/// byte was read with it.
///
/// # Errors
/// Those of [`open`], or it cannot be read.
pub(crate) fn read(path: &Path, max: u64) -> io::Result<(Metadata, Vec<u8>)> {
    let _waiting = waiting_for(path);
    let (file, metadata) = open(path, max)?;
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    // It may grow while it is read, and some files of the kernel's say that they are empty.
    file.take(max + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > max {
        true => Err(too_large(max)),
        false => Ok((metadata, bytes)),
    }
}

/// Reads a file that a flag names, with a certificate, a key, a token or a bundle of authorities.
///
/// # Errors
/// Those of [`read`], with the flag and the path.
pub(crate) fn read_credential(flag: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = read(path, MAX_CREDENTIAL);
    let (_, bytes) = read.with_context(|| format!("{flag} {}", path.display()))?;
    Ok(bytes)
}

fn is_regular(metadata: &Metadata) -> io::Result<()> {
    match metadata.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("not a regular file")),
    }
}

fn too_large(max: u64) -> io::Error {
    io::Error::other(format!("larger than {} MiB", max >> 20))
}

/// Runs work that waits for the disk of `path` on a thread of its own, at the start of the process.
/// The thread stays behind if the disk never answers.
///
/// # Errors
/// It takes longer than a minute.
pub(crate) fn in_time<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    within(PATIENCE, path, work)
}

fn within<T: Send + 'static>(
    limit: Duration,
    path: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (done, result) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("read".to_owned());
    thread.spawn(move || {
        // Nobody waits for it any more when it comes too late.
        let _ = done.send(work());
    })?;
    result.recv_timeout(limit).map_err(|error| match error {
        mpsc::RecvTimeoutError::Timeout => {
            let (path, seconds) = (path.display(), limit.as_secs());
            let why = format!("the disk of {path} has not answered for {seconds} s");
            io::Error::new(io::ErrorKind::TimedOut, why)
        }
        mpsc::RecvTimeoutError::Disconnected => io::Error::other("reading it panicked"),
    })
}

/// The waits for disks in the whole process: only here are all of them known, and `/readyz` reports
/// those that take long.
static WAITING: Mutex<Vec<Disk>> = Mutex::new(Vec::new());
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A wait for a disk: for which path, and since when.
struct Disk {
    number: u64,
    path: PathBuf,
    since: Instant,
}

/// A mark that a thread is in a call to a disk, until this is dropped: the log tells of disks that
/// take long.
#[derive(Debug)]
pub(crate) struct DiskWait(u64);

/// Registers a wait for the disk of `path`.
pub(crate) fn waiting_for(path: &Path) -> DiskWait {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    lock().push(Disk {
        number,
        path: path.to_owned(),
        since: Instant::now(),
    });
    DiskWait(number)
}

impl Drop for DiskWait {
    fn drop(&mut self) {
        lock().retain(|disk| disk.number != self.0);
    }
}

/// A line for each disk that has not answered for too long.
pub(crate) fn overdue() -> Vec<String> {
    overdue_at(Instant::now())
}

fn overdue_at(now: Instant) -> Vec<String> {
    let all = lock();
    let mut lines = Vec::new();
    for Disk { path, since, .. } in all.iter() {
        let time = now.saturating_duration_since(*since);
        if time >= SLOW {
            let (path, seconds) = (path.display(), time.as_secs());
            lines.push(format!("disk: no answer for {path} for {seconds} s"));
        }
    }
    lines
}

/// Locks the waits, poisoned or not: nothing that holds this lock can panic half-way.
fn lock() -> MutexGuard<'static, Vec<Disk>> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Foreign text fit for logs and `/readyz`: one line of bounded length.
pub(crate) fn brief(text: &str) -> String {
    shorten(text, BRIEF, text.len())
}

/// The beginning of foreign text that is a part of a message: one line, shorter than [`brief`]'s,
/// so that a message may have several.
pub(crate) fn quote(text: &str) -> String {
    shorten(text, QUOTE, text.len())
}

/// The beginning of bytes that may not be text, as [`quote`] has it.
pub(crate) fn quote_bytes(bytes: &[u8]) -> String {
    let beginning = bytes.get(..=QUOTE).unwrap_or(bytes);
    shorten(&String::from_utf8_lossy(beginning), QUOTE, bytes.len())
}

/// The first bytes of a text, at most `max`, without control characters. If there are more, `all`
/// says how many bytes there are.
fn shorten(text: &str, max: usize, all: usize) -> String {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text[..end].chars().map(shown).collect();
    if end < text.len() {
        let _ = write!(short, "… ({all} bytes)");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_bounded_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "abc").unwrap();
        assert_eq!(read(&path, 3).unwrap().1, b"abc");
        let refused = |path: &Path, max| read(path, max).unwrap_err().to_string();
        assert_eq!(refused(&path, 2), "larger than 0 MiB");
        for other in [Path::new("/dev/zero"), folder.path()] {
            assert_eq!(refused(other, 3), "not a regular file");
        }
        let pipe = folder.path().join("pipe");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
        assert_eq!(refused(&pipe, 3), "not a regular file");
        let absent = read(&folder.path().join("none"), 3).unwrap_err();
        assert_eq!(absent.kind(), io::ErrorKind::NotFound);
        // The kernel says that these are empty.
        assert!(
            !read(Path::new("/proc/self/status"), 1 << 20)
                .unwrap()
                .1
                .is_empty()
        );
        assert_eq!(
            refused(Path::new("/proc/self/status"), 10),
            "larger than 0 MiB"
        );
    }

    #[test]
    fn a_disk_that_does_not_answer_is_given_up() {
        let path = Path::new("/mnt/a");
        assert_eq!(within(PATIENCE, path, || 7).unwrap(), 7);
        let (hang, hung) = mpsc::channel::<()>();
        let error = within(Duration::ZERO, path, move || hung.recv()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("/mnt/a"), "{error}");
        drop(hang);
    }

    #[test]
    fn a_disk_that_hangs_is_told() {
        let told = |name: &str| {
            let lines = overdue_at(Instant::now() + SLOW * 2);
            lines.iter().any(|line| line.contains(name))
        };
        let (first, second) = (Path::new("/mnt/first"), Path::new("/mnt/second"));
        let (one, two) = (waiting_for(first), waiting_for(second));
        assert!(told("/mnt/first") && told("/mnt/second"));
        drop(one);
        assert!(!told("/mnt/first") && told("/mnt/second"));
        let early = overdue();
        assert!(!early.iter().any(|line| line.contains("/mnt/second")));
        drop(two);
        assert!(!told("/mnt/second"));
    }

    #[test]
    fn words_of_others_are_one_short_line() {
        assert_eq!(brief("short: ä"), "short: ä");
        assert_eq!(brief("two\nlines\x1b[1m"), "two lines [1m");
        let long = "ä".repeat(4 << 20);
        let shown = brief(&long);
        assert!(shown.ends_with("… (8388608 bytes)"), "{shown}");
        assert!(shown.len() < BRIEF + 30);
        let uneven = format!("a{long}");
        assert!(brief(&uneven).starts_with("aä"));
        let quoted = quote(&long);
        assert!(quoted.ends_with("… (8388608 bytes)") && quoted.len() < QUOTE + 30);
        assert_eq!(quote_bytes(b"a\xff\n"), "a\u{fffd} ");
        assert!(quote_bytes(&[0xff; 5000]).ends_with("… (5000 bytes)"));
    }

    /// The code of this package, without its tests.
    fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
        let mut all = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap_or_default();
            if path.is_dir() && name != "tests" {
                all.extend(sources(&path));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next();
                let is_tests = name == "tests";
                all.extend(
                    code.filter(|_| !is_tests)
                        .map(|code| (path, code.to_owned())),
                );
            }
        }
        all
    }

    #[test]
    fn no_other_place_opens_files() {
        let all = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        assert!(all.len() > 50);
        for (path, code) in all {
            for line in code.lines() {
                let reads = ["fs::read(", "read_to_string(", "File::open(", "tokio::fs"];
                let reads = reads.iter().any(|call| line.contains(call));
                // A folder is opened to make durable what is in it.
                assert!(
                    !reads || line.contains("sync_all"),
                    "{}: {line}: see src/process/outside.rs",
                    path.display()
                );
            }
        }
    }
}
