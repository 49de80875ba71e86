//! ExternalName aliases: the Services that have to be translated again when their target changes.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::ServiceKey;

/// The direct ExternalName aliases of every Service.
#[derive(Debug, Default)]
pub(crate) struct Aliases(BTreeMap<ServiceKey, BTreeSet<ServiceKey>>);

impl Aliases {
    /// Notes that `alias` is no longer an alias of `old` but of `new`.
    pub(crate) fn replace(
        &mut self,
        alias: &ServiceKey,
        old: Option<ServiceKey>,
        new: Option<ServiceKey>,
    ) {
        if old == new {
            return;
        }
        if let Some(old) = old
            && let Some(aliases) = self.0.get_mut(&old)
        {
            aliases.remove(alias);
            if aliases.is_empty() {
                self.0.remove(&old);
            }
        }
        if let Some(new) = new {
            self.0.entry(new).or_default().insert(alias.clone());
        }
    }

    /// Adds all aliases of a Service to `found`, those of aliases too. A cycle ends where it began.
    pub(crate) fn of(&self, service: &ServiceKey, found: &mut BTreeSet<ServiceKey>) {
        let mut seen = BTreeSet::new();
        let mut open = vec![service];
        while let Some(target) = open.pop() {
            for alias in self.0.get(target).into_iter().flatten() {
                if seen.insert(alias) {
                    open.push(alias);
                }
            }
        }
        found.extend(seen.into_iter().cloned());
    }
}
