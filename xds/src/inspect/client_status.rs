//! The status of clients as a message of `ClientStatusDiscoveryService`: each stream is a client,
//! with each resource that it asks for (xDS rules 201, 202).

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use seaway_proto::TypeUrl;
use seaway_proto::envoy::admin::UpdateFailureState;
use seaway_proto::envoy::client_status::client_config::GenericXdsConfig;
use seaway_proto::envoy::client_status::{
    ClientConfig, ClientStatusRequest, ClientStatusResponse, ConfigStatus,
};
use seaway_proto::envoy::core::{Node, node::UserAgentVersionType};
use seaway_proto::envoy::text_matcher::string_matcher::MatchPattern;
use seaway_proto::envoy::text_matcher::{NodeMatcher, StringMatcher};
use seaway_proto::google::protobuf::{Any, Timestamp};
use thiserror::Error;

use super::{ContentReport, Inspector, StreamFacts};
use crate::session::Standing;

/// The most bytes of contents in an answer (xDS rule 124); further resources have none.
const CONTENTS: usize = 3 << 20;
/// The most bytes of an answer. It cannot be split.
const ANSWER: usize = 32 << 20;
/// The approximate bytes of a resource besides its strings and its content.
const FRAME: usize = 64;
/// The number of resources that are read at a time.
const PAGE: usize = 10_000;

/// Which streams a caller may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WhoSees {
    /// All.
    All,
    /// Those of its own identity.
    Own(Arc<str>),
}

/// Why a request has no answer.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Unanswerable {
    #[error("{0}: clients are found by node_id alone, exact or by prefix, suffix or part")]
    Matcher(&'static str),
    #[error(
        "the answer would have more than {ANSWER} bytes: ask for fewer clients by node_matchers"
    )]
    TooMuch,
}

/// What has room in an answer yet.
struct Room {
    /// `None`: no further resource has its content in the answer.
    contents: Option<usize>,
    answer: usize,
}

impl Inspector {
    /// The status of those clients that a request asks for and that its caller may see.
    pub(crate) fn client_status(
        &self,
        request: &ClientStatusRequest,
        who: &WhoSees,
    ) -> Result<ClientStatusResponse, Unanswerable> {
        for matcher in &request.node_matchers {
            check(matcher)?;
        }
        let mut room = Room {
            contents: (!request.exclude_resource_contents).then_some(CONTENTS),
            answer: ANSWER,
        };
        let mut config = Vec::new();
        for (facts, _) in self.open.open() {
            let own = match who {
                WhoSees::All => true,
                WhoSees::Own(name) => facts.identity.as_ref() == Some(name),
            };
            let mut matchers = request.node_matchers.iter();
            let asked = request.node_matchers.is_empty() || matchers.any(|of| matches(of, &facts));
            if own && asked {
                config.push(self.client_config(&facts, &mut room)?);
            }
        }
        Ok(ClientStatusResponse { config })
    }

    fn client_config(
        &self,
        facts: &StreamFacts,
        room: &mut Room,
    ) -> Result<ClientConfig, Unanswerable> {
        let mut generic_xds_configs: Vec<GenericXdsConfig> = Vec::new();
        let mut after: Option<(TypeUrl, Arc<str>)> = None;
        loop {
            let behind = after.as_ref().map(|(url, name)| (*url, &**name));
            let page = self.contents(facts.number, |_, _| true, behind, PAGE);
            let page = page.unwrap_or_default();
            let is_last = page.len() < PAGE;
            after = page.last().map(|last| (last.type_url, last.name.clone()));
            for content in page {
                room.take(&content)?;
                generic_xds_configs.push(status(content, room));
            }
            if is_last {
                break;
            }
        }
        room.answer =
            (room.answer.checked_sub(facts.node.len() + FRAME)).ok_or(Unanswerable::TooMuch)?;
        Ok(ClientConfig {
            node: Some(node(facts)),
            generic_xds_configs,
            ..ClientConfig::default()
        })
    }
}

impl Room {
    /// Takes the room of a resource without its content.
    fn take(&mut self, content: &ContentReport) -> Result<(), Unanswerable> {
        let words = content
            .rejection
            .as_ref()
            .map_or(0, |(_, words)| words.len());
        let size = content.type_url.as_str().len() + content.name.len() + words + FRAME;
        self.answer = self.answer.checked_sub(size).ok_or(Unanswerable::TooMuch)?;
        Ok(())
    }

