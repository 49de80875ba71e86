//! Objects that route requests, and worlds of them at random.

use proptest::prelude::*;
use seaway_translator::model::ServiceKey;
use seaway_translator::{CertificateDelivery, ExternalNamePolicy, Object, Options, Role, View};

use super::{one, service};

/// The IngressClass that is served.
pub fn class() -> Object {
    one(
        "{kind: IngressClass, metadata: {name: seaway}, spec: {controller: seaway.dev/ingress-controller}}",
    )
}

/// The GatewayClass that is served.
pub fn gateway_class() -> Object {
    one(
        "{kind: GatewayClass, metadata: {name: gc}, spec: {controllerName: seaway.dev/gateway-controller}}",
    )
}

/// A Gateway of namespace `d`; `listeners` is a YAML list.
pub fn gateway(name: &str, created: &str, listeners: &str) -> Object {
    one(&format!(
        "{{kind: Gateway, metadata: {{namespace: d, name: {name}, creationTimestamp: \"{created}\"}}, \
         spec: {{gatewayClassName: gc, listeners: {listeners}}}}}"
    ))
}

/// A route of namespace `d` by Gateway `g` to one Service.
pub fn route(name: &str, hosts: &str, path: &str, service: &str) -> Object {
    one(&format!(
        "{{kind: HTTPRoute, metadata: {{namespace: d, name: {name}}}, spec: {{parentRefs: [{{name: g}}], \
         hostnames: {hosts}, rules: [{{matches: [{{path: {{value: {path}}}}}], \
         backendRefs: [{{name: {service}, port: 80}}]}}]}}}}"
    ))
}

/// An Ingress of namespace `d` with one path; an empty host is none.
pub fn ingress(name: &str, host: &str, path: &str, service: &str) -> Object {
    let host = if host.is_empty() {
        String::new()
    } else {
        format!("host: \"{host}\", ")
    };
    one(&format!(
        "{{kind: Ingress, metadata: {{namespace: d, name: {name}}}, spec: {{ingressClassName: seaway, \
         rules: [{{{host}http: {{paths: [{{path: {path}, pathType: Prefix, \
         backend: {{service: {{name: {service}, port: {{number: 80}}}}}}}}]}}}}]}}}}"
    ))
}

/// A Secret of namespace `d` with the certificate and key of this name in `testdata/certificates`.
pub fn secret(name: &str, chain: &str, key: &str) -> Object {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/certificates");
    let content =
        |file: String| std::fs::read_to_string(folder.join(file)).expect("the file is there");
    let manifest = serde_json::json!({
        "kind": "Secret",
        "metadata": {"namespace": "d", "name": name},
        "type": "kubernetes.io/tls",
        "stringData": {
            "tls.crt": content(format!("{chain}.crt")),
            "tls.key": content(format!("{key}.key")),
        },
    });
    one(&manifest.to_string())
}

/// An Ingress with a certificate for its host.
pub fn secured(name: &str, host: &str, secret: &str) -> Object {
    certified(name, host, host, secret)
}

/// An Ingress with a rule for a host, and a certificate for another.
fn certified(name: &str, host: &str, of: &str, secret: &str) -> Object {
    one(&format!(
        "{{kind: Ingress, metadata: {{namespace: d, name: {name}}}, spec: {{ingressClassName: seaway, \
         tls: [{{hosts: [\"{of}\"], secretName: {secret}}}], \
         rules: [{{host: \"{host}\", http: {{paths: [{{path: /, pathType: Prefix, \
         backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}}}]}}}}"
    ))
}

