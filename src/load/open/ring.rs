//! The hand-over from the pacer's thread to the executor: bounded, allocated beforehand, and silent
//! unless the other side sleeps.

use std::{future::poll_fn, task::Poll};

use crate::{
    atomics::{AtomicBool, AtomicWaker, ConcurrentQueue, Ordering, fence},
    runtime::Ticket,
};

/// A ring of tickets from one pacer to one intake.
pub struct Ring {
    tickets: ConcurrentQueue<Ticket>,
    waker: AtomicWaker,
    /// Set by an intake that has found nothing: only then it must be woken.
    parked: AtomicBool,
    closed: AtomicBool,
}

impl Ring {
    /// A ring for at most `room` tickets.
    pub fn new(room: usize) -> Self {
        Self {
            tickets: ConcurrentQueue::bounded(room.max(1)),
            waker: AtomicWaker::new(),
            parked: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Puts a ticket in and wakes the intake if it sleeps; false if there is no room.
    pub fn push(&self, ticket: Ticket) -> bool {
        let fits = self.tickets.push(ticket).is_ok();
        self.wake();
        fits
    }

    /// The next ticket.
    pub fn pop(&self) -> Option<Ticket> {
        self.tickets.pop().ok()
    }

    /// Lets the intake end once nothing is left.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake();
    }

    /// Waits until there is a ticket; false: until the ring was closed, and there is none.
    pub async fn ready(&self) -> bool {
        poll_fn(|context| {
            if let Some(ready) = self.look() {
                return Poll::Ready(ready);
            }
            self.waker.register(context.waker());
            self.parked.store(true, Ordering::Relaxed);
            // Pairs with the fence in `wake`: either the pacer sees the flag, or its ticket is seen
            // here.
            fence(Ordering::SeqCst);
            let Some(ready) = self.look() else { return Poll::Pending };
            self.parked.store(false, Ordering::Relaxed);
            Poll::Ready(ready)
        })
        .await
    }

    fn look(&self) -> Option<bool> {
        // In this order, or a ticket could slip in before the end.
        let closed = self.closed.load(Ordering::Acquire);
        if self.tickets.is_empty() { closed.then_some(false) } else { Some(true) }
    }

    fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.parked.load(Ordering::Relaxed) && self.parked.swap(false, Ordering::Relaxed) {
            self.waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering::Relaxed},
        },
        task::{Context, Wake, Waker},
        thread,
    };

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicU32);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn ticket(number: u64) -> Ticket {
        Ticket { number, due_ns: number }
    }

    #[test]
    fn wakes_only_an_intake_that_sleeps() {
        let ring = Ring::new(4);
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut context = Context::from_waker(&waker);
        assert!(ring.push(ticket(1)));
        assert_eq!(pin!(ring.ready()).poll(&mut context), Poll::Ready(true));
        assert_eq!(ring.pop(), Some(ticket(1)));
        assert_eq!(pin!(ring.ready()).poll(&mut context), Poll::Pending);
        assert_eq!(wakes.0.load(Relaxed), 0);
        assert!(ring.push(ticket(2)) && ring.push(ticket(3)));
        assert_eq!(wakes.0.load(Relaxed), 1);
        ring.close();
        assert_eq!(pin!(ring.ready()).poll(&mut context), Poll::Ready(true));
        assert_eq!((ring.pop(), ring.pop()), (Some(ticket(2)), Some(ticket(3))));
        assert_eq!(pin!(ring.ready()).poll(&mut context), Poll::Ready(false));
    }

    #[test]
    fn closing_wakes_and_a_full_ring_says_so() {
        let ring = Ring::new(1);
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        assert_eq!(pin!(ring.ready()).poll(&mut Context::from_waker(&waker)), Poll::Pending);
        ring.close();
        assert_eq!(wakes.0.load(Relaxed), 1);
        assert!(ring.push(ticket(1)) && !ring.push(ticket(2)));
    }

    #[test]
    fn nothing_is_lost_between_two_threads() {
        const TICKETS: u64 = 20_000;
        let ring = Arc::new(Ring::new(8));
        let pushing = ring.clone();
        let pacer = thread::spawn(move || {
            for number in 0..TICKETS {
                while !pushing.push(ticket(number)) {
                    thread::yield_now();
                }
            }
            pushing.close();
        });
        let popped = futures_lite::future::block_on(async {
            let mut popped = 0;
            while ring.ready().await {
                while let Some(found) = ring.pop() {
                    assert_eq!(found, ticket(popped));
                    popped += 1;
                }
            }
            popped
        });
        pacer.join().unwrap();
        assert_eq!(popped, TICKETS);
    }
}
