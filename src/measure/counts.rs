//! Counted values: what an HdrHistogram of ours counts, in as much memory as there are different
//! values.
//!
//! HdrHistogram's table has a counter for every slot from 1 ns to 60 s, 220 KB of them, and to 100
//! h 310 KB. A run of thousands of cells holds a hundred thousand histograms, most with a few
//! hundred slots in use, so that only these are kept: sorted pairs of slot and count. Values that
//! are recorded one at a time go into a whole table, which is made with the first of them;
//! recording then allocates nothing. Methods have the names and the meaning that they have in the
//! crate `hdrhistogram`.

use hdrhistogram::Histogram;

use super::slot::{HIGHEST_NS, MOST_NS, lowest_value, slot_of, slots};

/// Counts by slot.
#[derive(Debug, Clone)]
pub struct SlotCounts {
    slots: Slots,
    total: u64,
    /// Values in this slot and above are only known to be that high or higher; none: all are known.
    clipped: Option<u32>,
}

#[derive(Debug, Clone)]
enum Slots {
    /// The slots in use with their counts, ascending.
    Few(Vec<(u32, u64)>),
    /// A count for every slot.
    All(Box<[u64]>),
}

/// A value above 100 h, which only saturating methods take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

/// A slot in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordedSlot {
    slot: usize,
    count: u64,
}

impl RecordedSlot {
    /// The highest value of the slot, in ns.
    pub fn value_iterated_to(&self) -> u64 {
        highest_value(self.slot)
    }

    /// Values in the slot.
    pub fn count_at_value(&self) -> u64 {
        self.count
    }
}

impl SlotCounts {
    /// No values.
    pub(super) fn new() -> Self {
        Self { slots: Slots::Few(Vec::new()), total: 0, clipped: None }
    }

    /// Counts a value, in ns.
    ///
    /// # Errors
    /// If it is above 100 h.
    pub fn record(&mut self, ns: u64) -> Result<(), TooLarge> {
        if ns > MOST_NS {
            return Err(TooLarge);
        }
        self.saturating_record(ns);
        Ok(())
    }

    /// Counts a value `count` times, in ns.
    ///
    /// # Errors
    /// If it is above 100 h.
    pub fn record_n(&mut self, ns: u64, count: u64) -> Result<(), TooLarge> {
        if ns > MOST_NS {
            return Err(TooLarge);
        }
        self.saturating_record_n(ns, count);
        Ok(())
    }

    /// Counts a value, in ns; what is above 100 h is clipped there. Only the first such call
    /// allocates, and none after [`Self::prepare`].
    pub fn saturating_record(&mut self, ns: u64) {
        self.prepare();
        self.saturating_record_n(ns, 1);
    }

    /// Makes the whole table now, so that recording does not.
    pub fn prepare(&mut self) {
        if let Slots::Few(few) = &self.slots {
            let mut all = vec![0; slots(MOST_NS)].into_boxed_slice();
            for &(slot, count) in few {
                all[slot as usize] = count;
            }
            self.slots = Slots::All(all);
        }
    }

    /// Counts a value `count` times, in ns; what is above 100 h is clipped there.
    pub fn saturating_record_n(&mut self, ns: u64, count: u64) {
        self.clipped_record_n(ns, count, MOST_NS);
    }

    /// Counts a value `count` times, in ns, of which only what is at most `highest_ns` is told
    /// apart; what is above is from now on known to be at least that.
    pub fn clipped_record_n(&mut self, ns: u64, count: u64, highest_ns: u64) {
        let slot = slot_of(ns.min(highest_ns));
        if count > 0 {
            self.total = self.total.saturating_add(count);
            self.slots.add(slot, count);
            if ns > highest_ns {
                self.clip(slot as u32);
            }
        }
    }

    fn clip(&mut self, slot: u32) {
        self.clipped = Some(self.clipped.map_or(slot, |known| known.min(slot)));
    }

    /// From which value on, in ns, values are only known to be that high or higher; none: all are
    /// known.
    pub fn clipped_from(&self) -> Option<u64> {
        self.clipped.map(|slot| lowest_value(slot as usize))
    }

    /// Adds what another one counts.
    pub(super) fn add(&mut self, other: &Self) {
        self.total = self.total.saturating_add(other.total);
        other.clipped.into_iter().for_each(|slot| self.clip(slot));
        match &mut self.slots {
            Slots::Few(few) => *few = sum(few, other.iter()),
            all @ Slots::All(_) => other.iter().for_each(|(slot, count)| all.add(slot, count)),
        }
    }

