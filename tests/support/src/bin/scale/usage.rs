//! What an Envoy has used: read from the kernel, and memory in use from Envoy itself.

use std::fs;

use anyhow::{Context, Result};
use seaway_testing::Envoy;
use serde_json::Value;

/// Seconds of CPU that the main thread and the workers have used.
pub(crate) fn cpu(envoy: &Envoy) -> Result<(f64, f64)> {
    let (mut main, mut workers) = (0.0, 0.0);
    for task in fs::read_dir(format!("/proc/{}/task", envoy.id()))? {
        let task = task?;
        let times = fs::read_to_string(task.path().join("schedstat"))?;
        let running = times.split_whitespace().next().context("no schedstat")?;
        let seconds = running.parse::<f64>()? / 1e9;
        let name = fs::read_to_string(task.path().join("comm"))?;
        if task.file_name().to_str() == Some(&envoy.id().to_string()) {
            main += seconds;
        } else if name.starts_with("wrk:") {
            workers += seconds;
        }
    }
    Ok((main, workers))
}

/// Megabytes of memory that Envoy's objects take.
pub(crate) fn allocated(envoy: &Envoy) -> Result<u64> {
    let memory: Value = serde_json::from_str(&envoy.admin("/memory")?)?;
    let bytes = memory["allocated"].as_str().context("no `allocated`")?;
    Ok(bytes.parse::<u64>()? >> 20)
}
