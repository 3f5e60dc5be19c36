//! A discrete-event executor: one thread, a first-in-first-out queue of tasks that can run, and
//! timers in virtual time. Code costs no time; the clock moves to the next timer when nothing can
//! run.
//!
//! All state belongs to the thread. So a `Simulated` is only a name for it, and tasks that are
//! woken from another thread are lost, which is then reported as a deadlock.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap, VecDeque},
    future::Future,
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
};

use super::SimulatedNative;
use crate::{
    clock::{self, Virtual},
    runtime::{ExecutorInfo, Facts, Runtime, Setup, Style},
};

/// More polls than this at one instant are a task that will never let time pass.
const MOST_POLLS_AT_ONCE: u64 = 100_000;

type Body = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Task {
    /// None while it is being polled, and for the future of `block_on`.
    future: Option<Body>,
    waker: Waker,
    queued: bool,
}

/// The state of one simulation.
struct World {
    /// Uninstalled with the simulation.
    _clock: Virtual,
    ready: VecDeque<u64>,
    tasks: HashMap<u64, Task>,
    /// By time and then by the order in which they were set.
    timers: BTreeMap<(u64, u64), Waker>,
    /// Numbers of tasks and timers.
    next: u64,
    polls_at_once: u64,
}

thread_local! {
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// The executor of this thread's simulation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Simulated;

/// Runs `work` in a simulation of its own, which starts at 0 of virtual time and ends also where
/// `work` panics.
pub(super) fn simulate<T>(work: impl FnOnce(&Simulated) -> T) -> T {
    struct Ending(Simulated);
    impl Drop for Ending {
        fn drop(&mut self) {
            self.0.stop();
        }
    }
    let setup = Setup { workers: 1, pool_size: 1, stack_size: None };
    let ending =
        Ending(Simulated::start(&setup).expect("a simulation needs nothing of the system"));
    work(&ending.0)
}

impl World {
    fn new() -> Self {
        Self {
            _clock: Virtual::install(),
            ready: VecDeque::new(),
            tasks: HashMap::new(),
            timers: BTreeMap::new(),
            next: 0,
            polls_at_once: 0,
        }
    }

    /// Does something with the world of this thread. Futures must not be polled, woken or dropped
    /// in it.
    fn with<T>(work: impl FnOnce(&mut Self) -> T) -> T {
        Self::try_with(work).expect("this thread simulates")
    }

    fn try_with<T>(work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        WORLD.try_with(|world| world.borrow_mut().as_mut().map(work)).ok().flatten()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Adds a task that can run.
    fn add(&mut self, future: Option<Body>) -> u64 {
        let id = self.number();
        self.tasks
            .insert(id, Task { future, waker: Waker::from(Arc::new(Wakeup(id))), queued: false });
        self.make_ready(id);
        id
    }

    fn make_ready(&mut self, id: u64) {
        if let Some(task) = self.tasks.get_mut(&id).filter(|task| !task.queued) {
            task.queued = true;
            self.ready.push_back(id);
        }
    }

    /// The next task that can run, with its future. Tasks that were given up are passed over.
    fn next_ready(&mut self) -> Option<(u64, Option<Body>, Waker)> {
        while let Some(id) = self.ready.pop_front() {
            if let Some(task) = self.tasks.get_mut(&id) {
                task.queued = false;
                self.polls_at_once += 1;
                assert!(
                    self.polls_at_once <= MOST_POLLS_AT_ONCE,
                    "the simulation stands still at {} ns: a task yields for ever without letting time pass",
                    clock::now_ns()
                );
                return Some((id, task.future.take(), task.waker.clone()));
            }
        }
        None
    }

    /// Moves the clock to the first timer, and gives back all that it is time for.
    fn pass_time(&mut self) -> Vec<Waker> {
        let Some((&(at_ns, _), _)) = self.timers.first_key_value() else {
            panic!(
                "the simulation is deadlocked at {} ns: {} tasks wait and no timer is set",
                clock::now_ns(),
                self.tasks.len()
            );
        };
        Virtual::advance_to(at_ns);
        self.polls_at_once = 0;
        let later = self.timers.split_off(&(clock::now_ns() + 1, 0));
        std::mem::replace(&mut self.timers, later).into_values().collect()
    }
}

/// Wakes a task.
struct Wakeup(u64);

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        World::try_with(|world| world.make_ready(self.0));
    }
}

