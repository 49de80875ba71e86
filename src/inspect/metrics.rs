//! The metric of proxies by role and state: counted when metrics are read.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use seaway_translator::Role;
use seaway_xds::Inspector;

use super::api::ProxyState;
use super::proxies::{about, state_of};

/// Counts the proxies of each role and state.
#[derive(Debug)]
pub(crate) struct Proxies(pub(crate) Inspector);

impl Collector for Proxies {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut counts = BTreeMap::new();
        for stream in self.0.streams() {
            let role = about(&stream, "role").unwrap_or_default().to_owned();
            *counts.entry((role, state_of(&stream))).or_insert(0_u32) += 1;
        }
        let help = "Proxies that are connected, by role and by whether they have what they should";
        let gauge = MetricType::Gauge;
        let mut family = encoder.encode_descriptor("proxies", help, None, gauge)?;
        for role in Role::ALL.map(Role::as_str) {
            for state in ProxyState::ALL {
                let count = counts.get(&(role.to_owned(), state));
                let count = f64::from(count.copied().unwrap_or_default());
                let labels = [("role", role), ("state", state.as_str())];
                let metric = family.encode_family(&labels)?;
                ConstGauge::new(count).encode(metric)?;
            }
        }
        Ok(())
    }
}
