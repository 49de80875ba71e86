//! `seaway get proxy/ID -o envoy`: what a replica has for one proxy, as Envoy would print it, in
//! the groups of `seaway translate`.

use serde_json::{Map, Value, json};

use super::Replicas;
use crate::args::ProxiesArgs;
use crate::ask::table::{counted, grouped};
use crate::ask::{Asked, Replica};
use crate::commands::translate::redacted;
use crate::inspect::api::{Page, ProxyRow, ResourceRow};
use crate::process::exit::Failure;
use crate::process::form;
use crate::process::log;

/// How many bytes are printed unless all are asked for.
const USUAL: usize = 1 << 20;
/// How many resources are asked for at a time.
const PAGE: usize = 200;

/// Prints it.
pub(super) async fn print(replicas: &Replicas, which: &ProxiesArgs) -> Result<String, Failure> {
    let Some(id) = which.id() else {
        return Err(super::only_for_one());
    };
    let replica = connected_to(replicas, id).await?;
    let asked = Asked::of("resources")
        .with("proxy", Some(id))
        .with("content", Some(true))
        .with("type", which.kind.as_ref())
        .with("name", which.name.as_ref())
        .with("limit", Some(PAGE));
    let mut dump = Dump::new(if which.all { usize::MAX } else { USUAL });
    let mut after = None;
    loop {
        let asked = asked.clone().with("after", after.as_ref());
        let page: Page<ResourceRow> = replica.get(&asked).await.map_err(Failure::unusable)?;
        dump.total = page.total;
        let fits = page.items.into_iter().all(|row| dump.add(row));
        after = page.next;
        if !fits || after.is_none() {
            break;
        }
    }
    if let Some(more) = dump.more() {
        log::say(&more);
    }
    dump.text()
}

/// The replica to which a proxy is connected.
pub(in crate::commands) async fn connected_to<'a>(
    replicas: &'a Replicas,
    id: &str,
) -> Result<&'a Replica, Failure> {
    let asked = Asked::of("proxies").with("proxy", Some(id));
    let said = replicas.lists::<ProxyRow>(&asked, 1).await?;
    let has = |page: &Page<ProxyRow>| page.total > 0;
    let mut each = replicas.each().zip(&said);
    let found = each.find(|(_, said)| said.answer.as_ref().is_ok_and(has));
    let found = found.map(|(replica, _)| replica);
    found.ok_or_else(|| super::not_connected(id, crate::ask::silent(&said).as_deref()))
}

/// Resources in their groups, of as many bytes as there is room for.
#[derive(Debug)]
struct Dump {
    groups: Map<String, Value>,
    room: usize,
    shown: usize,
    total: usize,
}

impl Dump {
    fn new(room: usize) -> Dump {
        Dump {
            groups: Map::new(),
            room,
            shown: 0,
            total: 0,
        }
    }

    /// Adds a resource, if there is room for it.
    fn add(&mut self, row: ResourceRow) -> bool {
        let content = row.content.unwrap_or_else(|| redacted(&row.name));
        let Some(room) = self.room.checked_sub(content.to_string().len()) else {
            return false;
        };
        self.room = room;
        self.shown += 1;
        // As `translate` calls it.
        let group = row.r#type.replace('-', "_") + "s";
        let group = self.groups.entry(group).or_insert_with(|| json!([]));
        if let Value::Array(all) = group {
            all.push(content);
        }
        true
    }

    /// That it is not all, if so.
    fn more(&self) -> Option<String> {
        let more = self
            .total
            .checked_sub(self.shown)
            .filter(|more| *more > 0)?;
        Some(format!(
            "cut after {}: {} more (--all prints them, --type and --name choose)",
            counted(self.shown, "resource", "resources"),
            grouped(more)
        ))
    }

    fn text(self) -> Result<String, Failure> {
        form::json(&Value::Object(self.groups)).map_err(Failure::Broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::api::Held;

    fn row(kind: &str, name: &str, content: Option<Value>) -> ResourceRow {
        ResourceRow {
            r#type: kind.to_owned(),
            name: name.to_owned(),
            layer: "all".to_owned(),
            object: String::new(),
            version: None,
            bytes: 0,
            commit: 1,
            since: None,
            held: Held::default(),
            refs: Vec::new(),
            content,
        }
    }

    #[test]
    fn what_has_no_room_is_counted_and_a_secret_has_no_content() {
        let mut dump = Dump::new(200);
        dump.total = 3;
        let cluster = json!({ "name": "a", "type": "EDS" });
        assert!(dump.add(row("cluster", "a", Some(cluster.clone()))));
        assert!(dump.add(row("secret", "s", None)));
        assert!(!dump.add(row(
            "cluster",
            "b",
            Some(json!({ "name": "b".repeat(200) }))
        )));
        assert_eq!(
            dump.more().unwrap(),
            "cut after 2 resources: 1 more (--all prints them, --type and --name choose)"
        );
        let printed: Value = serde_json::from_str(&dump.text().unwrap()).unwrap();
        assert_eq!(printed["clusters"], json!([cluster]));
        let key = &printed["secrets"][0]["tls_certificate"]["private_key"];
        assert_eq!(key["inline_string"], "[redacted]");
    }
}
