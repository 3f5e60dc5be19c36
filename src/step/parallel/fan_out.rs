//! How children are started and waited for.

use std::{
    future::poll_fn,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    super::{
        Call, Done, Failure, Opening, Operation, Sequence, StepOutcome,
        child::{ChildEnd, fold, is_out_of_time, is_unwell, run_child, until_time_is_up},
        site::ChildTask,
    },
    crowd::{Crowd, Present},
    ends::{Announces, ChildEnds},
};
use crate::{
    clock,
    runtime::{NativeTimers as _, Runtime, Style},
};

/// Whose ends are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JoinBy {
    /// Those of all children.
    All,
    /// Those of all, as long as they end well.
    AllWell,
    /// That of any one.
    First,
    /// Those of all, as far as they end in this time.
    Within(Duration),
}

/// How many children there are.
#[derive(Clone)]
pub(super) struct Children {
    /// By task; in batches there is one.
    pub groups: Vec<(ChildTask, u64)>,
    /// In each batch, where they come in batches.
    pub batch: Option<u64>,
}

impl Children {
    fn count(&self) -> u64 {
        self.groups.iter().map(|(_, count)| count).sum()
    }

    /// Whose child is at a place.
    fn task(&self, mut place: u64) -> &ChildTask {
        let is_there = |(_, count): &&(ChildTask, u64)| {
            let there = place < *count;
            place = place.saturating_sub(*count);
            there
        };
        let found = self.groups.iter().find(is_there).or(self.groups.last());
        found.map_or_else(|| unreachable!("a fan-out has a task"), |(task, _)| task)
    }
}

pub(super) struct FanOut<R: Runtime> {
    /// By place; none where a child was lost by being cancelled. In batches a place is used again.
    children: Vec<Option<Sequence>>,
    tasks: Children,
    /// Empty between rounds; kept for its memory.
    joins: Vec<Option<R::Join<ChildEnd>>>,
    join: JoinBy,
    /// Where a join cannot be asked whether its child has ended.
    ends: Option<Arc<ChildEnds>>,
    /// Where children come in batches.
    crowd: Option<Arc<Crowd>>,
    /// Calls begun.
    calls: u32,
    /// Batches begun, of all calls.
    rounds: u64,
    runtime: R,
}

impl<R: Runtime> FanOut<R> {
    pub(super) fn new(tasks: Children, join: JoinBy, runtime: R) -> Self {
        let (count, batch) = (tasks.count(), tasks.batch);
        let places = batch.map_or(count, |batch| batch.min(count)) as usize;
        let child = |place: usize| tasks.task(place as u64).build();
        Self {
            children: (0..places).map(|place| Some(child(place))).collect(),
            joins: Vec::with_capacity(places),
            join,
            ends: (R::INFO.style.joins_block() && matches!(join, JoinBy::AllWell | JoinBy::First))
                .then(|| ChildEnds::of(places)),
            crowd: batch.map(|_| Crowd::of(tasks.task(0))),
            calls: 0,
            rounds: 0,
            tasks,
            runtime,
        }
    }
}

impl<R: Runtime> Operation for FanOut<R> {
    async fn prepare(&mut self) -> StepOutcome {
        for child in self.children.iter_mut().flatten() {
            child.prepare().await?;
        }
        Ok(Done::default())
    }

    /// Looks in preparation whether a child can be opened. Those that are kept open when they first
    /// run: before that they would hold connections that others wait for.
    async fn open(&mut self, when: Opening) -> StepOutcome {
        match when {
            Opening::Preparation => {
                for (task, _) in &self.tasks.groups {
                    task.try_out().await?;
                }
                Ok(Done::default())
            }
            Opening::FirstUse => Ok(Done::default()),
        }
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        self.calls = self.calls.wrapping_add(1);
        if let Some(crowd) = &self.crowd {
            crowd.begin(self.calls);
        }
        // Where a child has ended when the next one is started, the first is the first.
        let one_is_enough = self.join == JoinBy::First && R::INFO.style == Style::Serial;
        let count = if one_is_enough { 1 } else { self.tasks.count() };
        let mut done = Done::default();
        for first in (0..count).step_by(self.children.len().max(1)) {
            if first > 0 && is_out_of_time(call) {
                until_time_is_up::<R::Native>().await;
            }
            let last = count.min(first + self.children.len() as u64);
            let outcome = self.round(first..last, call).await;
            self.joins.clear();
            done.add(outcome.map_err(|failure| failure.after(done))?);
        }
        Ok(done)
    }
}

impl<R: Runtime> FanOut<R> {
    /// Starts these children at once and waits for them.
    async fn round(&mut self, children: Range<u64>, call: Call) -> StepOutcome {
        self.rounds += 1;
        let issued_ns = clock::now_ns();
        let child = Call { issued_ns, deadline_ns: self.deadline(issued_ns, call), ..call };
        for (place, index) in children.enumerate() {
            self.start(place, child.of_child(index))?;
        }
        match self.join {
            JoinBy::All => self.all().await,
            JoinBy::AllWell => self.all_well().await,
            JoinBy::First => self.first().await,
            JoinBy::Within(time) => self.within(time, call).await,
        }
    }

    /// When children end themselves at the latest. Where they have a thread each nobody else can
    /// end them; where they share threads one timer of the parent's ends all.
    fn deadline(&self, now_ns: u64, call: Call) -> Option<u64> {
        let JoinBy::Within(time) = self.join else { return call.deadline_ns };
        if R::INFO.style.shares_threads() {
            return call.deadline_ns;
        }
        let own = now_ns.saturating_add(time.as_nanos() as u64);
        Some(call.deadline_ns.map_or(own, |outer| outer.min(own)))
    }

