//! The values in which a difference is told. They are plain data that is written as JSON and read
//! back; [`sentence`](super::sentence) has the words for people.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::changes::ResourceChange;
use super::owner::Owner;

/// Everything that differs between two worlds, as clients notice it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What changes, the worst first.
    pub changed: Vec<Changed>,
    /// How much changes, and how much is sent.
    pub counts: Counts,
    /// The resources that are sent or removed, sorted by type and name.
    pub resources: Vec<ResourceChange>,
}

impl Difference {
    /// Whether proxies are sent nothing at all.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.resources.is_empty()
    }

    /// Leaves only what clients lose.
    pub fn retain_harm(&mut self) {
        for changed in &mut self.changed {
            changed.effects.retain(Effect::is_harm);
        }
        self.changed.retain(|changed| !changed.effects.is_empty());
    }
}

/// One Service, host, certificate or listener of the proxies themselves, and what happens to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// What changes.
    pub owner: Owner,
    /// What clients notice of it, the worst first; never empty.
    pub effects: Vec<Effect>,
}

impl Changed {
    /// The harm of the worst effect.
    #[must_use]
    pub fn harm(&self) -> Harm {
        let all = self.effects.iter().map(|effect| effect.harm);
        all.min().unwrap_or(Harm::Nothing)
    }
}

/// How bad an effect is for clients; the worse one is the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Harm {
    /// A Service or a host is there no more.
    Gone,
    /// New connections or requests are turned away where they were served.
    Refused,
    /// A listener is replaced, so that its open connections drain.
    Replaced,
    /// The endpoints that connections may go to are others.
    Endpoints,
    /// Something is set otherwise, and no connection ends by it.
    Settings,
    /// Something is served that was not.
    New,
    /// Nothing is sent.
    Nothing,
}

/// One thing that clients notice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// How bad it is.
    pub harm: Harm,
    /// The Service port, as in names of resources (`80`, `53/udp`), if it is about one.
    pub port: Option<Arc<str>>,
    /// Whether new connections or requests fail that were served.
    pub loses: bool,
    /// The proxies at which it happens.
    pub places: Places,
    /// What happens.
    #[serde(flatten)]
    pub what: What,
}

impl Effect {
    /// The same effect without what is each Service's own, its addresses and port: effects of many
    /// Services are alike where these are equal.
    #[must_use]
    pub fn alike(&self) -> Effect {
        let mut alike = Effect {
            port: None,
            ..self.clone()
        };
        match &mut alike.what {
            What::New { addresses, .. } | What::Served { addresses, .. } => addresses.clear(),
            What::Gone { addresses, .. } | What::Refused { addresses, .. } => addresses.clear(),
            What::Settings { replaced, .. } => replaced.iter_mut().for_each(String::clear),
            What::Endpoints {
                joins,
                leaves,
                moves,
                ..
            } => [joins, leaves, moves].into_iter().for_each(Vec::clear),
            What::Other { resources } => resources.clear(),
            _ => {}
        }
        alike
    }

    /// Whether clients lose something: new connections fail, or open ones drain.
    #[must_use]
    pub fn is_harm(&self) -> bool {
        self.loses || self.harm <= Harm::Replaced
    }
}

/// Which of the proxies that have a thing are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Places {
    /// All of them.
    #[default]
    Everywhere,
    /// Those in these zones.
    Zones(Vec<Arc<str>>),
    /// Those on these nodes; an empty name stands for proxies without a node.
    Nodes(Vec<Arc<str>>),
}

