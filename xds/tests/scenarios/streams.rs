//! Streams that end, many bytes, slow readers.

use std::collections::BTreeMap;

use seaway_proto::Version;

use crate::client::strings;
use crate::world::{ALL, C, DELTA, E, L, R, SOTW, Variant, World, each};

#[tokio::test]
async fn a_reconnect_is_sent_only_what_differs_rule_52() {
    each(
        &DELTA,
        &[C, L, R, E],
        |mut world, mut client, url| async move {
            let names = ["changed", "same", "vanished"];
            world.put_all(url, &names);
            let held = names.map(|name| {
                let version = Version::of(format!("{name}=1").as_bytes());
                (name.to_owned(), version.to_string())
            });
            client.subscribe(url, &names).await;
            client.next(url).await;
            client.reconnect();
            world
                .unset(url, "vanished")
                .set(url, "changed", "2")
                .commit();
            client
                .delta(url, |r| {
                    r.resource_names_subscribe = strings(&names);
                    r.initial_resource_versions = held.into_iter().collect();
                })
                .await;
            assert_eq!(client.next(url).await.says(), "changed=2 -vanished");
            client.quiet().await;
            world.put(url, "vanished", "2");
            assert_eq!(client.next(url).await.says(), "vanished=2");
            client.quiet().await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_reconnect_in_state_of_the_world_is_answered_unless_a_wildcard_is_current_rule_32() {
    each(
        &SOTW,
        &[C, L, R, E],
        |mut world, mut client, url| async move {
            let complete = url == C || url == L;
            let names: &[&str] = if complete { &[] } else { &["a"] };
            world.put_all(url, &["a"]);
            client.subscribe(url, names).await;
            client.next(url).await;
            client.reconnect();
            client.subscribe(url, names).await;
            if !complete {
                assert_eq!(client.next(url).await.says(), "a=1");
            }
            client.quiet().await;
            world.put(url, "a", "2");
            assert_eq!(client.next(url).await.says(), "a=2");
            client.quiet().await;
        },
    )
    .await;
}

#[tokio::test]
async fn no_response_that_can_be_split_reaches_four_mebibytes_rules_61_124() {
    each(&ALL, &[E, R], |mut world, mut client, url| async move {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let value = "x".repeat(1 << 20);
        for name in names {
            world.set(url, name, &value);
        }
        world.commit();
        client.subscribe(url, &names).await;
        let mut seen = Vec::new();
        while seen.len() < names.len() {
            let got = client.next(url).await;
            assert!(got.bytes < 4 << 20, "{} bytes", got.bytes);
            seen.extend(got.resources.into_keys());
        }
        seen.sort();
        assert_eq!(seen, names);
        client.quiet().await;
    })
    .await;
}

/// Enough bytes that the client's window and the sockets are full: the server cannot send on, but
/// reads and publishes on.
#[tokio::test]
async fn a_slow_reader_slows_nobody_and_gets_the_newest_state_rules_98_129_130() {
    each(&ALL, &[E], |mut world, mut slow, url| async move {
        let large = |i: u32| format!("{i}{}", "x".repeat(3 << 20));
        let names = ["a", "b"];
        world.put(url, "a", &large(0));
        let mut quick = world.client(Variant::DeltaAds).await;
        quick.subscribe(url, &["a"]).await;
        quick.next(url).await;
        slow.subscribe(url, &["a"]).await;
        // Nobody reads `slow` from here on.
        for i in 1..6 {
            world.put(url, "a", &large(i));
            assert!(quick.next(url).await.resources["a"].starts_with(&i.to_string()));
        }
        world.put(url, "b", "1");
        slow.subscribe(url, &names).await;
        let mut held = BTreeMap::new();
        let mut responses = 0;
        while !held.contains_key("b") || !held.get("a").is_some_and(|a: &String| a.starts_with('5'))
        {
            held.extend(slow.next(url).await.resources);
            responses += 1;
        }
        // What was under way when it stopped reading, and the newest; not one for each change.
        assert!(responses <= 4, "{responses} responses");
        slow.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn two_streams_of_one_node_are_apart_rules_7_13_14() {
    each(&ALL, &[C, E], |mut world: World, mut one, url| async move {
        world.put_all(url, &["a", "b"]);
        let mut two = world
            .client(if one.is_ads() {
                Variant::DeltaAds
            } else {
                Variant::DeltaSeparate
            })
            .await;
        one.subscribe(url, &["a"]).await;
        assert_eq!(one.next(url).await.says(), "a=1");
        two.subscribe(url, &["b"]).await;
        assert_eq!(two.next(url).await.says(), "b=1");
        one.reconnect();
        world.set(url, "a", "2").set(url, "b", "2").commit();
        assert_eq!(two.next(url).await.says(), "b=2");
        two.quiet().await;
    })
    .await;
}
