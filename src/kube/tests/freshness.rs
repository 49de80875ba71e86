//! Watches that seem to work and are not told what others are.

use seaway_testing::Fault;

use super::*;

/// Probes often enough for a test to see several.
const OFTEN: Duration = Duration::from_millis(200);

fn probed() -> Wanted {
    Wanted {
        probing: Probing::every(OFTEN),
        ..wanted(&[])
    }
}

impl Running {
    /// A metric of this name with this label.
    fn metric(&self, name: &str, label: &str) -> Result<f64> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.watches.clone()));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        let begins = format!("{name}{{{label}}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&begins));
        Ok(line.context("no such metric")?.parse()?)
    }

    fn outcomes(&self, outcome: &str) -> Result<f64> {
        self.metric("freshness_probes_total", &format!("outcome=\"{outcome}\""))
    }

    fn stale(&self) -> Option<String> {
        let mut lines = self.watches.degraded().into_iter();
        lines.find(|line| line.contains("STALE"))
    }
}

/// A source that watches one Service.
async fn running(server: &ApiServer, folder: &Path) -> Result<Running> {
    server.apply(service("shop", "a"))?;
    let mut source = start_with(server, folder, probed()).await?;
    assert_eq!(source.next().await?, ["+shop/a"]);
    Ok(source)
}

/// Writes what no watch of Seaway's sees, as nodes do with their Leases all the time.
fn write_elsewhere(server: &ApiServer, number: u32) -> Result<()> {
    server.apply(serde_json::json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"namespace": "kube-node-lease", "name": "n1"},
        "spec": {"leaseTransitions": number},
    }))
}

/// What the answer proves is found out much later.
#[tokio::test]
async fn a_probe_that_is_answered_ends_the_doubt_of_one_that_was_not() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = ApiServer::start()?;
    server.configure(|settings| settings.bookmarks = None);
    server.apply(service("shop", "a"))?;
    let probing = Probing {
        patience: Duration::from_secs(3600),
        ..Probing::every(OFTEN)
    };
    let wanted = Wanted {
        probing,
        ..wanted(&[])
    };
    let mut source = start_with(&server, folder.path(), wanted).await?;
    assert_eq!(source.next().await?, ["+shop/a"]);
    // From now on the API server has a version that the watch is not told of.
    write_elsewhere(&server, 1)?;
    let (code, retry_after) = (500, None);
    server.inject(Fault::Answer { code, retry_after }.verb("list"));
    until("a doubt", || {
        ensure!(source.watches.is_doubtful(), "no doubt");
        Ok(())
    })
    .await?;
    server.heal();
    until("the end of the doubt", || {
        ensure!(!source.watches.is_doubtful(), "{:?}", source.watches);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_quiet_watch_that_is_told_nothing_is_not_listed_anew() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = ApiServer::start()?;
    server.configure(|settings| settings.bookmarks = None);
    let source = running(&server, folder.path()).await?;
    let lists = server.activity().borrow().requests("watch", "services");
    for number in 0.. {
        write_elsewhere(&server, number)?;
        if source.outcomes("quiet")? > 30.0 {
            break;
        }
        tokio::time::sleep(OFTEN / 4).await;
    }
    assert!(source.metric("watch_lag_versions", "watch=\"services\"")? == 0.0);
    assert_eq!(
        source.outcomes("behind")? + source.outcomes("unproven")?,
        0.0
    );
    assert_eq!(source.stale(), None);
    // All of the further requests are of watches from a version on.
    let seen = server.seen("watch", "services");
    let lists_anew = seen[lists as usize..].iter();
    assert!(lists_anew.clone().count() > 0);
    for seen in lists_anew {
        assert_eq!(seen.parameter("sendInitialEvents"), "");
    }
    Ok(())
}

#[tokio::test]
async fn a_watch_that_alone_is_silent_is_found_out_by_a_second_one_and_listed_anew() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = ApiServer::start()?;
    let mut source = running(&server, folder.path()).await?;
    server.inject(
        Fault::Silent { after: 0 }
            .on("services")
            .verb("watch")
            .times(1),
    );
    let before = server.activity().borrow().requests("watch", "services");
    server.end_watches("services");
    let mut activity = server.activity();
    let again = activity.wait_for(|activity| activity.requests("watch", "services") > before);
    drop(timeout(LIMIT, again).await??);
    server.apply(service("shop", "b"))?;
    assert_eq!(source.next().await?, ["+shop/b"]);
    assert!(source.outcomes("behind")? >= 1.0);
    // The new watch works.
    server.delete("services", "shop", "a")?;
    assert_eq!(source.next().await?, ["-shop/a"]);
    assert_eq!(source.stale(), None);
    Ok(())
}

#[tokio::test]
async fn a_watch_cache_that_stands_still_makes_its_watches_stale_and_lists_bring_the_rest()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = ApiServer::start()?;
    server.configure(|settings| settings.bookmarks = Some(OFTEN / 2));
    let mut source = running(&server, folder.path()).await?;
    let at = server.revision();
    server.inject(Fault::Stuck { at }.on("services"));
    server.apply(service("shop", "b"))?;
    assert_eq!(source.next().await?, ["+shop/b"]);
    server.delete("services", "shop", "a")?;
    server.apply(service("shop", "c"))?;
    assert_eq!(source.next().await?, ["-shop/a", "+shop/c"]);
    server.apply(service("shop", "d"))?;
    assert_eq!(source.next().await?, ["+shop/d"]);
    until("the watch to be stale", || {
        let line = source.stale().context("not stale")?;
        ensure!(line.starts_with("watch of services: STALE for "), "{line}");
        ensure!(source.metric("watch_stale", "watch=\"services\"")? == 1.0);
        ensure!(source.metric("watch_stale", "watch=\"nodes\"")? == 0.0);
        Ok(())
    })
    .await?;
    server.heal();
    until("the watch to have caught up", || {
        ensure!(source.stale().is_none(), "{:?}", source.stale());
        Ok(())
    })
    .await?;
    server.apply(service("shop", "e"))?;
    assert_eq!(source.next().await?, ["+shop/e"]);
    Ok(())
}
