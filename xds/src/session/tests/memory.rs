//! What a stream remembers is counted in bytes and bounded: xDS rule 218.

use super::*;
use crate::store::name_map::cost;

fn names(from: usize, count: usize) -> Vec<String> {
    let rest = "n".repeat(4000);
    let numbers = from..from + count;
    numbers.map(|n| format!("{n:06}{rest}")).collect()
}

fn change(url: &str, subscribe: &[String], unsubscribe: &[String]) -> Request {
    Request {
        type_url: url.to_owned(),
        names: Names::Change {
            subscribe: subscribe.to_vec(),
            unsubscribe: unsubscribe.to_vec(),
            initial: HashMap::new(),
        },
        ..Request::default()
    }
}

fn complete(names: &[String]) -> Request {
    Request {
        type_url: E.as_str().to_owned(),
        names: Names::Complete {
            names: names.to_vec(),
            version: String::new(),
        },
        ..Request::default()
    }
}

/// A client that was sent something and does not answer.
fn unanswered(world: &mut World, dialect: Dialect, client_kind: ClientKind) -> Client {
    world.put(E, "a", "e1");
    let mut client = world.client_like(dialect, client_kind);
    let request = match dialect {
        Dialect::Delta => change(E.as_str(), &["a".to_owned()], &[]),
        Dialect::Sotw => complete(&["a".to_owned()]),
    };
    client.request(request).unwrap();
    client.next().unwrap();
    client
}

#[test]
fn fresh_names_that_are_given_up_at_once_are_not_remembered_rule_218() {
    let mut world = World::new();
    let mut client = unanswered(&mut world, Dialect::Delta, ClientKind::Other);
    for from in 0..20 {
        let names = names(from * 100, 100);
        client.request(change(E.as_str(), &names, &names)).unwrap();
        client.request(change(E.as_str(), &names, &[])).unwrap();
        client.request(change(E.as_str(), &[], &names)).unwrap();
        assert_eq!(client.session.remembered_bytes(), 0);
    }
    for client_kind in [ClientKind::Other, ClientKind::Grpc] {
        let mut client = unanswered(&mut world, Dialect::Sotw, client_kind);
        for from in 0..20 {
            client.request(complete(&names(from * 100, 100))).unwrap();
            // The set itself, and for clients that are told what does not exist that.
            let most = 2 * 100 * cost(&names(0, 1)[0]) + cost("a");
            assert!(client.session.remembered_bytes() <= most);
        }
    }
}

/// Names that are not given up, in requests that each are small.
#[test]
fn a_stream_that_has_too_much_remembered_ends_rule_218() {
    let ask = |client: &mut Client, request: &dyn Fn(usize) -> Request| {
        let mut faults = (0..20).map(|from| client.request(request(from * 1000)).err());
        let fault = faults.find_map(|fault| fault).expect("a fault");
        assert_eq!(fault, ProtocolError::TooMuch);
        assert!(
            fault.is_limit()
                && fault
                    .to_string()
                    .contains(&format!("{MAX_REMEMBERED} bytes"))
        );
        let bytes = client.session.remembered_bytes();
        assert!(
            bytes < MAX_REMEMBERED + 1000 * cost(&names(0, 1)[0]),
            "{bytes}"
        );
    };
    let mut world = World::new();
    ask(&mut world.sotw(), &|from| complete(&names(0, 10 * from)));
    // All types together, and those that are not served.
    let mut client = world.delta();
    ask(&mut client, &|from| {
        let url = [C.as_str(), E.as_str(), "no.such/Type"][from / 1000 % 3];
        change(url, &names(from, 1000), &[])
    });
}

#[test]
fn what_a_client_says_it_has_is_bounded_too_rule_218() {
    let mut world = World::new();
    let mut ask = |names: Vec<String>| {
        let initial = names.into_iter().map(|name| (name, version("1")));
        let names = Names::Change {
            subscribe: vec!["*".to_owned()],
            unsubscribe: vec![],
            initial: initial.collect(),
        };
        let type_url = L.as_str().to_owned();
        let request = Request {
            type_url,
            names,
            ..Request::default()
        };
        world.delta().request(request)
    };
    assert_eq!(ask(names(0, 100)), Ok(Outcome::Plain));
    assert_eq!(ask(names(0, 17_000)), Err(ProtocolError::TooMuch));
    let long = vec!["n".repeat(MAX_NAME + 1)];
    assert_eq!(ask(long), Err(ProtocolError::LongName(MAX_NAME + 1)));
}

/// A client is not to blame for what is taken away from it.
#[test]
fn what_exists_and_what_is_gone_ends_no_stream() {
    let mut world = World::new();
    let names = names(0, 500);
    for name in &names {
        world.set(ALL, E, name, "e1");
    }
    world.commit();
    let mut client = world.delta();
    client.request(change(E.as_str(), &names, &[])).unwrap();
    assert_eq!(client.session.remembered_bytes(), 0);
    client.expect(E);
    for name in &names {
        world.unset(ALL, E, name);
    }
    world.commit();
    let got = client.expect(E);
    assert_eq!(got.removed.len(), names.len());
    // They are still asked for, by name.
    let each = cost(&names[0]);
    assert_eq!(client.session.remembered_bytes(), names.len() * each);
}
