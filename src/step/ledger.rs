//! What was done in a trial, kept outside of those who do it: how often each step was executed, and
//! how many children each combinator asked for and got back. The proof is made of these accounts.
//!
//! Every instance of a step counts in a cell of its own, so that nobody waits for anybody. An
//! instance that is lost with a cancelled call leaves its cell to the one that takes its place: the
//! cells are as many as instances at once, however many calls are cancelled.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    time::Duration,
};

use super::outcome::{Done, Failure, StepOutcome};

/// Adds without a locked instruction: a cell has one owner at a time.
#[inline]
fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed) + by, Relaxed);
}

/// How often one instance of a step was executed.
#[derive(Debug, Default)]
pub(super) struct TallyCell {
    started: AtomicU64,
    ended: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    stopped: AtomicU64,
    missed: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    errors: AtomicU64,
    timeouts: AtomicU64,
}

/// What an instance of a step has done, or the sum of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls begun.
    pub started: u64,
    /// Calls that ended by themselves, well or not.
    pub ended: u64,
    /// Of them, those after which the task could not go on.
    pub failed: u64,
    /// Calls that were given up.
    pub cancelled: u64,
    /// How often its task ended here before its end, by the account of the task.
    pub stopped: u64,
    /// How often its task ended before this, its first step, began.
    pub missed: u64,
    /// What the calls did.
    pub done: Done,
}

impl TallyCell {
    #[inline]
    pub(super) fn start(&self) {
        bump(&self.started, 1);
    }

    #[inline]
    pub(super) fn end(&self, outcome: &StepOutcome) {
        bump(&self.ended, 1);
        if outcome.is_err() {
            bump(&self.failed, 1);
        }
        if let Ok(done) | Err(Failure::Skipped(done)) = outcome {
            for (counter, by) in [
                (&self.received, done.received),
                (&self.sent, done.sent),
                (&self.errors, done.errors),
                (&self.timeouts, done.timeouts),
            ] {
                if by > 0 {
                    bump(counter, by);
                }
            }
        }
    }

    pub(super) fn cancel(&self) {
        bump(&self.cancelled, 1);
    }

    /// The task ends with this step, or, if that was to be its first one, before it.
    pub(super) fn stop(&self, begun: bool) {
        bump(if begun { &self.stopped } else { &self.missed }, 1);
    }

    fn read(&self) -> Tally {
        let get = |counter: &AtomicU64| counter.load(Relaxed);
        Tally {
            started: get(&self.started),
            ended: get(&self.ended),
            failed: get(&self.failed),
            cancelled: get(&self.cancelled),
            stopped: get(&self.stopped),
            missed: get(&self.missed),
            done: Done {
                received: get(&self.received),
                sent: get(&self.sent),
                errors: get(&self.errors),
                timeouts: get(&self.timeouts),
            },
        }
    }
}

impl Tally {
    /// Adds another instance's.
    pub fn add(&mut self, other: Self) {
        self.started += other.started;
        self.ended += other.ended;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.stopped += other.stopped;
        self.missed += other.missed;
        self.done.add(other.done);
    }
}

/// How often one instance of a combinator ran one of its tasks.
#[derive(Debug, Default)]
pub(super) struct EdgeCell {
    asked: AtomicU64,
    returned: AtomicU64,
    most_at_once: AtomicU64,
    seen_late: AtomicU64,
    pending: AtomicU64,
    gone: AtomicU64,
}

/// How often an instance of a combinator ran one of its tasks, or the sum of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskRuns {
    /// Children that were to run.
    pub asked: u64,
    /// Children that ended, and whose end the combinator saw.
    pub returned: u64,
    /// The most children of one call that were at work at once, by their own account; 0 where a
    /// combinator does not bound them.
    pub most_at_once: u64,
    /// Children that ended before one whose end was seen earlier, where they are to be seen in the
    /// order in which they end.
    pub seen_late: u64,
    /// Children that had not ended when their parent gave them up on purpose, for there was no more
    /// time for them or a step cancels them.
    pub pending: u64,
    /// Children that a step cancelled and that are gone, by their own account.
    pub gone: u64,
}

impl EdgeCell {
    /// A child is to run.
    #[inline]
    pub(super) fn ask(&self) {
        bump(&self.asked, 1);
    }

    /// A child has ended.
    #[inline]
    pub(super) fn see(&self) {
        // Whoever reads that it has returned sees that it was asked for.
        self.returned.store(self.returned.load(Relaxed) + 1, Release);
    }

    /// So many children of a call are at work. Said by the children.
    pub(super) fn crowd(&self, now: u64) {
        if now > self.most_at_once.load(Relaxed) {
            self.most_at_once.fetch_max(now, Relaxed);
        }
    }

    /// A child ended before one whose end was seen earlier.
    pub(super) fn see_late(&self) {
        bump(&self.seen_late, 1);
    }

    /// So many children had not ended when they were given up on purpose.
    pub(super) fn give_up(&self, children: u64) {
        bump(&self.pending, children);
    }

