//! Open connections outlive their endpoints until Envoy's drain time is over, and not longer.

use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_testing::{Held, ServiceManifest, SliceManifest, World};

const WEB: &str = "10.96.0.10:80";
/// Seconds.
const DRAIN: u32 = 6;

#[test]
fn one_to_zero_to_one_endpoints_cuts_no_connection_before_the_drain_time() -> Result<()> {
    World::run(|world| {
        let service = ServiceManifest::new("web")
            .cluster_ip("10.96.0.10")
            .port("http", 80);
        let slice = SliceManifest::new("web").port("http", 8080);
        let (none, one) = (slice.document(), slice.endpoint("10.244.1.10").document());
        let _backend = world.backend("web-1", "10.244.1.10")?;
        world
            .manifests()
            .save("service.yaml", &service.document())?;
        world.manifests().save("slice.yaml", &one)?;
        world.start_seaway(&[])?;
        let mut options = World::node_options("n1", "a");
        options.drain_seconds = Some(DRAIN);
        let n1 = world.start_envoy("n1", &options)?;
        n1.await_backend(WEB, "web-1")?;
        let mut held = (0..5).map(|_| n1.hold(WEB)).collect::<Result<Vec<_>>>()?;
        all_answer(&mut held)?;

        let began = world.manifests().save("slice.yaml", &none)?;
        n1.await_refused(WEB)?;
        all_answer(&mut held)?;
        world.manifests().save("slice.yaml", &one)?;
        n1.await_backend(WEB, "web-1")?;
        // Just before the end of the drain time every connection still works. What is awaited here
        // is time itself.
        let almost = began + Duration::from_secs(DRAIN.into()) - Duration::from_millis(1500);
        std::thread::sleep(almost.saturating_duration_since(std::time::Instant::now()));
        all_answer(&mut held)?;

        // And with no endpoint at all, connections end when the drain time does.
        let mut late = n1.hold(WEB)?;
        ensure!(late.get()? == "web-1");
        world.manifests().save("slice.yaml", &none)?;
        n1.await_refused(WEB)?;
        ensure!(late.get()? == "web-1");
        late.closed_within(Duration::from_secs(u64::from(DRAIN) + 3))
    })
}

/// Every connection is open and answers.
fn all_answer(held: &mut [Held]) -> Result<()> {
    for connection in held {
        ensure!(connection.get()? == "web-1");
    }
    Ok(())
}
