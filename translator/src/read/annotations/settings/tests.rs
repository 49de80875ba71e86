//! What annotations of a Service ask for, and what is wrong with them.

use serde_json::{Value, json};

use super::*;
use crate::model::{AppProtocol, Retry, Service};
use crate::read::tests::problems;
use crate::{Severity, read};

fn service(annotations: &Value, spec: Value) -> Service {
    let value = json!({
        "metadata": {"namespace": "d", "name": "web", "annotations": annotations},
        "spec": spec,
    });
    read::service::read(&serde_json::from_value(value).unwrap()).unwrap()
}

/// A Service with these annotations and this session affinity.
fn with(annotations: &Value, affinity: &str) -> Service {
    let ports = json!([{"port": 80}]);
    let spec = json!({"clusterIP": "10.96.0.1", "ports": ports, "sessionAffinity": affinity});
    service(annotations, spec)
}

fn some(number: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(number)
}

#[test]
fn annotations_are_settings() {
    let all = with(
        &json!({
            "seaway.dev/timeout": "5s",
            "seaway.dev/try-timeout": "500ms",
            "seaway.dev/retry": "attempts=2; codes=503,502; backoff=100ms",
            "seaway.dev/balance": "header=X-User",
            "seaway.dev/max-connections": "100",
            "seaway.dev/max-pending-requests": "1",
            "seaway.dev/max-requests": "1000000",
            "seaway.dev/outlier-5xx": "3",
            "seaway.dev/ejection-time": "300s",
            "seaway.dev/max-ejected": "50",
            "x": "y",
        }),
        "None",
    );
    assert_eq!(problems(&all.problems), []);
    let settings = ServiceSettings {
        timeouts: Timeouts {
            request: Some(5_000),
            backend_request: Some(500),
        },
        retry: Some(Retry {
            attempts: 2,
            codes: [502, 503].into(),
            pause: some(100),
        }),
        balance: Balance::Hash(HashBy::Header("x-user".into())),
        limits: Limits {
            connections: some(100),
            pending: some(1),
            requests: some(1_000_000),
        },
        ejection: Ejection {
            errors: some(3),
            time: some(300_000),
            most: some(50),
        },
    };
    assert_eq!(all.settings, settings);
    assert!(is_valid(&settings));
    let none = with(&json!({"x": "y"}), "None");
    assert_eq!(none.settings, ServiceSettings::default());
    assert!(is_valid(&none.settings));
}

#[test]
fn endpoints_are_chosen_as_is_said() {
    for (text, expected) in [
        ("round-robin", Balance::RoundRobin),
        ("least-request", Balance::LeastRequest),
        ("random", Balance::Random),
        ("header=x-a", Balance::Hash(HashBy::Header("x-a".into()))),
        ("cookie=Id", Balance::Hash(HashBy::Cookie("Id".into()))),
    ] {
        let read = with(&json!({"seaway.dev/balance": text}), "None");
        assert_eq!(problems(&read.problems), [], "{text}");
        assert_eq!(read.settings.balance, expected);
    }
}

/// Values that cannot be read, by the name of the annotation.
const BAD: [(&str, &[&str]); 11] = [
    ("timeout", &["0s", "86401s", "5", "5 s", " 5s", "1h", "-1s"]),
    ("try-timeout", &["0ms", "86401s", "1.5s", "5s "]),
    (
        "retry",
        &["3", "attempts=21", "attempts=0", "codes=200", "on=5xx"],
    ),
    (
        "balance",
        &[
            "ring-hash",
            " random",
            "Random",
            "header=",
            "header=a b",
            "cookie=",
            "cookie=a;b",
            "source=a",
        ],
    ),
    (
        "max-connections",
        &["0", "1000001", "+1", "-1", "1.5", " 1", "many"],
    ),
    ("max-pending-requests", &["0", "1000001", "1 "]),
    ("max-requests", &["0", "1000001", "0x1"]),
    ("outlier-5xx", &["0", "1001", "5xx", "5 "]),
    ("ejection-time", &["999ms", "301s", "5", "5m", " 5s"]),
    ("max-ejected", &["0", "100", "50%", " 50"]),
    ("protocol", &["http", "HTTP2", "h2c", " http2", "auto"]),
];

/// What an annotation says is kept as a whole or not at all.
#[test]
fn a_value_that_cannot_be_read_is_left_out() {
    let huge = "9".repeat(100_000);
    let long = format!("header={}", "x".repeat(257));
    for (name, values) in BAD {
        let name = format!("seaway.dev/{name}");
        let field = format!("metadata.annotations[{name}]");
        for value in values.iter().chain(&["", &*huge, &*long]) {
            let read = with(&json!({&name: value}), "None");
            let found = problems(&read.problems);
            assert_eq!(found, [(&*field, Reason::InvalidValue)], "{name}");
            // Nothing that the Service asks for is lost.
            assert_eq!(read.problems[0].severity, Severity::Warning, "{name}");
            assert_eq!(read.settings, ServiceSettings::default());
        }
    }
}