    /// A child that was cancelled is gone. Said by the child.
    pub(super) fn leave(&self) {
        self.gone.fetch_add(1, Relaxed);
    }

    fn read(&self) -> TaskRuns {
        // First what is counted last: never more children have returned than were asked for.
        let returned = self.returned.load(Acquire);
        TaskRuns {
            asked: self.asked.load(Relaxed),
            returned,
            most_at_once: self.most_at_once.load(Relaxed),
            seen_late: self.seen_late.load(Relaxed),
            pending: self.pending.load(Relaxed),
            gone: self.gone.load(Relaxed),
        }
    }
}

impl TaskRuns {
    /// Children that were given up, or still run.
    pub fn lost(&self) -> u64 {
        self.asked.saturating_sub(self.returned)
    }

    /// Adds another's.
    pub fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.returned += other.returned;
        self.most_at_once = self.most_at_once.max(other.most_at_once);
        self.seen_late += other.seen_late;
        self.pending += other.pending;
        self.gone += other.gone;
    }
}

/// How often the values of one instance of a step were there for the steps after it.
#[derive(Debug, Default)]
pub(super) struct ValueCell {
    taken: AtomicU64,
    defaulted: AtomicU64,
    timed_out: AtomicU64,
}

/// How often the values of an instance of a step were there for the steps after it, or the sum of
/// several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ValueTally {
    /// Calls whose values all stood in the answer.
    pub taken: u64,
    /// Calls that ended by themselves, and of whose values one at least is its default.
    pub defaulted: u64,
    /// Calls that had a time-out: all values are their defaults.
    pub timed_out: u64,
}

impl ValueCell {
    /// A call has ended; `all` of its values stood in the answer, or one at least is its default.
    #[inline]
    pub(super) fn end(&self, all: bool) {
        bump(if all { &self.taken } else { &self.defaulted }, 1);
    }

    /// A call had a time-out.
    pub(super) fn time_out(&self) {
        bump(&self.timed_out, 1);
    }

    fn read(&self) -> ValueTally {
        ValueTally {
            taken: self.taken.load(Relaxed),
            defaulted: self.defaulted.load(Relaxed),
            timed_out: self.timed_out.load(Relaxed),
        }
    }
}

impl ValueTally {
    /// Calls after which the values were there.
    pub fn there(&self) -> u64 {
        self.taken + self.by_default()
    }

    /// Of them, those after which one at least was its default.
    pub fn by_default(&self) -> u64 {
        self.defaulted + self.timed_out
    }

    /// Adds another's.
    pub fn add(&mut self, other: Self) {
        self.taken += other.taken;
        self.defaulted += other.defaulted;
        self.timed_out += other.timed_out;
    }
}

/// What is counted in a cell that goes from one owner to the next.
pub(super) trait LedgerCell: Default {
    /// Where in the plan its owner is.
    type Place: Copy + PartialEq;

    /// Where a page has such cells.
    fn of(page: &LedgerPage) -> &Mutex<LedgerCells<Self>>;
}

impl LedgerCell for TallyCell {
    /// The number of a step.
    type Place = u32;

    fn of(page: &LedgerPage) -> &Mutex<LedgerCells<Self>> {
        &page.tallies
    }
}

impl LedgerCell for EdgeCell {
    /// The number of a step, and which of its children.
    type Place = (u32, u32);

    fn of(page: &LedgerPage) -> &Mutex<LedgerCells<Self>> {
        &page.edges
    }
}

impl LedgerCell for ValueCell {
    /// The number of a step.
    type Place = u32;

    fn of(page: &LedgerPage) -> &Mutex<LedgerCells<Self>> {
        &page.values
    }
}

/// Cells of one kind.
pub(super) struct LedgerCells<T: LedgerCell> {
    all: Vec<(T::Place, Arc<T>)>,
    /// Those that nobody owns.
    free: Vec<(T::Place, Arc<T>)>,
}

impl<T: LedgerCell> Default for LedgerCells<T> {
    fn default() -> Self {
        Self { all: Vec::new(), free: Vec::new() }
    }
}

impl<T: LedgerCell> LedgerCells<T> {
    /// A cell of this place that nobody owns, or a new one.
    fn take(&mut self, place: T::Place) -> Arc<T> {
        if let Some(at) = self.free.iter().rposition(|(free, _)| *free == place) {
            return self.free.swap_remove(at).1;
        }
        let cell = Arc::new(T::default());
        self.all.push((place, cell.clone()));
        cell
    }
}

/// The cells of some slots. Locked where steps are built and lost, never in a call that ends.
#[derive(Default)]
pub(super) struct LedgerPage {
    tallies: Mutex<LedgerCells<TallyCell>>,
    edges: Mutex<LedgerCells<EdgeCell>>,
    values: Mutex<LedgerCells<ValueCell>>,
}

/// A cell, for its owner; it goes back to its page with it.
pub(super) struct Owned<T: LedgerCell> {
    cell: Arc<T>,
    page: Arc<LedgerPage>,
    place: T::Place,
}

