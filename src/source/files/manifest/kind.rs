//! The kinds of objects a file may hold: those that are read, those that look as if they were, and all others.

use seaway_translator::ObjectKind;

/// What is to be done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Service,
    EndpointSlice,
    Node,
    /// A list of objects.
    List,
    /// What EndpointSlices came after. Only these are read.
    Endpoints,
    /// A kind that is read, in a version that is not.
    OtherVersion(ObjectKind),
    /// A kind that is read, by a name that is not quite its own.
    Misspelt(ObjectKind),
    /// What `kubectl kustomize` reads.
    Kustomization,
    /// None of Seaway's business.
    Other,
}

impl Kind {
    pub(super) fn of(api_version: &str, kind: &str) -> Kind {
        match (api_version, kind) {
            ("v1", "Service") => return Kind::Service,
            ("v1", "Node") => return Kind::Node,
            ("v1", "Endpoints") => return Kind::Endpoints,
            ("v1", "List" | "EndpointsList") => return Kind::List,
            ("discovery.k8s.io/v1", "EndpointSlice") => return Kind::EndpointSlice,
            _ => {}
        }
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        match group {
            "kustomize.config.k8s.io" => return Kind::Kustomization,
            // Groups of Kubernetes itself, as they are and as they are thought to be. Others have Services, too.
            "" | "core" | "discovery.k8s.io" | "discovery" => {}
            _ => return Kind::Other,
        }
        let named = |name: &str| READ.into_iter().find(|read| read_as(*read).0 == name);
        if let Some(read) = named(kind) {
            return Kind::OtherVersion(read);
        }
        if kind.strip_suffix("List").and_then(named).is_some() {
            return Kind::List;
        }
        let close = |read: &ObjectKind| read_as(*read).0.eq_ignore_ascii_case(kind);
        READ.into_iter()
            .find(close)
            .map_or(Kind::Other, Kind::Misspelt)
    }
}

const READ: [ObjectKind; 3] = [
    ObjectKind::Service,
    ObjectKind::EndpointSlice,
    ObjectKind::Node,
];

/// The `kind` and the `apiVersion` of what is read.
pub(super) fn read_as(kind: ObjectKind) -> (&'static str, &'static str) {
    match kind {
        ObjectKind::Service => ("Service", "v1"),
        ObjectKind::EndpointSlice => ("EndpointSlice", "discovery.k8s.io/v1"),
        ObjectKind::Node => ("Node", "v1"),
    }
}
