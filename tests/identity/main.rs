//! Who is let in: the real binary with certificates and tokens, and clients that show what they
//! have or do not have (xDS rule 216).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_proto::TypeUrl;
use seaway_proto::envoy::core::Node;
use seaway_proto::google::protobuf::{Struct, Value, value::Kind};
use seaway_testing::certs::{Ca, Leaf, San};
use seaway_testing::{
    ApiServer, Grants, Issuer, ServiceManifest, SliceManifest, TokenClaims, Volume, World, join,
    node,
};
use tokio::runtime::Runtime;

mod call;
mod commands;
mod envoys;
mod inspection;
mod peers;
mod permissions;
mod rotation;
mod rpcs;

use call::{Method, Shows};

const HOUR: Duration = Duration::from_secs(3600);

/// The audience of good tokens.
const AUDIENCE: &str = "seaway";

/// The delta method of the aggregated service.
const DELTA: Method = Method {
    path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
    url: TypeUrl::ENDPOINT,
};

/// What exists of each type for a proxy of role `node` on n1.
const NAMES: [(TypeUrl, &str); 4] = [
    (TypeUrl::CLUSTER, "default/web/80"),
    (TypeUrl::ENDPOINT, "default/web/80"),
    (TypeUrl::LISTENER, "default/web/80@clusterip:10.96.0.10:80"),
    (TypeUrl::ROUTE, "healthz"),
];

/// A cluster with a Seaway that asks for proofs, and those who give them.
struct Secured {
    server: Arc<ApiServer>,
    issuer: Issuer,
    /// The authority of the server's certificate.
    ca: Ca,
    /// The authority of clients.
    clients: Ca,
    /// What Seaway is told to read them from.
    mounted: Volume,
}

/// Who may be what.
const RULES: [&str; 4] = [
    "node=serviceaccount:seaway/seaway-node",
    "node=dns:{node}.node.seaway",
    "ingress=serviceaccount:seaway/seaway-ingress",
    "ingress=dns:{node}.ingress.seaway",
];

impl Secured {
    /// Seaway on a cluster with one Service, which takes certificates and tokens.
    fn run(more: &[&str], test: impl FnOnce(&mut World, &mut Secured) -> Result<()>) -> Result<()> {
        World::run(|world| {
            let server = world.api_server()?;
            server.apply_yaml(&join([node("n1", "a"), node("n2", "b")]))?;
            let web = ServiceManifest::new("web").cluster_ip("10.96.0.10");
            server.apply_yaml(&web.port("", 80).document())?;
            let slice = SliceManifest::new("web").port("", 8080);
            server.apply_yaml(&slice.endpoint("10.244.1.10").document())?;
            let mut secured = Secured {
                issuer: server.issuer(),
                server: Arc::new(server),
                ca: Ca::new("servers")?,
                clients: Ca::new("clients")?,
                mounted: Volume::new(world.folder().join("certs"))?,
            };
            secured.server.authorize(&Grants::of_seaway()?);
            let (leaf, clients) = (secured.ca.server(&["localhost"])?, secured.clients.pem());
            secured.mount(&leaf, &clients)?;
            secured.start(world, more)?;
            test(world, &mut secured)
        })
    }

    /// Starts one more Seaway like that; returns its number.
    fn start(&self, world: &mut World, more: &[&str]) -> Result<usize> {
        let mut arguments = certificates(|file| self.mounted.file(file));
        arguments.extend(["--token-audience", AUDIENCE].map(str::to_owned));
        for rule in RULES {
            arguments.extend(["--allow-proxy", rule].map(str::to_owned));
        }
        arguments.extend(more.iter().map(|more| (*more).to_owned()));
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        world.start_seaway_on(&*self.server, &arguments)
    }

    /// Puts these in the place of what is there, all at once.
    fn mount(&mut self, server: &Leaf, clients: &str) -> Result<()> {
        let (cert, key) = (server.pem(), server.key_pem());
        self.mounted
            .set(&[("tls.crt", &cert), ("tls.key", &key), ("ca.crt", clients)])
    }

    /// The only endpoint of the Service is another one.
    fn lead_to(&self, address: &str) -> Result<()> {
        self.server
            .edit("endpointslices", "default", "web-1", |slice| {
                slice["endpoints"][0]["addresses"][0] = address.into();
            })
    }

    /// Somebody who verifies the server, and proves nothing.
    fn nobody(&self) -> Shows {
        Shows {
            trusts: self.ca.pem(),
            ..Shows::default()
        }
    }

    fn certificate(&self, name: &str) -> Result<Leaf> {
        self.clients.client(&[San::dns(name)])
    }

    /// A token of a pod of this account on a node.
    fn token(&self, account: &str, node: &str) -> String {
        let pod = format!("{account}-{node}");
        let claims = TokenClaims::new("seaway", account, AUDIENCE).pod(&pod, node);
        self.issuer.issue(&claims)
    }
}

/// The flags of a Seaway with these files.
fn certificates(path: impl Fn(&str) -> PathBuf) -> Vec<String> {
    let flags = [
        ("--tls-cert", "tls.crt"),
        ("--tls-key", "tls.key"),
        ("--client-ca", "ca.crt"),
    ];
    let of = |(flag, file): (&str, &str)| [flag.to_owned(), path(file).display().to_string()];
    flags.into_iter().flat_map(of).collect()
}

/// What a proxy says of itself.
fn claims(role: &str, name: &str) -> Node {
    claiming(role, &[("node_name", name)])
}

/// A proxy of a role that says more of itself.
fn claiming(role: &str, more: &[(&str, &str)]) -> Node {
    let text = |text: &str| Value {
        kind: Some(Kind::StringValue(text.to_owned())),
    };
    let object = |fields: Vec<(&str, Value)>| Struct {
        fields: fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    };
    let more = more.iter().map(|(name, value)| (*name, text(value)));
    let seaway = object([("role", text(role))].into_iter().chain(more).collect());
    let seaway = Value {
        kind: Some(Kind::StructValue(seaway)),
    };
    Node {
        id: format!("{role}-1"),
        user_agent_name: "envoy".to_owned(),
        metadata: Some(object(vec![("seaway", seaway)])),
        ..Node::default()
    }
}

/// What exists of this type.
fn name(url: TypeUrl) -> &'static str {
    let found = NAMES.iter().find(|(of, _)| *of == url);
    found.map_or("nobody", |(_, name)| name)
}

/// Runs an asynchronous client where Seaway is.
fn visit<T, F>(world: &World, visitor: impl FnOnce() -> F + Send + 'static) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>>,
{
    world.fabric().run(|| runtime()?.block_on(visitor()))?
}

fn runtime() -> Result<Runtime> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().context("a runtime")
}
