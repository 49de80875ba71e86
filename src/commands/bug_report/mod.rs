//! `seaway bug-report`: an archive of what running replicas say of themselves, for a report to
//! people who cannot look. It has nothing of Secrets, since the inspection API has nothing of them.

mod anonymous;
mod archive;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use futures::future::join_all;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use crate::args::BugReportArgs;
use crate::ask::table::grouped;
use crate::ask::{self, Asked, Replica, Replicas};
use crate::process::exit::{Failure, print};
use crate::process::form;
use anonymous::Names;
use archive::Archive;

/// The lists that are taken, and at most so many items of each.
const LISTS: [&str; 4] = ["proxies", "problems", "changes", "watches"];
const MOST: usize = 5000;

/// One file of the archive.
struct Part {
    name: String,
    content: Content,
}

/// What a file holds.
enum Content {
    Json(Value),
    Metrics(String),
    /// Why there is none.
    Missing(String),
}

/// Says what is taken, takes it, and writes the archive.
pub(crate) fn run(args: &BugReportArgs) -> Result<ExitCode, Failure> {
    let path = match &args.archive {
        Some(path) => path.clone(),
        None => {
            let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
            PathBuf::from(format!("seaway-bug-report-{now}.tar.gz"))
        }
    };
    let parts = ask::run(async {
        let replicas = Replicas::of(&args.ask).await?;
        print(&intention(args, &replicas))?;
        let all = replicas.each().map(|replica| take(replica, args));
        let parts: Vec<Part> = join_all(all).await.into_iter().flatten().collect();
        match parts
            .iter()
            .all(|part| matches!(part.content, Content::Missing(_)))
        {
            true => Err(Failure::unusable("no replica answered")),
            false => Ok(parts),
        }
    })?;
    let names = args.anonymous.then(|| {
        let values = parts.iter().filter_map(|part| match &part.content {
            Content::Json(value) => Some(value),
            _ => None,
        });
        Names::of(values)
    });
    let mut archive = Archive::new(Timestamp::now().as_second());
    for part in parts {
        add(&mut archive, part, names.as_ref()).map_err(Failure::Broken)?;
    }
    let (bytes, left_out) = archive.finish().map_err(Failure::Broken)?;
    let written = std::fs::File::create_new(&path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, &bytes));
    written
        .with_context(|| path.display().to_string())
        .map_err(Failure::Unusable)?;
    let mut said = format!("{}: {} bytes\n", path.display(), grouped(bytes.len()));
    for name in left_out {
        said.push_str(&format!(
            "left out, since the archive would be too large: {name}\n"
        ));
    }
    print(&said)?;
    Ok(ExitCode::SUCCESS)
}

/// What is about to be taken, in words.
fn intention(args: &BugReportArgs, replicas: &Replicas) -> String {
    let names: Vec<&str> = replicas.each().map(|replica| &*replica.name).collect();
    let mut text = format!("Takes of {}:\n", names.join(", "));
    text.push_str("  status with version and flags, metrics\n");
    text.push_str(&format!(
        "  {} (at most {MOST} of each)\n",
        LISTS.join(", ")
    ));
    for service in &args.service {
        text.push_str(&format!(
            "  what becomes of Service {service}, with its endpoints\n"
        ));
    }
    text.push_str(match args.anonymous {
        true => "Names and addresses become hashes, sentences and flags are left out.\n",
        false => "Names and addresses are in it (--anonymous puts hashes).\n",
    });
    text + "No log is taken, and nothing of Secrets.\n"
}

/// What is taken of one replica.
async fn take(replica: &Replica, args: &BugReportArgs) -> Vec<Part> {
    let part = |name: &str, said: Result<Content, String>| Part {
        name: format!("{}/{name}", file_name(&replica.name)),
        content: said.unwrap_or_else(Content::Missing),
    };
    let status = replica.get::<Value>(&Asked::of("status")).await;
    let mut parts = vec![part("status.json", status.map(Content::Json))];
    for list in LISTS {
        let said = replica.list::<Value>(&Asked::of(list), MOST).await;
        let said = said.map(|page| serde_json::to_value(page).unwrap_or_default());
        parts.push(part(&format!("{list}.json"), said.map(Content::Json)));
    }
    let metrics = replica.metrics().await;
    parts.push(part("metrics.txt", metrics.map(Content::Metrics)));
    for service in &args.service {
        let asked = Asked::of("explain").with("what", Some(service));
        let said = replica.get::<Value>(&asked).await;
        let name = format!("explain-{}.json", file_name(service));
        parts.push(part(&name, said.map(Content::Json)));
    }
    parts
}

/// A name as part of a path.
fn file_name(name: &str) -> String {
    let safe = |c: char| match c {
        c if c.is_ascii_alphanumeric() || "-_.".contains(c) => c,
        _ => '_',
    };
    name.trim_start_matches('.').chars().map(safe).collect()
}

fn add(archive: &mut Archive, part: Part, names: Option<&Names>) -> anyhow::Result<()> {
    let name = match names {
        None => part.name,
        Some(names) => {
            let (replica, file) = part.name.split_once('/').unwrap_or_default();
            format!("{}/{file}", names.hash(replica))
        }
    };
    let text = match (part.content, names) {
        (Content::Json(value), None) => form::json(&value)?,
        (Content::Json(value), Some(names)) => form::json(&names.hide(value))?,
        (Content::Metrics(text), None) => text,
        (Content::Metrics(text), Some(names)) => names.hide_labels(&text),
        (Content::Missing(why), None) => format!("not taken: {why}\n"),
        (Content::Missing(_), Some(_)) => "not taken\n".to_owned(),
    };
    archive.add(&name, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_archive() {
        assert_eq!(file_name("../../etc/x"), "_.._etc_x");
        assert_eq!(file_name("127.0.0.1:18001"), "127.0.0.1_18001");
    }
}
