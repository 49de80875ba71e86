//! The loop with a real translator and publisher and a clock that stands still until it is awaited.

use std::time::Duration;

use seaway_translator::{Problem, Role, Severity};
use seaway_xds::Types;
use tokio::task::JoinHandle;

use super::*;

struct Running {
    updates: mpsc::Sender<Update>,
    leases: mpsc::Sender<Lease>,
    releases: mpsc::UnboundedSender<View>,
    health: Health,
    task: JoinHandle<()>,
}

fn start() -> Running {
    let (updates, update_receiver) = mpsc::channel(8);
    let (leases, lease_receiver) = mpsc::channel(8);
    let (releases, release_receiver) = mpsc::unbounded_channel();
    let (publisher, snapshots) = seaway_xds::channel(Types::envoy());
    let (health, window) = (
        Health::default(),
        CommitWindow::new(Duration::from_millis(10)),
    );
    let writer = Writer::new(
        Options::default(),
        publisher,
        window,
        health.clone(),
        Metrics::default(),
        Outbox {
            problems: watch::Sender::default(),
            board: BoardSender::channel().0,
            statuses: StatusSender::channel().0,
            services: ServiceSender::channel().0,
            published: watch::Sender::default(),
        },
    );
    let inbox = Inbox {
        updates: update_receiver,
        leases: lease_receiver,
        releases: release_receiver,
        rejections: Rejections::of(&snapshots),
        missing: MissingNames::of(&snapshots, now()),
        demands: snapshots.demands(),
        questions: Asker::channel().1,
    };
    Running {
        updates,
        leases,
        releases,
        health,
        task: tokio::spawn(writer.run(inbox)),
    }
}

impl Running {
    async fn lease(&self, view: View) -> PlacementId {
        let (placed, placement) = oneshot::channel();
        self.leases.send(Lease { view, placed }).await.unwrap();
        placement.await.unwrap().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_synced_update_makes_the_process_ready() {
    let running = start();
    running.updates.send(Update::default()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(running.health.ready().is_err());
    let update = Update {
        synced: true,
        ..Update::default()
    };
    running.updates.send(update).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(running.health.ready(), Ok(()));
    running.health.set_draining();
    assert!(running.health.ready().is_err());
}

#[tokio::test(start_paused = true)]
async fn equal_views_share_a_placement_that_outlives_them_half_a_minute() {
    let running = start();
    let id = running.lease(View::of(Role::Mesh)).await;
    assert_eq!(running.lease(View::of(Role::Mesh)).await, id);
    assert_ne!(running.lease(View::of(Role::Node)).await, id);
    for _ in 0..2 {
        running.releases.send(View::of(Role::Mesh)).unwrap();
    }
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(running.lease(View::of(Role::Mesh)).await, id);
    running.releases.send(View::of(Role::Mesh)).unwrap();
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_ne!(running.lease(View::of(Role::Mesh)).await, id);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ended_while_it_waited_gives_its_lease_back() {
    let running = start();
    let view = View::of(Role::Mesh);
    let (placed, placement) = oneshot::channel();
    drop(placement);
    running
        .leases
        .send(Lease {
            view: view.clone(),
            placed,
        })
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(
        running.lease(view).await,
        PlacementId(2),
        "the first was retired"
    );
}

#[tokio::test(start_paused = true)]
async fn the_writer_ends_when_its_source_does() {
    let running = start();
    drop(running.updates);
    running.task.await.unwrap();
}

#[test]
fn problems_are_counted_by_reason() {
    let mut registry = prometheus_client::registry::Registry::default();
    let (sender, mut news) = watch::channel(News::default());
    let mut problem_log = ProblemLog::new(Metrics::register(&mut registry), sender);
    let problem = |field: &str| {
        let reason = seaway_translator::Reason::Unreadable;
        let (object, field) = ("File a".into(), field.to_owned());
        Problem {
            object,
            field,
            severity: Severity::Error,
            reason,
            message: String::new(),
        }
    };
    let count = || {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("problems{reason=\"Unreadable\"}"));
        line.and_then(|line| line.rsplit(' ').next().map(str::to_owned))
            .unwrap()
    };
    let changes =
        |of: &[(&str, bool)]| of.iter().map(|(p, stands)| (problem(p), *stands)).collect();
    problem_log.set_source(vec![problem("1")]);
    problem_log.settle(changes(&[("2", true)]));
    assert_eq!(count(), "2");
    let told = news.borrow_and_update().take();
    assert_eq!(told, changes(&[("1", true), ("2", true)]));
    problem_log.set_source(vec![problem("1")]);
    problem_log.settle(changes(&[]));
    assert!(!news.has_changed().unwrap(), "nothing is different");
    problem_log.set_source(vec![problem("3")]);
    problem_log.set_source(Vec::new());
    problem_log.settle(changes(&[("2", false)]));
    assert_eq!(count(), "0");
    let told = news.borrow_and_update().take();
    assert_eq!(
        told,
        changes(&[("1", false), ("2", false)]),
        "3 came and went"
    );
}

/// What ends the wait is a commit that has the certificates, not the news of them.
#[tokio::test(start_paused = true)]
async fn secrets_are_awaited_from_the_update_that_lacks_them_to_the_commit_that_has_them() {
    let running = start();
    for (awaits_secrets, synced) in [(true, true), (true, true), (false, true)] {
        let update = Update {
            synced,
            awaits_secrets,
            ..Update::default()
        };
        running.updates.send(update).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(running.health.ready(), Ok(()));
        assert_eq!(running.health.has_secrets().is_err(), awaits_secrets);
    }
}
