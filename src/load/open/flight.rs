//! What is in flight: the slots of an open load, who uses them, and the account that holds even if
//! some never come back.

use std::{
    future::Future,
    pin::Pin,
    sync::atomic::{
        AtomicBool, AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed, Release},
    },
    task::{Context, Poll, ready},
};

use super::{
    HandOff, Pacer,
    free::{Free, HeldSlots},
};
use crate::{
    clock,
    load::Slot,
    measure::Recorders,
    runtime::Ticket,
    step::{Failure, StepEnd},
};

/// What a slot is doing, as seen from outside, and what it has done: written by whoever holds the
/// slot, read by the load when it ends. A task is settled by whoever takes it out of `state`: its
/// slot, or the load that gives it up.
#[derive(Default)]
struct FlightLog {
    /// [`IDLE`], [`SETTLING`], [`GIVEN_UP`], or when its task was meant to start, in ns after
    /// [`RUNNING`].
    state: AtomicU64,
    /// When its task has started; 0: not yet.
    actual_ns: AtomicU64,
    /// Tasks that ended by themselves.
    ended: AtomicU64,
    /// Of them, those that were meant to start in the window.
    measured: AtomicU64,
    /// Tasks that completed inside the window.
    completed: AtomicU64,
}

const IDLE: u64 = 0;
const SETTLING: u64 = 1;
const GIVEN_UP: u64 = 2;
const RUNNING: u64 = 3;

/// A slot of an open load. It goes back to the free ones by itself when its task has ended.
pub(super) struct InFlightSlot {
    /// Its place among the free ones.
    place: usize,
    slot: Slot,
    log: &'static FlightLog,
    flight: &'static Flight,
    /// What it answers for.
    ticket: Ticket,
    /// When that has started; 0: not yet.
    actual_ns: u64,
}

impl InFlightSlot {
    /// From now on the slot answers for this ticket.
    pub(super) fn begin(&mut self, ticket: Ticket) {
        (self.ticket, self.actual_ns) = (ticket, 0);
        self.log.actual_ns.store(0, Relaxed);
        self.log.state.store(ticket.due_ns + RUNNING, Release);
    }

    /// Goes on with the task of the ticket, and settles it in the end. Connections that the slot
    /// opens, when it is used for the first time, are opened before the task's clock is read.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Ticket { number, due_ns } = self.ticket;
        if self.actual_ns == 0 {
            let opened =
                if self.slot.is_open() { Ok(()) } else { ready!(self.slot.poll_open(context)) };
            self.actual_ns = clock::now_ns();
            self.log.actual_ns.store(self.actual_ns, Relaxed);
            if let Err(failure) = opened {
                self.end(self.actual_ns, StepEnd::Failed(Box::new(failure)));
                return Poll::Ready(());
            }
            self.slot.start(number, due_ns);
        }
        let ended = ready!(self.slot.poll(context));
        self.end(clock::now_ns(), ended);
        Poll::Ready(())
    }

    /// Settles the task of the ticket unless the load has given it up meanwhile.
    fn end(&mut self, completed_ns: u64, ended: StepEnd) {
        let Ticket { number, due_ns } = self.ticket;
        if self.log.state.compare_exchange(due_ns + RUNNING, SETTLING, AcqRel, Relaxed).is_ok() {
            self.slot.settle(number, (due_ns, self.actual_ns, completed_ns), ended);
            self.publish(self.ticket);
        }
    }

    fn publish(&self, ticket: Ticket) {
        let (log, slot) = (&self.log, &self.slot);
        if self.flight.measures(ticket) {
            // The slot has one holder at a time, so that this needs no locked instruction.
            log.measured.store(log.measured.load(Relaxed) + 1, Relaxed);
        }
        log.completed.store(slot.completed, Relaxed);
        // Whoever sees the task as ended sees everything that was counted for it, recorders
        // included.
        log.ended.store(slot.ran, Release);
        log.state.store(IDLE, Release);
    }

    /// Gives the slot back. Only then its task is no longer in flight, so that who comes in finds a
    /// free slot.
    pub(super) fn go_back(self: Box<Self>) {
        let flight = self.flight;
        flight.put(self);
        flight.leave();
    }
}

/// A slot on its way through a task of the executor's own. An executor that drops the task, or lets
/// it panic, drops this with it, and the trial fails.
pub(super) struct InFlightTask(Option<Box<InFlightSlot>>);

impl InFlightTask {
    /// From now on the slot answers for the ticket.
    pub(super) fn new(mut slot: Box<InFlightSlot>, ticket: Ticket) -> Self {
        slot.begin(ticket);
        Self(Some(slot))
    }
}

/// Runs the task and gives the slot back.
impl Future for InFlightTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Some(slot) = &mut self.0 {
            ready!(slot.poll(context));
        }
        if let Some(slot) = self.0.take() {
            slot.go_back();
        }
        Poll::Ready(())
    }
}

impl Drop for InFlightTask {
    fn drop(&mut self) {
        if let Some(slot) = &self.0 {
            let lost = Failure::Wrong("the executor did not run it to its end".to_owned());
            slot.slot.shared().fail(lost.at(format_args!("task {}", slot.ticket.number)));
        }
    }
}

/// Sums over all slots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Tasks that ended by themselves, warm-up included.
    pub ended: u64,
    /// Of them, those that were meant to start in the window.
    pub measured: u64,
    /// Tasks that completed inside the window.
    pub completed: u64,
}

