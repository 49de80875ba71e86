//! `seaway get resources`.

use super::{Replicas, Whole};
use crate::args::{ResourcesArgs, ShowArgs};
use crate::ask::Asked;
use crate::ask::table::{Table, counted, grouped};
use crate::inspect::api::{Held, ResourceRow};
use crate::process::exit::Failure;

pub(super) async fn list(
    replicas: &Replicas,
    which: &ResourcesArgs,
    show: &ShowArgs,
) -> Result<String, Failure> {
    let (namespace, name) = super::service(&which.service, &which.namespace)?;
    let service = namespace
        .zip(name)
        .map(|(ns, name)| format!("Service {ns}/{name}"));
    let asked = Asked::of("resources")
        .with("object", which.object.clone().or(service))
        .with("type", which.kind.as_ref())
        .with("name", which.name.as_ref())
        .with("layer", which.layer.as_ref())
        .with("proxy", which.proxy.as_ref())
        .with("search", which.search.as_ref());
    let mut all: Whole<ResourceRow> = Whole::ask(replicas, &asked, show).await?;
    if let (Some(id), 0) = (&which.proxy, all.total) {
        // There is none, or it asks for nothing of the kind.
        super::envoy::connected_to(replicas, id).await?;
    }
    // Every replica has all of them, and its own proxies.
    let key = |row: &ResourceRow| {
        let (r#type, name) = (row.r#type.clone(), row.name.clone());
        (r#type, name, row.layer.clone(), row.version.clone())
    };
    all.merge(key, |one, other| one.held = sum(one.held, other.held));
    all.cut(show);
    let total = match all.total {
        0 => "no resource".to_owned(),
        total => counted(total, "resource", "resources"),
    };
    let rows = |wide| table(&all, show, wide);
    all.text(
        show,
        &total,
        |row| format!("{} {}", row.r#type, row.name),
        rows,
    )
}

fn sum(one: Held, other: Held) -> Held {
    Held {
        wanted: one.wanted + other.wanted,
        held: one.held + other.held,
        sent: one.sent + other.sent,
        owed: one.owed + other.owed,
        rejected: one.rejected + other.rejected,
    }
}

/// Who has a resource, in words.
fn held(held: &Held) -> String {
    let mut words = match held.wanted {
        0 => "nobody asks".to_owned(),
        wanted => format!("{} of {}", grouped(held.held), grouped(wanted)),
    };
    for (count, word) in [(held.rejected, "reject it"), (held.owed, "owed")] {
        if count > 0 {
            words.push_str(&format!(", {} {word}", grouped(count)));
        }
    }
    words
}

fn table(all: &Whole<ResourceRow>, show: &ShowArgs, wide: bool) -> String {
    let mut table = Table::new([
        "TYPE", "NAME", "LAYER", "VERSION", "BYTES", "HELD BY", "SINCE",
    ]);
    for item in &all.items {
        let row = &item.item;
        let version = row.version.as_deref().unwrap_or("hidden");
        let version = match wide {
            true => version.to_owned(),
            false => version.chars().take(6).collect(),
        };
        table.push([
            row.r#type.clone(),
            row.name.clone(),
            row.layer.clone(),
            version,
            grouped(row.bytes),
            held(&row.held),
            all.times(&item.replica, show)
                .show_any(row.since.as_deref()),
        ]);
    }
    table.text(wide)
}
