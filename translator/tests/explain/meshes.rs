//! Requests at mesh proxies for Services with HTTPRoutes (Gateway rules 115 to 121).

use seaway_translator::{Answer, Options, Question, Role, View, Viewpoint};

use super::support::{World, manifests};

/// What is said of a question in the world of the golden test, of the mesh proxies of a namespace:
/// all facts, then the verdicts.
fn said(question: &str, namespace: Option<&str>) -> String {
    let mut world = World::new(Options::default());
    let (objects, _) = manifests(include_str!("../../testdata/mesh-routes.yaml"));
    world.apply(objects);
    let view = View {
        namespace: namespace.map(Into::into),
        ..View::of(Role::Mesh)
    };
    let question = Question::read(question, "shop").unwrap();
    let answer: Answer = world.translator.explain(&question, &Viewpoint::of(view));
    let section = &answer.sections[0];
    let facts = section.facts.iter();
    let facts = facts.map(|fact| format!("{}: {}", fact.label, fact.text));
    let all: Vec<String> = facts.chain(section.verdict.iter().cloned()).collect();
    all.join("\n")
}

#[track_caller]
fn check(question: &str, namespace: Option<&str>, expected: &[&str]) {
    let said = said(question, namespace);
    assert_eq!(said.lines().collect::<Vec<_>>(), expected, "{said}");
}

#[test]
fn a_request_is_for_the_first_rule_that_takes_it() {
    check(
        "http://web.shop/",
        None,
        &[
            "host: Service shop/web port 80",
            "rule: spec.rules[1] of HTTPRoute shop/canary, for Service port shop/web/80, every path",
            "backend: cluster shop/web/80",
            "backend: cluster other/far/80",
            "backend: Service shop/absent port 80, but there is no Service shop/absent",
            "Of 100 requests 90 go to cluster shop/web/80.",
            "Of 100 requests 9 go to cluster other/far/80.",
            "Of 100 requests 1 is answered with 500: Service shop/absent port 80, but there is no \
             Service shop/absent.",
        ],
    );
    check(
        "http://web.shop.svc:8080/new/x",
        None,
        &[
            "host: Service shop/web port 8080",
            "rule: spec.rules[2] of HTTPRoute shop/admin, for Service port shop/web/8080, /new and \
             below",
            "backend: cluster shop/web/8080",
            "The request goes to cluster shop/web/8080.",
        ],
    );
}

/// GW136: nothing else is behind a port with rules; GW131: a port without any is as it was.
#[test]
fn gw136_what_no_rule_takes_is_answered_with_404() {
    check(
        "http://10.96.0.1:8080/nope",
        None,
        &[
            "host: Service shop/web port 8080",
            "rule: none for Service port shop/web/8080 takes path /nope",
            "The request is answered with 404.",
        ],
    );
    let plain = said("http://web.shop:9000/nope", None);
    assert!(plain.contains("cluster: shop/web/9000"), "{plain}");
    assert!(!plain.contains("rule:"), "{plain}");
}

/// GW133: the clients of a namespace have its own rules.
#[test]
fn gw133_a_namespace_has_its_own_rules() {
    let rule = "rule: spec.rules[0] of HTTPRoute j/mine, for Service port shop/web/80, every path";
    assert!(said("http://web.shop/", Some("j")).contains(rule));
    assert!(!said("http://web.shop/", Some("k")).contains("j/mine"));
    // Only at the port that they are for.
    let other = said("http://web.shop:8080/new", Some("j"));
    assert!(other.contains("HTTPRoute shop/admin"), "{other}");
}

/// GW137, and whom a route is for.
#[test]
fn a_route_says_which_services_take_it() {
    check(
        "httproute/nowhere",
        None,
        &[
            "parent: Service shop/pods takes no routes of this parent: it is headless",
            "parent: Service shop/outside takes no routes of this parent: it is of type ExternalName",
            "parent: Service shop/web takes no routes of this parent: it has no TCP port of the \
             number and name that the route asks for",
            "parent: Service shop/web takes no routes of this parent: it has no TCP port of the \
             number and name that the route asks for",
            "parent: shop/absent is no Service that is served here",
            "Service shop/pods does not take it: it is headless.",
            "Service shop/outside does not take it: it is of type ExternalName.",
            "Service shop/web does not take it: it has no TCP port of the number and name that the \
             route asks for.",
            "Service shop/web does not take it: it has no TCP port of the number and name that the \
             route asks for.",
            "No Gateway and no Service takes HTTPRoute shop/nowhere.",
        ],
    );
    let mine = said("httproute/j/mine", None);
    assert!(
        mine.contains("parent: Service shop/web: port 80, for the mesh proxies of namespace j"),
        "{mine}"
    );
    assert!(
        mine.contains("1 backend of HTTPRoute j/mine is served."),
        "{mine}"
    );
}

/// A gRPC client has the rules that are for all; what its RPCs look like, a name does not say.
#[test]
fn a_name_that_is_dialled_says_all_of_its_rules() {
    check(
        "xds:///web.shop",
        None,
        &[
            "host: Service shop/web port 80",
            "rule: spec.rules[0] of HTTPRoute shop/canary, /api and below: cluster \
             shop/next/80~local~tls by weight 1",
            "rule: spec.rules[2] of HTTPRoute shop/canary, /out and below: cluster shop/outside/80 \
             by weight 1",
            "rule: spec.rules[1] of HTTPRoute shop/canary, every path: cluster shop/web/80 by weight \
             90, cluster other/far/80 by weight 9 and UNAVAILABLE for 1%",
            "An RPC goes where the first rule that takes it sends it; one that no rule takes fails \
             with UNAVAILABLE.",
        ],
    );
}

/// The answer about a Service does not say that its own endpoints have what rules send elsewhere.
#[test]
fn a_service_says_that_rules_decide_on_its_requests() {
    let ruled = said("shop/web:80", None);
    let fact =
        "rules: of HTTPRoute shop/canary; seaway explain http://web.shop:80 says what they do";
    assert!(ruled.contains(fact), "{ruled}");
    let verdict = "A new request to web.shop:80 goes where the rules of HTTPRoute shop/canary say.";
    assert!(ruled.ends_with(verdict), "{ruled}");
    assert!(said("shop/web:80", Some("j")).contains("of HTTPRoute j/mine;"));
    let plain = said("shop/web:9000", None);
    assert!(!plain.contains("rules:"), "{plain}");
}
