//! The list of problems.

use std::borrow::Cow;
use std::time::SystemTime;

use seaway_translator::{Problem, Severity};
use xxhash_rust::xxh3::xxh3_64;

use super::api::{ProblemRow, ProblemSeverity};
use super::board::Tables;
use super::query::{Cut, Paging, ProblemQuery, finds, is};
use super::times;

/// A page of the problems that a query asks for: errors first, then by object. The error says what
/// of the query is not known.
pub(super) fn page(tables: &Tables, query: &ProblemQuery) -> Result<Cut<ProblemRow>, String> {
    let is_key = |key: &str| key.starts_with("error|") || key.starts_with("warning|");
    let paging = Paging::after(query.limit, &query.after, is_key)?;
    let shown = tables
        .problems
        .iter()
        .filter(|(problem, _)| lets_through(query, problem));
    let all = shown.map(|(problem, since)| (key(problem), (problem, *since)));
    let cut = paging.cut(all.collect());
    Ok(cut.map(|(problem, since)| row(problem, since)))
}

fn lets_through(query: &ProblemQuery, problem: &Problem) -> bool {
    let namespace = problem.object.object().map(|id| &*id.namespace);
    is(&query.namespace, namespace)
        && query
            .object
            .as_ref()
            .is_none_or(|object| object.has(&problem.object.to_string()))
        && query
            .severity
            .is_none_or(|severity| severity == of_api(problem.severity))
        && query.reason.is_none_or(|reason| reason == problem.reason)
        && finds(
            &query.search,
            [
                Cow::Owned(problem.object.to_string()),
                Cow::Borrowed(problem.field.as_str()),
                Cow::Borrowed(problem.message.as_str()),
            ],
        )
}

/// The severity of the API for that of the translator.
fn of_api(severity: Severity) -> ProblemSeverity {
    match severity {
        Severity::Error => ProblemSeverity::Error,
        Severity::Warning => ProblemSeverity::Warning,
    }
}

fn key(problem: &Problem) -> String {
    let Problem {
        object,
        field,
        severity,
        reason,
        message,
    } = problem;
    // Short, since it is part of the next request.
    let severity = severity.as_str();
    let message = xxh3_64(message.as_bytes());
    format!("{severity}|{object}|{field}|{reason}|{message:016x}")
}

/// A problem as it is shown.
pub(super) fn row(problem: &Problem, since: SystemTime) -> ProblemRow {
    ProblemRow {
        object: problem.object.to_string(),
        field: problem.field.clone(),
        severity: problem.severity.as_str().to_owned(),
        reason: problem.reason.to_string(),
        message: problem.message.clone(),
        since: times::text(since),
    }
}