    /// How many values there are.
    pub fn len(&self) -> u64 {
        self.total
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The lowest value of the least slot in use, in ns; 0 of no values.
    pub fn min(&self) -> u64 {
        self.iter().next().map_or(0, |(slot, _)| lowest_value(slot))
    }

    /// The highest value of the greatest slot in use, in ns; 0 of no values.
    pub fn max(&self) -> u64 {
        match &self.slots {
            Slots::Few(few) => few.last().map(|&(slot, _)| slot as usize),
            Slots::All(all) => all.iter().rposition(|count| *count > 0),
        }
        .map_or(0, highest_value)
    }

    /// The mean of the middles of the slots, in ns; 0 of no values.
    pub fn mean(&self) -> f64 {
        let middle =
            |slot| lowest_value(slot) + ((lowest_value(slot + 1) - lowest_value(slot)) >> 1);
        self.iter().fold(0.0, |sum, (slot, count)| {
            sum + middle(slot) as f64 * count as f64 / self.total as f64
        })
    }

    /// The highest value of the slot in which quantile `q` lies, in ns (the lowest for a quantile
    /// of 0); 0 of no values.
    pub fn value_at_quantile(&self, q: f64) -> u64 {
        // The first recorded value at least.
        let wanted = ((q.min(1.0) * self.total as f64).ceil() as u64).max(1);
        let mut below = 0;
        let mut slots = self.iter();
        let found = slots.find(|(_, count)| {
            below += count;
            below >= wanted
        });
        found.map_or(0, |(slot, _)| if q == 0.0 { lowest_value(slot) } else { highest_value(slot) })
    }

    /// How many values lie in the slots from that of `low` to that of `high`.
    pub fn count_between(&self, low: u64, high: u64) -> u64 {
        let slots = slot_of(low.min(MOST_NS))..=slot_of(high.min(MOST_NS));
        self.iter().filter(|(slot, _)| slots.contains(slot)).map(|(_, count)| count).sum()
    }

    /// The least value in the slot of a value.
    pub fn lowest_equivalent(&self, ns: u64) -> u64 {
        lowest_value(slot_of(ns))
    }

    /// The greatest value in the slot of a value.
    pub fn highest_equivalent(&self, ns: u64) -> u64 {
        highest_value(slot_of(ns))
    }

    /// Whether two values have the same slot.
    pub fn equivalent(&self, one: u64, other: u64) -> bool {
        slot_of(one) == slot_of(other)
    }

    /// The slots in use, ascending.
    pub fn iter_recorded(&self) -> impl Iterator<Item = RecordedSlot> {
        self.iter().map(|(slot, count)| RecordedSlot { slot, count })
    }

    /// As a histogram of the crate, such as it is stored. Its highest slot is in use only where
    /// values were clipped there.
    pub(super) fn to_histogram(&self) -> Histogram<u64> {
        let is_short = self.max() < lowest_value(slot_of(HIGHEST_NS));
        let mut histogram = empty(match self.clipped {
            Some(slot) => highest_value(slot as usize).min(MOST_NS),
            None if is_short => HIGHEST_NS,
            None => MOST_NS,
        });
        // Saturating, because the lowest value of a slot is always within the histogram's bounds.
        self.iter()
            .for_each(|(slot, count)| histogram.saturating_record_n(lowest_value(slot), count));
        histogram
    }

    /// Of a histogram of the crate with our lowest value and digits. What is in its highest slot
    /// was clipped there.
    pub(super) fn of_histogram(histogram: &Histogram<u64>) -> Self {
        let slots = histogram
            .iter_recorded()
            .map(|v| (slot_of(v.value_iterated_to()) as u32, v.count_at_value()));
        let slots: Vec<(u32, u64)> = slots.collect();
        let last = slot_of(histogram.high()) as u32;
        let clipped = slots.last().filter(|(slot, _)| *slot >= last).map(|_| last);
        Self { slots: Slots::Few(slots), total: histogram.len(), clipped }
    }

    fn iter(&self) -> impl Iterator<Item = (usize, u64)> {
        let (few, all): (&[(u32, u64)], &[u64]) = match &self.slots {
            Slots::Few(few) => (few, &[]),
            Slots::All(all) => (&[], all),
        };
        let used = all.iter().copied().enumerate().filter(|(_, count)| *count > 0);
        few.iter().map(|&(slot, count)| (slot as usize, count)).chain(used)
    }
}

impl Slots {
    fn add(&mut self, slot: usize, count: u64) {
        match self {
            Self::All(all) => all[slot] = all[slot].saturating_add(count),
            Self::Few(few) => match few.binary_search_by_key(&slot, |(slot, _)| *slot as usize) {
                Ok(at) => few[at].1 = few[at].1.saturating_add(count),
                Err(at) => few.insert(at, (slot as u32, count)),
            },
        }
    }
}

/// What two have together.
fn sum(few: &[(u32, u64)], other: impl Iterator<Item = (usize, u64)>) -> Vec<(u32, u64)> {
    let mut sum = Vec::with_capacity(few.len());
    let mut rest = few.iter().copied().peekable();
    for (slot, count) in other {
        while let Some(before) = rest.next_if(|(own, _)| (*own as usize) < slot) {
            sum.push(before);
        }
        let own = rest.next_if(|(own, _)| *own as usize == slot).map_or(0, |(_, own)| own);
        sum.push((slot as u32, own.saturating_add(count)));
    }
    sum.extend(rest);
    sum
}

impl PartialEq for SlotCounts {
    fn eq(&self, other: &Self) -> bool {
        self.total == other.total && self.clipped == other.clipped && self.iter().eq(other.iter())
    }
}

/// An empty histogram of the crate with the lowest value and the digits that all of ours have.
pub(super) fn empty(highest_ns: u64) -> Histogram<u64> {
    // Proof that this cannot fail: 1 ≤ low, 2·low ≤ high and 3 ≤ 5 digits are the only conditions.
    #[expect(clippy::unwrap_used, reason = "bounds that satisfy the constructor's conditions")]
    Histogram::new_with_bounds(1, highest_ns.max(2), 3).unwrap()
}

fn highest_value(slot: usize) -> u64 {
    lowest_value(slot + 1) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{draw, unit};

    /// Values over the whole range, with counts; the same in a histogram of the crate.
    fn both(seed: u64, values: u64) -> (SlotCounts, Histogram<u64>) {
        let (mut ours, mut theirs) = (SlotCounts::new(), empty(HIGHEST_NS));
        for step in 0..values {
            let ns = (59e9_f64).powf(unit(draw(seed, step, 0))) as u64;
            let count = 1 + draw(seed, step, 1) % 50;
            ours.record_n(ns, count).expect("within bounds");
            theirs.record_n(ns, count).expect("within bounds");
        }
        (ours, theirs)
    }

    fn agree(ours: &SlotCounts, theirs: &Histogram<u64>) {
        assert_eq!(
            (ours.len(), ours.min(), ours.max()),
            (theirs.len(), theirs.min(), theirs.max())
        );
        assert!(
            (ours.mean() - theirs.mean()).abs() <= 1e-9 * theirs.mean(),
            "{} {}",
            ours.mean(),
            theirs.mean()
        );
        for q in [0.0, 1e-9, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0, 2.0] {
            assert_eq!(ours.value_at_quantile(q), theirs.value_at_quantile(q), "{q}");
        }
        for (low, high) in [(0, u64::MAX), (1, 1_000), (5_000, 5_000_000), (HIGHEST_NS, u64::MAX)] {
            assert_eq!(
                ours.count_between(low, high),
                theirs.count_between(low, high),
                "{low} to {high}"
            );
        }
        let recorded: Vec<_> =
            ours.iter_recorded().map(|v| (v.value_iterated_to(), v.count_at_value())).collect();
        let expected: Vec<_> =
            theirs.iter_recorded().map(|v| (v.value_iterated_to(), v.count_at_value())).collect();
        assert_eq!(recorded, expected);
    }

    #[test]
    fn every_figure_is_that_of_hdrhistogram() {
        agree(&SlotCounts::new(), &empty(HIGHEST_NS));
        for seed in 0..10 {
            let (ours, theirs) = both(seed, 300);
            agree(&ours, &theirs);
            assert_eq!(ours.to_histogram(), theirs);
            assert_eq!(SlotCounts::of_histogram(&theirs), ours);
        }
        for ns in [0, 1, 2047, 2048, 4097, 1_000_000_007, HIGHEST_NS - 1] {
            let (ours, theirs) = (SlotCounts::new(), empty(HIGHEST_NS));
            assert_eq!(ours.lowest_equivalent(ns), theirs.lowest_equivalent(ns));
            assert_eq!(ours.highest_equivalent(ns), theirs.highest_equivalent(ns));
            assert_eq!(ours.equivalent(ns, ns + 1), theirs.equivalent(ns, ns + 1));
        }
    }

    #[test]
    fn sums_are_those_of_hdrhistogram_in_either_form() {
        let (mut ours, mut theirs) = both(1, 200);
        let (other, others) = both(2, 300);
        let mut whole = ours.clone();
        whole.saturating_record(77);
        ours.add(&other);
        theirs.add(&others).expect("the same bounds");
        agree(&ours, &theirs);
        whole.add(&other);
        theirs.record(77).expect("within bounds");
        agree(&whole, &theirs);
        ours.record_n(77, 1).expect("within bounds");
        assert_eq!(whole, ours, "however they are kept");
        ours.add(&whole);
        assert_eq!(ours.len(), 2 * whole.len());
    }

    #[test]
    fn values_above_the_bounds_are_refused_or_clipped() {
        let mut counts = SlotCounts::new();
        assert_eq!(counts.record(MOST_NS + 1), Err(TooLarge));
        assert_eq!(counts.record_n(MOST_NS + 1, 2), Err(TooLarge));
        assert!(counts.is_empty());
        counts.saturating_record(u64::MAX);
        counts.saturating_record_n(u64::MAX, 2);
        assert_eq!((counts.len(), counts.max()), (3, counts.highest_equivalent(MOST_NS)));
        assert_eq!(counts.clipped_from(), Some(counts.lowest_equivalent(MOST_NS)));
    }

    #[test]
    fn few_values_take_little_memory() {
        let (counts, _) = both(1, 300);
        let Slots::Few(few) = &counts.slots else { panic!("no value was recorded by itself") };
        assert!(few.len() <= 300);
    }
}
