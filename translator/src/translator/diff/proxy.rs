//! What happens to the listeners that belong to the proxies themselves, and the words for changes
//! of which nothing more is known.

use std::collections::BTreeSet;

use seaway_proto::envoy::listener::Listener;
use seaway_proto::{Resource, TypeUrl};

use super::Both;
use super::changes::Change;
use super::effect::{Effect, Fate, Harm, What};
use super::facts::decode;
use super::listeners::sorted;
use super::places::places;
use super::settings::unnamed;

/// What changed listeners of the proxies mean, and what belongs to those.
pub(super) fn effects(both: Both<'_>, changes: &[&Change<'_>]) -> Vec<Effect> {
    let listeners = changes.iter().copied();
    let listeners = listeners.filter(|change| change.type_url == TypeUrl::LISTENER);
    listeners
        .flat_map(|change| of_listener(both, change))
        .collect()
}

fn of_listener(both: Both<'_>, change: &Change<'_>) -> Vec<Effect> {
    let address = || vec![format!("listener {}", change.name)];
    let variants = change.variants.iter().map(|variant| {
        let (harm, loses, what) = match (variant.old, variant.new) {
            (Some(old), Some(new)) => replaced(old, new, &change.name),
            (Some(_), None) => {
                let what = What::Gone {
                    addresses: address(),
                    fate: Fate::Refused,
                    flows: false,
                };
                (Harm::Gone, true, what)
            }
            (None, _) => {
                let what = What::Served {
                    addresses: address(),
                    endpoints: 0,
                };
                (Harm::New, false, what)
            }
        };
        Effect {
            harm,
            port: None,
            loses,
            places: places(both.to, &variant.views, &change.seen_by),
            what,
        }
    });
    variants.collect()
}

fn replaced(old: &Resource, new: &Resource, name: &str) -> (Harm, bool, What) {
    let (was, is) = (names(old), names(new));
    let without = |one: &BTreeSet<String>, other: &BTreeSet<String>| -> Vec<String> {
        one.difference(other).cloned().collect()
    };
    let (served, closed) = (without(&is, &was), without(&was, &is));
    if served.is_empty() && closed.is_empty() {
        let what = What::Settings {
            settings: vec![unnamed()],
            replaced: vec![name.to_owned()],
            without_endpoint: Vec::new(),
        };
        return (Harm::Replaced, false, what);
    }
    match closed.is_empty() {
        true => (Harm::New, false, What::Names { served, closed }),
        false => (Harm::Refused, true, What::Names { served, closed }),
    }
}

/// The names for which a listener has filter chains that serve.
fn names(resource: &Resource) -> BTreeSet<String> {
    let listener: Listener = decode(resource);
    let chains = listener.filter_chains.into_iter();
    let serving = chains.filter(|chain| !chain.filters.is_empty());
    let matches = serving.filter_map(|chain| chain.filter_chain_match);
    matches.flat_map(|matched| matched.server_names).collect()
}

/// The effect of changes of which only the names are known.
pub(super) fn other(both: Both<'_>, changes: &[&Change<'_>]) -> Effect {
    let (mut views, mut having) = (Vec::new(), Vec::new());
    for change in changes {
        let of = change
            .variants
            .iter()
            .flat_map(|variant| variant.views.iter());
        views.extend(of.copied());
        having.extend_from_slice(&change.seen_by);
    }
    let named = changes.iter();
    let named = named.map(|change| format!("{} {}", change.type_url.short(), change.name));
    Effect {
        harm: Harm::Settings,
        port: None,
        loses: false,
        places: places(both.to, &views, &having),
        what: What::Other {
            resources: sorted(named.collect()),
        },
    }
}
