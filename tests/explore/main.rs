//! Every order in which threads may meet at the primitives that are our own, and every value that
//! they may see there, by loom: no wake-up is lost, nothing is lost or given twice, and what is
//! decided is decided once.
//!
//! The files stand here as they are in `src`: they take what threads share from `crate::atomics`,
//! which is loom's here. A thread is preempted three times at most, which is where faults of this
//! kind are found; `LOOM_MAX_PREEMPTIONS` allows more.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::disallowed_macros, reason = "it prints what was explored")]
#![allow(unused_imports, reason = "so do the files' own tests")]
#![allow(dead_code, reason = "of each file that part is explored which threads share")]

mod atomics;
#[path = "../../src/shared/event_word.rs"]
mod event_word;
#[path = "../../src/load/open/free.rs"]
mod free;
#[path = "../../src/step/life.rs"]
mod life;
#[path = "../../src/client/pair.rs"]
mod pair;
#[path = "../../src/runtime/blocking/parker.rs"]
mod parker;
#[path = "../../src/load/open/ring.rs"]
mod ring;
/// What the files take from there.
mod runtime {
    pub use regatta::runtime::Ticket;
}

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use loom::{
    future::block_on,
    sync::{
        Mutex,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    thread,
};

/// What is explored, by its name.
const MODELS: &[(&str, fn())] = &[
    ("a slot that is given back is taken by one of two", slots_are_neither_lost_nor_doubled),
    ("a slot that is given back while others are taken is there", what_is_given_back_is_there),
    ("a ticket wakes an intake that is about to sleep", tickets_wake),
    ("a cancelled task is counted before it is gone", cancelled_or_ended),
    ("a wake-up of either side of a connection is seen", sides_are_woken),
    ("a thread that is about to park is woken", parked_threads_are_woken),
    ("who goes on after an event was set is not early", nobody_is_early),
];

fn main() {
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted =
        |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word.as_str()));
    for (name, model) in MODELS.iter().filter(|(name, _)| is_wanted(name)) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(Some(3));
        builder.check(*model);
        println!("explored: {name}");
    }
}

/// Two threads each take a slot, use it and give it back.
fn slots_are_neither_lost_nor_doubled() {
    let free = Arc::new(free::Free::new(2));
    let uses: Arc<[AtomicU64; 2]> = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    (0..2).for_each(|place| free.put(place, Box::new(place)));
    let other = thread::spawn({
        let (free, uses) = (free.clone(), uses.clone());
        move || use_one(&free, &uses)
    });
    let own = use_one(&free, &uses);
    let all = own + other.join().unwrap();
    let counted: u64 = uses.iter().map(|place| place.load(Relaxed)).sum();
    let mut left: Vec<usize> = free.drain().map(|place| *place).collect();
    left.sort_unstable();
    assert_eq!((left, counted), (vec![0, 1], all));
}

fn use_one(free: &free::Free<usize>, uses: &[AtomicU64; 2]) -> u64 {
    let mut held = free::HeldSlots::default();
    let Some(place) = free.take(&mut held) else { return 0 };
    // Nobody else has it.
    let before = uses[*place].load(Relaxed);
    uses[*place].store(before + 1, Relaxed);
    free.put(*place, place);
    // What is still held is there for the others again; there are two places.
    if let Some(place) = free.take(&mut held) {
        free.put(*place, place);
    }
    1
}

/// One takes, and another one gives back meanwhile.
fn what_is_given_back_is_there() {
    let free = Arc::new(free::Free::new(3));
    (0..2).for_each(|place| free.put(place, Box::new(place)));
    let other = thread::spawn({
        let free = free.clone();
        move || free.put(2, Box::new(2))
    });
    let mut held = free::HeldSlots::default();
    let mut taken: Vec<usize> =
        (0..3).filter_map(|_| free.take(&mut held)).map(|place| *place).collect();
    other.join().unwrap();
    taken.extend(std::iter::from_fn(|| free.take(&mut held)).map(|place| *place));
    taken.sort_unstable();
    assert_eq!(taken, [0, 1, 2]);
}

