//! When tasks arrive: a pure function of the seed, the kind of gaps and the rate over time.
//!
//! The schedule is made in the mass of arrivals, the integral of the rate: constant arrivals are
//! one unit of it apart, those of a Poisson process by independent draws from the unit exponential
//! distribution (the time change of an inhomogeneous Poisson process). Turning mass back into time
//! is exact for constant rates and linear ramps.

use serde::{Deserialize, Serialize};

use crate::draw;

/// The draws of the gaps are this far from those of any step.
const GAPS: u64 = u64::MAX;

/// How the gaps between arrivals are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrival {
    /// Equal at a constant rate.
    Constant,
    /// Exponentially distributed, independent of each other.
    Poisson,
}

/// A stretch of time over which the rate is constant or changes linearly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Arrivals per second at its start.
    pub from: f64,
    /// Arrivals per second at its end.
    pub to: f64,
    /// Its length in ns.
    pub length_ns: u64,
}

impl Stage {
    /// Arrivals in it, as far as it goes.
    pub fn mass(&self) -> f64 {
        f64::midpoint(self.from, self.to) * (self.length_ns as f64 / 1e9)
    }

    /// When so many arrivals have come since its start, in ns. The root is written so that it
    /// neither cancels nor divides by a slope of zero.
    fn time_of(&self, mass: f64) -> u64 {
        if mass <= 0.0 {
            return 0;
        }
        let slope = (self.to - self.from) / (self.length_ns as f64 / 1e9);
        let root = (self.from * self.from + 2.0 * slope * mass).max(0.0).sqrt();
        let seconds = 2.0 * mass / (self.from + root);
        ((seconds * 1e9).round() as u64).min(self.length_ns.saturating_sub(1))
    }
}

/// The arrivals of a load in order, as offsets from its start in ns.
#[derive(Debug, Clone)]
pub struct Schedule {
    stages: Vec<Stage>,
    arrival: Arrival,
    seed: u64,
    number: u64,
    /// The next arrival, in arrivals since the start.
    mass: f64,
    /// The stage that it lies in or behind, and where that begins.
    at: usize,
    begins_ns: u64,
    begins_mass: f64,
}

impl Schedule {
    /// The schedule of these stages, one after another.
    pub fn new(stages: Vec<Stage>, arrival: Arrival, seed: u64) -> Self {
        let mut schedule = Self {
            stages,
            arrival,
            seed,
            number: 0,
            mass: 0.0,
            at: 0,
            begins_ns: 0,
            begins_mass: 0.0,
        };
        if arrival == Arrival::Poisson {
            // A constant schedule begins with an arrival, a Poisson process with a gap.
            schedule.mass = schedule.gap();
        }
        schedule
    }

    fn gap(&mut self) -> f64 {
        self.number += 1;
        match self.arrival {
            Arrival::Constant => 1.0,
            Arrival::Poisson => -(1.0 - draw::unit(draw::draw(self.seed, self.number, GAPS))).ln(),
        }
    }
}

