//! What stands of one object, for those who wait until it is what they gave.

use super::Translator;
use crate::model::ServiceKey;
use crate::{Object, ObjectId, ObjectKind, ServiceSummary};

/// A Service or an EndpointSlice as it was applied last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The object; `None` if there is no such one that matters here.
    pub object: Option<Object>,
    /// Whether the last flush had all that the object changed.
    pub is_flushed: bool,
    /// Of a Service, what becomes of it as of the last flush, if summaries are asked for.
    pub summary: Option<ServiceSummary>,
}

impl Translator {
    /// What stands of a Service or an EndpointSlice; of another kind nothing does.
    pub fn standing(&self, id: &ObjectId) -> Standing {
        let names = (id.namespace.clone(), id.name.clone());
        let (object, service) = match id.kind {
            ObjectKind::Service => {
                let (namespace, name) = names;
                let key = ServiceKey { namespace, name };
                let service = self.index.service(&key).cloned().map(Object::Service);
                (service, Some(key))
            }
            ObjectKind::EndpointSlice => {
                let slice = self.index.slice(&names).cloned();
                let service = slice.as_ref().and_then(|slice| slice.service.clone());
                (slice.map(Object::EndpointSlice), service)
            }
            _ => (None, None),
        };
        let is_service = id.kind == ObjectKind::Service;
        let summary = service.as_ref().filter(|_| is_service);
        Standing {
            object,
            summary: summary.and_then(|key| self.summary(key)),
            is_flushed: match (&service, id.kind) {
                (Some(service), _) => !self.dirty.has_service(service),
                // A slice that is gone, or is no Service's any more, may have been of any.
                (None, ObjectKind::EndpointSlice) => !self.dirty.has_services(),
                (None, _) => true,
            },
        }
    }
}
