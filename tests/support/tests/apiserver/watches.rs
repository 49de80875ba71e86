//! Watches.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::client::{SERVICES, Watch, get, names};
use crate::{same, server, service, until};

fn list(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_watch_tells_what_changed_after_its_revision() -> Result<()> {
    let server = server(&["a", "b"])?;
    let from = server.revision();
    server.edit("services", "default", "a", |service| {
        service["spec"]["type"] = "NodePort".into()
    })?;
    let mut watch = Watch::open(&server, SERVICES, &format!("resourceVersion={from}")).await?;
    let event = watch.event().await?;
    same(&event["type"], &json!("MODIFIED"))?;
    same(&event["object"]["kind"], &json!("Service"))?;
    same(
        &event["object"]["metadata"]["resourceVersion"],
        &json!((from + 1).to_string()),
    )?;
    server.delete("services", "default", "b")?;
    let event = watch.event().await?;
    same(&event["type"], &json!("DELETED"))?;
    same(
        &event["object"]["metadata"]["resourceVersion"],
        &json!((from + 2).to_string()),
    )?;
    server.apply(service("b", "web"))?;
    same(watch.next().await?, "ADDED b".into())?;
    same(server.activity().borrow().watches("services"), 1)?;
    drop(watch);
    until(&server, |activity| activity.watches("services") == 0).await?;
    same(server.activity().borrow().requests("watch", "services"), 1)
}

#[tokio::test]
async fn without_a_revision_a_watch_begins_with_what_is_there() -> Result<()> {
    let server = server(&["b", "a"])?;
    for query in ["", "resourceVersion=0&allowWatchBookmarks=true"] {
        let mut watch = Watch::open(&server, SERVICES, query).await?;
        same(watch.take(2).await?, list(&["ADDED a", "ADDED b"]))?;
        server.apply(service("c", "web"))?;
        same(watch.next().await?, "ADDED c".into())?;
        server.delete("services", "default", "c")?;
        same(watch.next().await?, "DELETED c".into())?;
    }
    Ok(())
}

#[tokio::test]
async fn a_streaming_list_ends_with_an_annotated_bookmark() -> Result<()> {
    let server = server(&["a", "b"])?;
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = Watch::open(&server, SERVICES, query).await?;
    same(watch.take(2).await?, list(&["ADDED a", "ADDED b"]))?;
    let bookmark = watch.event().await?;
    same(&bookmark["type"], &json!("BOOKMARK"))?;
    let metadata = &bookmark["object"]["metadata"];
    same(
        &metadata["annotations"],
        &json!({"k8s.io/initial-events-end": "true"}),
    )?;
    same(
        &metadata["resourceVersion"],
        &json!(server.revision().to_string()),
    )?;
    server.delete("services", "default", "a")?;
    same(watch.next().await?, "DELETED a".into())
}

#[tokio::test]
async fn an_old_server_refuses_streaming_lists() -> Result<()> {
    let server = server(&[])?;
    let streaming =
        format!("{SERVICES}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan");
    server.configure(|settings| settings.streaming_lists = false);
    let (status, refused) = get(&server, &streaming).await?;
    same((status, &refused["reason"]), (422, &json!("Invalid")))?;
    same(
        &refused["details"]["causes"][0]["field"],
        &json!("sendInitialEvents"),
    )?;
    server.configure(|settings| settings.streaming_lists = true);
    let without = format!("{SERVICES}?watch=true&sendInitialEvents=true");
    same(get(&server, &without).await?.0, 422)?;
    let future = format!("{streaming}&resourceVersion=99999");
    same(get(&server, &future).await?.0, 504)
}

#[tokio::test]
async fn an_object_that_leaves_the_selection_is_deleted_for_the_watch() -> Result<()> {
    let server = server(&["a"])?;
    let query = format!(
        "labelSelector=app%3Dweb&resourceVersion={}",
        server.revision()
    );
    let mut watch = Watch::open(&server, "/api/v1/namespaces/default/services", &query).await?;
    server.apply(service("b", "db"))?;
    server.apply(service("a", "db"))?;
    let event = watch.event().await?;
    same(&event["type"], &json!("DELETED"))?;
    // The object as the watch knew it, under the revision of the change.
    same(&event["object"]["metadata"]["labels"]["app"], &json!("web"))?;
    same(
        &event["object"]["metadata"]["resourceVersion"],
        &json!(server.revision().to_string()),
    )?;
    server.apply(service("b", "web"))?;
    same(watch.next().await?, "ADDED b".into())
}

#[tokio::test]
async fn bookmarks_come_when_they_are_due_and_only_where_they_are_allowed() -> Result<()> {
    let server = server(&["a"])?;
    let from = server.revision();
    server.configure(|settings| settings.bookmarks = None);
    let query = format!("resourceVersion={from}");
    let mut without = Watch::open(&server, SERVICES, &query).await?;
    let mut with = Watch::open(
        &server,
        SERVICES,
        &format!("{query}&allowWatchBookmarks=true"),
    )
    .await?;
    server.advance(5);
    server.bookmark();
    same(with.next().await?, format!("BOOKMARK {}", from + 5))?;
    server.configure(|settings| settings.bookmarks = Some(Duration::from_millis(20)));
    same(
        with.take(2).await?,
        vec![format!("BOOKMARK {}", from + 5); 2],
    )?;
    server.apply(service("b", "web"))?;
    same(without.next().await?, "ADDED b".into())
}

#[tokio::test]
async fn a_watch_ends_in_good_order_when_its_time_is_up() -> Result<()> {
    let server = server(&["a"])?;
    let query = format!(
        "resourceVersion={}&allowWatchBookmarks=true",
        server.revision()
    );
    let mut ended = Watch::open(&server, SERVICES, &query).await?;
    until(&server, |activity| activity.watches("services") == 1).await?;
    server.end_watches("services");
    let timed = format!("{query}&timeoutSeconds=1");
    let mut timed = Watch::open(&server, SERVICES, &timed).await?;
    for watch in [&mut ended, &mut timed] {
        same(
            watch.next().await?,
            format!("BOOKMARK {}", server.revision()),
        )?;
        same(watch.line().await?, None)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_revision_that_is_compacted_is_gone() -> Result<()> {
    let server = server(&["a"])?;
    let old = server.revision();
    server.apply(service("b", "web"))?;
    let mut open = Watch::open(
        &server,
        SERVICES,
        &format!("resourceVersion={}", server.revision()),
    )
    .await?;
    server.compact();
    let mut watch = Watch::open(&server, SERVICES, &format!("resourceVersion={old}")).await?;
    let event = watch.event().await?;
    same(
        (&event["type"], &event["object"]["code"]),
        (&json!("ERROR"), &json!(410)),
    )?;
    same(watch.line().await?, None)?;
    server.configure(|settings| settings.gone_as_status = true);
    let path = format!("{SERVICES}?watch=true&resourceVersion={old}");
    same(
        get(&server, &path).await?.1["reason"].clone(),
        json!("Expired"),
    )?;
    // A watch that is open goes on until it is told.
    server.apply(service("c", "web"))?;
    same(open.next().await?, "ADDED c".into())?;
    server.fail_watches("services", 410);
    same(open.event().await?["object"]["code"].clone(), json!(410))?;
    same(open.line().await?, None)
}

#[tokio::test]
async fn a_short_history_makes_revisions_too_old() -> Result<()> {
    let server = server(&["a"])?;
    let old = server.revision();
    server.configure(|settings| settings.history = 2);
    for name in ["b", "c", "d"] {
        server.apply(service(name, "web"))?;
    }
    let mut gone = Watch::open(&server, SERVICES, &format!("resourceVersion={old}")).await?;
    same(gone.event().await?["object"]["code"].clone(), json!(410))?;
    let mut watch = Watch::open(&server, SERVICES, &format!("resourceVersion={}", old + 1)).await?;
    same(watch.take(2).await?, list(&["ADDED c", "ADDED d"]))
}

#[tokio::test]
async fn a_watch_from_the_future_says_nothing_before_it_comes() -> Result<()> {
    let server = server(&["a"])?;
    let past = server.revision();
    server.load([service("b", "web"), service("c", "web")])?;
    let future = server.revision();
    server.restore(past)?;
    same(server.objects("services")?.len(), 1)?;
    let mut watch = Watch::open(&server, SERVICES, &format!("resourceVersion={future}")).await?;
    server.load(["d", "e", "f"].map(|name| service(name, "web")))?;
    same(watch.next().await?, "ADDED f".into())
}

#[tokio::test]
async fn a_watch_cache_may_be_behind_but_not_behind_what_is_asked_for() -> Result<()> {
    let server = server(&["a", "b", "c"])?;
    server.configure(|settings| settings.lag = 2);
    let newest = server.revision();
    let listed = async |query: String| {
        let (_, list) = get(&server, &format!("{SERVICES}?{query}")).await?;
        Ok::<_, anyhow::Error>(names(&list).join(" "))
    };
    same(listed(String::new()).await?, "a b c".into())?;
    same(listed("resourceVersion=0".into()).await?, "a".into())?;
    same(
        listed(format!("resourceVersion={}", newest - 1)).await?,
        "a b".into(),
    )?;
    let cached = Watch::open(&server, SERVICES, "resourceVersion=0").await;
    same(
        cached?.take(3).await?,
        list(&["ADDED a", "ADDED b", "ADDED c"]),
    )?;
    let query = "resourceVersion=0&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = Watch::open(&server, SERVICES, query).await?;
    let bookmark = format!("BOOKMARK {}", newest - 2);
    same(
        watch.take(3).await?,
        list(&["ADDED a", &bookmark, "ADDED b"]),
    )
}
