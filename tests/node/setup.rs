//! `deploy/node/setup.sh`: it may be repeated, its undo leaves nothing, and it says what a node
//! lacks.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use seaway_testing::{Client, Cluster, Load, Setup, World, endpoint, repository};

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

/// What it says on its error output.
fn warnings(cluster: &Cluster<'_>, arguments: &[&str], path: Option<&Path>) -> Result<String> {
    let script = repository().join("deploy/node/setup.sh");
    let mut command = Command::new("sh");
    command.args(["-c", "\"$@\" 2>&1 >/dev/null", "sh"]);
    command.arg(script).args(arguments);
    if let Some(first) = path {
        let rest = std::env::var("PATH")?;
        command.env("PATH", format!("{}:{rest}", first.display()));
    }
    cluster.at("n1")?.command(command)
}

/// A cluster whose listeners are in a namespace of their own, with a Service at 10.96.0.10:80 and
/// node port 30080; the arguments with which its node can be set up again.
fn in_namespace(test: impl FnOnce(&mut Cluster<'_>, &[&str]) -> Result<()>) -> Result<()> {
    let setup = Setup {
        namespace: true,
        ..Setup::default()
    };
    Cluster::run(&["a"], &setup, |cluster| {
        cluster.client("client", "n1")?;
        cluster.backend("here", "n1")?;
        let slice = cluster.slice("web", &["here"])?;
        let service = service("web", "10.96.0.10").on_port("nodePort", 30080);
        let manifests = cluster.world.manifests();
        manifests.save("web.yaml", &with(&service, &slice))?;
        cluster.expect("client", "10.96.0.10:80", &["here"])?;
        let own = cluster.host("n1")?.v4.to_string();
        let up = [
            "up",
            "--capture",
            "namespace",
            "--node-address",
            &own,
            "--service-cidr",
            "10.96.0.0/16",
        ];
        test(cluster, &up)
    })
}

/// All routes and rules of the node, whoever made them, but for those of link-local addresses,
/// which come by themselves in time.
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
        let six = World::has_ipv6().then(|| cluster.host("n1").map(|host| format!(",{}", host.v6)));
        let addresses = format!("{own}{}", six.transpose()?.unwrap_or_default());
        let variables = [("SEAWAY_NODE_ADDRESS", addresses.as_str()), ranges];
        script_with(cluster, &["up"], &variables)?;
        ensure!(once == everything(cluster)?);
        script(cluster, &["down"])?;
        ensure!(bare == everything(cluster)?);
        Ok(())
    })
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_changed() -> Result<()> {
    Cluster::run(&["a"], &Setup::default(), |cluster| {
        script(cluster, &["down"])?;
        let bare = everything(cluster)?;
        let own = cluster.host("n1")?.v4.to_string();
        let up = [
            "up",
            "--node-address",
            &own,
            "--service-cidr",
            "10.96.0.0/16",
        ];
        let wrong = ["up", "--node-address", &own, "--service-cidr", "fd00::/112"];
        ensure!(script(cluster, &wrong).is_err() && bare == everything(cluster)?);
        for files in ["many", "1200"] {
            let wrong = [&up[..], &["--max-files", files]].concat();
            ensure!(script(cluster, &wrong).is_err() && bare == everything(cluster)?);
        }
        let (inside, everything_there) = (format!("{own}/8"), "0.0.0.0/0");
        for range in [
            &*inside,
            everything_there,
            "deadbeef",
            "10.96.0.0/33",
            "172.18.0.1/32",
        ] {
            let wrong = ["up", "--node-address", &own, "--service-cidr", range];
            ensure!(
                script(cluster, &wrong).is_err() && bare == everything(cluster)?,
                "{range}"
            );
        }
        for (flag, value) in [
            ("--node-address", "192.0.2.77"),
            ("--node-ports", "32767-30000"),
            ("--group", "wheel"),
            ("--redirect", "http"),
            ("--max-files", "many"),
        ] {
            let mut wrong = up.to_vec();
            wrong.retain(|word| flag != "--node-address" || (*word != own && *word != flag));
            wrong.extend([flag, value]);
            ensure!(
                script(cluster, &wrong).is_err() && bare == everything(cluster)?,
                "{flag}"
            );
        }
        let unset = [
            ("SEAWAY_NODE_ADDRESS", &*own),
            ("SEAWAY_SERVICE_CIDR", "<SET-ME>"),
        ];
        ensure!(script_with(cluster, &["up"], &unset).is_err());
        ensure!(bare == everything(cluster)?);
        Ok(())
    })
}

