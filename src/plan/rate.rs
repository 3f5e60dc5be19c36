//! Cells of an open load at other rates than their scenario says: what a search for the highest
//! rate tries.

use std::time::Duration;

use super::{Cell, cell, estimate::total};
use crate::{
    scenario::{LoadKind, Param, Slo, SloMetric},
    store::{Absent, SearchedCell},
    trial::TrialLoad,
    units::Rate,
};

/// Tasks that lie above a quantile before it is shown.
const ABOVE: f64 = 10.0;
/// Arrivals scatter, and some belong to the warm-up's end: so many times the samples are asked for.
const SPARE: f64 = 1.1;
/// An open load that misses fewer arrivals than this is not called overloaded: those in flight at
/// the edges differ by a few.
const MISSING: f64 = 11.0;
/// No trial is made longer than this for want of samples.
const LONGEST: Duration = Duration::from_secs(60);

/// A cell whose highest rate is searched.
#[derive(Debug, Clone)]
pub struct Searchable {
    /// The cell, without a rate among its name and parameters.
    cell: Cell,
    /// The name of the parameter that says the rate.
    param: String,
    /// Where the search begins, in arrivals per second.
    start: f64,
    /// Tasks that a trial must measure for its limits to be judged.
    samples: f64,
}

/// Why a cell cannot be searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotSearchable {
    /// The scenario.
    pub scenario: String,
    /// Why, with the remedy.
    pub reason: String,
}

/// The searches of a plan: one for each executor and each combination of parameters that differ in
/// more than the rate. `start` is where they begin; none: at the scenario's own rate, the least of
/// several. An overload by `precision`, as a share, must show within a trial.
pub fn searches<'a>(
    cells: &[Cell],
    start: Option<f64>,
    precision: f64,
    limits: impl Fn(&str) -> &'a [Slo],
) -> Result<Vec<Searchable>, NotSearchable> {
    let mut found: Vec<(String, Searchable)> = Vec::new();
    for cell in cells {
        let rate = only_rate(&cell.trial.loads).map_err(|reason| {
            let scenario = cell.stored.scenario.clone();
            NotSearchable { scenario, reason }
        })?;
        let work = work(cell);
        if let Some((_, same)) = found.iter_mut().find(|(known, _)| *known == work) {
            same.cell.stored.params.retain(|param| cell.stored.params.contains(param));
            same.start = same.start.min(rate);
            continue;
        }
        let samples = samples(limits(&cell.stored.scenario)).max(MISSING / precision);
        found.push((
            work,
            Searchable { cell: cell.clone(), param: String::new(), start: rate, samples },
        ));
    }
    let named = found.into_iter().map(|(_, searchable)| searchable.named(start));
    Ok(named.collect())
}

/// The rate of the only load.
fn only_rate(loads: &[TrialLoad]) -> Result<f64, String> {
    match loads {
        [only] => held_rate(&only.kind),
        _ => Err(format!(
            "a rate is found for one load, and this scenario has {}: keep the one whose rate is \
             asked for",
            loads.len()
        )),
    }
}

/// The rate of an open load that holds one.
fn held_rate(kind: &LoadKind) -> Result<f64, String> {
    let other = |kind: &str| {
        Err(format!(
            "a rate is found for an open load, and this scenario's is `{kind}`: give it one such as \
             `open = {{ rate = \"1k/s\" }}`"
        ))
    };
    match kind {
        LoadKind::Batch { .. } => other("batch"),
        LoadKind::Closed { .. } => other("closed"),
        LoadKind::Open { stages, .. } if !stages.is_empty() => {
            Err("a search holds each rate that it tries, and this load has `stages`: remove them"
                .to_owned())
        }
        LoadKind::Open { rate, .. } => Ok(*rate),
    }
}

/// What a trial of the cell does, whatever its rate, as a text to compare.
fn work(cell: &Cell) -> String {
    let mut trial = cell.trial.clone();
    trial.cell.clone_from(&cell.stored.scenario);
    trial.loads.iter_mut().for_each(|load| set_rate(&mut load.kind, 1.0));
    // A plan always has a text; two without one would be taken for the same cell.
    serde_json::to_string(&trial).unwrap_or_else(|_| cell.stored.name.clone())
}

fn set_rate(kind: &mut LoadKind, to: f64) {
    if let LoadKind::Open { rate, .. } = kind {
        *rate = to;
    }
}

/// The most samples that any limit needs.
fn samples(limits: &[Slo]) -> f64 {
    let needed = |slo: &Slo| match slo.metric {
        SloMetric::Latency(q) if q < 1.0 => ABOVE / (1.0 - q),
        _ => 1.0,
    };
    limits.iter().map(needed).fold(1.0, f64::max)
}

impl Searchable {
    fn named(mut self, start: Option<f64>) -> Self {
        let stored = &mut self.cell.stored;
        let is_taken = stored.params.iter().any(|param| param.name == "rate");
        self.param.push_str(if is_taken { "offered-rate" } else { "rate" });
        stored.name = cell::cell_name(&stored.scenario, &stored.executor, &stored.params);
        self.start = start.unwrap_or(self.start);
        self
    }

    /// The cell as a run file stores it.
    pub fn stored(&self) -> SearchedCell {
        SearchedCell { cell: self.cell.stored.clone(), start: self.start }
    }

    /// The cell, without a rate.
    pub fn cell(&self) -> &Cell {
        &self.cell
    }

    /// Whether a limit of the host forbids it.
    pub fn is_refused(&self) -> bool {
        matches!(self.cell.stored.absent, Some(Absent::Refused(_)))
    }

