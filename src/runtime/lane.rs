//! A lane that has a worker of the pool for a turn at a time: from a ticket until it asks for the
//! next one.
//!
//! The worker polls the lane's future and hands it the ticket over its [`Desk`]. So the code of a
//! lane is the same whether it has a worker for itself or shares it with the lanes of other loads.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    thread,
};

use super::{
    blocking::{Meanwhile, block_on_beside},
    ticket::Ticket,
};

/// A lane, for the worker that serves it.
pub(super) trait LaneWorker: Send + Sync {
    /// Serves a ticket, or lets the lane end where there is none left; whether it can serve more.
    fn turn(&self, ticket: Option<Ticket>) -> bool;
}

/// Where a lane asks for tickets.
#[derive(Default)]
pub(super) struct Desk(Mutex<Asked>);

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// The lane does something else, or has not begun.
    #[default]
    No,
    /// It waits for a ticket.
    Yes,
    /// It was given one, or told that there is none left.
    Given(Option<Ticket>),
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Asked> {
        // Nothing that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, ticket: Option<Ticket>) {
        *self.lock() = Asked::Given(ticket);
    }

    fn waits(&self) -> bool {
        *self.lock() == Asked::Yes
    }

    /// The next ticket. The lane's turn is over until there is one.
    pub(super) async fn ticket(&self) -> Option<Ticket> {
        poll_fn(|_| {
            let mut asked = self.lock();
            match std::mem::replace(&mut *asked, Asked::Yes) {
                Asked::Given(ticket) => {
                    *asked = Asked::No;
                    Poll::Ready(ticket)
                }
                Asked::No | Asked::Yes => Poll::Pending,
            }
        })
        .await
    }
}

/// A lane's future, and its output once that is there. `M` is what its thread does while it waits.
pub(super) struct Turns<F: Future, M> {
    desk: Arc<Desk>,
    meanwhile: M,
    future: Mutex<Option<Pin<Box<F>>>>,
    ended: Mutex<LaneOutput<F::Output>>,
}

struct LaneOutput<T> {
    output: Option<thread::Result<T>>,
    waker: Option<Waker>,
}

impl<F: Future, M> Turns<F, M> {
    /// A lane that asks for its tickets at this desk.
    pub(super) fn new(desk: Arc<Desk>, meanwhile: M, future: F) -> Self {
        let ended = Mutex::new(LaneOutput { output: None, waker: None });
        Self { desk, meanwhile, future: Mutex::new(Some(Box::pin(future))), ended }
    }

    /// The output, once it is there.
    pub(super) fn poll_ended(&self, context: &Context<'_>) -> Poll<thread::Result<F::Output>> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(output) = ended.output.take() {
            return Poll::Ready(output);
        }
        ended.waker = Some(context.waker().clone());
        Poll::Pending
    }

    fn end(&self, output: thread::Result<F::Output>) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.output = Some(output);
        if let Some(waker) = ended.waker.take() {
            waker.wake();
        }
    }
}

