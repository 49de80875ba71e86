//! Whatever stands in an object, reading it does not panic, and what is read holds.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::report::Report;
use super::validate::Check;
use crate::{Problem, Reason};

/// What problems say in short.
pub(super) fn problems(problems: &[Problem]) -> Vec<(&str, Reason)> {
    let all = problems.iter();
    all.map(|problem| (problem.field.as_str(), problem.reason))
        .collect()
}

/// The rows of a table, of which each has a text, a field and a reason.
pub(super) fn rows(table: &str) -> impl Iterator<Item = (&str, &str, Reason)> {
    let lines = table.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| {
        let cells: Vec<&str> = line.split("=>").map(str::trim).collect();
        let [text, field, reason] = cells[..] else {
            panic!("{line}");
        };
        let mut all = Reason::ALL.iter();
        let reason = all.find(|known| known.as_str() == reason).unwrap();
        (text, field, *reason)
    })
}

/// Objects with every field that is read.
fn originals() -> Vec<Value> {
    let meta = json!({"namespace": "i", "name": "a", "generation": 4, "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"a.io/b": "c"}, "annotations": {"kubernetes.io/ingress.class": "x", "seaway.dev/y": "z"}});
    let selector = json!({"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "In", "values": ["d"]}]});
    let headers = json!({"set": [{"name": "A", "value": "1"}], "add": [{"name": "B", "value": "2"}], "remove": ["C"]});
    let path =
        json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": "/x/", "replaceFullPath": "/y"});
    let filters = json!([
        {"type": "RequestHeaderModifier", "requestHeaderModifier": headers}, {"type": "ResponseHeaderModifier", "responseHeaderModifier": headers},
        {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "m", "port": 80}, "fraction": {"numerator": 1, "denominator": 3}}},
        {"type": "CORS", "cors": {"allowOrigins": ["https://*.a.com"], "allowMethods": ["GET"], "allowHeaders": ["*"], "exposeHeaders": ["X"], "allowCredentials": true, "maxAge": 9}},
        {"type": "URLRewrite", "urlRewrite": {"hostname": "a.com", "path": path}},
    ]);
    let redirect = json!([{"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "hostname": "a.com", "path": path, "port": 8443, "statusCode": 301}}]);
    let matches = json!([{"path": {"type": "PathPrefix", "value": "/a"}, "method": "GET",
        "headers": [{"type": "RegularExpression", "name": "X", "value": "a{2,3}"}], "queryParams": [{"name": "q", "value": "v"}]}]);
    let backends = json!([{"group": "", "kind": "Service", "namespace": "j", "name": "s", "port": 80, "weight": 3,
        "filters": [{"type": "URLRewrite", "urlRewrite": {"hostname": "b.com"}}]}]);
    vec![
        json!({"kind": "Ingress", "metadata": meta, "spec": {"ingressClassName": "c",
            "defaultBackend": {"service": {"name": "d", "port": {"number": 80}}},
            "rules": [{"host": "*.a.com", "http": {"paths": [{"path": "/a/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"name": "http"}}}}]}}],
            "tls": [{"hosts": ["a.com"], "secretName": "s"}]}}),
        json!({"kind": "IngressClass", "metadata": meta, "spec": {"controller": "c", "parameters": {"kind": "K"}}}),
        json!({"kind": "GatewayClass", "metadata": meta, "spec": {"controllerName": "c", "parametersRef": {"kind": "K"}}}),
        json!({"kind": "Gateway", "metadata": meta, "spec": {"gatewayClassName": "c",
            "infrastructure": {"labels": {"a": "b"}, "parametersRef": {}}, "addresses": [{"type": "Hostname", "value": "a.b"}],
            "tls": {"frontend": {"default": {}}, "backend": {}},
            "listeners": [{"name": "l", "port": 443, "protocol": "HTTPS", "hostname": "*.a.com",
                "tls": {"mode": "Terminate", "certificateRefs": [{"group": "", "kind": "Secret", "namespace": "j", "name": "s"}], "options": {"a": "b"}},
                "allowedRoutes": {"namespaces": {"from": "Selector", "selector": selector}, "kinds": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}]}}]}}),
        json!({"kind": "HTTPRoute", "metadata": meta, "spec": {
        "parentRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "j", "name": "g", "sectionName": "l", "port": 80}],
        "hostnames": ["a.com"], "rules": [
            {"name": "n", "matches": matches, "filters": filters, "backendRefs": backends, "timeouts": {"request": "1m30s", "backendRequest": "1s"}, "retry": {"codes": [500], "attempts": 2, "backoff": "1s"}},
            {"matches": matches, "filters": redirect},
        ]}}),
        json!({"kind": "ReferenceGrant", "metadata": meta, "spec": {"from": [{"group": "g.io", "kind": "K", "namespace": "j"}], "to": [{"group": "", "kind": "Service", "name": "s"}]}}),
        json!({"kind": "Namespace", "metadata": meta, "spec": {"finalizers": []}}),
    ]
}

/// Reads an object of any of the kinds, and gives what is wrong with what was read: nothing.
fn faults(object: &Value) -> Vec<Problem> {
    fn read<K: DeserializeOwned, M>(
        object: &Value,
        read: fn(&K) -> Result<M, Problem>,
        check: fn(&mut Check, &M),
    ) -> Vec<Problem> {
        let mut faults = Check::new(Report::new("Test object"));
        let decoded = serde_json::from_value(object.clone());
        let model = decoded.ok().and_then(|object| read(&object).ok());
        model.iter().for_each(|model| check(&mut faults, model));
        faults.finish()
    }
    use crate::read::{gateway, ingress, route};
    match object["kind"].as_str().unwrap_or_default() {
        "Ingress" => read(object, ingress::read, Check::ingress),
        "IngressClass" => read(object, ingress::class::read, Check::ingress_class),
        "GatewayClass" => read(object, gateway::class::read, Check::gateway_class),
        "Gateway" => read(object, gateway::read, Check::gateway),
        "HTTPRoute" => read(object, route::read, Check::http_route),
        "ReferenceGrant" => read(object, gateway::grant::read, Check::reference_grant),
        _ => read(object, gateway::namespace::read, Check::namespace),
    }
}

/// Texts that are almost good, or mean something elsewhere.
const NASTY: &str = r#"
 * *. a.com A.COM. / // /a? /% /%2f 100% %CEL(1/0)% host :path ( a** (a{1000}){1000} a(?=b) \ Exact
 RegularExpression PathPrefix ReplaceFullPath ReplacePrefixMatch Passthrough HTTP TLS UDP All Same
 Exists 0s 99999h -1s ExtensionRef RequestRedirect URLRewrite x-a ä 1.2.3.4 ::1 Service Foo "#;

/// Values that are almost good, and noise.
fn garbage() -> impl Strategy<Value = Value> {
    let nasty: Vec<&str> = NASTY.split([' ', '\n']).chain(["\r\n", "\0"]).collect();
    let text = prop_oneof![4 => select(nasty).prop_map(str::to_owned), 1 => "\\PC{0,20}", 1 => Just("x".repeat(5_000))];
    let number = prop_oneof![
        select(&[0, -1, 1, 65_535, 65_536, i64::MAX, i64::MIN][..]),
        any::<i64>()
    ];
    let leaf = prop_oneof![
        4 => text.prop_map(Value::from),
        2 => number.prop_map(Value::from),
        1 => Just(json!(null)),
        1 => Just(json!(1e300)),
        1 => Just(json!(true)),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let key = select(
            &[
                "name", "value", "path", "type", "host", "port", "service", "a",
            ][..],
        );
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.prop_map(str::to_owned), inner, 0..4)
                .prop_map(|map| Value::from(serde_json::Map::from_iter(map))),
        ]
    })
}

/// The places in a document, as JSON pointers.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    match value {
        Value::Object(fields) => {
            for (key, value) in fields.iter().filter(|(key, _)| *key != "kind") {
                places(value, &format!("{path}/{}", key.replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                places(item, &format!("{path}/{i}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn good_objects_hold() {
    for object in originals() {
        assert_eq!(faults(&object), [], "{object}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_is_read_of_garbage_holds(
        which in any::<Index>(),
        changes in prop::collection::vec((any::<Index>(), garbage()), 1..4),
    ) {
        let originals = originals();
        let mut object = which.get(&originals).clone();
        for (at, garbage) in changes {
            let mut all = Vec::new();
            places(&object, "", &mut all);
            // The object as a whole is not one of the places: without a kind it is nothing.
            let place = at.get(&all[..]).clone();
            if let Some(value) = object.pointer_mut(&place).filter(|_| !place.is_empty()) {
                *value = garbage;
            }
        }
        prop_assert_eq!(faults(&object), vec![]);
    }
}
