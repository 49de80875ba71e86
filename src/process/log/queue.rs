//! The queue of log lines to standard error: loggers never block, and one thread writes. A line
//! that finds too many bytes waiting, or that cannot be written, is dropped and counted.
//!
//! tracing-appender does nearly this, but counts no line that could not be written, bounds lines
//! and not bytes, and prints on standard output, which can panic, when the process ends with a full
//! queue.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::fmt::MakeWriter;

/// How many bytes may wait. With more, the reader has stopped reading.
const MAX_BYTES: usize = 8 << 20;
/// How long to wait before a non-blocking standard error that took nothing is written to again.
const RETRY: Duration = Duration::from_millis(10);

/// A bounded queue of log lines, with a thread that writes them. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Queue(Arc<Shared>);

/// The state that clones of a [`Queue`] and its thread share.
#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Signals that there is a line to write.
    more: Condvar,
    /// Signals that there is nothing left to write.
    idle: Condvar,
    dropped: Counter,
}

/// The lines that have not been written.
#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// A line has been taken out and is being written.
    writing: bool,
}

impl Queue {
    /// Starts the thread that writes to `out`. If no thread can be started, every line is dropped.
    pub(super) fn start(out: impl Write + Send + 'static) -> Queue {
        let queue = Queue(Arc::default());
        let lines = queue.clone();
        let thread = std::thread::Builder::new().name("log".to_owned());
        if thread.spawn(move || lines.write_all(out)).is_err() {
            // What is counted as waiting already finds no room.
            queue.lock().bytes = MAX_BYTES;
        }
        queue
    }

    /// The counter of dropped lines.
    pub(super) fn dropped(&self) -> Counter {
        self.0.dropped.clone()
    }

    /// Queues a line, its end included. Never blocks on the output.
    pub(super) fn put(&self, line: Vec<u8>) {
        let mut waiting = self.lock();
        if waiting.bytes + line.len() > MAX_BYTES {
            self.0.dropped.inc();
            return;
        }
        waiting.bytes += line.len();
        waiting.lines.push_back(line);
        drop(waiting);
        self.0.more.notify_one();
    }

    /// Waits until everything is written or dropped, for at most `limit`.
    pub(super) fn flush(&self, limit: Duration) {
        let end = Instant::now() + limit;
        let mut waiting = self.lock();
        while waiting.writing || !waiting.lines.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let woken = self.0.idle.wait_timeout(waiting, left);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes lines for as long as the process lives.
    fn write_all(&self, out: impl Write) {
        let mut out = Out { out, torn: false };
        let mut told = 0;
        loop {
            let line = self.next();
            let written = out.line(&line).is_ok();
            if !written {
                self.0.dropped.inc();
            }
            let idle = self.written(line.len());
            let dropped = self.0.dropped.get();
            if written && idle && dropped > told {
                tracing::warn!(lines = dropped - told, "log lines were dropped");
                told = dropped;
            }
        }
    }

    fn next(&self) -> Vec<u8> {
        let mut waiting = self.lock();
        loop {
            if let Some(line) = waiting.lines.pop_front() {
                waiting.writing = true;
                return line;
            }
            let woken = self.0.more.wait(waiting);
            waiting = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Notes that a line is done with. Returns whether it was the last one.
    fn written(&self, bytes: usize) -> bool {
        let mut waiting = self.lock();
        waiting.writing = false;
        waiting.bytes -= bytes;
        let idle = waiting.lines.is_empty();
        if idle {
            self.0.idle.notify_all();
        }
        idle
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

/// A [`Write`] that puts each buffer into the queue as one line, as `tracing_subscriber` hands over
/// whole lines.
#[derive(Debug)]
pub(super) struct Line<'a>(&'a Queue);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.put(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines to the output, and keeps a line that was cut off apart from the next one.
struct Out<W> {
    out: W,
    /// The last line was not written to its end.
    torn: bool,
}

impl<W: Write> Out<W> {
    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            // What follows half a line is to be a line of its own.
            self.part(b"\n")?;
            self.torn = false;
        }
        self.part(line)
    }

    fn part(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.out.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    bytes = bytes.get(count..).unwrap_or_default();
                    self.torn = !bytes.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(RETRY);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes so many bytes with each word that comes; then the next error.
    struct Scripted {
        script: mpsc::Receiver<io::Result<usize>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Scripted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = self.script.recv().unwrap()?.min(bytes.len());
            self.written.lock().unwrap().extend(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    type Script = mpsc::Sender<io::Result<usize>>;

    fn scripted() -> (Queue, Script, Arc<Mutex<Vec<u8>>>) {
        let (sender, script) = mpsc::channel();
        let written = Arc::default();
        let out = Scripted {
            script,
            written: Arc::clone(&written),
        };
        (Queue::start(out), sender, written)
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_line_that_cannot_be_written_is_counted_and_the_next_one_begins_anew() {
        let (queue, script, written) = scripted();
        queue.put(b"first\n".to_vec());
        script.send(Ok(3)).unwrap();
        script.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        queue.flush(LONG);
        assert_eq!(queue.dropped().get(), 1);
        queue.put(b"second\n".to_vec());
        for _ in 0..2 {
            script.send(Err(io::ErrorKind::WouldBlock.into())).unwrap();
            script.send(Ok(100)).unwrap();
        }
        queue.flush(LONG);
        assert_eq!(queue.dropped().get(), 1);
        assert_eq!(*written.lock().unwrap(), b"fir\nsecond\n");
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_nothing_waits_longer_than_it_may() {
        let (queue, script, written) = scripted();
        let half = vec![b'x'; MAX_BYTES / 2];
        queue.put(half.clone());
        queue.put(half.clone());
        queue.put(b"no room\n".to_vec());
        assert_eq!(queue.dropped().get(), 1);
        // Nobody reads.
        queue.flush(Duration::from_millis(10));
        for _ in 0..2 {
            script.send(Ok(MAX_BYTES)).unwrap();
        }
        queue.flush(LONG);
        assert_eq!(written.lock().unwrap().len(), MAX_BYTES);
        queue.put(b"room\n".to_vec());
        script.send(Ok(100)).unwrap();
        queue.flush(LONG);
        assert!(written.lock().unwrap().ends_with(b"room\n"));
        assert_eq!(queue.dropped().get(), 1);
    }
}
