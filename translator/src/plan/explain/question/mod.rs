//! [`Question`]: what somebody wants explained, read from a word or two as people write them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use thiserror::Error;

use crate::model::{Protocol, ServiceKey, ServicePort};
use crate::names::{is_label, is_subdomain};
use crate::{ObjectId, ObjectKind, Role};

/// The longest question, in bytes: no name that is asked for is longer.
const LONGEST: usize = 2048;

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A Service: all of its ports, or one.
    Service(ServiceKey, Option<PortRef>),
    /// A connection, or a flow, to this address.
    Address(SocketAddr, Protocol),
    /// A request for this host.
    Request(Request),
    /// An Ingress, a Gateway or an HTTPRoute.
    Object(ObjectId),
    /// A resource of this name, of whatever type.
    Resource(Arc<str>),
}

impl Question {
    /// The role of the proxy that is meant when nobody says which: requests are for those who serve
    /// by name.
    #[must_use]
    pub fn usual_role(&self) -> Role {
        match self {
            Question::Request(request) => match request.scheme {
                Scheme::Http => Role::Mesh,
                Scheme::Https => Role::Ingress,
                Scheme::Xds => Role::Grpc,
            },
            _ => Role::Node,
        }
    }
}

/// A port of a Service as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRef {
    /// Its number or its name.
    pub port: Arc<str>,
    /// Its protocol; `None` for any.
    pub protocol: Option<Protocol>,
}

impl PortRef {
    /// Whether this is the port that is meant.
    #[must_use]
    pub fn is(&self, port: &ServicePort) -> bool {
        let number = self.port.parse::<u16>();
        let named = match number {
            Ok(number) => number == port.number.get(),
            Err(_) => *self.port == *port.name,
        };
        named
            && self
                .protocol
                .is_none_or(|protocol| protocol == port.protocol)
    }
}

/// How a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In plain text.
    Http,
    /// Over TLS.
    Https,
    /// By a gRPC client, to a name that it finds by xDS.
    Xds,
}

impl Scheme {
    /// The scheme as URLs have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
            Scheme::Xds => "xds",
        }
    }
}

/// An HTTP request, as far as it decides where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// How it is sent.
    pub scheme: Scheme,
    /// The host, in lower case and without a trailing dot; an IPv6 address in brackets.
    pub host: Arc<str>,
    /// The port, if it is said.
    pub port: Option<NonZeroU16>,
    /// The path, which begins with a slash.
    pub path: Arc<str>,
}

impl Request {
    /// Whether it is sent over TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// The host as an address, if it is one.
    pub(in crate::plan::explain) fn address(&self) -> Option<IpAddr> {
        in_brackets(&self.host).unwrap_or(&self.host).parse().ok()
    }
}

/// The IPv6 address of a host, which has it in brackets.
fn in_brackets(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}

/// A text that is no question.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct QuestionError(pub(in crate::plan::explain) String);

fn no(message: impl Into<String>) -> QuestionError {
    QuestionError(message.into())
}

impl Question {
    /// Reads what people ask for: `shop/web`, `shop/web:80`, `web:http/tcp` in `namespace`,
    /// `svc/web`, `10.96.0.11:80/udp`, `http://web.shop/path`, `ingress/web`, `gateway/web`,
    /// `httproute/web`, `resource NAME`.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn read(text: &str, namespace: &str) -> Result<Question, QuestionError> {
        let text = text.trim();
        if text.len() > LONGEST {
            return Err(no(format!("a question has at most {LONGEST} bytes")));
        }
        if let Some(name) = text.strip_prefix("resource ") {
            return Ok(Question::Resource(name.trim().into()));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return request(scheme, rest);
        }
        if let Some(address) = address(text) {
            return address;
        }
        if let Some((kind, name)) = text.split_once('/')
            && let Some(question) = of_kind(kind, name, namespace)
        {
            return question;
        }
        if !text.contains('/') && text.contains('.') {
            return request("http", text);
        }
        let (key, port) = service(text, namespace)?;
        Ok(Question::Service(key, port))
    }
}

/// A question about an object of this kind; `None` if it is no kind.
fn of_kind(kind: &str, name: &str, namespace: &str) -> Option<Result<Question, QuestionError>> {
    let kind = match kind.to_ascii_lowercase().as_str() {
        "svc" | "service" | "services" => {
            let asked = service(name, namespace);
            return Some(asked.map(|(key, port)| Question::Service(key, port)));
        }
        "ing" | "ingress" | "ingresses" => ObjectKind::Ingress,
        "gtw" | "gateway" | "gateways" => ObjectKind::Gateway,
        "httproute" | "httproutes" => ObjectKind::HTTPRoute,
        "resource" => return Some(Ok(Question::Resource(name.into()))),
        "node" | "pod" | "proxy" => {
            return Some(Err(no(format!(
                "a {kind} cannot be explained; with --from it can be where a connection comes from"
            ))));
        }
        _ => return None,
    };
    let (namespace, name) = name.split_once('/').unwrap_or((namespace, name));
    let good = is_label(namespace) && is_subdomain(name);
    let id = ObjectId::new(kind, &namespace.into(), &name.into());
    Some(match good {
        true => Ok(Question::Object(id)),
        false => Err(no(format!(
            "{namespace}/{name} is not the name of an object"
        ))),
    })
}

