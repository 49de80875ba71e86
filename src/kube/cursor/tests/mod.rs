//! Scripted answers of an API server.

use seaway_translator::ObjectKind;
use serde_json::{Value, json};

use super::found::MAX_PAGES;
use super::*;

mod outages;
mod wanted;

const SERVICES: Resource = Resource::of(ObjectKind::Service);

fn service(name: &str, version: u32) -> Value {
    json!({
        "kind": "Service", "apiVersion": "v1",
        "metadata": {"namespace": "default", "name": name, "uid": format!("u-{name}"), "resourceVersion": version.to_string()},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]},
    })
}

fn event(kind: &str, object: &Value) -> Vec<u8> {
    json!({"type": kind, "object": object})
        .to_string()
        .into_bytes()
}

fn bookmark(version: u32, end: bool) -> Vec<u8> {
    let annotations = if end {
        json!({"k8s.io/initial-events-end": "true"})
    } else {
        json!({})
    };
    let metadata = json!({"resourceVersion": version.to_string(), "annotations": annotations});
    event(
        "BOOKMARK",
        &json!({"kind": "Service", "apiVersion": "v1", "metadata": metadata}),
    )
}

fn list(items: &[Value], version: u32, token: &str) -> Vec<u8> {
    let metadata = json!({"resourceVersion": version.to_string(), "continue": token});
    json!({"kind": "ServiceList", "apiVersion": "v1", "metadata": metadata, "items": items})
        .to_string()
        .into_bytes()
}

fn refused(code: u16) -> Failure {
    Failure::Refused {
        code,
        message: String::new(),
        after: None,
    }
}

fn names(news: Option<News>) -> Vec<String> {
    match news {
        Some(News::Reset {
            items,
            complete: true,
        }) => items.iter().map(|item| item.id.name.to_string()).collect(),
        other => panic!("{other:?}"),
    }
}

fn page(cursor: &mut Cursor, text: &[u8]) -> Option<News> {
    let page = Page::parse(text, SERVICES).unwrap();
    cursor.page(&page).unwrap()
}

/// A cursor that has listed one Service, at version 5.
fn listed() -> Cursor {
    let mut cursor = Cursor::new(SERVICES, None);
    cursor.opened();
    cursor.line(&event("ADDED", &service("a", 3))).unwrap();
    assert_eq!(names(cursor.line(&bookmark(5, true)).unwrap()), ["a"]);
    cursor
}

#[test]
fn a_streaming_list_is_one_reset_and_goes_on_as_a_watch() {
    let mut cursor = Cursor::new(SERVICES, None);
    assert_eq!(cursor.ask(), Ask::StreamList);
    cursor.opened();
    for (name, version) in [("a", 3), ("b", 2)] {
        assert_eq!(
            cursor.line(&event("ADDED", &service(name, version))),
            Ok(None)
        );
    }
    assert_eq!(cursor.line(&bookmark(4, false)), Ok(None));
    assert_eq!(names(cursor.line(&bookmark(5, true)).unwrap()), ["a", "b"]);
    assert_eq!(cursor.ask(), Ask::Watch { version: "5" });
    let news = cursor.line(&event("MODIFIED", &service("a", 7))).unwrap();
    assert!(matches!(news, Some(News::Apply(item)) if item.version == "7"));
    let news = cursor.line(&event("DELETED", &service("a", 8))).unwrap();
    assert!(matches!(news, Some(News::Delete(id)) if &*id.name == "a"));
    assert_eq!(cursor.ask(), Ask::Watch { version: "8" });
    assert_eq!(cursor.line(&bookmark(40, false)), Ok(None));
    assert_eq!(cursor.ask(), Ask::Watch { version: "40" });
}

#[test]
fn a_server_without_streaming_lists_is_asked_for_pages_from_then_on() {
    let mut cursor = Cursor::new(SERVICES, None);
    cursor.failed(&refused(422));
    assert_eq!(cursor.ask(), Ask::List { token: None });
    assert_eq!(
        page(&mut cursor, &list(&[service("a", 1)], 9, "more")),
        None
    );
    assert_eq!(
        cursor.ask(),
        Ask::List {
            token: Some("more")
        }
    );
    // A page that fails is asked for again; the pages before it are kept.
    cursor.failed(&Failure::Unreachable("cut".into()));
    cursor.failed(&refused(500));
    assert_eq!(
        cursor.ask(),
        Ask::List {
            token: Some("more")
        }
    );
    let news = page(&mut cursor, &list(&[service("b", 2)], 9, ""));
    assert_eq!(names(news), ["a", "b"]);
    assert_eq!(cursor.ask(), Ask::Watch { version: "9" });
    cursor.failed(&refused(410));
    assert_eq!(cursor.ask(), Ask::List { token: None });
}

#[test]
fn an_expired_token_begins_the_list_anew() {
    let mut cursor = Cursor::new(SERVICES, None);
    cursor.failed(&refused(400));
    page(&mut cursor, &list(&[service("a", 1)], 9, "more"));
    cursor.failed(&refused(410));
    assert_eq!(cursor.ask(), Ask::List { token: None });
    let news = page(&mut cursor, &list(&[service("b", 2)], 12, ""));
    assert_eq!(names(news), ["b"]);
}

