//! The Secrets with certificates, and which objects name them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::share::Share;
use super::{Key, Routing, RoutingChanges, put};
use crate::model::Secret;
use crate::policy::table::Table;
use crate::{Fleet, ObjectId, ObjectKind};

/// All Secrets that are known, and who names them.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    known: BTreeMap<Key, Arc<Secret>>,
    /// The objects that name a Secret as a certificate, whether it exists or not.
    users: BTreeMap<Key, BTreeSet<ObjectId>>,
}

impl Routing {
    /// A Secret.
    pub(crate) fn secret(&self, key: &Key) -> Option<&Arc<Secret>> {
        self.secrets.known.get(key)
    }

    /// The objects that are served and name a Secret as a certificate.
    pub(crate) fn secret_users(&self, key: &Key) -> impl Iterator<Item = &ObjectId> {
        self.secrets.users.get(key).into_iter().flatten()
    }

    /// The fleet for which an object claims a host name with a Secret.
    pub(crate) fn claims_with(&self, object: &ObjectId, secret: &Key) -> Option<&Fleet> {
        let share = self.shares.get(object)?;
        let mut claims = share.claims_with(secret);
        share.fleet.as_ref().filter(|_| claims.next().is_some())
    }

    /// Adds, replaces or (`None`) removes a Secret. What only replaces a certificate by another one
    /// that can be served concerns nobody but the proxies that have it (Gateway rule 37), and one
    /// that nobody names, nobody (Gateway rule 38).
    pub(crate) fn set_secret(
        &mut self,
        key: &Key,
        new: Option<Arc<Secret>>,
        changes: &mut RoutingChanges,
    ) {
        let old = put(&mut self.secrets.known, key.clone(), new);
        let new = self.secrets.known.get(key);
        if old.as_ref() == new || !self.secrets.users.contains_key(key) {
            return;
        }
        self.mark_secret(key, changes);
        let seen = |secret: Option<&Arc<Secret>>| secret.map(|secret| how_it_is_seen(secret));
        if seen(old.as_ref()) != seen(new) {
            self.secret_changed(key, changes);
        } else if names(old.as_ref()) != names(new) {
            for user in self.secret_users(key) {
                changes.mark_for(user, ObjectKind::Gateway);
            }
        }
    }

    /// Marks the resource of a Secret, and the certificates of the host names claimed with it.
    fn mark_secret(&self, key: &Key, changes: &mut RoutingChanges) {
        changes.secrets.insert(key.clone());
        let users = self.secret_users(key);
        let shares = users.filter_map(|user| self.shares.get(user));
        let claims = shares.flat_map(|share| share.claims_with(key));
        let claims = claims.filter(|(table, _)| table.tls);
        let claims = claims.map(|(table, host)| (table.clone(), host.clone()));
        changes.certificates.extend(claims);
    }

    /// Marks the listener of a port with TLS and the certificates of all names there. Returns
    /// whether anything is claimed there.
    pub(crate) fn mark_certificates(&self, table: &Table, changes: &mut RoutingChanges) -> bool {
        let Some(hosts) = self.tables.get(table).filter(|_| table.tls) else {
            return false;
        };
        changes.tables.insert(table.clone());
        let claimed = hosts.claimed().map(|host| (table.clone(), host.clone()));
        changes.certificates.extend(claimed);
        true
    }

    /// Marks whatever names a Secret.
    fn secret_changed(&self, key: &Key, changes: &mut RoutingChanges) {
        for user in self.secret_users(key) {
            changes.mark_for(user, ObjectKind::Gateway);
            if let Some(share) = self.shares.get(user) {
                let tables = share.tls_tables();
                changes.tables.extend(tables.into_iter().cloned());
            }
        }
    }

    /// Notes which Secrets an object names now.
    pub(super) fn name_secrets(
        &mut self,
        by: &ObjectId,
        old: Option<&Share>,
        new: Option<&Share>,
        changes: &mut RoutingChanges,
    ) {
        let none = BTreeSet::new();
        let old = old.map_or(&none, |share| &share.secrets);
        let new = new.map_or(&none, |share| &share.secrets);
        for key in old.difference(new) {
            if let Some(users) = self.secrets.users.get_mut(key) {
                users.remove(by);
                if users.is_empty() {
                    self.secrets.users.remove(key);
                }
            }
        }
        for key in new.difference(old) {
            let users = self.secrets.users.entry(key.clone()).or_default();
            users.insert(by.clone());
        }
        // Other host names may be claimed with them now.
        changes.secrets.extend(old.union(new).cloned());
    }

    /// Marks the Secrets of a namespace that objects of others name: a grant came or went (Gateway
    /// rule 34).
    pub(super) fn secret_grants_changed(&self, namespace: &Arc<str>, changes: &mut RoutingChanges) {
        let first = (namespace.clone(), "".into());
        let named = self.secrets.users.range(first..);
        let named = named.take_while(|((of, _), _)| of == namespace);
        for (key, users) in named {
            if users.iter().any(|user| user.namespace != *namespace) {
                self.mark_secret(key, changes);
                self.secret_changed(key, changes);
            }
        }
    }
}

/// The names of the certificate of a Secret, which may overlap with those of others.
fn names(secret: Option<&Arc<Secret>>) -> Option<&[Arc<str>]> {
    let certificate = secret?.certificate.as_ref().ok()?;
    Some(&certificate.names)
}

/// What those who name a Secret see of it, which is all but its content.
fn how_it_is_seen(secret: &Secret) -> impl PartialEq + use<> {
    let certificate = secret.certificate.as_ref();
    let certificate = certificate.map(|certificate| certificate.algorithm);
    (certificate.map_err(Arc::clone), secret.is_tls)
}
