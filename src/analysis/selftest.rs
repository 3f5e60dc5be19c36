//! The harness measured by itself: a run whose scenarios have three arms each, told apart by a
//! swept parameter. The first two are the same work, so that every difference found between them is
//! a false alarm. The third is the same work with a tenth more of what it waits for or computes,
//! which must be found. Pure.

use serde::Serialize;

use super::{
    Analysis, CellGroup, CellResult, METRICS, MetricId, Ratio, RatioVerdict, ScenarioResult, stats,
};

/// What an interval of 95 % misses by chance.
const NOMINAL: f64 = 0.05;
/// The harness has failed where so many false alarms or more are less probable than this.
const IMPROBABLE: f64 = 0.002;
/// The injected tenth must be found where the stated minimum detectable effect is below this, in
/// percent.
pub const SURELY_SEEN_PERCENT: f64 = 6.0;
/// In this share of those cells.
pub const LEAST_FOUND: f64 = 0.95;

/// What a self-test has found.
#[derive(Debug, Clone, Serialize)]
pub struct Selftest {
    /// One per scenario and executor.
    pub cells: Vec<SelftestCell>,
    /// One per metric that was measured in any arm.
    pub metrics: Vec<MetricNoise>,
    /// Whether the harness passes.
    pub verdict: SelftestVerdict,
    /// Why, in sentences.
    pub reasons: Vec<String>,
}

/// One executor in one scenario, in the scenario's primary metric.
#[derive(Debug, Clone, Serialize)]
pub struct SelftestCell {
    /// The scenario.
    pub scenario: String,
    /// The executor as shown.
    pub executor: String,
    /// The metric that decides: makespan of a batch, else throughput.
    pub metric: MetricId,
    /// The second arm against the first, which is the same work: 1 but for noise.
    pub same: Option<Ratio>,
    /// The third arm against the first: below 1, for it has a tenth more to do.
    pub injected: Option<Ratio>,
}

impl SelftestCell {
    /// Whether a difference was found where there is none; nothing without an interval.
    pub fn false_alarm(&self) -> Option<bool> {
        self.same.as_ref().and_then(differs)
    }

    /// Whether the injected tenth was found, in the right direction; nothing without an interval.
    pub fn found(&self) -> Option<bool> {
        let ratio = self.injected.as_ref()?;
        ratio.interval.map(|_| ratio.verdict == RatioVerdict::Slower)
    }

    /// Whether the stated minimum detectable effect promises that a tenth is found.
    pub fn must_be_found(&self) -> bool {
        let stated = self.injected.as_ref().and_then(|ratio| ratio.detectable_percent);
        stated.is_some_and(|percent| percent < SURELY_SEEN_PERCENT)
    }
}

/// How much a metric varies where nothing differs.
#[derive(Debug, Clone, Serialize)]
pub struct MetricNoise {
    /// The metric.
    pub metric: MetricId,
    /// Pairs of equal arms that were compared.
    pub compared: usize,
    /// Of them, those whose interval does not contain 1.
    pub false_alarms: usize,
    /// Standard deviation of a round's ratio between equal arms, in percent: the median over the
    /// pairs that were compared.
    pub noise_percent: Option<f64>,
    /// The minimum detectable effect of these rounds, in percent: the median over the pairs.
    pub detectable_percent: Option<f64>,
}

/// Whether the harness passes its own test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SelftestVerdict {
    /// No more false alarms than chance explains, and the injected tenth was found where it had to
    /// be.
    Pass,
    /// Too many false alarms, or the injected tenth was overlooked where it had to be found.
    Fail,
    /// There are too few rounds, or this machine is too noisy, to say either.
    Inconclusive,
}

/// What the run of a self-test says. Scenarios without three arms take no part.
pub fn selftest(analysis: &Analysis) -> Selftest {
    let cells: Vec<SelftestCell> = analysis.scenarios.iter().flat_map(cells).collect();
    let metrics = METRICS.iter().filter_map(|info| noise(analysis, info.id)).collect();
    let (verdict, reasons) = judge(&cells);
    Selftest { cells, metrics, verdict, reasons }
}

fn cells(scenario: &ScenarioResult) -> Vec<SelftestCell> {
    let [first, second, third] = scenario.groups.as_slice() else { return Vec::new() };
    let metric = scenario.primary;
    let cell = |cell: &CellResult| {
        let against_first = |arm: &CellGroup| arm.cell(&cell.executor)?.ratio_to(cell, metric);
        SelftestCell {
            scenario: scenario.name.clone(),
            executor: cell.label.clone(),
            metric,
            same: against_first(second),
            injected: against_first(third),
        }
    };
    first.cells.iter().map(cell).collect()
}

