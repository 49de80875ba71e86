//! `/api/v1/explain`: what becomes of a connection, as the translator decided it, and whether the
//! proxies have that.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use seaway_translator::{Answer, Fleet, Layer, Question, Role, View, Viewpoint};
use seaway_xds::{ChangeReport, StreamFacts};
use serde::Deserialize;

use super::ask;
use super::have::{Whose, have, origins};
use crate::inspect::api::{Cause, Explained, LastChange};
use crate::inspect::guard::error;
use crate::inspect::handlers::{Asked, apart};
use crate::inspect::query::{is_made_of, parsed};
use crate::inspect::times::Now;
use crate::inspect::{Inspect, changes, openapi, proxies};

/// A question, and who asks it.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::inspect) struct ExplainQuery {
    /// What to explain, as `seaway explain` takes it: `shop/web:80`, `10.96.0.11:53/udp`,
    /// `http://web.shop/`, `gateway/edge`, `resource shop/web/80`.
    #[param(required)]
    what: String,
    /// The namespace of what is named without one.
    namespace: Option<String>,
    /// Where the connection comes from: `node/NAME`, `zone/NAME`, an IP address, or `proxy/ID`: as
    /// that connected proxy sees it.
    from: Option<String>,
    /// The role of the proxy that takes it.
    #[serde(deserialize_with = "parsed")]
    #[param(schema_with = openapi::role)]
    role: Option<Role>,
    /// The Node the proxy runs on.
    node: Option<String>,
    /// The proxy's zone, when its Node has no label for it.
    zone: Option<String>,
    /// The namespace of the pod of a proxy of role mesh.
    pod_namespace: Option<String>,
    /// What a proxy of role mesh imports, such as `shop,infra/dns`.
    import: Option<String>,
    /// The fleet of a proxy of role ingress.
    #[serde(deserialize_with = "parsed")]
    #[param(value_type = Option<String>)]
    fleet: Option<Fleet>,
}

impl ExplainQuery {
    fn question(&self) -> Result<Question, String> {
        let namespace = self.namespace.as_deref().unwrap_or("default");
        Question::read(&self.what, namespace).map_err(|error| format!("what: {error}"))
    }

    /// The id of the connected proxy that is asked about, if it is one.
    fn proxy(&self) -> Option<&str> {
        self.from.as_deref()?.strip_prefix("proxy/")
    }

    /// The proxy that is asked about.
    fn viewpoint(&self, inspect: &Inspect, question: &Question) -> Result<Viewpoint, String> {
        let from = self.from.as_deref();
        if let Some(id) = self.proxy() {
            return of_proxy(inspect, id).map(Viewpoint::of_connected);
        }
        let role = self.role.unwrap_or_else(|| question.usual_role());
        let imports = self.import.as_deref().map(str::parse).transpose();
        let view = View {
            imports: imports.map_err(|error| format!("import: {error}"))?,
            node: self.node.as_deref().map(Into::into),
            zone: self.zone.as_deref().map(Into::into),
            namespace: self.pod_namespace.as_deref().map(Into::into),
            fleet: self.fleet.clone().unwrap_or_default(),
            ..View::of(role)
        };
        let viewpoint = Viewpoint::of(view);
        match from {
            Some(from) => viewpoint
                .from(from)
                .map_err(|error| format!("from: {error}")),
            None => Ok(viewpoint),
        }
    }
}

/// The view of a connected proxy.
fn of_proxy(inspect: &Inspect, id: &str) -> Result<View, String> {
    let streams = inspect.inspector.streams_of(id);
    // One may have ended just now.
    let mut reports = streams
        .iter()
        .filter_map(|of| inspect.inspector.stream(of.number));
    let stream = reports.next();
    let stream = stream.ok_or_else(|| format!("from: no proxy {id:?} is connected here"))?;
    let tables = inspect.board.read();
    let layers = stream.layers.iter().filter_map(|id| tables.layers.get(id));
    let layers: Vec<Layer> = layers.cloned().collect();
    Ok(view(&stream.facts, &layers))
}

/// The view of the proxy of a stream, which looks through these layers.
fn view(facts: &StreamFacts, layers: &[Layer]) -> View {
    let about = |what| proxies::noted(facts, what);
    let role = about("role").and_then(|role| role.parse().ok());
    let name = |what| about(what).map(Into::into);
    let view = View {
        node: name("node"),
        zone: name("zone"),
        region: name("region"),
        namespace: name("namespace"),
        imports: about("import").and_then(|imports| imports.parse().ok()),
        fleet: about("fleet")
            .and_then(|fleet| fleet.parse().ok())
            .unwrap_or_default(),
        ..View::of(role.unwrap_or(Role::Mesh))
    };
    view.seen_through(layers)
}

/// What becomes of a connection or a request, what decided that, and whether the proxies have it.
#[utoipa::path(get, path = "/api/v1/explain", params(ExplainQuery),
    responses((status = 200, body = Explained), (status = 400, description = "The query cannot be read, or asks for what is not known.", body = super::super::api::ApiError)))]
