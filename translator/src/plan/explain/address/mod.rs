//! The sections about a connection to an address: whose it is, and where it goes.

mod own;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

use crate::model::{Family, Kind, Protocol, Service, ServiceKey};
use crate::names::FrontendKind;
use crate::plan::explain::addresses::{self, Address as Found};
use crate::plan::explain::answer::{Fact, Section};
use crate::plan::explain::asker::{Asker, listed};
use crate::plan::explain::draft::Draft;
use crate::plan::explain::service::{not_imported, of_port, short, slices};
use crate::plan::explain::words::verdict::{Verdicts, nobody};
use crate::plan::service::ServicePlan;
use crate::policy::claims::{Address, Claim};
use crate::policy::node_ports;
use crate::{ObjectId, Role};

/// Explains a connection to an address.
pub(super) fn answer(
    asker: &Asker<'_>,
    (socket, protocol): (SocketAddr, Protocol),
    draft: &mut Draft,
) {
    let Some(port) = NonZeroU16::new(socket.port()) else {
        return;
    };
    let ip = socket.ip().to_canonical();
    let asked = Address { ip, port, protocol };
    let claims = asker.context.index.claims();
    let claim = claims.winner(&asked).or_else(|| {
        let claim = claims.wildcard_winner(&asked)?;
        is_of_a_node(asker, ip).then_some(claim)
    });
    match claim {
        Some(claim) if claim.kind == FrontendKind::HealthCheck => {
            draft.concerns(ObjectId::of_service(&claim.service));
            draft.add(health_check(asker, &asked, claim));
        }
        Some(claim) => of_claim(asker, &asked, claim, draft),
        None => {
            let own = own::health(asker, &asked).or_else(|| own::node_port(asker, &asked, draft));
            draft.add(own.unwrap_or_else(|| nobodys(asker, &asked)));
        }
    }
}

/// Whether node ports are asked for at this address: the one of the node, or of any.
fn is_of_a_node(asker: &Asker<'_>, ip: IpAddr) -> bool {
    let of_node = asker.node().map(|node| node.addresses.contains(&ip));
    let of_any = asker.context.index.is_node_address(ip);
    let options = asker.context.options;
    let may_be = ip.is_unspecified() || of_node.unwrap_or(of_any);
    may_be && (ip.is_unspecified() || node_ports::may_serve(ip, options))
}

/// Adds the sections of the port that has the address.
fn of_claim(asker: &Asker<'_>, asked: &Address, claim: &Claim, draft: &mut Draft) {
    let Some(service) = asker.context.index.service(&claim.service) else {
        return;
    };
    draft.concerns(ObjectId::of_service(&service.key));
    if let Some(section) = not_imported(asker, &service.key) {
        draft.add(section);
        return;
    }
    let plan = ServicePlan::new(&asker.context, service);
    let all = addresses::of_service(asker, service, &plan.frontends);
    let socket = SocketAddr::new(asked.ip, asked.port.get());
    let is_asked = |found: &&Found| {
        let at = found.fact.address;
        let same = at == socket || (at.ip().is_unspecified() && at.port() == socket.port());
        let family = Family::of(at.ip()) == Family::of(asked.ip);
        same && family && service.ports[found.port].protocol == asked.protocol
    };
    let mut found: Vec<&Found> = all.iter().filter(is_asked).collect();
    // An address of its own goes before a node port of the same number.
    if found.iter().any(|one| one.fact.address == socket) {
        found.retain(|one| one.fact.address == socket);
    }
    let Some(port) = found.first().map(|found| found.port) else {
        draft.add(nobodys(asker, asked));
        return;
    };
    of_port(asker, (service, &plan, port), &found, draft);
    slices(asker, &service.key, draft);
}

fn title(asker: &Asker<'_>, asked: &Address) -> String {
    let socket = SocketAddr::new(asked.ip, asked.port.get());
    format!("{socket} {}, as {} sees it", asked.protocol, asker.who())
}

