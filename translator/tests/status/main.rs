//! What the status of Gateway API's objects and of Ingresses says, case by case, and of which
//! objects it may have changed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod addresses;
mod bindings;
mod certificates;
mod changes;
mod gateways;
mod meshes;
mod rejections;
mod routes;
mod services;
#[path = "../support/mod.rs"]
mod support;

use std::fmt::Write;

use seaway_translator::model::ServiceKey;
use seaway_translator::status::{Condition, Status, StatusAddress};
use seaway_translator::{Fleet, ObjectId, ObjectKind, Options};
use support::{World, manifests, one};

/// Options that name the Service with the addresses.
fn options() -> Options {
    Options {
        ingress_services: [(Fleet::default(), edge_key())].into(),
        ..Options::default()
    }
}

/// The name of the Service with the addresses.
fn edge_key() -> ServiceKey {
    ServiceKey {
        namespace: "d".into(),
        name: "edge".into(),
    }
}

/// A world with a class `gc`, and proxies that are reached at 192.0.2.1.
fn world() -> World {
    let mut world = World::new(options());
    world.apply([
        support::routing::gateway_class(),
        edge("[{ip: 192.0.2.1}]"),
        support::service("web", "10.96.0.1", ""),
    ]);
    world
}

/// The Service that exposes the proxies, with these addresses of a load balancer.
fn edge(ingress: &str) -> seaway_translator::Object {
    one(&format!(
        "{{kind: Service, metadata: {{namespace: d, name: edge}}, spec: {{type: LoadBalancer, \
         clusterIP: 10.96.0.9, ports: [{{port: 80}}]}}, status: {{loadBalancer: {{ingress: \
         {ingress}}}}}}}"
    ))
}

/// Gateway `d/g` with these fields of its `spec`, and generation 3.
fn gateway(fields: &str) -> seaway_translator::Object {
    one(&format!(
        "{{kind: Gateway, metadata: {{namespace: d, name: g, generation: 3, creationTimestamp: \
         \"2026-01-01T00:00:00Z\"}}, spec: {{gatewayClassName: gc, {fields}}}}}"
    ))
}

/// HTTPRoute `d/r` with these parents, and more fields of its `spec`.
fn route(parents: &str, fields: &str) -> seaway_translator::Object {
    one(&format!(
        "{{kind: HTTPRoute, metadata: {{namespace: d, name: r, generation: 5}}, spec: \
         {{parentRefs: [{parents}], {fields}}}}}"
    ))
}

fn id(kind: ObjectKind, namespace: &str, name: &str) -> ObjectId {
    ObjectId::new(kind, &namespace.into(), &name.into())
}

impl World {
    /// Applies manifests; all of them have to be readable.
    #[track_caller]
    fn apply_text(&mut self, text: &str) {
        let (objects, problems) = manifests(text);
        assert_eq!(problems, []);
        self.apply(objects);
    }

    /// The status of Gateway `d/g` in words.
    fn gateway(&self) -> String {
        self.status(ObjectKind::Gateway, "d", "g")
    }

    /// The status of HTTPRoute `d/r` in words.
    fn route(&self) -> String {
        self.status(ObjectKind::HTTPRoute, "d", "r")
    }

    /// The status of an object in words: conditions as `A=T`, `A=F/Reason`, one line for the object
    /// and one for each listener or parent.
    fn status(&self, kind: ObjectKind, namespace: &str, name: &str) -> String {
        let status = self.translator.status(&id(kind, namespace, name));
        match status {
            None => "nothing".to_owned(),
            Some(Status::GatewayClass(all)) => conditions(&all),
            Some(Status::Ingress(all)) => addresses(&all),
            Some(Status::Route(parents)) => {
                let parents = parents.iter().map(|entry| {
                    let section = entry.parent.section.as_deref().unwrap_or_default();
                    let parent = format!("{}/{section}", entry.parent.name);
                    format!("{parent}: {}", conditions(&entry.conditions))
                });
                parents.collect::<Vec<_>>().join("\n")
            }
            Some(Status::Gateway(gateway)) => {
                let (own, at) = (
                    conditions(&gateway.conditions),
                    addresses(&gateway.addresses),
                );
                let mut text = format!("{own} {at}");
                for listener in &gateway.listeners {
                    write!(
                        text,
                        "\n{}: {} {} {:?}",
                        listener.name,
                        conditions(&listener.conditions),
                        listener.attached_routes,
                        listener.kinds,
                    )
                    .unwrap();
                }
                text
            }
        }
    }

    /// The message of a condition of a listener of Gateway `d/g`, or of the Gateway.
    fn message(&self, listener: &str, kind: &str) -> String {
        let status = self.translator.status(&id(ObjectKind::Gateway, "d", "g"));
        let Some(Status::Gateway(gateway)) = status else {
            return String::new();
        };
        let own = gateway.conditions;
        let mut all = gateway.listeners.into_iter();
        let found = all.find(|one| *one.name == *listener);
        let conditions = found.map_or(own, |listener| listener.conditions);
        let found = conditions.into_iter().find(|one| one.kind == kind);
        found.map_or_else(String::new, |condition| condition.message.to_string())
    }
}

/// Conditions in words: those of Gateway API by their first letter, each with its reason unless
/// that is what the condition is called.
fn conditions(all: &[Condition]) -> String {
    let one = |condition: &Condition| {
        let kind = match condition.kind {
            "Accepted" | "Programmed" | "ResolvedRefs" | "Conflicted" => &condition.kind[..1],
            other => other,
        };
        let (status, reason) = (if condition.status { "T" } else { "F" }, condition.reason);
        match reason == condition.kind || reason == "NoConflicts" {
            true => format!("{kind}={status}"),
            false => format!("{kind}={status}/{reason}"),
        }
    };
    all.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn addresses(all: &[StatusAddress]) -> String {
    let one = |address: &StatusAddress| match address {
        StatusAddress::Ip(ip) => ip.to_string(),
        StatusAddress::Hostname(name) => name.to_string(),
    };
    format!("at {:?}", all.iter().map(one).collect::<Vec<_>>())
}
