//! A synthetic run for tests: deterministic, with every state a cell can have and with hostile
//! names.

mod open;
mod search;

use std::collections::BTreeMap;

pub use self::{
    open::{open, with_open},
    search::searched,
};
use crate::{
    analysis::*,
    draw::{draw, unit},
    measure::{Delay, Histo},
    runtime::{EXECUTORS, ExecutorInfo},
    scenario::{Claim, Comparison, Direction, LoadKind, Param, Slo, SloMetric},
    store::{Absent, Header, StoredCell, StoredLoad, StoredScenario, fixture::clients},
};

/// The executors of the fixture, whose figures stand below.
pub(super) fn executors() -> impl Iterator<Item = &'static ExecutorInfo> {
    EXECUTORS.iter().filter(|info| !["rayon", "compio"].contains(&info.name))
}

const ROUNDS: u32 = 7;
const SWEEP: [u64; 7] = [1, 4, 16, 64, 256, 1024, 4096];
/// A string that must never reach a page as markup.
pub const HOSTILE: &str = "<script>alert(1)</script> & \"x\" | 'y', =1+1";

/// The run's header.
pub fn header() -> Header {
    header_of(&analysis())
}

/// The header of a run with these figures.
pub fn header_of(analysis: &Analysis) -> Header {
    Header {
        regatta_run: 1,
        run: "2026-11-21T10-02-11Z-http-fanout".into(),
        started_ms: 1_795_255_331_000,
        command: ["regatta", "run", "scenarios/http-fanout.toml", HOSTILE]
            .map(String::from)
            .to_vec(),
        seed: 42,
        quick: false,
        rounds: ROUNDS,
        environment: [
            ("CPU", "AMD EPYC 7B13"),
            ("CPUs", "2"),
            ("kernel", "Linux 6.8.0-45-generic"),
            ("hypervisor", "KVM"),
            ("governor", "performance"),
            ("rustc", "1.90.0"),
            ("profile", "release"),
            ("tokio", "1.54.0"),
            ("hostile", HOSTILE),
        ]
        .map(|(k, v)| (k.into(), v.into()))
        .to_vec(),
        cpus: vec![0, 1],
        scenarios: analysis.scenarios.iter().map(stored_scenario).collect(),
        cells: analysis.scenarios.iter().flat_map(stored_cells).collect(),
        warnings: vec!["turbo is on: frequencies vary (regatta doctor)".into()],
        checks: Vec::new(),
        calibration: std::collections::BTreeMap::new(),
        clock_ns: 25.0,
        search: None,
    }
}

fn stored_scenario(scenario: &ScenarioResult) -> StoredScenario {
    StoredScenario {
        name: scenario.name.clone(),
        path: format!("scenarios/{}.toml", scenario.name),
        question: scenario.question.clone(),
        text: format!("schema = 1\nname = \"{}\"\n# </pre>{HOSTILE}\n", scenario.name),
        baseline: "thread-pool".into(),
        executors: executors().map(|e| e.name.to_string()).collect(),
        claims: scenario.claims.iter().map(|c| c.claim.clone()).collect(),
        slos: scenario.slos.first().map(|s| s.slo.clone()).into_iter().collect(),
    }
}

fn stored_cells(scenario: &ScenarioResult) -> Vec<StoredCell> {
    let cells = scenario.groups.iter().flat_map(|g| g.cells.iter().map(move |c| (g, c)));
    cells.map(|(group, cell)| stored_cell(scenario, group, cell)).collect()
}

fn stored_cell(scenario: &ScenarioResult, group: &CellGroup, cell: &CellResult) -> StoredCell {
    let absent = match &cell.status {
        CellStatus::NotApplicable(why) => Some(Absent::NotApplicable(why.clone())),
        CellStatus::Refused(why) => Some(Absent::Refused(why.clone())),
        _ => None,
    };
    StoredCell {
        lane: crate::store::Lane::default(),
        name: cell.name.clone(),
        scenario: scenario.name.clone(),
        executor: cell.executor.clone(),
        label: cell.label.clone(),
        program: None,
        files: Vec::new(),
        params: group.params.clone(),
        loads: vec![StoredLoad {
            name: "requests".into(),
            task: "request".into(),
            kind: group.load.clone().expect("a group has a load"),
            slots: cell.slots,
            least_task_ns: 2_000_000,
        }],
        workers: 1,
        working_cpus: 1,
        executor_cpus: vec![0],
        target_cpus: vec![1],
        rounds: ROUNDS,
        absent,
    }
}

/// The run's figures: a closed load swept over seven concurrencies, and a batch with claims.
pub fn analysis() -> Analysis {
    let trials = TrialCounts { planned: 378, measured: 368, failed: 8, failed_before: 0 };
    Analysis { scenarios: vec![fanout(), headline()], trials, search: None }
}

