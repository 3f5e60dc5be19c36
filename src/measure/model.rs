//! What one trial measured: inert values that are stored in a run file and read by the analysis.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Histo;

/// Everything that a trial measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurements {
    /// Batch loads: time from the batch's start to its last completion, one per repeat, in ns. Empty otherwise.
    pub makespans_ns: Vec<u64>,
    /// Length of the measured window in ns. For a batch: the sum of its makespans.
    pub window_ns: u64,
    /// Tasks that completed inside the window.
    pub completed: u64,
    /// The load's task: latencies of the tasks whose intended start lies in the window.
    pub task: Stream,
    /// Every named step, in scenario order.
    pub steps: Vec<NamedStream>,
    /// CPU time of the trial process in the window, user part, in ns.
    pub cpu_user_ns: u64,
    /// CPU time of the trial process in the window, system part, in ns.
    pub cpu_system_ns: u64,
    /// Voluntary context switches of all threads in the window.
    pub switches_voluntary: u64,
    /// Involuntary context switches of all threads in the window.
    pub switches_involuntary: u64,
    /// Peak resident memory of the process (VmHWM), in bytes.
    pub peak_memory_bytes: u64,
    /// Resident memory when preparation had ended and no task had started, in bytes.
    pub prepared_memory_bytes: u64,
    /// Most threads alive at once, as sampled.
    pub peak_threads: u64,
    /// The host over the window.
    pub host: HostDelta,
    /// Each target's own account.
    pub targets: Vec<TargetReport>,
    /// What was proven: expected beside found. A trial with a difference is recorded as failed instead.
    pub proof: Vec<ProofLine>,
    /// What the process reports of itself (threads started, stack, allocator, socket options, pools): the fairness manifest.
    pub facts: BTreeMap<String, String>,
}

/// Latencies and counts of a task or a named step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// Executions that ended well or in an allowed way: errors and time-outs that the scenario allows are among them.
    pub count: u64,
    /// Executions that ended in an error that the scenario allows.
    pub errors: u64,
    /// Executions that timed out.
    pub timeouts: u64,
    /// Values above the histogram's 60 s, recorded as 60 s.
    pub clipped: u64,
    /// Completion minus intended start (c − t).
    pub latency: Histo,
    /// Completion minus actual start (c − a).
    pub service: Histo,
}

/// A named step's stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NamedStream {
    /// The step's name.
    pub name: String,
    /// Whether it is a step of the load's own task (children of `parallel` overlap and are not).
    pub top_level: bool,
    /// What was recorded.
    pub stream: Stream,
}

/// Host counters over the measured window.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HostDelta {
    /// Time all CPUs were busy, in ns (10 ms ticks).
    pub busy_ns: u64,
    /// Of it, neither by the trial nor by its targets, in ns.
    pub external_ns: u64,
    /// Time stolen by the hypervisor, in ns.
    pub steal_ns: u64,
    /// CPUs of the host.
    pub cpus: u32,
}

/// What a target says about itself after the trial.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetReport {
    /// Its name in the scenario.
    pub name: String,
    /// Its CPU time in the window in ns, where it is a process of its own.
    pub cpu_ns: Option<u64>,
    /// Share of its CPUs that it used in the window, in [0, 1].
    pub busy: Option<f64>,
    /// Operations that it served since it started, by its own count, where it counts.
    pub served: Option<u64>,
    /// Counts since it started: `connections`, `requests`, `status 200`, `path /item`, `bytes received`, …
    pub counts: BTreeMap<String, u64>,
    /// What it checked by itself: as much as the steps say that they did, beside what it holds. The trial's proof
    /// takes it over, and only there it is stored.
    #[serde(skip)]
    pub proof: Vec<ProofLine>,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofLine {
    /// What, such as `tasks completed`.
    pub what: String,
    /// What it must be.
    pub expected: String,
    /// What it was.
    pub found: String,
}
