//! A proxy of which every byte is known: it asks for everything, takes everything, and writes down
//! what it was sent and when.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use prost::Message;
use seaway_proto::TypeUrl;
use seaway_proto::discovery::{
    AggregatedDiscoveryServiceClient, DeltaDiscoveryRequest, DeltaDiscoveryResponse,
};
use seaway_proto::envoy::core::{Node, address::Address};
use seaway_proto::envoy::endpoint::lb_endpoint::HostIdentifier;
use seaway_proto::envoy::endpoint::{ClusterLoadAssignment, LbEndpoint};
use seaway_testing::{Namespace, World, within};
use tokio::runtime;
use tokio::sync::{mpsc, oneshot};
use tonic::Status;

/// What is asked for, in Envoy's order.
const TYPES: [TypeUrl; 5] = [
    TypeUrl::CLUSTER,
    TypeUrl::ENDPOINT,
    TypeUrl::LISTENER,
    TypeUrl::ROUTE,
    TypeUrl::SCOPED_ROUTE,
];

/// A secret that does not exist: asked for last.
const NOBODY: &str = "nobody";

/// Version and bytes, by type and name.
pub(crate) type Resources = BTreeMap<(String, String), (String, Vec<u8>)>;

/// One response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) at: Instant,
    /// `+name` and `-name`, in order.
    pub(crate) what: Vec<String>,
}

#[derive(Debug, Default)]
struct State {
    held: Resources,
    deliveries: Vec<Delivery>,
    /// It has been told that [`NOBODY`] does not exist: everything that it asked for before has
    /// been looked at.
    answered: bool,
    ended: Option<Status>,
}

/// A connected proxy. The connection ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    state: Arc<Mutex<State>>,
    _stop: oneshot::Sender<()>,
}

impl Proxy {
    /// Connects to a replica as a proxy of a role, and returns at once.
    pub(crate) fn connect(world: &World, replica: usize, role: &str) -> Result<Self> {
        let address = world.replica(replica)?.address();
        Self::connect_to(world.fabric(), address, role, Resources::new())
    }

    /// Connects to a replica with what it held before, until its last question is answered; how
    /// many resources came.
    pub(crate) fn resume(
        world: &World,
        replica: usize,
        role: &str,
        held: &Resources,
    ) -> Result<usize> {
        let address = world.replica(replica)?.address();
        let proxy = Self::connect_to(world.fabric(), address, role, held.clone())?;
        within(Duration::from_secs(5), "an answer", || {
            let state = lock(&proxy.state);
            ensure!(state.answered, "{:?}", state.ended);
            Ok(())
        })?;
        let sent = proxy.since(0);
        Ok(sent.iter().map(|delivery| delivery.what.len()).sum())
    }

