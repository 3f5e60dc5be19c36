//! The load's task over time: how many completed in each stretch of time, by coarse latency.
//!
//! One addition per operation to counters that exist already. A stretch is a power of two of ns,
//! and a bucket a quarter of an octave, so that both are found with a shift.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use super::Slice;

/// Slices that there is room for, of warm-up and window together.
const SLICES: usize = 64;
/// The window has at least so many slices, and less than twice as many.
const LEAST: u64 = 10;
/// Slices of the warm-up that are kept at most: its last ones.
const WARMUP: u64 = SLICES as u64 - 2 * LEAST;
/// Counters of all shards.
pub(super) struct Slices {
    /// `shards × slices × buckets`.
    counters: Box<[AtomicU32]>,
    /// Buckets of a slice: four for each power of two up to the longest time that is told apart.
    buckets: usize,
    /// When the first slice begins, in ns of the monotonic clock.
    origin_ns: AtomicU64,
    /// The length of a slice is 2 to the power of this.
    shift: AtomicU32,
    /// When the window begins, in ns of the monotonic clock.
    window_ns: AtomicU64,
}

impl Slices {
    pub(super) fn new(shards: usize, highest_ns: u64) -> Self {
        let buckets = bucket_of(highest_ns) + 1;
        let counters =
            (0..shards * SLICES * buckets).map(|_| AtomicU32::new(0)).collect::<Box<[_]>>();
        // They are written now, or the memory figure would grow with the length of the window.
        counters.iter().for_each(|counter| counter.store(std::hint::black_box(0), Relaxed));
        // From an origin that lies so far ahead, no completion is in any slice.
        let origin_ns = AtomicU64::new(1 << 63);
        Self {
            counters,
            buckets,
            origin_ns,
            shift: AtomicU32::new(0),
            window_ns: AtomicU64::new(0),
        }
    }

    /// Slices what completes from now on: a window between two instants, and before it what began
    /// at `start_ns`.
    pub(super) fn begin(&self, start_ns: u64, from_ns: u64, to_ns: u64) {
        let shift = (to_ns.saturating_sub(from_ns) / LEAST).max(1).ilog2();
        let before = from_ns.saturating_sub(start_ns).div_ceil(1 << shift).min(WARMUP);
        self.shift.store(shift, Relaxed);
        self.window_ns.store(from_ns, Relaxed);
        self.origin_ns.store(from_ns.saturating_sub(before << shift), Relaxed);
    }

    /// Counts an operation; `alone`: the shard is this thread's.
    #[inline]
    pub(super) fn add(&self, shard: usize, latency_ns: u64, completed_ns: u64, alone: bool) {
        // What completed before the origin wraps around to a slice that there is no room for.
        let slice =
            completed_ns.wrapping_sub(self.origin_ns.load(Relaxed)) >> self.shift.load(Relaxed);
        if slice < SLICES as u64 {
            let bucket = bucket_of(latency_ns).min(self.buckets - 1);
            let counter = &self.counters[(shard * SLICES + slice as usize) * self.buckets + bucket];
            if alone {
                counter.store(counter.load(Relaxed) + 1, Relaxed);
            } else {
                counter.fetch_add(1, Relaxed);
            }
        }
    }

    /// The whole slices of the warm-up, and of a window of this length; none where there was no
    /// room for all of it.
    pub(super) fn merged(&self, window_ns: u64) -> Vec<Slice> {
        let (origin_ns, shift) = (self.origin_ns.load(Relaxed), self.shift.load(Relaxed));
        let before = self.window_ns.load(Relaxed).saturating_sub(origin_ns) >> shift;
        let inside = window_ns >> shift;
        // There are 64 at most.
        let slices = before + inside;
        if self.window_ns.load(Relaxed) < origin_ns || slices > SLICES as u64 {
            return Vec::new();
        }
        let before = i64::try_from(before).unwrap_or(0);
        let slice = |at: u64| Slice {
            from_ns: (i64::try_from(at).unwrap_or(0) - before) << shift,
            length_ns: 1 << shift,
            latencies: self.latencies(at as usize),
        };
        (0..slices).map(slice).collect()
    }

