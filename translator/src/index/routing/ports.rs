//! [`Ports`]: which protocol the proxies of a fleet speak at each of their ports. Where objects
//! disagree, the oldest of them decides (Gateway rules 24 and 27).

use std::collections::{BTreeMap, BTreeSet};

use super::share::Share;
use super::{Hosts, Routing, RoutingChanges};
use crate::policy::route_order::Age;
use crate::policy::table::Table;
use crate::{Fleet, ObjectKind};

/// The claims of ports.
#[derive(Debug, Default)]
pub(super) struct Ports {
    claims: BTreeMap<(Fleet, u16), BTreeSet<Claim>>,
}

/// A claim of a port by one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    age: Age,
    tls: bool,
    /// The port that clients connect to.
    external: u16,
}

impl Ports {
    /// The table at a port, if anything claims it.
    fn table(&self, (fleet, port): &(Fleet, u16)) -> Option<Table> {
        let claims = self.claims.get(&(fleet.clone(), *port))?;
        Some(Table {
            fleet: fleet.clone(),
            port: *port,
            tls: claims.first()?.tls,
        })
    }

    /// The port that clients connect to, for redirects (Gateway rule 69): the lowest, if there are
    /// several.
    fn external(&self, table: &Table) -> Option<u16> {
        let claims = self.claims.get(&(table.fleet.clone(), table.port))?;
        let of_table = claims.iter().filter(|claim| claim.tls == table.tls);
        of_table.map(|claim| claim.external).min()
    }
}

impl Routing {
    /// The table that is served at the port of this one: another one, if an older object claims the
    /// port for another protocol.
    pub(crate) fn served_at(&self, table: &Table) -> Table {
        let port = (table.fleet.clone(), table.port);
        self.ports.table(&port).unwrap_or_else(|| table.clone())
    }

    /// The object because of which a table is not served.
    pub(crate) fn port_taken(&self, table: &Table) -> Option<&Age> {
        let claims = self.ports.claims.get(&(table.fleet.clone(), table.port))?;
        let first = claims.first()?;
        (first.tls != table.tls).then_some(&first.age)
    }

    /// The port that clients connect to for a table.
    pub(crate) fn external_port(&self, table: &Table) -> u16 {
        self.ports.external(table).unwrap_or(table.port)
    }

    /// Puts the ports that an object claims now in place of those that it claimed before.
    pub(super) fn claim_ports(
        &mut self,
        old: Option<&Share>,
        new: Option<&Share>,
        changes: &mut RoutingChanges,
    ) {
        let claims = |share: Option<&Share>| {
            share.map_or_else(BTreeSet::new, |share| {
                let claimed = share.claimed.iter();
                let claim = |(table, external): &(Table, u16)| {
                    let claim = Claim {
                        age: share.age.clone(),
                        tls: table.tls,
                        external: *external,
                    };
                    (table.clone(), claim)
                };
                claimed.map(claim).collect()
            })
        };
        let (old, new) = (claims(old), claims(new));
        if old == new {
            return;
        }
        let concerned = old.iter().chain(&new).map(|(table, _)| table.clone());
        let concerned: BTreeSet<Table> = concerned.collect();
        let seen = |routing: &Routing| -> Vec<_> {
            let tables = concerned.iter();
            tables
                .map(|table| (routing.served_at(table), routing.external_port(table)))
                .collect()
        };
        let before = seen(self);
        for (table, claim) in old {
            let port = (table.fleet, table.port);
            if let Some(claims) = self.ports.claims.get_mut(&port) {
                claims.remove(&claim);
                if claims.is_empty() {
                    self.ports.claims.remove(&port);
                }
            }
        }
        for (table, claim) in new {
            let claims = self.ports.claims.entry((table.fleet, table.port));
            claims.or_default().insert(claim);
        }
        let after = seen(self);
        for (was, is) in before.into_iter().zip(after) {
            if was != is {
                self.mark_table(&was.0, changes);
                self.mark_table(&is.0, changes);
            }
        }
    }

    /// Marks all of a table, and whatever claims hosts in it.
    fn mark_table(&self, table: &Table, changes: &mut RoutingChanges) {
        changes.tables.insert(table.clone());
        let hosts = self.tables.get(table).into_iter().flat_map(Hosts::names);
        for host in hosts {
            changes.hosts.insert((table.clone(), host.clone()));
        }
        self.mark_certificates(table, changes);
        let objects = self.tables.get(table).into_iter().flat_map(Hosts::objects);
        for object in objects {
            changes.mark_for(&object, ObjectKind::Gateway);
        }
    }
}