/// What happens to a Service, a host or another owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(
    tag = "effect",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum What {
    /// It is there no more.
    Gone {
        /// The addresses and host names at which it was served.
        addresses: Vec<String>,
        /// What becomes of connections and requests there.
        fate: Fate,
        /// Whether the addresses take datagrams, whose flows end.
        flows: bool,
    },
    /// It was not there before.
    New {
        /// The addresses and host names at which it is served.
        addresses: Vec<String>,
        /// How many endpoints it has.
        endpoints: usize,
    },
    /// Addresses that were served are not.
    Refused {
        /// The addresses and host names.
        addresses: Vec<String>,
        /// Why, if that is known.
        why: String,
        /// What becomes of connections and requests there.
        fate: Fate,
    },
    /// Addresses that were not served are.
    Served {
        /// The addresses and host names.
        addresses: Vec<String>,
        /// How many endpoints there are.
        endpoints: usize,
    },
    /// Something is set otherwise.
    Settings {
        /// What is set, before and after.
        settings: Vec<Setting>,
        /// The addresses whose listeners are replaced for it.
        replaced: Vec<String>,
        /// The nodes on which a Local policy has no endpoint now.
        without_endpoint: Vec<Arc<str>>,
    },
    /// The endpoints are others.
    Endpoints {
        /// Whether these are the endpoints of a Local policy.
        local: bool,
        /// Whether that policy is for traffic from outside alone.
        outside: bool,
        /// Whether these are the IPv6 ones of a Service with both families.
        v6: bool,
        /// Whether the port is UDP, whose flows end with their endpoint.
        flows: bool,
        /// Whether only proxies of requests have them, and none of connections.
        requests: bool,
        /// How many there were.
        before: EndpointCount,
        /// How many there are.
        after: EndpointCount,
        /// The addresses that were not there before.
        joins: Vec<String>,
        /// The addresses that are there no more.
        leaves: Vec<String>,
        /// The addresses that are no longer preferred, or are now.
        moves: Vec<String>,
    },
    /// Proxies have its clusters that had none of them, or the other way round.
    Routed {
        /// Whether they have them now.
        now: bool,
        /// How many endpoints there are.
        endpoints: usize,
    },
    /// The health check node port answers otherwise.
    HealthCheck,
    /// The routes of a host are others.
    Routes {
        /// The routes that were there: `/api -> shop/old/80`.
        before: Vec<String>,
        /// The routes that are there in place of them.
        after: Vec<String>,
    },
    /// A certificate is new, another one, or gone.
    Certificate {
        /// Whether proxies had it.
        before: bool,
        /// Whether they have it.
        after: bool,
    },
    /// A listener shows certificates for other names.
    Names {
        /// The names that it serves now.
        served: Vec<String>,
        /// The names that it serves no more.
        closed: Vec<String>,
    },
    /// Resources change of which nothing more is known.
    Other {
        /// Their types and names.
        resources: Vec<String>,
    },
    /// Its objects say something else, and nothing is sent.
    NothingSent {
        /// What changed.
        why: Silence,
    },
}

/// What becomes of connections and requests for which nothing is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// The kernel refuses the connection.
    Refused,
    /// The connection is accepted and closed.
    Closed,
    /// The request is answered with 404.
    NotFound,
    /// The connection goes to what another listener at the address leads to.
    Elsewhere,
}

/// How many endpoints an assignment has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointCount {
    /// Those that new connections go to.
    pub preferred: usize,
    /// Those that stand by until no preferred one is left, or that only keep what they have.
    pub standby: usize,
}

/// One setting, before and after, in the words of the field or annotation that sets it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Setting {
    /// The field or annotation; empty for one that has no name of its own.
    pub field: String,
    /// What it was.
    pub from: String,
    /// What it is.
    pub to: String,
}

/// Why nothing is sent although objects changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Silence {
    /// Only labels changed.
    Labels,
    /// Only annotations changed.
    Annotations,
    /// Only labels and annotations changed.
    LabelsAndAnnotations,
    /// What changed decides nothing for these proxies.
    Unused,
}

/// How much changes, and how much is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// The Services of either world.
    pub services: usize,
    /// Those of which some proxy is sent something.
    pub changed: usize,
    /// The views that were compared.
    pub views: usize,
    /// The most resources that are sent to, or removed from, one proxy.
    pub most_resources: usize,
    /// The most bytes of resources that are sent to one proxy.
    pub most_bytes: usize,
    /// The listeners that are replaced, each counted once.
    pub listeners_replaced: usize,
    /// The listeners that are removed.
    pub listeners_removed: usize,
    /// The listeners that are added.
    pub listeners_added: usize,
}
