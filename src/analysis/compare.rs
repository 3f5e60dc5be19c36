//! Two stored runs side by side.
//!
//! The runs are of different sessions: their rounds are not paired, and what differs between
//! sessions (load of the host, frequency, memory layout) is in the difference. An interval from the
//! rounds of two sessions knows only the spread within each, so it is too narrow: a stored list of
//! numbers gives 22–45 % false alarms whatever the test. The comparison therefore shows and warns;
//! it never decides. For a decision both binaries must be run in one session.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    Analysis, Better, CellResult, ChangeVerdict, MeanChange, MetricId, MetricValue, analyse,
    change::{self, RoundLogs},
    stats,
};
use crate::{
    measure::SERVER_FACTS,
    store::{Header, Lane, Outcome, Run, StoredScenario},
};

/// Two runs, compared cell by cell.
#[derive(Debug, Clone, Serialize)]
pub struct RunComparison {
    /// Name of the first run.
    pub a: String,
    /// Name of the second run.
    pub b: String,
    /// What such a comparison is worth; to be printed above it.
    pub caveat: &'static str,
    /// Cells with figures in both runs, in the order of the first.
    pub cells: Vec<CellChange>,
    /// The mean change of each lane that has several cells.
    pub means: Vec<MeanChange>,
    /// Cells that only the first run has.
    pub only_a: Vec<String>,
    /// Cells that only the second run has.
    pub only_b: Vec<String>,
    /// Cells of both runs that cannot be compared, and why.
    pub not_compared: Vec<(String, String)>,
    /// Why the runs may differ for other reasons than the code: host, seed, scenario, quick or
    /// unfinished runs.
    pub warnings: Vec<String>,
}

/// A cell of two runs.
#[derive(Debug, Clone, Serialize)]
pub struct CellChange {
    /// Its name.
    pub cell: String,
    /// The executor as the second run shows it.
    pub label: String,
    /// Its lane.
    pub lane: Lane,
    /// The primary metric of its scenario.
    pub metric: MetricId,
    /// The first run's value.
    pub a: MetricValue,
    /// The second run's value.
    pub b: MetricValue,
    /// How many times as good the second run is: the Hodges–Lehmann shift of the logarithms, two
    /// samples. Above 1 is better in either direction of the metric.
    pub ratio: f64,
    /// 95 % interval of the ratio from the Mann–Whitney distribution, within sessions only. None of
    /// too few rounds.
    pub interval: Option<(f64, f64)>,
    /// What the interval says, as a hint: see the caveat.
    pub verdict: ChangeVerdict,
}

const CAVEAT: &str = "different sessions: not paired; intervals leave out what differs between sessions, \
                      so this can warn and never decide";

/// Compares two stored runs.
pub fn compare(a: &Run, b: &Run) -> RunComparison {
    let (before, after) = (analyse(a), analyse(b));
    let (before, after) = (by_name(&before), by_name(&after));
    let mut comparison = RunComparison {
        a: a.header.run.clone(),
        b: b.header.run.clone(),
        caveat: CAVEAT,
        cells: Vec::new(),
        means: Vec::new(),
        only_a: names(a).filter(|name| !after.contains_key(name)).map(str::to_owned).collect(),
        only_b: names(b).filter(|name| !before.contains_key(name)).map(str::to_owned).collect(),
        not_compared: Vec::new(),
        warnings: warnings(a, b),
    };
    for name in names(a) {
        if let (Some(before), Some(after)) = (before.get(name), after.get(name)) {
            match change(before, after) {
                Ok(change) => comparison.cells.push(change),
                Err(reason) => comparison.not_compared.push((name.to_owned(), reason)),
            }
        }
    }
    let both = |cell: &CellChange| (goodness(cell.metric, &cell.a), goodness(cell.metric, &cell.b));
    let of = |lane: Lane| {
        comparison.cells.iter().filter(move |cell| cell.lane == lane).map(both).collect::<Vec<_>>()
    };
    let means = [Lane::SameCode, Lane::Idiomatic].map(|lane| change::mean(lane, &of(lane)));
    comparison.means = means.into_iter().flatten().collect();
    comparison
}

impl RunComparison {
    /// Whether there is no cell that both runs have, comparable or not.
    pub fn has_nothing_in_common(&self) -> bool {
        self.cells.is_empty() && self.not_compared.is_empty()
    }
}

fn names(run: &Run) -> impl Iterator<Item = &str> {
    run.header.cells.iter().map(|cell| cell.name.as_str())
}

