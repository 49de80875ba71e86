//! `seaway check`: whether all is as it should be, in groups, with what to do about what is not.
//! Only what can be decided from what is known is a check.

mod cluster;
mod proxies;
mod replicas;
mod report;

use std::process::ExitCode;
use std::time::Duration;

use tokio::time::timeout;

use crate::args::{CheckArgs, CheckOutput};
use crate::ask::{self, Replicas};
use crate::commands::envoy_admin;
use crate::process::exit::{Failure, print};
use crate::process::form;
use report::{Group, Report};

/// How long all checks may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Prints what was found; the exit code is 1 if a check failed.
pub(crate) fn run(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let report = ask::run(check(args))?;
    let text = match args.output {
        CheckOutput::Text => report.text(),
        CheckOutput::Json => form::json(&report).map_err(Failure::Broken)?,
    };
    print(&text)?;
    Ok(ExitCode::from(u8::from(report.has_failed())))
}

async fn check(args: &CheckArgs) -> Result<Report, Failure> {
    let visitor = ask::visitor(&args.ask).await?;
    let api_server = async {
        match &visitor {
            Some(visitor) => cluster::api_server(visitor).await,
            None => Group::new(cluster::NAME),
        }
    };
    let of_replicas = async {
        match Replicas::by(visitor.as_ref(), &args.ask).await {
            Ok(replicas) => on(&replicas).await,
            Err(failure) => {
                let mut group = Group::new(replicas::NAME);
                group.fail(
                    failure.to_string(),
                    "kubectl get pods --all-namespaces | grep seaway",
                );
                vec![group]
            }
        }
    };
    let envoy = async {
        let Some(socket) = args.envoy.clone() else {
            return Group::new(ENVOY);
        };
        let looked = tokio::task::spawn_blocking(move || envoy_admin::not_ready(&socket));
        match looked.await {
            Ok(looked) => of_envoy(looked),
            Err(_) => Group::new(ENVOY),
        }
    };
    let all = async { tokio::join!(api_server, of_replicas, envoy) };
    let (api_server, of_replicas, envoy) = timeout(LIMIT, all)
        .await
        .map_err(|_| Failure::unusable("the checks took longer than ten seconds"))?;
    let groups = std::iter::once(api_server)
        .chain(of_replicas)
        .chain([envoy]);
    Ok(Report::of(groups.flat_map(Group::into_findings).collect()))
}

/// What is asked of replicas, all at the same time.
async fn on(replicas: &Replicas) -> Vec<Group> {
    let (statuses, watches, metrics, proxies, services) = tokio::join!(
        replicas::statuses(replicas),
        replicas::watches_of(replicas),
        replicas::metrics(replicas),
        proxies::proxies(replicas),
        proxies::services(replicas),
    );
    let state = replicas::state(statuses, &watches, &metrics);
    let certificates = replicas::certificates(&metrics);
    let watches = replicas::watches(watches);
    vec![state, watches, certificates, proxies, services]
}

const ENVOY: &str = "envoy";

fn of_envoy(looked: anyhow::Result<Option<String>>) -> Group {
    let mut group = Group::new(ENVOY);
    match looked {
        Ok(None) => group.ok("it is live and has all of its listeners"),
        Ok(Some(why)) => group.fail(why, "seaway get proxies --not synced"),
        Err(error) => group.fail(format!("{error:#}"), "see whether Envoy runs"),
    }
    group
}
