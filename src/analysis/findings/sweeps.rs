//! Sentences on where executors cross, and on means over all cells.

use super::words::{interval, list, places, plural};
use crate::analysis::{Crossing, MetricId, PairResult, ScenarioResult, Sweep, significant};

/// More crossings than this are counted and not named.
const NAMED: usize = 6;

/// Who overtakes whom, in the primary metric and in p99; pairs with the baseline first.
pub(super) fn crossings(scenario: &ScenarioResult) -> Vec<String> {
    let mut found: Vec<(&Sweep, &PairResult, &Crossing)> = Vec::new();
    for sweep in &scenario.sweeps {
        for pair in &sweep.pairs {
            found.extend(pair.crossings.iter().map(|crossing| (sweep, pair, crossing)));
        }
    }
    found.sort_by_key(|(_, pair, _)| {
        (!pair.labels.contains(&scenario.baseline), pair.metric == MetricId::LatencyP99)
    });
    let mut sentences: Vec<String> = found
        .iter()
        .take(NAMED)
        .map(|(sweep, pair, crossing)| sentence(sweep, pair, crossing))
        .collect();
    if found.len() > NAMED {
        sentences.push(format!(
            "{} more are in the section on scaling.",
            plural(found.len() - NAMED, "crossing")
        ));
    }
    sentences
}

fn sentence(sweep: &Sweep, pair: &PairResult, crossing: &Crossing) -> String {
    let value = |value| sweep.unit.format(value);
    let (param, from, to) = (&sweep.param, value(crossing.from), value(crossing.to));
    let place = match crossing.estimate.zip(crossing.interval) {
        Some((at, (low, high))) => {
            format!("at {param}={} (95 % interval {} to {})", value(at), value(low), value(high))
        }
        None => format!("between {param}={from} and {to}"),
    };
    let at = places(&[&sweep.at]).replacen(" at ", ", with ", 1);
    let (below, above, metric) = (&crossing.below, &crossing.above, pair.metric.info().label);
    format!("{above} overtakes {below} in {metric} {place}{at}.")
}

/// The geometric mean of each executor that has one.
pub(super) fn means(scenario: &ScenarioResult) -> Option<String> {
    let of = scenario.means.first()?.of;
    let with = scenario.means.iter().filter_map(|mean| {
        let ratio = mean.ratio.as_ref()?;
        Some(format!(
            "{} is {} times as good{}",
            mean.label,
            significant(ratio.estimate),
            interval(ratio)
        ))
    });
    let with: Vec<String> = with.collect();
    let (cells, metric) = (plural(of, "cell"), scenario.primary.info().label);
    (!with.is_empty()).then(|| {
        format!(
            "As a geometric mean of ratios to {} in {metric} over {cells} each, {}.",
            scenario.baseline,
            list(&with)
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::{
        analysis::{analyse, findings},
        store::fixture::{Fixture, noisy},
    };

    #[test]
    fn who_overtakes_whom_is_said_with_the_interval() {
        let rate = |n: f64, seed: u64| noisy(100.0 * (n / 32.0).sqrt(), 0.05, 7, seed);
        let fixture = ["4", "16", "64", "256"].iter().zip(0..).fold(
            Fixture::closed("threads", 7),
            |f, (n, seed)| {
                let at = [("waits", *n), ("kernel", "json")];
                let n: f64 = n.parse().expect("a number");
                f.cell("threads", &at, &noisy(100.0, 0.05, 7, 100 + seed)).cell(
                    "tokio",
                    &at,
                    &rate(n, seed),
                )
            },
        );
        let all = findings(&analyse(&fixture.build()));
        let crossing =
            all.iter().find(|sentence| sentence.contains("overtakes threads in throughput"));
        let crossing = crossing.unwrap_or_else(|| panic!("{all:?}"));
        assert!(
            crossing.starts_with("tokio overtakes threads in throughput at waits=3"),
            "{crossing}"
        );
        assert!(
            crossing.contains(" (95 % interval ") && crossing.ends_with("), with kernel=json."),
            "{crossing}"
        );
        let mean = all.iter().find(|sentence| sentence.contains("geometric mean"));
        let start =
            "As a geometric mean of ratios to threads in throughput over 4 cells each, tokio is 1.";
        assert!(mean.is_some_and(|mean| mean.starts_with(start)), "{mean:?}");
    }

    #[test]
    fn a_crossing_over_times_is_told_in_their_unit() {
        let fixture = ["500us", "2ms", "8ms", "32ms"].iter().zip(0..).fold(
            Fixture::closed("threads", 7),
            |f, (wait, n)| {
                let at = [("wait", *wait)];
                let rate = 100.0 * 2_f64.powi(n - 1);
                f.cell("threads", &at, &noisy(100.0, 0.02, 7, 1)).cell(
                    "tokio",
                    &at,
                    &noisy(rate * 0.8, 0.02, 7, 2),
                )
            },
        );
        let all = findings(&analyse(&fixture.build()));
        let crossing =
            all.iter().find(|sentence| sentence.contains("overtakes threads in throughput"));
        assert!(
            crossing.is_some_and(|said| said.contains("at wait=") && said.contains("ms (95 % interval")),
            "{all:?}"
        );
        assert!(all.iter().any(|said| said.contains("from wait=8ms on")), "{all:?}");
    }
}
