//! Requests at ingress proxies: they go where the published routes of their host send them, with
//! the certificates of the published chain of their name.

use proptest::prelude::*;
use proptest::sample::select;
use seaway_proto::TypeUrl;
use seaway_translator::{Answer, Object, Options, Question, Reason, Role, View, Viewpoint};
use serde_json::Value;

use super::support::routing::{an_object, class, gateway, gateway_class, route, secret, secured};
use super::support::{World, one, service};
use super::{array, cases, decoded};

/// The answer to a question about a request at an ingress proxy.
fn explain(world: &World, url: &str) -> Answer {
    let question = Question::read(url, "d").unwrap();
    let view = View::of(Role::Ingress);
    world.translator.explain(&question, &Viewpoint::of(view))
}

/// A world with one ingress proxy and these objects.
fn world(objects: Vec<Object>) -> World {
    let mut world = World::new(Options::default());
    world.translator.activate(&View::of(Role::Ingress));
    world.apply([class(), gateway_class()]);
    world.apply(objects);
    world
}

/// What a route of Envoy's does with a request for a path, in a word; `None`: it does not take it,
/// or asks for more than the path.
pub(super) fn takes(route: &Value, path: &str) -> Option<String> {
    let matches = &route["match"];
    let asks_more = ["headers", "query_parameters"]
        .iter()
        .any(|part| !matches[part].is_null());
    let prefix = |prefix: &str| path == prefix || path.starts_with(&format!("{prefix}/"));
    let is_taken = match (
        &matches["path"],
        &matches["path_separated_prefix"],
        &matches["prefix"],
    ) {
        (Value::String(exact), ..) => exact == path,
        (_, Value::String(below), _) => prefix(below),
        (_, _, Value::String(start)) => path.starts_with(&**start),
        _ => false,
    };
    (is_taken && !asks_more).then(|| {
        let status = &route["direct_response"]["status"];
        match (route["route"]["cluster"].as_str(), status.as_u64()) {
            (Some(cluster), _) => format!("cluster {cluster}."),
            (None, Some(status)) => format!("answered with {status}"),
            (None, None) if route["redirect"].is_object() => "redirected".to_owned(),
            (None, None) => "requests".to_owned(),
        }
    })
}

/// Asks for each host that ingress proxies serve in the clear, and takes its routes in their order.
fn check_hosts(world: &World, path: &str) {
    let view = View::of(Role::Ingress);
    let seen = world.published.seen(&world.translator.place(&view));
    for ((of, name), resource) in &seen {
        let Some(host) = name
            .strip_prefix("80/")
            .filter(|_| *of == TypeUrl::SCOPED_ROUTE)
        else {
            continue;
        };
        if host.contains('*') {
            continue;
        }
        let value = decoded(resource);
        let mut routes = array(&value["route_configuration"]["virtual_hosts"][0]["routes"]);
        let expected = routes.find_map(|route| takes(route, path));
        let expected = expected.unwrap_or_else(|| "answered with 404".to_owned());
        let answer = explain(world, &format!("http://{host}{path}"));
        let verdict = answer.sections[0].verdict.join(" ");
        assert!(
            verdict.contains(&expected),
            "{expected}: {answer:#?} {value:#}"
        );
    }
}

/// The chain of the listener of HTTPS that has a name: of those that cover it the narrowest.
fn chain(world: &World, host: &str) -> Option<Value> {
    let view = View::of(Role::Ingress);
    let seen = world.published.seen(&world.translator.place(&view));
    let listener = decoded(seen.get(&(TypeUrl::LISTENER, "tls/443".into()))?);
    let rank = |chain: &Value| {
        let names = &chain["filter_chain_match"]["server_names"];
        let Some(names) = names.as_array().filter(|names| !names.is_empty()) else {
            return Some(0);
        };
        let names = names.iter().filter_map(Value::as_str);
        let covers = |name: &str| match name.strip_prefix('*') {
            Some(suffix) => host.ends_with(suffix).then_some(suffix.len()),
            None => (host == name).then_some(usize::MAX),
        };
        names.filter_map(covers).max()
    };
    let chains = array(&listener["filter_chains"]);
    let best = chains.filter_map(|chain| Some((rank(chain)?, chain)));
    best.max_by_key(|(rank, _)| *rank)
        .map(|(_, chain)| chain.clone())
}

