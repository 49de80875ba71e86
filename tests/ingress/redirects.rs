//! Redirects.

use anyhow::Result;
use seaway_testing::RouteManifest;

use crate::case::{Case, get};
use crate::edge::play;

#[test]
fn redirects_lead_where_filters_say() -> Result<()> {
    play(vec![
        gw067_a_redirect_to_a_host_keeps_the_port_of_the_listener(),
        gw068_a_redirect_to_a_scheme_goes_to_its_port(),
        gw069_a_redirect_to_a_port_names_it(),
        gw070_a_redirect_replaces_a_prefix(),
        gw071_a_redirect_replaces_the_path(),
        statuses_of_redirects(),
    ])
}

fn redirect(fields: &str) -> String {
    format!("filters: [{{type: RequestRedirect, requestRedirect: {{{fields}}}}}]")
}

/// A rule for a prefix that redirects.
fn below(prefix: &str, fields: &str) -> String {
    let fields = redirect(fields);
    format!("matches: [{{path: {{value: {prefix}}}}}], {fields}")
}

fn gw067_a_redirect_to_a_host_keeps_the_port_of_the_listener() -> Case {
    let route = RouteManifest::new("gw067").host("gw067.test");
    Case::new("GW067")
        .with(route.only(&redirect("hostname: h.test")).document())
        .rows([
            get("gw067.test/a?q=1")
                .status(302)
                .answer("location", "http://h.test/a?q=1"),
            get("gw067.test:80/").answer("location", "http://h.test/"),
            get("gw067.test/")
                .http2()
                .answer("location", "http://h.test/"),
        ])
}

fn gw068_a_redirect_to_a_scheme_goes_to_its_port() -> Case {
    let route = RouteManifest::new("gw068").host("gw068.test");
    let route = route.only(&below("/to", "scheme: https, hostname: h.test"));
    let route = route.only(&redirect("scheme: https"));
    Case::new("GW068").with(route.document()).rows([
        get("gw068.test/a").answer("location", "https://gw068.test/a"),
        get("gw068.test:80/a").answer("location", "https://gw068.test/a"),
        get("gw068.test/to/a").answer("location", "https://h.test/to/a"),
    ])
}

fn gw069_a_redirect_to_a_port_names_it() -> Case {
    let route = RouteManifest::new("gw069").host("gw069.test");
    let route = route
        .only(&below("/http", "scheme: http, port: 80"))
        .only(&below("/port", "port: 8443"))
        .only(&redirect("scheme: https, port: 8443"));
    Case::new("GW069").with(route.document()).rows([
        get("gw069.test/a").answer("location", "https://gw069.test:8443/a"),
        get("gw069.test/port/a").answer("location", "http://gw069.test:8443/port/a"),
        get("gw069.test/http/a").answer("location", "http://gw069.test/http/a"),
    ])
}

fn gw070_a_redirect_replaces_a_prefix() -> Case {
    let prefix =
        |value: &str| format!("path: {{type: ReplacePrefixMatch, replacePrefixMatch: '{value}'}}");
    let route = RouteManifest::new("gw070").host("gw070.test");
    let route = route
        .only(&below("/old", &prefix("/new")))
        .only(&below("/root", &prefix("/")));
    Case::new("GW070").with(route.document()).rows([
        get("gw070.test/old/a?q=1")
            .status(302)
            .answer("location", "http://gw070.test/new/a?q=1"),
        get("gw070.test/old").answer("location", "http://gw070.test/new"),
        get("gw070.test/older").status(404),
        get("gw070.test/root/a").answer("location", "http://gw070.test/a"),
        get("gw070.test/root").answer("location", "http://gw070.test/"),
    ])
}

fn gw071_a_redirect_replaces_the_path() -> Case {
    let route = RouteManifest::new("gw071").host("gw071.test");
    let full = redirect("path: {type: ReplaceFullPath, replaceFullPath: /f}");
    Case::new("GW071")
        .with(route.only(&full).document())
        .rows([get("gw071.test/old/a?q=1").answer("location", "http://gw071.test/f?q=1")])
}

fn statuses_of_redirects() -> Case {
    let mut route = RouteManifest::new("statuses").host("statuses.test");
    let mut rows = Vec::new();
    for status in [301, 302, 303, 307, 308] {
        let fields = format!("hostname: h.test, statusCode: {status}");
        route = route.only(&below(&format!("/{status}"), &fields));
        rows.push(get(&format!("statuses.test/{status}")).status(status));
    }
    Case::new("statuses").with(route.document()).rows(rows)
}
