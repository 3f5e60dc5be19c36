//! The workers of rayon: who begins what, and what a worker does while its task waits.

use std::{
    cell::Cell,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    thread::{self, Builder, JoinHandle},
};

use rayon_core::{ThreadPool, ThreadPoolBuilder, Yield};

use super::office::{Office, PoolTurn};
use crate::{
    clock,
    runtime::{
        blocking::{Meanwhile, park_until},
        lane::LaneWorker,
        queue::{LoadNumber, TurnTaker},
        ticket::Ticket,
    },
};

/// What is left of a worker's stack, in bytes, for what it runs when it begins nothing of others'
/// any more.
const RESERVE: usize = 64 << 10;

thread_local! {
    /// Where the stack of this thread begins, if it is a worker of rayon; else 0.
    static STACK_TOP: Cell<usize> = const { Cell::new(0) };
    /// Jobs that this thread has begun and not ended.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// An address in the caller's part of the stack.
fn stack_address() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&here)).addr()
}

fn is_worker() -> bool {
    STACK_TOP.get() != 0
}

/// Runs a job of rayon's, of any kind, to its end.
fn run_job() -> bool {
    rayon_core::yield_now() == Some(Yield::Executed)
}

/// Runs what a job is made of: whatever the worker begins meanwhile is no longer at the bottom of
/// its stack.
fn at_work(work: impl FnOnce()) {
    struct DeeperByOne;
    impl Drop for DeeperByOne {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
        }
    }
    DEPTH.set(DEPTH.get() + 1);
    let _deeper = DeeperByOne;
    work();
}

/// A pool of rayon's, and the tasks that wait for it.
pub(super) struct Crew {
    workers: usize,
    /// In bytes.
    stack_size: usize,
    /// None after the end.
    pool: Mutex<Option<ThreadPool>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    office: Mutex<Office>,
    /// As many as are parked in the office: so that nobody locks it who would find none.
    parked: AtomicUsize,
    /// Jobs given to rayon. A worker that has found none and goes to sleep sees by it that one has
    /// come since.
    given: AtomicU64,
}

impl Crew {
    /// Starts so many workers with stacks of so many bytes.
    pub(super) fn start(workers: usize, stack_size: usize) -> io::Result<Arc<Self>> {
        let mut threads = Vec::with_capacity(workers);
        let pool = ThreadPoolBuilder::new()
            .num_threads(workers)
            .spawn_handler(|worker| {
                let builder =
                    Builder::new().name(format!("rayon-{}", worker.index())).stack_size(stack_size);
                threads.push(builder.spawn(move || {
                    STACK_TOP.set(stack_address());
                    worker.run();
                })?);
                Ok(())
            })
            .build()
            .map_err(io::Error::other)?;
        Ok(Arc::new(Self {
            workers,
            stack_size,
            pool: Mutex::new(Some(pool)),
            threads: Mutex::new(threads),
            office: Mutex::default(),
            parked: AtomicUsize::new(0),
            given: AtomicU64::new(0),
        }))
    }

    fn office(&self) -> MutexGuard<'_, Office> {
        // The office is consistent whenever the lock is free: no code that could panic runs under
        // it.
        self.office.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many workers there are.
    pub(super) fn workers(&self) -> usize {
        self.workers
    }

    /// Gives rayon a job: a worker's goes on its own deque, others' into rayon's injector.
    pub(super) fn give(&self, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let job = move || at_work(job);
        if is_worker() {
            rayon_core::spawn(job);
        } else {
            let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = || io::Error::other("the pool has ended");
            pool.as_ref().ok_or_else(ended)?.spawn(job);
        }
        self.given.fetch_add(1, SeqCst);
        if self.parked.load(SeqCst) > 0 {
            self.wake(1);
        }
        Ok(())
    }

    /// Wakes so many workers that wait for children, if there are: rayon takes them for busy.
    fn wake(&self, most: usize) {
        let mut office = self.office();
        let left = office.parked.len().saturating_sub(most);
        for thread in office.parked.drain(left..) {
            thread.unpark();
        }
        self.parked.store(left, SeqCst);
    }

    /// Lets so many workers look for tasks.
    fn call(self: &Arc<Self>, workers: usize) {
        for _ in 0..workers {
            let crew = self.clone();
            // After the end nobody is there to look.
            let _ = self.give(move || crew.serve());
        }
    }

    /// The same for as many as are needed.
    fn call_for_more(self: &Arc<Self>) {
        let more = self.office().call(self.workers);
        self.call(more);
    }

    /// What a worker does that was called: tasks, one after another, and before each of them
    /// whatever jobs there are, as rayon has it. Not above another job: who has begun that looks
    /// for tasks itself.
    fn serve(self: &Arc<Self>) {
        {
            let mut office = self.office();
            office.calls -= 1;
            if DEPTH.get() > 1 {
                return;
            }
            office.serving += 1;
        }
        loop {
            let mut given = self.given.load(SeqCst);
            while run_job() {
                given = self.given.load(SeqCst);
            }
            match self.take() {
                Some(turn) => self.run(turn),
                None if self.stays(given) => {}
                None => break,
            }
        }
    }

    /// The first task that is due; others are called for those behind it.
    fn take(self: &Arc<Self>) -> Option<PoolTurn> {
        let (turn, more) = {
            let mut office = self.office();
            if office.tickets.next_due_ns().is_some() {
                office.tickets.put_due(clock::now_ns());
            }
            let turn = office.take()?;
            (turn, office.call(self.workers))
        };
        self.call(more);
        Some(turn)
    }

