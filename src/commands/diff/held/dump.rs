//! What an Envoy says of its configuration (`/config_dump`): of what a control plane gave it, the
//! names and versions. Static resources of its bootstrap are not among that.

use std::collections::BTreeMap;

use anyhow::Context;
use seaway_proto::{TypeUrl, json};
use serde_json::Value;

use super::wanted::{Endpoints, Key, each, endpoints};
use crate::args::EnvoyAdmin;
use crate::commands::envoy_admin::config_dump;
use crate::process::outside::quote;

/// What an Envoy has of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// The version that is in use; of an assignment there is none.
    pub(super) version: Option<String>,
    /// The version that waits for what it refers to.
    pub(super) warming: Option<String>,
    /// Envoy's words about the last update of it, which it rejected.
    pub(super) error: Option<String>,
    /// The endpoints of an assignment.
    pub(super) endpoints: Option<Endpoints>,
    /// A scoped route as it is printed here.
    pub(super) scope: Option<Value>,
}

/// What an Envoy has.
pub(super) type Holding = BTreeMap<Key, Held>;

/// The parts of a dump that are asked for, one after the other: the type, and the query, which
/// leaves out what is not compared. Scoped routes cannot be masked.
const PARTS: [(&str, &str); 9] = [
    (
        "cluster",
        "resource=dynamic_active_clusters&mask=version_info,cluster.name,error_state",
    ),
    (
        "cluster",
        "resource=dynamic_warming_clusters&mask=version_info,cluster.name,error_state",
    ),
    (
        "endpoint",
        "include_eds&resource=dynamic_endpoint_configs&mask=endpoint_config.cluster_name,endpoint_config.endpoints",
    ),
    (
        "listener",
        "resource=dynamic_listeners&mask=name,active_state.version_info,warming_state.version_info,error_state.details",
    ),
    (
        "route",
        "resource=dynamic_route_configs&mask=version_info,route_config.name,error_state",
    ),
    ("scoped-route", "resource=dynamic_scoped_route_configs"),
    (
        "extension",
        "resource=ecds_filters&mask=version_info,ecds_filter.name",
    ),
    (
        "secret",
        "resource=dynamic_active_secrets&mask=name,version_info",
    ),
    (
        "secret",
        "resource=dynamic_warming_secrets&mask=name,version_info",
    ),
];

/// Asks an Envoy.
///
/// # Errors
///
/// It is not there, or does not answer as an Envoy does.
pub(super) fn of(envoy: &EnvoyAdmin) -> anyhow::Result<Holding> {
    let mut holding = Holding::new();
    for (r#type, query) in PARTS {
        // An Envoy without any says that there is no such part.
        let Some(text) = config_dump(envoy, query)? else {
            continue;
        };
        let dump: Value = serde_json::from_str(&text).context("a dump that is no JSON")?;
        add(&mut holding, r#type, query.contains("warming_"), &dump);
    }
    Ok(holding)
}

/// Adds what one part says.
fn add(holding: &mut Holding, r#type: &str, is_warming: bool, dump: &Value) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    for config in each(&dump["configs"]) {
        let error = config["error_state"]["details"].as_str().map(quote);
        let version = text(&config["version_info"]);
        let (name, held) = match r#type {
            "scoped-route" => {
                scoped(holding, config);
                continue;
            }
            "listener" => {
                let version = |state: &str| text(&config[state]["version_info"]);
                let held = Held {
                    version: version("active_state"),
                    warming: version("warming_state"),
                    error,
                    ..Held::default()
                };
                // One that only drains is gone.
                if held == Held::default() {
                    continue;
                }
                (&config["name"], held)
            }
            "endpoint" => {
                let assignment = &config["endpoint_config"];
                let held = Held {
                    endpoints: Some(endpoints(assignment)),
                    ..Held::default()
                };
                (&assignment["cluster_name"], held)
            }
            _ => {
                let named = ["cluster", "route_config", "ecds_filter"];
                let named = named.iter().find_map(|field| config.get(field));
                let (version, warming) = match is_warming {
                    true => (None, version),
                    false => (version, None),
                };
                let held = Held {
                    version,
                    warming,
                    error,
                    ..Held::default()
                };
                (named.map_or(&config["name"], |named| &named["name"]), held)
            }
        };
        let Some(name) = text(name) else {
            continue;
        };
        let known = holding.entry((r#type.to_owned(), name)).or_default();
        known.version = known.version.take().or(held.version);
        known.warming = known.warming.take().or(held.warming);
        known.error = known.error.take().or(held.error);
        known.endpoints = known.endpoints.take().or(held.endpoints);
    }
}

/// Adds the scoped routes of a listener. The version that Envoy says is that of the last response,
/// so each is kept as it is, but printed as it is printed here.
fn scoped(holding: &mut Holding, config: &Value) {
    for scope in each(&config["scoped_route_configs"]) {
        let mut scope = scope.clone();
        if let Value::Object(fields) = &mut scope {
            fields.remove("@type");
        }
        let Some(name) = scope["name"].as_str().map(str::to_owned) else {
            continue;
        };
        let url = TypeUrl::SCOPED_ROUTE.as_str();
        let printed = json::from_value(url, &scope).and_then(|bytes| json::to_value(url, &bytes));
        let held = Held {
            scope: Some(printed.unwrap_or(scope)),
            ..Held::default()
        };
        holding.insert(("scoped-route".to_owned(), name), held);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_listener_is_in_use_warms_or_was_rejected_and_one_that_drains_is_gone() {
        let mut holding = Holding::new();
        let dump = json!({"configs": [
            {"name": "a", "active_state": {"version_info": "1"}, "warming_state": {"version_info": "2"}},
            {"name": "b", "active_state": {"version_info": "1"}, "error_state": {"details": "cannot bind"}},
            {"name": "c"},
        ]});
        add(&mut holding, "listener", false, &dump);
        let of = |name: &str| holding.get(&("listener".to_owned(), name.to_owned()));
        assert_eq!(of("a").unwrap().warming.as_deref(), Some("2"));
        assert_eq!(of("b").unwrap().error.as_deref(), Some("cannot bind"));
        assert_eq!(of("c"), None);
    }

    #[test]
    fn a_cluster_may_be_in_use_and_warm() {
        let mut holding = Holding::new();
        let dump = |version: &str| json!({"configs": [{"version_info": version, "cluster": {"name": "a"}}]});
        add(&mut holding, "cluster", false, &dump("1"));
        add(&mut holding, "cluster", true, &dump("2"));
        let held = &holding[&("cluster".to_owned(), "a".to_owned())];
        assert_eq!(held.version.as_deref(), Some("1"));
        assert_eq!(held.warming.as_deref(), Some("2"));
    }

    #[test]
    fn endpoints_have_a_priority_and_an_address() {
        let mut holding = Holding::new();
        let endpoint = json!({"endpoint": {"address": {"socket_address": {"address": "10.0.0.1", "port_value": 80}}}});
        let assignment = json!({"cluster_name": "a", "endpoints": [{"priority": 1, "lb_endpoints": [endpoint]}]});
        add(
            &mut holding,
            "endpoint",
            false,
            &json!({"configs": [{"endpoint_config": assignment}]}),
        );
        let held = &holding[&("endpoint".to_owned(), "a".to_owned())];
        let expected = Endpoints::from([(1, "10.0.0.1 80".to_owned())]);
        assert_eq!(held.endpoints, Some(expected));
    }
}
