//! The caller of a stream: what an application is given to authenticate it, and what it returns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;
use tonic::codegen::http::HeaderMap;

/// The peer of a connection, as the transport knows it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Peer {
    /// The remote address; `None` if the peer was gone before the address was read.
    pub address: Option<SocketAddr>,
    /// The client's certificate and those that lead to its authority, verified as the TLS
    /// configuration says, in DER. Empty if the client sent none, or the port is plaintext.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// The caller that opens a stream: its peer, and the headers of its request.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Caller<'a> {
    /// The peer of the stream's connection.
    pub peer: &'a Peer,
    /// The headers of the stream's HTTP request: a token is in `authorization`. They hold secrets:
    /// never log them.
    pub headers: &'a HeaderMap,
}

/// The result of authenticating a caller: its identity and its permissions.
#[derive(Clone, Debug)]
pub struct Authenticated<P> {
    /// The verified identity; `None` if callers are not asked for one.
    pub identity: Option<Identity>,
    /// What the caller may do, for [`Admit::admit`](crate::Admit::admit).
    pub permissions: P,
    /// Whether the caller may look at all clients, by `ClientStatusDiscoveryService`. Others see
    /// the streams of their own identity.
    pub inspects: bool,
}

/// A verified identity: the name in a certificate, for example, never what a proxy says of itself.
#[derive(Clone, Debug)]
pub struct Identity {
    /// A name that all connections of one proxy have, and those of no other. Limits are counted by
    /// it.
    pub name: Arc<str>,
    /// The owner of the proxy, common to all proxies of one owner: the service account of its pod,
    /// for example. Rejections by proxies of several principals hold a content back from other
    /// proxies (xDS rule 82); however many proxies an owner has, they count as one principal.
    pub principal: Arc<str>,
    /// The kind of proof, as a label of metrics: `certificate`, `token`.
    pub kind: &'static str,
    /// When the proof expires; `None`: never. The connection is then closed with GOAWAY, and its
    /// proxy comes back with a newer proof.
    pub expires: Option<SystemTime>,
    /// Cancelled when the proof is withdrawn. The connection is then cut.
    pub revoked: Option<CancellationToken>,
}

impl Authenticated<()> {
    /// A caller without an identity, for applications that ask for none.
    #[must_use]
    pub fn anybody() -> Authenticated<()> {
        Authenticated {
            identity: None,
            permissions: (),
            inspects: false,
        }
    }
}
