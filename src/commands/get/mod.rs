//! `seaway get`: the lists of the inspection API, of all replicas that are asked.

mod changes;
pub(super) mod envoy;
mod follow;
mod layers;
mod problems;
mod proxies;
mod resources;
mod services;
mod watches;

use std::process::ExitCode;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::args::{Form, GetArgs, List, ShowArgs};
use crate::ask::table::{grouped, one_line};
use crate::ask::times::Times;
use crate::ask::{self, Asked, Replicas, Said};
use crate::inspect::api::Page;
use crate::process::exit::{Failure, print};
use crate::process::form;

/// Prints the list.
pub(crate) fn run(args: &GetArgs) -> Result<ExitCode, Failure> {
    let show = &args.show;
    if show.output == Form::Envoy && !matches!(args.list, List::Proxies(_)) {
        return Err(only_for_one());
    }
    ask::run(async {
        let replicas = Replicas::of(&args.ask).await?;
        match args.watch {
            true => follow::follow(&replicas, args).await,
            false => print(&list(&replicas, &args.list, show).await?),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The list as text.
async fn list(replicas: &Replicas, list: &List, show: &ShowArgs) -> Result<String, Failure> {
    match list {
        List::Proxies(which) if show.output == Form::Envoy => envoy::print(replicas, which).await,
        List::Proxies(which) => proxies::list(replicas, which, show).await,
        List::Services(which) => services::list(replicas, which, show).await,
        List::Resources(which) => resources::list(replicas, which, show).await,
        List::Layers(which) => layers::list(replicas, which, show).await,
        List::Problems(which) => problems::list(replicas, which, show).await,
        List::Changes(which) => changes::list(replicas, which, show).await,
        List::Watches => watches::list(replicas, show).await,
    }
}

/// An item of a list, and the replica that it is from.
#[derive(Debug, Serialize)]
struct Item<T> {
    replica: String,
    #[serde(flatten)]
    item: T,
}

/// The answers of all replicas as one list.
#[derive(Debug, Serialize)]
struct Whole<T> {
    /// How many there are, of those that answered.
    total: usize,
    /// Replicas that did not answer, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    silent: Option<String>,
    items: Vec<Item<T>>,
    #[serde(skip)]
    now: Vec<(String, String)>,
}

impl<T: DeserializeOwned + Serialize> Whole<T> {
    /// Asks all replicas.
    async fn ask(replicas: &Replicas, asked: &Asked, show: &ShowArgs) -> Result<Whole<T>, Failure> {
        let said = replicas.lists::<T>(asked, show.limit.max(1)).await?;
        Ok(Whole::of(said))
    }

    fn of(said: Vec<Said<Page<T>>>) -> Whole<T> {
        let silent = ask::silent(&said);
        let mut whole = Whole {
            total: 0,
            silent,
            items: Vec::new(),
            now: Vec::new(),
        };
        for page in said.into_iter().filter_map(|said| said.answer.ok()) {
            whole.total += page.total;
            whole.now.push((page.replica.clone(), page.now));
            let items = page.items.into_iter().map(|item| Item {
                replica: page.replica.clone(),
                item,
            });
            whole.items.extend(items);
        }
        whole
    }

    /// Keeps of items that several replicas have one each, as `key` tells them apart; the others
    /// are merged into it.
    fn merge<K: Ord>(&mut self, key: impl Fn(&T) -> K, merge: impl Fn(&mut T, T)) {
        let mut merged = std::collections::BTreeMap::<K, Item<T>>::new();
        for other in std::mem::take(&mut self.items) {
            match merged.entry(key(&other.item)) {
                std::collections::btree_map::Entry::Vacant(vacant) => _ = vacant.insert(other),
                std::collections::btree_map::Entry::Occupied(mut one) => {
                    merge(&mut one.get_mut().item, other.item);
                }
            }
        }
        self.items = merged.into_values().collect();
        self.total = self
            .total
            .div_ceil(self.now.len().max(1))
            .max(self.items.len());
    }

    /// Keeps of the items, which are in order, as many as are to be shown.
    fn cut(&mut self, show: &ShowArgs) {
        self.items.truncate(show.limit.max(1));
    }

    /// Shows times of one replica's answer.
    fn times(&self, replica: &str, show: &ShowArgs) -> Times {
        let now = self.now.iter().find(|(name, _)| name == replica);
        Times::of(now.map_or("", |(_, now)| now), show.timestamps)
    }

    /// The list in the form that is asked for: `sentence` and `table` for people, `name` for each
    /// item where only names are.
    fn text(
        &self,
        show: &ShowArgs,
        sentence: &str,
        name: impl Fn(&T) -> String,
        table: impl FnOnce(bool) -> String,
    ) -> Result<String, Failure> {
        match show.output {
            Form::Text | Form::Wide => {
                let mut text = format!("{sentence}\n");
                if let Some(silent) = &self.silent {
                    text = format!("{}\n{text}", one_line(silent));
                }
                if !self.items.is_empty() {
                    text.push_str(&table(show.output == Form::Wide));
                }
                if self.items.len() < self.total {
                    let more = grouped(self.total - self.items.len());
                    text.push_str(&format!("and {more} more (--limit shows more)\n"));
                }
                Ok(text)
            }
            Form::Name => {
                let names = self.items.iter();
                let names = names.map(|item| one_line(&name(&item.item)) + "\n");
                Ok(names.collect())
            }
            Form::Json => form::json(self).map_err(Failure::Broken),
            Form::Yaml => form::yaml(self).map_err(Failure::Broken),
            Form::Envoy => Err(only_for_one()),
        }
    }
}

fn without_kind(service: &str) -> &str {
    let mut kinds = ["svc/", "service/", "services/"].iter();
    kinds
        .find_map(|kind| service.strip_prefix(kind))
        .unwrap_or(service)
}

/// That what is asked for has no such form.
pub(super) fn only_for_one() -> Failure {
    Failure::unusable("-o envoy is for one proxy: seaway get proxy/ID -o envoy")
}

/// That a proxy which is named is connected to no replica that answers.
fn not_connected(id: &str, silent: Option<&str>) -> Failure {
    let silent = silent.map_or_else(String::new, |why| format!("; {why}"));
    Failure::unusable(format!("no proxy {id:?} is connected{silent}"))
}

/// A Service as `NAMESPACE/NAME`, or `NAME` with a namespace.
pub(super) fn service(
    service: &Option<String>,
    namespace: &Option<String>,
) -> Result<(Option<String>, Option<String>), Failure> {
    let Some(service) = service else {
        return Ok((namespace.clone(), None));
    };
    let service = without_kind(service);
    match (service.split_once('/'), namespace) {
        (Some((of, name)), None) => Ok((Some(of.to_owned()), Some(name.to_owned()))),
        (Some((of, name)), Some(namespace)) if of == namespace => {
            Ok((Some(of.to_owned()), Some(name.to_owned())))
        }
        (Some((of, _)), Some(namespace)) => Err(Failure::unusable(format!(
            "{service} is in namespace {of}, and -n says {namespace}"
        ))),
        (None, Some(namespace)) => Ok((Some(namespace.clone()), Some(service.to_owned()))),
        (None, None) => Err(Failure::unusable(format!(
            "{service}: say NAMESPACE/{service} or -n NAMESPACE"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(replica: &str, items: &[u32]) -> Said<Page<u32>> {
        let page = Page {
            now: String::new(),
            replica: replica.to_owned(),
            commit: 1,
            total: items.len(),
            next: None,
            items: items.to_vec(),
        };
        Said {
            replica: replica.to_owned(),
            answer: Ok(page),
        }
    }

    #[test]
    fn no_more_is_shown_than_is_asked_for_however_many_replicas_answer() {
        let show = ShowArgs {
            output: Form::Name,
            timestamps: false,
            limit: 2,
        };
        let said = || vec![page("one", &[1, 2]), page("two", &[2, 3])];
        let mut all = Whole::of(said());
        all.cut(&show);
        assert_eq!((all.total, all.items.len()), (4, 2));
        let mut merged = Whole::of(said());
        merged.merge(|item| *item, |_, _| {});
        merged.cut(&show);
        assert_eq!((merged.total, merged.items.len()), (3, 2));
    }
}
