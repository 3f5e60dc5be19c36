//! Loads that share a trial: what each of them measures is what it measures alone, as long as they
//! have nothing in common that one could take from the other.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{
    Simulated,
    rig::{LONGEST_NS, START_NS, drive_closed, drive_open, punctual, slots},
    server::{Server, Service},
    simulate,
};
use crate::{
    analysis::analyse,
    load::{Arrival, Batch, Closed, ClosedEnd, Open, Overflow, Stage, Window, prepare},
    measure::{Measured, Measurements, Recorders},
    runtime::Runtime,
    scenario::{Comparison, LoadKind, Slo, SloMetric},
    store::{Outcome, Run, StoredLoad, fixture, fixture::Fixture},
    units::Distribution,
};

const MS: u64 = 1_000_000;
const WARMUP_NS: u64 = 50 * MS;
const WINDOW_NS: u64 = 500 * MS;

/// The window of one load or of several, which counts who opened and closed it.
struct Common {
    load: usize,
    /// Whether there are other loads; one alone begins at once.
    shared: bool,
    edges: Arc<[AtomicUsize; 2]>,
}

impl Window for Common {
    fn load(&self) -> usize {
        self.load
    }

    fn start_ns(&self) -> Option<u64> {
        self.shared.then_some(START_NS)
    }

    fn others_end_ns(&self) -> Option<u64> {
        self.shared.then_some(START_NS + WARMUP_NS + WINDOW_NS)
    }

    fn opens(&self) {
        self.edges[0].fetch_add(1, Relaxed);
    }

    fn closes(&self) {
        self.edges[1].fetch_add(1, Relaxed);
    }
}

/// Each kind of load, with how many of its calls its server serves at once.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Batch,
    Closed,
    ClosedByTasks,
    Open,
}

const KINDS: [Kind; 4] = [Kind::Batch, Kind::Closed, Kind::ClosedByTasks, Kind::Open];

impl Kind {
    fn stored(self) -> LoadKind {
        match self {
            Self::Batch => fixture::kind("batch"),
            Self::Closed | Self::ClosedByTasks => fixture::clients(3),
            Self::Open => fixture::kind("open"),
        }
    }

    fn slots(self) -> u64 {
        match self {
            Self::Batch => 12,
            Self::Closed | Self::ClosedByTasks => 3,
            Self::Open => 64,
        }
    }

    /// Runs the load; which of several it is does not matter for what it does.
    async fn drive(self, runtime: &Simulated, window: Common) -> Measurements {
        let server = Server::new(2, Service::Exponential(MS), None, 7);
        let recorders = Recorders::up_to(LONGEST_NS, 2, Vec::new());
        let mut slots = slots(self.slots(), &server, &recorders);
        let think = Distribution::Exp(Duration::from_millis(3));
        let closed = |end| {
            let (clients, stages, drain_ns) = (3, None, 100 * MS);
            Closed { clients, stages, think, end, warmup_ns: WARMUP_NS, drain_ns, seed: 42 }
        };
        let mut measured = Measurements { window_ns: WINDOW_NS, ..Measurements::default() };
        match self {
            Self::Batch => {
                let load = Batch { tasks: 12, repeat: Some(9), warmup_ns: WARMUP_NS };
                let ran = load.drive(runtime, &mut slots, &recorders, &window).await;
                let ran = ran.expect("virtual tasks can always be started");
                (measured.completed, measured.window_ns) = (ran.completed, ran.window_ns);
                measured.makespans_ns = ran.makespans_ns;
            }
            Self::Closed => {
                let load = closed(ClosedEnd::After(WINDOW_NS));
                let trial = &window;
                let drained =
                    drive_closed(&load, WINDOW_NS, runtime, &mut slots, &recorders, trial).await;
                measured.completed = drained.completed;
            }
            Self::ClosedByTasks => {
                let load = closed(ClosedEnd::Tasks(200));
                let ran = load.for_tasks(200, runtime, &mut slots, &recorders, &window).await;
                let ran = ran.expect("virtual tasks can always be started");
                (measured.completed, measured.window_ns) = (ran.completed, ran.window_ns);
            }
            Self::Open => {
                let stages = vec![Stage { from: 900.0, to: 900.0, length_ns: WINDOW_NS }];
                let load = Open {
                    rate: 900.0,
                    stages,
                    arrival: Arrival::Poisson,
                    max_in_flight: 64,
                    overflow: Overflow::Drop,
                    warmup_ns: WARMUP_NS,
                    drain_ns: 100 * MS,
                    seed: 42,
                };
                let trial = (START_NS, &window);
                let (account, totals) =
                    drive_open(&load, runtime, &mut slots, &recorders, trial, punctual).await;
                measured.completed = totals.completed;
                measured.arrivals = Some(account.arrivals);
            }
        }
        measured.task = recorders.task();
        // Slices lie on the clock's own grid, wherever a load begins.
        measured
    }
}

/// Several loads on their way.
type Driven<'a> = Pin<Box<dyn Future<Output = Vec<Measurements>> + 'a>>;

