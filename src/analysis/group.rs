//! Groups: the cells that are compared with each other, because only their executors differ.

use super::{CellGroup, CellResult, CellStatus, MetricId, Ratio, Validity, cell};
use crate::{
    scenario::{LoadKind, Param},
    store::{Lane, Rounds, Row, Run, StoredCell, StoredScenario},
};

/// The lanes of a scenario's cells, in planned order; one at least.
pub(super) fn lanes(run: &Run, scenario: &str) -> Vec<Lane> {
    let mut lanes = Vec::new();
    for cell in run.header.cells.iter().filter(|cell| cell.scenario == scenario) {
        if !lanes.contains(&cell.lane) {
            lanes.push(cell.lane);
        }
    }
    if lanes.is_empty() { vec![Lane::default()] } else { lanes }
}

/// A lane, where a run has something to say of lanes: a cell of the idiomatic one.
pub(super) fn told(run: &Run, lane: Lane) -> Option<Lane> {
    let searched =
        run.header.search.iter().flat_map(|search| &search.cells).map(|searched| &searched.cell);
    let mut cells = run.header.cells.iter().chain(searched);
    cells.any(|cell| cell.lane == Lane::Idiomatic).then_some(lane)
}

/// The names of a scenario's loads, in planned order; none where each cell has but one.
pub(super) fn loads(run: &Run, scenario: &str) -> Vec<Option<String>> {
    let mut loads = Vec::new();
    let cells = run.header.cells.iter().filter(|cell| cell.scenario == scenario);
    for row in cells.flat_map(StoredCell::rows) {
        let name = row.load_name().map(str::to_owned);
        if !loads.contains(&name) {
            loads.push(name);
        }
    }
    if loads.is_empty() { vec![None] } else { loads }
}

/// What no ranking, mean, crossing or law is over more than one of.
#[derive(Debug, Clone, Copy)]
pub(super) struct ComparablePart<'a> {
    pub scenario: &'a StoredScenario,
    pub lane: Lane,
    /// The load's name; none where each cell has but one.
    pub load: Option<&'a str>,
}

impl<'a> ComparablePart<'a> {
    fn rows(self, run: &'a Run) -> impl Iterator<Item = Row<'a>> {
        let cells = run.header.cells.iter();
        let cells = cells.filter(move |cell| cell.scenario == self.scenario.name);
        let rows = cells.filter(move |cell| cell.lane == self.lane).flat_map(StoredCell::rows);
        rows.filter(move |row| row.load_name() == self.load)
    }

    /// Its groups, in planned order, with every cell's ratio to the baseline in the primary metric.
    pub fn groups(self, rounds: &Rounds<'_>) -> Vec<CellGroup> {
        let rows: Vec<Row<'_>> = self.rows(rounds.run).collect();
        let mut combinations: Vec<&[Param]> = Vec::new();
        for row in &rows {
            if !combinations.contains(&row.cell.params.as_slice()) {
                combinations.push(&row.cell.params);
            }
        }
        let of = |params| rows.iter().copied().filter(|row| row.cell.params == params).collect();
        let groups =
            combinations.into_iter().map(|params| group(rounds, self.scenario, of(params)));
        let mut groups: Vec<CellGroup> = groups.collect();
        let metric = primary(&groups);
        for group in &mut groups {
            group.relate(&self.scenario.baseline, metric);
        }
        groups
    }
}

/// The metric that ratios, leads and claims without a metric of their own are of. The throughput of
/// an open load is what its schedule offers, whoever runs it: it is raced by its latency.
pub(super) fn primary(groups: &[CellGroup]) -> MetricId {
    match groups.iter().find_map(|group| group.load.as_ref()) {
        Some(LoadKind::Batch { .. }) => MetricId::Makespan,
        Some(LoadKind::Open { .. }) => telling_latency(groups),
        Some(LoadKind::Closed { .. }) | None => MetricId::Throughput,
    }
}

/// p99 where each round of every ranked cell has samples enough for it, else p50.
fn telling_latency(groups: &[CellGroup]) -> MetricId {
    let ranked = groups.iter().flat_map(|group| &group.cells).filter(|cell| cell.is_ranked());
    let rounds =
        |cell: &CellResult, id| cell.metrics.get(&id).map_or(0, |value| value.rounds.len());
    let enough = |cell: &CellResult| {
        rounds(cell, MetricId::LatencyP99) == rounds(cell, MetricId::LatencyP50)
    };
    if ranked.clone().all(enough)
        && ranked.clone().any(|cell| rounds(cell, MetricId::LatencyP99) > 0)
    {
        MetricId::LatencyP99
    } else {
        MetricId::LatencyP50
    }
}

fn group(rounds: &Rounds<'_>, scenario: &StoredScenario, mut planned: Vec<Row<'_>>) -> CellGroup {
    let run = rounds.run;
    let place =
        |row: &Row<'_>| scenario.executors.iter().position(|name| *name == row.cell.executor);
    planned.sort_by_key(|row| place(row).unwrap_or(usize::MAX));
    let first = planned.first();
    CellGroup {
        params: first.map(|row| row.cell.params.clone()).unwrap_or_default(),
        lane: first.and_then(|row| told(run, row.cell.lane)),
        load_name: first.and_then(|row| row.load_name().map(str::to_owned)),
        load: first.map(|row| row.load.kind.clone()),
        executor_cpus: first.map_or(0, |row| executor_cpus(run, row.cell)),
        cells: planned.into_iter().map(|row| cell::cell(rounds, row)).collect(),
    }
}

/// A cell that is not placed may use every CPU of the process.
fn executor_cpus(run: &Run, cell: &StoredCell) -> usize {
    if cell.executor_cpus.is_empty() { run.header.cpus.len() } else { cell.executor_cpus.len() }
}

impl CellGroup {
    /// The cell of an executor, by its name.
    pub fn cell(&self, executor: &str) -> Option<&CellResult> {
        self.cells.iter().find(|cell| cell.executor == executor)
    }