impl<T: LedgerCell> Owned<T> {
    /// A cell for who is at this place.
    pub(super) fn at(place: T::Place, page: &Arc<LedgerPage>) -> Self {
        let cell = locked(T::of(page)).take(place);
        Self { cell, page: page.clone(), place }
    }

    /// A cell for another one who is there at the same time.
    pub(super) fn beside(&self) -> Self {
        Self::at(self.place, &self.page)
    }
}

impl<T: LedgerCell> std::fmt::Debug for Owned<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a cell of the ledger")
    }
}

impl<T: LedgerCell> std::ops::Deref for Owned<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.cell
    }
}

impl<T: LedgerCell> Drop for Owned<T> {
    fn drop(&mut self) {
        locked(T::of(&self.page)).free.push((self.place, self.cell.clone()));
    }
}

/// The state is consistent whenever the lock is free: no code that could panic runs under it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Slots that share a page, so that it takes next to nothing for each.
const SLOTS_PER_PAGE: usize = 64;

/// The accounts of all slots.
#[derive(Default)]
pub struct Ledger(Mutex<Vec<Arc<LedgerPage>>>);

/// What a ledger says: the sums by step number, and those of each step's children.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// By step number.
    pub steps: Vec<Tally>,
    /// By step number and child; steps without children have none.
    pub edges: Vec<Vec<TaskRuns>>,
    /// By step number; zero of steps that take no values.
    pub values: Vec<ValueTally>,
    /// Whether it is not of one moment, for calls that were given up still run.
    pub moves: bool,
}

impl Reading {
    /// Whether nobody runs any more.
    fn is_closed(&self) -> bool {
        let over = |tally: &Tally| tally.started == tally.ended + tally.cancelled;
        self.steps.iter().all(over) && self.edges.iter().flatten().all(|edge| edge.lost() == 0)
    }
}

impl Ledger {
    /// The page of a slot.
    pub(super) fn page(&self, slot: usize) -> Arc<LedgerPage> {
        let (mut pages, at) = (locked(&self.0), slot / SLOTS_PER_PAGE);
        if pages.len() <= at {
            pages.resize_with(at + 1, Arc::default);
        }
        pages[at].clone()
    }

    /// The sums by step number, for `steps` steps.
    pub fn read(&self, steps: usize) -> Vec<Tally> {
        self.read_all(steps).steps
    }

    /// All sums, for `steps` steps, as they were at one moment: what was given up may still be on
    /// its way out, so that they are read until nothing has moved in between. What still moves
    /// after a while is said to.
    pub fn settled(&self, steps: usize) -> Reading {
        const APART: Duration = Duration::from_millis(1);
        const READINGS: u32 = 1_000;
        let mut last = self.read_all(steps);
        for _ in 0..READINGS {
            if last.is_closed() {
                return last;
            }
            std::thread::sleep(APART);
            let now = self.read_all(steps);
            if now == last {
                return last;
            }
            last = now;
        }
        Reading { moves: true, ..last }
    }

    /// All sums, for `steps` steps.
    pub fn read_all(&self, steps: usize) -> Reading {
        let mut sums = Reading {
            steps: vec![Tally::default(); steps],
            edges: vec![Vec::new(); steps],
            values: vec![ValueTally::default(); steps],
            moves: false,
        };
        for page in locked(&self.0).iter() {
            for (number, cell) in &locked(&page.tallies).all {
                sums.steps[*number as usize].add(cell.read());
            }
            for ((number, child), cell) in &locked(&page.edges).all {
                let (edges, child) = (&mut sums.edges[*number as usize], *child as usize);
                edges.resize((child + 1).max(edges.len()), TaskRuns::default());
                edges[child].add(cell.read());
            }
            for (number, cell) in &locked(&page.values).all {
                sums.values[*number as usize].add(cell.read());
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_that_takes_another_s_place_goes_on_with_its_account() {
        let ledger = Ledger::default();
        let page = ledger.page(1);
        for lost in 1..=1_000 {
            let (tally, edge) =
                (Owned::<TallyCell>::at(2, &page), Owned::<EdgeCell>::at((2, 1), &page));
            tally.start();
            edge.ask();
            drop((tally, edge));
            let read = ledger.read_all(3);
            assert_eq!((read.steps[2].started, read.edges[2][1].lost()), (lost, lost));
        }
        assert_eq!((locked(&page.tallies).all.len(), locked(&page.edges).all.len()), (1, 1));
    }

    #[test]
    fn instances_at_once_have_cells_of_their_own() {
        let ledger = Ledger::default();
        let (page, other) = (ledger.page(0), ledger.page(SLOTS_PER_PAGE));
        let owned = [(0, &page), (0, &page), (1, &page), (0, &other)]
            .map(|(step, page)| Owned::<TallyCell>::at(step, page));
        for tally in &owned {
            tally.start();
        }
        let started: Vec<u64> = ledger.read(3).iter().map(|tally| tally.started).collect();
        assert_eq!(started, [3, 1, 0]);
        assert_eq!(locked(&page.tallies).all.len(), 3);
    }
}
