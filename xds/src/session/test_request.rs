//! Requests that own their strings, for tests and fuzzing: they reach a session encoded, as those
//! of clients do.

use std::collections::HashMap;
use std::time::Instant;

use prost::Message;
use seaway_proto::discovery::{DeltaDiscoveryRequest, DiscoveryRequest, Status};

use super::{Outcome, ProtocolError, Session};
use crate::dialect::Dialect;
use crate::store::Store;
use crate::wire::request;

/// A request of either dialect that owns its strings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) type_url: String,
    pub(crate) nonce: String,
    pub(crate) error: Option<String>,
    pub(crate) names: Names,
}

/// The names of a [`Request`]: a complete set (state of the world) or changes of one (delta).
#[derive(Clone, Debug)]
pub(crate) enum Names {
    Complete {
        names: Vec<String>,
        version: String,
    },
    Change {
        subscribe: Vec<String>,
        unsubscribe: Vec<String>,
        initial: HashMap<String, String>,
    },
}

impl Default for Names {
    fn default() -> Names {
        Names::Complete {
            names: Vec::new(),
            version: String::new(),
        }
    }
}

impl Request {
    fn encode(self) -> (Dialect, Vec<u8>) {
        let error_detail = self.error.map(|message| Status {
            message,
            ..Status::default()
        });
        match self.names {
            Names::Complete { names, version } => {
                let request = DiscoveryRequest {
                    type_url: self.type_url,
                    response_nonce: self.nonce,
                    error_detail,
                    resource_names: names,
                    version_info: version,
                    ..DiscoveryRequest::default()
                };
                (Dialect::Sotw, request.encode_to_vec())
            }
            Names::Change {
                subscribe,
                unsubscribe,
                initial,
            } => {
                let request = DeltaDiscoveryRequest {
                    type_url: self.type_url,
                    response_nonce: self.nonce,
                    error_detail,
                    resource_names_subscribe: subscribe,
                    resource_names_unsubscribe: unsubscribe,
                    initial_resource_versions: initial,
                    ..DeltaDiscoveryRequest::default()
                };
                (Dialect::Delta, request.encode_to_vec())
            }
        }
    }
}

impl Session {
    /// Encodes a request, decodes it, and takes it.
    pub(crate) fn on_owned(
        &mut self,
        request: Request,
        store: &Store,
        now: Instant,
    ) -> Result<Outcome, ProtocolError> {
        let (dialect, message) = request.encode();
        let request = request::Request::read(dialect, &message)?;
        self.on_request(&request, store, now)
    }
}
