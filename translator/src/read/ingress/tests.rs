//! Tables of Ingresses and IngressClasses, with what is read of them and what is wrong with them.

use seaway_proto::json;
use serde_json::json;

use crate::model::{BackendPort, Ingress, IngressClass, PathMatch, Rule, Target};
use crate::read::tests::{problems, rows};
use crate::{Reason, Severity, read};

fn ingress(spec: &str) -> Ingress {
    let text = format!("metadata: {{namespace: i, name: web}}\nspec:\n{spec}");
    let value = json::from_yaml(&text).unwrap();
    read::ingress::read(&serde_json::from_value(value).unwrap()).unwrap()
}

/// A rule in short: `=/a -> web:80`, `/a* -> web:http`, `* -> !a resource`.
fn short(rule: &Rule) -> String {
    let path = match &rule.matches[0].path {
        PathMatch::Exact(path) => format!("={path}"),
        PathMatch::Prefix(path) => format!("{path}*"),
        PathMatch::Regex(path) => format!("~{path}"),
    };
    let backends = rule.backends.iter().map(|backend| match &backend.target {
        Target::Service(key, BackendPort::Number(port)) => format!("{key}:{port}"),
        Target::Service(key, BackendPort::Name(port)) => format!("{key}:{port}"),
        Target::Unsupported(what) => format!("!{what}"),
    });
    format!("{path} -> {}", backends.collect::<Vec<_>>().join(" "))
}

fn hosts(ingress: &Ingress) -> Vec<(String, Vec<String>)> {
    let hosts = ingress.hosts.iter();
    hosts
        .map(|(host, rules)| (host.to_string(), rules.iter().map(short).collect()))
        .collect()
}

#[track_caller]
fn assert_hosts(ingress: &Ingress, expected: &[(&str, &[&str])]) {
    let read = hosts(ingress);
    let read: Vec<(&str, Vec<&str>)> = read
        .iter()
        .map(|(host, rules)| (host.as_str(), rules.iter().map(String::as_str).collect()))
        .collect();
    let expected: Vec<(&str, Vec<&str>)> = expected
        .iter()
        .map(|(host, rules)| (*host, rules.to_vec()))
        .collect();
    assert_eq!(read, expected);
}

/// An Ingress with one path.
fn with_path(path: &str) -> Ingress {
    ingress(&format!(
        "  rules: [{{host: a.com, http: {{paths: [{path}, {{path: /rest, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}}}]"
    ))
}

#[test]
fn rules_of_one_host_are_one_after_another() {
    let ingress = ingress(
        "
  defaultBackend: {service: {name: rest, port: {name: http}}}
  rules:
  - host: A.com.
    http: {paths: [{path: /b/, pathType: Prefix, backend: {service: {name: b, port: {number: 80}}}}]}
  - http: {paths: [{path: '', pathType: ImplementationSpecific, backend: {service: {name: all, port: {number: 81}}}}]}
  - host: '*.a.com'
  - host: a.com
    http: {paths: [{path: /a/, pathType: Exact, backend: {service: {name: a, port: {number: 80}}}}]}
",
    );
    assert_eq!(problems(&ingress.problems), []);
    assert_hosts(
        &ingress,
        &[
            ("a.com", &["/b* -> i/b:80", "=/a/ -> i/a:80"]),
            ("*", &["* -> i/all:81"]),
            ("*.a.com", &[]),
        ],
    );
    let default = ingress.default_backend.as_deref().unwrap();
    assert_eq!(short(default), "* -> i/rest:http");
    assert_eq!(&*default.field, "spec.defaultBackend");
    assert_eq!(&*ingress.hosts[0].1[1].field, "spec.rules[3].http.paths[0]");
}

/// Paths that are left out.
const BAD_PATHS: &str = "
path: /a?b, pathType: Prefix => path => InvalidPath
path: '/a#b', pathType: Prefix => path => InvalidPath
path: /a//b, pathType: Exact => path => InvalidPath
path: /a/./b, pathType: Exact => path => InvalidPath
path: /a/.., pathType: Exact => path => InvalidPath
path: /a%2Fb, pathType: Exact => path => InvalidPath
path: a, pathType: ImplementationSpecific => path => InvalidPath
pathType: Exact => path => InvalidPath
pathType: Prefix => path => InvalidPath
path: 5, pathType: Exact => path => InvalidValue
path: /a, pathType: Regex => pathType => InvalidValue
path: /a, pathType: [Exact] => pathType => InvalidValue
";

