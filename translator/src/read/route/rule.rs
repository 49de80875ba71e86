//! Reads a rule of a route (Gateway rules 94 and 95).

use super::super::field::{Field, Wrong};
use super::super::report::Report;
use super::filters::Found;
use super::{backend, filters, matches, retry, timeouts};
use crate::Reason;
use crate::model::{
    Backend, Filters, HeaderChanges, Match, PathChange, PathMatch, Retry, Rule, TextMatch, Timeouts,
};

/// What an item of a list costs beside its texts, in bytes.
const ITEM: usize = 64;

/// Reads the rules of one route, and counts what they have together.
pub(super) struct Reader<'a> {
    namespace: &'a str,
    /// How many more matches the route may have.
    matches: usize,
    /// How many more bytes the routes of Envoy may have that are made of the rules.
    bytes: usize,
    /// Whether some rule has a redirect beside a rewrite.
    pub(super) found_incompatible: bool,
}

/// What becomes of the requests of a rule.
struct Action {
    filters: Filters,
    backends: Vec<Backend>,
    timeouts: Timeouts,
    retry: Option<Retry>,
}

impl<'a> Reader<'a> {
    /// A reader of the rules of a route in this namespace.
    pub(super) fn new(namespace: &'a str, bytes: usize) -> Reader<'a> {
        Reader {
            namespace,
            matches: matches::OF_ROUTE,
            bytes,
            found_incompatible: false,
        }
    }

    /// Reads a rule; `None` when it has no match that can be used.
    pub(super) fn read(&mut self, rule: &Field<'_>, report: &mut Report) -> Option<Rule> {
        rule.has_fields(report).ok()?;
        let matches = matches::read(&rule.get("matches"), self.matches, report).ok()?;
        self.matches -= matches.len().min(self.matches);
        let action = self.read_action(rule, &matches, report);
        let broken = action.is_err();
        let action = action.unwrap_or_else(|Wrong| Action {
            filters: Filters::default(),
            backends: Vec::new(),
            timeouts: Timeouts::default(),
            retry: None,
        });
        Some(Rule {
            field: rule.to_string().into(),
            matches: matches.into(),
            filters: action.filters,
            backends: action.backends.into(),
            timeouts: action.timeouts,
            retry: action.retry,
            broken,
        })
    }

    fn read_action(
        &mut self,
        rule: &Field<'_>,
        matches: &[Match],
        report: &mut Report,
    ) -> Result<Action, Wrong> {
        let sessions = rule.get("sessionPersistence");
        if sessions.is_set() {
            let message = "it is not supported yet; the rule is served without it";
            report.warning(&sessions, Reason::UnsupportedField, message);
        }
        let (list, targets) = (rule.get("filters"), rule.get("backendRefs"));
        let found = filters::read(&list, self.namespace, report);
        let backends = backend::read(&targets, self.namespace, report);
        let timeouts = timeouts::read(&rule.get("timeouts"), report);
        let retry = retry::read(&rule.get("retry"), report);
        let (mut found, backends) = (found?, backends?);
        let is_redirect = found.filters.redirect.is_some();
        found.lift(backends.lifted, &targets, report)?;
        self.agree(&found, matches, &list, report)?;
        if is_redirect && !backends.all.is_empty() {
            let message = "a redirect and backendRefs exclude one another";
            return Err(list.error(Reason::UnsupportedFilter, message, report));
        }
        let action = Action {
            filters: found.filters,
            backends: backends.all,
            timeouts: timeouts?,
            retry: retry?,
        };
        let matched: usize = matches.iter().map(match_bytes).sum();
        let bytes = action.bytes().saturating_mul(matches.len()) + matched;
        match self.bytes.checked_sub(bytes) {
            Some(rest) => self.bytes = rest,
            None => {
                let message = "with every match, and for every host name, the rules of the route \
                               become more than Seaway makes of one object";
                return Err(rule.error(Reason::TooLarge, message, report));
            }
        }
        Ok(action)
    }

    /// Whether the filters can be applied together, and to the requests that match.
    fn agree(
        &mut self,
        found: &Found,
        matches: &[Match],
        list: &Field<'_>,
        report: &mut Report,
    ) -> Result<(), Wrong> {
        if found.is_incompatible() {
            self.found_incompatible = true;
            let message = "RequestRedirect and URLRewrite exclude one another";
            return Err(list.error(Reason::UnsupportedFilter, message, report));
        }
        let filters = &found.filters;
        let redirect = filters.redirect.as_ref().and_then(|r| r.path.as_ref());
        let rewrite = filters.rewrite.as_ref().and_then(|r| r.path.as_ref());
        let replaces_prefix = matches!(redirect.or(rewrite), Some(PathChange::Prefix(_)));
        let is_prefix = |one: &Match| matches!(one.path, PathMatch::Prefix(_));
        if replaces_prefix && !matches.iter().all(is_prefix) {
            let message = "ReplacePrefixMatch needs matches of type PathPrefix alone";
            return Err(list.error(Reason::UnsupportedFilter, message, report));
        }
        Ok(())
    }
}

impl Action {
    /// About how many bytes a route of Envoy has that does this.
    fn bytes(&self) -> usize {
        let filters = &self.filters;
        let cors = filters.cors.iter().flat_map(|cors| {
            let lists = [&cors.origins, &cors.methods, &cors.headers, &cors.exposed];
            lists.into_iter().flatten().map(|text| text.len() + ITEM)
        });
        let backends = self.backends.iter().map(|backend| {
            let changes = changed(&backend.request_headers) + changed(&backend.response_headers);
            // A cluster is named after a namespace and a Service.
            changes + 4 * ITEM
        });
        changed(&filters.request_headers)
            + changed(&filters.response_headers)
            + cors.sum::<usize>()
            + backends.sum::<usize>()
            + filters.mirrors.len() * 4 * ITEM
            + self.retry.as_ref().map_or(0, |retry| retry.codes.len() * 4)
            + 16 * ITEM
    }
}

/// About how many bytes a match has.
fn match_bytes(one: &Match) -> usize {
    let path = match &one.path {
        PathMatch::Exact(path) | PathMatch::Prefix(path) | PathMatch::Regex(path) => path.len(),
    };
    let named = one.headers.iter().chain(&one.query).map(|named| {
        let value = match &named.value {
            TextMatch::Exact(text) | TextMatch::Regex(text) => text.len(),
        };
        named.name.len() + value + ITEM
    });
    path + named.sum::<usize>()
}

fn changed(changes: &HeaderChanges) -> usize {
    let pairs = changes.set.iter().chain(&changes.add);
    let pairs = pairs.map(|(name, value)| name.len() + value.len() + ITEM);
    let removed = changes.remove.iter().map(|name| name.len() + ITEM);
    pairs.chain(removed).sum()
}

/// The rule that the CRD gives to a route without any.
pub(super) fn for_everything(field: &str) -> Rule {
    Rule {
        field: field.into(),
        matches: Box::new([matches::everything()]),
        filters: Filters::default(),
        backends: Box::default(),
        timeouts: Timeouts::default(),
        retry: None,
        broken: false,
    }
}

/// Whether a match says something that only Envoy's compiler of regular expressions can judge.
pub(in super::super) fn patterns(one: &Match) -> impl Iterator<Item = &str> {
    let path = match &one.path {
        PathMatch::Regex(pattern) => Some(&**pattern),
        PathMatch::Exact(_) | PathMatch::Prefix(_) => None,
    };
    let named = one.headers.iter().chain(&one.query);
    let named = named.filter_map(|named| match &named.value {
        TextMatch::Regex(pattern) => Some(&**pattern),
        TextMatch::Exact(_) => None,
    });
    path.into_iter().chain(named)
}
