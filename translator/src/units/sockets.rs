//! How many listeners an Envoy of role `node` has to bind, against how many it has files for.
//!
//! An Envoy opens a socket per worker for each bound listener and aborts when it may have no more
//! files (`docs/scale.md`). Its limit is not to be seen from here; the operator says what it comes
//! to, and nearing that is a problem before it is an outage.

use std::collections::BTreeMap;

use super::Output;
use crate::model::ServiceKey;
use crate::plan::Context;
use crate::{Problem, Reason, Role, Subject};

/// Of 10 parts of the limit, with more than how many a warning begins.
const NEAR: usize = 8;

/// How near the limit is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Level {
    #[default]
    Fine,
    Near,
    Beyond,
}

/// The bound listeners of every Service.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    by_service: BTreeMap<ServiceKey, usize>,
    total: usize,
    level: Level,
}

impl Sockets {
    /// A Service has this many now.
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

    /// What is wrong, if that changed. The number is left out of the message, or each further
    /// Service would be a further problem.
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
