//! The routes of a frontend against what the Service rules say, for any source: Envoy's choice of a
//! filter chain is played here.

use std::net::Ipv4Addr;
use std::num::NonZeroU16;

use proptest::prelude::*;

use super::*;
use crate::model::{AppProtocol, Exposure, Kind, Protocol, ServiceKey, ServicePort, SourceRanges};

const KINDS: [FrontendKind; 4] = [
    FrontendKind::LoadBalancer,
    FrontendKind::ExternalIp,
    FrontendKind::ClusterIp,
    FrontendKind::NodePort,
];
const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));

fn a_service(policy: Policy, ranges: Option<Vec<IpNet>>) -> Service {
    Service {
        key: ServiceKey {
            namespace: "d".into(),
            name: "web".into(),
        },
        created: 0,
        kind: Kind::ClusterIp,
        proxy_name: None,
        selector: "".into(),
        of_gateway: None,
        managed: false,
        cluster_ips: [IpAddr::from([10, 96, 0, 1])].into(),
        primary_family: Family::V4,
        ports: [ServicePort {
            index: 0,
            name: "http".into(),
            number: NonZeroU16::MIN,
            protocol: Protocol::Tcp,
            target: None,
            node_port: None,
            app_protocol: AppProtocol::Http1,
        }]
        .into(),
        external_ips: Box::default(),
        lb_ips: [(0, VIP)].into(),
        exposure: Exposure::ClusterIp,
        internal_policy: Policy::Cluster,
        external_policy: policy,
        health_check_port: None,
        affinity: None,
        proxy_protocol: None,
        outlier_detection: None,
        connect_timeout: None,
        udp_idle_timeout: None,
        accounts: None,
        settings: crate::model::ServiceSettings::default(),
        local_fallback: false,
        source_ranges: SourceRanges {
            v4: ranges.map(Into::into),
            v6: None,
        },
        problems: Box::default(),
    }
}

fn a_node(addresses: Vec<IpAddr>, pods: Vec<IpNet>) -> Node {
    Node {
        leaving: false,
        name: "n1".into(),
        zone: None,
        region: None,
        addresses: addresses.into(),
        pod_cidrs: pods.into(),
        problems: Box::default(),
    }
}

/// Envoy's choice: connections of the same host go to a chain for those if there is one; else the
/// longest range that matches wins, and a chain without a match comes last.
fn chosen(routes: &[SourceRoute], source: IpAddr, destination: IpAddr) -> Option<Policy> {
    let same_host = source == destination || source.is_loopback();
    if let Some(route) = routes.iter().find(|route| route.source == Source::SameHost)
        && same_host
    {
        return Some(route.policy);
    }
    let matches = routes.iter().filter_map(|route| match &route.source {
        Source::SameHost => None,
        Source::Anybody => Some((-1, route.policy)),
        Source::Ranges(ranges) => {
            let own = ranges.iter().filter(|range| range.contains(&source));
            let longest = own.map(|range| i16::from(range.prefix_len())).max()?;
            Some((longest, route.policy))
        }
    });
    let best = matches.max_by_key(|(length, _)| *length)?;
    Some(best.1)
}

/// Few addresses and all lengths, so that ranges nest, touch and repeat.
fn an_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        6 => (0..16u8).prop_map(|last| IpAddr::from([10, 0, 0, last])),
        1 => Just(IpAddr::from([127, 0, 0, 1])),
        1 => Just(IpAddr::from([192, 0, 2, 1])),
    ]
}

fn ranges(most: usize) -> impl Strategy<Value = Vec<IpNet>> {
    let length = prop_oneof![8 => 26..=32u8, 1 => Just(1), 1 => 0..=32u8];
    let range = (an_address(), length)
        .prop_map(|(address, length)| IpNet::new_assert(address, length).trunc());
    prop::collection::vec(range, 0..=most)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Service rules 26 to 30, 72, 73; T019, T020, T021, T022, T023, T024, T074, T075, T076, T077,
    /// T078, T082.
    #[test]
    fn everybody_goes_where_the_rules_say(
        policy in prop::sample::select(&[Policy::Cluster, Policy::Local][..]),
        restriction in prop::option::of(ranges(4)),
        cluster_pods in ranges(2),
        node_pods in ranges(2),
        node_addresses in prop::collection::vec(an_address(), 0..3),
        known in any::<bool>(),
        kind in prop::sample::select(&KINDS[..]),
        sources in prop::collection::vec(an_address(), 8),
    ) {
        let restriction = restriction.filter(|ranges| ranges.iter().all(|range| range.prefix_len() > 0));
        let service = a_service(policy, restriction.clone());
        let frontend = Frontend { kind, ip: VIP, listen: NonZeroU16::MIN, port: 0, index: 0 };
        let options = Options { pod_cidrs: cluster_pods.clone(), ..Options::default() };
        let node = known.then(|| a_node(node_addresses, node_pods));
        let routes = routes(&service, &frontend, VIP, node.as_ref(), &options);
        for source in sources.into_iter().chain([VIP]) {
            let is_in = |ranges: &[IpNet]| ranges.iter().any(|range| range.contains(&source));
            let of_node = node.as_ref().is_some_and(|node| {
                is_in(&node.pod_cidrs) || node.addresses.contains(&source)
            });
            // At a node port other nodes' pods are outside, where this node tells its own.
            let tells = node.as_ref().is_some_and(|node| !node.pod_cidrs.is_empty());
            let of_cluster = is_in(&cluster_pods) && !(kind == FrontendKind::NodePort && tells);
            let inside = of_node || of_cluster || source == VIP || source.is_loopback();
            let allowed = restriction.as_ref().is_none_or(|ranges| {
                let node_allowed = node.as_ref().is_some_and(|node| {
                    node.addresses.iter().any(|own| ranges.iter().any(|range| range.contains(own)))
                });
                is_in(ranges) || (source == VIP && node_allowed)
            });
            let expected = match kind {
                FrontendKind::ClusterIp => Some(Policy::Cluster),
                FrontendKind::LoadBalancer if !allowed => None,
                _ if inside => Some(Policy::Cluster),
                _ => Some(policy),
            };
            prop_assert_eq!(chosen(&routes, source, VIP), expected, "{} {:?}", source, routes);
        }
        // What Envoy would reject or take for everybody.
        let mut seen = std::collections::BTreeSet::new();
        for route in &routes {
            if let Source::Ranges(ranges) = &route.source {
                prop_assert!(!ranges.is_empty());
                prop_assert!(ranges.iter().all(|range| seen.insert(*range)), "{routes:?}");
            }
        }
    }
}
