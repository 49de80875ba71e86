//! `seaway get changes`.

use std::collections::BTreeMap;

use super::{Replicas, Whole};
use crate::args::{ChangesArgs, ShowArgs};
use crate::ask::Asked;
use crate::ask::table::{Table, counted, grouped};
use crate::inspect::api::ChangeRow;
use crate::process::exit::Failure;
use crate::writer::COMMITS;

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
        limit: COMMITS,
        ..show.clone()
    };
    let all: Whole<ChangeRow> = Whole::ask(replicas, &Asked::of("changes"), &show).await?;
    let rows = || all.items.iter().map(|item| &item.item);
    let cut = |row: &&ChangeRow| row.objects > row.causes.len();
    let untold: Vec<String> = rows().filter(cut).take(NAMED).map(large).collect();
    let mut text = forgotten(&all);
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

/// Before which commit none is kept. Replicas count their own commits.
fn forgotten(all: &Whole<ChangeRow>) -> String {
    let mut oldest = BTreeMap::<&str, u64>::new();
    for item in &all.items {
        let of = oldest.entry(&item.replica).or_insert(item.item.commit);
        *of = item.item.commit.min(*of);
    }
    oldest.retain(|_, oldest| *oldest > 1);
    let each = oldest.iter().map(|(replica, oldest)| match all.now.len() {
        1 => oldest.to_string(),
        _ => format!("{oldest} of {replica}"),
    });
    match each.collect::<Vec<_>>().join(" and ") {
        none if none.is_empty() => none,
        each => format!("; commits before {each} are not kept"),
    }
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
    table.text(wide)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::Said;
    use crate::inspect::api::Page;

    fn said(replica: &str, commits: &[u64]) -> Said<Page<ChangeRow>> {
        let row = |commit: &u64| ChangeRow {
            commit: *commit,
            at: String::new(),
            causes: Vec::new(),
            objects: 0,
            origins: Vec::new(),
            origins_total: 0,
            types: Vec::new(),
            waiting: 0,
            ack_ms: None,
        };
        let page = Page {
            now: String::new(),
            replica: replica.to_owned(),
            commit: 1,
            total: commits.len(),
            next: None,
            items: commits.iter().map(row).collect(),
        };
        Said {
            replica: replica.to_owned(),
            answer: Ok(page),
        }
    }

    #[test]
    fn what_is_forgotten_is_told_by_the_numbers_of_each_replica() {
        let of = |all| forgotten(&Whole::of(all));
        assert_eq!(of(vec![said("s1", &[2, 1])]), "");
        let one = of(vec![said("s1", &[1007, 8, 9])]);
        assert_eq!(one, "; commits before 8 are not kept");
        let young = of(vec![said("s1", &[9, 8]), said("s2", &[2, 1])]);
        assert_eq!(young, "; commits before 8 of s1 are not kept");
        let both = of(vec![said("s1", &[9, 8]), said("s2", &[40, 30])]);
        assert_eq!(both, "; commits before 8 of s1 and 30 of s2 are not kept");
    }
}
