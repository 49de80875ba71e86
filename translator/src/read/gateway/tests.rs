//! Tables of GatewayClasses, Gateways, ReferenceGrants and Namespaces, with what is read of them
//! and what is wrong with them.

use seaway_proto::json;
use serde_json::{Value, json};

use crate::model::{
    AllowedNamespaces, Gateway, GatewayListener, LabelOperator, ListenerProtocol, RouteKind,
};
use crate::read::tests::{problems, rows};
use crate::{Problem, Reason, read};

fn gateway_of(spec: Value) -> Gateway {
    let value = json!({"metadata": {"namespace": "i", "name": "g", "generation": 3}, "spec": spec});
    read::gateway::read(&serde_json::from_value(value).unwrap()).unwrap()
}

/// A Gateway with one listener, of which this is written beside name and port.
fn listener(rest: &str) -> (GatewayListener, Vec<Problem>) {
    let listener = format!("{{name: h, port: 80, {rest}}}");
    let listener: Value = json::from_yaml(&listener).unwrap();
    let gateway = gateway_of(json!({"gatewayClassName": "gc", "listeners": [listener]}));
    (gateway.listeners[0].clone(), gateway.problems.to_vec())
}

#[test]
fn a_class_is_of_its_controller() {
    let class = |spec: Value| {
        let value = json!({"metadata": {"name": "gc", "generation": 2}, "spec": spec});
        read::gateway::class::read(&serde_json::from_value(value).unwrap()).unwrap()
    };
    let good = class(json!({"controllerName": "seaway.dev/gateway-controller"}));
    assert_eq!(
        (
            &*good.controller,
            good.generation,
            good.has_parameters,
            good.problems.len()
        ),
        ("seaway.dev/gateway-controller", 2, false, 0)
    );
    let with = class(json!({"controllerName": "a/b", "parametersRef": {}}));
    assert_eq!(
        (with.has_parameters, problems(&with.problems)),
        (
            true,
            vec![("spec.parametersRef", Reason::InvalidParameters)]
        )
    );
    for wrong in [
        json!({}),
        json!({"controllerName": 5}),
        json!({"controllerName": "x".repeat(254)}),
    ] {
        let class = class(wrong);
        assert_eq!(
            (&*class.controller, class.problems[0].field.as_str()),
            ("", "spec.controllerName")
        );
    }
}

#[test]
fn a_listener_has_the_defaults_of_the_api() {
    let (listener, found) = listener("protocol: HTTP");
    assert_eq!(found, []);
    assert_eq!(listener.hostname.to_string(), "*");
    assert_eq!(
        (listener.protocol, &listener.kinds[..], listener.namespaces),
        (
            ListenerProtocol::Http,
            &[RouteKind::HTTPRoute][..],
            AllowedNamespaces::Same
        )
    );
    assert_eq!(
        (listener.has_invalid_kinds, listener.invalid, listener.index),
        (false, None, 0)
    );
}

/// Listeners that are not accepted.
const BAD_LISTENERS: &str = "
protocol: HTTP, tls: {} => .tls => InvalidValue
protocol: TCP, tls: {} => .tls => InvalidValue
protocol: HTTPS => .tls => InvalidValue
protocol: TLS => .tls => InvalidValue
protocol: HTTPS, tls: {} => .tls.certificateRefs => InvalidValue
protocol: TLS, tls: {} => .tls.certificateRefs => InvalidValue
protocol: HTTPS, tls: {mode: Passthrough, certificateRefs: [{name: c}]} => .tls.mode => InvalidValue
protocol: TLS, tls: {mode: Foo, certificateRefs: [{name: c}]} => .tls.mode => InvalidValue
protocol: HTTPS, tls: {frontendValidation: {}} => .tls.frontendValidation => UnsupportedField
protocol: HTTP, hostname: 1.2.3.4 => .hostname => InvalidHostname
protocol: HTTP, hostname: 5 => .hostname => InvalidValue
protocol: 5 => .protocol => InvalidValue
hostname: a.com => .protocol => InvalidValue
protocol: HTTP, allowedRoutes: 5 => .allowedRoutes => InvalidValue
";