/// A cell with the primary metric of its scenario, and its lane.
type Placed<'a> = (&'a CellResult, MetricId, Lane);
type Cells<'a> = BTreeMap<&'a str, Placed<'a>>;

/// Cells with the primary metric of their scenario.
fn by_name(analysis: &Analysis) -> Cells<'_> {
    analysis
        .scenarios
        .iter()
        .flat_map(|scenario| scenario.groups.iter().map(move |group| (scenario.primary, group)))
        .flat_map(|(primary, group)| {
            group.cells.iter().map(move |cell| {
                (cell.name.as_str(), (cell, primary, group.lane.unwrap_or_default()))
            })
        })
        .collect()
}

fn change(before: &Placed<'_>, after: &Placed<'_>) -> Result<CellChange, String> {
    let ((before, metric, lane), (after, other, other_lane)) = (*before, *after);
    if lane != other_lane {
        return Err(format!("{} in one run, {} in the other", lane.words(), other_lane.words()));
    }
    if metric != other {
        return Err(format!(
            "{} in one run, {} in the other",
            metric.info().label,
            other.info().label
        ));
    }
    let value = |cell: &CellResult, which: &str| {
        if cell.has_figures() && !cell.is_ranked() {
            return Err(format!(
                "the {which} run's figures are {}",
                cell.judgement.validity.word()
            ));
        }
        cell.metrics.get(&metric).cloned().ok_or_else(|| format!("no figures in the {which} run"))
    };
    let (a, b) = (value(before, "first")?, value(after, "second")?);
    let logs = |value| goodness(metric, value).into_values().collect::<Vec<f64>>();
    let (logs_a, logs_b) = (logs(&a), logs(&b));
    let ratio = stats::shift(&logs_a, &logs_b).ok_or("a value is not positive")?.exp();
    let interval =
        stats::shift_interval(&logs_a, &logs_b).map(|(low, high)| (low.exp(), high.exp()));
    let verdict = ChangeVerdict::of(interval);
    Ok(CellChange {
        cell: before.name.clone(),
        label: after.label.clone(),
        lane,
        metric,
        a,
        b,
        ratio,
        interval,
        verdict,
    })
}

/// Logarithms of the values of the rounds, turned so that more is better.
fn goodness(metric: MetricId, value: &MetricValue) -> RoundLogs {
    let sign = if metric.info().better == Better::Lower { -1.0 } else { 1.0 };
    value
        .rounds
        .iter()
        .filter(|(_, value)| *value > 0.0)
        .map(|(round, value)| (*round, sign * value.ln()))
        .collect()
}

fn warnings(a: &Run, b: &Run) -> Vec<String> {
    let (first, second) = (&a.header, &b.header);
    let mut warnings = environment(first, second);
    if (&first.run, first.started_ms) == (&second.run, second.started_ms) {
        warnings.push("both are the same run".into());
    }
    if first.seed != second.seed {
        warnings.push(format!("seeds differ: {} and {}", first.seed, second.seed));
    }
    if first.cpus != second.cpus {
        warnings.push(format!("CPUs differ: {:?} and {:?}", first.cpus, second.cpus));
    }
    for run in [a, b] {
        warnings.extend(of_one(run));
    }
    warnings.extend(second.scenarios.iter().filter_map(|after| scenario(first, after)));
    warnings.extend(servers(a, b));
    warnings
}

/// What a scenario's servers are known by in a run, by scenario and fact: one value, unless the
/// scenario sweeps over servers.
type KnownFacts<'a> = BTreeMap<(&'a str, &'a str), BTreeSet<&'a str>>;

fn known_by(run: &Run) -> KnownFacts<'_> {
    let scenarios: BTreeMap<&str, &str> =
        run.header.cells.iter().map(|cell| (cell.name.as_str(), cell.scenario.as_str())).collect();
    let mut known = KnownFacts::new();
    for trial in &run.trials {
        let (Outcome::Measured(measured), Some(scenario)) =
            (&trial.outcome, scenarios.get(trial.cell.as_str()))
        else {
            continue;
        };
        let is_known_by =
            |label: &str| SERVER_FACTS.iter().any(|what| label.ends_with(&format!(": {what}")));
        for (label, value) in measured.trial.facts.iter().filter(|(label, _)| is_known_by(label)) {
            known.entry((scenario, label)).or_default().insert(value);
        }
    }
    known
}

/// Servers of the user's own that are not the same in both runs: the url may stand in the
/// environment, and no text differs.
fn servers(a: &Run, b: &Run) -> Vec<String> {
    let (before, after) = (known_by(a), known_by(b));
    let both = before.iter().filter_map(|(key, before)| Some((key, before, after.get(key)?)));
    let words = |values: &BTreeSet<&str>| values.iter().copied().collect::<Vec<_>>().join(", ");
    both.filter(|(_, before, after)| before != after)
        .map(|((scenario, label), a, b)| {
            format!("{label} of scenario {scenario} differs: {} and {}", words(a), words(b))
        })
        .collect()
}

