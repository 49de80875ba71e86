//! The open streams of a server: what is known of each from its beginning, and the way to its
//! session.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use seaway_proto::envoy::core::{Node, node::UserAgentVersionType};

use crate::dialect::Dialect;
use crate::metrics::Unacknowledged;
use crate::session::Session;
use crate::store::PlacementId;
use crate::types::Types;

/// The most characters of what a client calls itself.
const LONGEST: usize = 64;

/// A session that its stream shares with those who look at it.
pub(crate) type SharedSession = Arc<Mutex<Session>>;

/// Locks a session, poisoned or not: a stream that panicked is gone anyway.
pub(crate) fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is known of a stream from its beginning.
#[derive(Clone, Debug)]
pub struct StreamFacts {
    /// The number of the stream: the first stream of this server is 1.
    pub number: u64,
    /// The id of the node, by the client's own account.
    pub node: Box<str>,
    /// What the application wants to be shown of the proxy.
    pub about: Vec<(&'static str, Arc<str>)>,
    /// The verified identity, if callers are asked for one.
    pub identity: Option<Arc<str>>,
    /// The remote address.
    pub peer: Option<SocketAddr>,
    /// What the client calls itself, with its version: `envoy 1.40.0`.
    pub client: String,
    /// The variant of the protocol.
    pub dialect: Dialect,
    /// When the stream began.
    pub since: Instant,
    /// The placement through whose layers the proxy sees resources.
    pub placement: PlacementId,
}

/// The open streams of a server, by their number.
#[derive(Debug)]
pub(crate) struct OpenStreams {
    types: Types,
    all: Mutex<All>,
}

/// The open streams, and the number of the newest.
#[derive(Debug, Default)]
struct All {
    newest: u64,
    streams: BTreeMap<u64, OpenStream>,
}

/// An open stream: what is known of it, and its session.
#[derive(Clone, Debug)]
struct OpenStream {
    facts: Arc<StreamFacts>,
    session: Weak<Mutex<Session>>,
}

/// A stream's place among the open ones, until it is dropped.
#[derive(Debug)]
pub(crate) struct Listed {
    streams: Arc<OpenStreams>,
    number: u64,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.streams.all().streams.remove(&self.number);
    }
}

impl OpenStreams {
    pub(crate) fn new(types: Types) -> OpenStreams {
        OpenStreams {
            types,
            all: Mutex::default(),
        }
    }

    /// Lists a stream; its number is given to it here.
    pub(crate) fn list(
        self: &Arc<OpenStreams>,
        mut facts: StreamFacts,
        session: &SharedSession,
    ) -> Listed {
        let mut all = self.all();
        all.newest += 1;
        let number = all.newest;
        facts.number = number;
        let stream = OpenStream {
            facts: Arc::new(facts),
            session: Arc::downgrade(session),
        };
        all.streams.insert(number, stream);
        drop(all);
        Listed {
            streams: self.clone(),
            number,
        }
    }

    /// The open streams and their sessions, in the order in which they began.
    pub(super) fn open(&self) -> Vec<(Arc<StreamFacts>, SharedSession)> {
        let all = self.all();
        let open = all.streams.values();
        open.filter_map(|of| Some((of.facts.clone(), of.session.upgrade()?)))
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        self.all().streams.len()
    }

    /// One of them.
    pub(super) fn find(&self, number: u64) -> Option<(Arc<StreamFacts>, SharedSession)> {
        let all = self.all();
        let of = all.streams.get(&number)?;
        Some((of.facts.clone(), of.session.upgrade()?))
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unacknowledged for OpenStreams {
    fn oldest(&self) -> Vec<(&'static str, Duration)> {
        let mut oldest: Vec<Option<Instant>> = vec![None; self.types.len()];
        for (_, session) in self.open() {
            for (of_type, since) in oldest.iter_mut().zip(lock(&session).unacknowledged()) {
                *of_type = [*of_type, since].into_iter().flatten().min();
            }
        }
        let urls = self.types.specs().iter().map(|spec| spec.url.as_str());
        let ages = oldest
            .into_iter()
            .map(|since| since.map_or(Duration::ZERO, |since| since.elapsed()));
        urls.zip(ages).collect()
    }
}

/// What a client calls itself, by its node: a bounded text without control characters.
pub(crate) fn client(node: &Node) -> String {
    let version = match &node.user_agent_version_type {
        Some(UserAgentVersionType::UserAgentVersion(version)) => version.clone(),
        Some(UserAgentVersionType::UserAgentBuildVersion(build)) => {
            let version = build.version.as_ref();
            version.map_or(String::new(), |of| {
                format!("{}.{}.{}", of.major_number, of.minor_number, of.patch)
            })
        }
        None => String::new(),
    };
    let name = node.user_agent_name.chars().chain([' ']);
    let all = name.chain(version.chars()).filter(|c| !c.is_control());
    all.take(LONGEST).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use seaway_proto::envoy::core::BuildVersion;
    use seaway_proto::envoy::types::SemanticVersion;

    use super::*;

    #[test]
    fn a_client_is_called_what_it_says_within_bounds() {
        let mut node = Node {
            user_agent_name: "gRPC C++".to_owned(),
            user_agent_version_type: Some(UserAgentVersionType::UserAgentVersion(
                "1.70\n".to_owned(),
            )),
            ..Node::default()
        };
        assert_eq!(client(&node), "gRPC C++ 1.70");
        node.user_agent_name = "x".repeat(1000);
        assert_eq!(client(&node).len(), LONGEST);
        node.user_agent_name = "envoy".to_owned();
        node.user_agent_version_type =
            Some(UserAgentVersionType::UserAgentBuildVersion(BuildVersion {
                version: Some(SemanticVersion {
                    major_number: 1,
                    minor_number: 40,
                    patch: 0,
                }),
                ..BuildVersion::default()
            }));
        assert_eq!(client(&node), "envoy 1.40.0");
        assert_eq!(client(&Node::default()), "");
    }
}
