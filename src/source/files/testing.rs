//! Helpers for tests: contents of manifest files, and updates in short.

use seaway_translator::{Change, Problem, Severity};

use crate::source::Update;

/// The manifest of a Service with one port, by which a test tells versions apart.
pub(super) fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{clusterIP: 10.0.0.1, ports: [{{port: {port}}}]}}\n"
    )
}

/// An update in short: `+` applied, `-` deleted, `!` error, `?` warning.
pub(super) fn said(update: Option<Update>) -> Vec<String> {
    let Some(update) = update else {
        return vec!["nothing".to_owned()];
    };
    let change = |change: Change| match change {
        Change::Apply(object) => format!("+{}", object.id()),
        Change::Delete(id) => format!("-{id}"),
    };
    let problem = |problem: Problem| {
        let mark = if problem.severity == Severity::Error {
            '!'
        } else {
            '?'
        };
        format!("{mark}{} {}", problem.object, problem.field)
            .trim_end()
            .to_owned()
    };
    let problems: Vec<_> = update.problems.into_iter().flatten().map(problem).collect();
    update
        .changes
        .into_iter()
        .map(change)
        .chain(problems)
        .collect()
}
