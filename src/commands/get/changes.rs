//! `seaway get changes`.

use super::{Replicas, Whole};
use crate::args::{ChangesArgs, ShowArgs};
use crate::ask::Asked;
use crate::ask::table::{Table, counted, grouped};
use crate::inspect::api::ChangeRow;
use crate::process::exit::Failure;

/// The most commits that a replica remembers.
const KEPT: usize = 1000;
/// How many commits are named of which not every object is kept.
const NAMED: usize = 3;

pub(super) async fn list(
    replicas: &Replicas,
    which: &ChangesArgs,
    show: &ShowArgs,
) -> Result<String, Failure> {
    let asked = Asked::of("changes")
        .with("object", which.object.as_ref())
        .with("waiting", which.waiting.then_some(true));
    let mut all: Whole<ChangeRow> = Whole::ask(replicas, &asked, show).await?;
    // The newest first, whichever replica it is of.
    all.items
        .sort_by(|one, other| other.item.at.cmp(&one.item.at));
    all.cut(show);
    let rows = |wide| table(&all, show, wide);
    let name = |row: &ChangeRow| row.commit.to_string();
    let mut sentence = sentence(&all);
    if let (Some(object), 0, false) = (&which.object, all.total, which.waiting) {
        sentence = format!(
            "no change of {object} is known{}",
            untold(replicas, show).await?
        );
    }
    all.text(show, &sentence, name, rows)
}

/// How many commits had more objects than are kept, and since which commit any is: one that is not
/// found may be among those.
async fn untold(replicas: &Replicas, show: &ShowArgs) -> Result<String, Failure> {
    let show = ShowArgs {
        limit: KEPT,
        ..show.clone()
    };
    let all: Whole<ChangeRow> = Whole::ask(replicas, &Asked::of("changes"), &show).await?;
    let rows = || all.items.iter().map(|item| &item.item);
    let cut = |row: &&ChangeRow| row.objects > row.causes.len();
    let untold: Vec<String> = rows().filter(cut).take(NAMED).map(large).collect();
    let mut text = String::new();
    if let Some(oldest) = rows()
        .map(|row| row.commit)
        .min()
        .filter(|oldest| *oldest > 1)
    {
        text.push_str(&format!("; commits before {oldest} are not kept"));
    }
    if !untold.is_empty() {
        let count = rows().filter(cut).count();
        let more = match count.saturating_sub(untold.len()) {
            0 => String::new(),
            more => format!(" and {} more", grouped(more)),
        };
        let untold = untold.join(", ");
        text.push_str(&format!(
            "; of large commits not every object is kept, so it may be in {untold}{more}"
        ));
    }
    Ok(text)
}

fn large(row: &ChangeRow) -> String {
    format!("commit {} ({} objects)", row.commit, grouped(row.objects))
}

fn sentence(all: &Whole<ChangeRow>) -> String {
    let waiting = all
        .items
        .iter()
        .filter(|item| item.item.waiting > 0)
        .count();
    match (all.total, waiting) {
        (0, _) => "no change".to_owned(),
        (total, 0) => {
            let total = counted(total, "change", "changes");
            format!("{total}; every proxy has answered")
        }
        (total, waiting) => {
            let total = counted(total, "change", "changes");
            let waiting = grouped(waiting);
            format!("{total}; to {waiting} of them some proxy has not answered yet")
        }
    }
}

fn table(all: &Whole<ChangeRow>, show: &ShowArgs, wide: bool) -> String {
    let mut table = Table::new([
        "COMMIT", "AGE", "BECAUSE", "CHANGED", "BYTES", "PROXIES", "LAST ACK", "REPLICA",
    ]);
    for item in &all.items {
        let row = &item.item;
        table.push([
            row.commit.to_string(),
            all.times(&item.replica, show).show(&row.at),
            because(row),
            changed(row),
            grouped(row.types.iter().map(|of| of.bytes as u64).sum::<u64>()),
            proxies(row),
            row.ack_ms
                .map_or_else(String::new, |ms| format!("{ms:.1}ms")),
            item.replica.clone(),
        ]);
    }
    table.text(wide, "none")
}

/// Why a change was made: the object, and how many others.
fn because(row: &ChangeRow) -> String {
    let Some(first) = row.causes.first() else {
        return "a proxy that came or left".to_owned();
    };
    let gone = if first.gone { " is gone" } else { "" };
    match row.objects {
        0 | 1 => format!("{}{gone}", first.object),
        objects => format!("{}{gone} (+{})", first.object, objects - 1),
    }
}

/// What changed: `2 endpoint, -1 listener`.
fn changed(row: &ChangeRow) -> String {
    let each = row.types.iter().flat_map(|of| {
        let set = (of.set > 0).then(|| format!("{} {}", of.set, of.r#type));
        let removed = (of.removed > 0).then(|| format!("-{} {}", of.removed, of.r#type));
        [set, removed]
    });
    each.flatten().collect::<Vec<_>>().join(", ")
}

fn proxies(row: &ChangeRow) -> String {
    let all = row.types.iter().map(|of| of.proxies).max();
    let all = grouped(all.unwrap_or_default());
    match row.waiting {
        0 => all,
        waiting => format!("{all}, {} waiting", grouped(waiting)),
    }
}
