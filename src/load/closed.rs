//! `closed`: a fixed number of clients, each starting its next task when its last one has ended.

use std::{sync::Arc, time::Duration};

use super::{
    LoadError, LoadOutcome, Slot, Window,
    clients::{Attendance, ClientStage, NEVER},
    executor::{self, Executor},
    giving_up::{ClientTurn, Left, Watch},
    lane::{WARMUP_TASKS, start_lanes, start_serving},
    turns::ClientTurns,
    window::{tickets, wait},
};
use crate::{
    clock, draw,
    measure::{Clients, Record, Recorder, Recorders},
    runtime::{NativeTimers as _, NativeWork as _, Runtime, Ticket, Tickets},
    units::Distribution,
};

/// The draws of think times are this far from those of any step.
const THINK: u64 = u64::MAX - 1;

/// A closed load.
#[derive(Debug, Clone)]
pub struct Closed {
    /// How many clients, or most of them where there are stages.
    pub clients: u64,
    /// Clients of the warm-up, and their number over the window; none: all of them take part all
    /// the time.
    pub stages: Option<(u64, Arc<[ClientStage]>)>,
    /// Pause between a task's end and the next one's intended start, drawn afresh each time.
    pub think: Distribution,
    /// When it ends.
    pub end: ClosedEnd,
    /// Run before measuring, in ns.
    pub warmup_ns: u64,
    /// How long tasks may still take after the end of the window, in ns.
    pub drain_ns: u64,
    /// The seed of the think times.
    pub seed: u64,
}

/// When a closed load ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedEnd {
    /// After this much measured time, in ns.
    After(u64),
    /// After this many measured tasks.
    Tasks(u64),
}

/// One pass of the clients.
#[derive(Debug, Clone)]
struct Pass {
    clients: u64,
    /// None: all clients take part all the time.
    attendance: Option<Attendance>,
    think: Think,
    first_task: u64,
    start_ns: u64,
    /// No task is started whose intended start is not before this.
    until_ns: u64,
    /// No task is started whose index is not below this.
    tasks_end: u64,
}

/// A load that was set up, but for who drives it.
pub struct Launched<Rec = Recorder> {
    /// For the executor.
    pub lanes: Lanes<Rec>,
    /// For who waits for it.
    pub watch: Arc<Watch<Rec>>,
    /// What is measured, in ns of the clock.
    pub window: (u64, u64),
}

/// The lanes of a load, before they run.
pub struct Lanes<Rec = Recorder> {
    pass: Pass,
    slots: Vec<Slot<Rec>>,
    /// Its way to the workers of a pool, where there is one.
    tickets: Option<Tickets>,
    watch: Arc<Watch<Rec>>,
}

impl Closed {
    /// Runs the load in the window of its trial. A load that ends by time ends even if tasks hang:
    /// slots that have not come back are missing afterwards.
    pub fn run<R: Runtime, Rec: Record>(
        self,
        runtime: &R,
        slots: &mut Vec<Slot<Rec>>,
        recorders: &Recorders,
        window: &impl Window,
    ) -> Result<LoadOutcome, LoadError> {
        match self.end {
            ClosedEnd::After(duration_ns) => {
                self.for_duration(duration_ns, runtime, slots, recorders, window)
            }
            ClosedEnd::Tasks(tasks) => {
                runtime.block_on(self.for_tasks(tasks, runtime, slots, recorders, window))
            }
        }
    }

    fn pass(&self, first_task: u64) -> Pass {
        Pass {
            clients: self.clients,
            attendance: None,
            think: Think::new(self.think, self.seed),
            first_task,
            start_ns: clock::now_ns(),
            until_ns: u64::MAX,
            tasks_end: u64::MAX,
        }
    }

    /// Sets up a load that ends by time: warm-up and window in one pass. Takes all slots.
    pub fn launch<R: Runtime, Rec: Record>(
        &self,
        duration_ns: u64,
        runtime: &R,
        slots: &mut Vec<Slot<Rec>>,
        recorders: &Recorders,
        trial: &impl Window,
    ) -> Launched<Rec> {
        let mut pass = self.pass(0);
        pass.start_ns = trial.start_ns().unwrap_or(pass.start_ns);
        let from_ns = pass.start_ns + self.warmup_ns;
        let window = (from_ns, from_ns + duration_ns);
        pass.until_ns = window.1;
        pass.attendance = self
            .stages
            .as_ref()
            .map(|(warming, stages)| Attendance::new(stages, *warming, from_ns));
        for slot in slots.iter_mut() {
            slot.window = window;
        }
        recorders.set_window(window.0, window.1);
        recorders.slice(pass.start_ns, window.0, window.1);
        let lanes = pass.lanes(tickets(runtime, trial), slots);
        Launched { watch: lanes.watch.clone(), lanes, window }
    }

