//! A new list is taken in as a whole: what it differs by is what is sent.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use seaway_testing::{ApiServer, Envoy, eventually};

use crate::{OTHER, SERVICES, TWO, assignment, await_watches, name, scene, service, slice};

/// `envoy.changes()` of later less that of earlier, where it is not 0.
fn grown(earlier: &BTreeMap<String, u64>, envoy: &Envoy) -> Result<BTreeMap<String, u64>> {
    let later = envoy.changes()?.into_iter();
    let grown = later.map(|(name, count)| {
        let before = earlier.get(&name).copied().unwrap_or_default();
        (name, count - before)
    });
    Ok(grown.filter(|(_, count)| *count > 0).collect())
}

/// Many events that a new list says nothing of, among some that matter.
fn meanwhile(server: &ApiServer) -> Result<()> {
    for number in 0..SERVICES {
        server.apply_yaml(&slice(number, &OTHER).document())?;
        server.apply_yaml(&slice(number, &TWO).document())?;
    }
    server.delete("services", "default", &name(1))?;
    server.apply_yaml(&slice(2, &OTHER).document())?;
    server.apply_yaml(&slice(4, &OTHER).document())?;
    server.apply_yaml(&service(SERVICES).document())?;
    server.apply_yaml(&slice(SERVICES, &OTHER).document())
}

#[test]
fn what_happened_while_a_watch_was_away_is_exactly_what_is_sent() -> Result<()> {
    for streaming in [true, false] {
        scene(&[], |world, server, proxy| {
            let n1 = world.start_node("n1", "a")?;
            await_watches(world, server)?;
            server.configure(|settings| settings.streaming_lists = streaming);
            let (mark, before) = (proxy.mark(), n1.changes()?);
            server.refuse()?;
            server.kill()?;
            meanwhile(server)?;
            server.compact();
            server.listen()?;

            proxy.await_endpoints(Duration::from_secs(10), &assignment(SERVICES), &OTHER)?;
            proxy.await_endpoints(Duration::from_secs(10), &assignment(2), &OTHER)?;
            n1.await_refused("10.96.1.2:80")?;
            let listener =
                |number| format!("{}@clusterip:10.96.1.{}:80", assignment(number), number + 1);
            let mut expected = [2, 4]
                .map(|number| format!("+{}", assignment(number)))
                .to_vec();
            for (sign, number) in [("+", SERVICES), ("-", 1)] {
                expected.push(format!("{sign}{}", assignment(number)));
                expected.push(format!("{sign}{}", listener(number)));
            }
            expected.sort();
            // A cluster goes after its listener.
            let exactly = || {
                let changed = proxy.changed_since(mark);
                ensure!(
                    changed.iter().eq(&expected),
                    "{expected:?} should have come, not {changed:?}"
                );
                Ok(())
            };
            eventually("all of it to have come", exactly)?;
            // The list of slices is one change, however much of it is new.
            let [first, second] = [2, 4].map(|number| format!("+{}", assignment(number)));
            let deliveries = proxy.since(mark);
            let mut with = deliveries
                .iter()
                .filter(|delivery| delivery.what.contains(&first));
            let with = with.next().context("no delivery")?;
            ensure!(with.what.contains(&second), "not at once: {deliveries:?}");

            let counts = [
                "cluster_added",
                "cluster_removed",
                "listener_added",
                "listener_removed",
            ];
            let counts = counts.map(|name| (name.to_owned(), 1)).into();
            eventually("Envoy to have taken everything", || {
                let grown = grown(&before, &n1)?;
                ensure!(
                    grown == counts,
                    "{counts:?} should have grown, not {grown:?}"
                );
                Ok(())
            })?;
            exactly()
        })?;
    }
    Ok(())
}
