//! Two futures in one task, each polled only when it was itself woken.
//!
//! The two sides of a client library talk to each other: the work puts a request into a channel,
//! the connection sends it, and puts the answer into another channel. With the task's own waker
//! each of these messages would wake the whole task once more, although it is running, and the
//! executor would poll it again in vain after each call.

use std::{
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use crate::atomics::{
    AtomicU8, AtomicWaker,
    Ordering::{AcqRel, Acquire},
};

/// The first future was woken.
const WORK: u8 = 1;
/// The second future was woken.
const CONNECTION: u8 = 2;
/// The task is looking after both: whoever is woken need not wake the task.
const AWAKE: u8 = 4;

/// So often the two are polled before the executor has its turn again: a side that used up what
/// tokio allows it wakes itself, and gets nothing until then.
const ROUNDS: u32 = 8;

/// The wakers of the two futures.
#[derive(Debug)]
pub struct Pair {
    state: Arc<PairState>,
    work: Waker,
    connection: Waker,
}

#[derive(Debug)]
struct PairState {
    woken: AtomicU8,
    task: AtomicWaker,
}

/// One of the two.
struct Side {
    state: Arc<PairState>,
    bit: u8,
}

impl Wake for Side {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let before = self.state.woken.fetch_or(self.bit, AcqRel);
        if before & (AWAKE | self.bit) == 0 {
            self.state.task.wake();
        }
    }
}

impl Default for Pair {
    /// Both are to be polled first.
    fn default() -> Self {
        let state = Arc::new(PairState {
            woken: AtomicU8::new(WORK | CONNECTION),
            task: AtomicWaker::new(),
        });
        let side = |bit| Waker::from(Arc::new(Side { state: state.clone(), bit }));
        let (work, connection) = (side(WORK), side(CONNECTION));
        Self { state, work, connection }
    }
}

impl Pair {
    /// Has the work polled next, for it is another one than before.
    pub fn renew(&self) {
        self.state.woken.fetch_or(WORK, AcqRel);
    }

    /// Polls the work and the connection as often as they are woken, until either has something or
    /// both wait.
    pub fn poll<T>(
        &self,
        context: &Context<'_>,
        mut work: impl FnMut(&mut Context<'_>) -> Poll<T>,
        mut connection: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let PairState { woken, task } = &*self.state;
        task.register(context.waker());
        for _ in 0..ROUNDS {
            let now = woken.swap(AWAKE, AcqRel);
            let mut polled = Poll::Pending;
            if now & WORK != 0 {
                polled = work(&mut Context::from_waker(&self.work));
            }
            // The work may just have sent something.
            let is_wanted = now & CONNECTION != 0 || woken.load(Acquire) & CONNECTION != 0;
            if polled.is_pending() && is_wanted {
                woken.fetch_and(!CONNECTION, AcqRel);
                polled = connection(&mut Context::from_waker(&self.connection));
            }
            if polled.is_ready() {
                // Whatever is left for the connection to do is done with the next call.
                woken.fetch_or(now & CONNECTION, AcqRel);
                woken.fetch_and(!AWAKE, AcqRel);
                return polled;
            }
            // From here on whoever is woken wakes the task; who was woken before is looked after
            // now.
            if woken.compare_exchange(AWAKE, 0, AcqRel, Acquire).is_ok() {
                return Poll::Pending;
            }
        }
        woken.fetch_and(!AWAKE, AcqRel);
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        future::poll_fn,
        sync::atomic::{AtomicU32, Ordering::Relaxed},
        thread,
    };

    use futures_lite::future::block_on;

    use super::*;

    /// Counts how often a task is woken.
    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn a_message_between_the_sides_is_one_poll_and_does_not_wake_the_task() {
        let (pair, count) = (Pair::default(), Arc::new(Count::default()));
        let waker = Waker::from(count.clone());
        let (works, connections, reactor) = (Cell::new(0), Cell::new(0), Cell::new(None::<Waker>));
        let poll = || {
            let work = |_: &mut Context<'_>| {
                works.set(works.get() + 1);
                // The first poll sends, the second has the answer.
                pair.connection.wake_by_ref();
                if works.get() == 2 { Poll::Ready(()) } else { Poll::Pending }
            };
            let connection = |context: &mut Context<'_>| {
                connections.set(connections.get() + 1);
                if connections.get() == 2 {
                    pair.work.wake_by_ref();
                }
                reactor.set(Some(context.waker().clone()));
                Poll::Pending
            };
            pair.poll(&Context::from_waker(&waker), work, connection)
        };
        assert!(poll().is_pending());
        assert_eq!((works.get(), connections.get(), count.0.load(Relaxed)), (1, 1, 0));
        // What comes from outside wakes the task, once.
        let from_outside = reactor.take().unwrap();
        from_outside.wake_by_ref();
        from_outside.wake_by_ref();
        assert_eq!(count.0.load(Relaxed), 1);
        assert!(poll().is_ready());
        assert_eq!((works.get(), connections.get(), count.0.load(Relaxed)), (2, 2, 1));
        // What the last poll has left for the connection is done with the next call.
        pair.renew();
        works.set(0);
        assert!(poll().is_pending());
        assert_eq!((works.get(), connections.get()), (1, 3));
    }

    #[test]
    fn a_connection_that_was_woken_beside_work_that_is_done_is_polled_in_the_next_call() {
        let (pair, connections) = (Pair::default(), Cell::new(0));
        let context = Context::from_waker(Waker::noop());
        let connection = |_: &mut Context<'_>| {
            connections.set(connections.get() + 1);
            Poll::Pending
        };
        // At first both are to be polled, and the work is done before the connection has its turn.
        assert!(pair.poll(&context, |_| Poll::Ready(()), connection).is_ready());
        assert_eq!(connections.get(), 0);
        pair.renew();
        assert!(pair.poll(&context, |_| Poll::Pending, connection).is_pending());
        assert_eq!(connections.get(), 1);
    }

    #[test]
    fn a_side_that_wakes_itself_for_ever_lets_the_executor_go_on() {
        let (pair, count) = (Pair::default(), Arc::new(Count::default()));
        let waker = Waker::from(count.clone());
        let budget = |context: &mut Context<'_>| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        };
        assert!(pair.poll(&Context::from_waker(&waker), budget, |_| Poll::Pending).is_pending());
        assert_eq!(count.0.load(Relaxed), 1);
    }

    #[test]
    fn no_waking_from_another_thread_is_lost() {
        for _ in 0..500 {
            let (pair, done) = (Pair::default(), AtomicU32::new(0));
            thread::scope(|scope| {
                let ends = |waker: &Waker| {
                    let (waker, done) = (waker.clone(), &done);
                    scope.spawn(move || {
                        done.fetch_add(1, AcqRel);
                        waker.wake();
                    });
                };
                let mut begun = false;
                let mut work = |context: &mut Context<'_>| {
                    if !std::mem::replace(&mut begun, true) {
                        ends(context.waker());
                        ends(&pair.connection);
                    }
                    if done.load(Acquire) == 2 { Poll::Ready(()) } else { Poll::Pending }
                };
                let mut connection = |_: &mut Context<'_>| {
                    pair.work.wake_by_ref();
                    Poll::Pending
                };
                block_on(poll_fn(|context| pair.poll(context, &mut work, &mut connection)));
            });
        }
    }
}
