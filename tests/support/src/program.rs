//! What a [`Stack`](crate::Stack) runs: a binary as a child process, or an image as a container on
//! this machine's own network.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::seaway::run;

/// Where a program comes from.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    /// A file.
    Binary(PathBuf),
    /// An image, and where the program is in there.
    Image(String, &'static str),
}

impl Program {
    /// Makes sure that it is there. An image that is not is pulled.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Binary(path) => {
                ensure!(path.is_file(), "no program at {}", path.display());
                Ok(())
            }
            Self::Image(image, _) => {
                let present = run(&mut docker(&["image", "inspect", image]));
                present
                    .or_else(|_| run(&mut docker(&["pull", "--quiet", image])))
                    .with_context(|| format!("no image {image}: build it (`docker build .` in Seaway's repository) or name another"))?;
                Ok(())
            }
        }
    }

    /// The command to which its arguments are added. `name` is that of the container, if it is one;
    /// it sees `folder`, under the same path.
    pub(crate) fn command(&self, name: &str, folder: &Path) -> Command {
        match self {
            Self::Binary(path) => Command::new(path),
            Self::Image(image, program) => {
                let mut command = docker(&["run", "--rm", "--name", name, "--network", "host"]);
                command.args(["--read-only", "--cap-drop", "ALL"]);
                command.args(["--security-opt", "no-new-privileges"]);
                // Whoever runs the test has made the folder.
                let user = (rustix::process::getuid(), rustix::process::getgid());
                let user = format!("{}:{}", user.0.as_raw(), user.1.as_raw());
                let volume = format!("{0}:{0}:ro", folder.display());
                command.args(["--user", &user, "--volume", &volume]);
                command.args(["--entrypoint", program, image]);
                command
            }
        }
    }

    /// What has to be removed in the end.
    pub(crate) fn container(&self, name: &str) -> Option<Container> {
        matches!(self, Self::Image(..)).then(|| Container(name.to_owned()))
    }
}

/// A container that is removed when dropped: it does not end with the `docker run` that started it.
#[derive(Debug)]
pub(crate) struct Container(String);

impl Drop for Container {
    fn drop(&mut self) {
        // It has ended already where all went well.
        let _ = docker(&["rm", "--force", &self.0])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// The engine's command line.
pub(crate) fn docker(arguments: &[&str]) -> Command {
    let mut command = Command::new("docker");
    command.args(arguments);
    command
}
