//! Delays have exemplars, the commits that they were measured at, for who reads OpenMetrics;
//! everybody else is told the same in the text format.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use seaway_testing::{skip, within};

use crate::exposition::Exposition;
use crate::scene::{ADMIN, Everything, OPENMETRICS, PATIENCE};

/// The commits that exemplars of a histogram name.
fn commits(text: &str, metric: &str) -> Result<Vec<u64>> {
    let buckets = text.lines().filter(|line| line.starts_with(metric));
    let exemplars = buckets.filter_map(|line| line.split_once(" # {commit=\""));
    let commits = exemplars.map(|(_, rest)| rest.split('"').next().unwrap_or_default());
    let commits: Result<Vec<u64>, _> = commits.map(str::parse).collect();
    Ok(commits?)
}

/// Has promtool read a text, where there is one.
fn lint(text: &str) -> Result<()> {
    let promtool = std::env::var("PROMTOOL").unwrap_or_else(|_| "promtool".to_owned());
    let mut command = Command::new(promtool);
    command.args(["check", "metrics"]);
    let piped = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = piped else {
        return skip("what promtool (package prometheus) says of /metrics");
    };
    let mut input = child.stdin.take().context("no input")?;
    input.write_all(text.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && said.is_empty(), "{said}");
    Ok(())
}

#[test]
fn delays_name_their_commits_to_who_reads_openmetrics_and_others_get_the_text_format() -> Result<()>
{
    Everything::run(|everything| {
        let metric = "seaway_change_to_ack_seconds_bucket";
        let newest = |text: &str| anyhow::Ok(commits(text, metric)?.into_iter().max().unwrap_or(0));
        let before = newest(&everything.scrape(ADMIN, OPENMETRICS)?.1)?;
        everything.services(2..4)?;
        let (kind, openmetrics) = within(PATIENCE, "a newer exemplar", || {
            let scraped = everything.scrape(ADMIN, OPENMETRICS)?;
            ensure!(newest(&scraped.1)? > before, "{}", scraped.1);
            Ok(scraped)
        })?;
        ensure!(
            kind.starts_with("application/openmetrics-text; version=1.0.0"),
            "{kind}"
        );
        ensure!(!commits(&openmetrics, "seaway_change_to_sent_seconds_bucket")?.is_empty());
        ensure!(!openmetrics.contains("trace_id"), "nothing is traced");
        for accept in ["*/*", "text/plain;version=0.0.4", "application/json"] {
            let (kind, text) = everything.scrape(ADMIN, accept)?;
            ensure!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
            ensure!(!text.contains(" # ") && !text.contains("# EOF"), "{text}");
            lint(&text)?;
            let read = Exposition::read(&format!("{text}# EOF\n"))?;
            ensure!(read.series() == Exposition::read(&openmetrics)?.series());
        }
        Ok(())
    })
}
