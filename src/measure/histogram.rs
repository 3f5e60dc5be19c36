//! A latency histogram as it is stored: HdrHistogram V2, deflated, in base64, which Java, Python and JS tools read.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hdrhistogram::serialization::{Deserializer as HdrReader, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::counts::Counts;

/// The longest latency that is told apart from longer ones: 60 s, in ns.
pub const HIGHEST_NS: u64 = 60_000_000_000;

/// An HdrHistogram of nanoseconds, 1 ns to 60 s at three significant digits.
#[derive(Debug, Clone, PartialEq)]
pub struct Histo(pub Counts);

/// A quantile that is printed: its name, and its value in ns where there are enough samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// Such as `p99.9`.
    pub name: String,
    /// In (0, 1).
    pub q: f64,
    /// The value in ns; none where fewer than ten samples lie above it.
    pub value_ns: Option<u64>,
}

/// The quantiles that are printed, with their names.
pub const QUANTILES: [(&str, f64); 7] =
    [("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

/// Sub-buckets of the first bucket: the least power of two that tells three significant digits apart.
const SUB_BUCKETS: u64 = 2048;
/// Binary digits of half of them.
const HALF_DIGITS: u32 = 10;

/// How many slots an array of counters with the histogram's layout has.
pub(super) const SLOTS: usize = slot_of(HIGHEST_NS) + 1;

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

impl Default for Histo {
    fn default() -> Self {
        Self::new()
    }
}

impl Histo {
    /// An empty histogram with the fixed bounds that all of ours have.
    pub fn new() -> Self {
        Self(Counts::new())
    }

    /// How many values it holds.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Adds another histogram's values.
    pub fn merge(&mut self, other: &Self) {
        self.0.add(&other.0);
    }

    /// The value at quantile `q` in ns, or nothing where fewer than ten values lie above it (METHODOLOGY).
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let above = self.count() as f64 * (1.0 - q);
        (above >= 10.0 - 1e-9).then(|| self.0.value_at_quantile(q))
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
        QUANTILES.iter().map(|&(name, q)| Quantile { name: name.into(), q, value_ns: self.quantile(q) }).collect()
    }
}

impl Serialize for Histo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&self.0.to_histogram(), &mut bytes).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&STANDARD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Histo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        let read = HdrReader::new().deserialize(&mut bytes.as_slice()).map_err(serde::de::Error::custom)?;
        // Merging relies on it: a histogram with other bounds could be too narrow to take the values of ours.
        let bounds: (u64, u64, u8) = (read.low(), read.high(), read.sigfig());
        if bounds == (1, HIGHEST_NS, 3) {
            Ok(Self(Counts::of_histogram(&read)))
        } else {
            Err(serde::de::Error::custom(format!("a histogram from 1 ns to 60 s was expected, found {bounds:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;

    use super::*;
    use crate::measure::counts::empty;

    fn encoded(histogram: &Histogram<u64>) -> String {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(histogram, &mut bytes).expect("serialises");
        STANDARD.encode(bytes)
    }

    /// However few slots are kept in memory, what is stored is what HdrHistogram itself would store.
    #[test]
    fn what_is_stored_is_byte_for_byte_hdrhistogram_s() {
        let (mut histo, mut theirs) = (Histo::new(), empty());
        for ns in [0, 1, 3_000, 3_001, 20_000_000, HIGHEST_NS] {
            histo.0.record_n(ns, ns % 7 + 1).expect("within bounds");
            theirs.record_n(ns, ns % 7 + 1).expect("within bounds");
        }
        assert_eq!(serde_json::to_string(&histo).expect("serialises"), format!("\"{}\"", encoded(&theirs)));
        let none = serde_json::to_string(&Histo::new()).expect("serialises");
        assert_eq!(none, format!("\"{}\"", encoded(&empty())));
    }

    #[test]
    fn survives_storage() {
        let mut histo = Histo::new();
        for ns in [1, 1_000, 20_000_000, HIGHEST_NS] {
            histo.0.record(ns).expect("within bounds");
        }
        let text = serde_json::to_string(&histo).expect("serialises");
        let back: Histo = serde_json::from_str(&text).expect("reads back");
        assert_eq!(histo, back);
    }

    #[test]
    fn slots_are_those_of_hdrhistogram() {
        let theirs = empty();
        let mut value = 1_u64;
        while value < HIGHEST_NS {
            for near in [value - 1, value, value + 1, value + value / 3] {
                let near = near.clamp(1, HIGHEST_NS);
                let slot = slot_of(near);
                assert_eq!(lowest_value(slot), theirs.lowest_equivalent(near), "{near}");
                assert!(slot < SLOTS);
            }
            value *= 2;
        }
    }

    #[test]
    fn other_bounds_are_refused() {
        let narrow = Histogram::<u64>::new_with_bounds(1, 1_000, 3).expect("valid bounds");
        let text = format!("\"{}\"", encoded(&narrow));
        let error = serde_json::from_str::<Histo>(&text).expect_err("cannot be merged");
        assert!(error.to_string().contains("60 s was expected"), "{error}");
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
