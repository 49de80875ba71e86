//! The arguments of `seaway check` and `seaway bug-report`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::AskArgs;

/// `seaway check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Whom to ask.
    #[command(flatten)]
    pub(crate) ask: AskArgs,
    /// Check the Envoy on this host with this admin socket, too
    #[arg(long, env = "SEAWAY_ENVOY", value_name = "SOCKET")]
    pub(crate) envoy: Option<PathBuf>,
    /// The form: text for people, or JSON
    #[arg(short, long, env = "SEAWAY_OUTPUT", default_value = "text")]
    pub(crate) output: CheckOutput,
}

/// What `check` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckOutput {
    /// A line for each check
    #[value(alias = "wide")]
    Text,
    /// The same as JSON
    Json,
}

/// `seaway bug-report`.
#[derive(Debug, Args)]
pub(crate) struct BugReportArgs {
    /// Whom to ask.
    #[command(flatten)]
    pub(crate) ask: AskArgs,
    /// The archive to write (seaway-bug-report-TIME.tar.gz)
    #[arg(
        short = 'o',
        long,
        alias = "output",
        env = "SEAWAY_ARCHIVE",
        value_name = "FILE.tar.gz"
    )]
    pub(crate) archive: Option<PathBuf>,
    /// Take what becomes of this Service, too (repeatable)
    #[arg(
        long,
        env = "SEAWAY_SERVICE",
        value_name = "NAMESPACE/NAME",
        value_delimiter = ','
    )]
    pub(crate) service: Vec<String>,
    /// Put hashes for names and addresses, and leave out sentences
    #[arg(long, env = "SEAWAY_ANONYMOUS", conflicts_with = "service")]
    pub(crate) anonymous: bool,
}
