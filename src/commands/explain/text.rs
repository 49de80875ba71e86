//! An answer as text: the title first, what decided below it, the verdict last.

use seaway_translator::{Answer, EndpointRow, Problem, Section, Taken};

use super::columns::{table, wrapped};

/// How many endpoints that are alike are shown one by one.
const ALIKE: usize = 2;
/// How many of those that are taken.
const ALIKE_TAKEN: usize = 6;
/// The columns that a label has at least.
const LABEL: usize = 9;

/// Prints an answer; `all` shows each endpoint, also those that are like others.
pub(super) fn print(answer: &Answer, all: bool) -> String {
    let mut out = String::new();
    for (at, section) in answer.sections.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        print_section(&mut out, section, all);
    }
    for problem in &answer.problems {
        print_problem(&mut out, problem);
    }
    for command in &answer.next {
        wrapped(&mut out, "next: ", command);
    }
    out
}

fn print_section(out: &mut String, section: &Section, all: bool) {
    wrapped(out, "", &section.title);
    let labels = section.facts.iter().map(|fact| fact.label.chars().count());
    let width = labels.max().unwrap_or_default().max(LABEL);
    for address in &section.addresses {
        let named = match address.address.ip().is_unspecified() {
            true => format!("port {} of nodes", address.address.port()),
            false => address.address.to_string(),
        };
        let text = match address.listener {
            Some(_) => format!("{named}, {}", address.text),
            None => format!("{named}: {}", address.text),
        };
        wrapped(out, &format!("  {:<width$}  ", "address"), &text);
    }
    for fact in &section.facts {
        wrapped(out, &format!("  {:<width$}  ", fact.label), &fact.text);
    }
    if !section.endpoints.is_empty() {
        let head = ["ENDPOINT", "NODE", "ZONE", "STATE", "TAKEN", "BECAUSE"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        match all {
            true => rows.extend(section.endpoints.iter().map(|row| cells(row, 0))),
            false => rows.extend(grouped(&section.endpoints)),
        }
        table(out, &rows);
    }
    for sentence in &section.verdict {
        wrapped(out, "", sentence);
    }
}

/// The rows, those that are taken first; of those that are alike the first few, and how many there
/// are beside them.
fn grouped(endpoints: &[EndpointRow]) -> Vec<Vec<String>> {
    let mut sorted: Vec<&EndpointRow> = endpoints.iter().collect();
    sorted.sort_by_key(|row| (row.taken, row.priority, &row.state, &row.because));
    let alike = |a: &&EndpointRow, b: &&EndpointRow| {
        (a.taken, a.priority, &a.state, &a.because) == (b.taken, b.priority, &b.state, &b.because)
    };
    let mut rows = Vec::new();
    for group in sorted.chunk_by(alike) {
        let most = match group[0].taken {
            Taken::Yes => ALIKE_TAKEN,
            Taken::StandBy | Taken::OldFlows | Taken::Local | Taken::No => ALIKE,
        };
        let shown = match group.len() > most {
            true => most.saturating_sub(1).max(1),
            false => group.len(),
        };
        let last = shown - 1;
        rows.extend(group[..shown].iter().enumerate().map(|(at, row)| {
            let more = if at == last { group.len() - shown } else { 0 };
            cells(row, more)
        }));
    }
    rows
}

fn cells(row: &EndpointRow, more: usize) -> Vec<String> {
    let addresses: Vec<String> = row.addresses.iter().map(ToString::to_string).collect();
    let address = match addresses.is_empty() {
        true => row.ip.to_string(),
        false => addresses.join(" "),
    };
    let or_none = |name: &Option<std::sync::Arc<str>>| name.as_deref().unwrap_or("-").to_owned();
    let because = match more {
        0 => row.because.clone(),
        more => format!("{} ({more} more like this)", row.because),
    };
    vec![
        address,
        or_none(&row.node),
        or_none(&row.zone),
        row.state.clone(),
        row.taken.as_str().to_owned(),
        because,
    ]
}

fn print_problem(out: &mut String, problem: &Problem) {
    let kind = problem.severity.as_str();
    let field = match problem.field.is_empty() {
        true => String::new(),
        false => format!(" {}", problem.field),
    };
    let Problem {
        object,
        reason,
        message,
        ..
    } = problem;
    wrapped(
        out,
        &format!("{kind}: "),
        &format!("{object}{field}: {reason}: {message}"),
    );
}
