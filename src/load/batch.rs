//! `batch`: all tasks are meant to start at one instant; what `gather` over N calls does.

use super::{
    LoadError, LoadOutcome, Slot, Window,
    lane::{WARMUP_TASKS, start_lanes, start_serving},
    window::{tickets, wait},
};
use crate::{
    clock,
    measure::Recorders,
    runtime::{Runtime, Ticket, Tickets},
};

/// Without an explicit `repeat`, batches are repeated until this much has been measured, in ns.
const ENOUGH_NS: u64 = 1_000_000_000;
/// … but not more often than this.
const MOST_REPEATS: u32 = 1_000;

/// A batch load.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    /// Tasks per batch.
    pub tasks: u64,
    /// How often; none: until about a second was measured.
    pub repeat: Option<u32>,
    /// Batches run before measuring, until this much time has passed, in ns.
    pub warmup_ns: u64,
}

impl Batch {
    /// Runs the load in the window of its trial.
    pub fn run<R: Runtime>(
        self,
        runtime: &R,
        slots: &mut Vec<Slot>,
        recorders: &Recorders,
        window: &impl Window,
    ) -> Result<LoadOutcome, LoadError> {
        runtime.block_on(self.drive(runtime, slots, recorders, window))
    }

    /// The same within the executor: batches wait for each other, and for the other loads, and
    /// block nobody.
    pub async fn drive<R: Runtime>(
        self,
        runtime: &R,
        slots: &mut Vec<Slot>,
        recorders: &Recorders,
        window: &impl Window,
    ) -> Result<LoadOutcome, LoadError> {
        let tickets = tickets(runtime, window);
        let mut total_tasks = self.warm_up(runtime, slots, tickets.as_ref(), window).await?;
        window.opens();
        recorders.set_window(0, u64::MAX);
        let mut makespans_ns = Vec::new();
        while self.goes_on(&makespans_ns, window) && !slots.first().is_some_and(Slot::stopped) {
            let first = (makespans_ns.len() as u64).saturating_mul(self.tasks);
            makespans_ns.push(self.once(runtime, slots, tickets.as_ref(), first).await?);
            total_tasks = total_tasks.saturating_add(self.tasks);
        }
        recorders.set_window(u64::MAX, 0);
        window.closes();
        let window_ns = makespans_ns.iter().sum();
        let completed = (makespans_ns.len() as u64).saturating_mul(self.tasks);
        Ok(LoadOutcome {
            makespans_ns,
            window_ns,
            completed,
            total_tasks,
            per_client: None,
            closed: None,
            open: None,
        })
    }

    /// Whether there is another batch: as many as were asked for; else as long as loads beside it
    /// measure; else until enough was measured.
    fn goes_on(&self, makespans_ns: &[u64], window: &impl Window) -> bool {
        let done = makespans_ns.len() as u32;
        match (self.repeat, window.others_end_ns()) {
            (Some(repeat), _) => done < repeat,
            (None, Some(end_ns)) => done == 0 || clock::now_ns() < end_ns,
            (None, None) => {
                done == 0 || (done < MOST_REPEATS && makespans_ns.iter().sum::<u64>() < ENOUGH_NS)
            }
        }
    }

    async fn warm_up<R: Runtime>(
        &self,
        runtime: &R,
        slots: &mut Vec<Slot>,
        tickets: Option<&Tickets>,
        window: &impl Window,
    ) -> Result<u64, LoadError> {
        let shared = slots.first().map(Slot::shared).unwrap_or_default();
        wait::<R::Native>(window, 0, &shared).await;
        let start = window.start_ns().unwrap_or_else(clock::now_ns);
        let mut tasks = 0;
        while clock::now_ns().saturating_sub(start) < self.warmup_ns && !shared.stopped() {
            self.once(runtime, slots, tickets, WARMUP_TASKS.saturating_add(tasks)).await?;
            tasks = tasks.saturating_add(self.tasks);
        }
        wait::<R::Native>(window, self.warmup_ns, &shared).await;
        Ok(tasks)
    }

    /// One batch, whose first task has the index `first`; returns its makespan in ns.
    async fn once<R: Runtime>(
        &self,
        runtime: &R,
        slots: &mut Vec<Slot>,
        tickets: Option<&Tickets>,
        first: u64,
    ) -> Result<u64, LoadError> {
        let lanes = slots.len() as u64;
        let numbers = first..first.saturating_add(self.tasks);
        let start_ns = clock::now_ns();
        let given = std::mem::take(slots);
        let back = |slot| slots.push(slot);
        if let Some(tickets) = tickets {
            tickets.admit(numbers.map(|number| Ticket { number, due_ns: 0 }));
            let lane = |_, slot, its| from_queue(slot, its, start_ns);
            start_serving(runtime, tickets, given, lane, back).await?;
        } else {
            let end = numbers.end;
            let lane = |lane, slot| {
                in_order(slot, first.saturating_add(lane as u64), end, lanes, start_ns)
            };
            start_lanes(runtime, given, lane, back).await?;
        }
        let last_ns = slots.iter().map(|slot| slot.last_ns).max().unwrap_or(start_ns);
        Ok(last_ns.saturating_sub(start_ns))
    }
}

/// A lane with tasks of its own: every `stride`-th from `next` on. One task, where tasks have a
/// slot each.
async fn in_order(mut slot: Slot, mut next: u64, end: u64, stride: u64, start_ns: u64) -> Slot {
    while next < end && !slot.stopped() {
        let actual_ns = clock::now_ns();
        slot.run(next, start_ns, actual_ns).await;
        slot.rests();
        next = next.saturating_add(stride);
    }
    slot
}

/// A lane that takes tasks from the pool's queue.
async fn from_queue(mut slot: Slot, tickets: Tickets, start_ns: u64) -> Slot {
    while let Some(ticket) = tickets.next_ticket().await {
        if !slot.stopped() {
            let actual_ns = clock::now_ns();
            slot.run(ticket.number, start_ns, actual_ns).await;
            slot.rests();
        }
        tickets.retire();
    }
    slot
}
