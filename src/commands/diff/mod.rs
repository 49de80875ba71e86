//! `seaway diff`: says what a change means for clients, by comparing what proxies would be sent
//! before and after it.

mod flags;
mod git;
mod held;
mod hunks;
mod input;
mod live;
mod other;
mod program;
mod text;
mod views;

use std::process::ExitCode;

use anyhow::Context;
use seaway_translator::diff::{Difference, OwnerKind, World, diff};
use seaway_translator::{Problem, Role, Severity, View};
use serde_json::{Value, json};

use crate::args::{DiffArgs, OutputForm, ProxyRole};
use crate::process::exit::{self, Failure};
use crate::process::form;
use input::{Loaded, Source};

/// What was compared, and what came of it.
#[derive(Debug)]
struct Outcome {
    difference: Difference,
    /// The errors in the input that were not there before.
    problems: Vec<Problem>,
    /// What a reader has to know beside the difference.
    notes: Vec<String>,
}

/// Prints the difference; the exit code says whether there is any.
pub(crate) fn run(args: &DiffArgs) -> Result<ExitCode, Failure> {
    if let Some(envoy) = &args.envoy {
        return held::run(args, envoy);
    }
    let outcome = outcome(args).map_err(Failure::Unusable)?;
    let Outcome { difference, .. } = &outcome;
    let printed = match args.output {
        OutputForm::Text => Ok(text::print(&outcome, args)),
        OutputForm::Json => value(&outcome, args.verbose).and_then(|value| form::json(&value)),
        OutputForm::Yaml => value(&outcome, args.verbose).and_then(|value| form::yaml(&value)),
    };
    exit::print(&printed.map_err(Failure::Unusable)?)?;
    let differs = match args.only_harm || args.namespace.is_some() {
        true => shown(difference).next().is_some(),
        false => !difference.is_silent(),
    };
    Ok(ExitCode::from(u8::from(differs)))
}

/// The effects of which something is sent.
fn shown(difference: &Difference) -> impl Iterator<Item = ()> {
    let effects = difference.changed.iter().flat_map(|c| &c.effects);
    let sent = effects.filter(|effect| effect.mark() != ' ');
    sent.map(|_| ())
}

fn outcome(args: &DiffArgs) -> anyhow::Result<Outcome> {
    let roles = roles(args)?;
    args.shape
        .check_gateway_services(None)
        .map_err(anyhow::Error::msg)?;
    let from = args.from.as_deref().context("--from is needed")?;
    let from = Source::parse(from)?;
    let to = args.to.as_deref().map(Source::parse).transpose()?;
    let mut outcome = match (&args.with, to) {
        (Some(binary), _) => with_other(args, &from, binary, &roles)?,
        (None, Some(to)) => match (&from, &to) {
            (Source::Live, _) => live::compare(args, &to, true, &roles)?,
            (_, Source::Live) => live::compare(args, &from, false, &roles)?,
            _ => two_worlds(args, &from, &to, &roles)?,
        },
        (None, None) => anyhow::bail!("--to or --with is needed"),
    };
    let difference = &mut outcome.difference;
    if let Some(namespace) = &args.namespace {
        retain_namespace(difference, namespace);
    }
    if args.only_harm {
        difference.retain_harm();
    }
    Ok(outcome)
}

fn roles(args: &DiffArgs) -> anyhow::Result<Vec<Role>> {
    let mut roles: Vec<Role> = args.role.iter().map(|role| Role::from(*role)).collect();
    roles.sort();
    roles.dedup();
    if args.role.contains(&ProxyRole::Grpc) {
        anyhow::bail!(
            "--role grpc: which names are asked for is the clients' to say; --role mesh compares the endpoints that they have, too, \
             and `seaway translate --role grpc --target NAME` says what a name leads to"
        );
    }
    Ok(roles)
}

