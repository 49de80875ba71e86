//! Where the endpoints of an assignment are, read without the endpoints.

use prost::Message;

use crate::envoy::core::Locality;

/// A `ClusterLoadAssignment`, of which the localities are read.
#[derive(Clone, PartialEq, Message)]
struct Assignment {
    #[prost(message, repeated, tag = "2")]
    endpoints: Vec<LocalityEndpoints>,
}

/// A `LocalityLbEndpoints`, of which the locality is read.
#[derive(Clone, PartialEq, Message)]
struct LocalityEndpoints {
    #[prost(message, optional, tag = "1")]
    locality: Option<Locality>,
}

/// Whether an encoded `ClusterLoadAssignment` has endpoints in a zone.
pub fn has_zone(assignment: &[u8], zone: &str) -> bool {
    let localities = Assignment::decode(assignment).unwrap_or_default().endpoints;
    let mut localities = localities.into_iter().filter_map(|one| one.locality);
    localities.any(|locality| locality.zone == zone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envoy::endpoint::{ClusterLoadAssignment, LbEndpoint, LocalityLbEndpoints};

    #[test]
    fn zones_are_those_of_endpoints() {
        let of_zone = |zone: &str| LocalityLbEndpoints {
            locality: Some(Locality {
                zone: zone.to_owned(),
                ..Locality::default()
            }),
            lb_endpoints: vec![LbEndpoint::default(); 3],
            ..Default::default()
        };
        let assignment = ClusterLoadAssignment {
            cluster_name: "d/web/80".to_owned(),
            endpoints: vec![LocalityLbEndpoints::default(), of_zone("a"), of_zone("b")],
            ..Default::default()
        };
        let bytes = assignment.encode_to_vec();
        assert!(has_zone(&bytes, "a") && has_zone(&bytes, "b"));
        assert!(!has_zone(&bytes, "c") && !has_zone(&[255], "a"));
    }
}
