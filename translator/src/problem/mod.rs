//! Problems: what was asked for and is not served (error), or is served with a caveat (warning).
//!
//! A problem is a value that travels with the object it is about, never a failure of the
//! translation: one bad object harms only itself.

mod subject;
mod unread;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use subject::Subject;
pub(crate) use unread::Unread;

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something that was asked for is not served.
    Error,
    /// Something that was asked for is served, with a caveat.
    Warning,
}

impl Severity {
    /// The severity as it is printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

/// Declares [`Reason`] so that a variant's name, its printed form and its metric label are one.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// The reason of a problem as a stable word: the `reason` label of the metric
        /// `seaway_problems`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)+];

            /// The reason as it is printed.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Reason::$name => stringify!($name),)+
                }
            }
        }
    };
}

reasons! {
    /// The object's name or namespace is missing or not a DNS label.
    InvalidName,
    /// An address that is not an IP address, or not of the family it stands for.
    InvalidAddress,
    /// A port outside 1 to 65535, or missing where one is needed.
    InvalidPort,
    /// Any other field with a value that its kind does not allow.
    InvalidValue,
    /// A host name that is not a DNS name, or is an address, or has a `*` where none may be.
    InvalidHostname,
    /// A path that no request can have, or that Envoy would not take.
    InvalidPath,
    /// A regular expression that Envoy cannot compile, or that is too large.
    InvalidRegex,
    /// A header that is not one, or that nobody may change.
    InvalidHeader,
    /// More items or bytes than are kept of one object.
    TooLarge,
    /// A second port of the same number or name and protocol.
    DuplicatePort,
    /// A protocol that is not served (yet).
    UnsupportedProtocol,
    /// An application protocol whose name is none, read as the one that is meant.
    UnsupportedAppProtocol,
    /// Endpoints that are spoken to over TLS without a check of their certificates.
    UnverifiedBackend,
    /// A field whose meaning is not enforced (yet).
    UnsupportedField,
    /// A backend that is not a Service.
    UnsupportedBackend,
    /// A filter that is not supported, or not together with another one of its rule.
    UnsupportedFilter,
    /// An annotation in Seaway's name that means nothing on the object that has it.
    UnknownAnnotation,
    /// An address type that has no meaning for Services.
    UnsupportedAddressType,
    /// Another Service has the same address, port and protocol and the better claim.
    FrontendConflict,
    /// A Service to which no cluster IP is given, or one without, to which addresses are given that
    /// only one with a cluster IP has.
    NoClusterIp,
    /// A Service of type NodePort with a port to which no node port is given.
    NoNodePort,
    /// An address that a Service must not claim: loopback, outside `--external-ips`, or a Node's
    /// own on a port of its system.
    FrontendRefused,
    /// A node port that is open on all addresses of a family for which `--nodeport-addresses` has
    /// no range.
    NodePortUnrestricted,
    /// A Node that is not known although node ports are to be served on its addresses.
    UnknownNode,
    /// An endpoint address that is refused unless `--allow-endpoint-cidr` covers it.
    EndpointAddressRefused,
    /// An endpoint address that is a Service's own, or a Node's where a node port leads back.
    EndpointIsService,
    /// An ExternalName that is not a DNS name.
    InvalidExternalName,
    /// An ExternalName that is always refused, or not allowed by `--external-name`.
    ExternalNameRefused,
    /// An ExternalName that leads back to itself or through too many Services.
    ExternalNameLoop,
    /// An ExternalName for a Service (or a port of one) that is not served.
    ExternalNameUnresolved,
    /// A route table so large that sending it for every new Service hurts.
    RouteTableLarge,
    /// So many bound listeners that an Envoy of role `node` may soon have no files left for them,
    /// and then aborts.
    TooManyListeners,
    /// What was made of an object is rejected by a proxy, which keeps what it had before.
    RejectedByProxy,
    /// What was made of an object is held back from proxies that were not sent it yet, since others
    /// rejected it or it is too large for them.
    HeldBack,
    /// A name that a proxy asks for and nobody has.
    MissingName,
    /// A document or file that cannot be read.
    Unreadable,
    /// An object of a kind or version that is not read, where one that is read was meant.
    UnsupportedKind,
    /// A Service in a folder of manifests in which no EndpointSlice names it: it has no endpoints,
    /// and nobody will make some.
    NoEndpointSlice,
    /// A backend that names a Service, or a port of one, that does not exist.
    BackendNotFound,
    /// A rule that takes no request, since an older object has an equal one.
    DuplicateMatch,
    /// A host name that an older object of another kind has.
    HostConflict,
    /// An object of a kind that is not supported here, such as a backend that is no Service.
    InvalidKind,
    /// A reference to an object of another namespace that no ReferenceGrant allows.
    RefNotPermitted,
    /// A reference to a certificate that cannot be served.
    InvalidCertificateRef,
    /// A certificate that is for none of the names of a host: it is served, and clients that check
    /// it refuse it.
    CertificateMismatch,
    /// A rule, filter or match that cannot be served.
    UnsupportedValue,
    /// A Gateway or GatewayClass with parameters, of which none are supported.
    InvalidParameters,
    /// A Gateway that asks for an address of a type that is not supported.
    UnsupportedAddress,
    /// An address that a Gateway asks for and no Service before its proxies has.
    AddressNotUsable,
    /// A listener at a port that its addresses do not have.
    PortUnavailable,
    /// Two listeners with the same port and host name.
    HostnameConflict,
    /// Two listeners with the same port and different protocols.
    ProtocolConflict,
    /// A route whose parent has no listener of the name and port that it asks for.
    NoMatchingParent,
    /// A route of a kind or namespace that no listener of its parent allows.
    NotAllowedByListeners,
    /// A route that has no host name in common with the listeners of its parent.
    NoMatchingListenerHostname,
    /// A host name of a route that a listener with a narrower host name has.
    ShadowedHostname,
    /// An object that two files, or two documents of one file, describe.
    DuplicateObject,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One problem with an object or another subject. The order is that of the list people read: by
/// subject, then field.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// The subject of the problem.
    pub object: Subject,
    /// The field with the problem: `spec.ports[1].port`; empty when it is the whole object.
    pub field: String,
    /// How much the problem matters.
    pub severity: Severity,
    /// The reason as a stable word.
    pub reason: Reason,
    /// The explanation for people.
    pub message: String,
}

