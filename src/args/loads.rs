//! The flags by which proxies report their load.

use std::time::Duration;

use clap::Args;

use super::values::seconds;

/// Whether proxies report their load.
#[derive(Debug, Args)]
#[command(next_help_heading = "Load reports")]
pub(crate) struct LoadArgs {
    /// Take reports of load (LRS) from the proxies whose bootstrap was made with --lrs, and show
    /// them as metrics of each Service
    #[arg(long, env = "SEAWAY_LRS")]
    pub(crate) lrs: bool,
    /// How often proxies report, give or take a tenth
    #[arg(long, env = "SEAWAY_LRS_INTERVAL", value_name = "TIME", default_value = "30s", value_parser = seconds, requires = "lrs")]
    pub(crate) lrs_interval: Duration,
}

impl LoadArgs {
    /// How often proxies report; `None` if they do not.
    pub(crate) fn interval(&self) -> Option<Duration> {
        self.lrs.then_some(self.lrs_interval)
    }
}
