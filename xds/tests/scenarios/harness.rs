//! The scenarios of ii/xds-test-harness.

use crate::world::{ALL, C, DELTA, E, L, R, SOTW, Variant, each};

const NAMES: [&str; 3] = ["a", "b", "c"];

#[tokio::test]
async fn s01_a_wildcard_gets_everything_in_one_response() {
    each(&SOTW, &[C, L], |mut world, mut client, url| async move {
        world.put_all(url, &NAMES);
        client.subscribe(url, &[]).await;
        assert_eq!(client.next(url).await.says(), "a=1 b=1 c=1");
        client.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn s02_a_change_brings_the_whole_wildcard_again_rule_21() {
    each(&SOTW, &[C, L], |mut world, mut client, url| async move {
        world.put_all(url, &NAMES);
        client.subscribe(url, &[]).await;
        let first = client.next(url).await;
        world.put(url, "b", "2");
        let second = client.next(url).await;
        assert_eq!(second.says(), "a=1 b=2 c=1");
        assert_ne!(first.version, second.version);
        client.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn s03_an_addition_brings_the_whole_wildcard_again_rule_21() {
    each(&SOTW, &[C, L], |mut world, mut client, url| async move {
        world.put_all(url, &NAMES);
        client.subscribe(url, &[]).await;
        client.next(url).await;
        world.put(url, "d", "2");
        assert_eq!(client.next(url).await.says(), "a=1 b=1 c=1 d=2");
        client.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn s04_a_named_subset_is_received_and_nothing_else_rule_71() {
    each(
        &ALL,
        &[C, L, R, E],
        |mut world, mut client, url| async move {
            world.put_all(url, &["a", "b", "c", "d"]);
            client.subscribe(url, &["a", "c"]).await;
            assert_eq!(client.next(url).await.says(), "a=1 c=1");
            client.quiet().await;
            world.put(url, "b", "2");
            client.quiet().await;
        },
    )
    .await;
}

#[tokio::test]
async fn s05_a_change_of_one_brings_the_whole_subset_again_rule_21() {
    each(&SOTW, &[C, L], |mut world, mut client, url| async move {
        world.put_all(url, &["a", "b", "c", "d"]);
        client.subscribe(url, &NAMES).await;
        client.next(url).await;
        world.put(url, "b", "2");
        assert_eq!(client.next(url).await.says(), "a=1 b=2 c=1");
        client.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn s06_a_change_of_one_brings_that_one_rule_22() {
    each(&SOTW, &[R, E], |mut world, mut client, url| async move {
        world.put_all(url, &["a", "b", "c", "d"]);
        client.subscribe(url, &NAMES).await;
        client.next(url).await;
        world.put(url, "b", "2");
        assert_eq!(client.next(url).await.says(), "b=2");
        client.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn s07_a_missing_name_arrives_with_the_whole_subset_when_created_rules_21_25() {
    each(&SOTW, &[C, L], |mut world, mut client, url| async move {
        world.put_all(url, &["a", "b"]);
        client.subscribe(url, &["a", "b", "late"]).await;
        assert_eq!(client.next(url).await.says(), "a=1 b=1");
        client.quiet().await;
        world.put(url, "late", "2");
        assert_eq!(client.next(url).await.says(), "a=1 b=1 late=2");
        client.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn s08_a_missing_name_arrives_alone_when_created_rules_22_25() {
    each(&SOTW, &[R, E], |mut world, mut client, url| async move {
        world.put_all(url, &["a", "b"]);
        client.subscribe(url, &["a", "b", "late"]).await;
        assert_eq!(client.next(url).await.says(), "a=1 b=1");
        client.quiet().await;
        world.put(url, "late", "2");
        assert_eq!(client.next(url).await.says(), "late=2");
        client.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn s09_two_types_share_a_stream_and_the_first_is_updated_rule_7() {
    let pairs = [(C, L), (R, E)];
    each(
        &[Variant::SotwAds],
        &pairs,
        |mut world, mut client, (one, two)| async move {
            world.set(one, "a", "1").set(two, "b", "1").commit();
            client.subscribe(one, &["a"]).await;
            assert_eq!(client.next(one).await.says(), "a=1");
            client.subscribe(two, &["b"]).await;
            assert_eq!(client.next(two).await.says(), "b=1");
            client.quiet().await;
            world.put(one, "a", "2");
            assert_eq!(client.next(one).await.says(), "a=2");
            client.quiet().await;
        },
    )
    .await;
}

#[tokio::test]
async fn s10_a_subscription_that_shrinks_is_complete_with_what_is_left_rule_20() {
    each(&SOTW, &[C, L], shrinks).await;
}

#[tokio::test]
async fn s11_of_a_subscription_that_shrinks_only_what_is_left_arrives_rules_20_29() {
    each(&SOTW, &[R, E], shrinks).await;
}

async fn shrinks(
    mut world: crate::world::World,
    mut client: crate::client::Client,
    url: seaway_proto::TypeUrl,
) {
    world.put_all(url, &NAMES);
    client.subscribe(url, &NAMES).await;
    client.read(url).await;
    client.names(url, &["a"]).await;
    client.quiet().await;
    world.set(url, "b", "2").set(url, "a", "2").commit();
    assert_eq!(client.next(url).await.says(), "a=2");
    world.put(url, "c", "2");
    client.quiet().await;
}

#[tokio::test]
async fn s12_after_unsubscribing_from_all_nothing_arrives_rules_28_33() {
    each(
        &SOTW,
        &[C, L, R, E],
        |mut world, mut client, url| async move {
            for none in [&[""][..], &[]] {
                world.put_all(url, &NAMES);
                client.subscribe(url, &NAMES).await;
                client.next(url).await;
                client
                    .sotw(url, |request| {
                        request.resource_names = crate::client::strings(none);
                        request.version_info.clear();
                    })
                    .await;
                client.quiet().await;
                world.put(url, "a", "2");
                client.quiet().await;
                client.reconnect();
            }
        },
    )
    .await;
}

#[tokio::test]
async fn s13_names_asked_for_one_after_the_other_arrive_once_each() {
    each(
        &DELTA,
        &[C, L, R, E],
        |mut world, mut client, url| async move {
            world.put_all(url, &NAMES);
            client.subscribe(url, &["a"]).await;
            assert_eq!(client.next(url).await.says(), "a=1");
            client.subscribe(url, &["b"]).await;
            assert_eq!(client.next(url).await.says(), "b=1");
            client.quiet().await;
        },
    )
    .await;
}

#[tokio::test]
async fn s14_only_what_changed_arrives_under_a_nonce_of_its_own_rules_51_64() {
    each(
        &DELTA,
        &[C, L, R, E],
        |mut world, mut client, url| async move {
            world.put_all(url, &NAMES);
            client.subscribe(url, &NAMES).await;
            let first = client.next(url).await;
            assert_eq!(first.says(), "a=1 b=1 c=1");
            world.put(url, "b", "2");
            let second = client.next(url).await;
            assert_eq!(second.says(), "b=2");
            assert_ne!(first.nonce, second.nonce);
            assert_ne!(first.version, second.version);
            client.quiet().await;
        },
    )
    .await;
}

#[tokio::test]
async fn s15_a_missing_name_is_told_and_arrives_when_created_rules_48_49() {
    each(
        &DELTA,
        &[C, L, R, E],
        |mut world, mut client, url| async move {
            world.put_all(url, &["a"]);
            client.subscribe(url, &["a", "late"]).await;
            let first = client.next(url).await;
            assert_eq!(first.says(), "a=1 -late");
            client.quiet().await;
            world.put(url, "late", "1");
            let second = client.next(url).await;
            assert_eq!(second.says(), "late=1");
            assert_ne!(first.nonce, second.nonce);
            client.quiet().await;
        },
    )
    .await;
}

#[tokio::test]
async fn s16_a_removal_is_named_and_a_return_arrives_alone_rule_51() {
    each(
        &DELTA,
        &[C, L, R, E],
        |mut world, mut client, url| async move {
            world.put_all(url, &NAMES);
            client.subscribe(url, &NAMES).await;
            client.next(url).await;
            world.remove(url, "b");
            assert_eq!(client.next(url).await.says(), "-b");
            client.quiet().await;
            world.put(url, "b", "2");
            assert_eq!(client.next(url).await.says(), "b=2");
            client.quiet().await;
        },
    )
    .await;
}

#[tokio::test]
async fn s17_what_was_unsubscribed_from_changes_unheard_rules_55_56() {
    each(
        &DELTA,
        &[C, L, R, E],
        |mut world, mut client, url| async move {
            world.put_all(url, &["a", "b"]);
            client.subscribe(url, &["a", "b"]).await;
            client.next(url).await;
            client.unsubscribe(url, &["a"]).await;
            client.quiet().await;
            world.put(url, "a", "2");
            client.quiet().await;
            world.put(url, "b", "2");
            assert_eq!(client.next(url).await.says(), "b=2");
            client.unsubscribe(url, &["b"]).await;
            client.quiet().await;
            world.put(url, "b", "3");
            client.quiet().await;
        },
    )
    .await;
}

#[tokio::test]
async fn s18_two_types_asked_for_before_reading_both_arrive_rule_7() {
    let pairs = [(C, L), (L, C), (R, E), (E, R)];
    each(
        &[Variant::DeltaAds],
        &pairs,
        |mut world, mut client, (one, two)| async move {
            world.set(one, "a", "1").set(two, "b", "1").commit();
            client.subscribe(one, &["a"]).await;
            client.subscribe(two, &["b"]).await;
            // Which goes first is the server's to choose: by the order of types, or by who asked
            // first.
            let mut got = Vec::new();
            for _ in 0..2 {
                let response = client.read_any(one).await;
                client.ack(&response).await;
                got.push((response.url, response.says()));
            }
            got.sort_by_key(|(url, _)| *url != one);
            assert_eq!(got, [(one, "a=1".to_owned()), (two, "b=1".to_owned())]);
            client.quiet().await;
            for (url, says) in [(one, "a=2"), (two, "b=2")] {
                world.put(url, &says[..1], "2");
                assert_eq!(client.next(url).await.says(), says);
            }
            client.quiet().await;
        },
    )
    .await;
}
