//! What an operator watches: the board and the alerts of `deploy/components/monitoring` name
//! metrics that there are, each alert says what to do, and there are never too many series (xDS
//! rules 207 and 208).

mod exemplars;
mod exposition;
mod expressions;
mod monitoring;
mod runbook;
mod scene;

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};

use exposition::Exposition;
use expressions::{Matcher, Named};
use monitoring::Shown;
use scene::Everything;

/// The most series that one replica may have: what it costs to watch Seaway does not depend on how
/// much it serves.
const SERIES: usize = 400;

/// Labels that whoever collects the metrics adds, and metrics of its own.
const TARGET: [&str; 4] = ["job", "namespace", "pod", "instance"];
const COLLECTED: &str = "up";

/// The labels of a metric; `None` if there is no such metric.
fn labels_of(metric: &str, all: &Exposition) -> Option<BTreeSet<String>> {
    let series = all.of(metric)?.iter();
    Some(series.flat_map(|labels| labels.keys().cloned()).collect())
}

fn is_target(label: &str) -> bool {
    TARGET.contains(&label)
}

/// Whether a metric has series of which this matcher speaks.
fn check_matcher(metric: &str, matcher: &Matcher, all: &Exposition) -> Result<()> {
    let Matcher { label, value, .. } = matcher;
    if is_target(label) {
        return Ok(());
    }
    let series = all.of(metric).into_iter().flatten();
    let values: BTreeSet<&str> = series
        .filter_map(|labels| labels.get(label).map(String::as_str))
        .collect();
    let alternatives = value.split('|');
    let missing: Vec<_> = alternatives
        .filter(|value| !values.contains(value))
        .collect();
    ensure!(
        missing.is_empty(),
        "{metric} has no {label} {missing:?} but {values:?}"
    );
    Ok(())
}

/// Whether what an expression names is there, and its result has the labels that are shown of it.
fn check_expression(shown: &Shown, all: &Exposition) -> Result<()> {
    let Named {
        selectors,
        groupings,
    } = &shown.named;
    ensure!(!selectors.is_empty(), "it names no metric");
    let mut labels = BTreeSet::new();
    for selector in selectors.iter().filter(|one| one.metric != COLLECTED) {
        let metric = &selector.metric;
        labels.extend(labels_of(metric, all).with_context(|| format!("no metric {metric}"))?);
        for matcher in &selector.matchers {
            check_matcher(metric, matcher, all)?;
        }
    }
    for label in groupings {
        let known = labels.contains(label) || is_target(label);
        ensure!(known, "nothing has the label {label}");
    }
    for label in &shown.labels {
        let kept = match groupings.is_empty() {
            true => labels.contains(label) || is_target(label),
            false => groupings.contains(label),
        };
        ensure!(kept, "its result has no label {label}");
    }
    Ok(())
}

#[test]
fn every_expression_names_metrics_labels_and_values_that_there_are() -> Result<()> {
    let shown: Vec<Shown> = monitoring::of_alerts()?
        .into_iter()
        .chain(monitoring::of_board()?)
        .collect();
    ensure!(shown.len() > 50, "only {} expressions", shown.len());
    Everything::run(|everything| {
        let all = everything.all()?;
        let checked = shown.iter().map(|shown| {
            let checked = check_expression(shown, &all);
            checked.with_context(|| format!("{}: {:?}", shown.place, shown.named))
        });
        let wrong: Vec<String> = checked
            .filter_map(|checked| Some(format!("{:#}", checked.err()?)))
            .collect();
        ensure!(wrong.is_empty(), "{wrong:#?}");
        Ok(())
    })
}

#[test]
fn the_board_has_the_ten_signals_in_their_order_and_says_of_each_panel_what_it_means() -> Result<()>
{
    let board = monitoring::board()?;
    let (mut rows, mut numbers) = (Vec::new(), BTreeSet::new());
    for panel in monitoring::panels(&board)? {
        let title = panel["title"].as_str().context("a panel without a title")?;
        ensure!(
            numbers.insert(panel["id"].to_string()),
            "{title}: its id is another's"
        );
        if panel["type"] == "row" {
            rows.push(title.split('.').next().unwrap_or_default().to_owned());
            continue;
        }
        let description = panel["description"].as_str().unwrap_or_default();
        ensure!(description.len() > 40, "{title}: no description");
        let of_variable = panel["datasource"]["uid"] == "${datasource}";
        ensure!(of_variable, "{title}: {}", panel["datasource"]);
    }
    let ten: Vec<String> = (1..=10).map(|number| number.to_string()).collect();
    ensure!(rows == ten, "{rows:?}");
    Ok(())
}

#[test]
fn series_are_few_and_grow_neither_with_services_nor_with_proxies() -> Result<()> {
    Everything::run(|everything| {
        let few = everything.serve()?;
        everything.services(2..1000)?;
        everything.proxy("n2", "node", "n2.node.seaway")?;
        // Of both nodes, each with a listener for each Service.
        everything.await_at_least("seaway_xds_resources_total", ".Listener\"", 2000.0)?;
        let many = everything.serve()?;
        let counts = many.counts();
        ensure!(
            many.count() <= SERIES,
            "{} series: {counts:?}",
            many.count()
        );
        // A label with the name of a Service, an object, a proxy or a node would be one of these.
        let (few, many) = (few.series(), many.series());
        let more: Vec<_> = many.difference(&few).collect();
        ensure!(more.is_empty(), "there is more: {more:#?}");
        Ok(())
    })
}
