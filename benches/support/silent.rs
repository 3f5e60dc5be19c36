//! A trial that records nothing: Regatta's slots, steps and load with a recorder that does nothing,
//! and neither the counters of process and host nor the watcher. What is left out is what recording
//! costs.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use regatta::{
    clock,
    load::{self, Closed, ClosedEnd, LoadShared, Slot, Window},
    measure::{Recorders, Silent, Watched},
    runtime::{self, Runtime, Visitor},
    scenario::LoadKind,
    step::Trial,
    targets::{Endpoint, Start},
    trial::{TrialPlan, server::ProcessLauncher},
    units::Distribution,
};

use crate::support::{Sample, pin};

/// Runs the plan's closed load in this process.
pub fn run(plan: &TrialPlan) -> Sample {
    let scratch = tempfile::tempdir().unwrap();
    let launcher = ProcessLauncher {
        program: Path::new(env!("CARGO_BIN_EXE_regatta")),
        cpus: &plan.target_cpus,
        target: &plan.targets[0].spec,
        seed: 1,
    };
    let start = Start {
        name: "api",
        seed: 1,
        scratch: scratch.path(),
        launcher: &launcher,
        cpus: &[],
        prepares: true,
    };
    let target = plan.targets[0].spec.start(&start).unwrap();
    pin(&plan.executor_cpus);
    let quiet = Quiet { plan, endpoint: target.endpoint(), target: target.watched().unwrap() };
    runtime::dispatch(&plan.executor, quiet).unwrap()
}

struct Quiet<'a> {
    plan: &'a TrialPlan,
    endpoint: Endpoint,
    target: Watched,
}

/// What was used at the edges of the window.
struct Edges<'a>(Box<dyn Fn() -> (u64, u64) + Sync + 'a>, Mutex<Vec<(u64, u64)>>);

impl Window for Edges<'_> {
    fn opens(&self) {
        let used = (self.0)();
        self.1.lock().unwrap().push(used);
    }

    fn closes(&self) {
        self.opens();
    }
}

impl Visitor for Quiet<'_> {
    type Output = Sample;

    fn visit<R: Runtime>(self) -> Sample {
        let plan = self.plan;
        let LoadKind::Closed { concurrency: clients, tasks, .. } = plan.loads[0].kind else {
            panic!("a closed load")
        };
        let runtime = R::start(&plan.setup).unwrap();
        let recorders = Recorders::new(1, Vec::new());
        let trial = Arc::new(Trial {
            pool_size: 1,
            runtime: runtime.clone(),
            at_once: "`concurrency`",
            seed: plan.seed,
            tasks: Box::new(plan.tasks.clone()),
            endpoints: HashMap::from([("api".to_owned(), self.endpoint)]),
            recorders: recorders.clone(),
            ledger: Arc::default(),
            shared: Arc::default(),
            commons: Arc::default(),
        });
        let shared = Arc::new(LoadShared::default());
        let slot = |number| {
            let steps = trial.sequence(&plan.loads[0].task, number).unwrap();
            Slot::recording_in(Silent, steps, shared.clone(), plan.seed)
        };
        let mut slots: Vec<Slot<Silent>> =
            (0..R::INFO.style.slots(clients, plan.setup.pool_size as u64) as usize)
                .map(slot)
                .collect();
        load::prepare(&runtime, &mut slots, None).unwrap();
        let end = tasks.map_or(ClosedEnd::After(plan.duration.as_nanos() as u64), ClosedEnd::Tasks);
        let (think, warmup_ns) =
            (Distribution::Const(Duration::ZERO), plan.warmup.as_nanos() as u64);
        let load = Closed {
            clients,
            stages: None,
            think,
            end,
            warmup_ns,
            drain_ns: 5_000_000_000,
            seed: plan.seed,
        };
        let used = || (clock::process_cpu_ns(), self.target.times().unwrap().cpu_ns);
        let edges = Edges(Box::new(used), Mutex::default());
        let outcome = load.run(&runtime, &mut slots, &recorders, &edges).unwrap();
        assert_eq!(shared.failure(), None);
        drop((slots, trial));
        runtime.stop();
        let [before, after] = edges.1.into_inner().unwrap()[..] else { panic!("two edges") };
        let target_busy = Some((after.1 - before.1) as f64 / outcome.window_ns as f64);
        Sample {
            window_ns: outcome.window_ns,
            completed: outcome.completed,
            cpu_ns: after.0 - before.0,
            target_busy,
        }
    }
}
