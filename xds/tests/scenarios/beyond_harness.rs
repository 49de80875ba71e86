//! What ii/xds-test-harness plans or leaves out.

use seaway_proto::envoy::core::Node;

use crate::client::node;
use crate::world::{ALL, C, DELTA, E, L, R, SOTW, Variant, each};

const ADS: [Variant; 2] = [Variant::SotwAds, Variant::DeltaAds];

#[tokio::test]
async fn a_node_is_needed_only_once_and_a_later_one_changes_nothing_rules_10_12() {
    each(
        &ALL,
        &[C, L, R, E],
        |mut world, mut client, url| async move {
            world.put_all(url, &["a", "b"]);
            client.subscribe(url, &["a"]).await;
            client.next(url).await;
            let other = Some(Node {
                id: "another".into(),
                ..Node::default()
            });
            let same = Some(node("test-id"));
            for (later, counted) in [(same, 0.0), (other, 1.0)] {
                match client.is_delta() {
                    true => client.delta(url, |r| r.node = later).await,
                    false => client.sotw(url, |r| r.node = later).await,
                }
                client.quiet().await;
                assert_eq!(world.metric("xds_other_node_requests_total"), counted);
            }
            world.put(url, "a", "2");
            assert_eq!(client.next(url).await.says(), "a=2");
            client.quiet().await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_repeated_request_has_no_second_answer_rule_71() {
    each(
        &SOTW,
        &[C, L, R, E],
        |mut world, mut client, url| async move {
            world.put_all(url, &["a", "b"]);
            client.subscribe(url, &["a", "b"]).await;
            client.next(url).await;
            for _ in 0..3 {
                client.names(url, &["b", "a"]).await;
            }
            client.quiet().await;
        },
    )
    .await;
    // A repeated acknowledgement is none; a repeated subscription is answered (rule 47), in
    // `names_asked_for_again...`.
    each(
        &DELTA,
        &[C, L, R, E],
        |mut world, mut client, url| async move {
            world.put_all(url, &["a", "b"]);
            client.subscribe(url, &["a", "b"]).await;
            let got = client.next(url).await;
            client.ack(&got).await;
            client.delta(url, |_| {}).await;
            client.quiet().await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_stale_nonce_has_no_answer_but_its_names_count_rules_54_66_67() {
    each(&ALL, &[R, E], |mut world, mut client, url| async move {
        world.put_all(url, &["a", "b"]);
        client.subscribe(url, &["a"]).await;
        let first = client.next(url).await;
        world.put(url, "a", "2");
        let second = client.read(url).await;
        let (nonce, version) = (first.nonce, first.version);
        match client.is_delta() {
            true => client.delta(url, |r| r.response_nonce = nonce).await,
            false => {
                client
                    .sotw(url, |r| {
                        (r.response_nonce, r.version_info) = (nonce, version)
                    })
                    .await;
            }
        }
        client.quiet().await;
        client.ack(&second).await;
        client.quiet().await;
        client
            .subscribe(url, &["a", "b"][usize::from(client.is_delta())..])
            .await;
        assert_eq!(client.next(url).await.says(), "b=1");
        client.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn one_of_a_hundred_is_sent_in_delta_and_all_of_them_in_complete_types_rules_21_22_51() {
    each(
        &ALL,
        &[C, L, E, R],
        |mut world, mut client, url| async move {
            let names: Vec<String> = (0..100).map(|i| format!("n{i:02}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            world.put_all(url, &names);
            client.subscribe(url, &names).await;
            assert_eq!(client.next(url).await.resources.len(), 100);
            world.put(url, "n42", "2");
            let complete = !client.is_delta() && (url == C || url == L);
            let got = client.next(url).await;
            assert_eq!(got.resources.len(), if complete { 100 } else { 1 });
            assert_eq!(got.resources["n42"], "2");
            client.quiet().await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_removal_is_named_in_delta_and_an_absence_in_state_of_the_world_rules_21_30_51() {
    each(&ALL, &[C, L], |mut world, mut client, url| async move {
        let delta = client.is_delta();
        world.put_all(url, &["a", "b"]);
        client.subscribe(url, &[]).await;
        client.next(url).await;
        world.remove(url, "a");
        let got = client.next(url).await;
        assert_eq!(got.says(), if delta { "-a" } else { "b=1" });
        client.quiet().await;
        world.remove(url, "b");
        let got = client.next(url).await;
        assert_eq!(got.says(), if delta { "-b" } else { "" });
        client.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn assignments_are_answered_while_their_cluster_warms_rules_88_89_90() {
    each(&ADS, &[()], |mut world, mut client, ()| async move {
        world.set(C, "a", "1").set(E, "a", "1").commit();
        client.subscribe(C, &[]).await;
        client.next(C).await;
        client.subscribe(E, &["a"]).await;
        assert_eq!(client.next(E).await.says(), "a=1");
        world.put(C, "a", "2");
        assert_eq!(client.next(C).await.says(), "a=2");
        // Unasked in delta; in state of the world beside the client's own request, which looks like
        // an acknowledgement.
        if !client.is_delta() {
            client.names(E, &["a"]).await;
        }
        assert_eq!(client.next(E).await.says(), "a=1");
        client.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn a_rejection_is_not_answered_until_something_changes_rules_68_69_70() {
    each(
        &ALL,
        &[C, L, R, E],
        |mut world, mut client, url| async move {
            world.put_all(url, &["a", "b"]);
            client.subscribe(url, &["a"]).await;
            let first = client.next(url).await;
            world.put(url, "a", "bad");
            let second = client.read(url).await;
            client.nack(&second, &first.version, "a: bad").await;
            client.quiet().await;
            world.put(url, "a", "good");
            assert_eq!(client.next(url).await.says(), "a=good");
            client.quiet().await;
        },
    )
    .await;
}

#[tokio::test]
async fn an_explicit_wildcard_is_as_good_as_the_legacy_one_rules_36_43_44() {
    each(&ALL, &[C, L], |mut world, mut client, url| async move {
        world.put_all(url, &["a", "b"]);
        client.subscribe(url, &["*"]).await;
        assert_eq!(client.next(url).await.says(), "a=1 b=1");
        world.put(url, "c", "1");
        let got = client.next(url).await;
        assert_eq!(
            got.says(),
            if client.is_delta() {
                "c=1"
            } else {
                "a=1 b=1 c=1"
            }
        );
        match client.is_delta() {
            true => client.unsubscribe(url, &["*"]).await,
            false => client.names(url, &["none"]).await,
        }
        world.put(url, "a", "2");
        client.quiet().await;
        client.subscribe(url, &["*"]).await;
        assert_eq!(client.next(url).await.says(), "a=2 b=1 c=1");
        client.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn names_asked_for_again_are_sent_again_rules_24_47() {
    each(&ALL, &[R, E], |mut world, mut client, url| async move {
        world.put_all(url, &["a", "b"]);
        client.subscribe(url, &["a", "b"]).await;
        client.next(url).await;
        match client.is_delta() {
            true => client.subscribe(url, &["a"]).await,
            false => {
                client.names(url, &["b"]).await;
                client.quiet().await;
                client.names(url, &["a", "b"]).await;
            }
        }
        assert_eq!(client.next(url).await.says(), "a=1");
        client.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn unsubscribing_from_a_name_under_a_wildcard_is_answered_rules_41_42() {
    each(&DELTA, &[C, L], |mut world, mut client, url| async move {
        world.put_all(url, &["a", "b"]);
        client.subscribe(url, &[]).await;
        assert_eq!(client.next(url).await.says(), "a=1 b=1");
        client.subscribe(url, &["a", "none"]).await;
        assert_eq!(client.next(url).await.says(), "a=1 -none");
        client.unsubscribe(url, &["a", "none"]).await;
        assert_eq!(client.next(url).await.says(), "a=1 -none");
        world.set(url, "a", "2").set(url, "b", "2").commit();
        assert_eq!(client.next(url).await.says(), "a=2 b=2");
        client.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn one_change_goes_out_in_order_and_removals_after_it_rules_84_86() {
    each(&ADS, &[()], |mut world, mut client, ()| async move {
        let delta = client.is_delta();
        for url in [C, E, L, R] {
            world.set(url, "old", "1");
        }
        world.commit();
        for url in [C, E, L, R] {
            client.subscribe(url, &["new", "old"]).await;
            client.next(url).await;
        }
        client.quiet().await;
        for url in [R, L, E, C] {
            world.set(url, "new", "1").unset(url, "old");
        }
        world.commit();
        let mut said = Vec::new();
        // A listener makes room at once. State of the world cannot take back assignments and
        // routes.
        for _ in 0..if delta { 7 } else { 5 } {
            let got = client.read_any(C).await;
            client.ack(&got).await;
            said.push(format!("{} {}", got.url.short(), got.says()));
        }
        let additions = [
            "ClusterLoadAssignment new=1",
            "Listener new=1 -old",
            "RouteConfiguration new=1",
        ];
        let sotw = [
            "Cluster new=1 old=1",
            "ClusterLoadAssignment new=1",
            "Listener new=1",
            "RouteConfiguration new=1",
            "Cluster new=1",
        ];
        match delta {
            true => {
                assert_eq!(said[0], "Cluster new=1");
                assert_eq!(said[1..4], additions);
                let removals = [
                    "RouteConfiguration -old",
                    "Cluster -old",
                    "ClusterLoadAssignment -old",
                ];
                assert_eq!(said[4..], removals);
            }
            false => assert_eq!(said, sotw),
        }
        client.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn an_empty_world_is_told_at_once_rules_31_48() {
    each(&ALL, &[C, L], |mut world, mut client, url| async move {
        client.subscribe(url, &[]).await;
        assert_eq!(client.next(url).await.says(), "");
        client.quiet().await;
        world.put(url, "a", "1");
        assert_eq!(client.next(url).await.says(), "a=1");
        client.quiet().await;
    })
    .await;
    each(&DELTA, &[C, L, R, E], |world, mut client, url| async move {
        client.subscribe(url, &["a"]).await;
        assert_eq!(client.next(url).await.says(), "-a");
        client.quiet().await;
        drop(world);
    })
    .await;
}

#[tokio::test]
async fn grpc_is_told_what_does_not_exist_in_state_of_the_world_too_rule_108() {
    each(&SOTW, &[C, E, L, R], |mut world, client, url| async move {
        let mut client = client.run_by("gRPC Go");
        world.put_all(url, &["a"]);
        client.subscribe(url, &["a", "b"]).await;
        assert_eq!(client.next(url).await.says(), "a=1 -b");
        client.quiet().await;
        world.remove(url, "a");
        assert_eq!(client.next(url).await.says(), "-a");
        client.quiet().await;
    })
    .await;
}
