//! Resources that are made when a client asks for their names.

use std::sync::Arc;

use seaway_xds::{Demands, OnDemand};

use crate::world::{ALL, L, World, each};

/// Has listeners be made, but for names that begin with `no`.
fn on_demand(world: &World) -> Demands {
    world.known.lock().unwrap().on_demand = Some(OnDemand {
        type_url: L,
        may_be: Arc::new(|name| !name.starts_with("no")),
    });
    world.snapshots.demands()
}

async fn taken(demands: &mut Demands) -> Vec<(String, bool)> {
    loop {
        demands.changed().await;
        let taken = demands.take();
        if !taken.is_empty() {
            let taken = taken.into_iter();
            return taken.map(|(name, is)| (name.to_string(), is)).collect();
        }
    }
}

fn all(names: &[&str], is_wanted: bool) -> Vec<(String, bool)> {
    let names = names.iter().map(|name| (*name).to_owned());
    names.map(|name| (name, is_wanted)).collect()
}

#[tokio::test]
async fn nothing_is_said_before_what_is_asked_for_could_be_made() {
    each(&ALL, &[L], |mut world, mut client, url| async move {
        let mut demands = on_demand(&world);
        client
            .subscribe(url, &["made", "missing", "nonsense"])
            .await;
        assert_eq!(taken(&mut demands).await, all(&["made", "missing"], true));
        client.quiet().await;
        world.put(url, "made", "1");
        client.quiet().await;
        demands.settle();
        // State of the world says by its silence what there is not.
        let says = match client.is_delta() {
            true => "made=1 -missing -nonsense",
            false => "made=1",
        };
        assert_eq!(client.next(url).await.says(), says);
        client.quiet().await;
        // It comes when it comes.
        world.put(url, "missing", "2");
        let says = if client.is_delta() {
            "missing=2"
        } else {
            "made=1 missing=2"
        };
        assert_eq!(client.next(url).await.says(), says);
    })
    .await;
}

/// A complete response that lacks a name says that it is deleted: a client that comes back to a
/// server that has just started would lose what it has.
#[tokio::test]
async fn who_comes_back_first_gets_what_it_had() {
    each(&ALL, &[L], |mut world, mut client, url| async move {
        let mut demands = on_demand(&world);
        client.subscribe(url, &["a", "b"]).await;
        assert_eq!(taken(&mut demands).await, all(&["a", "b"], true));
        world.put_all(url, &["a", "b"]);
        demands.settle();
        client.next(url).await;
        client.reconnect();
        assert_eq!(taken(&mut demands).await, all(&["a", "b"], false));
        world.remove(url, "a");
        world.remove(url, "b");
        demands.settle();
        client.subscribe(url, &["a", "b"]).await;
        assert_eq!(taken(&mut demands).await, all(&["a", "b"], true));
        // Something else is committed meanwhile.
        world.put(url, "a", "1");
        client.quiet().await;
        world.put(url, "b", "1");
        demands.settle();
        assert_eq!(client.next(url).await.says(), "a=1 b=1");
        client.quiet().await;
    })
    .await;
}

#[tokio::test]
async fn a_name_is_dropped_with_the_last_of_two_who_ask() {
    each(&ALL, &[L], |mut world, mut client, url| async move {
        let mut demands = on_demand(&world);
        client.subscribe(url, &["a"]).await;
        assert_eq!(taken(&mut demands).await, all(&["a"], true));
        world.put(url, "a", "1");
        demands.settle();
        client.next(url).await;
        let mut other = world.client(crate::world::Variant::SotwAds).await;
        other.subscribe(url, &["a"]).await;
        assert_eq!(other.next(url).await.says(), "a=1", "nobody is waited for");
        client.reconnect();
        other.quiet().await;
        assert_eq!(demands.take(), []);
        other.reconnect();
        assert_eq!(taken(&mut demands).await, all(&["a"], false));
    })
    .await;
}
