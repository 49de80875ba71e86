//! What a replica has for a proxy.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::ask::{Asked, Replica};
use crate::inspect::api::{Page, ProxyRow, ResourceRow};

/// A resource by its type, as people call it, and its name.
pub(super) type Key = (String, String);

/// The endpoints of an assignment: each with its priority.
pub(super) type Endpoints = BTreeSet<(u64, String)>;

/// What a replica has for a proxy.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// The resources, with their versions.
    pub(super) resources: BTreeMap<Key, Option<String>>,
    /// The endpoints of each assignment.
    pub(super) endpoints: BTreeMap<String, Endpoints>,
    /// Each scoped route as it is printed.
    pub(super) scopes: BTreeMap<String, Value>,
    /// Whether the proxy knows the versions of resources.
    pub(super) by_version: bool,
}

/// Asks the replica.
pub(super) async fn of(replica: &Replica, id: &str) -> Result<Wanted, String> {
    let proxies = Asked::of("proxies").with("proxy", Some(id));
    let proxies: Page<ProxyRow> = replica.list(&proxies, 100).await?;
    let all = Asked::of("resources").with("proxy", Some(id));
    let rows: Page<ResourceRow> = replica.list(&all, usize::MAX).await?;
    let mut wanted = Wanted {
        by_version: proxies.items.iter().all(|row| row.dialect == "delta"),
        ..Wanted::default()
    };
    let rows = rows.items.into_iter();
    wanted.resources = rows
        .map(|row| ((row.r#type, row.name), row.version))
        .collect();
    // Envoy says no version of what follows.
    let contents = async |r#type: &str| {
        let asked = all
            .clone()
            .with("type", Some(r#type))
            .with("content", Some(true));
        let rows: Page<ResourceRow> = replica.list(&asked, usize::MAX).await?;
        let contents = rows.items.into_iter();
        let contents = contents.filter_map(|row| Some((row.name, row.content?)));
        Ok::<BTreeMap<String, Value>, String>(contents.collect())
    };
    let assignments = contents("endpoint").await?.into_iter();
    wanted.endpoints = assignments
        .map(|(name, assignment)| (name, endpoints(&assignment)))
        .collect();
    wanted.scopes = contents("scoped-route").await?;
    Ok(wanted)
}

/// The endpoints of an assignment.
pub(super) fn endpoints(assignment: &Value) -> Endpoints {
    let all = each(&assignment["endpoints"]).flat_map(|locality| {
        let priority = locality["priority"].as_u64().unwrap_or_default();
        each(&locality["lb_endpoints"]).map(move |endpoint| {
            let address = &endpoint["endpoint"]["address"]["socket_address"];
            let ip = address["address"].as_str().unwrap_or_default();
            (priority, format!("{ip} {}", address["port_value"]))
        })
    });
    all.collect()
}

/// The elements of an array; of anything else there are none.
pub(super) fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
