//! Asks running replicas: the answer of one of them, with how many proxies of all have it.

use seaway_translator::{Answer, Fact, Section, Served};

use crate::args::{ExplainArgs, OutputForm};
use crate::ask::table::{grouped, one_line};
use crate::ask::times::Times;
use crate::ask::{self, Asked, Replicas};
use crate::inspect::api::{Explained, Have, LastChange, Rejection, Without, WithoutState};
use crate::process::exit::Failure;

/// The most rejections that a section names.
const REJECTIONS: usize = 3;

/// The answer of the first replica that gives one, with how many proxies of all have it.
pub(super) fn ask(args: &ExplainArgs) -> Result<Answer, Failure> {
    let place = &args.place;
    let asked = Asked::of("explain")
        .with("what", Some(args.what.join(" ")))
        .with("namespace", Some(&args.namespace))
        .with("from", args.from.as_ref())
        .with("role", args.role.map(seaway_translator::Role::from))
        .with("node", place.node_name.as_ref())
        .with("zone", place.zone.as_ref())
        .with("pod_namespace", place.pod_namespace.as_ref())
        .with("import", place.import.as_ref())
        .with("fleet", place.fleet.as_ref());
    let said = ask::run(async {
        let replicas = Replicas::of(&args.ask).await?;
        replicas.all::<Explained>(&asked).await
    })?;
    let silent = ask::silent(&said);
    let all: Vec<Explained> = said
        .into_iter()
        .filter_map(|said| said.answer.ok())
        .collect();
    let have = all.iter().filter_map(|explained| explained.have.clone());
    let have = have.reduce(together);
    let Some(first) = all.into_iter().next() else {
        return Err(Failure::unusable("no replica answered"));
    };
    let times = Times::of(&first.now, false);
    let mut answer = first.answer;
    if let Some(have) = &have {
        rejected(&mut answer, have);
    }
    // For programs the answer is what it is with --files.
    if args.output == OutputForm::Text
        && let Some(section) = answer.sections.first_mut()
    {
        let text = proxies(have.as_ref(), first.last_change.as_ref(), times);
        section.facts.push(fact("proxies", text));
        section
            .facts
            .extend(silent.map(|text| fact("replicas", text)));
    }
    Ok(answer)
}

fn fact(label: &str, text: String) -> Fact {
    Fact {
        label: label.to_owned(),
        text,
        field: None,
    }
}

/// What two replicas say of their proxies.
fn together(one: Have, other: Have) -> Have {
    let mut without = one.without;
    without.extend(other.without);
    without.sort_by_key(|of| of.state != WithoutState::Rejects);
    Have {
        connected: one.connected + other.connected,
        proxies: one.proxies + other.proxies,
        have: one.have + other.have,
        reject: one.reject + other.reject,
        without,
    }
}

/// Puts into an answer that proxies reject some of what it says: there it is not so.
fn rejected(answer: &mut Answer, have: &Have) {
    if have.reject == 0 || answer.sections.is_empty() {
        return;
    }
    let served = match have.reject >= have.proxies {
        true => Served::No,
        false => Served::Partly,
    };
    let all: Vec<(&Without, &Rejection)> = have
        .without
        .iter()
        .flat_map(|of| of.rejects.iter().map(move |what| (of, what)))
        .collect();
    // What no section names is of the first one, which is what was asked for.
    let named = |(_, what): &(&Without, &Rejection)| {
        let mut sections = answer.sections.iter();
        sections.any(|of| is_of(of, what))
    };
    let others: Vec<_> = all.iter().copied().filter(|one| !named(one)).collect();
    for (at, section) in answer.sections.iter_mut().enumerate() {
        let own = all.iter().copied().filter(|(_, what)| is_of(section, what));
        let first = others.iter().copied().filter(|_| at == 0);
        let mut said: Vec<String> = own.chain(first).map(rejects).collect();
        if said.is_empty() {
            continue;
        }
        said.truncate(REJECTIONS);
        let held = section.verdict.drain(..);
        said.extend(held.map(|sentence| format!("Where it is taken: {sentence}")));
        section.verdict = said;
        if section.served != Served::No {
            section.served = served;
        }
    }
    let mut each = answer.sections.iter().map(|of| of.served);
    let is_none = each.all(|of| of == Served::No);
    answer.served = if is_none { Served::No } else { Served::Partly };
    answer
        .next
        .push("seaway get proxies --state rejects".to_owned());
}

/// Whether a section names a resource.
fn is_of(section: &Section, what: &Rejection) -> bool {
    let mut listeners = section
        .addresses
        .iter()
        .filter_map(|of| of.listener.as_ref());
    let mut clusters = section.port.iter().flat_map(|port| &port.clusters);
    match what.r#type.as_str() {
        "listener" => listeners.any(|name| *name == what.name),
        "cluster" | "endpoint" => clusters.any(|name| *name == what.name),
        _ => false,
    }
}

fn rejects((of, what): (&Without, &Rejection)) -> String {
    let Rejection {
        r#type,
        name,
        error,
    } = what;
    let (proxy, error) = (one_line(&of.proxy), one_line(error));
    format!(
        "Proxy {proxy} rejects {type} {name}, and keeps what it had before, if anything: {error}"
    )
}

/// Who has it, and since which change: `999 of 1,000 have this, n7 rejects it; last change 4m12s
/// ago by EndpointSlice shop/web-x7k2p, last ACK after 31 ms`.
fn proxies(have: Option<&Have>, last: Option<&LastChange>, times: Times) -> String {
    let mut text = match have {
        None => "none asks for this".to_owned(),
        Some(of) if of.connected == 0 => "none like this is connected".to_owned(),
        Some(of) if of.proxies == 0 => {
            format!("none of {} asks for this", grouped(of.connected))
        }
        Some(of) => {
            let (have, proxies) = (grouped(of.have), grouped(of.proxies));
            format!("{have} of {proxies} have this{}", lacking(of))
        }
    };
    if let Some(last) = last {
        text.push_str(&format!("; last change {} ago", times.show(&last.at)));
        if let Some(because) = &last.because {
            let of = if because.gone { "the deletion of " } else { "" };
            text.push_str(&format!(" by {of}{}", because.object));
        }
        match (last.ack_ms, last.waiting) {
            (_, 1..) => {
                let waiting = grouped(last.waiting);
                text.push_str(&format!(", {waiting} have not answered it yet"));
            }
            (Some(ms), 0) => text.push_str(&format!(", last ACK after {ms:.0} ms")),
            (None, 0) => {}
        }
    }
    text
}

/// The proxies that lack it: by name where there are few of them, with what keeps it from them.
fn lacking(have: &Have) -> String {
    let (rejecting, others): (Vec<&Without>, Vec<&Without>) = have
        .without
        .iter()
        .partition(|of| of.state == WithoutState::Rejects);
    let mut text = match rejecting[..] {
        [] => String::new(),
        [one] if have.reject == 1 => format!(", {} rejects it", one_line(&one.proxy)),
        _ => format!(", {} reject it", grouped(have.reject)),
    };
    let lack = have.proxies.saturating_sub(have.have + have.reject);
    match others[..] {
        [one] if lack == 1 => {
            let what = match one.state {
                WithoutState::Rejects => "rejects it",
                WithoutState::HeldBack => "is not sent it: it is held back",
                WithoutState::Owed => "is still to be sent it",
                WithoutState::Unanswered => "has not answered it",
            };
            text.push_str(&format!(", {} {what}", one_line(&one.proxy)));
        }
        _ if lack > 0 => text.push_str(&format!(", {} have not answered it", grouped(lack))),
        _ => {}
    }
    text
}