fn fanout() -> ScenarioResult {
    let groups: Vec<CellGroup> = SWEEP.iter().map(|&n| fanout_group(n)).collect();
    let slo = Slo {
        assert: "request.latency.p99 < 25ms".into(),
        subject: "request".into(),
        metric: SloMetric::Latency(0.99),
        comparison: Comparison::Below,
        limit: 25e6,
        only: vec![],
        line: 31,
    };
    let slos = groups.iter().flat_map(|g| &g.cells).map(|cell| slo_result(&slo, cell)).collect();
    ScenarioResult {
        name: "http-fanout".into(),
        question: format!(
            "Which executor keeps p99 flat when one request becomes N sub-requests? {HOSTILE}"
        ),
        baseline: "thread-pool(64)".into(),
        primary: MetricId::Throughput,
        sweeps: sweeps(&groups, MetricId::Throughput),
        means: means(&groups, "thread-pool", MetricId::Throughput),
        groups,
        claims: vec![],
        slos,
    }
}

fn slo_result(slo: &Slo, cell: &CellResult) -> SloResult {
    let measured = cell.latency.quantile(0.99).map(|ns| ns as f64);
    let holds = measured.map(|ns| ns < slo.limit);
    let unjudged = holds.is_none().then_some(Unjudged::Samples);
    SloResult {
        slo: slo.clone(),
        cell: cell.name.clone(),
        measured,
        is_bound: false,
        holds,
        unjudged,
    }
}

fn fanout_group(concurrency: u64) -> CellGroup {
    let n = concurrency as f64;
    let cells = executors().enumerate().map(|(index, info)| {
        // Peak rate, contention and coherence of the Universal Scalability Law for each executor.
        let (rate, contention, coherence) = [
            (400.0, 1.0, 0.0),
            (380.0, 0.02, 2e-5),
            (390.0, 0.021, 4e-7),
            (395.0, 0.0151, 3e-8),
            (398.0, 0.0150, 3e-8),
            (360.0, 0.018, 2e-7),
            (392.0, 0.0155, 1e-7),
        ][index];
        let throughput = rate * n / (1.0 + contention * (n - 1.0) + coherence * n * (n - 1.0));
        let params = vec![Param { name: "concurrency".into(), value: concurrency.to_string() }];
        let seed = Seed { scenario: "http-fanout", index, salt: concurrency, params: &params };
        let mut cell = seed.cell(info.name, MetricId::Throughput, throughput);
        seed.disturb(&mut cell, concurrency);
        cell
    });
    let mut cells: Vec<CellResult> = cells.collect();
    relate(&mut cells, MetricId::Throughput);
    CellGroup {
        params: vec![Param { name: "concurrency".into(), value: concurrency.to_string() }],
        lane: None,
        load_name: None,
        load: Some(clients(concurrency)),
        executor_cpus: 1,
        cells,
    }
}

fn headline() -> ScenarioResult {
    let makespans = [10.03e9, 0.138e9, 0.161e9, 0.1152e9, 0.1149e9, 0.1213e9, 0.1155e9];
    let name = "hundred-calls";
    let mut cells: Vec<CellResult> = executors()
        .zip(makespans)
        .enumerate()
        .map(|(index, (info, ns))| {
            Seed { scenario: name, index, salt: 5, params: &[] }.cell(
                info.name,
                MetricId::Makespan,
                ns,
            )
        })
        .collect();
    cells[5].label = format!("async-std{HOSTILE}");
    cells[5].executor = HOSTILE.into();
    relate(&mut cells, MetricId::Makespan);
    let claims = [
        (3, 50.0, ClaimVerdict::Disagrees),
        (1, 1.2, ClaimVerdict::Agrees),
        (6, 1.4, ClaimVerdict::Inconclusive),
    ]
    .map(|(index, factor, verdict)| claim(&cells[index], factor, verdict));
    let batch = LoadKind::Batch { tasks: 100, repeat: None };
    let group = CellGroup {
        params: vec![],
        lane: None,
        load_name: None,
        load: Some(batch),
        executor_cpus: 1,
        cells,
    };
    ScenarioResult {
        name: name.into(),
        question: "Are 100 calls of 100 ms a hundred times as fast when they overlap?".into(),
        baseline: "thread-pool(64)".into(),
        primary: MetricId::Makespan,
        groups: vec![group],
        sweeps: vec![],
        means: vec![],
        claims: claims.to_vec(),
        slos: vec![],
    }
}

