//! What `--gateway-services` needs: a cluster to make Services in, and all of that seen.

use super::{ShapeArgs, SourceArgs};

impl ShapeArgs {
    /// Checks that Services can be made, if they are to be; `source` is `None` where there are
    /// manifests alone.
    ///
    /// # Errors
    /// One line that says what is missing.
    pub(crate) fn check_gateway_services(&self, source: Option<&SourceArgs>) -> Result<(), String> {
        if !self.gateway_services {
            return Ok(());
        }
        let source = source.filter(|source| source.files.is_none());
        let Some(source) = source else {
            return Err("--gateway-services: where the source is a folder nobody makes Services; write them there, with the annotation seaway.dev/gateway (docs/fleets.md)".to_owned());
        };
        if self.ingress_service.is_empty() {
            return Err("--gateway-services needs --ingress-service: the Services are made in the namespace of that one, with its selector".to_owned());
        }
        if !source.status {
            return Err("--gateway-services needs --status on: the replica that writes status makes the Services".to_owned());
        }
        if source.service_selector.is_some() {
            return Err("--gateway-services: --service-selector would hide the Services that are made; leave it out".to_owned());
        }
        let watched = &source.namespace;
        let mut namespaces = self.ingress_service.iter().map(|(_, key)| &*key.namespace);
        let hidden = namespaces.find(|name| !watched.iter().any(|watched| watched == name));
        match hidden.filter(|_| !watched.is_empty()) {
            Some(hidden) => Err(format!(
                "--gateway-services makes Services in the namespace {hidden}, which --namespace leaves out"
            )),
            None => Ok(()),
        }
    }
}
