//! Which servers run which workload, what is printed of it, and what is demanded.

mod columns;
mod crowd;
mod steady;
mod sync;

use anyhow::{Result, bail};

use super::accept::Verdict;
use super::workload::Setup;

/// All workloads.
pub(super) const ALL: [&str; 8] = ["w1", "w2", "w3", "w4", "sotw", "pipeline", "idle", "stall"];

/// How long everything is to take.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) rounds: usize,
    /// Of each steady state; each workload's own if not given.
    pub(super) seconds: Option<f64>,
    /// Only these servers, by their names in the tables; all if there is none.
    pub(super) servers: Vec<String>,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            rounds: 3,
            seconds: None,
            servers: Vec::new(),
        }
    }
}

/// A server under the name it has in the tables.
type Entry = (&'static str, Setup);

/// A bare gRPC server.
const FLOOR: Setup = Setup {
    program: "floor",
    services: 1000,
    endpoints: 10,
    proxies: 500,
    nodes: 0,
    sotw: false,
    coalesce: 10,
    receive: 0,
};
/// Ours, with everything in one layer.
const OURS: Setup = Setup {
    program: "ours",
    ..FLOOR
};
/// Ours, with assignments that differ by zone and node.
const LAYERS: Setup = Setup { nodes: 50, ..OURS };
const RIME: Setup = Setup {
    program: "rime",
    ..FLOOR
};
/// It never sends a change by itself, so it has no place among steady states.
const NEB: Setup = Setup {
    program: "neb",
    ..FLOOR
};
/// Ours, from the Kubernetes object to the proxy.
const PIPELINE: Setup = Setup {
    program: "pipeline",
    ..LAYERS
};

impl Plan {
    /// Runs a workload, prints its tables, and returns what is to be said of it at the end.
    pub(super) fn run(&self, name: &str) -> Result<Vec<Verdict>> {
        match name {
            "w1" => self.w1(),
            "w2" => self.w2(),
            "w3" => self.w3(),
            "w4" => self.w4(),
            "sotw" => self.sotw(),
            "pipeline" => self.pipeline(),
            "idle" => self.idle(),
            "stall" => self.stall(),
            _ => bail!("no such workload: {name}"),
        }
    }

    /// Servers take turns inside each round, so that a noisy minute meets all of them.
    fn rounds(
        &self,
        workload: &str,
        entries: &[Entry],
        mut run: impl FnMut(&'static str, Setup) -> Result<()>,
    ) -> Result<()> {
        let wanted = |name| self.servers.is_empty() || self.servers.iter().any(|s| s == name);
        for round in 1..=self.rounds {
            for (name, setup) in entries.iter().filter(|(name, _)| wanted(*name)) {
                eprintln!("{workload}: round {round} of {}: {name}", self.rounds);
                run(name, *setup)?;
            }
        }
        Ok(())
    }
}
