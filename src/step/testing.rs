//! For tests of operations: a step read from TOML, built like in a trial, and run under a real
//! executor.

use std::{collections::HashMap, os::unix::net::UnixStream, path::Path, sync::Arc, time::Duration};

use super::{
    Call, Commons, NamedRows, OnTimeout, Opening, Reading, RowTables, StepOutcome, StepPlan,
    StepSpec, Tally, Task, TaskRuns, Trial, ValueTally, WorkAccount, Workforce, serve_commissions,
};
use crate::{
    config::{Diagnostic, Diagnostics, Field, Fields, parse},
    draw,
    measure::Recorders,
    runtime::{self, Runtime, Setup, Visitor},
    shared::{NamedShared, Objects, SharedCalls, SharedSpec},
    targets::{Endpoint, Launcher, ServerProcess, Start, Started, TargetError, TargetSpec},
};

/// One blocking executor of each kind, and three that are asynchronous.
pub const EXECUTORS: [&str; 5] = ["sequential", "threads", "tokio", "smol", "compio"];

/// Reads a step as it stands in a scenario, such as `{ noop = {} }`; else the errors in file order.
pub fn read_step(text: &str) -> Result<StepSpec, Vec<Diagnostic>> {
    let mut diagnostics = Diagnostics::default();
    let node = parse(&format!("step = {text}"), &mut diagnostics);
    let spec = node.get("step").and_then(|node| {
        let mut step = Fields::of(node, &mut diagnostics)?;
        let spec =
            step.one_of(StepSpec::TABLE, "operation", "operations").and_then(|(key, value)| {
                let mut op = Fields::of(value, &mut diagnostics)?;
                let spec = StepSpec::read(key, &mut op, &mut step);
                op.finish(&mut diagnostics);
                spec
            });
        step.finish(&mut diagnostics);
        spec
    });
    spec.filter(|_| diagnostics.is_empty()).ok_or_else(|| diagnostics.into_sorted())
}

/// The messages and remedies of a step that cannot be read, one line each.
pub fn errors_of(text: &str) -> Vec<String> {
    let found = read_step(text).map_or_else(|found| found, |_| Vec::new());
    found
        .into_iter()
        .map(|found| format!("{}; {}", found.message, found.help.unwrap_or_default()))
        .collect()
}

/// Reads a target as it stands in a scenario, such as `{ http = {} }`; else the messages.
pub fn read_target(text: &str) -> Result<TargetSpec, Vec<String>> {
    let mut diagnostics = Diagnostics::default();
    let node = parse(&format!("target = {text}"), &mut diagnostics);
    let spec =
        node.get("target").and_then(|node| <TargetSpec as Field>::read(node, &mut diagnostics));
    let messages = diagnostics.into_sorted().into_iter().map(|found| found.message);
    let messages: Vec<_> = messages.collect();
    spec.filter(|_| messages.is_empty()).ok_or(messages)
}

/// Reads a shared object as it stands in a scenario, such as `{ mutex = {} }`.
pub fn read_shared(text: &str) -> SharedSpec {
    let mut diagnostics = Diagnostics::default();
    let node = parse(&format!("shared = {text}"), &mut diagnostics);
    let spec =
        node.get("shared").and_then(|node| <SharedSpec as Field>::read(node, &mut diagnostics));
    spec.unwrap_or_else(|| panic!("{text}: {:?}", diagnostics.into_sorted()))
}

/// Starts a target that has no process of its own, in an empty folder.
pub fn start_target(text: &str, scratch: &Path) -> Result<Box<dyn Started>, TargetError> {
    struct Refusing;
    impl Launcher for Refusing {
        fn launch(&self) -> Result<Box<dyn ServerProcess>, TargetError> {
            Err(TargetError { name: "scratch".into(), reason: "no processes in unit tests".into() })
        }
    }
    let spec = read_target(text).unwrap();
    spec.start(&Start {
        name: "scratch",
        seed: 11,
        scratch,
        launcher: &Refusing,
        cpus: &[],
        prepares: true,
    })
}

