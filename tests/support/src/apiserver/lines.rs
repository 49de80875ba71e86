//! The lines of one watch on their way out, and what faults do to them.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::sleep;

use super::body::Writer;
use super::faults::Fault;
use super::query::Call;
use super::shared::{Bell, Shared};

/// The stream has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Over;

pub(super) struct Lines {
    shared: Arc<Shared>,
    call: Call,
    /// Faults that this request has used up; they stay with it.
    taken: Vec<Fault>,
    writer: Writer,
    bell: watch::Receiver<Bell>,
    /// Lines that went out.
    sent: usize,
}

impl Lines {
    pub(super) fn new(shared: Arc<Shared>, call: Call, taken: Vec<Fault>, writer: Writer) -> Self {
        let bell = shared.bell.subscribe();
        Self {
            shared,
            call,
            taken,
            writer,
            bell,
            sent: 0,
        }
    }

    /// The faults of this moment.
    pub(super) fn faults(&self) -> Vec<Fault> {
        self.shared.faults_of(&self.call, &self.taken)
    }

    /// What the bell says now; [`Self::changed`] waits for the next.
    pub(super) fn bell(&mut self) -> Bell {
        self.bell.borrow_and_update().clone()
    }

    /// Waits until the bell rings.
    pub(super) async fn changed(&mut self) -> Result<(), Over> {
        tokio::select! {
            changed = self.bell.changed() => changed.map_err(|_| Over),
            () = self.writer.closed() => Err(Over),
        }
    }

    /// Waits while the watch is to be silent; ends where it is to be cut.
    pub(super) async fn gate(&mut self) -> Result<(), Over> {
        loop {
            let (mut silent, mut cut) = (false, false);
            for fault in self.faults() {
                match fault {
                    Fault::Silent { after } => silent |= self.sent >= after,
                    Fault::Cut { after } => cut |= self.sent >= after,
                    _ => {}
                }
            }
            if cut {
                let broken = io::Error::from(io::ErrorKind::ConnectionReset);
                let _ = self.writer.send(Err(broken)).await;
                return Err(Over);
            }
            if !silent {
                return Ok(());
            }
            self.changed().await?;
        }
    }

    /// Sends a line.
    pub(super) async fn send(&mut self, line: Bytes) -> Result<(), Over> {
        self.gate().await?;
        let (mut line, mut slow) = (line, None);
        for fault in self.faults() {
            match fault {
                Fault::Truncate { after } if self.sent >= after => {
                    let _ = self.writer.send(Ok(line.slice(..line.len() / 2))).await;
                    return Err(Over);
                }
                Fault::Garble { after } if self.sent >= after => {
                    line = Bytes::from([&line[..line.len() / 2], b"\n"].concat());
                }
                Fault::Slow { piece, pause } => slow = Some((piece, pause)),
                _ => {}
            }
        }
        self.sent += 1;
        match slow {
            None => self.write(line).await?,
            Some((piece, pause)) => {
                for piece in line.chunks(piece.max(1)) {
                    self.write(Bytes::copy_from_slice(piece)).await?;
                    sleep(pause).await;
                }
            }
        }
        self.gate().await
    }

    async fn write(&self, bytes: Bytes) -> Result<(), Over> {
        self.writer.send(Ok(bytes)).await.map_err(|_| Over)
    }
}
