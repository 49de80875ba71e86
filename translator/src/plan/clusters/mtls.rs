//! mTLS between mesh proxies: what a Namespace asks of the connections to a cluster, and whom a
//! proxy takes its endpoints for.
//!
//! A mesh proxy with a certificate connects to one port of every pod, `--mesh-inbound`, and says by
//! SNI which port of the workload it means. Strict or not is a matter of everybody else: they get
//! the endpoints as ever, or none.

use std::num::NonZeroU16;
use std::sync::Arc;

use super::super::Context;
use crate::model::{
    ACCOUNTS_ANNOTATION, AppProtocol, MTLS_ANNOTATION, Mtls, Namespace, Protocol, Service,
    ServicePort,
};
use crate::names::ClusterName;
use crate::policy::frontends::is_stream;
use crate::{ObjectId, ObjectKind, Options, Problem, Reason, Subject};

/// What a Namespace asks of the connections to the endpoints of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Protection {
    pub mode: Mtls,
    /// How proxies with a certificate connect; `None`: as all others, since mTLS cannot carry what
    /// is spoken to these endpoints.
    pub tunnel: Option<Tunnel>,
}

impl Protection {
    /// Whether a proxy without a certificate is given no endpoints, nor is one with a certificate
    /// where there is no tunnel.
    pub(crate) fn is_strict(&self) -> bool {
        self.mode == Mtls::Strict
    }
}

/// How a proxy with a certificate connects to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tunnel {
    /// The port of the endpoint's proxy.
    pub port: u16,
    /// Whom it has to be.
    pub identities: Identities,
}

/// The identities of which a certificate has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identities {
    /// One of these. Nobody has an empty list.
    Of(Vec<String>),
    /// Any that begins like this.
    Below(String),
}

impl Identities {
    /// All identities of the mesh.
    pub(crate) fn of_mesh(options: &Options) -> Identities {
        Identities::Below(format!("spiffe://{}/ns/", options.trust_domain))
    }

    /// Those of the pods of a Service.
    fn of_service(service: &Service, options: &Options) -> Identities {
        let namespace = &service.key.namespace;
        let below = format!("spiffe://{}/ns/{namespace}/sa/", options.trust_domain);
        match &service.accounts {
            None => Identities::Below(below),
            Some(accounts) => {
                let each = accounts.iter().map(|account| format!("{below}{account}"));
                Identities::Of(each.collect())
            }
        }
    }

    /// The identities in words.
    pub(crate) fn words(&self) -> String {
        match self {
            Identities::Of(none) if none.is_empty() => {
                format!("nobody: {ACCOUNTS_ANNOTATION} has no good name")
            }
            Identities::Of(all) => all.join(", "),
            Identities::Below(prefix) => format!("{prefix}*"),
        }
    }
}

/// What a Service's Namespace asks for, where there is mTLS at all.
pub(crate) fn mode(context: &Context<'_>, service: &Service) -> Option<Mtls> {
    context.options.mesh_inbound?;
    let routing = context.index.routing();
    routing.namespace(&service.key.namespace)?.mtls
}

/// What is asked of the connections to the endpoints of a cluster. Only TCP can be protected.
pub(crate) fn of_cluster(
    context: &Context<'_>,
    service: &Service,
    port: &ServicePort,
    name: &ClusterName,
) -> Option<Protection> {
    let mode = mode(context, service).filter(|_| port.protocol == Protocol::Tcp)?;
    let inbound = context.options.mesh_inbound?;
    let tunnel = (!name.tls && service.proxy_protocol.is_none()).then(|| Tunnel {
        port: inbound.port(),
        identities: Identities::of_service(service, context.options),
    });
    Some(Protection { mode, tunnel })
}

/// The ports of the workloads of a Service to which connections by mTLS may lead: those of its
/// endpoints, but none that the proxy has for itself.
pub(crate) fn workload_ports(context: &Context<'_>, service: &Service) -> Vec<NonZeroU16> {
    let options = context.options;
    let own = [options.mesh_inbound, Some(options.mesh_listen)];
    let slices = context.index.slices(&service.key);
    let mut ports: Vec<NonZeroU16> = slices
        .flat_map(|slice| &slice.ports)
        .filter(|port| port.protocol == Protocol::Tcp)
        .filter(|port| service.ports.iter().any(|of| of.name == port.name))
        .map(|port| port.number)
        .filter(|port| own.iter().flatten().all(|own| own.port() != port.get()))
        .collect();
    ports.sort();
    ports.dedup();
    ports
}

/// The problems with the ports of a Service that mTLS cannot carry.
pub(crate) fn problems(context: &Context<'_>, service: &Service) -> Vec<Problem> {
    let Some(mode) = mode(context, service) else {
        return Vec::new();
    };
    let harm = match mode {
        Mtls::Permissive => "connections to it are not mTLS",
        Mtls::Strict => "no proxy connects to it, since its Namespace is strict",
    };
    let problem = |field: String, why: &str| {
        let subject = Subject::from(&service.key);
        let message = format!("mTLS does not carry {why}: {harm}");
        match mode {
            Mtls::Permissive => Problem::warning(subject, field, Reason::UnsupportedField, message),
            Mtls::Strict => Problem::error(subject, field, Reason::UnsupportedField, message),
        }
    };
    if service.proxy_protocol.is_some() && service.ports.iter().any(is_stream) {
        let field = "metadata.annotations[seaway.dev/proxy-protocol]".to_owned();
        return vec![problem(field, "a PROXY header")];
    }
    let is_tls = |port: &&ServicePort| {
        is_stream(port) && matches!(port.app_protocol, AppProtocol::Https | AppProtocol::Wss)
    };
    let ports = service.ports.iter().filter(is_tls);
    let of_port = |port: &ServicePort| {
        let field = format!("spec.ports[{}].appProtocol", port.index);
        problem(
            field,
            "TLS that the proxy itself speaks for requests by name",
        )
    };
    ports.map(of_port).collect()
}

/// The problems with a Namespace: those found while reading it, and that it asks for what is not
/// served.
pub(crate) fn namespace_problems(namespace: &Namespace, options: &Options) -> Vec<Problem> {
    let mut problems = namespace.problems.to_vec();
    if namespace.mtls.is_some() && options.mesh_inbound.is_none() {
        let id = ObjectId::new(ObjectKind::Namespace, &Arc::from(""), &namespace.name);
        problems.push(Problem::error(
            id,
            format!("metadata.annotations[{MTLS_ANNOTATION}]"),
            Reason::UnsupportedField,
            "--mesh-inbound is not set: no connection is mTLS",
        ));
    }
    problems
}
