//! What a folder means, as tables: steps of file contents, and what is told after each.

use super::*;
use crate::source::files::testing::{said, service};

/// Puts `contents` into `a.yaml`, one after the other, and compares what is told after the last.
#[track_caller]
fn check(contents: &[&str], expected: &[&str]) {
    let mut state = FolderState::default();
    let mut last = Vec::new();
    for content in contents {
        state.put("a.yaml", content.as_bytes());
        last = said(state.take());
    }
    assert_eq!(last, expected, "{contents:?}");
}

#[test]
fn a_file_gives_its_objects() {
    let (a, b) = (service("a", 1), service("b", 1));
    check(&[&a], &["+Service default/a"]);
    check(
        &[&format!("{a}---\n{b}")],
        &["+Service default/a", "+Service default/b"],
    );
    check(&[&a, &format!("{a}---\n{b}")], &["+Service default/b"]);
    check(&[&format!("{a}---\n{b}"), &b], &["-Service default/a"]);
    check(&[&a, &a], &["nothing"]);
    check(&[&a, &format!("# comment\n{a}")], &["nothing"]);
    check(&[&a, ""], &["-Service default/a"]);
}

#[test]
fn other_kinds_are_none_of_our_business() {
    for other in [
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}",
        "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: a}",
        "apiVersion: v1\nkind: ConfigMap\ndata: {a: 1}",
        "apiVersion: v1\nkind: ConfigMapList\nitems: 7",
    ] {
        check(&[other], &["nothing"]);
    }
}

#[test]
fn lists_are_opened() {
    let item =
        |name: &str| format!("{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}}}");
    let list = format!(
        "apiVersion: v1\nkind: List\nitems: [{}, {}]",
        item("a"),
        item("b")
    );
    check(&[&list], &["+Service default/a", "+Service default/b"]);
    let nested = format!(
        "apiVersion: v1\nkind: List\nitems: [{{apiVersion: v1, kind: List, items: [{}]}}]",
        item("a")
    );
    check(&[&nested], &["+Service default/a"]);
    let typed = "apiVersion: v1\nkind: ServiceList\nitems: [{metadata: {name: a, namespace: x}}]";
    check(&[typed], &["+Service x/a"]);
    check(&["apiVersion: v1\nkind: List\nitems: null"], &["nothing"]);
    let deep = "{apiVersion: v1, kind: List, items: [".repeat(20) + &"]}".repeat(20);
    check(
        &[&deep].map(|deep| deep.as_str()),
        &[&format!(
            "!File a.yaml document 1, line 1{}",
            ", items[0]".repeat(8)
        )],
    );
}

#[test]
fn a_broken_document_harms_neither_neighbours_nor_its_last_good_version() {
    let (a, b, b2) = (service("a", 1), service("b", 1), service("b", 2));
    let broken = "kind: [Service\n";
    let place = "!File a.yaml document 1, line 1";
    check(
        &[&format!("{broken}---\n{b}")],
        &["+Service default/b", place],
    );
    check(
        &[&format!("{a}---\n{b}"), &format!("{broken}---\n{b2}")],
        &["+Service default/b", place],
    );
    check(
        &[&format!("{a}---\n{b}"), &format!("{broken}---\n{b2}"), &b2],
        &["-Service default/a"],
    );
    check(&[&a, &a[..20]], &["?File a.yaml document 1, line 1"]);
    check(&[&a, "hello"], &["!File a.yaml document 1, line 1"]);
    check(&[&a, "- a\n- b"], &["!File a.yaml document 1, line 1"]);
    check(&[&a, "a: \u{1}"], &["!File a.yaml document 1, line 1"]);
}

#[test]
fn the_line_of_an_error_is_the_files_line() {
    let text = format!("{}---\n# here\na: b\n  c: d\n", service("a", 1));
    check(
        &[&text],
        &["+Service default/a", "!File a.yaml document 2, line 8"],
    );
}

