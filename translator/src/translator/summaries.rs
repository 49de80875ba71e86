//! The summaries of Services, for those who list them, and of which Services they have changed.

use std::collections::{BTreeMap, BTreeSet};

use super::Translator;
use crate::ServiceSummary;
use crate::model::ServiceKey;
use crate::plan::explain::summary;

/// The summaries of all Services as of the last flush; none while nobody asks for them.
#[derive(Debug, Default)]
pub(super) struct Summaries {
    is_on: bool,
    standing: BTreeMap<ServiceKey, ServiceSummary>,
    /// The Services whose summary has changed since [`Translator::take_summary_changes`] was last
    /// called, those included that are gone.
    changed: BTreeSet<ServiceKey>,
}

impl Summaries {
    /// Whether somebody asks for summaries.
    pub(super) fn are_asked_for(&self) -> bool {
        self.is_on
    }

    /// Replaces the summary of a Service; `None`: the Service is gone.
    pub(super) fn set(&mut self, service: ServiceKey, summary: Option<ServiceSummary>) {
        if self.standing.get(&service) == summary.as_ref() {
            return;
        }
        self.changed.insert(service.clone());
        match summary {
            Some(summary) => self.standing.insert(service, summary),
            None => self.standing.remove(&service),
        };
    }
}

impl Translator {
    /// Sums up, from now on, every Service that a flush translates, or no more. At first all
    /// Services have changed.
    pub fn track_summaries(&mut self, is_on: bool) {
        if is_on == self.summaries.is_on {
            return;
        }
        let mut summaries = Summaries {
            is_on,
            ..Summaries::default()
        };
        if is_on {
            let context = self.context();
            for (key, service) in self.index.services() {
                let summary = summary::of_any(&context, service);
                summaries.set(key.clone(), Some(summary));
            }
        }
        self.summaries = summaries;
    }

    /// The summary of a Service as of the last flush. `None`: there is no such Service, or nobody
    /// asked for summaries ([`Translator::track_summaries`]).
    pub fn summary(&self, service: &ServiceKey) -> Option<ServiceSummary> {
        self.summaries.standing.get(service).cloned()
    }

    /// The summaries that have changed since the last call, as of the last flush. `None`: the
    /// Service is gone. Never any unless [`Translator::track_summaries`] asked for them.
    pub fn take_summary_changes(&mut self) -> BTreeMap<ServiceKey, Option<ServiceSummary>> {
        let changed = std::mem::take(&mut self.summaries.changed).into_iter();
        let standing = &self.summaries.standing;
        changed
            .map(|service| {
                let summary = standing.get(&service).cloned();
                (service, summary)
            })
            .collect()
    }
}
