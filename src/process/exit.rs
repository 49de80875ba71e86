//! How the process ends: exit codes, and the one line on standard error that says why.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::{Error, ErrorKind};

use crate::process::log;

/// The error that ends the process, which decides its exit code.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The arguments, or what they name, cannot be used. Retrying will not help. Exit code 2.
    #[error("{0:#}")]
    Unusable(anyhow::Error),
    /// A part of the process failed or ended. Exit code 1.
    #[error("{0:#}")]
    Broken(anyhow::Error),
    /// A second signal came while connections were ending. Exit code 130.
    #[error("aborted by a second signal")]
    Aborted,
}

impl Failure {
    /// An [`Unusable`](Failure::Unusable) with this line.
    pub(crate) fn unusable(line: impl Into<String>) -> Failure {
        Failure::Unusable(anyhow::Error::msg(line.into()))
    }

    /// Writes the reason to standard error as one line; returns the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let line = one_line(&self.to_string());
        log::say(&format!("error: {line}"));
        match self {
            Failure::Unusable(_) => ExitCode::from(2),
            Failure::Broken(_) => ExitCode::from(1),
            Failure::Aborted => ExitCode::from(130),
        }
    }
}

/// Prints on standard output. A reader that went away is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_while_read(text).map(|_| ())
}

/// Prints on standard output. Returns whether there still is a reader.
pub(crate) fn print_while_read(text: &str) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::Broken(
            anyhow::Error::new(error).context("standard output"),
        )),
    }
}

/// Handles a command line that clap rejected: prints help and version, and turns everything else
/// into one line.
pub(crate) fn of_command_line(error: &Error) -> Result<ExitCode, Failure> {
    let text = error.render();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            print(&text.to_string())?;
            Ok(ExitCode::SUCCESS)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            Err(Failure::unusable(no_command(&text.to_string())))
        }
        _ => {
            let text = text.to_string();
            let said = text.split("\nUsage:").next().unwrap_or(&text);
            let said = said.split("\nFor more information").next().unwrap_or(said);
            let said = one_line(said.trim_start_matches("error: "));
            Err(Failure::unusable(format!("{said} (see seaway --help)")))
        }
    }
}

/// What to say instead of a help that nobody asked for: what may come next.
fn no_command(help: &str) -> String {
    let usage = help.lines().find_map(|line| line.strip_prefix("Usage: "));
    let words = usage.unwrap_or("seaway").split(' ');
    let so_far: Vec<&str> = words
        .take_while(|word| !word.starts_with(['[', '<']))
        .collect();
    let so_far = so_far.join(" ");
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| line.starts_with("  "));
    // What goes on in a further line is indented more.
    let own = listed.filter(|line| !line.starts_with("   "));
    let commands = own.filter_map(|line| line.split_whitespace().next());
    let commands: Vec<&str> = commands.filter(|command| *command != "help").collect();
    let commands = commands.join(", ");
    format!("{so_far} what? {commands} (see {so_far} --help)")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
