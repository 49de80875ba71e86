//! The difference as people read it: a line for each effect, the worst first, and how much it is.

use std::collections::BTreeMap;

use seaway_translator::diff::{Counts, Difference, Effect, Harm, Places};

use super::{Outcome, hunks};
use crate::args::{DiffArgs, ProxyRole};
use crate::ask::table::{counted, grouped, plain};

/// How wide the column with the names may be.
const WIDEST: usize = 40;
/// Of more effects than this that are alike, not all are shown.
const MANY: usize = 10;
/// The line that stands for the rest of them.
const LISTED: usize = 4;
/// How many new problems are listed.
const PROBLEMS: usize = 10;
/// How much of `-v` is printed, in bytes.
const MOST_HUNKS: usize = 64 << 20;

/// The whole text.
pub(super) fn print(outcome: &Outcome, args: &DiffArgs) -> String {
    let Outcome {
        difference,
        problems,
        notes,
    } = outcome;
    let mut text = String::new();
    for note in notes {
        line(&mut text, format_args!("note: {note}"));
    }
    let all = lines(difference);
    let widths = all.iter().map(|line| line.name.chars().count());
    let width = widths.max().unwrap_or(0).min(WIDEST);
    for Line {
        mark,
        name,
        sentence,
    } in all
    {
        line(&mut text, format_args!("{mark} {name:<width$}  {sentence}"));
    }
    for problem in problems.iter().take(PROBLEMS) {
        let (object, field, message) = (&problem.object, &problem.field, &problem.message);
        line(
            &mut text,
            format_args!("! problem: {object} {field}: {message}"),
        );
    }
    if problems.len() > PROBLEMS {
        let more = problems.len() - PROBLEMS;
        line(&mut text, format_args!("! and {more} more new problems"));
    }
    line(&mut text, format_args!("{}", summary(difference, args)));
    if args.verbose {
        add_hunks(&mut text, difference);
    }
    text
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // It may have words of objects and of proxies.
    text.push_str(&plain(&line.to_string()));
    text.push('\n');
}

/// A line of the text.
struct Line {
    mark: char,
    name: String,
    sentence: String,
}

/// Effects of many Services that are alike: how many there are, and the first one's name.
#[derive(Default)]
struct Group {
    all: usize,
    shown: usize,
    first: String,
}

/// The lines of all effects. Of many that are alike only the first few are shown, unless clients
/// lose something new.
fn lines(difference: &Difference) -> Vec<Line> {
    let mut groups: BTreeMap<Effect, Group> = BTreeMap::new();
    for effect in difference.changed.iter().flat_map(|c| &c.effects) {
        groups.entry(effect.alike()).or_default().all += 1;
    }
    let mut lines = Vec::new();
    for changed in &difference.changed {
        for effect in &changed.effects {
            let name = match &effect.port {
                Some(port) => format!("{}:{port}", changed.owner),
                None => changed.owner.to_string(),
            };
            let group = groups.entry(effect.alike()).or_default();
            let is_one_of_many = group.all > MANY && effect.harm > Harm::Refused;
            group.shown += 1;
            if group.shown == 1 {
                group.first.clone_from(&name);
            }
            let sentence = match (is_one_of_many, group.shown) {
                (true, LISTED) => format!(
                    "like {}: {} more",
                    group.first,
                    grouped(group.all + 1 - LISTED)
                ),
                (true, LISTED..) => continue,
                _ => effect.to_string(),
            };
            let name = match is_one_of_many && group.shown == LISTED {
                true => "…".to_owned(),
                false => name,
            };
            lines.push(Line {
                mark: effect.mark(),
                name,
                sentence,
            });
        }
    }
    lines
}

fn summary(difference: &Difference, args: &DiffArgs) -> String {
    let Counts {
        services,
        changed,
        views,
        most_resources,
        most_bytes,
        listeners_replaced,
        listeners_removed,
        ..
    } = difference.counts;
    let all = counted(services, "Service", "Services");
    if most_resources == 0 {
        let proxies = counted(views, "proxy", "proxies");
        return format!("no difference: nothing is sent ({all}, {proxies})");
    }
    let of_nodes = args.role == [ProxyRole::Node];
    let who = if of_nodes { "node" } else { "proxy" };
    let size = bytes(most_bytes);
    let is_one = changed == 1 || services == 1;
    let change = if is_one { "changes" } else { "change" };
    let mut text = format!(
        "{} of {all} {change}; per {who} at most {}, {size}; listeners replaced {}, removed {}",
        grouped(changed),
        counted(most_resources, "resource", "resources"),
        grouped(listeners_replaced),
        grouped(listeners_removed),
    );
    let hidden = match (args.only_harm, &args.namespace) {
        (true, _) => "; shown is only what clients lose".to_owned(),
        (false, Some(namespace)) => format!("; shown is namespace {namespace}"),
        (false, None) => String::new(),
    };
    text.push_str(&hidden);
    text
}

fn bytes(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..10_000_000 => format!("{} kB", grouped(bytes.div_ceil(1_000))),
        _ => format!("{} MB", grouped(bytes.div_ceil(1_000_000))),
    }
}

fn add_hunks(text: &mut String, difference: &Difference) {
    for (at, change) in difference.resources.iter().enumerate() {
        if text.len() > MOST_HUNKS {
            let more = difference.resources.len() - at;
            return line(text, format_args!("and {more} more resources"));
        }
        let verb = match (&change.old, &change.new) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        let places = match &change.places {
            Places::Everywhere => String::new(),
            some => format!(", {}", some.to_string().trim_end_matches(": ")),
        };
        let (kind, name) = (&change.kind, &change.name);
        text.push('\n');
        line(text, format_args!("{kind} {name} ({verb}{places})"));
        text.push_str(&hunks::of(change));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_rounded_up() {
        assert_eq!(
            [999, 2_001, 12_000_000].map(bytes).join(" "),
            "999 B 3 kB 12 MB"
        );
    }
}