/// One of few objects that route requests, so that they get into one another's way.
pub fn an_object() -> impl Strategy<Value = Object> {
    let host =
        || prop::sample::select(&["a.org", "b.a.org", "c.b.a.org", "*.a.org", "*.b.a.org", ""][..]);
    let secured_host = || prop::sample::select(&["a.org", "b.a.org", "c.b.a.org", "*.a.org"][..]);
    let name = || prop::sample::select(&["r1", "r2", "r3"][..]);
    let path = || prop::sample::select(&["/", "/p", "/p/q"][..]);
    let backend = || prop::sample::select(&["web", "other", "absent"][..]);
    let hosts = || {
        host().prop_map(|host| {
            if host.is_empty() {
                "[]".to_owned()
            } else {
                format!("[\"{host}\"]")
            }
        })
    };
    let listeners = prop::collection::vec(host(), 1..4).prop_map(|hosts| {
        let each = hosts.iter().enumerate().map(|(n, host)| {
            let tls =
                "protocol: HTTPS, port: 443, tls: {certificateRefs: [{name: s1}, {name: s2}]}";
            let protocol = if n == 0 {
                "protocol: HTTP, port: 80"
            } else {
                tls
            };
            format!("{{name: l{n}, {protocol}, hostname: \"{host}\"}}")
        });
        format!("[{}]", each.collect::<Vec<_>>().join(", "))
    });
    let when = prop::sample::select(&["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"][..]);
    prop_oneof![
        2 => a_front(),
        2 => a_gateway_somewhere(),
        1 => Just(one("{kind: IngressClass, metadata: {name: seaway, labels: {seaway.dev/fleet: blue}}, spec: {controller: seaway.dev/ingress-controller}}")),
        1 => Just(class()),
        1 => Just(gateway_class()),
        1 => Just(one("{kind: IngressClass, metadata: {name: seaway}, spec: {controller: other.io/x}}")),
        2 => (prop::sample::select(&["g", "h"][..]), when, listeners).prop_map(|(name, when, listeners)| gateway(name, when, &listeners)),
        6 => (name(), hosts(), path(), backend()).prop_map(|(name, hosts, path, backend)| route(name, &hosts, path, backend)),
        6 => (name(), host(), path(), backend()).prop_map(|(name, host, path, backend)| ingress(name, host, path, backend)),
        4 => (name(), secured_host(), secured_host(), prop::sample::select(&["s1", "s2"][..])).prop_map(|(name, host, of, secret)| certified(name, host, of, secret)),
        4 => (prop::sample::select(&["s1", "s2"][..]), prop::sample::select(&["ec", "p384", "rsa"][..]), prop::bool::weighted(0.8)).prop_map(|(name, pair, fits)| secret(name, pair, if fits { pair } else { "ec" })),
        2 => (prop::sample::select(&["web", "other"][..]), prop::sample::select(&["", ", type: ExternalName, externalName: x.org", ", type: ExternalName, externalName: other.d.svc.cluster.local", ", sessionAffinity: ClientIP"][..]))
            .prop_map(|(name, extra)| service(name, if name == "web" { "10.96.0.1" } else { "10.96.0.2" }, extra)),
    ]
}

/// A Service that may be before the proxies of the default fleet (`d/edge`) or of fleet `blue`
/// (`d/blue-edge`), as [`options`] have it.
fn a_front() -> impl Strategy<Value = Object> {
    let name = pick(&["edge", "blue-edge", "one", "two"]);
    let selector = pick(&["app: edge", "app: edge", "app: other"]);
    let target = pick(&["8085", "8085", "9000", "80", "443", "http"]);
    let ports = (
        pick(&["80", "443", "8080"]),
        target,
        pick(&["81", "8443"]),
        pick(&["8085", "9001"]),
    );
    let made = pick(&["", "", "seaway.dev/gateway: d/g", "seaway.dev/gateway: d/h"]);
    (name, selector, ports, made).prop_map(|(name, selector, ports, made)| {
        let (port, target, other, behind) = ports;
        one(&format!(
            "{{kind: Service, metadata: {{namespace: d, name: {name}, annotations: {{{made}}}}}, \
             spec: {{clusterIP: None, selector: {{{selector}}}, externalIPs: [192.0.2.1], ports: \
             [{{name: a, port: {port}, targetPort: {target}}}, {{name: b, port: {other}, \
             targetPort: {behind}}}]}}}}"
        ))
    })
}