/// What loads measure that begin together, in one simulation.
fn together(kinds: &[Kind]) -> Vec<Measurements> {
    simulate(|runtime| {
        prepare::<_, crate::measure::Recorder>(runtime, &mut Vec::new(), None)
            .expect("nothing to get ready");
        let edges: Arc<[AtomicUsize; 2]> = Arc::default();
        let mut all: Driven<'_> = Box::pin(async { Vec::new() });
        for (load, kind) in kinds.iter().enumerate() {
            let (shared, edges) = (kinds.len() > 1, edges.clone());
            let drive = kind.drive(runtime, Common { load, shared, edges });
            all = Box::pin(async move {
                let (mut before, this) = futures_lite::future::zip(all, drive).await;
                before.push(this);
                before
            });
        }
        let measured = runtime.block_on(all);
        // Loads that a real thread waits for say by themselves when they open and close.
        let own = kinds.iter().filter(|kind| [Kind::Batch, Kind::ClosedByTasks].contains(kind));
        let own = own.count();
        assert_eq!(edges.each_ref().map(|edge| edge.load(Relaxed)), [own, own]);
        measured
    })
}

/// A run of one cell with these loads, each measured once in each of six rounds.
fn stored(kinds: &[Kind], measured: &[Measurements]) -> Run {
    let name = |at: usize| format!("{:?}-{at}", kinds[at]).to_lowercase();
    let slo = |subject: String, metric, comparison, limit| Slo {
        assert: String::new(),
        subject,
        metric,
        comparison,
        limit,
        only: Vec::new(),
        line: 1,
    };
    let of_load = |at: usize| {
        let subject = if kinds.len() > 1 { name(at) } else { "task-0".into() };
        [
            slo(subject.clone(), SloMetric::Latency(0.9), Comparison::Below, 2e6),
            slo(subject, SloMetric::Throughput, Comparison::Above, 400.0),
        ]
    };
    let slos = (0..kinds.len()).flat_map(of_load).collect();
    let run = Fixture::closed("threads", 6).cell("threads", &[], &[1.0; 6]);
    let run = run.with(|run| {
        run.header.scenarios[0].slos = slos;
        let load = |at: usize| StoredLoad {
            name: name(at),
            task: format!("task-{at}"),
            kind: kinds[at].stored(),
            slots: kinds[at].slots(),
            least_task_ns: 0,
        };
        run.header.cells[0].loads = (0..kinds.len()).map(load).collect();
        for trial in &mut run.trials {
            let measured = Measured::new(measured.to_vec(), Arc::default());
            trial.outcome = Outcome::Measured(Box::new(measured));
        }
    });
    run.build()
}

/// Histograms, totals and the verdicts on limits are those of the load alone, whichever
/// loads it shares its trial with.
#[test]
fn two_loads_of_one_trial_measure_what_each_measures_alone() {
    for first in KINDS {
        for second in KINDS {
            let pair = [first, second];
            let alone = pair.map(|kind| together(&[kind]).remove(0));
            let both = together(&pair);
            assert!(both == alone, "{pair:?}");
            assert!(both.iter().all(|load| load.task.count > 50), "{pair:?}");

            let analysis = analyse(&stored(&pair, &both));
            assert_eq!(analysis.scenarios.len(), 2, "{pair:?}: a part for each load");
            for (at, part) in analysis.scenarios.iter().enumerate() {
                let single = analyse(&stored(&[pair[at]], &alone[at..=at]));
                let single = &single.scenarios[0];
                let [cell, lone] = [part, single].map(|part| &part.groups[0].cells[0]);
                assert_eq!((&cell.latency, cell.counts), (&lone.latency, lone.counts), "{pair:?}");
                assert_eq!(part.primary, single.primary, "{pair:?}");
                let judged = |slos: &[crate::analysis::SloResult]| {
                    slos.iter().map(|slo| (slo.measured, slo.holds)).collect::<Vec<_>>()
                };
                assert_eq!(judged(&part.slos), judged(&single.slos), "{pair:?}");
                assert_eq!(part.slos.len(), 2, "{pair:?}");
            }
        }
    }
}

/// A batch without `repeat` goes on for as long as the loads beside it measure.
#[test]
fn a_batch_beside_a_load_that_ends_by_time_repeats_until_its_end() {
    let ends = simulate(|runtime| {
        let server = Server::new(1, Service::Constant(20 * MS), None, 1);
        let recorders = Recorders::up_to(LONGEST_NS, 2, Vec::new());
        let mut slots = slots(1, &server, &recorders);
        let window = Common { load: 0, shared: true, edges: Arc::default() };
        let load = Batch { tasks: 1, repeat: None, warmup_ns: WARMUP_NS };
        runtime.block_on(load.drive(runtime, &mut slots, &recorders, &window))
    });
    let ends = ends.expect("virtual tasks can always be started");
    // The third warm-up batch of 20 ms ends 10 ms after the warm-up.
    assert_eq!(ends.makespans_ns.len() as u64, (WINDOW_NS - 10 * MS).div_ceil(20 * MS));
}