/// Namespaces of listeners that are not accepted.
const BAD_NAMESPACES: &str = "
{from: Some} => .from => InvalidValue
{from: Selector} => .selector => InvalidValue
{from: Selector, selector: {matchLabels: {a: 5}}} => .selector.matchLabels.a => InvalidValue
{from: Selector, selector: {matchExpressions: [{key: a, operator: In}]}} => .selector.matchExpressions[0].values => InvalidValue
{from: Selector, selector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}} => .selector.matchExpressions[0].values => InvalidValue
{from: Selector, selector: {matchExpressions: [{key: a, operator: Gt, values: [b]}]}} => .selector.matchExpressions[0].operator => InvalidValue
";

#[track_caller]
fn assert_invalid(text: &str, field: &str, reason: Reason) {
    let (listener, found) = listener(text);
    let field = format!("spec.listeners[0]{field}");
    assert_eq!(problems(&found), [(&*field, reason)], "{text}");
    let invalid = listener.invalid.unwrap();
    assert!(invalid.starts_with(&field), "{text}: {invalid}");
}

#[test]
fn a_listener_is_judged_alone() {
    for (text, field, reason) in rows(BAD_LISTENERS) {
        assert_invalid(text, field, reason);
    }
    for (text, field, reason) in rows(BAD_NAMESPACES) {
        let text = format!("protocol: HTTP, allowedRoutes: {{namespaces: {text}}}");
        assert_invalid(&text, &format!(".allowedRoutes.namespaces{field}"), reason);
    }
    for good in [
        "protocol: HTTP, hostname: A.com",
        "protocol: TLS, tls: {mode: Passthrough}",
        "protocol: TCP, hostname: 1.2.3.4",
        "protocol: HTTPS, tls: {certificateRefs: [{name: c}]}",
        "protocol: HTTP, allowedRoutes: {namespaces: {from: All}}",
    ] {
        let (listener, found) = listener(good);
        assert_eq!((found, listener.invalid), (vec![], None), "{good}");
    }
    let (unknown, found) = listener("protocol: INVALID");
    let field = "spec.listeners[0].protocol";
    assert_eq!(problems(&found), [(field, Reason::UnsupportedProtocol)]);
    assert_eq!(unknown.protocol, ListenerProtocol::Other("INVALID".into()));
    assert_eq!((unknown.invalid, unknown.kinds.len()), (None, 0));
}

#[test]
fn kinds_are_those_of_the_protocol() {
    for (kinds, expected, invalid) in [
        ("[{kind: Foo}]", 0, true),
        ("[{kind: Foo}, {kind: HTTPRoute}]", 1, true),
        (
            "[{kind: HTTPRoute}, {kind: HTTPRoute, group: gateway.networking.k8s.io}]",
            1,
            false,
        ),
        ("[{kind: HTTPRoute, group: x.io}]", 0, true),
        ("[]", 1, false),
        ("HTTPRoute", 0, true),
        ("[{}]", 0, true),
    ] {
        let (listener, _) = listener(&format!(
            "protocol: HTTP, allowedRoutes: {{kinds: {kinds}}}"
        ));
        assert_eq!(
            (listener.kinds.len(), listener.has_invalid_kinds),
            (expected, invalid),
            "{kinds}"
        );
        assert_eq!(listener.invalid, None, "{kinds}");
    }
    let (tcp, _) = listener("protocol: TCP, allowedRoutes: {kinds: [{kind: HTTPRoute}]}");
    assert_eq!((tcp.kinds.len(), tcp.has_invalid_kinds), (0, true));
}

