//! Authenticates proxies, and says which roles an identity may have (invariant 7).
//!
//! A stream shows proofs: the certificate of its connection, a token in its request. [`Verifier`]
//! verifies them, `certificate` reads certificates, and `rule` knows what `--allow-proxy` grants
//! for a proof. The resulting [`Permissions`] are checked against what the proxy then claims about
//! itself.

mod certificate;
mod rule;
mod verifier;

use std::sync::Arc;

use seaway_proto::TypeUrl;
use seaway_translator::{Import, Imports, Role, View};

use crate::kube::Account;
pub(crate) use certificate::Certificate;
use rule::Proven;
pub(crate) use rule::{Grant, Rule, Who};
pub(crate) use verifier::Verifier;

/// The roles and nodes that an authenticated proxy may claim.
#[derive(Clone, Debug)]
pub(crate) enum Permissions {
    /// Whatever it claims: no proof is asked for.
    Anything,
    /// Only what rules grant for its proofs.
    Some {
        /// The proxy's name in logs and errors.
        name: Arc<str>,
        /// The roles it may have; at least one.
        grants: Vec<Grant>,
        /// The service account of its token. A token counts as in use for as long as this is held.
        account: Option<Arc<Account>>,
    },
}

impl Permissions {
    /// Checks the role, the fleet and the node that a proxy claims.
    ///
    /// # Errors
    /// It may not claim them, for this reason.
    pub(crate) fn check(&self, view: &View) -> Result<(), String> {
        let Permissions::Some { name, grants, .. } = self else {
            return Ok(());
        };
        let role = view.role;
        let of_role = grants.iter().filter(|grant| grant.role == role);
        let in_fleet = |grant: &&Grant| role != Role::Ingress || grant.fleet == view.fleet;
        let mut of_role = of_role.filter(in_fleet).peekable();
        if of_role.peek().is_none() {
            let fleet = match role == Role::Ingress && !view.fleet.is_default() {
                true => format!(", fleet {}", view.fleet),
                false => String::new(),
            };
            return Err(format!(
                "{name} may not be a proxy of role {role}{fleet}: no --allow-proxy says so"
            ));
        }
        let Some(node) = &view.node else {
            return Ok(());
        };
        let mut bound = of_role.filter_map(|grant| grant.node.as_ref()).peekable();
        let Some(first) = bound.peek() else {
            return Err(format!(
                "{name} is bound to no node, and may not claim to be on node {node}"
            ));
        };
        let text =
            format!("{name} is bound to node {first}, and may not claim to be on node {node}");
        bound.any(|bound| bound == node).then_some(()).ok_or(text)
    }

    /// What a mesh proxy imports that may import some namespaces only: what it says, or all of
    /// these.
    ///
    /// # Errors
    /// It may not import something of that, for this reason.
    pub(crate) fn imports(&self, view: &View) -> Result<Option<Imports>, String> {
        let Permissions::Some { name, grants, .. } = self else {
            return Ok(view.imports.clone());
        };
        let of_mesh = grants.iter().filter(|grant| grant.role == Role::Mesh);
        let allowed: Option<Vec<Import>> = of_mesh.map(|grant| grant.import.clone()).collect();
        let (Role::Mesh, Some(allowed)) = (view.role, allowed) else {
            return Ok(view.imports.clone());
        };
        let is_allowed = |wanted: &Import| {
            let mut allowed = allowed.iter();
            allowed.any(|one| one.namespace == wanted.namespace)
        };
        let wanted = view.imports.iter().flat_map(Imports::iter);
        match wanted.into_iter().find(|wanted| !is_allowed(wanted)) {
            Some(other) => Err(format!(
                "{name} may not import {other}: no --allow-proxy mesh/{} says so",
                other.namespace
            )),
            None => Ok(view.imports.clone().or_else(|| Imports::of(allowed))),
        }
    }

    /// The service account to hold for as long as the stream is open, so that its token is
    /// reviewed.
    pub(crate) fn account(&self) -> Option<Arc<Account>> {
        match self {
            Permissions::Anything => None,
            Permissions::Some { account, .. } => account.clone(),
        }
    }

    /// The resource types that the proxy may not subscribe to in this role. Secrets are for role
    /// ingress alone.
    pub(crate) fn forbidden(&self, role: Role) -> &'static [TypeUrl] {
        match (self, role) {
            (Permissions::Anything, _) | (_, Role::Ingress) => &[],
            (_, Role::Node | Role::Mesh | Role::Grpc) => &[TypeUrl::SECRET],
        }
    }
}

/// The roles that rules grant for a set of proofs.
fn granted(rules: &[Rule], proven: &[Proven<'_>]) -> Vec<Grant> {
    let mut grants = Vec::new();
    for proven in proven {
        grants.extend(rules.iter().filter_map(|rule| rule.grant(*proven)));
    }
    grants
}

#[cfg(test)]
mod tests;
