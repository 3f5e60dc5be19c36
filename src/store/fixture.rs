//! Synthetic runs for tests: every figure is given by the test or a pure function of a seed.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Absent, FailureKind, Header, Outcome, Run, StoredCell, StoredLoad, StoredScenario,
    TrialFailure, TrialRecord, VERSION,
};
use crate::{
    draw::{draw, unit},
    measure::{HostDelta, Measurements, NamedStream, Stream, TrialMeasured},
    scenario::{Arrival, Claim, Direction, LoadKind, Overflow, Param, Slo},
    units::Distribution,
};

/// Tasks of every batch, and of every second of a closed load's window.
pub const TASKS: u64 = 100;

/// Clients of closed loads: the mean latency is 1.1 times that of most tasks, and Little's law
/// holds.
pub const CLIENTS: u64 = TASKS * 11 / 10;

/// A run with one scenario, being put together.
#[derive(Debug, Clone)]
#[must_use]
pub struct Fixture {
    run: Run,
    load: &'static str,
    rounds: u32,
}

impl Fixture {
    /// A run of batches of [`TASKS`] tasks; values of cells are makespans in ns.
    pub fn batch(baseline: &str, rounds: u32) -> Self {
        Self::new("batch", baseline, rounds)
    }

    /// A run of closed loads; values of cells are throughputs in tasks per second.
    pub fn closed(baseline: &str, rounds: u32) -> Self {
        Self::new("closed", baseline, rounds)
    }

    fn new(load: &'static str, baseline: &str, rounds: u32) -> Self {
        let scenario = StoredScenario {
            name: "demo".into(),
            path: "demo.toml".into(),
            question: "Which executor is fastest?".into(),
            text: "schema = 1\nname = \"demo\"\n".into(),
            baseline: baseline.into(),
            executors: Vec::new(),
            claims: Vec::new(),
            slos: Vec::new(),
        };
        let run = Run { finished: true, ..Run::new(header(scenario, rounds)) };
        Self { run, load, rounds }
    }

    /// A cell with one value per round, from round 1: makespan in ns or throughput in tasks per
    /// second. Fewer values than rounds leave the last rounds without a trial.
    pub fn cell(mut self, executor: &str, params: &[(&str, &str)], values: &[f64]) -> Self {
        let name = self.plan(executor, params, None);
        for (&value, round) in values.iter().zip(1..) {
            let measured = if self.load == "batch" { batch(value) } else { closed(value) };
            self.record(&name, round, Outcome::Measured(Box::new(measured.into())));
        }
        self
    }

    /// A cell that is not run.
    pub fn absent(mut self, executor: &str, params: &[(&str, &str)], why: Absent) -> Self {
        self.plan(executor, params, Some(why));
        self
    }

    /// Makes a round of a planned cell fail, in place of what it had measured.
    pub fn fail(mut self, cell: &str, round: u32, kind: FailureKind, reason: &str) -> Self {
        self.run.trials.retain(|trial| (trial.cell.as_str(), trial.round) != (cell, round));
        self.record(cell, round, Outcome::Failed(TrialFailure { kind, reason: reason.into() }));
        self
    }

    /// Claims that `executor` is `factor` times as fast as `against`.
    pub fn claim(
        mut self,
        executor: Option<&str>,
        against: &str,
        factor: f64,
        direction: Direction,
    ) -> Self {
        let text =
            format!("{} is {factor}x as fast as {against}", executor.unwrap_or("everything"));
        self.run.header.scenarios[0].claims.push(Claim {
            text,
            executor: executor.map(str::to_owned),
            against: Some(against.into()),
            metric: None,
            load: None,
            only: Vec::new(),
            against_only: Vec::new(),
            factor,
            tolerance: 0.25,
            direction,
        });
        self
    }

    /// Adds an SLO.
    pub fn slo(mut self, slo: Slo) -> Self {
        self.run.header.scenarios[0].slos.push(slo);
        self
    }

    /// Changes the run in a way that has no method of its own.
    pub fn with(mut self, change: impl FnOnce(&mut Run)) -> Self {
        change(&mut self.run);
        self
    }

    /// Gives every cell a load of its own. Latencies are those that Little's law gives its clients.
    pub fn loads(mut self, kind: impl Fn(&StoredCell) -> LoadKind) -> Self {
        for at in 0..self.run.header.cells.len() {
            let cell = &mut self.run.header.cells[at];
            let (name, kind) = (cell.name.clone(), kind(cell));
            let clients = kind.clients();
            cell.loads[0].kind = kind;
            if clients > 0 {
                self = self.measured(&name, |_, measured| {
                    let latency_ns =
                        clients * measured.window_ns * 10 / 11 / measured.completed.max(1);
                    measured.task = stream(measured.completed, latency_ns);
                });
            }
        }
        self
    }

    /// Changes what every measured trial of a cell has measured.
    pub fn measured(mut self, cell: &str, mut change: impl FnMut(u32, &mut Measurements)) -> Self {
        for trial in self.run.trials.iter_mut().filter(|trial| trial.cell == cell) {
            if let Outcome::Measured(measured) = &mut trial.outcome {
                for load in &mut measured.loads {
                    change(trial.round, load);
                    measured.trial = load.trial.clone();
                }
            }
        }
        self
    }

    /// The run.
    pub fn build(self) -> Run {
        self.run
    }

    fn plan(&mut self, executor: &str, params: &[(&str, &str)], absent: Option<Absent>) -> String {
        let cell = cell(self.load, executor, params, self.rounds, absent);
        let name = cell.name.clone();
        let known = &mut self.run.header.scenarios[0].executors;
        if !known.iter().any(|other| other == executor) {
            known.push(executor.into());
        }
        self.run.header.cells.push(cell);
        name
    }

