//! What the Service that is made for a Gateway is to be like, and which ports of the proxies are
//! free for it (Gateway rule 13).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::sync::Arc;

use seaway_proto::Version;

use crate::model::{Gateway, ServiceKey};

/// The ports of the proxies that are given away.
pub(crate) const POOL: RangeInclusive<u16> = 20_000..=29_999;
/// How much of the names of a Gateway the name of its Service has.
const READABLE: usize = 43;

/// Why a Gateway waits for a Service of its own, or for a port of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    /// It is being made, or given the port.
    BeingMade,
    /// The Service that its fleet shares is not known.
    NoShared(ServiceKey),
    /// That Service selects nothing.
    NoSelector(ServiceKey),
    /// Another Service has its name.
    Taken(ServiceKey),
    /// All ports of the pool are taken.
    Exhausted,
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Waits::BeingMade => {
                f.write_str("the Service for this Gateway is being made, or lacks this port yet")
            }
            Waits::NoShared(shared) => write!(
                f,
                "no Service can be made for this Gateway: there is no Service {shared}, which \
                 --ingress-service names"
            ),
            Waits::NoSelector(shared) => write!(
                f,
                "no Service can be made for this Gateway: Service {shared}, which \
                 --ingress-service names, has no selector"
            ),
            Waits::Taken(service) => write!(
                f,
                "no Service can be made for this Gateway: there is a Service {service} already, \
                 which was not made for it"
            ),
            Waits::Exhausted => write!(
                f,
                "no port of the proxies is left for it, of {} to {}",
                POOL.start(),
                POOL.end()
            ),
        }
    }
}

/// The name of the Service that is made for a Gateway: what can be read of its namespace and name,
/// and a hash, which tells it from others. The names of Services begin with a letter.
pub(crate) fn name(namespace: &str, name: &str) -> Arc<str> {
    let hash = Version::of(format!("{namespace}/{name}").as_bytes());
    let readable = format!("{namespace}-{name}").replace('.', "-");
    let readable: String = readable.chars().take(READABLE).collect();
    format!("gw-{}-{hash}", readable.trim_end_matches('-')).into()
}

/// The ports of a Gateway's listeners, as far as those are good by themselves and speak a protocol
/// that is served.
pub(crate) fn ports(gateway: &Gateway) -> BTreeSet<NonZeroU16> {
    super::good(gateway).map(|good| good.port).collect()
}

/// The ports of the pool that are taken in each namespace.
#[derive(Debug, Default)]
pub(crate) struct Pool(BTreeMap<Arc<str>, Taken>);

#[derive(Debug)]
struct Taken {
    is_taken: Vec<bool>,
    free: usize,
}

impl Pool {
    /// Takes a port. `false`: it is taken already, or none of the pool.
    pub(crate) fn take(&mut self, namespace: &Arc<str>, port: u16) -> bool {
        let Some(index) = port.checked_sub(*POOL.start()) else {
            return false;
        };
        let taken = self.of(namespace);
        match taken.is_taken.get_mut(usize::from(index)) {
            Some(is_taken) if !*is_taken => {
                *is_taken = true;
                taken.free -= 1;
                true
            }
            _ => false,
        }
    }

    /// Takes the first port that is free for a listener's, beginning where its hash says, so that
    /// it is the same wherever that is worked out.
    pub(crate) fn take_any(
        &mut self,
        namespace: &Arc<str>,
        gateway: &(Arc<str>, Arc<str>),
        port: NonZeroU16,
    ) -> Option<NonZeroU16> {
        let Taken { is_taken, free } = self.of(namespace);
        // Looking through all of them for nothing would take its time.
        *free = free.checked_sub(1)?;
        let hash = Version::of(format!("{}/{}:{port}", gateway.0, gateway.1).as_bytes()).hash();
        let first = hash % u64::from(POOL.end() - POOL.start() + 1);
        let first = usize::try_from(first).ok()?;
        let mut all = (first..is_taken.len()).chain(0..first);
        let index = all.find(|index| !is_taken.get(*index).is_some_and(|taken| *taken))?;
        is_taken.get_mut(index).map(|taken| *taken = true)?;
        let index = u16::try_from(index).ok()?;
        NonZeroU16::new(POOL.start().checked_add(index)?)
    }

    fn of(&mut self, namespace: &Arc<str>) -> &mut Taken {
        let all = POOL.len();
        let fresh = || Taken {
            is_taken: vec![false; all],
            free: all,
        };
        self.0.entry(namespace.clone()).or_insert_with(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::is_label;

    #[test]
    fn names_are_stable_readable_and_those_of_services() {
        assert_eq!(
            &*name("shop", "edge.v1"),
            "gw-shop-edge-v1-b5df869d4e438329"
        );
        for (namespace, gateway) in [
            ("0", "1"),
            ("a", &*"b.".repeat(126)),
            (&*"n".repeat(42), "-"),
            (&*"n".repeat(63), "g"),
        ] {
            let name = name(namespace, gateway);
            assert!(is_label(&name), "{name}");
        }
        assert_ne!(name("a", "b-c"), name("a-b", "c"));
        assert_ne!(name("a", "b-c"), name("a", "b.c"));
    }

    #[test]
    fn every_port_of_the_pool_is_given_away_once() {
        let (mut pool, namespace) = (Pool::default(), "seaway".into());
        assert!(pool.take(&namespace, 20_000) && !pool.take(&namespace, 20_000));
        for other in [19_999, 30_000, 80] {
            assert!(!pool.take(&namespace, other), "{other}");
        }
        let gateway = ("d".into(), "g".into());
        let mut any = || pool.take_any(&namespace, &gateway, NonZeroU16::MIN);
        let given: BTreeSet<_> = std::iter::from_fn(&mut any).collect();
        assert_eq!(given.len(), 9_999);
        assert!(given.iter().all(|port| POOL.contains(&port.get())));
        assert_eq!(any(), None);
        assert!(pool.take(&"other".into(), 20_000));
    }
}