pub(in crate::inspect) async fn explain(
    State(inspect): State<Inspect>,
    Asked(query): Asked<ExplainQuery>,
) -> Result<Response, Response> {
    let bad = |why: String| error(StatusCode::BAD_REQUEST, why);
    let question = query.question().map_err(bad)?;
    let viewpoint = query.viewpoint(&inspect, &question).map_err(bad)?;
    let resource = match &question {
        Question::Resource(name) => Some(name.clone()),
        _ => None,
    };
    let answer = ask(&inspect, move |translator| {
        translator.explain(&question, &viewpoint)
    })
    .await?;
    let explained = move || explained(&inspect, answer, (&query, resource.as_deref()));
    let explained = apart(explained).await?;
    Ok(Json(explained).into_response())
}

/// An answer together with what is known of the proxies that have it.
fn explained(
    inspect: &Inspect,
    answer: Answer,
    (query, resource): (&ExplainQuery, Option<&str>),
) -> Explained {
    let now = Now::read();
    let origins = origins(&answer);
    let whose = match (query.proxy(), &answer.basis.view) {
        (Some(id), _) => Some(Whose::Proxy(id)),
        (None, Some(view)) => Some(Whose::At(view)),
        (None, None) => None,
    };
    let have = whose.map(|whose| have(inspect, (&answer, resource), &origins, &whose));
    let log = inspect.inspector.changes();
    let last = log.iter().find(|change| {
        let mut changed = change.origins.iter();
        changed.any(|origin| origins.iter().any(|object| is_made_of(origin, object)))
    });
    Explained {
        now: now.text(),
        replica: inspect.replica.to_string(),
        commit: inspect.inspector.seq(),
        have,
        last_change: last.map(|change| last_change(inspect, change, &origins, now)),
        answer,
    }
}

fn last_change(
    inspect: &Inspect,
    change: &ChangeReport,
    services: &BTreeSet<String>,
    now: Now,
) -> LastChange {
    let row = changes::row(change, &inspect.board.read(), now);
    LastChange {
        commit: row.commit,
        at: row.at,
        because: because(row.causes, row.objects, services),
        ack_ms: row.ack_ms,
        waiting: row.waiting,
    }
}

/// The object of a commit that changed one of these Services. Of a commit of many objects most have
/// to do with others.
fn because(causes: Vec<Cause>, objects: usize, services: &BTreeSet<String>) -> Option<Cause> {
    let concerns = |cause: &Cause| {
        services.iter().any(|service| {
            let name = service.strip_prefix("Service ").unwrap_or(service);
            let slice = cause.object.strip_prefix("EndpointSlice ");
            let generated = slice.and_then(|slice| slice.strip_prefix(name));
            cause.object == *service || generated.is_some_and(|rest| rest.starts_with('-'))
        })
    };
    let is_only_one = objects == 1;
    let mut causes = causes.into_iter();
    causes.find(|cause| is_only_one || concerns(cause))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use seaway_translator::CertificateDelivery;
    use seaway_xds::{Dialect, PlacementId};

    use super::*;

    #[test]
    fn the_view_of_a_connected_proxy_follows_from_what_it_said_and_looks_through() {
        let facts = |about: &[(&'static str, &str)]| StreamFacts {
            number: 1,
            node: "p".into(),
            about: Vec::from_iter(about.iter().map(|(what, said)| (*what, Arc::from(*said)))),
            identity: None,
            peer: None,
            client: String::new(),
            dialect: Dialect::Delta,
            since: Instant::now(),
            placement: PlacementId(1),
        };
        let through = |layers: &[&str]| -> Vec<Layer> {
            layers.iter().map(|layer| layer.parse().unwrap()).collect()
        };
        let edge = facts(&[("role", "ingress"), ("fleet", "edge")]);
        let fleet = ["fleet:edge", "role:ingress", "all"];
        let chains = view(&edge, &through(&fleet));
        assert_eq!(chains.certificates, CertificateDelivery::Chains);
        let asks = view(&edge, &through(&["on-demand:edge", "fleet:edge", "all"]));
        assert_eq!(asks.certificates, CertificateDelivery::OnDemand);
        assert_eq!((asks.role, asks.fleet.as_str()), (Role::Ingress, "edge"));
        let mesh = facts(&[("role", "mesh"), ("namespace", "shop")]);
        let table = view(
            &mesh,
            &through(&["namespace-table:shop", "role:mesh", "all"]),
        );
        assert_eq!(table.namespace.as_deref(), Some("shop"));
        assert!(table.whole_table);
        assert!(!view(&mesh, &through(&["namespace:shop", "all"])).whole_table);
    }

    #[test]
    fn of_a_commit_of_many_objects_the_one_that_concerns_the_service_is_named_or_none() {
        let cause = |object: &str| Cause {
            object: object.to_owned(),
            version: None,
            gone: false,
        };
        let services = BTreeSet::from(["Service shop/web".to_owned()]);
        let named = |objects: &[&str]| {
            let causes = objects.iter().map(|object| cause(object)).collect();
            let found = because(causes, objects.len(), &services);
            found.map(|cause| cause.object)
        };
        let other = "Service loop/a";
        for own in ["Service shop/web", "EndpointSlice shop/web-x7k2p"] {
            assert_eq!(named(&[other, own]).as_deref(), Some(own));
        }
        for foreign in ["Service shop/web-2", "EndpointSlice shop/webshop-1"] {
            assert_eq!(named(&[other, foreign]), None);
        }
        // Whatever it is, it was this one.
        assert_eq!(named(&["Node n1"]).as_deref(), Some("Node n1"));
        assert_eq!(named(&[]), None);
    }
}
