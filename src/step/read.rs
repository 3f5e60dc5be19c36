//! `read`: runs a task while it holds a shared read-write lock as a reader.

use std::sync::Arc;

use super::holding::{Hold, Holding};
use crate::{
    runtime::Coordination,
    shared::{ReadHold, RwLockOf, RwLockReader},
};

/// A task that reads.
pub type Read = Holding<ByReading>;

/// By being in a read-write lock beside other readers.
#[derive(Debug, Clone)]
pub struct ByReading;

impl Hold for ByReading {
    const KEY: &'static str = "read";
    const DOC: &'static str = "Waits until no writer is in a shared read-write lock or waits for it, and runs a task in there beside other readers.";
    const PROOF: &'static str = "a reader meets no writer, by a word beside the lock, and sees a pair of counters never \
         half written";
    const OBJECT: &'static str = "rwlock";
    const OBJECT_DOC: &'static str = "The read-write lock that is held.";
    type Object<N: Coordination> = RwLockOf<N>;
    type Door<N: Coordination> = RwLockReader<N>;
    type Held<'a, N: Coordination> = ReadHold<'a, N>;

    fn door<N: Coordination>(object: &Arc<RwLockOf<N>>) -> RwLockReader<N> {
        object.reader()
    }

    async fn enter<N: Coordination>(door: &RwLockReader<N>) -> ReadHold<'_, N> {
        door.read().await
    }

    fn ends<N: Coordination>(held: &mut ReadHold<'_, N>) {
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

    const READ: &str = "{ read = { rwlock = 'd', task = 'inside' } }";

    #[test]
    fn readers_beside_readers_see_no_writer_under_any_executor() {
        let write = "{ write = { rwlock = 'd', task = 'inside' } }";
        let either = "{ choice = { of = [{ task = 'look', weight = 4 }, { task = 'change' }] } }";
        let rig = Rig::new(&[either])
            .task("look", &[READ])
            .task("change", &[write])
            .task("inside", &["{ yield = {} }"])
            .shared("d", "{ rwlock = {} }")
            .slots(4);
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 100);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            let [_, read, write, inside] = ran.tallies[..] else { panic!("four steps") };
            assert_eq!(read.ended + write.ended, 400, "{}", executor.name);
            assert!(read.ended > write.ended && write.ended > 0 && inside.ended == 400);
        }
    }

    /// Who is given up in there or before it keeps nobody out.
    #[test]
    fn who_is_given_up_lets_go() {
        let rig = Rig::new(&[READ])
            .limited(Duration::from_millis(2), OnTimeout::Ignore)
            .step(
                crate::step::testing::read_step("{ read = { rwlock = 'd', task = 'short' } }")
                    .unwrap(),
            )
            .task("inside", &["{ sleep = { time = '1m' } }"])
            .task("short", &["{ yield = {} }"])
            .shared("d", "{ rwlock = {} }")
            .slots(4);
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 5);
            assert_eq!((ran.wrong(), ran.unproven), (None, vec![]), "{}", executor.name);
            let [read, again, sleep, _] = ran.tallies[..] else { panic!("four steps") };
            let counts = (read.ended, read.cancelled, again.ended);
            assert_eq!(counts, (0, 20, 20), "{}", executor.name);
            assert_eq!(sleep.cancelled, 20, "all of them were in: {}", executor.name);
        }
    }
}
