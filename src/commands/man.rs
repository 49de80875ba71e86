//! `seaway man`: pages for `man`, made of the same texts as `--help`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::{Cli, ManArgs};
use crate::process::exit::{Failure, print};

/// Prints the page of `seaway`, or writes those of all commands.
pub(crate) fn run(args: &ManArgs) -> Result<ExitCode, Failure> {
    match &args.folder {
        Some(folder) => write(folder).map_err(Failure::Unusable)?,
        None => {
            let mut page = Vec::new();
            let rendered = Man::new(Cli::command()).render(&mut page);
            rendered.map_err(|error| Failure::Broken(error.into()))?;
            print(&String::from_utf8_lossy(&page))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write(folder: &Path) -> anyhow::Result<()> {
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    written.with_context(|| folder.display().to_string())
}
