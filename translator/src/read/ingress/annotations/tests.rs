//! What annotations of an Ingress ask for, and what is wrong with them.

use std::num::{NonZeroU32, NonZeroU64};

use serde_json::json;

use crate::model::{Cors, Ingress, IngressSettings, RateLimit, Retry};
use crate::read::tests::problems;
use crate::{Reason, read};

/// An Ingress with these annotations, a rule and a default backend.
fn annotated(annotations: &serde_json::Value) -> Ingress {
    let backend = json!({"service": {"name": "s", "port": {"number": 80}}});
    let value = json!({
        "metadata": {"name": "a", "annotations": annotations},
        "spec": {
            "defaultBackend": backend,
            "rules": [{
                "host": "a.com",
                "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
            }],
        },
    });
    read::ingress::read(&serde_json::from_value(value).unwrap()).unwrap()
}

#[test]
fn annotations_are_settings() {
    let all = annotated(&json!({
        "seaway.dev/redirect-to-https": "true",
        "seaway.dev/hsts": " max-age=31536000;includeSubDomains",
        "seaway.dev/timeout": "30s",
        "seaway.dev/allowed-source-ranges": "192.0.2.0/24, 2001:db8::/32",
        "seaway.dev/max-body": "8m",
        "seaway.dev/rate-limit": "600/m",
        "seaway.dev/retry": "attempts=2; codes=502,503; backoff=100ms",
        "seaway.dev/cors-allow-origins": "https://a.test, https://*.b.test",
        "seaway.dev/cors-allow-methods": "GET,PUT",
        "seaway.dev/cors-expose-headers": "x-1",
        "seaway.dev/cors-allow-credentials": "true",
        "seaway.dev/cors-max-age": "60",
        "x": "y",
    }));
    assert_eq!(problems(&all.problems), []);
    let ranges = ["192.0.2.0/24", "2001:db8::/32"].map(|range| range.parse().unwrap());
    let settings = IngressSettings {
        redirect_to_https: true,
        hsts: Some("max-age=31536000; includeSubDomains".into()),
        sources: Some(ranges.into()),
        cors: Some(Cors {
            origins: ["https://a.test".into(), "https://*.b.test".into()].into(),
            methods: ["GET".into(), "PUT".into()].into(),
            headers: ["*".into()].into(),
            exposed: ["x-1".into()].into(),
            credentials: true,
            max_age: 60,
        }),
        max_body: NonZeroU64::new(8 << 20),
        rate: Some(RateLimit {
            requests: NonZeroU32::new(600).unwrap(),
            seconds: NonZeroU32::new(60).unwrap(),
        }),
    };
    assert_eq!(all.settings, settings);
    let retry = Retry {
        attempts: 2,
        codes: [502, 503].into(),
        pause: NonZeroU32::new(100),
    };
    let rules = all.hosts.iter().flat_map(|(_, rules)| rules);
    for rule in rules.chain(all.default_backend.as_deref()) {
        assert_eq!(rule.retry.as_ref(), Some(&retry));
    }
    let rules = all.hosts.iter().flat_map(|(_, rules)| rules);
    let timeouts: Vec<_> = rules
        .chain(all.default_backend.as_deref())
        .map(|rule| rule.timeouts.request)
        .collect();
    assert_eq!(timeouts, [Some(30_000); 2]);
    let none = annotated(&json!({"seaway.dev/redirect-to-https": "false"}));
    assert_eq!(none.settings, IngressSettings::default());
    assert_eq!(problems(&none.problems), []);
}

