//! Tokens are checked by a stand-in for the API server.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use prometheus_client::encoding::text::encode;
use seaway_testing::{ApiServer, Fault, Issuer, TokenClaims};
use serde_json::json;
use tokio::time::timeout;

use super::*;
use crate::kube::tests::client;

/// Longer than anything takes.
const LIMIT: Duration = Duration::from_secs(20);
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

struct Scene {
    server: ApiServer,
    issuer: Issuer,
    tokens: Tokens,
    registry: Registry,
}

impl Scene {
    async fn new() -> Result<Scene> {
        Scene::with(None).await
    }

    /// Known tokens are looked at again all the time.
    async fn restless() -> Result<Scene> {
        let short = Duration::from_millis(20);
        let limits = Limits::default();
        Scene::with(Some(Limits {
            every: short,
            confirm: short,
            retry: short,
            ..limits
        }))
        .await
    }

    async fn with(limits: Option<Limits>) -> Result<Scene> {
        let server = ApiServer::start()?;
        let issuer = server.issuer();
        let folder = tempfile::tempdir()?;
        let client = client(&server, folder.path()).await?;
        let mut registry = Registry::default();
        let metrics = TokenMetrics::register(&mut registry);
        let audience = "seaway".to_owned();
        let (supervisor, _) = crate::process::supervise::supervisor();
        let tokens = match limits {
            Some(limits) => Tokens::with(client, audience, metrics, &supervisor, limits),
            None => Tokens::start(client, audience, metrics, &supervisor),
        };
        Ok(Scene {
            server,
            issuer,
            tokens,
            registry,
        })
    }

    fn token(&self) -> String {
        let claims = TokenClaims::new("shop", "envoy", "seaway");
        self.issuer.issue(&claims.pod("envoy-1", "n1"))
    }

    async fn refusal(&self, token: &str) -> Result<Refusal> {
        let refusal = self.tokens.verify(token).await;
        let refusal = refusal.err().context("it was accepted")?;
        let text = refusal.to_string();
        ensure!(!text.contains('\n') && !text.contains(token), "{text}");
        Ok(refusal)
    }

    fn reviews(&self) -> u64 {
        let activity = self.server.activity();
        activity.borrow().requests("create", "tokenreviews")
    }

    /// Waits for some more reviews.
    async fn await_reviews(&self, more: u64) -> Result<()> {
        let wanted = self.reviews() + more;
        let mut activity = self.server.activity();
        let enough = activity.wait_for(|all| all.requests("create", "tokenreviews") >= wanted);
        timeout(LIMIT, enough).await??;
        Ok(())
    }

    fn metric(&self, line: &str) -> Result<bool> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text.lines().any(|other| other == line))
    }
}

#[tokio::test]
async fn a_token_is_reviewed_once_for_all_who_come_with_it() -> Result<()> {
    let scene = Scene::new().await?;
    scene.server.inject(Fault::Hang.on("tokenreviews"));
    let token = scene.token();
    let all: Vec<_> = (0..1000)
        .map(|_| {
            let (tokens, token) = (scene.tokens.clone(), token.clone());
            tokio::spawn(async move { tokens.verify(&token).await })
        })
        .collect();
    while scene.reviews() == 0 {
        tokio::task::yield_now().await;
    }
    scene.server.heal();
    let mut accounts = Vec::new();
    for one in all {
        accounts.push(one.await??);
    }
    let first = scene.tokens.verify(&token).await?;
    ensure!(accounts.iter().all(|account| Arc::ptr_eq(account, &first)));
    ensure!((&*first.namespace, &*first.name) == ("shop", "envoy"));
    ensure!(first.node.as_deref() == Some("n1") && first.pod.as_deref() == Some("envoy-1"));
    let left = first.expires.duration_since(SystemTime::now())?;
    ensure!(left > Duration::from_secs(3500), "{left:?}");
    ensure!(scene.reviews() == 1);
    ensure!(scene.metric("token_reviews_total{outcome=\"accepted\"} 1")?);
    ensure!(scene.metric("tokens_cached 1")?);
    Ok(())
}

#[tokio::test]
async fn a_token_that_nobody_issued_is_refused_and_remembered() -> Result<()> {
    let scene = Scene::new().await?;
    let token = scene.token();
    scene.issuer.revoke(&token);
    for _ in 0..3 {
        let refusal = scene.refusal(&token).await?;
        ensure!(matches!(&refusal, Refusal::NotAccepted(why) if why.contains("invalidated")));
    }
    ensure!(scene.reviews() == 1);
    ensure!(scene.metric("token_reviews_total{outcome=\"refused\"} 1")?);
    ensure!(scene.metric("tokens_cached 0")?);
    Ok(())
}

#[tokio::test]
async fn a_token_for_another_audience_or_out_of_time_is_refused_without_a_review() -> Result<()> {
    let scene = Scene::new().await?;
    let other = TokenClaims::new("shop", "envoy", "vault");
    let refusal = scene.refusal(&scene.issuer.issue(&other)).await?;
    ensure!(refusal == Refusal::Malformed(Flaw::Audience("seaway".into())));
    let late = TokenClaims::new("shop", "envoy", "seaway").lives(Duration::ZERO);
    let refusal = scene.refusal(&scene.issuer.issue(&late)).await?;
    ensure!(refusal == Refusal::Malformed(Flaw::Expired));
    ensure!(scene.refusal("password").await? == Refusal::Malformed(Flaw::NotJwt));
    ensure!(scene.reviews() == 0);
    Ok(())
}