#[test]
fn a_path_that_cannot_be_served_is_left_out_alone() {
    let to = "backend: {service: {name: web, port: {number: 80}}}";
    for (path, field, reason) in rows(BAD_PATHS) {
        let ingress = with_path(&format!("{{{path}, {to}}}"));
        let field = format!("spec.rules[0].http.paths[0].{field}");
        assert_eq!(problems(&ingress.problems), [(&*field, reason)], "{path}");
        assert_hosts(&ingress, &[("a.com", &["/rest* -> i/web:80"])]);
    }
    let ingress = with_path("7");
    let field = "spec.rules[0].http.paths[0]";
    assert_eq!(problems(&ingress.problems), [(field, Reason::InvalidValue)]);
    let ingress = with_path(&format!(
        "{{path: /{}, pathType: Exact, {to}}}",
        "a".repeat(5_000)
    ));
    assert_eq!(ingress.problems[0].reason, Reason::InvalidPath);
    // A path of no type is as good as one of the type that Seaway may choose.
    let ingress = with_path(&format!("{{{to}}}"));
    assert_eq!(ingress.problems[0].severity, Severity::Warning);
    assert_hosts(
        &ingress,
        &[("a.com", &["* -> i/web:80", "/rest* -> i/web:80"])],
    );
}

/// Backends that are none.
const BAD_BACKENDS: &str = "
{resource: {kind: StorageBucket, name: b}} => .resource => UnsupportedBackend
{service: {name: web, port: {number: 80, name: http}}} => .service.port => InvalidPort
{service: {name: web, port: {number: 65536}}} => .service.port.number => InvalidPort
{service: {name: web, port: {number: '80'}}} => .service.port.number => InvalidValue
{service: {name: web, port: {name: A}}} => .service.port.name => InvalidPort
{service: {name: web}} => .service.port => InvalidPort
{service: {name: a/b, port: {number: 80}}} => .service.name => InvalidName
{service: {port: {number: 80}}} => .service.name => InvalidValue
{service: {name: web}, resource: {}} => => InvalidValue
{} => => InvalidValue
web => => InvalidValue
";

#[test]
fn a_backend_that_is_none_keeps_its_path() {
    for (backend, field, reason) in rows(BAD_BACKENDS) {
        let ingress = with_path(&format!(
            "{{path: /x, pathType: Exact, backend: {backend}}}"
        ));
        let field = format!("spec.rules[0].http.paths[0].backend{field}");
        assert_eq!(
            problems(&ingress.problems),
            [(&*field, reason)],
            "{backend}"
        );
        let what = match reason {
            Reason::UnsupportedBackend => "=/x -> !a resource",
            _ => "=/x -> !an invalid backend",
        };
        assert_hosts(&ingress, &[("a.com", &[what, "/rest* -> i/web:80"])]);
    }
}

#[test]
fn a_rule_whose_host_is_none_is_left_out_alone() {
    for host in ["'*'", "a.*.com", "10.0.0.1", "a_b", "5", "{}"] {
        let ingress = ingress(&format!("  rules: [{{host: {host}}}, {{host: b.com}}]"));
        let fields: Vec<_> = ingress.problems.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(fields, ["spec.rules[0].host"], "{host}");
        assert_hosts(&ingress, &[("b.com", &[])]);
    }
    let ingress = ingress(&format!(
        "  rules: [{{host: {}}}, 7, null]",
        "a".repeat(64_000)
    ));
    assert_eq!(
        problems(&ingress.problems),
        [
            ("spec.rules[0].host", Reason::InvalidHostname),
            ("spec.rules[1]", Reason::InvalidValue)
        ]
    );
    assert!(ingress.problems[0].message.len() < 100);
    assert_hosts(&ingress, &[("*", &[])]);
}

#[test]
fn an_ingress_has_rules_or_a_default_backend() {
    for (spec, field) in [
        ("  {}", "spec"),
        ("  rules: []", "spec"),
        ("  5", "spec"),
        ("  rules: 5", "spec.rules"),
    ] {
        let ingress = ingress(spec);
        assert_eq!(
            problems(&ingress.problems),
            [(field, Reason::InvalidValue)],
            "{spec}"
        );
    }
    let ingress = ingress("  rules: [{host: a.com, http: {paths: []}}]");
    assert_eq!(ingress.problems[0].field, "spec.rules[0].http.paths");
    assert_eq!(ingress.problems[0].severity, Severity::Warning);
}

#[test]
fn the_field_names_the_class_before_the_annotation() {
    let class = |field: serde_json::Value, annotation: &str| {
        let value = json!({
            "metadata": {"name": "a", "annotations": {"kubernetes.io/ingress.class": annotation}},
            "spec": {"ingressClassName": field, "rules": [{"host": "a.com"}]},
        });
        let read = read::ingress::read(&serde_json::from_value(value).unwrap()).unwrap();
        (
            read.class.as_deref().map(str::to_owned),
            read.problems.len(),
        )
    };
    assert_eq!(class(json!("a"), "b"), (Some("a".to_owned()), 0));
    assert_eq!(class(json!(null), "b"), (Some("b".to_owned()), 0));
    assert_eq!(class(json!(""), ""), (None, 0));
    assert_eq!(class(json!(5), "b"), (Some(String::new()), 1));
    assert_eq!(class(json!("a".repeat(254)), ""), (Some(String::new()), 1));
}

