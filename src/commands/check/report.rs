//! What checks found, in groups, and how it is shown.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ask::table::one_line;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Word {
    /// It is as it should be.
    Ok,
    /// It could not be decided.
    Skip,
    /// Something to know of, which serves all the same.
    Warn,
    /// It is not as it should be.
    Fail,
}

impl Word {
    /// The word; the bad one is loud.
    const fn as_str(self) -> &'static str {
        match self {
            Word::Ok => "ok",
            Word::Skip => "skip",
            Word::Warn => "warn",
            Word::Fail => "FAIL",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    group: &'static str,
    word: Word,
    text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

/// The findings of one group.
#[derive(Debug)]
pub(super) struct Group {
    name: &'static str,
    found: Vec<Finding>,
}

impl Group {
    /// A group without findings.
    pub(super) fn new(name: &'static str) -> Group {
        Group {
            name,
            found: Vec::new(),
        }
    }

    fn push(&mut self, word: Word, text: String, fix: Option<String>) {
        let group = self.name;
        self.found.push(Finding {
            group,
            word,
            text,
            fix,
        });
    }

    /// All is as it should be.
    pub(super) fn ok(&mut self, text: impl Into<String>) {
        self.push(Word::Ok, text.into(), None);
    }

    /// It cannot be decided, since…
    pub(super) fn skip(&mut self, why: impl Into<String>) {
        self.push(Word::Skip, why.into(), None);
    }

    /// There is something to know of.
    pub(super) fn warn(&mut self, text: impl Into<String>, fix: &str) {
        self.push(Word::Warn, text.into(), Some(fix.to_owned()));
    }

    /// Something is wrong.
    pub(super) fn fail(&mut self, text: impl Into<String>, fix: &str) {
        self.push(Word::Fail, text.into(), Some(fix.to_owned()));
    }

    /// The same as [`Group::ok`] if nothing else was found.
    pub(super) fn else_ok(&mut self, text: impl Into<String>) {
        if self.found.is_empty() {
            self.ok(text);
        }
    }

    /// What was found.
    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.found
    }
}

/// All findings.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// How many checks ended how.
    counts: BTreeMap<Word, usize>,
    checks: Vec<Finding>,
}

impl Report {
    /// The report of all findings.
    pub(super) fn of(checks: Vec<Finding>) -> Report {
        let mut counts = BTreeMap::new();
        for finding in &checks {
            *counts.entry(finding.word).or_default() += 1;
        }
        Report { counts, checks }
    }

    /// Whether a check failed.
    pub(super) fn has_failed(&self) -> bool {
        self.counts.contains_key(&Word::Fail)
    }

    /// The report for people: a line for each check, and the remedy below a failure.
    pub(super) fn text(&self) -> String {
        let width = self.checks.iter().map(|one| one.group.len()).max();
        let width = width.unwrap_or_default();
        let (mut text, mut before) = (String::new(), "");
        for one in &self.checks {
            let group = match one.group == before {
                true => "",
                false => one.group,
            };
            before = one.group;
            // A finding is one line, whatever an object or a proxy says.
            let (word, said) = (one.word.as_str(), one_line(&one.text));
            text.push_str(&format!("{group:<width$}  {word:<4}  {said}\n"));
            if let Some(fix) = &one.fix {
                text.push_str(&format!("{:<width$}        fix: {fix}\n", ""));
            }
        }
        let counts = self.counts.iter();
        let counts: Vec<String> = counts
            .map(|(word, count)| format!("{count} {}", word.as_str()))
            .collect();
        text + &counts.join(", ") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_once_and_a_failure_has_its_remedy_below() {
        let mut group = Group::new("replicas");
        group.ok("3 ready");
        group.fail("s2 is\nnot ready", "wait");
        group.else_ok("nothing else");
        let report = Report::of(group.into_findings());
        assert!(report.has_failed());
        assert_eq!(
            report.text(),
            "replicas  ok    3 ready\n          FAIL  s2 is not ready\n                fix: wait\n\
             1 ok, 1 FAIL\n"
        );
    }
}
