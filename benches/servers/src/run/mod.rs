//! The runner: servers in turns inside each round, medians of the rounds, ratios to the floor.

mod accept;
mod plan;
mod process;
mod table;
mod workload;

use anyhow::{Result, bail};

use plan::Plan;

/// Runnable processes on average in the last minute, without which nobody can tell what figures are
/// worth.
fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let first = text.split(' ').next().unwrap_or("unknown");
    format!("{first} on {cores} cores")
}

/// Runs what the command line asks for: `[w1|w2|w3|w4|idle|sotw|pipeline|all] [--rounds N]
/// [--seconds S] [--servers floor,ours]`.
pub fn main() -> Result<()> {
    let mut plan = Plan::default();
    let mut names = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_default();
        match argument.as_str() {
            "--rounds" => plan.rounds = value().parse()?,
            "--seconds" => plan.seconds = Some(value().parse()?),
            "--servers" => plan.servers = value().split(',').map(str::to_owned).collect(),
            "all" => names.extend(plan::ALL.map(str::to_owned)),
            name if plan::ALL.contains(&name) => names.push(argument),
            _ => bail!(
                "unknown argument {argument}; workloads are {:?} and all",
                plan::ALL
            ),
        }
    }
    if names.is_empty() {
        names.extend(plan::ALL.map(str::to_owned));
    }
    println!("Load of the machine before: {}", load_average());
    let mut verdicts = Vec::new();
    for name in &names {
        verdicts.extend(plan.run(name)?);
    }
    println!("\n### What was asked for\n");
    for verdict in verdicts {
        println!("- {verdict}");
    }
    Ok(())
}
