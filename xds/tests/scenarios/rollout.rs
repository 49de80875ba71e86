//! New Services in the middle of a rollout: 50 Services change all the time, and a busy proxy
//! acknowledges late.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tokio::time::{Instant, interval, sleep_until};

use crate::client::{Client, Got};
use crate::world::{C, E, L, Variant, World, each};

const CHANGING: usize = 50;
const PACE: Duration = Duration::from_millis(20);
const NEW: u32 = 20;
/// What the proxy takes to read a response.
const BUSY: Duration = Duration::from_millis(50);
/// A listener is held back for a second at most, and then read.
const IN_TIME: Duration = Duration::from_millis(1200);

/// `SEAWAY_ROLLOUT=30` (seconds) takes longer.
fn duration() -> Duration {
    let seconds = std::env::var("SEAWAY_ROLLOUT").ok();
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(5))
}

#[tokio::test]
async fn new_services_arrive_in_time_while_others_roll_out_rules_84_87() {
    let variants = [Variant::DeltaAds, Variant::SotwAds];
    each(
        &variants,
        &["E", "C E"],
        |world, client, changing| async move {
            let mut rollout = Rollout::begin(world, client).await;
            rollout.run(changing.contains('C')).await;
            rollout.report(changing);
        },
    )
    .await;
}

/// The world, and a proxy that holds all of its Services.
struct Rollout {
    world: World,
    client: Client,
    /// What the proxy asks for by name.
    names: BTreeSet<String>,
    /// Responses that it has not read yet, and when it will have.
    unread: VecDeque<(Instant, Got)>,
    /// When each new Service was published.
    published: BTreeMap<String, Instant>,
    /// After how long its listener came.
    took: BTreeMap<String, Duration>,
    clusters: BTreeSet<String>,
}

impl Rollout {
    async fn begin(mut world: World, mut client: Client) -> Rollout {
        let names: BTreeSet<String> = (0..CHANGING).map(|n| format!("old{n}")).collect();
        for name in &names {
            for url in [C, E, L] {
                world.set(url, name, "0");
            }
        }
        world.commit();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        for (url, names) in [(C, &[][..]), (E, &all), (L, &[])] {
            client.subscribe(url, names).await;
            assert_eq!(client.next(url).await.resources.len(), CHANGING);
        }
        Rollout {
            world,
            client,
            clusters: names.clone(),
            names,
            unread: VecDeque::new(),
            published: BTreeMap::new(),
            took: BTreeMap::new(),
        }
    }

    async fn run(&mut self, clusters_too: bool) {
        let mut changes = interval(PACE);
        let mut news = interval(duration() / NEW);
        let end = Instant::now() + duration();
        let mut value = 0;
        // Changes go on until the last new Service is there, if it is in time.
        while self.took.len() < NEW as usize && Instant::now() < end + 2 * IN_TIME {
            let read = self.unread.front().map(|(at, _)| *at);
            tokio::select! {
                got = self.client.read_any(E) => self.receive(got),
                () = sleep_until(read.unwrap_or(end)), if read.is_some() => self.read().await,
                _ = changes.tick() => {
                    value += 1;
                    self.change(value, clusters_too);
                }
                _ = news.tick(), if self.published.len() < NEW as usize => self.publish(),
            }
        }
    }

    fn change(&mut self, value: u32, clusters_too: bool) {
        let value = value.to_string();
        for n in 0..CHANGING {
            let name = format!("old{n}");
            self.world.set(E, &name, &value);
            if clusters_too && n == 0 {
                self.world.set(C, &name, &value);
            }
        }
        self.world.commit();
    }

    fn publish(&mut self) {
        let name = format!("new{}", self.published.len());
        for url in [C, E, L] {
            self.world.set(url, &name, "0");
        }
        self.world.commit();
        self.published.insert(name, Instant::now());
    }

    fn receive(&mut self, got: Got) {
        if got.url == L {
            let new = got.resources.keys();
            for name in new.filter(|name| self.published.contains_key(*name)) {
                assert!(self.clusters.contains(name), "{name} before its cluster");
                let took = self.published[name].elapsed();
                self.took.entry(name.clone()).or_insert(took);
            }
        } else if got.url == C {
            self.clusters.extend(got.resources.keys().cloned());
        }
        self.unread.push_back((Instant::now() + BUSY, got));
    }

    /// Acknowledges a response, and asks for the assignments of its clusters.
    async fn read(&mut self) {
        let Some((_, got)) = self.unread.pop_front() else {
            return;
        };
        self.client.ack(&got).await;
        if got.url != C {
            return;
        }
        let new = got.resources.keys();
        let new: Vec<String> = new
            .filter(|name| !self.names.contains(*name))
            .cloned()
            .collect();
        if new.is_empty() {
            return;
        }
        self.names.extend(new.iter().cloned());
        let asked: Vec<&str> = match self.client.is_delta() {
            true => new.iter().map(String::as_str).collect(),
            false => self.names.iter().map(String::as_str).collect(),
        };
        self.client.subscribe(E, &asked).await;
    }

    #[expect(clippy::print_stdout, reason = "what was measured")]
    fn report(&self, changing: &str) {
        let mut took: Vec<Duration> = self.took.values().copied().collect();
        took.sort_unstable();
        let dialect = if self.client.is_delta() {
            "delta"
        } else {
            "sotw"
        };
        println!("{dialect}, {changing} change: {took:?}");
        assert_eq!(took.len(), NEW as usize, "not all came");
        let last = took.last().copied().unwrap_or_default();
        assert!(last <= IN_TIME, "{took:?}");
    }
}
