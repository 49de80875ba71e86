//! A cluster as tests edit it, whichever server it is: the beginning of the way of a change.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use crate::ApiServer;

/// A cluster whose objects a test edits. Resources are named by their plural.
pub trait KubeApi {
    /// Writes a file for `KUBECONFIG`, of a user who may do what Seaway needs.
    fn kubeconfig(&self, path: &Path) -> Result<()>;

    /// Makes a namespace, where that takes anything.
    fn namespace(&self, name: &str) -> Result<()>;

    /// Creates or changes the objects of a manifest.
    fn apply(&self, manifest: &str) -> Result<()>;

    /// Changes an object that is there.
    fn edit(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        change: &dyn Fn(&mut Value),
    ) -> Result<()>;

    /// Deletes an object.
    fn delete(&self, resource: &str, namespace: &str, name: &str) -> Result<()>;
}

impl KubeApi for ApiServer {
    fn kubeconfig(&self, path: &Path) -> Result<()> {
        Self::kubeconfig(self, path)
    }

    fn namespace(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn apply(&self, manifest: &str) -> Result<()> {
        self.apply_yaml(manifest)
    }

    fn edit(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        change: &dyn Fn(&mut Value),
    ) -> Result<()> {
        Self::edit(self, resource, namespace, name, change)
    }

    fn delete(&self, resource: &str, namespace: &str, name: &str) -> Result<()> {
        Self::delete(self, resource, namespace, name)
    }
}
