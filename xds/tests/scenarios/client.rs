//! A client of any variant: on one aggregated stream, or on a stream of its own per type.

use std::collections::BTreeMap;
use std::task::Poll;
use std::time::Duration;

use seaway_proto::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Status,
};
use seaway_proto::envoy::core::Node;
use seaway_proto::google::protobuf::Any;
use seaway_proto::{TypeUrl, Version};
use tokio::time::timeout;
use tokio_stream::Stream as _;
use tonic::transport::Channel;

use crate::codec::{self, Stream};
use crate::world::{C, E, L, R, Variant};

const DEADLINE: Duration = Duration::from_secs(10);
const DELTA_ADS: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const SOTW_ADS: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";

type Delta = Stream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
type Sotw = Stream<DiscoveryRequest, DiscoveryResponse>;

enum Either {
    Delta(Delta),
    Sotw(Sotw),
}

pub(crate) struct Client {
    channel: Channel,
    variant: Variant,
    node: Node,
    proof: Option<String>,
    /// One for the aggregated variants, under the empty name; else one for each type.
    streams: BTreeMap<&'static str, Either>,
    /// The last version and nonce of each type, and the names last asked for.
    last: BTreeMap<&'static str, Last>,
}

#[derive(Clone, Default)]
struct Last {
    version: String,
    nonce: String,
    names: Vec<String>,
}

/// A response of either dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) url: TypeUrl,
    pub(crate) nonce: String,
    /// The version of the response.
    pub(crate) version: String,
    pub(crate) resources: BTreeMap<String, String>,
    pub(crate) removed: Vec<String>,
    pub(crate) bytes: usize,
}

impl Got {
    /// Its resources as `name=value`, then what is removed as `-name`.
    pub(crate) fn says(&self) -> String {
        let resources = self.resources.iter().map(|(n, v)| format!("{n}={v}"));
        let removed = self.removed.iter().map(|n| format!("-{n}"));
        resources.chain(removed).collect::<Vec<_>>().join(" ")
    }
}

pub(crate) fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

pub(crate) fn node(id: &str) -> Node {
    Node {
        id: id.into(),
        ..Node::default()
    }
}

impl Client {
    pub(crate) fn new(channel: Channel, variant: Variant) -> Client {
        Client {
            channel,
            variant,
            node: node("test-id"),
            proof: None,
            streams: BTreeMap::new(),
            last: BTreeMap::new(),
        }
    }

    /// The same as another node.
    pub(crate) fn named(mut self, id: &str) -> Client {
        self.node = node(id);
        self
    }

    /// The same with a proof that it is this.
    pub(crate) fn proven(mut self, name: &str) -> Client {
        self.proof = Some(name.to_owned());
        self
    }

    /// The same with another program behind it.
    pub(crate) fn run_by(mut self, user_agent_name: &str) -> Client {
        self.node.user_agent_name = user_agent_name.into();
        self
    }

    pub(crate) fn is_delta(&self) -> bool {
        self.variant.is_delta()
    }

    pub(crate) fn is_ads(&self) -> bool {
        self.variant.is_ads()
    }

