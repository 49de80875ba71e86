//! The load that proxies report (LRS), added up by Service and zone over all proxies: for metrics
//! alone, nothing that is served depends on it.
//!
//! `table` is the sums as plain state, `metrics` shows them; here is which of what proxies report
//! is counted. Proxies say what they like, so only published clusters count, in zones where there
//! are endpoints of theirs, and the sums have a bounded size.

mod metrics;
mod table;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use seaway_proto::{TypeUrl, has_zone};
use seaway_translator::model::ServiceKey;
use seaway_translator::names::{ClusterName, mtls_assignment};
use seaway_xds::{ClusterLoad, LoadReport, LoadReports, LoadStream, Snapshots};
use tonic::Status;

use table::{InProgress, Load, Place, Table};

/// How many zones that a report speaks of may turn out to be none, before it is asked about no
/// more: looking takes time.
const DOUBTS: u32 = 16;
/// How many bytes a place takes that a stream has requests in progress at.
const PER_PLACE: usize = 256;

/// The loads that are reported to this process. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Loads(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    interval: Duration,
    snapshots: Snapshots,
    table: Mutex<Table>,
    streams: AtomicI64,
    reports: AtomicU64,
}

impl Loads {
    /// No loads yet; proxies are to report so often. Registers the metrics of them.
    pub(crate) fn register(
        interval: Duration,
        snapshots: Snapshots,
        registry: &mut Registry,
    ) -> Loads {
        let loads = Loads(Arc::new(Shared {
            interval,
            snapshots,
            table: Mutex::default(),
            streams: AtomicI64::default(),
            reports: AtomicU64::default(),
        }));
        registry.register_collector(Box::new(metrics::OfLoads(loads.clone())));
        loads
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LoadReports for Loads {
    /// Give or take a tenth, so that the reports of a fleet that came back together spread.
    fn interval(&self) -> Duration {
        self.0.interval.mul_f64(0.9 + 0.2 * fastrand::f64())
    }

    fn begin(&self) -> Box<dyn LoadStream> {
        self.0.streams.fetch_add(1, Ordering::Relaxed);
        Box::new(OneStream {
            loads: self.clone(),
            kept: InProgress::default(),
        })
    }
}

/// The reports of one stream.
struct OneStream {
    loads: Loads,
    kept: InProgress,
}

impl LoadStream for OneStream {
    fn take(&mut self, mut report: LoadReport<'_>) -> Result<usize, Status> {
        self.loads.0.reports.fetch_add(1, Ordering::Relaxed);
        let kept = std::mem::take(&mut self.kept);
        self.loads.table().take_back(kept);
        let mut doubts = DOUBTS;
        while let Some(cluster) = report.next_cluster()? {
            self.add(&cluster, &mut doubts);
        }
        Ok(self.kept.len() * PER_PLACE)
    }
}

impl OneStream {
    /// Adds what is reported of a cluster, if it is one of a Service.
    fn add(&mut self, cluster: &ClusterLoad<'_>, doubts: &mut u32) {
        let snapshots = &self.loads.0.snapshots;
        if !snapshots.has(TypeUrl::CLUSTER, cluster.cluster) {
            return;
        }
        let Ok(name) = cluster.cluster.parse::<ClusterName>() else {
            return;
        };
        let (service, now) = (name.port.service, Instant::now());
        let mut exists = |place: &Place| {
            let asks = *doubts > 0;
            let exists = asks && is_there(snapshots, cluster.cluster, &place.zone);
            *doubts = doubts.saturating_sub(u32::from(!exists));
            exists
        };
        let mut table = self.loads.table();
        for locality in &cluster.localities {
            let place = Place {
                service: service.clone(),
                zone: locality.zone.into(),
            };
            let load = Load::reported(locality);
            table.add(place, load, &mut self.kept, now, &mut exists);
        }
        if cluster.dropped > 0 {
            table.drop_requests(service, cluster.dropped, now);
        }
    }
}

impl Drop for OneStream {
    fn drop(&mut self) {
        self.loads.0.streams.fetch_sub(1, Ordering::Relaxed);
        let kept = std::mem::take(&mut self.kept);
        self.loads.table().take_back(kept);
    }
}

/// Whether a cluster has endpoints in a zone, spoken to by mTLS or not. Those of a cluster without
/// an assignment have none.
fn is_there(snapshots: &Snapshots, cluster: &str, zone: &str) -> bool {
    let has = |assignment: &str| {
        let contents = snapshots.contents(TypeUrl::ENDPOINT, assignment);
        contents.iter().any(|content| has_zone(content, zone))
    };
    zone.is_empty() || has(cluster) || has(&mtls_assignment(cluster))
}

/// The name of a Service as metrics have it.
fn named(service: Option<&ServiceKey>) -> String {
    service.map_or_else(|| "other".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests;
