//! The fact about mTLS: whether a proxy speaks it to the endpoints of a port, and whom it believes.

use std::collections::BTreeMap;

use crate::Role;
use crate::model::{Family, MTLS_ANNOTATION, Policy};
use crate::plan::clusters::cluster_name;
use crate::plan::clusters::mtls::{self, Protection};
use crate::plan::explain::answer::{EndpointRow, Fact, Taken};
use crate::plan::explain::endpoints::{Asked, Lead};

/// What is asked of the connections to a set of endpoints, as one proxy sees it.
#[derive(Debug)]
pub(in crate::plan::explain) struct Seen {
    protection: Protection,
    /// The families of the endpoints to which the proxy speaks mTLS.
    tunnels: Vec<Family>,
    /// The family in which clients that know only the name are served.
    primary: Family,
}

impl Seen {
    /// What is asked of connections to this set; `None` if nothing.
    pub(in crate::plan::explain) fn of(asked: &Asked<'_>) -> Option<Seen> {
        let Asked { asker, service, .. } = *asked;
        let port = &service.ports[asked.port];
        let policy = if asked.local {
            Policy::Local
        } else {
            Policy::Cluster
        };
        let name = |family| cluster_name(service, port, policy, family);
        let primary = service.primary_family;
        let protection = mtls::of_cluster(&asker.context, service, port, &name(primary))?;
        let has_certificate = asker.view.role == Role::Mesh && asker.view.mesh_tls;
        let tunnels = |family: &Family| {
            let name = name(*family);
            let mut planned = asked.plan.clusters.iter();
            let is_for_mesh = planned.any(|plan| plan.name == name && plan.is_for_mesh);
            has_certificate && is_for_mesh && protection.tunnel.is_some()
        };
        Some(Seen {
            tunnels: [Family::V4, Family::V6]
                .into_iter()
                .filter(tunnels)
                .collect(),
            protection,
            primary,
        })
    }

    /// Takes from the proxy the endpoints that it is not given.
    pub(in crate::plan::explain) fn close(
        &self,
        rows: &mut [EndpointRow],
        leads: &mut BTreeMap<Family, Lead>,
    ) {
        let is_closed =
            |family: Family| self.protection.is_strict() && !self.tunnels.contains(&family);
        let rows = rows.iter_mut().filter(|row| is_closed(Family::of(row.ip)));
        rows.for_each(close);
        let leads = leads.iter_mut().filter(|(family, _)| is_closed(**family));
        leads.for_each(|(_, lead)| *lead = Lead::default());
    }

    /// The fact.
    pub(in crate::plan::explain) fn fact(&self) -> Fact {
        let mode = self.protection.mode.as_str();
        let text = match &self.protection.tunnel {
            None if self.protection.is_strict() => {
                format!(
                    "{mode}, and mTLS cannot carry what these endpoints speak: nobody is given them"
                )
            }
            None => format!("{mode}, and mTLS cannot carry what these endpoints speak: plain text"),
            Some(tunnel) => {
                let (port, who) = (tunnel.port, tunnel.identities.words());
                match (
                    self.tunnels.contains(&self.primary),
                    self.protection.is_strict(),
                ) {
                    (true, _) => format!(
                        "{mode}: connections are mTLS, to port {port} of the endpoint, which has to be {who}"
                    ),
                    (false, true) => format!(
                        "{mode}: only mesh proxies with a certificate are given endpoints; they accept {who}"
                    ),
                    (false, false) => format!(
                        "{mode}: connections of this proxy are plain; those of mesh proxies with a certificate are mTLS and accept {who}"
                    ),
                }
            }
        };
        Fact::by("mTLS", MTLS_ANNOTATION, text)
    }
}

/// Turns the row of an endpoint into that of one that the proxy is not given.
fn close(row: &mut EndpointRow) {
    if row.taken == Taken::No {
        return;
    }
    row.taken = Taken::No;
    row.priority = None;
    MTLS_ANNOTATION.clone_into(&mut row.field);
    "its Namespace is strict, and this proxy speaks no mTLS to it".clone_into(&mut row.because);
}
