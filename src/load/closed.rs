//! `closed`: a fixed number of clients, each starting its next task when its last one has ended.

use std::{sync::Arc, thread, time::Duration};

use super::{LoadError, Outcome, Shared, Slot, WARMUP_TASKS, lane::run_lanes};
use crate::{
    clock,
    measure::{Clients, Record, Recorders},
    runtime::{Native, Queue, Runtime, Ticket},
};

/// A closed load.
#[derive(Debug, Clone, Copy)]
pub struct Closed {
    /// How many clients.
    pub clients: u64,
    /// Pause between a task's end and the next one's intended start, in ns.
    pub think_ns: u64,
    /// When it ends.
    pub end: End,
    /// Run before measuring, in ns.
    pub warmup_ns: u64,
}

/// When a closed load ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// After this much measured time, in ns.
    After(u64),
    /// After this many measured tasks.
    Tasks(u64),
}

/// One pass of the clients.
#[derive(Debug, Clone, Copy)]
struct Pass {
    clients: u64,
    think_ns: u64,
    first_task: u64,
    start_ns: u64,
    /// No task is started whose intended start is not before this.
    until_ns: u64,
    /// No task is started whose index is not below this.
    tasks_end: u64,
}

impl Closed {
    /// Runs the load. `sample` reads the counters at the edges of the window.
    pub fn run<R: Runtime, Rec: Record, S: Send>(
        self,
        runtime: &R,
        slots: &mut Vec<Slot<Rec>>,
        recorders: &Recorders,
        sample: impl Fn() -> S + Sync,
    ) -> Result<Outcome<S>, LoadError> {
        match self.end {
            End::After(duration_ns) => self.for_duration(duration_ns, runtime, slots, recorders, sample),
            End::Tasks(tasks) => self.for_tasks(tasks, runtime, slots, recorders, sample),
        }
    }

    fn pass(&self, first_task: u64) -> Pass {
        Pass {
            clients: self.clients,
            think_ns: self.think_ns,
            first_task,
            start_ns: clock::now_ns(),
            until_ns: u64::MAX,
            tasks_end: u64::MAX,
        }
    }

    /// Warm-up and window in one pass; the edges are sampled by a thread of their own.
    fn for_duration<R: Runtime, Rec: Record, S: Send>(
        self,
        duration_ns: u64,
        runtime: &R,
        slots: &mut Vec<Slot<Rec>>,
        recorders: &Recorders,
        sample: impl Fn() -> S + Sync,
    ) -> Result<Outcome<S>, LoadError> {
        let mut pass = self.pass(0);
        let window = (pass.start_ns + self.warmup_ns, pass.start_ns + self.warmup_ns + duration_ns);
        pass.until_ns = window.1;
        for slot in slots.iter_mut() {
            slot.window = window;
        }
        recorders.set_window(window.0, window.1);
        recorders.slice(pass.start_ns, window.0, window.1);
        let shared = slots.first().map(Slot::shared).unwrap_or_default();
        let edges = thread::scope(|scope| {
            let sampler = scope.spawn(|| {
                clock::sleep_until(window.0);
                let before = sample();
                sleep_unless_stopped(window.1, &shared);
                (before, sample())
            });
            pass.run(runtime, slots)?;
            match sampler.join() {
                Ok(edges) => Ok(edges),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })?;
        Ok(outcome(slots, duration_ns, edges))
    }

    /// Equal work: a pass that only warms up, and a pass of `tasks` tasks.
    fn for_tasks<R: Runtime, Rec: Record, S: Send>(
        self,
        tasks: u64,
        runtime: &R,
        slots: &mut Vec<Slot<Rec>>,
        recorders: &Recorders,
        sample: impl Fn() -> S + Sync,
    ) -> Result<Outcome<S>, LoadError> {
        let mut expected_ns = None;
        if self.warmup_ns > 0 {
            let mut warmup = self.pass(WARMUP_TASKS);
            warmup.until_ns = warmup.start_ns + self.warmup_ns;
            warmup.run(runtime, slots)?;
            let ran: u64 = slots.iter().map(Slot::tasks_run).sum();
            let each_ns = (clock::now_ns() - warmup.start_ns) as f64 / ran.max(1) as f64;
            expected_ns = Some((each_ns * tasks as f64) as u64);
        }
        for slot in slots.iter_mut() {
            slot.completed = 0;
            slot.per_client = (None, Vec::new());
            slot.longest_ns = 0;
        }
        let before = sample();
        recorders.set_window(0, u64::MAX);
        let mut pass = self.pass(0);
        pass.tasks_end = tasks;
        if let Some(expected_ns) = expected_ns {
            // How long it takes is known only in the end, and about from the warm-up.
            recorders.slice(pass.start_ns, pass.start_ns, pass.start_ns.saturating_add(expected_ns));
        }
        pass.run(runtime, slots)?;
        recorders.set_window(u64::MAX, 0);
        let edges = (before, sample());
        let last_ns = slots.iter().map(|slot| slot.last_ns).max().unwrap_or(pass.start_ns);
        Ok(outcome(slots, last_ns.saturating_sub(pass.start_ns), edges))
    }
}

/// Sleeps until the window ends, or until a trial that must fail has stopped its clients.
fn sleep_unless_stopped(until_ns: u64, shared: &Shared) {
    const GLANCE_NS: u64 = 50_000_000;
    while clock::now_ns() < until_ns && !shared.stopped() {
        clock::sleep_until(until_ns.min(clock::now_ns() + GLANCE_NS));
    }
}

fn outcome<Rec: Record, S>(slots: &[Slot<Rec>], window_ns: u64, edges: (S, S)) -> Outcome<S> {
    let clients: Vec<u64> =
        slots.iter().flat_map(|slot| slot.per_client.0.iter().chain(&slot.per_client.1).copied()).collect();
    let longest_ns = slots.iter().map(|slot| slot.longest_ns).max().unwrap_or(0);
    Outcome {
        makespans_ns: Vec::new(),
        window_ns,
        completed: slots.iter().map(|slot| slot.completed).sum(),
        total_tasks: slots.iter().map(|slot| slot.ran).sum(),
        per_client: Clients::of(&clients, longest_ns),
        open: None,
        edges,
    }
}

impl Pass {
    fn run<R: Runtime, Rec: Record>(self, runtime: &R, slots: &mut Vec<Slot<Rec>>) -> Result<(), LoadError> {
        let lanes = slots.len() as u64;
        if let Some(queue) = runtime.queue() {
            let first = (0..self.clients).map(|client| Ticket { number: client, due_ns: self.start_ns });
            queue.admit(first);
            run_lanes(runtime, slots, |_, slot| from_queue(slot, self, queue.clone()))
        } else {
            run_lanes(runtime, slots, |lane, slot| round_robin::<R, Rec>(slot, self, lane as u64, lanes))
        }
    }