    fn connect_to(
        namespace: &Namespace,
        address: SocketAddr,
        role: &str,
        held: Resources,
    ) -> Result<Self> {
        let state = Arc::new(Mutex::new(State {
            held,
            ..State::default()
        }));
        let (stop, stopped) = oneshot::channel();
        let (shared, cluster) = (state.clone(), format!("seaway-{role}"));
        namespace.thread("proxy", move || {
            let Ok(runtime) = runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            runtime.block_on(async {
                tokio::select! {
                    ended = follow(address, cluster, &shared) => lock(&shared).ended = ended.err(),
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { state, _stop: stop })
    }

    /// Connects to a replica that is ready, and waits until it has all that there is of so many
    /// Services.
    pub(crate) fn complete(
        world: &World,
        replica: usize,
        role: &str,
        services: usize,
    ) -> Result<Self> {
        let proxy = Self::connect(world, replica, role)?;
        // A node has a listener for each, and two for what is asked of kube-proxy: its health and
        // its mode, each with its answer. A mesh proxy has the routes of each as scopes: for all of
        // its ports, for its only one, and for its address.
        let (listeners, routes, scopes) = if role == "node" {
            (services + 2, 2, 0)
        } else {
            (1, 0, 3 * services)
        };
        let wanted = [services, services, listeners, routes, scopes];
        within(Duration::from_secs(10), "everything there is", || {
            let held = TYPES.map(|url| proxy.count(url));
            ensure!(held == wanted, "{held:?} of {wanted:?}");
            Ok(())
        })?;
        Ok(proxy)
    }

    fn count(&self, url: TypeUrl) -> usize {
        let state = lock(&self.state);
        let of_type = state.held.keys().filter(|(of, _)| of == url.as_str());
        of_type.count()
    }

    /// Everything it holds.
    pub(crate) fn held(&self) -> Resources {
        lock(&self.state).held.clone()
    }

    /// How many responses it has had.
    pub(crate) fn mark(&self) -> usize {
        lock(&self.state).deliveries.len()
    }

    /// The responses after the first so many.
    pub(crate) fn since(&self, mark: usize) -> Vec<Delivery> {
        lock(&self.state)
            .deliveries
            .get(mark..)
            .unwrap_or_default()
            .to_vec()
    }

    /// What changed in responses after the first so many: `+name`, `-name`; types of the same name
    /// are one.
    pub(crate) fn changed_since(&self, mark: usize) -> BTreeSet<String> {
        let deliveries = self.since(mark);
        deliveries
            .into_iter()
            .flat_map(|delivery| delivery.what)
            .collect()
    }

    /// The addresses of an assignment.
    pub(crate) fn endpoints(&self, name: &str) -> Result<BTreeSet<String>> {
        let key = (TypeUrl::ENDPOINT.as_str().to_owned(), name.to_owned());
        let state = lock(&self.state);
        let (_, bytes) = state.held.get(&key).with_context(|| format!("no {name}"))?;
        let assignment = ClusterLoadAssignment::decode(bytes.as_slice())?;
        let all = assignment.endpoints.iter().flat_map(|at| &at.lb_endpoints);
        all.map(|endpoint| address(endpoint).context("an endpoint without an address"))
            .collect()
    }

    /// Waits until an assignment is of these addresses; returns when it came.
    pub(crate) fn await_endpoints(
        &self,
        limit: Duration,
        name: &str,
        wanted: &[&str],
    ) -> Result<Instant> {
        let what = format!("{name} to lead to {wanted:?}");
        within(limit, what, || {
            let found = self.endpoints(name)?;
            ensure!(
                found.iter().map(String::as_str).eq(wanted.iter().copied()),
                "it leads to {found:?}"
            );
            let state = lock(&self.state);
            let last = state.deliveries.last();
            last.map(|delivery| delivery.at).context("nothing came")
        })
    }

    /// Waits until an assignment is no longer there.
    pub(crate) fn await_gone(&self, name: &str) -> Result<()> {
        within(Duration::from_secs(5), format!("{name} to go"), || {
            ensure!(self.endpoints(name).is_err(), "it is there");
            Ok(())
        })
    }

    /// Waits until the server ends the stream after it has served it.
    pub(crate) fn await_closed(&self, limit: Duration) -> Result<Status> {
        within(limit, "the stream to end", || {
            let state = lock(&self.state);
            state.ended.clone().context("the stream goes on")
        })
    }

    /// Waits until the server ends the stream, and says how.
    pub(crate) fn await_end(&self) -> Result<Status> {
        within(Duration::from_secs(5), "the stream to end", || {
            let state = lock(&self.state);
            ensure!(state.held.is_empty(), "it was served");
            state.ended.clone().context("the stream goes on")
        })
    }
}

fn address(endpoint: &LbEndpoint) -> Option<String> {
    let HostIdentifier::Endpoint(endpoint) = endpoint.host_identifier.as_ref()? else {
        return None;
    };
    match endpoint.address.as_ref()?.address.as_ref()? {
        Address::SocketAddress(at) => Some(at.address.clone()),
        _ => None,
    }
}

/// What a proxy that comes back says it has.
fn versions(held: &Resources, url: TypeUrl) -> HashMap<String, String> {
    let of_type = held.iter().filter(|((of, _), _)| of == url.as_str());
    of_type
        .map(|((_, name), (version, _))| (name.clone(), version.clone()))
        .collect()
}

async fn follow(address: SocketAddr, cluster: String, state: &Mutex<State>) -> Result<(), Status> {
    let uri = format!("http://{address}");
    let client = AggregatedDiscoveryServiceClient::connect(uri).await;
    let mut client = client.map_err(|error| Status::internal(format!("no connection: {error}")))?;
    let (requests, mut received) = mpsc::unbounded_channel();
    let mut node = Some(Node {
        id: "raw".to_owned(),
        cluster,
        ..Node::default()
    });
    for url in TYPES {
        let _ = requests.send(DeltaDiscoveryRequest {
            node: node.take(),
            type_url: url.as_str().to_owned(),
            resource_names_subscribe: vec!["*".to_owned()],
            initial_resource_versions: versions(&lock(state).held, url),
            ..DeltaDiscoveryRequest::default()
        });
    }
    let _ = requests.send(DeltaDiscoveryRequest {
        type_url: TypeUrl::SECRET.as_str().to_owned(),
        resource_names_subscribe: vec![NOBODY.to_owned()],
        ..DeltaDiscoveryRequest::default()
    });
    let outbound = futures::stream::poll_fn(move |context| received.poll_recv(context));
    let responses = client.delta_aggregated_resources(outbound).await?;
    let mut responses = responses.into_inner();
    while let Some(response) = responses.message().await? {
        let _ = requests.send(DeltaDiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce.clone(),
            ..DeltaDiscoveryRequest::default()
        });
        take(&mut lock(state), response);
    }
    Err(Status::unavailable("the stream ended"))
}

fn take(state: &mut State, response: DeltaDiscoveryResponse) {
    let url = response.type_url;
    if url == TypeUrl::SECRET.as_str() {
        state.answered = true;
        return;
    }
    let mut what = Vec::new();
    for resource in response.resources {
        what.push(format!("+{}", resource.name));
        let bytes = resource.resource.map(|any| any.value).unwrap_or_default();
        let value = (resource.version, bytes);
        state.held.insert((url.clone(), resource.name), value);
    }
    for name in response.removed_resources {
        what.push(format!("-{name}"));
        state.held.remove(&(url.clone(), name));
    }
    let at = Instant::now();
    state.deliveries.push(Delivery { at, what });
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
