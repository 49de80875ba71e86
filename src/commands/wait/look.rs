//! One look at one replica: what is missing there.

use std::collections::BTreeSet;

use seaway_translator::Served;

use super::expected::Expected;
use crate::args::Until;
use crate::ask::table::counted;
use crate::ask::times::Times;
use crate::ask::{Asked, Replica};
use crate::inspect::api::{
    ChangeRow, ObjectRow, Page, ProxyRow, ProxyType, ResourceRow, ServiceRow,
};

/// How many objects are asked for at a time.
const AT_A_TIME: usize = 100;
/// How many changes a replica remembers.
const REMEMBERED: usize = 1000;
/// How many resources of a Service, and how many proxies, are looked at.
const MOST: usize = 10_000;
/// How many proxies and resources are named.
const NAMED: usize = 5;

/// How far one replica has got.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The commit by which it has published everything that is expected.
    published: Option<u64>,
    /// No proxy owes an answer to a commit up to that one.
    answered: bool,
    /// The Services of which all proxies have everything.
    held: BTreeSet<String>,
}

/// Whether a replica answers, and what is missing there; with `details` also which proxies and
/// resources are meant.
pub(super) async fn at(
    replica: &Replica,
    expected: &Expected,
    until: Until,
    progress: &mut Progress,
    details: bool,
) -> (bool, Vec<String>) {
    let look = Look {
        replica,
        expected,
        until,
        details,
    };
    match look.missing(progress).await {
        Ok(missing) => {
            let name = &replica.name;
            let missing = missing.into_iter().map(|one| format!("{name}: {one}"));
            (true, missing.collect())
        }
        Err(why) => (
            false,
            vec![format!("{} did not answer ({why})", replica.name)],
        ),
    }
}

struct Look<'a> {
    replica: &'a Replica,
    expected: &'a Expected,
    until: Until,
    details: bool,
}

impl Progress {
    /// Whether everything that is expected is published there.
    pub(super) fn is_published(&self) -> bool {
        self.published.is_some()
    }
}

