//! The `seaway` binary: wiring only.
//!
//! `serve` connects a source of Kubernetes objects ([`files`] or [`kube`]) with the one writer ([`writer`]), the xDS server and the
//! admin surface; `translate` prints what a proxy would be sent; `bootstrap` prints how a proxy finds this server; `ready`
//! asks it, or an Envoy, how it is; `drain` lets an Envoy end. The meaning of Services is in `seaway-translator`, the protocol in `seaway-xds`.

mod admin;
mod admission;
mod args;
mod commands;
mod kube;
mod process;
mod source;
mod writer;

use std::process::ExitCode;

use clap::Parser;
use tikv_jemallocator::Jemalloc;

use crate::args::{Cli, Command};
use crate::process::exit::Failure;

/// glibc's allocator keeps much of what a burst took, for good: pieces that are still in use lie between those that are free. This one
/// gives it back within seconds.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let _last_lines = process::log::Finish;
    let result = match Cli::try_parse() {
        Ok(cli) => run(cli.command),
        Err(error) => process::exit::of_command_line(&error),
    };
    result.unwrap_or_else(Failure::report)
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve(args) => commands::serve::run(&args),
        Command::Bootstrap(args) => commands::bootstrap::run(&args),
        Command::Translate(args) => commands::translate::run(&args),
        Command::Ready(args) => commands::ready::run(&args),
        Command::Drain(args) => commands::drain::run(&args),
    }
}
