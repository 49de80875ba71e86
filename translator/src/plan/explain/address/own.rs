//! Addresses at which the proxy of a node listens, and that no Service has: those of its own
//! health, and where it closes what comes to a node port.

use std::net::{IpAddr, SocketAddr};

use super::title;
use crate::model::{Family, Protocol, ServiceKey};
use crate::plan::explain::addresses::{self, Outcome};
use crate::plan::explain::answer::{Fact, Section};
use crate::plan::explain::asker::Asker;
use crate::plan::explain::draft::Draft;
use crate::plan::explain::summary::Served;
use crate::plan::health::{own_mode, own_refused};
use crate::plan::service::ServicePlan;
use crate::policy::claims::Address;
use crate::policy::node_ports;
use crate::{ObjectId, Role};

/// The section about an address at which the proxy answers for itself.
pub(super) fn health(asker: &Asker<'_>, asked: &Address) -> Option<Section> {
    let options = asker.context.options;
    let listen = options.healthz_listen?;
    if asker.view.role != Role::Node || asked.protocol != Protocol::Tcp {
        return None;
    }
    let socket = SocketAddr::new(asked.ip, asked.port.get());
    let mut refused = own_refused(options, listen).into_iter();
    let is_health = listen.port() == socket.port()
        && is_at(asker, listen.ip(), asked.ip)
        && !refused.any(|range| range.contains(&asked.ip));
    let (what, sentence) = if is_health {
        let leaving = asker.node().is_some_and(|node| node.leaving);
        let status = match leaving {
            true => "503, since its Node is about to go",
            false => "200, or 503 while its Node is about to go",
        };
        (
            "the health of the proxy itself: /healthz and /livez (--healthz-listen)",
            format!("A request is answered by the proxy itself: {status}."),
        )
    } else if own_mode(options) == Some(socket) {
        (
            "the mode of the proxy itself: /proxyMode",
            "A request is answered by the proxy itself: 200.".to_owned(),
        )
    } else {
        return None;
    };
    Some(Section {
        title: title(asker, asked),
        facts: vec![Fact::new("address", what)],
        served: Served::Yes,
        verdict: vec![sentence],
        ..Section::default()
    })
}

/// Whether a listener at this address is reached by that one, on some node or the one that is asked
/// for.
fn is_at(asker: &Asker<'_>, listen: IpAddr, asked: IpAddr) -> bool {
    if !listen.is_unspecified() {
        return listen == asked;
    }
    let of_node = asker.node().map(|node| node.addresses.contains(&asked));
    let of_node = of_node.unwrap_or_else(|| asker.context.index.is_node_address(asked));
    Family::of(listen) == Family::of(asked)
        && (asked.is_loopback() || asked.is_unspecified() || of_node)
}

/// The section about an address at which the listener of a node port takes connections and closes
/// them: loopback, and those of ranges of Services.
pub(super) fn node_port(asker: &Asker<'_>, asked: &Address, draft: &mut Draft) -> Option<Section> {
    let options = asker.context.options;
    let family = Family::of(asked.ip);
    if asker.view.role != Role::Node
        || asked.protocol != Protocol::Tcp
        || node_ports::per_node(options, family)
    {
        return None;
    }
    let mut refused = node_ports::refused(options, family).into_iter();
    refused.find(|range| range.contains(&asked.ip))?;
    let claim = asker.context.index.claims().wildcard_winner(asked)?;
    listens(asker, &claim.service, asked).then_some(())?;
    let key = &claim.service;
    draft.concerns(ObjectId::of_service(key));
    let socket = SocketAddr::new(asked.ip, asked.port.get());
    let what = match asked.ip.is_loopback() {
        true => "loopback",
        false => "an address of a range of Services",
    };
    let text = format!(
        "{} is node port {} of Service {key}, which is not served at {what}",
        socket, asked.port
    );
    Some(Section {
        title: title(asker, asked),
        facts: vec![Fact::new("address", text)],
        verdict: vec![format!(
            "A connection to {socket} is accepted and closed: node ports are served at the other \
             addresses of a node."
        )],
        ..Section::default()
    })
}

/// Whether there is a listener for the node port, which needs an endpoint.
fn listens(asker: &Asker<'_>, key: &ServiceKey, asked: &Address) -> bool {
    let Some(service) = asker.context.index.service(key) else {
        return false;
    };
    let plan = ServicePlan::new(&asker.context, service);
    let mut all = addresses::of_service(asker, service, &plan.frontends).into_iter();
    all.any(|found| {
        let at = found.fact.address;
        let wildcard = Family::of(asked.ip).wildcard();
        at == SocketAddr::new(wildcard, asked.port.get())
            && matches!(found.outcome, Outcome::Leads(_) | Outcome::Closed(_))
    })
}
