//! A child as it runs, and what its end means for its parent.

use std::time::Duration;

use super::{Call, Done, Failure, Sequence, StepOutcome};
use crate::{
    clock,
    runtime::{NativeTimers, Runtime},
};

/// A child's end.
pub struct ChildEnd {
    /// Its steps, for the next one in its place.
    pub steps: Sequence,
    /// How it ended; none: the deadline of its call ended it, or had passed before it began.
    pub outcome: Option<StepOutcome>,
}

/// Runs a child. What `begin` gives is dropped when it has ended, or was given up and its steps are
/// gone.
pub(super) async fn run_child<R: Runtime, G: Send>(
    steps: Sequence,
    call: Call,
    begin: impl FnOnce() -> G + Send,
) -> ChildEnd {
    let _at_work = begin();
    // Dropped in the other order, and so before.
    let mut child = steps;
    child.ask();
    let Some(deadline_ns) = call.deadline_ns else {
        let outcome = Some(child.run(call).await);
        return ChildEnd { steps: child, outcome };
    };
    let left = Duration::from_nanos(deadline_ns.saturating_sub(clock::now_ns()));
    let in_time =
        if left.is_zero() { None } else { R::Native::timeout(left, child.run(call)).await.ok() };
    if in_time.is_none() {
        child.cancel();
    }
    ChildEnd { steps: child, outcome: in_time }
}

/// What one child's outcome adds to its parent's.
pub(super) fn fold(done: &mut Done, wrong: &mut Option<Failure>, outcome: StepOutcome) {
    match outcome {
        Ok(more) | Err(Failure::Skipped(more)) => done.add(more),
        Err(failure) => {
            wrong.get_or_insert(failure);
        }
    }
}

pub(super) fn is_unwell(outcome: &StepOutcome) -> bool {
    !matches!(outcome, Ok(done) if done.errors == 0 && done.timeouts == 0)
}

/// Whether the nearest time-out around a call has passed.
pub(super) fn is_out_of_time(call: Call) -> bool {
    call.deadline_ns.is_some_and(|deadline_ns| clock::now_ns() >= deadline_ns)
}

/// Waits for the time-out around a call, which ends it: no more children are started. Who waits for
/// children sees that its deadline has ended them before it sees that time is up.
pub(super) async fn until_time_is_up<N: NativeTimers>() {
    loop {
        N::sleep(Duration::from_secs(3600)).await;
    }
}