#[test]
fn a_node_with_a_namespace_is_set_up_again_under_traffic_and_undone_without_a_trace() -> Result<()>
{
    in_namespace(|cluster, up| {
        let service: SocketAddr = "10.96.0.10:80".parse()?;
        let load = Load::start(cluster.at("client")?, Client::new(service), 100)?;
        script(cluster, up)?;
        let once = everything(cluster)?;
        let mut more = up.to_vec();
        more.extend(["--vip-cidr", "203.0.113.0/24"]);
        for arguments in [&more[..], up, up] {
            script(cluster, arguments)?;
        }
        ensure!(
            once == everything(cluster)?,
            "setting up again changed {once}"
        );
        cluster.expect("client", "10.96.0.10:80", &["here"])?;
        let records = load.stop()?;
        let failed = records.iter().find(|r| r.outcome.backend() != Some("here"));
        ensure!(failed.is_none() && records.len() > 20, "{failed:?}");

        script(cluster, &["down"])?;
        let bare = everything(cluster)?;
        ensure!(
            !bare.contains("10.96.0.0") && !bare.contains("sw0"),
            "{bare}"
        );
        ensure!(script(cluster, &["show"])?.is_empty());
        // From one capture to another nothing of the first stays.
        let mut bind = up.to_vec();
        bind[2] = "bind";
        script(cluster, up)?;
        script(cluster, &bind)?;
        ensure!(!everything(cluster)?.contains("sw0"));
        script(cluster, &["down"])?;
        ensure!(bare == everything(cluster)?);
        Ok(())
    })
}

#[test]
fn a_firewall_that_forwards_nothing_is_named_with_the_rule_that_helps() -> Result<()> {
    in_namespace(|cluster, up| {
        ensure!(warnings(cluster, up, None)?.is_empty());
        cluster.nft(
            "n1",
            "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; \
             ct state established,related accept; ip saddr 10.245.0.0/16 ip daddr 10.245.0.0/16 accept; }; }",
        )?;
        let told = warnings(cluster, up, None)?;
        let (_, remedy) = told.split_once("otherwise: nft ").context(told.clone())?;
        ensure!(told.contains("chain FORWARD"), "{told}");
        cluster.expect("client", "10.96.0.10:80", &["timed out"])?;
        cluster.nft("n1", remedy.trim())?;
        cluster.expect("client", "10.96.0.10:80", &["here"])?;
        ensure!(warnings(cluster, up, None)?.is_empty());
        Ok(())
    })
}

#[test]
fn what_a_kernel_cannot_do_is_said_and_the_rest_is_done() -> Result<()> {
    in_namespace(|cluster, up| {
        // As an nft or a kernel does that does not know a part of a rule.
        let folder = tempfile::tempdir()?;
        let nft = folder.path().join("nft");
        let script = "#!/bin/sh\nif [ \"$1\" = -c ]; then\n  rules=$(cat)\n  case $rules in *socket*) \
                      echo 'Error: syntax error, unexpected socket' >&2; exit 1 ;; esac\n  \
                      printf '%s\\n' \"$rules\" | PATH=${PATH#*:} nft \"$@\"\nelse\n  PATH=${PATH#*:} exec nft \"$@\"\nfi\n";
        fs::write(&nft, script)?;
        fs::set_permissions(&nft, Permissions::from_mode(0o755))?;
        let told = warnings(cluster, up, Some(folder.path()))?;
        ensure!(
            told.lines().count() == 1 && told.contains("unexpected socket"),
            "{told}"
        );
        ensure!(told.contains("external addresses that are this node's own"));
        let port = endpoint(cluster.host("n1")?.v4, 30080);
        for to in ["10.96.0.10:80", &port] {
            cluster.expect("client", to, &["here"])?;
            cluster.expect("outside", to, &["here"])?;
        }
        Ok(())
    })
}

#[test]
fn a_namespace_that_somebody_made_anew_is_joined_and_said() -> Result<()> {
    in_namespace(|cluster, up| {
        for change in ["del", "add"] {
            let mut command = Command::new("ip");
            command.args(["netns", change, "seaway"]);
            cluster.at("n1")?.command(command)?;
        }
        let told = warnings(cluster, up, None)?;
        ensure!(told.contains("has to be started again"), "{told}");
        // Envoy's listeners are in the old one, so that nobody is there: refused, and not
        // swallowed.
        cluster.expect("client", "10.96.0.10:80", &["refused"])?;
        // What is added now is where it can be reached.
        let slice = cluster.slice("late", &["here"])?;
        let late = with(&service("late", "10.96.0.11"), &slice);
        cluster.world.manifests().save("late.yaml", &late)?;
        cluster.expect("client", "10.96.0.11:80", &["here"])?;
        ensure!(warnings(cluster, up, None)?.is_empty());
        Ok(())
    })
}
