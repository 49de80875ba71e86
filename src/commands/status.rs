//! `seaway status`: whether all is as it should be, of all replicas that are asked.

use std::process::ExitCode;

use serde::Serialize;

use crate::args::{Form, ShowArgs, StatusArgs};
use crate::ask::table::{Table, counted, grouped, one_line, plain, shortened, wrapped};
use crate::ask::times::{Times, age};
use crate::ask::{self, Asked, Replicas, Said};
use crate::inspect::api::{ProblemCounts, ProxyState, Replica, WorldState};
use crate::process::exit::{Failure, print};
use crate::process::form;

/// How many problems, and how many of those who were not let in, are shown.
const SHOWN: usize = 3;
/// The most characters of each: three lines.
const LONGEST: usize = 320;

/// Prints the state of the replicas. The exit code is 1 if something is not as it should be.
pub(crate) fn run(args: &StatusArgs) -> Result<ExitCode, Failure> {
    let said = ask::run(async {
        let replicas = Replicas::of(&args.ask).await?;
        replicas.all::<Replica>(&Asked::of("status")).await
    })?;
    let text = match args.show.output {
        Form::Text | Form::Wide => text(&said, &args.show),
        Form::Envoy => return Err(super::get::only_for_one()),
        Form::Name => said
            .iter()
            .map(|one| one_line(&one.replica) + "\n")
            .collect(),
        Form::Json => form::json(&Whole::of(&said)).map_err(Failure::Broken)?,
        Form::Yaml => form::yaml(&Whole::of(&said)).map_err(Failure::Broken)?,
    };
    print(&text)?;
    Ok(ExitCode::from(u8::from(!troubles(&said).is_empty())))
}

/// The states of all replicas.
#[derive(Serialize)]
struct Whole<'a> {
    replicas: Vec<Answer<'a>>,
}

/// The state of one replica, or why it has not said it.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer<'a> {
    Said(&'a Replica),
    Silent { replica: &'a str, error: &'a str },
}

impl<'a> Whole<'a> {
    fn of(said: &'a [Said<Replica>]) -> Whole<'a> {
        let answer = |one: &'a Said<Replica>| match &one.answer {
            Ok(replica) => Answer::Said(replica),
            Err(error) => Answer::Silent {
                replica: &one.replica,
                error: error.as_str(),
            },
        };
        Whole {
            replicas: said.iter().map(answer).collect(),
        }
    }
}

/// What is not as it should be, the worst first, each in a few words.
fn troubles(said: &[Said<Replica>]) -> Vec<String> {
    let mut troubles = Vec::new();
    for one in said {
        match &one.answer {
            Err(why) => troubles.push(format!("replica {} does not answer: {why}", one.replica)),
            Ok(replica) => troubles.extend(troubles_of(replica)),
        }
    }
    let live = said.iter().filter_map(|one| one.answer.as_ref().ok());
    let sum = |count: fn(&Replica) -> usize| live.clone().map(count).sum::<usize>();
    let (rejects, behind) = (sum(|r| r.proxies.rejects), sum(|r| r.proxies.behind));
    let most = |count: fn(&Replica) -> usize| live.clone().map(count).max().unwrap_or_default();
    let (not, partly) = (
        most(|replica| replica.services.not_served),
        most(|replica| replica.services.partly),
    );
    for (count, words) in [
        (
            rejects,
            counted(
                rejects,
                "proxy rejects a resource",
                "proxies reject a resource",
            ),
        ),
        (
            behind,
            counted(behind, "proxy is behind", "proxies are behind"),
        ),
        (
            not,
            counted(not, "Service is not served", "Services are not served"),
        ),
        (
            partly,
            counted(
                partly,
                "Service is served in part",
                "Services are served in part",
            ),
        ),
    ] {
        if count > 0 {
            troubles.push(words);
        }
    }
    troubles
}

