//! The slots of a histogram, as HdrHistogram has them at three significant digits. Pure arithmetic.

/// The longest time that is told apart from longer ones where nothing in a plan can take longer: 60
/// s, in ns.
pub const HIGHEST_NS: u64 = 60_000_000_000;
/// The longest time that is ever told apart from longer ones, whatever a plan allows: 100 h, in ns.
pub const MOST_NS: u64 = 360_000_000_000_000;

/// Sub-buckets of the first bucket: the least power of two that tells three significant digits
/// apart.
pub(super) const SUB_BUCKETS: u64 = 2048;
/// Binary digits of half of them.
const HALF_DIGITS: u32 = 10;

/// How many slots an array of counters has that tells times up to `highest_ns` apart.
pub(super) const fn slots(highest_ns: u64) -> usize {
    slot_of(highest_ns) + 1
}

/// The slot of a value, as HdrHistogram computes it (`bucket_for`, `sub_bucket_for`, `index_for`).
#[inline]
pub(super) const fn slot_of(ns: u64) -> usize {
    let bucket = 63 - HALF_DIGITS - (ns | (SUB_BUCKETS - 1)).leading_zeros();
    let sub_bucket = ns >> bucket;
    (((bucket as u64 + 1) << HALF_DIGITS) + sub_bucket - SUB_BUCKETS / 2) as usize
}

/// The least value that falls into a slot.
pub(super) const fn lowest_value(slot: usize) -> u64 {
    let half = SUB_BUCKETS / 2;
    let slot = slot as u64;
    if slot < SUB_BUCKETS {
        return slot;
    }
    let bucket = (slot >> HALF_DIGITS) - 1;
    ((slot & (half - 1)) + half) << bucket
}
