//! The kinds that are served. A new one is a line of [`KINDS`].

use std::fmt::{self, Display};

/// One kind of object, and where it is served.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    /// `""` for the core group.
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    /// The plural name, as in paths and in RBAC rules.
    pub(super) resource: &'static str,
    pub(super) kind: &'static str,
    pub(super) namespaced: bool,
    /// Whether the real server counts `metadata.generation`.
    generations: bool,
    /// Whether it is stored; else a POST is answered by what the test gives
    /// ([`super::ApiServer::review`]).
    pub(super) stored: bool,
    /// What `fieldSelector` may name beside `metadata.name` and `metadata.namespace`.
    fields: &'static [&'static str],
}

const KINDS: &[Kind] = &[
    core("services", "Service", &["spec.clusterIP", "spec.type"]),
    cluster("nodes", "Node", &["spec.unschedulable"]),
    cluster("namespaces", "Namespace", &["status.phase"]),
    core("secrets", "Secret", &["type"]),
    core("configmaps", "ConfigMap", &[]),
    core("pods", "Pod", &["spec.nodeName", "status.phase"]),
    other("discovery.k8s.io", "endpointslices", "EndpointSlice", &[]),
    other("networking.k8s.io", "ingresses", "Ingress", &[]),
    other("coordination.k8s.io", "leases", "Lease", &[]),
    other(
        "events.k8s.io",
        "events",
        "Event",
        &["regarding.kind", "regarding.name", "reason", "type"],
    ),
    review("authentication.k8s.io", "tokenreviews", "TokenReview"),
    core(
        "events",
        "Event",
        &[
            "involvedObject.kind",
            "involvedObject.name",
            "reason",
            "type",
        ],
    ),
];

/// A namespaced kind of the core group.
const fn core(resource: &'static str, kind: &'static str, fields: &'static [&'static str]) -> Kind {
    Kind {
        group: "",
        version: "v1",
        resource,
        kind,
        namespaced: true,
        generations: false,
        stored: true,
        fields,
    }
}

/// A kind of the core group without namespaces.
const fn cluster(
    resource: &'static str,
    kind: &'static str,
    fields: &'static [&'static str],
) -> Kind {
    Kind {
        namespaced: false,
        ..core(resource, kind, fields)
    }
}

/// A namespaced kind of another group.
const fn other(
    group: &'static str,
    resource: &'static str,
    kind: &'static str,
    fields: &'static [&'static str],
) -> Kind {
    Kind {
        group,
        generations: true,
        ..core(resource, kind, fields)
    }
}

/// A kind that is asked about and never stored.
const fn review(group: &'static str, resource: &'static str, kind: &'static str) -> Kind {
    Kind {
        group,
        stored: false,
        ..cluster(resource, kind, &[])
    }
}

impl Kind {
    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = &'static Self> {
        KINDS.iter()
    }

    /// The kind behind a path.
    pub(super) fn at(group: &str, version: &str, resource: &str) -> Option<&'static Self> {
        Self::all()
            .find(|kind| (kind.group, kind.version, kind.resource) == (group, version, resource))
    }

    /// The kind that a test names by its plural, as `services`, or with its group where several
    /// have it, as `core/events`.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        match name.split_once('/') {
            None => Self::all().find(|kind| kind.resource == name),
            Some((group, resource)) => {
                let group = if group == "core" { "" } else { group };
                Self::all().find(|kind| (kind.group, kind.resource) == (group, resource))
            }
        }
    }

    /// The kind of a manifest.
    pub(super) fn of(api_version: &str, name: &str) -> Option<&'static Self> {
        Self::all().find(|kind| kind.kind == name && kind.api_version() == api_version)
    }

    /// `apiVersion` of its objects.
    pub(super) fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// Whether `fieldSelector` may name this field.
    pub(super) fn selectable(&self, field: &str) -> bool {
        matches!(field, "metadata.name" | "metadata.namespace") || self.fields.contains(&field)
    }

    pub(super) fn has_generations(&self) -> bool {
        self.generations
    }
}

impl Display for Kind {
    /// As the real server names it in messages: `endpointslices.discovery.k8s.io`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group {
            "" => f.write_str(self.resource),
            group => write!(f, "{}.{group}", self.resource),
        }
    }
}
