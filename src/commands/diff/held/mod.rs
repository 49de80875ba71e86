//! `seaway diff --to proxy/ID --envoy ADDR`: what an Envoy really has, by its own account, against
//! what the replica that it is connected to has for it.

mod compare;
mod dump;
mod wanted;

use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::input::Source;
use crate::args::{DiffArgs, EnvoyAdmin, OutputForm};
use crate::ask::table::{Table, counted, one_line};
use crate::ask::{self, Replicas};
use crate::commands::get;
use crate::process::exit::{self, Failure};
use crate::process::form;
use compare::{Difference, differences};

/// How often both are asked as long as they differ, and how long it takes until they are asked
/// again: a change may be on its way.
const LOOKS: usize = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// What came of it.
#[derive(Debug, Serialize)]
struct Looked {
    proxy: String,
    replica: String,
    /// How many resources the replica has for the proxy.
    total: usize,
    differences: Vec<Difference>,
    /// What a reader has to know beside them.
    notes: Vec<String>,
}

/// Prints where they differ; the exit code says whether they do.
pub(super) fn run(args: &DiffArgs, envoy: &EnvoyAdmin) -> Result<ExitCode, Failure> {
    let id = proxy(args)?;
    let looked = ask::run(look(args, envoy, &id))?;
    let text = match args.output {
        OutputForm::Text => looked.text(),
        OutputForm::Json => form::json(&looked).map_err(Failure::Broken)?,
        OutputForm::Yaml => form::yaml(&looked).map_err(Failure::Broken)?,
    };
    exit::print(&text)?;
    Ok(ExitCode::from(u8::from(!looked.differences.is_empty())))
}

/// The id of the proxy: one side names it, and the other one is what replicas have.
fn proxy(args: &DiffArgs) -> Result<String, Failure> {
    let source = |text: &Option<String>| text.as_deref().map(Source::parse).transpose();
    let sides = (source(&args.from), source(&args.to));
    let sides = (
        sides.0.map_err(Failure::Unusable)?,
        sides.1.map_err(Failure::Unusable)?,
    );
    match sides {
        (None | Some(Source::Live), Some(Source::Proxy(id)))
        | (Some(Source::Proxy(id)), None | Some(Source::Live)) => Ok(id),
        _ => Err(Failure::unusable(
            "--envoy is for --to proxy/ID (or --from), which is compared with live alone",
        )),
    }
}

async fn look(args: &DiffArgs, envoy: &EnvoyAdmin, id: &str) -> Result<Looked, Failure> {
    let replicas = Replicas::of(&args.ask).await?;
    let replica = get::envoy::connected_to(&replicas, id).await?;
    let mut looks = LOOKS;
    loop {
        looks -= 1;
        let wanted = wanted::of(replica, id).await.map_err(Failure::unusable)?;
        let envoy = envoy.clone();
        let dumped = tokio::task::spawn_blocking(move || dump::of(&envoy));
        let dumped = dumped
            .await
            .map_err(|error| Failure::Broken(error.into()))?;
        let holding = dumped.map_err(Failure::Unusable)?;
        let differences = differences(&wanted, holding);
        if differences.is_empty() || looks == 0 {
            let note = "it asks for the state of the world, whose versions are not those of resources: \
                        clusters, listeners and routes are compared by name";
            return Ok(Looked {
                proxy: id.to_owned(),
                replica: replica.name.clone(),
                total: wanted.resources.len(),
                differences,
                notes: (!wanted.by_version)
                    .then(|| note.to_owned())
                    .into_iter()
                    .collect(),
            });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

impl Looked {
    fn text(&self) -> String {
        let notes = self.notes.iter();
        let mut text: String = notes
            .map(|note| format!("note: {}\n", one_line(note)))
            .collect();
        let (proxy, replica) = (one_line(&self.proxy), one_line(&self.replica));
        let all = counted(self.total, "resource", "resources");
        if self.differences.is_empty() {
            let line =
                format!("no difference: proxy {proxy} has {all} as {replica} has them for it\n");
            return text + &line;
        }
        let differ = counted(self.differences.len(), "difference", "differences");
        text.push_str(&format!(
            "proxy {proxy}: {differ} from the {all} that {replica} has for it\n"
        ));
        let mut table = Table::new(["DIFFERENCE", "TYPE", "NAME", "SERVER", "ENVOY", "WHAT"]);
        for difference in &self.differences {
            let version = |version: &Option<String>| {
                version
                    .as_deref()
                    .unwrap_or_default()
                    .chars()
                    .take(6)
                    .collect()
            };
            table.push([
                difference.difference.as_str().to_owned(),
                difference.r#type.clone(),
                difference.name.clone(),
                version(&difference.server),
                version(&difference.envoy),
                difference.what.clone().unwrap_or_default(),
            ]);
        }
        text + &table.text(false)
    }
}
