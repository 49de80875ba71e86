//! One test's private network with everything that runs in it.

use std::env;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;

use anyhow::Result;
use tempfile::TempDir;

use crate::namespace::{has_ipv6, node_address};
use crate::seaway::XDS;
use crate::{Backend, Dns, Envoy, EnvoyOptions, Folder, Namespace, Network, Relay, Seaway};

/// The port that backends listen on unless told otherwise.
const BACKEND_PORT: u16 = 8080;
/// The port of a relay, beside Seaway's own.
const RELAY_PORT: u16 = 18100;
/// Where a mesh Envoy listens, in its own namespace.
pub const MESH: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 15001);

/// Says that the running test is skipped, and why: straight to the terminal, because the test
/// harness would swallow what a passing test prints.
pub fn skip(why: &str) -> Result<()> {
    tell(&format!("skipped: {why}"))
}

/// A line about the running test, straight to the terminal.
pub(crate) fn tell(what: &str) -> Result<()> {
    let name = thread::current().name().unwrap_or("test").to_owned();
    Ok(writeln!(io::stderr(), "{name}: {what}")?)
}

/// Fields are dropped from top to bottom: processes before the namespaces that they live in.
#[derive(Debug)]
pub struct World {
    envoys: Vec<Arc<Envoy>>,
    /// More than one where a test wants replicas.
    pub(crate) seaways: Vec<Seaway>,
    pub(crate) network: Network,
    manifests: Folder,
    folder: TempDir,
    nodes: u8,
    /// The filter of the log of Seaways to come.
    pub(crate) log_filter: Option<String>,
}

impl World {
    /// Makes an empty world, runs `test` in it, and fails also when Seaway or an Envoy died or an
    /// Envoy rejected anything.
    ///
    /// Where namespaces are not allowed the test is skipped, visibly, unless
    /// `SEAWAY_REQUIRE_NAMESPACES` is set.
    pub fn run(test: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let network = match Network::create() {
            Ok(network) => network,
            Err(error) if env::var_os("SEAWAY_REQUIRE_NAMESPACES").is_none() => {
                return skip(&format!(
                    "needs network namespaces, run `make test` ({error:#})"
                ));
            }
            Err(error) => return Err(error.context("no network namespaces")),
        };
        let mut world = Self::new(network)?;
        let result = test(&mut world).and_then(|()| world.check());
        if result.is_err() {
            world.keep_logs();
        }
        result
    }

    /// An empty world.
    pub fn create() -> Result<Self> {
        Self::new(Network::create()?)
    }

