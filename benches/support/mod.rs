//! What the benchmarks share: plans made from scenario text, and arms that are run in fresh child
//! processes.
//!
//! A benchmark that compares arms starts itself again for each measurement: `child` as first
//! argument runs an arm that is read from standard input, `target` is the embedded server's process
//! (as in the `regatta` binary).

#![allow(clippy::disallowed_methods, reason = "benchmarks start processes of their own")]

use std::{
    io::{BufRead, Write},
    path::Path,
    process::{Command, Stdio},
};

use regatta::{
    limits::Limits,
    plan::{Machine, Plan},
    scenario::{LoadKind, Overrides, from_text},
    trial::{self, Answer, TrialPlan, child},
};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde::{Deserialize, Serialize};

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arm {
    /// Regatta: a whole trial, with its slots, steps, recording and proof.
    Regatta,
    /// The same work without it.
    Bare,
    /// Regatta without recording, counters and watcher.
    Silent,
}

/// What a child process is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// Who does the work.
    pub arm: Arm,
    /// The work.
    pub plan: TrialPlan,
}

/// What a child process has measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sample {
    /// Length of the window in ns.
    pub window_ns: u64,
    /// Operations that completed in it.
    pub completed: u64,
    /// CPU time of the process in the window, in ns.
    pub cpu_ns: u64,
    /// Share of its CPU that the target used in the window.
    pub target_busy: Option<f64>,
}

/// The cells of a scenario, whatever the limits of this host.
pub fn plan_of(scenario: &str) -> Plan {
    let scenario = from_text(Path::new("bench.toml"), scenario, &Overrides::default());
    let scenario = scenario.unwrap_or_else(|error| panic!("{}", error.render(false)));
    let cpus = trial::allowed_cpus();
    let machine =
        Machine { cpus, executor_cpus: None, target_cpus: None, limits: Limits::default() };
    Plan::new(&[scenario], &machine, 42, |_| true)
}

/// The plan of the scenario's cell under an executor.
pub fn trial_of(scenario: &str, executor: &str) -> TrialPlan {
    let plan = plan_of(scenario);
    let cell = plan.cells.into_iter().find(|cell| cell.stored.executor == executor);
    TrialPlan { round: 1, ..cell.expect("the scenario races all executors").trial }
}

/// Ends the trial's closed load after this many tasks.
pub fn end_after(plan: &mut TrialPlan, count: u64) {
    match &mut plan.loads[0].kind {
        LoadKind::Closed { tasks, .. } => *tasks = Some(count),
        LoadKind::Batch { .. } | LoadKind::Open { .. } => panic!("a closed load was expected"),
    }
}

/// Puts this thread, and those that it starts, on these CPUs; none: leaves it.
pub fn pin(cpus: &[usize]) {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu);
    }
    if !cpus.is_empty() {
        sched_setaffinity(None, &set).unwrap();
    }
}

impl Job {
    /// Runs the arm in a fresh process of this benchmark.
    pub fn in_child(&self) -> Sample {
        let setup = &self.plan.setup;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("child")
            .env("ASYNC_STD_THREAD_COUNT", setup.workers.to_string())
            .env("BLOCKING_MAX_THREADS", setup.pool_size.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let order = serde_json::to_string(self).unwrap();
        writeln!(child.stdin.take().unwrap(), "{order}").unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text)
            .unwrap_or_else(|_| panic!("{}, {:?}: {text}", self.plan.cell, self.arm))
    }

    fn run(&self, other: impl Fn(Arm, &TrialPlan) -> Sample) -> Sample {
        match self.arm {
            Arm::Bare | Arm::Silent => other(self.arm, &self.plan),
            Arm::Regatta => regatta(child::run(&self.plan).answer),
        }
    }
}

/// What a trial has measured; benchmarks have no use for a failed one.
pub fn regatta(answer: Answer) -> Sample {
    match answer {
        Answer::Measured(measured) => Sample {
            window_ns: measured.loads[0].window_ns,
            completed: measured.loads[0].completed,
            cpu_ns: measured.trial.cpu_user_ns + measured.trial.cpu_system_ns,
            target_busy: measured.trial.targets.first().and_then(|target| target.busy),
        },
        Answer::Failed(failure) => panic!("the trial failed: {}", failure.reason),
    }
}

/// Does a child's work, if this process is a child; `other` does that of the arms that are not a
/// whole trial.
pub fn was_child(other: impl Fn(Arm, &TrialPlan) -> Sample) -> bool {
    match std::env::args().nth(1).as_deref() {
        Some("target") => trial::server::serve().unwrap(),
        Some("child") => {
            let mut order = String::new();
            std::io::stdin().lock().read_line(&mut order).unwrap();
            let job: Job = serde_json::from_str(&order).unwrap();
            println!("{}", serde_json::to_string(&job.run(other)).unwrap());
        }
        _ => return false,
    }
    true
}
