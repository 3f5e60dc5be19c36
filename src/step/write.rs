//! `write`: runs a task while it holds a shared read-write lock as a writer.

use std::sync::Arc;

use super::holding::{Hold, Holding};
use crate::{
    runtime::Coordination,
    shared::{RwLockOf, RwLockWriter, WriteHold},
};

/// A task that writes.
pub type Write = Holding<ByWriting>;

/// By being in a read-write lock alone.
#[derive(Debug, Clone)]
pub struct ByWriting;

impl Hold for ByWriting {
    const KEY: &'static str = "write";
    const DOC: &'static str =
        "Waits until nobody is in a shared read-write lock, and runs a task in there alone.";
    const PROOF: &'static str = "a writer meets nobody, by a word beside the lock, and two counters say as many as were \
         inside";
    const OBJECT: &'static str = "rwlock";
    const OBJECT_DOC: &'static str = "The read-write lock that is held.";
    type Object<N: Coordination> = RwLockOf<N>;
    type Door<N: Coordination> = RwLockWriter<N>;
    type Held<'a, N: Coordination> = WriteHold<'a, N>;

    fn door<N: Coordination>(object: &Arc<RwLockOf<N>>) -> RwLockWriter<N> {
        object.writer()
    }

    async fn enter<N: Coordination>(door: &RwLockWriter<N>) -> WriteHold<'_, N> {
        door.write().await
    }

    fn ends<N: Coordination>(held: &mut WriteHold<'_, N>) {
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

    const WRITE: &str = "{ write = { rwlock = 'd', task = 'inside' } }";
    const READ: &str = "{ read = { rwlock = 'd', task = 'short' } }";

    #[test]
    fn one_writer_is_in_at_a_time_under_every_executor() {
        let rig = Rig::new(&[WRITE])
            .task("inside", &["{ yield = {} }", "{ noop = {} }"])
            .shared("d", "{ rwlock = {} }")
            .slots(4);
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 100);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            assert!(ran.tallies.iter().all(|tally| tally.ended == 400), "{}", executor.name);
        }
    }

    /// Writers that are given up, in there and while they wait; each time the readers go on that
    /// they kept out.
    #[test]
    fn who_is_given_up_keeps_no_reader_out() {
        let either = "{ choice = { of = [{ task = 'change' }, { task = 'look' }] } }";
        let rig = Rig::new(&[either])
            .task("change", &[WRITE])
            .limited(Duration::from_millis(2), OnTimeout::Ignore)
            .task("look", &[READ])
            .task("inside", &["{ noop = {} }", "{ sleep = { time = '1m' } }"])
            .task("short", &["{ sleep = { time = '1ms' } }"])
            .shared("d", "{ rwlock = {} }")
            .slots(4);
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 10);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            let [_, write, read, before, sleep, _] = ran.tallies[..] else { panic!("six steps") };
            assert_eq!((write.ended, write.cancelled + read.ended), (0, 40), "{}", executor.name);
            assert_eq!(before.ended, sleep.cancelled, "{}", executor.name);
        }
    }
}
