//! Latencies in buckets of fixed bounds.

use serde::{Deserialize, Serialize};

use super::length::{U32, U64};

/// Buckets of a [`Histogram`].
pub const BUCKETS: usize = 24;

/// How often which latency occurred, in buckets of powers of two.
///
/// Bucket `i` counts latencies below 2^(`i` + 1) µs that no earlier bucket counts: 0 to 1 µs,
/// 2 to 3 µs, 4 to 7 µs and so on; the last one counts all from 2^23 µs (8.4 s) up.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Histogram {
    /// Counts, bucket by bucket.
    pub counts: [u64; BUCKETS],
    /// All latencies together, in µs.
    pub total_us: u64,
    /// The longest, in µs.
    pub max_us: u32,
}

impl Histogram {
    /// Bytes of the longest encoding.
    pub(super) const MAX: usize = BUCKETS * U64 + U64 + U32;

    /// The bucket that counts a latency of `us` microseconds.
    pub const fn bucket(us: u32) -> usize {
        let log2 = (us | 1).ilog2() as usize;
        if log2 < BUCKETS { log2 } else { BUCKETS - 1 }
    }

    /// The lowest latency that bucket `index` does not count, in µs; none for the last bucket.
    pub const fn bound(index: usize) -> Option<u32> {
        if index + 1 < BUCKETS {
            Some(2 << index)
        } else {
            None
        }
    }

    /// Counts one latency of `us` microseconds.
    pub fn record(&mut self, us: u32) {
        let count = &mut self.counts[Self::bucket(us)];
        *count = count.saturating_add(1);
        self.total_us = self.total_us.saturating_add(us.into());
        self.max_us = self.max_us.max(us);
    }

    /// Latencies counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, &n| sum.saturating_add(n))
    }
}
