//! What a process and the whole machine have used, as the kernel counts it: for the measurements.

use std::fs;
use std::io;

use anyhow::{Context, Result};

/// Ticks of `/proc` in a second, which is part of Linux's interface.
const TICKS: f64 = 100.0;

/// What a process has used since its start.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Megabytes of memory that it has now.
    pub resident: f64,
    /// Megabytes of these that no other process shares: without the pages of its program.
    pub own: f64,
    /// The most that it has had.
    pub peak: f64,
    /// Seconds of CPU, those of threads that have ended among them.
    pub cpu: f64,
}

impl Usage {
    /// Looks at the process with this id.
    pub fn of(process: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The name of the program is in brackets and may have any character; what is counted in the
        // program and in the kernel are the twelfth and the thirteenth number behind it.
        let numbers = stat.rsplit_once(')').context("no name")?.1;
        let cpu = numbers.split_whitespace().skip(11).take(2);
        let ticks: Vec<f64> = cpu.map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self {
            resident: megabytes(&status, "VmRSS:")?,
            own: megabytes(&status, "RssAnon:")?,
            peak: megabytes(&status, "VmHWM:")?,
            cpu: ticks.iter().sum::<f64>() / TICKS,
        })
    }
}

/// Seconds of CPU that the thread that asks has used.
pub fn own_cpu() -> Result<f64> {
    let times = fs::read_to_string("/proc/thread-self/schedstat")?;
    let running = times.split_whitespace().next().context("no schedstat")?;
    Ok(running.parse::<f64>()? / 1e9)
}

/// Seconds that all processors together were busy since the machine started, beyond idling and
/// waiting for disks. It is what a look now and then has seen: much work in short pieces may be
/// more or less than that.
pub fn machine_cpu() -> io::Result<f64> {
    let text = fs::read_to_string("/proc/stat")?;
    let first = text.lines().next().unwrap_or_default();
    let numbers = first.split_whitespace().skip(1).flat_map(str::parse);
    match numbers.collect::<Vec<f64>>()[..] {
        [user, nice, system, _idle, _iowait, irq, softirq, ..] => {
            Ok((user + nice + system + irq + softirq) / TICKS)
        }
        _ => Err(io::Error::other(
            "/proc/stat begins otherwise than expected",
        )),
    }
}

/// How many files and sockets a process has open.
pub fn open_files(process: u32) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{process}/fd"))?.count())
}

/// How many files a process may have open.
pub fn file_limit(process: u32) -> Result<u64> {
    let limits = fs::read_to_string(format!("/proc/{process}/limits"))?;
    let mut lines = limits.lines();
    let line = lines.find_map(|line| line.strip_prefix("Max open files"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("no limit of open files")?.parse()?)
}

/// A line of a `status` that is in kilobytes.
fn megabytes(status: &str, name: &str) -> Result<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    let kilobytes: f64 = kilobytes.with_context(|| format!("no {name}"))?.parse()?;
    Ok(kilobytes / 1024.0)
}