    /// The executor has a thread of its own, which is left behind if it does not come back.
    fn for_duration<R: Runtime, Rec: Record>(
        self,
        duration_ns: u64,
        runtime: &R,
        slots: &mut Vec<Slot<Rec>>,
        recorders: &Recorders,
        trial: &impl Window,
    ) -> Result<LoadOutcome, LoadError> {
        let shared = slots.first().map(Slot::shared).unwrap_or_default();
        let Launched { lanes, watch, window } =
            self.launch(duration_ns, runtime, slots, recorders, trial);
        let executor = {
            let runtime = runtime.clone();
            Executor::start(move || runtime.block_on(lanes.run(&runtime)))?
        };
        executor::sleep_until(window.0, &shared);
        trial.opens();
        executor::sleep_until(window.1, &shared);
        trial.closes();
        // A trial that must fail need not wait for the end of the window either.
        let end_ns = if shared.stopped() { clock::now_ns() } else { window.1 };
        let limit_ns = end_ns.saturating_add(self.drain_ns);
        let drained = if executor.ends_before(limit_ns) {
            executor.join()?;
            watch.drained(Left::default(), 0)
        } else {
            let now_ns = clock::now_ns();
            let left = watch.give_up(recorders, now_ns).ok_or_else(|| lost(self.clients))?;
            recorders.set_window(u64::MAX, 0);
            executor::grace(|| watch.ended() + left.running as usize >= watch.lanes());
            watch.drained(left, now_ns.saturating_sub(window.1))
        };
        *slots = watch.slots();
        Ok(LoadOutcome {
            // Those that take part for longer complete more.
            per_client: per_client(slots).filter(|_| self.stages.is_none()),
            completed: drained.completed,
            total_tasks: drained.ended,
            closed: Some(drained),
            ..outcome(slots, duration_ns)
        })
    }

    /// Equal work: a pass that only warms up, and a pass of `tasks` tasks. Within the executor, and
    /// blocks nobody.
    pub async fn for_tasks<R: Runtime, Rec: Record>(
        self,
        tasks: u64,
        runtime: &R,
        slots: &mut Vec<Slot<Rec>>,
        recorders: &Recorders,
        trial: &impl Window,
    ) -> Result<LoadOutcome, LoadError> {
        let (shared, its) =
            (slots.first().map(Slot::shared).unwrap_or_default(), tickets(runtime, trial));
        let mut expected_ns = None;
        if self.warmup_ns > 0 {
            let mut warmup = self.pass(WARMUP_TASKS);
            warmup.start_ns = trial.start_ns().unwrap_or(warmup.start_ns);
            warmup.until_ns = warmup.start_ns + self.warmup_ns;
            let start_ns = warmup.start_ns;
            warmup.run(runtime, its.clone(), slots).await?;
            let ran: u64 = slots.iter().map(Slot::tasks_run).sum();
            let each_ns = clock::now_ns().saturating_sub(start_ns) as f64 / ran.max(1) as f64;
            expected_ns = Some((each_ns * tasks as f64) as u64);
        }
        for slot in slots.iter_mut() {
            slot.completed = 0;
            slot.per_client = (None, Vec::new());
            slot.longest_ns = 0;
        }
        wait::<R::Native>(trial, self.warmup_ns, &shared).await;
        trial.opens();
        recorders.set_window(0, u64::MAX);
        let mut pass = self.pass(0);
        pass.tasks_end = tasks;
        if let Some(expected_ns) = expected_ns {
            // How long it takes is known only in the end, and about from the warm-up.
            recorders.slice(
                pass.start_ns,
                pass.start_ns,
                pass.start_ns.saturating_add(expected_ns),
            );
        }
        let start_ns = pass.start_ns;
        pass.run(runtime, its, slots).await?;
        recorders.set_window(u64::MAX, 0);
        trial.closes();
        let last_ns = slots.iter().map(|slot| slot.last_ns).max().unwrap_or(start_ns);
        Ok(outcome(slots, last_ns.saturating_sub(start_ns)))
    }
}