fn troubles_of(replica: &Replica) -> Vec<String> {
    let name = &replica.replica;
    let mut troubles = Vec::new();
    if let Some(why) = &replica.unready {
        troubles.push(format!("replica {name} is not ready: {why}"));
    }
    if replica.world.state == WorldState::Stale {
        let why = replica.world.why.as_deref().unwrap_or("it is stale");
        troubles.push(format!("replica {name} is stale: {why}"));
    }
    let degraded = replica.degraded.iter();
    troubles.extend(degraded.map(|line| format!("replica {name}: {line}")));
    troubles
}

fn text(said: &[Said<Replica>], show: &ShowArgs) -> String {
    let troubles = troubles(said);
    let mut lines = match troubles.split_first() {
        None => "All is well.\n".to_owned(),
        Some((first, rest)) => {
            let rest = rest
                .iter()
                .map(|trouble| format!("  {}\n", one_line(trouble)));
            format!(
                "NOT WELL: {}\n{}",
                one_line(first),
                rest.collect::<String>()
            )
        }
    };
    lines.push('\n');
    lines.push_str(&table(said, show));
    let live: Vec<&Replica> = said
        .iter()
        .filter_map(|one| one.answer.as_ref().ok())
        .collect();
    lines.push('\n');
    for (title, line) in [
        ("proxies", proxies(&live, show)),
        ("services", services(&live)),
        ("changes", changes(&live)),
        ("problems", problems(&live)),
    ] {
        // Proxies and objects have their own words in it.
        lines.push_str(&format!("{title:<9} {}\n", plain(&line)));
    }
    let most = match show.output {
        Form::Wide => usize::MAX,
        _ => LONGEST,
    };
    for problem in newest(&live) {
        wrapped(&mut lines, "          ", &shortened(&problem, most));
    }
    for denial in denials(&live, show) {
        wrapped(&mut lines, "denied    ", &shortened(&denial, most));
    }
    lines
}

fn table(said: &[Said<Replica>], show: &ShowArgs) -> String {
    let mut table = Table::new([
        "REPLICA", "VERSION", "WORLD", "HEARD", "PROXIES", "BEHIND", "REJECT", "COMMIT", "DIGEST",
    ]);
    for one in said {
        match &one.answer {
            Ok(replica) => table.push([
                replica.replica.clone(),
                replica.version.clone(),
                replica.world.state.as_str().to_owned(),
                Times::of(&replica.now, show.timestamps).show_any(replica.world.heard.as_deref()),
                grouped(replica.proxies.total),
                grouped(replica.proxies.behind),
                grouped(replica.proxies.rejects),
                replica.commit.to_string(),
                replica.digest.chars().take(6).collect(),
            ]),
            Err(_) => {
                let mut row: [String; 9] = Default::default();
                row[0].clone_from(&one.replica);
                row[2] = "NO ANSWER".to_owned();
                table.push(row);
            }
        }
    }
    table.text(show.output == Form::Wide)
}

fn proxies(live: &[&Replica], show: &ShowArgs) -> String {
    let sum = |count: fn(&Replica) -> usize| live.iter().map(|one| count(one)).sum::<usize>();
    let total = sum(|r| r.proxies.total);
    if total == 0 {
        return "none".to_owned();
    }
    let mut line = format!(
        "{}: {} synced",
        grouped(total),
        grouped(sum(|r| r.proxies.synced))
    );
    for (state, count, word) in [
        (ProxyState::Behind, sum(|r| r.proxies.behind), "behind"),
        (ProxyState::Rejects, sum(|r| r.proxies.rejects), "reject"),
    ] {
        if count == 0 {
            continue;
        }
        line.push_str(&format!(", {} {word}", grouped(count)));
        let all = live.iter().flat_map(|one| {
            let worst = one.proxies.worst.iter();
            worst.map(|proxy| (Times::of(&one.now, show.timestamps), proxy))
        });
        if let Some((times, worst)) = all.into_iter().find(|(_, worst)| worst.state == state) {
            let since = times.show_any(worst.since.as_deref());
            let what = worst.what.as_deref().unwrap_or_default();
            line.push_str(&format!(" ({}, {what}, {since})", worst.proxy));
        }
    }
    line
}

