//! What happens at the addresses of a Service: which are served no more, which are new, and which
//! have another listener, with the reason for each.

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use seaway_proto::TypeUrl;

use super::Both;
use super::changes::Change;
use super::effect::{Effect, Fate, Harm, Places, Setting, What};
use super::facts::{self, endpoints};
use super::places::{nodes, places};
use super::settings::{becomes_local, differences};
use super::why::{Reasons, UNASKED};
use crate::model::{Family, Protocol};
use crate::names::{ClusterName, FrontendKind, FrontendName, PortKey};

/// The changes at the addresses of one Service port, or of its health check.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    /// What is served no more, by where and why, and whether others are served there.
    refused: BTreeMap<(Places, Lost), Vec<String>>,
    /// What is served now, by where.
    served: BTreeMap<Places, Vec<String>>,
    /// The views that have lost, or got, an address.
    pub refused_at: Vec<usize>,
    pub served_at: Vec<usize>,
    settings: Settings,
}

/// Why an address or a name is served no more, and what becomes of who goes there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lost {
    why: String,
    fate: Fate,
    /// Whether the Service itself is served there by another listener.
    is_replaced: bool,
}

impl Lost {
    fn new(fate: Fate, why: impl Into<String>) -> Lost {
        Lost {
            why: why.into(),
            fate,
            is_replaced: false,
        }
    }

    /// What becomes of a frontend whose listener is gone at a proxy. The reason, if that decides,
    /// is the same at all proxies.
    fn frontend(
        both: Both<'_>,
        name: &FrontendName,
        view: usize,
        why: &LazyCell<String, impl FnOnce() -> String>,
    ) -> Lost {
        match both.to.other_listener(name, view) {
            None if name.port.protocol == Protocol::Tcp && both.to.closes => {
                Lost::new(Fate::Closed, &***why)
            }
            None => Lost::new(Fate::Refused, &***why),
            Some(other) if other.port.service == name.port.service => Lost {
                is_replaced: true,
                ..Lost::new(Fate::Elsewhere, format!("it is {}", owned(other)))
            },
            Some(other) => {
                let why = match &***why {
                    UNASKED => format!("Service {} has it", other.port.service),
                    why => why.to_owned(),
                };
                Lost::new(Fate::Elsewhere, why)
            }
        }
    }
}

/// An address by the port and the kind that it has within its Service.
fn owned(name: &FrontendName) -> String {
    let (port, kind) = (super::service::label(&name.port), name.kind.as_str());
    format!("that of port {port}, as its {kind}")
}

/// The settings of a port that differ, gathered over its resources.
#[derive(Debug, Default)]
struct Settings {
    found: Vec<Setting>,
    replaced: Vec<String>,
    without_endpoint: Vec<Arc<str>>,
    views: Vec<usize>,
    having: Vec<usize>,
}

impl Addresses {
    /// Takes in the listener of a frontend.
    pub(super) fn listener(
        &mut self,
        both: Both<'_>,
        name: &FrontendName,
        change: &Change<'_>,
        reasons: &Reasons<'_>,
    ) {
        let address = address(name.kind, name.address.ip(), name.address.port());
        let why = LazyCell::new(|| reasons.of(name));
        let lost = |view| Lost::frontend(both, name, view, &why);
        self.come_and_go(both, change, &address, lost);
        let external = name.kind != FrontendKind::ClusterIp;
        for (old, new, views) in change.replaced() {
            let (old, new) = (facts::frontend(old), facts::frontend(new));
            let found = differences(&old, &new, external);
            let family = Family::of(name.address.ip());
            self.without(both, &found, (&name.port, family), views);
            self.settings
                .note(found, Some(&address), views, &change.seen_by);
        }
    }

    /// Takes in the listener of a health check.
    pub(super) fn health_check(
        &mut self,
        both: Both<'_>,
        port: u16,
        change: &Change<'_>,
        reasons: &Reasons<'_>,
    ) {
        let address = format!("health check {port}");
        let lost = |_| match reasons.check_taken(port) {
            Some(why) => Lost::new(Fate::Elsewhere, why),
            None => Lost::new(Fate::Refused, UNASKED),
        };
        self.come_and_go(both, change, &address, lost);
    }

    /// Takes in what mesh proxies find by the name of a Service with this port.
    pub(super) fn scope(&mut self, both: Both<'_>, name: &str, change: &Change<'_>) {
        let lost = |_| Lost::new(Fate::NotFound, "the Service has no such port");
        self.come_and_go(both, change, name, lost);
        for (old, new, views) in change.replaced() {
            // What rules say is told by itself.
            if [old, new].into_iter().any(super::host::is_routed) {
                continue;
            }
            let (old, new) = (super::host::mesh(old), super::host::mesh(new));
            let found = differences(&old.facts, &new.facts, false);
            if let Some(cluster) = new.cluster {
                self.without(both, &found, (&cluster.port, cluster.family), views);
            }
            self.settings.note(found, None, views, &change.seen_by);
        }
    }

