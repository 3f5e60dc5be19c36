//! The task that a thread runs: its driver, its sleep and its deadlines.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::{super::Elapsed, parker::Parker};
use crate::clock;

/// What the driver and the streams of one task tell each other.
#[derive(Default)]
struct BlockingTask {
    /// Set by a stream that can only go on by blocking: who polled it.
    wants_to_block: Option<Waker>,
    /// Set by the driver: the next poll of a stream may block once.
    may_block: bool,
    /// Set while somebody only looks: streams read what is there, and do not ask to block.
    looks: bool,
    /// The innermost deadline.
    deadline_ns: Option<u64>,
    /// A deadline that has passed and whose time-out has not yet taken notice.
    expired_ns: Option<u64>,
    /// The first deadline of all time-outs that wait, for a task that waits for another thread.
    park_until_ns: Option<u64>,
}

thread_local! {
    static TASK: RefCell<BlockingTask> = RefCell::new(BlockingTask::default());
    static PARKER: (Arc<Parker>, Waker) = {
        let parker = Parker::here();
        (parker.clone(), parker.into())
    };
}

fn with_task<T>(change: impl FnOnce(&mut BlockingTask) -> T) -> T {
    TASK.with_borrow_mut(change)
}

/// What a thread does while the task that it runs can only wait for other threads.
pub trait Meanwhile: Send + Sync + 'static {
    /// Does something else, or parks until the thread is unparked or the clock shows `until_ns`.
    /// The driver asks again until its task is woken: it may return early.
    fn wait(&self, until_ns: Option<u64>);

    /// Whether who waits for a job of its own that nobody has begun runs it, at once.
    fn begins_own(&self) -> bool;
}

/// Parks, and does nothing else.
pub struct OnlyParks;

impl Meanwhile for OnlyParks {
    fn wait(&self, until_ns: Option<u64>) {
        park_until(until_ns);
    }

    fn begins_own(&self) -> bool {
        true
    }
}

/// Parks this thread until it is unparked or the clock shows `until_ns`.
pub fn park_until(until_ns: Option<u64>) {
    match until_ns {
        None => std::thread::park(),
        Some(until_ns) => {
            let left_ns = until_ns.saturating_sub(clock::now_ns());
            std::thread::park_timeout(Duration::from_nanos(left_ns));
        }
    }
}

/// Runs a future to its end on this thread. May be nested: a task that waits for its own children
/// runs them.
pub fn block_on<F: Future>(future: F) -> F::Output {
    block_on_beside(&OnlyParks, future)
}

/// The same for a thread that has something else to do while its task waits for other threads.
pub fn block_on_beside<F: Future>(meanwhile: &impl Meanwhile, future: F) -> F::Output {
    let outer = with_task(std::mem::take);
    let output = PARKER.with(|(parker, waker)| drive(future, parker, waker, meanwhile));
    with_task(|task| *task = outer);
    // The inner task may have taken a wake-up that was meant for the outer one; one more poll is
    // harmless.
    PARKER.with(|(parker, _)| parker.mark());
    output
}

fn drive<F: Future>(
    future: F,
    parker: &Parker,
    waker: &Waker,
    meanwhile: &impl Meanwhile,
) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(waker);
    let mut allowed = false;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        if std::mem::take(&mut allowed) {
            // It was for this poll, in which there was nothing else to do.
            with_task(|task| task.may_block = false);
        }
        if parker.was_woken() {
            continue;
        }
        allowed = allow_blocking(parker, waker);
        if !allowed {
            wait(parker, meanwhile);
        }
    }
}

/// Lets the stream that asked for it block on its next poll; false if none asked.
fn allow_blocking(parker: &Parker, own: &Waker) -> bool {
    let Some(asked_by) = with_task(|task| task.wants_to_block.take()) else { return false };
    with_task(|task| task.may_block = true);
    if !asked_by.will_wake(own) {
        // Groups of futures (FuturesUnordered, h2) poll only the child that was woken.
        asked_by.wake();
        parker.unmark();
    }
    true
}

