//! ExternalName aliases: the Services that have to be translated again when their target changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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

    /// Adds all aliases of a Service to `found`, those of aliases too, allowed or not. A cycle ends
    /// where it began.
    pub(crate) fn of(&self, service: &ServiceKey, found: &mut BTreeSet<ServiceKey>) {
        found.extend(self.allowed(service, |_, _| true));
    }

    /// All aliases of a Service that `allows` lets be one, those of such aliases too.
    pub(crate) fn allowed(
        &self,
        service: &ServiceKey,
        allows: impl Fn(&ServiceKey, &ServiceKey) -> bool,
    ) -> BTreeSet<ServiceKey> {
        let mut seen = BTreeSet::new();
        let mut open = vec![service];
        while let Some(target) = open.pop() {
            for alias in self.0.get(target).into_iter().flatten() {
                if allows(alias, target) && seen.insert(alias) {
                    open.push(alias);
                }
            }
        }
        seen.into_iter().cloned().collect()
    }

    /// The aliases that Services of a namespace have in others.
    pub(crate) fn in_other_namespaces(&self, namespace: &Arc<str>) -> BTreeSet<ServiceKey> {
        let first = ServiceKey {
            namespace: namespace.clone(),
            name: "".into(),
        };
        let targets = self.0.range(first..);
        let targets = targets.take_while(|(target, _)| target.namespace == *namespace);
        let aliases = targets.flat_map(|(_, aliases)| aliases);
        let elsewhere = aliases.filter(|alias| alias.namespace != *namespace);
        elsewhere.cloned().collect()
    }
}
