//! What comes out of the translator: every dirty Service as a whole, or what it has on the nodes that alone are dirty.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Replace, Translator, slice_id};
use crate::model::{Service, ServiceKey};
use crate::parts::{Handed, Parts};
use crate::service::{self, Known, Translated, World};
use crate::{ObjectId, ObjectKind};

impl Translator {
    /// Translates what is dirty, in a deterministic order.
    pub fn flush(&mut self) -> Vec<Replace> {
        let mut replaced = Vec::with_capacity(self.dirty.len() + self.dirty_endpoints.len() + 2);
        for key in self.index.settle(&self.options, &mut self.dirty_endpoints) {
            if let Some(slice) = self.index.slice(&key) {
                let problems = self.slice_problems(slice);
                self.book.set(slice_id(&key), problems);
            }
        }
        let dirty = std::mem::take(&mut self.dirty);
        for key in &dirty {
            self.listeners.remove(key);
        }
        let mut all = std::mem::take(&mut self.dirty_endpoints);
        all.extend(dirty);
        let mut nodes = std::mem::take(&mut self.dirty_nodes);
        for key in &all {
            let nodes = nodes.remove(key).unwrap_or_default();
            self.flush_service(key, nodes, &mut replaced);
        }
        for (key, nodes) in nodes {
            self.flush_on_nodes(&key, nodes, &mut replaced);
        }
        replaced.extend(self.redirect.flush(&self.index, &self.options));
        if let Some((replace, problems)) = self.mesh.flush(&self.options) {
            self.book
                .set(of_no_object(replace.origin.clone()), problems);
            replaced.push(replace);
        }
        if let Some(problems) = self.sockets.flush(&self.options) {
            self.book.set(of_no_object("sockets".into()), problems);
        }
        let healthz = self.healthz.flush(&self.options, &self.index, &self.active);
        replaced.extend(healthz);
        replaced
    }

    /// A whole Service, but for what is as it was on single nodes.
    fn flush_service(
        &mut self,
        key: &ServiceKey,
        nodes: BTreeSet<Arc<str>>,
        replaced: &mut Vec<Replace>,
    ) {
        let mut handed = self.handed.remove(key).unwrap_or_default();
        let known = Known {
            listeners: self.listeners.remove(key),
            nodes,
        };
        let world = World {
            options: &self.options,
            index: &self.index,
            active: &self.active,
        };
        let service = self.index.service(key).cloned();
        let mut translated = match &service {
            None => Translated {
                on_nodes: Parts::default().settle(&mut handed, |_| true),
                ..Translated::default()
            },
            Some(service) => service::translate(&world, service, known, &mut handed),
        };
        replaced.push(Replace {
            origin: service_id(key).to_string().into(),
            resources: std::mem::take(&mut translated.resources),
        });
        self.mesh.set(key, std::mem::take(&mut translated.hosts));
        self.keep(key, service.as_deref(), translated, handed, replaced);
    }

    /// What a Service has on these nodes, where nothing else of it changed.
    fn flush_on_nodes(
        &mut self,
        key: &ServiceKey,
        nodes: BTreeSet<Arc<str>>,
        replaced: &mut Vec<Replace>,
    ) {
        let service = self.index.service(key).cloned();
        let known = service.and_then(|service| Some((service, self.listeners.remove(key)?)));
        let Some((service, listeners)) = known else {
            return self.flush_service(key, nodes, replaced);
        };
        let mut handed = self.handed.remove(key).unwrap_or_default();
        let world = World {
            options: &self.options,
            index: &self.index,
            active: &self.active,
        };
        let translated =
            service::translate_on_nodes(&world, &service, listeners, &nodes, &mut handed);
        self.keep(key, Some(&service), translated, handed, replaced);
    }

    /// Takes in what a translation of a Service says beside its resources, and hands over what changed on nodes.
    fn keep(
        &mut self,
        key: &ServiceKey,
        service: Option<&Service>,
        translated: Translated,
        handed: Handed,
        replaced: &mut Vec<Replace>,
    ) {
        let id = service_id(key);
        for (layer, resources) in translated.on_nodes {
            let resources = resources.into_iter();
            replaced.push(Replace {
                origin: format!("{id} {layer}").into(),
                resources: resources
                    .map(|resource| (layer.clone(), resource))
                    .collect(),
            });
        }
        if !handed.is_empty() {
            self.handed.insert(key.clone(), handed);
        }
        if let Some(listeners) = translated.listeners
            && self.index.has_node_listeners(key)
        {
            self.listeners.insert(key.clone(), listeners);
        }
        let read = service.iter().flat_map(|service| &service.problems);
        let problems = read.chain(&translated.problems).cloned().collect();
        self.book.set(id, problems);
        self.sockets.set(key, translated.sockets);
    }
}

fn service_id(key: &ServiceKey) -> ObjectId {
    ObjectId {
        kind: ObjectKind::Service,
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    }
}

/// The page of the book for what no object is at fault for alone. No Service is without a namespace.
fn of_no_object(name: Arc<str>) -> ObjectId {
    ObjectId {
        kind: ObjectKind::Service,
        namespace: "".into(),
        name,
    }
}
