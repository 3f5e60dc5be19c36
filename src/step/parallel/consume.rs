//! Children whose results are taken one by one, each with a task of its own that follows it: in the
//! order in which they end, what `as_completed` does, or in that in which they were started.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    super::{
        Call, Done, Failure, Opening, Operation, Sequence, StepOutcome,
        child::{ChildEnd, fold, is_out_of_time, run_child, until_time_is_up},
        site::ChildTask,
    },
    arrivals::{Arriving, ChildArrival, ChildArrivals},
};
use crate::{clock, runtime::Runtime};

/// The tasks of a fan-out whose results are taken one by one.
#[derive(Clone)]
pub(super) struct Consumed {
    pub child: ChildTask,
    /// What follows each child.
    pub then: ChildTask,
}

pub(super) struct Consuming<R: Runtime> {
    tasks: Consumed,
    /// None where a child was lost by being cancelled.
    children: Vec<Option<Sequence>>,
    then: Sequence,
    /// Empty between calls; kept for its memory.
    started: Vec<StartedChild<R>>,
    /// Where they are taken in the order in which they end.
    arrivals: Option<Arc<ChildArrivals>>,
    /// The next child to look at for a worker that waits.
    helps: usize,
    runtime: R,
}

enum StartedChild<R: Runtime> {
    /// Its end has not been seen.
    Joins(R::Join<ChildEnd>),
    /// It was seen to end before its turn.
    Waits(ChildEnd),
    Taken,
}

impl<R: Runtime> Consuming<R> {
    /// Of so many children; `by_end`: in the order in which they end.
    pub(super) fn new(tasks: Consumed, count: u64, by_end: bool, runtime: R) -> Self {
        Self {
            children: (0..count).map(|_| Some(tasks.child.build())).collect(),
            then: tasks.then.build(),
            tasks,
            started: Vec::with_capacity(count as usize),
            arrivals: by_end.then(|| ChildArrivals::of(count as usize)),
            helps: 0,
            runtime,
        }
    }

    fn start(&mut self, place: usize, number: u64, call: Call) -> Result<(), Failure> {
        let child = self.children[place].take().unwrap_or_else(|| self.tasks.child.build());
        self.tasks.child.asked();
        let arrivals = self.arrivals.clone();
        let arrives = arrivals.map(|arrivals| Arriving { arrivals, call: number, place });
        let run = run_child::<R, _>(child, call, || arrives);
        let join = self.runtime.spawn(run).map_err(|why| {
            Failure::Refused(format!(
                "the system refused a thread for child {place}: {why}; lower `count` or the concurrency"
            ))
        })?;
        self.started.push(StartedChild::Joins(join));
        Ok(())
    }

    /// Takes the results one after another.
    async fn take_all(&mut self, call: Call) -> StepOutcome {
        let (mut done, mut wrong, mut last_ns) = (Done::default(), None, 0);
        for turn in 0..self.started.len() {
            let next = self.next(turn, last_ns).await;
            last_ns = next.at_ns;
            let taken = self.take(next.place).await;
            if taken.is_none() || is_out_of_time(call) {
                until_time_is_up::<R::Native>().await;
            }
            if let Some(outcome) = taken {
                fold(&mut done, &mut wrong, outcome);
            }
            fold(&mut done, &mut wrong, self.follow(next.place, call).await);
        }
        wrong.map_or(Ok(done), Err)
    }

    /// The child whose turn it is, after one that ended at `last_ns`.
    async fn next(&mut self, turn: usize, last_ns: u64) -> ChildArrival {
        let Some(arrivals) = self.arrivals.clone() else {
            return ChildArrival { place: turn, at_ns: last_ns };
        };
        let next = poll_fn(|context| {
            let next = arrivals.poll_next(context);
            if next.is_pending() && self.helps(context) {
                return arrivals.poll_next(context);
            }
            next
        })
        .await;
        if next.at_ns < last_ns {
            self.tasks.child.seen_late();
        }
        next
    }

    /// A worker of a pool that waits runs a child that nobody has begun, or else they would wait for
    /// a worker, and it for them. Whether one has ended meanwhile.
    fn helps(&mut self, context: &mut Context<'_>) -> bool {
        if !R::INFO.style.is_pool() {
            return false;
        }
        while let Some(started) = self.started.get_mut(self.helps) {
            self.helps += 1;
            let StartedChild::Joins(join) = started else { continue };
            if let Poll::Ready(end) = Pin::new(join).poll(context) {
                *started = StartedChild::Waits(end);
                return true;
            }
        }
        false
    }

    /// Takes a child's result, unless a deadline has ended it; in the order of ends it is there.
    async fn take(&mut self, place: usize) -> Option<StepOutcome> {
        let started = std::mem::replace(&mut self.started[place], StartedChild::Taken);
        let end = match started {
            StartedChild::Joins(join) => join.await,
            StartedChild::Waits(end) => end,
            StartedChild::Taken => return Some(Ok(Done::default())),
        };
        self.children[place] = Some(end.steps);
        end.outcome.inspect(|_| self.tasks.child.returned())
    }

    /// Does what follows a child.
    async fn follow(&mut self, place: usize, call: Call) -> StepOutcome {
        self.tasks.then.asked();
        let call = Call { issued_ns: clock::now_ns(), ..call.of_child(place as u64) };
        let outcome = self.then.run(call).await;
        self.tasks.then.returned();
        outcome
    }
}

impl<R: Runtime> Operation for Consuming<R> {
    async fn prepare(&mut self) -> StepOutcome {
        for child in self.children.iter_mut().flatten() {
            child.prepare().await?;
        }
        self.then.prepare().await
    }

    /// As in a fan-out: children open what they keep when they first run.
    async fn open(&mut self, when: Opening) -> StepOutcome {
        if when == Opening::Preparation {
            self.tasks.child.try_out().await?;
        }
        self.then.open(when).await
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        let number = self.arrivals.as_ref().map_or(0, |arrivals| arrivals.begin());
        self.helps = 0;
        let children = Call { issued_ns: clock::now_ns(), ..call };
        let mut outcome = Ok(Done::default());
        for place in 0..self.children.len() {
            outcome = self
                .start(place, number, children.of_child(place as u64))
                .map(|()| Done::default());
            if outcome.is_err() {
                break;
            }
        }
        if outcome.is_ok() {
            outcome = self.take_all(call).await;
        }
        self.started.clear();
        outcome
    }
}
