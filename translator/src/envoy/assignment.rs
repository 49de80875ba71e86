//! Assignments: the chosen endpoints as a ClusterLoadAssignment that both Envoy and gRPC take.

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use seaway_proto::envoy::core::{HealthStatus, Locality, Metadata};
use seaway_proto::envoy::endpoint::cluster_load_assignment::Policy;
use seaway_proto::envoy::endpoint::lb_endpoint::HostIdentifier;
use seaway_proto::envoy::endpoint::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
};
use seaway_proto::google::protobuf::value::Kind;
use seaway_proto::google::protobuf::{Struct, Value};
use seaway_proto::{Resource, TypeUrl};

use super::mtls::server_name;
use super::{number, tcp_socket};
use crate::model::Condition;
use crate::place::choose::{Priorities, is_fallback};
use crate::place::endpoints::Candidate;

/// The overprovisioning factor of assignments, above 100 times any number of hosts: one healthy
/// host keeps a priority at full health, so that nothing spills into the next while any is left
/// (Service rule 83).
const OVERPROVISIONING_FACTOR: u32 = 1_000_000;

/// The key of the metadata with the name of an endpoint's pod.
pub(crate) const HOSTNAME: &str = "hostname";

/// The assignment of a cluster. It exists without endpoints, too: leaving it out would keep old
/// hosts alive (Service rule 80).
pub(crate) fn resource(name: &Arc<str>, inputs: &Inputs<'_>) -> Resource {
    let Inputs {
        candidates,
        priorities,
        pods,
        tunnel,
    } = *inputs;
    // Beside ready ones, an endpoint that terminates keeps its flows and gets no more (Service rule
    // 105).
    let fallback = is_fallback(candidates, priorities);
    let groups = (0..).zip(priorities);
    let message = ClusterLoadAssignment {
        cluster_name: name.to_string(),
        endpoints: groups
            .flat_map(|(priority, chosen)| {
                localities(priority, chosen, candidates, (fallback, pods, tunnel))
            })
            .collect(),
        policy: Some(Policy {
            overprovisioning_factor: Some(number(OVERPROVISIONING_FACTOR)),
            ..Default::default()
        }),
        ..Default::default()
    };
    Resource::new(TypeUrl::ENDPOINT, name.clone(), &message, Vec::new())
}

/// The inputs of an assignment besides its name, to be hashed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inputs<'a> {
    /// The endpoints of the Service port.
    pub(crate) candidates: &'a [Candidate<'a>],
    /// The positions of the chosen endpoints, by priority.
    pub(crate) priorities: &'a Priorities,
    /// Whether endpoints are chosen by the names of their pods.
    pub(crate) pods: bool,
    /// The port at which the proxies of the endpoints take mTLS, if that is what is spoken to them.
    pub(crate) tunnel: Option<u16>,
}

impl Hash for Inputs<'_> {
    fn hash<H: Hasher>(&self, to: &mut H) {
        self.tunnel.hash(to);
        for chosen in self.priorities {
            to.write_usize(chosen.len());
            for candidate in chosen.iter().map(|i| &self.candidates[*i]) {
                let (address, endpoint) = (candidate.address, candidate.endpoint);
                let region = candidate.region;
                let name = endpoint.hostname.as_ref().filter(|_| self.pods);
                (address, endpoint.condition, &endpoint.zone, region, name).hash(to);
            }
        }
    }
}

/// The endpoints of a priority, grouped by locality (xDS rule 188), the locality always present
/// (rule 226) and weighted by its endpoints, which keeps the load even per endpoint wherever
/// weights are heeded (Service rules 88, 89).
fn localities(
    priority: u32,
    chosen: &[usize],
    candidates: &[Candidate<'_>],
    of_all: (bool, bool, Option<u16>),
) -> Vec<LocalityLbEndpoints> {
    let mut groups: BTreeMap<(&str, &str), Vec<LbEndpoint>> = BTreeMap::new();
    for candidate in chosen.iter().map(|i| &candidates[*i]) {
        let locality = (
            candidate.region.unwrap_or_default(),
            candidate.endpoint.zone.as_deref().unwrap_or_default(),
        );
        groups
            .entry(locality)
            .or_default()
            .push(lb_endpoint(candidate, of_all));
    }
    let group =
        |((region, zone), endpoints): ((&str, &str), Vec<LbEndpoint>)| LocalityLbEndpoints {
            locality: Some(Locality {
                region: region.to_owned(),
                zone: zone.to_owned(),
                sub_zone: String::new(),
            }),
            load_balancing_weight: u32::try_from(endpoints.len()).ok().map(number),
            lb_endpoints: endpoints,
            priority,
            ..Default::default()
        };
    groups.into_iter().map(group).collect()
}

/// One endpoint with its health status. A degraded one gets no new flow while anything healthy is
/// left, and keeps the flows it has. Draining would not do: Envoy moves the flows of endpoints that
/// it takes for unhealthy.
fn lb_endpoint(
    candidate: &Candidate<'_>,
    (fallback, pods, tunnel): (bool, bool, Option<u16>),
) -> LbEndpoint {
    let leaving = !fallback && candidate.endpoint.condition == Condition::ServingTerminating;
    let health_status = if leaving {
        HealthStatus::Degraded
    } else {
        HealthStatus::Unknown
    };
    let name = candidate.endpoint.hostname.as_deref().filter(|_| pods);
    let address = candidate.address;
    let endpoint = match tunnel {
        None => Endpoint {
            address: Some(tcp_socket(address)),
            ..Default::default()
        },
        // The name is what Envoy sends as SNI: the port that is meant.
        Some(port) => Endpoint {
            address: Some(tcp_socket(SocketAddr::new(address.ip(), port))),
            hostname: server_name(address.port()),
            ..Default::default()
        },
    };
    LbEndpoint {
        host_identifier: Some(HostIdentifier::Endpoint(endpoint)),
        health_status: health_status as i32,
        metadata: name.map(named),
        ..Default::default()
    }
}

/// The metadata by which the endpoint of a pod of this name is chosen.
fn named(name: &str) -> Metadata {
    let value = Value {
        kind: Some(Kind::StringValue(name.to_owned())),
    };
    let fields = HashMap::from([(HOSTNAME.to_owned(), value)]);
    Metadata {
        filter_metadata: HashMap::from([("envoy.lb".to_owned(), Struct { fields })]),
        ..Default::default()
    }
}