#[test]
fn a_wrong_type_keeps_that_object_alone() {
    let (a, b) = (service("a", 1), service("b", 1));
    let wrong = a.replace("port: 1", "port: [1]");
    check(&[&wrong], &["!Service default/a spec.ports[0].port"]);
    check(
        &[&format!("{a}---\n{b}"), &wrong],
        &[
            "-Service default/b",
            "!Service default/a spec.ports[0].port",
        ],
    );
    let metadata = "apiVersion: v1\nkind: Service\nmetadata: 5\n";
    check(&[&a, metadata], &["!File a.yaml metadata"]);
    let nameless = "apiVersion: v1\nkind: Service\nmetadata: {}\n";
    let mut state = FolderState::default();
    state.put("a.yaml", a.as_bytes());
    state.take();
    state.put("a.yaml", nameless.as_bytes());
    assert!(
        state.take().unwrap().changes.is_empty(),
        "which object it was is unknown, so it stays"
    );
}

#[test]
fn bytes_that_are_no_text_are_a_problem() {
    let mut state = FolderState::default();
    state.put("a.yaml", service("a", 1).as_bytes());
    state.take();
    state.put("a.yaml", b"a: 1\n\xff\xfe");
    assert_eq!(said(state.take()), ["!File a.yaml line 2"]);
}

#[test]
fn json_is_read_as_json() {
    let mut state = FolderState::default();
    let service = r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}"#;
    state.put("a.json", service.as_bytes());
    assert_eq!(said(state.take()), ["+Service default/a"]);
    state.put("a.json", b"{\n\"apiVersion\": ");
    assert_eq!(said(state.take()), ["!File a.json document 1, line 2"]);
    state.put("a.json", b"{}");
    assert_eq!(said(state.take()), ["?File a.json document 1"]);
}

#[test]
fn of_two_files_the_first_in_order_counts_until_it_lets_go() {
    let mut state = FolderState::default();
    state.put("b.yaml", service("x", 2).as_bytes());
    assert_eq!(said(state.take()), ["+Service default/x"]);
    state.put("a.yaml", service("x", 1).as_bytes());
    assert_eq!(
        said(state.take()),
        ["+Service default/x", "?Service default/x"]
    );
    state.put("b.yaml", service("x", 3).as_bytes());
    assert_eq!(
        state
            .take()
            .map(|update| (update.changes.len(), update.problems)),
        Some((0, None)),
        "the loser's word changes nothing"
    );
    state.remove("a.yaml");
    assert_eq!(said(state.take()), ["+Service default/x"]);
    state.remove("b.yaml");
    assert_eq!(said(state.take()), ["-Service default/x"]);
}

#[test]
fn a_moved_object_never_goes() {
    let mut state = FolderState::default();
    state.put("b.yaml", service("x", 1).as_bytes());
    state.take();
    state.remove("b.yaml");
    state.put("c.yaml", service("x", 1).as_bytes());
    assert_eq!(said(state.take()), [] as [&str; 0]);
}

#[test]
fn the_first_of_two_documents_counts() {
    let text = format!("{}---\n{}", service("a", 1), service("a", 2));
    check(
        &[&text],
        &["+Service default/a", "?File a.yaml document 2, line 6"],
    );
}

#[test]
fn an_unreadable_file_keeps_what_it_gave() {
    let mut state = FolderState::default();
    state.put("a.yaml", service("a", 1).as_bytes());
    state.take();
    state.unreadable("a.yaml", "permission denied".to_owned());
    assert_eq!(said(state.take()), ["!File a.yaml"]);
    state.unreadable("a.yaml", "permission denied".to_owned());
    assert_eq!(said(state.take()), ["nothing"]);
    state.put("a.yaml", service("a", 1).as_bytes());
    assert_eq!(said(state.take()), [] as [&str; 0], "the problem is over");
}

#[test]
fn aliases_that_explode_are_refused() {
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{},", level - 1).repeat(9);
        bomb += &format!("a{level}: &a{level} [{before}]\n");
    }
    let mut state = FolderState::default();
    state.put("a.yaml", bomb.as_bytes());
    let problems = state.take().unwrap().problems;
    assert!(
        matches!(problems.as_deref().unwrap_or_default(), [one] if one.severity == Severity::Error),
        "{problems:?}"
    );
}

#[test]
fn a_large_list_is_no_attack() {
    let mut list = "apiVersion: v1\nkind: ServiceList\nitems:\n".to_owned();
    for number in 0..20_000 {
        list += &format!("- metadata: {{name: s{number}}}\n  spec: {{ports: [{{port: 80}}]}}\n");
    }
    let mut state = FolderState::default();
    state.put("a.yaml", list.as_bytes());
    let update = state.take().unwrap();
    assert_eq!(
        (update.changes.len(), update.problems),
        (20_000, None),
        "nothing is wrong, as before"
    );
}

