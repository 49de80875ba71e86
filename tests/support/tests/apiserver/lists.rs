//! Lists.

use anyhow::Result;
use seaway_testing::ApiServer;
use serde_json::json;

use crate::client::{SERVICES, SLICES, get, names, request, send};
use crate::{same, server, service};

#[tokio::test]
async fn a_list_has_the_revision_and_the_objects_as_the_server_completes_them() -> Result<()> {
    let server = server(&["a", "b"])?;
    let (status, list) = get(&server, SERVICES).await?;
    same(status, 200)?;
    same(&list["kind"], &json!("ServiceList"))?;
    same(
        &list["metadata"],
        &json!({"resourceVersion": server.revision().to_string()}),
    )?;
    same(names(&list), vec!["a".to_owned(), "b".to_owned()])?;
    let item = &list["items"][0];
    assert!(
        item["kind"].is_null() && item["apiVersion"].is_null(),
        "{item}"
    );
    let metadata = &item["metadata"];
    same(
        &metadata["managedFields"][0]["fieldsV1"]["f:spec"]["f:ports"],
        &json!({}),
    )?;
    same(metadata["uid"].as_str().map(str::len), Some(36))?;
    assert!(
        metadata["generation"].is_null() && metadata["creationTimestamp"].is_string(),
        "{metadata}"
    );
    Ok(())
}

#[tokio::test]
async fn generations_count_changes_of_what_is_neither_metadata_nor_status() -> Result<()> {
    let server = ApiServer::start()?;
    server.apply(json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": "a"}, "addressType": "IPv4", "endpoints": [],
    }))?;
    let first = server.revision();
    let edit =
        |change: fn(&mut serde_json::Value)| server.edit("endpointslices", "default", "a", change);
    edit(|slice| slice["metadata"]["labels"] = json!({"a": "b"}))?;
    edit(|slice| slice["endpoints"] = json!([{"addresses": ["10.0.0.1"]}]))?;
    edit(|_| ())?;
    let (_, list) = get(&server, SLICES).await?;
    same(&list["items"][0]["metadata"]["generation"], &json!(2))?;
    // A write that changes nothing is none.
    same(server.revision(), first + 2)
}

#[tokio::test]
async fn pages_show_the_state_of_the_first_one() -> Result<()> {
    let server = server(&["a", "b", "c", "d"])?;
    let (_, first) = get(&server, &format!("{SERVICES}?limit=2")).await?;
    same(names(&first), vec!["a".into(), "b".into()])?;
    same(&first["metadata"]["remainingItemCount"], &json!(2))?;
    server.delete("services", "default", "c")?;
    server.apply(service("bb", "web"))?;
    let token = first["metadata"]["continue"].as_str().unwrap_or_default();
    let (_, second) = get(&server, &format!("{SERVICES}?limit=2&continue={token}")).await?;
    same(names(&second), vec!["c".into(), "d".into()])?;
    same(
        &second["metadata"]["resourceVersion"],
        &first["metadata"]["resourceVersion"],
    )?;
    assert!(second["metadata"]["continue"].is_null());
    let limits: Vec<_> = server
        .seen("list", "services")
        .iter()
        .map(|seen| seen.parameter("limit").to_owned())
        .collect();
    same(limits, vec!["2".into(), "2".into()])
}

#[tokio::test]
async fn an_expired_token_is_gone_and_comes_with_one_to_go_on_with() -> Result<()> {
    let server = server(&["a", "b", "c"])?;
    let (_, first) = get(&server, &format!("{SERVICES}?limit=1")).await?;
    server.delete("services", "default", "b")?;
    server.compact();
    let token = first["metadata"]["continue"].as_str().unwrap_or_default();
    let (status, gone) = get(&server, &format!("{SERVICES}?limit=1&continue={token}")).await?;
    same((status, &gone["reason"]), (410, &json!("Expired")))?;
    let token = gone["metadata"]["continue"].as_str().unwrap_or_default();
    let (_, rest) = get(&server, &format!("{SERVICES}?limit=1&continue={token}")).await?;
    same(names(&rest), vec!["c".into()])
}

