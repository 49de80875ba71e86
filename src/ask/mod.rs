//! Asks the inspection API of one or all replicas, for the commands that show what is going on.
//!
//! All replicas are asked at once, and none is waited for longer than [`PATIENCE`]: a replica that
//! hangs is named, and the others' answers are shown.

mod http;
pub(crate) mod table;
pub(crate) mod times;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use form_urlencoded::Serializer;
use futures::future::join_all;
use serde::de::DeserializeOwned;

use crate::args::{AdminAddress, AskArgs, HostPort};
use crate::inspect::api::Page;
use crate::kube::{Forward, Visitor, Which};
use crate::process::exit::Failure;
use http::Refused;
use tls::{Secured, Shown};

/// How long a replica may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// One replica that can be asked.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    /// Its name: that of its pod, else its address.
    pub(crate) name: String,
    /// Its admin port, as it is reached from here.
    way: Way,
}

/// How the admin port of a replica is reached.
#[derive(Clone, Debug)]
enum Way {
    /// In plain text, on this machine.
    Direct(HostPort),
    /// Over TLS.
    Secured(Secured),
    /// Through the API server of its cluster.
    Forwarded(Forward),
}

/// The cluster that the flags name, if they name one.
pub(crate) async fn visitor(args: &AskArgs) -> Result<Option<Visitor>, Failure> {
    if !args.kube {
        return Ok(None);
    }
    let which = Which {
        kubeconfig: args.kubeconfig.clone(),
        context: args.context.clone(),
    };
    let visitor = Visitor::open(which, &args.seaway_namespace).await;
    visitor.map(Some).map_err(Failure::Unusable)
}

/// The replicas that are asked.
#[derive(Debug)]
pub(crate) struct Replicas(Vec<Replica>);

impl Replica {
    /// Asks it. The error is why it said nothing.
    pub(crate) async fn get<T: DeserializeOwned>(&self, asked: &Asked) -> Result<T, String> {
        let answer = self.ask(asked).await;
        answer.map_err(|error| format!("{error:#}"))
    }

    async fn ask<T: DeserializeOwned>(&self, asked: &Asked) -> anyhow::Result<T> {
        http::get(&self.way, &asked.target(&[]), PATIENCE).await
    }

    /// Its metrics, as `/metrics` has them.
    pub(crate) async fn metrics(&self) -> Result<String, String> {
        let text = http::text(&self.way, "/metrics", PATIENCE).await;
        text.map_err(|error| format!("{error:#}"))
    }

    /// Asks it for a list of at most `most` items: as many pages as that takes.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        asked: &Asked,
        most: usize,
    ) -> Result<Page<T>, String> {
        let list = list(&self.way, asked, most).await;
        list.map_err(|error| format!("{error:#}"))
    }
}

/// What one replica said, or why it said nothing.
#[derive(Debug)]
pub(crate) struct Said<T> {
    /// The name of the replica.
    pub(crate) replica: String,
    /// Its answer.
    pub(crate) answer: Result<T, WhyNot>,
}

/// Why a replica has not given what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WhyNot {
    /// It cannot be asked that, or has none of it: it did answer.
    #[error("{0}")]
    Refused(String),
    /// It gave no answer, or one that is none.
    #[error("{0}")]
    Silent(String),
}

impl From<anyhow::Error> for WhyNot {
    fn from(error: anyhow::Error) -> WhyNot {
        let why = format!("{error:#}");
        match error.is::<Refused>() {
            true => WhyNot::Refused(why),
            false => WhyNot::Silent(why),
        }
    }
}

impl WhyNot {
    /// The reason in words.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            WhyNot::Refused(why) | WhyNot::Silent(why) => why,
        }
    }
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
    /// The replicas that the flags name, or that are found in a cluster.
    pub(crate) async fn of(args: &AskArgs) -> Result<Replicas, Failure> {
        Replicas::by(visitor(args).await?.as_ref(), args).await
    }

    /// The same, of the cluster that the visitor looks at, if the flags name one.
    pub(crate) async fn by(visitor: Option<&Visitor>, args: &AskArgs) -> Result<Replicas, Failure> {
        if let Some(visitor) = visitor {
            return Replicas::in_cluster(visitor).await;
        }
        let usual = AdminAddress::Plain(HostPort {
            host: "127.0.0.1".to_owned(),
            port: 18001,
        });
        let addresses = match args.admin.as_slice() {
            [] => std::slice::from_ref(&usual),
            given => given,
        };
        let mut shown: Option<Arc<Shown>> = None;
        let mut replicas = Vec::new();
        for at in addresses {
            let way = match at {
                AdminAddress::Plain(at) => Way::Direct(at.clone()),
                AdminAddress::Tls(host) => {
                    // The files are read once.
                    let shown = match &shown {
                        Some(shown) => shown.clone(),
                        None => shown.insert(Arc::new(Shown::read(&args.tls, at)?)).clone(),
                    };
                    let secured = Secured::new(host.clone(), &args.tls.name(host), shown);
                    Way::Secured(secured.map_err(Failure::Unusable)?)
                }
            };
            let name = at.to_string();
            replicas.push(Replica { name, way });
        }
        Ok(Replicas(replicas))
    }

    /// The replicas of a cluster.
    async fn in_cluster(visitor: &Visitor) -> Result<Replicas, Failure> {
        let found = visitor.replicas().await.map_err(Failure::Unusable)?;
        let replica = |forward: Forward| Replica {
            name: forward.pod().to_owned(),
            way: Way::Forwarded(forward),
        };
        Ok(Replicas(found.into_iter().map(replica).collect()))
    }

    /// Each of them.
    pub(crate) fn each(&self) -> impl Iterator<Item = &Replica> {
        self.0.iter()
    }

    /// Asks all of them. The error is that nobody answered, with what each said.
    pub(crate) async fn all<T: DeserializeOwned>(
        &self,
        asked: &Asked,
    ) -> Result<Vec<Said<T>>, Failure> {
        let answers = self
            .0
            .iter()
            .map(|replica| async { said(replica, replica.ask(asked).await) });
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
            .map(|replica| async { said(replica, list(&replica.way, asked, most).await) });
        someone(join_all(answers).await)
    }
}

