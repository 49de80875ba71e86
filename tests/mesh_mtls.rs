//! mTLS between the mesh proxies of a client and of a server: who is served, whom a client
//! believes, and certificates that are replaced under load.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::certs::Ca;
use seaway_testing::{
    Backend, Client, Envoy, Load, MESH, Namespace, Outcome, Record, ServiceManifest, SliceManifest,
    Volume, World, eventually, join,
};

/// Where mesh proxies take mTLS.
const INBOUND: u16 = 15008;
/// How often certificates are replaced.
const ROUNDS: usize = 100;

/// A certificate of this ServiceAccount of namespace `default`, as cert-manager's driver mounts it.
fn issue(ca: &Ca, account: &str, volume: &mut Volume) -> Result<()> {
    let leaf = ca.workload("default", account)?;
    volume.set(&[
        ("tls.crt", &leaf.pem()),
        ("tls.key", &leaf.key_pem()),
        ("ca.crt", &ca.pem()),
    ])
}

/// A world with one workload, the only endpoint of the Service `web`, which listens on loopback
/// beside its proxy; and the proxies of clients.
struct Pods<'w> {
    world: &'w mut World,
    ca: Ca,
    volume: Volume,
    server: Option<(Arc<Envoy>, Backend)>,
    clients: u8,
}

impl<'w> Pods<'w> {
    /// All proxies see one folder, so that they have one certificate: it is of this ServiceAccount.
    fn start(world: &'w mut World, account: &str, arguments: &[&str]) -> Result<Self> {
        // Proxies reach each other, as pods do.
        world.fabric().forward()?;
        let ca = Ca::new("mesh")?;
        let folder = world.folder().join("certificates");
        let mut volume = Volume::new(&folder)?;
        issue(&ca, account, &mut volume)?;
        let folder = folder.to_str().context("a path in UTF-8")?.to_owned();
        let inbound = format!("0.0.0.0:{INBOUND}");
        let mtls = ["--mesh-inbound", &inbound, "--mesh-certificates", &folder];
        world.start_seaway(&[&mtls, arguments].concat())?;
        Ok(Self {
            world,
            ca,
            volume,
            server: None,
            clients: 0,
        })
    }

    /// Starts the server's proxy, and the workload at this address in its network.
    fn serve(&mut self, address: &str) -> Result<()> {
        let mut backend = None;
        let address: SocketAddr = address.parse()?;
        let start = |namespace: &Namespace| {
            backend = Some(Backend::start(namespace, "web-1", address)?);
            Ok(())
        };
        let flags = ["--mesh-tls", "--pod-namespace", "default"];
        let options = World::mesh_options(&flags);
        let envoy = self.world.start_envoy_after("server", &options, start)?;
        self.server = Some((envoy, backend.context("it was started")?));
        Ok(())
    }

    /// The proxy of a client, with a certificate or without.
    fn client(&mut self, has_certificate: bool) -> Result<Arc<Envoy>> {
        self.clients += 1;
        let mut flags = vec!["--pod-namespace", "clients"];
        flags.extend(has_certificate.then_some("--mesh-tls"));
        let name = format!("client-{}", self.clients);
        self.world.start_envoy(&name, &World::mesh_options(&flags))
    }

    /// Publishes the Service, and its Namespace with this mode.
    fn publish(&self, mode: Option<&str>, accounts: Option<&str>) -> Result<()> {
        let service = ServiceManifest::new("web").cluster_ip("10.96.0.10");
        let service = service.port("http", 80);
        let service = accounts.iter().fold(service, |service, accounts| {
            service.annotation("seaway.dev/service-accounts", accounts)
        });
        let slice = SliceManifest::new("web").port("http", 8080);
        let slice = slice.endpoint(&World::node_address(1).to_string());
        let mut all = vec![service.document(), slice.document()];
        all.extend(mode.map(namespace));
        self.world.manifests().save("web.yaml", &join(all))?;
        Ok(())
    }

    /// How many bytes the workload has answered by mTLS.
    fn tunnelled(&self) -> Result<u64> {
        let (server, _) = self.server.as_ref().context("the server runs")?;
        let stats = server.stats()?;
        let answered = stats.get("cluster.inbound_8080.upstream_cx_rx_bytes_total");
        Ok(answered.copied().unwrap_or_default())
    }
}

fn namespace(mode: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: default\n  annotations:\n    seaway.dev/mtls: {mode}\n"
    )
}

fn by_name() -> Client {
    Client::new(MESH).host("web.default")
}

fn is_served(outcome: &Outcome) -> bool {
    outcome.backend() == Some("web-1")
}

fn is_unavailable(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Answered(answer) if answer.status == 503)
}

