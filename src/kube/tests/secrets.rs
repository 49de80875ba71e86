//! Secrets: those that are named are read, whenever that is, and no others (Gateway rule 38).

use seaway_testing::Fault;
use serde_json::{Value, json};

use super::*;

/// A Secret with this in place of a certificate.
fn secret(namespace: &str, name: &str, content: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"namespace": namespace, "name": name},
        "data": {"tls.crt": content},
    })
}

/// An Ingress that names these Secrets.
fn ingress(name: &str, secrets: &[&str]) -> Value {
    let tls = secrets.iter();
    let tls =
        tls.map(|secret| json!({"hosts": [format!("{secret}.example.com")], "secretName": secret}));
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"namespace": "shop", "name": name},
        "spec": {"ingressClassName": "seaway", "tls": tls.collect::<Vec<_>>()},
    })
}

/// A server with two Secrets, of which one is named by an Ingress.
fn populated() -> Result<ApiServer> {
    let server = ApiServer::start()?;
    server.apply(secret("shop", "a", &json!(1)))?;
    server.apply(secret("shop", "b", &json!(1)))?;
    server.apply(ingress("i", &["a"]))?;
    Ok(server)
}

async fn start(server: &ApiServer, folder: &Path, namespaces: &[&str]) -> Result<Running> {
    let pace = Pace {
        refused: Duration::from_millis(300),
        ..Pace::default()
    };
    let wanted = Wanted {
        pace,
        ..wanted(namespaces)
    };
    start_with(server, folder, wanted).await
}

/// A source that has told of the Ingress and its Secret.
async fn running(server: &ApiServer, folder: &Path) -> Result<Running> {
    let mut source = start(server, folder, &[]).await?;
    assert_eq!(source.next().await?, ["+Ingress shop/i", "+Secret shop/a"]);
    source.well().await?;
    Ok(source)
}

/// How often Secrets were asked for in any way.
fn requests(server: &ApiServer) -> u64 {
    let activity = server.activity();
    let activity = activity.borrow();
    activity.requests("list", "secrets") + activity.requests("watch", "secrets")
}

/// The names by which single Secrets were asked for.
fn fetched(server: &ApiServer) -> Vec<String> {
    let lists = server.seen("list", "secrets");
    let selectors = lists.iter().map(|seen| seen.parameter("fieldSelector"));
    let names = selectors.filter_map(|selector| selector.strip_prefix("metadata.name="));
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn where_nobody_names_a_secret_none_is_asked_for_and_nobody_waits() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = populated()?;
    server.forbid("*", "secrets");
    server.apply(ingress("i", &[]))?;
    let mut source = start(&server, folder.path(), &[]).await?;
    assert_eq!(
        source.next_update().await?,
        (vec!["+Ingress shop/i".into()], false)
    );
    source.well().await?;
    assert_eq!(requests(&server), 0);
    // The first name begins the list, and comes together with its Secret.
    server.allow("*", "secrets");
    server.apply(ingress("i", &["a"]))?;
    assert_eq!(source.next().await?, ["+Ingress shop/i", "+Secret shop/a"]);
    source.well().await
}

#[tokio::test]
async fn only_named_secrets_are_told_and_the_rest_is_left_out_where_the_server_can() -> Result<()> {
    for streaming in [true, false] {
        let folder = tempfile::tempdir()?;
        let server = populated()?;
        server.configure(|settings| settings.streaming_lists = streaming);
        let mut source = running(&server, folder.path()).await?;
        server.apply(secret("shop", "b", &json!(streaming)))?;
        server.delete("secrets", "shop", "b")?;
        source
            .tells_only(&server, &format!("service-{streaming}"))
            .await?;
        source.end().await?;
        let all = [
            server.seen("list", "secrets"),
            server.seen("watch", "secrets"),
        ]
        .concat();
        let bare = all.iter().find(|seen| {
            let selector = seen.parameter("fieldSelector");
            !selector.contains("type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token")
        });
        assert!(bare.is_none(), "{bare:?}");
        let lists = server.seen("list", "secrets");
        let small = lists.iter().any(|seen| seen.parameter("limit") == "50");
        assert!(streaming || small, "{lists:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_that_is_named_later_is_fetched_and_comes_with_who_names_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = populated()?;
    let mut source = running(&server, folder.path()).await?;
    server.apply(ingress("j", &["b", "a"]))?;
    assert_eq!(source.next().await?, ["+Ingress shop/j", "+Secret shop/b"]);
    assert_eq!(fetched(&server), ["b"]);
    // From here on it is watched, until nobody names it.
    server.apply(secret("shop", "b", &json!("***")))?;
    assert_eq!(source.next().await?, ["+Secret shop/b"]);
    server.delete("secrets", "shop", "b")?;
    assert_eq!(source.next().await?, ["-shop/b"]);
    server.apply(secret("shop", "b", &json!(1)))?;
    assert_eq!(source.next().await?, ["+Secret shop/b"]);
    server.delete("ingresses", "shop", "j")?;
    assert_eq!(source.next().await?, ["-shop/j", "-shop/b"]);
    server.apply(secret("shop", "b", &json!("***")))?;
    source.tells_only(&server, "last").await?;
    assert_eq!(fetched(&server), ["b"]);
    source.end().await
}

#[tokio::test]
async fn another_name_replaces_the_secret_in_one_update() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = populated()?;
    let mut source = running(&server, folder.path()).await?;
    server.inject(Fault::busy(1).on("secrets").verb("list").times(1));
    server.apply(ingress("i", &["b"]))?;
    // The server is busy for longer than the change waits: nobody waits for ever.
    assert_eq!(source.next().await?, ["+Ingress shop/i", "-shop/a"]);
    assert_eq!(source.next().await?, ["+Secret shop/b"]);
    source.well().await?;
    server.apply(ingress("i", &["a"]))?;
    assert_eq!(
        source.next().await?,
        ["+Ingress shop/i", "+Secret shop/a", "-shop/b"]
    );
    source.end().await
}

#[tokio::test]
async fn a_secret_that_is_nowhere_holds_nothing_up() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = populated()?;
    let mut source = running(&server, folder.path()).await?;
    server.apply(ingress("j", &["c"]))?;
    assert_eq!(source.next().await?, ["+Ingress shop/j"]);
    assert_eq!(fetched(&server), ["c"]);
    server.apply(secret("shop", "c", &json!(1)))?;
    assert_eq!(source.next().await?, ["+Secret shop/c"]);
    source.end().await
}