    fn new(network: Network) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("seaway-world-").tempdir()?;
        let manifests = Folder::new(folder.path().join("manifests"))?;
        Ok(Self {
            envoys: Vec::new(),
            seaways: Vec::new(),
            network,
            manifests,
            folder,
            nodes: 0,
            log_filter: None,
        })
    }

    /// What a Seaway that is started from now on logs: `trace`.
    pub fn log_at(&mut self, filter: &str) {
        self.log_filter = Some(filter.to_owned());
    }

    /// The folder that Seaway watches.
    pub fn manifests(&self) -> &Folder {
        &self.manifests
    }

    /// Where Seaway and all backends live; also a client outside of every node.
    pub fn fabric(&self) -> &Namespace {
        self.network.fabric()
    }

    /// The address of the node that was made as the `number`th, from 1.
    pub fn node_address(number: u8) -> Ipv4Addr {
        node_address(number)
    }

    /// Where this world keeps configurations and logs.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Starts an Envoy on a new node and waits until it is live.
    pub fn start_envoy(&mut self, name: &str, options: &EnvoyOptions) -> Result<Arc<Envoy>> {
        self.start_envoy_after(name, options, |_| Ok(()))
    }

    /// Starts an Envoy on a new node after `prepare` has done something in the node's namespace.
    pub fn start_envoy_after(
        &mut self,
        name: &str,
        options: &EnvoyOptions,
        prepare: impl FnOnce(&Namespace) -> Result<()>,
    ) -> Result<Arc<Envoy>> {
        let namespace = self.new_node(name)?;
        prepare(&namespace)?;
        self.start_envoy_in(namespace, name, options)
    }

    /// Starts an Envoy on a node that has been made, and waits until it is live.
    pub(crate) fn start_envoy_in(
        &mut self,
        namespace: Namespace,
        name: &str,
        options: &EnvoyOptions,
    ) -> Result<Arc<Envoy>> {
        let envoy = Arc::new(Envoy::start(namespace, name, options, self.folder.path())?);
        self.envoys.push(envoy.clone());
        Ok(envoy)
    }

    /// Starts an Envoy of role `node` in a zone.
    pub fn start_node(&mut self, name: &str, zone: &str) -> Result<Arc<Envoy>> {
        self.start_envoy(name, &Self::node_options(name, zone))
    }

    /// What makes an Envoy the one of a node in a zone.
    pub fn node_options(name: &str, zone: &str) -> EnvoyOptions {
        let bootstrap = ["--role", "node", "--node-name", name, "--zone", zone];
        EnvoyOptions {
            bootstrap: bootstrap.map(str::to_owned).to_vec(),
            drain_seconds: Some(3),
            ..EnvoyOptions::default()
        }
    }

    /// What makes an Envoy a mesh proxy, with more flags of its bootstrap. It listens at [`MESH`].
    ///
    /// [`MESH`]: crate::MESH
    pub fn mesh_options(more: &[&str]) -> EnvoyOptions {
        let bootstrap = ["--role", "mesh"].iter().chain(more);
        EnvoyOptions {
            bootstrap: bootstrap.map(|&word| word.to_owned()).collect(),
            ..EnvoyOptions::default()
        }
    }

    /// Makes the namespace of a new node without anything in it.
    pub fn new_node(&mut self, name: &str) -> Result<Namespace> {
        self.nodes += 1;
        self.network.node(name, self.nodes)
    }

    /// The namespaces, to make more of them.
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// Starts a backend on a pod address, port 8080.
    pub fn backend(&self, name: &str, address: &str) -> Result<Backend> {
        let address: IpAddr = address.parse()?;
        self.backend_at(name, &SocketAddr::new(address, BACKEND_PORT).to_string())
    }

    /// Starts a backend on a pod address and port.
    pub fn backend_at(&self, name: &str, address: &str) -> Result<Backend> {
        let address: SocketAddr = address.parse()?;
        if let IpAddr::V6(ip) = address.ip() {
            // IPv6 binds only what is assigned, whatever is routed here.
            self.fabric()
                .configure(&format!("addr replace {ip}/128 dev lo nodad\n"))?;
        }
        Backend::start(self.fabric(), name, address)
    }

    /// [`World::backend_at`], for one that answers with the request as it got it.
    pub fn echo_at(&self, name: &str, address: &str) -> Result<Backend> {
        Backend::echoing(self.fabric(), name, address.parse()?)
    }

    /// Whether this machine has IPv6; tests of it ask first.
    pub fn has_ipv6() -> bool {
        has_ipv6()
    }

    /// Starts a name server where Envoys with [`World::resolver`] ask.
    pub fn dns(&self) -> Result<Dns> {
        Dns::start(
            self.fabric(),
            SocketAddr::from((crate::namespace::FABRIC, 53)),
        )
    }

    /// Starts a relay to Seaway, which need not run yet.
    pub fn relay(&self) -> Result<Relay> {
        let address = SocketAddr::from((crate::namespace::FABRIC, RELAY_PORT));
        Relay::start(self.fabric(), address, XDS)
    }

    /// An overlay for an Envoy's bootstrap that makes it ask the world's name server.
    pub fn resolver() -> String {
        format!(
            r#"typed_dns_resolver_config:
  name: envoy.network.dns_resolver.cares
  typed_config:
    "@type": type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig
    resolvers: [{{socket_address: {{address: {}, port_value: 53}}}}]
    dns_resolver_options: {{no_default_search_domain: true}}
"#,
            crate::namespace::FABRIC
        )
    }

    /// Fails when an Envoy is gone or has rejected an update, or when Seaway has panicked.
    pub fn check(&self) -> Result<()> {
        for envoy in &self.envoys {
            envoy.check_nothing_rejected()?;
        }
        for log in self.seaways.iter().map(Seaway::log) {
            anyhow::ensure!(!log.contains("panicked at"), "Seaway panicked:\n{log}");
        }
        Ok(())
    }

    /// Forgets an Envoy that is expected to have rejected something: the final check leaves it out.
    pub fn excuse(&mut self, envoy: &Arc<Envoy>) {
        self.envoys.retain(|known| !Arc::ptr_eq(known, envoy));
    }

    /// Leaves configurations and logs on disk and says where.
    fn keep_logs(&mut self) {
        self.folder.disable_cleanup(true);
        let _ = writeln!(
            io::stderr(),
            "logs and configurations are kept in {}",
            self.folder.path().display()
        );
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if thread::panicking() {
            self.keep_logs();
        }
    }
}
