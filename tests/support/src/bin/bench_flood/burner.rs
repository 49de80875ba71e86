//! Work for its own sake, so much that the processors are as busy as they were at another time.

use std::hint;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Each thread works for a part of this, and sleeps for the rest: short, as the work of an Envoy is
/// that is woken for every packet.
const TURN: Duration = Duration::from_millis(1);
/// From one look at how busy they are to the next.
const LOOK: Duration = Duration::from_millis(500);

/// Until then, works on one thread for each processor, so much that `used`, in seconds of CPU,
/// grows as if so many processors were busy.
pub(crate) fn run(busy: f64, end: Instant, used: impl Fn() -> Result<f64>) -> Result<()> {
    let processors = thread::available_parallelism()?.get();
    // In millionths of a turn.
    let share = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| burn(&share, end));
        }
        let mut part = 0.0;
        while Instant::now() + LOOK < end {
            let (before, start) = (used()?, Instant::now());
            thread::sleep(LOOK);
            let seen = (used()? - before) / start.elapsed().as_secs_f64();
            // Half of what is missing at a time, so that it does not swing.
            part += (busy - seen) / processors as f64 / 2.0;
            part = f64::clamp(part, 0.0, 1.0);
            share.store((part * 1e6) as u32, Ordering::Relaxed);
        }
        Ok(())
    })
}

fn burn(share: &AtomicU32, end: Instant) {
    while Instant::now() < end {
        let start = Instant::now();
        let work = TURN * share.load(Ordering::Relaxed) / 1_000_000;
        while start.elapsed() < work {
            hint::spin_loop();
        }
        thread::sleep(TURN.saturating_sub(start.elapsed()));
    }
}