#[tokio::test]
async fn many_secrets_that_are_named_at_once_are_listed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = populated()?;
    let mut source = running(&server, folder.path()).await?;
    let names: Vec<String> = (0..150).map(|number| format!("many-{number}")).collect();
    for name in &names {
        server.apply(secret("shop", name, &json!(1)))?;
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    server.apply(ingress("many", &names))?;
    let told = source.next().await?;
    assert_eq!((told.len(), fetched(&server).len()), (151, 0), "{told:?}");
    source.end().await
}

#[tokio::test]
async fn secrets_are_listed_after_those_who_name_them() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = populated()?;
    server.inject(Fault::Hang.on("ingresses"));
    let mut source = start(&server, folder.path(), &[]).await?;
    let early = timeout(Duration::from_millis(700), source.updates.recv()).await;
    assert!(early.is_err(), "{early:?}");
    assert_eq!(requests(&server), 0);
    server.heal();
    assert_eq!(source.next().await?, ["+Ingress shop/i", "+Secret shop/a"]);
    assert_eq!(fetched(&server), [""; 0]);
    source.end().await
}

#[tokio::test]
async fn without_the_permission_all_else_is_told_and_the_permission_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = populated()?;
    server.forbid("*", "secrets");
    let mut source = start(&server, folder.path(), &[]).await?;
    assert_eq!(
        source.next_update().await?,
        (vec!["+Ingress shop/i".into()], false)
    );
    source
        .shows("missing permission: list and watch of secrets in the API group \"\"")
        .await?;
    server.allow("*", "secrets");
    assert_eq!(source.next().await?, ["+Secret shop/a"]);
    source.well().await?;
    // What was seen stays when it is taken away again.
    server.forbid("*", "secrets");
    server.end_watches("secrets");
    source.shows("missing permission").await?;
    source.tells_only(&server, "more").await?;
    source.end().await
}

#[tokio::test]
async fn a_checkpoint_has_no_secrets_and_says_so_until_they_are_read() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = populated()?;
    running(&server, folder.path()).await?.end().await?;
    let kept = std::fs::read_to_string(folder.path().join("kept/checkpoint.jsonl"))?;
    assert!(
        kept.contains("Ingress") && !kept.contains("Secret\""),
        "{kept}"
    );
    server.refuse()?;
    let mut source = start(&server, folder.path(), &[]).await?;
    assert_eq!(
        source.next_update().await?,
        (vec!["+Ingress shop/i".into()], true)
    );
    server.listen()?;
    assert_eq!(
        source.next_update().await?,
        (vec!["+Secret shop/a".into()], false)
    );
    source.end().await?;
    // Without a name there is nothing to wait for.
    server.apply(ingress("i", &[]))?;
    let mut source = start(&server, folder.path(), &[]).await?;
    assert_eq!(source.next().await?, ["+Ingress shop/i"]);
    source.end().await?;
    server.refuse()?;
    let mut source = start(&server, folder.path(), &[]).await?;
    assert_eq!(
        source.next_update().await?,
        (vec!["+Ingress shop/i".into()], false)
    );
    source.end().await
}

#[tokio::test]
async fn a_checkpoint_waits_no_longer_for_secrets_that_are_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = populated()?;
    running(&server, folder.path()).await?.end().await?;
    server.refuse()?;
    let mut source = start(&server, folder.path(), &[]).await?;
    assert_eq!(
        source.next_update().await?,
        (vec!["+Ingress shop/i".into()], true)
    );
    server.forbid("*", "secrets");
    server.listen()?;
    assert_eq!(source.next_update().await?, (Vec::new(), false));
    source.end().await
}

#[tokio::test]
async fn by_namespace_secrets_of_others_are_just_not_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = populated()?;
    server.install("gatewayclasses")?;
    server.install("gateways")?;
    let listener = json!({
        "name": "l", "port": 443, "protocol": "HTTPS",
        "tls": {"certificateRefs": [{"name": "c", "namespace": "back"}, {"name": "b"}]},
    });
    server.apply(json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"namespace": "shop", "name": "g"},
        "spec": {"gatewayClassName": "seaway", "listeners": [listener]},
    }))?;
    server.apply(secret("back", "c", &json!(1)))?;
    let mut source = start(&server, folder.path(), &["shop"]).await?;
    let told = source.next().await?;
    let all = [
        "+Ingress shop/i",
        "+Gateway shop/g",
        "+Secret shop/a",
        "+Secret shop/b",
    ];
    assert_eq!(told, all);
    source.well().await?;
    assert!(
        server
            .seen("watch", "secrets")
            .iter()
            .all(|seen| seen.namespace.as_deref() == Some("shop"))
    );
    source.end().await
}
