//! Limits on the memory that the server keeps for clients, in bytes: incomplete requests, and names
//! that they subscribe to and that do not exist. Limits of single requests and names are not
//! enough, since a client may have many of them.
//!
//! A holder is an identity or, without authentication, a connection. There are two pools: one for
//! the base share of each holder, one for what holders have beyond it, of which each may have a
//! limited part. So holders that use all they may get leave the base shares of the others alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tonic::Status;

use crate::guard::log_limit::LogLimit;
use crate::limits::Limits;
use crate::metrics::Metrics;

/// The bytes that each holder may have of the first pool: many times what one proxy's node and five
/// thousand Services take.
const BASE_SHARE: usize = 512 << 10;

/// The memory that a server has for its clients, in two pools, and the most that one holder may
/// have.
#[derive(Debug)]
pub(crate) struct ClientMemory {
    per_holder: usize,
    base: Pool,
    extra: Pool,
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
            per_holder: limits.memory_per_client.max(BASE_SHARE),
            base: Pool::new(limits.client_memory / 2),
            extra: Pool::new(limits.client_memory - limits.client_memory / 2),
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
        if let Some(times) = self.refusals.count_event() {
            tracing::warn!(times, "ending a stream over its memory limit: {why}");
        }
        Status::resource_exhausted(why)
    }

    fn give_back(&self, account: &MemoryAccount, bytes: usize) {
        let before = account.0.fetch_sub(bytes, Ordering::Relaxed);
        let (base, extra) = split(before - bytes, before);
        self.base.give_back(base);
        self.extra.give_back(extra);
        self.metrics.client_memory(-signed(bytes));
    }
}

/// The bytes between two amounts of one holder, split between the two pools.
fn split(low: usize, high: usize) -> (usize, usize) {
    let base = high.min(BASE_SHARE) - low.min(BASE_SHARE);
    (base, high - low - base)
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
        let (base, beyond) = split(held, held + more);
        // Both are taken in any case, as both are given back.
        let enough = [memory.base.take(base), memory.extra.take(beyond)];
        memory.metrics.client_memory(signed(more));
        let why = if held + more > memory.per_holder {
            format!(
                "incomplete requests and names of this client take {} bytes; the limit is {}",
                held + more,
                memory.per_holder
            )
        } else if enough != [true, true] {
            "incomplete requests and names of all clients take as much memory as they may; try again later"
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
        assert_eq!(code(greedy.set(2 * MIB + BASE_SHARE)), None);
        assert_eq!(code(modest.set(BASE_SHARE)), None);
        assert_eq!(
            code(modest.set(BASE_SHARE + 1)),
            Some(Code::ResourceExhausted)
        );
        assert_eq!(code(greedy.set(MIB)), None);
        assert_eq!(code(modest.set(BASE_SHARE + MIB)), None);
    }

    #[test]
    fn very_many_who_need_little_have_no_more_than_there_is() {
        let memory = memory(4 * MIB, 8 * MIB);
        let mut many: Vec<Charge> = (0..10).map(|_| memory.charge(&Arc::default())).collect();
        let refused = many.iter_mut().map(|one| code(one.set(BASE_SHARE)));
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
                let pools = [&memory.base, &memory.extra];
                let taken = pools.map(|pool| pool.taken.load(Ordering::Relaxed));
                prop_assert_eq!(taken[0] + taken[1], all);
                prop_assert!(taken.iter().all(|taken| *taken <= 4 * MIB));
            }
            drop(charges);
            for pool in [&memory.base, &memory.extra] {
                prop_assert_eq!(pool.taken.load(Ordering::Relaxed), 0);
            }
        }
    }
}