    /// The cell at a rate. Its trials measure for as long as the scenario says, or until the limits
    /// have their samples and an overload would show.
    pub fn at(&self, rate: f64) -> Cell {
        let mut cell = self.cell.clone();
        cell.trial.loads.iter_mut().for_each(|load| set_rate(&mut load.kind, rate));
        cell.stored.loads.iter_mut().for_each(|load| set_rate(&mut load.kind, rate));
        let usual = cell.trial.duration;
        let needed = Duration::try_from_secs_f64(SPARE * self.samples / rate)
            .unwrap_or(LONGEST)
            .min(LONGEST);
        let longer = needed.saturating_sub(usual);
        cell.trial.duration = total([usual, longer]);
        cell.trial.timeout = total([cell.trial.timeout, longer]);
        cell.estimate.trial = total([cell.estimate.trial, longer]);
        cell.stored.params.push(Param { name: self.param.clone(), value: Rate(rate).to_string() });
        cell.stored.name =
            cell::cell_name(&cell.stored.scenario, &cell.stored.executor, &cell.stored.params);
        cell.stored.rounds = 1;
        cell.trial.cell.clone_from(&cell.stored.name);
        cell
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        limits::Limits,
        plan::{Machine, Plan},
        scenario::{Comparison, Overrides, from_text},
    };

    fn cells(load: &str, sweep: &str) -> Vec<Cell> {
        let text = format!(
            "schema = 1\nname = 'x'\n[run]\nduration = '1s'\n{sweep}\n[tasks.nap]\nsteps = [{{ sleep = {{ time = \
             '1ms' }} }}]\n[load.l]\ntask = 'nap'\n{load}\n[executors]\nuse = ['threads', 'tokio']\n"
        );
        let is_timed = !load.starts_with("batch") && !load.contains("stages");
        let text = if is_timed { text } else { text.replace("duration = '1s'\n", "") };
        let scenario = from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap();
        let machine = Machine {
            cpus: vec![0],
            executor_cpus: None,
            target_cpus: None,
            limits: Limits::default(),
        };
        Plan::new(&[scenario], &machine, 1, |_| true).cells
    }

    fn names(cells: &[Cell]) -> Vec<(String, f64)> {
        let found = searches(cells, None, 0.5, |_| &[]).unwrap();
        found.iter().map(|one| (one.cell.stored.name.clone(), one.start)).collect()
    }

    #[test]
    fn cells_that_differ_in_their_rate_alone_are_one_search() {
        let one = cells("open = { rate = '2k/s' }", "");
        assert_eq!(names(&one), [("x::threads".into(), 2_000.0), ("x::tokio".into(), 2_000.0)]);
        let swept =
            cells("open = { rate = '${rate}' }", "[sweep]\nrate = ['2k/s', '500/s', '8k/s']");
        assert_eq!(names(&swept), [("x::threads".into(), 500.0), ("x::tokio".into(), 500.0)]);
        let both = cells(
            "open = { rate = '${r}', max_in_flight = '${rate}' }",
            "[sweep]\nr = ['2k/s', '500/s']\nrate = [8, 64]",
        );
        let found = searches(&both, Some(9.0), 0.5, |_| &[]).unwrap();
        let named: Vec<String> = found.iter().map(|one| one.at(70.0).stored.name).collect();
        assert_eq!(named[0], "x::threads::rate=8,offered-rate=70/s");
        assert_eq!((named.len(), found[0].start), (4, 9.0));
    }

    #[test]
    fn a_cell_at_a_rate_says_it_everywhere_and_measures_long_enough() {
        let found = searches(&cells("open = { rate = '2k/s' }", ""), None, 0.5, |_| &[]).unwrap();
        let fast = found[1].at(1_230.0);
        assert_eq!(fast.stored.name, "x::tokio::rate=1.23k/s");
        assert_eq!(fast.trial.cell, fast.stored.name);
        for kind in [&fast.trial.loads[0].kind, &fast.stored.loads[0].kind] {
            assert!(
                matches!(kind, LoadKind::Open { rate, .. } if rate.total_cmp(&1_230.0).is_eq())
            );
        }
        let p99 = Slo {
            assert: "nap.latency.p99 < 1s".into(),
            subject: "nap".into(),
            metric: SloMetric::Latency(0.99),
            comparison: Comparison::Below,
            limit: 1e9,
            only: Vec::new(),
            line: 0,
        };
        let limits = [p99];
        let found =
            searches(&cells("open = { rate = '2k/s' }", ""), None, 0.5, |_| &limits).unwrap();
        let length = |rate| (found[0].at(rate).trial.duration, found[0].at(rate).trial.timeout);
        let usual = length(2_000.0);
        assert_eq!(usual.0, Duration::from_secs(1));
        let (duration, timeout) = length(100.0);
        assert!(
            (duration.as_secs_f64() - 11.0).abs() < 1e-6 && timeout + usual.0 == duration + usual.1,
            "{duration:?}"
        );
        assert_eq!(length(0.1).0, LONGEST);
        // At 5 % 220 arrivals miss the eleven that make an overload.
        let precise =
            searches(&cells("open = { rate = '2k/s' }", ""), None, 0.05, |_| &[]).unwrap();
        assert!((precise[0].at(100.0).trial.duration.as_secs_f64() - 2.42).abs() < 1e-6);
    }

    #[test]
    fn other_loads_have_no_rate_to_find() {
        for (load, said) in [
            ("batch = { tasks = 1 }", "is `batch`: give it one"),
            ("closed = { concurrency = 1 }", "is `closed`"),
            ("open = { rate = '1/s', stages = [{ rate = '1/s', for = '1s' }] }", "remove them"),
        ] {
            let all = cells(load, "");
            let NotSearchable { scenario, reason } =
                searches(&all, None, 0.5, |_| &[]).unwrap_err();
            assert!(scenario == "x" && reason.contains(said), "{reason}");
        }
    }
}