#[test]
fn a_streaming_list_that_never_ends_is_read_in_pages_once() {
    let mut cursor = Cursor::new(SERVICES, None);
    cursor.opened();
    cursor.line(&event("ADDED", &service("a", 3))).unwrap();
    cursor.failed(&Failure::Silent(std::time::Duration::from_secs(10)));
    assert_eq!(cursor.ask(), Ask::List { token: None });
    let news = page(&mut cursor, &list(&[service("b", 2)], 12, ""));
    assert_eq!(names(news), ["b"]);
    cursor.failed(&refused(410));
    assert_eq!(cursor.ask(), Ask::StreamList);
}

#[test]
fn a_streaming_list_that_is_cut_is_begun_anew() {
    let mut cursor = Cursor::new(SERVICES, None);
    cursor.opened();
    cursor.line(&event("ADDED", &service("gone", 3))).unwrap();
    cursor.failed(&Failure::Unreachable("cut".into()));
    assert_eq!(cursor.ask(), Ask::StreamList);
    cursor.opened();
    cursor.line(&event("ADDED", &service("a", 4))).unwrap();
    assert_eq!(names(cursor.line(&bookmark(5, true)).unwrap()), ["a"]);
}

#[test]
fn a_watch_goes_on_where_it_was_cut_and_lists_anew_only_what_is_too_old() {
    let mut cursor = listed();
    for failure in [
        Failure::Unreachable("cut".into()),
        refused(500),
        refused(403),
        Failure::Silent(Default::default()),
    ] {
        cursor.failed(&failure);
        cursor.checked("5").unwrap();
        assert_eq!(cursor.ask(), Ask::Watch { version: "5" });
    }
    let gone = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"});
    let failure = cursor.line(&event("ERROR", &gone)).unwrap_err();
    cursor.failed(&failure);
    assert_eq!(cursor.ask(), Ask::StreamList);
}

#[test]
fn a_line_that_cannot_be_read_is_asked_for_again_and_then_listed() {
    let mut cursor = listed();
    let garbage = &event("MODIFIED", &service("a", 6))[..40];
    let failure = cursor.line(garbage).unwrap_err();
    cursor.failed(&failure);
    assert_eq!(cursor.ask(), Ask::Watch { version: "5" });
    // It had been cut.
    assert!(
        cursor
            .line(&event("MODIFIED", &service("a", 6)))
            .unwrap()
            .is_some()
    );
    for expected in [Ask::Watch { version: "6" }, Ask::StreamList] {
        let failure = cursor
            .line(&event(
                "MODIFIED",
                &json!({"kind": "Service", "apiVersion": "v1", "metadata": {"name": 7}}),
            ))
            .unwrap_err();
        cursor.failed(&failure);
        assert_eq!(cursor.ask(), expected);
    }
}