#[tokio::test]
async fn a_server_that_does_not_confirm_the_audience_is_not_believed() -> Result<()> {
    let scene = Scene::new().await?;
    scene.server.review(REVIEWS, |mut review| {
        let user = json!({"username": "system:serviceaccount:shop:envoy"});
        review["status"] = json!({"authenticated": true, "user": user});
        review
    });
    let refusal = scene.refusal(&scene.token()).await?;
    ensure!(matches!(&refusal, Refusal::NotAccepted(why) if why.contains("audience \"seaway\"")));
    Ok(())
}

#[tokio::test]
async fn the_review_asks_for_the_audience_and_nothing_said_comes_back_with_the_token() -> Result<()>
{
    let scene = Scene::new().await?;
    scene.server.review(REVIEWS, |mut review| {
        let why = format!(
            "no\n{} {}",
            review["spec"]["token"], review["spec"]["audiences"]
        );
        review["status"] = json!({"authenticated": false, "error": why});
        review
    });
    let refusal = scene.refusal(&scene.token()).await?;
    ensure!(matches!(&refusal, Refusal::NotAccepted(why) if why.contains("repeats the token")));
    scene.server.review(REVIEWS, |mut review| {
        let asked = review["spec"]["audiences"].to_string();
        review["status"] = json!({"authenticated": false, "error": asked});
        review
    });
    let refusal = scene.refusal(&scene.token()).await?;
    ensure!(refusal == Refusal::NotAccepted("[\"seaway\"]".to_owned()));
    Ok(())
}

#[tokio::test]
async fn a_token_whose_pod_is_gone_is_revoked() -> Result<()> {
    let scene = Scene::restless().await?;
    let (token, other) = (scene.token(), scene.token());
    let account = scene.tokens.verify(&token).await?;
    let kept = scene.tokens.verify(&other).await?;
    scene.await_reviews(3).await?;
    ensure!(!account.revoked.is_cancelled());
    scene.issuer.revoke(&token);
    timeout(LIMIT, account.revoked.cancelled()).await?;
    let refusal = scene.refusal(&token).await?;
    ensure!(matches!(refusal, Refusal::NotAccepted(_)), "{refusal}");
    ensure!(!kept.revoked.is_cancelled());
    ensure!(scene.metric("tokens_cached 1")?);
    Ok(())
}

#[tokio::test]
async fn a_token_in_use_survives_an_api_server_that_fails_or_is_away() -> Result<()> {
    let scene = Scene::restless().await?;
    let token = scene.token();
    let account = scene.tokens.verify(&token).await?;
    for fault in [
        Fault::answer(403),
        Fault::answer(500),
        Fault::NotJson,
        Fault::answer(503),
    ] {
        scene.server.inject(fault.on("tokenreviews"));
        scene.await_reviews(3).await?;
        ensure!(Arc::ptr_eq(&scene.tokens.verify(&token).await?, &account));
        scene.server.heal();
    }
    scene.server.refuse()?;
    scene.server.kill()?;
    let new = scene.token();
    // What is under way breaks with the connection; the next one finds nobody.
    while !matches!(scene.refusal(&new).await?, Refusal::Unavailable(why) if why.contains("onnect"))
    {
    }
    ensure!(Arc::ptr_eq(&scene.tokens.verify(&token).await?, &account));
    scene.server.listen()?;
    let back = async {
        while scene.tokens.verify(&new).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LIMIT, back).await?;
    ensure!(!account.revoked.is_cancelled());
    Ok(())
}

#[tokio::test]
async fn a_missing_permission_is_named() -> Result<()> {
    let scene = Scene::new().await?;
    scene.server.forbid("create", "tokenreviews");
    let refusal = scene.refusal(&scene.token()).await?.to_string();
    for part in [
        "403",
        "tokenreviews.authentication.k8s.io is forbidden",
        "permission to create tokenreviews",
    ] {
        ensure!(refusal.contains(part), "{refusal}");
    }
    ensure!(scene.metric("token_reviews_total{outcome=\"failed\"} 1")?);
    Ok(())
}

#[tokio::test]
async fn a_server_that_has_too_much_to_do_is_left_alone() -> Result<()> {
    let scene = Scene::new().await?;
    scene
        .server
        .inject(Fault::busy(60).on("tokenreviews").times(1));
    for _ in 0..100 {
        let refusal = scene.refusal(&scene.token()).await?;
        ensure!(matches!(&refusal, Refusal::Unavailable(why) if why.contains("429")));
    }
    ensure!(scene.reviews() == 1);
    Ok(())
}

#[tokio::test]
async fn nothing_shows_a_token_in_debug_output() -> Result<()> {
    let scene = Scene::new().await?;
    let token = scene.token();
    let account = scene.tokens.verify(&token).await?;
    let mut broker = ReviewBroker::new(Limits::default(), fastrand::Rng::new());
    let read = Token::read(&token, &"seaway".into(), SystemTime::now(), now())?;
    broker.ask(read, (), now());
    let shown = format!("{account:?} {:?} {broker:?}", scene.tokens);
    ensure!(
        token.split('.').all(|part| !shown.contains(part)),
        "{shown}"
    );
    Ok(())
}
