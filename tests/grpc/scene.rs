//! A Seaway that watches a folder, gRPC servers, and a client, each a process.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};
use seaway_testing::usage::Usage;
use seaway_testing::{Folder, eventually, repository, run, seaway_binary, skip};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Scenes of this process so far: each has addresses of its own.
static SCENES: AtomicU32 = AtomicU32::new(1);

/// The Python with grpcio: `GRPC_PYTHON`, else the one that `make grpc-client` made.
fn python() -> Option<PathBuf> {
    let installed = repository().join(".tools/grpc/venv/bin/python");
    let path = std::env::var_os("GRPC_PYTHON").map_or(installed, PathBuf::from);
    path.is_file().then_some(path)
}

/// A process that ends with its guard.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where the test killed it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A `peer.py`, which does what it is told.
pub(crate) struct Peer {
    _process: Running,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts one, as a client with this bootstrap, if there is one.
    fn start(bootstrap: Option<&str>) -> Result<Peer> {
        let mut command = Command::new(python().context("no grpcio")?);
        command.arg(repository().join("tests/grpc/peer.py"));
        command.envs(bootstrap.map(|text| ("GRPC_XDS_BOOTSTRAP_CONFIG", text)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // What gRPC logs of names that do not exist is what some tests are about.
        let mut child = command.stderr(Stdio::null()).spawn()?;
        let orders = child.stdin.take().context("no input")?;
        let answers = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Peer {
            _process: Running(child),
            orders,
            answers,
        })
    }

    /// Gives an order, without waiting for its answer.
    pub(crate) fn begin(&mut self, order: &Value) -> Result<()> {
        Ok(writeln!(self.orders, "{order}")?)
    }

    /// The answer to the last order.
    pub(crate) fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("the peer ended with {line:?}"))
    }

    pub(crate) fn order(&mut self, order: &Value) -> Result<Value> {
        self.begin(order)?;
        self.answer()
    }

    /// Who answers so many calls, and how many of them.
    pub(crate) fn call(&mut self, target: &str, count: u32) -> Result<BTreeMap<String, u32>> {
        let answers = self.order(&json!({ "do": "call", "target": target, "count": count }))?;
        let read = serde_json::from_value(answers.clone());
        read.with_context(|| format!("{target}: {answers}"))
    }

    /// The error of a call.
    pub(crate) fn error(&mut self, target: &str) -> Result<String> {
        let answers = self.order(&json!({ "do": "call", "target": target }))?;
        let error = answers["error"].as_str();
        Ok(error
            .with_context(|| format!("{target}: {answers}"))?
            .to_owned())
    }

    /// Waits until exactly these answer calls.
    pub(crate) fn await_answers(&mut self, target: &str, from: &[&str]) -> Result<()> {
        eventually(format!("answers of {from:?} for {target}"), || {
            let answers = self.call(target, 20)?;
            ensure!(answers.keys().eq(from.iter()), "{answers:?}");
            Ok(())
        })
    }
}

/// Seaway with its folder and servers.
pub(crate) struct Scene {
    seaway: Running,
    pub(crate) servers: Peer,
    number: u32,
    folder: TempDir,
    pub(crate) manifests: Folder,
}

impl Scene {
    /// Plays a test, unless there is no grpcio.
    pub(crate) fn play(test: impl FnOnce(&mut Scene) -> Result<()>) -> Result<()> {
        if python().is_none() {
            return skip("there is no grpcio; make grpc-client installs it");
        }
        let folder = tempfile::tempdir()?;
        let manifests = Folder::new(folder.path().join("manifests"))?;
        let number = SCENES.fetch_add(1, Ordering::Relaxed);
        let mut scene = Scene {
            seaway: serve(number, &folder)?,
            servers: Peer::start(None)?,
            number,
            folder,
            manifests,
        };
        scene.await_ready()?;
        test(&mut scene)
    }

