//! Watches on which nothing comes any more.

use std::time::Duration;

use anyhow::{Result, ensure};
use seaway_testing::{Fault, eventually};

use crate::{await_requests, await_watches, only_this_change, requests, scene};

#[test]
fn a_silent_watch_is_noticed_and_asked_for_anew() -> Result<()> {
    scene(&["--watch-silence", "1s"], |world, server, proxy| {
        server.configure(|settings| settings.bookmarks = Some(Duration::from_millis(200)));
        await_watches(world, server)?;
        let label = "watch=\"endpointslices\"";
        let mark = proxy.mark();
        let before = requests(server, "watch", "endpointslices");
        server.inject(Fault::Silent { after: 0 }.on("endpointslices"));
        eventually("the age of the watch to show that it is silent", || {
            let age = world.metric("seaway_watch_age_seconds", label)?;
            ensure!(age > 0.8, "it is {age}");
            Ok(())
        })?;
        // Bookmarks keep the others young.
        let age = world.metric("seaway_watch_age_seconds", "watch=\"services\"")?;
        ensure!(age < 0.8, "the watch of services has an age of {age}");
        await_requests(server, "watch", "endpointslices", before + 2)?;
        let failing = world.metric("seaway_watch_failing", "")?;
        let ours = world.metric("seaway_watch_failing", label)?;
        ensure!((failing, ours) == (1.0, 1.0), "{failing} fail, ours {ours}");
        let age = world.metric("seaway_watch_age_seconds", label)?;
        ensure!(age > 1.0, "asking anew is no answer, but the age is {age}");
        let ready = world.readyz()?;
        let named = "watch of endpointslices: failing";
        ensure!(
            ready.status == 200 && ready.body.contains(named),
            "{ready:?}"
        );
        server.heal();
        await_watches(world, server)?;
        only_this_change(server, proxy, mark, Duration::from_secs(10))
    })
}

#[test]
fn a_watch_with_nothing_but_bookmarks_is_alive() -> Result<()> {
    scene(&["--watch-silence", "1s"], |world, server, _| {
        server.configure(|settings| settings.bookmarks = Some(Duration::from_millis(200)));
        await_watches(world, server)?;
        let before = requests(server, "watch", "nodes");
        std::thread::sleep(Duration::from_millis(2500));
        let after = requests(server, "watch", "nodes");
        ensure!(before == after, "asked {} times anew", after - before);
        Ok(())
    })
}