    fn stream_of(&self, url: TypeUrl) -> &'static str {
        match self.variant.is_ads() {
            true => "",
            false => url.as_str(),
        }
    }

    /// Subscribes to names, in state of the world to these alone. No name in the first request is
    /// the legacy wildcard.
    pub(crate) async fn subscribe(&mut self, url: TypeUrl, names: &[&str]) {
        match self.variant.is_delta() {
            true => {
                self.delta(url, |r| r.resource_names_subscribe = strings(names))
                    .await
            }
            false => self.names(url, names).await,
        }
    }

    pub(crate) async fn unsubscribe(&mut self, url: TypeUrl, names: &[&str]) {
        self.delta(url, |r| r.resource_names_unsubscribe = strings(names))
            .await;
    }

    /// State of the world: the complete set of names, with the last nonce and version.
    pub(crate) async fn names(&mut self, url: TypeUrl, names: &[&str]) {
        self.sotw(url, |r| r.resource_names = strings(names)).await;
    }

    /// A delta request, which only the first time on its stream has a node.
    pub(crate) async fn delta(
        &mut self,
        url: TypeUrl,
        edit: impl FnOnce(&mut DeltaDiscoveryRequest),
    ) {
        let mut request = DeltaDiscoveryRequest {
            type_url: url.as_str().into(),
            ..Default::default()
        };
        edit(&mut request);
        let key = self.stream_of(url);
        if let Some(Either::Delta(stream)) = self.streams.get(key) {
            stream.requests.send(request).await.unwrap();
            return;
        }
        request.node = request.node.or_else(|| Some(self.node.clone()));
        let path = match self.variant.is_ads() {
            true => DELTA_ADS.to_owned(),
            false => separate(url, "Delta"),
        };
        let stream = self.open(&path, request).await;
        self.streams.insert(key, Either::Delta(stream));
    }

    /// A state-of-the-world request with the names, version and nonce of before unless edited.
    pub(crate) async fn sotw(&mut self, url: TypeUrl, edit: impl FnOnce(&mut DiscoveryRequest)) {
        let last = self.last.entry(url.as_str()).or_default();
        let mut request = DiscoveryRequest {
            type_url: url.as_str().into(),
            version_info: last.version.clone(),
            response_nonce: last.nonce.clone(),
            resource_names: last.names.clone(),
            ..Default::default()
        };
        edit(&mut request);
        last.names = request.resource_names.clone();
        let key = self.stream_of(url);
        if let Some(Either::Sotw(stream)) = self.streams.get(key) {
            stream.requests.send(request).await.unwrap();
            return;
        }
        request.node = request.node.or_else(|| Some(self.node.clone()));
        let path = match self.variant.is_ads() {
            true => SOTW_ADS.to_owned(),
            false => separate(url, "Stream"),
        };
        let stream = self.open(&path, request).await;
        self.streams.insert(key, Either::Sotw(stream));
    }

    async fn open<Q, S>(&self, path: &str, first: Q) -> Stream<Q, S>
    where
        Q: prost::Message + 'static,
        S: prost::Message + Default + 'static,
    {
        let (channel, proof) = (&self.channel, self.proof.as_deref());
        let opened = codec::try_open(channel, path, proof, Some(first)).await;
        opened.unwrap()
    }

    /// The next response on the stream of this type, which must be of this type.
    pub(crate) async fn read(&mut self, url: TypeUrl) -> Got {
        let got = self.read_any(url).await;
        assert_eq!(got.url, url);
        got
    }

    /// The next response on the stream of this type, of whatever type.
    pub(crate) async fn read_any(&mut self, url: TypeUrl) -> Got {
        let key = self.stream_of(url);
        let message = match self.streams.get_mut(key).expect("a stream") {
            Either::Delta(stream) => timeout(DEADLINE, next(stream, from_delta)).await,
            Either::Sotw(stream) => timeout(DEADLINE, next(stream, from_sotw)).await,
        };
        let got = message.expect("a response in time");
        let last = self.last.entry(got.url.as_str()).or_default();
        last.version.clone_from(&got.version);
        last.nonce.clone_from(&got.nonce);
        got
    }

    /// The status with which the stream of this type ends; nothing else may come before.
    pub(crate) async fn end(&mut self, url: TypeUrl) -> tonic::Status {
        let key = self.stream_of(url);
        let ended = match self.streams.get_mut(key).expect("a stream") {
            Either::Delta(stream) => timeout(DEADLINE, ended(stream)).await,
            Either::Sotw(stream) => timeout(DEADLINE, ended(stream)).await,
        };
        ended.expect("an end in time")
    }

    /// The same, acknowledged.
    pub(crate) async fn next(&mut self, url: TypeUrl) -> Got {
        let got = self.read(url).await;
        self.ack(&got).await;
        got
    }

    pub(crate) async fn ack(&mut self, got: &Got) {
        let url = got.url;
        match self.variant.is_delta() {
            true => {
                self.delta(url, |r| r.response_nonce.clone_from(&got.nonce))
                    .await
            }
            false => self.sotw(url, |_| {}).await,
        }
    }

    /// Rejects a response; in state of the world with the version of `accepted`.
    pub(crate) async fn nack(&mut self, got: &Got, accepted: &str, text: &str) {
        let url = got.url;
        let error = Some(Status {
            code: 3,
            message: text.into(),
            details: vec![],
        });
        match self.variant.is_delta() {
            true => {
                self.delta(url, |r| {
                    r.response_nonce.clone_from(&got.nonce);
                    r.error_detail = error;
                })
                .await;
            }
            false => {
                self.sotw(url, |r| {
                    r.version_info = accepted.into();
                    r.error_detail = error;
                })
                .await;
            }
        }
    }

    /// Everything said to the server so far has been read and answered, and the answers are here:
    /// two calls to and fro on the same connection say so, since all run on one thread, in the
    /// order in which they are woken. No stream may have anything.
    pub(crate) async fn quiet(&mut self) {
        for _ in 0..2 {
            self.round_trip().await;
        }
        for stream in self.streams.values_mut() {
            let got = match stream {
                Either::Delta(stream) => ready(stream, from_delta).await,
                Either::Sotw(stream) => ready(stream, from_sotw).await,
            };
            assert_eq!(got, None, "a response that nothing asked for");
        }
    }

    async fn round_trip(&self) {
        let request = DeltaDiscoveryRequest {
            node: Some(node("test-id")),
            type_url: E.as_str().into(),
            resource_names_subscribe: strings(&["nobody"]),
            ..Default::default()
        };
        let mut stream: Delta = codec::open(&self.channel, DELTA_ADS, request).await;
        let got = timeout(DEADLINE, next(&mut stream, from_delta)).await;
        assert_eq!(got.expect("an answer in time").removed, ["nobody"]);
    }

    /// Ends all streams; the next request is the first of a new one.
    pub(crate) fn reconnect(&mut self) {
        self.streams.clear();
        for last in self.last.values_mut() {
            last.nonce.clear();
        }
    }
}

