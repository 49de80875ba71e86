//! [`Binding`]: by which Service clients reach a listener of a Gateway, and on which port the
//! proxies of its fleet then listen (Gateway rules 11 to 16).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use super::gateway::services::Waits;
use super::gateway::{HOSTNAME, IP_ADDRESS, ListenerRefusal};
use super::table::{HTTP, HTTPS, Table};
use crate::model::{
    Exposure, GatewayAddress, GatewayListener, ListenerProtocol, Policy, Protocol, Service,
    ServiceKey,
};
use crate::status::StatusAddress;
use crate::{Fleet, Options};

/// How many ports of a Service a message names.
const NAMED_PORTS: usize = 10;

/// A Service before the proxies of a fleet, as far as it matters to who is reached by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Front {
    /// What tells the pods behind it.
    pub selector: Arc<str>,
    /// The Gateway that it is made for; no other one has it.
    pub of_gateway: Option<(Arc<str>, Arc<str>)>,
    /// Whether Seaway made it.
    pub managed: bool,
    /// Whether it leads clients to proxies of their node alone.
    pub is_local: bool,
    /// The ports that clients connect to, each with that of the proxies; `None` for one that is
    /// given as a name, of which nothing is known here.
    pub ports: Arc<BTreeMap<NonZeroU16, Option<NonZeroU16>>>,
    /// The addresses that are its own.
    addresses: Vec<StatusAddress>,
    /// Whether it is also reached at the addresses of nodes.
    at_nodes: bool,
}

impl Front {
    /// `None` for a Service without ports for TCP.
    pub(crate) fn of(service: &Service) -> Option<Front> {
        let tcp = service.ports.iter();
        let tcp = tcp.filter(|port| port.protocol == Protocol::Tcp);
        let ports: BTreeMap<_, _> = tcp.map(|port| (port.number, port.target)).collect();
        let balancer = match &service.exposure {
            Exposure::LoadBalancer(addresses) => &addresses[..],
            Exposure::ClusterIp | Exposure::NodePort => &[],
        };
        let external = service.external_ips.iter().map(|(_, ip)| *ip);
        let own = external.chain(service.cluster_ips.iter().copied());
        let own = own.map(StatusAddress::Ip);
        (!ports.is_empty()).then(|| Front {
            selector: service.selector.clone(),
            of_gateway: service.of_gateway.clone(),
            managed: service.managed,
            is_local: service.external_policy == Policy::Local,
            ports: Arc::new(ports),
            addresses: balancer.iter().cloned().chain(own).collect(),
            at_nodes: matches!(service.exposure, Exposure::NodePort),
        })
    }

    /// The positions of those addresses that this Service is known not to have. An empty value is
    /// any address of its type.
    pub(crate) fn lacks(
        &self,
        key: &ServiceKey,
        addresses: &[GatewayAddress],
        options: &Options,
    ) -> Box<[usize]> {
        let lacking = addresses.iter().enumerate().filter(|(_, address)| {
            let is_a_nodes = self.at_nodes && *address.kind == *IP_ADDRESS;
            let may_be = address.value.is_empty() || is_a_nodes;
            !may_be && !self.is_meant(key, address, options)
        });
        lacking.map(|(position, _)| position).collect()
    }

    /// Whether a Gateway that asks for this address asks for this Service.
    pub(crate) fn is_meant(
        &self,
        key: &ServiceKey,
        address: &GatewayAddress,
        options: &Options,
    ) -> bool {
        match &*address.kind {
            HOSTNAME => {
                let name = StatusAddress::Hostname(address.value.clone());
                let mut names = names(key, options).into_iter();
                names.any(|name| *name == *address.value) || self.addresses.contains(&name)
            }
            IP_ADDRESS => {
                let ip: Result<IpAddr, _> = address.value.parse();
                ip.is_ok_and(|ip| self.addresses.contains(&StatusAddress::Ip(ip)))
            }
            _ => false,
        }
    }
}

/// The DNS names of a Service, by which a Gateway may ask for it.
pub(crate) fn names(key: &ServiceKey, options: &Options) -> [String; 3] {
    let ServiceKey { namespace, name } = key;
    let short = format!("{name}.{namespace}");
    let domain = &options.cluster_domain;
    [
        format!("{short}.svc.{domain}"),
        format!("{short}.svc"),
        short,
    ]
}