/// Tasks and endpoints from which trials are made. The first task is the one that is run.
#[derive(Default)]
pub struct Rig {
    tasks: Vec<Task>,
    endpoints: HashMap<String, Endpoint>,
    shared: Vec<NamedShared>,
    rows: Vec<Arc<NamedRows>>,
    slots: usize,
    workers: usize,
}

/// What came of it.
#[derive(Debug)]
pub struct Ran {
    /// By task index. A slot whose preparation failed has that as its only outcome.
    pub outcomes: Vec<StepOutcome>,
    /// By step number.
    pub tallies: Vec<Tally>,
    /// By step number and child.
    pub edges: Vec<Vec<TaskRuns>>,
    /// By step number.
    pub values: Vec<ValueTally>,
    /// What does not hold of the shared objects, beside the calls of the steps.
    pub unproven: Vec<String>,
    /// Of the workers.
    pub work: Option<WorkAccount>,
}

impl Ran {
    /// The reason of the first failure.
    pub fn wrong(&self) -> Option<String> {
        self.outcomes
            .iter()
            .find_map(|outcome| outcome.as_ref().err())
            .map(|failure| format!("{failure:?}"))
    }

    /// Time-outs that are allowed, of all calls that ended well.
    pub fn timeouts(&self) -> u64 {
        self.outcomes.iter().flatten().map(|done| done.timeouts).sum()
    }
}

impl Rig {
    /// A rig whose task `main` has these steps, with one slot.
    pub fn new(steps: &[&str]) -> Self {
        Self { slots: 1, ..Self::default() }.task("main", steps)
    }

    /// Adds a task.
    pub fn task(mut self, name: &str, steps: &[&str]) -> Self {
        self.tasks.push(Task { name: name.into(), steps: Vec::new() });
        steps.iter().fold(self, |rig, text| {
            rig.step(read_step(text).unwrap_or_else(|found| panic!("{text}: {found:?}")))
        })
    }

    /// Adds a step to the task that was added last.
    pub fn step(mut self, spec: StepSpec) -> Self {
        let plan = StepPlan { name: None, timeout: None, on_timeout: OnTimeout::Fail, spec };
        self.tasks.last_mut().unwrap().steps.push(plan);
        self
    }

    /// Limits the step that was added last.
    pub fn limited(mut self, limit: Duration, on_timeout: OnTimeout) -> Self {
        let plan = self.tasks.last_mut().unwrap().steps.last_mut().unwrap();
        (plan.timeout, plan.on_timeout) = (Some(limit), on_timeout);
        self
    }

    /// Adds a target's endpoint.
    pub fn endpoint(mut self, name: &str, endpoint: Endpoint) -> Self {
        self.endpoints.insert(name.into(), endpoint);
        self
    }

    /// Adds a shared object, such as `{ queue = { capacity = 4 } }`.
    pub fn shared(mut self, name: &str, text: &str) -> Self {
        self.shared.push(NamedShared { name: name.into(), spec: read_shared(text) });
        self
    }

    /// Adds a table of data.
    pub fn rows(mut self, rows: NamedRows) -> Self {
        self.rows.push(Arc::new(rows));
        self
    }

