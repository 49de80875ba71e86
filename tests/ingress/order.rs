//! Matches, and their order where several take a request.

use anyhow::Result;
use seaway_testing::RouteManifest;

use crate::case::{Case, get};
use crate::edge::play;

#[test]
fn matches_are_tried_in_the_order_of_the_api() -> Result<()> {
    play(vec![
        gw037_of_equal_matches_the_older_route_serves(),
        gw038_of_routes_of_one_age_the_lower_name_serves(),
        gw058_a_prefix_ends_between_elements(),
        gw059_exact_before_regex_before_prefix(),
        gw060_a_method_before_headers_before_queries(),
        gw061_more_headers_first_then_the_earlier_rule(),
        gw062_names_of_queries_have_their_case(),
        gw063_a_header_named_twice_is_the_first_alone(),
        longer_paths_first(),
        regexes_match_all_of_a_value(),
    ])
}

fn gw037_of_equal_matches_the_older_route_serves() -> Case {
    let route = |name: &str| RouteManifest::new(name).host("gw037.test");
    let newer = route("gw037-a").created(2).prefix("/", "s2");
    let newer = newer.prefix("/newer", "s3");
    let older = route("gw037-b").created(1).prefix("/", "s1");
    Case::new("GW037")
        .with(newer.document())
        .with(older.document())
        .rows([
            get("gw037.test/").to("s1"),
            get("gw037.test/newer").to("s3"),
        ])
        .problem("DuplicateMatch", "HTTPRoute default/gw037-a")
}

fn gw038_of_routes_of_one_age_the_lower_name_serves() -> Case {
    let route = |name: &str, backend: &str| {
        let route = RouteManifest::new(name).host("gw038.test").created(5);
        route.prefix("/", backend).document()
    };
    Case::new("GW038")
        .with(route("gw038-b", "s2"))
        .with(route("gw038-a", "s1"))
        .rows([get("gw038.test/").to("s1")])
        .problem("DuplicateMatch", "HTTPRoute default/gw038-b")
}

fn gw058_a_prefix_ends_between_elements() -> Case {
    let route = RouteManifest::new("gw058").host("gw058.test");
    let route = route.prefix("/v2", "s1").prefix("/v3/", "s2");
    Case::new("GW058").with(route.document()).rows([
        get("gw058.test/v2").to("s1"),
        get("gw058.test/v2/").to("s1"),
        get("gw058.test/v2/x").to("s1"),
        get("gw058.test/v2?x=1").to("s1").path("/v2?x=1"),
        get("gw058.test/v2x").status(404),
        get("gw058.test/V2").status(404),
        get("gw058.test/v3").to("s2"),
        get("gw058.test/v3/x").to("s2"),
        get("gw058.test/v3x").status(404),
    ])
}

fn gw059_exact_before_regex_before_prefix() -> Case {
    let route = RouteManifest::new("gw059").host("gw059.test");
    let route = route
        .prefix("/", "s2")
        .prefix("/a", "s2")
        .rule(
            "matches: [{path: {type: RegularExpression, value: '/a.*'}}]",
            "s3",
        )
        .rule("matches: [{path: {type: Exact, value: /a}}]", "s1");
    Case::new("GW059").with(route.document()).rows([
        get("gw059.test/a").to("s1"),
        get("gw059.test/a?q=1").to("s1"),
        get("gw059.test/ab").to("s3"),
        get("gw059.test/a/b").to("s3"),
        get("gw059.test/c").to("s2"),
    ])
}

fn gw060_a_method_before_headers_before_queries() -> Case {
    let path = "path: {value: /a}";
    let query = format!("matches: [{{{path}, queryParams: [{{name: q, value: '1'}}]}}]");
    let headers = "headers: [{name: x, value: '1'}, {name: x-2, value: '2'}]";
    let headers = format!("matches: [{{{path}, {headers}}}]");
    let method = format!("matches: [{{{path}, method: GET}}]");
    let route = RouteManifest::new("gw060").host("gw060.test");
    let route = route.rule(&query, "s3").rule(&headers, "s2");
    let route = route.rule(&method, "s1");
    let all = || get("gw060.test/a?q=1").with("x", "1").with("x-2", "2");
    Case::new("GW060").with(route.document()).rows([
        all().to("s1"),
        all().method("POST").to("s2"),
        get("gw060.test/a?q=1").method("POST").to("s3"),
        get("gw060.test/a").method("POST").status(404),
    ])
}