/// Waits for another thread, at most until the first deadline.
fn wait(parker: &Parker, meanwhile: &impl Meanwhile) {
    let until_ns = with_task(|task| task.park_until_ns.take());
    while !parker.was_woken() {
        if let Some(deadline) = until_ns
            && deadline <= clock::now_ns()
        {
            return expire(deadline);
        }
        meanwhile.wait(until_ns);
    }
}

/// What a stream may do now.
pub(super) enum BlockingTurn {
    /// Block, at most until this deadline.
    Block(Option<u64>),
    /// Return `Pending`: the driver will come back when nothing else can be done.
    Wait,
    /// Read what is there, without blocking.
    Look,
}

/// Asked by a stream before it reads.
pub(super) fn may_block(context: &mut Context<'_>) -> BlockingTurn {
    with_task(|task| {
        if task.looks {
            return BlockingTurn::Look;
        }
        if std::mem::take(&mut task.may_block) {
            return BlockingTurn::Block(task.deadline_ns);
        }
        match &task.wants_to_block {
            Some(waker) if waker.will_wake(context.waker()) => {}
            _ => task.wants_to_block = Some(context.waker().clone()),
        }
        BlockingTurn::Wait
    })
}

/// Something new is done: whoever asked to block before, or was allowed to, did so for what is
/// over. A stream that blocked now would wait for the answer to a request that has not been
/// written.
pub(super) fn begin() {
    with_task(|task| {
        task.wants_to_block = None;
        task.may_block = false;
    });
}

/// Polls with streams that read what is there and do not block.
pub(super) fn look<T>(poll: impl FnOnce() -> T) -> T {
    with_task(|task| task.looks = true);
    let seen = poll();
    with_task(|task| task.looks = false);
    seen
}

/// The innermost deadline, for calls that are made at once.
pub(super) fn deadline() -> Option<u64> {
    with_task(|task| task.deadline_ns)
}

/// Told by a stream or a sleep that had to stop at the deadline; it then returns `Pending`, and the
/// time-out ends it.
pub(super) fn expire(deadline_ns: u64) {
    with_task(|task| task.expired_ns = Some(deadline_ns));
}

/// Sleeps this thread, at most until the deadline.
pub async fn sleep(time: Duration) {
    let mut slept = false;
    poll_fn(|_| {
        if slept {
            return Poll::Pending;
        }
        slept = true;
        let until = clock::now_ns().saturating_add(time.as_nanos() as u64);
        match deadline() {
            Some(deadline) if deadline < until => {
                clock::sleep_until(deadline);
                expire(deadline);
                Poll::Pending
            }
            _ => {
                std::thread::sleep(time);
                Poll::Ready(())
            }
        }
    })
    .await;
}

/// Ends `future` at the deadline: the blocking call that is under way then returns, and the future
/// is dropped.
pub async fn timeout<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let own = clock::now_ns().saturating_add(limit.as_nanos() as u64);
    let mut future = pin!(future);
    poll_fn(|context| {
        let outer = with_task(|task| {
            let inner = task.deadline_ns.map_or(own, |outer| outer.min(own));
            task.deadline_ns.replace(inner)
        });
        let polled = future.as_mut().poll(context);
        let expired = with_task(|task| {
            task.deadline_ns = outer;
            if polled.is_pending() {
                task.park_until_ns = Some(task.park_until_ns.map_or(own, |first| first.min(own)));
            }
            task.expired_ns.take_if(|at| *at == own).is_some()
        });
        match polled {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending if expired => Poll::Ready(Err(Elapsed)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[test]
    fn a_time_out_ends_what_waits_for_another_thread() {
        let (short, long) = (Duration::from_millis(2), Duration::from_hours(1));
        let inner = block_on(timeout(long, timeout(short, pending::<()>())));
        assert_eq!(inner, Ok(Err(Elapsed)));
        let outer = block_on(timeout(short, timeout(long, pending::<()>())));
        assert_eq!(outer, Err(Elapsed));
    }
}
