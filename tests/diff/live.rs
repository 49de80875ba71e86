//! What `seaway diff` foretells happens: each edit is compared first, then made under real Envoys
//! with connections open.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::{
    Client, Envoy, EnvoyOptions, Held, Outcome, ServiceManifest, SliceManifest, World, join, node,
    seaway_binary, within,
};
use serde_json::json;

const WEB: &str = "10.96.0.10:80";
const MOVED: &str = "10.96.0.11:80";
const MARK: &str = "10.96.0.99:80";
/// The end of Envoy's drain time, which is three seconds, with time to see it.
const DRAINED: Duration = Duration::from_secs(8);

/// Two nodes, each with a backend: web-1 on n1, web-2 on n2.
struct Stage<'w> {
    world: &'w mut World,
    n1: Arc<Envoy>,
    n2: Arc<Envoy>,
    marks: u16,
}

fn web() -> ServiceManifest {
    let service = ServiceManifest::new("web").cluster_ip("10.96.0.10");
    service.port("http", 80)
}

fn slice(backends: &[u8]) -> SliceManifest {
    let mut slice = SliceManifest::new("web").port("http", 8080);
    for number in backends {
        slice = slice.endpoint(&format!("10.244.{number}.10"));
        slice = slice.on_endpoint("nodeName", json!(format!("n{number}")));
    }
    slice
}

fn both(service: &ServiceManifest, slice: &SliceManifest) -> String {
    join([service.document(), slice.document()])
}

impl Stage<'_> {
    fn play(test: impl FnOnce(&mut Stage<'_>) -> Result<()>) -> Result<()> {
        World::run(|world| {
            let _web_1 = world.backend("web-1", "10.244.1.10")?;
            let _web_2 = world.backend("web-2", "10.244.2.10")?;
            let nodes = join([node("n1", "a"), node("n2", "b")]);
            world.manifests().save("nodes.yaml", &nodes)?;
            world
                .manifests()
                .save("web.yaml", &both(&web(), &slice(&[1, 2])))?;
            world.start_seaway(&[])?;
            let (n1, n2) = (world.start_node("n1", "a")?, world.start_node("n2", "b")?);
            n1.await_backend(WEB, "web-1")?;
            n2.await_backend(WEB, "web-1")?;
            let mut stage = Stage {
                world,
                n1,
                n2,
                marks: 0,
            };
            test(&mut stage)
        })
    }

    /// Compares the folder with what it is to be, expects these lines and no others, and makes the
    /// edit.
    fn edit(&self, text: &str, lines: &[&str]) -> Result<()> {
        let to = tempfile::tempdir()?;
        let manifests = self.world.manifests();
        for entry in fs::read_dir(manifests.path())? {
            let entry = entry?;
            fs::copy(entry.path(), to.path().join(entry.file_name()))?;
        }
        fs::write(to.path().join("web.yaml"), text)?;
        let mut command = std::process::Command::new(seaway_binary()?);
        command.arg("diff").arg("--from").arg(manifests.path());
        let said = command.arg("--to").arg(to.path()).output()?;
        let said = String::from_utf8(said.stdout)?;
        let told: Vec<&str> = said.lines().collect();
        let (_, told) = told.split_last().context("it says nothing")?;
        ensure!(told == lines, "{said} instead of {lines:#?}");
        manifests.save("web.yaml", text)?;
        Ok(())
    }

    /// Makes another change and sees it arrive on both nodes: so what was made before has had its
    /// chance to do harm.
    fn mark(&mut self) -> Result<()> {
        self.marks += 1;
        let backend = 1 + self.marks % 2;
        let service = ServiceManifest::new("mark").cluster_ip("10.96.0.99");
        let slice = SliceManifest::new("mark").port("http", 8080);
        let slice = slice.endpoint(&format!("10.244.{backend}.10"));
        let text = both(&service.port("http", 80), &slice);
        self.world.manifests().save("mark.yaml", &text)?;
        for node in [&self.n1, &self.n2] {
            node.await_backend(MARK, &format!("web-{backend}"))?;
        }
        Ok(())
    }

    /// A connection from n1 that has answered.
    fn held(&self) -> Result<(Held, String)> {
        let mut held = self.n1.hold(WEB)?;
        let backend = held.get()?;
        Ok((held, backend))
    }

    /// Connections from n1, one to each backend.
    fn held_by_all(&self) -> Result<[Held; 2]> {
        let to = |wanted: &str| {
            within(Duration::from_secs(5), wanted, || {
                let (held, backend) = self.held()?;
                ensure!(backend == wanted, "it is {backend}");
                Ok(held)
            })
        };
        Ok([to("web-1")?, to("web-2")?])
    }

    fn ask(&self, node: &Arc<Envoy>, wanted: &str) -> Result<()> {
        let client = Client::new(WEB.parse::<std::net::SocketAddr>()?);
        let is_wanted = |outcome: &Outcome| outcome.word() == wanted;
        node.await_outcome(&client, wanted, is_wanted).map(drop)
    }
}

