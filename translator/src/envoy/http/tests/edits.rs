//! Tables of what becomes of paths, ports, names and header values.

use seaway_proto::envoy::core::header_value_option::HeaderAppendAction;
use seaway_proto::envoy::route::redirect_action::RedirectResponseCode;
use seaway_proto::envoy::route::route::Action as RouteKind;

use super::*;
use crate::envoy::http::path_change::{Edit, edit};
use crate::envoy::http::route_action::{At, action};
use crate::envoy::http::{header_changes, lookup, path_change, quoted};
use crate::model::{PathChange, Redirect};

/// What the edit of a path is, in few characters: `whole`, `prefix` or the expression, and the new
/// text.
fn shown(edit: Option<Edit>) -> String {
    match edit {
        None => "none".to_owned(),
        Some(Edit::Whole(path)) => format!("whole {path}"),
        Some(Edit::Prefix(new)) => format!("prefix {new}"),
        Some(Edit::Regex(rewrite)) => {
            let pattern = rewrite.pattern.map(|pattern| pattern.regex);
            format!(
                "{} -> {}",
                pattern.unwrap_or_default(),
                rewrite.substitution
            )
        }
    }
}

#[test]
fn prefixes_are_replaced_element_by_element() {
    let cases = [
        ("/foo", "/xyz", "prefix /xyz"),
        ("/foo", "/xyz/", "prefix /xyz"),
        ("/foo/", "/xyz", "prefix /xyz"),
        ("/foo", "", "^/foo/* -> /"),
        ("/foo", "/", "^/foo/* -> /"),
        ("/a.b", "/", r"^/a\.b/* -> /"),
        ("", "/xyz", "prefix /xyz/"),
        ("/", "/xyz/", "prefix /xyz/"),
        ("/", "/", "none"),
        ("", "", "none"),
    ];
    for (old, new, expected) in cases {
        let found = edit(
            &PathChange::Prefix(new.into()),
            &PathMatch::Prefix(old.into()),
        );
        assert_eq!(shown(found), expected, "{old:?} {new:?}");
    }
}

#[test]
fn whole_paths_are_replaced_literally() {
    let whole = PathChange::Full(r"/a\1".into());
    let found = edit(&whole, &PathMatch::Exact("/x".into()));
    assert_eq!(shown(found), r"whole /a\1");
    assert_eq!(
        shown(Some(Edit::Regex(path_change::whole(r"/a\1")))),
        r"^/.*$ -> /a\\1"
    );
}

#[test]
fn a_redirect_names_a_port_only_where_the_scheme_does_not_imply_it() {
    let cases = [
        // external port, TLS, scheme, port → what is named
        (80, false, None, None, 0),
        (8080, false, None, None, 8080),
        (443, true, None, None, 0),
        (8443, true, None, None, 8443),
        (80, true, None, None, 80),
        (8080, false, Some("https"), None, 0),
        (8080, false, Some("http"), None, 0),
        (80, false, Some("https"), Some(8443), 8443),
        (80, false, Some("https"), Some(443), 0),
        (80, false, Some("https"), Some(80), 80),
        (8080, false, None, Some(80), 0),
        (443, true, None, Some(80), 80),
    ];
    for (external_port, tls, scheme, port, expected) in cases {
        let table = Table { tls, ..table() };
        let redirect = redirect(scheme, port, 302);
        let (rule, all) = (rule(), matching(PathMatch::Prefix("".into())));
        let kind = action(
            At::Host(&table, &Hostname::Any),
            &plan(&rule, &all, Action::Redirect(&redirect, external_port)),
        );
        let RouteKind::Redirect(found) = kind else {
            panic!("a redirect");
        };
        assert_eq!(
            found.port_redirect, expected,
            "{external_port} {scheme:?} {port:?}"
        );
    }
}

fn redirect(scheme: Option<&str>, port: Option<u16>, status: u16) -> Redirect {
    Redirect {
        scheme: scheme.map(Arc::from),
        hostname: None,
        path: None,
        port: port.and_then(NonZeroU16::new),
        status,
    }
}

#[test]
fn redirects_keep_their_status() {
    let cases = [
        (301, RedirectResponseCode::MovedPermanently),
        (302, RedirectResponseCode::Found),
        (303, RedirectResponseCode::SeeOther),
        (307, RedirectResponseCode::TemporaryRedirect),
        (308, RedirectResponseCode::PermanentRedirect),
    ];
    for (status, expected) in cases {
        let redirect = redirect(None, None, status);
        let (rule, all) = (rule(), matching(PathMatch::Prefix("".into())));
        let kind = action(
            At::Host(&table(), &Hostname::Any),
            &plan(&rule, &all, Action::Redirect(&redirect, 80)),
        );
        let RouteKind::Redirect(found) = kind else {
            panic!("a redirect");
        };
        assert_eq!(found.response_code, expected as i32, "{status}");
    }
}

/// The timeout, idle timeout and timeout of one try of a route, as text.
fn limits(request: Option<u32>, backend_request: Option<u32>) -> [Option<String>; 3] {
    let mut rule = rule();
    rule.timeouts = Timeouts {
        request,
        backend_request,
    };
    let (web, all) = (backend("web"), matching(PathMatch::Prefix("".into())));
    let kind = action(
        At::Host(&table(), &Hostname::Any),
        &plan(&rule, &all, Action::Forward(vec![share(&web, 1)])),
    );
    let RouteKind::Route(found) = kind else {
        panic!("a route");
    };
    let single = found.retry_policy.and_then(|policy| policy.per_try_timeout);
    let all = [found.timeout, found.idle_timeout, single];
    all.map(|time| time.map(|time| format!("{}.{:03}", time.seconds, time.nanos / 1_000_000)))
}