    /// Whether a worker that was called and has found nothing goes on looking. One waits for the
    /// next task that is due, if nobody does.
    fn stays(&self, given: u64) -> bool {
        {
            let mut office = self.office();
            if office.has_turn() {
                return true;
            }
            if office.closed || office.unwatched().is_none() {
                office.serving -= 1;
                return false;
            }
        }
        self.park(given, None);
        true
    }

    fn run(&self, turn: PoolTurn) {
        let PoolTurn { load, lane, ticket } = turn;
        if !lane.turn(Some(ticket)) {
            return;
        }
        let over = self.office().free(load, lane);
        if let Some(lane) = over {
            lane.turn(None);
        }
    }

    /// Sleeps until somebody wakes this worker, until something is due, or until `until_ns`; not at
    /// all, if a job was given since there were so many. Whether it was the one that waits for what
    /// is due.
    fn park(&self, given: u64, until_ns: Option<u64>) -> bool {
        let due_ns = {
            let mut office = self.office();
            if office.has_turn() {
                return false;
            }
            office.parked.push(thread::current());
            self.parked.store(office.parked.len(), SeqCst);
            // Whoever gives a job counts it and then looks for sleepers; this one has lain down and
            // then looks at the count.
            if self.given.load(SeqCst) != given {
                self.rises(&mut office);
                return false;
            }
            let due_ns = office.unwatched();
            office.wakes_ns = due_ns.or(office.wakes_ns);
            due_ns
        };
        park_until(until_ns.into_iter().chain(due_ns).min());
        let mut office = self.office();
        self.rises(&mut office);
        // Another one may have lain down since for a ticket that is due earlier.
        if due_ns.is_some() && office.wakes_ns == due_ns {
            office.wakes_ns = None;
        }
        due_ns.is_some()
    }

    /// This worker does not sleep any more.
    fn rises(&self, office: &mut Office) {
        let own = thread::current().id();
        office.parked.retain(|thread| thread.id() != own);
        self.parked.store(office.parked.len(), SeqCst);
    }

    /// Whether less is left of this thread's stack than a job of others' is given: a worker that
    /// waits begins none then.
    fn is_deep(&self) -> bool {
        let given = self.stack_size.saturating_sub((self.stack_size / 2).max(RESERVE));
        STACK_TOP.get().saturating_sub(stack_address()) > given
    }

    /// Ends lanes whose load has no ticket left.
    fn end(&self, lanes: Vec<Arc<dyn LaneWorker>>) {
        if !lanes.is_empty() {
            // After the end nobody waits for lanes.
            let _ = self.give(move || {
                for lane in lanes {
                    lane.turn(None);
                }
            });
        }
    }

    /// Lets the workers end when they have run all jobs, and waits for them.
    pub(super) fn close(&self) {
        self.office().closed = true;
        self.wake(usize::MAX);
        drop(self.pool.lock().unwrap_or_else(PoisonError::into_inner).take());
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A worker cannot panic: jobs catch their own panics and hand them to whoever waits.
            let _ = thread.join();
        }
    }
}

/// A worker whose task waits for children runs what rayon has: its own jobs first, then those of
/// others; then a task that has not begun. Only then it sleeps, and rayon does not know that, so
/// that it is woken for what comes.
impl Meanwhile for Arc<Crew> {
    fn wait(&self, until_ns: Option<u64>) {
        if !is_worker() || self.is_deep() {
            return park_until(until_ns);
        }
        let given = self.given.load(SeqCst);
        if run_job() {
            return;
        }
        if let Some(turn) = self.take() {
            self.run(turn);
            self.call_for_more();
        } else if self.park(given, until_ns) {
            self.call_for_more();
        }
    }

    fn begins_own(&self) -> bool {
        is_worker() && self.is_deep()
    }
}

impl TurnTaker for Arc<Crew> {
    fn admit(&self, load: LoadNumber, tickets: &mut dyn Iterator<Item = Ticket>) {
        let (admitted, more) = {
            let (mut office, now_ns) = (self.office(), clock::now_ns());
            let before = office.tickets.live(load);
            for ticket in tickets {
                *office.tickets.live_mut(load) += 1;
                office.tickets.put(load, ticket, now_ns);
            }
            let admitted = office.tickets.live(load) - before;
            (admitted, office.call(self.workers))
        };
        self.call(more);
        if self.parked.load(Relaxed) > 0 {
            self.wake(usize::try_from(admitted).unwrap_or(usize::MAX));
        }
    }

    fn hold(&self, load: LoadNumber) {
        *self.office().tickets.live_mut(load) += 1;
    }

    fn put_back(&self, load: LoadNumber, ticket: Ticket, now_ns: u64) {
        self.office().tickets.put(load, ticket, now_ns);
    }

    fn withdraw(&self, load: LoadNumber) -> Option<Ticket> {
        let (ticket, over) = {
            let mut office = self.office();
            let ticket = office.tickets.take(load)?;
            (ticket, office.ended(load))
        };
        self.end(over);
        Some(ticket)
    }

    fn retire(&self, load: LoadNumber) {
        let over = self.office().ended(load);
        self.end(over);
    }

    fn serve(&self, load: LoadNumber, lane: Arc<dyn LaneWorker>) {
        let (over, more) = {
            let mut office = self.office();
            (office.free(load, lane), office.call(self.workers))
        };
        self.end(over.into_iter().collect());
        self.call(more);
    }
}
