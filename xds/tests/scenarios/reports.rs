//! What the server tells of itself: metrics and lists.

use seaway_proto::TypeUrl;

use crate::client::Client;
use crate::world::{ALL, C, E, L, R, Variant, World, each};

fn of_type(metric: &str, url: TypeUrl) -> String {
    format!("{metric}{{type=\"{url}\"}}")
}

#[tokio::test]
async fn rejections_are_counted_by_type_and_so_are_those_who_reject_rule_79() {
    each(
        &ALL,
        &[C, E, L, R],
        |mut world, mut client, url| async move {
            let count = |world: &World| {
                let nacks = world.metric(&of_type("xds_nacks_total", url));
                (nacks, world.metric(&of_type("xds_rejecting_streams", url)))
            };
            world.put_all(url, &["a"]);
            client.subscribe(url, &["a"]).await;
            let first = client.next(url).await;
            assert_eq!(count(&world), (0.0, 0.0));
            for (value, nacks) in [("2", 1.0), ("3", 2.0)] {
                world.put(url, "a", value);
                let got = client.read(url).await;
                client.nack(&got, &first.version, "no good").await;
                client.quiet().await;
                assert_eq!(count(&world), (nacks, 1.0));
            }
            world.put(url, "a", "4");
            client.next(url).await;
            client.quiet().await;
            assert_eq!(count(&world), (2.0, 0.0));
        },
    )
    .await;
}

#[tokio::test]
async fn counters_whose_labels_are_known_begin_with_zero_rule_79() {
    let world = World::start().await;
    let metrics = world.metrics();
    let types = [C, E, L, R].into_iter();
    let of_types = types.flat_map(|url| {
        let counters = [
            "xds_nacks_total",
            "xds_responses_total",
            "xds_rejecting_streams",
        ];
        counters.map(|counter| of_type(counter, url))
    });
    let of_reasons = [
        r#"xds_connections_closed_total{reason="stalled"}"#,
        r#"xds_denied_streams_total{reason="forbidden"}"#,
    ];
    for name in of_types.chain(of_reasons.map(str::to_owned)) {
        let line = format!("{name} 0");
        assert!(metrics.lines().any(|of| of == line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn a_stream_that_ends_rejects_no_longer_rule_79() {
    let mut world = World::start().await;
    world.put(L, "a", "1");
    let mut client = world.client(Variant::DeltaAds).await;
    client.subscribe(L, &["a"]).await;
    let got = client.read(L).await;
    client.nack(&got, "", "no good").await;
    client.quiet().await;
    let rejecting = of_type("xds_rejecting_streams", L);
    assert_eq!(world.metric(&rejecting), 1.0);
    client.reconnect();
    client.quiet().await;
    assert_eq!(world.metric(&rejecting), 0.0);
}

async fn reject(world: &World, variant: Variant, id: &str) {
    let mut client: Client = world.client(variant).await.named(id);
    if let Some(name) = id.strip_prefix("verified-") {
        client = client.proven(name);
    }
    client.subscribe(L, &["a"]).await;
    let got = client.read(L).await;
    client.nack(&got, "", "a: no good").await;
    client.quiet().await;
}

#[tokio::test]
async fn what_verified_proxies_rejected_is_kept_from_others_and_reported_rule_82() {
    each(&ALL, &[L], |mut world, mut client, url| async move {
        world.put_all(url, &["a"]);
        world.put(url, "a", "2");
        let held_back = format!("xds_held_back_resources{{type=\"{url}\",reason=\"rejected\"}}");
        for id in ["one", "two", "three", "verified-one", "verified-two"] {
            reject(&world, Variant::DeltaAds, id).await;
            assert_eq!(world.metric(&held_back), 0.0);
        }
        reject(&world, Variant::SotwAds, "verified-three").await;
        assert_eq!(world.metric(&held_back), 1.0);
        let reports = world.snapshots.quarantined();
        let report = reports.first().unwrap();
        assert_eq!((&*report.name, &*report.origin), ("a", "Listener/a"));
        client.subscribe(url, &["a"]).await;
        assert_eq!(client.next(url).await.says(), "a=1");
        world.put(url, "a", "3");
        assert_eq!(client.next(url).await.says(), "a=3");
        assert_eq!(world.metric(&held_back), 0.0);
        client.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn names_that_do_not_exist_are_counted_and_listed_rule_107() {
    // Not assignments: of those the client's own calls to and fro ask for a name that nobody has.
    each(&ALL, &[C, L, R], |mut world, mut client, url| async move {
        let count = of_type("xds_missing_names", url);
        world.put_all(url, &["a", "b"]);
        let listed = |world: &World| {
            let all = world.snapshots.missing().into_iter();
            let here = all.filter(|missing| missing.type_url == url);
            here.map(|missing| (missing.name.to_string(), missing.streams))
                .collect::<Vec<_>>()
        };
        client.subscribe(url, &["a", "b", "c"]).await;
        client.next(url).await;
        let mut other = world.client(Variant::SotwAds).await;
        other.subscribe(url, &["a", "c", "d"]).await;
        other.next(url).await;
        client.quiet().await;
        other.quiet().await;
        assert_eq!(listed(&world), [("c".to_owned(), 2), ("d".to_owned(), 1)]);
        assert_eq!(world.metric(&count), 2.0);
        world.remove(url, "b");
        world.put(url, "d", "1");
        other.next(url).await;
        other.quiet().await;
        if client.is_delta() || url == C || url == L {
            client.next(url).await;
        }
        client.quiet().await;
        assert_eq!(listed(&world), [("b".to_owned(), 1), ("c".to_owned(), 2)]);
        drop(client);
        other.reconnect();
        other.quiet().await;
        assert_eq!(listed(&world), []);
        assert_eq!(world.metric(&count), 0.0);
    })
    .await;
}

/// The client takes 4 MiB at once, as gRPC does: its stream would end.
#[tokio::test]
async fn what_is_too_large_to_send_is_reported_and_ends_no_stream_rule_127() {
    each(
        &ALL,
        &[C, E, L, R],
        |mut world, mut client, url| async move {
            let too_large =
                format!("xds_held_back_resources{{type=\"{url}\",reason=\"too_large\"}}");
            world.put_all(url, &["a", "b"]);
            client.subscribe(url, &["a", "b"]).await;
            client.next(url).await;
            world
                .set(url, "a", &"x".repeat(4 << 20))
                .set(url, "b", "2")
                .commit();
            let mut held = std::collections::BTreeMap::new();
            while held.get("b").is_none_or(|b| b != "2") {
                held.extend(client.next(url).await.resources);
            }
            assert!(held.get("a").is_none_or(|a| a == "1"));
            client.quiet().await;
            assert_eq!(world.metric(&too_large), 1.0);
            world.put(url, "a", "2");
            assert!(client.next(url).await.says().starts_with("a=2"));
            assert_eq!(world.metric(&too_large), 0.0);
        },
    )
    .await;
}

#[tokio::test]
async fn responses_that_near_what_clients_accept_are_counted_rule_125() {
    each(
        &[Variant::SotwSeparate, Variant::SotwAds],
        &[C, L],
        |mut world, mut client, url| async move {
            let large = of_type("xds_large_responses_total", url);
            let value = "x".repeat(1 << 20);
            world.set(url, "a", &value).set(url, "b", &value).commit();
            client.subscribe(url, &["a", "b", "c"]).await;
            client.next(url).await;
            assert_eq!(world.metric(&large), 0.0);
            world.put(url, "c", &value);
            client.next(url).await;
            client.quiet().await;
            assert_eq!(world.metric(&large), 1.0);
        },
    )
    .await;
}
