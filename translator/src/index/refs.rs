//! Which Services a name matters to: counted references from node and zone names to Services.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::ServiceKey;

/// For every name the Services that have an endpoint or a hint with it, each with the number of slices that say so.
#[derive(Debug, Default)]
pub(crate) struct Refs(BTreeMap<Arc<str>, BTreeMap<ServiceKey, u32>>);

impl Refs {
    /// The Services this name matters to.
    pub(crate) fn services(&self, name: &str) -> impl Iterator<Item = &ServiceKey> {
        self.0.get(name).into_iter().flat_map(BTreeMap::keys)
    }

    /// One more slice of the Service has this name.
    pub(crate) fn add(&mut self, name: &Arc<str>, service: &ServiceKey) {
        if !self.0.contains_key(name) {
            self.0.insert(name.clone(), BTreeMap::new());
        }
        if let Some(services) = self.0.get_mut(name) {
            *services.entry(service.clone()).or_default() += 1;
        }
    }

    /// One slice of the Service less has it.
    pub(crate) fn remove(&mut self, name: &Arc<str>, service: &ServiceKey) {
        let Some(services) = self.0.get_mut(name) else {
            return;
        };
        if let Some(count) = services.get_mut(service) {
            *count -= 1;
            if *count == 0 {
                services.remove(service);
            }
        }
        if services.is_empty() {
            self.0.remove(name);
        }
    }
}
