//! Shared objects that cheat: a semaphore with a permit too many, a mutex that lets two in, a read-write
//! lock that takes a writer for a reader, a barrier that does not wait for all, an event that does not wait, a condition that loses a ticket or gives one twice, a queue that loses an item or gives one twice. The proof must find each of them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use regatta::runtime::{
    Barrier, Channel, Condition, EventFlag, Guarded, Mutex, RwLock, Semaphore, Waking,
};

use crate::lossy::{Fault, found, race_text};

/// The semaphore `S`, perhaps with a permit too many.
pub struct FaultySemaphore<S>(S);

impl<S: Semaphore> Semaphore for FaultySemaphore<S> {
    const NAME: &'static str = S::NAME;
    const TURNS: &'static str = S::TURNS;

    fn new(permits: usize) -> Self {
        Self(S::new(permits + usize::from(Fault::GrantsOneMore.is_there())))
    }

    async fn acquire(&self) {
        self.0.acquire().await;
    }

    fn release(&self) {
        self.0.release();
    }
}

/// A mutex made of a semaphore, perhaps with a permit too many.
pub struct FaultyMutex<S> {
    permits: S,
    value: AtomicU64,
}

pub struct FaultyGuard<'a, S: Semaphore>(&'a FaultyMutex<S>);

impl<S: Semaphore> Mutex for FaultyMutex<S> {
    const NAME: &'static str = S::NAME;
    const TURNS: &'static str = S::TURNS;
    type Guard<'a> = FaultyGuard<'a, S>;

    fn new() -> Self {
        let permits = S::new(1 + usize::from(Fault::LetsTwoIn.is_there()));
        Self { permits, value: AtomicU64::new(0) }
    }

    async fn lock(&self) -> FaultyGuard<'_, S> {
        self.permits.acquire().await;
        FaultyGuard(self)
    }
}

impl<S: Semaphore> Guarded for FaultyGuard<'_, S> {
    fn get(&self) -> u64 {
        self.0.value.load(Relaxed)
    }

    fn set(&mut self, value: u64) {
        self.0.value.store(value, Relaxed);
    }
}

impl<S: Semaphore> Drop for FaultyGuard<'_, S> {
    fn drop(&mut self) {
        self.0.permits.release();
    }
}

/// The read-write lock `L`, which may take every hundredth writer for a reader.
pub struct FaultyRwLock<L> {
    inner: L,
    writes: AtomicU64,
}

/// What a writer has.
pub enum WriterGuard<'a, L: RwLock + 'a> {
    Honest(L::Writing<'a>),
    Reader(L::Reading<'a>),
}

impl<L: RwLock> RwLock for FaultyRwLock<L> {
    const NAME: &'static str = L::NAME;
    const TURNS: &'static str = L::TURNS;
    type Reading<'a> = L::Reading<'a>;
    type Writing<'a> = WriterGuard<'a, L>;

    fn new() -> Self {
        Self { inner: L::new(), writes: AtomicU64::new(0) }
    }

    async fn read(&self) -> L::Reading<'_> {
        self.inner.read().await
    }

    async fn write(&self) -> WriterGuard<'_, L> {
        if Fault::TakesWritersForReaders.is_there() && self.writes.fetch_add(1, Relaxed) % 100 == 50
        {
            WriterGuard::Reader(self.inner.read().await)
        } else {
            WriterGuard::Honest(self.inner.write().await)
        }
    }
}

/// The barrier `B`, which may wait for one fewer.
pub struct FaultyBarrier<B>(B);

impl<B: Barrier> Barrier for FaultyBarrier<B> {
    const NAME: &'static str = B::NAME;
    const TURNS: &'static str = B::TURNS;

    fn new(parties: usize) -> Self {
        Self(B::new(parties - usize::from(Fault::MissesOne.is_there())))
    }

    fn wait(&self) -> impl Future<Output = bool> + Send {
        self.0.wait()
    }
}

