//! Requests for types that are not served (xDS rule 5): no resource of them exists, and the
//! responses to delta clients say so.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::chunk::take_names;
use super::content::CHUNK;
use super::{MAX_NAME, MAX_NAMES, Outcome, ProtocolError, Response, Session};
use crate::store::name_map::{NameSet, cost};
use crate::wire::request::{Names, Request};
use crate::wire::response;

/// The most types that are not served and that one stream may ask for; a client with more is
/// faulty.
pub(super) const UNKNOWN_TYPES: usize = 64;

/// Names that a stream subscribes to of types that are not served, by type, until they are answered
/// as not existing.
#[derive(Debug, Default)]
pub(super) struct Unknown(BTreeMap<Box<str>, NameSet>);

impl Unknown {
    pub(super) fn is_pending(&self) -> bool {
        self.0.values().any(|names| !names.is_empty())
    }

    pub(super) fn bytes(&self) -> usize {
        let types = self.0.iter().map(|(url, names)| cost(url) + names.bytes());
        types.sum()
    }

    fn add(&mut self, url: &str, names: &[&str]) -> Result<(), ProtocolError> {
        if let Some(long) = names
            .iter()
            .chain([&url])
            .find(|name| name.len() > MAX_NAME)
        {
            return Err(ProtocolError::LongName(long.len()));
        }
        if self.0.len() >= UNKNOWN_TYPES && !self.0.contains_key(url) {
            return Err(ProtocolError::TooManyTypes(UNKNOWN_TYPES));
        }
        let waiting: usize = self.0.values().map(NameSet::len).sum();
        if waiting + names.len() > MAX_NAMES {
            return Err(ProtocolError::TooManyNames);
        }
        let all = self.0.entry(url.into()).or_default();
        for name in names {
            all.add(Arc::from(*name));
        }
        Ok(())
    }
}

impl Session {
    /// Takes a request for a type that is not served.
    pub(super) fn unknown_type(&mut self, request: &Request<'_>) -> Result<Outcome, ProtocolError> {
        let names = match &request.names {
            Names::Change { subscribe, .. } => subscribe.as_slice(),
            Names::Complete { .. } => &[],
        };
        self.unknown.add(request.type_url, names)?;
        self.check_remembered()?;
        Ok(Outcome::UnknownType)
    }

    /// A response with names of a type that is not served, as not existing: as many as fit.
    pub(super) fn unknown_names(&mut self) -> Option<Response> {
        let mut types = self.unknown.0.iter_mut();
        let (url, waiting) = types.find(|(_, names)| !names.is_empty())?;
        let (url, names) = (url.clone(), take_names(waiting, CHUNK));
        self.nonce.number += 1;
        Some(Response {
            type_url: None,
            message: response::message(&[], &self.tail(&url, 0, &names)),
            resources: 0,
            large: None,
        })
    }
}
