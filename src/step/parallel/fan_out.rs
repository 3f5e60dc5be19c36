//! How children are started and waited for.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
    task::{Context, Poll},
    time::Duration,
};

use atomic_waker::AtomicWaker;

use super::super::{
    Call, Done, Failure, Opening, Operation, Sequence, StepOutcome, site::ChildTask,
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
}

type ChildEnd = (Sequence, StepOutcome);

pub(super) struct FanOut<R: Runtime> {
    /// None where a child was lost by being cancelled.
    children: Vec<Option<Sequence>>,
    /// Empty between calls; kept for its memory.
    joins: Vec<Option<R::Join<ChildEnd>>>,
    rebuild: ChildTask,
    join: JoinBy,
    /// Where a join cannot be asked whether its child has ended.
    ends: Option<Arc<ChildEnds>>,
    /// Calls begun.
    calls: u64,
    runtime: R,
}

impl<R: Runtime> FanOut<R> {
    pub(super) fn new(child: &ChildTask, count: u64, join: JoinBy, runtime: R) -> Self {
        Self {
            children: (0..count).map(|_| Some(child.build())).collect(),
            joins: Vec::with_capacity(count as usize),
            rebuild: child.clone(),
            join,
            ends: (R::INFO.style.joins_block() && join != JoinBy::All)
                .then(|| ChildEnds::of(count)),
            calls: 0,
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
            Opening::Preparation => self.rebuild.try_out().await,
            Opening::FirstUse => Ok(Done::default()),
        }
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        self.calls += 1;
        let call = Call { issued_ns: clock::now_ns(), ..call };
        // Where a child has ended when the next one is started, the first is the first.
        let one_is_enough = self.join == JoinBy::First && R::INFO.style == Style::Serial;
        let count = if one_is_enough { 1 } else { self.children.len() };
        for index in 0..count {
            if let Err(failure) = self.start(index, call) {
                self.joins.clear();
                return Err(failure);
            }
        }
        let outcome = match self.join {
            JoinBy::All => self.all().await,
            JoinBy::AllWell => self.all_well().await,
            JoinBy::First => self.first().await,
        };
        self.joins.clear();
        outcome
    }
}

async fn run_child<R: Runtime>(
    mut child: Sequence,
    call: Call,
    _announces: Option<Announces>,
) -> ChildEnd {
    child.ask();
    let Some(deadline_ns) = call.deadline_ns else {
        let outcome = child.run(call).await;
        return (child, outcome);
    };
    let left = Duration::from_nanos(deadline_ns.saturating_sub(clock::now_ns()));
    let in_time = R::Native::timeout(left, child.run(call)).await;
    let outcome = in_time.unwrap_or_else(|_| {
        child.cancel();
        Err(Failure::Skipped(Done { timeouts: 1, ..Done::default() }))
    });
    (child, outcome)
}

/// What one child's outcome adds to its parent's.
fn fold(done: &mut Done, wrong: &mut Option<Failure>, outcome: StepOutcome) {
    match outcome {
        Ok(more) | Err(Failure::Skipped(more)) => done.add(more),
        Err(failure) => {
            wrong.get_or_insert(failure);
        }
    }
}

fn is_unwell(outcome: &StepOutcome) -> bool {
    !matches!(outcome, Ok(done) if done.errors == 0 && done.timeouts == 0)
}

impl<R: Runtime> FanOut<R> {
    fn start(&mut self, index: usize, call: Call) -> Result<(), Failure> {
        let child = self.children[index].take().unwrap_or_else(|| self.rebuild.build());
        self.rebuild.asked();
        let announces = self.ends.as_ref().map(|ends| Announces {
            ends: ends.clone(),
            index,
            call: self.calls,
        });
        let run = run_child::<R>(child, call.of_child(index as u64), announces);
        let join = self.runtime.spawn(run).map_err(|why| {
            let given_up = if self.ends.is_some() {
                ", or let the children be shorter: the threads of those that were given up go on"
            } else {
                ""
            };
            Failure::Refused(format!(
                "the system refused a thread for child {index}: {why}; lower `count` or the concurrency{given_up}"
            ))
        })?;
        self.joins.push(Some(join));
        Ok(())
    }