/// The event `E`, for which every hundredth may not wait.
pub struct FaultyEvent<E> {
    inner: E,
    waits: AtomicU64,
}

impl<E: EventFlag> EventFlag for FaultyEvent<E> {
    const NAME: &'static str = E::NAME;
    const TURNS: &'static str = E::TURNS;

    fn new() -> Self {
        Self { inner: E::new(), waits: AtomicU64::new(0) }
    }

    fn set(&self) {
        self.inner.set();
    }

    fn clear(&self) {
        self.inner.clear();
    }

    async fn wait(&self) {
        let waits = self.waits.fetch_add(1, Relaxed);
        if !(Fault::DoesNotWait.is_there() && waits % 100 == 50) {
            self.inner.wait().await;
        }
    }
}

/// The condition `C`, which may lose every thousandth ticket or give it twice.
pub struct FaultyCondition<C> {
    inner: C,
    supplies: AtomicU64,
    takes: AtomicU64,
}

impl<C: Condition> Condition for FaultyCondition<C> {
    const NAME: &'static str = C::NAME;
    const TURNS: &'static str = C::TURNS;

    fn new() -> Self {
        let (supplies, takes) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { inner: C::new(), supplies, takes }
    }

    fn supply(&self, tickets: u64, waking: Waking) {
        let supplies = self.supplies.fetch_add(1, Relaxed);
        if !(Fault::LosesTickets.is_there() && supplies % 1_000 == 500) {
            self.inner.supply(tickets, waking);
        }
    }

    async fn take(&self) {
        let takes = self.takes.fetch_add(1, Relaxed);
        if !(Fault::RepeatsTickets.is_there() && takes % 1_000 == 500) {
            self.inner.take().await;
        }
    }

    fn left(&self) -> u64 {
        self.inner.left()
    }

    fn in_vain(&self) -> u64 {
        self.inner.in_vain()
    }
}

/// The queue `C`, which may lose every thousandth item.
pub struct FaultyChannel<C> {
    inner: C,
    puts: AtomicU64,
}

impl<C: Channel> Channel for FaultyChannel<C> {
    const NAME: &'static str = C::NAME;
    const TURNS: &'static str = C::TURNS;

    fn bounded(capacity: usize) -> Self {
        Self { inner: C::bounded(capacity), puts: AtomicU64::new(0) }
    }

    fn unbounded() -> Self {
        Self { inner: C::unbounded(), puts: AtomicU64::new(0) }
    }

    async fn put(&self, item: u64) {
        match self.puts.fetch_add(1, Relaxed) % 1_000 {
            500 if Fault::LosesItems.is_there() => {}
            // In place of an item that is lost, so that the numbers are right.
            500 if Fault::RepeatsItems.is_there() => self.inner.put(item ^ 1).await,
            _ => self.inner.put(item).await,
        }
    }

    async fn take(&self) -> u64 {
        self.inner.take().await
    }

    fn try_take(&self) -> Option<u64> {
        self.inner.try_take()
    }
}

/// One trial of clients that use an object, with two steps in what they do inside.
fn race(fault: Fault, executor: &str, object: &str, steps: &str) -> Result<(), String> {
    race_by(fault, executor, object, steps, "concurrency = 8, tasks = 3000")
}

const ONE_CLIENT: &str = "concurrency = 1, tasks = 300";

/// The same, by other clients.
fn race_by(
    fault: Fault,
    executor: &str,
    object: &str,
    steps: &str,
    clients: &str,
) -> Result<(), String> {
    let text = format!(
        r#"
schema = 1
name = "faulty"
[run]
warmup = "0s"
timeout = "1h"
[executors]
use = ["{executor}"]
baseline = "{executor}"
workers = 2
[executors.thread-pool]
size = 8
[shared.it]
{object}
[tasks.request]
steps = [{steps}]
[load.clients]
task = "request"
closed = {{ {clients} }}
"#
    );
    race_text(fault, executor, &text)
}

/// Executors on which more than one task can be inside, one of each world.
const SEVERAL: [&str; 4] = ["threads", "thread-pool", "tokio", "smol"];