/// Who is let in fails closed; all else is as if it was not there.
#[test]
fn an_annotation_that_cannot_be_read_is_said() {
    for (name, value) in [
        ("redirect-to-https", "yes"),
        ("hsts", "31536000"),
        ("hsts", "max-age=1; %REQ(x)%"),
        ("hsts", "max-age=99999999999"),
        ("hsts", "max-age=5\n"),
        ("hsts", "max-age=5;\npreload"),
        ("hsts", "max-age=+5"),
        ("hsts", "max-age=5;\u{a0}preload"),
        ("hsts", "max-age="),
        ("timeout", "soon"),
        ("max-body", "0"),
        ("max-body", "8MB"),
        ("max-body", "1025g"),
        ("rate-limit", "100"),
        ("rate-limit", "0/s"),
        ("rate-limit", "1000001/s"),
        ("rate-limit", "5/h"),
        ("retry", "3"),
        ("cors-allow-methods", "GET"),
        ("cors-max-age", "60"),
        ("allowed-source-ranges", ""),
        ("allowed-source-ranges", "0.0.0.0/33"),
    ] {
        let name = format!("seaway.dev/{name}");
        let read = annotated(&json!({&name: value}));
        let field = format!("metadata.annotations[{name}]");
        assert_eq!(
            problems(&read.problems),
            [(&*field, Reason::InvalidValue)],
            "{value}"
        );
        let sources = name.ends_with("ranges").then(|| [].into());
        let settings = IngressSettings {
            sources,
            ..IngressSettings::default()
        };
        assert_eq!(read.settings, settings);
    }
    let many = vec!["192.0.2.1/32"; 201].join(",");
    let read = annotated(&json!({"seaway.dev/allowed-source-ranges": many}));
    assert_eq!(read.settings.sources.unwrap().len(), 200);
}

#[test]
fn an_unknown_annotation_names_the_nearest_known_one() {
    for (name, said) in [
        ("connect-timeout", "it is one of Services"),
        ("rate-limits", "is it seaway.dev/rate-limit?"),
        ("max-body-size", "is it seaway.dev/max-body?"),
        ("cors-allow-origin", "is it seaway.dev/cors-allow-origins?"),
        ("whatever-else", "no such annotation of Ingresses"),
        (&*"timeout".repeat(20), "no such annotation of Ingresses"),
    ] {
        let name = format!("seaway.dev/{name}");
        let read = annotated(&json!({&name: "3s"}));
        let field = format!("metadata.annotations[{name}]");
        let reasons = problems(&read.problems);
        assert_eq!(reasons, [(&*field, Reason::UnknownAnnotation)]);
        let message = &read.problems[0].message;
        assert!(
            message.ends_with(said) || message.starts_with(said),
            "{name}: {message}"
        );
    }
}

/// One origin that cannot be read takes nothing from the others.
#[test]
fn origins_that_cannot_be_read_are_left_out() {
    let origins = |text: &str| {
        let read = annotated(&json!({"seaway.dev/cors-allow-origins": text}));
        let found = problems(&read.problems).len();
        let origins = read.settings.cors.unwrap().origins;
        (
            origins
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" "),
            found,
        )
    };
    assert_eq!(origins("*"), ("*".to_owned(), 0));
    assert_eq!(
        origins("https://a.test,b.test,*"),
        ("https://a.test".to_owned(), 2)
    );
    assert_eq!(origins(""), (String::new(), 1));
    let many = vec!["https://a.test"; 65].join(",");
    assert_eq!(origins(&many).1, 1);
    let long = format!("https://{}.test", "a".repeat(200));
    let (kept, found) = origins(&vec![&*long; 20].join(","));
    assert_eq!((kept.split(' ').count(), found), (9, 1));
}

/// A path with a limit of bodies becomes four routes of Envoy.
#[test]
fn a_path_with_a_limit_of_bodies_counts_as_four() {
    let path = |at| json!({"path": format!("/{at}"), "pathType": "Exact", "backend": {"service": {"name": "s", "port": {"number": 80}}}});
    let paths: Vec<_> = (0..100).map(path).collect();
    let rules = |annotations: serde_json::Value| {
        let value = json!({
            "metadata": {"name": "a", "annotations": annotations},
            "spec": {"rules": [{"http": {"paths": paths}}]},
        });
        let read = read::ingress::read(&serde_json::from_value(value).unwrap()).unwrap();
        let all: usize = read.hosts.iter().map(|(_, rules)| rules.len()).sum();
        (all, read.problems.len())
    };
    assert_eq!(rules(json!({})), (100, 0));
    assert_eq!(rules(json!({"seaway.dev/max-body": "1"})), (25, 1));
}
