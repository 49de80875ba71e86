//! Who a proxy is, as far as somebody vouches for it, and what it may be (invariant 7).
//!
//! A stream shows proofs: the certificate of its connection, a token in its request. [`Verifier`] has them verified, `certificate` reads
//! what they say, and `rule` knows what that allows. What comes out, [`Permissions`], is held against what the proxy then says of
//! itself.

mod certificate;
mod rule;
mod verifier;

use std::sync::Arc;

use seaway_proto::TypeUrl;
use seaway_translator::{Role, View};

use crate::kube::Account;
pub(crate) use certificate::Certificate;
use rule::Proven;
pub(crate) use rule::{Grant, Rule};
pub(crate) use verifier::Verifier;

/// What a caller may be.
#[derive(Clone, Debug)]
pub(crate) enum Permissions {
    /// What it says: nobody is asked for a proof.
    Anything,
    /// One of these.
    Some {
        /// As whom it is known.
        name: Arc<str>,
        /// The roles it may have. Never none.
        grants: Vec<Grant>,
        /// Whose token it came with. A token counts as in use for as long as somebody has this.
        account: Option<Arc<Account>>,
    },
}

impl Permissions {
    /// Whether a proxy may be what it says it is.
    ///
    /// # Errors
    /// It may not, for this reason.
    pub(crate) fn check(&self, view: &View) -> Result<(), String> {
        let Permissions::Some { name, grants, .. } = self else {
            return Ok(());
        };
        let role = view.role;
        let mut of_role = grants.iter().filter(|grant| grant.role == role).peekable();
        if of_role.peek().is_none() {
            return Err(format!(
                "{name} may not be a proxy of role {role}: no --allow-proxy says so"
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

    /// What is to be held for as long as the stream is open.
    pub(crate) fn account(&self) -> Option<Arc<Account>> {
        match self {
            Permissions::Anything => None,
            Permissions::Some { account, .. } => account.clone(),
        }
    }

    /// The types that it may not ask for as a proxy of this role. Certificates are for the edge alone.
    pub(crate) fn forbidden(&self, role: Role) -> &'static [TypeUrl] {
        match (self, role) {
            (Permissions::Anything, _) | (_, Role::Ingress) => &[],
            (_, Role::Node | Role::Mesh | Role::Grpc) => &[TypeUrl::SECRET],
        }
    }
}

/// What these rules allow somebody who has proven all this.
fn granted(rules: &[Rule], proven: &[Proven<'_>]) -> Vec<Grant> {
    let mut grants = Vec::new();
    for proven in proven {
        grants.extend(rules.iter().filter_map(|rule| rule.grant(*proven)));
    }
    grants
}

#[cfg(test)]
mod tests;
