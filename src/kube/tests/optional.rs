//! Kinds that a cluster may do without: they come and go, and nothing else makes their objects go.

use seaway_testing::Fault;

use super::*;

/// Services are required; slices, in two versions, and Nodes are optional.
const KINDS: &[KindInfo] = &[
    *ObjectKind::Service.info(),
    KindInfo {
        optional: true,
        api_versions: &["discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"],
        ..*ObjectKind::EndpointSlice.info()
    },
    KindInfo {
        optional: true,
        ..*ObjectKind::Node.info()
    },
];
const OLDER: &str = "discovery.k8s.io/v1beta1/endpointslices";
const ABSENT: &str = "watch of endpointslices: absent: the API server does not serve it";

async fn start(server: &ApiServer, folder: &Path, namespaces: &[&str]) -> Result<Running> {
    let pace = Pace {
        look: Duration::from_millis(200),
        confirm: Duration::from_millis(100),
        refused: Duration::from_millis(300),
    };
    let wanted = Wanted {
        kinds: KINDS,
        pace,
        ..wanted(namespaces)
    };
    start_with(server, folder, wanted).await
}

fn slice(namespace: &str, name: &str, version: &str) -> serde_json::Value {
    serde_json::json!({
        "apiVersion": format!("discovery.k8s.io/{version}"), "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": namespace, "name": name, "labels": {"kubernetes.io/service-name": "a"}},
        "endpoints": [], "ports": [],
    })
}

/// A server with a Service and two slices in two namespaces.
fn populated() -> Result<ApiServer> {
    let server = ApiServer::start()?;
    server.apply(service("shop", "a"))?;
    server.apply(slice("back", "one", "v1"))?;
    server.apply(slice("shop", "two", "v1"))?;
    Ok(server)
}

const ALL: [&str; 3] = [
    "+shop/a",
    "+EndpointSlice back/one",
    "+EndpointSlice shop/two",
];
const GONE: [&str; 2] = ["-back/one", "-shop/two"];

impl Running {
    /// Waits until the state of the watches holds this text.
    pub(super) async fn shows(&self, text: &str) -> Result<()> {
        let shown = async {
            loop {
                let lines = [self.watches.degraded(), self.watches.absent()].concat();
                if lines.iter().any(|line| line.contains(text)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let shown = timeout(LIMIT, shown).await;
        shown.with_context(|| format!("{text}: {:?}", self.watches.degraded()))
    }

    /// Makes a Service and sees that nothing else is told.
    pub(super) async fn tells_only(&mut self, server: &ApiServer, name: &str) -> Result<()> {
        server.apply(service("shop", name))?;
        let told = self.next().await?;
        ensure!(told == [format!("+shop/{name}")], "{told:?}");
        Ok(())
    }
}

#[tokio::test]
async fn a_kind_that_is_absent_is_not_waited_for_and_is_watched_when_it_comes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = ApiServer::start()?;
    server.apply(service("shop", "a"))?;
    server.uninstall("endpointslices")?;
    let mut source = start(&server, folder.path(), &[]).await?;
    assert_eq!(source.next().await?, ["+shop/a"]);
    source.well().await?;
    assert_eq!(source.watches.absent(), [ABSENT]);
    let asked = server
        .activity()
        .borrow()
        .requests("watch", "endpointslices");
    assert_eq!(asked, 0);
    server.install("endpointslices")?;
    server.apply(slice("shop", "two", "v1"))?;
    assert_eq!(source.next().await?, ["+EndpointSlice shop/two"]);
    source.well().await?;
    assert_eq!(source.watches.absent(), [""; 0]);
    source.end().await
}

#[tokio::test]
async fn a_kind_that_leaves_takes_its_objects_in_one_update_and_the_rest_stays() -> Result<()> {
    for namespaces in [&[][..], &["back", "shop"]] {
        let folder = tempfile::tempdir()?;
        let server = populated()?;
        let mut source = start(&server, folder.path(), namespaces).await?;
        assert_eq!(source.next().await?, ALL);
        server.uninstall("endpointslices")?;
        assert_eq!(source.next().await?, GONE);
        source.shows("endpointslices").await?;
        source.tells_only(&server, "b").await?;
        source.well().await?;
        server.install("endpointslices")?;
        server.apply(slice("shop", "two", "v1"))?;
        assert_eq!(source.next().await?, ["+EndpointSlice shop/two"]);
        source.end().await?;
    }
    Ok(())
}

#[tokio::test]
async fn no_failure_of_a_watch_makes_the_objects_of_its_kind_go() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = populated()?;
    let mut source = start(&server, folder.path(), &[]).await?;
    assert_eq!(source.next().await?, ALL);
    // A path that is not found, too, while discovery has the kind.
    for (number, code) in [500, 503, 403, 404, 401].into_iter().enumerate() {
        server.inject(Fault::answer(code).on("endpointslices"));
        server.end_watches("endpointslices");
        source.shows(&format!("API server answers {code}")).await?;
        source
            .tells_only(&server, &format!("code-{number}"))
            .await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        source
            .tells_only(&server, &format!("still-{number}"))
            .await?;
        server.heal();
        source.well().await?;
    }
    server.refuse()?;
    server.kill()?;
    source.shows("watch of endpointslices: failing").await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.listen()?;
    source.well().await?;
    source.tells_only(&server, "after").await?;
    server.edit("endpointslices", "shop", "two", |slice| {
        slice["endpoints"] = serde_json::json!([{"addresses": ["10.0.0.1"]}]);
    })?;
    assert_eq!(source.next().await?, ["+EndpointSlice shop/two"]);
    source.end().await
}

#[tokio::test]
async fn a_kind_leaves_by_the_word_of_discovery_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = populated()?;
    let mut source = start(&server, folder.path(), &[]).await?;
    assert_eq!(source.next().await?, ALL);
    server.forbid("get", "discovery");
    server.uninstall("endpointslices")?;
    source.shows("API server answers 404").await?;
    for (number, code) in [500, 404, 503].into_iter().enumerate() {
        server.inject(Fault::answer(code).on("discovery"));
        server.allow("get", "discovery");
        tokio::time::sleep(Duration::from_millis(700)).await;
        source
            .tells_only(&server, &format!("code-{number}"))
            .await?;
        server.forbid("get", "discovery");
        server.heal();
    }
    server.allow("get", "discovery");
    assert_eq!(source.next().await?, GONE);
    source.shows(ABSENT).await
}