    /// Sets every cell beside the baseline.
    fn relate(&mut self, baseline: &str, metric: MetricId) {
        let ratios: Vec<_> =
            self.cells.iter().map(|cell| self.ratio(cell, baseline, metric)).collect();
        for (cell, ratio) in self.cells.iter_mut().zip(ratios) {
            cell.ratio = ratio;
        }
    }

    /// The ratio of a cell to an executor's cell of the same group.
    fn ratio(&self, cell: &CellResult, executor: &str, metric: MetricId) -> Option<Ratio> {
        let reference = self.cell(executor)?;
        if reference.name == cell.name {
            return Some(Ratio::baseline(cell.metrics.get(&metric)?.rounds.len()))
                .filter(|_| cell.is_ranked());
        }
        cell.ratio_to(reference, metric)
    }
}

impl CellResult {
    /// How many times as good this cell is as another, in one metric, over the rounds in which both
    /// are valid; none where there is no such round, or where one of the cells is not ranked.
    pub fn ratio_to(&self, other: &Self, metric: MetricId) -> Option<Ratio> {
        if !self.is_ranked() || !other.is_ranked() {
            return None;
        }
        Ratio::between(metric.info(), self.metrics.get(&metric)?, other.metrics.get(&metric)?)
    }

    /// Whether it takes part in rankings: it has figures, and they are valid.
    pub fn is_ranked(&self) -> bool {
        self.has_figures() && self.judgement.validity == Validity::Valid
    }

    /// Whether it has figures.
    pub fn has_figures(&self) -> bool {
        matches!(self.status, CellStatus::Complete | CellStatus::Partial(_))
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        analysis::{Analysis, CellStatus, Leader, MetricId, RatioVerdict, analyse, findings},
        scenario::LoadKind,
        store::{
            Absent,
            fixture::{Fixture, kind},
        },
    };

    const SLOW: [f64; 6] = [8e6, 8.8e6, 8e6, 9e6, 8e6, 8.4e6];
    const FAST: [f64; 6] = [2e6, 2e6, 2e6, 2e6, 2e6, 2e6];

    fn swept() -> Analysis {
        let (one, many) = ([("concurrency", "1")], [("concurrency", "64")]);
        let fixture = Fixture::batch("threads", 6)
            .cell("threads", &many, &SLOW)
            .cell("threads", &one, &FAST)
            .cell("thread-pool", &one, &FAST)
            .cell("thread-pool", &many, &FAST)
            .absent("sequential", &one, Absent::NotApplicable("one at a time".into()))
            .with(|run| run.header.scenarios[0].executors.rotate_right(1));
        analyse(&fixture.build())
    }

    #[test]
    fn cells_are_grouped_by_parameters_in_planned_order() {
        let analysis = swept();
        let groups = &analysis.scenarios[0].groups;
        let values: Vec<&str> = groups.iter().map(|group| group.params[0].value.as_str()).collect();
        assert_eq!(values, ["64", "1"]);
        let executors: Vec<&str> =
            groups[1].cells.iter().map(|cell| cell.executor.as_str()).collect();
        assert_eq!(executors, ["sequential", "threads", "thread-pool"]);
        let batch = LoadKind::Batch { tasks: 100, repeat: None };
        assert_eq!((groups[0].load.as_ref(), groups[0].executor_cpus), (Some(&batch), 1));
    }

