//! The resource types that are served, and how each behaves on a stream: all that this crate knows
//! of their meaning.

use std::sync::Arc;

use bytes::Bytes;
use seaway_proto::TypeUrl;
use seaway_proto::envoy::endpoint::ClusterLoadAssignment;

use crate::host_errors::of_envoys_machine;

/// The behaviour of one resource type on a stream.
#[derive(Clone, Copy, Debug)]
pub struct TypeSpec {
    /// The type URL.
    pub url: TypeUrl,
    /// Whether a state-of-the-world response lists everything subscribed to, absence meaning
    /// deletion (xDS rule 21): true of listeners and clusters.
    pub complete: bool,
    /// Whether a first request without names is a wildcard subscription (xDS rules 37-39).
    pub legacy_wildcard: bool,
    /// The type whose resources a client reloads after it got a new version of a resource that
    /// refers to them (xDS rules 88-90): assignments, after their cluster.
    pub reloads: Option<TypeUrl>,
    /// Whether additions wait (for at most a second) until the client has acknowledged what it was
    /// sent of the types before this one: a client does not wait for the cluster of a route or a
    /// TCP listener to be ready.
    pub gated: bool,
    /// Whether a resource claims something that only one can have at a time, as a listener does its
    /// address: then removals go out together with additions, since a client makes room before it
    /// adds. Nothing may refer to this type.
    pub exclusive: bool,
    /// Whether a client that reconnects is sent resources even if it claims to have them (xDS rule
    /// 53): true of secrets, which Envoys were seen to say they had and not to use.
    pub resends: bool,
    /// Whether a client that finds a bad resource in a response takes none of it: then the others
    /// are sent again (true of scoped routes and secrets, xDS rules 69, 80).
    pub atomic: bool,
    /// Whether contents are for the eyes of their client alone: true of secrets. They are shown to
    /// nobody else, whoever asks.
    pub sensitive: bool,
    /// The rank of the type among removals, which go out in ascending order of it, after all
    /// additions: first what refers, then what is referred to.
    pub removal_rank: u8,
    /// The encoded value that stands for a removed resource of a name, for types where a client may
    /// wait for a value and has no other way to learn that there is none: an assignment without
    /// endpoints, in state of the world (xDS rule 95).
    pub empty: Option<fn(&str) -> Bytes>,
    /// Whether a rejection with this error text tells more of the client's machine than of the
    /// resource, as when the address of a listener is taken. Such a rejection may pass by itself:
    /// the resource is sent again after a while, and is not held back from others for it (xDS rules
    /// 69, 82). `None`: no rejection is known to pass.
    pub passes: Option<fn(&str) -> bool>,
}

impl TypeSpec {
    /// Whether a rejection with this error text may pass by itself.
    pub(crate) fn passes(&self, words: &str) -> bool {
        self.passes.is_some_and(|passes| passes(words))
    }
}

/// An encoded `ClusterLoadAssignment` without endpoints.
fn empty_assignment(name: &str) -> Bytes {
    let assignment = ClusterLoadAssignment {
        cluster_name: name.to_owned(),
        ..ClusterLoadAssignment::default()
    };
    seaway_proto::encode(&assignment).into()
}

/// The resource types of a server, in the order in which additions go out (xDS rule 84).
#[derive(Clone, Debug)]
pub struct Types {
    specs: Arc<[TypeSpec]>,
    removal_order: Arc<[usize]>,
}

impl Types {
    /// Types given in the order in which their additions go out.
    pub fn new(specs: impl Into<Arc<[TypeSpec]>>) -> Types {
        let specs = specs.into();
        let mut order: Vec<usize> = (0..specs.len()).collect();
        order.sort_by_key(|index| specs[*index].removal_rank);
        Types {
            specs,
            removal_order: order.into(),
        }
    }

    /// The types of Envoy in the order that it needs (xDS rule 84): clusters, assignments, secrets,
    /// listeners, routes. What finds the scope of a host by its wildcard comes after the scopes.
    pub fn envoy() -> Types {
        let spec = |url, complete, reloads, gated, removal_rank| TypeSpec {
            url,
            complete,
            legacy_wildcard: complete,
            reloads,
            gated,
            exclusive: url == TypeUrl::LISTENER,
            resends: url == TypeUrl::SECRET,
            sensitive: url == TypeUrl::SECRET,
            atomic: [TypeUrl::SCOPED_ROUTE, TypeUrl::SECRET].contains(&url),
            removal_rank,
            empty: (url == TypeUrl::ENDPOINT).then_some(empty_assignment),
            passes: Some(of_envoys_machine),
        };
        Types::new([
            spec(TypeUrl::CLUSTER, true, Some(TypeUrl::ENDPOINT), false, 2),
            spec(TypeUrl::ENDPOINT, false, None, false, 4),
            spec(TypeUrl::SECRET, false, None, false, 3),
            spec(TypeUrl::LISTENER, true, None, true, 0),
            spec(TypeUrl::ROUTE, false, None, true, 1),
            spec(TypeUrl::SCOPED_ROUTE, true, None, true, 1),
            spec(TypeUrl::EXTENSION, false, None, true, 1),
        ])
    }

    /// The behaviour of each type, in the order in which additions go out.
    pub fn specs(&self) -> &[TypeSpec] {
        &self.specs
    }

    pub(crate) fn len(&self) -> usize {
        self.specs.len()
    }

    pub(crate) fn spec(&self, index: usize) -> &TypeSpec {
        &self.specs[index]
    }

    /// The index of a type by its URL as a client writes it.
    pub(crate) fn index(&self, url: &str) -> Option<usize> {
        self.specs.iter().position(|spec| spec.url.as_str() == url)
    }

    /// The indexes of the types, in the order in which removals go out.
    pub(crate) fn removal_order(&self) -> &[usize] {
        &self.removal_order
    }
}