/// A metric over all pairs of equal arms.
fn noise(analysis: &Analysis, metric: MetricId) -> Option<MetricNoise> {
    let mut ratios = Vec::new();
    let mut spreads = Vec::new();
    for scenario in &analysis.scenarios {
        let [first, second, _] = scenario.groups.as_slice() else { continue };
        for cell in &first.cells {
            let Some(twin) = second.cell(&cell.executor) else { continue };
            let Some(ratio) = twin.ratio_to(cell, metric) else { continue };
            // The noise of fewer rounds than an interval needs would stand beside what other pairs'
            // rounds can show.
            spreads.extend(spread_percent(cell, twin, metric).filter(|_| ratio.interval.is_some()));
            ratios.push(ratio);
        }
    }
    let found: Vec<bool> = ratios.iter().filter_map(differs).collect();
    let detectable: Vec<f64> = ratios.iter().filter_map(|ratio| ratio.detectable_percent).collect();
    (!ratios.is_empty()).then(|| MetricNoise {
        metric,
        compared: found.len(),
        false_alarms: found.iter().filter(|found| **found).count(),
        noise_percent: stats::median(&spreads),
        detectable_percent: stats::median(&detectable),
    })
}

/// Whether an interval leaves 1 out.
fn differs(ratio: &Ratio) -> Option<bool> {
    ratio.interval.map(|(low, high)| low > 1.0 || high < 1.0)
}

fn judge(cells: &[SelftestCell]) -> (SelftestVerdict, Vec<String>) {
    let alarms: Vec<bool> = cells.iter().filter_map(SelftestCell::false_alarm).collect();
    let count = alarms.iter().filter(|alarm| **alarm).count();
    let promised: Vec<&SelftestCell> = cells.iter().filter(|cell| cell.must_be_found()).collect();
    let found = promised.iter().filter(|cell| cell.found() == Some(true)).count();
    let too_many = count > 0 && at_least(alarms.len(), count) < IMPROBABLE;
    let overlooked = (found as f64) < LEAST_FOUND * promised.len() as f64;
    let mut reasons = Vec::new();
    if alarms.is_empty() {
        reasons.push(
            "nowhere are there the six valid rounds that an interval needs: nothing could be compared".to_owned(),
        );
        return (SelftestVerdict::Inconclusive, reasons);
    }
    let chance =
        if too_many { "more than chance explains" } else { "no more than chance explains" };
    reasons.push(format!(
        "{count} of {} comparisons of equal work show a difference, {chance}",
        alarms.len()
    ));
    reasons.push(format!(
        "an injected +10 % was found in {found} of the {} whose minimum detectable effect is below 6 %",
        promised.len()
    ));
    let too_noisy = promised.len() * 2 < cells.len();
    if too_noisy {
        let why = "that is fewer than half: this machine is too noisy now; close other programs, or take more rounds";
        reasons.push(why.to_owned());
    }
    let verdict = match (too_many || overlooked, too_noisy) {
        (true, _) => SelftestVerdict::Fail,
        (false, true) => SelftestVerdict::Inconclusive,
        (false, false) => SelftestVerdict::Pass,
    };
    (verdict, reasons)
}

/// The standard deviation of a round's ratio, in percent.
fn spread_percent(cell: &CellResult, twin: &CellResult, metric: MetricId) -> Option<f64> {
    let (values, references) = (cell.metrics.get(&metric)?, twin.metrics.get(&metric)?);
    let log = |(round, value): &(u32, f64)| {
        let (_, reference) = references.rounds.iter().find(|(other, _)| other == round)?;
        metric.info().times_as_good(*value, *reference).map(f64::ln)
    };
    let logs: Vec<f64> = values.rounds.iter().filter_map(log).collect();
    stats::standard_deviation(&logs).map(|spread| 100.0 * spread.exp_m1())
}

