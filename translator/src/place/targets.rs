//! The names that gRPC clients dial (`xds:///<name>`) and therefore ask for as listeners: what is
//! made for them exists while one of them wants it.
//!
//! A client compares names byte by byte, so what it gets has the name as it wrote it, in any case
//! and with a final dot or without.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::sync::Arc;

use crate::Options;
use crate::index::ServiceSet;
use crate::model::ServiceKey;
use crate::names::is_label;

/// A Service as gRPC clients name it: `<service>.<namespace>[.svc[.<cluster domain>]][:<port>]`
/// (Service rule 149).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The Service.
    pub(crate) service: ServiceKey,
    /// The port; none stands for port 80 if the Service has it, else for its only port.
    pub(crate) port: Option<NonZeroU16>,
}

impl Target {
    /// Reads a name; `None` if no Service can have it.
    pub(crate) fn read(name: &str, options: &Options) -> Option<Target> {
        let (host, port) = match name.split_once(':') {
            Some((host, port)) => (host, Some(number(port)?)),
            None => (name, None),
        };
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let mut parts = host.splitn(4, '.');
        let mut label = || parts.next().filter(|part| is_label(part));
        let (name, namespace) = (label()?, label()?);
        let is_whole = match (parts.next(), parts.next()) {
            (None, _) | (Some("svc"), None) => true,
            (Some("svc"), Some(domain)) => {
                domain.eq_ignore_ascii_case(options.cluster_domain.trim_matches('.'))
            }
            _ => false,
        };
        is_whole.then(|| Target {
            service: ServiceKey {
                namespace: namespace.into(),
                name: name.into(),
            },
            port,
        })
    }
}

/// A port in its only form.
fn number(text: &str) -> Option<NonZeroU16> {
    let number: NonZeroU16 = text.parse().ok()?;
    text.starts_with(|first: char| first.is_ascii_digit() && first != '0')
        .then_some(number)
}

/// The names of one Service that are wanted, each with its port.
pub(crate) type Names = BTreeMap<Arc<str>, Option<NonZeroU16>>;

/// All names that are wanted, by Service, whether or not the Service exists.
#[derive(Debug, Default)]
pub(crate) struct Targets(BTreeMap<ServiceKey, Names>);

impl Targets {
    /// Adds a name.
    pub(crate) fn insert(&mut self, name: Arc<str>, target: Target) {
        let names = self.0.entry(target.service).or_default();
        names.insert(name, target.port);
    }

    /// Removes a name.
    pub(crate) fn remove(&mut self, name: &str, target: &Target) {
        if let Some(names) = self.0.get_mut(&target.service) {
            names.remove(name);
            if names.is_empty() {
                self.0.remove(&target.service);
            }
        }
    }

    /// The names of a Service that are wanted.
    pub(crate) fn of(
        &self,
        service: &ServiceKey,
    ) -> impl Iterator<Item = (&Arc<str>, Option<NonZeroU16>)> {
        let names = self.0.get(service).into_iter().flatten();
        names.map(|(name, port)| (name, *port))
    }

    /// Adds those of these Services of which names are wanted. It takes as long as the fewer of
    /// both.
    pub(crate) fn among(&self, services: &ServiceSet, found: &mut BTreeSet<ServiceKey>) {
        if self.0.len() < services.len() {
            let wanted = self.0.keys().filter(|key| services.contains(*key));
            found.extend(wanted.cloned());
        } else {
            let wanted = services.iter().filter(|key| self.0.contains_key(*key));
            found.extend(wanted.cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Option<(&str, u16)>) {
        let found = Target::read(name, &Options::default());
        let found = found.map(|t| (t.service.to_string(), t.port.map_or(0, NonZeroU16::get)));
        let expected = expected.map(|(service, port)| (service.to_owned(), port));
        assert_eq!(found, expected, "{name}");
    }

    #[test]
    fn a_service_is_found_by_all_its_names_in_any_case_rule_149() {
        check("web.shop", Some(("shop/web", 0)));
        check("web.shop:8080", Some(("shop/web", 8080)));
        check("web.shop.svc:1", Some(("shop/web", 1)));
        check("web.shop.svc.cluster.local", Some(("shop/web", 0)));
        check("WEB.Shop.SVC.Cluster.Local.:80", Some(("shop/web", 80)));
        check("1api.2.", Some(("2/1api", 0)));
        check("web.shop.svc.", Some(("shop/web", 0)));
    }

    #[test]
    fn what_no_service_can_be_called_is_nothing() {
        let long = format!("{}.shop", "x".repeat(64));
        for name in [
            "",
            ".",
            "web",
            "web.",
            "web..",
            ".shop",
            "web.shop..",
            "web.shop:",
            "web.shop:0",
            "web.shop:080",
            "web.shop:+80",
            "web.shop:65536",
            "web.shop:80:80",
            "web.shop.pod",
            "web.shop.svc.other.domain",
            "web.shop.svc..",
            "a_b.shop",
            "*.shop",
            "10.0.0.1:80",
            "[::1]:80",
            "web.shop.svc.cluster.local.x",
            &long,
        ] {
            check(name, None);
        }
    }
}