const QUEUE: &str = "queue = { capacity = 4 }";
/// What a time-out leaves behind would make a queue without a bound grow.
const PUT_AND_TAKE: &str = "{ put = { queue = \"it\" } }, { take = { queue = \"it\" } }";
/// With time-outs, for who waits for an item that was lost would wait for ever.
const HAND_OVER: &str = "{ put = { queue = \"it\" }, timeout = \"500ms\", on_timeout = \"ignore\" }, \
     { take = { queue = \"it\" }, timeout = \"500ms\", on_timeout = \"ignore\" }";
/// With a time-out, for who waits for a ticket that was lost would wait for ever.
const SUPPLY: &str = "{ supply = { condition = \"it\" } }, \
     { await = { condition = \"it\" }, timeout = \"500ms\", on_timeout = \"ignore\" }";
const LOCK: &str = "{ lock = { mutex = \"it\", task = \"inside\" } }]\n\
     [tasks.inside]\nsteps = [{ yield = {} }, { sleep = { time = \"100us\" } }";
const ACQUIRE: &str = "{ acquire = { semaphore = \"it\", task = \"inside\" } }]\n\
     [tasks.inside]\nsteps = [{ yield = {} }, { sleep = { time = \"100us\" } }";
const BARRIER: &str = "barrier = { parties = 3 }";
/// Six at once, of whom three meet, or two where one is missed.
const MEET: &str = "{ parallel = { task = \"party\", count = 6 } }]\n\
     [tasks.party]\nsteps = [{ yield = {} }, { arrive = { barrier = \"it\" } }";
/// One client, whose children wait for the last one of them.
const FOLLOW: &str = "{ parallel = { groups = [{ task = \"follow\", count = 4 }, { task = \"lead\" }] } }, { clear = { event = \"it\" } }]\n\
     [tasks.follow]\nsteps = [{ wait = { event = \"it\" } }]\n\
     [tasks.lead]\nsteps = [{ sleep = { time = \"1ms\" } }, { set = { event = \"it\" } }";
const RWLOCK: &str = "rwlock = {}";
const READ_OR_WRITE: &str = "{ choice = { of = [{ task = \"look\", weight = 4 }, { task = \"change\" }] } }]\n\
     [tasks.look]\nsteps = [{ read = { rwlock = \"it\", task = \"inside\" } }]\n\
     [tasks.change]\nsteps = [{ write = { rwlock = \"it\", task = \"inside\" } }]\n\
     [tasks.inside]\nsteps = [{ yield = {} }, { sleep = { time = \"100us\" } }";
const PERMITS: &str = "semaphore = { permits = 3 }";

#[test]
fn honest_objects_behind_the_same_wrapper_pass() {
    for executor in ["sequential", "tokio-current-thread"].iter().chain(&SEVERAL) {
        let objects = [
            (QUEUE, HAND_OVER),
            ("mutex = {}", LOCK),
            (PERMITS, ACQUIRE),
            (RWLOCK, READ_OR_WRITE),
            ("condition = {}", SUPPLY),
            ("queue = { capacity = \"unbounded\" }", PUT_AND_TAKE),
            ("queue = { capacity = 4, order = \"priority\" }", HAND_OVER),
        ];
        for (object, steps) in objects {
            race(Fault::Honest, executor, object, steps)
                .unwrap_or_else(|why| panic!("{executor}, {object}: {why}"));
        }
    }
}

