//! [`Table`]: the ports on which ingress proxies serve HTTP.

use std::sync::Arc;

use crate::Options;

/// A port on which the proxies of one fleet serve HTTP. Its hosts have nothing in common with those
/// of another port (Gateway rule 11).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Table {
    /// The fleet.
    pub fleet: Arc<str>,
    /// The port on which the proxies listen.
    pub port: u16,
    /// The port that clients connect to, for redirects (Gateway rule 69).
    pub external_port: u16,
    /// Whether clients speak TLS.
    pub tls: bool,
}

/// The fleet of proxies that name none.
const DEFAULT_FLEET: &str = "default";

impl Table {
    /// The table of plain HTTP at the addresses that all Ingresses share.
    pub(crate) fn http(options: &Options) -> Table {
        Table {
            fleet: DEFAULT_FLEET.into(),
            port: options.http_port,
            external_port: 80,
            tls: false,
        }
    }

    /// The table of HTTP over TLS at the addresses that all Ingresses share.
    pub(crate) fn https(options: &Options) -> Table {
        Table {
            fleet: DEFAULT_FLEET.into(),
            port: options.https_port,
            external_port: 443,
            tls: true,
        }
    }
}
