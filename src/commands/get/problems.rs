//! `seaway get problems`.

use super::{Replicas, Whole};
use crate::args::{ProblemsArgs, ShowArgs};
use crate::ask::Asked;
use crate::ask::table::{Table, counted};
use crate::inspect::api::ProblemRow;
use crate::process::exit::Failure;

pub(super) async fn list(
    replicas: &Replicas,
    which: &ProblemsArgs,
    show: &ShowArgs,
) -> Result<String, Failure> {
    let asked = Asked::of("problems")
        .with("object", which.object.as_ref())
        .with("namespace", which.namespace.as_ref())
        .with("severity", which.severity.as_ref())
        .with("reason", which.reason.as_ref())
        .with("search", which.search.as_ref());
    let mut all: Whole<ProblemRow> = Whole::ask(replicas, &asked, show).await?;
    let key = |row: &ProblemRow| {
        let (severity, object) = (row.severity.clone(), row.object.clone());
        (
            severity,
            object,
            row.field.clone(),
            row.reason.clone(),
            row.message.clone(),
        )
    };
    all.merge(key, |one, other| {
        if other.since < one.since {
            one.since = other.since;
        }
    });
    all.cut(show);
    let rows = |wide| table(&all, show, wide);
    let name = |row: &ProblemRow| format!("{} {} {}", row.object, row.reason, row.field);
    all.text(show, &sentence(&all), name, rows)
}

fn sentence(all: &Whole<ProblemRow>) -> String {
    if all.total == 0 {
        return "no problem".to_owned();
    }
    if all.items.len() < all.total {
        return counted(all.total, "problem", "problems");
    }
    let errors = all
        .items
        .iter()
        .filter(|i| i.item.severity == "error")
        .count();
    let of = |count, one, many, means| match count {
        0 => counted(0_u32, one, many),
        count => format!("{} ({means})", counted(count, one, many)),
    };
    let warnings = all.items.len() - errors;
    let errors = of(
        errors,
        "error",
        "errors",
        "something is not served as asked",
    );
    let means = "something may not be as meant";
    let warnings = of(warnings, "warning", "warnings", means);
    format!("{errors}, {warnings}")
}

fn table(all: &Whole<ProblemRow>, show: &ShowArgs, wide: bool) -> String {
    let mut table = Table::new(["SEVERITY", "OBJECT", "REASON", "SINCE", "FIELD", "MESSAGE"]);
    for item in &all.items {
        let row = &item.item;
        table.push([
            row.severity.clone(),
            row.object.clone(),
            row.reason.clone(),
            all.times(&item.replica, show).show(&row.since),
            row.field.clone(),
            row.message.clone(),
        ]);
    }
    table.text(wide)
}
