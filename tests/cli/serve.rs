//! `seaway serve` while it runs and when it ends: its log, its admin surface, its limits, signals.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::serving::{Serving, hold};
use crate::{WEB, folder, run};

#[test]
fn the_soft_limit_of_open_files_does_not_limit_proxies() {
    let some = folder(&[("a.yaml", WEB)]);
    let mut low = Command::new("prlimit");
    low.arg("--nofile=64:").arg(env!("CARGO_BIN_EXE_seaway"));
    let serving = Serving::spawn(low, some.path(), &[]);
    let id = serving.child.id();
    let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let numbers: Vec<&str> = line.unwrap().split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers[0], numbers[1], "{limits}");
}

/// The exit code of `seaway ready`, and its two outputs.
fn ready(admin: &str) -> (Option<i32>, String, String) {
    let output = run(&["ready", "--admin-listen", admin]);
    let said = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        said(output.stdout),
        said(output.stderr),
    )
}

#[test]
fn ready_says_by_its_exit_code_whether_serve_is() {
    let folder = folder(&[("a.yaml", WEB)]);
    let serving = Serving::start(folder.path(), &[]);
    let ok = (Some(0), "ok\n".to_owned(), String::new());
    assert_eq!(ready(&serving.admin), ok);
    let admin = serving.admin.clone();
    drop(serving);
    let (code, _, said) = ready(&admin);
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("--admin-listen"), "{said}");
}

#[test]
fn the_admin_surface_tells_how_it_is() {
    let folder = folder(&[("a.yaml", WEB), ("b.yaml", "kind: [")]);
    let mut serving = Serving::start(folder.path(), &[]);
    assert!(serving.get("/livez").starts_with("HTTP/1.1 200"));
    assert!(serving.get("/readyz").starts_with("HTTP/1.1 200"));
    serving.line("");
    let metrics = serving.get("/metrics");
    for line in [
        "seaway_build_info{version=\"",
        "seaway_source_errors_total{source=\"files\"} 1",
        "seaway_problems{reason=\"Unreadable\"} 1",
        "seaway_xds_streams 0",
        // An alert on a rise has to see the first one, too.
        "seaway_xds_nacks_total{type=\"type.googleapis.com/envoy.config.listener.v3.Listener\"} 0",
        "seaway_xds_connections_closed_total{reason=\"stalled\"} 0",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[test]
fn problems_are_logged_when_they_come_and_when_they_go() {
    let folder = folder(&[("a.yaml", WEB)]);
    let mut serving = Serving::start(folder.path(), &[]);
    fs::write(folder.path().join("a.yaml"), "kind: [").unwrap();
    loop {
        let line = serving.line("");
        if line["object"] == "File a.yaml" {
            assert_eq!(
                (&line["level"], &line["field"]),
                (&"ERROR".into(), &"document 1, line 1".into())
            );
            break;
        }
    }
    fs::write(folder.path().join("a.yaml"), WEB).unwrap();
    assert_eq!(serving.line("problem resolved")["object"], "File a.yaml");
}

#[test]
fn sigterm_ends_the_process_in_order() {
    let folder = folder(&[("a.yaml", WEB)]);
    for signal in [Signal::TERM, Signal::INT] {
        let mut serving = Serving::start(folder.path(), &[]);
        serving.signal(signal);
        serving.line("all connections have ended");
        assert_eq!(serving.child.wait().unwrap().code(), Some(0));
    }
}

/// A proxy opens a stream at once. What has none is in the way of others.
#[test]
fn one_connection_more_than_allowed_takes_the_place_of_one_without_a_stream() {
    let folder = folder(&[("a.yaml", WEB)]);
    let serving = Serving::start(folder.path(), &["--max-connections", "1"]);
    let mut held = hold(&serving.xds);
    let _second = hold(&serving.xds);
    // Closed, or reset: at most what the server had said before.
    let mut said = Vec::new();
    _ = held.read_to_end(&mut said);
    let metrics = serving.get("/metrics");
    let line = "seaway_xds_connections_closed_total{reason=\"crowded\"} 1";
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn clients_that_say_nothing_leave_the_process_its_own_files() {
    let folder = folder(&[("a.yaml", WEB)]);
    let mut low = Command::new("prlimit");
    low.arg("--nofile=256:256")
        .arg(env!("CARGO_BIN_EXE_seaway"));
    let mut serving = Serving::spawn(low, folder.path(), &[]);
    let _silent: Vec<_> = (0..400)
        .map(|_| TcpStream::connect(&serving.xds).unwrap())
        .collect();
    let _slow: Vec<_> = (0..400)
        .map(|_| TcpStream::connect(&serving.admin).unwrap())
        .collect();
    assert!(serving.get("/readyz").starts_with("HTTP/1.1 200"));
    fs::write(folder.path().join("b.yaml"), "kind: [").unwrap();
    while serving.line("")["object"] != "File b.yaml" {}
    // A proxy finds its way in.
    hold(&serving.xds);
}

#[test]
fn requests_to_the_admin_port_that_do_not_end_keep_nobody_out() {
    let folder = folder(&[("a.yaml", WEB)]);
    let serving = Serving::start(folder.path(), &[]);
    let slow = |_| {
        let mut stream = TcpStream::connect(&serving.admin).unwrap();
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: ").unwrap();
        stream
    };
    let mut slow: Vec<_> = (0..300).map(slow).collect();
    assert!(serving.get("/readyz").starts_with("HTTP/1.1 200"));
    // The first ones made room. The last ones are not waited for without end either.
    let last = slow.pop().unwrap();
    for mut stream in [slow.swap_remove(0), last] {
        let limit = Duration::from_secs(20);
        stream.set_read_timeout(Some(limit)).unwrap();
        let mut said = Vec::new();
        let read = stream.read_to_end(&mut said);
        let timed_out = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        assert!(!read.is_err_and(timed_out), "it is still open");
    }
}

#[test]
fn a_client_that_stays_is_closed_when_the_drain_time_has_passed() {
    let folder = folder(&[("a.yaml", WEB)]);
    let mut serving = Serving::start(folder.path(), &["--drain", "300ms"]);
    let _held = hold(&serving.xds);
    serving.signal(Signal::TERM);
    serving.line("shutting down");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
}

#[test]
fn while_draining_the_process_is_not_ready_and_a_second_signal_aborts() {
    let folder = folder(&[("a.yaml", WEB)]);
    let mut serving = Serving::start(folder.path(), &["--drain", "1m"]);
    let _held = hold(&serving.xds);
    serving.signal(Signal::TERM);
    serving.line("shutting down");
    let answer = serving.get("/readyz");
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("draining"),
        "{answer}"
    );
    let (code, said, _) = ready(&serving.admin);
    assert_eq!((code, answer.ends_with(&said)), (Some(1), true), "{said}");
    serving.signal(Signal::TERM);
    assert_eq!(serving.child.wait().unwrap().code(), Some(130));
}
