//! Every kind of client at every kind of address with `--keep-source`, over TCP and UDP: an answer
//! always arrives, and the backend sees whom the table of `docs/source-address.md` says.

use anyhow::{Result, ensure};
use seaway_testing::{
    Backend, Cluster, Echo, Flow, ServiceManifest, Setup, World, endpoint, eventually,
};

use crate::keep_source::{PORT, numbered, save_for, source, two_nodes};

crate::all_captures!(
    every_connection_is_answered_and_seen_as_the_table_says,
    every_datagram_is_answered_and_seen_as_the_table_says,
);

/// `here` and `client` are pods of n1, `far` is one of n2.
const CLIENTS: [&str; 5] = ["client", "far", "n1", "outside", "here"];
/// Pods of n1 and n2, and a process in n1's own network.
const PLACES: [&str; 3] = ["here", "there", "n1"];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Policy {
    Cluster,
    Local,
    Fallback,
}

const POLICIES: [Policy; 3] = [Policy::Cluster, Policy::Local, Policy::Fallback];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Frontend {
    ClusterIp,
    External,
    NodePort,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
struct Row {
    protocol: &'static str,
    policy: Policy,
    frontend: Frontend,
    /// Where the only endpoint is.
    place: &'static str,
    client: &'static str,
}

fn home(place: &str) -> &'static str {
    if ["far", "there"].contains(&place) {
        "n2"
    } else {
        "n1"
    }
}

impl Row {
    /// As whom the client is seen; `None` if he is turned away. Service addresses lead pods to
    /// their own node, everybody else to n1.
    fn seen_as(&self) -> Option<&'static str> {
        let external = self.frontend != Frontend::ClusterIp;
        let via = match self.frontend {
            Frontend::NodePort => "n1",
            Frontend::ClusterIp | Frontend::External => home(self.client),
        };
        // A pod of another node is an outside client.
        let outside = self.client == "outside" || home(self.client) != via;
        let endpoint_is_here = home(self.place) == via;
        if outside && external && self.policy == Policy::Local && !endpoint_is_here {
            return None;
        }
        let own_pod = !outside && self.client != "n1";
        // For UDP Envoy cannot tell the node what the policy is.
        let by_place = self.protocol == "UDP" || external && self.policy != Policy::Cluster;
        let hairpin = self.client == self.place;
        let kept = !hairpin && (own_pod || by_place && endpoint_is_here);
        Some(if kept { self.client } else { via })
    }

    /// Its addresses, of both families.
    fn addresses(&self, cluster: &Cluster<'_>, number: u16) -> Result<[String; 2]> {
        let node = cluster.host("n1")?;
        Ok(match self.frontend {
            Frontend::ClusterIp => [
                format!("10.96.0.{number}:80"),
                format!("[fd00:10:96::{number}]:80"),
            ],
            Frontend::External => [
                format!("203.0.113.{number}:80"),
                format!("[fd00:203::{number}]:80"),
            ],
            Frontend::NodePort => [
                endpoint(node.v4, PORT + number),
                endpoint(node.v6, PORT + number),
            ],
        })
    }

    /// Waits until it is as the table says.
    fn holds(&self, cluster: &Cluster<'_>, to: &str) -> Result<()> {
        let as_whom = self.seen_as().unwrap_or(self.client);
        let Some(wanted) = source(cluster, as_whom, to)? else {
            return Ok(());
        };
        let udp = self.protocol == "UDP";
        eventually(format!("{self:?} at {to}, seen as {as_whom}"), || {
            let outcome = match udp {
                false => cluster.get(self.client, to)?,
                true => {
                    let flow = Flow::open(cluster.at(self.client)?, to)?;
                    flow.ask()?;
                    // And again, on the same flow.
                    flow.ask()?
                }
            };
            let right = match self.seen_as() {
                None => outcome.word() == if udp { "timed out" } else { "closed" },
                Some(_) => outcome.word() == self.place && outcome.client() == Some(wanted),
            };
            ensure!(right, "{outcome:?}");
            Ok(())
        })
    }
}

fn a_service(number: u16, protocol: &str, policy: Policy) -> ServiceManifest {
    let service = numbered(number).on_port("protocol", protocol);
    match policy {
        Policy::Cluster => service,
        Policy::Local => service.spec("externalTrafficPolicy", "Local"),
        Policy::Fallback => service
            .spec("externalTrafficPolicy", "Local")
            .annotation("seaway.dev/local-fallback", "cluster"),
    }
}

fn table(setup: &Setup<'_>, protocol: &'static str) -> Result<()> {
    two_nodes(setup, |cluster| {
        let node = cluster.host("n1")?;
        let at = cluster.at("n1")?;
        let _tcp = Backend::start(at, "n1", (node.v4, 8080).into())?;
        let _udp = Echo::start(at, "n1", (node.v4, 8080).into())?;
        let six = || World::has_ipv6().then_some((node.v6, 8080).into());
        let _tcp = six()
            .map(|address| Backend::start(at, "n1", address))
            .transpose()?;
        let _udp = six()
            .map(|address| Echo::start(at, "n1", address))
            .transpose()?;
        let all = POLICIES.map(|policy| PLACES.map(|place| (policy, place)));
        let services = || (1..).zip(all.as_flattened());
        for (number, (policy, place)) in services() {
            let service = a_service(number, protocol, *policy);
            save_for(cluster, protocol, number, &service, &[place])?;
        }
        for (number, &(policy, place)) in services() {
            for frontend in [Frontend::ClusterIp, Frontend::External, Frontend::NodePort] {
                for client in CLIENTS {
                    let row = Row {
                        protocol,
                        policy,
                        frontend,
                        place,
                        client,
                    };
                    for to in row.addresses(cluster, number)? {
                        row.holds(cluster, &to)?;
                    }
                }
            }
        }
        Ok(())
    })
}

/// Service rules 72, 111, 112, 113, 114.
fn every_connection_is_answered_and_seen_as_the_table_says(setup: &Setup<'_>) -> Result<()> {
    table(setup, "TCP")
}

/// Service rules 72, 104, 111, 112, 113, 114.
fn every_datagram_is_answered_and_seen_as_the_table_says(setup: &Setup<'_>) -> Result<()> {
    table(setup, "UDP")
}