/// P(X ≥ `count`) where each of `trials` has a probability of [`NOMINAL`].
fn at_least(trials: usize, count: usize) -> f64 {
    let mut probability = (1.0 - NOMINAL).powi(i32::try_from(trials).unwrap_or(i32::MAX));
    let mut below = 0.0;
    for k in 0..count {
        below += probability;
        probability *=
            (trials.saturating_sub(k)) as f64 / (k + 1) as f64 * NOMINAL / (1.0 - NOMINAL);
    }
    1.0 - below
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::analyse,
        store::fixture::{Fixture, noisy},
    };

    const EXECUTORS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

    /// Eight executors with three arms of batches: `second` and `third` are their makespans against
    /// the first's, and each round is off by up to `spread`.
    fn run(rounds: u32, spread: f64, second: f64, third: f64) -> Selftest {
        let mut fixture = Fixture::batch("a", rounds);
        for (arm, factor) in [("1", 1.0), ("2", second), ("3", third)] {
            for (executor, seed) in EXECUTORS.iter().zip(0..) {
                let values = noisy(
                    1e7 * factor,
                    spread,
                    rounds,
                    100 * seed + arm.len() as u64 + (factor * 1e6) as u64,
                );
                // Of the first two arms, too, each has noise of its own.
                let values: Vec<f64> =
                    if arm == "2" { values.into_iter().rev().collect() } else { values };
                fixture = fixture.cell(executor, &[("work", arm)], &values);
            }
        }
        selftest(&analyse(&fixture.build()))
    }

    #[test]
    fn a_harness_that_finds_what_is_there_passes() {
        let found = run(10, 0.02, 1.0, 1.1);
        assert_eq!(found.verdict, SelftestVerdict::Pass, "{:?}", found.reasons);
        assert_eq!(found.cells.len(), EXECUTORS.len());
        assert!(
            found.cells.iter().all(|cell| cell.must_be_found() && cell.found() == Some(true)),
            "{found:?}"
        );
        let makespan =
            found.metrics.iter().find(|noise| noise.metric == MetricId::Makespan).unwrap();
        assert_eq!(makespan.compared, EXECUTORS.len());
        // Two values that are off by up to 2 %, evenly: each has a deviation of 2 %/√3, their ratio
        // of √2 times that.
        let noise = makespan.noise_percent.unwrap();
        assert!((1.2..2.1).contains(&noise), "{noise}");
        assert!(found.reasons[1].contains("8 of the 8"), "{:?}", found.reasons);
    }

    #[test]
    fn differences_between_equal_work_fail() {
        let found = run(10, 0.02, 1.2, 1.1);
        assert_eq!(found.verdict, SelftestVerdict::Fail);
        assert!(
            found.reasons[0].starts_with("8 of 8")
                && found.reasons[0].ends_with("more than chance explains")
        );
    }

    #[test]
    fn a_tenth_that_is_overlooked_where_it_is_promised_fails() {
        let found = run(10, 0.02, 1.0, 1.0);
        assert_eq!(found.verdict, SelftestVerdict::Fail, "{:?}", found.reasons);
        // The wrong direction is no find either.
        assert_eq!(run(10, 0.02, 1.0, 0.8).verdict, SelftestVerdict::Fail);
    }

    #[test]
    fn noise_and_few_rounds_decide_nothing() {
        assert_eq!(run(10, 0.3, 1.0, 1.1).verdict, SelftestVerdict::Inconclusive);
        let five = run(5, 0.02, 1.0, 1.1);
        assert_eq!(five.verdict, SelftestVerdict::Inconclusive);
        assert!(five.reasons[0].contains("six valid rounds"), "{:?}", five.reasons);
        assert!(
            five.cells.iter().all(|cell| cell.found().is_none() && cell.false_alarm().is_none())
        );
    }

    #[test]
    fn noise_is_of_the_pairs_that_have_an_interval() {
        // One executor has ten quiet rounds in each arm, the other three wild ones.
        let mut fixture = Fixture::batch("a", 10);
        for (arm, seed) in [("1", 1), ("2", 2), ("3", 3)] {
            fixture = fixture.cell("a", &[("work", arm)], &noisy(1e7, 0.01, 10, seed));
            fixture = fixture.cell("b", &[("work", arm)], &noisy(1e7, 0.9, 3, 10 * seed));
        }
        let found = selftest(&analyse(&fixture.build()));
        let makespan =
            found.metrics.iter().find(|noise| noise.metric == MetricId::Makespan).unwrap();
        assert_eq!(makespan.compared, 1);
        assert!(makespan.noise_percent.unwrap() < 1.5, "{makespan:?}");
    }

    /// scipy.stats.binom.sf(k - 1, n, .05)
    #[test]
    fn tails_are_those_of_the_binomial_distribution() {
        for (trials, count, expected) in
            [(12, 0, 1.0), (12, 1, 0.459_639_9), (12, 4, 0.002_236_4), (35, 7, 0.001_521_6)]
        {
            let tail = at_least(trials, count);
            assert!((tail - expected).abs() < 1e-7, "{trials} {count}: {tail}");
        }
    }

    #[test]
    fn other_scenarios_take_no_part() {
        let fixture = Fixture::batch("threads", 6).cell("threads", &[], &[1e6; 6]).cell(
            "tokio",
            &[],
            &[1e6; 6],
        );
        let found = selftest(&analyse(&fixture.build()));
        assert!(found.cells.is_empty() && found.metrics.is_empty());
        assert_eq!(found.verdict, SelftestVerdict::Inconclusive);
    }
}
