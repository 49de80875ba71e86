//! Errors of single resources in state of the world, for clients that read them: xDS rule 108.

use super::*;

#[test]
fn a_name_that_does_not_exist_is_an_error_once_rule_108() {
    for url in [C, E, L, R] {
        let mut world = World::new();
        world.put(url, "a", "a1");
        let mut client = world.grpc();
        client.names(url, "", &["a", "b", ""]);
        let got = client.expect(url);
        assert_eq!(
            (got.names(), &got.removed[..]),
            (vec!["a1"], &["b".to_owned()][..])
        );
        client.names(url, &got.nonce, &["a", "b", ""]);
        client.expect_nothing();
        world.put(url, "a", "a2");
        let got = client.expect(url);
        assert_eq!((got.names(), got.removed.len()), (vec!["a2"], 0));
        client.names(url, &got.nonce, &["a", "b", ""]);
        world.put(url, "b", "b1");
        let got = client.expect(url);
        assert!(got.names().contains(&"b1") && got.removed.is_empty());
        client.names(url, &got.nonce, &["a", "b", "c", ""]);
        assert_eq!(client.expect(url).removed, ["c"]);
    }
}

#[test]
fn what_is_removed_is_an_error_and_valid_sets_stay_complete_rules_21_108() {
    for url in [C, E, L, R] {
        let mut world = World::new();
        world
            .set(ALL, url, "a", "a1")
            .set(ALL, url, "b", "b1")
            .commit();
        let mut client = world.grpc();
        client.names(url, "", &["a", "b"]);
        let got = client.expect(url);
        client.names(url, &got.nonce, &["a", "b"]);
        world.remove(url, "b");
        let got = client.expect(url);
        let valid = match url {
            C | L => vec!["a1"],
            _ => vec![],
        };
        assert_eq!(
            (got.names(), &got.removed[..]),
            (valid, &["b".to_owned()][..])
        );
        client.names(url, &got.nonce, &["a", "b"]);
        client.wait(2 * PATIENCE);
        client.expect_nothing();
    }
}

#[test]
fn a_client_that_is_all_wrong_is_answered_at_once_rules_102_108() {
    let mut world = World::new();
    let mut client = world.grpc();
    client.names(L, "", &["no:80"]);
    let got = client.expect(L);
    assert_eq!(
        (got.names().len(), &got.removed[..]),
        (0, &["no:80".to_owned()][..])
    );
}

#[test]
fn others_get_no_response_for_an_error_rules_25_108() {
    let mut world = World::new();
    for client_kind in [ClientKind::Envoy, ClientKind::Other] {
        let mut client = world.sotw();
        client.session.set_client_kind(client_kind);
        for url in [C, E, L, R] {
            client.names(url, "", &["no"]);
            client.expect_nothing();
        }
    }
}

#[test]
fn a_name_given_up_before_it_was_answered_is_no_error_rule_35() {
    let mut world = World::new();
    let mut client = world.grpc();
    client.names(R, "", &["a"]);
    let got = client.expect(R);
    client.names(R, "", &["a", "b"]);
    client.names(R, "", &["a", "*"]);
    client.names(R, &got.nonce, &["a", "*"]);
    assert_eq!(client.next().map(|got| got.removed), Some(vec![]));
}
