//! `seaway get proxies`.

use std::collections::BTreeMap;

use super::{Replicas, Whole};
use crate::args::{ProxiesArgs, ShowArgs};
use crate::ask::Asked;
use crate::ask::table::{Table, counted, grouped};
use crate::inspect::api::{ProxyRow, ProxyState};
use crate::process::exit::Failure;

pub(super) async fn list(
    replicas: &Replicas,
    which: &ProxiesArgs,
    show: &ShowArgs,
) -> Result<String, Failure> {
    let asked = Asked::of("proxies")
        .with("proxy", which.id())
        .with("state", which.state.as_ref())
        .with("not", which.not.as_ref())
        .with("role", which.role.as_ref())
        .with("node", which.node.as_ref())
        .with("zone", which.zone.as_ref())
        .with("fleet", which.fleet.as_ref())
        .with("search", which.search.as_ref());
    let mut all: Whole<ProxyRow> = Whole::ask(replicas, &asked, show).await?;
    if let (Some(id), 0) = (which.id(), all.total) {
        return Err(super::not_connected(id, all.silent.as_deref()));
    }
    all.items
        .sort_by(|a, b| (a.item.state, &a.item.proxy).cmp(&(b.item.state, &b.item.proxy)));
    all.cut(show);
    let rows = |wide| table(&all, show, wide);
    all.text(
        show,
        &sentence(&all),
        |row| format!("proxy/{}", row.proxy),
        rows,
    )
}

fn sentence(all: &Whole<ProxyRow>) -> String {
    let count = |state| all.items.iter().filter(|i| i.item.state == state).count();
    let counts = [
        (ProxyState::Synced, "synced"),
        (ProxyState::Behind, "behind"),
        (ProxyState::Rejects, "rejecting"),
    ];
    let counts = counts.map(|(state, word)| (count(state), word));
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts
        .map(|(c, w)| format!("{} {w}", grouped(*c)))
        .collect();
    let total = counted(all.total, "proxy", "proxies");
    match (all.total, counts.is_empty(), all.items.len() == all.total) {
        (0, ..) => "no proxy".to_owned(),
        (_, false, true) => format!("{total}: {}", counts.join(", ")),
        _ => total,
    }
}

fn table(all: &Whole<ProxyRow>, show: &ShowArgs, wide: bool) -> String {
    let head = [
        "PROXY", "ROLE", "NODE", "ZONE", "ENVOY", "STATE", "SINCE", "WHAT", "REPLICA",
    ];
    let mut table = Table::new(head);
    // There is room for a long list where nothing is cut.
    let imports = |row: &ProxyRow| match (wide, row.import.is_empty()) {
        (true, false) => format!("{} (imports {})", row.role, row.import.join(",")),
        _ => row.role.clone(),
    };
    let mut streams = BTreeMap::<&str, usize>::new();
    for item in &all.items {
        *streams.entry(&item.item.proxy).or_default() += 1;
    }
    for item in &all.items {
        let row = &item.item;
        // Several connections of one process differ by where they come from.
        let proxy = match (streams.get(&*row.proxy), &row.address) {
            (Some(2..), Some(address)) => format!("{} ({address})", row.proxy),
            _ => row.proxy.clone(),
        };
        let times = all.times(&item.replica, show);
        let any = |text: &Option<String>| text.clone().unwrap_or_default();
        let since = row.since.as_deref().unwrap_or(&row.connected);
        let envoy = row.client.strip_prefix("envoy ").unwrap_or(&row.client);
        table.push([
            proxy,
            imports(row),
            any(&row.node),
            any(&row.zone),
            envoy.to_owned(),
            row.state.as_str().to_owned(),
            times.show(since),
            any(&row.what),
            item.replica.clone(),
        ]);
    }
    table.text(wide)
}
