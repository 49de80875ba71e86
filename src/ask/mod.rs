//! Asks the inspection API of one or all replicas, for the commands that show what is going on.
//!
//! All replicas are asked at once, and none is waited for longer than [`PATIENCE`]: a replica that
//! hangs is named, and the others' answers are shown.

mod http;
pub(crate) mod table;
pub(crate) mod times;

use std::net::SocketAddr;
use std::time::Duration;

use form_urlencoded::Serializer;
use futures::future::join_all;
use serde::de::DeserializeOwned;

use crate::args::AskArgs;
use crate::inspect::api::Page;
use crate::process::exit::Failure;

/// How long a replica may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// One replica that can be asked.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    /// Its name: that of its pod, else its address.
    pub(crate) name: String,
    /// Its admin port, as it is reached from here.
    address: SocketAddr,
}

/// The replicas that are asked.
#[derive(Debug)]
pub(crate) struct Replicas(Vec<Replica>);

/// What one replica said, or why it said nothing.
#[derive(Debug)]
pub(crate) struct Said<T> {
    /// The name of the replica.
    pub(crate) replica: String,
    /// Its answer.
    pub(crate) answer: Result<T, String>,
}

/// A path of the API with its query.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    path: &'static str,
    query: Vec<(&'static str, String)>,
}

impl Asked {
    /// A path below `/api/v1`, without a query.
    pub(crate) fn of(path: &'static str) -> Asked {
        Asked {
            path,
            query: Vec::new(),
        }
    }

    /// Adds a part of the query, if there is a value for it.
    pub(crate) fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Asked {
        self.query
            .extend(value.map(|value| (name, value.to_string())));
        self
    }

    fn target(&self, more: &[(&str, String)]) -> String {
        let mut query = Serializer::new(String::new());
        for (name, value) in &self.query {
            query.append_pair(name, value);
        }
        for (name, value) in more {
            query.append_pair(name, value);
        }
        match query.finish() {
            query if query.is_empty() => format!("/api/v1/{}", self.path),
            query => format!("/api/v1/{}?{query}", self.path),
        }
    }
}

impl Replicas {
    /// The replicas that the flags name.
    pub(crate) fn of(args: &AskArgs) -> Result<Replicas, Failure> {
        let replica = |address: &SocketAddr| Replica {
            name: address.to_string(),
            address: *address,
        };
        Ok(Replicas(args.admin.iter().map(replica).collect()))
    }

    /// Asks all of them. The error is that nobody answered, with what each said.
    pub(crate) async fn all<T: DeserializeOwned>(
        &self,
        asked: &Asked,
    ) -> Result<Vec<Said<T>>, Failure> {
        let answers = self.0.iter().map(|replica| async {
            let answer = http::get(replica.address, &asked.target(&[]), PATIENCE).await;
            said(replica, answer)
        });
        someone(join_all(answers).await)
    }

    /// Asks all of them for a list of at most `most` items: as many pages as that takes.
    pub(crate) async fn lists<T: DeserializeOwned>(
        &self,
        asked: &Asked,
        most: usize,
    ) -> Result<Vec<Said<Page<T>>>, Failure> {
        let answers = self
            .0
            .iter()
            .map(|replica| async { said(replica, list(replica.address, asked, most).await) });
        someone(join_all(answers).await)
    }
}

fn said<T>(replica: &Replica, answer: anyhow::Result<T>) -> Said<T> {
    Said {
        replica: replica.name.clone(),
        answer: answer.map_err(|error| format!("{error:#}")),
    }
}

/// The answers, if there is one among them.
fn someone<T>(all: Vec<Said<T>>) -> Result<Vec<Said<T>>, Failure> {
    if all.iter().any(|said| said.answer.is_ok()) {
        return Ok(all);
    }
    let each = all.iter().map(|said| {
        let why = said.answer.as_ref().err().map_or("", String::as_str);
        format!("{}: {why}", said.replica)
    });
    let each = each.collect::<Vec<_>>().join("; ");
    Err(Failure::unusable(format!("no replica answered: {each}")))
}

/// The largest page that a replica gives.
const PAGE: usize = 1000;

async fn list<T: DeserializeOwned>(
    address: SocketAddr,
    asked: &Asked,
    most: usize,
) -> anyhow::Result<Page<T>> {
    let mut more = vec![("limit", most.clamp(1, PAGE).to_string())];
    let mut list: Page<T> = http::get(address, &asked.target(&more), PATIENCE).await?;
    while list.items.len() < most
        && let Some(next) = list.next.take()
    {
        more.truncate(1);
        more.push(("after", next));
        let page: Page<T> = http::get(address, &asked.target(&more), PATIENCE).await?;
        list.items.extend(page.items);
        list.next = page.next;
    }
    Ok(list)
}

/// Runs what a command asks.
pub(crate) fn run<T>(asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Broken(error.into()))?;
    runtime.block_on(asking)
}

/// A line that names the replicas that did not answer, if there are any.
pub(crate) fn silent<T>(all: &[Said<T>]) -> Option<String> {
    let silent = all.iter().filter_map(|said| {
        let why = said.answer.as_ref().err()?;
        Some(format!("{} did not answer ({why})", said.replica))
    });
    let silent: Vec<String> = silent.collect();
    (!silent.is_empty()).then(|| {
        let of = all.len();
        format!("{} of {of} replicas: {}", silent.len(), silent.join("; "))
    })
}
