//! `docs/alerts.md` says of each alert what to do, and of no other.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use seaway_testing::{repository, run, seaway_binary};

use crate::monitoring::{alerts, read};

/// Where people read the page.
const PAGE: &str = "https://github.com/seaway-dev/seaway/blob/main/docs/alerts.md";
/// What each section says, in this order.
const PARTS: [&str; 3] = ["**Traffic:** ", "**Usual causes:** ", "**What to do:** "];

/// The sections of the page: title and text.
fn sections() -> Result<Vec<(String, String)>> {
    let page = fs::read_to_string(repository().join("docs/alerts.md"))?;
    let sections = page.split("\n## Seaway").skip(1).map(|section| {
        let (title, text) = section.split_once('\n').context("a title without a text")?;
        let text = text.split("\n## ").next().unwrap_or_default();
        Ok((format!("Seaway{title}"), text.to_owned()))
    });
    sections.collect()
}

#[test]
fn every_alert_has_its_section_and_every_section_its_alert() -> Result<()> {
    let (alerts, sections) = (alerts()?, sections()?);
    ensure!(alerts.len() >= 20, "only {} alerts", alerts.len());
    let titles: Vec<&str> = sections.iter().map(|(title, _)| &**title).collect();
    let names: Vec<&str> = alerts.iter().map(|alert| &*alert.name).collect();
    ensure!(titles == names, "sections: {titles:#?}, alerts: {names:#?}");
    for alert in alerts {
        // The anchor that is made of a title of one word.
        let link = format!("{PAGE}#{}", alert.name.to_ascii_lowercase());
        ensure!(alert.runbook == link, "{}: {}", alert.name, alert.runbook);
    }
    Ok(())
}

#[test]
fn a_section_begins_with_a_command_and_says_what_it_means_why_and_what_to_do() -> Result<()> {
    for (title, text) in sections()? {
        let begins = text.starts_with("\n```sh\nseaway ");
        ensure!(begins, "{title} does not begin with a command: {text}");
        let mut rest = &*text;
        for part in PARTS {
            let (_, after) = rest
                .split_once(&format!("\n{part}"))
                .with_context(|| format!("{title} has no {part}at its place: {text}"))?;
            rest = after;
        }
    }
    Ok(())
}

/// The commands that a text names: lines of code, and words of code.
fn commands(text: &str) -> impl Iterator<Item = &str> {
    let pieces = text.split(['`', '\n']);
    pieces.filter(|piece| piece.starts_with("seaway "))
}

#[test]
fn every_command_that_is_named_exists_with_its_flags() -> Result<()> {
    let page = fs::read_to_string(repository().join("docs/alerts.md"))?;
    let texts = [page, read("alerts.yaml")?, read("board.json")?];
    let named: BTreeSet<&str> = texts.iter().flat_map(|text| commands(text)).collect();
    ensure!(named.len() >= 8, "only {named:?}");
    for line in named {
        let mut command = Command::new(seaway_binary()?);
        command.args(line.split(' ').skip(1)).arg("--help");
        run(&mut command).with_context(|| line.to_owned())?;
    }
    Ok(())
}
