//! A Seaway that has every metric: of a cluster, with TLS, tokens, a checkpoint and whatever else
//! has some of its own, with a proxy of each role; and the `seaway drain` of a node.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::ops::Range;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::certs::{Ca, San};
use seaway_testing::{
    ApiServer, Ask, Connection, EnvoyOptions, Folder, ServiceManifest, SliceManifest, World,
    bootstrap, join, node, seaway_binary, within,
};

use crate::exposition::Exposition;

/// The kinds that a server has by definitions.
const CRDS: [&str; 4] = [
    "gatewayclasses",
    "gateways",
    "httproutes",
    "gateway.networking.k8s.io/v1/referencegrants",
];

/// The Service before the ingress proxies, and an object of which something is wrong.
const OTHERS: &str = "\
apiVersion: v1
kind: Service
metadata: {name: edge, namespace: seaway}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.200
  selector: {app: edge}
  ports: [{name: http, port: 80, targetPort: http}]
status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: seaway, annotations: {ingressclass.kubernetes.io/is-default-class: 'true'}}
spec: {controller: seaway.dev/ingress-controller}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, namespace: default}
spec: {tls: [{secretName: none}], defaultBackend: {service: {name: nobody, port: {number: 80}}}}
";

/// Flags of `serve` for more metrics.
const FLAGS: [&str; 17] = [
    "--token-audience=seaway",
    "--allow-proxy=node=dns:{node}.node.seaway",
    "--allow-proxy=mesh=dns:mesh.seaway",
    "--allow-proxy=ingress=dns:ingress.seaway",
    "--ingress-service=seaway/edge",
    "--lease-namespace=seaway",
    "--gateway-services",
    "--http-port=8080",
    "--https-port=8443",
    "--capture=bind",
    "--checkpoint-grace=1s",
    "--freshness-probe=500ms",
    // Only itself, which it leaves alone.
    "--peers=172.18.0.1:18000",
    "--peers-server-name=localhost",
    "--allow-peer=dns:peer.seaway",
    "--coalesce=10ms",
    // Nobody is there.
    "--otlp-endpoint=http://127.0.0.1:4317",
];

/// Where the metrics of `drain` are.
const DRAIN: &str = "127.0.0.1:18003";

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The world with everything in it.
pub(crate) struct Everything<'a> {
    pub(crate) world: &'a mut World,
    server: ApiServer,
    servers: Ca,
    clients: Ca,
    drain: Child,
}