/// An intake sleeps when it has found nothing, and is woken by whoever pushes or closes.
fn tickets_wake() {
    // Of two tickets the second one may find it full.
    let ring = Arc::new(ring::Ring::new(1));
    let pacer = thread::spawn({
        let ring = ring.clone();
        move || {
            let ticket = |number| runtime::Ticket { number, due_ns: number };
            let pushed = [1, 2].map(|number| u64::from(ring.push(ticket(number))));
            ring.close();
            pushed.iter().sum::<u64>()
        }
    });
    let mut popped = 0;
    block_on(async {
        while ring.ready().await {
            popped += u64::from(ring.pop().is_some());
        }
    });
    assert_eq!(pacer.join().unwrap(), popped);
}

/// A task is cancelled while it ends: one of the two, and who waits sees it counted.
fn cancelled_or_ended() {
    let (life, counted) = (Arc::new(life::Life::default()), Arc::new(AtomicU64::new(0)));
    life.begin(1);
    let task = thread::spawn({
        let (life, counted) = (life.clone(), counted.clone());
        move || life.end(1, || counted.store(1, Relaxed))
    });
    let cancelled = life.cancel(1);
    block_on(poll_fn(|context| life.poll_over(1, context)));
    assert_eq!(counted.load(Relaxed), u64::from(cancelled));
    task.join().unwrap();
}

/// The connection is woken from outside, and wakes the work.
fn sides_are_woken() {
    let pair = pair::Pair::default();
    let (arrived, reactor) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)));
    let outside = thread::spawn({
        let (arrived, reactor) = (arrived.clone(), reactor.clone());
        move || {
            arrived.store(true, Release);
            let waker: Option<Waker> = reactor.lock().unwrap().take();
            waker.inspect(Waker::wake_by_ref);
        }
    });
    let work_waker = Mutex::new(None::<Waker>);
    let answered = AtomicBool::new(false);
    let work = |context: &mut Context<'_>| {
        *work_waker.lock().unwrap() = Some(context.waker().clone());
        if answered.load(Acquire) { Poll::Ready(()) } else { Poll::Pending }
    };
    let connection = |context: &mut Context<'_>| {
        *reactor.lock().unwrap() = Some(context.waker().clone());
        if arrived.load(Acquire) {
            answered.store(true, Release);
            work_waker.lock().unwrap().as_ref().inspect(|waker| waker.wake_by_ref());
        }
        Poll::Pending
    };
    block_on(poll_fn(|context| pair.poll(context, work, connection)));
    outside.join().unwrap();
}

/// A thread looks, and parks; another one writes, and wakes it.
fn parked_threads_are_woken() {
    let (parker, written) = (parker::Parker::here(), Arc::new(AtomicBool::new(false)));
    let other = thread::spawn({
        let (parker, written) = (Waker::from(parker.clone()), written.clone());
        move || {
            written.store(true, Relaxed);
            parker.wake();
        }
    });
    while !parker.was_woken() {
        thread::park();
    }
    assert!(written.load(Relaxed), "what was written before the wake-up is seen");
    other.join().unwrap();
}

/// An event is set and cleared while somebody looks whether it is set.
fn nobody_is_early() {
    let (word, event) =
        (Arc::new(event_word::EventWord::default()), Arc::new(AtomicBool::new(false)));
    let herald = thread::spawn({
        let (word, event) = (word.clone(), event.clone());
        move || {
            word.set(|| event.store(true, Release));
            word.clear(|| event.store(false, Release));
            word.set(|| event.store(true, Release));
        }
    });
    for _ in 0..2 {
        let earlier = word.begin();
        if event.load(Acquire) {
            assert!(!word.is_early(earlier), "it went on after it was set");
        }
    }
    herald.join().unwrap();
    assert!(word.may_be_set());
}
