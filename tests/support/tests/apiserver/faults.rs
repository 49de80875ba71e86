//! Faults.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use http_body_util::BodyExt;
use seaway_testing::{Fault, Spoil};
use serde_json::json;
use tokio::net::TcpStream;

use crate::client::{SERVICES, SLICES, Watch, get, names, request, send};
use crate::{same, server, service, soon, until};

#[tokio::test]
async fn a_status_concerns_whom_it_is_meant_for() -> Result<()> {
    let server = server(&["a"])?;
    server.inject(Fault::busy(7).on("services").verb("list").times(1));
    same(get(&server, SLICES).await?.0, 200)?;
    let response = send(&server, request("GET", SERVICES, "", "")?).await?;
    same(
        (
            response.status().as_u16(),
            response.headers()["retry-after"].to_str()?,
        ),
        (429, "7"),
    )?;
    same(get(&server, SERVICES).await?.0, 200)?;
    for code in [401, 403, 500, 503] {
        server.inject(Fault::answer(code));
        let (status, object) = get(&server, SERVICES).await?;
        same((status, &object["code"]), (code, &json!(code)))?;
        server.heal();
    }
    same(get(&server, SERVICES).await?.0, 200)
}

#[tokio::test]
async fn a_verb_that_rbac_refuses_is_forbidden() -> Result<()> {
    let server = server(&[])?;
    server.forbid("watch", "endpointslices");
    same(get(&server, SLICES).await?.0, 200)?;
    let (status, refused) = get(&server, &format!("{SLICES}?watch=true")).await?;
    same((status, &refused["reason"]), (403, &json!("Forbidden")))?;
    let message = refused["message"].as_str().unwrap_or_default();
    ensure!(
        message
            .contains("cannot watch resource \"endpointslices\" in API group \"discovery.k8s.io\""),
        "{message}"
    );
    server.allow("watch", "endpointslices");
    Watch::open(&server, SLICES, "").await.map(drop)
}

#[tokio::test]
async fn a_server_that_is_down_refuses_and_comes_back_on_its_port() -> Result<()> {
    let server = server(&["a"])?;
    let mut watch = Watch::open(&server, SERVICES, "").await?;
    same(watch.next().await?, "ADDED a".into())?;
    server.refuse()?;
    ensure!(
        TcpStream::connect(server.address()).await.is_err(),
        "it listens"
    );
    server.apply(service("b", "web"))?;
    same(watch.next().await?, "ADDED b".into())?;
    server.kill()?;
    ensure!(watch.line().await.is_err(), "the watch did not break");
    until(&server, |activity| activity.watches("services") == 0).await?;
    server.listen()?;
    same(get(&server, SERVICES).await?.0, 200)
}

#[tokio::test]
async fn what_hangs_goes_on_when_it_is_healed() -> Result<()> {
    let server = server(&["a"])?;
    server.inject(Fault::Hang.on("services"));
    let asked = get(&server, SERVICES);
    let healed = async {
        until(&server, |activity| {
            activity.requests("list", "services") == 1
        })
        .await?;
        let early = tokio::time::timeout(Duration::from_millis(50), get(&server, SERVICES)).await;
        ensure!(early.is_err(), "it answered");
        server.heal();
        Ok(())
    };
    let (asked, healed) = tokio::join!(asked, healed);
    healed?;
    same(asked?.0, 200)
}

#[tokio::test]
async fn a_watch_falls_silent_and_does_not_end() -> Result<()> {
    let server = server(&["a", "b", "c"])?;
    server.inject(Fault::Silent { after: 2 }.verb("watch"));
    let mut watch = Watch::open(&server, SERVICES, "timeoutSeconds=1").await?;
    same(watch.take(2).await?.len(), 2)?;
    let early = tokio::time::timeout(Duration::from_millis(50), watch.line()).await;
    ensure!(early.is_err(), "it said something");
    server.heal();
    same(watch.next().await?, "ADDED c".into())
}

#[tokio::test]
async fn answers_break_or_end_in_the_middle() -> Result<()> {
    let server = server(&["a", "b"])?;
    server.inject(Fault::Cut { after: 1 });
    let mut watch = Watch::open(&server, SERVICES, "").await?;
    same(watch.next().await?, "ADDED a".into())?;
    ensure!(watch.line().await.is_err(), "the watch did not break");
    let response = send(&server, request("GET", SERVICES, "", "")?).await?;
    ensure!(
        soon(response.into_body().collect()).await?.is_err(),
        "the list did not break"
    );
    server.heal();
    server.inject(Fault::Truncate { after: 1 });
    let mut watch = Watch::open(&server, SERVICES, "").await?;
    same(watch.next().await?, "ADDED a".into())?;
    let half = watch.line().await?.unwrap_or_default();
    ensure!(
        half.starts_with("{\"type\":\"ADDED\"") && !half.ends_with('\n'),
        "{half}"
    );
    same(watch.line().await?, None)?;
    ensure!(get(&server, SERVICES).await.is_err(), "the list is whole");
    server.heal();
    server.inject(Fault::Garble { after: 1 });
    let mut watch = Watch::open(&server, SERVICES, "").await?;
    same(watch.next().await?, "ADDED a".into())?;
    ensure!(watch.event().await.is_err(), "the line is whole");
    server.heal();
    server.apply(service("c", "web"))?;
    same(watch.next().await?, "ADDED c".into())?;
    server.inject(Fault::NotJson);
    ensure!(get(&server, SERVICES).await.is_err(), "the list is JSON");
    Ok(())
}

