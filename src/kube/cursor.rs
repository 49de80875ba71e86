//! Where a watch stands, as plain state: answers of the API server go in; what is new, and what to ask next, comes out.
//!
//! A list becomes one reset, however many pages or lines it took and however often it was interrupted: nobody ever sees half of
//! one. After a failure the watch goes on from the version it has read up to, once the server has confirmed that it got there: it may
//! have been restored from a backup. A line that cannot be read is asked for once more
//! from there, since it may have been cut; when it is the same again, a new list says what it should have said.

use seaway_translator::ObjectId;

use super::resource::{Item, Resource, Unidentified};
use super::wire::{Failure, Line, Page};

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
    /// The server was away: it may have come back as an older one, for which the known version lies in the future. Such a server says
    /// nothing on a watch until it gets there.
    doubt: bool,
    /// The last list held something that could not be identified, and so nothing was removed. It is asked for anew as soon as the watch
    /// after it ends.
    incomplete: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing is known, or nothing of it holds any longer.
    Start,
    /// Some pages have been read.
    Pages { token: String, found: Found },
    /// A list comes as a stream.
    Stream { found: Found },
    /// Everything up to this version is known.
    At { version: String },
}

#[derive(Debug, Default)]
struct Found {
    items: Vec<Item>,
    unidentified: usize,
}

impl Found {
    fn add(&mut self, item: Result<Item, Unidentified>) {
        match item {
            Ok(item) => self.items.push(item),
            Err(error) => {
                self.unidentified += 1;
                tracing::warn!(source = "kube", %error, "passed over in a list; nothing is removed on the word of this list");
            }
        }
    }

    fn reset(self) -> News {
        News::Reset {
            items: self.items,
            complete: self.unidentified == 0,
        }
    }
}

impl Cursor {
    pub(super) fn new(resource: Resource) -> Cursor {
        Cursor {
            resource,
            streams: true,
            pages_once: false,
            again: false,
            doubt: false,
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
            State::At { version } if self.doubt => Ask::Check { version },
            State::At { version } => Ask::Watch { version },
        }
    }

    /// A streaming list or a watch begins.
    pub(super) fn opened(&mut self) {
        if matches!(self.state, State::Start) {
            self.state = State::Stream {
                found: Found::default(),
            };
        }
    }

    /// The server knows the version that was checked, or would not say.
    pub(super) fn checked(&mut self) {
        self.doubt = false;
    }

    /// A page of a list.
    pub(super) fn page(&mut self, page: &Page<'_>) -> Option<News> {
        let mut found = match std::mem::replace(&mut self.state, State::Start) {
            State::Pages { found, .. } => found,
            _ => Found::default(),
        };
        for raw in &page.items {
            found.add(self.resource.read(raw));
        }
        if let Some(token) = page.token.clone() {
            self.state = State::Pages { token, found };
            return None;
        }
        Some(self.listed(page.version.clone(), found))
    }

    /// A line of a watch.
    ///
    /// # Errors
    /// The watch is over, or has to be: it has to be asked for anew.
    pub(super) fn line(&mut self, line: &[u8]) -> Result<Option<News>, Failure> {
        let read = match Line::parse(line) {
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

    /// The server said why it does not answer, or said nothing.
    pub(super) fn failed(&mut self, failure: &Failure) {
        self.ended();
        if failure.is_gone() {
            self.state = State::Start;
        }
        self.doubt |= matches!(failure, Failure::Unreachable(_) | Failure::Silent(_));
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
        let unidentified = |error: Unidentified| Failure::Garbled(error.to_string());
        match (&mut self.state, line) {
            (State::Stream { found }, Line::Applied(raw)) => {
                found.add(self.resource.read(raw));
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
                let item = self.resource.read(raw).map_err(unidentified)?;
                version.clone_from(&item.version);
                Ok(Some(News::Apply(Box::new(item))))
            }
            (State::At { version }, Line::Deleted(raw)) => {
                let (id, at) = self.resource.identify(raw).map_err(unidentified)?;
                *version = at;
                Ok(Some(News::Delete(id)))
            }
            (State::At { version }, Line::Bookmark { version: at, .. }) => {
                *version = at;
                Ok(None)
            }
            // Nothing is deleted in a list, and no list is read by lines before it was asked for.
            _ => Ok(None),
        }
    }

    fn listed(&mut self, version: String, found: Found) -> News {
        self.pages_once = false;
        self.again = false;
        self.doubt = false;
        self.incomplete = found.unidentified > 0;
        self.state = State::At { version };
        found.reset()
    }

    /// A line that is none.
    fn unreadable(&mut self, failure: Failure) -> Result<Option<News>, Failure> {
        if let State::Stream { found } = &mut self.state {
            found.add(Err(Unidentified::from(&failure)));
            return Ok(None);
        }
        if std::mem::replace(&mut self.again, true) {
            self.again = false;
            self.state = State::Start;
        }
        Err(failure)
    }
}

#[cfg(test)]
mod tests;
