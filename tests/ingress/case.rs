//! Cases: manifests, requests with the answers that are wanted, and the problems that are reported.

use std::fmt;

use anyhow::{Result, ensure};
use seaway_testing::{Ask, Reply};

/// One case of a table.
#[derive(Debug)]
pub(crate) struct Case {
    /// The case of the rules that it is, `GW058`; what it is about, if it has no number.
    pub(crate) id: &'static str,
    pub(crate) documents: Vec<String>,
    pub(crate) rows: Vec<Row>,
    /// Reason and object: `DuplicateMatch`, `HTTPRoute default/a`. `*` is any reason.
    pub(crate) problems: Vec<(&'static str, String)>,
}

impl Case {
    pub(crate) fn new(id: &'static str) -> Self {
        Self {
            id,
            documents: Vec::new(),
            rows: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Adds a manifest.
    pub(crate) fn with(mut self, document: String) -> Self {
        self.documents.push(document);
        self
    }

    /// Adds requests.
    pub(crate) fn rows(mut self, rows: impl IntoIterator<Item = Row>) -> Self {
        self.rows.extend(rows);
        self
    }

    /// Adds a problem. There are no others than those added.
    pub(crate) fn problem(mut self, reason: &'static str, object: &str) -> Self {
        self.problems.push((reason, object.to_owned()));
        self
    }
}

/// What is wanted of an answer.
#[derive(Clone, Debug)]
enum Want {
    /// This backend answers.
    Backend(String),
    Status(u16),
    /// The path, the host, the version that the backend got.
    Path(String),
    Host(String),
    Version(String),
    /// A header that the backend got, or did not get.
    Saw(String, Option<String>),
    /// The backend has read so many bytes of the body.
    Body(u64),
    /// A header of the answer, or none.
    Answer(String, Option<String>),
}

/// A request and what is wanted of the answer.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) ask: Ask,
    pub(crate) http2: bool,
    wants: Vec<Want>,
}

/// `GET`, of a host and path written together: `a.test/path`.
pub(crate) fn get(url: &str) -> Row {
    let at = url.find('/').unwrap_or(url.len());
    let (host, path) = url.split_at(at);
    Row {
        ask: Ask::get(host, path),
        http2: false,
        wants: Vec::new(),
    }
}

impl Row {
    fn want(mut self, want: Want) -> Self {
        self.wants.push(want);
        self
    }

    fn asking(mut self, change: impl FnOnce(Ask) -> Ask) -> Self {
        self.ask = change(self.ask);
        self
    }

    pub(crate) fn method(self, method: &str) -> Self {
        self.asking(|ask| ask.method(method))
    }

    /// With a header.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.asking(|ask| ask.header(name, value))
    }

    /// With a body whose length is said before it, and which the backend reads.
    pub(crate) fn body(self, length: usize) -> Self {
        self.asking(|ask| ask.method("POST").body(length))
            .with("echo-read", "yes")
    }

    /// The same with nothing said before it.
    pub(crate) fn streamed(self, length: usize) -> Self {
        self.asking(|ask| ask.method("POST").streamed_body(length))
            .with("echo-read", "yes")
    }

    /// So many bytes of the body came to the backend.
    pub(crate) fn read(self, length: u64) -> Self {
        self.want(Want::Body(length))
    }

    /// Over HTTP/2.
    pub(crate) fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    pub(crate) fn to(self, backend: &str) -> Self {
        self.want(Want::Backend(backend.to_owned()))
    }

    pub(crate) fn status(self, status: u16) -> Self {
        self.want(Want::Status(status))
    }

    pub(crate) fn path(self, path: &str) -> Self {
        self.want(Want::Path(path.to_owned()))
    }

    pub(crate) fn host(self, host: &str) -> Self {
        self.want(Want::Host(host.to_owned()))
    }

    pub(crate) fn version(self, version: &str) -> Self {
        self.want(Want::Version(version.to_owned()))
    }

    pub(crate) fn saw(self, name: &str, value: &str) -> Self {
        self.want(Want::Saw(name.to_owned(), Some(value.to_owned())))
    }

    pub(crate) fn saw_no(self, name: &str) -> Self {
        self.want(Want::Saw(name.to_owned(), None))
    }

    pub(crate) fn answer(self, name: &str, value: &str) -> Self {
        self.want(Want::Answer(name.to_owned(), Some(value.to_owned())))
    }

    pub(crate) fn answer_without(self, name: &str) -> Self {
        self.want(Want::Answer(name.to_owned(), None))
    }

    /// Whether a backend is to answer: such rows are awaited before the others are looked at.
    pub(crate) fn is_positive(&self) -> bool {
        self.wants
            .iter()
            .any(|want| matches!(want, Want::Backend(_)))
    }

    /// Whether all that is wanted is so.
    pub(crate) fn check(&self, reply: &Reply) -> Result<()> {
        for want in &self.wants {
            ensure!(
                want.holds(reply),
                "wanted {want:?}, got {} {:?} {}",
                reply.status,
                reply.headers,
                reply.body
            );
        }
        Ok(())
    }
}

impl Want {
    fn holds(&self, reply: &Reply) -> bool {
        let echoed = reply.echoed().ok();
        let echoed = echoed.as_ref();
        match self {
            Self::Backend(name) => reply.backend().as_deref() == Some(name),
            Self::Status(status) => reply.status == *status,
            Self::Path(path) => echoed.is_some_and(|echoed| echoed.path == *path),
            Self::Host(host) => echoed.is_some_and(|echoed| echoed.host == *host),
            Self::Version(version) => echoed.is_some_and(|echoed| echoed.version == *version),
            Self::Body(length) => echoed.is_some_and(|echoed| echoed.body == *length),
            Self::Saw(name, value) => echoed.is_some_and(|echoed| echoed.header(name) == *value),
            Self::Answer(name, value) => reply.header(name) == *value,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let http2 = if self.http2 { " (HTTP/2)" } else { "" };
        write!(f, "{}{http2}", self.ask)
    }
}
