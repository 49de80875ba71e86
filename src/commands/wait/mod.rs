//! `seaway wait`: waits until every replica has taken in what was given, and every proxy that it
//! concerns has acknowledged it.
//!
//! What is given are objects ([`expected`]). A replica has taken one in when what it read of it has
//! the hash of what was read here, and a commit has that; from then on it is about the proxies
//! ([`look`]).

mod expected;
mod look;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::args::WaitArgs;
use crate::ask::table::{counted, one_line};
use crate::ask::times::age;
use crate::ask::{self, Replicas};
use crate::process::exit::{Failure, print};
use crate::process::log;
use expected::Expected;
use look::Progress;

/// How often replicas are looked at.
const EVERY: Duration = Duration::from_millis(200);
/// How often it is said what is still missing.
const SAY: Duration = Duration::from_secs(5);
/// How many lines say what is missing.
const LINES: usize = 20;

/// Waits; the exit code is 1 if that was in vain.
pub(crate) fn run(args: &WaitArgs) -> Result<ExitCode, Failure> {
    let expected = Expected::of(args)?;
    let (missing, text) = ask::run(wait(args, expected))?;
    print(&text)?;
    Ok(ExitCode::from(u8::from(missing)))
}

/// Waits; returns whether something is missing at the end, and what to print.
async fn wait(args: &WaitArgs, mut expected: Expected) -> Result<(bool, String), Failure> {
    let begin = Instant::now();
    let visitor = ask::visitor(&args.ask).await?;
    let replicas = Replicas::by(visitor.as_ref(), &args.ask).await?;
    let mut progress: Vec<Progress> = replicas.each().map(|_| Progress::default()).collect();
    let mut said = begin;
    let mut answered = false;
    loop {
        let ends = begin.elapsed() >= args.timeout;
        let says = said.elapsed() >= SAY;
        if let Some(visitor) = &visitor
            && progress.iter().any(|one| !one.is_published())
        {
            expected.refresh(visitor).await.map_err(Failure::Unusable)?;
        }
        let looks = replicas.each().zip(&mut progress);
        let looks = looks.map(|(replica, progress)| {
            look::at(replica, &expected, args.until, progress, ends || says)
        });
        let all = join_all(looks).await;
        if !answered && all.iter().all(|(heard, _)| !heard) {
            let why: Vec<String> = all.into_iter().flat_map(|(_, missing)| missing).collect();
            let why = why.join("; ");
            return Err(Failure::unusable(format!("no replica answered: {why}")));
        }
        answered = true;
        let missing: Vec<String> = all.into_iter().flat_map(|(_, missing)| missing).collect();
        let time = shown(begin.elapsed());
        if missing.is_empty() {
            let word = args.until.as_str();
            let of = counted(progress.len(), "replica", "replicas");
            let what = expected.sentence();
            return Ok((
                false,
                format!("{what}: {word} after {time}; {of}, all proxies have it\n"),
            ));
        }
        if ends {
            let word = args.until.as_str().to_uppercase();
            let first = format!("NOT {word} after {time}: {}\n", expected.sentence());
            return Ok((true, first + &lines(&missing)));
        }
        if says {
            log::say(&format!("waiting for {time}:"));
            log::say(lines(&missing).trim_end());
            said = Instant::now();
        }
        let rest = args.timeout.saturating_sub(begin.elapsed());
        tokio::time::sleep(EVERY.min(rest)).await;
    }
}

fn shown(time: Duration) -> String {
    age(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

fn lines(missing: &[String]) -> String {
    let mut lines: String = missing
        .iter()
        .take(LINES)
        .map(|one| format!("  {}\n", one_line(one)))
        .collect();
    if let Some(more) = missing.len().checked_sub(LINES).filter(|more| *more > 0) {
        lines.push_str(&format!("  and {more} more\n"));
    }
    lines
}