/// The Service by which clients reach a Gateway, and its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    /// The fleet whose proxies serve it.
    pub fleet: Fleet,
    /// The Service, if one is known.
    pub service: Option<ServiceKey>,
    /// Whether it is the one that all of the fleet share, where the ports 80 and 443 are those that
    /// the options say.
    pub is_shared: bool,
    /// Why a Service of the Gateway's own is not there, or lacks a port, if one is made for it.
    pub waits: Option<Waits>,
    /// The ports of the Service.
    pub ports: Arc<BTreeMap<NonZeroU16, Option<NonZeroU16>>>,
    /// The positions of the addresses that the Gateway asks for and the Service is known not to
    /// have.
    pub unusable: Box<[usize]>,
}

impl Binding {
    /// What Ingresses are reached by, and Gateways that have nothing of their own.
    pub(crate) fn shared(fleet: &Fleet, options: &Options, front: Option<&Front>) -> Binding {
        Binding {
            fleet: fleet.clone(),
            service: options.ingress_services.get(fleet).cloned(),
            is_shared: true,
            waits: None,
            ports: front.map(|front| front.ports.clone()).unwrap_or_default(),
            unusable: Box::default(),
        }
    }

    /// What a Gateway is reached by for which a Service is yet to be made.
    pub(crate) fn pending(fleet: &Fleet, waits: Waits) -> Binding {
        Binding {
            fleet: fleet.clone(),
            service: None,
            is_shared: false,
            waits: Some(waits),
            ports: Arc::default(),
            unusable: Box::default(),
        }
    }

    /// What Gateways are reached by that have, or ask for, this Service; `waits` says why it may
    /// lack ports, if it is made for the Gateway.
    pub(crate) fn by(
        fleet: &Fleet,
        (service, front): (&ServiceKey, &Front),
        waits: Option<Waits>,
    ) -> Binding {
        Binding {
            fleet: fleet.clone(),
            service: Some(service.clone()),
            is_shared: false,
            waits,
            ports: front.ports.clone(),
            unusable: Box::default(),
        }
    }

    /// The first ports that clients may connect to.
    fn known_ports(&self) -> Box<[u16]> {
        let mut known: BTreeSet<u16> = self.ports.keys().map(|port| port.get()).collect();
        known.extend([HTTP, HTTPS].iter().filter(|_| self.is_shared));
        known.into_iter().take(NAMED_PORTS).collect()
    }

    /// The table that a listener is served at.
    ///
    /// # Errors
    /// When its protocol is not served, or clients have no way to its port.
    pub(crate) fn table(
        &self,
        listener: &GatewayListener,
        options: &Options,
    ) -> Result<Table, ListenerRefusal> {
        let (own, expected, other) = match listener.protocol {
            ListenerProtocol::Http => (Table::http(&self.fleet, options), HTTP, "HTTPS"),
            ListenerProtocol::Https => (Table::https(&self.fleet, options), HTTPS, "HTTP"),
            _ => return Err(ListenerRefusal::Protocol),
        };
        let port = listener.port.get();
        if self.is_shared && [HTTP, HTTPS].contains(&port) {
            let refused = ListenerRefusal::OtherProtocol(listener.port, other);
            return (port == expected).then_some(own).ok_or(refused);
        }
        let target = match self.ports.get(&listener.port) {
            Some(Some(target)) => target.get(),
            Some(None) => {
                return Err(ListenerRefusal::NamedTarget(
                    listener.port,
                    self.service.clone(),
                ));
            }
            None => {
                if let Some(waits) = &self.waits {
                    return Err(ListenerRefusal::Pending(waits.clone()));
                }
                let service = self.service.clone();
                let known = self.known_ports();
                return Err(ListenerRefusal::Port(listener.port, service, known));
            }
        };
        // The ports that the options name are for one protocol each.
        let of_options = [options.http_port, options.https_port].contains(&target);
        if of_options && target != own.port {
            return Err(ListenerRefusal::OtherProtocol(listener.port, other));
        }
        Ok(Table {
            port: target,
            ..own
        })
    }
}