/// A Service and maybe a port: `web`, `shop/web`, each with `:80`, `:http` or `:53/udp` behind it.
fn service(text: &str, namespace: &str) -> Result<(ServiceKey, Option<PortRef>), QuestionError> {
    let (name, port) = match text.split_once(':') {
        None => (text, None),
        Some((name, port)) => (name, Some(port)),
    };
    let (namespace, name) = name.split_once('/').unwrap_or((namespace, name));
    if !is_label(namespace) || !is_label(name) {
        return Err(no(format!(
            "{text:?} is none of: a Service (shop/web, shop/web:80), an address (10.96.0.11:80), a \
             URL (http://, https://, xds:///), ingress/NAME, gateway/NAME, httproute/NAME, resource NAME"
        )));
    }
    let key = ServiceKey {
        namespace: namespace.into(),
        name: name.into(),
    };
    Ok((key, port.map(port_ref).transpose()?))
}

fn port_ref(text: &str) -> Result<PortRef, QuestionError> {
    let (port, protocol) = match text.split_once('/') {
        None => (text, None),
        Some((port, protocol)) => (port, Some(of_protocol(protocol)?)),
    };
    match port.is_empty() {
        true => Err(no("a port is a number or a name")),
        false => Ok(PortRef {
            port: port.into(),
            protocol,
        }),
    }
}

fn of_protocol(text: &str) -> Result<Protocol, QuestionError> {
    match text.to_ascii_lowercase().as_str() {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        "sctp" => Ok(Protocol::Sctp),
        _ => Err(no(format!("{text:?} is no protocol: tcp or udp"))),
    }
}

/// An address with a port and maybe a protocol; `None` if it is no IP address.
fn address(text: &str) -> Option<Result<Question, QuestionError>> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok() {
        return Some(Err(no(format!("{text} lacks a port: {text}:80"))));
    }
    let (socket, protocol) = match text.split_once('/') {
        None => (text, "tcp"),
        Some((socket, protocol)) => (socket, protocol),
    };
    let socket: SocketAddr = socket.parse().ok()?;
    if socket.port() == 0 {
        return Some(Err(no("a port is a number from 1 to 65535")));
    }
    let protocol = of_protocol(protocol);
    Some(protocol.map(|protocol| Question::Address(socket, protocol)))
}

fn request(scheme: &str, rest: &str) -> Result<Question, QuestionError> {
    let (scheme, rest) = match scheme.to_ascii_lowercase().as_str() {
        "http" => (Scheme::Http, rest),
        "https" => (Scheme::Https, rest),
        // The target of a gRPC client has no authority, and so a third slash.
        "xds" => (Scheme::Xds, rest.strip_prefix('/').unwrap_or(rest)),
        _ => {
            return Err(no(format!(
                "{scheme}:// is not served: http://, https:// or xds:///"
            )));
        }
    };
    let (host, path) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    // The colons of an IPv6 address are inside of brackets.
    let (host, port) = match host
        .rsplit_once(':')
        .filter(|(_, port)| !port.ends_with(']'))
    {
        None => (host, None),
        Some((host, port)) => {
            let number = port.parse::<NonZeroU16>();
            (
                host,
                Some(number.map_err(|_| no("a port is a number from 1 to 65535"))?),
            )
        }
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let host = match in_brackets(&host).map(str::parse::<Ipv6Addr>) {
        Some(Ok(ip)) => format!("[{ip}]"),
        None if is_subdomain(&host) => host,
        _ => return Err(no(format!("{host:?} is not a host name"))),
    };
    Ok(Question::Request(Request {
        scheme,
        host: host.into(),
        port,
        path: if path.is_empty() { "/" } else { path }.into(),
    }))
}

/// The question as it can be asked again.
impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Question::Service(key, None) => key.fmt(f),
            Question::Service(key, Some(port)) => write!(f, "{key}:{port}"),
            Question::Address(socket, Protocol::Tcp) => socket.fmt(f),
            Question::Address(socket, protocol) => {
                write!(f, "{socket}/{}", protocol.to_string().to_lowercase())
            }
            Question::Request(request) => request.fmt(f),
            Question::Object(id) => {
                let kind = id.kind.as_str().to_lowercase();
                write!(f, "{kind}/{}/{}", id.namespace, id.name)
            }
            Question::Resource(name) => write!(f, "resource {name}"),
        }
    }
}

impl fmt::Display for PortRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.port)?;
        let protocol = self.protocol.map(|protocol| protocol.to_string());
        protocol.map_or(Ok(()), |protocol| write!(f, "/{}", protocol.to_lowercase()))
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.scheme == Scheme::Xds { "/" } else { "" };
        write!(f, "{}://{slash}{}", self.scheme.as_str(), self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match self.scheme {
            Scheme::Xds => Ok(()),
            Scheme::Http | Scheme::Https => f.write_str(&self.path),
        }
    }
}

#[cfg(test)]
mod tests;
