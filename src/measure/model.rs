//! What one trial measured: inert values that are stored in a run file and read by the analysis.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::Histo;

/// What tells one server of the user's own from another, among the facts: where it is, and what it
/// says that it is. Each is the end of a fact's name, after its target's: `db: address`.
pub const SERVER_FACTS: [&str; 2] = ["address", "server"];

/// The end of the fact's name that says that a server may run where the executor does, after its
/// target's.
pub const PLACEMENT: &str = "placement";

/// What a trial says of how turns are taken at a pool, among the facts: what tasks wait on, and who
/// is next.
pub const POOL_FACTS: [&str; 2] = ["a pool waits on", "waiting for a pool"];

/// How the fact begins that says who is next where tasks wait for a shared object. The rest of it
/// is the object's kind and name, of which another fact says what it is made of.
pub const SHARED_TURNS: &str = "waiting for ";

/// The end of the name of the fact that says which file system a folder is on; before it stands the
/// target's name.
pub const FILE_SYSTEM: &str = ": file system";

/// What that fact ends with where steps wait for a disk that is none.
pub const SYNC_IN_MEMORY: &str = ", which is in memory: fsync does nothing there";

/// The end of the name of the histogram of waits for a connection; before it stands the target's
/// name.
pub const POOL_WAIT: &str = ".pool-wait";

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How the work of a closed load was spread over its clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clients {
    /// How many clients have ended.
    pub clients: u64,
    /// Tasks that all of them completed.
    pub tasks: u64,
    /// Least tasks of a client.
    pub least: u64,
    /// Most tasks of a client.
    pub most: u64,
    /// Clients that completed less than a tenth of what they would have if all had completed as
    /// many.
    pub starved: u64,
    /// The longest time from a task's intended start to its completion, in ns.
    pub longest_ns: u64,
    /// Whether the scenario itself gives some tasks longer delays than others, so that clients
    /// differ for that.
    pub delays_vary: bool,
}

impl Clients {
    /// Of the tasks that each client completed; none of no clients.
    pub fn of(tasks: &[u64], longest_ns: u64) -> Option<Self> {
        let all = tasks.iter().sum::<u64>();
        let clients = tasks.len() as u64;
        let is_starved =
            |tasks: &&u64| u128::from(**tasks) * u128::from(clients) * 10 < u128::from(all);
        Some(Self {
            clients,
            tasks: all,
            least: *tasks.iter().min()?,
            most: *tasks.iter().max()?,
            starved: tasks.iter().filter(is_starved).count() as u64,
            longest_ns,
            delays_vary: false,
        })
    }
}

/// What a trial measured: of each of its loads, and of all of them together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredMeasured")]
pub struct Measured {
    /// What belongs to one load each, in the plan's order.
    pub loads: Vec<Measurements>,
    /// What belongs to the trial.
    #[serde(flatten)]
    pub trial: Arc<TrialMeasured>,
}

/// As it is read: its loads do not know their trial yet.
#[derive(Deserialize)]
struct StoredMeasured {
    loads: Vec<Measurements>,
    #[serde(flatten)]
    trial: Arc<TrialMeasured>,
}

impl From<StoredMeasured> for Measured {
    fn from(StoredMeasured { loads, trial }: StoredMeasured) -> Self {
        Self::new(loads, trial)
    }
}

impl Measured {
    /// What loads measured, with what their trial did.
    pub fn new(mut loads: Vec<Measurements>, trial: Arc<TrialMeasured>) -> Self {
        let beside = loads.len().saturating_sub(1);
        for load in &mut loads {
            (load.trial, load.beside) = (trial.clone(), beside);
        }
        Self { loads, trial }
    }

    /// Changes what belongs to the trial.
    #[must_use]
    pub fn with_trial(self, change: impl FnOnce(&mut TrialMeasured)) -> Self {
        let mut trial = Arc::unwrap_or_clone(self.trial);
        change(&mut trial);
        Self::new(self.loads, Arc::new(trial))
    }
}

/// The only load of a trial.
impl From<Measurements> for Measured {
    fn from(load: Measurements) -> Self {
        let trial = load.trial.clone();
        Self { loads: vec![load], trial }
    }
}

