//! The number of listeners that an Envoy of role `node` has to bind, compared with the number for
//! which it has file descriptors.
//!
//! An Envoy opens a socket per worker for each bound listener and aborts when it may have no more
//! files (`docs/scale.md`). Its limit is not to be seen from here; the operator says what it comes
//! to, and nearing that is a problem before it is an outage.

use std::collections::BTreeMap;

use super::Output;
use crate::model::ServiceKey;
use crate::plan::Context;
use crate::{Problem, Reason, Role, Subject};

/// The share of the limit, in tenths, above which a warning begins.
const NEAR: usize = 8;

/// How near the number of bound listeners is to the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Level {
    /// At most 80 % of the limit, or no limit.
    #[default]
    Fine,
    /// More than 80 % of the limit.
    Near,
    /// More than the limit.
    Beyond,
}

/// The number of bound listeners that every Service needs, and their sum.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    by_service: BTreeMap<ServiceKey, usize>,
    total: usize,
    level: Level,
}

impl Sockets {
    /// Sets the number of listeners of a Service.
    pub(crate) fn set(&mut self, service: &ServiceKey, count: usize) {
        let old = if count == 0 {
            self.by_service.remove(service)
        } else if let Some(known) = self.by_service.get_mut(service) {
            Some(std::mem::replace(known, count))
        } else {
            self.by_service.insert(service.clone(), count)
        };
        self.total = self.total + count - old.unwrap_or_default();
    }

    /// The warning about the number of listeners, if its level changed. The number is left out of
    /// the message, or each further Service would be a further problem.
    pub(crate) fn translate(&mut self, context: &Context<'_>) -> Output {
        let limit = context.options.max_bound_listeners;
        let level = match self.total {
            _ if limit == 0 => Level::Fine,
            total if total > limit => Level::Beyond,
            total if total > limit / 10 * NEAR + limit % 10 * NEAR / 10 => Level::Near,
            _ => Level::Fine,
        };
        if std::mem::replace(&mut self.level, level) == level {
            return Output::default();
        }
        let subject = Subject::Role(Role::Node);
        let share = match level {
            Level::Fine => {
                return Output {
                    problems: Some((subject, Vec::new())),
                    ..Output::default()
                };
            }
            Level::Near => "more than 80 % of",
            Level::Beyond => "more than",
        };
        let message = format!(
            "a proxy binds {share} --max-bound-listeners ({limit}), each once per worker, and an Envoy without files aborts: raise its \
             limit of open files and this one, lower its --concurrency, or use --capture redirect"
        );
        let reason = Reason::TooManyListeners;
        let problem = Problem::warning(subject.clone(), "", reason, message);
        Output {
            problems: Some((subject, vec![problem])),
            ..Output::default()
        }
    }
}