#[test]
fn what_is_said_to_send_nothing_sends_nothing() -> Result<()> {
    Stage::play(|stage| {
        stage.mark()?;
        let before = stage.world.sent()?;
        stage.mark()?;
        let of_a_mark = stage.world.sent_since(&before)?;
        let before = stage.world.sent()?;
        let labelled = web().metadata("labels", json!({"team": "checkout"}));
        let lines = ["  default/web  labels only: nothing is sent"];
        stage.edit(&both(&labelled, &slice(&[1, 2])), &lines)?;
        stage.mark()?;
        let since = stage.world.sent_since(&before)?;
        ensure!(since == of_a_mark, "{since:?} instead of {of_a_mark:?}");
        Ok(())
    })
}

#[test]
fn an_endpoint_that_leaves_and_settings_cut_no_connection() -> Result<()> {
    Stage::play(|stage| {
        let [mut first, mut second] = stage.held_by_all()?;
        let line = "~ default/web:80  seaway.dev/connect-timeout 1s -> 2s; no connection is cut";
        let patient = web().annotation("seaway.dev/connect-timeout", "2s");
        stage.edit(&both(&patient, &slice(&[1, 2])), &[line])?;
        stage.mark()?;
        let line =
            "~ default/web:80  2 -> 1 endpoints (10.244.2.10:8080 leaves); no connection is cut";
        stage.edit(&both(&patient, &slice(&[1])), &[line])?;
        stage.mark()?;
        for _ in 0..10 {
            ensure!(stage.n1.get(WEB)?.backend() == Some("web-1"));
        }
        // Longer than any drain time.
        std::thread::sleep(Duration::from_secs(4));
        ensure!(first.get()? == "web-1" && second.get()? == "web-2");
        Ok(())
    })
}

#[test]
fn a_listener_that_is_replaced_drains_its_connections() -> Result<()> {
    Stage::play(|stage| {
        let (mut held, backend) = stage.held()?;
        let sticky = web().spec("sessionAffinity", "ClientIP");
        let line = "~ default/web:80  sessionAffinity None -> ClientIP; the listener of 10.96.0.10:80 is replaced, open connections drain";
        stage.edit(&both(&sticky, &slice(&[1, 2])), &[line])?;
        ensure!(held.get()? == backend);
        held.closed_within(DRAINED)?;
        let (_, first) = stage.held()?;
        for _ in 0..10 {
            ensure!(stage.n1.get(WEB)?.backend() == Some(&*first));
        }
        Ok(())
    })
}

#[test]
fn a_local_policy_closes_where_it_was_said_and_nowhere_else() -> Result<()> {
    Stage::play(|stage| {
        stage.edit(
            &both(&web(), &slice(&[1])),
            &["~ default/web:80  2 -> 1 endpoints (10.244.2.10:8080 leaves); no connection is cut"],
        )?;
        stage.mark()?;
        let local = web().spec("internalTrafficPolicy", "Local");
        let line = "~ default/web:80  internalTrafficPolicy Cluster -> Local: ! on n2 no local endpoint, new connections are closed; the listener of 10.96.0.10:80 is replaced, open connections drain";
        stage.edit(&both(&local, &slice(&[1])), &[line])?;
        let n2 = Arc::clone(&stage.n2);
        stage.ask(&n2, "closed")?;
        ensure!(stage.n1.get(WEB)?.backend() == Some("web-1"));

        // The endpoint moves to n2: now it is n1 that has none.
        let lines = [
            "~ default/web:80  ! on n1: no local endpoint is left (10.244.1.10:8080 leaves); new connections are closed",
            "~ default/web:80  on n2: 0 -> 1 local endpoints (10.244.2.10:8080 joins); no connection is cut",
        ];
        stage.edit(&both(&local, &slice(&[2])), &lines)?;
        let n1 = Arc::clone(&stage.n1);
        stage.ask(&n1, "closed")?;
        stage.ask(&n2, "web-2")
    })
}