/// What a trial measured that belongs to none of its loads: process, targets and host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrialMeasured {
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
    /// What the recorders took while the load ran, in bytes: the harness's own, too.
    #[serde(default)]
    pub recorder_memory_bytes: u64,
    /// Most threads alive at once, as sampled.
    pub peak_threads: u64,
    /// Idle or busy threads of pools for blocking work when the window began: what preparation and
    /// warm-up have left.
    #[serde(default)]
    pub pool_threads_before: u64,
    /// How late a probe ran on the same executor; none where the scenario asked for no probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Delay>,
    /// The host over the window.
    pub host: HostDelta,
    /// Each target's own account.
    pub targets: Vec<TargetReport>,
    /// What was proven: expected beside found. A trial with a difference is recorded as failed
    /// instead.
    pub proof: Vec<ProofLine>,
    /// What the process reports of itself (threads started, stack, allocator, socket options,
    /// pools): the fairness manifest.
    pub facts: BTreeMap<String, String>,
}

/// What a trial measured of one load.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurements {
    /// The load's name.
    pub name: String,
    /// Batch loads: time from the batch's start to its last completion, one per repeat, in ns.
    /// Empty otherwise.
    pub makespans_ns: Vec<u64>,
    /// Length of the measured window in ns. For a batch: the sum of its makespans.
    pub window_ns: u64,
    /// Tasks that completed inside the window.
    pub completed: u64,
    /// The load's task: latencies of the tasks whose intended start lies in the window.
    pub task: Stream,
    /// Every named step, in scenario order.
    pub steps: Vec<NamedStream>,
    /// Closed loads: how the work was spread over the clients, from the first task of the warm-up
    /// on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<Clients>,
    /// Open loads: what arrived, and how punctually the pacer handed it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<Arrivals>,
    /// The load's task over time, warm-up included, in order; empty where nothing was sliced
    /// (batches).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<Slice>,
    /// Closed loads: what was still in flight when the load was given up, in words; none where all
    /// tasks have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<String>,
    /// What its trial measured beside the loads.
    #[serde(skip)]
    pub trial: Arc<TrialMeasured>,
    /// Other loads of its trial: with some, nobody can say whose the process's costs are.
    #[serde(skip)]
    pub beside: usize,
}

impl Measurements {
    /// What its trial measured, to be changed; other loads of the trial keep what they have.
    pub fn trial_mut(&mut self) -> &mut TrialMeasured {
        Arc::make_mut(&mut self.trial)
    }
}

/// Latencies and counts of a task or a named step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// Executions that ended well or in an allowed way: errors and time-outs that the scenario
    /// allows are among them.
    pub count: u64,
    /// Executions that ended in an error that the scenario allows.
    pub errors: u64,
    /// Executions that timed out.
    pub timeouts: u64,
    /// Latencies above the highest value that was told apart: the histogram knows that they are
    /// that or more.
    pub clipped: u64,
    /// Executions that were still in flight at the deadline; in the histograms as if they had ended
    /// there.
    #[serde(default)]
    pub censored: u64,
    /// Waits for a place in a pool: those in which others were served first, over and over.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub passed_over: u64,
    /// How long these waits took together, in ns.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub passed_over_ns: u64,
    /// Completion minus intended start (c − t).
    pub latency: Histo,
    /// Completion minus actual start (c − a).
    pub service: Histo,
    /// Actual start minus intended start (a − t).
    #[serde(default)]
    pub lateness: Histo,
}

/// What arrived in an open load. Counts are of arrivals whose intended start lies in the window,
/// and `scheduled` = completed (the stream's count without the censored) + `dropped` + `censored`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Arrivals {
    /// Arrivals that the schedule has in the window.
    pub scheduled: u64,
    /// Of them, those that were not started because `max_in_flight` tasks were in flight.
    pub dropped: u64,
    /// Of them, those that waited for room among the tasks in flight (`overflow = "delay"`).
    pub delayed: u64,
    /// Of them, those still in flight at the deadline.
    pub censored: u64,
    /// Most tasks in flight at once, queued ones included.
    pub most_in_flight: u64,
    /// How late the pacer handed arrivals over (g − t): the harness's own lateness, not the
    /// executor's.
    pub pacer: Histo,
}

/// Scheduling delay: how late a probe ran that asked its executor to run it every millisecond.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delay {
    /// Of every millisecond in the window.
    Measured(Histo),
    /// The executor cannot run a probe beside its tasks: why.
    NotApplicable(String),
}

/// The load's task in one stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Its start, in ns after the start of the window; negative in the warm-up.
    pub from_ns: i64,
    /// Its length in ns.
    pub length_ns: u64,
    /// Tasks that completed in it, by coarse bucket of their latency: (bucket's upper end in ns,
    /// tasks), no empty ones.
    pub latencies: Vec<(u64, u64)>,
}

