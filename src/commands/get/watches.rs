//! `seaway get watches`.

use super::{Replicas, Whole};
use crate::args::ShowArgs;
use crate::ask::Asked;
use crate::ask::table::{Table, grouped};
use crate::inspect::api::WatchRow;
use crate::process::exit::Failure;

pub(super) async fn list(replicas: &Replicas, show: &ShowArgs) -> Result<String, Failure> {
    let mut all: Whole<WatchRow> = Whole::ask(replicas, &Asked::of("watches"), show).await?;
    all.cut(show);
    let rows = |wide| table(&all, show, wide);
    all.text(show, &sentence(&all), |row| row.watch.clone(), rows)
}

fn sentence(all: &Whole<WatchRow>) -> String {
    let is_well = |state: &str| ["live", "absent", "unneeded"].contains(&state);
    let ill = all
        .items
        .iter()
        .filter(|item| !is_well(&item.item.state))
        .count();
    match (all.total, ill) {
        (0, _) => "no watch: the source is a folder".to_owned(),
        (total, 0) => format!("{} watches, all well", grouped(total)),
        (total, ill) => format!("{} watches, {} not well", grouped(total), grouped(ill)),
    }
}

fn table(all: &Whole<WatchRow>, show: &ShowArgs, wide: bool) -> String {
    let mut table = Table::new(["WATCH", "STATE", "HEARD", "WHY", "REPLICA"]);
    for item in &all.items {
        let row = &item.item;
        table.push([
            row.watch.clone(),
            row.state.clone(),
            all.times(&item.replica, show)
                .show_any(row.heard.as_deref()),
            row.why.clone().unwrap_or_default(),
            item.replica.clone(),
        ]);
    }
    table.text(wide)
}
