//! Statistics of a few rounds: medians, exact intervals, sizes of effects. Pure functions of slices
//! of finite numbers.
//!
//! The unit is the round. Nothing here assumes a distribution of the values; intervals are exact
//! for any continuous one, at a level of at least 95 %, and there is none where so few values
//! cannot give one.

#[cfg(test)]
mod fixture;
mod paired;
mod power;
mod scalability;
mod two_samples;

pub use paired::{
    LEAST_ROUNDS, hodges_lehmann, signed_rank_greater, signed_rank_interval, signed_rank_two_sided,
};
pub use power::detectable_percent;
pub use scalability::Scalability;
pub use two_samples::{shift, shift_interval};

/// Half of what an interval of 95 % leaves out.
const TAIL: f64 = 0.025;

/// The median; none of no values.
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The exact 95 % interval of the median: the k-th value from below to the k-th from above, with
/// the largest k for which P(Bin(n, ½) < k) ≤ 2.5 % (Conover, *Practical Nonparametric Statistics*,
/// 3.2). None below six values.
pub fn median_interval(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len();
    inner(&sorted(values), cut(&binomial_halves(n)))
}

/// The standard deviation of a sample (n − 1); none below two values.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (values.len() >= 2)
        .then(|| (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt())
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// P(Bin(n, ½) = k) for every k, by Pascal's rule on probabilities.
fn binomial_halves(n: usize) -> Vec<f64> {
    (0..n).fold(vec![1.0], |row, _| convolve_coin(&row, 1))
}

/// The distribution of X + step·C where X has `row` and C is a fair coin.
fn convolve_coin(row: &[f64], step: usize) -> Vec<f64> {
    let mut next = vec![0.0; row.len() + step];
    for (sum, share) in row.iter().enumerate() {
        next[sum] += share / 2.0;
        next[sum + step] += share / 2.0;
    }
    next
}

/// The largest k with P(X < k) ≤ 2.5 %.
fn cut(probabilities: &[f64]) -> usize {
    let mut below = 0.0;
    probabilities
        .iter()
        .take_while(|share| {
            below += **share;
            below <= TAIL
        })
        .count()
}

/// The k-th of sorted values from below and from above; none where k is 0.
fn inner(sorted: &[f64], k: usize) -> Option<(f64, f64)> {
    (k > 0 && 2 * k <= sorted.len()).then(|| (sorted[k - 1], sorted[sorted.len() - k]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upto(n: u32) -> Vec<f64> {
        (1..=n).rev().map(f64::from).collect()
    }

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    /// Ranks from scipy: `k = 1 + max(j for j in range(n) if binom.cdf(j, n, .5) <= .025)`.
    #[test]
    fn the_interval_of_the_median_has_the_binomial_ranks() {
        assert_eq!(median_interval(&upto(5)), None);
        for (n, k) in [(6, 1), (7, 1), (8, 1), (10, 2), (20, 6), (50, 18)] {
            let expected = (f64::from(k), f64::from(n + 1 - k));
            assert_eq!(median_interval(&upto(n)), Some(expected), "n = {n}");
        }
    }
}