fn lost(clients: u64) -> LoadError {
    LoadError::Lost(format!(
        "the executor has lost clients: not all {clients} have ended, run a task or wait for one"
    ))
}

/// How the work was spread over the clients of these slots.
pub fn per_client<Rec: Record>(slots: &[Slot<Rec>]) -> Option<Clients> {
    let each = slots.iter().flat_map(|slot| slot.per_client.0.iter().chain(&slot.per_client.1));
    let clients: Vec<u64> = each.copied().collect();
    Clients::of(&clients, slots.iter().map(|slot| slot.longest_ns).max().unwrap_or(0))
}

fn outcome<Rec: Record>(slots: &[Slot<Rec>], window_ns: u64) -> LoadOutcome {
    LoadOutcome {
        makespans_ns: Vec::new(),
        window_ns,
        completed: slots.iter().map(|slot| slot.completed).sum(),
        total_tasks: slots.iter().map(|slot| slot.ran).sum(),
        per_client: per_client(slots),
        closed: None,
        open: None,
    }
}

/// How long clients pause: equal under all executors, whichever slot a client is in.
#[derive(Debug, Clone, Copy)]
enum Think {
    /// Always so long, in ns.
    Fixed(u64),
    /// Drawn, with this seed.
    Drawn(Distribution, u64),
}

impl Think {
    fn new(think: Distribution, seed: u64) -> Self {
        match think {
            Distribution::Const(_) => Self::Fixed(nanoseconds(think.mean())),
            drawn => Self::Drawn(drawn, seed),
        }
    }

