//! What the process itself uses, by the names that every collector of metrics knows: read from the
//! kernel when `/metrics` is, and kept nowhere.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::process::outside;

/// What the kernel says of the process in one line.
const STAT: &str = "/proc/self/stat";
/// The most that is read of it.
const MAX_STAT: u64 = 1 << 16;
/// The folder with the process's open files.
const FILES: &str = "/proc/self/fd";

/// When the process started, in Unix time. It is worked out once, since clocks are set.
static STARTED: OnceLock<f64> = OnceLock::new();

/// A registry of what the process uses. Its names have no prefix.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Usage));
    registry
}

/// Collects `process_cpu_seconds_total`, `process_resident_memory_bytes`,
/// `process_virtual_memory_bytes`, `process_threads`, `process_open_fds`, `process_max_fds` and
/// `process_start_time_seconds`. What cannot be read is left out.
#[derive(Debug)]
struct Usage;

impl Collector for Usage {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let cpu = ConstCounter::new(seconds(clock_gettime(ClockId::ProcessCPUTime)));
        let help = "Time that the process has spent on processors, its own and the kernel's for it";
        let kind = cpu.metric_type();
        cpu.encode(encoder.encode_descriptor("process_cpu_seconds", help, None, kind)?)?;
        let stat = Stat::read();
        let of = |value: fn(&Stat) -> u64| stat.as_ref().map(|stat| value(stat) as f64);
        let started = stat
            .as_ref()
            .map(|stat| *STARTED.get_or_init(|| stat.started()));
        let gauges = [
            (
                "resident_memory_bytes",
                "Memory that is in use",
                of(|stat| stat.resident),
            ),
            (
                "virtual_memory_bytes",
                "Addresses that are mapped",
                of(|stat| stat.mapped),
            ),
            ("threads", "Threads", of(|stat| stat.threads)),
            (
                "open_fds",
                "Open files",
                open_files().map(|count| count as f64),
            ),
            ("max_fds", "How many files may be open", Some(max_files())),
            (
                "start_time_seconds",
                "When the process started, in Unix time",
                started,
            ),
        ];
        for (name, help, value) in gauges {
            let Some(value) = value else { continue };
            let (name, gauge) = (format!("process_{name}"), ConstGauge::new(value));
            let kind = gauge.metric_type();
            gauge.encode(encoder.encode_descriptor(&name, help, None, kind)?)?;
        }
        Ok(())
    }
}

/// What is used of [`STAT`].
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    threads: u64,
    /// When the process started, in ticks since the machine did.
    start: u64,
    /// In bytes, as the next.
    mapped: u64,
    resident: u64,
}

impl Stat {
    fn read() -> Option<Stat> {
        let (_, bytes) = outside::read(Path::new(STAT), MAX_STAT).ok()?;
        Stat::parse(&String::from_utf8_lossy(&bytes), page_size() as u64)
    }

    /// Reads the fields behind the name, which is in parentheses and may have any in it.
    fn parse(text: &str, page: u64) -> Option<Stat> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // proc(5) counts from 1, the number and the name before these included.
        let field = |number: usize| fields.get(number - 3)?.parse().ok();
        Some(Stat {
            threads: field(20)?,
            start: field(22)?,
            mapped: field(23)?,
            resident: page.checked_mul(field(24)?)?,
        })
    }

    /// When the process started, in Unix time.
    fn started(&self) -> f64 {
        let start = self.start as f64 / clock_ticks_per_second() as f64;
        let age = seconds(clock_gettime(ClockId::Boottime)) - start;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.unwrap_or_default().as_secs_f64() - age
    }
}

fn seconds(time: Timespec) -> f64 {
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// How many files are open. Kernels before 6.2 do not say it as the size of the folder.
fn open_files() -> Option<u64> {
    match fs::metadata(FILES).ok()?.len() {
        0 => Some(fs::read_dir(FILES).ok()?.count().saturating_sub(1) as u64),
        count => Some(count),
    }
}

/// How many files may be open; infinity without a limit.
fn max_files() -> f64 {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(f64::INFINITY, |limit| limit as f64)
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    /// The value of a metric without labels.
    fn value(name: &str) -> f64 {
        let mut text = String::new();
        encode(&mut text, &registry()).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name}: {text}"))
            .parse()
            .unwrap()
    }

    #[test]
    fn a_name_may_have_parentheses_and_spaces() {
        let line =
            "7 (a) b) (c) S 1 7 7 0 -1 0 0 0 0 0 5 6 0 0 20 0 3 0 900 8192 2 18446744073709551615";
        let expected = Stat {
            threads: 3,
            start: 900,
            mapped: 8192,
            resident: 8192,
        };
        assert_eq!(Stat::parse(line, 4096), Some(expected));
        assert_eq!(Stat::parse("7 (a) S 1 7", 4096), None);
        assert_eq!(Stat::parse("", 4096), None);
    }

    #[test]
    fn an_open_file_counts() {
        let before = value("process_open_fds");
        let files: Vec<_> = (0..50)
            .map(|_| fs::File::open("/dev/null").unwrap())
            .collect();
        // Other tests open and close a few meanwhile.
        let more = value("process_open_fds") - before;
        assert!(
            (30.0..70.0).contains(&more),
            "{more} more of {}",
            files.len()
        );
        assert!(value("process_max_fds") >= before + more);
    }

    #[test]
    fn memory_threads_time_and_start_are_those_of_this_process() {
        let (cpu, resident) = (
            value("process_cpu_seconds_total"),
            value("process_resident_memory_bytes"),
        );
        let block = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(value("process_resident_memory_bytes") >= resident + 32e6);
        assert!(value("process_virtual_memory_bytes") >= block.len() as f64);
        // To write 64 MiB takes some.
        assert!(value("process_cpu_seconds_total") > cpu);
        assert!(value("process_threads") >= 2.0);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs_f64();
        let age = now - value("process_start_time_seconds");
        assert!((0.0..3600.0).contains(&age), "{age}");
    }
}