    /// Takes in what mesh proxies find by a cluster IP of a Service. What is different behind it is
    /// so behind the names, too.
    pub(super) fn by_address(&mut self, both: Both<'_>, ip: &str, change: &Change<'_>) {
        let lost = |_| Lost::new(Fate::NotFound, "the Service does not have this cluster IP");
        self.come_and_go(both, change, ip, lost);
    }

    /// Takes in a cluster.
    pub(super) fn cluster(&mut self, change: &Change<'_>) {
        for (old, new, views) in change.replaced() {
            let found = differences(&facts::cluster(old), &facts::cluster(new), false);
            self.settings.note(found, None, views, &change.seen_by);
        }
    }

    fn come_and_go(
        &mut self,
        both: Both<'_>,
        change: &Change<'_>,
        address: &str,
        lost: impl Fn(usize) -> Lost,
    ) {
        let mut removed: BTreeMap<Lost, Vec<usize>> = BTreeMap::new();
        for view in change.removed_from() {
            removed.entry(lost(view)).or_default().push(view);
        }
        for (lost, views) in removed {
            let places = places(both.to, &views, &change.seen_by);
            let all = self.refused.entry((places, lost));
            all.or_default().push(address.to_owned());
            self.refused_at.extend(views);
        }
        let added = change.added_to();
        if !added.is_empty() {
            let places = places(both.to, &added, &change.seen_by);
            let all = self.served.entry(places);
            all.or_default().push(address.to_owned());
            self.served_at.extend(added);
        }
    }

    /// Notes the nodes that a policy which became Local leaves without an endpoint.
    fn without(
        &mut self,
        both: Both<'_>,
        found: &[Setting],
        (port, family): (&PortKey, Family),
        views: &[usize],
    ) {
        if !found.iter().any(becomes_local) {
            return;
        }
        let name = ClusterName {
            port: port.clone(),
            local: true,
            tls: false,
            family,
        };
        let key = (TypeUrl::ENDPOINT, name.to_string().into());
        let is_empty = |view: &usize| {
            let seen = both.to.seen(&key, *view);
            seen.is_none_or(|assignment| endpoints(assignment).is_empty())
        };
        let without: Vec<usize> = views.iter().copied().filter(is_empty).collect();
        let nodes = nodes(both.to, &without);
        self.settings.without_endpoint.extend(nodes);
    }

    /// What all of it means.
    pub(super) fn effects(
        self,
        both: Both<'_>,
        port: Option<&Arc<str>>,
        endpoints: usize,
    ) -> Vec<Effect> {
        let effect = |harm, loses, places, what| Effect {
            harm,
            port: port.cloned(),
            loses,
            places,
            what,
        };
        let refused = self.refused.into_iter();
        let refused = refused.map(|((places, lost), addresses)| {
            let harm = match lost.is_replaced {
                true => Harm::Replaced,
                false => Harm::Refused,
            };
            let what = What::Refused {
                addresses: sorted(addresses),
                why: lost.why,
                fate: lost.fate,
            };
            effect(harm, !lost.is_replaced, places, what)
        });
        let served = self.served.into_iter().map(|(places, addresses)| {
            let addresses = sorted(addresses);
            let what = What::Served {
                addresses,
                endpoints,
            };
            effect(Harm::New, false, places, what)
        });
        let settings = self.settings.what().map(|(harm, views, having, what)| {
            let places = places(both.to, &views, &having);
            effect(harm, harm == Harm::Refused, places, what)
        });
        refused.chain(served).chain(settings).collect()
    }
}

impl Settings {
    fn note(
        &mut self,
        found: Vec<Setting>,
        replaced: Option<&str>,
        views: &[usize],
        having: &[usize],
    ) {
        self.found.extend(found);
        self.replaced.extend(replaced.map(str::to_owned));
        self.views.extend_from_slice(views);
        self.having.extend_from_slice(having);
    }

    /// The settings as one effect, if any differ, with the views that have them.
    fn what(self) -> Option<(Harm, Vec<usize>, Vec<usize>, What)> {
        let mut settings = sorted(self.found);
        if settings.iter().any(|setting| !setting.field.is_empty()) {
            settings.retain(|setting| !setting.field.is_empty());
        }
        if settings.is_empty() {
            return None;
        }
        let (replaced, without_endpoint) = (sorted(self.replaced), sorted(self.without_endpoint));
        let harm = match (without_endpoint.is_empty(), replaced.is_empty()) {
            (false, _) => Harm::Refused,
            (true, false) => Harm::Replaced,
            (true, true) => Harm::Settings,
        };
        let what = What::Settings {
            settings,
            replaced,
            without_endpoint,
        };
        Some((harm, self.views, self.having, what))
    }
}

/// Sorted, each once.
pub(super) fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort();
    all.dedup();
    all
}

/// An address as people call it.
pub(super) fn address(kind: FrontendKind, ip: IpAddr, port: u16) -> String {
    match kind {
        FrontendKind::NodePort if ip.is_unspecified() => format!("node port {port}"),
        _ => std::net::SocketAddr::new(ip, port).to_string(),
    }
}
