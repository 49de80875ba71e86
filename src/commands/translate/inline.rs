//! Turns a translation into one static Envoy configuration that needs no control plane: resources
//! that a stream would bring are put where they are used.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::output::Printed;
use crate::process::form;

/// The static bootstrap. Problems are not part of it.
pub(super) fn bootstrap(printed: Printed) -> anyhow::Result<String> {
    let endpoints = by_name(printed.endpoints, "cluster_name");
    let routes = by_name(printed.routes, "name");
    let scopes = by_name(printed.scoped_routes, "name");
    let mut clusters = printed.clusters;
    for cluster in clusters.iter_mut().filter_map(Value::as_object_mut) {
        inline_endpoints(cluster, &endpoints);
    }
    let mut listeners = printed.listeners;
    for listener in &mut listeners {
        inline_routes(listener, &routes);
        inline_scopes(listener, &scopes);
        name_secrets(listener);
    }
    let mut resources = json!({ "listeners": listeners, "clusters": clusters });
    if !printed.secrets.is_empty() {
        resources["secrets"] = printed.secrets.into();
    }
    let bootstrap = json!({
        "node": { "id": "seaway-static", "cluster": "seaway-static" },
        "static_resources": resources,
    });
    form::yaml(&bootstrap)
}

fn by_name(resources: Vec<Value>, key: &str) -> BTreeMap<String, Value> {
    let named = resources
        .into_iter()
        .filter_map(|value| Some((value[key].as_str()?.to_owned(), value)));
    named.collect()
}

/// Makes an EDS cluster static, with its endpoints inside. One without endpoints is empty, as it
/// would be for a proxy.
fn inline_endpoints(cluster: &mut Map<String, Value>, endpoints: &BTreeMap<String, Value>) {
    if cluster.get("type") != Some(&Value::from("EDS")) {
        return;
    }
    let eds = cluster.remove("eds_cluster_config").unwrap_or_default();
    let name = eds["service_name"].as_str().filter(|name| !name.is_empty());
    let name = name
        .or(cluster["name"].as_str())
        .unwrap_or_default()
        .to_owned();
    let none = || json!({ "cluster_name": name });
    let assignment = endpoints.get(&name).cloned().unwrap_or_else(none);
    cluster.insert("type".to_owned(), "STATIC".into());
    cluster.insert("load_assignment".to_owned(), assignment);
}

/// Replaces every reference to a route configuration by the route configuration.
fn inline_routes(value: &mut Value, routes: &BTreeMap<String, Value>) {
    match value {
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| inline_routes(item, routes)),
        Value::Object(fields) => {
            if let Some(name) = fields
                .get("rds")
                .and_then(|rds| rds["route_config_name"].as_str())
            {
                let none = || json!({ "name": name });
                let mut route = routes.get(name).cloned().unwrap_or_else(none);
                // As where Envoy asks for it: shares may have a cluster that there is not.
                route["validate_clusters"] = json!(false);
                fields.remove("rds");
                fields.insert("route_config".to_owned(), route);
            }
            fields
                .values_mut()
                .for_each(|field| inline_routes(field, routes));
        }
        _ => {}
    }
}

/// Has certificates found among the secrets of the configuration itself.
fn name_secrets(value: &mut Value) {
    let fields = match value {
        Value::Array(items) => return items.iter_mut().for_each(name_secrets),
        Value::Object(fields) => fields,
        _ => return,
    };
    let named = fields.get_mut("tls_certificate_sds_secret_configs");
    for secret in named.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(fields) = secret.as_object_mut() {
            fields.remove("sds_config");
        }
    }
    fields.values_mut().for_each(name_secrets);
}

/// Replaces the scopes of a listener by one route configuration with the virtual hosts of all of
/// them. Envoy then finds a host by itself, whatever its spelling: the filter that looks again, and
/// the headers that a scope is found by, are left out.
fn inline_scopes(value: &mut Value, scopes: &BTreeMap<String, Value>) {
    let fields = match value {
        Value::Array(items) => {
            return items
                .iter_mut()
                .for_each(|item| inline_scopes(item, scopes));
        }
        Value::Object(fields) => fields,
        _ => return,
    };
    if fields.remove("scoped_routes").is_some() {
        let table = fields.get("stat_prefix").and_then(Value::as_str);
        let table = table.unwrap_or_default().to_owned();
        fields.insert("route_config".to_owned(), whole_table(&table, scopes));
        fields.remove("early_header_mutation_extensions");
        if let Some(filters) = fields.get_mut("http_filters").and_then(Value::as_array_mut) {
            let looks_again = |filter: &Value| {
                let name = filter["name"].as_str().unwrap_or_default();
                name.starts_with("hosts/")
            };
            filters.retain(|filter| !looks_again(filter));
        }
    }
    fields
        .values_mut()
        .for_each(|field| inline_scopes(field, scopes));
}