/// Tasks that the load gives up in a mutex, and while they wait for it.
#[test]
fn tasks_that_are_given_up_leave_an_exact_account() {
    let load = "closed = { concurrency = 8, drain = \"50ms\" }";
    let stuck = "[tasks.stuck]\nsteps = [{ lock = { mutex = \"it\", task = \"long\" } }]\n\
         [tasks.long]\nsteps = [{ sleep = { time = \"3s\" } }]\n\
         [tasks.quick]\nsteps = [{ lock = { mutex = \"it\", task = \"short\" } }]\n\
         [tasks.short]\nsteps = [{ yield = {} }]";
    let either = "{ choice = { of = [{ task = \"quick\", weight = 30 }, { task = \"stuck\" }] } }";
    for executor in ["threads", "thread-pool", "tokio", "smol"] {
        let text = format!(
            "schema = 1\nname = \"stuck\"\n[run]\nwarmup = \"0s\"\nduration = \"100ms\"\ntimeout = \"1h\"\n\
             [executors]\nuse = [\"{executor}\"]\nbaseline = \"{executor}\"\nworkers = 2\n\
             [executors.thread-pool]\nsize = 8\n[shared.it]\nmutex = {{}}\n\
             [tasks.request]\nsteps = [{either}]\n{stuck}\n[load.clients]\ntask = \"request\"\n{load}\n"
        );
        race_text(Fault::Honest, executor, &text).unwrap_or_else(|why| panic!("{executor}: {why}"));
    }
}

#[test]
fn a_mutex_that_lets_two_in_is_found_out() {
    for executor in SEVERAL {
        found(
            race(Fault::LetsTwoIn, executor, "mutex = {}", LOCK),
            "mutex it: counter of who was in",
        );
    }
}

#[test]
fn a_semaphore_with_a_permit_too_many_is_found_out() {
    for executor in SEVERAL {
        found(
            race(Fault::GrantsOneMore, executor, PERMITS, ACQUIRE),
            "semaphore it: most who were in at once: expected 0 to 3, found 4",
        );
    }
}

#[test]
fn a_read_write_lock_that_takes_writers_for_readers_is_found_out() {
    for executor in SEVERAL {
        let met = "rwlock it: who met somebody beside a writer: expected 0, found ";
        found(race(Fault::TakesWritersForReaders, executor, RWLOCK, READ_OR_WRITE), met);
    }
}

#[test]
fn a_barrier_that_does_not_wait_for_all_is_found_out() {
    for executor in ["threads", "tokio", "tokio-current-thread", "smol"] {
        race(Fault::Honest, executor, BARRIER, MEET)
            .unwrap_or_else(|why| panic!("{executor}: {why}"));
        found(race(Fault::MissesOne, executor, BARRIER, MEET), "barrier it: ");
    }
}

#[test]
fn an_event_that_does_not_wait_is_found_out() {
    for executor in SEVERAL {
        race_by(Fault::Honest, executor, "event = {}", FOLLOW, ONE_CLIENT)
            .unwrap_or_else(|why| panic!("{executor}: {why}"));
        found(
            race_by(Fault::DoesNotWait, executor, "event = {}", FOLLOW, ONE_CLIENT),
            "event it: who went on before it was set: expected 0, found ",
        );
    }
}

#[test]
fn a_condition_that_loses_a_ticket_or_gives_one_twice_is_found_out() {
    for executor in SEVERAL.iter().chain(&["sequential", "tokio-current-thread"]) {
        found(
            race(Fault::LosesTickets, executor, "condition = {}", SUPPLY),
            "condition it: tickets taken and left: expected 3000, found 2997",
        );
        found(
            race(Fault::RepeatsTickets, executor, "condition = {}", SUPPLY),
            "condition it: tickets taken and left: expected 3000, found 3003",
        );
    }
}

#[test]
fn a_queue_that_loses_one_item_of_a_thousand_is_found_out() {
    for executor in SEVERAL.iter().chain(&["sequential", "tokio-current-thread"]) {
        found(
            race(Fault::LosesItems, executor, QUEUE, HAND_OVER),
            "queue it: items taken and left in it: expected 3000, found 2997",
        );
    }
}

#[test]
fn a_queue_that_gives_an_item_twice_in_place_of_another_is_found_out() {
    for executor in SEVERAL.iter().chain(&["sequential", "tokio-current-thread"]) {
        found(
            race(Fault::RepeatsItems, executor, QUEUE, HAND_OVER),
            "queue it: the same items, by the sum of their marks",
        );
    }
}
