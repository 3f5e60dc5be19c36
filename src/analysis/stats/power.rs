//! How small an effect a few rounds can show.
//!
//! An effect is shown where the whole signed-rank interval lies on its side of zero. With normal
//! noise of standard deviation σ, that happens in 80 % of runs for an effect of c·σ/√R, and c
//! depends on the number of rounds R: at six the interval reaches from the least to the greatest
//! difference, so that all six must lie on one side, and c is √6·Φ⁻¹(0.8^(1/6)) = 4.39; for many
//! rounds it falls to (z₀.₉₇₅ + z₀.₈)/√(3/π) = 2.87 (the test's efficiency of Pitman is 3/π;
//! Hollander, Wolfe and Chicken, *Nonparametric Statistical Methods*, 3.1).

use super::standard_deviation;

/// Rounds, and c from there on. Simulated with `numpy`, `default_rng(1)`, 400 000 runs up to 20
/// rounds and 60 000 above: the 80 % quantile of −√R·W, where W is the lower end of the interval of
/// R standard normal differences. A test repeats it with fewer runs. At 13 rounds its 3.141 is
/// rounded up.
const FACTORS: [(usize, f64); 18] = [
    (6, 4.39),
    (7, 3.53),
    (8, 3.53),
    (9, 3.45),
    (10, 3.22),
    (11, 3.28),
    (12, 3.24),
    (13, 3.15),
    (14, 3.10),
    (15, 3.10),
    (16, 3.13),
    (18, 3.05),
    (20, 3.03),
    (25, 3.00),
    (30, 2.96),
    (40, 2.94),
    (50, 2.92),
    (100, 2.88),
];

/// The least effect that rounds with this spread would show in 80 % of runs, in percent: e^(c·σ/√R)
/// − 1, where σ is the standard deviation of the R log-ratios. None below six rounds, which have no
/// interval and show nothing.
pub fn detectable_percent(log_ratios: &[f64]) -> Option<f64> {
    let rounds = log_ratios.len();
    let factor = factor(rounds)?;
    let spread = standard_deviation(log_ratios)?;
    Some(100.0 * (factor * spread / (rounds as f64).sqrt()).exp_m1())
}

/// c for a number of rounds: that of the nearest tabulated number from below; none below six.
fn factor(rounds: usize) -> Option<f64> {
    FACTORS.iter().rev().find(|(from, _)| *from <= rounds).map(|&(_, factor)| factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::stats::signed_rank_interval,
        draw::{draw, unit},
    };

    /// A standard normal draw (Box and Muller).
    fn normal(seed: u64, round: u64) -> f64 {
        let (radius, angle) = (1.0 - unit(draw(seed, round, 1)), unit(draw(seed, round, 2)));
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }

    #[test]
    fn an_effect_of_the_tabulated_size_is_shown_in_four_of_five_runs() {
        const RUNS: u32 = 4000;
        for (rounds, factor) in FACTORS.into_iter().filter(|(rounds, _)| *rounds <= 20) {
            let effect = factor / (rounds as f64).sqrt();
            let shown = |run: &u32| {
                let differences: Vec<f64> = (0..rounds as u64)
                    .map(|round| effect + normal(u64::from(*run), round))
                    .collect();
                signed_rank_interval(&differences).is_some_and(|(low, _)| low > 0.0)
            };
            let power = (0..RUNS).filter(shown).count() as f64 / f64::from(RUNS);
            // Three standard errors of a share of 4000, and the table's last digit.
            assert!((power - 0.8).abs() < 0.021, "{rounds} rounds: {power}");
        }
    }

    /// `np.sqrt(6) * scipy.stats.norm.ppf(.8 ** (1/6))`
    #[test]
    fn at_six_rounds_the_factor_is_exact() {
        assert!((factor(6).expect("six rounds") - 4.391_29).abs() < 0.005);
        assert_eq!((factor(5), factor(17), factor(1000)), (None, Some(3.13), Some(2.88)));
    }

    /// `100*(np.exp(3.53*np.std(d,ddof=1)/np.sqrt(7))-1)`
    #[test]
    fn detectable_effect_of_seven_rounds() {
        let d = [0.12, -0.03, 0.20, 0.07, 0.15, -0.01, 0.09];
        assert!((standard_deviation(&d).expect("some") - 0.082_836_614_862_660_6).abs() < 1e-12);
        assert!((detectable_percent(&d).expect("some") - 11.686_071_881_332_193).abs() < 1e-9);
        assert_eq!(detectable_percent(&d[..5]), None);
    }
}
