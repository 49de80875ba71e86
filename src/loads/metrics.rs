//! The metrics of loads: put together when metrics are read.

use std::fmt;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{Loads, named};

/// Shows what proxies have reported: at most `table::SERIES` and one places with four series each,
/// and as many Services with one.
#[derive(Debug)]
pub(super) struct OfLoads(pub(super) Loads);

impl Collector for OfLoads {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let shared = &self.0.0;
        let (requests, dropped) = {
            let table = self.0.table();
            (table.requests(), table.dropped())
        };
        let help = "Open streams by which load is reported";
        let streams = ConstGauge::new(shared.streams.load(Ordering::Relaxed));
        let metric = encoder.encode_descriptor("lrs_streams", help, None, MetricType::Gauge)?;
        streams.encode(metric)?;
        let help = "Reports of load that were taken";
        let reports = ConstCounter::new(shared.reports.load(Ordering::Relaxed));
        let metric = encoder.encode_descriptor("lrs_reports", help, None, MetricType::Counter)?;
        reports.encode(metric)?;

        let help = "Requests that proxies sent to Services (issued), and how those ended that did";
        let counter = MetricType::Counter;
        let mut family = encoder.encode_descriptor("lrs_requests", help, None, counter)?;
        for (place, load) in &requests {
            let service = named(place.as_ref().map(|place| &place.service));
            let zone = place.as_ref().map_or("", |place| &place.zone);
            for (outcome, count) in [
                ("issued", load.issued),
                ("success", load.succeeded),
                ("error", load.failed),
            ] {
                let labels = [("service", &*service), ("zone", zone), ("outcome", outcome)];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        let help = "Requests that had not ended when each proxy reported last";
        let gauge = MetricType::Gauge;
        let mut family =
            encoder.encode_descriptor("lrs_requests_in_progress", help, None, gauge)?;
        for (place, load) in &requests {
            let service = named(place.as_ref().map(|place| &place.service));
            let zone = place.as_ref().map_or("", |place| &place.zone);
            let count = i64::try_from(load.in_progress).unwrap_or(i64::MAX);
            let labels = [("service", &*service), ("zone", zone)];
            ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
        }
        let help = "Requests that proxies dropped because a limit was reached";
        let mut family = encoder.encode_descriptor("lrs_dropped", help, None, counter)?;
        for (service, count) in &dropped {
            let labels = [("service", &*named(service.as_ref()))];
            ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
