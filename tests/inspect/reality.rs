//! What `seaway explain` says of a connection is what becomes of it at a real Envoy (operate.md
//! O1): in random worlds, of every address of every TCP port of every Service, from two nodes.
//!
//! `SEAWAY_REALITY=1000` draws so many worlds in place of 20; `SEAWAY_REALITY_FROM=SEED` begins
//! with that one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use seaway_testing::{Client, Envoy, Outcome, World, eventually};
use serde_json::Value;

use crate::worlds::{Drawn, MARK, NODE_PORTS, PODS, TARGETS, draw};
use crate::{says, seaway};

/// How many worlds are drawn, unless told otherwise.
const WORLDS: u64 = 20;
/// How many connections are made at least where they are answered, and at once.
const ROUND: usize = 12;
/// How many rounds it may take until every endpoint that is taken has answered.
const ROUNDS: usize = 20;

/// What becomes of connections to an address.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// They go to these endpoints.
    To(BTreeSet<String>),
    Refused,
    /// They are accepted and closed.
    Closed,
}

#[test]
fn what_is_explained_is_what_happens() -> Result<()> {
    World::run(|world| {
        let mut backends = vec![world.backend("mark", MARK)?];
        for pod in PODS {
            for port in TARGETS {
                let address = format!("{pod}:{port}");
                backends.push(world.backend_at(&address, &address)?);
            }
        }
        world.start_seaway(&[])?;
        let envoys = [world.start_node("n1", "a")?, world.start_node("n2", "b")?];
        for envoy in &envoys {
            // External addresses lead to the node itself, as its own setup has it.
            let route = "route add local 203.0.113.0/24 dev lo\n";
            envoy.namespace().configure(route)?;
        }
        let first = number("SEAWAY_REALITY_FROM")?.unwrap_or_default();
        let worlds = number("SEAWAY_REALITY")?.unwrap_or(WORLDS);
        let mut met: BTreeMap<&str, usize> = BTreeMap::new();
        for seed in first..first.saturating_add(worlds) {
            let drawn = draw(seed)?;
            replace(world, &envoys[0], &drawn)
                .and_then(|()| happens(world, &envoys, &drawn, &mut met))
                .with_context(|| format!("world {seed}:\n{}", drawn.text))?;
        }
        // Worlds in which nothing happens would show nothing.
        let all = met.len() == 4 && met.values().all(|count| *count >= 10);
        ensure!(all || worlds < WORLDS, "too little was met: {met:?}");
        Ok(())
    })
}

fn number(variable: &str) -> Result<Option<u64>> {
    let set = std::env::var(variable).ok();
    let number = set.map(|text| text.parse());
    number.transpose().with_context(|| variable.to_owned())
}

/// Replaces the world, and waits until both proxies have the new one.
fn replace(world: &World, envoy: &Envoy, drawn: &Drawn) -> Result<()> {
    world.manifests().save("world.yaml", &drawn.text)?;
    envoy.await_backend(&drawn.mark.to_string(), "mark")?;
    eventually("every proxy to have the world", || {
        let list = says(world, 0, &["get", "changes", "--waiting", "-o", "json"])?;
        let list: Value = serde_json::from_str(&list)?;
        ensure!(
            list["items"].as_array().is_some_and(Vec::is_empty),
            "{list}"
        );
        Ok(())
    })
}

/// Compares what is said of each address with what happens there, and counts what was met.
fn happens(
    world: &World,
    envoys: &[Arc<Envoy>],
    drawn: &Drawn,
    met: &mut BTreeMap<&str, usize>,
) -> Result<()> {
    for (number, envoy) in (1..).zip(envoys) {
        let own = World::node_address(number);
        let own = NODE_PORTS.map(|port| SocketAddr::new(own.into(), port));
        for &address in drawn.addresses.iter().chain(&own) {
            let answer = explained(world, address, envoy.name())?;
            let same = fate(&answer).and_then(|fate| {
                compare(envoy, address, &fate)?;
                Ok(word(&answer, &fate))
            });
            let shown = || format!("{address} on {}: {answer:#}", envoy.name());
            *met.entry(same.with_context(shown)?).or_default() += 1;
        }
    }
    Ok(())
}

/// What is met, in a word.
fn word(answer: &Value, fate: &Fate) -> &'static str {
    let rows = answer["sections"][0]["endpoints"].as_array();
    let is_ready = |row: &&Value| row["state"] == "ready" && row["addresses"][0].is_string();
    let mut ready = rows.into_iter().flatten().filter(is_ready);
    match fate {
        Fate::To(_) if ready.all(|row| row["priority"] == 0) => "all ready endpoints",
        Fate::To(_) => "some of the ready endpoints",
        Fate::Refused => "refused",
        Fate::Closed => "closed",
    }
}

fn explained(world: &World, address: SocketAddr, node: &str) -> Result<Value> {
    let (what, from) = (address.to_string(), format!("node/{node}"));
    let output = seaway(world, &["explain", &what, "--from", &from, "-o", "json"])?;
    let told = || String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).with_context(told)
}

/// What an answer says, in its sentences and in its rows.
fn fate(answer: &Value) -> Result<Fate> {
    let [section] = answer["sections"].as_array().map_or(&[][..], Vec::as_slice) else {
        bail!("it is not about one port");
    };
    let [verdict] = section["verdict"].as_array().map_or(&[][..], Vec::as_slice) else {
        bail!("there is not one verdict");
    };
    let verdict = verdict.as_str().context("a sentence")?;
    let rows = section["endpoints"].as_array().into_iter().flatten();
    let taken = rows.filter(|row| row["taken"] == "yes" && row["priority"] == 0);
    let addresses = taken.flat_map(|row| row["addresses"].as_array().into_iter().flatten());
    let taken = addresses.filter_map(|address| Some(address.as_str()?.to_owned()));
    let taken: BTreeSet<String> = taken.collect();
    if verdict.contains(" goes to ") {
        ensure!(!taken.is_empty(), "no endpoint is taken");
        // Many are a number in the sentence.
        let many = format!(" one of {} endpoints ", taken.len());
        let named = taken.iter().all(|endpoint| verdict.contains(endpoint));
        ensure!(
            named || verdict.contains(&many),
            "the rows are not the verdict: {verdict}"
        );
        Ok(Fate::To(taken))
    } else if verdict.contains("is refused") || verdict.starts_with("No proxy takes") {
        Ok(Fate::Refused)
    } else if verdict.contains("is accepted and closed") {
        Ok(Fate::Closed)
    } else {
        bail!("an unknown verdict: {verdict}")
    }
}

/// Fails unless connections to the address end as they are said to.
fn compare(envoy: &Envoy, address: SocketAddr, fate: &Fate) -> Result<()> {
    let client = Client::new(address);
    let mut met = BTreeSet::new();
    for _ in 0..ROUNDS {
        for outcome in client.get_often(envoy.namespace(), ROUND)? {
            match (&outcome, fate) {
                (Outcome::Answered(answer), Fate::To(endpoints)) => {
                    let known = endpoints.contains(&answer.body);
                    ensure!(known, "{outcome} answers");
                    met.insert(answer.body.clone());
                }
                (Outcome::Refused, Fate::Refused) | (Outcome::Closed(_), Fate::Closed) => {}
                _ => bail!("{outcome}, but it should be {fate:?}"),
            }
        }
        match fate {
            Fate::To(endpoints) if met != *endpoints => {}
            _ => return Ok(()),
        }
    }
    bail!("only {met:?} have answered")
}
