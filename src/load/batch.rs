//! `batch`: all tasks are meant to start at one instant; what `gather` over N calls does.

use std::sync::Arc;

use super::{LoadError, Outcome, Slot, WARMUP_TASKS, lane::run_lanes};
use crate::{
    clock,
    measure::Recorders,
    runtime::{Queue, Runtime, Ticket},
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
    /// Runs the load. `sample` reads the counters at the edges of the window.
    pub fn run<R: Runtime, S>(
        self,
        runtime: &R,
        slots: &mut Vec<Slot>,
        recorders: &Recorders,
        sample: impl Fn() -> S,
    ) -> Result<Outcome<S>, LoadError> {
        let mut total_tasks = self.warm_up(runtime, slots)?;
        let before = sample();
        recorders.set_window(0, u64::MAX);
        let mut makespans_ns = Vec::new();
        while self.goes_on(&makespans_ns) && !slots.first().is_some_and(Slot::stopped) {
            let first = (makespans_ns.len() as u64).saturating_mul(self.tasks);
            makespans_ns.push(self.once(runtime, slots, first)?);
            total_tasks = total_tasks.saturating_add(self.tasks);
        }
        recorders.set_window(u64::MAX, 0);
        let edges = (before, sample());
        let window_ns = makespans_ns.iter().sum();
        let completed = (makespans_ns.len() as u64).saturating_mul(self.tasks);
        Ok(Outcome {
            makespans_ns,
            window_ns,
            completed,
            total_tasks,
            per_client: None,
            closed: None,
            open: None,
            edges,
        })
    }

    fn goes_on(&self, makespans_ns: &[u64]) -> bool {
        let done = makespans_ns.len() as u32;
        match self.repeat {
            Some(repeat) => done < repeat,
            None => done == 0 || (done < MOST_REPEATS && makespans_ns.iter().sum::<u64>() < ENOUGH_NS),
        }
    }

    fn warm_up<R: Runtime>(&self, runtime: &R, slots: &mut Vec<Slot>) -> Result<u64, LoadError> {
        let start = clock::now_ns();
        let mut tasks = 0;
        while clock::now_ns() - start < self.warmup_ns && !slots.first().is_some_and(Slot::stopped) {
            self.once(runtime, slots, WARMUP_TASKS.saturating_add(tasks))?;
            tasks = tasks.saturating_add(self.tasks);
        }
        Ok(tasks)
    }

    /// One batch, whose first task has the index `first`; returns its makespan in ns.
    fn once<R: Runtime>(&self, runtime: &R, slots: &mut Vec<Slot>, first: u64) -> Result<u64, LoadError> {
        let lanes = slots.len() as u64;
        let numbers = first..first.saturating_add(self.tasks);
        let start_ns = clock::now_ns();
        if let Some(queue) = runtime.queue() {
            queue.admit(numbers.map(|number| Ticket { number, due_ns: 0 }));
            run_lanes(runtime, slots, |_, slot| from_queue(slot, queue.clone(), start_ns))?;
        } else {
            let end = numbers.end;
            run_lanes(runtime, slots, |lane, slot| {
                in_order(slot, first.saturating_add(lane as u64), end, lanes, start_ns)
            })?;
        }
        let last_ns = slots.iter().map(|slot| slot.last_ns).max().unwrap_or(start_ns);
        Ok(last_ns.saturating_sub(start_ns))
    }
}

/// A lane with tasks of its own: every `stride`-th from `next` on. One task, where tasks have a slot each.
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
async fn from_queue(mut slot: Slot, queue: Arc<Queue>, start_ns: u64) -> Slot {
    while let Some(ticket) = queue.next_ticket() {
        if !slot.stopped() {
            let actual_ns = clock::now_ns();
            slot.run(ticket.number, start_ns, actual_ns).await;
            slot.rests();
        }
        queue.retire();
    }
    slot
}