fn claim(cell: &CellResult, factor: f64, verdict: ClaimVerdict) -> ClaimResult {
    ClaimResult {
        claim: Claim {
            text: format!("async is {factor} times as fast {HOSTILE}"),
            executor: Some(cell.executor.clone()),
            against: Some("thread-pool".into()),
            metric: None,
            load: None,
            only: vec![],
            against_only: vec![],
            factor,
            tolerance: 0.25,
            direction: Direction::About,
        },
        metric: MetricId::Makespan,
        executor: cell.label.clone(),
        params: vec![],
        against: "thread-pool".into(),
        lacking: None,
        measured: cell.ratio.clone(),
        verdict,
    }
}

/// What makes a cell's figures.
struct Seed<'a> {
    scenario: &'a str,
    index: usize,
    salt: u64,
    params: &'a [Param],
}

/// One executor's are told in full, so that every output has some.
fn errors(executor: &str) -> Errors {
    if executor != "smol" {
        return Errors::default();
    }
    let by_name = [("constraint".to_owned(), 9), ("lost".to_owned(), 4)].into();
    Errors { tasks: 140_000, failed_tasks: 12, steps: Vec::new(), by_name }
}

impl Seed<'_> {
    fn noise(&self, step: u64) -> f64 {
        unit(draw(self.salt, self.index as u64, step)) - 0.5
    }

    fn cell(&self, executor: &str, primary: MetricId, value: f64) -> CellResult {
        let words: Vec<String> = self.params.iter().map(|p| format!("::{p}")).collect();
        let label = if executor == "thread-pool" { "thread-pool(64)" } else { executor };
        let typical =
            if primary == MetricId::Makespan { 100e6 } else { self.salt as f64 / value * 1e9 };
        let latency = self.histogram(typical, 20_000);
        let cost =
            0.03 + 0.02 * self.index as f64 / (1.0 + self.index as f64) + 0.004 * self.noise(77);
        let metrics = [
            (primary, value, 0.02),
            (MetricId::LatencyP99, typical * (1.7 + 0.1 * self.index as f64), 0.05),
            (MetricId::CpuPerThousand, cost, 0.01),
            (MetricId::CpuUser, cost * 6e5, 0.01),
            (MetricId::CpuSystem, cost * 4e5, 0.01),
            (MetricId::Switches, [0.2, 6.1, 2.3, 0.8, 0.3, 1.4, 0.9][self.index], 0.05),
            (
                MetricId::PeakMemory,
                9e6 + self.salt as f64 * [1.0, 9e3, 4e3, 600.0, 600.0, 700.0, 650.0][self.index],
                0.01,
            ),
            (
                MetricId::MemoryPerSlot,
                [3e3, 9e3, 7e3, 620.0, 600.0, 740.0, 655.0][self.index],
                0.01,
            ),
            (
                MetricId::Threads,
                [1.0, self.salt as f64 + 1.0, 65.0, 2.0, 1.0, 3.0, 2.0][self.index],
                0.0,
            ),
        ];
        let metrics = metrics
            .iter()
            .enumerate()
            .map(|(i, &(id, v, spread))| (id, self.value(v, spread, i as u64)));
        CellResult {
            name: format!("{}::{executor}{}", self.scenario, words.concat()),
            cell: format!("{}::{executor}{}", self.scenario, words.concat()),
            executor: executor.into(),
            label: label.into(),
            status: CellStatus::Complete,
            slots: self.salt,
            metrics: metrics.collect(),
            ratio: None,
            service: latency.clone(),
            lateness: Histo::new(),
            delay: self.delay(typical),
            latency,
            judgement: Judgement::default(),
            steadiness: None,
            slices: Vec::new(),
            arrivals: None,
            window_ns: 35_000_000_000,
            counts: Counts { completed: 140_000, errors: 12, timeouts: 3, censored: 0 },
            errors: errors(executor),
            steps: self.steps(typical),
            failures: vec![],
            least_makespan_ns: (primary == MetricId::Makespan).then_some(100_000_000),
            facts: self.facts(executor),
            shared_cpu_ns: None,
            target_busy: Some(0.41),
        }
    }

    /// Of the batch's cells only, so that there are scenarios with a probe and without one.
    fn delay(&self, typical: f64) -> Option<Delay> {
        let reason = || "one task runs after another, and nothing beside them".to_owned();
        (self.scenario == "hundred-calls").then(|| match self.index {
            0 => Delay::NotApplicable(reason()),
            _ => Delay::Measured(self.histogram(typical / 50.0, 7_000)),
        })
    }

    fn facts(&self, executor: &str) -> BTreeMap<String, String> {
        let threads = if self.index == 1 { "one per task" } else { "1" };
        let facts = [
            ("allocator", "system"),
            ("nodelay", "true"),
            ("stack", "2MiB"),
            ("threads", threads),
            ("executor", executor),
        ];
        facts.map(|(k, v)| (k.to_string(), v.to_string())).into_iter().collect()
    }

    fn value(&self, value: f64, spread: f64, step: u64) -> MetricValue {
        let rounds: Vec<(u32, f64)> = (1..=ROUNDS)
            .map(|r| (r, value * (1.0 + spread * self.noise(step * 100 + u64::from(r)))))
            .collect();
        let mut sorted: Vec<f64> = rounds.iter().map(|r| r.1).collect();
        sorted.sort_by(f64::total_cmp);
        let interval = Some((sorted[0], sorted[sorted.len() - 1]));
        MetricValue { median: sorted[sorted.len() / 2], interval, rounds }
    }

    /// A right-skewed histogram around a typical value.
    fn histogram(&self, typical: f64, samples: u64) -> Histo {
        let mut histo = Histo::new();
        for i in 0..samples / 10 {
            let u = unit(draw(self.salt, self.index as u64 + 100, i));
            let tail = 1.0 + 0.2 * -(1.0 - u).ln() * (1.0 + 0.2 * self.index as f64);
            histo.0.record_n((typical * 0.8 * tail).max(1.0) as u64, 10).expect("within bounds");
        }
        histo
    }

    fn steps(&self, typical: f64) -> Vec<StepResult> {
        let steps = [
            ("fan_out", true, 0.6),
            (HOSTILE, true, 0.1),
            ("hash", true, 0.2),
            ("call", false, 0.5),
        ];
        let step = |(name, top_level, share): (&str, bool, f64)| StepResult {
            name: name.into(),
            top_level,
            counts: Counts { completed: 2000, errors: 0, timeouts: 0, censored: 0 },
            latency: self.histogram(typical * share, 2000),
        };
        steps.map(step).to_vec()
    }

    /// Gives some cells of the sweep the other states.
    fn disturb(&self, cell: &mut CellResult, concurrency: u64) {
        let status = match (self.index, concurrency) {
            (0, 2..) => {
                CellStatus::NotApplicable("one thread cannot hold more than one client".into())
            }
            (1, 4096) => CellStatus::Refused(
                "4097 threads are above pids.max = 4096: raise it, or lower concurrency".into(),
            ),
            (5, 1024) => CellStatus::Failed("7 of 7 trials crashed".into()),
            (6, 4096) => CellStatus::Partial("5 of 7 rounds".into()),
            (5, 4096) => CellStatus::Pending,
            _ => return,
        };
        if let CellStatus::Failed(_) = status {
            cell.failures =
                vec![(format!("signal 11 {HOSTILE}"), 6), ("timed out after 60s".into(), 1)];
        }
        if let CellStatus::Partial(_) = status {
            cell.failures = vec![("wrong result: 999 of 1000 tasks".into(), 2)];
            cell.metrics.values_mut().for_each(|v| {
                v.rounds.truncate(5);
                v.interval = None;
            });
        } else {
            cell.metrics.clear();
            cell.latency = Histo::new();
            cell.service = Histo::new();
            cell.steps.clear();
            cell.counts = Counts::default();
        }
        cell.status = status;
    }
}

