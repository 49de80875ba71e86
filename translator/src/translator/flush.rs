//! [`Translator::flush`]: translates every unit that is marked, in a deterministic order.

use std::collections::BTreeSet;

use super::Translator;
use crate::plan::Context;
use crate::units::dirty::Unit;
use crate::units::service::Extent;
use crate::{ObjectId, Origin, Replace, Subject};

impl Translator {
    /// Translates all units that changes have marked, in a deterministic order.
    pub fn flush(&mut self) -> Vec<Replace> {
        let routing = self.index.routing_mut();
        routing.plan_services(&self.options, &mut self.dirty.routing);
        let settled = self.index.settle(&self.options, &mut self.dirty.endpoints);
        for key in settled {
            if let Some(slice) = self.index.slice(&key) {
                let problems = self.slice_problems(slice);
                let subject = Subject::Object(ObjectId::of_slice(&key.0, &key.1));
                self.problems.set(subject, problems);
            }
        }
        for service in &self.dirty.routing.services {
            let targets = self.index.targets(service, &self.options);
            self.dirty.services.extend(targets);
        }
        for services in [&self.dirty.services, &self.dirty.routing.services] {
            self.targets.among(services, &mut self.dirty.targets);
        }
        self.note_statuses();
        let dirty = self.dirty.take();
        let context = Context {
            options: &self.options,
            index: &self.index,
            views: &self.views,
            targets: &self.targets,
            rejections: &self.rejections,
            summaries: self.summaries.are_asked_for(),
        };
        let mut replaced = Vec::with_capacity(dirty.len());
        for unit in dirty {
            let output = self.units.translate(unit, &context);
            replaced.extend(output.resources);
            if let Some((subject, problems)) = output.problems {
                self.problems.set(subject, problems);
            }
        }
        let lent = self.units.take_lent();
        let is_lent =
            |origin: &Origin| matches!(origin, Origin::Service(key) if lent.contains(key));
        replaced.retain(|one: &Replace| !is_lent(&one.origin));
        for key in &lent {
            let unit = Unit::Service(key.clone(), Extent::Endpoints, BTreeSet::new());
            replaced.extend(self.units.translate(unit, &context).resources);
        }
        for (service, summary) in self.units.take_summed_up() {
            self.summaries.set(service, summary);
        }
        replaced
    }
}
