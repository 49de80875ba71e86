//! `seaway get layers`.

use super::{Replicas, Whole};
use crate::args::{LayersArgs, ShowArgs};
use crate::ask::Asked;
use crate::ask::table::{Table, counted, grouped};
use crate::inspect::api::LayerRow;
use crate::process::exit::Failure;

pub(super) async fn list(
    replicas: &Replicas,
    which: &LayersArgs,
    show: &ShowArgs,
) -> Result<String, Failure> {
    let asked = Asked::of("layers").with("search", which.search.as_ref());
    let mut all: Whole<LayerRow> = Whole::ask(replicas, &asked, show).await?;
    // What is in a layer is the same everywhere, and every replica has its own proxies.
    all.merge(
        |row| row.layer.clone(),
        |one, other| {
            let proxies = one.proxies + other.proxies;
            if other.resources > one.resources {
                *one = other;
            }
            one.proxies = proxies;
        },
    );
    all.cut(show);
    let rows = |wide| table(&all, wide);
    all.text(show, &sentence(&all), |row| row.layer.clone(), rows)
}

fn sentence(all: &Whole<LayerRow>) -> String {
    let resources: usize = all.items.iter().map(|item| item.item.resources).sum();
    let bytes: usize = all.items.iter().map(|item| item.item.bytes).sum();
    match (all.total, all.items.len() == all.total) {
        (0, _) => "no layer".to_owned(),
        (total, false) => counted(total, "layer", "layers"),
        (total, true) => format!(
            "{}: {}, {} bytes",
            counted(total, "layer", "layers"),
            counted(resources, "resource", "resources"),
            grouped(bytes)
        ),
    }
}

fn table(all: &Whole<LayerRow>, wide: bool) -> String {
    let mut table = Table::new(["LAYER", "PROXIES", "RESOURCES", "BYTES", "TYPES"]);
    for item in &all.items {
        let row = &item.item;
        let types = row.types.iter();
        let types = types.map(|of| format!("{} {}", grouped(of.resources), of.r#type));
        table.push([
            row.layer.clone(),
            grouped(row.proxies),
            grouped(row.resources),
            grouped(row.bytes),
            types.collect::<Vec<_>>().join(", "),
        ]);
    }
    table.text(wide)
}
