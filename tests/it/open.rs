//! Open loads under every executor: whatever happens, every arrival is accounted for.

use std::{collections::HashMap, path::Path, sync::Arc};

use regatta::{
    limits::Limits,
    load::{
        self, Arrival, LoadShared, Open, Overflow, Slot, Stage,
        open::{PacerClock, RealTime},
    },
    measure::{Arrivals, Measurements, Recorders, Stream},
    plan::{Machine, Plan},
    report::load_words,
    runtime::{self, EXECUTORS, Runtime, Setup, Visitor},
    scenario::{Overrides, from_text},
    step::Trial,
    store::{FailureKind, Outcome},
};

use crate::race::{measured, race};

const HTTP: &str = "[targets.api]\nhttp = { body = \"1KiB\" }\n[tasks.call]\n\
                    steps = [{ http = { target = \"api\", path = \"/${i}\" }, name = \"get\" }]\n";
const SLEEP: &str = "[tasks.call]\nsteps = [{ sleep = { time = \"20ms\" } }]\n";
const BRIEF: &str =
    "[run]\nrounds = 1\nwarmup = \"50ms\"\nduration = \"250ms\"\ntimeout = \"60s\"\n";

/// The account of an open load, which must add up.
fn account<'a>(cell: &str, measured: &'a Measurements) -> (&'a Arrivals, &'a Stream) {
    let (arrivals, task) = (measured.arrivals.as_ref().unwrap(), &measured.task);
    assert_eq!(arrivals.scheduled, arrivals.dropped + task.count, "{cell}: {arrivals:?}");
    assert_eq!(arrivals.censored, task.censored, "{cell}: {arrivals:?}");
    assert_eq!(task.latency.count(), task.lateness.count(), "{cell}");
    assert!(arrivals.pacer.count() <= arrivals.scheduled, "{cell}: {arrivals:?}");
    (arrivals, task)
}

#[test]
fn every_arrival_is_accounted_for() {
    for (work, arrival) in [(HTTP, "constant"), (SLEEP, "poisson")] {
        let open =
            format!("open = {{ rate = \"400/s\", arrival = \"{arrival}\", max_in_flight = 64 }}\n");
        let run = race(&format!("{BRIEF}{work}[load.l]\ntask = \"call\"\n{open}"), &[]);
        let all = measured(&run);
        assert_eq!(all.len(), EXECUTORS.len());
        let scheduled = account(all[0].0, all[0].1).0.scheduled;
        for (cell, measured) in all {
            let (arrivals, task) = account(cell, measured);
            // The same seed, the same arrivals.
            assert_eq!(arrivals.scheduled, scheduled, "{cell}");
            assert_eq!((arrivals.delayed, arrivals.pacer.count()), (0, scheduled), "{cell}");
            assert!(
                task.count > task.censored && arrivals.most_in_flight >= 1,
                "{cell}: {arrivals:?}"
            );
            assert_eq!(measured.window_ns, 250_000_000, "{cell}");
        }
        assert!(arrival == "poisson" || scheduled == 100, "{scheduled}");
    }
}

#[test]
fn stages_are_the_measured_window() {
    let stages =
        "stages = [{ rate = \"200/s\", for = \"100ms\" }, { to = \"600/s\", for = \"200ms\" }]";
    let run = race(
        &format!(
            "[run]\nrounds = 1\nwarmup = \"50ms\"\ntimeout = \"60s\"\n[executors]\nuse = [\"tokio\", \"thread-pool\"]\n\
             {SLEEP}[load.l]\ntask = \"call\"\nopen = {{ rate = \"100/s\", {stages} }}\n"
        ),
        &[],
    );
    assert_eq!(
        load_words(&run.header.cells[0].loads[0].kind),
        "open, 2 stages of 200/s to 600/s, at most 1024 in flight"
    );
    for (cell, measured) in measured(&run) {
        let (arrivals, _) = account(cell, measured);
        assert_eq!((measured.window_ns, arrivals.scheduled), (300_000_000, 20 + 80), "{cell}");
    }
}