    #[test]
    fn ratios_are_against_the_baseline_of_the_same_group() {
        let analysis = swept();
        let many = &analysis.scenarios[0].groups[0];
        let ratio =
            many.cell("thread-pool").and_then(|cell| cell.ratio.as_ref()).expect("both measured");
        let (low, high) = ratio.interval.expect("six rounds");
        assert!((low - 4.0).abs() < 1e-12 && (high - 4.5).abs() < 1e-12, "{low} to {high}");
        assert_eq!(ratio.verdict, RatioVerdict::Faster);
        let baseline =
            many.cell("threads").and_then(|cell| cell.ratio.as_ref()).expect("is the baseline");
        assert_eq!(
            (baseline.verdict, baseline.estimate, baseline.rounds),
            (RatioVerdict::Baseline, 1.0, 6)
        );
        let one = &analysis.scenarios[0].groups[1];
        let ratio =
            one.cell("thread-pool").and_then(|cell| cell.ratio.as_ref()).expect("both measured");
        assert_eq!(ratio.verdict, RatioVerdict::NoDifference);
        assert_eq!(one.cell("sequential").expect("planned").ratio, None);
    }

    #[test]
    fn closed_loads_compare_throughput() {
        let fixture = Fixture::closed("threads", 6).cell("threads", &[], &[100.0; 6]).cell(
            "tokio",
            &[],
            &[300.0; 6],
        );
        let analysis = analyse(&fixture.build());
        assert_eq!(analysis.scenarios[0].primary, MetricId::Throughput);
        let ratio = analysis.scenarios[0].groups[0].cells[1].ratio.clone().expect("both measured");
        assert!((ratio.estimate - 3.0).abs() < 1e-12);
        assert_eq!(ratio.verdict, RatioVerdict::Faster);
    }

    /// Both do what the schedule says; the second one waits for less.
    #[test]
    fn open_loads_compare_latency_and_the_lower_one_is_ahead() {
        let fixture = |rate: f64| {
            let load = |run: &mut crate::store::Run| {
                run.header.cells.iter_mut().for_each(|cell| cell.loads[0].kind = kind("open"));
            };
            let latencies = |by: u64| {
                move |_, measured: &mut crate::measure::Measurements| {
                    let stream = &mut measured.task;
                    stream.latency = crate::measure::Histo::new();
                    stream.latency.0.saturating_record_n(by, stream.count);
                }
            };
            let fixture = Fixture::closed("threads", 6).cell("threads", &[], &[rate; 6]).cell(
                "tokio",
                &[],
                &[rate; 6],
            );
            let fixture = fixture.measured("demo::threads", latencies(8_000_000));
            analyse(&fixture.measured("demo::tokio", latencies(2_000_000)).with(load).build())
        };
        let often = fixture(1_000.0);
        assert_eq!(often.scenarios[0].primary, MetricId::LatencyP99);
        let group = &often.scenarios[0].groups[0];
        let ratio = group.cells[1].ratio.clone().expect("both measured");
        assert!(
            (ratio.estimate - 4.0).abs() < 0.01 && ratio.verdict == RatioVerdict::Faster,
            "{ratio:?}"
        );
        assert!(
            matches!(group.leader(often.scenarios[0].primary), Leader::Winner(cell) if cell.label == "tokio")
        );
        let said = findings(&often);
        let lead = "tokio has the lowest p99 latency, by a factor of 4.00 against threads";
        assert_eq!(
            said.iter().filter(|sentence| sentence.starts_with(lead)).count(),
            1,
            "{said:?}"
        );
        assert!(said.iter().all(|sentence| !sentence.contains("throughput")), "{said:?}");
        // 400 tasks a round have a p50 and no p99.
        let seldom = fixture(20.0);
        assert_eq!(seldom.scenarios[0].primary, MetricId::LatencyP50);
        assert!(
            findings(&seldom)
                .iter()
                .any(|sentence| sentence.starts_with("tokio has the lowest p50 latency"))
        );
    }

    #[test]
    fn without_the_baseline_there_is_no_ratio() {
        let fixture =
            Fixture::batch("threads", 6).cell("threads", &[], &[]).cell("tokio", &[], &FAST);
        let analysis = analyse(&fixture.build());
        let group = &analysis.scenarios[0].groups[0];
        assert_eq!((&group.cells[0].status, &group.cells[0].ratio), (&CellStatus::Pending, &None));
        assert_eq!(group.cells[1].ratio, None);
    }

    #[test]
    fn a_cell_without_placement_may_use_every_cpu() {
        let fixture = Fixture::batch("threads", 1).cell("threads", &[], &[1e6]);
        let run = fixture.with(|run| run.header.cells[0].executor_cpus.clear()).build();
        assert_eq!(analyse(&run).scenarios[0].groups[0].executor_cpus, 2);
    }
}