    /// How many slots run tasks at once; where the executor has fewer, it runs them in turn.
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = slots;
        self
    }

    /// Adds so many workers: threads, which do what worker processes do, at the ends of the same
    /// sockets.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    fn workforce(&self) -> Option<Arc<Workforce>> {
        let line = |_| {
            let (ours, theirs) = UnixStream::pair().unwrap();
            std::thread::spawn(move || serve_commissions(theirs));
            ours
        };
        (self.workers > 0).then(|| Arc::new(Workforce::of((0..self.workers).map(line).collect())))
    }

    /// Builds the trial under `executor`, prepares each slot, and runs the first task `times` times
    /// in each of them.
    pub fn run(&self, executor: &str, times: u64) -> Ran {
        runtime::dispatch(executor, Running { rig: self, times })
            .expect("an executor of this build")
    }

    /// What does not hold of the shared objects.
    fn unproven<R>(&self, trial: &Trial<R>, tallies: &[Tally]) -> Vec<String> {
        let steps = || self.tasks.iter().flat_map(|task| &task.steps).zip(tallies);
        let mut unproven = Vec::new();
        for (named, counted) in trial.shared.read() {
            let uses = |step: &StepPlan| {
                step.spec.shared().is_some_and(|used| used.name.text == named.name)
            };
            let calls = |key: &str| {
                let of = steps().filter(|(step, _)| step.spec.key() == key && uses(step));
                let ended = of.map(|(_, tally)| tally.ended).sum();
                SharedCalls { least: ended, most: ended, moves: false }
            };
            let wrong = counted.lines(&calls).into_iter().filter(|line| !line.holds());
            unproven.extend(wrong.map(|line| format!("{}: {line:?}", named.words())));
        }
        unproven
    }

    fn trial<R: Runtime>(&self, runtime: &R, workforce: Option<Arc<Workforce>>) -> Arc<Trial<R>> {
        let commons = Arc::<Commons>::default();
        commons.shared("", || workforce);
        RowTables::new(&self.rows, 42).give(&commons);
        Arc::new(Trial {
            runtime: runtime.clone(),
            pool_size: 2,
            at_once: "`concurrency`",
            seed: 42,
            tasks: Box::new(self.tasks.clone()),
            endpoints: self.endpoints.clone(),
            recorders: Recorders::new(1, Vec::new()),
            ledger: Arc::default(),
            shared: Arc::new(Objects::make::<R::Native>(&self.shared).unwrap()),
            commons,
        })
    }
}

struct Running<'a> {
    rig: &'a Rig,
    times: u64,
}

impl Visitor for Running<'_> {
    type Output = Ran;

    fn visit<R: Runtime>(self) -> Ran {
        let (rig, times) = (self.rig, self.times);
        let runtime = R::start(&Setup { workers: 2, pool_size: 4, stack_size: None }).unwrap();
        let workforce = rig.workforce();
        let trial = rig.trial(&runtime, workforce.clone());
        let joins: Vec<_> = (0..rig.slots)
            .map(|slot| {
                let mut steps = trial.sequence(&rig.tasks[0].name, slot).unwrap();
                let first = slot as u64 * times;
                let tasks = async move {
                    let prepared = steps.prepare().await;
                    let opened = steps.open(Opening::Preparation).await;
                    if let Err(failure) = prepared.and(opened) {
                        return vec![Err(failure)];
                    }
                    let mut outcomes = Vec::new();
                    for task in first..first + times {
                        outcomes.push(
                            steps
                                .run(Call { task, key: draw::mix(42, task), ..Call::default() })
                                .await,
                        );
                    }
                    outcomes
                };
                runtime.spawn(tasks).unwrap()
            })
            .collect();
        let mut outcomes = Vec::new();
        for join in joins {
            outcomes.extend(runtime.block_on(join));
        }
        let steps = rig.tasks.iter().map(|task| task.steps.len()).sum();
        let Reading { steps: tallies, edges, values, .. } = trial.ledger.read_all(steps);
        // Children that were cancelled may still be on their way out.
        let mut unproven = rig.unproven(&trial, &tallies);
        for _ in 0..1_000 {
            if unproven.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
            unproven = rig.unproven(&trial, &trial.ledger.read(steps));
        }
        drop(trial);
        runtime.stop();
        let work = workforce.map(|workforce| workforce.account());
        Ran { outcomes, tallies, edges, values, unproven, work }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_under_every_executor() {
        for executor in EXECUTORS {
            let ran =
                Rig::new(&["{ noop = {} }", "{ sleep = { time = 0 } }"]).slots(3).run(executor, 5);
            assert_eq!((ran.outcomes.len(), ran.wrong()), (15, None), "{executor}");
            assert_eq!(
                ran.tallies.iter().map(|tally| tally.ended).collect::<Vec<_>>(),
                [15, 15],
                "{executor}"
            );
        }
    }

    #[test]
    fn errors_are_told() {
        assert_eq!(errors_of("{ noop = {} }"), [""; 0]);
        assert!(errors_of("{ nop = {} }")[0].contains("did you mean `noop`?"));
    }
}