/// A Gateway of some fleet, by some Service, at some port.
fn a_gateway_somewhere() -> impl Strategy<Value = Object> {
    let label = pick(&[
        "",
        "labels: {seaway.dev/fleet: blue}",
        "labels: {seaway.dev/fleet: A}",
    ]);
    let addresses = pick(&[
        "",
        "addresses: [{type: Hostname, value: one.d.svc}], ",
        "addresses: [{value: 192.0.2.1}], ",
        "addresses: [{value: 192.0.2.9}, {type: Hostname, value: two.d.svc}], ",
    ]);
    let protocol = pick(&[
        "protocol: HTTP",
        "protocol: HTTPS, tls: {certificateRefs: [{name: s1}]}",
    ]);
    let port = pick(&["80", "81", "443", "8080", "8443"]);
    let host = pick(&["", "a.org", "*.a.org"]);
    let name = (pick(&["g", "h"]), pick(&["01", "02", "03"]));
    (name, label, addresses, protocol, port, host).prop_map(
        |((name, month), label, addresses, protocol, port, host)| {
            one(&format!(
                "{{kind: Gateway, metadata: {{namespace: d, name: {name}, creationTimestamp: \
                 \"2026-{month}-01T00:00:00Z\", {label}}}, spec: {{gatewayClassName: gc, \
                 {addresses}listeners: [{{name: l0, {protocol}, port: {port}, hostname: \
                 \"{host}\"}}]}}}}"
            ))
        },
    )
}

/// The view of an Envoy that asks for certificates by names.
pub fn asking() -> View {
    View {
        certificates: CertificateDelivery::OnDemand,
        ..View::of(Role::Ingress)
    }
}

/// Options with two fleets, and a Service for each Gateway if that is asked for.
pub fn options(gateway_services: bool) -> Options {
    let key = |name: &str| ServiceKey {
        namespace: "d".into(),
        name: name.into(),
    };
    let fleets = [("default", key("edge")), ("blue", key("blue-edge"))];
    Options {
        external_name: ExternalNamePolicy::All,
        ingress_services: fleets
            .into_iter()
            .filter_map(|(fleet, key)| Some((fleet.parse().ok()?, key)))
            .collect(),
        gateway_services,
        ..Options::default()
    }
}

/// Manifests of one kind at random.
type Texts = BoxedStrategy<String>;

fn pick(all: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(all)
}

/// Routes of two namespaces with all that may be wrong with one.
fn routes() -> Texts {
    let parent = pick(&[
        "{name: g}",
        "{name: h}",
        "{name: g, sectionName: l1}",
        "{name: g, port: 443}",
        "{name: g, sectionName: l9}",
        "{name: g, namespace: e}",
        "{name: web, namespace: d, group: \"\", kind: Service}",
        "{name: web, namespace: e, group: \"\", kind: Service, port: 80}",
        "{name: edge, namespace: d, group: \"\", kind: Service, port: 81}",
    ]);
    let filter = pick(&[
        "",
        ", filters: [{type: Foo}]",
        ", filters: [{type: RequestMirror, requestMirror: {backendRef: {name: absent, port: 80}}}]",
    ]);
    let target = pick(&[
        "web",
        "absent",
        "web, namespace: e",
        "web, kind: Foo, group: x.org",
    ]);
    let all = (pick(&["d", "e"]), parent, target, filter);
    let text = |(of, parent, to, filter)| {
        format!(
            "{{kind: HTTPRoute, metadata: {{namespace: {of}, name: s1}}, spec: {{parentRefs: \
             [{parent}, {{name: g, namespace: d}}], rules: [{{backendRefs: [{{name: {to}, port: \
             80}}]}}, {{backendRefs: [{{name: web, port: 80}}]{filter}}}]}}}}"
        )
    };
    all.prop_map(text).boxed()
}