#[test]
fn a_list_with_an_object_without_a_name_is_not_all_there_is() {
    let mut cursor = Cursor::new(SERVICES, None);
    cursor.opened();
    cursor.line(&event("ADDED", &service("a", 3))).unwrap();
    cursor
        .line(&event(
            "ADDED",
            &json!({"kind": "Service", "apiVersion": "v1", "metadata": {}}),
        ))
        .unwrap();
    cursor.line(b"{\"type\":\"ADD").unwrap();
    match cursor.line(&bookmark(5, true)).unwrap() {
        Some(News::Reset {
            items,
            complete: false,
        }) => assert_eq!(items.len(), 1),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_object_of_the_wrong_shape_keeps_its_name_and_says_which_field() {
    let mut cursor = listed();
    let mut bad = service("a", 6);
    bad["spec"]["ports"] = json!([{"port": "eighty"}]);
    let Some(News::Apply(item)) = cursor.line(&event("MODIFIED", &bad)).unwrap() else {
        panic!();
    };
    let problem = item.content.unwrap_err();
    assert_eq!(problem.object.to_string(), "Service default/a");
    assert_eq!(problem.field, "spec.ports[0].port");
    assert_eq!(cursor.ask(), Ask::Watch { version: "6" });
}

#[test]
fn a_list_that_was_not_complete_is_asked_for_again_after_the_watch_that_follows_it() {
    let incomplete = list(&[json!("garbage")], 5, "");
    for interrupted in [true, false] {
        let mut cursor = Cursor::new(SERVICES, None);
        page(&mut cursor, &incomplete);
        assert_eq!(cursor.ask(), Ask::Watch { version: "5" });
        if interrupted {
            cursor.failed(&refused(500));
        } else {
            cursor.ended();
        }
        assert_eq!(cursor.ask(), Ask::StreamList);
        names(page(&mut cursor, &list(&[service("a", 5)], 6, "")));
        cursor.ended();
        assert_eq!(cursor.ask(), Ask::Watch { version: "6" });
    }
}

#[test]
fn an_event_without_a_version_moves_nothing() {
    for kind in ["MODIFIED", "DELETED"] {
        for version in [json!(null), json!(""), json!("0")] {
            let mut cursor = listed();
            let mut object = service("a", 6);
            object["metadata"]["resourceVersion"] = version;
            cursor.line(&event(kind, &object)).unwrap_err();
            assert_eq!(cursor.ask(), Ask::Watch { version: "5" });
        }
    }
}

#[test]
fn an_event_of_another_kind_is_none() {
    let mut other = service("a", 6);
    other["kind"] = json!("Node");
    let mut unknown = service("a", 6);
    unknown["kind"] = Value::Null;
    for kind in ["MODIFIED", "DELETED", "BOOKMARK"] {
        for object in [&other, &unknown] {
            let mut cursor = listed();
            let failure = cursor.line(&event(kind, object)).unwrap_err();
            assert!(matches!(failure, Failure::Foreign(_)), "{failure}");
            cursor.failed(&failure);
            assert_eq!(cursor.ask(), Ask::Check { version: "5" });
        }
    }
}

#[test]
fn a_list_without_an_end_is_given_up() {
    let ends = |next: &dyn Fn(usize) -> String| {
        let mut cursor = Cursor::new(SERVICES, None);
        cursor.failed(&refused(422));
        (0..=2 * MAX_PAGES).find_map(|number| {
            let text = list(&[], 5, &next(number));
            let page = Page::parse(&text, SERVICES).unwrap();
            let failure = cursor.page(&page).err()?;
            assert!(matches!(failure, Failure::Endless(_)), "{failure}");
            assert_eq!(cursor.ask(), Ask::List { token: None });
            Some(number)
        })
    };
    assert_eq!(ends(&|_| "same".to_owned()), Some(1));
    assert_eq!(ends(&|number| number.to_string()), Some(MAX_PAGES));
}

#[test]
fn what_happened_between_two_pages_is_watched_from_the_first() {
    let mut cursor = Cursor::new(SERVICES, None);
    page(&mut cursor, &list(&[service("a", 1)], 9, "more"));
    names(page(&mut cursor, &list(&[service("b", 2)], 12, "")));
    assert_eq!(cursor.ask(), Ask::Watch { version: "9" });
}

#[test]
fn a_stream_that_begins_with_something_else_is_none() {
    for line in [&b"<html>Welcome to the hotel</html>\n"[..], b"{}\n"] {
        let mut cursor = Cursor::new(SERVICES, None);
        cursor.opened();
        let failure = cursor.line(line).unwrap_err();
        assert!(matches!(failure, Failure::Garbled(_)), "{failure}");
        cursor.failed(&failure);
        assert_eq!(cursor.ask(), Ask::StreamList);
    }
}

/// API servers say first what an object is; nobody has to.
#[test]
fn where_an_object_says_what_it_is_does_not_matter() {
    let object = |kind: &str| {
        format!(
            r#"{{"type":"MODIFIED","object":{{{kind},"metadata":{{"name":"a","resourceVersion":"6"}},"spec":{{"clusterIP":"None"}}}}}}"#
        )
    };
    for (kind, well) in [
        (r#""kind":"Service","apiVersion":"v1""#, true),
        (r#""apiVersion":"v1","kind":"Service""#, true),
        (r#""kind":"Service","apiVersion":"v1beta1""#, false),
        (r#""kind":"ServiceImport","apiVersion":"v1""#, false),
        (r#""kind":"Service""#, false),
        (r#""status":{}"#, false),
    ] {
        let read = listed().line(object(kind).as_bytes());
        match read {
            Ok(_) => assert!(well, "{kind}"),
            Err(Failure::Foreign(_)) => assert!(!well, "{kind}"),
            Err(other) => panic!("{kind}: {other}"),
        }
    }
}

#[test]
fn items_of_a_list_need_not_say_what_they_are_but_are_not_something_else() {
    let mut silent = service("a", 1);
    for field in ["kind", "apiVersion"] {
        silent[field] = Value::Null;
    }
    let mut pod = service("b", 1);
    pod["kind"] = json!("Pod");
    let mut older = service("b", 1);
    older["apiVersion"] = json!("v1beta3");
    let metadata_first = r#"{"metadata":{"name":"c"},"kind":"Pod","apiVersion":"v1"}"#;
    let read = |item: &str| {
        let text = String::from_utf8(list(&[], 9, "")).unwrap();
        let text = text.replace("[]", &format!("[{item}]"));
        let page = Page::parse(text.as_bytes(), SERVICES).unwrap();
        Cursor::new(SERVICES, None).page(&page)
    };
    for item in [silent, service("a", 1)] {
        assert_eq!(names(read(&item.to_string()).unwrap()), ["a"]);
    }
    for item in [&pod.to_string(), &older.to_string(), metadata_first] {
        let read = read(item);
        assert!(matches!(read, Err(Failure::Foreign(_))), "{read:?}");
    }
}
