//! Paired rounds: the Hodges–Lehmann estimate and the signed-rank test of Wilcoxon, exact for every
//! number of rounds.
//!
//! Sources: Hollander, Wolfe and Chicken, *Nonparametric Statistical Methods*, 3.1–3.3; Pratt and
//! Gibbons, *Concepts of Nonparametric Theory*, 3. The null distribution is that of Σ rank·coin,
//! convolved one coin at a time.
//!
//! Zeros and ties: a test drops differences of zero and gives tied ones the mean of their ranks,
//! and its distribution is the exact one for those ranks. Intervals use the distribution without
//! ties; with ties they only get wider.

use std::cmp::Ordering;

use super::{convolve_coin, cut, inner, median, sorted};

/// The least number of differences that an interval of 95 % can be had from: 2·2⁻⁶ is the first
/// below 5 %.
pub const LEAST_ROUNDS: usize = 6;

/// The Hodges–Lehmann estimate of the centre of the differences: the median of their Walsh averages
/// (xᵢ + xⱼ)/2, i ≤ j.
pub fn hodges_lehmann(differences: &[f64]) -> Option<f64> {
    median(&walsh_averages(differences))
}

/// The exact 95 % interval of the centre: the k-th Walsh average from below to the k-th from above,
/// with the largest k for which P(T < k) ≤ 2.5 %. None below six differences; at six it reaches
/// from the least to the greatest.
pub fn signed_rank_interval(differences: &[f64]) -> Option<(f64, f64)> {
    let ranks: Vec<usize> = (1..=differences.len()).collect();
    inner(&sorted(&walsh_averages(differences)), cut(&rank_sums(&ranks)))
}

/// The p value against "the differences are centred on zero", in either direction. 1 where all are
/// zero.
pub fn signed_rank_two_sided(differences: &[f64]) -> f64 {
    let mirrored: Vec<f64> = differences.iter().map(|d| -d).collect();
    (2.0 * signed_rank_greater(differences).min(signed_rank_greater(&mirrored))).min(1.0)
}

/// The p value against "the differences are centred on zero or below". 1 where all are zero.
pub fn signed_rank_greater(differences: &[f64]) -> f64 {
    let kept: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    let ranks = doubled_ranks(&kept);
    let observed: usize =
        kept.iter().zip(&ranks).filter(|(d, _)| **d > 0.0).map(|(_, rank)| rank).sum();
    rank_sums(&ranks)[observed..].iter().sum::<f64>().min(1.0)
}

fn walsh_averages(values: &[f64]) -> Vec<f64> {
    let pairs =
        values.iter().enumerate().flat_map(|(i, a)| values[i..].iter().map(move |b| (a, b)));
    pairs.map(|(a, b)| f64::midpoint(*a, *b)).collect()
}

/// P(sum of the ranks whose coin shows heads = s), for every s.
fn rank_sums(ranks: &[usize]) -> Vec<f64> {
    ranks.iter().fold(vec![1.0], |row, &rank| convolve_coin(&row, rank))
}