/// Compares two inputs, both translated here.
fn two_worlds(
    args: &DiffArgs,
    from: &Source,
    to: &Source,
    roles: &[Role],
) -> anyhow::Result<Outcome> {
    let (old, new) = at_once(|| Loaded::read(from, "--from"), || Loaded::read(to, "--to"))?;
    let (mut old, mut new) = (old?, new?);
    let mut notes = Vec::new();
    if old.lacks_secrets || new.lacks_secrets {
        old.drop_secrets();
        new.drop_secrets();
        if roles.contains(&Role::Ingress) {
            let note = "a checkpoint has no Secrets: certificates are not compared";
            notes.push(note.to_owned());
        }
    }
    let views = views::of(args, roles, (&old.objects, &new.objects), &mut notes)?;
    let (texts_before, texts_after) = input::texts(&old, &new);
    let world = |loaded: &mut Loaded, texts| {
        let objects = std::mem::take(&mut loaded.objects);
        World::new(args.shape.options(true), objects, &views).with_texts(texts)
    };
    let (before, after) = at_once(
        || world(&mut old, texts_before),
        || world(&mut new, texts_after),
    )?;
    let all = |world: &World, loaded: Loaded| {
        let mut problems = world.problems();
        problems.extend(loaded.problems);
        problems
    };
    let (known, mut problems) = (all(&before, old), all(&after, new));
    problems.retain(|problem| problem.severity == Severity::Error && !known.contains(problem));
    problems.sort();
    Ok(Outcome {
        difference: diff(&before, &after),
        problems,
        notes,
    })
}

/// Does the same for both sides at once, each on a thread of its own.
fn at_once<T: Send>(
    one: impl FnOnce() -> T,
    other: impl FnOnce() -> T + Send,
) -> anyhow::Result<(T, T)> {
    std::thread::scope(|scope| {
        let other = scope.spawn(other);
        let one = one();
        let other = other.join();
        Ok((
            one,
            other.map_err(|_| anyhow::anyhow!("a thread panicked"))?,
        ))
    })
}

/// Compares what this binary makes of an input with what another one makes of it.
fn with_other(
    args: &DiffArgs,
    from: &Source,
    binary: &std::path::Path,
    roles: &[Role],
) -> anyhow::Result<Outcome> {
    let loaded = Loaded::read(from, "--from")?;
    let folder = loaded
        .folder()
        .ok_or_else(|| anyhow::anyhow!("--with compares folders, not checkpoints"))?;
    let mut notes = Vec::new();
    let objects = (&loaded.objects[..], &loaded.objects[..]);
    let views: Vec<View> = views::of(args, roles, objects, &mut notes)?;
    let own = std::env::current_exe()?;
    let before = other::world(&own, folder, &views)?;
    let after = other::world(binary, folder, &views)?;
    Ok(Outcome {
        difference: diff(&before, &after),
        problems: Vec::new(),
        notes,
    })
}

/// Leaves only what belongs to objects of a namespace.
fn retain_namespace(difference: &mut Difference, namespace: &str) {
    let is_meant = |owner: &seaway_translator::diff::Owner| {
        let of_objects = matches!(owner.kind, OwnerKind::Service | OwnerKind::Certificate);
        let rest = owner.name.strip_prefix(namespace);
        of_objects && rest.is_some_and(|rest| rest.starts_with('/'))
    };
    difference
        .changed
        .retain(|changed| is_meant(&changed.owner));
    difference
        .resources
        .retain(|resource| is_meant(&resource.owner));
}

/// The outcome as a value: the difference, with the sentence of each effect.
fn value(outcome: &Outcome, verbose: bool) -> anyhow::Result<Value> {
    let Outcome {
        difference,
        problems,
        notes,
    } = outcome;
    let mut value = serde_json::to_value(difference)?;
    for (at, changed) in difference.changed.iter().enumerate() {
        for (of, effect) in changed.effects.iter().enumerate() {
            value["changed"][at]["effects"][of]["text"] = effect.to_string().into();
        }
    }
    if verbose {
        for (at, resource) in difference.resources.iter().enumerate() {
            value["resources"][at]["hunks"] = hunks::of(resource).into();
        }
    }
    value["problems"] = serde_json::to_value(problems)?;
    value["notes"] = json!(notes);
    Ok(value)
}