/// Polls one task.
fn poll_task(id: u64, mut future: Body, waker: &Waker) {
    let poll = future.as_mut().poll(&mut Context::from_waker(waker));
    let over = World::with(|world| match world.tasks.get_mut(&id) {
        Some(task) if poll.is_pending() => {
            task.future = Some(future);
            None
        }
        _ => Some((world.tasks.remove(&id), future)),
    });
    // What a future holds may look at the world when it is dropped.
    drop(over);
}

/// What a task and its handle share.
enum Finish<T> {
    Pending(Option<Waker>),
    Ready(Option<T>),
}

/// A task's handle. Dropping it gives the task up.
pub(super) struct Joining<T> {
    id: u64,
    finish: Arc<Mutex<Finish<T>>>,
}

impl<T> Future for Joining<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match &mut *self.finish.lock().expect("not poisoned") {
            Finish::Ready(output) => Poll::Ready(output.take().expect("polled after completion")),
            Finish::Pending(waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Joining<T> {
    fn drop(&mut self) {
        let given_up = World::try_with(|world| world.tasks.remove(&self.id));
        drop(given_up);
    }
}

impl Runtime for Simulated {
    const INFO: ExecutorInfo = ExecutorInfo {
        name: "simulated",
        doc: "One thread in virtual time.",
        style: Style::OneWorker,
    };

    type Native = SimulatedNative;
    type Join<T: Send + 'static> = Joining<T>;

    fn start(_: &Setup) -> io::Result<Self> {
        let world = World::new();
        WORLD.set(Some(world));
        Ok(Self)
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let root = World::with(|world| world.add(None));
        loop {
            match World::with(World::next_ready) {
                None => World::with(World::pass_time).into_iter().for_each(Waker::wake),
                Some((id, Some(task), waker)) => poll_task(id, task, &waker),
                Some((id, None, waker)) => {
                    assert_eq!(id, root, "`block_on` inside of `block_on`");
                    if let Poll::Ready(output) =
                        future.as_mut().poll(&mut Context::from_waker(&waker))
                    {
                        World::with(|world| world.tasks.remove(&root));
                        return output;
                    }
                }
            }
        }
    }

    fn spawn<F>(&self, future: F) -> io::Result<Joining<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let finish = Arc::new(Mutex::new(Finish::Pending(None)));
        let end = finish.clone();
        let task = async move {
            let output = future.await;
            let before = std::mem::replace(
                &mut *end.lock().expect("not poisoned"),
                Finish::Ready(Some(output)),
            );
            if let Finish::Pending(Some(waiting)) = before {
                waiting.wake();
            }
        };
        Ok(Joining { id: World::with(|world| world.add(Some(Box::pin(task)))), finish })
    }

    fn spawn_detached<F>(&self, future: F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        World::with(|world| world.add(Some(Box::pin(future))));
        Ok(())
    }

    fn facts(&self) -> Facts {
        Facts::from([("threads for tasks".into(), "one, in virtual time".into())])
    }

    fn stop(self) {
        // The tasks that are left may look at the world when they are dropped: it is emptied before
        // it goes.
        let left = World::try_with(|world| {
            (std::mem::take(&mut world.tasks), std::mem::take(&mut world.timers))
        });
        drop(left);
        drop(WORLD.take());
    }
}

/// Sets a timer; gives back what to call it by.
pub(super) fn set_timer(at_ns: u64, waker: Waker) -> (u64, u64) {
    World::with(|world| {
        let timer = (at_ns, world.number());
        world.timers.insert(timer, waker);
        timer
    })
}

/// Unsets a timer, where it is still set.
pub(super) fn unset_timer(timer: (u64, u64)) {
    let waker = World::try_with(|world| world.timers.remove(&timer));
    drop(waker);
}

#[cfg(test)]
mod tests {
    use std::{panic, sync::atomic::AtomicU64, sync::atomic::Ordering::Relaxed, time::Duration};

    use super::*;
    use crate::runtime::{Elapsed, NativeTimers as _, NativeWork as _};

    const MS: u64 = 1_000_000;

    async fn sleep_ms(ms: u64) {
        SimulatedNative::sleep(Duration::from_millis(ms)).await;
    }

    /// The message with which a simulation ends.
    fn panic_of(work: impl FnOnce(&Simulated) + panic::UnwindSafe) -> String {
        let panic = panic::catch_unwind(|| simulate(work)).expect_err("panics");
        panic.downcast_ref::<String>().cloned().expect("a formatted message")
    }

