//! The part of the sample that ingress proxies are for, as manifests.

use seaway_translator::{Object, Problem, read};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn object<K: DeserializeOwned>(read: fn(&K) -> Result<Object, Problem>, manifest: Value) -> Object {
    read(&serde_json::from_value(manifest).unwrap()).unwrap()
}

/// An object of each kind, with something in every field; what is left out is a problem of its own.
pub(super) fn objects() -> Vec<Object> {
    let meta = json!({ "namespace": "d", "name": "x", "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 3 });
    let mut annotated = meta.clone();
    annotated["annotations"] = json!({
        "seaway.dev/redirect-to-https": "true", "seaway.dev/hsts": "max-age=5", "seaway.dev/timeout": "1s",
        "seaway.dev/allowed-source-ranges": "192.0.2.0/24", "seaway.dev/max-body": "8m", "seaway.dev/rate-limit": "5/m",
        "seaway.dev/retry": "attempts=2; codes=502; backoff=1s", "seaway.dev/cors-allow-origins": "*",
    });
    let selector = json!({
        "matchLabels": { "a": "b" },
        "matchExpressions": [
            { "key": "c", "operator": "NotIn", "values": ["d"] },
            { "key": "e", "operator": "Exists" },
            { "key": "f", "operator": "DoesNotExist" },
        ],
    });
    vec![
        object(
            read::ingress_class,
            json!({
                "metadata": { "name": "seaway", "annotations": { "ingressclass.kubernetes.io/is-default-class": "true" } },
                "spec": { "controller": "seaway.dev/ingress-controller", "parameters": {} },
            }),
        ),
        object(read::ingress, ingress(&annotated)),
        object(
            read::gateway_class,
            json!({ "metadata": { "name": "gc", "generation": 1 }, "spec": { "controllerName": "a.io/b", "parametersRef": {} } }),
        ),
        object(
            read::gateway,
            json!({ "metadata": meta, "spec": {
                "gatewayClassName": "gc",
                "addresses": [{ "type": "Hostname", "value": "a.b" }],
                "listeners": [
                    { "name": "all", "protocol": "HTTP", "port": 80, "allowedRoutes": { "namespaces": { "from": "Selector", "selector": selector } } },
                    { "name": "tls", "protocol": "HTTPS", "port": 443, "hostname": "*.a.com", "tls": { "certificateRefs": [{ "name": "s" }] } },
                    { "name": "odd", "protocol": "ODD", "port": 1, "allowedRoutes": { "namespaces": { "from": "All" } } },
                ],
            } }),
        ),
        object(read::http_route, http_route(&meta)),
        object(
            read::reference_grant,
            json!({ "metadata": meta, "spec": {
                "from": [{ "group": "g.io", "kind": "K", "namespace": "j" }],
                "to": [{ "group": "", "kind": "Service", "name": "s" }, { "group": "", "kind": "Service" }],
            } }),
        ),
        object(
            read::namespace,
            json!({ "metadata": {
                "name": "d",
                "labels": { "team": "a" },
                "annotations": { "seaway.dev/import": "shop,infra/dns", "seaway.dev/mtls": "strict" },
            } }),
        ),
    ]
}

fn ingress(meta: &Value) -> Value {
    let backend = json!({ "service": { "name": "web", "port": { "name": "http" } } });
    json!({ "metadata": meta, "spec": {
        "ingressClassName": "seaway",
        "defaultBackend": { "service": { "name": "web", "port": { "number": 80 } } },
        "tls": [{ "hosts": ["a.com", "*.a.com"], "secretName": "s" }],
        "rules": [
            { "host": "a.com", "http": { "paths": [
                { "path": "/a", "pathType": "Exact", "backend": backend },
                { "path": "/bucket", "pathType": "Prefix", "backend": { "resource": {} } },
                { "path": "/a?b", "pathType": "Prefix", "backend": backend },
            ] } },
            { "http": { "paths": [{ "path": "/", "pathType": "Prefix", "backend": backend }] } },
        ],
    } })
}

fn http_route(meta: &Value) -> Value {
    let headers = json!({ "set": [{ "name": "a", "value": "100%" }], "add": [{ "name": "b", "value": "c" }], "remove": ["d"] });
    let request = json!({ "type": "RequestHeaderModifier", "requestHeaderModifier": headers });
    let response = json!({ "type": "ResponseHeaderModifier", "responseHeaderModifier": headers });
    let path = |kind: &str, field: &str| json!({ "type": kind, field: "/new" });
    let mirror = json!({ "backendRef": { "name": "web", "port": 80 }, "percent": 20 });
    let cors = json!({
        "allowOrigins": ["https://*.a.com"], "allowMethods": ["GET"], "allowHeaders": ["x-a"],
        "exposeHeaders": ["x-b"], "allowCredentials": true, "maxAge": 60,
    });
    let rewrite =
        json!({ "hostname": "b.com", "path": path("ReplacePrefixMatch", "replacePrefixMatch") });
    let redirect = json!({
        "scheme": "https", "hostname": "b.com", "path": path("ReplaceFullPath", "replaceFullPath"), "port": 8443, "statusCode": 308,
    });
    json!({ "metadata": meta, "spec": {
        "parentRefs": [
            { "group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "i", "name": "g", "sectionName": "all", "port": 80 },
            { "name": "g" },
        ],
        "hostnames": ["a.com", "*.a.com"],
        "rules": [
            {
                "matches": [{
                    "path": { "type": "PathPrefix", "value": "/a" }, "method": "GET",
                    "headers": [{ "name": "X-A", "value": "b" }, { "name": "x-c", "type": "RegularExpression", "value": "d.*" }],
                    "queryParams": [{ "name": "e", "value": "f" }],
                }],
                "filters": [request, response, { "type": "URLRewrite", "urlRewrite": rewrite },
                    { "type": "RequestMirror", "requestMirror": mirror }, { "type": "CORS", "cors": cors }],
                "backendRefs": [
                    { "name": "web", "port": 80, "weight": 9, "filters": [request, response] },
                    { "kind": "Foo", "group": "a.io", "name": "foo", "weight": 1 },
                ],
                "timeouts": { "request": "10s", "backendRequest": "500ms" },
                "retry": { "codes": [500], "attempts": 2, "backoff": "1s" },
            },
            {
                "matches": [{ "path": { "type": "Exact", "value": "/b" } }, { "path": { "type": "RegularExpression", "value": "/c.*" } }],
                "filters": [{ "type": "RequestRedirect", "requestRedirect": redirect }],
            },
            { "filters": [{ "type": "ExtensionRef", "extensionRef": {} }] },
        ],
    } })
}
