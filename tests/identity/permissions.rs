//! Tokens need a permission of Seaway's own: with those of `deploy/base` they are reviewed and
//! nothing else is asked for, without it the refusal is explained.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use seaway_testing::{Grants, World, eventually};
use tonic::{Code, Status};

use crate::call::{Shows, Stream, connect};
use crate::{DELTA, Secured, claims, name, visit};

/// What the first answer to a proxy of n1 is.
fn ask(world: &World, address: SocketAddr, shows: &Shows) -> Result<Result<usize, Status>> {
    let shows = shows.clone();
    visit(world, move || async move {
        let channel = connect(address, &shows).await?;
        let node = claims("node", "n1");
        let name = name(DELTA.url);
        Ok(Stream::first_answer(channel, &shows, DELTA, &node, name).await)
    })
}

#[test]
fn without_permission_to_review_tokens_unknown_ones_are_refused_and_the_log_names_it() -> Result<()>
{
    Secured::run(&[], |world, secured| {
        let (address, all) = (world.seaway()?.address(), Grants::of_seaway()?);
        let token = || secured.nobody().token(&secured.token("seaway-node", "n1"));
        let known = token();
        ensure!(ask(world, address, &known)?? > 0);
        let activity = secured.server.activity();
        let reviews = activity.borrow().requests("create", "tokenreviews");
        ensure!(reviews == 1, "{reviews} reviews");
        let forbidden = activity.borrow().forbidden().clone();
        ensure!(
            forbidden.is_empty(),
            "asked for what is not granted: {forbidden:?}"
        );

        let mut grants = all.iter();
        let review = grants.find(|grant| grant.resource == "tokenreviews");
        secured
            .server
            .authorize(&all.without(review.context("not granted")?));
        let status = ask(world, address, &token())?.err().context("let in")?;
        ensure!(status.code() == Code::Unavailable, "{status}");
        let told = status.message();
        ensure!(!told.contains("tokenreviews"), "a stranger is told: {told}");
        let line = world.seaway()?.log_line("tokens cannot be reviewed")?;
        for part in [
            "403",
            "permission to create tokenreviews",
            "authentication.k8s.io",
        ] {
            ensure!(line.contains(part), "{line}");
        }
        let failed = world.metric("seaway_token_reviews_total", "outcome=\"failed\"")?;
        ensure!(failed == 1.0, "{failed} failed");
        ensure!(ask(world, address, &known)?? > 0, "a known token");
        secured.server.authorize(&all);
        eventually("new tokens to be accepted", || {
            let answer = ask(world, address, &token())?;
            ensure!(answer.is_ok(), "{answer:?}");
            Ok(())
        })
    })
}
