//! Rewrites of hosts and paths.

use anyhow::Result;
use seaway_testing::RouteManifest;

use crate::case::{Case, get};
use crate::edge::play;

#[test]
fn backends_see_rewritten_hosts_and_paths() -> Result<()> {
    play(vec![
        gw072_a_prefix_is_replaced_as_the_api_lists_it(),
        gw073_the_root_is_replaced(),
        gw074_a_prefix_is_no_expression(),
        gw075_a_full_path_is_no_substitution(),
        gw076_a_prefix_is_replaced_where_one_matched_alone(),
        gw077_a_redirect_beside_a_rewrite_is_broken(),
        a_host_is_rewritten(),
        each_prefix_of_a_rule_is_replaced(),
    ])
}

fn rewrite(fields: &str) -> String {
    format!("filters: [{{type: URLRewrite, urlRewrite: {{{fields}}}}}]")
}

fn prefix(value: &str) -> String {
    rewrite(&format!(
        "path: {{type: ReplacePrefixMatch, replacePrefixMatch: '{value}'}}"
    ))
}

/// A rule for a prefix that rewrites.
fn below(path: &str, filters: &str) -> String {
    format!("matches: [{{path: {{value: {path}}}}}], {filters}")
}

fn gw072_a_prefix_is_replaced_as_the_api_lists_it() -> Case {
    let mut case = Case::new("GW072");
    let table = [
        ("a", "/xyz", ["/xyz/bar", "/xyz", "/xyz/"]),
        ("b", "/xyz/", ["/xyz/bar", "/xyz", "/xyz/"]),
        ("c", "", ["/bar", "/", "/"]),
        ("d", "/", ["/bar", "/", "/"]),
    ];
    for (name, value, paths) in table {
        // The prefix with a slash at its end means the same.
        for (kind, path) in [("bare", "/foo"), ("slash", "/foo/")] {
            let host = format!("{kind}.{name}.gw072.test");
            let route = RouteManifest::new(&format!("gw072-{name}-{kind}")).host(&host);
            case = case.with(route.rule(&below(path, &prefix(value)), "s1").document());
            let asked = ["/foo/bar", "/foo", "/foo/"].into_iter().zip(paths);
            let rows = asked.map(|(asked, path)| {
                let row = get(&format!("{host}{asked}?q=/foo"));
                row.to("s1").path(&format!("{path}?q=/foo"))
            });
            case = case.rows(rows);
        }
    }
    case
}

fn gw073_the_root_is_replaced() -> Case {
    let route = RouteManifest::new("gw073").host("gw073.test");
    let route = route.rule(&below("/", &prefix("/xyz")), "s1");
    Case::new("GW073").with(route.document()).rows([
        get("gw073.test/bar").to("s1").path("/xyz/bar"),
        get("gw073.test/").to("s1").path("/xyz/"),
    ])
}

fn gw074_a_prefix_is_no_expression() -> Case {
    let route = RouteManifest::new("gw074").host("gw074.test");
    let route = route.rule(&below("/a.b", &prefix("/")), "s1");
    Case::new("GW074").with(route.document()).rows([
        get("gw074.test/a.b/c").to("s1").path("/c"),
        get("gw074.test/axb/c").status(404),
    ])
}

fn gw075_a_full_path_is_no_substitution() -> Case {
    let route = RouteManifest::new("gw075").host("gw075.test");
    let full = rewrite(r"path: {type: ReplaceFullPath, replaceFullPath: '/a\1'}");
    let route = route.rule(&full, "s1");
    Case::new("GW075").with(route.document()).rows([
        get("gw075.test/any?q=1").to("s1").path(r"/a\1?q=1"),
        get("gw075.test/").to("s1").path(r"/a\1"),
    ])
}

fn gw076_a_prefix_is_replaced_where_one_matched_alone() -> Case {
    let exact = "matches: [{path: {type: Exact, value: /exact}}]";
    let route = RouteManifest::new("gw076").host("gw076.test");
    let route = route.rule(&format!("{exact}, {}", prefix("/new")), "s1");
    Case::new("GW076")
        .with(route.prefix("/", "s2").document())
        .rows([
            get("gw076.test/").to("s2"),
            get("gw076.test/exact").status(500),
        ])
        .problem("*", "HTTPRoute default/gw076")
}

fn gw077_a_redirect_beside_a_rewrite_is_broken() -> Case {
    let both = "filters: [{type: RequestRedirect, requestRedirect: {hostname: h.test}}, \
         {type: URLRewrite, urlRewrite: {hostname: r.test}}]";
    let route = RouteManifest::new("gw077").host("gw077.test");
    let route = route.rule(&below("/both", both), "s1");
    Case::new("GW077")
        .with(route.prefix("/", "s2").document())
        .rows([
            get("gw077.test/").to("s2"),
            get("gw077.test/both").status(500),
        ])
        .problem("*", "HTTPRoute default/gw077")
}

fn a_host_is_rewritten() -> Case {
    let of_backend = rewrite("hostname: backend.test");
    let of_backend = format!("backendRefs: [{{name: s2, port: 8080, {of_backend}}}]");
    let path = "matches: [{path: {value: /backend}}]";
    let route = RouteManifest::new("rewritten").host("rewritten.test");
    let route = route
        .rule(&rewrite("hostname: new.test"), "s1")
        .only(&format!("{path}, {of_backend}"));
    Case::new("host rewrite").with(route.document()).rows([
        get("rewritten.test/")
            .to("s1")
            .host("new.test")
            .saw("x-forwarded-host", "rewritten.test"),
        get("rewritten.test/backend").to("s2").host("backend.test"),
    ])
}

fn each_prefix_of_a_rule_is_replaced() -> Case {
    let two = "matches: [{path: {value: /one}}, {path: {value: /two/three}}]";
    let route = RouteManifest::new("prefixes").host("prefixes.test");
    let route = route.rule(&format!("{two}, {}", prefix("/new")), "s1");
    Case::new("prefixes").with(route.document()).rows([
        get("prefixes.test/one/a").to("s1").path("/new/a"),
        get("prefixes.test/two/three/a").to("s1").path("/new/a"),
    ])
}