#[test]
fn selectors_are_requirements_one_after_another() {
    let (listener, found) = listener(
        "protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {b.io/y: '', a: x}, matchExpressions: [{key: c, operator: NotIn, values: [p, q]}, {key: d, operator: Exists}]}}}",
    );
    assert_eq!(found, []);
    let AllowedNamespaces::Selector(selector) = listener.namespaces else {
        panic!("{:?}", listener.namespaces);
    };
    let all: Vec<_> = selector
        .requirements
        .iter()
        .map(|r| (&*r.key, r.operator, r.values.len()))
        .collect();
    assert_eq!(
        all,
        [
            ("a", LabelOperator::In, 1),
            ("b.io/y", LabelOperator::In, 1),
            ("c", LabelOperator::NotIn, 2),
            ("d", LabelOperator::Exists, 0)
        ]
    );
}

#[test]
fn certificates_are_secrets() {
    let (listener, found) = listener(
        "protocol: HTTPS, tls: {certificateRefs: [{name: a}, {name: b, namespace: j}, {kind: Foo, name: c}, {group: x.io, name: d}, {}]}",
    );
    let all: Vec<_> = listener
        .certificates
        .iter()
        .map(|c| (&*c.namespace, &*c.name, c.is_secret))
        .collect();
    assert_eq!(
        all,
        [
            ("i", "a", true),
            ("j", "b", true),
            ("i", "c", false),
            ("i", "d", false),
            ("i", "", false)
        ]
    );
    assert_eq!(listener.invalid, None);
    assert_eq!(
        problems(&found),
        [
            (
                "spec.listeners[0].tls.certificateRefs[2]",
                Reason::InvalidValue
            ),
            (
                "spec.listeners[0].tls.certificateRefs[3]",
                Reason::InvalidValue
            ),
            (
                "spec.listeners[0].tls.certificateRefs[4].name",
                Reason::InvalidValue
            ),
        ]
    );
}

#[test]
fn listeners_have_names_and_ports() {
    let gateway = gateway_of(json!({"gatewayClassName": "gc", "listeners": [
        {"name": "a", "port": 80, "protocol": "HTTP"}, {"name": "a", "port": 81, "protocol": "HTTP"},
        {"port": 80, "protocol": "HTTP"}, {"name": "b", "protocol": "HTTP"}, {"name": "c", "port": 65536, "protocol": "HTTP"},
        {"name": "C", "port": 1, "protocol": "HTTP"}, 5, {"name": "d", "port": 81, "protocol": "HTTP"},
    ]}));
    let kept: Vec<_> = gateway
        .listeners
        .iter()
        .map(|l| (l.index, &*l.name))
        .collect();
    assert_eq!(kept, [(0, "a"), (7, "d")]);
    let fields: Vec<_> = gateway.problems.iter().map(|p| p.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.listeners[1].name",
            "spec.listeners[2].name",
            "spec.listeners[3].port",
            "spec.listeners[4].port",
            "spec.listeners[5].name",
            "spec.listeners[6]",
        ]
    );
    let many: Vec<_> = (0..100)
        .map(|i| json!({"name": format!("l{i}"), "port": 80, "protocol": "HTTP"}))
        .collect();
    let gateway = gateway_of(json!({"gatewayClassName": "gc", "listeners": many}));
    assert_eq!(
        (gateway.listeners.len(), problems(&gateway.problems)),
        (64, vec![("spec.listeners", Reason::TooLarge)])
    );
}

#[test]
fn a_gateway_says_where_it_is_and_what_it_needs() {
    let gateway = gateway_of(json!({
        "gatewayClassName": "gc", "infrastructure": {"parametersRef": {}, "labels": {"a": "b"}},
        "addresses": [{"value": "192.0.2.1"}, {"type": "Hostname", "value": "a.b"}, {"type": "Hostname"}, 5, {"value": "x".repeat(254)}],
    }));
    let all: Vec<_> = gateway
        .addresses
        .iter()
        .map(|a| (&*a.kind, &*a.value))
        .collect();
    assert_eq!(
        all,
        [
            ("IPAddress", "192.0.2.1"),
            ("Hostname", "a.b"),
            ("Hostname", ""),
            ("", ""),
            ("", "")
        ]
    );
    assert!(gateway.has_parameters);
    assert_eq!(
        problems(&gateway.problems),
        [
            ("spec.addresses[3]", Reason::InvalidValue),
            ("spec.addresses[4].value", Reason::TooLarge),
            ("spec.infrastructure.labels", Reason::UnsupportedField),
            (
                "spec.infrastructure.parametersRef",
                Reason::InvalidParameters
            ),
        ]
    );
    for wrong in [json!({}), json!(5), json!({"gatewayClassName": ["gc"]})] {
        assert_eq!(&*gateway_of(wrong).class, "");
    }
}

