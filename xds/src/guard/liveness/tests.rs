//! The watchdog, look by look.

use futures::FutureExt;

use super::*;
use crate::store::notify::CommitNotifier;

fn interest_handle() -> InterestHandle {
    CommitNotifier::default().listen().interest_handle()
}

/// Looks every second.
fn watchdog() -> Watchdog {
    Watchdog::new(&Limits {
        first_stream: Duration::from_secs(8),
        idle: Duration::from_secs(16),
        stalled: Duration::from_secs(24),
        ..Limits::default()
    })
}

fn look(watchdog: &Watchdog, times: usize) {
    for _ in 0..times {
        assert_eq!(watchdog.look(0, SLICE, &mut 0), None);
    }
}

fn ended(connection: &Connection) -> Option<CloseReason> {
    connection.ended().now_or_never()
}

#[test]
fn a_connection_that_opens_no_stream_ends_early_and_one_that_had_some_later() {
    let watchdog = watchdog();
    let (never, _never) = watchdog.connection(interest_handle());
    let (had, _had) = watchdog.connection(interest_handle());
    drop(watchdog.stream(&had));
    look(&watchdog, 8);
    assert_eq!(ended(&never), None);
    look(&watchdog, 1);
    assert_eq!(
        (ended(&never), ended(&had)),
        (Some(CloseReason::Idle), None)
    );
    look(&watchdog, 8);
    assert_eq!(ended(&had), None);
    look(&watchdog, 1);
    assert_eq!(ended(&had), Some(CloseReason::Idle));
}

#[test]
fn a_connection_with_a_stream_now_and_then_is_not_idle() {
    let watchdog = watchdog();
    let (connection, _socket) = watchdog.connection(interest_handle());
    for _ in 0..10 {
        drop(watchdog.stream(&connection));
        look(&watchdog, 10);
    }
    let _open = watchdog.stream(&connection);
    look(&watchdog, 1000);
    assert_eq!(ended(&connection), None);
}

#[test]
fn what_waits_without_moving_is_stalled_and_what_moves_a_little_is_not_rule_131() {
    let watchdog = watchdog();
    let (connection, socket) = watchdog.connection(interest_handle());
    let slow = watchdog.stream(&connection);
    let stuck = watchdog.stream(&connection);
    stuck.progress.waits();
    stuck.progress.moved();
    for _ in 0..10 {
        slow.progress.waits();
        socket.waits();
        look(&watchdog, 20);
        slow.progress.moved();
        socket.moved();
    }
    assert_eq!(ended(&connection), None);
    stuck.progress.waits();
    look(&watchdog, 24);
    assert_eq!(ended(&connection), None);
    look(&watchdog, 1);
    assert_eq!(ended(&connection), Some(CloseReason::Stalled));
}

#[test]
fn what_has_ended_is_not_looked_at() {
    let watchdog = watchdog();
    let (connection, socket) = watchdog.connection(interest_handle());
    let streams: Vec<_> = (0..5).map(|_| watchdog.stream(&connection)).collect();
    drop((streams, socket));
    look(&watchdog, 1);
    assert_eq!(watchdog.entries().len(), 0);
    assert_eq!(Arc::strong_count(&connection), 1);
}

#[test]
fn a_look_goes_on_where_it_rested() {
    let watchdog = watchdog();
    let sockets: Vec<_> = (0..10)
        .map(|_| watchdog.connection(interest_handle()))
        .collect();
    for _ in 0..9 {
        assert_eq!(watchdog.look(0, 4, &mut 0), Some(4));
        assert_eq!(watchdog.look(4, 4, &mut 0), Some(8));
        assert_eq!(watchdog.look(8, 4, &mut 0), None);
    }
    let told = sockets
        .iter()
        .filter_map(|(connection, _)| ended(connection));
    assert_eq!(told.count(), 10);
}

#[test]
fn a_refused_stream_ends_its_connection_if_it_is_the_only_one_rule_156() {
    let watchdog = watchdog();
    let (connection, _socket) = watchdog.connection(interest_handle());
    let first = watchdog.stream(&connection);
    let second = watchdog.stream(&connection);
    second.connection.refused();
    assert_eq!(ended(&connection), None);
    drop(first);
    second.connection.refused();
    assert_eq!(ended(&connection), Some(CloseReason::Refused));
}
