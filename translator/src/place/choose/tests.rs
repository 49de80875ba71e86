//! The cases of the Service table that are about choosing, by their T-number.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::*;
use crate::model::Endpoint;

/// `a@n1/za R h:za,zb hn:n1`: address, node, zone, condition flag, hints. Flags: R ready, N not
/// ready, T serving and terminating.
fn endpoint(text: &str) -> Endpoint {
    let mut words = text.split_whitespace();
    let place = words.next().unwrap();
    let (name, place) = place.split_once('@').unwrap_or((place, ""));
    let (node, zone) = place.split_once('/').unwrap_or((place, ""));
    let some = |text: &str| (!text.is_empty()).then(|| Arc::<str>::from(text));
    let mut endpoint = Endpoint {
        index: 0,
        ip: IpAddr::V4(Ipv4Addr::new(10, 0, 0, name.as_bytes()[0])),
        condition: Condition::Ready,
        terminating: false,
        node: some(node),
        zone: some(zone),
        hostname: None,
        zone_hints: Box::default(),
        node_hints: Box::default(),
    };
    let list = |text: &str| text.split(',').map(Arc::<str>::from).collect();
    for word in words {
        match word {
            "R" => {}
            "N" => endpoint.condition = Condition::Unusable,
            "T" => endpoint.condition = Condition::ServingTerminating,
            hint if hint.starts_with("h:") => endpoint.zone_hints = list(&hint[2..]),
            hint if hint.starts_with("hn:") => endpoint.node_hints = list(&hint[3..]),
            other => panic!("{other}"),
        }
    }
    endpoint
}

#[track_caller]
fn check(case: &str, set: Set, endpoints: &[&str], place: &str, expected: &[&str]) {
    let endpoints: Vec<Endpoint> = endpoints.iter().map(|text| endpoint(text)).collect();
    let candidates: Vec<Candidate<'_>> = endpoints
        .iter()
        .map(|endpoint| Candidate {
            address: SocketAddr::new(endpoint.ip, 8080),
            endpoint,
            region: None,
        })
        .collect();
    let (node, zone) = place.split_once('/').unwrap_or((place, ""));
    let some = |text| Some(text).filter(|text: &&str| !text.is_empty());
    let place = Place {
        node: some(node),
        zone: some(zone),
    };
    let letter = |i: &usize| match endpoints[*i].ip {
        IpAddr::V4(v4) => char::from(v4.octets()[3]),
        IpAddr::V6(_) => '?',
    };
    let chosen: Vec<String> = choose(&candidates, place, set)
        .iter()
        .map(|priority| priority.iter().map(letter).collect())
        .collect();
    assert_eq!(chosen, expected, "{case}");
}

const LOCAL: Set = Set::Local { fallback: false };
const FALLBACK: Set = Set::Local { fallback: true };

#[test]
fn ready_endpoints_and_the_terminating_fallback() {
    let c = Set::Cluster;
    check("T001", c, &["a@n1/za"], "n1/za", &["a"]);
    check("T042", c, &["a N"], "n1/za", &[]);
    check("T044", c, &["a R", "b N"], "n1/za", &["a"]);
    check("T045", c, &["a N", "b N"], "n1/za", &[]);
    check("T046", c, &["a@n2 T", "b@n3 T"], "n1/za", &["ab"]);
    check("T047", c, &["a R", "b T"], "n1/za", &["a"]);
    check("T054", c, &["a"], "n1/za", &["a"]);
    check("T054, never local", LOCAL, &["a"], "n1/za", &[]);
}

#[test]
fn zone_hints() {
    let c = Set::Cluster;
    let t056 = ["a@n1/za h:za", "b@n2/zb h:zb", "c@n3/zc h:zc"];
    check("T056", c, &t056, "n1/za", &["a", "bc"]);
    check(
        "T067, after the label changed",
        c,
        &t056,
        "n1/zb",
        &["b", "ac"],
    );
    check("T057", c, &["a h:za", "b h:zb", "c"], "n1/za", &["abc"]);
    check("T058", c, &t056, "n9/zd", &["abc"]);
    check("T059", c, &t056, "n1", &["abc"]);
    check("no place", c, &t056, "", &["abc"]);
    check(
        "T060",
        c,
        &["a h:za N", "b h:zb", "c h:zc"],
        "n1/za",
        &["bc"],
    );
    check(
        "T061",
        c,
        &["a N", "b h:za", "c h:zb"],
        "n1/za",
        &["b", "c"],
    );
    check(
        "T062",
        c,
        &["a@n2/zb h:za", "b@n1/za h:zb"],
        "n1/za",
        &["a", "b"],
    );
    let t063 = ["a h:za,zb", "b h:zb"];
    check("T063", c, &t063, "n1/za", &["a", "b"]);
    check("T063, in zb", c, &t063, "n2/zb", &["ab"]);
    check("T068", c, &["a@n2/zb T h:zb"], "n1/za", &["a"]);
}

#[test]
fn node_hints() {
    let c = Set::Cluster;
    let t064 = ["a h:za hn:n1", "b h:za hn:n2", "c h:zb hn:n3"];
    check("T064", c, &t064, "n1/za", &["a", "b", "c"]);
    check("T065", c, &t064, "n4/za", &["ab", "c"]);
    check(
        "T066",
        c,
        &["a h:za hn:n1", "b h:zb hn:n2", "c"],
        "n1/za",
        &["abc"],
    );
    check("on a node without a zone", c, &t064, "n1", &["a", "bc"]);
}

#[test]
fn the_local_set() {
    check("T069", LOCAL, &["a@n1", "b@n2"], "n1", &["a"]);
    check("T070", LOCAL, &["b@n2"], "n1", &[]);
    check("T071", LOCAL, &[], "n1", &[]);
    check("T072", LOCAL, &["a@n1 T", "b@n2"], "n1", &["a"]);
    check(
        "T079, no hints",
        LOCAL,
        &["a@n1/za h:za", "b@n1/za h:zb"],
        "n1/za",
        &["ab"],
    );
    let t080 = ["b@n2", "c@n1 T", "d@n2 T", "e@n1 N"];
    check("T080 L", LOCAL, &t080, "n1", &["c"]);
    check("T080 C", Set::Cluster, &t080, "n1", &["b"]);
    check("no node is not a node", LOCAL, &["a", "b@n1"], "", &[]);
}

#[test]
fn the_local_set_with_fallback() {
    let world = ["a@n1/za", "b@n2/za", "c@n3/zb"];
    check(
        "node, zone, rest",
        FALLBACK,
        &world,
        "n1/za",
        &["a", "b", "c"],
    );
    check(
        "nothing on the node",
        FALLBACK,
        &world,
        "n9/za",
        &["ab", "c"],
    );
    check("nothing in the zone", FALLBACK, &world, "n9/zz", &["abc"]);
    check("nobody", FALLBACK, &world, "", &["abc"]);
    check(
        "ready elsewhere first",
        FALLBACK,
        &["a@n1/za T", "b@n2/zb"],
        "n1/za",
        &["b"],
    );
    check(
        "all terminating",
        FALLBACK,
        &["a@n1/za T", "b@n2/zb T"],
        "n1/za",
        &["a", "b"],
    );
    check(
        "hints do not matter",
        FALLBACK,
        &["a@n1/za h:zb", "b@n2/zb h:za"],
        "n1/za",
        &["a", "b"],
    );
}
