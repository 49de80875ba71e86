//! Where a watch stands, as plain state: answers of the API server go in; what is new, and what to ask next, comes out.
//!
//! A list becomes one reset, however many pages or lines it took and however often it was interrupted: nobody ever sees half of
//! one. After a failure the watch goes on from the version it has read up to, once the server has confirmed that it got there: it may
//! have been restored from a backup. A server that has just started may refuse everything for a while, so a refusal is no answer to that
//! until the same server has let a watch begin. A line that cannot be read is asked for once more
//! from there, since it may have been cut; when it is the same again, a new list says what it should have said.

mod found;

use seaway_translator::ObjectId;

use super::resource::{Item, Resource};
use super::wire::{self, Failure, Line, Page};
use found::Found;

/// How often a server that lets watches begin, but is busy, is asked how far it is.
const TRIES: u8 = 5;

/// What to ask the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ask<'a> {
    /// A page of the list, the first without a token.
    List { token: Option<&'a str> },
    /// The list as a stream (KEP-3157), which goes on as a watch.
    StreamList,
    /// Whether this version has been reached.
    Check { version: &'a str },
    /// What happened after this version.
    Watch { version: &'a str },
}

/// What the server has said.
#[derive(Debug, PartialEq)]
pub(super) enum News {
    /// This is everything there is. Not `complete`: something there is could not be identified.
    Reset { items: Vec<Item>, complete: bool },
    /// An object appeared or changed.
    Apply(Box<Item>),
    /// An object is gone.
    Delete(ObjectId),
}

/// The state of one watch.
#[derive(Debug)]
pub(super) struct Cursor {
    resource: Resource,
    /// The server is asked for lists as streams.
    streams: bool,
    /// The next list is asked for in pages all the same.
    pages_once: bool,
    /// The line after the known version is being asked for again.
    again: bool,
    doubt: Doubt,
    /// The last list held something that could not be identified, and so nothing was removed. It is asked for anew as soon as the watch
    /// after it ends.
    incomplete: bool,
    state: State,
}

/// The server was away: it may have come back as an older one, for which the known version lies in the future. Such a server says
/// nothing on a watch until it gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    None,
    /// It is asked how far it is.
    Check,
    /// It refused to say. If it lets a watch begin, it means that; else it has not started completely.
    Probe,
    /// It has let a watch begin, and is asked again, for the last times.
    Confirm(u8),
}

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
    pub(super) fn new(resource: Resource) -> Cursor {
        Cursor {
            resource,
            streams: true,
            pages_once: false,
            again: false,
            doubt: Doubt::None,
            incomplete: false,
            state: State::Start,
        }
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

    /// A streaming list or a watch begins. [`Cursor::ask`] may have become something else by that.
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

    /// The server says that it has reached this version.
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

    /// A page of a list.
    ///
    /// # Errors
    /// The list is none, or never ends. It has to be begun anew.
    pub(super) fn page(&mut self, page: &Page<'_>) -> Result<Option<News>, Failure> {
        // The version of the first page is that of all. Where a server has it otherwise, a watch from there tells what happened since.
        let (mut found, version, asked) = match std::mem::replace(&mut self.state, State::Start) {
            State::Pages {
                found,
                version,
                token,
            } => (found, version, Some(token)),
            _ => (Found::default(), page.version.clone(), None),
        };
        for raw in &page.items {
            found.add(self.resource.read(raw))?;
        }
        found.grow(1, page.size)?;
        let Some(token) = page.token.clone() else {
            return Ok(Some(self.listed(version, found)));
        };
        if asked.is_some_and(|asked| asked == token) {
            let what = "a list without an end: the same page is said to follow itself";
            return Err(Failure::Endless(what.to_owned()));
        }
        self.state = State::Pages {
            token,
            version,
            found,
        };
        Ok(None)
    }

    /// A line of a watch.
    ///
    /// # Errors
    /// The watch is over, or has to be: it has to be asked for anew.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<Option<News>, Failure> {
        if let State::Stream { found } = &mut self.state {
            found.grow(0, line.len())?;
        }
        let read = match Line::parse(line, self.resource) {
            Ok(Line::Failed(failure)) => return Err(failure),
            Ok(line) => self.take(line),
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

    /// The watch has ended, as all do.
    pub(super) fn ended(&mut self) {
        if std::mem::take(&mut self.incomplete) {
            self.state = State::Start;
        }
    }

    /// Why a list as a stream has ended before its time, where a line of it says that.
    pub(super) fn unreadable_line(&mut self) -> Option<Failure> {
        match &mut self.state {
            State::Stream { found } => found.unreadable.take(),
            _ => None,
        }
    }

    /// The server said why it does not answer, or said nothing. `true`: it does not say how far it is, and will not.
    pub(super) fn failed(&mut self, failure: &Failure) -> bool {
        self.ended();
        if failure.is_gone() {
            self.state = State::Start;
        }
        let given_up = self.doubt(failure);
        self.relist(failure);
        given_up
    }

    /// What a failure means for whether the server is as far as it was.
    fn doubt(&mut self, failure: &Failure) -> bool {
        let before = self.doubt;
        self.doubt = match failure {
            Failure::Unreachable(_) | Failure::Silent(_) | Failure::Foreign(_) => Doubt::Check,
            Failure::Refused { code, .. } => match before {
                Doubt::Check => Doubt::Probe,
                Doubt::Probe => Doubt::Check,
                // It may say so a little later.
                Doubt::Confirm(tries) if (*code == 429 || *code >= 500) && tries < TRIES => {
                    Doubt::Confirm(tries + 1)
                }
                Doubt::Confirm(_) | Doubt::None => Doubt::None,
            },
            _ => before,
        };
        matches!(before, Doubt::Confirm(_)) && self.doubt == Doubt::None && !failure.is_gone()
    }

    /// What a failure means for how the next list is asked for.
    fn relist(&mut self, failure: &Failure) {
        if !matches!(self.ask(), Ask::StreamList) {
            return;
        }
        // An older server does not know lists as streams: it says so, or it never says that everything has been sent.
        match failure {
            Failure::Refused {
                code: 400 | 422, ..
            } => self.streams = false,
            Failure::Silent(_) => self.pages_once = true,
            _ => {}
        }
        self.state = State::Start;
    }

    fn take(&mut self, line: Line<'_>) -> Result<Option<News>, Failure> {
        match (&mut self.state, line) {
            (State::Stream { found }, Line::Applied(raw)) => {
                found.add(self.resource.read(raw))?;
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
                let item = self.resource.read(raw)?;
                advance(version, item.version.clone(), "an object")?;
                Ok(Some(News::Apply(Box::new(item))))
            }
            (State::At { version }, Line::Deleted(raw)) => {
                let (id, at) = self.resource.identify(raw)?;
                // Some servers say of what is gone which version it had, and not which one is reached.
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

    /// A line that is none.
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

/// Goes on to a version.
///
/// # Errors
/// There is none, or it is an older one.
fn advance(version: &mut String, to: String, of: &str) -> Result<(), Failure> {
    let to = wire::version(Some(to), of)?;
    not_before(version, &to)?;
    *version = to;
    Ok(())
}

/// Versions are numbers that grow, of all servers that say of them anything at all.
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
