//! Changes that mean nothing to proxies: they cost nothing.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::{SERVICES, await_watches, name, only_this_change, scene, slice_name, touch};

/// How often everything changes.
const ROUNDS: usize = 5;

#[test]
fn changes_of_metadata_and_status_are_not_translated_and_nothing_is_sent() -> Result<()> {
    scene(&[], |world, server, proxy| {
        await_watches(world, server)?;
        let counters = [
            "seaway_translations_total",
            "seaway_xds_responses_total",
            "seaway_xds_resources_total",
        ];
        let counts = || -> Result<Vec<f64>> {
            let counts = counters.iter().map(|name| world.metric(name, ""));
            counts.collect()
        };
        let (before, mark) = (counts()?, proxy.mark());
        ensure!(before.iter().all(|count| *count > 0.0), "{before:?}");
        for round in 0..ROUNDS {
            // Annotations, and with each edit `managedFields` and `resourceVersion`.
            touch(server)?;
            let moment = format!("2026-01-01T00:00:{round:02}Z");
            let condition = json!({"type": "Ready", "status": "True", "lastHeartbeatTime": moment});
            let conditions = json!({"conditions": [condition]});
            server.replace_status("nodes", "", "n1", conditions.clone())?;
            for number in 0..SERVICES {
                server.replace_status("services", "default", &name(number), conditions.clone())?;
                server.edit("endpointslices", "default", &slice_name(number), |slice| {
                    slice["metadata"]["labels"]["example.com/round"] = round.to_string().into();
                    slice["metadata"]["ownerReferences"] = json!([{"name": round.to_string()}]);
                })?;
            }
        }
        // One change that counts. It comes last, so all others have had their chance.
        only_this_change(server, proxy, mark, Duration::from_secs(10))?;
        let after = counts()?;
        let more: Vec<f64> = after
            .iter()
            .zip(&before)
            .map(|(after, before)| after - before)
            .collect();
        ensure!(more == [1.0, 1.0, 1.0], "{counters:?} grew by {more:?}");
        Ok(())
    })
}
