//! The names that gRPC clients ask for, told by whoever publishes: what is made for them depends on
//! what they want.

use std::sync::Arc;

use super::Translator;
use crate::Options;
use crate::place::targets::Target;

impl Options {
    /// Whether a Service can have this name at gRPC clients, whichever Services there are:
    /// `<service>.<namespace>[.svc[.<cluster domain>]][:<port>]`.
    pub fn is_target(&self, name: &str) -> bool {
        Target::read(name, self).is_some()
    }
}

impl Translator {
    /// A gRPC client asks for the listener of this name, the first of all who do, or (`false`) no
    /// more do. Whatever is no name of a Service is not remembered. Returns whether there is
    /// anything to flush.
    pub fn want(&mut self, name: &Arc<str>, is_wanted: bool) -> bool {
        let Some(target) = Target::read(name, &self.options) else {
            return false;
        };
        let service = target.service.clone();
        match is_wanted {
            true => self.targets.insert(name.clone(), target),
            false => self.targets.remove(name, &target),
        }
        // One that has just gone may still have listeners to be taken away.
        let any = self.index.service(&service).is_some() || self.dirty.has_service(&service);
        if any {
            self.dirty.targets.insert(service);
        }
        any
    }
}
