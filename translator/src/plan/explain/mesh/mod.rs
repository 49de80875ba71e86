//! The sections about a request that a mesh proxy gets, or a gRPC client sends: which Service has
//! the host name, and where its requests go.

mod rules;

use std::net::IpAddr;
use std::sync::Arc;

use super::answer::{Fact, Section};
use super::asker::{Asker, listed};
use super::draft::Draft;
use super::external::of_target;
use super::question::{Request, Scheme};
use super::service::slices;
use super::summary::{self, Served};
use super::words::settings;
use crate::model::{Kind, Service, ServiceKey};
use crate::names::ClusterName;
use crate::place::targets::Target;
use crate::plan::external_name;
use crate::plan::grpc::is_for_grpc;
use crate::plan::hosts::{Host, Named, addresses, named, of_any};
use crate::plan::service::ServicePlan;
use crate::{ObjectId, Origin, Role};

/// What becomes of the RPCs of a client that asks for what nobody has.
const NO_RESOURCE: &str = "RPCs fail with UNAVAILABLE (the resource does not exist), once the client has waited for 15 s. It is told when there is one.";

/// What a host stands for.
#[derive(Debug)]
struct Found {
    host: Host,
    /// The pod whose endpoint alone is asked for.
    pod: Option<Arc<str>>,
}

/// How a host names a Service.
#[derive(Debug)]
struct Naming {
    service: ServiceKey,
    /// The name as it is among those of the Service.
    name: String,
    pod: Option<Arc<str>>,
}

/// Explains a request at a mesh proxy, or at a gRPC client.
pub(super) fn answer(asker: &Asker<'_>, request: &Request, draft: &mut Draft) {
    let is_grpc = asker.view.role == Role::Grpc;
    let request = &Request {
        scheme: if is_grpc { Scheme::Xds } else { request.scheme },
        ..request.clone()
    };
    let mut section = Section {
        title: format!("{request}, as {} sees it", asker.who()),
        ..Section::default()
    };
    let Found { host, pod } = match find(asker, request, draft) {
        Ok(found) => found,
        Err(why) => {
            section.facts.push(Fact::new("host", why));
            let listen = asker.context.options.mesh_listen;
            section.verdict = vec![match request.scheme {
                Scheme::Https => format!("The proxy takes no TLS at {listen}."),
                Scheme::Http => "The request is answered with 404.".to_owned(),
                Scheme::Xds => NO_RESOURCE.to_owned(),
            }];
            draft.add(section);
            return;
        }
    };
    let key = &host.port.service;
    draft.made_of(Origin::Service(key.clone()));
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
    let service = asker.context.index.service(key);
    let of_requests = service.and_then(|service| settings::of_requests(service));
    section.facts.extend(of_requests);
    section.served = Served::Yes;
    if let Some(name) = &host.rewrite {
        let number = host.port.number;
        let by = asker.by_whom();
        let to = format!("{name}:{number}, which the {by} looks up in DNS");
        section.verdict = vec![format!("A request{} goes to {to}.", asker.origin())];
    }
    if let (Some(pod), Some(cluster)) = (pod, &cluster) {
        of_pod(asker, &pod, cluster, &mut section, draft);
        draft.add(section);
        return;
    }
    let Some(section) = rules::say(asker, request, &host, section, draft) else {
        return;
    };
    draft.add(section);
    if let Some(cluster) = cluster.filter(|_| host.rewrite.is_none()) {
        of_target(asker, &cluster, draft);
    }
}

/// Says where requests for a pod go.
fn of_pod(
    asker: &Asker<'_>,
    pod: &str,
    cluster: &ClusterName,
    section: &mut Section,
    draft: &mut Draft,
) {
    let key = &cluster.port.service;
    let Some(service) = asker.context.index.service(key) else {
        return;
    };
    let plan = ServicePlan::new(&asker.context, service);
    let chosen = plan.clusters.iter().find(|plan| plan.name == *cluster);
    let chosen = chosen.and_then(|cluster| {
        let seen = cluster.assignments.iter();
        let (_, priorities) = asker.seen(seen.map(|(layer, found)| (layer, found)))?;
        let candidates = plan.candidates(cluster);
        let all = priorities.iter().flatten().map(|at| &candidates[*at]);
        let of_pod = all.filter(|one| one.endpoint.hostname.as_deref() == Some(pod));
        Some(of_pod.map(|one| one.address.to_string()).collect())
    });
    let chosen: Vec<String> = chosen.unwrap_or_default();
    section.facts.push(Fact::by("pod", "hostname", pod));
    let origin = asker.origin();
    section.verdict = vec![match chosen.is_empty() {
        true => format!(
            "A request{origin} is answered with 503: none of the endpoints of {key} that are used is that of a pod {pod}."
        ),
        false => format!("A request{origin} goes to {}.", listed(&chosen, "or", 8)),
    }];
    if chosen.is_empty() {
        section.served = Served::No;
        draft.next(format!("seaway explain {key}"));
    }
    slices(asker, &service.key, draft);
}

