//! The list of layers: what each has, and how many proxies look through it.

use seaway_xds::{Inspector, LayerReport};

use crate::inspect::api::{LayerRow, LayerType};
use crate::inspect::board::Tables;
use crate::inspect::query::{Cut, LayerQuery, Paging, finds};
use crate::inspect::types;

/// A page of the layers that a query asks for, by name.
pub(in crate::inspect) fn page(
    inspector: &Inspector,
    tables: &Tables,
    query: &LayerQuery,
) -> Cut<LayerRow> {
    let mut reports = inspector.layers();
    let named = tables.layers.iter().map(|(id, layer)| {
        let report = reports.remove(id).unwrap_or_default();
        (layer.to_string(), report)
    });
    let shown = named.filter(|(name, _)| finds(&query.search, [name.into()]));
    let cut = Paging::of(query.limit, query.after.clone()).cut(
        shown
            .map(|(name, report)| (name.clone(), (name, report)))
            .collect(),
    );
    cut.map(|(name, report)| row(name, &report))
}

fn row(layer: String, report: &LayerReport) -> LayerRow {
    let types = report.types.iter();
    let types = types.map(|of| LayerType {
        r#type: types::short(of.type_url).to_owned(),
        resources: of.count,
        bytes: of.bytes,
    });
    LayerRow {
        layer,
        proxies: report.seen_by,
        resources: report.types.iter().map(|of| of.count).sum(),
        bytes: report.types.iter().map(|of| of.bytes).sum(),
        types: types.collect(),
    }
}