#[test]
fn nobody_is_served_without_the_certificates_that_clients_should_have() {
    let gateway = gateway_of(json!({
        "gatewayClassName": "gc", "tls": {"frontend": {"default": {}}, "backend": {}},
        "listeners": [
            {"name": "a", "port": 80, "protocol": "HTTP"},
            {"name": "b", "port": 443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "c"}]}},
        ],
    }));
    let invalid: Vec<_> = gateway
        .listeners
        .iter()
        .map(|l| l.invalid.is_some())
        .collect();
    assert_eq!(invalid, [false, true]);
    assert_eq!(
        problems(&gateway.problems),
        [
            ("spec.tls.backend", Reason::UnsupportedField),
            ("spec.tls.frontend", Reason::UnsupportedField)
        ]
    );
}

#[test]
fn a_field_of_a_wrong_type_is_named() {
    let gateway = gateway_of(json!({
        "gatewayClassName": "gc", "infrastructure": 5, "tls": 5,
        "listeners": [
            {"name": "b", "port": 443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "c"}]}},
        ],
    }));
    assert!(gateway.listeners[0].invalid.is_some());
    let fields: Vec<_> = gateway.problems.iter().map(|p| p.field.as_str()).collect();
    assert_eq!(
        fields,
        ["spec.infrastructure", "spec.tls", "spec.tls.frontend"]
    );
}

#[test]
fn a_grant_allows_what_can_be_read_of_it() {
    let value = json!({"apiVersion": "gateway.networking.k8s.io/v1beta1", "metadata": {"namespace": "j", "name": "g"}, "spec": {
        "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "i"}, {"kind": "HTTPRoute", "namespace": "i"}, {"group": "", "kind": "", "namespace": "i"}, 5],
        "to": [{"group": "", "kind": "Service"}, {"group": "", "kind": "Secret", "name": "s"}, {"group": "", "kind": "Secret", "name": 5}, {"group": "", "kind": "Secret", "name": ""}],
    }});
    let grant = read::gateway::grant::read(&serde_json::from_value(value).unwrap()).unwrap();
    assert_eq!((grant.from.len(), grant.to.len()), (1, 2));
    assert_eq!(
        (&grant.to[0].name, grant.to[1].name.as_deref()),
        (&None, Some("s"))
    );
    let fields: Vec<_> = grant.problems.iter().map(|p| p.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.from[1].group",
            "spec.from[2].kind",
            "spec.from[3]",
            "spec.to[2].name",
            "spec.to[3].name"
        ]
    );
    let empty = json!({"metadata": {"name": "g"}, "spec": {}});
    let empty = read::gateway::grant::read(&serde_json::from_value(empty).unwrap()).unwrap();
    assert_eq!(
        problems(&empty.problems),
        [
            ("spec.from", Reason::InvalidValue),
            ("spec.to", Reason::InvalidValue)
        ]
    );
}

#[test]
fn a_namespace_has_labels() {
    let value =
        json!({"metadata": {"name": "i", "labels": {"a.io/b": "c", "x": "", "y": "-", "": "z"}}});
    let namespace =
        read::gateway::namespace::read(&serde_json::from_value(value).unwrap()).unwrap();
    let labels: Vec<_> = namespace.labels.iter().map(|(k, v)| (&**k, &**v)).collect();
    assert_eq!(labels, [("a.io/b", "c"), ("x", "")]);
    assert_eq!(namespace.problems.len(), 2);
    let dotted = read::gateway::namespace::read(
        &serde_json::from_value(json!({"metadata": {"name": "a.b"}})).unwrap(),
    );
    assert_eq!(dotted.unwrap_err().reason, Reason::InvalidName);
}
