//! Rules that Envoy would reject, or that are no rules: they harm nobody else.

use anyhow::Result;
use seaway_testing::{GatewayManifest, RouteManifest};

use crate::case::{Case, get};
use crate::edge::play;

#[test]
fn bad_rules_are_left_out_and_everything_else_is_served() -> Result<()> {
    play(vec![
        gw098_an_expression_that_envoy_cannot_compile(),
        gw099_a_path_with_a_question_mark(),
        gw100_a_query_without_a_name(),
        gw102_two_routes_with_one_host(),
        gw103_as_many_matches_and_backends_as_there_may_be(),
        paths_that_are_none(),
    ])
}

/// A route whose first rule, for `matches`, is left out.
fn dropped(name: &str, matches: &str) -> String {
    let route = RouteManifest::new(name).host(&format!("{name}.test"));
    let route = route.rule(&format!("matches: [{matches}]"), "s1");
    route.prefix("/ok", "s2").document()
}

fn gw098_an_expression_that_envoy_cannot_compile() -> Case {
    let path = "{path: {type: RegularExpression, value: '/a(?=b)'}}";
    Case::new("GW098")
        .with(dropped("gw098", path))
        .rows([
            get("gw098.test/ok").to("s2"),
            get("gw098.test/ab").status(404),
        ])
        .problem("*", "HTTPRoute default/gw098")
}

fn gw099_a_path_with_a_question_mark() -> Case {
    Case::new("GW099")
        .with(dropped("gw099", "{path: {value: '/a?b'}}"))
        .rows([
            get("gw099.test/ok").to("s2"),
            get("gw099.test/a?b").status(404),
        ])
        .problem("*", "HTTPRoute default/gw099")
}

fn gw100_a_query_without_a_name() -> Case {
    Case::new("GW100")
        .with(dropped("gw100", "{queryParams: [{name: '', value: a}]}"))
        .rows([
            get("gw100.test/ok").to("s2"),
            get("gw100.test/?=a").status(404),
        ])
        .problem("*", "HTTPRoute default/gw100")
}

fn gw102_two_routes_with_one_host() -> Case {
    let gateway = GatewayManifest::new("gw102")
        .listener("wild", "*.gw102.test")
        .listener("exact", "a.gw102.test");
    let route = |name: &str| RouteManifest::new(name).parent("name: gw102");
    let both = route("gw102-both").host("a.gw102.test");
    let none = route("gw102-none").host("A.gw102.test");
    Case::new("GW102")
        .with(gateway.document())
        .with(both.prefix("/both", "s1").document())
        .with(none.prefix("/none", "s2").document())
        .rows([
            get("a.gw102.test/both").to("s1"),
            get("b.gw102.test/both").status(404),
        ])
        .problem("*", "HTTPRoute default/gw102-both")
        .problem("*", "HTTPRoute default/gw102-none")
}

fn gw103_as_many_matches_and_backends_as_there_may_be() -> Case {
    let matches = |from: usize| {
        let all = (from..from + 64).map(|n| format!("{{path: {{value: /m{n}}}}}"));
        all.collect::<Vec<_>>().join(", ")
    };
    let backends = (0..16).map(|n| format!("{{name: s{}, port: 8080}}", n % 3 + 1));
    let backends = backends.collect::<Vec<_>>().join(", ");
    let route = RouteManifest::new("gw103").host("gw103.test");
    let mut route = route.rule(&format!("matches: [{}]", matches(0)), "s1");
    let all = format!("matches: [{}], backendRefs: [{backends}]", matches(64));
    route = route.only(&all);
    Case::new("GW103").with(route.document()).rows([
        get("gw103.test/m0").to("s1"),
        get("gw103.test/m63").to("s1"),
        get("gw103.test/m64").status(200),
        get("gw103.test/m127").status(200),
        get("gw103.test/m128").status(404),
    ])
}

fn paths_that_are_none() -> Case {
    let mut case = Case::new("bad paths");
    for (number, path) in ["/a#b", "/a//b", "/a/../b", "/a%2fb", "a", "/./a", "/a b"]
        .iter()
        .enumerate()
    {
        let name = format!("bad-path-{number}");
        case = case
            .with(dropped(&name, &format!("{{path: {{value: '{path}'}}}}")))
            .rows([get(&format!("{name}.test/ok")).to("s2")])
            .problem("*", &format!("HTTPRoute default/{name}"));
    }
    case
}
