//! `deploy/node/setup.sh`: it may be repeated, and its undo leaves nothing.

use std::process::Command;

use anyhow::{Result, ensure};
use seaway_testing::{Cluster, Setup, repository};

use crate::{service, with};

fn script(cluster: &Cluster<'_>, arguments: &[&str]) -> Result<String> {
    script_with(cluster, arguments, &[])
}

fn script_with(
    cluster: &Cluster<'_>,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Result<String> {
    let mut command = Command::new(repository().join("deploy/node/setup.sh"));
    command.args(arguments).envs(variables.iter().copied());
    cluster.at("n1")?.command(command)
}

/// All routes and rules of the node, whoever made them, but for those of link-local addresses, which come by themselves in time.
fn everything(cluster: &Cluster<'_>) -> Result<String> {
    let mut told = String::new();
    for what in [
        "-4 route show table all",
        "-6 route show table all",
        "-4 rule",
        "-6 rule",
    ] {
        let mut command = Command::new("ip");
        command.args(what.split(' '));
        let lines = cluster.at("n1")?.command(command)?;
        let own = lines.lines().filter(|line| !line.contains("fe80:"));
        told.extend(own.flat_map(|line| [line, "\n"]));
    }
    Ok(told)
}

#[test]
fn a_node_is_set_up_again_without_a_change_and_undone_without_a_trace() -> Result<()> {
    Cluster::run(&["a"], &Setup::default(), |cluster| {
        cluster.backend("here", "n1")?;
        let slice = cluster.slice("web", &["here"])?;
        let manifest = with(&service("web", "10.96.0.10"), &slice);
        cluster.world.manifests().save("web.yaml", &manifest)?;
        cluster.expect("n1", "10.96.0.10:80", &["here"])?;

        script(cluster, &["down"])?;
        let bare = everything(cluster)?;
        ensure!(!bare.contains("10.96.0.0"), "{bare}");
        ensure!(script(cluster, &["show"])?.is_empty());
        // Twice: there is nothing left to undo.
        script(cluster, &["down"])?;

        let own = cluster.host("n1")?.v4.to_string();
        let up = [
            "up",
            "--node-address",
            &own,
            "--service-cidr",
            "10.96.0.0/16",
        ];
        script(cluster, &up)?;
        let once = everything(cluster)?;
        script(cluster, &up)?;
        ensure!(
            once == everything(cluster)?,
            "the second run changed {once}"
        );
        // What the node itself sends to a Service comes from its own address.
        let mut route = Command::new("ip");
        route.args(["route", "get", "10.96.0.10"]);
        let route = cluster.at("n1")?.command(route)?;
        ensure!(route.contains(&format!("src {own}")), "{route}");
        cluster.expect("n1", "10.96.0.10:80", &["here"])?;

        // Another range takes the place of the first one.
        let mut other = up;
        other[4] = "10.97.0.0/16";
        script(cluster, &other)?;
        ensure!(!everything(cluster)?.contains("10.96.0.0"));
        // As a pod is told.
        let ranges = ("SEAWAY_SERVICE_CIDR", "10.96.0.0/16");
        let addresses = format!("{own},fd00::1");
        let variables = [("SEAWAY_NODE_ADDRESS", addresses.as_str()), ranges];
        script_with(cluster, &["up"], &variables)?;
        ensure!(once == everything(cluster)?);
        script(cluster, &["down"])?;
        ensure!(bare == everything(cluster)?);
        // What cannot be is refused before anything is changed.
        let wrong = ["up", "--node-address", &own, "--service-cidr", "fd00::/112"];
        ensure!(script(cluster, &wrong).is_err() && bare == everything(cluster)?);
        let unset = [variables[0], ("SEAWAY_SERVICE_CIDR", "<SET-ME>")];
        ensure!(script_with(cluster, &["up"], &unset).is_err());
        ensure!(bare == everything(cluster)?);
        Ok(())
    })
}
