//! The Docker engine, as its command line tells of it, and a compose file that is up for the length
//! of a test.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::{repository, run, within};

/// The image under test; `make test-docker` builds it.
pub(crate) const SEAWAY: &str = "seaway:dev";
/// The one that prepares nodes.
pub(crate) const NODE_SETUP: &str = "seaway-node-setup:dev";
/// The Envoy of `compose.yaml`.
pub(crate) const ENVOY: &str = "envoyproxy/envoy:v1.40.0";

/// `docker …`.
pub(crate) fn docker(arguments: &[&str]) -> Result<String> {
    run(Command::new("docker").args(arguments))
}

/// One field of `docker inspect`, by Go template.
pub(crate) fn inspect(what: &str, template: &str) -> Result<String> {
    Ok(docker(&["inspect", "--format", template, what])?
        .trim()
        .to_owned())
}

/// A compose file that is up. All that it made goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Compose {
    file: PathBuf,
    project: String,
    environment: Vec<(String, String)>,
}

impl Compose {
    /// Starts everything in a compose file of the repository, with these variables, and runs
    /// `test`. When that fails, the logs are printed.
    pub(crate) fn up(
        file: &str,
        environment: &[(&str, &str)],
        test: impl FnOnce(&Self) -> Result<()>,
    ) -> Result<()> {
        let name = Path::new(file).parent().and_then(Path::file_name);
        let name = name.context("a compose file has a folder")?;
        let compose = Self {
            file: repository().join(file),
            project: format!("seaway-test-{}-{}", name.display(), std::process::id()),
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let result = compose
            .run(&["up", "--detach"])
            .and_then(|_| test(&compose));
        if result.is_err() {
            let logs = compose.run(&["logs", "--no-color"]);
            eprintln!("{}", logs.unwrap_or_else(|error| error.to_string()));
        }
        result
    }

    /// `docker compose …`, or `docker-compose …` where that is what there is.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String> {
        let v2 = docker(&["compose", "version"]).is_ok();
        let mut command = Command::new(if v2 { "docker" } else { "docker-compose" });
        if v2 {
            command.arg("compose");
        }
        command.arg("--file").arg(&self.file);
        command.args(["--project-name", &self.project]);
        let environment = self.environment.iter();
        command.envs(environment.map(|(name, value)| (name, value)));
        run(command.args(arguments))
    }

    /// The id of a service's container.
    pub(crate) fn container(&self, service: &str) -> Result<String> {
        let id = self.run(&["ps", "--all", "--quiet", service]);
        // Version 1 shows those that ended without being asked.
        let id = id.or_else(|_| self.run(&["ps", "--quiet", service]))?;
        Ok(id.trim().to_owned())
    }

    /// Runs a program in a service's container.
    pub(crate) fn exec(&self, service: &str, arguments: &[&str]) -> Result<String> {
        let id = self.container(service)?;
        docker(&[&["exec", &id], arguments].concat())
    }

    /// `kill -9`.
    pub(crate) fn kill(&self, service: &str) -> Result<()> {
        docker(&["kill", &self.container(service)?]).map(drop)
    }

    /// Starts a container that has ended, and waits until it is healthy.
    pub(crate) fn start(&self, service: &str) -> Result<()> {
        docker(&["start", &self.container(service)?])?;
        self.await_healthy(service)
    }

    /// SIGTERM, and a new start; waits until it is healthy.
    pub(crate) fn restart(&self, service: &str) -> Result<()> {
        docker(&["restart", &self.container(service)?])?;
        self.await_healthy(service)
    }

    /// Waits until the health check of a service's container says so.
    pub(crate) fn await_healthy(&self, service: &str) -> Result<()> {
        let id = self.container(service)?;
        within(
            Duration::from_secs(30),
            format!("{service} to be healthy"),
            || {
                let health = inspect(&id, "{{.State.Health.Status}}")?;
                ensure!(health == "healthy", "it is {health}");
                Ok(())
            },
        )
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        if let Err(error) = self.run(&["down", "--volumes", "--timeout", "2"]) {
            eprintln!("{error:#}");
        }
    }
}

/// Lets everybody read a folder: the user of a container is somebody else.
pub(crate) fn readable(path: &Path) -> Result<()> {
    Ok(fs::set_permissions(path, Permissions::from_mode(0o755))?)
}

/// A port of loopback.
pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
