//! Limits on what clients make the server keep, in bytes: requests whose end has not come, and
//! names that they subscribe to. Limits of single items are not enough, since a client may have
//! many of them.
//!
//! A holder is an identity or, where callers have none, a connection. There are two pools: one for
//! the first bytes of each holder, one for what holders have beyond that, of which no holder may
//! have more than a part. So a few holders that take all they can get cannot crowd out those that
//! need little.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tonic::Status;

use crate::guard::log_limit::LogLimit;
use crate::limits::Limits;
use crate::metrics::Metrics;

/// The bytes that each holder may have of the first pool: many times what one proxy's node and five
/// thousand Services take.
const LITTLE: usize = 512 << 10;

/// The memory that a server has for its clients, in two pools, and the most that one holder may
/// have.
#[derive(Debug)]
pub(crate) struct ClientMemory {
    per_holder: usize,
    little: Pool,
    more: Pool,
    metrics: Metrics,
    refusals: LogLimit,
}

/// A number of bytes that all holders share.
#[derive(Debug)]
struct Pool {
    size: usize,
    taken: AtomicUsize,
}

impl Pool {
    fn new(size: usize) -> Pool {
        Pool {
            size,
            taken: AtomicUsize::new(0),
        }
    }

    /// Takes so many bytes in any case, and returns whether the pool had enough.
    fn take(&self, bytes: usize) -> bool {
        bytes == 0 || self.taken.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.size
    }

    fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The bytes that one holder has of the [`ClientMemory`].
#[derive(Debug, Default)]
pub(crate) struct MemoryAccount(AtomicUsize);

/// The bytes that one stream has of the [`ClientMemory`]; given back when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    memory: Arc<ClientMemory>,
    account: Arc<MemoryAccount>,
    bytes: usize,
}

impl ClientMemory {
    pub(crate) fn new(limits: &Limits, metrics: Metrics) -> ClientMemory {
        ClientMemory {
            per_holder: limits.memory_per_client.max(LITTLE),
            little: Pool::new(limits.client_memory / 2),
            more: Pool::new(limits.client_memory - limits.client_memory / 2),
            metrics,
            refusals: LogLimit::default(),
        }
    }

    /// The charge of a new stream, zero bytes at first.
    pub(crate) fn charge(self: &Arc<ClientMemory>, account: &Arc<MemoryAccount>) -> Charge {
        Charge {
            memory: self.clone(),
            account: account.clone(),
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

    fn give_back(&self, account: &MemoryAccount, bytes: usize) {
        let before = account.0.fetch_sub(bytes, Ordering::Relaxed);
        let (little, more) = split(before - bytes, before);
        self.little.give_back(little);
        self.more.give_back(more);
        self.metrics.client_memory(-signed(bytes));
    }
}

/// The bytes between two amounts of one holder, split between the two pools.
fn split(low: usize, high: usize) -> (usize, usize) {
    let little = high.min(LITTLE) - low.min(LITTLE);
    (little, high - low - little)
}

impl Charge {
    /// Sets the number of bytes that the stream has.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED if that is more than its holder may have, or than is left for all. The
    /// charge stays as it was.
    pub(crate) fn set(&mut self, bytes: usize) -> Result<(), Status> {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes <= before {
            if bytes < before {
                self.memory.give_back(&self.account, before - bytes);
            }
            return Ok(());
        }
        let more = bytes - before;
        let memory = &self.memory;
        let held = self.account.0.fetch_add(more, Ordering::Relaxed);
        let (little, beyond) = split(held, held + more);
        // Both are taken in any case, as both are given back.
        let enough = [memory.little.take(little), memory.more.take(beyond)];
        memory.metrics.client_memory(signed(more));
        let why = if held + more > memory.per_holder {
            format!(
                "unfinished requests and names of {} bytes are kept of this client; more than {} are not",
                held + more,
                memory.per_holder
            )
        } else if enough != [true, true] {
            "no more unfinished requests and names of all clients are kept; try again later"
                .to_owned()
        } else {
            return Ok(());
        };
        memory.give_back(&self.account, more);
        self.bytes = before;
        Err(memory.refuse(why))
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.give_back(&self.account, self.bytes);
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
        let account = Arc::default();
        let (mut one, mut two) = (memory.charge(&account), memory.charge(&account));
        assert_eq!(code(one.set(3 * MIB)), None);
        assert_eq!(code(two.set(2 * MIB)), Some(Code::ResourceExhausted));
        assert_eq!(code(two.set(MIB)), None);
        drop(one);
        assert_eq!(code(two.set(4 * MIB)), None);
    }

    #[test]
    fn a_pool_that_is_empty_leaves_everybody_a_little() {
        let memory = memory(4 * MIB, 8 * MIB);
        let (mut greedy, mut modest) = (
            memory.charge(&Arc::default()),
            memory.charge(&Arc::default()),
        );
        assert_eq!(code(greedy.set(2 * MIB + LITTLE)), None);
        assert_eq!(code(modest.set(LITTLE)), None);
        assert_eq!(code(modest.set(LITTLE + 1)), Some(Code::ResourceExhausted));
        assert_eq!(code(greedy.set(MIB)), None);
        assert_eq!(code(modest.set(LITTLE + MIB)), None);
    }

    #[test]
    fn very_many_who_need_little_have_no_more_than_there_is() {
        let memory = memory(4 * MIB, 8 * MIB);
        let mut many: Vec<Charge> = (0..10).map(|_| memory.charge(&Arc::default())).collect();
        let refused = many.iter_mut().map(|one| code(one.set(LITTLE)));
        assert_eq!(refused.filter(Option::is_some).count(), 6);
    }

    proptest! {
        #[test]
        fn nothing_is_left_when_all_are_gone(
            sets in prop::collection::vec((0..6usize, 0..3 * MIB), 0..60),
        ) {
            let memory = memory(8 * MIB, 3 * MIB);
            let holders: Vec<Arc<MemoryAccount>> = (0..3).map(|_| Arc::default()).collect();
            let charge = |n: usize| memory.charge(&holders[n % 3]);
            let mut charges: Vec<Charge> = (0..6).map(charge).collect();
            for (stream, bytes) in sets {
                let before = charges[stream].bytes;
                let kept = match charges[stream].set(bytes) {
                    Ok(()) => bytes,
                    Err(_) => before,
                };
                prop_assert_eq!(charges[stream].bytes, kept);
                let all = charges.iter().map(|charge| charge.bytes).sum::<usize>();
                let pools = [&memory.little, &memory.more];
                let taken = pools.map(|pool| pool.taken.load(Ordering::Relaxed));
                prop_assert_eq!(taken[0] + taken[1], all);
                prop_assert!(taken.iter().all(|taken| *taken <= 4 * MIB));
            }
            drop(charges);
            for pool in [&memory.little, &memory.more] {
                prop_assert_eq!(pool.taken.load(Ordering::Relaxed), 0);
            }
        }
    }
}