#[test]
fn what_is_not_limited_takes_as_long_as_it_likes() {
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(limits(None, None), [some("0.000"), None, None]);
    assert_eq!(
        limits(Some(0), Some(0)),
        [some("0.000"), some("0.000"), None]
    );
    assert_eq!(limits(Some(500), None), [some("0.500"), None, None]);
    let long = [some("600.000"), some("600.000"), some("1.500")];
    assert_eq!(limits(Some(600_000), Some(1_500)), long);
}

#[test]
fn a_rule_goes_before_the_name_of_an_external_service_and_its_backend_before_both() {
    let rewritten = |rule_host: Option<&str>, own: Option<&str>, external: Option<&str>| {
        let mut rule = rule();
        rule.filters.rewrite = rule_host.map(|host| crate::model::Rewrite {
            hostname: Some(host.into()),
            path: None,
        });
        let mut web = backend("web");
        web.hostname = own.map(Arc::from);
        let mut share = share(&web, 1);
        share.to = Ok(Upstream {
            hostname: external.map(Arc::from),
            ..upstream(&web)
        });
        let all = matching(PathMatch::Prefix("".into()));
        let kind = action(
            At::Host(&table(), &Hostname::Any),
            &plan(&rule, &all, Action::Forward(vec![share])),
        );
        format!("{kind:?}")
    };
    let host = |found: &str, expected: &str| {
        assert!(
            found.contains(&format!("HostRewriteLiteral({expected:?})")),
            "{found}"
        );
        assert!(found.contains("append_x_forwarded_host: true"), "{found}");
    };
    host(&rewritten(None, None, Some("external")), "external");
    host(&rewritten(Some("rule"), None, Some("external")), "rule");
    host(
        &rewritten(Some("rule"), Some("own"), Some("external")),
        "own",
    );
    assert!(!rewritten(None, None, None).contains("HostRewriteLiteral"));
}

#[test]
fn values_are_literal() {
    let changes = HeaderChanges {
        set: pairs([("x", "100%"), ("y", "%REQ(:path)%")]),
        add: pairs([("z", "")]),
        remove: [Arc::from("w")].into(),
    };
    let added = header_changes::added(&changes);
    let shown = added.iter().map(|option| {
        let header = option.header.as_ref().unwrap();
        (
            &*header.key,
            &*header.value,
            option.append_action,
            option.keep_empty_value,
        )
    });
    let overwrite = HeaderAppendAction::OverwriteIfExistsOrAdd as i32;
    let append = HeaderAppendAction::AppendIfExistsOrAdd as i32;
    let expected = [
        ("x", "100%%", overwrite, false),
        ("y", "%%REQ(:path)%%", overwrite, false),
        ("z", "", append, true),
    ];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    assert_eq!(header_changes::removed(&changes), ["w"]);
}

#[test]
fn special_characters_match_themselves() {
    assert_eq!(quoted("/a.b+c"), r"/a\.b\+c");
    assert_eq!(quoted(r"(x|y)*[z]{1}?^$\"), r"\(x\|y\)\*\[z\]\{1\}\?\^\$\\");
    assert_eq!(quoted("a-b_c~d"), "a-b_c~d");
}

#[test]
fn no_name_ends_a_string_of_the_lookup_script() {
    let names = [host("*.a\"] = os.exit() --"), host("*.b\\"), host("*.c\n")];
    let text = print(&lookup::lookup(&table(), &names, false));
    assert!(
        text.contains(r"*.a\034\093\032\061\032os.exit\040\041\032--"),
        "{text}"
    );
    assert!(text.contains(r"*.b\092"), "{text}");
    assert!(text.contains(r"*.c\010"), "{text}");
    assert!(text.contains("ANY = false"), "{text}");
}

#[test]
fn the_order_of_wildcards_does_not_matter() {
    let names = ["*.b.c", "*.a.c", "*.c", "*.b.c"].map(host);
    let mut turned = names.clone();
    turned.reverse();
    let one = lookup::lookup(&table(), &names, true);
    assert_eq!(one, lookup::lookup(&table(), &turned, true));
}

#[test]
fn a_redirect_of_a_known_host_names_it_without_the_port_asked_for() {
    let redirect = redirect(Some("https"), None, 302);
    let (rule, all) = (rule(), matching(PathMatch::Prefix("".into())));
    let named = |name: &str| {
        let plan = plan(&rule, &all, Action::Redirect(&redirect, 80));
        match action(At::Host(&table(), &host(name)), &plan) {
            RouteKind::Redirect(found) => found.host_redirect,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(named("shop.example.com"), "shop.example.com");
    assert_eq!(named("*.example.com"), "");
    assert_eq!(named("*"), "");
}

#[test]
fn what_a_backend_sets_or_removes_is_out_of_reach_of_its_rule() {
    let rule = HeaderChanges {
        set: pairs([("a", "rule"), ("b", "rule"), ("c", "rule")]),
        add: pairs([("d", "rule"), ("e", "rule")]),
        remove: ["f", "g"].map(Arc::from).into(),
    };
    let backend = HeaderChanges {
        set: pairs([("a", "backend"), ("d", "backend"), ("f", "backend")]),
        add: pairs([("c", "backend"), ("e", "backend"), ("g", "backend")]),
        remove: [Arc::from("b")].into(),
    };
    let expected = HeaderChanges {
        set: pairs([
            ("c", "rule"),
            ("a", "backend"),
            ("d", "backend"),
            ("f", "backend"),
        ]),
        add: pairs([
            ("e", "rule"),
            ("c", "backend"),
            ("e", "backend"),
            ("g", "backend"),
        ]),
        remove: ["g", "b"].map(Arc::from).into(),
    };
    assert_eq!(header_changes::followed(&rule, &backend), expected);
}