    async fn all(&mut self) -> StepOutcome {
        let (mut done, mut wrong) = (Done::default(), None);
        for (index, join) in self.joins.iter_mut().enumerate() {
            if let Some(join) = join.take() {
                let (child, outcome) = join.await;
                self.rebuild.returned();
                self.children[index] = Some(child);
                fold(&mut done, &mut wrong, outcome);
            }
        }
        wrong.map_or(Ok(done), Err)
    }

    /// The first child that ends is all that counts.
    async fn first(&mut self) -> StepOutcome {
        let (done, wrong, _) = self.until(|_| true).await;
        wrong.map_or(Ok(done), Err)
    }

    /// The first that did not end well cancels the rest.
    async fn all_well(&mut self) -> StepOutcome {
        match self.until(is_unwell).await {
            (_, Some(wrong), _) => Err(wrong),
            (done, None, true) => Err(Failure::Skipped(done)),
            (done, None, false) => Ok(done),
        }
    }

    /// Looks at whichever child ends, until one has ended in a way that `stops`: what those did that
    /// have ended, what was wrong, and whether it was stopped. The others are given up with their
    /// joins.
    async fn until(
        &mut self,
        stops: impl Fn(&StepOutcome) -> bool + Send,
    ) -> (Done, Option<Failure>, bool) {
        let (mut done, mut wrong) = (Done::default(), None);
        let stopped = poll_fn(|context| {
            if let Some(ends) = &self.ends {
                ends.waker.register(context.waker());
            }
            let mut waiting = false;
            for index in 0..self.joins.len() {
                match self.ended(index, context) {
                    Poll::Pending => waiting = true,
                    Poll::Ready(None) => {}
                    Poll::Ready(Some(outcome)) => {
                        let stop = stops(&outcome);
                        fold(&mut done, &mut wrong, outcome);
                        if stop {
                            return Poll::Ready(true);
                        }
                    }
                }
            }
            if waiting { Poll::Pending } else { Poll::Ready(false) }
        })
        .await;
        (done, wrong, stopped)
    }

    /// How a child ended; nothing where that was seen before.
    fn ended(&mut self, index: usize, context: &mut Context<'_>) -> Poll<Option<StepOutcome>> {
        let Some(join) = &mut self.joins[index] else { return Poll::Ready(None) };
        if self.ends.as_ref().is_some_and(|ends| !ends.has(index, self.calls)) {
            return Poll::Pending;
        }
        let Poll::Ready((child, outcome)) = Pin::new(join).poll(context) else {
            return Poll::Pending;
        };
        self.rebuild.returned();
        (self.joins[index], self.children[index]) = (None, Some(child));
        Poll::Ready(Some(outcome))
    }
}

/// Which children have ended, for a parent whose joins would wait for them.
struct ChildEnds {
    waker: AtomicWaker,
    /// By child: the call of the last one that ended. One that was given up ends beside those of
    /// later calls, and must not be taken for one of them.
    last: Box<[AtomicU64]>,
}

impl ChildEnds {
    fn of(count: u64) -> Arc<Self> {
        let last = (0..count).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { waker: AtomicWaker::new(), last })
    }

    fn has(&self, index: usize, call: u64) -> bool {
        self.last[index].load(Acquire) >= call
    }
}

/// Says that a child has ended when it is dropped, and so also where the child panics.
struct Announces {
    ends: Arc<ChildEnds>,
    index: usize,
    call: u64,
}

impl Drop for Announces {
    fn drop(&mut self) {
        self.ends.last[self.index].fetch_max(self.call, Release);
        self.ends.waker.wake();
    }
}
