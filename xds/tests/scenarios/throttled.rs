//! A client that may send only so many requests, as an Envoy whose rate limit is set without
//! values: it has its tokens, and what it wants to say waits for them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::{Instant, interval};

use crate::client::Got;
use crate::world::{C, E, Variant, each};

/// Ten requests a second. The burst of a hundred is used up.
const TOKEN: Duration = Duration::from_millis(100);
const CHANGES: u32 = 150;
const PACE: Duration = Duration::from_millis(10);

#[tokio::test]
async fn a_client_of_ten_requests_a_second_converges_rule_138() {
    each(
        &[Variant::DeltaAds, Variant::SotwAds],
        &[E],
        |mut world, mut client, _| async move {
            world.set(C, "a", "0").set(E, "a", "0").commit();
            client.subscribe(C, &[]).await;
            client.subscribe(E, &["a"]).await;
            let (mut tokens, mut changes) = (interval(TOKEN), interval(PACE));
            let mut held: BTreeMap<_, String> = BTreeMap::new();
            let mut answers: VecDeque<Got> = VecDeque::new();
            let (mut made, mut received) = (0, 0);
            let last = CHANGES.to_string();
            let newest =
                |held: &BTreeMap<_, String>| [C, E].iter().all(|url| held.get(url) == Some(&last));
            let mut end = None;
            while !(newest(&held) && answers.is_empty()) {
                tokio::select! {
                    got = client.read_any(E) => {
                        held.insert(got.url, got.resources["a"].clone());
                        answers.push_back(got);
                        received += 1;
                    }
                    _ = tokens.tick(), if !answers.is_empty() => {
                        let got = answers.pop_front().unwrap();
                        client.ack(&got).await;
                    }
                    _ = changes.tick(), if made < CHANGES => {
                        made += 1;
                        let value = made.to_string();
                        world.set(C, "a", &value).set(E, "a", &value).commit();
                        end = Some(Instant::now());
                    }
                }
            }
            // Changes were merged rather than queued: there was hardly anything left to say when
            // they ended.
            let late = end.unwrap().elapsed();
            assert!(late < Duration::from_secs(2), "{late:?}");
            assert!(received < CHANGES / 2, "{received} responses");
            client.quiet().await;
        },
    )
    .await;
}