#[test]
fn overload_drops_or_delays_and_still_adds_up() {
    for overflow in ["drop", "delay"] {
        let open = format!(
            "open = {{ rate = \"2k/s\", max_in_flight = 4, overflow = \"{overflow}\", drain = \"100ms\" }}\n"
        );
        let run = race(&format!("{BRIEF}{SLEEP}[load.l]\ntask = \"call\"\n{open}"), &[]);
        for (cell, measured) in measured(&run) {
            let (arrivals, task) = account(cell, measured);
            // Four at a time that take 20 ms are a tenth of what arrives.
            assert_eq!((arrivals.scheduled, arrivals.most_in_flight), (500, 4), "{cell}");
            assert!(measured.trial.facts["slots"].parse::<u64>().unwrap() <= 4, "{cell}");
            if overflow == "drop" {
                assert!(arrivals.dropped >= 300 && arrivals.delayed == 0, "{cell}: {arrivals:?}");
            } else {
                assert_eq!((arrivals.dropped, task.count), (0, 500), "{cell}");
                assert!(
                    arrivals.delayed >= 300 && arrivals.censored >= 200,
                    "{cell}: {arrivals:?}"
                );
            }
        }
    }
}

#[test]
fn tasks_that_hang_are_censored_at_the_drain_limit() {
    let run = race(
        "[run]\nrounds = 1\nwarmup = \"0s\"\nduration = \"200ms\"\ntimeout = \"60s\"\n[executors.thread-pool]\nsize = 3\n\
         [targets.api]\nhttp = { delay = \"10m\" }\n\
         [tasks.call]\nsteps = [{ http = { target = \"api\", path = \"/\" }, name = \"get\" }]\n\
         [load.l]\ntask = \"call\"\nopen = { rate = \"100/s\", max_in_flight = 10, drain = \"200ms\" }\n",
        &[],
    );
    let all = measured(&run);
    assert_eq!(all.len(), EXECUTORS.len());
    for (cell, measured) in all {
        let (arrivals, task) = account(cell, measured);
        assert_eq!(
            (arrivals.scheduled, arrivals.dropped, arrivals.censored),
            (20, 10, 10),
            "{cell}"
        );
        assert_eq!((task.count, measured.completed), (10, 0), "{cell}");
        // As if they had ended at the limit, which none was nearer to than the drain.
        assert!(task.latency.0.min() >= 199_000_000, "{cell}: {}", task.latency.0.min());
    }
}

#[test]
fn nested_parallel_work_ends_under_an_open_load() {
    for size in [1, 3] {
        let run = race(
            &format!(
                "{BRIEF}[executors]\nuse = [\"thread-pool\", \"smol\"]\n[executors.thread-pool]\nsize = {size}\n\
                 [tasks.root]\nsteps = [{{ parallel = {{ task = \"branch\", count = 3 }} }}]\n\
                 [tasks.branch]\nsteps = [{{ parallel = {{ task = \"leaf\", count = 2 }} }}]\n\
                 [tasks.leaf]\nsteps = [{{ sleep = {{ time = \"1ms\" }} }}]\n\
                 [load.l]\ntask = \"root\"\nopen = {{ rate = \"50/s\" }}\n"
            ),
            &[],
        );
        for (cell, measured) in measured(&run) {
            let (arrivals, _) = account(cell, measured);
            assert!(
                arrivals.scheduled - arrivals.dropped - arrivals.censored > 0,
                "{cell}: {arrivals:?}"
            );
        }
    }
}

#[test]
fn a_wrong_answer_ends_the_trial() {
    let work = "[targets.api]\nhttp = {}\n[tasks.call]\n\
                steps = [{ http = { target = \"api\", path = \"/\" }, expect = { bytes = \"7B\" } }]\n";
    let run = race(
        &format!(
            "[run]\nrounds = 1\nduration = \"30s\"\ntimeout = \"60s\"\n{work}[load.l]\ntask = \"call\"\nopen = {{ rate = \"50/s\" }}\n"
        ),
        &[],
    );
    for trial in &run.trials {
        let Outcome::Failed(failure) = &trial.outcome else { panic!("{}: measured", trial.cell) };
        assert_eq!(failure.kind, FailureKind::WrongResult, "{}: {}", trial.cell, failure.reason);
        // Nobody waited for the end of the load.
        assert!(trial.wall_ns < 30_000_000_000, "{}: {}", trial.cell, trial.wall_ns);
    }
}

/// How long the pacer's clock stands still, in ns.
const STALL_NS: u64 = 60_000_000;

/// The real clock, on which the tenth wait takes too long by [`STALL_NS`].
struct Stalling {
    inner: RealTime,
    waits: u32,
}

