//! A latency histogram as it is stored: HdrHistogram V2, deflated, in base64, which Java, Python
//! and JS tools read.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hdrhistogram::serialization::{
    Deserializer as HdrReader, Serializer as _, V2DeflateSerializer,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    counts::SlotCounts,
    slot::{MOST_NS, SUB_BUCKETS},
};

/// An HdrHistogram of nanoseconds at three significant digits: from 1 ns to 60 s, or to 100 h where
/// it holds more.
///
/// Where it is clipped, its highest values are only known to be that high or higher. A figure that
/// depends on them is none: [`Histo::quantile`], [`Histo::mean`] and [`Histo::greatest`] then have
/// no value, and [`Histo::bound`] says what it is at least.
#[derive(Debug, Clone, PartialEq)]
pub struct Histo(pub SlotCounts);

/// A time in ns that was measured, or of which only a lower bound is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// It is this.
    Exact(u64),
    /// It is this or more.
    AtLeast(u64),
}

impl Bound {
    /// The value, or what it is at least, in ns.
    pub fn ns(self) -> u64 {
        match self {
            Self::Exact(ns) | Self::AtLeast(ns) => ns,
        }
    }

    /// The value in ns, where it is known.
    pub fn exact(self) -> Option<u64> {
        match self {
            Self::Exact(ns) => Some(ns),
            Self::AtLeast(_) => None,
        }
    }
}

/// A quantile that is printed: its name, and its value where there are enough samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantile {
    /// Such as `p99.9`.
    pub name: String,
    /// In (0, 1).
    pub q: f64,
    /// The value; none where fewer than ten samples lie above it.
    pub value: Option<Bound>,
}

/// The quantiles that are printed, with their names.
pub const QUANTILES: [(&str, f64); 7] = [
    ("p50", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
];

impl Default for Histo {
    fn default() -> Self {
        Self::new()
    }
}

impl Histo {
    /// An empty histogram.
    pub fn new() -> Self {
        Self(SlotCounts::new())
    }

    /// How many values it holds.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Adds another histogram's values.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0);
    }

    /// The value at quantile `q` in ns, or nothing where fewer than ten values lie above it
    /// (METHODOLOGY), or where it is only known to be high.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        self.bound(q)?.exact()
    }

    /// The same, or what it is at least where it is only known to be high.
    pub fn bound(&self, q: f64) -> Option<Bound> {
        let above = self.count() as f64 * (1.0 - q);
        (above >= 10.0 - 1e-9).then(|| self.known(self.0.value_at_quantile(q)))
    }

    /// A value that was read off, as far as it is known.
    fn known(&self, ns: u64) -> Bound {
        match self.0.clipped_from() {
            Some(from) if ns >= from => Bound::AtLeast(self.0.lowest_equivalent(ns)),
            _ => Bound::Exact(ns),
        }
    }

    /// The greatest value, as far as it is known; none of no values.
    pub fn greatest_bound(&self) -> Option<Bound> {
        (self.count() > 0).then(|| self.known(self.0.max()))
    }

    /// The greatest value in ns; none of no values, or where it is only known to be high.
    pub fn greatest(&self) -> Option<u64> {
        self.greatest_bound()?.exact()
    }

    /// The mean in ns, and whether it is one: where values are only known to be high, it is at
    /// least this. None of no values.
    pub fn mean_bound(&self) -> Option<(f64, bool)> {
        (self.count() > 0).then(|| (self.0.mean(), self.0.clipped_from().is_none()))
    }

    /// The mean in ns; none of no values, or where some are only known to be high.
    pub fn mean(&self) -> Option<f64> {
        self.mean_bound().filter(|(_, is_exact)| *is_exact).map(|(mean, _)| mean)
    }

    /// Where it is clipped, how many values are only known to be at least how high, in ns.
    pub fn clipped(&self) -> Option<(u64, u64)> {
        let from = self.0.clipped_from()?;
        Some((self.0.count_between(from, u64::MAX), self.0.lowest_equivalent(from)))
    }

    /// The median in ns, of however few values; none of no values.
    pub fn median(&self) -> Option<u64> {
        (self.count() > 0).then(|| self.0.value_at_quantile(0.5))
    }

    /// The least value in ns, at most a thousandth too large; none of no values.
    pub fn least(&self) -> Option<u64> {
        (self.count() > 0).then(|| self.0.highest_equivalent(self.0.min()))
    }

    /// The printed quantiles, withheld where there are too few samples.
    pub fn quantiles(&self) -> Vec<Quantile> {
        QUANTILES
            .iter()
            .map(|&(name, q)| Quantile { name: name.into(), q, value: self.bound(q) })
            .collect()
    }
}

