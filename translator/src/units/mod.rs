//! What is translated by itself: each unit has its origin, knows when it has to be translated
//! again, and yields all that it is then.

pub(crate) mod dirty;
pub(crate) mod healthz;
pub(crate) mod mesh;
mod parts;
pub(crate) mod redirect;
pub(crate) mod service;
pub(crate) mod sockets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::ServiceKey;
use crate::plan::Context;
use crate::{Problem, Replace, Subject};
use dirty::Unit;
use mesh::Mesh;
use redirect::Redirect;
use service::{Extent, ServiceUnit};
use sockets::Sockets;

/// What a unit yields.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// All that its origins have now, of those in which it is something else than was yielded last.
    pub resources: Vec<Replace>,
    /// All that is wrong with it, and what that is said of; `None`: what was said last.
    pub problems: Option<(Subject, Vec<Problem>)>,
}

/// All units.
#[derive(Debug, Default)]
pub(crate) struct Units {
    /// Those Services of which anything is to be remembered.
    services: BTreeMap<ServiceKey, ServiceUnit>,
    redirect: Redirect,
    mesh: Mesh,
    sockets: Sockets,
}

impl Units {
    /// Translates a unit.
    pub(crate) fn translate(&mut self, unit: Unit, context: &Context<'_>) -> Output {
        match unit {
            Unit::Service(key, extent, nodes) => self.service(&key, extent, &nodes, context),
            Unit::Redirect => self.redirect.translate(context),
            Unit::Mesh => self.mesh.translate(context),
            Unit::Sockets => self.sockets.translate(context),
            Unit::Healthz => healthz::translate(context),
        }
    }

    fn service(
        &mut self,
        key: &ServiceKey,
        extent: Extent,
        nodes: &BTreeSet<Arc<str>>,
        context: &Context<'_>,
    ) -> Output {
        let mut unit = self.services.remove(key).unwrap_or_default();
        let (output, share) = unit.translate(key, extent, nodes, context);
        if let Some(hosts) = share.hosts {
            self.mesh.set(key, hosts);
        }
        self.sockets.set(key, share.sockets);
        if !unit.is_empty() {
            self.services.insert(key.clone(), unit);
        }
        output
    }
}