    /// The task of a client's turn, unless the pass is over for this client. `number` counts turns over all clients.
    fn task<Rec: Record>(&self, number: u64, due_ns: u64, slot: &Slot<Rec>) -> Option<u64> {
        let goes_on = due_ns < self.until_ns && number < self.tasks_end && !slot.stopped();
        goes_on.then_some(self.first_task + number)
    }
}

/// A client in a lane.
struct Client {
    /// Its own number, and then one more round of all clients with each task.
    number: u64,
    due_ns: u64,
}

/// What a client takes in the lane that serves it, in bytes.
pub const CLIENT_BYTES: u64 = size_of::<Client>() as u64;

/// A lane with clients of its own, in turn: one, where clients have a slot each, and all under `sequential`.
async fn round_robin<R: Runtime, Rec: Record>(mut slot: Slot<Rec>, pass: Pass, lane: u64, lanes: u64) -> Slot<Rec> {
    let numbers = (lane..pass.clients).step_by(lanes as usize);
    let mut clients: Vec<Client> = numbers.map(|number| Client { number, due_ns: pass.start_ns }).collect();
    let mut turn = slot.turn();
    let mut now_ns = clock::now_ns();
    let mut at = 0;
    while !clients.is_empty() {
        at = if at < clients.len() { at } else { 0 };
        let client = &mut clients[at];
        let Some(task) = pass.task(client.number, client.due_ns, &slot) else {
            slot.client_ended(client.number / pass.clients);
            clients.swap_remove(at);
            continue;
        };
        if client.due_ns > now_ns {
            R::Native::sleep(Duration::from_nanos(client.due_ns - now_ns)).await;
            now_ns = clock::now_ns();
        }
        now_ns = slot.run(task, client.due_ns, now_ns).await;
        client.due_ns = now_ns + pass.think_ns;
        client.number += pass.clients;
        at += 1;
        if turn.is_over(now_ns) {
            R::Native::yield_now().await;
            now_ns = clock::now_ns();
            turn.begins(now_ns);
        }
    }
    slot
}

/// A lane that takes clients from the pool's queue and puts them back.
async fn from_queue<Rec: Record>(mut slot: Slot<Rec>, pass: Pass, queue: Arc<Queue>) -> Slot<Rec> {
    let next = || queue.next_ticket().map(|ticket| (ticket, clock::now_ns()));
    let mut held = next();
    while let Some((ticket, actual_ns)) = held {
        let Some(task) = pass.task(ticket.number, ticket.due_ns, &slot) else {
            slot.client_ended(ticket.number / pass.clients);
            queue.retire();
            held = next();
            continue;
        };
        let completed_ns = slot.run(task, ticket.due_ns, actual_ns).await;
        let turn = Ticket { number: ticket.number + pass.clients, due_ns: completed_ns + pass.think_ns };
        held = queue.exchange(turn, completed_ns);
    }
    slot
}
