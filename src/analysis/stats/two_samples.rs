//! Two samples that are not paired: the Hodges–Lehmann shift and its interval from the distribution
//! of Mann and Whitney (Hollander, Wolfe and Chicken, *Nonparametric Statistical Methods*,
//! 4.1–4.3).

use super::{cut, inner, median, sorted};

/// Above this product of sample sizes the ranks of the interval's ends come from the normal
/// approximation.
const EXACT_UP_TO: usize = 2_500;

/// The shift from `a` to `b`: the median of all differences bⱼ − aᵢ; none where a sample is empty.
pub fn shift(a: &[f64], b: &[f64]) -> Option<f64> {
    median(&differences(a, b))
}

/// The 95 % interval of the shift: the k-th difference from below to the k-th from above, with the
/// largest k for which P(U < k) ≤ 2.5 %. None where so few values have no such k (four and four are
/// the fewest of equal size). With ties the interval only gets wider.
pub fn shift_interval(a: &[f64], b: &[f64]) -> Option<(f64, f64)> {
    inner(&sorted(&differences(a, b)), mann_whitney_cut(a.len(), b.len()))
}

fn mann_whitney_cut(n: usize, m: usize) -> usize {
    if n * m <= EXACT_UP_TO { cut(&mann_whitney(n, m)) } else { approximate_cut(n, m) }
}

fn differences(a: &[f64], b: &[f64]) -> Vec<f64> {
    b.iter().flat_map(|y| a.iter().map(move |x| y - x)).collect()
}

/// P(U = u) for samples of n and m values, for every u from 0 to n·m.
///
/// The greatest of all n + m values belongs to the first sample with probability n/(n + m), and is
/// then above all m of the other; else it adds nothing. So P(n, m)(u) = n/(n+m)·P(n−1, m)(u−m) +
/// m/(n+m)·P(n, m−1)(u).
fn mann_whitney(n: usize, m: usize) -> Vec<f64> {
    let mut row: Vec<Vec<f64>> = vec![vec![1.0]; m + 1];
    for first in 1..=n {
        let mut next = vec![vec![1.0]];
        for second in 1..=m {
            next.push(combine(first, second, &row[second], &next[second - 1]));
        }
        row = next;
    }
    row.pop().unwrap_or_default()
}

fn combine(n: usize, m: usize, fewer_first: &[f64], fewer_second: &[f64]) -> Vec<f64> {
    let all = (n + m) as f64;
    let mut sums = vec![0.0; n * m + 1];
    for (u, share) in fewer_first.iter().enumerate() {
        sums[u + m] += share * n as f64 / all;
    }
    for (u, share) in fewer_second.iter().enumerate() {
        sums[u] += share * m as f64 / all;
    }
    sums
}

/// The normal approximation of [`cut`]: U has mean nm/2 and variance nm(n + m + 1)/12.
fn approximate_cut(n: usize, m: usize) -> usize {
    let product = (n * m) as f64;
    (product / 2.0 - 1.96 * (product * (n + m + 1) as f64 / 12.0).sqrt()).floor() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counted over all `itertools.combinations(range(n + m), n)`.
    #[test]
    fn ranks_of_the_ends_are_exact() {
        for (n, m, k) in [(3, 3, 0), (4, 4, 1), (6, 5, 4), (7, 7, 9), (10, 8, 18)] {
            assert_eq!(cut(&mann_whitney(n, m)), k, "{n} and {m}");
            assert_eq!(cut(&mann_whitney(m, n)), k, "{m} and {n}");
        }
        let fourth = mann_whitney(7, 7)[..4].iter().sum::<f64>();
        assert!((fourth - 0.002_039_627).abs() < 1e-8, "{fourth}");
    }

    #[test]
    fn the_approximation_meets_the_exact_ranks() {
        let exact = cut(&mann_whitney(50, 50));
        assert!(approximate_cut(50, 50).abs_diff(exact) <= 3, "{exact}");
    }

    /// `np.exp(np.median(np.subtract.outer(lb, la)))`; the ends are where
    /// `mannwhitneyu(lb - end, la, method='exact').pvalue` crosses .05.
    #[test]
    fn shift_and_interval_invert_the_test_of_scipy() {
        let a = [10.1, 10.4, 9.8, 10.0, 10.3, 10.2, 9.9].map(f64::ln);
        let b = [11.0, 10.6, 11.3, 10.9, 10.35, 11.1, 10.7].map(f64::ln);
        let (low, high) = shift_interval(&a, &b).expect("enough");
        let found = [shift(&a, &b).expect("some"), low, high].map(f64::exp);
        for (found, expected) in
            found.into_iter().zip([1.077_669_902_912_621_5, 1.038_834_951, 1.111_111_111])
        {
            assert!((found - expected).abs() < 2e-9, "{found} is not {expected}");
        }
        assert_eq!(shift_interval(&a[..3], &b[..3]), None);
    }
}