    fn latencies(&self, slice: usize) -> Vec<(u64, u64)> {
        let mut sums: BTreeMap<usize, u64> = BTreeMap::new();
        for shard in self.counters.chunks_exact(SLICES * self.buckets) {
            let counters = shard[slice * self.buckets..][..self.buckets].iter().enumerate();
            for (bucket, count) in counters.map(|(bucket, counter)| (bucket, counter.load(Relaxed)))
            {
                if count > 0 {
                    *sums.entry(bucket).or_default() += u64::from(count);
                }
            }
        }
        sums.into_iter().map(|(bucket, count)| (upper_end(bucket), count)).collect()
    }
}

/// The bucket of a latency: the position of its highest digit, and the two digits that follow.
#[inline]
const fn bucket_of(ns: u64) -> usize {
    let octave = (ns | 4).ilog2();
    (octave * 4) as usize + ((ns >> (octave - 2)) & 3) as usize
}

/// The greatest latency of a bucket, in ns.
const fn upper_end(bucket: usize) -> u64 {
    (((bucket % 4) as u64 + 5) << (bucket / 4 - 2)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::HIGHEST_NS;

    const BUCKETS: usize = bucket_of(HIGHEST_NS) + 1;

    #[test]
    fn buckets_are_quarters_of_octaves() {
        for bucket in bucket_of(4)..BUCKETS {
            let end = upper_end(bucket);
            assert_eq!(bucket_of(end), bucket);
            if bucket + 1 < BUCKETS {
                assert_eq!(bucket_of(end + 1), bucket + 1);
                assert!(upper_end(bucket + 1) as f64 <= 1.26 * end as f64 + 1.0, "{end}");
            }
        }
        // Below 4 ns nothing is told apart; above 60 s there is nothing.
        assert!((0..4).all(|ns| upper_end(bucket_of(ns)) <= 7));
        assert!(upper_end(BUCKETS - 1) >= HIGHEST_NS);
    }

    #[test]
    fn a_window_has_ten_slices_or_more_and_the_warm_up_has_its_own() {
        for (warmup, window) in
            [(0, 1_000), (300, 1_000), (1_000_000_000, 5_000_000_000), (60_000, 1_023), (7, 19)]
        {
            let slices = Slices::new(1, HIGHEST_NS);
            let from = 1_000_000_000_000;
            slices.begin(from - warmup, from, from + window);
            let merged = slices.merged(window);
            let inside = merged.iter().filter(|slice| slice.from_ns >= 0).count();
            assert!((10..20).contains(&inside), "{inside} slices of {window}");
            let before = merged.len() - inside;
            assert_eq!(before > 0, warmup > 0);
            assert!(merged.windows(2).all(|pair| pair[1].from_ns - pair[0].from_ns
                == i64::try_from(pair[0].length_ns).unwrap()));
        }
    }

    #[test]
    fn operations_are_counted_where_they_complete_over_all_shards() {
        let slices = Slices::new(3, HIGHEST_NS);
        // Before it begins nothing is counted.
        slices.add(0, 10, 5_000, false);
        // Slices of 64 ns: two of warm-up, ten of the window.
        slices.begin(5_000 - 100, 5_000, 5_640);
        slices.add(0, 10, 4_871, false);
        slices.add(0, 10, 4_872, false);
        slices.add(1, 10, 4_999, false);
        slices.add(0, 10, 5_000, false);
        slices.add(1, 10, 5_063, false);
        slices.add(2, 1_000_000, 5_063, false);
        slices.add(2, 10, 5_639, false);
        slices.add(2, 10, 5_640, false);
        let merged = slices.merged(640);
        let completed: Vec<u64> = merged.iter().map(Slice::completed).collect();
        assert_eq!(completed, [1, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((merged[0].from_ns, merged[2].from_ns, merged[2].length_ns), (-128, 0, 64));
        assert_eq!(merged[2].latencies, [(11, 2), (upper_end(bucket_of(1_000_000)), 1)]);
    }

    #[test]
    fn a_window_that_outgrew_its_room_has_no_slices() {
        let slices = Slices::new(1, HIGHEST_NS);
        slices.begin(5_000, 5_000, 5_640);
        assert_eq!(slices.merged(64 * 64).len(), 64);
        assert!(slices.merged(65 * 64).is_empty());
        assert!(Slices::new(1, HIGHEST_NS).merged(640).is_empty());
    }
}