/// The Secrets with whose certificates a name is served. `None`: no chain has it, or one that
/// closes the connection.
fn chain_of(world: &World, host: &str) -> Option<Vec<String>> {
    let chain = chain(world, host)?;
    let tls = &chain["transport_socket"]["typed_config"]["common_tls_context"];
    let secrets = array(&tls["tls_certificate_sds_secret_configs"]);
    let secrets: Vec<String> = secrets
        .filter_map(|secret| secret["name"].as_str().map(str::to_owned))
        .collect();
    (!secrets.is_empty()).then_some(secrets)
}

/// Whether the routes of a host answer a request with 421 that comes by its chain: where none of
/// the listeners that they are for is that of the chain.
fn is_misdirected(world: &World, host: &str) -> bool {
    let view = View::of(Role::Ingress);
    let seen = world.published.seen(&world.translator.place(&view));
    let mut wider = host
        .match_indices('.')
        .map(|(at, _)| format!("443/*{}", &host[at..]));
    let exact = std::iter::once(format!("443/{host}"));
    let mut names = exact.chain(wider.by_ref()).chain(["443/*".to_owned()]);
    let scope = names.find_map(|name| seen.get(&(TypeUrl::SCOPED_ROUTE, name.into())));
    let Some((scope, chain)) = scope.zip(chain(world, host)) else {
        return false;
    };
    // The header says of which listener the chain is.
    let chain = chain.to_string();
    let shown = chain.split_once(r#""key":"x-seaway-listener","value":""#);
    let shown = shown.and_then(|(_, rest)| rest.split('"').next());
    let first = &decoded(scope)["route_configuration"]["virtual_hosts"][0]["routes"][0];
    first["direct_response"]["status"] == 421
        && array(&first["match"]["headers"])
            .all(|header| header["string_match"]["exact"].as_str() != shown)
}

/// The Secrets with whose certificates a host is said to be served.
fn said(answer: &Answer) -> Option<Vec<String>> {
    let facts = answer.sections[0].facts.iter();
    let texts = facts.filter(|fact| fact.label == "certificate");
    let secrets = texts.filter_map(|fact| fact.text.strip_prefix("of Secret "));
    let secrets: Vec<String> = secrets
        .filter_map(|text| text.split(',').next().map(str::to_owned))
        .collect();
    (!secrets.is_empty()).then_some(secrets)
}

/// An Ingress without a certificate for a host of its rules leaves the name to a wider one, whose
/// certificate is another object's, also one of another namespace.
#[test]
fn a_certificate_is_that_of_who_has_the_name() {
    let elsewhere = |text: &str| one(&text.replace("namespace: d", "namespace: e"));
    let wide = elsewhere(
        "{kind: Gateway, metadata: {namespace: d, name: wide}, spec: {gatewayClassName: gc, \
         listeners: [{name: tls, protocol: HTTPS, port: 443, tls: {certificateRefs: [{name: s}]}}]}}",
    );
    let bare = one(
        "{kind: Ingress, metadata: {namespace: d, name: bare}, spec: {ingressClassName: seaway, \
         tls: [{hosts: [b.a.org], secretName: own}], rules: [{host: \"*.a.org\", http: {paths: \
         [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}}",
    );
    let mut elsewheres = secret("s", "ec", "ec");
    let Object::Secret(found) = &mut elsewheres else {
        panic!("{elsewheres:?}");
    };
    std::sync::Arc::make_mut(found).namespace = "e".into();
    let world = world(vec![wide, bare, elsewheres, secret("own", "ec", "ec")]);
    for (host, secret) in [("c.a.org", "e/s"), ("b.a.org", "d/own"), ("x.org", "e/s")] {
        let expected = Some(vec![secret.to_owned()]);
        assert_eq!(chain_of(&world, host), expected, "{host}");
        let answer = explain(&world, &format!("https://{host}/"));
        assert_eq!(said(&answer), expected, "{answer:#?}");
    }
}

/// Service rule 143: of two Ingresses with certificates for one host the second has no connection.
#[test]
fn an_ingress_is_not_said_to_serve_a_host_with_a_certificate_that_another_has() {
    let world = world(vec![
        secured("i1", "shop.example.com", "s1"),
        secured("i2", "shop.example.com", "s2"),
        secret("s1", "ec", "ec"),
        secret("s2", "ec", "ec"),
    ]);
    let tls = |name: &str| {
        let facts = explain(&world, &format!("ingress/{name}")).sections[0]
            .facts
            .clone();
        let tls = facts.into_iter().find(|fact| fact.label == "tls");
        tls.map(|fact| fact.text).unwrap()
    };
    assert_eq!(
        tls("i1"),
        "shop.example.com with the certificate of Secret d/s1"
    );
    assert_eq!(
        tls("i2"),
        "shop.example.com: Ingress d/i1 has shop.example.com, with another certificate"
    );
}

/// Of a certificate with very many names not all are kept, so that nobody says that one is not
/// there.
#[test]
fn a_certificate_of_more_names_than_are_kept_is_not_said_to_be_for_another_host() {
    let verdict = |names: usize| {
        let mut secret = secret("s", "ec", "ec");
        let Object::Secret(found) = &mut secret else {
            panic!("{secret:?}");
        };
        let found = std::sync::Arc::make_mut(found);
        let certificate = found.certificate.as_mut().unwrap();
        let name = |number| format!("n{number}.org").into();
        certificate.names = (0..names).map(name).collect();
        let world = world(vec![secured("i", "shop.example.com", "s"), secret]);
        let problems = world.translator.problems();
        let mut reasons = problems.iter().map(|problem| problem.reason);
        let is_misfit = reasons.any(|reason| reason == Reason::CertificateMismatch);
        let answer = explain(&world, "https://shop.example.com/");
        (is_misfit, answer.sections[0].verdict.join(" "))
    };
    let refused = "Clients that check the certificate refuse it";
    let (is_misfit, few) = verdict(255);
    assert!(is_misfit && few.contains(refused), "{few}");
    let (is_misfit, many) = verdict(256);
    assert!(!is_misfit && !many.contains(refused), "{many}");
}

/// Who claims a name with a certificate alone has its connections and no rules for it: those of a
/// Gateway's listener take no request of a connection that is not theirs.
#[test]
fn a_request_by_the_certificate_of_another_listener_is_answered_with_421() {
    let wide = gateway(
        "g",
        "2026-01-01T00:00:00Z",
        "[{name: l, protocol: HTTPS, port: 443, hostname: \"*.a.org\", \
         tls: {certificateRefs: [{name: s}]}}]",
    );
    let named = one(
        "{kind: Ingress, metadata: {namespace: d, name: i}, spec: {ingressClassName: seaway, \
         tls: [{hosts: [b.a.org], secretName: own}]}}",
    );
    let world = world(vec![
        wide,
        named,
        route("r", "[]", "/", "web"),
        secret("s", "ec", "ec"),
        secret("own", "ec", "ec"),
        service("web", "10.96.0.1", ""),
    ]);
    let answered = |host: &str| explain(&world, &format!("https://{host}/")).sections[0].clone();
    let shown = chain_of(&world, "b.a.org");
    assert_eq!(shown, Some(vec!["d/own".to_owned()]));
    assert!(is_misdirected(&world, "b.a.org") && !is_misdirected(&world, "c.a.org"));
    let verdict = answered("b.a.org").verdict.join(" ");
    assert!(verdict.contains("answered with 421."), "{verdict}");
    let there = answered("c.a.org").facts;
    let mut backends = there.iter().filter(|fact| fact.label == "backend");
    let expected = "cluster d/web/80";
    assert!(backends.any(|fact| fact.text == expected), "{there:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_goes_where_the_routes_of_its_host_send_it(
        objects in prop::collection::vec(an_object(), 1..12),
        path in select(&["/", "/p", "/p/q", "/p/q/r", "/pq", "/x"][..]),
    ) {
        check_hosts(&world(objects), path);
    }

    #[test]
    fn a_host_has_the_certificates_of_its_chain(
        objects in prop::collection::vec(an_object(), 1..12),
        host in select(&["a.org", "b.a.org", "x.a.org", "c.b.a.org", "x.b.a.org", "x.org"][..]),
    ) {
        let world = world(objects);
        let answer = explain(&world, &format!("https://{host}/"));
        prop_assert_eq!(said(&answer), chain_of(&world, host), "{:#?}", answer);
        let verdict = answer.sections[0].verdict.join(" ");
        let is_misdirected = chain_of(&world, host).is_some() && is_misdirected(&world, host);
        prop_assert_eq!(verdict.contains("answered with 421"), is_misdirected, "{:#?}", answer);
    }
}
