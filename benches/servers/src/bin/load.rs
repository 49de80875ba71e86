//! The load client as a process; `seaway_bench_servers::load` says what it does.

use anyhow::Result;

#[tokio::main]
async fn main() -> Result<()> {
    seaway_bench_servers::load::run().await
}
