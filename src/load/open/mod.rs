//! `open`: tasks arrive when the schedule says so, whatever has become of those before.
//!
//! [`Schedule`] says when; [`Pacer`] hands arrivals over on time, from a thread of its own;
//! [`Ring`] (or the pool's queue) carries them to the executor, where an intake starts them;
//! [`Flight`] knows what is in flight. The parts below [`Open::run`] run as well on a simulated
//! executor with a simulated clock.

mod flight;
mod free;
mod hand_off;
mod intake;
mod outcome;
mod pacer;
mod ring;
mod schedule;

use std::{
    future::Future,
    thread::{self, JoinHandle},
};

pub use flight::{Censored, Flight, Totals};
pub use hand_off::HandOff;
pub use intake::{attend, take_in};
pub use outcome::OpenOutcome;
pub use pacer::{Overflow, Pacer, PacerAccount, PacerStep};
pub use ring::Ring;
pub use schedule::{Arrival, Schedule, Stage};

use super::{LoadError, LoadOutcome, Slot, Window, window::tickets};
use crate::{clock, measure::Recorders, runtime::Runtime};

/// The first arrival is due so long after the threads were started, in ns.
const LEAD_NS: u64 = 2_000_000;
/// How often it is looked whether the load need not be waited for, in ns; and, after the last
/// arrival, whether it is over.
const GLANCE_NS: u64 = 50_000_000;
const FINAL_GLANCE_NS: u64 = 1_000_000;
/// The pacer looks at least so often whether it should stop, in ns.
const LONGEST_NAP_NS: u64 = 20_000_000;
/// What hangs at the end may take so long to notice that it was given up, in ns.
const GRACE_NS: u64 = 100_000_000;

/// An open load.
#[derive(Debug, Clone)]
pub struct Open {
    /// The rate in the warm-up, in arrivals per second.
    pub rate: f64,
    /// The measured stages.
    pub stages: Vec<Stage>,
    /// The gaps.
    pub arrival: Arrival,
    /// Tasks in flight at most, queued ones included.
    pub max_in_flight: u64,
    /// What becomes of those that come then.
    pub overflow: Overflow,
    /// Arrivals before measuring, in ns.
    pub warmup_ns: u64,
    /// How long tasks may still take after the last arrival, in ns.
    pub drain_ns: u64,
    /// The seed of the gaps.
    pub seed: u64,
}

/// The pacer's clock: the real one, or one that a test moves or stalls.
pub trait PacerClock: Send {
    /// What it shows, in ns.
    fn now_ns(&mut self) -> u64;
    /// Waits until it shows `at_ns`.
    fn until(&mut self, at_ns: u64) -> impl Future<Output = ()> + Send;
}

/// The real clock, on a thread of its own: waiting blocks.
#[derive(Debug, Clone, Copy)]
pub struct RealTime {
    /// Whether the last stretch is spun rather than slept, for a thread whose CPU nobody else
    /// needs.
    pub spin: bool,
}

impl PacerClock for RealTime {
    fn now_ns(&mut self) -> u64 {
        clock::now_ns()
    }

    async fn until(&mut self, at_ns: u64) {
        /// A sleeping thread seldom wakes later than this.
        const STRETCH_NS: u64 = 60_000;
        if !self.spin {
            return clock::sleep_until(at_ns);
        }
        clock::sleep_until(at_ns.saturating_sub(STRETCH_NS));
        while clock::now_ns() < at_ns {
            std::hint::spin_loop();
        }
    }
}

/// What the pacer's thread does: a pacer, the hand-off that it gives arrivals to, and what it is
/// told of the others.
pub struct PacerLoop {
    /// Says what to do when.
    pub pacer: Pacer,
    /// Where arrivals go.
    pub hand_off: HandOff,
    /// What is in flight.
    pub flight: &'static Flight,
}

impl PacerLoop {
    /// Hands over all arrivals, or as many as there is time for. The same on a thread with a real
    /// clock, where waiting blocks, and as a task on a simulated one.
    pub async fn run(mut self, mut wait: impl PacerClock) -> (PacerAccount, Censored) {
        while !self.flight.stopped() {
            let now_ns = wait.now_ns();
            match self.pacer.next(now_ns, self.flight.in_flight()) {
                PacerStep::Emit(ticket) => {
                    self.flight.enter();
                    self.hand_off.push(ticket);
                }
                PacerStep::SleepUntil(at_ns) => {
                    wait.until(at_ns.min(now_ns + LONGEST_NAP_NS)).await;
                }
                PacerStep::Done => break,
            }
        }
        let unsent = self.flight.give_up_unsent(&mut self.pacer, wait.now_ns());
        (self.pacer.into_account(), unsent)
    }
}

/// A load that has been set up: everything but who drives it.
pub struct Launch {
    /// For the pacer.
    pub pacer_loop: PacerLoop,
    /// For the executor.
    pub hand_off: HandOff,
    /// For both.
    pub flight: &'static Flight,
    /// Arrivals that are meant for it are measured, in ns of the clock.
    pub window: (u64, u64),
}

