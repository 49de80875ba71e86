//! One part of a measurement: who asks, what is going on beside it, and who used which processor.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use seaway_testing::usage::{Usage, machine_cpu, open_files};

use crate::burner;
use crate::offender::{Flood, Load, Sent};
use crate::probe::{self, Answers, Kind, Lane};
use crate::stage::{DNS, Stage, WEB, service};

/// From one look at Envoy's files to the next.
const LOOK: Duration = Duration::from_secs(1);

/// What goes on while the probe asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Course {
    Quiet,
    /// A flood of this address.
    Flood(Load, Ipv4Addr),
    /// The same, and work until so many processors are busy with Envoy and this program.
    Busy(Load, Ipv4Addr, f64),
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) answers: Vec<Answers>,
    pub(crate) sent: Sent,
    pub(crate) length: Duration,
    /// How many processors were busy: of the whole machine, with Envoy, with this program, which
    /// plays all pods, and with the offender of it.
    pub(crate) machine: f64,
    pub(crate) envoy: f64,
    pub(crate) pods: f64,
    pub(crate) offender: f64,
    /// The most files that Envoy had open.
    pub(crate) files: usize,
    pub(crate) memory: Usage,
}

/// Has the probe ask for so long.
pub(crate) fn run(stage: &Stage<'_, '_>, length: Duration, course: &Course) -> Result<Phase> {
    let (machine, envoy, own) = (machine_cpu()?, stage.usage()?.cpu, pods()?);
    let (start, end) = (Instant::now(), Instant::now() + length);
    let asking: Vec<_> = probes(stage)?
        .into_iter()
        .map(|(pod, lanes)| {
            let probe = move || probe::run(&lanes, end);
            stage.at(pod)?.thread("probe", probe)
        })
        .collect::<Result<_>>()?;
    let flood = match *course {
        Course::Quiet => None,
        Course::Flood(load, to) | Course::Busy(load, to, _) => {
            let to = [(to, DNS).into(), (to, WEB).into()];
            Some(Flood::start(stage.at("offender")?, load, to, length)?)
        }
    };
    let process = stage.envoy_id();
    let watching = thread::spawn(move || most_files(process, end));
    if let Course::Busy(_, _, busy) = *course {
        burner::run(busy, end, || Ok(stage.usage()?.cpu + pods()?))?;
    }
    let mut answers = Vec::new();
    for probe in asking {
        answers.extend(probe.join()?);
    }
    // Before the flood is over, which ends with the closing of what it held.
    let seconds = start.elapsed().as_secs_f64();
    let (machine, own) = (machine_cpu()? - machine, pods()? - own);
    let memory = stage.usage()?;
    let sent = flood.map(Flood::join).transpose()?.unwrap_or_default();
    let files = watching
        .join()
        .map_err(|_| anyhow::anyhow!("the look at Envoy's files panicked"))??;
    Ok(Phase {
        answers,
        sent,
        length,
        machine: machine / seconds,
        envoy: (memory.cpu - envoy) / seconds,
        pods: own / seconds,
        offender: sent.cpu / seconds,
        files,
        memory,
    })
}

/// The Service, and its endpoint without Envoy, each asked by a pod of its own: where addresses are
/// kept, Envoy asks the endpoint from its client's address, and may do so from a port that the
/// client itself has just used to ask there.
fn probes(stage: &Stage<'_, '_>) -> Result<[(&'static str, [Lane; 2]); 2]> {
    let endpoint = stage.endpoint()?;
    let lane = |name, kind, to| Lane { name, kind, to };
    let service = [
        lane("UDP, Service", Kind::Udp, service(Kind::Udp)),
        lane("TCP, Service", Kind::Tcp, service(Kind::Tcp)),
    ];
    let endpoint = [
        lane("UDP, endpoint", Kind::Udp, endpoint),
        lane("TCP, endpoint", Kind::Tcp, endpoint),
    ];
    Ok([("client", service), ("neighbour", endpoint)])
}

/// Seconds of CPU that this program has used.
fn pods() -> Result<f64> {
    Ok(Usage::of(std::process::id())?.cpu)
}

fn most_files(process: u32, end: Instant) -> Result<usize> {
    let mut most = 0;
    while Instant::now() < end {
        most = most.max(open_files(process)?);
        thread::sleep(LOOK);
    }
    Ok(most)
}