#[test]
fn files_below_a_name() {
    let mut state = FolderState::default();
    for path in ["a", "a/b.yaml", "a/c/d.yaml", "a-b.yaml", "ab.yaml"] {
        state.put(path, b"");
    }
    let below: Vec<_> = state.below("a").iter().map(ToString::to_string).collect();
    assert_eq!(below, ["a", "a/b.yaml", "a/c/d.yaml"]);
}

#[test]
fn what_a_file_says_again_is_in_memory_once() {
    let mut state = FolderState::default();
    state.put("a.yaml", service("a", 1).as_bytes());
    let told = state.take().unwrap();
    state.put("a.yaml", format!("# new\n{}", service("a", 1)).as_bytes());
    let entries = state.entries();
    let (Some(Change::Apply(Object::Service(told))), Object::Service(kept)) =
        (told.changes.first(), &entries[0].object)
    else {
        panic!("{entries:?}");
    };
    assert!(Arc::ptr_eq(told, kept));
}

#[test]
fn a_service_that_only_a_cluster_would_give_endpoints_is_said() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.0.0.1, selector: {app: web}, ports: [{port: 80}]}\n";
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\naddressType: IPv4\n";
    let mut state = FolderState::default();
    state.put("service.yaml", service.as_bytes());
    let bare = "?Service default/web spec.selector";
    assert_eq!(said(state.take()), ["+Service default/web", bare]);
    state.put("slice.yaml", slice.as_bytes());
    assert_eq!(said(state.take()), ["+EndpointSlice default/web-1"]);
    state.put(
        "slice.yaml",
        slice.replace("name: web}", "name: www}").as_bytes(),
    );
    assert_eq!(said(state.take()), ["+EndpointSlice default/web-1", bare]);
    state.put("slice.yaml", slice.as_bytes());
    state.take();
    state.remove("slice.yaml");
    assert_eq!(said(state.take()), ["-EndpointSlice default/web-1", bare]);
    state.put(
        "service.yaml",
        service.replace("selector: {app: web}, ", "").as_bytes(),
    );
    assert_eq!(said(state.take()), ["+Service default/web"]);
    let external = service.replace(
        "clusterIP: 10.0.0.1",
        "type: ExternalName, externalName: a.example",
    );
    state.put("service.yaml", external.as_bytes());
    assert_eq!(said(state.take()), ["+Service default/web"]);
}

#[test]
fn endpoints_instead_of_slices_are_said() {
    let mut state = FolderState::default();
    state.put("a.yaml", service("old", 80).as_bytes());
    let endpoints = "apiVersion: v1\nkind: Endpoints\nmetadata: {name: old}\nsubsets: [{addresses: [{ip: 10.1.0.1}], ports: [{port: 1}]}]\n";
    state.put("b.yaml", endpoints.as_bytes());
    let update = state.take().unwrap();
    let problems = update.problems.clone().unwrap_or_default();
    assert!(
        problems[0].message.contains("EndpointSlice"),
        "{problems:?}"
    );
    let endpoints_said = "!Endpoints default/old kind";
    assert_eq!(said(Some(update)), ["+Service default/old", endpoints_said]);
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n- {}",
        endpoints.trim_end().replace('\n', "\n  ")
    );
    state.put("b.yaml", list.as_bytes());
    assert_eq!(said(state.take()), ["nothing"]);
    state.put("b.yaml", endpoints.replace("subsets", "x").as_bytes());
    assert_eq!(said(state.take()), [] as [&str; 0], "no address is missed");
    state.put("b.yaml", endpoints.as_bytes());
    state.take();
    let slice = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: old-1, labels: {kubernetes.io/service-name: old}}\naddressType: IPv4\n";
    state.put("c.yaml", slice.as_bytes());
    assert_eq!(said(state.take()), ["+EndpointSlice default/old-1"]);
    state.remove("c.yaml");
    assert_eq!(
        said(state.take()),
        ["-EndpointSlice default/old-1", endpoints_said]
    );
}
