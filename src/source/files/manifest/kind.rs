//! The kinds of objects a file may hold, by `apiVersion` and `kind`: those that are read, those
//! that look like one, all others.

use seaway_translator::ObjectKind;

/// How an object in a file is treated, by its `apiVersion` and `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A kind that is read.
    Read(ObjectKind),
    /// A list of objects.
    List,
    /// `Endpoints`, the predecessor of EndpointSlices. They are not read; a problem says so where
    /// it matters.
    Endpoints,
    /// A kind that is read, in a version that is not.
    OtherVersion(ObjectKind),
    /// A kind that is read, in another spelling of upper and lower case.
    Misspelt(ObjectKind),
    /// A Kustomization, which only `kubectl kustomize` applies.
    Kustomization,
    /// Any other kind: ignored.
    Other,
}

impl Kind {
    pub(super) fn of(api_version: &str, kind: &str) -> Kind {
        match (api_version, kind) {
            ("v1", "Endpoints") => return Kind::Endpoints,
            ("v1", "List" | "EndpointsList") => return Kind::List,
            _ => {}
        }
        let named = ObjectKind::of_name;
        if let Some(read) = named(kind).filter(|read| read.is_read_in(api_version)) {
            return Kind::Read(read);
        }
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        match group {
            "kustomize.config.k8s.io" => return Kind::Kustomization,
            // Groups of kinds that are read, as they are and as they are thought to be. Others have
            // Services, too.
            "core" => {}
            _ if ObjectKind::ALL
                .iter()
                .any(|kind| is_close(group, kind.group())) => {}
            _ => return Kind::Other,
        }
        if let Some(read) = named(kind) {
            return Kind::OtherVersion(read);
        }
        if kind.strip_suffix("List").and_then(named).is_some() {
            return Kind::List;
        }
        let close = |read: &ObjectKind| read.as_str().eq_ignore_ascii_case(kind);
        let mut all = ObjectKind::ALL.iter().copied();
        all.find(close).map_or(Kind::Other, Kind::Misspelt)
    }
}

/// Whether this is the API group, or its name without the domain: `discovery`.
fn is_close(said: &str, group: &str) -> bool {
    said == group || group.split_once('.').is_some_and(|(name, _)| said == name)
}