    /// The pause after a task, in ns.
    #[inline]
    fn after(&self, task: u64) -> u64 {
        match self {
            Self::Fixed(ns) => *ns,
            Self::Drawn(think, seed) => nanoseconds(think.sample(draw::draw(*seed, task, THINK))),
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Pass {
    /// Sets the lanes up. A pool's take their clients from its queue; others have some of their
    /// own, one where clients have a slot each, and all under `sequential`.
    fn lanes<Rec: Record>(
        self,
        tickets: Option<Tickets>,
        slots: &mut Vec<Slot<Rec>>,
    ) -> Lanes<Rec> {
        let slots = std::mem::take(slots);
        let shared = slots.first().map(Slot::shared).unwrap_or_default();
        let own = |lane: usize| -> Arc<[ClientTurn]> {
            let numbers = (lane as u64..self.clients).step_by(slots.len());
            let numbers = numbers.take(if tickets.is_some() { 1 } else { usize::MAX });
            numbers.map(|number| ClientTurn::new(self.first(number))).collect()
        };
        let each = slots.iter().enumerate().map(|(lane, slot)| (slot, own(lane)));
        let watch =
            Arc::new(Watch::over(each, tickets.clone(), shared, self.clients, self.until_ns));
        Lanes { pass: self, slots, tickets, watch }
    }

    async fn run<R: Runtime, Rec: Record>(
        self,
        runtime: &R,
        tickets: Option<Tickets>,
        slots: &mut Vec<Slot<Rec>>,
    ) -> Result<(), LoadError> {
        let lanes = self.lanes(tickets, slots);
        let watch = lanes.watch.clone();
        let ran = lanes.run(runtime).await;
        *slots = watch.slots();
        ran
    }

    /// The task of a client's turn, unless the pass is over for this client. `number` counts turns
    /// over all clients.
    fn task<Rec: Record>(&self, turn: Ticket, slot: &Slot<Rec>) -> Option<u64> {
        let goes_on = turn.due_ns < self.until_ns && turn.number < self.tasks_end && slot.goes_on();
        goes_on.then_some(self.first_task + turn.number)
    }

    /// A client's first turn.
    fn first(&self, client: u64) -> Ticket {
        Ticket { number: client, due_ns: self.attended(client, self.start_ns) }
    }

    /// The first moment from `due_ns` on at which the client of a turn takes part; [`NEVER`], if
    /// that is after the end.
    #[inline]
    fn attended(&self, number: u64, due_ns: u64) -> u64 {
        let due_ns = match &self.attendance {
            None => due_ns,
            Some(attendance) => attendance.next(number % self.clients, due_ns),
        };
        if due_ns < self.until_ns { due_ns } else { NEVER }
    }

    /// A client's turn after the one in which it ran a task until `completed_ns`.
    #[inline]
    fn next(&self, turn: Ticket, completed_ns: u64) -> Ticket {
        let pause_ns = self.think.after(self.first_task + turn.number);
        let due_ns = completed_ns.saturating_add(pause_ns).min(NEVER);
        Ticket { number: turn.number + self.clients, due_ns: self.attended(turn.number, due_ns) }
    }
}

impl<Rec: Record> Lanes<Rec> {
    /// Runs the lanes to their end, each as a task of its own.
    pub async fn run<R: Runtime>(self, runtime: &R) -> Result<(), LoadError> {
        let Self { pass, slots, tickets, watch } = self;
        let Some(tickets) = tickets else {
            let lane = |lane, slot| round_robin::<R, Rec>(slot, pass.clone(), lane, watch.clone());
            return start_lanes(runtime, slots, lane, drop).await;
        };
        tickets.admit((0..pass.clients).map(|number| pass.first(number)));
        let lane = |lane, slot, its| from_queue(slot, pass.clone(), its, lane, watch.clone());
        start_serving(runtime, &tickets, slots, lane, drop).await
    }
}

/// What a client takes in the lane that serves it, in bytes.
pub const CLIENT_BYTES: u64 = size_of::<ClientTurn>() as u64;

/// A lane with clients of its own, in turn.
async fn round_robin<R: Runtime, Rec: Record>(
    mut slot: Slot<Rec>,
    pass: Pass,
    lane: usize,
    watch: Arc<Watch<Rec>>,
) {
    let clients = watch.clients_of(lane);
    let mut turns = ClientTurns::of(&clients);
    let mut turn = slot.turn();
    let mut now_ns = clock::now_ns();
    while let Some((place, its)) = turns.next(&clients, now_ns) {
        let client = &clients[place];
        slot.client = place as u64;
        let Some(task) = pass.task(its, &slot) else {
            if !slot.client_ended(its.number / pass.clients, || client.end()) {
                break;
            }
            continue;
        };
        if its.due_ns > now_ns {
            R::Native::sleep(Duration::from_nanos(its.due_ns - now_ns)).await;
            now_ns = clock::now_ns();
        }
        let Some(completed_ns) = slot.run(task, its.due_ns, now_ns).await else { break };
        now_ns = completed_ns;
        let next = pass.next(its, now_ns);
        client.has(next);
        turns.put(place, next.due_ns, now_ns);
        slot.rests();
        // A thread is preempted by the kernel, and steps back for nobody.
        if R::INFO.style.shares_threads() && turn.is_over(now_ns) {
            R::Native::yield_now().await;
            now_ns = clock::now_ns();
            turn.begins(now_ns);
        }
    }
    watch.give_back(lane, slot);
}

/// A lane that takes clients from the pool's queue and puts them back.
async fn from_queue<Rec: Record>(
    mut slot: Slot<Rec>,
    pass: Pass,
    tickets: Tickets,
    lane: usize,
    watch: Arc<Watch<Rec>>,
) {
    let clients = watch.clients_of(lane);
    let next = async || tickets.next_ticket().await.map(|ticket| (ticket, clock::now_ns()));
    let mut held = next().await;
    while let Some((ticket, actual_ns)) = held
        && let Some(client) = clients.first()
    {
        client.has(ticket);
        let Some(task) = pass.task(ticket, &slot) else {
            // A ticket that was given up was retired by the load.
            if !slot.client_ended(ticket.number / pass.clients, || ()) {
                break;
            }
            tickets.retire();
            held = next().await;
            continue;
        };
        let Some(completed_ns) = slot.run(task, ticket.due_ns, actual_ns).await else { break };
        slot.rests();
        held = tickets.exchange(pass.next(ticket, completed_ns), completed_ns).await;
    }
    watch.give_back(lane, slot);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn think_times_follow_from_seed_and_task_alone() {
        let think = |seed| Think::new(Distribution::Exp(Duration::from_millis(2)), seed);
        let drawn = |seed| (0..10_000).map(|task| think(seed).after(task)).collect::<Vec<u64>>();
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        let mean = drawn(7).iter().sum::<u64>() as f64 / 1e4;
        assert!((mean / 2e6 - 1.0).abs() < 0.05, "{mean}");
        let fixed = Think::new(Distribution::Const(Duration::from_millis(2)), 7);
        assert_eq!((fixed.after(0), fixed.after(1)), (2_000_000, 2_000_000));
    }
}
