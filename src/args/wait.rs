//! The arguments of `seaway wait`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::AskArgs;
use super::values::{duration, label};

/// `seaway wait`.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// The Services to wait for: NAME with -n, or NAMESPACE/NAME; all that there are, without any
    /// and without --files
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    /// The namespace of Services that are named without one
    #[arg(short, long, env = "SEAWAY_NAMESPACE", value_name = "NS", value_parser = label)]
    pub(crate) namespace: Option<String>,
    /// Wait for the Services and EndpointSlices of this manifest, or of those below this folder
    #[arg(short, long, env = "SEAWAY_FILES", value_name = "PATH")]
    pub(crate) files: Option<PathBuf>,
    /// What to wait for
    #[arg(
        long = "for",
        env = "SEAWAY_FOR",
        value_name = "STATE",
        default_value = "applied"
    )]
    pub(crate) until: Until,
    /// For how long to wait
    #[arg(long, env = "SEAWAY_TIMEOUT", value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Whom to ask.
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

/// What `wait` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Until {
    /// Every replica has taken it in, and every proxy that it concerns has acknowledged that
    Applied,
    /// The same, and all of the Services is served
    Served,
}

impl Until {
    /// The word for it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Until::Applied => "applied",
            Until::Served => "served",
        }
    }
}
