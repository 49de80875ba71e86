//! Which listeners of a Gateway are for hosts that another of them has a certificate for, too: a
//! client may send requests for one on a connection to the other (Gateway rule 29).

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use super::Context;
use crate::model::{Hostname, ListenerProtocol};
use crate::plan::gateway::ListenerVerdict;

/// The names of a port, each with the positions of the listeners that have it.
type Names = BTreeMap<Hostname, BTreeSet<usize>>;

/// The reason of `OverlappingTLSConfig` of each listener, in their order.
pub(super) fn reasons(
    context: &Context<'_>,
    verdicts: &[ListenerVerdict<'_>],
) -> Vec<Option<&'static str>> {
    let mut hostnames: BTreeMap<NonZeroU16, Names> = BTreeMap::new();
    let mut certificates: BTreeMap<NonZeroU16, Names> = BTreeMap::new();
    for (at, verdict) in verdicts.iter().enumerate() {
        let listener = verdict.listener;
        if verdict.refused.is_some() || listener.protocol != ListenerProtocol::Https {
            continue;
        }
        let names = hostnames.entry(listener.port).or_default();
        names
            .entry(listener.hostname.clone())
            .or_default()
            .insert(at);
        let names = certificates.entry(listener.port).or_default();
        for secret in verdict.certificates.iter().flatten() {
            let secret = context.index.routing().secret(secret);
            let certificate = secret.and_then(|secret| secret.certificate.as_ref().ok());
            for name in certificate.iter().flat_map(|one| &one.names) {
                names.entry(hostname(name)).or_default().insert(at);
            }
        }
    }
    let hostnames: BTreeSet<usize> = hostnames.values().flat_map(overlapping).collect();
    let certificates: BTreeSet<usize> = certificates.values().flat_map(overlapping).collect();
    let reason = |at| match (certificates.contains(&at), hostnames.contains(&at)) {
        (true, _) => Some("OverlappingCertificates"),
        (false, true) => Some("OverlappingHostnames"),
        (false, false) => None,
    };
    (0..verdicts.len()).map(reason).collect()
}

/// A name of a certificate as the hosts that it is for.
fn hostname(name: &str) -> Hostname {
    match name.strip_prefix("*.") {
        Some(suffix) => Hostname::Wildcard(suffix.into()),
        None => Hostname::Exact(name.into()),
    }
}

/// The listeners of which a name covers that of another one. Names follow those that cover them, so
/// it is enough to look at the narrowest of these: it was itself held against the wider ones.
fn overlapping(names: &Names) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut covering: Vec<(&Hostname, &BTreeSet<usize>)> = Vec::new();
    for (name, owners) in names {
        while covering
            .last()
            .is_some_and(|(wider, _)| !wider.covers(name))
        {
            covering.pop();
        }
        let wider = covering.last().map(|(_, owners)| *owners);
        let both: BTreeSet<usize> = wider.into_iter().flatten().chain(owners).copied().collect();
        if both.len() > 1 {
            found.extend(both);
        }
        covering.push((name, owners));
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn a_name() -> impl Strategy<Value = Hostname> {
        "(\\*|(\\*\\.)?([ab]\\.){0,2}[abc])".prop_map(|text| match &*text {
            "*" => Hostname::Any,
            text => hostname(text),
        })
    }

    proptest! {
        #[test]
        fn two_overlap_when_a_name_of_one_covers_a_name_of_the_other(
            all in prop::collection::vec((a_name(), 0..4_usize), 0..8),
        ) {
            let mut names = Names::new();
            for (name, owner) in &all {
                names.entry(name.clone()).or_default().insert(*owner);
            }
            let overlaps = |(one, owner): &(Hostname, usize)| {
                let mut others = all.iter().filter(|(_, other)| other != owner);
                others.any(|(other, _)| one.covers(other) || other.covers(one))
            };
            let expected = all.iter().filter(|one| overlaps(one)).map(|(_, owner)| *owner);
            prop_assert_eq!(overlapping(&names), expected.collect::<BTreeSet<_>>());
        }
    }
}