impl Everything<'_> {
    /// Builds it, and runs a test in it.
    pub(crate) fn run(test: impl FnOnce(&mut Everything<'_>) -> Result<()>) -> Result<()> {
        World::run(|world| {
            let server = world.api_server()?;
            for resource in CRDS {
                server.install(resource)?;
            }
            server.apply_yaml(OTHERS)?;
            server.apply_yaml(&join([node("n1", "a"), node("n2", "b")]))?;
            let (servers, clients) = (Ca::new("servers")?, Ca::new("clients")?);
            let folder = world.folder().join("certs");
            let leaf = servers.server(&["localhost"])?;
            let files = Folder::new(&folder)?;
            files.save("tls.crt", &leaf.pem())?;
            files.save("tls.key", &leaf.key_pem())?;
            files.save("ca.crt", &clients.pem())?;
            let peer = clients.client(&[San::dns("peer.seaway")])?;
            files.save("peers-ca.crt", &servers.pem())?;
            files.save("peer.crt", &peer.pem())?;
            files.save("peer.key", &peer.key_pem())?;
            let file = |name: &str| folder.join(name).display().to_string();
            let own = [
                format!("--tls-cert={}", file("tls.crt")),
                format!("--tls-key={}", file("tls.key")),
                format!("--client-ca={}", file("ca.crt")),
                format!("--peers-ca={}", file("peers-ca.crt")),
                format!("--peers-cert={}", file("peer.crt")),
                format!("--peers-key={}", file("peer.key")),
                format!("--checkpoint={}", world.folder().join("kept").display()),
            ];
            let flags: Vec<&str> = own.iter().map(String::as_str).chain(FLAGS).collect();
            world.start_seaway_on(&server, &flags)?;
            let drain = drain(world)?;
            let mut everything = Everything {
                world,
                server,
                servers,
                clients,
                drain,
            };
            everything.services(0..2)?;
            everything.proxy("n1", "node", "n1.node.seaway")?;
            everything.proxy("mesh", "mesh", "mesh.seaway")?;
            everything.proxy("edge", "ingress", "ingress.seaway")?;
            everything.await_what_comes_later()?;
            test(&mut everything)
        })
    }

    /// Makes Services of these numbers.
    pub(crate) fn services(&self, numbers: Range<u16>) -> Result<()> {
        for number in numbers {
            let [high, low] = number.to_be_bytes();
            let name = format!("web-{number}");
            let service = ServiceManifest::new(&name).cluster_ip(&format!("10.97.{high}.{low}"));
            let slice = SliceManifest::new(&name).port("", 8080);
            let slice = slice.endpoint(&format!("10.244.{high}.{low}"));
            self.server.apply_yaml(&service.port("", 80).document())?;
            self.server.apply_yaml(&slice.document())?;
        }
        Ok(())
    }

    /// Starts an Envoy with a certificate of this name, and waits until it is served.
    pub(crate) fn proxy(&mut self, name: &str, role: &str, proof: &str) -> Result<()> {
        let folder = self.world.folder().join(format!("{name}-files"));
        let (files, leaf) = (
            Folder::new(&folder)?,
            self.clients.client(&[San::dns(proof)])?,
        );
        files.save("ca.crt", &self.servers.pem())?;
        files.save("tls.crt", &leaf.pem())?;
        files.save("tls.key", &leaf.key_pem())?;
        let file = |name: &str| folder.join(name).display().to_string();
        let mut arguments = vec![
            format!("--role={role}"),
            "--tls-server-name=localhost".to_owned(),
            format!("--tls-ca={}", file("ca.crt")),
            format!("--tls-cert={}", file("tls.crt")),
            format!("--tls-key={}", file("tls.key")),
            format!("--out={}", file("out")),
        ];
        if role == "node" {
            arguments.push(format!("--node-name={name}"));
        }
        let mut options = EnvoyOptions {
            bootstrap: arguments,
            ..EnvoyOptions::default()
        };
        bootstrap(name, &options)?;
        options.config = Some(fs::read_to_string(folder.join("out/envoy.yaml"))?);
        self.world.start_envoy(name, &options).map(drop)
    }

    /// What `serve` says.
    pub(crate) fn serve(&self) -> Result<Exposition> {
        Exposition::read(&self.scrape(ADMIN, OPENMETRICS)?.1)
    }

    /// How metrics are answered to this `Accept`: the type of the content, and the content.
    pub(crate) fn scrape(&self, address: &str, accept: &str) -> Result<(String, String)> {
        let mut connection = Connection::open(self.world.fabric(), address.parse()?, false)?;
        let reply = connection.ask(&Ask::get(address, "/metrics").header("accept", accept))?;
        ensure!(reply.status == 200, "{reply:?}");
        let kind = reply.header("content-type").context("no type")?;
        Ok((kind, reply.body))
    }

    /// What `serve` and `drain` say, together.
    pub(crate) fn all(&self) -> Result<Exposition> {
        let drain = within(PATIENCE, "the metrics of drain", || {
            Ok(self.scrape(DRAIN, OPENMETRICS)?.1)
        })?;
        let mut all = self.serve()?;
        all.merge(Exposition::read(&drain)?);
        Ok(all)
    }

    /// Waits for what is said some time after the start: when the first proof of a proxy ends, what
    /// the first probe of each watch has found, and of peers that there are none.
    fn await_what_comes_later(&self) -> Result<()> {
        within(PATIENCE, "all metrics", || {
            let all = self.serve()?;
            let count = |metric| all.of(metric).map_or(0, BTreeSet::len);
            let watches = count("seaway_watch_age_seconds");
            let probed = count("seaway_watch_lag_versions");
            ensure!(probed == watches, "{probed} of {watches} watches");
            for later in [
                "seaway_xds_identity_expiry_timestamp_seconds",
                "seaway_peers",
            ] {
                ensure!(count(later) > 0, "no {later}");
            }
            Ok(())
        })
    }

    /// Waits until a metric has at least this value.
    pub(crate) fn await_at_least(&self, metric: &str, label: &str, least: f64) -> Result<()> {
        within(PATIENCE, format!("{metric} {least}"), || {
            let value = self.world.metric(metric, label)?;
            ensure!(value >= least, "{value}");
            Ok(())
        })
    }
}

/// Where the metrics of `serve` are.
pub(crate) const ADMIN: &str = "127.0.0.1:18001";
/// The `Accept` of a collector that knows OpenMetrics.
pub(crate) const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";

impl Drop for Everything<'_> {
    fn drop(&mut self) {
        // Where it has ended already there is nothing to kill.
        let _ = self.drain.kill();
        let _ = self.drain.wait();
    }
}

/// Starts the container beside an Envoy, without the Envoy.
fn drain(world: &World) -> Result<Child> {
    let mut command = Command::new(seaway_binary()?);
    let socket = world.folder().join("none.sock");
    let socket = socket.to_str().context("a folder that is no UTF-8")?;
    command.args(["drain", "--envoy", socket, "--metrics-listen", DRAIN]);
    let log = File::create(world.folder().join("drain.log"))?;
    world.fabric().spawn(&command, log)
}
