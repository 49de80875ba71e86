//! The fact about mTLS: whether a proxy speaks it to the endpoints of a port, and whom it believes.

use crate::Role;
use crate::model::{MTLS_ANNOTATION, Policy};
use crate::plan::clusters::cluster_name;
use crate::plan::explain::answer::{EndpointRow, Fact, Taken};
use crate::plan::explain::endpoints::Asked;
use crate::plan::mtls::{self, Protection};

/// What is asked of the connections to a set of endpoints, as one proxy sees it.
#[derive(Debug)]
pub(in crate::plan::explain) struct Seen {
    protection: Protection,
    /// Whether the proxy speaks mTLS to them.
    tunnels: bool,
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
        let name = cluster_name(service, port, policy, service.primary_family);
        let protection = mtls::of_cluster(&asker.context, service, port, &name)?;
        let has_certificate = asker.view.role == Role::Mesh && asker.view.mesh_tls;
        Some(Seen {
            tunnels: has_certificate && protection.tunnel.is_some(),
            protection,
        })
    }

    /// Whether the proxy is given no endpoints.
    pub(in crate::plan::explain) fn is_closed(&self) -> bool {
        self.protection.is_strict() && !self.tunnels
    }

    /// Turns the row of an endpoint into that of one that the proxy is not given.
    pub(in crate::plan::explain) fn close(row: &mut EndpointRow) {
        row.taken = Taken::No;
        row.priority = None;
        MTLS_ANNOTATION.clone_into(&mut row.field);
        "its Namespace is strict, and this proxy speaks no mTLS to it".clone_into(&mut row.because);
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
                match (self.tunnels, self.protection.is_strict()) {
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