    fn start(&mut self, place: usize, call: Call) -> Result<(), Failure> {
        let task = self.tasks.task(place as u64);
        let child = self.children[place].take().unwrap_or_else(|| task.build());
        task.asked();
        let run = run_child::<R, _>(child, call, self.begins(place));
        let join = self.runtime.spawn(run).map_err(|why| {
            let given_up = if self.ends.is_some() {
                ", or let the children be shorter: the threads of those that were given up go on"
            } else {
                ""
            };
            let index = call.child;
            Failure::Refused(format!(
                "the system refused a thread for child {index}: {why}; lower `count` or the concurrency{given_up}"
            ))
        })?;
        self.joins.push(Some(join));
        Ok(())
    }

    /// Notes that a child has begun, and that it has ended: it leaves the crowd before its end is
    /// announced.
    fn begins(
        &self,
        place: usize,
    ) -> impl FnOnce() -> (Option<Present>, Option<Announces>) + Send + use<R> {
        let (crowd, call) = (self.crowd.clone(), self.calls);
        let round = self.rounds;
        let announces = self.ends.clone().map(|ends| Announces { ends, place, round });
        move || (crowd.map(|crowd| crowd.enter(call)), announces)
    }

    async fn all(&mut self) -> StepOutcome {
        let mut ended = RoundAccount::default();
        for place in 0..self.joins.len() {
            let end = poll_fn(|context| self.ended(place, context)).await;
            ended.note(end);
        }
        Self::well(ended).await
    }

    /// The first child that ends is all that counts.
    async fn first(&mut self) -> StepOutcome {
        let mut ended = RoundAccount::default();
        self.until(&mut ended, |_| true).await;
        Self::well(ended).await
    }

    /// The first that did not end well cancels the rest.
    async fn all_well(&mut self) -> StepOutcome {
        let mut ended = RoundAccount::default();
        let stopped = self.until(&mut ended, is_unwell).await;
        let done = Self::well(ended).await?;
        if stopped { Err(Failure::Skipped(done)) } else { Ok(done) }
    }

    /// All that end in time; the others are given up, and counted as time-outs.
    async fn within(&mut self, time: Duration, call: Call) -> StepOutcome {
        let mut ended = RoundAccount::default();
        if R::INFO.style.shares_threads() {
            // What has ended stands in the account, also where others have not.
            let _ = R::Native::timeout(time, self.until(&mut ended, |_| false)).await;
            ended.cut += self.joins.iter().flatten().count() as u64;
        } else {
            for place in 0..self.joins.len() {
                ended.note(poll_fn(|context| self.ended(place, context)).await);
            }
        }
        // It may have been a time-out around the call that has ended them.
        if ended.cut > 0 && is_out_of_time(call) {
            until_time_is_up::<R::Native>().await;
        }
        self.tasks.task(0).pending(ended.cut);
        ended.done.timeouts += ended.cut;
        ended.wrong.map_or(Ok(ended.done), Err)
    }

    /// What children did that have ended. Where a deadline has ended one, it is that of a time-out
    /// around this call.
    async fn well(ended: RoundAccount) -> StepOutcome {
        if ended.cut > 0 && ended.wrong.is_none() {
            until_time_is_up::<R::Native>().await;
        }
        ended.wrong.map_or(Ok(ended.done), Err)
    }

    /// Looks at whichever child ends, until one has ended in a way that `stops`: whether one has. The
    /// others are given up with their joins.
    async fn until(
        &mut self,
        into: &mut RoundAccount,
        stops: impl Fn(&StepOutcome) -> bool + Send,
    ) -> bool {
        poll_fn(|context| {
            if let Some(ends) = &self.ends {
                ends.waker.register(context.waker());
            }
            let mut waiting = false;
            for place in 0..self.joins.len() {
                match self.ended(place, context) {
                    Poll::Pending => waiting = true,
                    Poll::Ready(end) => {
                        let stop = matches!(&end, PlaceEnd::ByItself(outcome) if stops(outcome));
                        into.note(end);
                        if stop {
                            return Poll::Ready(true);
                        }
                    }
                }
            }
            if waiting { Poll::Pending } else { Poll::Ready(false) }
        })
        .await
    }

    /// How a child ended.
    fn ended(&mut self, place: usize, context: &mut Context<'_>) -> Poll<PlaceEnd> {
        let Some(join) = &mut self.joins[place] else { return Poll::Ready(PlaceEnd::SeenBefore) };
        if self.ends.as_ref().is_some_and(|ends| !ends.has(place, self.rounds)) {
            return Poll::Pending;
        }
        let Poll::Ready(ChildEnd { steps, outcome }) = Pin::new(join).poll(context) else {
            return Poll::Pending;
        };
        (self.joins[place], self.children[place]) = (None, Some(steps));
        let Some(outcome) = outcome else { return Poll::Ready(PlaceEnd::ByDeadline) };
        self.tasks.task(place as u64).returned();
        Poll::Ready(PlaceEnd::ByItself(outcome))
    }
}

/// How the child at a place has ended.
enum PlaceEnd {
    SeenBefore,
    ByDeadline,
    ByItself(StepOutcome),
}

/// What the children of a round did that have ended.
#[derive(Default)]
struct RoundAccount {
    done: Done,
    wrong: Option<Failure>,
    /// How many a deadline has ended.
    cut: u64,
}

impl RoundAccount {
    /// Adds how a child ended.
    fn note(&mut self, end: PlaceEnd) {
        match end {
            PlaceEnd::ByItself(outcome) => fold(&mut self.done, &mut self.wrong, outcome),
            PlaceEnd::ByDeadline => self.cut += 1,
            PlaceEnd::SeenBefore => {}
        }
    }
}