    fn await_ready(&mut self) -> Result<()> {
        let (admin, process) = (self.admin(), &mut self.seaway.0);
        eventually("seaway to be ready", || {
            if let Some(status) = process.try_wait()? {
                bail!("it ended with {status}");
            }
            let mut command = Command::new(seaway_binary()?);
            run(command.args(["ready", "--admin-listen", &admin])).map(drop)
        })
    }

    fn admin(&self) -> String {
        format!("{}:18001", address(self.number, 1))
    }

    /// `kill -9`, and starts it again.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.seaway.0.kill()?;
        self.seaway.0.wait()?;
        self.seaway = serve(self.number, &self.folder)?;
        self.await_ready()
    }

    /// The address with port of a server that can be.
    pub(crate) fn server(&self, host: u32) -> String {
        format!("{}:50051", address(self.number, host))
    }

    /// Starts a server there.
    pub(crate) fn serve(&mut self, host: u32) -> Result<String> {
        let address = self.server(host);
        self.servers
            .order(&json!({ "do": "serve", "address": address }))?;
        Ok(address)
    }

    /// Ends it as a pod ends: calls that are open may go on.
    pub(crate) fn stop(&mut self, address: &str) -> Result<()> {
        let order = json!({ "do": "stop", "address": address, "grace": 10 });
        self.servers.order(&order).map(drop)
    }

    /// The address of the xDS server.
    pub(crate) fn xds(&self) -> String {
        format!("{}:18000", address(self.number, 1))
    }

    /// Megabytes of memory that Seaway has now.
    pub(crate) fn memory(&self) -> Result<f64> {
        Ok(Usage::of(self.seaway.0.id())?.resident)
    }

    /// A client, with further arguments of `seaway bootstrap`.
    pub(crate) fn client(&self, arguments: &[&str]) -> Result<Peer> {
        let xds = self.xds();
        let mut command = Command::new(seaway_binary()?);
        command.args([
            "bootstrap",
            "--role",
            "grpc",
            "--node-id",
            "client",
            "--xds",
            &xds,
        ]);
        Peer::start(Some(&run(command.args(arguments))?))
    }

    /// A Service of namespace `d` with these endpoints, as hosts with an extra part each.
    pub(crate) fn save(&self, service: &str, spec: &str, hosts: &[(u32, &str)]) -> Result<()> {
        let endpoints: Vec<String> = hosts
            .iter()
            .map(|(host, extra)| format!("{{addresses: [{}]{extra}}}", address(self.number, *host)))
            .collect();
        let text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{namespace: d, name: {service}}}\nspec: {{{spec}}}\n---\n\
             apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{namespace: d, name: {service}-1, labels: {{kubernetes.io/service-name: {service}}}}}\n\
             addressType: IPv4\nports: [{{name: grpc, port: 50051}}]\nendpoints: [{}]\n",
            endpoints.join(", ")
        );
        self.manifests
            .save(&format!("{service}.yaml"), &text)
            .map(drop)
    }

    /// The value of a metric of Seaway's, over all labels that contain this.
    pub(crate) fn metric(&self, name: &str, label: &str) -> Result<f64> {
        let mut stream = TcpStream::connect(self.admin())?;
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: seaway\r\n\r\n")?;
        let text = std::io::read_to_string(stream)?;
        let lines = text.lines().filter_map(|line| line.strip_prefix(name));
        let of_metric = lines.filter(|rest| rest.starts_with(['{', ' ']) && rest.contains(label));
        Ok(of_metric
            .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
            .sum())
    }
}

/// An address on loopback that no other scene has.
fn address(scene: u32, host: u32) -> String {
    format!("127.{}.{}.{host}", 86 + std::process::id() % 64, scene)
}

fn serve(number: u32, folder: &TempDir) -> Result<Running> {
    let own = address(number, 1);
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.path().join("seaway.log"))?;
    let mut command = Command::new(seaway_binary()?);
    command
        .args(["serve", "--files"])
        .arg(folder.path().join("manifests"));
    command.args(["--xds-listen", &format!("{own}:18000")]);
    command.args(["--admin-listen", &format!("{own}:18001")]);
    Ok(Running(command.stdout(Stdio::null()).stderr(log).spawn()?))
}
