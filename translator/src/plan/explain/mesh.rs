//! The sections about a request that a mesh proxy gets: which Service has the host name, and where
//! its requests go.

use super::answer::{Fact, Section};
use super::asker::{Asker, listed};
use super::draft::Draft;
use super::external::of_target;
use super::question::Request;
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
    let host = match host(asker, request, draft) {
        Ok(host) => host,
        Err(why) => {
            section.facts.push(Fact::new("host", why));
            let listen = asker.context.options.mesh_listen;
            section.verdict = vec![match request.tls {
                true => format!("The proxy takes no TLS at {listen}."),
                false => "The request is answered with 404.".to_owned(),
            }];
            draft.add(section);
            return;
        }
    };
    let key = &host.port.service;
    let cluster = host.cluster.parse::<ClusterName>().ok();
    let text = match (&host.rewrite, &cluster) {
        (Some(name), _) => format!("Service {key}, an ExternalName: {name}"),
        (None, Some(cluster)) if cluster.port.service != *key => {
            let target = &cluster.port.service;
            format!("Service {key}, an alias of Service {target}")
        }
        (None, _) => format!("Service {key} port {}", host.port.number),
    };
    section.facts.push(Fact::new("host", text));
    section.facts.push(Fact::new("cluster", &*host.cluster));
    section.served = Served::Yes;
    if let Some(name) = &host.rewrite {
        let number = host.port.number;
        let to = format!("{name}:{number}, which the proxy looks up in DNS");
        section.verdict = vec![format!("A request{} goes to {to}.", asker.origin())];
    }
    draft.add(section);
    if let Some(cluster) = cluster.filter(|_| host.rewrite.is_none()) {
        of_target(asker, &cluster, draft);
    }
}

/// The virtual host that a request is for, or why there is none.
fn host(asker: &Asker<'_>, request: &Request, draft: &mut Draft) -> Result<Host, String> {
    if request.tls {
        let why = "mesh proxies take plain HTTP alone; TLS goes to the address of a Service";
        return Err(why.to_owned());
    }
    let Some(key) = service_of(asker, &request.host) else {
        let domain = &asker.context.options.cluster_domain;
        let host = &request.host;
        return Err(format!(
            "{host} is none of SERVICE.NAMESPACE, SERVICE.NAMESPACE.svc, \
             SERVICE.NAMESPACE.svc.{domain}"
        ));
    };
    draft.concerns(ObjectId::of_service(&key));
    let Some(service) = asker.context.index.service(&key) else {
        let ServiceKey { namespace, name } = &key;
        draft.next(format!("kubectl -n {namespace} get service {name}"));
        return Err(format!("there is no Service {key}"));
    };
    find(asker, service, request)
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
    let numbers = hosts.iter().map(|(host, _)| host.port.number.to_string());
    let numbers: Vec<String> = numbers.collect();
    let at = match numbers.is_empty() {
        true => "not at all".to_owned(),
        false => format!("at {}", listed(&numbers, "and", 8)),
    };
    let mut hosts = hosts.into_iter();
    let found = hosts.find(|(_, names)| names.contains(&wanted));
    found
        .map(|(host, _)| host)
        .ok_or_else(|| match request.port {
            Some(port) => {
                format!("Service {key} is not served by name at port {port}: it is served {at}")
            }
            None => format!(
                "Service {key} is served {at}, so that its name needs a port: {}:PORT",
                request.host
            ),
        })
}
