//! `acquire`: runs a task while it holds a permit of a shared semaphore.

use std::sync::Arc;

use super::holding::{Hold, Holding};
use crate::{
    runtime::Coordination,
    shared::{Permit, SemaphoreOf, Sharer},
};

/// A task under a semaphore.
pub type Acquire = Holding<ByPermit>;

/// By holding a permit of a semaphore.
#[derive(Debug, Clone)]
pub struct ByPermit;

impl Hold for ByPermit {
    const KEY: &'static str = "acquire";
    const DOC: &'static str =
        "Waits for a permit of a shared semaphore, and runs a task while it holds it.";
    const PROOF: &'static str = "never more are inside than there are permits, by a word beside the semaphore, and all \
         permits come back";
    const OBJECT: &'static str = "semaphore";
    const OBJECT_DOC: &'static str = "The semaphore of which a permit is held.";
    type Object<N: Coordination> = SemaphoreOf<N>;
    type Door<N: Coordination> = Sharer<N>;
    type Held<'a, N: Coordination> = Permit<'a, N>;

    fn door<N: Coordination>(object: &Arc<SemaphoreOf<N>>) -> Sharer<N> {
        object.sharer()
    }

    async fn enter<N: Coordination>(door: &Sharer<N>) -> Permit<'_, N> {
        door.acquire().await
    }

    fn ends<N: Coordination>(held: &mut Permit<'_, N>) {
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

    const ACQUIRE: &str = "{ acquire = { semaphore = 's', task = 'inside' } }";

    #[test]
    fn so_many_are_in_at_once_under_every_executor() {
        let rig = Rig::new(&[ACQUIRE])
            .task("inside", &["{ yield = {} }"])
            .shared("s", "{ semaphore = { permits = 2 } }")
            .slots(4);
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 100);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            assert!(ran.tallies.iter().all(|tally| tally.ended == 400), "{}", executor.name);
        }
    }

    #[test]
    fn who_is_given_up_gives_its_permit_back() {
        let rig = Rig::new(&[ACQUIRE])
            .limited(Duration::from_millis(2), OnTimeout::Ignore)
            .task("inside", &["{ sleep = { time = '1m' } }"])
            .shared("s", "{ semaphore = { permits = 2 } }")
            .slots(4);
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 5);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            let [acquire, sleep] = ran.tallies[..] else { panic!("two steps") };
            assert_eq!((acquire.ended, acquire.cancelled), (0, 20), "{}", executor.name);
            assert!(sleep.cancelled > 0, "{}", executor.name);
        }
    }

    /// Children that are cancelled by a sibling, while they wait for a permit or have one.
    #[test]
    fn cancelled_siblings_give_theirs_back() {
        let either = "{ choice = { of = [{ task = 'through', weight = 3 }, { task = 'late' }] } }";
        let rig =
            Rig::new(&["{ parallel = { task = 'either', count = 8, errors = 'fail-fast' } }"])
                .task("either", &[either])
                .task("through", &[ACQUIRE])
                .task("late", &["{ sleep = { time = '1m' } }"])
                .limited(Duration::from_millis(1), OnTimeout::Skip)
                .task("inside", &["{ yield = {} }", "{ sleep = { time = '1ms' } }"])
                .shared("s", "{ semaphore = { permits = 2 } }");
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 20);
            assert_eq!(ran.unproven, [""; 0], "{}", executor.name);
        }
    }
}
