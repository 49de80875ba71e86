//! What a change of the world means for clients: two [`World`]s are compared by what their proxies
//! would be sent, resource by resource and view by view, and what differs is told as [`Effect`]s,
//! the worst first.
//!
//! Nothing here looks at manifests: where no resource of any view differs, nothing is sent, and
//! nothing can happen to a client. `changes` finds what differs and for whom, `facts` opens those
//! resources alone, `service`, `host` and `proxy` make effects of them, and `sentence` has the
//! words.

mod changes;
mod effect;
mod endpoints;
mod facts;
mod host;
mod listeners;
mod owner;
mod places;
mod proxy;
mod sentence;
mod service;
mod settings;
mod silent;
mod use_of_endpoints;
mod why;
mod world;

use std::collections::BTreeMap;

pub use changes::ResourceChange;
pub use effect::{
    Changed, Counts, Difference, Effect, EndpointCount, Fate, Harm, Places, Setting, Silence, What,
};
pub use owner::{Owner, OwnerKind};
pub use world::{Fingerprint, SeenBy, World};

use changes::Change;
use owner::OwnerKind::{Certificate, Host, Proxy, Service};

/// Compares two worlds with the same views: what their proxies would be sent, and what a client
/// notices of it.
#[must_use]
pub fn diff(from: &World, to: &World) -> Difference {
    let both = Both { from, to };
    let changes = changes::between(from, to);
    let mut by_owner: BTreeMap<&Owner, Vec<&Change<'_>>> = BTreeMap::new();
    for change in &changes {
        by_owner.entry(&change.owner).or_default().push(change);
    }
    let mut changed: Vec<Changed> = by_owner
        .iter()
        .map(|(owner, changes)| Changed {
            owner: (*owner).clone(),
            effects: effects(both, owner, changes),
        })
        .collect();
    let silent = silent::changed(both, |owner| by_owner.contains_key(owner));
    let counts = changes::count(both, &changes, by_owner.keys().copied());
    changed.extend(silent);
    changed.sort_by(|a, b| (a.harm(), &a.owner).cmp(&(b.harm(), &b.owner)));
    Difference {
        changed,
        counts,
        resources: changes.into_iter().flat_map(Change::listed).collect(),
    }
}

/// The two worlds that are compared.
#[derive(Clone, Copy, Debug)]
struct Both<'a> {
    from: &'a World,
    to: &'a World,
}

/// What the changed resources of one owner mean, the worst first.
fn effects(both: Both<'_>, owner: &Owner, changes: &[&Change<'_>]) -> Vec<Effect> {
    let mut effects = match owner.kind {
        Service => service::effects(both, owner, changes),
        Host => host::effects(both, changes),
        Certificate => host::of_certificate(both, changes),
        Proxy => proxy::effects(both, changes),
    };
    if effects.is_empty() {
        effects.push(proxy::other(both, changes));
    }
    effects.sort();
    effects
}