impl Problem {
    /// A problem because of which something is not served.
    pub fn error(
        object: impl Into<Subject>,
        field: impl Into<String>,
        reason: Reason,
        message: impl Into<String>,
    ) -> Problem {
        Problem {
            object: object.into().shortened(),
            field: shortened(field.into()),
            severity: Severity::Error,
            reason,
            message: shortened(message.into()),
        }
    }

    /// A problem with something that is served all the same.
    pub fn warning(
        object: impl Into<Subject>,
        field: impl Into<String>,
        reason: Reason,
        message: impl Into<String>,
    ) -> Problem {
        Problem {
            severity: Severity::Warning,
            ..Problem::error(object, field, reason, message)
        }
    }
}

/// How many bytes of a long text are shown, of its beginning and of its end.
const SHOWN: (usize, usize) = (700, 300);

/// Shortens a text for a message: an object may repeat itself in its problems with all of a
/// megabyte, and they are logged and shown.
pub(crate) fn shortened(text: String) -> String {
    let (mut head, mut tail) = (SHOWN.0, text.len().saturating_sub(SHOWN.1));
    if tail <= head {
        return text;
    }
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    let (left_out, head, tail) = (tail - head, &text[..head], &text[tail..]);
    format!("{head}… ({left_out} bytes left out) …{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_short_whatever_its_object_says() {
        let name = "ä".repeat(1 << 20);
        let message = format!("a{name} is no name");
        let problem = Problem::warning(&*name, "metadata.name", Reason::InvalidName, message);
        for text in [&problem.object.to_string(), &problem.message] {
            assert!(text.len() < 1100, "{text}");
            assert!(text.contains(" bytes left out) "), "{text}");
        }
        assert!(problem.message.ends_with("ä is no name"));
        assert_eq!(problem.field, "metadata.name");
    }
}