impl<F, M> LaneWorker for Turns<F, M>
where
    F: Future + Send,
    F::Output: Send,
    M: Meanwhile,
{
    fn turn(&self, ticket: Option<Ticket>) -> bool {
        let mut future = self.future.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = future.as_mut() else { return false };
        self.desk.give(ticket);
        let turn = poll_fn(|context| match running.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.desk.waits() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        let run = AssertUnwindSafe(|| block_on_beside(&self.meanwhile, turn));
        let ended = match catch_unwind(run) {
            Ok(None) => return true,
            Ok(Some(output)) => Ok(output),
            Err(panic) => Err(panic),
        };
        *future = None;
        self.end(ended);
        false
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{Runtime, Setup, Ticket, Tickets, thread_pool::ThreadPool};

    fn pool(workers: usize, loads: usize) -> ThreadPool {
        let setup = Setup { workers: 1, pool_size: workers, stack_size: None };
        let pool = ThreadPool::start(&setup).expect("threads can be started");
        pool.queue().expect("a pool has a queue").share(loads);
        pool
    }

    /// A lane that notes which tickets it served, and puts each back once.
    async fn lane(tickets: Tickets, again: u64) -> Vec<u64> {
        let (mut served, mut held) = (Vec::new(), tickets.next_ticket().await);
        while let Some(ticket) = held {
            served.push(ticket.number);
            held = if ticket.number < again {
                let next = Ticket { number: ticket.number + again, due_ns: 0 };
                tickets.exchange(next, 0).await.map(|(ticket, _)| ticket)
            } else {
                tickets.retire();
                tickets.next_ticket().await
            };
        }
        served
    }

    /// Each load's lanes serve its own tickets, all of them, and end; one load has fewer lanes than
    /// there are workers.
    #[test]
    fn loads_that_share_workers_have_all_their_tickets_served() {
        let pool = pool(3, 2);
        let queue = pool.queue().expect("a pool has a queue").clone();
        let loads = [(0, 3, 40), (1, 1, 25)];
        let mut started = Vec::new();
        for (load, lanes, clients) in loads {
            let tickets = Tickets::new(&queue, load);
            tickets.admit((0..clients).map(|number| Ticket { number, due_ns: 0 }));
            for number in 0..lanes {
                let its = tickets.of_lane();
                let lane = pool.spawn_lane(&its, number, lane(its.clone(), clients));
                started.push((load, lane.expect("it is only put into the queue")));
            }
        }
        let mut served: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        pool.block_on(async {
            for (load, lane) in started {
                served.entry(load).or_default().extend(lane.await);
            }
        });
        for (load, _, clients) in loads {
            let mut of_load = served.remove(&load).expect("it had lanes");
            of_load.sort_unstable();
            assert_eq!(of_load, (0..2 * clients).collect::<Vec<_>>(), "load {load}");
        }
        pool.stop();
    }

    /// A ticket that is not due yet is waited for, and nobody else meanwhile; a job gets a worker,
    /// too.
    #[test]
    fn who_is_due_goes_first_whichever_load_it_is_of() {
        let pool = pool(1, 2);
        let queue = pool.queue().expect("a pool has a queue").clone();
        let [late, early] = [0, 1].map(|load| Tickets::new(&queue, load));
        let due_ns = crate::clock::now_ns() + 20_000_000;
        late.admit([Ticket { number: 7, due_ns }].into_iter());
        early.admit((1..4).map(|number| Ticket { number, due_ns: 0 }));
        let (ended, order) = std::sync::mpsc::channel();
        let lane = |tickets: Tickets| {
            let ended = ended.clone();
            async move {
                while let Some(ticket) = tickets.next_ticket().await {
                    ended.send((ticket.number, crate::clock::now_ns())).expect("somebody listens");
                    tickets.retire();
                }
            }
        };
        let lanes = [&late, &early].map(|tickets| {
            let its = tickets.of_lane();
            pool.spawn_lane(&its, 0, lane(its.clone())).expect("it is only put into the queue")
        });
        let job = pool.spawn(async { 5 }).expect("it is only put into the queue");
        pool.block_on(async {
            assert_eq!(job.await, 5);
            for lane in lanes {
                lane.await;
            }
        });
        let order: Vec<(u64, u64)> = order.try_iter().collect();
        assert_eq!(order.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3, 7]);
        assert!(order[3].1 >= due_ns);
        pool.stop();
    }

    /// Whoever waits for the moment: a ticket that becomes due is for the worker that has its lane.
    #[test]
    fn what_becomes_due_finds_the_worker_that_can_serve_it() {
        for round in 0..40 {
            let pool = pool(3, 2);
            let queue = pool.queue().expect("a pool has a queue").clone();
            let tickets = Tickets::new(&queue, 0);
            let due_ns = crate::clock::now_ns() + 3_000_000;
            tickets.admit([Ticket { number: 0, due_ns }].into_iter());
            let its = tickets.of_lane();
            let started = pool.spawn_lane(&its, round % 3, lane(its.clone(), 1));
            let served = pool.block_on(started.expect("it is only put into the queue"));
            assert_eq!(served, [0, 1]);
            pool.stop();
        }
    }

    #[test]
    fn a_lane_that_panics_does_so_where_it_is_awaited_and_its_worker_goes_on() {
        let pool = pool(1, 1);
        let tickets = Tickets::new(pool.queue().expect("a pool has a queue"), 0);
        tickets.hold();
        let its = tickets.of_lane();
        let broken = async { panic!("broken") };
        let lane = pool.spawn_lane(&its, 0, broken).expect("it is only put into the queue");
        tickets.retire();
        let seen = std::panic::AssertUnwindSafe(|| pool.block_on(lane));
        assert!(std::panic::catch_unwind(seen).is_err());
        let job = pool.spawn(async { 5 }).expect("it is only put into the queue");
        assert_eq!(pool.block_on(job), 5);
        pool.stop();
    }
}