impl Serialize for Histo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.0.to_histogram(), &mut bytes)
            .map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&STANDARD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Histo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        let read = HdrReader::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(serde::de::Error::custom)?;
        // Slots are the same whatever the highest value is, but not with another lowest one or
        // other digits.
        let bounds: (u64, u64, u8) = (read.low(), read.high(), read.sigfig());
        if matches!(bounds, (1, SUB_BUCKETS..=MOST_NS, 3)) {
            Ok(Self(SlotCounts::of_histogram(&read)))
        } else {
            let wanted = "a histogram from 1 ns to at most 100 h with three digits was expected";
            Err(serde::de::Error::custom(format!("{wanted}, found {bounds:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;

    use super::*;
    use crate::measure::counts::empty;
    use crate::measure::slot::{HIGHEST_NS, lowest_value, slot_of, slots};

    fn encoded(histogram: &Histogram<u64>) -> String {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(histogram, &mut bytes).expect("serialises");
        STANDARD.encode(bytes)
    }

    /// However few slots are kept in memory, what is stored is what HdrHistogram itself would
    /// store.
    #[test]
    fn what_is_stored_is_byte_for_byte_hdrhistogram_s() {
        let (mut histo, mut theirs) = (Histo::new(), empty(HIGHEST_NS));
        for ns in [0, 1, 3_000, 3_001, 20_000_000, 59_900_000_000] {
            histo.0.record_n(ns, ns % 7 + 1).expect("within bounds");
            theirs.record_n(ns, ns % 7 + 1).expect("within bounds");
        }
        assert_eq!(
            serde_json::to_string(&histo).expect("serialises"),
            format!("\"{}\"", encoded(&theirs))
        );
        let none = serde_json::to_string(&Histo::new()).expect("serialises");
        assert_eq!(none, format!("\"{}\"", encoded(&empty(HIGHEST_NS))));
    }

    #[test]
    fn survives_storage() {
        let mut histo = Histo::new();
        for ns in
            [1, 1_000, 20_000_000, 59_000_000_000, HIGHEST_NS, 61_000_000_000, MOST_NS - (1 << 40)]
        {
            histo.0.record(ns).expect("within bounds");
            let text = serde_json::to_string(&histo).expect("serialises");
            let back: Histo = serde_json::from_str(&text).expect("reads back");
            assert_eq!(histo, back, "{ns}");
            assert_eq!(
                (back.clipped(), back.greatest()),
                (None, Some(back.0.highest_equivalent(ns)))
            );
        }
    }

    /// Ninety-nine values of 1 ms and as many that were cut off at 60 s.
    fn clipped() -> Histo {
        let mut histo = Histo::new();
        histo.0.clipped_record_n(1_000_000, 99, HIGHEST_NS);
        histo.0.clipped_record_n(61_000_000_000, 99, HIGHEST_NS);
        histo
    }

    #[test]
    fn what_was_cut_off_is_a_lower_bound_and_no_figure() {
        let histo = clipped();
        let (_, at_ns) = histo.clipped().expect("it was");
        assert!(at_ns <= HIGHEST_NS && at_ns > HIGHEST_NS - HIGHEST_NS / 1_000, "{at_ns}");
        assert_eq!(histo.clipped(), Some((99, at_ns)));
        assert_eq!(histo.quantile(0.25), Some(histo.0.highest_equivalent(1_000_000)));
        assert_eq!((histo.quantile(0.9), histo.bound(0.9)), (None, Some(Bound::AtLeast(at_ns))));
        assert_eq!((histo.greatest(), histo.greatest_bound()), (None, Some(Bound::AtLeast(at_ns))));
        assert!(
            histo.mean().is_none()
                && histo.mean_bound().is_some_and(|(mean, exact)| mean > 29e9 && !exact)
        );
        assert_eq!(histo.least(), Some(histo.0.highest_equivalent(1_000_000)));
        assert_eq!(histo.quantiles()[0].value.map(|value| value.exact().is_some()), Some(true));
    }

    #[test]
    fn a_bound_survives_storage_and_merging_with_what_goes_further() {
        let text = serde_json::to_string(&clipped()).expect("serialises");
        let back: Histo = serde_json::from_str(&text).expect("reads back");
        assert_eq!((back.clipped(), &back), (clipped().clipped(), &clipped()));
        let mut wide = Histo::new();
        wide.0.record_n(3_600_000_000_000, 99).expect("within bounds");
        wide.merge(&back);
        // An hour is above what 60 s and more may be: of three hundred values the last third may be
        // anything from there.
        assert_eq!(wide.clipped(), Some((198, back.clipped().expect("it was").1)));
        assert!(matches!(wide.bound(0.9), Some(Bound::AtLeast(ns)) if ns > 3_500_000_000_000));
        assert_eq!(
            wide.bound(0.25).and_then(Bound::exact),
            Some(wide.0.highest_equivalent(1_000_000))
        );
    }

    #[test]
    fn an_older_file_s_histogram_that_ends_at_its_range_was_cut_off_there() {
        let mut old = empty(HIGHEST_NS);
        old.record_n(HIGHEST_NS, 20).expect("within bounds");
        let read: Histo = serde_json::from_str(&format!("\"{}\"", encoded(&old))).expect("reads");
        assert!(matches!(read.bound(0.5), Some(Bound::AtLeast(ns)) if ns > 59_900_000_000));
    }

    #[test]
    fn slots_are_those_of_hdrhistogram() {
        let theirs = empty(HIGHEST_NS);
        let mut value = 1_u64;
        while value < HIGHEST_NS {
            for near in [value - 1, value, value + 1, value + value / 3] {
                let near = near.clamp(1, HIGHEST_NS);
                let slot = slot_of(near);
                assert_eq!(lowest_value(slot), theirs.lowest_equivalent(near), "{near}");
                assert!(slot < slots(HIGHEST_NS));
            }
            value *= 2;
        }
    }

    #[test]
    fn other_bounds_are_refused() {
        for (low, high, digits) in
            [(1, 1_000, 3), (1, HIGHEST_NS, 2), (1_000, HIGHEST_NS, 3), (1, 2 * MOST_NS, 3)]
        {
            let other = Histogram::<u64>::new_with_bounds(low, high, digits).expect("valid bounds");
            let text = format!("\"{}\"", encoded(&other));
            let error = serde_json::from_str::<Histo>(&text).expect_err("cannot be merged");
            assert!(error.to_string().contains("100 h with three digits was expected"), "{error}");
        }
    }

    #[test]
    fn withholds_quantiles_of_few_samples() {
        let mut histo = Histo::new();
        histo.0.record_n(5, 999).expect("within bounds");
        assert_eq!(histo.quantile(0.99), None);
        histo.0.record_n(5, 1).expect("within bounds");
        assert!(histo.quantile(0.99).is_some());
    }
}
