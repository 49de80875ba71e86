//! A child that takes commands on standard input, what it uses, and its end.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result};

/// No command takes longer.
const PATIENCE: Duration = Duration::from_secs(180);

/// A running server or client; killed when dropped. It also ends by itself with this process, since
/// its standard input does.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
}

/// The `name=value` pairs of an answer.
pub(super) type Answer = HashMap<String, f64>;

impl Process {
    /// Starts a program that lies beside this one, and waits until it is ready; also returns what
    /// it says then.
    pub(super) fn start(name: &str, arguments: &[(&str, u64)]) -> Result<(Process, Answer)> {
        let program = std::env::current_exe()?.with_file_name(name);
        let mut command = Command::new(&program);
        for (name, value) in arguments {
            command.arg(format!("--{name}")).arg(value.to_string());
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let input = child.stdin.take().context("no standard input")?;
        let lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(std::io::Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let name = name.to_owned();
        let process = Process {
            name,
            child,
            input,
            output,
        };
        let ready = process.answer()?;
        Ok((process, ready))
    }

    fn line(&self) -> Result<String> {
        self.output
            .recv_timeout(PATIENCE)
            .with_context(|| format!("{} ended or did not answer", self.name))
    }

    /// Sends a command without waiting for its answer.
    pub(super) fn send(&mut self, command: &str) -> Result<()> {
        writeln!(self.input, "{command}").with_context(|| format!("{} is gone", self.name))
    }

    /// The answer to what was sent.
    pub(super) fn answer(&self) -> Result<Answer> {
        let line = self.line()?;
        let pairs = line.split_whitespace().filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Ok(pairs.collect())
    }

    /// Sends a command and waits for its answer.
    pub(super) fn ask(&mut self, command: &str) -> Result<Answer> {
        self.send(command)?;
        self.answer()
    }

    /// Seconds of CPU used so far, user and system, to the microsecond: the sum of its threads,
    /// none of which ends early.
    pub(super) fn cpu(&self) -> Result<f64> {
        let mut nanoseconds = 0.0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let first = text
                .split_whitespace()
                .next()
                .context("an empty schedstat")?;
            nanoseconds += first.parse::<f64>()?;
        }
        Ok(nanoseconds / 1e9)
    }

    /// A figure of /proc/PID/status, in megabytes: `VmRSS` now, `VmHWM` at its highest.
    pub(super) fn memory(&self, figure: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with(figure));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(kilobytes.context("no such figure")?.parse::<f64>()? / 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