/// The virtual host that a request is for, or why there is none.
fn find(asker: &Asker<'_>, request: &Request, draft: &mut Draft) -> Result<Found, String> {
    if request.is_tls() {
        let why = "mesh proxies take plain HTTP alone; TLS goes to the address of a Service";
        return Err(why.to_owned());
    }
    let is_grpc = asker.view.role == Role::Grpc;
    if is_grpc && !asker.context.options.is_target(&request.host) {
        return Err(none(asker, &request.host));
    }
    let naming = match request.address() {
        Some(ip) => by_address(asker, ip, &request.host)?,
        None => by_name(asker, &request.host)?,
    };
    let key = &naming.service;
    draft.concerns(ObjectId::of_service(key));
    let Some(service) = asker.context.index.service(key) else {
        if naming.pod.is_some() {
            return Err(none(asker, &request.host));
        }
        let ServiceKey { namespace, name } = key;
        draft.next(format!("kubectl -n {namespace} get service {name}"));
        return Err(asker.there_is_no(&ObjectId::of_service(key)));
    };
    if let Some(why) = asker.imports_no(key) {
        return Err(why);
    }
    let host = host(asker, service, request, &naming.name)?;
    if naming.pod.is_some() && !host.pods {
        return Err(format!(
            "Service {key} is not headless, so that its pods have no names of their own"
        ));
    }
    if is_grpc && !is_for_grpc(&asker.context, &host.cluster) {
        return Err(format!(
            "the endpoints of Service {key} port {} speak what no gRPC client does (appProtocol \
             kubernetes.io/wss, or the PROXY protocol)",
            host.port.number
        ));
    }
    Ok(Found {
        host,
        pod: naming.pod,
    })
}

fn by_address(asker: &Asker<'_>, ip: IpAddr, host: &str) -> Result<Naming, String> {
    let owner = asker.context.index.claims().cluster_ip_owner(ip);
    let service = owner.ok_or_else(|| format!("{ip} is the cluster IP of no Service"))?;
    Ok(Naming {
        service: service.clone(),
        name: host.to_owned(),
        pod: None,
    })
}

/// The Service that a host name is of, as the filter of the listener takes it (`mesh.lua`).
fn by_name(asker: &Asker<'_>, host: &str) -> Result<Naming, String> {
    let labels: Vec<&str> = host.split('.').collect();
    let is_of_pod = match labels.as_slice() {
        [short] => {
            let why = "a short name is for clients of one namespace, and this proxy says none (--pod-namespace)";
            let namespace = asker.view.mesh_namespace().ok_or(why)?;
            return Ok(Naming {
                service: ServiceKey {
                    namespace: namespace.clone(),
                    name: (*short).into(),
                },
                name: format!("{short}.{namespace}"),
                pod: None,
            });
        }
        [_, _, "svc", rest @ ..] => rest.first() == Some(&"svc"),
        labels => labels.len() > 2,
    };
    let (pod, labels) = labels.split_at(usize::from(is_of_pod));
    let name = labels.join(".");
    let target = Target::read(&name, asker.context.options).ok_or_else(|| none(asker, host))?;
    Ok(Naming {
        service: target.service,
        name,
        pod: pod.first().map(|pod| (*pod).into()),
    })
}

/// Why a host is no name of a Service.
fn none(asker: &Asker<'_>, host: &str) -> String {
    let domain = &asker.context.options.cluster_domain;
    format!(
        "{host} is none of SERVICE.NAMESPACE, SERVICE.NAMESPACE.svc, \
         SERVICE.NAMESPACE.svc.{domain}"
    )
}

/// Why no name of a Service is served, with a colon before it.
fn why_not(asker: &Asker<'_>, service: &Service) -> String {
    if matches!(service.kind, Kind::ExternalName(_))
        && let Some(refusal) = external_name::plan(&asker.context, service).refusal
    {
        return format!(": {refusal}");
    }
    let why = summary::of_any(&asker.context, service).why;
    why.map_or_else(String::new, |why| format!(": {why}"))
}

/// The virtual host of a Service that a request with such a name is for.
fn host(
    asker: &Asker<'_>,
    service: &Service,
    request: &Request,
    name: &str,
) -> Result<Host, String> {
    let key = &service.key;
    let wanted = match request.port {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    };
    let hosts = named(of_any(&asker.context, service), asker.context.options);
    let numbers = hosts.iter().map(|named| named.host.port.number.to_string());
    let numbers: Vec<String> = numbers.collect();
    if numbers.is_empty() {
        return Err(format!(
            "Service {key} is not served by name{}",
            why_not(asker, service)
        ));
    }
    let at = format!("at {}", listed(&numbers, "and", 8));
    let addresses = addresses(&asker.context, service);
    let is = |named: &Named| {
        let mut by_address = addresses.iter().flat_map(|ip| named.at(*ip));
        named.names.contains(&wanted) || by_address.any(|name| name == wanted)
    };
    let found = hosts.into_iter().find(is);
    found
        .map(|named| named.host)
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