impl Iterator for Schedule {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let mass = self.mass;
        loop {
            let stage = self.stages.get(self.at)?;
            if mass - self.begins_mass < stage.mass() {
                let at_ns = self.begins_ns + stage.time_of(mass - self.begins_mass);
                self.mass += self.gap();
                return Some(at_ns);
            }
            self.begins_mass += stage.mass();
            self.begins_ns += stage.length_ns;
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn stage(from: f64, to: f64, seconds: u64) -> Stage {
        Stage { from, to, length_ns: seconds * SECOND }
    }

    fn all(stages: &[Stage], arrival: Arrival, seed: u64) -> Vec<u64> {
        Schedule::new(stages.to_vec(), arrival, seed).collect()
    }

    #[test]
    fn constant_arrivals_are_on_a_grid_and_as_many_as_the_rate_says() {
        let arrivals = all(&[stage(1_000.0, 1_000.0, 3)], Arrival::Constant, 1);
        let grid: Vec<u64> = (0..3_000).map(|number| number * 1_000_000).collect();
        assert_eq!(arrivals, grid);
    }

    #[test]
    fn a_ramp_integrates_the_rate() {
        // 1000/s to 3000/s in 4 s: 8000 arrivals; after x seconds 1000x + 250x² of them.
        let arrivals =
            all(&[stage(1_000.0, 3_000.0, 4), stage(3_000.0, 0.5, 2)], Arrival::Constant, 1);
        let in_first = arrivals.iter().filter(|&&at| at < 4 * SECOND).count();
        assert_eq!((in_first, arrivals.len()), (8_000, 11_001));
        for (number, seconds) in [(1_250, 1.0), (3_000, 2.0), (5_250, 3.0)] {
            let at = arrivals[number] as f64 / 1e9;
            assert!((at - seconds).abs() < 1e-8, "arrival {number} at {at} s");
        }
        assert!(arrivals.is_sorted() && *arrivals.last().unwrap() < 6 * SECOND);
    }

    #[test]
    fn a_ramp_may_begin_at_nothing() {
        let arrivals = all(&[stage(0.0, 100.0, 2)], Arrival::Constant, 1);
        assert_eq!((arrivals.len(), arrivals[0], arrivals[25]), (100, 0, SECOND));
    }

    #[test]
    fn a_ramp_may_end_at_nothing() {
        // 100/s to 0 in 2 s: 100 arrivals; after x seconds 100x − 25x² of them.
        let arrivals = all(&[stage(100.0, 0.0, 2)], Arrival::Constant, 1);
        assert_eq!((arrivals.len(), arrivals[0], arrivals[75]), (100, 0, SECOND));
        for (number, &at) in arrivals.iter().enumerate() {
            let seconds = at as f64 / 1e9;
            let mass = 100.0 * seconds - 25.0 * seconds * seconds;
            assert!((mass - number as f64).abs() < 1e-5, "arrival {number} at {seconds} s");
        }
    }

    #[test]
    fn nothing_arrives_in_a_pause() {
        let pause =
            [stage(0.0, 100.0, 1), stage(100.0, 0.0, 1), stage(0.0, 0.0, 3), stage(0.0, 50.0, 2)];
        let arrivals = all(&pause, Arrival::Constant, 1);
        let between =
            |from: u64, to: u64| arrivals.iter().filter(|&&at| at >= from && at < to).count();
        assert_eq!(
            [between(0, SECOND), between(SECOND, 2 * SECOND), between(5 * SECOND, 7 * SECOND)],
            [50; 3]
        );
        assert_eq!((arrivals.len(), between(2 * SECOND, 5 * SECOND)), (150, 0));
        // The first after the pause is due when its ramp begins.
        assert_eq!(arrivals[100], 5 * SECOND);
        for kind in [Arrival::Constant, Arrival::Poisson] {
            assert!(all(&[stage(0.0, 0.0, 5)], kind, 1).is_empty());
        }
    }

    #[test]
    fn poisson_arrivals_follow_ramps_to_and_from_nothing() {
        let stages = [stage(20_000.0, 0.0, 10), stage(0.0, 0.0, 5), stage(0.0, 20_000.0, 10)];
        let arrivals = all(&stages, Arrival::Poisson, 3);
        // 200 000 within 4 standard deviations, fixed seed.
        assert!(arrivals.len().abs_diff(200_000) < 1_790, "{}", arrivals.len());
        let share = |from: u64, to: u64| {
            arrivals.iter().filter(|&&at| at >= from * SECOND && at < to * SECOND).count() as f64
                / arrivals.len() as f64
        };
        assert!((share(0, 5) - 0.375).abs() < 0.01 && (share(20, 25) - 0.375).abs() < 0.01);
        assert_eq!(
            arrivals.iter().filter(|&&at| (10 * SECOND..15 * SECOND).contains(&at)).count(),
            0
        );
        assert!(arrivals.is_sorted());
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_spread_of_the_exponential_distribution() {
        let arrivals = all(&[stage(10_000.0, 10_000.0, 10)], Arrival::Poisson, 7);
        // A Poisson count of 100 000 is within 4 standard deviations, fixed seed.
        assert!(arrivals.len().abs_diff(100_000) < 1_265, "{}", arrivals.len());
        let gaps: Vec<f64> = arrivals.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let spread =
            (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        assert!(
            (mean / 1e5 - 1.0).abs() < 0.02 && (spread / mean - 1.0).abs() < 0.02,
            "{mean} ± {spread}"
        );
    }

    #[test]
    fn poisson_arrivals_follow_a_ramp() {
        let arrivals = all(&[stage(0.0, 20_000.0, 10)], Arrival::Poisson, 3);
        // A quarter of the mass lies in the first half.
        let early = arrivals.iter().filter(|&&at| at < 5 * SECOND).count() as f64;
        assert!(
            (early / arrivals.len() as f64 - 0.25).abs() < 0.01,
            "{early} of {}",
            arrivals.len()
        );
    }

    #[test]
    fn the_seed_decides() {
        let stages = [stage(1_000.0, 2_000.0, 1)];
        assert_eq!(all(&stages, Arrival::Poisson, 5), all(&stages, Arrival::Poisson, 5));
        assert_ne!(all(&stages, Arrival::Poisson, 5), all(&stages, Arrival::Poisson, 6));
        assert_eq!(all(&stages, Arrival::Constant, 5), all(&stages, Arrival::Constant, 6));
    }
}