fn said<T>(replica: &Replica, answer: anyhow::Result<T>) -> Said<T> {
    Said {
        replica: replica.name.clone(),
        answer: answer.map_err(WhyNot::from),
    }
}

/// The answers, if there is one among them.
fn someone<T>(all: Vec<Said<T>>) -> Result<Vec<Said<T>>, Failure> {
    if all.iter().any(|said| said.answer.is_ok()) {
        return Ok(all);
    }
    let whys = || all.iter().filter_map(|said| said.answer.as_ref().err());
    let is_refusal = |why: &WhyNot| matches!(why, WhyNot::Refused(_));
    if let Some(first) = whys().next()
        && is_refusal(first)
        && whys().all(|why| why == first)
    {
        // It is about what was asked, whoever is asked.
        return Err(Failure::unusable(first.as_str()));
    }
    let each = all.iter().map(|said| {
        let why = said.answer.as_ref().err().map_or("", WhyNot::as_str);
        format!("{}: {why}", said.replica)
    });
    let each = each.collect::<Vec<_>>().join("; ");
    let nobody = match whys().any(is_refusal) {
        true => "",
        false => "no replica answered: ",
    };
    Err(Failure::unusable(format!("{nobody}{each}")))
}

/// The largest page that a replica gives.
pub(crate) const PAGE: usize = 1000;

async fn list<T: DeserializeOwned>(
    way: &Way,
    asked: &Asked,
    most: usize,
) -> anyhow::Result<Page<T>> {
    let mut more = vec![("limit", most.clamp(1, PAGE).to_string())];
    let mut list: Page<T> = http::get(way, &asked.target(&more), PATIENCE).await?;
    while list.items.len() < most
        && let Some(next) = list.next.take()
    {
        more.truncate(1);
        more.push(("after", next));
        let page: Page<T> = http::get(way, &asked.target(&more), PATIENCE).await?;
        list.items.extend(page.items);
        list.next = page.next;
    }
    list.items.truncate(most);
    Ok(list)
}

/// Runs what a command asks.
pub(crate) fn run<T>(asking: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Broken(error.into()))?;
    let result = runtime.block_on(asking);
    // A name server that does not answer would be waited for otherwise.
    runtime.shutdown_background();
    result
}

/// A line that names the replicas that did not answer, if there are any.
pub(crate) fn silent<T>(all: &[Said<T>]) -> Option<String> {
    let silent = all.iter().filter_map(|said| {
        let replica = &said.replica;
        Some(match said.answer.as_ref().err()? {
            WhyNot::Refused(why) => format!("{replica} has no answer ({why})"),
            WhyNot::Silent(why) => format!("{replica} did not answer ({why})"),
        })
    });
    let silent: Vec<String> = silent.collect();
    (!silent.is_empty()).then(|| {
        let of = all.len();
        format!("{} of {of} replicas: {}", silent.len(), silent.join("; "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(whys: &[WhyNot]) -> String {
        let said = whys.iter().zip(["s1", "s2"]).map(|(why, name)| Said::<()> {
            replica: name.to_owned(),
            answer: Err(why.clone()),
        });
        someone(said.collect()).unwrap_err().to_string()
    }

    #[test]
    fn a_refusal_is_about_what_was_asked_and_no_silence() {
        let refused = WhyNot::Refused("there is no type \"bogus\"".to_owned());
        let silent = WhyNot::Silent("connection refused".to_owned());
        assert_eq!(
            told(std::slice::from_ref(&refused)),
            "there is no type \"bogus\""
        );
        assert_eq!(
            told(&[refused.clone(), refused.clone()]),
            "there is no type \"bogus\""
        );
        assert_eq!(
            told(&[refused, silent.clone()]),
            "s1: there is no type \"bogus\"; s2: connection refused"
        );
        assert_eq!(
            told(&[silent]),
            "no replica answered: s1: connection refused"
        );
    }
}
