//! Reports of load (`LoadStatsRequest`), parsed in place: a message of a few megabytes would take a
//! hundred times that as structs, if its sender wanted it to (xDS rule 205).

use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use tonic::Status;

use crate::wire::request::{MAX_FIELDS, Malformed, text};

/// A field of a message: its content, or its number.
#[derive(Clone, Copy, Debug)]
enum Field<'a> {
    Content(&'a [u8]),
    Number(u64),
}

/// A cursor over the fields of a message that are numbers or length-delimited.
#[derive(Clone, Debug)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<(u32, Field<'a>)>, Malformed> {
        let left = &mut self.0;
        while !left.is_empty() {
            let (number, wire_type) = decode_key(left)?;
            match wire_type {
                WireType::Varint => return Ok(Some((number, Field::Number(decode_varint(left)?)))),
                WireType::LengthDelimited => {
                    let length = decode_varint(left)?;
                    let length = usize::try_from(length).map_err(|_| Malformed::Length)?;
                    let content = left.get(..length).ok_or(Malformed::Length)?;
                    left.advance(length);
                    return Ok(Some((number, Field::Content(content))));
                }
                other => skip_field(other, number, left, DecodeContext::default())?,
            }
        }
        Ok(None)
    }
}

/// What one client has counted since its last report, cluster by cluster.
#[derive(Debug)]
pub struct LoadReport<'a> {
    fields: Fields<'a>,
    /// How many more clusters and localities may come.
    room: usize,
}

/// What a client has counted of one cluster since its last report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterLoad<'a> {
    /// The name of the cluster.
    pub cluster: &'a str,
    /// The requests that were deliberately dropped.
    pub dropped: u64,
    /// What was counted in each locality.
    pub localities: Vec<LocalityLoad<'a>>,
}

/// What a client has counted of the endpoints of a cluster in one locality.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalityLoad<'a> {
    /// The zone of the endpoints.
    pub zone: &'a str,
    /// The requests that were sent since the last report.
    pub issued: u64,
    /// Those that ended well.
    pub succeeded: u64,
    /// Those that ended in an error of the endpoint.
    pub failed: u64,
    /// The requests that have not ended.
    pub in_progress: u64,
}

impl<'a> LoadReport<'a> {
    /// The report in an encoded `LoadStatsRequest`.
    pub fn of(message: &'a [u8]) -> LoadReport<'a> {
        LoadReport {
            fields: Fields(message),
            room: MAX_FIELDS,
        }
    }

    /// The next cluster of which anything was counted; after the last `None`.
    ///
    /// # Errors
    ///
    /// INVALID_ARGUMENT if this is no report, or one of too many clusters and localities.
    pub fn next_cluster(&mut self) -> Result<Option<ClusterLoad<'a>>, Status> {
        while let Some((number, field)) = self.fields.next()? {
            if let (CLUSTER_STATS, Field::Content(content)) = (number, field) {
                self.take_room()?;
                let cluster = self.cluster(content)?;
                if cluster.dropped > 0 || !cluster.localities.is_empty() {
                    return Ok(Some(cluster));
                }
            }
        }
        Ok(None)
    }

    fn take_room(&mut self) -> Result<(), Malformed> {
        self.room = self.room.checked_sub(1).ok_or(Malformed::Fields)?;
        Ok(())
    }

    /// A `ClusterStats`. Localities of which nothing was counted are left out, and custom metrics
    /// are not read.
    fn cluster(&mut self, message: &'a [u8]) -> Result<ClusterLoad<'a>, Malformed> {
        let mut cluster = ClusterLoad::default();
        let mut fields = Fields(message);
        while let Some(field) = fields.next()? {
            match field {
                (1, Field::Content(name)) => cluster.cluster = text(name)?,
                (3, Field::Number(count)) => cluster.dropped = count,
                (2, Field::Content(content)) => {
                    self.take_room()?;
                    let locality = locality(content)?;
                    if locality.counted() {
                        cluster.localities.push(locality);
                    }
                }
                _ => {}
            }
        }
        Ok(cluster)
    }
}

impl LocalityLoad<'_> {
    fn counted(&self) -> bool {
        [self.issued, self.succeeded, self.failed, self.in_progress] != [0; 4]
    }
}

/// The field number of `cluster_stats` in `LoadStatsRequest`.
const CLUSTER_STATS: u32 = 2;

/// The encoded node of a `LoadStatsRequest`.
pub(crate) fn node(message: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    let (mut node, mut fields) = (None, Fields(message));
    while let Some(field) = fields.next()? {
        if let (1, Field::Content(content)) = field {
            node = Some(content);
        }
    }
    Ok(node)
}

/// The names of the clusters of a `LoadStatsRequest`, whether anything was counted of them or not.
pub(crate) fn clusters(message: &[u8]) -> Result<Vec<&str>, Malformed> {
    let (mut names, mut fields) = (Vec::new(), Fields(message));
    while let Some(field) = fields.next()? {
        let (CLUSTER_STATS, Field::Content(content)) = field else {
            continue;
        };
        // Of a field that is there several times the last one counts.
        let (mut name, mut of_cluster) = (None, Fields(content));
        while let Some(field) = of_cluster.next()? {
            if let (1, Field::Content(content)) = field {
                name = Some(text(content)?);
            }
        }
        if name.is_some() && names.len() == MAX_FIELDS {
            return Err(Malformed::Fields);
        }
        names.extend(name);
    }
    Ok(names)
}

