//! [`Answer`]: what becomes of a connection or a request, as values. It is what the command line
//! prints and what others ask for as JSON, so its names are public API.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::summary::Served;
use crate::place::choose::Decider;
use crate::{Origin, Problem, View};

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The question, as it can be asked again.
    pub asked: String,
    /// Who sees it so, in words: `node n1 (zone a)`.
    pub seen_by: String,
    /// Whether all that was asked for is served.
    pub served: Served,
    /// One section for each port, and each set of endpoints behind it; of a request or an object
    /// the first is about itself.
    pub sections: Vec<Section>,
    /// What is wrong with the objects that led there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// What to look at next, as commands; only where something is not served.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub next: Vec<String>,
    /// Where to look for the proxies that have it: for whoever publishes, and not for programs.
    #[serde(skip)]
    pub basis: Basis,
}

/// Which proxies an answer is about, and what of their resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Basis {
    /// The proxy that was asked about.
    pub view: Option<View>,
    /// What the resources are made of that decide, besides those that the sections name.
    pub origins: BTreeSet<Origin>,
}

/// A part of an answer with a verdict of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// What it is about, in words: `shop/web port http 80/TCP, as node n1 (zone a) sees it`.
    pub title: String,
    /// The Service port, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<PortFacts>,
    /// The addresses at which it is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<AddressFact>,
    /// What decided, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
    /// Every endpoint of every EndpointSlice of the Service, once, in the order of the slices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<EndpointRow>,
    /// Whether what it is about is served.
    pub served: Served,
    /// What becomes of a connection or a request, in sentences.
    pub verdict: Vec<String>,
}

/// A port of a Service, and the set of endpoints behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortFacts {
    /// The Service: `shop/web`.
    pub service: String,
    /// The name of the port; empty for one without.
    pub name: Arc<str>,
    /// Its number.
    pub number: u16,
    /// Its protocol: `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// The traffic policy that chose the set of endpoints: `Cluster` or `Local`.
    pub policy: String,
    /// The names of the clusters of the set, one for each IP family.
    pub clusters: Vec<String>,
}

/// One address of a Service port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressFact {
    /// The address and the port. That of a node port is the wildcard address of its family.
    pub address: SocketAddr,
    /// The kind of address: `clusterip`, `lb`, `externalip`, `nodeport`.
    pub kind: String,
    /// The field of the Service that asks for it.
    pub field: String,
    /// The name of the listener that the proxy has for it; without one it is not served there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// The Service that has the address instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<String>,
    /// What is to say of it, in words.
    pub text: String,
}

/// Something that decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// What it is about, in a word: `policy`, `topology`, `endpoints`.
    pub label: String,
    /// What was decided, in words.
    pub text: String,
    /// The field that decided, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// One endpoint of an EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointRow {
    /// The name of its EndpointSlice.
    pub slice: Arc<str>,
    /// Its position in the slice's `endpoints`.
    pub index: u32,
    /// Its IP address.
    pub ip: IpAddr,
    /// At which address and port it would be connected to. None where the slice has no such port,
    /// hardly ever more than one.
    pub addresses: Vec<SocketAddr>,
    /// The Node on which it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Arc<str>>,
    /// The zone in which it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Arc<str>>,
    /// Its condition, in words: `ready`, `terminating, serving`, `not ready`.
    pub state: String,
    /// Whether it is taken.
    pub taken: Taken,
    /// Its priority in the assignment of its cluster; `None`: it is not in there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<usize>,
    /// The field of the endpoint, or of its slice, that decided.
    pub field: String,
    /// Why it is taken or not, in words.
    pub because: String,
}

/// Whether an endpoint is taken for new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Taken {
    /// It gets new connections.
    Yes,
    /// It gets them when all before it are out of reach.
    StandBy,
    /// It keeps the flows that it has, and gets no new ones.
    OldFlows,
    /// It gets those of clients on its own node, of which the proxy asked is not known to be one.
    Local,
    /// It gets nothing.
    No,
}

impl Taken {
    /// The word as it is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Taken::Yes => "yes",
            Taken::StandBy => "stand-by",
            Taken::OldFlows => "old flows",
            Taken::Local => "local",
            Taken::No => "no",
        }
    }
}

/// The verdict on one endpoint at one port; of several the least counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// It is a candidate, and this field decided.
    Candidate(Decider),
    /// Another entry for the same address and port takes precedence.
    Shadowed,
    /// Its address is one of a Service, where a proxy would be met again.
    IsService,
    /// Its address is of a class that endpoints may not have.
    Refused(crate::policy::endpoint_addresses::RefusedAddress),
    /// The slice has no port with the name and protocol of the Service port.
    NoPort,
    /// The Service port has no cluster for endpoints of this family.
    NoFamily,
    /// The slice is that of a headless Service, and the Service has a cluster IP.
    HeadlessSlice,
    /// The Service is of type ExternalName and uses no endpoints.
    ExternalName,
}

impl Verdict {
    /// The field that decided, of the endpoint or else of its slice.
    pub(super) const fn field(self) -> &'static str {
        match self {
            Verdict::Candidate(by) => by.field(),
            Verdict::Shadowed | Verdict::IsService | Verdict::Refused(_) | Verdict::NoFamily => {
                "addresses[0]"
            }
            Verdict::NoPort => "ports",
            Verdict::HeadlessSlice => "metadata.labels[service.kubernetes.io/headless]",
            Verdict::ExternalName => "metadata.labels[kubernetes.io/service-name]",
        }
    }
}

impl Fact {
    /// A fact that no single field decided.
    pub(crate) fn new(label: &str, text: impl Into<String>) -> Fact {
        Fact {
            label: label.to_owned(),
            text: text.into(),
            field: None,
        }
    }

    /// A fact that this field decided.
    pub(super) fn by(label: &str, field: impl Into<String>, text: impl Into<String>) -> Fact {
        Fact {
            field: Some(field.into()),
            ..Fact::new(label, text)
        }
    }
}
