//! Runs another program and takes its output: bounded in bytes and in time, so that none can hang
//! or fill this process.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::process::outside::brief;

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// The most that it may say, in bytes.
const MAX_BYTES: u64 = 1 << 30;
/// The most that is read of what it says of its errors.
const MAX_ERRORS: u64 = 1 << 16;

/// What a program wrote, and how it ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) output: Vec<u8>,
    /// Its exit code; `None` if a signal ended it.
    pub(super) code: Option<i32>,
    /// What it wrote to standard error, as one short line.
    pub(super) said: String,
}

/// Runs a program to its end, with this input.
///
/// # Errors
///
/// It cannot be started, takes too long, or says too much.
pub(super) fn run(mut command: Command, input: Vec<u8>) -> anyhow::Result<Ended> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.with_context(|| format!("{name} cannot be run"))?;
    let (done, parts) = mpsc::channel();
    if let Some(mut to) = child.stdin.take() {
        // It may end without reading all of it.
        thread::spawn(move || drop(to.write_all(&input)));
    }
    let out = child.stdout.take().map(|pipe| reader(pipe, MAX_BYTES));
    let said = child.stderr.take().map(|pipe| reader(pipe, MAX_ERRORS));
    thread::spawn(move || {
        let join = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
            reader
                .and_then(|reader| reader.join().ok())
                .unwrap_or_default()
        };
        // Nobody waits for it any more when it comes too late.
        let _ = done.send((join(out), join(said)));
    });
    let Ok((output, said)) = parts.recv_timeout(PATIENCE) else {
        end(&mut child);
        bail!("{name} has not ended for {} s", PATIENCE.as_secs());
    };
    if output.len() as u64 > MAX_BYTES {
        end(&mut child);
        bail!("{name} said more than {} MiB", MAX_BYTES >> 20);
    }
    let status = child.wait().with_context(|| name.clone())?;
    Ok(Ended {
        output,
        code: status.code(),
        said: brief(&String::from_utf8_lossy(&said)),
    })
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

fn reader(pipe: impl Read + Send + 'static, most: u64) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // One byte more tells that there is more.
        let _ = pipe.take(most + 1).read_to_end(&mut bytes);
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gets_its_input_and_its_end_is_told() {
        let ended = run(Command::new("cat"), b"a".repeat(1 << 20)).unwrap();
        assert_eq!((ended.output.len(), ended.code), (1 << 20, Some(0)));
        let mut fails = Command::new("sh");
        fails.args(["-c", "echo no >&2; exit 3"]);
        let ended = run(fails, Vec::new()).unwrap();
        assert_eq!((ended.code, ended.said.trim()), (Some(3), "no"));
        let none = run(Command::new("/does/not/exist"), Vec::new()).unwrap_err();
        assert!(format!("{none:#}").contains("/does/not/exist cannot be run"));
    }
}
