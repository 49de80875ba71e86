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
    /// Whether it is served from the start; else [`super::ApiServer::install`] brings it.
    pub(super) installed: bool,
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
    Kind {
        version: "v1beta1",
        installed: false,
        ..other("discovery.k8s.io", "endpointslices", "EndpointSlice", &[])
    },
    other("networking.k8s.io", "ingresses", "Ingress", &[]),
    Kind {
        namespaced: false,
        ..other("networking.k8s.io", "ingressclasses", "IngressClass", &[])
    },
    Kind {
        namespaced: false,
        ..gateway_api("gatewayclasses", "GatewayClass")
    },
    gateway_api("gateways", "Gateway"),
    gateway_api("httproutes", "HTTPRoute"),
    gateway_api("referencegrants", "ReferenceGrant"),
    Kind {
        version: "v1beta1",
        ..gateway_api("referencegrants", "ReferenceGrant")
    },
    Kind {
        namespaced: false,
        ..other(
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            "CustomResourceDefinition",
            &[],
        )
    },
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
        installed: true,
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

/// A namespaced kind of the Gateway API, which is served where its definition is installed.
const fn gateway_api(resource: &'static str, kind: &'static str) -> Kind {
    Kind {
        installed: false,
        ..other("gateway.networking.k8s.io", resource, kind, &[])
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
    /// have it, as `core/events`, or with its whole `apiVersion`, as
    /// `discovery.k8s.io/v1beta1/endpointslices`.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        match name.rsplit_once('/') {
            None => Self::all().find(|kind| kind.resource == name),
            Some((of, resource)) => {
                let group = if of == "core" { "" } else { of };
                let mut all = Self::all().filter(|kind| kind.resource == resource);
                all.find(|kind| kind.group == group || kind.api_version() == of)
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
