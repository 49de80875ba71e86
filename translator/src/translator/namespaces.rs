//! Namespaces: what they select, and what they ask of connections to their Services.

use std::sync::Arc;

use super::Translator;
use crate::model::Namespace;
use crate::plan::clusters::mtls;
use crate::{Import, Layer, ObjectId, Role, Subject, View};

impl Translator {
    /// Adds, replaces or (`None`) removes a Namespace.
    pub(super) fn set_namespace(&mut self, id: &ObjectId, namespace: Option<Arc<Namespace>>) {
        let problems = namespace.as_ref().map_or_else(Vec::new, |namespace| {
            mtls::namespace_problems(namespace, &self.options)
        });
        self.problems.set(Subject::from(id), problems);
        let mtls = |of: Option<&Namespace>| of.and_then(|namespace| namespace.mtls);
        let old = mtls(self.index.routing().namespace(&id.name));
        let is_other = old != mtls(namespace.as_deref()) && self.options.mesh_inbound.is_some();
        let (routing, changes) = (self.index.routing_mut(), &mut self.dirty.routing);
        routing.set_namespace(&id.name, namespace, &self.options, changes);
        if is_other {
            let all = Import {
                namespace: id.name.clone(),
                service: None,
            };
            self.dirty
                .services
                .extend(self.index.imported(&all).cloned());
        }
    }

    /// The layers of a mesh proxy with a certificate.
    pub(super) fn mesh_tls_layers(&self, view: &View) -> Vec<Layer> {
        let has = view.role == Role::Mesh && view.mesh_tls && self.options.mesh_inbound.is_some();
        let layers = [Layer::MeshTls, Layer::MeshCertificates].into_iter();
        layers.filter(|_| has).collect()
    }
}
