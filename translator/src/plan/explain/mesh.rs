//! The sections about a request that a mesh proxy gets: which Service has the host name, and where
//! its requests go.

use super::answer::{Fact, Section};
use super::asker::{Asker, listed};
use super::draft::Draft;
use super::external::{named_port, of_target};
use super::question::Request;
use super::service::short;
use super::summary::Served;
use crate::ObjectId;
use crate::model::{Service, ServiceKey};
use crate::names::{ClusterName, is_label};
use crate::plan::hosts::{Host, named, of_any};

/// Explains a request at a mesh proxy.
pub(super) fn answer(asker: &Asker<'_>, request: &Request, draft: &mut Draft) {
    let mut section = Section {
        title: format!("{request}, as {} sees it", asker.who()),
        ..Section::default()
    };
    let not_found = |why: String, mut section: Section| {
        section.facts.push(Fact::new("host", why));
        let listen = asker.context.options.mesh_listen;
        section.verdict = vec![match request.tls {
            true => format!("The proxy takes no TLS at {listen}."),
            false => "The request is answered with 404.".to_owned(),
        }];
        section
    };
    if request.tls {
        let why =
            "mesh proxies take plain HTTP alone; TLS goes to the address of a Service".to_owned();
        draft.add(not_found(why, section));
        return;
    }
    let Some(key) = service_of(asker, &request.host) else {
        let domain = &asker.context.options.cluster_domain;
        let why = format!(
            "{} is none of SERVICE.NAMESPACE, SERVICE.NAMESPACE.svc, \
             SERVICE.NAMESPACE.svc.{domain}",
            request.host
        );
        draft.add(not_found(why, section));
        return;
    };
    draft.concerns(ObjectId::of_service(&key));
    let Some(service) = asker.context.index.service(&key) else {
        draft.next(format!(
            "kubectl -n {} get service {}",
            key.namespace, key.name
        ));
        draft.add(not_found(format!("there is no Service {key}"), section));
        return;
    };
    let host = match find(asker, service, request) {
        Ok(host) => host,
        Err(why) => {
            draft.add(not_found(why, section));
            return;
        }
    };
    let cluster = host.cluster.parse::<ClusterName>().ok();
    let text = match (&host.rewrite, &cluster) {
        (Some(name), _) => format!("Service {key}, an ExternalName: {name}"),
        (None, Some(cluster)) if cluster.port.service != key => {
            format!(
                "Service {key}, an alias of Service {}",
                cluster.port.service
            )
        }
        (None, Some(cluster)) => format!("Service {key} port {}", named_port(service, cluster)),
        (None, None) => format!("Service {key}"),
    };
    section.facts.push(Fact::new("host", text));
    section.facts.push(Fact::new("cluster", &*host.cluster));
    if let Some(name) = &host.rewrite {
        section.served = Served::Yes;
        let number = host.port.number;
        let to = format!("{name}:{number}, which the proxy looks up in DNS");
        section.verdict = vec![format!("A request{} goes to {to}.", asker.origin())];
        draft.add(section);
        return;
    }
    section.served = Served::Yes;
    draft.add(section);
    if let Some(cluster) = cluster {
        of_target(asker, &cluster, draft);
    }
}

/// The Service that a host name is of.
fn service_of(asker: &Asker<'_>, host: &str) -> Option<ServiceKey> {
    let domain = format!(".svc.{}", asker.context.options.cluster_domain);
    let short = host.strip_suffix(&*domain);
    let short = short.or_else(|| host.strip_suffix(".svc")).unwrap_or(host);
    let (name, namespace) = short.split_once('.')?;
    (is_label(name) && is_label(namespace)).then(|| ServiceKey {
        namespace: namespace.into(),
        name: name.into(),
    })
}

/// The virtual host of a Service that a request is for.
fn find(asker: &Asker<'_>, service: &Service, request: &Request) -> Result<Host, String> {
    let key = &service.key;
    let wanted = match request.port {
        Some(port) => format!("{}:{port}", request.host),
        None => request.host.to_string(),
    };
    let hosts = named(of_any(&asker.context, service), asker.context.options);
    let is_empty = hosts.is_empty();
    let mut hosts = hosts.into_iter();
    let found = hosts.find(|(_, names)| names.contains(&wanted));
    let ports: Vec<String> = service.ports.iter().map(short).collect();
    let ports = listed(&ports, "and", 8);
    found
        .map(|(host, _)| host)
        .ok_or_else(|| match request.port {
            _ if is_empty => format!("Service {key} is not served by name"),
            Some(port) => format!("Service {key} has no TCP port {port}, only {ports}"),
            None => format!(
                "Service {key} has {ports} and no port 80, so that its name needs one: \
             {}:PORT",
                request.host
            ),
        })
}
