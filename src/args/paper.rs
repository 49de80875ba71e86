//! The arguments of the commands that print what the command line is.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// `seaway completion`.
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell
    pub(crate) shell: Shell,
}

/// `seaway man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write the pages of all commands into this folder, instead of printing that of seaway
    #[arg(value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
}
