use prometheus_client::registry::Registry;

use super::*;

#[test]
fn what_a_server_says_is_shown_in_brief() {
    let watches = Watches::default();
    let watch = watches.add("nodes".to_owned(), false, Counter::default());
    watch.failed(&"<p>\n".repeat(1 << 20), How::Away);
    let lines = watches.degraded();
    assert_eq!(lines.len(), 1);
    let line = lines.first().unwrap();
    assert!(line.len() < 1200 && !line.contains('\n'), "{line}");
}

#[test]
fn a_watch_that_nobody_needs_yet_is_not_waited_for() {
    let watches = Watches::default();
    let watch = watches.add("secrets".to_owned(), true, Counter::default());
    watch.unneeded();
    assert_eq!((watches.degraded().len(), watch.age()), (0, None));
    watch.needed();
    let waiting = ["watch of secrets: its first list is not complete yet"];
    assert_eq!(watches.degraded(), waiting);
    assert!(watch.age().is_some());
}

#[test]
fn a_kind_that_is_not_served_is_absent_and_does_not_fail() {
    let (watches, mut registry) = (Watches::default(), Registry::default());
    registry.register_collector(Box::new(watches.clone()));
    let shown = || {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    };
    watches.add("nodes".to_owned(), false, Counter::default());
    assert!(!shown().contains("watch_absent"), "{}", shown());
    let routes = watches.add("httproutes".to_owned(), true, Counter::default());
    routes.failed(&"500", How::Away);
    routes.absent();
    let waiting = ["watch of nodes: its first list is not complete yet"];
    assert_eq!(watches.degraded(), waiting);
    let absent = "watch of httproutes: absent: the API server does not serve it";
    assert_eq!(watches.absent(), [absent]);
    for line in [
        "watch_absent{watch=\"httproutes\"} 1.0",
        "watch_failing{watch=\"httproutes\"} 0.0",
    ] {
        assert!(shown().contains(line), "{}", shown());
    }
    assert!(!shown().contains("watch_age_seconds{watch=\"httproutes\"}"));
    routes.served();
    assert_eq!((watches.absent().len(), watches.degraded().len()), (0, 2));
    assert!(shown().contains("watch_absent{watch=\"httproutes\"} 0.0"));
}

#[test]
fn a_watch_that_never_worked_casts_no_doubt_on_the_others() {
    let watches = Watches::default();
    let never = watches.add("httproutes".to_owned(), true, Counter::default());
    never.failed(&"403", How::Away);
    never.freshness().probed(Outcome::Forbidden, None);
    assert!(!watches.is_doubtful());
    let watch = watches.add("services".to_owned(), false, Counter::default());
    watch.synced();
    watch.failed(&"500", How::Away);
    assert!(watches.is_doubtful());
    watch.heard();
    assert!(!watches.is_doubtful());
    watch.freshness().probed(Outcome::Failed, None);
    assert!(watches.is_doubtful());
    watch.freshness().probed(Outcome::Quiet, None);
    assert!(!watches.is_doubtful());
}

#[test]
fn how_far_a_watch_has_got_is_of_changes_and_stays_while_it_lists_anew() {
    let watches = Watches::default();
    let watch = watches.add("services".to_owned(), false, Counter::default());
    let reached = || {
        watches
            .reached()
            .first()
            .map(|(_, at)| (at.version, at.changed))
    };
    assert_eq!(reached(), None);
    let freshness = watch.freshness();
    freshness.listed("9", 5);
    assert_eq!(reached(), Some((9, 5)));
    freshness.streamed("12", false);
    assert_eq!(reached(), Some((12, 5)));
    freshness.streamed("14", true);
    freshness.lists();
    assert_eq!(reached(), Some((14, 14)));
    // That was a deletion, which is in no list.
    freshness.listed("20", 5);
    assert_eq!(reached(), Some((20, 14)));
    // A server that was restored from a backup.
    freshness.listed("8", 5);
    assert_eq!(reached(), Some((8, 5)));
    freshness.streamed("x", true);
    assert_eq!(reached(), None);
}
