//! `lock`: runs a task while it holds a shared mutex.

use std::sync::Arc;

use super::holding::{Hold, Holding};
use crate::{
    runtime::Coordination,
    shared::{MutexHold, MutexOf},
};

/// A task under a mutex.
pub type Lock = Holding<ByMutex>;

/// By holding a mutex.
#[derive(Debug, Clone)]
pub struct ByMutex;

impl Hold for ByMutex {
    const KEY: &'static str = "lock";
    const DOC: &'static str = "Waits for a shared mutex, and runs a task while it holds it.";
    const PROOF: &'static str = "a counter that each raises in two steps and without another lock says as many as were \
         inside";
    const OBJECT: &'static str = "mutex";
    const OBJECT_DOC: &'static str = "The mutex that is held.";
    type Object<N: Coordination> = MutexOf<N>;
    type Door<N: Coordination> = Arc<MutexOf<N>>;
    type Held<'a, N: Coordination> = MutexHold<'a, N>;

    fn door<N: Coordination>(object: &Arc<MutexOf<N>>) -> Arc<MutexOf<N>> {
        object.clone()
    }

    async fn enter<N: Coordination>(door: &Arc<MutexOf<N>>) -> MutexHold<'_, N> {
        door.lock().await
    }

    fn ends<N: Coordination>(held: &mut MutexHold<'_, N>) {
        held.ends();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        runtime::EXECUTORS,
        step::{OnTimeout, testing::Rig},
    };

    const LOCK: &str = "{ lock = { mutex = 'm', task = 'inside' } }";
    const SOON: Duration = Duration::from_millis(2);

    fn rig(inside: &[&str]) -> Rig {
        Rig::new(&[LOCK]).task("inside", inside).shared("m", "{ mutex = {} }").slots(4)
    }

    #[test]
    fn one_is_in_at_a_time_under_every_executor() {
        for executor in EXECUTORS {
            let ran = rig(&["{ yield = {} }", "{ noop = {} }"]).run(executor.name, 100);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            assert!(ran.tallies.iter().all(|tally| tally.ended == 400), "{}", executor.name);
        }
    }

    /// Nobody gets to the end: whoever is in is given up there, and all others while they wait or
    /// when they are in.
    #[test]
    fn who_is_given_up_lets_go_and_what_it_did_inside_is_accounted_for() {
        for executor in EXECUTORS {
            let rig = Rig::new(&[LOCK])
                .limited(SOON, OnTimeout::Ignore)
                .task("inside", &["{ noop = {} }", "{ sleep = { time = '1m' } }", "{ noop = {} }"])
                .shared("m", "{ mutex = {} }")
                .slots(4);
            let ran = rig.run(executor.name, 5);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            let [lock, before, sleep, after] = ran.tallies[..] else { panic!("four steps") };
            assert_eq!(
                (lock.ended, lock.cancelled, after.started),
                (0, 20, 0),
                "{}",
                executor.name
            );
            // Some were in, each of them stopped in its sleep, and the task says so.
            let inside = sleep.cancelled;
            assert!(inside > 0 && before.ended == inside && sleep.stopped == inside, "{lock:?}");
        }
    }

    #[test]
    fn a_task_inside_that_is_skipped_counts_as_one_that_was_in() {
        let rig = Rig::new(&[LOCK, "{ noop = {} }"])
            .task("inside", &["{ sleep = { time = '1m' } }"])
            .limited(SOON, OnTimeout::Skip)
            .shared("m", "{ mutex = {} }");
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 3);
            assert_eq!(ran.unproven, [""; 0], "{}", executor.name);
            assert_eq!((ran.tallies[0].ended, ran.tallies[1].started), (3, 0), "{}", executor.name);
        }
    }
}
