//! Whether clients get a certificate for a host, and whether it is good for it.

use super::Saying;
use crate::CertificateDelivery;
use crate::model::Hostname;
use crate::plan::certificates::{self, certificate};
use crate::plan::explain::asker::{Asker, listed};
use crate::plan::host::{HostPlan, Table};

/// What becomes of a connection over TLS before there is a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Secured {
    /// The client is shown a certificate that is good for the host.
    Yes,
    /// The client is shown one that is not: it decides what that means.
    Refused,
    /// It is closed: no request comes.
    Closed,
}

/// Whether clients get a certificate for the host that is good for it.
pub(super) fn secured(
    asker: &Asker<'_>,
    table: &Table,
    host: &Hostname,
    said: &mut Saying<'_>,
) -> Secured {
    let context = &asker.context;
    let hosts = context.index.routing().hosts(table);
    let Some(claim) = hosts.and_then(|hosts| hosts.held_by(host)) else {
        said.fact("certificate", format!("none is claimed for {host}"));
        said.refuse("The connection is closed before a request: no certificate is for this host.");
        return Secured::Closed;
    };
    let by = claim.age.object();
    said.draft.concerns(by.clone());
    let (secrets, refused) = certificates::of_claim(context, claim);
    if secrets.is_empty() {
        let why: Vec<String> = refused.iter().map(ToString::to_string).collect();
        said.fact("certificate", format!("{by}: {}", listed(&why, "and", 2)));
        said.refuse("The connection is closed before a request: no certificate can be served.");
        return Secured::Closed;
    }
    let mut is_good = false;
    for key in secrets {
        let Ok(certificate) = certificate(context, &by, key) else {
            continue;
        };
        let names: Vec<String> = certificate.names.iter().map(ToString::to_string).collect();
        let fits = certificates::misfit(key, certificate, [host]).is_none();
        is_good |= fits;
        let ((namespace, name), names) = (key, listed(&names, "and", 4));
        let text = match fits {
            true => format!("of Secret {namespace}/{name}"),
            false => {
                format!("of Secret {namespace}/{name}, which is for {names} and not for {host}")
            }
        };
        said.fact("certificate", text);
    }
    if !is_good {
        said.refuse("Clients that check the certificate refuse it, and send no request.");
    }
    match is_good {
        true => Secured::Yes,
        false => Secured::Refused,
    }
}

/// Whether the client is shown the certificate of another listener than the one whose rules are for
/// the host, which then answer none of its requests.
pub(super) fn is_misdirected(
    asker: &Asker<'_>,
    table: &Table,
    host: &Hostname,
    plan: &HostPlan<'_>,
) -> bool {
    let context = &asker.context;
    let hosts = context.index.routing().hosts(table);
    let shown = hosts.and_then(|hosts| hosts.held_by(host));
    let (Some(own), Some(shown)) = (plan.listener, shown) else {
        return false;
    };
    // A certificate on demand is that of the name, whoever claims it.
    let is_on_demand = asker.view.certificates == CertificateDelivery::OnDemand
        && certificates::by_name(context, table, host).is_some();
    shown.listener != *own && !(is_on_demand && plan.is_own_name)
}
