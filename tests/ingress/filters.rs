//! Filters that change headers, and filters that are not served.

use anyhow::Result;
use seaway_testing::RouteManifest;

use crate::case::{Case, get};
use crate::edge::play;

#[test]
fn headers_are_changed_as_filters_say() -> Result<()> {
    play(vec![
        gw064_request_headers_are_set_added_and_removed(),
        gw064_response_headers_are_set_added_and_removed(),
        gw065_an_added_value_follows_those_of_the_request(),
        gw066_the_filter_of_a_backend_goes_before_that_of_the_rule(),
        gw096_a_percent_sign_is_one(),
        gw097_the_host_header_is_not_changed_by_a_filter(),
        the_ends_of_messages_are_not_changed_by_a_filter(),
        gw104_a_filter_that_is_not_served_is_never_skipped(),
    ])
}

const SET_ADD_REMOVE: &str = "{set: [{name: X-Set, value: '100%'}, {name: x-new, value: new}], \
     add: [{name: x-add, value: b}], remove: [X-Gone]}";

fn request_headers(changes: &str) -> String {
    format!("filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {changes}}}]")
}

fn gw064_request_headers_are_set_added_and_removed() -> Case {
    let route = RouteManifest::new("gw064").host("gw064.test");
    let route = route.rule(&request_headers(SET_ADD_REMOVE), "s1");
    let asking = get("gw064.test/").with("x-set", "old").with("x-gone", "1");
    Case::new("GW064").with(route.document()).rows([asking
        .with("x-other", "kept")
        .to("s1")
        .saw("x-set", "100%")
        .saw("x-new", "new")
        .saw("x-add", "b")
        .saw("x-other", "kept")
        .saw_no("x-gone")])
}

fn gw064_response_headers_are_set_added_and_removed() -> Case {
    let filter = "{type: ResponseHeaderModifier, responseHeaderModifier: ";
    let filter = format!("filters: [{filter}{SET_ADD_REMOVE}}}]");
    let route = RouteManifest::new("gw064-answer").host("answer.gw064.test");
    let asking = get("answer.gw064.test/").with("echo-answer", "x-set=old");
    let asking = asking.with("echo-answer", "x-gone=1");
    let asking = asking.with("echo-answer", "x-add=a");
    Case::new("GW064 answer")
        .with(route.rule(&filter, "s1").document())
        .rows([asking
            .to("s1")
            .answer("x-set", "100%")
            .answer("x-new", "new")
            .answer("x-add", "a,b")
            .answer_without("x-gone")])
}

fn gw065_an_added_value_follows_those_of_the_request() -> Case {
    let route = RouteManifest::new("gw065").host("gw065.test");
    let add = request_headers("{add: [{name: X, value: two}]}");
    Case::new("GW065")
        .with(route.rule(&add, "s1").document())
        .rows([
            get("gw065.test/").with("x", "one").saw("x", "one,two"),
            get("gw065.test/").to("s1").saw("x", "two"),
        ])
}

fn gw066_the_filter_of_a_backend_goes_before_that_of_the_rule() -> Case {
    let of_backend = request_headers("{set: [{name: x, value: b}]}");
    let backend = format!("backendRefs: [{{name: s1, port: 8080, {of_backend}}}]");
    let of_rule = request_headers("{set: [{name: x, value: r}, {name: x-2, value: r}]}");
    let route = RouteManifest::new("gw066").host("gw066.test");
    Case::new("GW066")
        .with(route.only(&format!("{of_rule}, {backend}")).document())
        .rows([get("gw066.test/").to("s1").saw("x", "b").saw("x-2", "r")])
}

fn gw096_a_percent_sign_is_one() -> Case {
    let set = request_headers("{set: [{name: x, value: '%REQ(host)%'}, {name: x-2, value: '%%'}]}");
    let route = RouteManifest::new("gw096").host("gw096.test");
    Case::new("GW096")
        .with(route.rule(&set, "s1").document())
        .rows([get("gw096.test/")
            .to("s1")
            .saw("x", "%REQ(host)%")
            .saw("x-2", "%%")])
}

fn gw097_the_host_header_is_not_changed_by_a_filter() -> Case {
    let path = "matches: [{path: {value: /host}}]";
    let host = request_headers("{set: [{name: Host, value: a.test}]}");
    let route = RouteManifest::new("gw097").host("gw097.test");
    let route = route.rule(&format!("{path}, {host}"), "s1");
    Case::new("GW097")
        .with(route.prefix("/", "s2").document())
        .rows([
            get("gw097.test/").to("s2").host("gw097.test"),
            get("gw097.test/host").status(500),
        ])
        .problem("*", "HTTPRoute default/gw097")
}

/// Whoever may say where a message ends has a backend take the rest of one for the next request,
/// which may be anybody's.
fn the_ends_of_messages_are_not_changed_by_a_filter() -> Case {
    let name = "framing.test";
    let rule =
        |path: &str, filter: &str| format!("matches: [{{path: {{value: {path}}}}}], {filter}");
    let requests = request_headers("{set: [{name: Content-Length, value: '0'}]}");
    let chunked = request_headers("{add: [{name: transfer-encoding, value: chunked}]}");
    let answers = "filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: \
                   content-length, value: '5'}]}}]";
    let of_backend = format!(
        "matches: [{{path: {{value: /backend}}}}], backendRefs: [{{name: s1, port: 8080, {requests}}}]"
    );
    let route = RouteManifest::new("framing").host(name);
    let route = route
        .rule(&rule("/request", &requests), "s1")
        .rule(&rule("/chunked", &chunked), "s1")
        .rule(&rule("/answer", answers), "s1")
        .only(&of_backend);
    let refused = ["/request", "/chunked", "/answer", "/backend"];
    Case::new("framing")
        .with(route.prefix("/", "s2").document())
        .rows([get(&format!("{name}/")).to("s2")])
        .rows(refused.map(|path| get(&format!("{name}{path}")).status(500)))
        .problem("InvalidHeader", "HTTPRoute default/framing")
}

fn gw104_a_filter_that_is_not_served_is_never_skipped() -> Case {
    let reference = "{group: example.com, kind: Foo, name: foo}";
    let extension = format!("filters: [{{type: ExtensionRef, extensionRef: {reference}}}]");
    let rule =
        |path: &str, filters: &str| format!("matches: [{{path: {{value: {path}}}}}], {filters}");
    let route = RouteManifest::new("gw104").host("gw104.test");
    let route = route
        .rule(&rule("/foo", "filters: [{type: Foo}]"), "s1")
        .rule(&rule("/extension", &extension), "s1");
    Case::new("GW104")
        .with(route.prefix("/", "s2").document())
        .rows([
            get("gw104.test/").to("s2"),
            get("gw104.test/foo").status(500),
            get("gw104.test/extension").status(500),
        ])
        .problem("*", "HTTPRoute default/gw104")
}