    fn record(&mut self, cell: &str, round: u32, outcome: Outcome) {
        let sequence = self.run.trials.len() as u32 + 1;
        self.run.trials.push(TrialRecord {
            cell: cell.into(),
            round,
            sequence,
            attempt: 0,
            started_ms: 1_700_000_000_000 + u64::from(sequence) * 1000,
            wall_ns: 1_000_000_000,
            pid: 1000 + sequence,
            outcome,
        });
    }
}

/// `rounds` values around `middle`, up to `spread` (a share of it) to either side: a pure function
/// of `seed`.
pub fn noisy(middle: f64, spread: f64, rounds: u32, seed: u64) -> Vec<f64> {
    (0..rounds)
        .map(|round| middle * (1.0 + spread * (2.0 * unit(draw(seed, u64::from(round), 0)) - 1.0)))
        .collect()
}

fn header(scenario: StoredScenario, rounds: u32) -> Header {
    Header {
        regatta_run: VERSION,
        run: "2026-01-01-demo".into(),
        started_ms: 1_700_000_000_000,
        command: vec!["regatta".into(), "run".into(), "demo.toml".into()],
        seed: 42,
        quick: false,
        rounds,
        environment: vec![
            ("kernel".into(), "Linux 6.1".into()),
            ("CPU".into(), "Example 9000".into()),
        ],
        cpus: vec![0, 1],
        scenarios: vec![scenario],
        cells: Vec::new(),
        warnings: Vec::new(),
        checks: Vec::new(),
        calibration: BTreeMap::new(),
        clock_ns: 25.0,
        search: None,
    }
}

fn cell(
    load: &str,
    executor: &str,
    params: &[(&str, &str)],
    rounds: u32,
    absent: Option<Absent>,
) -> StoredCell {
    let values: Vec<String> =
        params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let suffix = if values.is_empty() { String::new() } else { format!("::{}", values.join(",")) };
    let pooled = executor == "thread-pool";
    let slots = match executor {
        "sequential" => 1,
        "thread-pool" => 64,
        _ if load == "closed" => CLIENTS,
        _ => TASKS,
    };
    StoredCell {
        lane: super::Lane::default(),
        name: format!("demo::{executor}{suffix}"),
        scenario: "demo".into(),
        executor: executor.into(),
        label: if pooled { "thread-pool(64)".into() } else { executor.into() },
        program: None,
        files: Vec::new(),
        params: params
            .iter()
            .map(|&(name, value)| Param { name: name.into(), value: value.into() })
            .collect(),
        loads: vec![StoredLoad {
            name: "requests".into(),
            task: "request".into(),
            kind: kind(load),
            slots,
            least_task_ns: 1_000_000,
        }],
        workers: 1,
        working_cpus: 1,
        executor_cpus: vec![0],
        target_cpus: vec![1],
        rounds,
        absent,
    }
}

/// A load of [`TASKS`] tasks at once, of [`CLIENTS`] clients, or of 100 arrivals a second.
pub fn kind(load: &str) -> LoadKind {
    match load {
        "batch" => LoadKind::Batch { tasks: TASKS, repeat: None },
        "closed" => clients(CLIENTS),
        _ => LoadKind::Open {
            rate: 100.0,
            arrival: Arrival::Constant,
            max_in_flight: TASKS,
            overflow: Overflow::Drop,
            stages: Vec::new(),
            drain: Duration::from_secs(5),
        },
    }
}

/// A closed load of so many clients, who never pause.
pub fn clients(concurrency: u64) -> LoadKind {
    LoadKind::Closed {
        concurrency,
        stages: Vec::new(),
        think: Distribution::Const(Duration::ZERO),
        tasks: None,
        drain: Duration::from_secs(5),
    }
}

fn batch(makespan_ns: f64) -> Measurements {
    let makespan = makespan_ns as u64;
    Measurements { makespans_ns: vec![makespan], ..measurements(TASKS, makespan, makespan / 2) }
}

/// A window of 20 s, so that rates down to a twentieth of a task per second are exact.
fn closed(per_second: f64) -> Measurements {
    let window_ns = 20_000_000_000;
    let completed = (per_second * 20.0).round() as u64;
    measurements(completed, window_ns, (TASKS as f64 * 1e9 / per_second) as u64)
}

fn measurements(completed: u64, window_ns: u64, latency_ns: u64) -> Measurements {
    let task = stream(completed, latency_ns);
    let call = NamedStream {
        name: "call".into(),
        top_level: true,
        stream: stream(completed, latency_ns / 2),
    };
    let trial = TrialMeasured {
        cpu_user_ns: completed * 20_000,
        cpu_system_ns: completed * 5_000,
        switches_voluntary: completed * 2,
        switches_involuntary: completed / 10,
        peak_memory_bytes: 16 << 20,
        prepared_memory_bytes: 8 << 20,
        recorder_memory_bytes: 1 << 20,
        peak_threads: 4,
        host: HostDelta { busy_ns: window_ns, cpus: 2, ..HostDelta::default() },
        facts: BTreeMap::from([("allocator".into(), "system".into())]),
        ..TrialMeasured::default()
    };
    let (name, steps, trial) = ("requests".into(), vec![call], trial.into());
    Measurements { name, window_ns, completed, task, steps, trial, ..Measurements::default() }
}

/// `count` executions: nine tenths at about `latency_ns`, the rest at twice that.
fn stream(count: u64, latency_ns: u64) -> Stream {
    let mut stream = Stream { count, ..Stream::default() };
    for histo in [&mut stream.latency, &mut stream.service] {
        histo.0.saturating_record_n(latency_ns, count - count / 10);
        histo.0.saturating_record_n(2 * latency_ns, count / 10);
    }
    stream
}