#[tokio::test]
async fn bodies_come_slowly() -> Result<()> {
    let server = server(&["a"])?;
    let before = Instant::now();
    server.inject(Fault::Slow {
        piece: 100,
        pause: Duration::from_millis(20),
    });
    let (_, list) = get(&server, SERVICES).await?;
    let length = list.to_string().len() / 100;
    same(names(&list).len(), 1)?;
    ensure!(
        before.elapsed() > Duration::from_millis(20) * u32::try_from(length)?,
        "{:?}",
        before.elapsed()
    );
    let mut watch = Watch::open(&server, SERVICES, "").await?;
    same(watch.next().await?, "ADDED a".into())
}

#[tokio::test]
async fn every_watch_can_be_gone() -> Result<()> {
    let server = server(&["a"])?;
    server.inject(Fault::Expired.verb("watch"));
    for query in ["", "resourceVersion=1001"] {
        let mut watch = Watch::open(&server, SERVICES, query).await?;
        same(watch.event().await?["object"]["code"].clone(), json!(410))?;
        same(watch.line().await?, None)?;
    }
    server.inject(Fault::answer(410).verb("watch"));
    same(
        get(&server, &format!("{SERVICES}?watch=true")).await?.0,
        410,
    )
}

#[tokio::test]
async fn events_come_twice_or_out_of_order() -> Result<()> {
    let server = server(&["a", "b", "c"])?;
    server.inject(Fault::Repeat);
    let mut watch = Watch::open(&server, SERVICES, "").await?;
    same(watch.take(2).await?, vec!["ADDED a".to_owned(); 2])?;
    server.heal();
    server.inject(Fault::Shuffle { seed: 3 });
    let shuffled = Watch::open(&server, SERVICES, "").await?.take(3).await?;
    same(
        Watch::open(&server, SERVICES, "").await?.take(3).await?,
        shuffled.clone(),
    )?;
    ensure!(
        shuffled != ["ADDED a", "ADDED b", "ADDED c"],
        "this seed changes nothing"
    );
    Ok(())
}

#[tokio::test]
async fn some_objects_are_spoiled_the_same_ones_everywhere() -> Result<()> {
    let names: Vec<_> = (0..50).map(|number| format!("s{number:02}")).collect();
    let server = server(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    let spoil = Spoil::some(20, 1, "/spec/ports", "not a list");
    let hit = names
        .iter()
        .filter(|name| spoil.hits("default", name))
        .count();
    ensure!((5..20).contains(&hit), "{hit} of 50");
    server.inject(Fault::Spoil(spoil.clone()));
    let (_, list) = get(&server, SERVICES).await?;
    let mut watch = Watch::open(&server, SERVICES, "").await?;
    for item in list["items"].as_array().into_iter().flatten() {
        let name = item["metadata"]["name"].as_str().unwrap_or_default();
        same(
            item["spec"]["ports"].is_string(),
            spoil.hits("default", name),
        )?;
        let event = watch.event().await?;
        same(&event["object"]["spec"], &item["spec"])?;
    }
    server.heal();
    server.inject(Fault::Spoil(Spoil::all("/spec/ports/0/port", -1)));
    let (_, list) = get(&server, SERVICES).await?;
    same(&list["items"][0]["spec"]["ports"][0]["port"], &json!(-1))?;
    server.heal();
    server.inject(Fault::Spoil(Spoil::all("", json!(null))));
    same(
        get(&server, SERVICES).await?.1["items"][0].clone(),
        json!(null),
    )?;
    server.heal();
    server.inject(Fault::Spoil(Spoil::huge(100_000)));
    ensure!(get(&server, SERVICES).await?.1.to_string().len() > 5_000_000);
    Ok(())
}

#[tokio::test]
async fn another_body_comes_instead_of_the_answer() -> Result<()> {
    let server = server(&["a"])?;
    server.inject(Fault::page(502, 10_000).on("services").times(1));
    let response = send(&server, request("GET", SERVICES, "", "")?).await?;
    same(response.status().as_u16(), 502)?;
    same(response.headers()["content-type"].to_str()?, "text/html")?;
    let body = response.into_body().collect().await?.to_bytes();
    same(body.len(), 10_000)?;
    server.inject(Fault::instead("{\"kind\": \"Table\"}").verb("watch"));
    let table = (200, json!({"kind": "Table"}));
    same(
        get(&server, &format!("{SERVICES}?watch=true")).await?,
        table,
    )?;
    same(
        names(&get(&server, SERVICES).await?.1),
        vec!["a".to_owned()],
    )
}

#[tokio::test]
async fn a_list_has_no_end() -> Result<()> {
    let server = server(&["a", "b"])?;
    for distinct in [true, false] {
        server.inject(Fault::Endless { distinct });
        let mut tokens = vec![String::new()];
        for _ in 0..3 {
            let last = tokens.last().map(String::as_str).unwrap_or_default();
            let path = format!("{SERVICES}?limit=1&continue={last}");
            let (_, list) = get(&server, &path).await?;
            same(names(&list), vec!["a".to_owned()])?;
            let next = list["metadata"]["continue"].as_str();
            tokens.push(next.unwrap_or_default().to_owned());
        }
        same(tokens[1] == tokens[2], !distinct)?;
        same(tokens[2] == tokens[3], !distinct)?;
        server.heal();
    }
    same(names(&get(&server, SERVICES).await?.1).len(), 2)
}