/// The scopes of a listener as one route configuration: those of its port, of the listener that
/// takes no connections none.
fn whole_table(table: &str, scopes: &BTreeMap<String, Value>) -> Value {
    let port = table.rsplit('/').next().unwrap_or_default();
    let is_of_port = |name: &str| name.split('/').next() == Some(port);
    let of_table = scopes.iter().filter(|(name, _)| is_of_port(name));
    let mut hosts = Vec::new();
    for (_, scope) in of_table {
        let all = scope["route_configuration"]["virtual_hosts"].as_array();
        hosts.extend(all.into_iter().flatten().cloned());
    }
    for host in hosts.iter_mut().filter_map(Value::as_object_mut) {
        host.remove("typed_per_filter_config");
    }
    json!({
        "name": table,
        "virtual_hosts": hosts,
        "validate_clusters": false,
        "ignore_port_in_host_matching": true,
        "most_specific_header_mutations_wins": true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_and_routes_come_to_where_they_are_used() {
        let printed = Printed {
            listeners: vec![
                json!({ "name": "l", "filter": { "rds": { "route_config_name": "r" } } }),
            ],
            routes: vec![json!({ "name": "r", "virtual_hosts": [] })],
            scoped_routes: Vec::new(),
            extensions: Vec::new(),
            clusters: vec![
                json!({ "name": "a", "type": "EDS", "eds_cluster_config": { "eds_config": {} } }),
                json!({ "name": "b", "type": "EDS", "eds_cluster_config": { "service_name": "x" } }),
                json!({ "name": "c", "type": "STRICT_DNS" }),
            ],
            endpoints: vec![json!({ "cluster_name": "a", "endpoints": [] })],
            secrets: Vec::new(),
            problems: Vec::new(),
        };
        let found = seaway_proto::json::from_yaml(&bootstrap(printed).unwrap()).unwrap();
        let expected = json!({
            "listeners": [{ "name": "l", "filter": { "route_config": {
                "name": "r", "virtual_hosts": [], "validate_clusters": false,
            } } }],
            "clusters": [
                { "name": "a", "type": "STATIC", "load_assignment": { "cluster_name": "a", "endpoints": [] } },
                { "name": "b", "type": "STATIC", "load_assignment": { "cluster_name": "x" } },
                { "name": "c", "type": "STRICT_DNS" },
            ],
        });
        assert_eq!(found["static_resources"], expected);
    }

    #[test]
    fn certificates_are_found_among_the_secrets_of_the_configuration() {
        let mut listener = json!({ "chains": [{
            "tls_certificate_sds_secret_configs": [{ "name": "a/b", "sds_config": { "ads": {} } }],
        }] });
        name_secrets(&mut listener);
        let named = json!([{ "name": "a/b" }]);
        let found = &listener["chains"][0]["tls_certificate_sds_secret_configs"];
        assert_eq!(*found, named);
    }

    #[test]
    fn the_scopes_of_a_listener_become_one_table() {
        let scope = |name: &str| {
            let host = json!({ "name": name, "typed_per_filter_config": {} });
            json!({ "name": name, "route_configuration": { "virtual_hosts": [host] } })
        };
        let scopes = ["80/a", "80/b", "8080/c", "79/d"].map(|name| (name.to_owned(), scope(name)));
        let mut listener = json!({
            "stat_prefix": "http/80",
            "scoped_routes": { "name": "hosts" },
            "early_header_mutation_extensions": [{}],
            "http_filters": [{ "name": "hosts/80", "config_discovery": {} }, { "name": "router" }],
        });
        inline_scopes(&mut listener, &scopes.into());
        let expected = json!({
            "stat_prefix": "http/80",
            "route_config": {
                "name": "http/80",
                "virtual_hosts": [{ "name": "80/a" }, { "name": "80/b" }],
                "ignore_port_in_host_matching": true,
                "validate_clusters": false,
                "most_specific_header_mutations_wins": true,
            },
            "http_filters": [{ "name": "router" }],
        });
        assert_eq!(listener, expected);
    }
}
