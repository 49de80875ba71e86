//! Problems come and go; Events are due.

use std::collections::BTreeSet;

use seaway_translator::Reason;

use super::*;

fn problem(object: &str, message: &str) -> Problem {
    Problem::error(object, "spec.ports[0]", Reason::InvalidPort, message)
}

fn services(count: usize) -> BTreeSet<Problem> {
    (0..count)
        .map(|number| problem(&format!("Service default/s{number:03}"), "no"))
        .collect()
}

/// These problems stand now, and no others.
fn settle(reports: &mut Reports, problems: &BTreeSet<Problem>) {
    let over = reports.standing.keys().filter(|p| !problems.contains(p));
    let over: Vec<_> = over.map(|problem| (problem.clone(), false)).collect();
    let all = problems.iter().map(|problem| (problem.clone(), true));
    reports.settle(all.chain(over).collect());
}

/// What may be written until `now`.
fn take_all(reports: &mut Reports, now: Instant) -> Vec<String> {
    let mut taken = Vec::new();
    while let Some(report) = reports.take(now) {
        taken.push(report.id.to_string());
    }
    taken
}

#[test]
fn each_problem_is_written_once_and_again_before_it_is_forgotten() {
    let (mut reports, start) = (Reports::default(), Instant::now());
    settle(&mut reports, &services(2));
    assert_eq!(
        take_all(&mut reports, start),
        ["Service default/s000", "Service default/s001"]
    );
    settle(&mut reports, &services(2));
    assert_eq!(take_all(&mut reports, start + AGAIN / 2), [""; 0]);
    assert_eq!(reports.due(start), Some(start + AGAIN));
    assert_eq!(take_all(&mut reports, start + AGAIN).len(), 2);
    settle(&mut reports, &services(1));
    assert_eq!(take_all(&mut reports, start + AGAIN * 2).len(), 1);
    settle(&mut reports, &BTreeSet::new());
    assert_eq!(reports.due(start), None);
}

#[test]
fn many_problems_are_written_slowly_and_those_that_end_before_never() {
    let (mut reports, start) = (Reports::default(), Instant::now());
    settle(&mut reports, &services(100));
    assert_eq!(take_all(&mut reports, start).len(), 25);
    let due = reports.due(start).unwrap();
    assert!(due > start && due <= start + EACH, "{:?}", due - start);
    assert_eq!(take_all(&mut reports, start + EACH * 10).len(), 10);
    settle(&mut reports, &services(40));
    assert_eq!(take_all(&mut reports, start + EACH * 1000).len(), 5);
    assert_eq!(take_all(&mut reports, start + EACH * 1000), [""; 0]);
}

#[test]
fn what_is_no_object_of_the_cluster_gets_none() {
    let mut reports = Reports::default();
    let objects = [
        "File a.yaml",
        "Watch services in shop",
        "Service mesh",
        "Node n1",
    ];
    let problems = BTreeSet::from(objects.map(|object| problem(object, "no")));
    settle(&mut reports, &problems);
    assert_eq!(take_all(&mut reports, Instant::now()), ["Node n1"]);
    assert_eq!(
        reports.due(Instant::now()).map(|due| due > Instant::now()),
        Some(true)
    );
}

#[test]
fn an_event_is_one_that_an_api_server_takes() {
    let name = "x".repeat(253);
    let report = |object: &str, message: &str| Report {
        id: problem(object, message).object.object().unwrap().clone(),
        problem: problem(object, message),
    };
    let long = report(&format!("EndpointSlice shop/{name}"), &"ü".repeat(2000));
    let (path, event) = long.event("u1", &"i".repeat(200), Timestamp::UNIX_EPOCH);
    assert_eq!(path, "/apis/events.k8s.io/v1/namespaces/shop/events");
    assert_eq!(event["metadata"]["name"].as_str().map(str::len), Some(253));
    assert!(
        event["note"]
            .as_str()
            .is_some_and(|note| note.len() <= 1024 && note.starts_with("spec.ports[0]: üü"))
    );
    assert_eq!(event["reportingInstance"].as_str().map(str::len), Some(128));
    assert_eq!(event["eventTime"], "1970-01-01T00:00:00.000000Z");

    let (path, event) = report("Node n1", "no").event("u2", "me", Timestamp::UNIX_EPOCH);
    assert_eq!(path, "/apis/events.k8s.io/v1/namespaces/default/events");
    assert_eq!(
        event["regarding"],
        json!({"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u2"})
    );
    // Of another object by the same name it is another one, and so it is when it says something
    // else.
    let names = [("u2", "no"), ("u3", "no"), ("u2", "never")].map(|(uid, message)| {
        report("Node n1", message)
            .event(uid, "me", Timestamp::UNIX_EPOCH)
            .1["metadata"]["name"]
            .to_string()
    });
    assert_eq!(BTreeSet::from(names).len(), 3);
}
