//! The Universal Scalability Law, fitted: X(N) = λN / (1 + σ(N − 1) + κN(N − 1)) (Gunther,
//! *Guerrilla Capacity Planning*, 2007, 4 and 5). λ is the rate of one, σ what must be done one
//! after another, κ what each must agree on with each.
//!
//! Divided by the measured X, the law's reciprocal is linear in 1/λ, σ/λ and κ/λ. So the sum of the
//! squared relative residuals X/X̂ − 1 has one least value within the bounds 0 ≤ σ ≤ 1 and κ ≥ 0,
//! and it is found exactly: on one of the bounds or their meetings, or between them.

/// The law with its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scalability {
    /// The rate at N = 1.
    pub lambda: f64,
    /// Contention, from 0 to 1.
    pub sigma: f64,
    /// Coherence, not negative.
    pub kappa: f64,
}

impl Scalability {
    /// Fits the law to pairs of N and X, all positive; none of fewer than three, or where they do
    /// not determine it.
    pub fn fit(points: &[(f64, f64)]) -> Option<Self> {
        if points.len() < 3
            || points.iter().any(|&(n, x)| n <= 0.0 || x <= 0.0 || !(n * x).is_finite())
        {
            return None;
        }
        let fits = FACES.iter().filter_map(|face| on_face(points, face));
        fits.min_by(|a, b| a.squares(points).total_cmp(&b.squares(points)))
    }

    /// X at N.
    pub fn at(&self, n: f64) -> f64 {
        self.lambda * n / (1.0 + self.sigma * (n - 1.0) + self.kappa * n * (n - 1.0))
    }

    /// The N with the highest X, √((1 − σ)/κ); none where X never falls.
    pub fn peak(&self) -> Option<f64> {
        (self.kappa > 0.0).then(|| ((1.0 - self.sigma) / self.kappa).sqrt())
    }

    /// X/X̂ − 1 of each point.
    pub fn residuals(&self, points: &[(f64, f64)]) -> Vec<f64> {
        points.iter().map(|&(n, x)| x / self.at(n) - 1.0).collect()
    }

    /// The share of the variance of ln X that the law explains; 0 where X does not vary.
    pub fn r_squared(&self, points: &[(f64, f64)]) -> f64 {
        let logs: Vec<f64> = points.iter().map(|(_, x)| x.ln()).collect();
        let mean = logs.iter().sum::<f64>() / logs.len() as f64;
        let whole: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
        let left: f64 = points.iter().map(|&(n, x)| (x / self.at(n)).ln().powi(2)).sum();
        if whole > 0.0 { 1.0 - left / whole } else { 0.0 }
    }

    fn squares(&self, points: &[(f64, f64)]) -> f64 {
        self.residuals(points).iter().map(|residual| residual * residual).sum()
    }
}

/// What the coefficients of 1, N − 1 and N(N − 1) are made of: for each, which unknown it is, if
/// any.
type Face = [Option<usize>; 3];

/// Between the bounds; on κ = 0, σ = 0, both; on σ = 1, where the first two coefficients are one;
/// on σ = 1 and κ = 0.
const FACES: [Face; 6] = [
    [Some(0), Some(1), Some(2)],
    [Some(0), Some(1), None],
    [Some(0), None, Some(1)],
    [Some(0), None, None],
    [Some(0), Some(0), Some(1)],
    [Some(0), Some(0), None],
];

/// The best law of a face, where it lies within the bounds.
fn on_face(points: &[(f64, f64)], face: &Face) -> Option<Scalability> {
    let unknowns = face.iter().flatten().max()? + 1;
    let row = |&(n, x): &(f64, f64)| {
        let mut row = [0.0; 3];
        for (term, unknown) in [1.0, n - 1.0, n * (n - 1.0)].into_iter().zip(face) {
            if let Some(unknown) = unknown {
                row[*unknown] += term * x / n;
            }
        }
        row
    };
    let rows: Vec<[f64; 3]> = points.iter().map(row).collect();
    let solution = least_squares(&rows, unknowns)?;
    let [a, b, c] = face.map(|unknown| unknown.map_or(0.0, |unknown| solution[unknown]));
    (a > 0.0 && b >= 0.0 && b <= a && c >= 0.0).then(|| Scalability {
        lambda: 1.0 / a,
        sigma: b / a,
        kappa: c / a,
    })
}

/// The unknowns with which each row comes nearest to 1, by the normal equations of rows whose
/// columns are scaled to length 1; none where columns depend on each other.
fn least_squares(rows: &[[f64; 3]], unknowns: usize) -> Option<[f64; 3]> {
    let scale: Vec<f64> =
        (0..unknowns).map(|k| rows.iter().map(|row| row[k] * row[k]).sum::<f64>().sqrt()).collect();
    if scale.iter().any(|length| *length <= 0.0) {
        return None;
    }
    let mut equations = [[0.0; 4]; 3];
    for row in rows {
        for i in 0..unknowns {
            for j in 0..unknowns {
                equations[i][j] += row[i] / scale[i] * row[j] / scale[j];
            }
            equations[i][3] += row[i] / scale[i];
        }
    }
    eliminate(&mut equations, unknowns)?;
    let mut solution = [0.0; 3];
    for k in 0..unknowns {
        solution[k] = equations[k][3] / equations[k][k] / scale[k];
    }
    Some(solution)
}