/// An `UpstreamLocalityStats`.
fn locality(message: &[u8]) -> Result<LocalityLoad<'_>, Malformed> {
    let mut load = LocalityLoad::default();
    let mut fields = Fields(message);
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Content(locality)) => load.zone = zone(locality)?,
            (2, Field::Number(count)) => load.succeeded = count,
            (3, Field::Number(count)) => load.in_progress = count,
            (4, Field::Number(count)) => load.failed = count,
            (8, Field::Number(count)) => load.issued = count,
            _ => {}
        }
    }
    Ok(load)
}

/// The zone of a `Locality`.
fn zone(message: &[u8]) -> Result<&str, Malformed> {
    let (mut zone, mut fields) = ("", Fields(message));
    while let Some(field) = fields.next()? {
        if let (2, Field::Content(name)) = field {
            zone = text(name)?;
        }
    }
    Ok(zone)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;
    use seaway_proto::envoy::core::{Locality, Node};
    use seaway_proto::envoy::endpoint::{ClusterStats, UpstreamLocalityStats};
    use seaway_proto::envoy::load_stats::LoadStatsRequest;

    use super::*;

    fn stats((zone, counts): &(String, [u64; 4])) -> UpstreamLocalityStats {
        UpstreamLocalityStats {
            locality: Some(Locality {
                region: "r".to_owned(),
                zone: zone.clone(),
                sub_zone: "s".to_owned(),
            }),
            total_issued_requests: counts[0],
            total_successful_requests: counts[1],
            total_error_requests: counts[2],
            total_requests_in_progress: counts[3],
            priority: 1,
            ..Default::default()
        }
    }

    fn read(message: &[u8]) -> Result<Vec<ClusterLoad<'_>>, Status> {
        let (mut report, mut all) = (LoadReport::of(message), Vec::new());
        while let Some(cluster) = report.next_cluster()? {
            all.push(cluster);
        }
        Ok(all)
    }

    type Cluster = (String, u64, Vec<(String, [u64; 4])>);

    proptest! {
        #[test]
        fn what_is_read_is_what_was_counted(
            sent in prop::collection::vec(
                ("[a-z/]{0,9}", 0..3_u64, prop::collection::vec(("[a-c]{0,1}", any::<[u8; 4]>()), 0..4)),
                0..6,
            )
        ) {
            let sent: Vec<Cluster> = sent
                .into_iter()
                .map(|(name, dropped, of)| {
                    let of = of.into_iter().map(|(zone, counts)| (zone, counts.map(u64::from)));
                    (name, dropped, of.collect())
                })
                .collect();
            let request = LoadStatsRequest {
                node: Some(Node { id: "n".to_owned(), ..Node::default() }),
                cluster_stats: sent
                    .iter()
                    .map(|(name, dropped, of)| ClusterStats {
                        cluster_name: name.clone(),
                        cluster_service_name: "a".to_owned(),
                        total_dropped_requests: *dropped,
                        upstream_locality_stats: of.iter().map(stats).collect(),
                        load_report_interval: Some(seaway_proto::google::protobuf::Duration {
                            seconds: 30,
                            nanos: 1,
                        }),
                        ..Default::default()
                    })
                    .collect(),
            };
            let message = request.encode_to_vec();
            let expected = sent.iter().filter_map(|(name, dropped, of)| {
                let localities: Vec<_> = of
                    .iter()
                    .filter(|(_, counts)| *counts != [0; 4])
                    .map(|(zone, [issued, succeeded, failed, in_progress])| LocalityLoad {
                        zone,
                        issued: *issued,
                        succeeded: *succeeded,
                        failed: *failed,
                        in_progress: *in_progress,
                    })
                    .collect();
                let counted = *dropped > 0 || !localities.is_empty();
                counted.then_some(ClusterLoad {
                    cluster: name,
                    dropped: *dropped,
                    localities,
                })
            });
            prop_assert_eq!(read(&message).unwrap(), expected.collect::<Vec<_>>());
            let names: Vec<_> = sent.iter().map(|(name, ..)| name.as_str()).collect();
            let named: Vec<_> = clusters(&message).unwrap();
            prop_assert_eq!(named, names.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>());
            let node = Node::decode(node(&message).unwrap().unwrap()).unwrap();
            prop_assert_eq!(node.id, "n");
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = (read(&bytes), node(&bytes), clusters(&bytes));
        }
    }

    #[test]
    fn a_report_of_too_many_clusters_or_localities_is_none_rule_205() {
        // Two bytes each, of which prost would make some hundred.
        let clusters = [0x12, 0].repeat(MAX_FIELDS);
        assert_eq!(read(&clusters).unwrap(), []);
        let more = [0x12, 0].repeat(MAX_FIELDS + 1);
        assert!(read(&more).is_err() && super::clusters(&more).unwrap().is_empty());
        // A cluster has one name, however often it says it.
        let names = ClusterStats {
            cluster_name: "last".to_owned(),
            ..Default::default()
        };
        let names = [[0x0a, 0].repeat(MAX_FIELDS + 1), names.encode_to_vec()].concat();
        let mut request = vec![0x12];
        prost::encoding::encode_varint(names.len() as u64, &mut request);
        request.extend(names);
        assert_eq!(super::clusters(&request).unwrap(), ["last"]);
        let localities = ClusterStats {
            upstream_locality_stats: vec![UpstreamLocalityStats::default(); MAX_FIELDS],
            ..Default::default()
        };
        let request = LoadStatsRequest {
            cluster_stats: vec![localities],
            ..Default::default()
        };
        assert!(read(&request.encode_to_vec()).is_err());
    }
}