/// Twice the rank of each value's magnitude, tied ones having the mean of theirs: whole numbers.
fn doubled_ranks(values: &[f64]) -> Vec<usize> {
    let rank = |value: &f64| {
        let count = |order| {
            values.iter().filter(|other| other.abs().total_cmp(&value.abs()) == order).count()
        };
        2 * count(Ordering::Less) + count(Ordering::Equal) + 1
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_number_of_rounds_is_the_first_with_an_interval() {
        let rounds: Vec<f64> = (1..=LEAST_ROUNDS).map(|round| round as f64).collect();
        assert!(
            signed_rank_interval(&rounds).is_some() && signed_rank_interval(&rounds[1..]).is_none()
        );
    }
    use crate::{
        analysis::stats::fixture::{TIED, UNTIED},
        draw::{draw, unit},
    };

    const SEVEN: [f64; 7] = [0.12, -0.03, 0.20, 0.07, 0.15, -0.01, 0.09];
    /// `np.round(np.random.default_rng(7).normal(0.05, 0.1, 20), 4)`, the magnitudes are distinct.
    const TWENTY: [f64; 20] = [
        0.0501, 0.0799, 0.0226, -0.0391, 0.0045, -0.0492, 0.056, 0.184, 0.0008, -0.012, 0.099,
        0.0857, 0.0605, -0.043, 0.0471, 0.1195, -0.0844, 0.0042, -0.1401, -0.079,
    ];

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    fn interval(differences: &[f64], expected: (f64, f64)) {
        let found = signed_rank_interval(differences).expect("six or more");
        close(found.0, expected.0);
        close(found.1, expected.1);
    }

    /// The calls are in the head of the golden numbers' file.
    #[test]
    fn six_to_twenty_five_rounds_agree_with_scipy() {
        for (golden, n) in UNTIED.iter().zip(6..) {
            assert_eq!(golden.differences.len(), n);
            close(signed_rank_two_sided(golden.differences), golden.two_sided);
            close(signed_rank_greater(golden.differences), golden.greater);
            close(hodges_lehmann(golden.differences).expect("some"), golden.estimate);
            interval(golden.differences, golden.interval);
        }
    }

    #[test]
    fn ties_and_zeros_agree_with_scipy_s_permutations() {
        for golden in &TIED {
            close(signed_rank_two_sided(golden.differences), golden.two_sided);
            close(signed_rank_greater(golden.differences), golden.greater);
        }
    }

    /// `scipy.stats.wilcoxon(x, method='exact')`, and with `alternative='greater'`.
    #[test]
    fn p_values_are_those_of_scipy() {
        close(signed_rank_two_sided(&SEVEN), 0.078_125);
        close(signed_rank_greater(&SEVEN), 0.039_062_5);
        close(signed_rank_two_sided(&TWENTY), 0.245_487_213_134_765_62);
        close(signed_rank_greater(&TWENTY), 0.122_743_606_567_382_81);
    }

    /// `scipy.stats.wilcoxon(x, method=PermutationMethod(n_resamples=np.inf))`
    #[test]
    fn zeros_are_dropped_and_ties_share_their_ranks() {
        close(signed_rank_two_sided(&[0.1, 0.1, -0.1, 0.3, 0.2, 0.0, 0.2, 0.4]), 0.0625);
        // `wilcoxon(x, alternative='greater', method=PermutationMethod(n_resamples=np.inf))`
        close(signed_rank_greater(&[0.0, 0.0, 0.1, 0.2, 0.3, 0.4]), 0.0625);
        close(signed_rank_two_sided(&[0.0; 7]), 1.0);
        close(signed_rank_two_sided(&[]), 1.0);
    }

    /// `np.median` of the Walsh averages; the ends are where `wilcoxon(x - end,
    /// method='exact').pvalue` crosses .05.
    #[test]
    fn estimates_and_intervals_invert_the_test() {
        close(hodges_lehmann(&SEVEN).expect("some"), 0.0875);
        interval(&SEVEN, (-0.01, 0.16));
        close(hodges_lehmann(&TWENTY).expect("some"), 0.01965);
        interval(&TWENTY, (-0.01915, 0.05415));
    }

    #[test]
    fn six_rounds_give_the_extremes_and_five_give_nothing() {
        let six = [0.5, 0.2, 0.3, 0.9, 0.4, 0.7];
        interval(&six, (0.2, 0.9));
        assert_eq!(signed_rank_interval(&six[..5]), None);
    }

    /// Differences that are symmetric about 0.1 with heavy tails: nothing that a normal
    /// approximation would like.
    fn heavy_tailed(rounds: u64, seed: u64) -> Vec<f64> {
        let of = |round| {
            let centred = 2.0 * unit(draw(seed, round, 0)) - 1.0;
            0.1 + centred.signum() * (1.0 / (1.0 - centred.abs()) - 1.0)
        };
        (0..rounds).map(of).collect()
    }

    /// Exact levels: 1 − 2·P(T < k) is 96.9 % at six rounds, 95.3 % at seven, 95.1 % at ten, 95.2 %
    /// at twenty.
    #[test]
    fn intervals_contain_the_truth_as_often_as_they_say() {
        for (rounds, level) in [(6, 0.969), (7, 0.953), (10, 0.951), (20, 0.952)] {
            let covers = |seed: &u64| {
                let (low, high) =
                    signed_rank_interval(&heavy_tailed(rounds, *seed)).expect("six or more");
                low <= 0.1 && 0.1 <= high
            };
            let share = (0..4000).filter(covers).count() as f64 / 4000.0;
            // Three standard errors of a share of 4000.
            assert!((share - level).abs() < 0.0105, "{rounds} rounds: {share}");
        }
    }

    #[test]
    fn the_distribution_is_whole_and_its_tail_stays_exact_for_many_rounds() {
        let ranks: Vec<usize> = (1..=200).collect();
        let sums = rank_sums(&ranks);
        close(sums.iter().sum::<f64>(), 1.0);
        // Normal approximation: 10050 − 1.96·√(200·201·401/24) = 8446.
        let k = cut(&sums);
        assert!((8435..8455).contains(&k), "{k}");
        assert!(sums[..k].iter().sum::<f64>() <= 0.025);
    }
}
