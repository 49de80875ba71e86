//! [`Table`]: the ports on which ingress proxies serve HTTP.

use crate::{Fleet, Options};

/// A port on which the proxies of one fleet serve HTTP. Its hosts have nothing in common with those
/// of another port (Gateway rule 11).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Table {
    /// The fleet.
    pub fleet: Fleet,
    /// The port on which the proxies listen.
    pub port: u16,
    /// Whether clients speak TLS.
    pub tls: bool,
}

/// The port at which clients expect plain HTTP.
pub(crate) const HTTP: u16 = 80;
/// The port at which clients expect HTTP over TLS.
pub(crate) const HTTPS: u16 = 443;

impl Table {
    /// The table of plain HTTP at the addresses that all Ingresses of a fleet share.
    pub(crate) fn http(fleet: &Fleet, options: &Options) -> Table {
        Table {
            fleet: fleet.clone(),
            port: options.http_port,
            tls: false,
        }
    }

    /// The table of HTTP over TLS at the addresses that all Ingresses of a fleet share.
    pub(crate) fn https(fleet: &Fleet, options: &Options) -> Table {
        Table {
            fleet: fleet.clone(),
            port: options.https_port,
            tls: true,
        }
    }
}
