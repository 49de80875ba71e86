//! What the status of objects should say, and of which objects it may have become something else.

use std::collections::{BTreeMap, BTreeSet};

use super::Translator;
use crate::ObjectId;
use crate::index::routing::RoutingChanges;
use crate::model::{ServiceKey, ServiceWrite};
use crate::plan::status;
use crate::plan::status::addresses::{self, Exposed};
use crate::status::Status;

/// The objects whose status may have changed, and the addresses that are in many of them.
#[derive(Debug, Default)]
pub(super) struct StatusChanges {
    /// The objects; `None` while nobody asks for them, so that they do not pile up.
    changed: Option<BTreeSet<ObjectId>>,
    /// The addresses of the ingress proxies as of the last flush.
    exposed: Exposed,
    /// The Services of which those may have changed.
    stale: BTreeSet<ServiceKey>,
}

impl StatusChanges {
    /// Takes over the objects that changes of routing have marked.
    fn note(&mut self, routing: &mut RoutingChanges) {
        if let Some(changed) = &mut self.changed {
            changed.append(&mut routing.statuses);
        }
    }
}

impl Translator {
    /// Notes from now on of which objects the status may have changed, or no more. At first those
    /// are all that may have one.
    pub fn track_status(&mut self, is_on: bool) {
        let all = || self.index.routing().with_status().collect();
        self.statuses.changed = is_on.then(all);
    }

    /// What the status of this object should say, as of the last flush if nothing was applied
    /// since. `None`: nothing of this controller's is to stand in it, since it is not known, of
    /// another class or of another kind.
    pub fn status(&self, id: &ObjectId) -> Option<Status> {
        status::of(&self.context(), &self.statuses.exposed, id)
    }

    /// The objects whose status may have changed since the last call, as of the last flush, those
    /// included that are gone or of another class now. None unless [`Translator::track_status`]
    /// asked for them.
    pub fn take_status_changes(&mut self) -> BTreeSet<ObjectId> {
        self.statuses
            .changed
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// What is to become of the Services that are made for single Gateways, where that is something
    /// else than at the last call, as of the last flush. `None`: nothing any more.
    pub fn take_service_changes(&mut self) -> BTreeMap<ServiceKey, Option<ServiceWrite>> {
        self.index.routing_mut().take_services()
    }

    /// Notes that a Service may have other addresses, if it is one by which ingress proxies are
    /// reached.
    pub(super) fn note_addresses_of(&mut self, service: &ServiceKey) {
        if self.index.routing().is_front_in_use(service) {
            self.statuses.stale.insert(service.clone());
        }
    }

    /// Notes that Nodes may have other addresses, which may be those of the ingress proxies.
    pub(super) fn note_addresses_of_nodes(&mut self) {
        let fronts = self.index.routing().fronts_in_use().cloned();
        self.statuses.stale.extend(fronts);
    }

    /// Notes what has been marked since the last flush.
    pub(super) fn note_statuses(&mut self) {
        let mut stale = std::mem::take(&mut self.statuses.stale);
        stale.append(&mut self.dirty.routing.addresses);
        for service in stale {
            let routing = self.index.routing();
            let in_use = routing.is_front_in_use(&service);
            let context = self.context();
            let addresses = in_use.then(|| addresses::exposed(&context, &service));
            let addresses = addresses.flatten();
            if addresses.as_ref() != self.statuses.exposed.get(&service) {
                let concerned = routing.reached_by(&service).cloned();
                self.dirty.routing.statuses.extend(concerned);
                match addresses {
                    Some(addresses) => self.statuses.exposed.insert(service, addresses),
                    None => self.statuses.exposed.remove(&service),
                };
            }
        }
        self.statuses.note(&mut self.dirty.routing);
    }
}