/// Facts of the host that differ or that one run does not have.
fn environment(first: &Header, second: &Header) -> Vec<String> {
    let value = |header: &Header, label: &str| {
        header
            .environment
            .iter()
            .find(|(known, _)| known == label)
            .map_or("unknown", |(_, value)| value)
            .to_owned()
    };
    let mut labels: Vec<&str> = Vec::new();
    for (label, _) in first.environment.iter().chain(&second.environment) {
        if !labels.contains(&label.as_str()) {
            labels.push(label);
        }
    }
    let pairs = labels.into_iter().map(|label| (label, value(first, label), value(second, label)));
    pairs
        .filter(|(_, a, b)| a != b)
        .map(|(label, a, b)| format!("{label} differs: {a} and {b}"))
        .collect()
}

fn of_one(run: &Run) -> Vec<String> {
    let mut warnings = Vec::new();
    if run.header.quick {
        warnings.push(format!("{} is a quick run: not comparable", run.header.run));
    }
    if !run.finished {
        warnings.push(format!("{} is not finished", run.header.run));
    }
    warnings
}

fn scenario(first: &Header, after: &StoredScenario) -> Option<String> {
    let before = first.scenarios.iter().find(|before| before.name == after.name)?;
    (before.text != after.text).then(|| format!("the text of scenario {} differs", after.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::Fixture;

    const OLD: [f64; 7] = [10.1e6, 10.4e6, 9.8e6, 10.0e6, 10.3e6, 10.2e6, 9.9e6];
    const NEW: [f64; 7] = [11.0e6, 10.6e6, 11.3e6, 10.9e6, 10.35e6, 11.1e6, 10.7e6];

    fn batch(values: &[f64]) -> Fixture {
        Fixture::batch("threads", 7).cell("threads", &[], values)
    }

    fn second(fixture: Fixture) -> Run {
        let renamed = fixture.with(|run| {
            run.header.run = "second".into();
            run.header.started_ms += 1;
        });
        renamed.build()
    }

    /// The reciprocals of the golden values of `stats::two_samples`: a longer makespan is worse.
    #[test]
    fn the_ratio_is_how_many_times_as_good_the_second_run_is() {
        let comparison = compare(&batch(&OLD).build(), &second(batch(&NEW)));
        let [change] = &comparison.cells[..] else { panic!("{comparison:?}") };
        assert!((change.ratio - 1.0 / 1.077_669_902_9).abs() < 1e-9, "{}", change.ratio);
        let (low, high) = change.interval.expect("seven and seven");
        assert!(
            (low - 0.9).abs() < 1e-8 && (high - 1.0 / 1.038_834_951).abs() < 1e-8,
            "{low} to {high}"
        );
        // It ends above 1/1.05: that it is slower by more than what rarely matters is not shown.
        assert_eq!(
            (change.verdict, change.metric),
            (ChangeVerdict::NoDifference, MetricId::Makespan)
        );
        assert_eq!((change.a.median, change.b.median), (10.1e6, 10.9e6));
        assert!(comparison.means.is_empty(), "one cell is its own mean");
        assert_eq!(comparison.warnings, Vec::<String>::new());
        assert!(comparison.caveat.starts_with("different sessions: not paired"));
    }

    #[test]
    fn lanes_have_means_of_their_own() {
        let both = |same: f64, customary: f64| {
            let mut fixture = Fixture::closed("threads", 7);
            for n in ["1", "2"] {
                fixture = fixture.cell("threads", &[("driver", "same"), ("n", n)], &[same; 7]);
                fixture =
                    fixture.cell("threads", &[("driver", "customary"), ("n", n)], &[customary; 7]);
            }
            fixture.with(|run| {
                for at in [1, 3] {
                    run.header.cells[at].lane = Lane::Idiomatic;
                }
            })
        };
        let before = both(100.0, 100.0).build();
        let comparison = compare(&before, &second(both(200.0, 50.0)));
        let [same, idiomatic] = &comparison.means[..] else { panic!("{:?}", comparison.means) };
        assert_eq!((same.lane, same.verdict), (Lane::SameCode, ChangeVerdict::Better));
        assert_eq!((idiomatic.lane, idiomatic.verdict), (Lane::Idiomatic, ChangeVerdict::Worse));
        assert!((same.ratio - 2.0).abs() < 1e-12 && (idiomatic.ratio - 0.5).abs() < 1e-12);
        let changed = both(100.0, 100.0).with(|run| run.header.cells[1].lane = Lane::SameCode);
        let comparison = compare(&before, &second(changed));
        let why = "idiomatic lane in one run, same-code lane in the other";
        assert_eq!(
            comparison.not_compared,
            [("demo::threads::driver=customary,n=1".to_owned(), why.to_owned())]
        );
        assert!(!comparison.has_nothing_in_common());
    }

    #[test]
    fn more_throughput_is_better() {
        let closed = |rate| Fixture::closed("threads", 7).cell("threads", &[], &[rate; 7]);
        let change = &compare(&closed(100.0).build(), &second(closed(200.0))).cells[0];
        assert!((change.ratio - 2.0).abs() < 1e-12);
        assert_eq!(change.verdict, ChangeVerdict::Better);
    }

    #[test]
    fn rounds_need_not_be_the_same() {
        let change = &compare(&batch(&OLD[..2]).build(), &second(batch(&NEW))).cells[0];
        assert_eq!((change.interval, change.verdict), (None, ChangeVerdict::NoInterval));
        assert_eq!((change.a.rounds.len(), change.b.rounds.len()), (2, 7));
    }

    #[test]
    fn a_cell_that_is_not_valid_is_not_compared() {
        let disturbed = batch(&NEW)
            .measured("demo::threads", |_, measured| measured.trial_mut().host.throttled_ns = 1);
        let comparison = compare(&batch(&OLD).build(), &second(disturbed));
        let why = "the second run's figures are DISTURBED";
        assert_eq!(comparison.not_compared, [("demo::threads".to_owned(), why.to_owned())]);
        assert!(comparison.cells.is_empty());
    }

    #[test]
    fn cells_of_one_run_only_and_cells_without_figures_are_listed() {
        let a = batch(&OLD).cell("smol", &[], &OLD).cell("tokio", &[], &OLD).build();
        let b = second(batch(&NEW).cell("async-std", &[], &NEW).cell("tokio", &[], &[]));
        let comparison = compare(&a, &b);
        assert_eq!(comparison.cells.len(), 1);
        assert_eq!(comparison.only_a, ["demo::smol"]);
        assert_eq!(comparison.only_b, ["demo::async-std"]);
        assert_eq!(
            comparison.not_compared,
            [("demo::tokio".into(), "no figures in the second run".into())]
        );
        let closed = Fixture::closed("threads", 7).cell("threads", &[], &[100.0; 7]);
        let other_load = compare(&batch(&OLD).build(), &second(closed));
        assert_eq!(other_load.not_compared[0].1, "makespan in one run, throughput in the other");
    }

    #[test]
    fn another_server_is_warned_of() {
        let on = |address: &'static str| {
            batch(&OLD).measured("demo::threads", move |_, measured| {
                measured.trial_mut().facts.insert("db: address".into(), address.into());
                measured.trial_mut().facts.insert("db: processes".into(), address.into());
            })
        };
        let here = on("postgres://here:5432").build();
        let expected = [
            "db: address of scenario demo differs: postgres://here:5432 and postgres://there:5432",
        ];
        assert_eq!(compare(&here, &second(on("postgres://there:5432"))).warnings, expected);
        assert_eq!(
            compare(&here, &second(on("postgres://here:5432"))).warnings,
            Vec::<String>::new()
        );
        // A run without that fact, as older ones are, gives no reason to warn.
        assert_eq!(compare(&here, &second(batch(&OLD))).warnings, Vec::<String>::new());
    }

    #[test]
    fn other_causes_of_a_difference_are_warned_of() {
        let changed = batch(&NEW).with(|run| {
            run.header.seed = 43;
            run.header.quick = true;
            run.header.cpus = vec![0];
            run.header.environment[0].1 = "Linux 6.9".into();
            run.header.environment.push(("governor".into(), "performance".into()));
            run.header.scenarios[0].text.push_str("# changed\n");
            run.finished = false;
        });
        let expected = [
            "kernel differs: Linux 6.1 and Linux 6.9",
            "governor differs: unknown and performance",
            "seeds differ: 42 and 43",
            "CPUs differ: [0, 1] and [0]",
            "second is a quick run: not comparable",
            "second is not finished",
            "the text of scenario demo differs",
        ];
        assert_eq!(compare(&batch(&OLD).build(), &second(changed)).warnings, expected);
        let run = batch(&OLD).build();
        assert_eq!(compare(&run, &run).warnings, ["both are the same run"]);
    }
}