#[tokio::test]
async fn one_answer_of_discovery_does_not_make_a_kind_go() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = populated()?;
    let client = client(&server, folder.path()).await?;
    let mut source = start(&server, folder.path(), &[]).await?;
    assert_eq!(source.next().await?, ALL);
    let discovery = || server.activity().borrow().requests("get", "discovery");
    let before = discovery();
    server.uninstall("endpointslices")?;
    let asked = async {
        while discovery() == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LIMIT, asked).await?;
    // The objects are new ones by now, which a list says.
    server.install("endpointslices")?;
    server.apply(slice("back", "one", "v1"))?;
    server.apply(slice("shop", "two", "v1"))?;
    source.well().await?;
    source.tells_only(&server, "b").await?;
    let limit = Duration::from_secs(1);
    let found = discovery::discover(&client, &KINDS[1], limit).await;
    assert!(
        matches!(found, Ok(discovery::Finding::Served(_))),
        "{found:?}"
    );
    source.end().await
}

#[tokio::test]
async fn nothing_is_told_before_it_is_known_whether_a_kind_is_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = populated()?;
    server.inject(Fault::answer(500).on("discovery"));
    let mut source = start(&server, folder.path(), &[]).await?;
    let early = timeout(Duration::from_secs(1), source.updates.recv()).await;
    assert!(early.is_err(), "{early:?}");
    source.shows("watch of endpointslices: failing").await?;
    server.heal();
    assert_eq!(source.next().await?, ALL);
    source.end().await
}

#[tokio::test]
async fn a_kind_that_may_not_be_read_is_named_and_not_waited_for() -> Result<()> {
    for resource in ["endpointslices", "discovery"] {
        let folder = tempfile::tempdir()?;
        let server = populated()?;
        server.forbid("*", resource);
        let mut source = start(&server, folder.path(), &[]).await?;
        assert_eq!(source.next().await?, ["+shop/a"], "{resource}");
        let missing = match resource {
            "discovery" => "missing permission: get of the path /apis",
            _ => {
                "missing permission: list and watch of endpointslices in the API group \"discovery.k8s.io\""
            }
        };
        source.shows(missing).await?;
        source.tells_only(&server, "b").await?;
        server.allow("*", resource);
        assert_eq!(source.next().await?, ALL[1..]);
        source.well().await?;
        // Taken away later, it takes nothing with it.
        server.forbid("*", resource);
        server.end_watches("endpointslices");
        tokio::time::sleep(Duration::from_millis(700)).await;
        source.tells_only(&server, "c").await?;
        source.end().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_checkpoint_gives_up_the_objects_of_a_kind_that_left_in_the_meantime() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = populated()?;
    let mut first = start(&server, folder.path(), &[]).await?;
    assert_eq!(first.next().await?, ALL);
    first.end().await?;
    // While nothing can be asked, the checkpoint holds.
    server.uninstall("endpointslices")?;
    server.refuse()?;
    let mut second = start(&server, folder.path(), &[]).await?;
    assert_eq!(second.next().await?, ALL);
    server.listen()?;
    assert_eq!(second.next().await?, GONE);
    second.well().await?;
    second.end().await?;
    let mut third = start(&server, folder.path(), &[]).await?;
    assert_eq!(third.next().await?, ["+shop/a"]);
    assert_eq!(third.health.stale(), None);
    third.end().await?;
    server.refuse()?;
    let mut fourth = start(&server, folder.path(), &[]).await?;
    assert_eq!(fourth.next().await?, ["+shop/a"]);
    fourth.end().await
}

#[tokio::test]
async fn an_older_version_is_watched_where_there_is_no_newer_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = ApiServer::start()?;
    server.install(OLDER)?;
    server.uninstall("endpointslices")?;
    server.apply(service("shop", "a"))?;
    server.apply(slice("shop", "two", "v1beta1"))?;
    let mut source = start(&server, folder.path(), &[]).await?;
    assert_eq!(source.next().await?, ["+shop/a", "+EndpointSlice shop/two"]);
    source.well().await?;
    // The newer one comes and the older one leaves: the objects are the same.
    server.install("endpointslices")?;
    server.apply(slice("shop", "two", "v1"))?;
    server.apply(slice("shop", "three", "v1"))?;
    source.tells_only(&server, "b").await?;
    server.uninstall(OLDER)?;
    assert_eq!(source.next().await?, ["+EndpointSlice shop/three"]);
    source.well().await?;
    source.end().await
}