/// Gateway `d/g` with all that may be wrong with one.
fn gateways() -> Texts {
    let listener = pick(&[
        "protocol: HTTP, port: 80",
        "protocol: HTTP, port: 80, allowedRoutes: {namespaces: {from: All}}",
        "protocol: HTTP, port: 80, allowedRoutes: {namespaces: {from: Selector, \
         selector: {matchLabels: {a: b}}}}",
        "protocol: HTTPS, port: 443, tls: {certificateRefs: [{name: s1, namespace: e}, {name: s2}]}",
        "protocol: HTTPS, port: 443, hostname: a.org, tls: {certificateRefs: [{name: s1}]}",
        "protocol: HTTP, port: 80, allowedRoutes: {kinds: [{kind: Foo}]}",
        "protocol: TCP, port: 80",
        "protocol: HTTP, port: 81",
    ]);
    let extra = pick(&[
        "",
        "addresses: [{value: 192.0.2.1}], ",
        "addresses: [{type: x.org/y, value: a}], ",
        "infrastructure: {parametersRef: {name: a}}, ",
    ]);
    let when = pick(&["2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z"]);
    let listeners = prop::collection::vec(listener, 1..4);
    let text = |(class, when, extra, listeners): (&str, &str, &str, Vec<&str>)| {
        let each = listeners.iter().enumerate();
        let each: Vec<String> = each
            .map(|(n, of)| format!("{{name: l{n}, {of}}}"))
            .collect();
        format!(
            "{{kind: Gateway, metadata: {{namespace: d, name: g, creationTimestamp: \"{when}\"}}, \
             spec: {{gatewayClassName: {class}, {extra}listeners: [{}]}}}}",
            each.join(", ")
        )
    };
    let all = (pick(&["gc", "other"]), when, extra, listeners);
    all.prop_map(text).boxed()
}

/// What routes and Gateways refer to, and the Service `d/edge` with what its addresses are made of.
const AROUND: &[&str] = &[
    "{kind: GatewayClass, metadata: {name: gc, generation: 2}, spec: {controllerName: \
     seaway.dev/gateway-controller, parametersRef: {name: x}}}",
    "{kind: GatewayClass, metadata: {name: other}, spec: {controllerName: x.org/y}}",
    "{kind: Namespace, metadata: {name: e, labels: {a: b}}}",
    "{kind: Namespace, metadata: {name: d, labels: {a: c}}}",
    "{kind: Namespace, metadata: {name: d, labels: {a: b}}}",
    "{kind: ReferenceGrant, metadata: {namespace: e, name: r}, spec: {from: [{group: \
     gateway.networking.k8s.io, kind: Gateway, namespace: d}], to: [{group: \"\", kind: Secret}]}}",
    "{kind: ReferenceGrant, metadata: {namespace: e, name: r}, spec: {from: [{group: \
     gateway.networking.k8s.io, kind: HTTPRoute, namespace: d}], to: [{group: \"\", kind: Service}]}}",
    "{kind: Service, metadata: {namespace: e, name: web}, spec: {clusterIP: 10.96.1.1, \
     ports: [{port: 80}]}}",
    "{kind: Service, metadata: {namespace: d, name: edge}, spec: {type: LoadBalancer, \
     clusterIP: 10.96.0.9, ports: [{port: 80}]}}",
    "{kind: Service, metadata: {namespace: d, name: edge}, spec: {type: LoadBalancer, \
     clusterIP: 10.96.0.9, ports: [{port: 80}]}, status: {loadBalancer: {ingress: \
     [{ip: 192.0.2.1}, {hostname: lb.x.org}]}}}",
    "{kind: Service, metadata: {namespace: d, name: edge}, spec: {type: NodePort, \
     externalTrafficPolicy: Local, clusterIP: 10.96.0.9, ports: [{port: 80, nodePort: 30080}]}}",
    "{kind: EndpointSlice, metadata: {namespace: d, name: edge-1, labels: \
     {kubernetes.io/service-name: edge}}, addressType: IPv4, ports: [{port: 80}], endpoints: \
     [{addresses: [10.0.0.1], nodeName: n1}]}",
    "{kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: \
     192.0.2.7}]}}",
];

/// One of few objects that what is written into a status depends on, those of [`an_object`]
/// included.
pub fn an_object_with_status() -> impl Strategy<Value = Object> {
    prop_oneof![
        3 => an_object(),
        1 => routes().prop_map(|text| one(&text)),
        1 => gateways().prop_map(|text| one(&text)),
        1 => pick(AROUND).prop_map(one),
    ]
}
