//! `seaway check` and `seaway bug-report`: what is not in order is named with what to do, and what
//! is needed to understand it can be taken away.

use std::io::Read;

use anyhow::{Result, ensure};
use seaway_testing::{World, eventually};
use serde_json::Value;

use crate::{has, put, says, seaway, service};

#[test]
fn what_is_in_order_is_ok_and_what_is_not_has_a_remedy() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, true)?;
        world.start_seaway(&[])?;
        let _n1 = world.start_node("n1", "a")?;
        eventually("the proxy to have everything", || {
            let said = says(world, 0, &["check"])?;
            has(
                &said,
                &[
                    "replicas      ok    1 replica ready",
                    "certificates  skip  no replica serves TLS",
                    "1 proxy, all with what they should have",
                    "services      ok    nothing that is asked for is left out",
                ],
            )
        })?;
        // The same address twice: one of them is not served.
        let other = service("cart", 11, true);
        world.manifests().save("cart.yaml", &other)?;
        let said = eventually("the conflict", || says(world, 1, &["check"]))?;
        has(
            &said,
            &[
                "FAIL",
                "FrontendConflict: Service shop/web",
                "fix: seaway get problems --reason",
            ],
        )?;
        let json: Value = serde_json::from_str(&says(world, 1, &["check", "-o", "json"])?)?;
        ensure!(json["counts"]["fail"] == 1, "{json}");
        let said = says(world, 1, &["check", "--admin", "127.0.0.1:1"])?;
        has(
            &said,
            &["replicas", "FAIL", "127.0.0.1:1 does not answer", "fix: "],
        )?;
        // Of what nobody says there is nothing to say.
        for word in ["no proxy is connected", "no replica serves TLS"] {
            ensure!(!said.contains(word), "{said}");
        }
        Ok(())
    })
}

/// The files of an archive, by their paths.
fn files(bytes: &[u8]) -> Result<Vec<(String, String)>> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
    let mut files = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text)?;
        files.push((path, text));
    }
    Ok(files)
}

/// Has a report written with these arguments: what is said, and what is in it.
fn take(world: &World, name: &str, more: &[&str]) -> Result<(String, Vec<(String, String)>)> {
    let path = world.folder().join(name);
    let text = path.to_string_lossy();
    let mut all = vec!["bug-report", "-o", &text];
    all.extend(more);
    let said = says(world, 0, &all)?;
    Ok((said, files(&std::fs::read(&path)?)?))
}

/// A Service, a Seaway, and a proxy that has everything.
fn start(world: &mut World) -> Result<()> {
    put(world, "web", 11, true)?;
    world.start_seaway(&[])?;
    world.start_node("n1", "a")?;
    eventually("the proxy to have everything", || {
        let said = says(world, 0, &["get", "proxies"])?;
        has(&said, &["1 proxy: 1 synced"])
    })
}

#[test]
fn a_report_says_first_what_it_takes() -> Result<()> {
    World::run(|world| {
        start(world)?;
        let (said, files) = take(world, "one.tar.gz", &["--service", "shop/web"])?;
        ensure!(said.starts_with("Takes of 127.0.0.1:18001:\n"), "{said}");
        let words = [
            "status with version and flags",
            "Service shop/web",
            "one.tar.gz: ",
        ];
        has(&said, &words)?;
        let names = files.iter().filter_map(|(path, _)| path.rsplit('/').next());
        let names: Vec<&str> = names.collect();
        let expected = [
            "status.json",
            "proxies.json",
            "problems.json",
            "changes.json",
            "watches.json",
            "metrics.txt",
            "explain-shop_web.json",
        ];
        ensure!(names == expected, "{names:?}");
        let all: String = files.iter().map(|(_, text)| text.as_str()).collect();
        let words = [
            "\"n1\"",
            "EndpointSlice shop/web-1",
            "seaway_build_info",
            "--files",
        ];
        has(&all, &words)?;
        // What was written once is not written over.
        let path = world.folder().join("one.tar.gz");
        let path = path.to_string_lossy();
        let output = seaway(world, &["bug-report", "-o", &path])?;
        ensure!(output.status.code() == Some(2), "{output:?}");
        Ok(())
    })
}

#[test]
fn an_anonymous_report_names_nothing() -> Result<()> {
    World::run(|world| {
        start(world)?;
        let (_, files) = take(world, "two.tar.gz", &["--anonymous"])?;
        ensure!(files.len() == 6, "{}", files.len());
        for (path, text) in &files {
            for name in ["\"n1\"", "shop", "web-1", "10.96.0.11", "127.0.0.1"] {
                let named = text.contains(name) || path.contains(name);
                ensure!(!named, "{name}: {path}: {text}");
            }
        }
        let output = seaway(world, &["bug-report", "--anonymous", "--service", "a/b"])?;
        ensure!(output.status.code() == Some(2), "{output:?}");
        Ok(())
    })
}
