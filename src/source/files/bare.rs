//! Finds Services for which a folder has no EndpointSlices. In a cluster, controllers make them
//! from selectors and from Endpoints; in a folder nothing does, so that the user has to be told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use seaway_translator::model::{Kind, ServiceKey};
use seaway_translator::{Object, Problem, Reason, Subject};

use super::manifest::Unread;

/// Which Services have EndpointSlices and which have none, kept up to date with every change of an
/// object.
#[derive(Debug, Default)]
pub(super) struct Bare {
    /// How many slices name a Service, known or not.
    slices: BTreeMap<ServiceKey, usize>,
    /// The Services that need slices.
    services: BTreeSet<ServiceKey>,
    /// Those of them that no slice names.
    bare: BTreeSet<ServiceKey>,
    /// The files that have Endpoints with addresses for a Service.
    endpoints: BTreeMap<ServiceKey, Files>,
    /// The files that have a selector for a Service.
    selectors: BTreeMap<ServiceKey, Files>,
}

impl Bare {
    /// Takes in the change of one object (`None`: absent). Returns whether [`Bare::problems`] may
    /// differ now.
    pub(super) fn told(&mut self, before: Option<&Object>, now: Option<&Object>) -> bool {
        let mut changed = false;
        for (object, is_there) in [(before, false), (now, true)] {
            match object {
                Some(Object::Service(service)) if needs_slices(service) => {
                    if is_there {
                        self.services.insert(service.key.clone());
                    } else {
                        self.services.remove(&service.key);
                    }
                    changed |= self.judge(&service.key);
                }
                Some(Object::EndpointSlice(slice)) => {
                    if let Some(key) = &slice.service {
                        self.count(key, is_there);
                        changed |= self.judge(key);
                    }
                }
                _ => {}
            }
        }
        changed
    }

    fn count(&mut self, key: &ServiceKey, one_more: bool) {
        let slices = self.slices.entry(key.clone()).or_default();
        if one_more {
            *slices += 1;
        } else {
            *slices = slices.saturating_sub(1);
        }
        if *slices == 0 {
            self.slices.remove(key);
        }
    }

    /// Updates whether this Service is without slices. Returns whether that changed for a Service
    /// with a selector or Endpoints.
    fn judge(&mut self, key: &ServiceKey) -> bool {
        let changed = if self.services.contains(key) && !self.slices.contains_key(key) {
            self.bare.insert(key.clone())
        } else {
            self.bare.remove(key)
        };
        changed && (self.selectors.contains_key(key) || self.endpoints.contains_key(key))
    }

    /// Takes in what the file at `path` now says of selectors and Endpoints.
    pub(super) fn set_unread(&mut self, path: &Arc<str>, before: &Unread, now: &Unread) {
        update(&mut self.selectors, path, &before.selectors, &now.selectors);
        update(&mut self.endpoints, path, &before.endpoints, &now.endpoints);
    }

    /// One problem for each Service without slices that has a selector or Endpoints with addresses.
    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        self.bare.iter().filter_map(|key| {
            let (namespace, name) = (&key.namespace, &key.name);
            if let Some(path) = self.endpoints.get(key).and_then(BTreeSet::first) {
                let object = Subject::Other(format!("Endpoints {namespace}/{name}").into());
                let message = format!(
                    "Endpoints are not read, so the Service has none: write the addresses as an EndpointSlice (discovery.k8s.io/v1) \
                     with the label kubernetes.io/service-name: {name} ({path})"
                );
                let reason = Reason::UnsupportedKind;
                return Some(Problem::error(object, "kind", reason, message));
            }
            self.selectors.get(key)?;
            let object = Subject::from(key);
            let message = format!(
                "it has no endpoints: no EndpointSlice in the folder has the label kubernetes.io/service-name: {name}, and only a cluster \
                 makes slices from a selector"
            );
            let reason = Reason::NoEndpointSlice;
            Some(Problem::warning(object, "spec.selector", reason, message))
        })
    }
}

/// Paths of files below the folder.
type Files = BTreeSet<Arc<str>>;

fn update(
    all: &mut BTreeMap<ServiceKey, Files>,
    path: &Arc<str>,
    before: &BTreeSet<ServiceKey>,
    now: &BTreeSet<ServiceKey>,
) {
    for key in before.difference(now) {
        if let Some(files) = all.get_mut(key) {
            files.remove(path);
            if files.is_empty() {
                all.remove(key);
            }
        }
    }
    for key in now.difference(before) {
        all.entry(key.clone()).or_default().insert(path.clone());
    }
}

fn needs_slices(service: &seaway_translator::model::Service) -> bool {
    let external = matches!(service.kind, Kind::ExternalName(_));
    !external && service.proxy_name.is_none() && !service.ports.is_empty()
}
