use prost::Message;
use seaway_proto::discovery::{DeltaDiscoveryRequest, DiscoveryRequest, ResourceLocator, Status};
use seaway_proto::envoy::core::Node;

use super::*;

fn locator(name: &str) -> ResourceLocator {
    ResourceLocator {
        name: name.to_owned(),
        ..Default::default()
    }
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

fn error() -> Option<Status> {
    Some(Status {
        code: 3,
        message: "no".into(),
        details: vec![],
    })
}

#[test]
fn a_delta_request_is_read_as_prost_writes_it() {
    let node = Node {
        id: "n1".into(),
        ..Default::default()
    };
    let message = DeltaDiscoveryRequest {
        node: Some(node.clone()),
        type_url: "type".into(),
        resource_names_subscribe: strings(&["a", "b"]),
        resource_names_unsubscribe: strings(&["c"]),
        initial_resource_versions: [("d".to_owned(), "1".to_owned())].into(),
        response_nonce: "7".into(),
        error_detail: error(),
        resource_locators_subscribe: vec![locator("e")],
        resource_locators_unsubscribe: vec![locator("f")],
    };
    let message = message.encode_to_vec();
    let request = Request::read(Dialect::Delta, &message).unwrap();
    assert_eq!(request.node, Some(&*node.encode_to_vec()));
    assert_eq!(node_id(request.node.unwrap()), Ok("n1"));
    assert_eq!((request.type_url, request.nonce), ("type", "7"));
    assert_eq!(request.error, Some("no"));
    let Names::Change {
        subscribe,
        unsubscribe,
        initial,
    } = request.names
    else {
        panic!("of delta");
    };
    assert_eq!(subscribe, ["a", "b", "e"]);
    assert_eq!(unsubscribe, ["c", "f"]);
    assert_eq!(initial, [("d", "1")]);
}

fn sotw(names: &[&str], locators: &[&str]) -> Vec<u8> {
    let message = DiscoveryRequest {
        version_info: "5".into(),
        resource_names: strings(names),
        type_url: "type".into(),
        response_nonce: "7".into(),
        error_detail: error(),
        resource_locators: locators.iter().map(|name| locator(name)).collect(),
        ..Default::default()
    };
    message.encode_to_vec()
}

fn list(message: &[u8]) -> List<'_> {
    let request = Request::read(Dialect::Sotw, message).unwrap();
    assert_eq!((request.type_url, request.nonce), ("type", "7"));
    assert_eq!(request.error, Some("no"));
    let Names::Complete { names, version } = request.names else {
        panic!("of state of the world");
    };
    assert_eq!(version, "5");
    names
}

#[test]
fn a_list_is_read_when_it_is_wanted_and_known_by_its_hash() {
    let message = sotw(&["a", "bc"], &["d"]);
    let names = list(&message);
    assert_eq!(names.read().unwrap(), ["a", "bc", "d"]);
    assert_eq!(names.hash(), list(&sotw(&["a", "bc"], &["d"])).hash());
    for (names_, locators) in [
        (&["ab", "c"][..], &["d"][..]),
        (&["bc", "a"], &["d"]),
        (&["a", "bc"], &[]),
        (&["a", "bc", "d"], &[]),
    ] {
        let other = sotw(names_, locators);
        assert_ne!(names.hash(), list(&other).hash(), "{names_:?} {locators:?}");
    }
    assert!(list(&sotw(&[], &[])).is_empty());
    assert!(!list(&sotw(&[""], &[])).is_empty());
}

#[test]
fn what_is_not_a_request_is_an_error() {
    for bytes in [
        &b"\x12\x05ab"[..],
        b"\x12\x02\xff\xff",
        b"\xff",
        b"\x0b\x12",
    ] {
        Request::read(Dialect::Delta, bytes).unwrap_err();
    }
    // A text of state of the world that is looked at late.
    let list_ = Request::read(Dialect::Sotw, b"\x1a\x01\xff").unwrap();
    let Names::Complete { names, .. } = list_.names else {
        panic!("of state of the world");
    };
    names.read().unwrap_err();
    // Numbers and unknown fields are passed over.
    Request::read(Dialect::Delta, b"\x08\x01\xfa\x01\x01a").unwrap();
}
