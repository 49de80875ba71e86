//! `seaway get services`.

use seaway_translator::Served;

use super::{Replicas, Whole};
use crate::args::{ServicesArgs, ShowArgs};
use crate::ask::Asked;
use crate::ask::table::{Table, counted, grouped};
use crate::inspect::api::ServiceRow;
use crate::process::exit::Failure;

pub(super) async fn list(
    replicas: &Replicas,
    which: &ServicesArgs,
    show: &ShowArgs,
) -> Result<String, Failure> {
    let name = which.service.as_deref().map(super::without_kind);
    let (namespace, name) = match (name, &which.namespace) {
        // Of that name in any namespace: the rows say which.
        (Some(name), None) if !name.contains('/') => (None, Some(name.to_owned())),
        _ => super::service(&which.service, &which.namespace)?,
    };
    let asked = Asked::of("services")
        .with("namespace", namespace.as_ref())
        .with("name", name)
        .with("served", which.served.as_ref())
        .with("not", which.not.as_ref())
        .with("search", which.search.as_ref());
    let mut all: Whole<ServiceRow> = Whole::ask(replicas, &asked, show).await?;
    // Every replica serves all of them; what differs is since when each knows of it.
    let key = |row: &ServiceRow| (row.namespace.clone(), row.name.clone());
    all.merge(key, |one, other| {
        if other.since < one.since {
            one.since = other.since;
        }
    });
    all.cut(show);
    let rows = |wide| table(&all, show, namespace.is_some(), wide);
    let name = |row: &ServiceRow| format!("{}/{}", row.namespace, row.name);
    all.text(show, &sentence(&all), name, rows)
}

fn sentence(all: &Whole<ServiceRow>) -> String {
    let total = counted(all.total, "Service", "Services");
    if all.total == 0 {
        return "no Service".to_owned();
    }
    if all.items.len() < all.total {
        return total;
    }
    let count = |state| all.items.iter().filter(|i| i.item.served == state).count();
    let counts = [
        (Served::Yes, "served"),
        (Served::Partly, "partly"),
        (Served::No, "not"),
    ];
    let counts = counts.map(|(state, word)| (count(state), word));
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts
        .map(|(c, w)| format!("{} {w}", grouped(*c)))
        .collect();
    format!("{total}: {}", counts.join(", "))
}

fn table(all: &Whole<ServiceRow>, show: &ShowArgs, in_one: bool, wide: bool) -> String {
    let head = [
        "SERVICE",
        "TYPE",
        "ADDRESSES",
        "PORTS",
        "READY",
        "SERVED",
        "SINCE",
        "WHY",
    ];
    let mut table = Table::new(head);
    for item in &all.items {
        let row = &item.item;
        let name = match in_one {
            true => row.name.clone(),
            false => format!("{}/{}", row.namespace, row.name),
        };
        table.push([
            name,
            row.r#type.clone(),
            row.addresses.join(","),
            row.ports.join(","),
            format!("{}/{}", row.ready, row.endpoints),
            row.served.to_string(),
            all.times(&item.replica, show).show(&row.since),
            row.why.clone().unwrap_or_default(),
        ]);
    }
    table.text(wide)
}
