//! [`Viewpoint`]: which proxy is asked, and from where a connection comes to it.

use std::net::IpAddr;
use std::sync::Arc;

use super::question::QuestionError;
use crate::View;
use crate::names::is_subdomain;

/// The proxy that takes a connection, and the client that makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewpoint {
    /// The role of the proxy and its place. Without a place it is any proxy of the role.
    pub view: View,
    /// Where the connection comes from.
    pub client: Client,
    /// Whether the view says all of the proxy, as that of a connected one does: it is on no Node if
    /// none is named.
    pub is_whole: bool,
}

/// Where a connection comes from, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// From anywhere: what differs by that is said for each case.
    Anybody,
    /// From the node on which the proxy runs, by a process of its own.
    Node,
    /// From this address.
    Address(IpAddr),
}

impl Viewpoint {
    /// The viewpoint of a proxy with this view; connections to it come from anywhere.
    #[must_use]
    pub fn of(view: View) -> Viewpoint {
        Viewpoint {
            view,
            client: Client::Anybody,
            is_whole: false,
        }
    }

    /// The viewpoint of a connected proxy, of which nothing is left open.
    #[must_use]
    pub fn of_connected(view: View) -> Viewpoint {
        Viewpoint {
            is_whole: true,
            ..Viewpoint::of(view)
        }
    }

    /// The same, with connections from there: `node/n1`, `zone/a`, an IP address.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn from(mut self, text: &str) -> Result<Viewpoint, QuestionError> {
        let named = |name: &str| is_subdomain(name).then(|| Arc::<str>::from(name));
        let place = text.split_once('/');
        match (place, text.parse::<IpAddr>()) {
            (Some(("node", name)), _) if is_subdomain(name) => {
                self.view.node = named(name);
                self.client = Client::Node;
            }
            (Some(("zone", name)), _) if !name.is_empty() && name.len() <= 63 => {
                self.view.zone = Some(name.into());
            }
            (None, Ok(ip)) => self.client = Client::Address(ip.to_canonical()),
            _ => {
                return Err(QuestionError(format!(
                    "{text:?} is none of node/NAME, zone/NAME, an IP address"
                )));
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;

    #[test]
    fn a_connection_comes_from_a_node_a_zone_or_an_address() {
        let read = |text: &str| Viewpoint::of(View::of(Role::Node)).from(text);
        let node = read("node/n1").unwrap();
        assert_eq!(
            (node.view.node.as_deref(), node.client),
            (Some("n1"), Client::Node)
        );
        let zone = read("zone/eu-1").unwrap();
        assert_eq!(
            (zone.view.zone.as_deref(), zone.client),
            (Some("eu-1"), Client::Anybody)
        );
        let address = read("::ffff:192.0.2.1").unwrap().client;
        assert_eq!(address, Client::Address([192, 0, 2, 1].into()));
        for bad in ["n1", "node/", "pod/x", "node/A", ""] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
