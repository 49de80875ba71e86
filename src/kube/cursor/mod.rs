//! The state of one list-and-watch, without I/O: takes the API server's answers; gives what they
//! change, and what to ask next.
//!
//! A list becomes one reset, however many pages or lines it took and however often it was
//! interrupted: half a list is never seen. After a failure the watch goes on from the
//! resourceVersion it has read up to, once the server has confirmed that it got there: it may have
//! been restored from a backup. A server that has just started may refuse everything for a while,
//! so a refusal is no answer to that until the same server has let a watch begin. A line that
//! cannot be read is asked for once more from there, since it may have been cut; when it is
//! unreadable again, a new list says what it should have said.

mod doubt;
mod found;
mod kept;

use seaway_translator::ObjectId;
use serde_json::value::RawValue;

use super::cluster_state::Wants;
use super::resource::{Item, Resource};
use super::wire::{self, Failure, Line, Page};
use doubt::Doubt;
use found::Found;

/// The next request to the API server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ask<'a> {
    /// A page of the list; the first one is asked for without a continue token.
    List { token: Option<&'a str> },
    /// The list as a stream (`sendInitialEvents`, KEP-3157), which goes on as a watch.
    StreamList,
    /// One object, at a resourceVersion not older than this one: has the server reached it?
    Check { version: &'a str },
    /// A watch from this resourceVersion on.
    Watch { version: &'a str },
}

/// What the API server reports to a watch.
#[derive(Debug, PartialEq)]
pub(super) enum News {
    /// A whole list: there are no other objects, unless it is not `complete`, because some could
    /// not be identified.
    Reset { items: Vec<Item>, complete: bool },
    /// An object appeared or changed.
    Apply(Box<Item>),
    /// An object is gone.
    Delete(ObjectId),
}

/// How far one list-and-watch of a resource has got, and what to ask for next.
#[derive(Debug)]
pub(super) struct Cursor {
    resource: Resource,
    /// Which objects are kept; `None` is all.
    wants: Option<Wants>,
    /// Lists are asked for as streams.
    streams: bool,
    /// The next list is asked for in pages even so.
    pages_once: bool,
    /// The line after the known resourceVersion could not be read and is being asked for again.
    again: bool,
    doubt: Doubt,
    /// The last list had objects that could not be identified, so that nothing was removed. It is
    /// asked for anew as soon as the watch after it ends.
    incomplete: bool,
    state: State,
}

/// The stage of a list-and-watch.
#[derive(Debug)]
enum State {
    /// Nothing is known, or nothing of it holds any longer.
    Start,
    /// Some pages have been read, all of one version.
    Pages {
        token: String,
        version: String,
        found: Found,
    },
    /// A list comes as a stream.
    Stream { found: Found },
    /// Everything up to this version is known.
    At { version: String },
}

impl Cursor {
    /// A cursor at the start. With `wants` it passes over all objects but the wanted ones, and
    /// decodes no more of them than their names (Gateway rule 38).
    pub(super) fn new(resource: Resource, wants: Option<Wants>) -> Cursor {
        Cursor {
            resource,
            wants,
            streams: true,
            pages_once: false,
            again: false,
            doubt: Doubt::None,
            incomplete: false,
            state: State::Start,
        }
    }

    /// What is listed and watched.
    pub(super) fn resource(&self) -> Resource {
        self.resource
    }

    /// What to ask next.
    pub(super) fn ask(&self) -> Ask<'_> {
        match &self.state {
            State::Start | State::Stream { .. } if self.streams && !self.pages_once => {
                Ask::StreamList
            }
            State::Start | State::Stream { .. } => Ask::List { token: None },
            State::Pages { token, .. } => Ask::List { token: Some(token) },
            State::At { version } => match self.doubt {
                Doubt::Check | Doubt::Confirm(_) => Ask::Check { version },
                Doubt::None | Doubt::Probe => Ask::Watch { version },
            },
        }
    }

    /// Notes that a streaming list or a watch has begun. What [`Cursor::ask`] returns may change by
    /// that.
    pub(super) fn opened(&mut self) {
        if self.doubt == Doubt::Probe {
            self.doubt = Doubt::Confirm(0);
        }
        if matches!(self.state, State::Start) {
            self.state = State::Stream {
                found: Found::default(),
            };
        }
    }

    /// Notes that the server has reached this resourceVersion.
    ///
    /// # Errors
    /// It was further before.
    pub(super) fn checked(&mut self, reached: &str) -> Result<(), Failure> {
        if let State::At { version } = &self.state {
            not_before(version, reached)?;
        }
        self.doubt = Doubt::None;
        Ok(())
    }

    /// Takes in a page of a list.
    ///
    /// # Errors
    /// It is not a page of this list, or the list never ends. It has to be begun anew.
    pub(super) fn page(&mut self, page: &Page<'_>) -> Result<Option<News>, Failure> {
        // The version of the first page is that of all. Where a server has it otherwise, a watch
        // from there tells what happened since.
        let (mut found, version, asked) = match std::mem::replace(&mut self.state, State::Start) {
            State::Pages {
                found,
                version,
                token,
            } => (found, version, Some(token)),
            _ => (Found::default(), page.version.clone(), None),
        };
        for raw in &page.items {
            if let Some(item) = self.read(raw).transpose() {
                found.add(item)?;
            }
        }
        found.grow(1, page.size)?;
        let Some(token) = page.token.clone() else {
            return Ok(Some(self.listed(version, found)));
        };
        if asked.is_some_and(|asked| asked == token) {
            let what = "the list does not end: a page has its own continue token again";
            return Err(Failure::Endless(what.to_owned()));
        }
        self.state = State::Pages {
            token,
            version,
            found,
        };
        Ok(None)
    }

    /// Takes in a line of a watch or a streaming list.
    ///
    /// # Errors
    /// The watch is over, or has to be asked for anew.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<Option<News>, Failure> {
        if let State::Stream { found } = &mut self.state {
            found.grow(0, line.len())?;
        }
        let is_secret = self.resource.is_secret();
        let read = match Line::parse(line, self.resource) {
            Ok(Line::Failed(failure)) => return Err(failure),
            Ok(line) => self.take(line),
            Err(failure) if is_secret => Err(failure.unquoted()),
            Err(failure) => Err(failure),
        };
        match read {
            Ok(news) => {
                self.again = false;
                Ok(news)
            }
            Err(failure) => self.unreadable(failure),
        }
    }

    /// Lists next, although the watch could go on.
    pub(super) fn start_over(&mut self) {
        self.state = State::Start;
    }

    /// Lists next, in pages: the API server asks its storage for those, and not its cache.
    pub(super) fn start_over_in_pages(&mut self) {
        self.pages_once = true;
        self.state = State::Start;
    }

    /// Up to which resourceVersion everything is known; `None` before a list is complete.
    pub(super) fn reached(&self) -> Option<&str> {
        match &self.state {
            State::At { version } => Some(version),
            _ => None,
        }
    }

    /// Notes that the watch has ended, as all do.
    pub(super) fn ended(&mut self) {
        if std::mem::take(&mut self.incomplete) {
            self.state = State::Start;
        }
    }

    /// Why a streaming list ended early, if one of its lines could not be read.
    pub(super) fn unreadable_line(&mut self) -> Option<Failure> {
        match &mut self.state {
            State::Stream { found } => found.unreadable.take(),
            _ => None,
        }
    }

    /// Takes in that a request failed. `true`: the server does not tell its resourceVersion, and
    /// will not.
    pub(super) fn failed(&mut self, failure: &Failure) -> bool {
        self.ended();
        if failure.is_gone() {
            self.state = State::Start;
        }
        let given_up = self.doubt(failure);
        self.relist(failure);
        given_up
    }

    /// Updates the doubt after a failure. Returns whether the server is no longer asked how far it
    /// is.
    fn doubt(&mut self, failure: &Failure) -> bool {
        let before = self.doubt;
        self.doubt = before.after(failure);
        matches!(before, Doubt::Confirm(_)) && self.doubt == Doubt::None && !failure.is_gone()
    }

    /// Decides after a failure how the next list is asked for.
    fn relist(&mut self, failure: &Failure) {
        if !matches!(self.ask(), Ask::StreamList) {
            return;
        }
        // An older server does not know lists as streams: it says so, or it never says that
        // everything has been sent.
        match failure {
            Failure::Refused {
                code: 400 | 422, ..
            } => self.streams = false,
            Failure::Silent(_) => self.pages_once = true,
            _ => {}
        }
        self.state = State::Start;
    }

    /// Decodes an object; `None` if it is not kept.
    ///
    /// # Errors
    /// It cannot be identified, or is of another kind.
    pub(super) fn read(&self, raw: &RawValue) -> Result<Option<Item>, Failure> {
        kept::read(self.resource, self.wants.as_ref(), raw)
    }

    fn take(&mut self, line: Line<'_>) -> Result<Option<News>, Failure> {
        let (resource, wants) = (self.resource, self.wants.as_ref());
        match (&mut self.state, line) {
            (State::Stream { found }, Line::Applied(raw)) => {
                if let Some(item) = kept::read(resource, wants, raw).transpose() {
                    found.add(item)?;
                }
                Ok(None)
            }
            (
                State::Stream { found },
                Line::Bookmark {
                    version,
                    initial_end: true,
                },
            ) => {
                let found = std::mem::take(found);
                Ok(Some(self.listed(version, found)))
            }
            (State::At { version }, Line::Applied(raw)) => {
                let Some(item) = kept::read(resource, wants, raw)? else {
                    let (_, at) = resource.identify(raw)?;
                    advance(version, at, "an object")?;
                    return Ok(None);
                };
                advance(version, item.version.clone(), "an object")?;
                Ok(Some(News::Apply(Box::new(item))))
            }
            (State::At { version }, Line::Deleted(raw)) => {
                let (id, at) = resource.identify(raw)?;
                // Some servers say of what is gone which version it had, and not which one is
                // reached.
                match advance(version, at, "an object") {
                    Ok(()) | Err(Failure::Reversed(_)) => {}
                    Err(failure) => return Err(failure),
                }
                Ok(Some(News::Delete(id)))
            }
            (State::At { version }, Line::Bookmark { version: at, .. }) => {
                advance(version, at, "a bookmark")?;
                Ok(None)
            }
            // Nothing is deleted in a list, and no list is read by lines before it was asked for.
            _ => Ok(None),
        }
    }

    fn listed(&mut self, version: String, found: Found) -> News {
        self.pages_once = false;
        self.again = false;
        self.doubt = Doubt::None;
        self.incomplete = !found.is_complete();
        self.state = State::At { version };
        found.reset()
    }

    /// Takes in that a line could not be read.
    fn unreadable(&mut self, failure: Failure) -> Result<Option<News>, Failure> {
        match (&mut self.state, failure) {
            // A stream that begins like this is none.
            (State::Stream { found }, failure @ Failure::Garbled(_)) if !found.is_empty() => {
                found.add(Err(failure))?;
                Ok(None)
            }
            (State::At { .. }, failure @ (Failure::Garbled(_) | Failure::Foreign(_))) => {
                if std::mem::replace(&mut self.again, true) {
                    self.again = false;
                    self.state = State::Start;
                }
                Err(failure)
            }
            (_, failure) => Err(failure),
        }
    }
}

/// Goes on to a resourceVersion.
///
/// # Errors
/// It is missing, or older.
fn advance(version: &mut String, to: String, of: &str) -> Result<(), Failure> {
    let to = wire::version(Some(to), of)?;
    not_before(version, &to)?;
    *version = to;
    Ok(())
}

/// Checks that a resourceVersion is not older than another. Where they are not numbers, nothing is
/// known.
fn not_before(version: &str, now: &str) -> Result<(), Failure> {
    match (version.parse::<u64>(), now.parse::<u64>()) {
        (Ok(before), Ok(after)) if after < before => Err(Failure::Reversed(format!(
            "the API server went back from version {before} to {after}"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