fn gw061_more_headers_first_then_the_earlier_rule() -> Case {
    let rule = |headers: &str| format!("matches: [{{headers: [{headers}]}}]");
    let route = RouteManifest::new("gw061")
        .host("gw061.test")
        .rule(&rule("{name: version, value: two}"), "s1")
        .rule(
            &rule("{name: version, value: two}, {name: color, value: orange}"),
            "s2",
        )
        .rule(&rule("{name: Color, value: blue}"), "s3");
    let asking = |version: &str, color: &str| {
        let row = get("gw061.test/").with("version", version);
        row.with("color", color)
    };
    Case::new("GW061").with(route.document()).rows([
        asking("two", "blue").to("s1"),
        asking("two", "orange").to("s2"),
        asking("one", "blue").to("s3"),
        asking("one", "orange").status(404),
        asking("two", "Orange").to("s1"),
    ])
}

fn gw062_names_of_queries_have_their_case() -> Case {
    let rule = |name: &str, value: &str| {
        format!("matches: [{{queryParams: [{{name: {name}, value: {value}}}]}}]")
    };
    let route = RouteManifest::new("gw062").host("gw062.test");
    let route = route
        .rule(&rule("animal", "whale"), "s1")
        .rule(&rule("ANIMAL", "Whale"), "s2");
    Case::new("GW062").with(route.document()).rows([
        get("gw062.test/?ANIMAL=Whale").to("s2"),
        get("gw062.test/?animal=whale").to("s1"),
        get("gw062.test/?animal=Whale").status(404),
        get("gw062.test/").status(404),
    ])
}

fn gw063_a_header_named_twice_is_the_first_alone() -> Case {
    let twice = "matches: [{headers: [{name: X, value: a}, {name: x, value: b}]}]";
    let route = RouteManifest::new("gw063").host("gw063.test");
    let route = route
        .rule("matches: [{headers: [{name: x-2, value: '1'}]}]", "s2")
        .rule(twice, "s1");
    let case = Case::new("GW063").problem("InvalidValue", "HTTPRoute default/gw063");
    case.with(route.document()).rows([
        get("gw063.test/").with("x", "a").to("s1"),
        get("gw063.test/").with("x", "b").status(404),
        // Both rules count one header: the earlier is first.
        get("gw063.test/").with("x", "a").with("x-2", "1").to("s2"),
    ])
}

fn longer_paths_first() -> Case {
    let exact = "matches: [{path: {type: Exact, value: /a/b}}]";
    let route = RouteManifest::new("longer").host("longer.test");
    let route = route
        .prefix("/a", "s1")
        .prefix("/a/b", "s2")
        .rule(exact, "s3");
    Case::new("longer").with(route.document()).rows([
        get("longer.test/a/c").to("s1"),
        get("longer.test/a/b/c").to("s2"),
        get("longer.test/a/b/").to("s2"),
        get("longer.test/a/b").to("s3"),
    ])
}

fn regexes_match_all_of_a_value() -> Case {
    let regex = |field: &str| format!("matches: [{{{field}}}]");
    let path = regex("path: {type: RegularExpression, value: '/v[0-9]+'}");
    let header =
        regex("path: {value: /h}, headers: [{name: x, type: RegularExpression, value: 'a|b+'}]");
    let query = regex(
        "path: {value: /q}, queryParams: [{name: x, type: RegularExpression, value: '[0-9]'}]",
    );
    let route = RouteManifest::new("regexes").host("regexes.test");
    let route = route.rule(&path, "s1").rule(&header, "s2");
    Case::new("regexes")
        .with(route.rule(&query, "s3").document())
        .rows([
            get("regexes.test/v12").to("s1"),
            get("regexes.test/v12?x=y").to("s1"),
            get("regexes.test/v12/a").status(404),
            get("regexes.test/x/v12").status(404),
            get("regexes.test/h").with("x", "bb").to("s2"),
            get("regexes.test/h").with("x", "abb").status(404),
            get("regexes.test/q?x=1").to("s3"),
            get("regexes.test/q?x=11").status(404),
        ])
}