impl Open {
    /// Length of the window in ns.
    pub fn window_ns(&self) -> u64 {
        self.stages.iter().fold(0, |sum, stage| sum.saturating_add(stage.length_ns))
    }

    /// Sets the load up to begin at `start_ns`. Takes all slots.
    pub fn launch<R: Runtime>(
        &self,
        runtime: &R,
        slots: &mut Vec<Slot>,
        recorders: &Recorders,
        start_ns: u64,
        trial: &impl Window,
    ) -> Launch {
        let warmup = Stage { from: self.rate, to: self.rate, length_ns: self.warmup_ns };
        let stages = std::iter::once(warmup).chain(self.stages.iter().copied()).collect();
        let schedule = Schedule::new(stages, self.arrival, self.seed);
        let from_ns = start_ns.saturating_add(self.warmup_ns);
        let window = (from_ns, from_ns.saturating_add(self.window_ns()));
        recorders.set_window(window.0, window.1);
        recorders.slice(start_ns, window.0, window.1);
        let pacer = Pacer::new(schedule, start_ns, window, self.max_in_flight, self.overflow);
        let (hand_off, flight) = (
            HandOff::of(tickets(runtime, trial), self.max_in_flight),
            Flight::new(slots, recorders, window),
        );
        Launch {
            pacer_loop: PacerLoop { pacer, hand_off: hand_off.clone(), flight },
            hand_off,
            flight,
            window,
        }
    }

    /// Runs the load in the window of its trial; `pace` drives the pacer on a thread of its own. A
    /// load ends even if tasks hang: slots that have not come back are missing afterwards.
    pub fn run<R: Runtime>(
        &self,
        runtime: &R,
        slots: &mut Vec<Slot>,
        recorders: &Recorders,
        trial: &impl Window,
        pace: impl FnOnce(PacerLoop) -> (PacerAccount, Censored) + Send + 'static,
    ) -> Result<LoadOutcome, LoadError> {
        let shared = slots.first().map(Slot::shared).unwrap_or_default();
        let start_ns = trial.start_ns().unwrap_or_else(|| clock::now_ns() + LEAD_NS);
        let Launch { pacer_loop, hand_off, flight, window } =
            self.launch(runtime, slots, recorders, start_ns, trial);
        let executor = {
            let (runtime, hand_off) = (runtime.clone(), hand_off.clone());
            start("executor", move || attend(&runtime, hand_off, flight))?
        };
        let pacer = {
            start("pacer", move || {
                let paced = pace(pacer_loop);
                flight.stay();
                paced
            })?
        };

        // A trial that must fail, or an executor that has failed, need not be waited for.
        let lost = || shared.stopped() || executor.is_finished();
        sleep_unless(window.0, GLANCE_NS, lost);
        trial.opens();
        sleep_unless(window.1, GLANCE_NS, lost);
        trial.closes();
        let all_ended = || flight.all_sent() && flight.in_flight() == 0;
        sleep_unless(window.1.saturating_add(self.drain_ns), FINAL_GLANCE_NS, || {
            lost() || all_ended()
        });

        flight.stop();
        let (account, unsent) = joined(pacer);
        hand_off.close();
        let in_flight = flight.give_up(&hand_off, account.emitted, clock::now_ns());
        recorders.set_window(u64::MAX, 0);
        if in_flight.is_none_or(|given_up| given_up.total > 0) {
            sleep_unless(clock::now_ns() + GRACE_NS, FINAL_GLANCE_NS, || executor.is_finished());
        }
        if in_flight.is_some_and(|given_up| given_up.total == 0) || executor.is_finished() {
            joined(executor)?;
        }
        let in_flight = in_flight.ok_or_else(|| unaccounted(account.emitted, flight.totals()))?;
        *slots = flight.slots();
        Ok(self.outcome(OpenOutcome::new(account, flight.totals(), in_flight, unsent)))
    }

    fn outcome(&self, open: OpenOutcome) -> LoadOutcome {
        LoadOutcome {
            makespans_ns: Vec::new(),
            window_ns: self.window_ns(),
            completed: open.totals.completed,
            total_tasks: open.totals.ended,
            per_client: None,
            closed: None,
            open: Some(open),
        }
    }
}

fn unaccounted(emitted: u64, totals: Totals) -> LoadError {
    let Totals { ended, .. } = totals;
    LoadError::Lost(format!(
        "the executor has lost tasks: of {emitted} that were handed to it, {ended} have ended, and the others neither \
         run nor wait"
    ))
}

fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, LoadError> {
    let thread = thread::Builder::new().name(name.into()).spawn(work);
    thread.map_err(|source| LoadError::Thread { started: 0, wanted: 2, source })
}

fn joined<T>(thread: JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn sleep_unless(until_ns: u64, glance_ns: u64, over: impl Fn() -> bool) {
    while clock::now_ns() < until_ns && !over() {
        clock::sleep_until(until_ns.min(clock::now_ns() + glance_ns));
    }
}
