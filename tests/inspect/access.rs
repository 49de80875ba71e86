//! Who is answered, and how what cannot be answered is.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use seaway_testing::{World, eventually};

use crate::put;

/// What the admin port answers to a request with these headers.
fn ask(world: &World, address: &str, path: &str, headers: &str) -> Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
    let address = address.to_owned();
    world.fabric().run(move || -> Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    })?
}

#[test]
fn foreign_pages_and_foreign_machines_are_not_answered() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, true)?;
        world.start_seaway(&["--admin-listen", "0.0.0.0:18001"])?;
        let local = "127.0.0.1:18001";
        let status = |address: &str, path: &str, headers: &str| -> Result<String> {
            let answer = ask(world, address, path, headers)?;
            Ok(answer.split(' ').nth(1).unwrap_or_default().to_owned())
        };
        let own = "Host: 127.0.0.1:18001\r\n";
        ensure!(status(local, "/api/v1/status", own)? == "200");
        // DNS rebinding: the address is ours, the name is a foreign page's.
        let rebound = "Host: rebound.example.com:18001\r\n";
        ensure!(status(local, "/api/v1/status", rebound)? == "403");
        let foreign = format!("{own}Origin: https://example.com\r\n");
        ensure!(status(local, "/api/v1/status", &foreign)? == "403");
        // From another address of the machine it is as if from elsewhere.
        let outside = format!("{}:18001", world.replica(0)?.address().ip());
        ensure!(status(&outside, "/api/v1/status", own)? == "403");
        for path in ["/livez", "/readyz", "/metrics"] {
            ensure!(status(&outside, path, own)? == "200", "{path}");
        }
        Ok(())
    })
}

#[test]
fn what_cannot_be_read_is_answered_with_the_reason() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, true)?;
        world.start_seaway(&[])?;
        let own = "Host: localhost\r\n";
        for (path, code, word) in [
            ("/api/v1/services?namespce=shop", "400", "namespce"),
            ("/api/v1/services?limit=many", "400", "limit"),
            ("/api/v1/services?served=perhaps", "400", "served"),
            ("/api/v1/resources?type=gadget", "400", "gadget"),
            ("/api/v1/problems?severity=fatal", "400", "fatal"),
            ("/api/v1/problems?object=web", "400", "NAMESPACE/NAME"),
            ("/api/v1/problems?reason=NoSuchReason", "400", "NoClusterIp"),
            ("/api/v1/changes?object=Servce+shop/web", "400", "Servce"),
            ("/api/v1/resources?layer=nope", "400", "layer"),
            ("/api/v1/proxies?role=nod", "400", "role"),
            ("/api/v1/services?limit=0", "400", "limit"),
            ("/api/v1/services?after=garbage", "400", "after"),
            ("/api/v1/proxies?after=garbage", "400", "after"),
            ("/api/v1/problems?after=garbage", "400", "after"),
            ("/api/v1/changes?after=garbage", "400", "after"),
            ("/api/v1/resources?after=garbage", "400", "after"),
            ("/api/v1/nothing", "404", "no such path"),
            ("/api/v1/", "404", "no such path"),
        ] {
            let answer = ask(world, "127.0.0.1:18001", path, own)?;
            ensure!(
                answer.starts_with(&format!("HTTP/1.1 {code}")),
                "{path}: {answer}"
            );
            ensure!(answer.contains(word), "{path}: {answer}");
        }
        let post = "POST /api/v1/status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let answer = world.fabric().run(move || -> Result<String> {
            let mut stream = TcpStream::connect("127.0.0.1:18001")?;
            stream.write_all(post.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        })??;
        ensure!(
            answer.starts_with("HTTP/1.1 405") && answer.contains("\"error\""),
            "nothing can be written: {answer}"
        );
        Ok(())
    })
}

#[test]
fn a_list_that_is_known_is_not_sent_again() -> Result<()> {
    World::run(|world| {
        put(world, "web", 11, true)?;
        world.start_seaway(&[])?;
        let own = "Host: localhost\r\n";
        // The problems of a world are told a moment after its first commit.
        eventually("the list to be known", || {
            let answer = ask(world, "127.0.0.1:18001", "/api/v1/services", own)?;
            let mut headers = answer.lines().take_while(|line| !line.is_empty());
            let tag = headers.find_map(|line| line.strip_prefix("etag: ").map(str::to_owned));
            let known = format!("{own}If-None-Match: {}\r\n", tag.context("no tag")?);
            let answer = ask(world, "127.0.0.1:18001", "/api/v1/services", &known)?;
            ensure!(answer.starts_with("HTTP/1.1 304"), "{answer}");
            Ok(())
        })
    })
}
