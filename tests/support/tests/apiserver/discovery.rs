//! Kinds come and go, and discovery says which there are.

use anyhow::Result;
use seaway_testing::Fault;
use serde_json::{Value, json};

use crate::client::{SLICES, ask};
use crate::{same, server};

const GATEWAYS: &str = "/apis/gateway.networking.k8s.io/v1";

/// The names of the resources, or of the groups, that a document lists.
fn names(document: &Value, field: &str) -> Vec<String> {
    let all = document[field].as_array().into_iter().flatten();
    all.map(|one| one["name"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn a_kind_that_is_installed_is_served_until_it_is_uninstalled() -> Result<()> {
    let server = server(&[])?;
    let routes = format!("{GATEWAYS}/httproutes");
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "a"},
    });
    same(ask(&server, "GET", GATEWAYS, "").await?.0, 404)?;
    same(
        ask(&server, "GET", &routes, "").await?,
        (404, "404 page not found\n".into()),
    )?;
    assert!(server.apply(route.clone()).is_err());
    server.install("httproutes")?;
    server.apply(route)?;
    let (_, groups) = ask(&server, "GET", "/apis", "").await?;
    let group = "gateway.networking.k8s.io".to_owned();
    assert!(names(&groups, "groups").contains(&group), "{groups}");
    let (_, kinds) = ask(&server, "GET", GATEWAYS, "").await?;
    same(names(&kinds, "resources"), vec!["httproutes".to_owned()])?;
    let (code, list) = ask(&server, "GET", &routes, "").await?;
    same(
        (code, list["items"].as_array().map(Vec::len)),
        (200, Some(1)),
    )?;
    server.uninstall("httproutes")?;
    same(ask(&server, "GET", &routes, "").await?.0, 404)?;
    let (_, groups) = ask(&server, "GET", "/apis", "").await?;
    assert!(!names(&groups, "groups").contains(&group), "{groups}");
    server.install("httproutes")?;
    let (_, list) = ask(&server, "GET", &routes, "").await?;
    same(list["items"].as_array().map(Vec::len), Some(0))
}

#[tokio::test]
async fn each_version_is_listed_by_itself() -> Result<()> {
    let server = server(&[])?;
    let older = "/apis/discovery.k8s.io/v1beta1";
    same(ask(&server, "GET", older, "").await?.0, 404)?;
    server.install("discovery.k8s.io/v1beta1/endpointslices")?;
    same(ask(&server, "GET", older, "").await?.0, 200)?;
    server.uninstall("discovery.k8s.io/v1/endpointslices")?;
    same(ask(&server, "GET", SLICES, "").await?.0, 404)?;
    let path = format!("{older}/endpointslices");
    let (_, list) = ask(&server, "GET", &path, "").await?;
    same(
        list["apiVersion"].as_str(),
        Some("discovery.k8s.io/v1beta1"),
    )
}

#[tokio::test]
async fn discovery_can_fail_like_anything_else() -> Result<()> {
    let server = server(&[])?;
    server.inject(Fault::answer(500).on("discovery").times(1));
    same(ask(&server, "GET", "/apis", "").await?.0, 500)?;
    same(ask(&server, "GET", "/apis", "").await?.0, 200)?;
    server.forbid("get", "discovery");
    same(ask(&server, "GET", "/api/v1", "").await?.0, 403)?;
    server.allow("get", "discovery");
    same(ask(&server, "GET", "/api/v1", "").await?.0, 200)?;
    let asked = server.activity().borrow().requests("get", "discovery");
    same(asked, 4)
}