#[test]
fn certificates_are_for_the_hosts_that_can_be_read() {
    let ingress = ingress(
        "
  rules: [{host: a.com}]
  tls:
  - {hosts: [B.com, a.com, a.com], secretName: s}
  - {secretName: rest}
  - {hosts: [10.0.0.1], secretName: s}
  - {hosts: [c.com, '']}
  - {hosts: [d.com], secretName: A}
  - {hosts: d.com}
  - 5
",
    );
    let read: Vec<String> = ingress
        .tls
        .iter()
        .map(|tls| {
            let hosts: Vec<String> = tls.hosts.iter().map(ToString::to_string).collect();
            format!(
                "{} {} {}",
                tls.field,
                hosts.join(","),
                tls.secret.as_deref().unwrap_or("-")
            )
        })
        .collect();
    assert_eq!(
        read,
        [
            "spec.tls[0] a.com,b.com s",
            "spec.tls[1]  rest",
            "spec.tls[3] c.com -"
        ]
    );
    let fields: Vec<_> = ingress.problems.iter().map(|p| p.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.tls[2].hosts",
            "spec.tls[2].hosts[0]",
            "spec.tls[3].hosts[1]",
            "spec.tls[4].secretName",
            "spec.tls[5].hosts",
            "spec.tls[6]"
        ]
    );
}

#[test]
fn what_is_beyond_a_bound_is_left_out() {
    let to = json!({"service": {"name": "web", "port": {"number": 80}}});
    let path = |i: usize| json!({"path": format!("/{i}"), "pathType": "Prefix", "backend": to});
    let read = |rules: Vec<serde_json::Value>| {
        let value = json!({"metadata": {"name": "a"}, "spec": {"rules": rules}});
        read::ingress::read(&serde_json::from_value(value).unwrap()).unwrap()
    };
    let paths: Vec<_> = (0..10_000).map(path).collect();
    let ingress = read(vec![json!({"host": "a.com", "http": {"paths": paths}})]);
    assert_eq!(ingress.hosts[0].1.len(), super::PATHS);
    assert_eq!(
        problems(&ingress.problems),
        [("spec.rules[0].http.paths[5000]", Reason::TooLarge)]
    );
    let ingress = read(vec![
        json!({"http": {"paths": paths}}),
        json!({"host": "a.com", "http": {"paths": [path(0)]}}),
    ]);
    let counts: Vec<_> = ingress.hosts.iter().map(|(_, rules)| rules.len()).collect();
    assert_eq!(counts, [super::HOSTLESS_PATHS, 1]);
    let ingress = read(
        (0..10_000)
            .map(|i| json!({"host": format!("h{i}.com")}))
            .collect(),
    );
    assert_eq!(ingress.hosts.len(), super::HOSTS);
    // The problems are, too.
    assert_eq!(ingress.problems.len(), 201);
    assert_eq!(
        ingress.problems[0].message,
        "7800 more problems are not listed"
    );
}

fn class(spec: &str, annotation: &str) -> IngressClass {
    let text = format!(
        "metadata: {{name: c, annotations: {{ingressclass.kubernetes.io/is-default-class: '{annotation}'}}}}\nspec: {spec}"
    );
    let value = json::from_yaml(&text).unwrap();
    read::ingress::class::read(&serde_json::from_value(value).unwrap()).unwrap()
}

#[test]
fn a_class_is_of_its_controller() {
    let good = class("{controller: seaway.dev/ingress-controller}", "true");
    assert_eq!(
        (&*good.controller, good.is_default, good.problems.len()),
        ("seaway.dev/ingress-controller", true, 0)
    );
    assert!(!class("{controller: a}", "True").is_default);
    for (spec, field, reason) in [
        ("{}", "spec.controller", Reason::InvalidValue),
        ("{controller: 5}", "spec.controller", Reason::InvalidValue),
        (
            "{controller: a, parameters: {kind: X}}",
            "spec.parameters",
            Reason::UnsupportedField,
        ),
        (
            &format!("{{controller: {}}}", "a".repeat(251)),
            "spec.controller",
            Reason::TooLarge,
        ),
    ] {
        let class = class(spec, "");
        assert_eq!(problems(&class.problems), [(field, reason)], "{spec}");
    }
    let value = json!({"metadata": {"name": "A"}, "spec": {}});
    let wrong = read::ingress::class::read(&serde_json::from_value(value).unwrap());
    assert_eq!(wrong.unwrap_err().object.to_string(), "IngressClass A");
}
