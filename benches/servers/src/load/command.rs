//! The client as a process: commands on standard input, one line of `name=value` pairs as the
//! answer to each.
//!
//! ```text
//! server port=N clusters=N sotw=0|1 address=0|1 receive=BYTES    what to connect to; closes what was open
//! connect count=N parallel=N                        opens streams until there are `count`
//! mark                                              forgets what was counted
//! settle                                            waits until nothing comes any more
//! stats                                             what was counted since
//! stale views=N                                     compares all streams with ones opened now
//! prepare                                           makes ready to come back with what is held
//! reconnect pause=MS watch=MS                       cuts all, comes back, counts what is sent
//! stall count=N                                     some stop reading with their next message
//! ```

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::time::{ClockId, clock_gettime};

use super::fleet::Fleet;
use super::session::{Config, Stamps};
use crate::{clock, control};

/// Obeys standard input to its end.
pub async fn run() -> Result<()> {
    let limit = super::raise_file_limit()?;
    control::say(&format!("files={limit}"))?;
    let mut lines = control::lines();
    let mut client = Client::default();
    while let Some(line) = lines.recv().await {
        let answer = client.command(&Command::parse(&line)?).await?;
        control::say(&format!("{answer} cpu={}", cpu_seconds()))?;
    }
    Ok(())
}

struct Command {
    name: String,
    arguments: HashMap<String, u64>,
}

impl Command {
    fn parse(line: &str) -> Result<Command> {
        let mut words = line.split_whitespace();
        let name = words.next().context("an empty line")?.to_owned();
        let pairs = words.map(|word| {
            let (name, value) = word.split_once('=').context("not a pair")?;
            Ok((name.to_owned(), value.parse()?))
        });
        let arguments = pairs.collect::<Result<_>>()?;
        Ok(Command { name, arguments })
    }

    fn get(&self, name: &str) -> u64 {
        self.arguments.get(name).copied().unwrap_or_default()
    }

    fn count(&self, name: &str) -> usize {
        usize::try_from(self.get(name)).unwrap_or(usize::MAX)
    }
}

#[derive(Default)]
struct Client {
    fleet: Option<Fleet>,
    mark: u64,
}

impl Client {
    async fn command(&mut self, command: &Command) -> Result<String> {
        if command.name == "server" {
            self.fleet = Some(Client::server(command)?);
            return Ok("ok=1".to_owned());
        }
        let fleet = self.fleet.as_mut().context("no server yet")?;
        match command.name.as_str() {
            "connect" => {
                self.mark = clock::now();
                let parallel = command.count("parallel").max(1);
                let synced = fleet.connect(command.count("count"), parallel).await?;
                let line = fleet.take_stats().line(self.mark);
                Ok(format!("synced={synced} {line}"))
            }
            "mark" => {
                self.mark = clock::now();
                fleet.take_stats();
                Ok("ok=1".to_owned())
            }
            "stats" => Ok(fleet.take_stats().line(self.mark)),
            "settle" => {
                fleet.settle().await;
                Ok("ok=1".to_owned())
            }
            "stale" => {
                let stale = fleet.stale(command.count("views").max(1)).await?;
                Ok(format!("stale={stale}"))
            }
            "prepare" => {
                fleet.prepare().await?;
                Ok("ok=1".to_owned())
            }
            "reconnect" => {
                let pause = Duration::from_millis(command.get("pause"));
                let start = fleet.reconnect(pause).await;
                tokio::time::sleep(Duration::from_millis(command.get("watch"))).await;
                Ok(format!("start={start} {}", fleet.take_stats().line(start)))
            }
            "stall" => {
                fleet.stall(command.count("count"));
                Ok("ok=1".to_owned())
            }
            other => bail!("no such command: {other}"),
        }
    }

    fn server(command: &Command) -> Result<Fleet> {
        let port = u16::try_from(command.get("port"))?;
        let config = Config {
            delta: command.get("sotw") == 0,
            clusters: command.count("clusters"),
            receive_buffer: u32::try_from(command.get("receive"))?,
            stamps: match command.get("address") {
                0 => Stamps::End,
                _ => Stamps::Address,
            },
        };
        Ok(Fleet::new(([127, 0, 0, 1], port).into(), config))
    }
}

/// What this process has used so far.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