/// Fills in the ratios to the thread pool.
fn relate(cells: &mut [CellResult], primary: MetricId) {
    let Some(base) = cells[2].metrics.get(&primary).map(|m| m.median) else { return };
    for (index, cell) in cells.iter_mut().enumerate() {
        let Some(value) = cell.metrics.get(&primary) else { continue };
        let estimate =
            if primary == MetricId::Throughput { value.median / base } else { base / value.median };
        let interval = (value.rounds.len() >= 6).then_some((estimate * 0.985, estimate * 1.015));
        let verdict = match interval {
            _ if index == 2 => RatioVerdict::Baseline,
            None => RatioVerdict::NoInterval,
            Some((low, _)) if low > 1.0 => RatioVerdict::Faster,
            Some((_, high)) if high < 1.0 => RatioVerdict::Slower,
            Some(_) => RatioVerdict::NoDifference,
        };
        let interval = if index == 2 { None } else { interval };
        cell.ratio = Some(Ratio {
            estimate,
            interval,
            rounds: value.rounds.len(),
            verdict,
            detectable_percent: Some(2.1),
        });
    }
}

/// A run small enough to be read as a whole: one group with every state, and a batch with claims
/// and a hostile name.
pub fn small() -> Analysis {
    let mut analysis = analysis();
    let sweep = &mut analysis.scenarios[0];
    sweep.groups.retain(|group| group.params[0].value == "4096");
    (sweep.sweeps, sweep.means) = (vec![], vec![]);
    sweep.slos.retain(|slo| slo.cell.ends_with("=4096"));
    let batch = &mut analysis.scenarios[1];
    batch.groups[0].cells.retain(|cell| {
        ["sequential", "thread-pool", "tokio", HOSTILE].contains(&cell.executor.as_str())
    });
    batch.claims.truncate(1);
    analysis
}
