//! What the store has of one name, whoever would see it.

use std::sync::Arc;

use bytes::Bytes;
use seaway_proto::TypeUrl;

use crate::store::body::Body;
use crate::store::publish::Snapshots;

impl Snapshots {
    /// Whether any layer has a resource of this type and name.
    pub fn has(&self, type_url: TypeUrl, name: &str) -> bool {
        self.in_layers(type_url, name, |bodies| bodies.next().is_some())
    }

    /// The resource of this type and name, encoded, as each layer has it.
    pub fn contents(&self, type_url: TypeUrl, name: &str) -> Vec<Bytes> {
        let values = |bodies: &mut dyn Iterator<Item = &Arc<Body>>| {
            bodies.map(|body| body.value()).collect()
        };
        self.in_layers(type_url, name, values)
    }

    /// What `make` makes of the bodies that layers have of a name.
    fn in_layers<T: Default>(
        &self,
        type_url: TypeUrl,
        name: &str,
        make: impl FnOnce(&mut dyn Iterator<Item = &Arc<Body>>) -> T,
    ) -> T {
        let store = self.read();
        let found = self.types().index(type_url.as_str());
        let found = found.and_then(|index| Some((index, store.find(index, name)?)));
        let Some((index, id)) = found else {
            return T::default();
        };
        let entries = store.slot(index, id).entries.iter();
        make(&mut entries.filter_map(|entry| entry.value.body()))
    }
}
