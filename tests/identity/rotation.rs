//! Certificates and tokens that change while proxies are connected (xDS rule 217).

use std::net::SocketAddr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use seaway_testing::{Namespace, within};
use tokio::sync::oneshot;
use tonic::Code;

use super::*;
use crate::call::{Stream, code, connect};

const EXPIRY: &str = "seaway_tls_certificate_expiry_timestamp_seconds";

/// Proxies that stay connected: how many responses each has had, and who is no longer there.
struct Fleet {
    state: Arc<Mutex<State>>,
    _stop: oneshot::Sender<()>,
}

#[derive(Default)]
struct State {
    received: Vec<usize>,
    ended: Vec<String>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fleet {
    /// Connects all of these.
    fn connect(
        namespace: &Namespace,
        address: SocketAddr,
        proxies: Vec<(Shows, Node)>,
    ) -> Result<Fleet> {
        let received = vec![0; proxies.len()];
        let state = Arc::new(Mutex::new(State {
            received,
            ..State::default()
        }));
        let (stop, stopped) = oneshot::channel::<()>();
        let shared = state.clone();
        namespace.thread("fleet", move || {
            runtime()?.block_on(async {
                let all = proxies.into_iter().enumerate();
                let all = all
                    .map(|(number, (shows, node))| follow(address, shows, node, number, &shared));
                tokio::select! {
                    _ = futures::future::join_all(all) => {}
                    _ = stopped => {}
                }
            });
            anyhow::Ok(())
        })?;
        Ok(Fleet { state, _stop: stop })
    }

    /// Waits until each has had so many more responses than now, and none has ended.
    fn await_more(&self, more: usize) -> Result<()> {
        let since = lock(&self.state).received.clone();
        within(Duration::from_secs(20), "responses on every stream", || {
            let state = lock(&self.state);
            ensure!(state.ended.is_empty(), "ended: {:?}", state.ended);
            let mut all = state.received.iter().zip(&since);
            ensure!(
                all.all(|(now, then)| now - then >= more),
                "{:?}",
                state.received
            );
            Ok(())
        })
    }
}

async fn follow(
    address: SocketAddr,
    shows: Shows,
    node: Node,
    number: usize,
    state: &Mutex<State>,
) {
    let followed: Result<()> = async {
        let channel = connect(address, &shows).await?;
        let mut stream = Stream::open(channel, &shows, DELTA, &node, name(DELTA.url)).await?;
        loop {
            stream.next().await?;
            lock(state).received[number] += 1;
        }
    }
    .await;
    if let Err(error) = followed {
        lock(state).ended.push(format!("{number}: {error:#}"));
    }
}

/// Does something while endpoints change all the time.
fn churning<T>(server: &ApiServer, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let (stop, stopped) = mpsc::channel::<()>();
    let goes_on =
        move || stopped.recv_timeout(Duration::from_millis(20)) == Err(RecvTimeoutError::Timeout);
    std::thread::scope(|scope| {
        let churn = scope.spawn(move || {
            let mut number = 0_u8;
            while goes_on() {
                number = number.wrapping_add(1);
                let address = format!("10.244.1.{}", 10 + number % 200);
                server.edit("endpointslices", "default", "web-1", |slice| {
                    slice["endpoints"][0]["addresses"][0] = address.into();
                })?;
            }
            anyhow::Ok(())
        });
        let done = work();
        drop(stop);
        churn
            .join()
            .map_err(|_| anyhow::anyhow!("the churn panicked"))??;
        done
    })
}

/// Opens a stream, and says with what it ends, or `Ok` if it is served; `None` if not even the
/// handshake succeeds.
fn try_once(world: &World, address: SocketAddr, shows: &Shows) -> Result<Option<Code>> {
    let shows = shows.clone();
    visit(world, move || async move {
        let Ok(channel) = connect(address, &shows).await else {
            return Ok(None);
        };
        let node = claims("node", "n1");
        let answer = Stream::first_answer(channel, &shows, DELTA, &node, name(DELTA.url));
        Ok(Some(code(&answer.await)))
    })
}

/// A moment as a metric tells it.
pub(crate) fn moment(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs() as f64
}

fn await_metric(world: &World, name: &str, label: &str, value: f64) -> Result<()> {
    let what = format!("{name}{{{label}}} to be {value}");
    within(Duration::from_secs(20), what, || {
        let found = world.metric(name, label)?;
        ensure!(found == value, "it is {found}");
        Ok(())
    })
}

/// Half of them with tokens, half with certificates.
fn twenty(secured: &Secured) -> Result<Vec<(Shows, Node)>> {
    let proxy = |number| {
        let shows = match number % 2 {
            0 => secured.nobody().token(&secured.token("seaway-node", "n1")),
            _ => secured
                .nobody()
                .certificate(&secured.certificate("n1.node.seaway")?),
        };
        Ok((shows, claims("node", "n1")))
    };
    (0..20).map(proxy).collect()
}

#[test]
fn certificates_and_tokens_change_under_load_and_no_stream_is_dropped_rule_217() -> Result<()> {
    Secured::run(&[], |world, secured| {
        let address = world.seaway()?.address();
        let proxies = twenty(secured)?;
        let before = proxies[1].0.clone();
        let fleet = Fleet::connect(world.fabric(), address, proxies)?;
        within(Duration::from_secs(20), "all to be served", || {
            ensure!(!lock(&fleet.state).received.contains(&0), "not yet");
            Ok(())
        })?;
        let (ca, clients) = (Ca::new("new servers")?, Ca::new("new clients")?);
        let until = SystemTime::now() + 3 * HOUR;
        let leaf = ca.server(&["localhost"])?;
        let leaf = leaf.valid(SystemTime::now() - HOUR, until)?;
        ensure!(
            world.metric(EXPIRY, "server")? > moment(until),
            "another expiry is shown"
        );
        let server = secured.server.clone();
        churning(&server, || {
            fleet.await_more(5)?;
            // Another server certificate, of another authority, and another authority of clients.
            secured.mount(&leaf, &clients.pem())?;
            await_metric(world, EXPIRY, "server", moment(until))?;
            let with = |shows: Shows| Shows {
                trusts: ca.pem(),
                ..shows
            };
            let friend = clients.client(&[San::dns("n1.node.seaway")])?;
            let after = with(Shows::default().certificate(&friend));
            let newer = with(Shows::default().token(&secured.token("seaway-node", "n1")));
            for good in [&after, &newer] {
                ensure!(try_once(world, address, good)? == Some(Code::Ok));
            }
            ensure!(
                try_once(world, address, &before)?.is_none(),
                "it has the old certificate"
            );
            let stale = try_once(world, address, &with(before))?;
            ensure!(
                stale != Some(Code::Ok),
                "it takes clients of the old authority"
            );

            // A certificate without its key changes nothing, and is said.
            let (one, other) = (ca.server(&["localhost"])?, ca.server(&["localhost"])?);
            let files = [one.pem(), other.key_pem(), clients.pem()];
            let [cert, key, bundle] = files.each_ref().map(String::as_str);
            secured
                .mounted
                .set(&[("tls.crt", cert), ("tls.key", key), ("ca.crt", bundle)])?;
            await_metric(world, "seaway_tls_reloads_total", "error", 1.0)?;
            ensure!(try_once(world, address, &after)? == Some(Code::Ok));
            ensure!(world.metric(EXPIRY, "server")? == moment(until));
            fleet.await_more(5)
        })?;
        let log = world.seaway()?.log();
        ensure!(
            log.contains("--tls-cert and --tls-key do not match"),
            "{log}"
        );
        Ok(())
    })
}

#[test]
fn a_proof_that_will_end_is_visible_before_and_ends_its_connection_then() -> Result<()> {
    Secured::run(&[], |world, secured| {
        let address = world.seaway()?.address();
        let until = SystemTime::now() + Duration::from_secs(9);
        let leaf = secured.certificate("n1.node.seaway")?;
        let leaf = leaf.valid(SystemTime::now() - HOUR, until)?;
        let short = secured.nobody().certificate(&leaf);
        let long = secured
            .nobody()
            .certificate(&secured.certificate("n2.node.seaway")?);
        let proxies = vec![(short, claims("node", "n1")), (long, claims("node", "n2"))];
        let fleet = Fleet::connect(world.fabric(), address, proxies)?;
        let expiry = "seaway_xds_identity_expiry_timestamp_seconds";
        await_metric(world, expiry, "certificate", moment(until))?;
        ensure!(SystemTime::now() < until, "it was visible too late");
        within(Duration::from_secs(20), "the connection to end", || {
            let ended = lock(&fleet.state).ended.clone();
            ensure!(ended.len() == 1 && ended[0].starts_with("0:"), "{ended:?}");
            Ok(())
        })?;
        ensure!(
            SystemTime::now() + Duration::from_secs(1) >= until,
            "it ended too early"
        );
        await_metric(world, "seaway_xds_connections_closed_total", "expired", 1.0)
    })
}