async fn next<Q, S>(stream: &mut Stream<Q, S>, read: fn(S) -> Got) -> Got {
    let message = stream.responses.message().await;
    read(message.unwrap().expect("a stream that goes on"))
}

async fn ended<Q, S>(stream: &mut Stream<Q, S>) -> tonic::Status {
    let message = stream.responses.message().await;
    message.err().expect("an end of the stream")
}

/// The response that is here already.
async fn ready<Q, S>(stream: &mut Stream<Q, S>, read: fn(S) -> Got) -> Option<Got> {
    let message = std::future::poll_fn(|cx| {
        let responses = std::pin::Pin::new(&mut stream.responses);
        Poll::Ready(match responses.poll_next(cx) {
            Poll::Ready(message) => Some(message),
            Poll::Pending => None,
        })
    });
    let message = message.await?;
    Some(read(message.expect("a stream that goes on").unwrap()))
}

fn known(url: &str) -> TypeUrl {
    let types = [C, E, L, R, TypeUrl::SECRET];
    types.into_iter().find(|t| t.as_str() == url).unwrap()
}

fn separate(url: TypeUrl, prefix: &str) -> String {
    let (package, service, resources) = match url {
        C => ("cluster", "Cluster", "Clusters"),
        E => ("endpoint", "Endpoint", "Endpoints"),
        L => ("listener", "Listener", "Listeners"),
        R => ("route", "Route", "Routes"),
        _ => ("secret", "Secret", "Secrets"),
    };
    format!("/envoy.service.{package}.v3.{service}DiscoveryService/{prefix}{resources}")
}

fn split(any: &Any) -> (String, String) {
    let text = String::from_utf8(any.value.clone()).unwrap();
    let (name, value) = text.split_once('=').unwrap();
    (name.to_owned(), value.to_owned())
}

fn from_delta(message: DeltaDiscoveryResponse) -> Got {
    let bytes = prost::Message::encoded_len(&message);
    let resources = message.resources.into_iter().map(|resource| {
        let any = resource.resource.unwrap();
        assert_eq!(resource.version, Version::of(&any.value).to_string());
        let (name, value) = split(&any);
        assert_eq!(resource.name, name);
        (name, value)
    });
    Got {
        resources: resources.collect(),
        removed: message.removed_resources,
        url: known(&message.type_url),
        nonce: message.nonce,
        version: message.system_version_info,
        bytes,
    }
}

fn from_sotw(message: DiscoveryResponse) -> Got {
    let bytes = prost::Message::encoded_len(&message);
    let count = message.resources.len();
    let resources: BTreeMap<String, String> = message.resources.iter().map(split).collect();
    assert_eq!(resources.len(), count, "a name twice in one response");
    let errors = message.resource_errors.into_iter().map(|error| {
        assert_eq!(error.error_detail.unwrap().code, 5);
        error.resource_name.unwrap().name
    });
    Got {
        resources,
        removed: errors.collect(),
        url: known(&message.type_url),
        nonce: message.nonce,
        version: message.version_info,
        bytes,
    }
}
