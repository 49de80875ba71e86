//! Asks running replicas: the answer of one of them, with how many proxies of all have it.

use seaway_translator::{Answer, Fact};

use crate::args::{ExplainArgs, OutputForm};
use crate::ask::table::grouped;
use crate::ask::times::Times;
use crate::ask::{self, Asked, Replicas};
use crate::inspect::api::{Explained, Have, LastChange};
use crate::process::exit::Failure;

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
    let have = all.iter().filter_map(|explained| explained.have);
    let have = have.reduce(|one, other| Have {
        proxies: one.proxies + other.proxies,
        have: one.have + other.have,
        reject: one.reject + other.reject,
    });
    let Some(first) = all.into_iter().next() else {
        return Err(Failure::unusable("no replica answered"));
    };
    let times = Times::of(&first.now, false);
    let mut answer = first.answer;
    // For programs the answer is what it is with --files.
    if args.output == OutputForm::Text
        && let Some(section) = answer.sections.first_mut()
    {
        let text = proxies(have, first.last_change.as_ref(), times);
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

/// Who has it, and since which change: `1,000 of 1,000 have this; last change 4m12s ago by
/// EndpointSlice shop/web-x7k2p, last ACK after 31 ms`.
fn proxies(have: Option<Have>, last: Option<&LastChange>, times: Times) -> String {
    let mut text = match have {
        None | Some(Have { proxies: 0, .. }) => "none asks for this".to_owned(),
        Some(of) => {
            let (have, proxies) = (grouped(of.have), grouped(of.proxies));
            let rejected = match of.reject {
                0 => String::new(),
                reject => format!(", {} reject it", grouped(reject)),
            };
            format!("{have} of {proxies} have this{rejected}")
        }
    };
    if let Some(last) = last {
        text.push_str(&format!("; last change {} ago", times.show(&last.at)));
        if let Some(because) = &last.because {
            text.push_str(&format!(" by {}", because.object));
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