/// Tasks that were given up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Censored {
    /// All.
    pub total: u64,
    /// Those that were meant to start in the window.
    pub measured: u64,
}

/// What the pacer, the intake, the tasks and the load share. It lives as long as the process: tasks
/// that hang outlive their load, and counting references to it would be a part of what every task
/// costs.
pub struct Flight {
    tasks: AtomicU64,
    stop: AtomicBool,
    all_sent: AtomicBool,
    free: Free<InFlightSlot>,
    logs: Vec<FlightLog>,
    recorders: Recorders,
    window: (u64, u64),
}

impl Flight {
    /// All slots free. Completions in `window` are counted.
    pub(super) fn new(
        slots: &mut Vec<Slot>,
        recorders: &Recorders,
        window: (u64, u64),
    ) -> &'static Self {
        let flight: &'static Self = Box::leak(Box::new(Self {
            tasks: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            all_sent: AtomicBool::new(false),
            free: Free::new(slots.len()),
            logs: slots.iter().map(|_| FlightLog::default()).collect(),
            recorders: recorders.clone(),
            window,
        }));
        for (place, (mut slot, log)) in slots.drain(..).zip(&flight.logs).enumerate() {
            slot.window = window;
            flight.put(Box::new(InFlightSlot {
                place,
                slot,
                log,
                flight,
                ticket: Ticket::default(),
                actual_ns: 0,
            }));
        }
        flight
    }

    /// A free slot; none only if more tasks are in flight than there are slots.
    pub(super) fn take(&self, held: &mut HeldSlots) -> Option<Box<InFlightSlot>> {
        self.free.take(held)
    }

    pub(super) fn put(&self, slot: Box<InFlightSlot>) {
        self.free.put(slot.place, slot);
    }

    /// Tasks in flight, those included that wait for the executor.
    pub fn in_flight(&self) -> u64 {
        // With the one in `leave`: whoever sees a task gone finds its slot free.
        self.tasks.load(Acquire)
    }

    /// A task is handed over.
    pub(crate) fn enter(&self) {
        self.tasks.fetch_add(1, Relaxed);
    }

    pub(super) fn leave(&self) {
        self.tasks.fetch_sub(1, Release);
    }

    fn measures(&self, ticket: Ticket) -> bool {
        (self.window.0..self.window.1).contains(&ticket.due_ns)
    }

    /// Asks the pacer to hand nothing more over.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// Whether the pacer was asked to stop.
    pub fn stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Says that everything was handed over, and stays until the load ends: a thread that is gone
    /// has used no time, as far as the counters at the edges of the window can see.
    pub(super) fn stay(&self) {
        const NAP_NS: u64 = 2_000_000;
        self.all_sent.store(true, Release);
        while !self.stopped() {
            clock::sleep_until(clock::now_ns() + NAP_NS);
        }
    }

    /// Whether the pacer has handed everything over.
    pub(super) fn all_sent(&self) -> bool {
        self.all_sent.load(Acquire)
    }

    /// Sums over all slots, those included that have not come back.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for log in &self.logs {
            totals.ended += log.ended.load(Acquire);
            totals.measured += log.measured.load(Relaxed);
            totals.completed += log.completed.load(Relaxed);
        }
        totals
    }

    /// Gives up whatever is in flight at `now_ns`: what waits, and what runs. None, if the account
    /// cannot be closed: what the pacer has handed over (`emitted`) has neither ended nor is it
    /// anywhere.
    pub(super) fn give_up(
        &self,
        hand_off: &HandOff,
        emitted: u64,
        now_ns: u64,
    ) -> Option<Censored> {
        /// A ticket that was taken from the queue is in a slot a moment later, and a task that is
        /// being settled ends.
        const MOMENT_NS: u64 = 200_000;
        const MOMENTS: u32 = 25_000;
        let mut censored = Censored::default();
        for _ in 0..MOMENTS {
            while let Some(ticket) = hand_off.withdraw() {
                self.censor(ticket.due_ns, None, now_ns, &mut censored);
            }
            for log in &self.logs {
                let state = log.state.load(Acquire);
                if state >= RUNNING
                    && log.state.compare_exchange(state, GIVEN_UP, AcqRel, Relaxed).is_ok()
                {
                    let actual_ns =
                        Some(log.actual_ns.load(Relaxed)).filter(|&at| at > 0 && at <= now_ns);
                    self.censor(state - RUNNING, actual_ns, now_ns, &mut censored);
                }
            }
            if censored.total + self.totals().ended >= emitted {
                return Some(censored);
            }
            clock::sleep_until(clock::now_ns() + MOMENT_NS);
        }
        None
    }

    /// Gives up what the pacer has not handed over.
    pub(super) fn give_up_unsent(&self, pacer: &mut Pacer, now_ns: u64) -> Censored {
        let mut censored = Censored::default();
        while let Some(ticket) = pacer.give_up() {
            self.censor(ticket.due_ns, None, now_ns, &mut censored);
        }
        censored
    }

    fn censor(&self, due_ns: u64, actual_ns: Option<u64>, now_ns: u64, censored: &mut Censored) {
        censored.total += 1;
        censored.measured += u64::from((self.window.0..self.window.1).contains(&due_ns));
        self.recorders.censor(due_ns, actual_ns, now_ns);
    }

    /// The slots that are not in use, when the load has ended.
    pub fn slots(&self) -> Vec<Slot> {
        self.free.drain().map(|slot| slot.slot).collect()
    }
}
