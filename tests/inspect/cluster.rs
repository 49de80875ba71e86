//! The commands that look for replicas in a cluster: by `--kube`, or as a plugin of kubectl.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use seaway_testing::{ApiServer, Grants, World, ended_with, eventually};

use crate::{has, service};

/// The EndpointSlices of Seaway's Service. Here each replica has a port of its own.
fn announce(server: &ApiServer, ports: &[u16]) -> Result<()> {
    for (number, port) in ports.iter().enumerate() {
        server.apply_yaml(&format!(
            "\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: seaway-{number}, namespace: seaway, labels: {{kubernetes.io/service-name: seaway}}}}
addressType: IPv4
ports: [{{name: xds, port: 18000}}, {{name: admin, port: {port}}}]
endpoints:
- addresses: [10.244.9.{number}]
  conditions: {{ready: {ready}}}
  targetRef: {{kind: Pod, namespace: seaway, name: seaway-{number}}}
",
            ready = number == 0,
        ))?;
    }
    Ok(())
}

/// `kubectl seaway`, as kubectl calls it.
struct Plugin<'a> {
    world: &'a World,
    binary: PathBuf,
    kubeconfig: PathBuf,
}

impl<'a> Plugin<'a> {
    fn of(world: &'a World, server: &ApiServer) -> Result<Plugin<'a>> {
        let binary = world.folder().join("kubectl-seaway");
        symlink(env!("CARGO_BIN_EXE_seaway"), &binary)?;
        let kubeconfig = world.folder().join("kubeconfig-of-a-person");
        server.kubeconfig(&kubeconfig)?;
        Ok(Plugin {
            world,
            binary,
            kubeconfig,
        })
    }

    fn run(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .env_clear()
            .env("KUBECONFIG", &self.kubeconfig);
        Ok(self.world.fabric().run(move || command.output())??)
    }

    fn says(&self, code: i32, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments)?;
        let (said, told) = ended_with(code, output, arguments)?;
        Ok(said + &told)
    }
}

#[test]
fn replicas_are_found_in_the_cluster_and_asked_through_its_api_server() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        server.apply_yaml(&service("web", 11, true))?;
        for _ in 0..2 {
            world.start_seaway_on(&server, &[])?;
        }
        announce(&server, &[18001, 18011])?;
        let plugin = Plugin::of(world, &server)?;
        let said = plugin.says(0, &["status"])?;
        has(&said, &["All is well.", "1: 1 served"])?;
        ensure!(said.matches(" live ").count() == 2, "{said}");
        let said = plugin.says(0, &["get", "services", "-o", "name"])?;
        ensure!(said == "shop/web\n", "{said}");
        let said = plugin.says(0, &["explain", "shop/web"])?;
        has(&said, &["shop/web", "10.244.1.11"])?;
        let said = plugin.says(0, &["check"])?;
        has(
            &said,
            &[
                "api server",
                "reachable, v1.",
                "replicas",
                "2 replicas ready",
            ],
        )?;

        let manifest = world.folder().join("applied.yaml");
        std::fs::write(&manifest, service("cart", 40, true))?;
        let file = manifest.to_string_lossy();
        let said = plugin.says(1, &["wait", "-f", &file, "--timeout", "1s"])?;
        has(&said, &["Service shop/cart is not in the cluster"])?;
        server.apply_yaml(&service("cart", 40, true))?;
        let said = plugin.says(0, &["wait", "-f", &file, "--for", "served"])?;
        has(&said, &["served after", "2 replicas"])?;

        world.replica(1)?.signal(Signal::STOP)?;
        let begin = Instant::now();
        let said = plugin.says(1, &["status"]);
        world.replica(1)?.signal(Signal::CONT)?;
        ensure!(begin.elapsed() < Duration::from_secs(4), "{said:?}");
        has(&said?, &["NOT WELL", "seaway-1", "does not answer"])?;
        eventually("it answers again", || plugin.says(0, &["status"]))?;
        Ok(())
    })
}

/// Whoever may see where replicas are, and forward ports to them or not.
fn person(may_forward: bool) -> Result<Grants> {
    let forward = match may_forward {
        true => "- {apiGroups: [\"\"], resources: [pods/portforward], verbs: [get, create]}",
        false => "",
    };
    Grants::read(&format!(
        "\
kind: Role
metadata: {{name: person, namespace: seaway}}
rules:
- {{apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list]}}
{forward}
"
    ))
}

#[test]
fn who_may_not_forward_ports_is_told_which_permission_that_takes() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        server.apply_yaml(&service("web", 11, true))?;
        world.start_seaway_on(&server, &[])?;
        // Of the second one there is no process.
        announce(&server, &[18001, 18011])?;
        let plugin = Plugin::of(world, &server)?;
        server.authorize(&person(false)?);
        let said = plugin.says(2, &["get", "services"])?;
        let words = [
            "no replica answered",
            "seaway-0: port-forward to pod seaway/seaway-0: forbidden",
            "create pods/portforward in namespace seaway",
        ];
        has(&said, &words)?;
        server.authorize(&person(true)?);
        let said = plugin.says(0, &["get", "services"])?;
        has(
            &said,
            &["1 of 2 replicas: seaway-1 did not answer", "shop/web"],
        )?;
        server.authorize(&Grants::default());
        let said = plugin.says(2, &["get", "services"])?;
        has(
            &said,
            &["cannot list resource \"endpointslices\"", "seaway"],
        )
    })
}

#[test]
fn a_cluster_without_seaway_is_said_to_be_one() -> Result<()> {
    World::run(|world| {
        let server = world.api_server()?;
        let plugin = Plugin::of(world, &server)?;
        let said = plugin.says(2, &["status"])?;
        has(
            &said,
            &["Service seaway/seaway has no pod", "--seaway-namespace"],
        )?;
        let said = plugin.says(2, &["status", "--context", "other"])?;
        has(&said, &["no context \"other\""])?;
        // An address wins, and nothing is asked of the cluster.
        let said = plugin.says(2, &["status", "--admin", "127.0.0.1:1"])?;
        has(&said, &["no replica answered", "127.0.0.1:1"])?;
        let said = plugin.says(0, &["get", "--help"])?;
        has(&said, &["Usage: kubectl seaway get"])
    })
}