/// Gauss and Jordan's elimination. The matrix is positive definite with ones on its diagonal, so
/// that no rows need be exchanged, and a small pivot means dependent columns.
fn eliminate(equations: &mut [[f64; 4]; 3], unknowns: usize) -> Option<()> {
    for pivot in 0..unknowns {
        if equations[pivot][pivot] < 1e-12 {
            return None;
        }
        for other in (0..unknowns).filter(|other| *other != pivot) {
            let factor = equations[other][pivot] / equations[pivot][pivot];
            let row = equations[pivot];
            for (value, above) in equations[other].iter_mut().zip(row) {
                *value -= factor * above;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::noisy;

    const N: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

    fn of(law: Scalability) -> Vec<(f64, f64)> {
        N.iter().map(|&n| (n, law.at(n))).collect()
    }

    fn near(found: f64, expected: f64, tolerance: f64) {
        assert!(
            (found - expected).abs() <= tolerance * expected.abs(),
            "{found} is not {expected}"
        );
    }

    #[test]
    fn known_parameters_are_found_again() {
        for (lambda, sigma, kappa) in
            [(995.6, 0.0267, 7.69e-4), (4e5, 0.3, 1e-7), (3.0, 0.0, 0.01), (1.0, 0.05, 0.0)]
        {
            let law = Scalability { lambda, sigma, kappa };
            let found = Scalability::fit(&of(law)).expect("determined");
            near(found.lambda, lambda, 1e-6);
            assert!((found.sigma - sigma).abs() < 1e-6, "{found:?}");
            assert!((found.kappa - kappa).abs() < 1e-8, "{found:?}");
            near(found.r_squared(&of(law)), 1.0, 1e-9);
        }
        let law = Scalability { lambda: 1.0, sigma: 0.19, kappa: 0.01 };
        near(law.peak().expect("falls"), 9.0, 1e-12);
        assert_eq!(Scalability { kappa: 0.0, ..law }.peak(), None);
    }

    #[test]
    fn noise_of_three_percent_moves_them_little() {
        let law = Scalability { lambda: 400.0, sigma: 0.02, kappa: 2e-4 };
        for seed in 0..50 {
            let noise = noisy(1.0, 0.03, N.len() as u32, seed);
            let points: Vec<(f64, f64)> =
                of(law).iter().zip(noise).map(|(&(n, x), noise)| (n, x * noise)).collect();
            let found = Scalability::fit(&points).expect("determined");
            near(found.lambda, 400.0, 0.06);
            near(found.sigma, 0.02, 0.4);
            near(found.kappa, 2e-4, 0.25);
            near(found.peak().expect("falls"), 70.0, 0.15);
        }
    }

    /// A rate that grows faster than N asks for a negative σ, a constant one for σ = 1.
    #[test]
    fn parameters_stay_within_their_bounds() {
        let steep: Vec<(f64, f64)> = N.iter().map(|&n| (n, 10.0 * n * (1.0 + 0.01 * n))).collect();
        let found = Scalability::fit(&steep).expect("determined");
        assert_eq!((found.sigma, found.kappa), (0.0, 0.0));
        // One runs at 100 and any more at 40, which asks for σ = 2.5.
        let falling: Vec<(f64, f64)> =
            N.iter().map(|&n| (n, if n > 1.0 { 40.0 } else { 100.0 })).collect();
        let found = Scalability::fit(&falling).expect("determined");
        assert!(found.sigma <= 1.0 && found.kappa >= 0.0, "{found:?}");
        let constant: Vec<(f64, f64)> = N.iter().map(|&n| (n, 50.0)).collect();
        let found = Scalability::fit(&constant).expect("determined");
        near(found.sigma, 1.0, 1e-9);
        near(found.at(77.0), 50.0, 1e-6);
        assert!(found.r_squared(&constant).abs() < 1e-6);
    }

    /// No law within the bounds, on a grid around the one that was found, is nearer to the points.
    #[test]
    fn no_other_law_is_nearer() {
        let noise = noisy(1.0, 0.2, N.len() as u32, 7);
        let points: Vec<(f64, f64)> =
            N.iter().zip(noise).map(|(&n, noise)| (n, noise * n.min(20.0))).collect();
        let best = Scalability::fit(&points).expect("determined");
        for step in 0..125 {
            let [a, b, c] =
                [step % 5, step / 5 % 5, step / 25].map(|place| f64::from(place) * 0.02 - 0.04);
            let other = Scalability {
                lambda: best.lambda * (1.0 + a),
                sigma: (best.sigma + b).clamp(0.0, 1.0),
                kappa: (best.kappa + c * 0.01).max(0.0),
            };
            assert!(best.squares(&points) <= other.squares(&points) + 1e-12, "{other:?}");
        }
    }

    #[test]
    fn what_does_not_determine_a_law_has_none() {
        assert_eq!(Scalability::fit(&[(1.0, 5.0), (2.0, 9.0)]), None);
        assert_eq!(Scalability::fit(&[(1.0, 5.0), (2.0, 0.0), (4.0, 9.0)]), None);
    }
}