fn services(live: &[&Replica]) -> String {
    // Every replica serves all Services.
    let Some(most) = live.iter().max_by_key(|one| one.services.total) else {
        return "unknown".to_owned();
    };
    let counts = &most.services;
    if counts.total == 0 {
        return "none".to_owned();
    }
    let mut line = format!(
        "{}: {} served",
        grouped(counts.total),
        grouped(counts.served)
    );
    for (count, word) in [(counts.partly, "partly"), (counts.not_served, "not")] {
        if count > 0 {
            line.push_str(&format!(", {} {word}", grouped(count)));
        }
    }
    if !counts.lost.is_empty() {
        let lost = counts.lost.join(", ");
        line.push_str(&format!(" (lost within the hour: {lost})"));
    } else if counts.partly + counts.not_served > 0 {
        line.push_str("          see: seaway get services --not yes");
    }
    line
}

fn changes(live: &[&Replica]) -> String {
    let most = live.iter().map(|one| &one.changes);
    let Some(most) = most.max_by(|one, other| one.per_minute.total_cmp(&other.per_minute)) else {
        return "unknown".to_owned();
    };
    let mut line = format!("{:.0}/min", most.per_minute);
    if let (Some(p50), Some(p99)) = (most.ack_p50_ms, most.ack_p99_ms) {
        line.push_str(&format!(
            ", change to last ACK p50 {p50:.1} ms, p99 {p99:.1} ms (15 min)"
        ));
    }
    let waiting = live.iter().filter_map(|one| one.changes.oldest_waiting_s);
    if let Some(oldest) = waiting.reduce(f64::max).filter(|oldest| *oldest >= 1.0) {
        #[expect(clippy::cast_possible_truncation, reason = "an age in milliseconds")]
        let oldest = age((oldest * 1e3) as i64);
        line.push_str(&format!("; the oldest without all ACKs is {oldest} old"));
    }
    line
}

/// The problem counts of the replica that knows most problems: all read the same objects.
fn most<'a>(live: &[&'a Replica]) -> Option<&'a ProblemCounts> {
    let all = live.iter().map(|one| &one.problems);
    all.max_by_key(|counts| counts.errors + counts.warnings)
}

/// The newest errors, each in a line.
fn newest(live: &[&Replica]) -> Vec<String> {
    let rows = most(live).into_iter().flat_map(|counts| &counts.newest);
    let lines = rows.take(SHOWN).map(|row| {
        let field = match row.field.as_str() {
            "" => String::new(),
            field => format!(" {field}"),
        };
        format!("{}{field}: {}: {}", row.object, row.reason, row.message)
    });
    lines.collect()
}

/// Who was not let in of late, each in a line.
fn denials(live: &[&Replica], show: &ShowArgs) -> Vec<String> {
    let all = live.iter().flat_map(|one| {
        let times = Times::of(&one.now, show.timestamps);
        one.denied.iter().map(move |denial| (times, denial))
    });
    let lines = all.take(SHOWN).map(|(times, denial)| {
        let address = denial.address.as_deref().unwrap_or("a client");
        // The reason names the identity as a rule.
        let identity = denial.identity.as_deref();
        let identity = identity.filter(|identity| !denial.why.contains(identity));
        let identity = identity.map_or_else(String::new, |name| format!(" ({name})"));
        let often = counted(denial.times, "time", "times");
        let last = times.show_any(Some(&denial.last));
        format!("{address}{identity}, {often}, {last}: {}", denial.why)
    });
    lines.collect()
}

fn problems(live: &[&Replica]) -> String {
    match most(live).map(|counts| (counts.errors, counts.warnings)) {
        None | Some((0, 0)) => "none".to_owned(),
        Some((errors, warnings)) => format!(
            "{}, {}          see: seaway get problems",
            counted(errors, "error", "errors"),
            counted(warnings, "warning", "warnings")
        ),
    }
}