/// A strict Namespace is reached by mTLS alone: the workload listens on loopback, a proxy without a
/// certificate is given no endpoint, and plain text at the port of mTLS is closed.
#[test]
fn a_plain_client_is_refused_in_a_strict_namespace() -> Result<()> {
    World::run(|world| {
        let mut pods = Pods::start(world, "web", &["--capture", "bind"])?;
        pods.publish(Some("strict"), None)?;
        pods.serve("127.0.0.1:8080")?;
        let (with, without) = (pods.client(true)?, pods.client(false)?);
        with.await_outcome(&by_name(), "the workload", is_served)?;
        // Connections to the address of the Service go the same way.
        with.await_backend("10.96.0.10:80", "web-1")?;
        ensure!(pods.tunnelled()? > 0, "not by mTLS");
        without.await_outcome(&by_name(), "503", is_unavailable)?;
        let pod = World::node_address(1);
        for port in [INBOUND, 8080] {
            let plain = Client::new(SocketAddr::from((pod, port)));
            let outcome = without.send(&plain)?;
            ensure!(!matches!(outcome, Outcome::Answered(_)), "{outcome}");
        }
        // What was strict is permissive: the endpoints are there again, plain.
        pods.publish(Some("permissive"), None)?;
        without.await_outcome(&by_name(), "the port of the pod, refused", |outcome| {
            is_unavailable(outcome) && !outcome.to_string().contains("no healthy upstream")
        })?;
        Ok(())
    })
}

/// In a permissive Namespace a proxy with a certificate speaks mTLS, and one without plain text.
#[test]
fn a_plain_client_is_served_in_a_permissive_namespace() -> Result<()> {
    World::run(|world| {
        let mut pods = Pods::start(world, "web", &[])?;
        pods.publish(None, None)?;
        pods.serve("0.0.0.0:8080")?;
        let (with, without) = (pods.client(true)?, pods.client(false)?);
        for client in [&with, &without] {
            client.await_outcome(&by_name(), "the workload", is_served)?;
        }
        ensure!(pods.tunnelled()? == 0, "mTLS that nobody asked for");
        // Turning to mTLS and back fails nobody.
        let load = Load::start(with.namespace(), by_name(), 100)?;
        pods.publish(Some("permissive"), None)?;
        eventually("mTLS", || {
            ensure!(pods.tunnelled()? > 0);
            Ok(())
        })?;
        let before = pods.tunnelled()?;
        let outcome = without.send(&by_name())?;
        ensure!(is_served(&outcome), "{outcome}");
        pods.publish(None, None)?;
        with.await_outcome(&by_name(), "the workload", is_served)?;
        let records = load.stop()?;
        let failures = Record::failures(&records);
        ensure!(failures.is_none(), "{failures:?}");
        ensure!(before > 0 && !records.is_empty());
        Ok(())
    })
}

/// A client believes only the ServiceAccounts of the Service: a server that shows another
/// certificate of the same authority is sent nothing.
#[test]
fn a_server_with_another_identity_is_refused() -> Result<()> {
    World::run(|world| {
        let mut pods = Pods::start(world, "mallory", &[])?;
        pods.publish(Some("strict"), Some("web, api"))?;
        pods.serve("127.0.0.1:8080")?;
        let client = pods.client(true)?;
        client.await_outcome(&by_name(), "503", is_unavailable)?;
        eventually("the certificate to be refused", || {
            let refused = client.stat("cluster.default_web_80.ssl.fail_verify_san")?;
            ensure!(refused > 0, "{refused}");
            Ok(())
        })?;
        let (_, backend) = pods.server.as_ref().context("the server runs")?;
        ensure!(backend.requests() == 0, "a request reached it");
        // Nobody is believed where no name is good.
        pods.publish(Some("strict"), Some("*"))?;
        client.await_outcome(&by_name(), "503", is_unavailable)?;
        pods.publish(Some("strict"), Some("web, mallory"))?;
        client.await_outcome(&by_name(), "the workload", is_served)?;
        Ok(())
    })
}

/// The serial numbers of the certificates that a proxy has.
fn serials(envoy: &Envoy) -> Result<String> {
    envoy.admin("/certs")
}

/// Certificates are replaced a hundred times under load, by Envoy alone: no request fails, every
/// certificate is taken up, and connections are made with it.
#[test]
fn certificates_are_replaced_under_load() -> Result<()> {
    World::run(|world| {
        let mut pods = Pods::start(world, "web", &["--capture", "bind"])?;
        pods.publish(Some("strict"), Some("web"))?;
        pods.serve("127.0.0.1:8080")?;
        let client = pods.client(true)?;
        client.await_outcome(&by_name(), "the workload", is_served)?;
        client.await_backend("10.96.0.10:80", "web-1")?;
        let handshakes = || client.stat("cluster.default_web_80.ssl.handshake");
        let loads = [
            // Each of its connections is one to the endpoint.
            client.load("10.96.0.10:80", 100)?,
            Load::start(client.namespace(), by_name(), 50)?,
            Load::keep_alive(client.namespace(), by_name(), Duration::from_millis(5))?,
        ];
        let server = pods.server.as_ref().context("the server runs")?.0.clone();
        for _ in 0..ROUNDS {
            let before = [serials(&client)?, serials(&server)?];
            issue(&pods.ca, "web", &mut pods.volume)?;
            eventually("the new certificate", || {
                let now = [serials(&client)?, serials(&server)?];
                let is_new = before.iter().zip(&now).all(|(before, now)| before != now);
                ensure!(is_new, "the old one is in use");
                Ok(())
            })?;
            let made = handshakes()?;
            eventually("new connections", || {
                ensure!(handshakes()? > made + 1, "none");
                Ok(())
            })?;
        }
        for load in loads {
            let records = load.stop()?;
            let failures = Record::failures(&records);
            ensure!(failures.is_none(), "{failures:?}");
            ensure!(records.len() > ROUNDS, "only {}", records.len());
        }
        Ok(())
    })
}