    /// Whether there is room for a content, which is taken then. What comes after the first that
    /// has no room has none either: what is there is one piece.
    fn has(&mut self, content: usize) -> bool {
        self.contents = self.contents.and_then(|room| room.checked_sub(content));
        self.contents.is_some()
    }
}

/// What is known of the node of a client.
fn node(facts: &StreamFacts) -> Node {
    let (name, version) = facts.client.rsplit_once(' ').unwrap_or((&facts.client, ""));
    let version = UserAgentVersionType::UserAgentVersion(version.to_owned());
    Node {
        id: facts.node.to_string(),
        user_agent_name: name.to_owned(),
        user_agent_version_type: Some(version),
        ..Node::default()
    }
}

/// The status of one resource.
fn status(content: ContentReport, room: &mut Room) -> GenericXdsConfig {
    let status = match content.standing {
        Standing::Held => ConfigStatus::Synced,
        Standing::Sent => ConfigStatus::Stale,
        Standing::Owed | Standing::HeldBack => ConfigStatus::NotSent,
        Standing::Rejected => ConfigStatus::Error,
    };
    let version = content.version.to_string();
    let failure = |details: String, at: Option<Instant>| UpdateFailureState {
        last_update_attempt: at.map(timestamp),
        details,
        version_info: version.clone(),
        ..UpdateFailureState::default()
    };
    let error_state = match (content.standing, content.rejection) {
        (Standing::Rejected, Some((at, words))) => Some(failure(words, Some(at))),
        (Standing::Rejected, None) => Some(failure(String::new(), None)),
        (Standing::HeldBack, _) => {
            let words = "held back from this client: other clients rejected it, or it is too large";
            Some(failure(words.to_owned(), None))
        }
        _ => None,
    };
    let value = content.value.filter(|value| room.has(value.len()));
    let type_url = content.type_url.as_str().to_owned();
    GenericXdsConfig {
        xds_config: value.map(|value| Any {
            type_url: type_url.clone(),
            value: value.into(),
        }),
        type_url,
        name: content.name.to_string(),
        version_info: version,
        last_updated: content.changed.map(timestamp),
        config_status: status.into(),
        error_state,
        ..GenericXdsConfig::default()
    }
}

/// A time by the clock of this host.
fn timestamp(at: Instant) -> Timestamp {
    let time = SystemTime::now().checked_sub(at.elapsed());
    let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let since = since.unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
    }
}

/// Fails for a matcher that looks at what is not known of clients.
fn check(matcher: &NodeMatcher) -> Result<(), Unanswerable> {
    if !matcher.node_metadatas.is_empty() {
        return Err(Unanswerable::Matcher("node_metadatas"));
    }
    let pattern = matcher.node_id.as_ref().map(|id| &id.match_pattern);
    match pattern {
        None => Ok(()),
        Some(Some(MatchPattern::SafeRegex(_))) => Err(Unanswerable::Matcher("safe_regex")),
        Some(Some(MatchPattern::Custom(_))) => Err(Unanswerable::Matcher("custom")),
        Some(None) => Err(Unanswerable::Matcher("a node_id without a pattern")),
        Some(Some(_)) => Ok(()),
    }
}

/// Whether a client is one that a matcher asks for.
fn matches(matcher: &NodeMatcher, facts: &StreamFacts) -> bool {
    let id = matcher.node_id.as_ref();
    id.is_none_or(|id| matches_text(id, &facts.node))
}

fn matches_text(matcher: &StringMatcher, text: &str) -> bool {
    let fold = |text: &str| match matcher.ignore_case {
        true => text.to_lowercase(),
        false => text.to_owned(),
    };
    let text = fold(text);
    match &matcher.match_pattern {
        Some(MatchPattern::Exact(of)) => text == fold(of),
        Some(MatchPattern::Prefix(of)) => text.starts_with(&fold(of)),
        Some(MatchPattern::Suffix(of)) => text.ends_with(&fold(of)),
        Some(MatchPattern::Contains(of)) => text.contains(&fold(of)),
        _ => false,
    }
}
