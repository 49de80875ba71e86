//! Reads what scripts of other origins may do, as a route of Gateway API has it in a filter
//! (Gateway rule 74).

use std::sync::Arc;

use super::super::super::api as k8s;
use super::super::super::http::header;
use super::super::super::report::Report;
use super::super::super::route::cors::{ITEMS, MAX_AGE as DEFAULT_AGE, is_origin};
use super::super::super::route::matches;
use super::super::super::value;
use super::{field, flag};
use crate::Reason;
use crate::model::Cors;

/// The origins. Without this annotation the others have no effect.
pub(super) const ORIGINS: &str = "seaway.dev/cors-allow-origins";
/// The methods.
pub(super) const METHODS: &str = "seaway.dev/cors-allow-methods";
/// The headers of requests.
pub(super) const HEADERS: &str = "seaway.dev/cors-allow-headers";
/// The headers of answers.
pub(super) const EXPOSED: &str = "seaway.dev/cors-expose-headers";
/// Whether requests may carry credentials.
pub(super) const CREDENTIALS: &str = "seaway.dev/cors-allow-credentials";
/// For how many seconds the answer to a preflight request holds.
pub(super) const MAX_AGE: &str = "seaway.dev/cors-max-age";

/// How many bytes all lists may have together: every route of the Ingress has them.
const BYTES: usize = 2_048;

/// Reads the annotations. What cannot be read allows nothing.
pub(super) fn read(meta: &k8s::Metadata, report: &mut Report) -> Option<Cors> {
    let is_method = |text: &str| matches::METHODS.contains(&text);
    let is_header = |text: &str| header::name_fault(text).is_none();
    let everything = || [Arc::from("*")].into();
    let mut read = Lists { meta, room: BYTES };
    let origins = read.list(ORIGINS, is_origin, report);
    let methods = read.list(METHODS, is_method, report);
    let headers = read.list(HEADERS, is_header, report);
    let exposed = read.list(EXPOSED, is_header, report);
    let credentials = flag(meta, CREDENTIALS, report);
    let max_age = max_age(meta, report);
    let Some(origins) = origins else {
        for name in [METHODS, HEADERS, EXPOSED, CREDENTIALS, MAX_AGE] {
            if value::annotation(meta, name).is_some() {
                let message = format!("it has no effect without {ORIGINS}");
                report.warning(field(name), Reason::InvalidValue, message);
            }
        }
        return None;
    };
    Some(Cors {
        origins,
        methods: methods.unwrap_or_else(everything),
        headers: headers.unwrap_or_else(everything),
        exposed: exposed.unwrap_or_default(),
        credentials,
        max_age,
    })
}

/// Reads lists.
struct Lists<'a> {
    meta: &'a k8s::Metadata,
    /// How many bytes there may be yet.
    room: usize,
}

impl Lists<'_> {
    /// A list with commas, or `*` alone; `None` if the annotation is not set. What cannot be read
    /// is left out.
    fn list(
        &mut self,
        name: &str,
        is_valid: impl Fn(&str) -> bool,
        report: &mut Report,
    ) -> Option<Box<[Arc<str>]>> {
        let text = value::annotation(self.meta, name)?.trim();
        if text == "*" {
            return Some([text.into()].into());
        }
        let mut all: Vec<Arc<str>> = Vec::new();
        for item in text.split(',').map(str::trim) {
            let room = self.room.checked_sub(item.len());
            let (Some(room), true) = (room, all.len() < ITEMS) else {
                let message = format!(
                    "{item:?} and what follows is left out: there may be {ITEMS} of a kind, and \
                     {BYTES} bytes together"
                );
                report.error(field(name), Reason::TooLarge, message);
                break;
            };
            if is_valid(item) {
                self.room = room;
                all.push(item.into());
            } else {
                let message = format!("{item:?} is not of the form that it should have");
                report.error(field(name), Reason::InvalidValue, message);
            }
        }
        Some(all.into())
    }
}

fn max_age(meta: &k8s::Metadata, report: &mut Report) -> u32 {
    let default = u32::try_from(DEFAULT_AGE).unwrap_or_default();
    let Some(text) = value::annotation(meta, MAX_AGE) else {
        return default;
    };
    let age = value::number(text);
    age.filter(|age| *age > 0).unwrap_or_else(|| {
        let message = format!("{text:?} is not a number of seconds; it is read as {default}");
        report.error(field(MAX_AGE), Reason::InvalidValue, message);
        default
    })
}