impl Look<'_> {
    async fn missing(&self, progress: &mut Progress) -> Result<Vec<String>, String> {
        let published = match progress.published {
            Some(commit) => commit,
            None => match self.publishing().await? {
                Ok(commit) => *progress.published.insert(commit),
                Err(missing) => return Ok(missing),
            },
        };
        if !progress.answered {
            let unanswered = self.unanswered(published).await?;
            match unanswered.is_empty() {
                true => progress.answered = true,
                false if self.details => {
                    let mut missing = self.proxies().await?;
                    missing.extend(self.lacking(progress).await?);
                    missing.extend(unanswered);
                    return Ok(missing);
                }
                false => return Ok(unanswered),
            }
        }
        let mut missing = self.lacking(progress).await?;
        if !missing.is_empty() && self.details {
            missing.extend(self.proxies().await?);
        }
        Ok(missing)
    }

    /// The commit by which everything that is expected is published, or what is not.
    async fn publishing(&self) -> Result<Result<u64, Vec<String>>, String> {
        if self.expected.objects.is_empty() {
            return self.everything().await;
        }
        let (mut missing, mut commit) = (Vec::new(), 0);
        let all: Vec<_> = self.expected.objects.iter().collect();
        for some in all.chunks(AT_A_TIME) {
            let names: Vec<String> = some.iter().map(|(id, _)| id.to_string()).collect();
            let asked = Asked::of("objects").with("objects", Some(names.join(",")));
            let page: Page<ObjectRow> = self.replica.get(&asked).await?;
            commit = page.commit;
            let rows = page.items.iter().zip(some);
            missing.extend(rows.filter_map(|(row, (_, hash))| self.wrong(row, hash.as_deref())));
        }
        Ok(match missing.is_empty() {
            true => Ok(commit),
            false => Err(missing),
        })
    }

    /// The same of everything that there is.
    async fn everything(&self) -> Result<Result<u64, Vec<String>>, String> {
        let mut missing = Vec::new();
        if self.until == Until::Served {
            let asked = Asked::of("services").with("not", Some("yes"));
            let page: Page<ServiceRow> = self.replica.list(&asked, MOST).await?;
            missing.extend(page.items.into_iter().map(|row| {
                let name = format!("Service {}/{}", row.namespace, row.name);
                unserved(&name, row.served, row.why.as_deref())
            }));
        }
        let page: Page<ChangeRow> = self.replica.list(&Asked::of("changes"), 1).await?;
        Ok(match missing.is_empty() {
            true => Ok(page.commit),
            false => Err(missing),
        })
    }

    /// What is wrong with an object there, if anything.
    fn wrong(&self, row: &ObjectRow, hash: Option<&str>) -> Option<String> {
        let object = &row.object;
        if hash == Some("") {
            return Some(format!("{object} is not in the cluster"));
        }
        let Some(found) = &row.hash else {
            return Some(format!("{object} is not there"));
        };
        if hash.is_some_and(|hash| hash != found) {
            return Some(format!("{object} is there with other content"));
        }
        if !row.published {
            return Some(format!("{object} is read, and not published yet"));
        }
        match row.served.filter(|_| self.until == Until::Served) {
            None | Some(Served::Yes) => None,
            Some(served) => Some(unserved(object, served, row.why.as_deref())),
        }
    }

    /// The commits up to `published` to which a proxy owes an answer.
    async fn unanswered(&self, published: u64) -> Result<Vec<String>, String> {
        let is_meant = |row: &ChangeRow| row.commit <= published && self.expected.concerns(row);
        let asked = Asked::of("changes").with("waiting", Some(true));
        let page: Page<ChangeRow> = self.replica.list(&asked, REMEMBERED).await?;
        let waiting = page.items.iter().filter(|row| is_meant(row));
        let waiting: Vec<&ChangeRow> = waiting.collect();
        // The newest comes first.
        if let Some((oldest, newer)) = waiting.split_last() {
            return Ok(vec![owing(oldest, newer.len())]);
        }
        // Of proxies that are far behind it is not known any more which commits they owe an answer.
        let page: Page<ChangeRow> = self.replica.list(&Asked::of("changes"), REMEMBERED).await?;
        let is_lost = |row: &ChangeRow| is_meant(row) && row.types.iter().any(|of| of.lost > 0);
        let oldest = page.items.last().map_or(0, |row| row.commit);
        let is_forgotten = page.items.len() >= REMEMBERED && oldest > published;
        if !is_forgotten && !page.items.iter().any(is_lost) {
            return Ok(Vec::new());
        }
        let all: Page<ProxyRow> = self.replica.list(&Asked::of("proxies"), MOST).await?;
        let behind = all.items.iter().filter(|row| row.types.iter().any(owes));
        Ok(behind
            .map(|row| format!("proxy {} is far behind", row.proxy))
            .collect())
    }

    /// The resources of the Services that some proxy has not acknowledged, in their present
    /// version, or rejects.
    async fn lacking(&self, progress: &mut Progress) -> Result<Vec<String>, String> {
        let mut missing = Vec::new();
        for service in &self.expected.services {
            if progress.held.contains(service) {
                continue;
            }
            let asked = Asked::of("resources").with("object", Some(service));
            let page: Page<ResourceRow> = self.replica.list(&asked, MOST).await?;
            let lacking = page.items.iter().filter_map(lack);
            let lacking: Vec<String> = lacking.take(NAMED).collect();
            if lacking.is_empty() {
                progress.held.insert(service.clone());
            }
            missing.extend(lacking);
            if missing.len() >= NAMED {
                break;
            }
        }
        if self.expected.services.is_empty() {
            let asked = Asked::of("proxies").with("state", Some("rejects"));
            let page: Page<ProxyRow> = self.replica.list(&asked, MOST).await?;
            let rejecting = page.items.iter();
            missing.extend(rejecting.map(|row| format!("proxy {} rejects a resource", row.proxy)));
        }
        Ok(missing)
    }

    /// The proxies that owe an answer or reject something, the first of them.
    async fn proxies(&self) -> Result<Vec<String>, String> {
        let page: Page<ProxyRow> = self.replica.list(&Asked::of("proxies"), MOST).await?;
        let times = Times::of(&page.now, false);
        let mut named = Vec::new();
        for row in &page.items {
            let owed = row.types.iter().filter(|of| owes(of)).map(|of| {
                let since = of.unanswered.as_deref();
                let since = since.map(|since| format!("no answer for {}", times.show(since)));
                let owed = (of.owed > 0).then(|| format!("{} owed", of.owed));
                let words: Vec<String> = since.into_iter().chain(owed).collect();
                format!("{} ({})", of.r#type, words.join(", "))
            });
            let rejects = row.types.iter().filter_map(|of| {
                let first = of.rejects.first()?;
                let (name, error) = (&first.name, &first.error);
                Some(format!("rejects {} {name}: {error}", of.r#type))
            });
            let words: Vec<String> = owed.chain(rejects).collect();
            if !words.is_empty() {
                named.push(format!("proxy {}: {}", row.proxy, words.join(", ")));
            }
        }
        named.truncate(NAMED);
        Ok(named)
    }
}

fn owes(of: &ProxyType) -> bool {
    of.owed > 0 || of.unanswered.is_some()
}

fn unserved(object: &str, served: Served, why: Option<&str>) -> String {
    let how = match served {
        Served::Partly => "is served in part only",
        _ => "is not served",
    };
    match why {
        Some(why) => format!("{object} {how}: {why}"),
        None => format!("{object} {how}"),
    }
}

fn owing(row: &ChangeRow, newer: usize) -> String {
    let because = row.causes.first().map(|cause| cause.object.clone());
    let because = because.or_else(|| row.origins.first().cloned());
    let because = because.map_or_else(String::new, |object| format!(" ({object})"));
    let proxies = counted(row.waiting, "proxy has", "proxies have");
    let newer = match newer {
        0 => String::new(),
        newer => format!(", nor {}", counted(newer, "newer commit", "newer commits")),
    };
    format!(
        "{proxies} not answered commit {}{because}{newer}",
        row.commit
    )
}

/// Who does not have a resource, if anybody does not.
fn lack(row: &ResourceRow) -> Option<String> {
    let held = &row.held;
    if row.version.is_none() || held.sent + held.owed + held.rejected == 0 {
        return None;
    }
    let (name, has, wanted) = (&row.name, held.held, held.wanted);
    let rejected = match held.rejected {
        0 => String::new(),
        count => format!(", {} it", counted(count, "proxy rejects", "proxies reject")),
    };
    let of = &row.r#type;
    Some(format!(
        "{of} {name}: {has} of {wanted} proxies have it{rejected}"
    ))
}