#[tokio::test]
async fn revisions_of_lists_are_exact_or_minimal() -> Result<()> {
    let server = server(&["a"])?;
    let old = server.revision();
    server.apply(service("b", "web"))?;
    let list = async |query: String| get(&server, &format!("{SERVICES}?{query}")).await;
    let count = async |query: String| Ok::<_, anyhow::Error>(names(&list(query).await?.1).len());
    same(
        count(format!("resourceVersion={old}&resourceVersionMatch=Exact")).await?,
        1,
    )?;
    same(
        count(format!(
            "resourceVersion={old}&resourceVersionMatch=NotOlderThan&limit=9"
        ))
        .await?,
        2,
    )?;
    same(count(format!("resourceVersion={old}")).await?, 2)?;
    same(count(format!("resourceVersion={old}&limit=9")).await?, 1)?;
    // A watch cache that may answer with any state knows no pages.
    same(count("resourceVersion=0&limit=1".to_owned()).await?, 2)?;
    same(list("resourceVersion=99999".to_owned()).await?.0, 504)?;
    same(list("resourceVersionMatch=Exact".to_owned()).await?.0, 422)?;
    same(list("resourceVersion=x".to_owned()).await?.0, 400)?;
    server.compact();
    same(
        list(format!("resourceVersion={old}&resourceVersionMatch=Exact"))
            .await?
            .0,
        410,
    )
}

#[tokio::test]
async fn selectors_and_namespaces_narrow_a_list() -> Result<()> {
    let server = server(&["a", "b"])?;
    server.apply(service("c", "db"))?;
    let mut elsewhere = service("a", "web");
    elsewhere["metadata"]["namespace"] = "other".into();
    server.apply(elsewhere)?;
    let list =
        async |path: &str| Ok::<_, anyhow::Error>(names(&get(&server, path).await?.1).join(" "));
    same(list(SERVICES).await?, "a b c a".into())?;
    same(list("/api/v1/namespaces/other/services").await?, "a".into())?;
    same(
        list(&format!("{SERVICES}?labelSelector=app%20in%20(db)")).await?,
        "c".into(),
    )?;
    same(
        list(&format!("{SERVICES}?labelSelector=app!%3Ddb%2Capp")).await?,
        "a b a".into(),
    )?;
    same(
        list(&format!("{SERVICES}?fieldSelector=metadata.name%3Da")).await?,
        "a a".into(),
    )?;
    same(
        get(&server, &format!("{SERVICES}?fieldSelector=spec.x%3Da"))
            .await?
            .0,
        400,
    )?;
    // The last page of a selection may be empty: the server does not look ahead.
    let (_, page) = get(
        &server,
        &format!("{SERVICES}?labelSelector=app%3Ddb&limit=1"),
    )
    .await?;
    assert!(
        page["metadata"]["continue"].is_string()
            && page["metadata"]["remainingItemCount"].is_null()
    );
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_is_a_status_object() -> Result<()> {
    let server = server(&["a"])?;
    for path in [
        "/api/v1/nothings",
        "/apis/x/v1/services",
        "/api/v1/services/a",
        "/api/v1/namespaces/default/services/b",
        "/x",
    ] {
        let (status, object) = get(&server, path).await?;
        same(
            (status, &object["kind"], &object["code"]),
            (404, &json!("Status"), &json!(404)),
        )?;
    }
    same(
        get(&server, "/api/v1/namespaces/default/services/a")
            .await?
            .1["kind"]
            .clone(),
        json!("Service"),
    )
}

#[tokio::test]
async fn the_token_is_asked_for() -> Result<()> {
    let server = server(&[])?;
    server.configure(|settings| settings.token = Some("another".to_owned()));
    same(get(&server, SERVICES).await?.0, 401)?;
    same(server.activity().borrow().requests("list", "services"), 1)?;
    let mut with = request("GET", SERVICES, "", "")?;
    with.headers_mut()
        .insert("authorization", "Bearer another".parse()?);
    same(send(&server, with).await?.status().as_u16(), 200)
}

#[tokio::test]
async fn a_server_without_paging_ignores_limits() -> Result<()> {
    let server = server(&["a", "b"])?;
    server.configure(|settings| settings.paging = false);
    let (_, list) = get(&server, &format!("{SERVICES}?limit=1")).await?;
    same(names(&list).len(), 2)?;
    assert!(list["metadata"]["continue"].is_null());
    Ok(())
}
