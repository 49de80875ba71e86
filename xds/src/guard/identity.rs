//! Who is at the other end: what an application is given to find out, and what it says it found.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_util::sync::CancellationToken;
use tonic::codegen::http::HeaderMap;

/// The other end of a connection, as the transport knows it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Peer {
    /// Its address; `None` if it was gone before anybody asked.
    pub address: Option<SocketAddr>,
    /// Its certificate and those that lead to its authority, verified as the TLS configuration
    /// says, in DER. Empty if it showed none, or the port is plaintext.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// A stream that wants to be let in.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Caller<'a> {
    /// Its connection's other end.
    pub peer: &'a Peer,
    /// The headers of its request: a token is in `authorization`. They hold secrets: never log
    /// them.
    pub headers: &'a HeaderMap,
}

/// What an application found out about the caller of a stream.
#[derive(Clone, Debug)]
pub struct Authenticated<P> {
    /// Who it is, if somebody verified that. `None`: nobody is asked for an identity.
    pub identity: Option<Identity>,
    /// What it may do, for [`Admit::admit`](crate::Admit::admit).
    pub permissions: P,
}

/// A verified identity: the name in a certificate, say, never what a proxy says of itself.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The same for all connections of one proxy, and of no other. Limits are counted by it.
    pub name: Arc<str>,
    /// Whose proxy it is, the same for all proxies of one owner: the service account of its pod,
    /// say. Rejections by proxies of several principals keep a content from other proxies (xDS rule
    /// 82): with as many proxies as one likes nobody is several.
    pub principal: Arc<str>,
    /// What kind of proof it is, as a label of metrics: `certificate`, `token`.
    pub kind: &'static str,
    /// When the proof ends. Then the connection is told to go, and its proxy comes back with a
    /// newer one. `None`: never.
    pub expires: Option<SystemTime>,
    /// Cancelled when the proof is withdrawn. Then the connection is cut.
    pub revoked: Option<CancellationToken>,
}

impl Authenticated<()> {
    /// Somebody, where nobody is asked who he is.
    #[must_use]
    pub fn anybody() -> Authenticated<()> {
        Authenticated {
            identity: None,
            permissions: (),
        }
    }
}