/// The section about the port of a health check.
fn health_check(asker: &Asker<'_>, asked: &Address, claim: &Claim) -> Section {
    let key = &claim.service;
    let text = format!("health check of Service {key}, for load balancers");
    let mut verdicts = Verdicts::default();
    let here = match asker.node_name() {
        Some(node) => format!("node {node}"),
        None => "its node".to_owned(),
    };
    verdicts.say(
        asker.view.role == Role::Node,
        1,
        format!("A request is answered by the proxy itself: 200 while {here} has ready endpoints of {key}, else 503."),
    );
    let (served, verdict) = verdicts.end();
    Section {
        title: title(asker, asked),
        facts: vec![Fact::by("address", "spec.healthCheckNodePort", text)],
        served,
        verdict,
        ..Section::default()
    }
}

/// The section about an address that no Service has.
fn nobodys(asker: &Asker<'_>, asked: &Address) -> Section {
    let mut facts = vec![Fact::new("address", whose(asker, asked))];
    let index = asker.context.index;
    let endpoint_of = index.services_with_endpoint(asked.ip);
    let endpoint_of: Vec<String> = endpoint_of
        .iter()
        .map(|key| of_service(asker, key))
        .collect();
    let is_endpoint = !endpoint_of.is_empty();
    if is_endpoint {
        let text = format!(
            "{} is an endpoint of {}",
            asked.ip,
            listed(&endpoint_of, "and", 3)
        );
        facts.push(Fact::new("endpoint", text));
    }
    let socket = SocketAddr::new(asked.ip, asked.port.get());
    let options = asker.context.options;
    let mut ranges = options.service_cidrs.iter().chain(&options.vip_cidrs);
    let is_routed = ranges.any(|range| range.contains(&asked.ip))
        || index.claims().at(asked.ip).next().is_some();
    let sentence = match (is_endpoint, is_routed) {
        (true, _) => format!("A connection to {socket} goes there directly: no proxy takes it."),
        (false, true) => format!(
            "A connection to {socket} {}.",
            nobody(options, asked.protocol)
        ),
        (false, false) => format!("No proxy takes a connection to {socket}."),
    };
    Section {
        title: title(asker, asked),
        facts,
        verdict: vec![sentence],
        ..Section::default()
    }
}

/// A Service in words, with its kind where that matters.
fn of_service(asker: &Asker<'_>, key: &ServiceKey) -> String {
    let service = asker.context.index.service(key);
    match service.map(|service| &service.kind) {
        Some(Kind::Headless) => format!("Service {key}, which is headless: it has no address"),
        Some(Kind::WithoutIp) => format!("Service {key}, to which no cluster IP is given"),
        Some(_) => format!("Service {key}"),
        None => {
            let missing = asker.which_is_missing(&ObjectId::of_service(key));
            format!("Service {key}, {missing}")
        }
    }
}

/// Whose the IP address is, and at which ports.
fn whose(asker: &Asker<'_>, asked: &Address) -> String {
    let index = asker.context.index;
    let ports = |service: &Service| {
        let ports: Vec<String> = service.ports.iter().map(short).collect();
        listed(&ports, "and", 8)
    };
    let mut at_ip = index.claims().at(asked.ip);
    let owner = at_ip.find_map(|claim| index.service(&claim.service));
    if let Some(service) = owner {
        return format!(
            "{} is an address of Service {}, which has no port {}/{}, only {}",
            asked.ip,
            service.key,
            asked.port,
            asked.protocol,
            ports(service)
        );
    }
    let options = asker.context.options;
    if index.is_node_address(asked.ip) {
        let (port, protocol) = (asked.port, asked.protocol);
        return match index.claims().wildcard_winner(asked) {
            Some(claim) => format!(
                "{} is a Node's address, on which --nodeport-addresses does not serve node port \
                 {port} of Service {}",
                asked.ip, claim.service
            ),
            None => format!(
                "{} is a Node's address, and no Service has node port {port}/{protocol}",
                asked.ip
            ),
        };
    }
    if options
        .service_cidrs
        .iter()
        .any(|range| range.contains(&asked.ip))
    {
        return "it lies in a --service-cidr, and no Service has it".to_owned();
    }
    "no Service has it".to_owned()
}