    #[test]
    fn timers_fire_in_order_and_move_the_clock() {
        simulate(|runtime| {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let joins: Vec<_> = [30, 10, 20, 10, 0]
                .into_iter()
                .enumerate()
                .map(|(number, ms)| {
                    let seen = seen.clone();
                    let task = async move {
                        sleep_ms(ms).await;
                        seen.lock().expect("not poisoned").push((number, clock::now_ns() / MS));
                    };
                    runtime.spawn(task).expect("spawns")
                })
                .collect();
            runtime.block_on(async {
                for join in joins {
                    join.await;
                }
            });
            assert_eq!(
                *seen.lock().expect("not poisoned"),
                [(4, 0), (1, 10), (3, 10), (2, 20), (0, 30)]
            );
            assert_eq!(clock::now_ns(), 30 * MS);
        });
        assert_ne!(clock::now_ns(), 30 * MS, "the clock is real again");
    }

    #[test]
    fn joins_hand_over_what_tasks_return_and_tasks_take_turns() {
        simulate(|runtime| {
            let turns = Arc::new(Mutex::new(String::new()));
            let task = |name: char| {
                let turns = turns.clone();
                let task = async move {
                    for _ in 0..3 {
                        turns.lock().expect("not poisoned").push(name);
                        SimulatedNative::yield_now().await;
                    }
                    name
                };
                runtime.spawn(task).expect("spawns")
            };
            let (a, b) = (task('a'), task('b'));
            assert_eq!(runtime.block_on(async { (b.await, a.await) }), ('b', 'a'));
            assert_eq!(*turns.lock().expect("not poisoned"), "ababab");
            assert_eq!(clock::now_ns(), 0);
        });
    }

    #[test]
    fn a_task_whose_handle_is_dropped_is_given_up_with_its_timer() {
        simulate(|runtime| {
            let ran = Arc::new(AtomicU64::new(0));
            let task = {
                let ran = ran.clone();
                async move {
                    ran.fetch_add(1, Relaxed);
                    sleep_ms(100).await;
                    ran.fetch_add(1, Relaxed);
                }
            };
            let join = runtime.spawn(task).expect("spawns");
            runtime.block_on(async move {
                sleep_ms(1).await;
                drop(join);
                sleep_ms(200).await;
            });
            assert_eq!((ran.load(Relaxed), Arc::strong_count(&ran)), (1, 1));
            assert_eq!(clock::now_ns(), 201 * MS);
        });
    }

    #[test]
    fn time_outs_end_what_is_late_and_leave_no_timer() {
        simulate(|runtime| {
            runtime.block_on(async {
                let limit = Duration::from_millis(10);
                assert_eq!(SimulatedNative::timeout(limit, sleep_ms(5)).await, Ok(()));
                assert_eq!(clock::now_ns(), 5 * MS);
                assert_eq!(SimulatedNative::timeout(limit, sleep_ms(50)).await, Err(Elapsed));
                assert_eq!(clock::now_ns(), 15 * MS);
            });
            assert_eq!(World::with(|world| (world.timers.len(), world.tasks.len())), (0, 0));
        });
    }

    #[test]
    fn a_deadlock_is_a_panic() {
        let message = panic_of(|runtime| {
            runtime.block_on(async {
                sleep_ms(2).await;
                std::future::pending::<()>().await;
            });
        });
        assert_eq!(
            message,
            "the simulation is deadlocked at 2000000 ns: 1 tasks wait and no timer is set"
        );
        simulate(|runtime| assert_eq!(runtime.block_on(async { 7 }), 7));
    }

    #[test]
    fn a_task_that_yields_for_ever_is_a_panic() {
        let message = panic_of(|runtime| {
            runtime.block_on(async {
                loop {
                    SimulatedNative::yield_now().await;
                }
            });
        });
        assert!(message.starts_with("the simulation stands still at 0 ns"), "{message}");
    }

    #[test]
    fn a_panic_of_a_task_is_one_of_the_simulation() {
        let message = panic_of(|runtime| {
            let join =
                runtime.spawn(async { panic!("task {}", clock::now_ns() + 7) }).expect("spawns");
            runtime.block_on(join);
        });
        assert_eq!(message, "task 7");
    }
}
