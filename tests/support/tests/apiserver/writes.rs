//! Writes of clients.

use anyhow::Result;
use serde_json::json;

use crate::client::{SERVICES, Watch, ask};
use crate::{same, server};

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";

#[tokio::test]
async fn events_are_posted_patched_and_can_be_read_by_the_test() -> Result<()> {
    let server = server(&[])?;
    let event =
        json!({"metadata": {"generateName": "web."}, "reason": "Conflict", "note": "first"});
    let (status, created) = ask(&server, "POST", EVENTS, &event.to_string()).await?;
    same((status, &created["kind"]), (201, &json!("Event")))?;
    let name = created["metadata"]["name"].as_str().unwrap_or_default();
    let path = format!("{EVENTS}/{name}");
    let (status, _) = ask(
        &server,
        "PATCH",
        &path,
        r#"{"series": {"count": 2}, "note": null}"#,
    )
    .await?;
    same(status, 200)?;
    let events = server.objects("events")?;
    same(events.len(), 1)?;
    same(
        (&events[0]["series"]["count"], &events[0]["reason"]),
        (&json!(2), &json!("Conflict")),
    )?;
    assert!(events[0]["note"].is_null());
    same(server.seen("create", "events")[0].agent.as_str(), "tests")
}

#[tokio::test]
async fn a_write_of_an_old_revision_conflicts() -> Result<()> {
    let server = server(&["a"])?;
    let path = "/api/v1/namespaces/default/services/a";
    let mut object = server.get("services", "default", "a")?.unwrap_or_default();
    object["spec"]["type"] = "NodePort".into();
    same(ask(&server, "PUT", path, &object.to_string()).await?.0, 200)?;
    same(
        ask(&server, "PUT", path, &object.to_string()).await?.1["reason"].clone(),
        json!("Conflict"),
    )?;
    same(
        ask(
            &server,
            "POST",
            "/api/v1/namespaces/default/services",
            &object.to_string(),
        )
        .await?
        .0,
        409,
    )?;
    same(
        ask(
            &server,
            "PUT",
            "/api/v1/namespaces/default/services/b",
            &object.to_string(),
        )
        .await?
        .0,
        400,
    )?;
    same(
        ask(
            &server,
            "PATCH",
            "/api/v1/namespaces/default/services/b",
            "{}",
        )
        .await?
        .0,
        404,
    )?;
    same(ask(&server, "DELETE", path, "").await?.0, 200)?;
    same(ask(&server, "DELETE", path, "").await?.0, 404)
}

#[tokio::test]
async fn status_and_object_are_written_apart() -> Result<()> {
    let server = server(&["a"])?;
    let path = "/api/v1/namespaces/default/services/a";
    let status = json!({"status": {"loadBalancer": {}}, "spec": {"type": "NodePort"}});
    same(
        ask(
            &server,
            "PATCH",
            &format!("{path}/status"),
            &status.to_string(),
        )
        .await?
        .0,
        200,
    )?;
    let object = server.get("services", "default", "a")?.unwrap_or_default();
    same(
        (&object["status"], &object["spec"]["type"]),
        (&status["status"], &json!(null)),
    )?;
    server.apply(crate::service("a", "db"))?;
    let object = server.get("services", "default", "a")?.unwrap_or_default();
    same(&object["status"], &status["status"])
}

#[tokio::test]
async fn an_object_with_finalizers_is_marked_before_it_goes() -> Result<()> {
    let server = server(&["a"])?;
    server.edit("services", "default", "a", |service| {
        service["metadata"]["finalizers"] = json!(["x/y"])
    })?;
    let mut watch = Watch::open(
        &server,
        SERVICES,
        &format!("resourceVersion={}", server.revision()),
    )
    .await?;
    server.delete("services", "default", "a")?;
    let event = watch.event().await?;
    same(&event["type"], &json!("MODIFIED"))?;
    assert!(
        event["object"]["metadata"]["deletionTimestamp"].is_string(),
        "{event}"
    );
    server.edit("services", "default", "a", |service| {
        service["metadata"]["finalizers"] = json!(null)
    })?;
    same(watch.next().await?, "DELETED a".into())
}

#[tokio::test]
async fn reviews_are_answered_by_the_test() -> Result<()> {
    let server = server(&[])?;
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    same(ask(&server, "POST", path, "{}").await?.0, 404)?;
    server.review(path, |mut review| {
        review["status"] = json!({"authenticated": review["spec"]["token"] == "good"});
        review
    });
    let (status, answer) = ask(&server, "POST", path, r#"{"spec": {"token": "good"}}"#).await?;
    same(
        (status, &answer["status"]["authenticated"]),
        (201, &json!(true)),
    )
}