impl PacerClock for Stalling {
    fn now_ns(&mut self) -> u64 {
        self.inner.now_ns()
    }

    async fn until(&mut self, at_ns: u64) {
        self.waits += 1;
        let stall = if self.waits == 10 { STALL_NS } else { 0 };
        self.inner.until(at_ns + stall).await;
    }
}

/// An open load of 1000 arrivals a second that do nothing, for 200 ms; what was recorded of it.
struct Stalled;

impl Visitor for Stalled {
    type Output = (Arrivals, Stream);

    fn visit<R: Runtime>(self) -> Self::Output {
        let text = "schema = 1\nname = 'x'\n[tasks.nothing]\nsteps = [{ noop = {} }]\n\
                    [load.l]\ntask = 'nothing'\nbatch = { tasks = 1 }\n";
        let scenario = from_text(Path::new("x.toml"), text, &Overrides::default()).unwrap();
        let machine = Machine {
            cpus: vec![0],
            executor_cpus: None,
            target_cpus: None,
            limits: Limits::default(),
        };
        let plan = Plan::new(&[scenario], &machine, 1, |_| true).cells.swap_remove(0).trial;
        let runtime = R::start(&Setup { workers: 1, pool_size: 2, stack_size: None }).unwrap();
        let recorders = Recorders::new(2, Vec::new());
        let trial = Arc::new(Trial {
            runtime: runtime.clone(),
            pool_size: 1,
            at_once: "`max_in_flight`",
            seed: 1,
            tasks: Box::new(plan.tasks),
            endpoints: HashMap::default(),
            recorders: recorders.clone(),
            ledger: Arc::default(),
            shared: Arc::default(),
            commons: Arc::default(),
        });
        let shared = Arc::new(LoadShared::default());
        let slot = |number| {
            Slot::new(
                number,
                trial.sequence("nothing", number).unwrap(),
                &recorders,
                shared.clone(),
                1,
            )
        };
        let mut slots: Vec<Slot> = (0..R::INFO.style.slots(256, 2) as usize).map(slot).collect();
        load::prepare(&runtime, &mut slots, None).unwrap();
        let open = Open {
            rate: 1_000.0,
            stages: vec![Stage { from: 1_000.0, to: 1_000.0, length_ns: 200_000_000 }],
            arrival: Arrival::Constant,
            max_in_flight: 256,
            overflow: Overflow::Drop,
            warmup_ns: 0,
            drain_ns: 20_000_000_000,
            seed: 1,
        };
        let outcome = open.run(&runtime, &mut slots, &recorders, &(), |pacer_loop| {
            let clock = Stalling { inner: RealTime { spin: false }, waits: 0 };
            futures_lite::future::block_on(pacer_loop.run(clock))
        });
        let arrivals = outcome.unwrap().open.unwrap().arrivals;
        assert_eq!(slots.len(), R::INFO.style.slots(256, 2) as usize, "all slots have come back");
        drop((slots, trial));
        runtime.stop();
        (arrivals, recorders.task())
    }
}

#[test]
fn a_stall_of_the_pacer_shows_in_its_own_lateness_and_not_in_the_service() {
    for executor in EXECUTORS {
        let name = executor.name;
        let (arrivals, task) = runtime::dispatch(name, Stalled).unwrap();
        assert_eq!((arrivals.scheduled, arrivals.dropped, task.count), (200, 0, 200), "{name}");
        // 60 arrivals were due while the clock stood still; all of them were made up for, as late
        // as they were.
        let late = |histo: &regatta::measure::Histo, ns: u64| histo.0.count_between(ns, u64::MAX);
        assert!(arrivals.pacer.0.max() > STALL_NS * 9 / 10, "{name}: {}", arrivals.pacer.0.max());
        for ns in [10_000_000, 30_000_000, 50_000_000] {
            let least = (STALL_NS - ns) / 1_000_000 - 2;
            for histo in [&arrivals.pacer, &task.lateness, &task.latency] {
                assert!(
                    late(histo, ns) >= least,
                    "{name}: {} of {least} by {ns} ns",
                    late(histo, ns)
                );
            }
        }
        // Nothing was slower for it: what does nothing takes nearly no time, late or not.
        assert!(task.service.median().unwrap() < 10_000_000, "{name}: {:?}", task.service.median());
    }
}