#[test]
fn addresses_are_refused_and_served_as_it_was_said() -> Result<()> {
    Stage::play(|stage| {
        let (mut held, backend) = stage.held()?;
        let moved = web().cluster_ip("10.96.0.11");
        let lines = [
            "- default/web:80  ! 10.96.0.10:80 will be refused: the Service asks for it no more; open connections end with the drain time",
            "+ default/web:80  served now: 10.96.0.11:80",
        ];
        stage.edit(&both(&moved, &slice(&[1, 2])), &lines)?;
        stage.n1.await_refused(WEB)?;
        ensure!(stage.n1.get(MOVED)?.backend().is_some());
        ensure!(held.get()? == backend);
        held.closed_within(DRAINED)?;

        let unready = json!({"ready": false});
        let none = slice(&[1]).on_endpoint("conditions", unready);
        let line = "- default/web:80  ! 10.96.0.11:80 will be refused: no endpoint anywhere can take a connection; open connections end with the drain time";
        stage.edit(&both(&moved, &none), &[line])?;
        stage.n2.await_refused(MOVED)?;
        let line = "+ default/web:80  served now: 10.96.0.11:80, 1 endpoint";
        stage.edit(&both(&moved, &slice(&[2])), &[line])?;
        stage.n1.await_backend(MOVED, "web-2")?;

        let line = "- default/web  ! gone: 10.96.0.11:80 will be refused; open connections end with the drain time";
        stage.edit("", &[line])?;
        stage.n1.await_refused(MOVED)?;
        let line = "+ default/web  new: 10.96.0.10:80, 1 endpoint";
        stage.edit(&both(&web(), &slice(&[1])), &[line])?;
        stage.n2.await_backend(WEB, "web-1")
    })
}

/// Role `mesh`: by names instead of addresses.
#[test]
fn requests_by_name_fail_as_it_was_said() -> Result<()> {
    Stage::play(|stage| {
        let bootstrap = ["--role", "mesh", "--node-name", "n2", "--zone", "b"];
        let mesh = EnvoyOptions {
            bootstrap: bootstrap.map(str::to_owned).to_vec(),
            ..EnvoyOptions::default()
        };
        let mesh = stage.world.start_envoy("mesh", &mesh)?;
        let client = Client::new(([127, 0, 0, 1], 15001)).host("web.default");
        let status = |wanted: u16| {
            let what = format!("status {wanted}");
            let is_wanted = |outcome: &Outcome| matches!(outcome, Outcome::Answered(answer) if answer.status == wanted);
            mesh.await_outcome(&client, &what, is_wanted).map(drop)
        };
        let foretold = |text: &str, line: &str| -> Result<()> {
            let from = stage.world.manifests().path();
            let to = tempfile::tempdir()?;
            fs::copy(from.join("nodes.yaml"), to.path().join("nodes.yaml"))?;
            fs::write(to.path().join("web.yaml"), text)?;
            let mut command = std::process::Command::new(seaway_binary()?);
            command.args(["diff", "--role", "mesh", "--from"]).arg(from);
            let said = command.arg("--to").arg(to.path()).output()?;
            let said = String::from_utf8(said.stdout)?;
            ensure!(said.lines().next() == Some(line), "{said}");
            stage.world.manifests().save("web.yaml", text)?;
            Ok(())
        };
        status(200)?;
        let local = web().spec("internalTrafficPolicy", "Local");
        let text = both(&local, &slice(&[1]));
        let line = "~ default/web:80  internalTrafficPolicy Cluster -> Local: ! on n2 no local endpoint, requests get 503; no connection is cut";
        foretold(&text, line)?;
        status(503)?;
        let line = "- default/web  ! gone: web.default will be answered with 404";
        foretold("", line)?;
        status(404)
    })
}
