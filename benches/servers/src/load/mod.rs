//! The load client: delta or state-of-the-world streams as an Envoy opens them, each on a TCP
//! connection of its own.
//!
//! A stream asks for all clusters, then for the assignment of each by name, acknowledges every
//! response, and keeps of every resource the version it holds. Nothing else is parsed, so that the
//! client leaves the machine to the server.

mod command;
mod connection;
mod fleet;
mod request;
mod session;
mod stats;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub use command::run;

/// Raises the limit of open files to what this process may have, and returns it.
pub fn raise_file_limit() -> Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).context("raising the limit of open files")?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}
