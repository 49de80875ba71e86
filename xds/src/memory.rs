//! What clients have the server keep, in bytes: requests whose end has not come, and names that they ask for. Limits of single items are
//! not enough, since a client may have many of them.
//!
//! A holder is an identity or, where nobody is asked who he is, a connection. Each may have a little at any time; what it has beyond that
//! comes out of one pool for all, of which no holder may have more than a part. So one that takes what there is refuses nothing to those
//! who need little.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tonic::Status;

use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::seldom::Seldom;

/// What each holder may have however much all have together: many times what one proxy says of itself and five thousand Services.
const OWN: usize = 512 << 10;

/// The memory of a server for its clients.
#[derive(Debug)]
pub(crate) struct ClientMemory {
    pool: usize,
    per_holder: usize,
    /// Out of the pool.
    taken: AtomicUsize,
    metrics: Metrics,
    refusals: Seldom,
}

/// What one holder has.
#[derive(Debug, Default)]
pub(crate) struct Holder(AtomicUsize);

/// What one stream has. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    memory: Arc<ClientMemory>,
    holder: Arc<Holder>,
    bytes: usize,
}

impl ClientMemory {
    pub(crate) fn new(limits: &Limits, metrics: Metrics) -> ClientMemory {
        ClientMemory {
            pool: limits.client_memory,
            per_holder: limits.memory_per_client.max(OWN),
            taken: AtomicUsize::new(0),
            metrics,
            refusals: Seldom::default(),
        }
    }

    /// The charge of a new stream, which has nothing yet.
    pub(crate) fn charge(self: &Arc<ClientMemory>, holder: &Arc<Holder>) -> Charge {
        Charge {
            memory: self.clone(),
            holder: holder.clone(),
            bytes: 0,
        }
    }

    fn refuse(&self, why: String) -> Status {
        self.metrics.refused_memory();
        if let Some(times) = self.refusals.say() {
            tracing::warn!(times, "a stream ends for what it has kept here: {why}");
        }
        Status::resource_exhausted(why)
    }

    /// How much of what a holder has comes out of the pool.
    fn pooled(bytes: usize) -> usize {
        bytes.saturating_sub(OWN)
    }

    fn give_back(&self, holder: &Holder, bytes: usize) {
        let before = holder.0.fetch_sub(bytes, Ordering::Relaxed);
        let less = Self::pooled(before) - Self::pooled(before - bytes);
        self.taken.fetch_sub(less, Ordering::Relaxed);
        self.metrics.client_memory(-signed(bytes));
    }
}

impl Charge {
    /// The stream has so much now.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED if that is more than its holder may have, or than is left for all. The charge stays as it was.
    pub(crate) fn set(&mut self, bytes: usize) -> Result<(), Status> {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes <= before {
            if bytes < before {
                self.memory.give_back(&self.holder, before - bytes);
            }
            return Ok(());
        }
        let more = bytes - before;
        let memory = &self.memory;
        let held = self.holder.0.fetch_add(more, Ordering::Relaxed);
        let of_pool = ClientMemory::pooled(held + more) - ClientMemory::pooled(held);
        let taken = memory.taken.fetch_add(of_pool, Ordering::Relaxed);
        memory.metrics.client_memory(signed(more));
        let why = if held + more > memory.per_holder {
            format!(
                "unfinished requests and names of {} bytes are kept of this client; more than {} are not",
                held + more,
                memory.per_holder
            )
        } else if of_pool > 0 && taken + of_pool > memory.pool {
            let pool = memory.pool;
            format!(
                "unfinished requests and names of all clients are more than {pool} bytes; try again later"
            )
        } else {
            return Ok(());
        };
        memory.give_back(&self.holder, more);
        self.bytes = before;
        Err(memory.refuse(why))
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.give_back(&self.holder, self.bytes);
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tonic::Code;

    use super::*;

    const MIB: usize = 1 << 20;

    fn memory(pool: usize, each: usize) -> Arc<ClientMemory> {
        let limits = Limits {
            client_memory: pool,
            memory_per_client: each,
            ..Limits::default()
        };
        Arc::new(ClientMemory::new(&limits, Metrics::default()))
    }

    fn code(result: Result<(), Status>) -> Option<Code> {
        result.err().map(|status| status.code())
    }

    #[test]
    fn streams_of_one_holder_share_what_it_may_have() {
        let memory = memory(10 * MIB, 4 * MIB);
        let holder = Arc::default();
        let (mut one, mut two) = (memory.charge(&holder), memory.charge(&holder));
        assert_eq!(code(one.set(3 * MIB)), None);
        assert_eq!(code(two.set(2 * MIB)), Some(Code::ResourceExhausted));
        assert_eq!(code(two.set(MIB)), None);
        drop(one);
        assert_eq!(code(two.set(4 * MIB)), None);
    }

    #[test]
    fn a_pool_that_is_empty_leaves_everybody_a_little() {
        let memory = memory(2 * MIB, 8 * MIB);
        let (mut greedy, mut modest) = (
            memory.charge(&Arc::default()),
            memory.charge(&Arc::default()),
        );
        assert_eq!(code(greedy.set(2 * MIB + OWN)), None);
        assert_eq!(code(modest.set(OWN)), None);
        assert_eq!(code(modest.set(OWN + 1)), Some(Code::ResourceExhausted));
        assert_eq!(code(greedy.set(MIB)), None);
        assert_eq!(code(modest.set(OWN + MIB)), None);
    }

    proptest! {
        #[test]
        fn nothing_is_left_when_all_are_gone(
            sets in prop::collection::vec((0..6usize, 0..3 * MIB), 0..60),
        ) {
            let memory = memory(4 * MIB, 3 * MIB);
            let holders: Vec<Arc<Holder>> = (0..3).map(|_| Arc::default()).collect();
            let charge = |n: usize| memory.charge(&holders[n % 3]);
            let mut charges: Vec<Charge> = (0..6).map(charge).collect();
            for (stream, bytes) in sets {
                let before = charges[stream].bytes;
                let kept = match charges[stream].set(bytes) {
                    Ok(()) => bytes,
                    Err(_) => before,
                };
                prop_assert_eq!(charges[stream].bytes, kept);
                let pooled = holders.iter().map(|h| ClientMemory::pooled(h.0.load(Ordering::Relaxed)));
                prop_assert_eq!(memory.taken.load(Ordering::Relaxed), pooled.sum::<usize>());
                prop_assert!(memory.taken.load(Ordering::Relaxed) <= 4 * MIB);
            }
            drop(charges);
            prop_assert_eq!(memory.taken.load(Ordering::Relaxed), 0);
            prop_assert!(holders.iter().all(|h| h.0.load(Ordering::Relaxed) == 0));
        }
    }
}
