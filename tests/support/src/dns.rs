//! A name server with a table of A records that a test can change.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::Namespace;
use crate::namespace::Inside;

type Table = Arc<Mutex<BTreeMap<String, Ipv4Addr>>>;
type Asked = Arc<Mutex<BTreeSet<String>>>;

/// A running name server. Answers live for one second; other types of a known name are empty,
/// unknown names do not exist.
#[derive(Debug)]
pub struct Dns {
    table: Table,
    asked: Asked,
    stopped: Arc<AtomicBool>,
    thread: Option<Inside<()>>,
}

impl Dns {
    /// Listens on `address` (UDP) in `namespace`.
    pub fn start(namespace: &Namespace, address: SocketAddr) -> Result<Self> {
        let (table, stopped) = (Table::default(), Arc::new(AtomicBool::new(false)));
        let socket = namespace
            .run(move || UdpSocket::bind(address))?
            .with_context(|| format!("DNS cannot bind {address}"))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let (names, stop) = (table.clone(), stopped.clone());
        let asked = Asked::default();
        let noted = asked.clone();
        let thread = namespace.thread("dns", move || {
            let mut query = [0; 512];
            while !stop.load(Ordering::Relaxed) {
                let Ok((length, client)) = socket.recv_from(&mut query) else {
                    continue;
                };
                if let Some(reply) = answer(&query[..length], &names, &noted) {
                    let _ = socket.send_to(&reply, client);
                }
            }
        })?;
        Ok(Self {
            table,
            asked,
            stopped,
            thread: Some(thread),
        })
    }

    /// The names that were asked for so far.
    pub fn asked(&self) -> BTreeSet<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.clone()
    }

    /// Gives `name` this address from now on.
    pub fn set(&self, name: &str, address: Ipv4Addr) {
        self.table
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), address);
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The reply to a query with one question, or nothing for anything else.
fn answer(query: &[u8], table: &Table, asked: &Asked) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    const TYPE_A: [u8; 2] = [0, 1];
    if query.get(4..6)? != [0, 1] {
        return None;
    }
    let mut labels = Vec::new();
    let mut at = HEADER;
    while let length @ 1.. = usize::from(*query.get(at)?) {
        labels.push(String::from_utf8_lossy(query.get(at + 1..=at + length)?).to_lowercase());
        at += length + 1;
    }
    let question = query.get(HEADER..at + 5)?;
    let kind = query.get(at + 1..at + 3)?;
    let name = labels.join(".");
    let table = table.lock().unwrap_or_else(PoisonError::into_inner);
    let address = table.get(&name).copied();
    asked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(name);
    let answers = u8::from(address.is_some() && kind == TYPE_A);
    // Response, authoritative, recursion as asked; NXDOMAIN (3) for names that are not in the
    // table.
    let flags = [
        0x84 | (query.get(2)? & 1),
        if address.is_some() { 0x80 } else { 0x83 },
    ];
    let mut reply = [
        query.get(..2)?,
        &flags,
        &[0, 1, 0, answers, 0, 0, 0, 0],
        question,
    ]
    .concat();
    if let (1, Some(address)) = (answers, address) {
        // A pointer to the question's name, type A, class IN, one second to live, four bytes.
        reply.extend_from_slice(&[0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        reply.extend_from_slice(&address.octets());
    }
    Some(reply)
}
