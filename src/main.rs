//! The `seaway` binary: parses the command line and runs a subcommand.
//!
//! `serve` connects a source of Kubernetes objects ([`source::files`] or [`kube`]) with the
//! [`writer`], the xDS server and the admin server; `translate` prints what a proxy would be sent,
//! `explain` what becomes of a connection, `diff` what a change of the input means for clients;
//! `bootstrap` prints the configuration with which a proxy starts; `ready` asks a `serve`, or an
//! Envoy, whether it is ready; `drain` lets an Envoy end without breaking connections; `status` and
//! `get` ask running replicas what they serve, `wait` until they serve what was applied, `check`
//! whether all is in order, and `bug-report` takes what they say. The meaning of Services is in
//! `seaway-translator`, the protocol in `seaway-xds`.

mod admin;
mod admission;
mod args;
mod ask;
mod commands;
mod inspect;
mod kube;
mod loads;
mod peers;
mod process;
mod source;
mod traces;
mod writer;

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

use crate::args::{Cli, Command};
use crate::process::exit::Failure;

/// The allocator. glibc's keeps much of what a burst took, for good: pieces that are still in use
/// lie between those that are free. This one gives it back within seconds.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    let _last_lines = process::log::Finish;
    let result = match Cli::read(std::env::args_os().collect()) {
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
        Command::Explain(args) => commands::explain::run(&args),
        Command::Diff(args) => commands::diff::run(&args),
        Command::Ready(args) => commands::ready::run(&args),
        Command::Status(args) => commands::status::run(&args),
        Command::Get(args) => commands::get::run(&args),
        Command::Wait(args) => commands::wait::run(&args),
        Command::Check(args) => commands::check::run(&args),
        Command::BugReport(args) => commands::bug_report::run(&args),
        Command::Completion(args) => commands::completion::run(&args),
        Command::Man(args) => commands::man::run(&args),
        Command::Drain(args) => commands::drain::run(&args),
    }
}