#[test]
fn what_contradicts_itself_is_told() {
    let longer = json!({"seaway.dev/timeout": "1s", "seaway.dev/try-timeout": "1001ms"});
    let read = with(&longer, "None");
    let field = "metadata.annotations[seaway.dev/try-timeout]";
    assert_eq!(problems(&read.problems), [(field, Reason::InvalidValue)]);
    let equal = json!({"seaway.dev/timeout": "1s", "seaway.dev/try-timeout": "1s"});
    assert_eq!(problems(&with(&equal, "None").problems), []);

    let read = with(&json!({"seaway.dev/balance": "random"}), "ClientIP");
    let field = "metadata.annotations[seaway.dev/balance]";
    assert_eq!(problems(&read.problems), [(field, Reason::InvalidValue)]);
    assert_eq!(read.hash_by(), Some(&HashBy::Source));
    assert_eq!(read.settings.balance, Balance::RoundRobin);
}

/// Service rule 108: what a port says of itself wins.
#[test]
fn a_protocol_is_for_ports_that_say_none() {
    let ports = json!([
        {"name": "a", "port": 80},
        {"name": "b", "port": 81, "appProtocol": "kubernetes.io/h2c"},
        {"name": "c", "port": 82, "appProtocol": "http"},
        {"name": "d", "port": 53, "protocol": "UDP"},
    ]);
    let spec = json!({"clusterIP": "10.96.0.1", "ports": ports});
    let field = "metadata.annotations[seaway.dev/protocol]";
    let (http1, http2) = (AppProtocol::Http1, AppProtocol::H2c);
    for (text, expected, at) in [
        ("http2", [http2, http2, http1, http1], "spec.ports[2]"),
        ("http1", [http1, http2, http1, http1], "spec.ports[1]"),
    ] {
        let read = service(&json!({"seaway.dev/protocol": text}), spec.clone());
        let found: Vec<_> = read.ports.iter().map(|port| port.app_protocol).collect();
        assert_eq!(found, expected, "{text}");
        assert_eq!(problems(&read.problems), [(field, Reason::InvalidValue)]);
        let message = &read.problems[0].message;
        assert!(message.starts_with(at), "{message}");
    }
}

#[test]
fn an_unknown_annotation_names_the_nearest_known_one() {
    for (name, said) in [
        ("timeouts", "is it seaway.dev/timeout?"),
        ("retries", "is it seaway.dev/retry?"),
        ("max-connection", "is it seaway.dev/max-connections?"),
        ("outlier-detect", "is it seaway.dev/outlier-detection?"),
        (
            "hsts",
            "it is one of Ingresses: set it on those that lead to the Service",
        ),
        (
            "whatever-else-there-is",
            "Seaway has no such annotation of Services",
        ),
        ("", "Seaway has no such annotation of Services"),
        (
            &*"timeout".repeat(20),
            "Seaway has no such annotation of Services",
        ),
    ] {
        let name = format!("seaway.dev/{name}");
        let read = with(&json!({&name: "3s"}), "None");
        let field = format!("metadata.annotations[{name}]");
        let found = problems(&read.problems);
        assert_eq!(found, [(&*field, Reason::UnknownAnnotation)]);
        let message = &read.problems[0].message;
        assert!(message.ends_with(said), "{name}: {message}");
    }
}

/// What comes back from a disk is held against the same bounds.
#[test]
fn settings_that_reading_does_not_make_are_not_valid() {
    let with = |change: fn(&mut ServiceSettings)| {
        let mut settings = ServiceSettings::default();
        change(&mut settings);
        settings
    };
    for settings in [
        with(|s| s.timeouts.request = Some(0)),
        with(|s| s.timeouts.backend_request = Some(86_400_001)),
        with(|s| s.balance = Balance::Hash(HashBy::Source)),
        with(|s| s.balance = Balance::Hash(HashBy::Header("X".into()))),
        with(|s| s.balance = Balance::Hash(HashBy::Cookie("a b".into()))),
        with(|s| s.limits.connections = some(1_000_001)),
        with(|s| s.limits.pending = some(u32::MAX)),
        with(|s| s.limits.requests = some(1_000_001)),
        with(|s| s.ejection.errors = some(1_001)),
        with(|s| s.ejection.time = some(999)),
        with(|s| s.ejection.most = some(100)),
    ] {
        assert!(!is_valid(&settings), "{settings:?}");
    }
}

/// The page lists what there is, and nothing else.
#[test]
fn the_documentation_has_every_annotation() {
    let page = include_str!("../../../../../docs/annotations.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut listed: Vec<&str> = rows
        .filter_map(|row| Some(row.split_once('`')?.0))
        .collect();
    let mut known = [&super::super::OF_CONNECTIONS[..], &ALL].concat();
    listed.sort_unstable();
    known.sort_unstable();
    assert_eq!(listed, known);
}
