//! What is asked that cannot be answered, and who answers that is no replica: one line says which,
//! and nothing of it reaches the terminal as it is.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};

/// Runs `seaway` beside whoever answers.
fn seaway(arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seaway"));
    Ok(command.args(arguments).env_clear().output()?)
}

/// The one line by which a command that could not be run ends.
fn refusal(arguments: &[&str]) -> Result<String> {
    let output = seaway(arguments)?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(2), "{arguments:?}: {said}");
    ensure!(
        output.stdout.is_empty() && said.matches('\n').count() == 1,
        "{said:?}"
    );
    ensure!(!said.trim_end().contains(char::is_control), "{said:?}");
    Ok(said)
}

/// Somebody who answers every request by these bytes, until all that reads has enough.
fn answering(answer: Vec<u8>, again: bool) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever asks goes away when it has enough.
            let _ = answer_one(stream, &answer, again);
        }
    });
    Ok(address)
}

fn answer_one(mut stream: TcpStream, answer: &[u8], again: bool) -> Result<()> {
    let mut request = [0; 4096];
    ensure!(stream.read(&mut request)? > 0);
    stream.write_all(answer)?;
    if !again {
        return Ok(());
    }
    loop {
        stream.write_all(&[b' '; 1 << 16])?;
    }
}

fn http(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

#[test]
fn who_answers_something_else_is_said_to() -> Result<()> {
    let evil = "{\"error\":\"\\u001b[31mred\\u0007\\nline\"}";
    let endless = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1u64 << 40);
    for (answer, again, word) in [
        (
            b"\x00\x00\x12\x04\x00\x00\r\n\r\n".to_vec(),
            false,
            "no HTTP/1.1; is this the admin port",
        ),
        (http("302 Found", ""), false, "answers 302"),
        (
            http("200 OK", "{\"items\": [1, 2"),
            false,
            "not of this version's API",
        ),
        (http("200 OK", "null"), false, "not of this version's API"),
        (http("500 Bad", evil), false, "[31mred line"),
        (endless.into_bytes(), true, "larger than 64 MiB"),
    ] {
        let address = answering(answer, again)?.to_string();
        for command in [
            &["status"][..],
            &["get", "services"],
            &["explain", "shop/web"],
        ] {
            let said = refusal(&[command, &["--admin", &address]].concat())?;
            ensure!(said.contains(&format!("{address}: ")), "{said}");
            ensure!(said.contains(word), "{word:?} is not in: {said}");
        }
    }
    Ok(())
}

#[test]
fn a_word_that_no_question_has_is_refused_before_anybody_is_asked() -> Result<()> {
    for (arguments, words) in [
        (
            &["get", "problems", "--severity", "fatal"][..],
            "error, warning",
        ),
        (
            &["get", "services", "--served", "perhaps"],
            "yes, partly, no",
        ),
        (
            &["get", "proxies", "--not", "sync"],
            "synced, behind, rejects",
        ),
        (
            &["get", "proxies", "--role", "nod"],
            "node, mesh, ingress, grpc",
        ),
        (&["get"], "seaway get what? proxies, services, resources"),
        (&["bootstrap", "--tls-ca"], "--tls-ca"),
    ] {
        let said = refusal(arguments)?;
        ensure!(said.contains(words), "{arguments:?}: {said}");
        ensure!(!said.contains("no replica"), "{said}");
    }
    let said = refusal(&[])?;
    ensure!(said.contains("seaway what? serve, "), "{said}");
    ensure!(said.contains("status, get"), "{said}");
    Ok(())
}

#[test]
fn a_reader_that_goes_away_is_no_error() -> Result<()> {
    for arguments in [&["completion", "bash"][..], &["--help"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seaway"));
        command.args(arguments).env_clear();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        drop(child.stdout.take());
        let mut said = String::new();
        let mut told = child.stderr.take().context("no stderr")?;
        told.read_to_string(&mut said)?;
        ensure!(
            child.wait()?.success() && said.is_empty(),
            "{arguments:?}: {said}"
        );
    }
    Ok(())
}