impl Slice {
    /// Tasks that completed in it.
    pub fn completed(&self) -> u64 {
        self.latencies.iter().map(|&(_, tasks)| tasks).sum()
    }
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
    /// The executor's CPUs; none where they could not be told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<CpuSetDelta>,
    /// The target's CPUs; none without a target process, or where they could not be told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<CpuSetDelta>,
    /// Time in which the control group was throttled, in ns.
    #[serde(default)]
    pub throttled_ns: u64,
    /// Share of the window in which some task of the host waited for a CPU (PSI `some`), in [0, 1];
    /// none if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pressure: Option<f64>,
}

/// A set of CPUs over the measured window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuSetDelta {
    /// How many CPUs.
    pub cpus: u32,
    /// Time between the two readings, in ns.
    pub wall_ns: u64,
    /// Time the CPUs were busy, in ns (10 ms ticks).
    pub busy_ns: u64,
    /// Of it, by the trial's process, its targets and the harness's own threads, in ns.
    pub own_ns: u64,
    /// Of the busy time, interrupts and their deferred work that this kernel charges to no process,
    /// in ns. Zero where it charges them to whoever runs: then they are among the time of
    /// processes, own and others.
    #[serde(default)]
    pub interrupts_ns: u64,
    /// Time that the hypervisor gave to others, in ns; not among the busy time.
    #[serde(default)]
    pub steal_ns: u64,
    /// Time the CPUs were idle while a task waited for a disk, in ns; not among the busy time.
    #[serde(default)]
    pub iowait_ns: u64,
}

impl CpuSetDelta {
    /// Share of the CPUs' time that others used, in [0, 1], as far as ticks of 10 ms can tell; none
    /// of no time.
    pub fn external(&self) -> Option<f64> {
        self.share(self.busy_ns.saturating_sub(self.interrupts_ns).saturating_sub(self.own_ns))
    }

    /// A time as a share of that of all CPUs of the set; none of no time.
    pub fn share(&self, ns: u64) -> Option<f64> {
        let all = self.wall_ns as f64 * f64::from(self.cpus);
        (all > 0.0).then(|| ns as f64 / all)
    }
}

/// What a target says about itself after the trial.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetReport {
    /// Its name in the scenario.
    pub name: String,
    /// Its CPU time in the window in ns, where it is a process of its own.
    pub cpu_ns: Option<u64>,
    /// Share that it used in the window of the CPUs that its threads can keep busy, in [0, 1].
    pub busy: Option<f64>,
    /// Time in the window in which it was ready to run and waited for a CPU, in ns, where it is a
    /// process of its own.
    #[serde(default)]
    pub run_delay_ns: Option<u64>,
    /// The CPUs on which its processes may run, where that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<usize>,
    /// Operations that it served since it started, by its own count, where it counts.
    pub served: Option<u64>,
    /// Counts since it started: `connections`, `requests`, `status 200`, `path /item`, `bytes
    /// received`, …
    pub counts: BTreeMap<String, u64>,
    /// What it checked by itself: as much as the steps say that they did, beside what it holds. The
    /// trial's proof takes it over, and only there it is stored.
    #[serde(skip)]
    pub proof: Vec<ProofLine>,
    /// Calls that the scenario allows to fail, for the trial's proof.
    #[serde(skip)]
    pub unanswered: Unanswered,
}

/// Calls on a target that ended in errors which the scenario allows, without an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unanswered {
    /// Calls that had no connection: the target knows nothing of them.
    pub unconnected: u64,
    /// Calls whose connection was lost: the target may have served them, or not.
    pub lost: u64,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_with_less_than_a_tenth_of_its_share_is_starved() {
        // 1000 tasks of ten clients: a share is 100.
        let tasks = [9, 10, 11, 0, 300, 100, 100, 100, 100, 270];
        let clients = Clients::of(&tasks, 7).expect("there are some");
        assert_eq!(
            (clients.tasks, clients.clients, clients.least, clients.most),
            (1_000, 10, 0, 300)
        );
        assert_eq!((clients.starved, clients.longest_ns), (2, 7));
        assert_eq!(Clients::of(&[], 0), None);
        assert_eq!(Clients::of(&[5; 8], 0).map(|clients| clients.starved), Some(0));
    }
}
