//! Runs servers side by side; `seaway_bench_servers::run` says how.

use anyhow::Result;

fn main() -> Result<()> {
    seaway_bench_servers::run::main()
}
