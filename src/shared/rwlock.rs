//! `rwlock`: lets readers in together, and a writer alone.
//!
//! Two things find out whoever is in beside a writer. A word in which all count themselves in and
//! out tells each one who comes in who is there already. And a pair of counters is written as code
//! does that is only right because nobody else is in: a writer adds to the first when it comes in,
//! and to the second when it goes out. Readers look at both, before and after. So two writers at
//! once lose a count, and readers beside a writer see the pair half written.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use serde::{Deserialize, Serialize};

use super::{
    cells::{OwnedCell, UserCells, bump},
    spec::{Made, ObjectLine, SharedAccount, SharedCalls, SharedCounts, SharedKind},
};
use crate::{
    config::Fields,
    runtime::{Coordination, RwLock as _},
};

/// A reader in the word of who is in.
const READER: u64 = 1;
/// A writer there.
const WRITER: u64 = 1 << 32;

/// A read-write lock.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SharedRwLock {}

impl SharedKind for SharedRwLock {
    const KEY: &'static str = "rwlock";
    const DOC: &'static str = "A read-write lock: lets readers in together, and a writer alone.";

    fn read(_: &mut Fields<'_>) -> Option<Self> {
        Some(Self {})
    }

    fn make<N: Coordination>(&self) -> Made {
        Made::new(RwLockOf::<N> {
            lock: N::RwLock::new(),
            inside: AtomicU64::new(0),
            most: AtomicU64::new(0),
            pair: [AtomicU64::new(0), AtomicU64::new(0)],
            reads: UserCells::default(),
            writes: UserCells::default(),
        })
    }

    fn facts<N: Coordination>(&self) -> [String; 2] {
        [N::RwLock::NAME, N::RwLock::TURNS].map(str::to_owned)
    }
}

/// A read-write lock, made of an executor's primitives.
pub struct RwLockOf<N: Coordination> {
    lock: N::RwLock,
    /// Who is in.
    inside: AtomicU64,
    /// The most readers who were in at once.
    most: AtomicU64,
    /// Read and written by plain loads and stores, under the lock alone.
    pair: [AtomicU64; 2],
    reads: UserCells<EntryCount>,
    writes: UserCells<EntryCount>,
}

/// What one user has done.
#[derive(Default)]
struct EntryCount {
    left: AtomicU64,
    /// Of those that left: because the task was given up.
    given_up: AtomicU64,
    /// Met somebody who must not be in at the same time.
    met: AtomicU64,
    /// Saw the pair half written, or another one when it left than when it came.
    torn: AtomicU64,
}

impl EntryCount {
    fn leave(&self, ended: bool) {
        bump(&self.given_up, u64::from(!ended));
        bump(&self.left, 1);
    }
}

impl<N: Coordination> RwLockOf<N> {
    /// For a step that reads.
    pub fn reader(self: &Arc<Self>) -> RwLockReader<N> {
        RwLockReader { count: self.reads.own(), lock: self.clone() }
    }

    /// For a step that writes.
    pub fn writer(self: &Arc<Self>) -> RwLockWriter<N> {
        RwLockWriter { count: self.writes.own(), lock: self.clone() }
    }

    fn pair(&self) -> [u64; 2] {
        [self.pair[0].load(Relaxed), self.pair[1].load(Relaxed)]
    }

    /// Counts a reader in; whether there is a writer.
    fn count_reader(&self) -> bool {
        let before = self.inside.fetch_add(READER, Relaxed);
        let readers = before % WRITER + 1;
        if readers > self.most.load(Relaxed) {
            self.most.fetch_max(readers, Relaxed);
        }
        before >= WRITER
    }
}

/// Goes in to read, as often as it likes.
pub struct RwLockReader<N: Coordination> {
    lock: Arc<RwLockOf<N>>,
    count: OwnedCell<EntryCount>,
}

impl<N: Coordination> RwLockReader<N> {
    /// Waits until no writer is in or waits, and goes in.
    pub async fn read(&self) -> ReadHold<'_, N> {
        let guard = self.lock.lock.read().await;
        bump(&self.count.met, u64::from(self.lock.count_reader()));
        ReadHold { pair: self.lock.pair(), of: self, ended: false, _guard: guard }
    }
}

/// The right to be in beside other readers. Dropping it gives it back.
pub struct ReadHold<'a, N: Coordination> {
    /// As it was when this one came in.
    pair: [u64; 2],
    of: &'a RwLockReader<N>,
    ended: bool,
    /// Dropped last, after who goes has counted itself out.
    _guard: <N::RwLock as crate::runtime::RwLock>::Reading<'a>,
}

impl<N: Coordination> ReadHold<'_, N> {
    /// The task goes out by itself, and not because it is given up.
    pub fn ends(&mut self) {
        self.ended = true;
    }
}

impl<N: Coordination> Drop for ReadHold<'_, N> {
    fn drop(&mut self) {
        let RwLockReader { lock, count } = self.of;
        let torn = self.pair[0] != self.pair[1] || self.pair != lock.pair();
        bump(&count.torn, u64::from(torn));
        count.leave(self.ended);
        lock.inside.fetch_sub(READER, Relaxed);
    }
}

/// Goes in to write, as often as it likes.
pub struct RwLockWriter<N: Coordination> {
    lock: Arc<RwLockOf<N>>,
    count: OwnedCell<EntryCount>,
}

impl<N: Coordination> RwLockWriter<N> {
    /// Waits until nobody is in, and goes in.
    pub async fn write(&self) -> WriteHold<'_, N> {
        let guard = self.lock.lock.write().await;
        let before = self.lock.inside.fetch_add(WRITER, Relaxed);
        bump(&self.count.met, u64::from(before > 0));
        let pair = self.lock.pair();
        bump(&self.count.torn, u64::from(pair[0] != pair[1]));
        self.lock.pair[0].store(pair[0] + 1, Relaxed);
        WriteHold { writes: pair[1], of: self, ended: false, _guard: guard }
    }
}

/// The right to be in alone. Dropping it gives it back.
pub struct WriteHold<'a, N: Coordination> {
    /// The second counter when this one came in.
    writes: u64,
    of: &'a RwLockWriter<N>,
    ended: bool,
    /// Dropped last, after who goes has counted itself out.
    _guard: <N::RwLock as crate::runtime::RwLock>::Writing<'a>,
}

impl<N: Coordination> WriteHold<'_, N> {
    /// The task goes out by itself, and not because it is given up.
    pub fn ends(&mut self) {
        self.ended = true;
    }
}

impl<N: Coordination> Drop for WriteHold<'_, N> {
    fn drop(&mut self) {
        let RwLockWriter { lock, count } = self.of;
        lock.pair[1].store(self.writes + 1, Relaxed);
        count.leave(self.ended);
        lock.inside.fetch_sub(WRITER, Relaxed);
    }
}

impl<N: Coordination> SharedAccount for RwLockOf<N> {
    fn read(&self) -> Box<dyn SharedCounts> {
        let both = |counter: fn(&EntryCount) -> &AtomicU64| {
            [&self.reads, &self.writes].map(|cells| cells.sum(counter))
        };
        Box::new(Entries {
            left: both(|count| &count.left),
            given_up: both(|count| &count.given_up),
            met: both(|count| &count.met).iter().sum(),
            torn: both(|count| &count.torn).iter().sum(),
            pair: self.pair(),
            most: self.most.load(Relaxed),
        })
    }
}

/// Where there are two, of readers and of writers.
struct Entries {
    left: [u64; 2],
    given_up: [u64; 2],
    met: u64,
    torn: u64,
    pair: [u64; 2],
    most: u64,
}

impl SharedCounts for Entries {
    fn lines(&self, calls: &dyn Fn(&str) -> SharedCalls) -> Vec<ObjectLine> {
        let (of_reads, of_writes) = (calls("read"), calls("write"));
        let [reads_given_up, writes_given_up] = self.given_up;
        let most = ObjectLine {
            what: "most readers who were in at once",
            expected: (u64::from(self.left[0] > 0), of_reads.most + reads_given_up),
            found: self.most,
        };
        let written = |what, found| ObjectLine::of_calls(what, of_writes, writes_given_up, found);
        vec![
            ObjectLine::of_calls("readers who were in", of_reads, reads_given_up, self.left[0]),
            written("writers who were in", self.left[1]),
            written("counter that writers raise when they come in", self.pair[0]),
            written("counter that writers raise when they go out", self.pair[1]),
            ObjectLine::equal("who met somebody beside a writer", 0, self.met),
            ObjectLine::equal("who saw the counters half written", 0, self.torn),
            most,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Blocking, block_on};

    fn rwlock() -> Arc<RwLockOf<Blocking>> {
        SharedRwLock {}.make::<Blocking>().object.downcast().ok().unwrap()
    }

    /// What does not hold of a lock that so many reads and writes have ended with.
    fn wrong<N: Coordination>(lock: &RwLockOf<N>, reads: u64, writes: u64) -> Vec<&'static str> {
        let calls = |key: &str| {
            let ended = if key == "read" { reads } else { writes };
            SharedCalls { least: ended, most: ended, moves: false }
        };
        let lines = lock.read().lines(&calls);
        lines.iter().filter(|line| !line.holds()).map(|line| line.what).collect()
    }

    fn end_read(mut held: ReadHold<'_, Blocking>) {
        held.ends();
    }

    fn end_write(mut held: WriteHold<'_, Blocking>) {
        held.ends();
    }

    #[test]
    fn readers_and_writers_are_counted_also_those_who_are_given_up() {
        let lock = rwlock();
        let (one, other, writer) = (lock.reader(), lock.reader(), lock.writer());
        let (first, second) = (block_on(one.read()), block_on(other.read()));
        end_read(first);
        drop(second);
        end_write(block_on(writer.write()));
        drop(block_on(writer.write()));
        end_read(block_on(one.read()));
        assert_eq!(wrong(&lock, 2, 1), [""; 0]);
        assert_eq!(lock.most.load(Relaxed), 2);
        assert_eq!(wrong(&lock, 3, 1), ["readers who were in"]);
        assert_eq!(
            wrong(&lock, 2, 2),
            [
                "writers who were in",
                "counter that writers raise when they come in",
                "counter that writers raise when they go out"
            ]
        );
    }

    /// A lock that is open to all.
    struct Open;

    impl crate::runtime::RwLock for Open {
        const NAME: &'static str = "no lock at all";
        const TURNS: &'static str = "all at once";
        type Reading<'a> = ();
        type Writing<'a> = ();

        fn new() -> Self {
            Self
        }

        async fn read(&self) {}

        async fn write(&self) {}
    }

    impl Coordination for Open {
        type Semaphore = <Blocking as Coordination>::Semaphore;
        type Mutex = <Blocking as Coordination>::Mutex;
        type RwLock = Self;
        type Barrier = <Blocking as Coordination>::Barrier;
        type Event = <Blocking as Coordination>::Event;
        type Condition = <Blocking as Coordination>::Condition;
        type Channel = <Blocking as Coordination>::Channel;
    }

    fn open() -> Arc<RwLockOf<Open>> {
        SharedRwLock {}.make::<Open>().object.downcast().ok().unwrap()
    }

    #[test]
    fn a_reader_beside_a_writer_is_seen_whoever_came_first() {
        let both = ["who met somebody beside a writer", "who saw the counters half written"];
        let lock = open();
        let (reader, writer) = (lock.reader(), lock.writer());
        let mut reads = block_on(reader.read());
        let mut writes = block_on(writer.write());
        (reads.ended, writes.ended) = (true, true);
        drop(writes);
        drop(reads);
        assert_eq!(wrong(&lock, 1, 1), both);
        let lock = open();
        let (reader, writer) = (lock.reader(), lock.writer());
        let mut writes = block_on(writer.write());
        let mut reads = block_on(reader.read());
        (reads.ended, writes.ended) = (true, true);
        drop(reads);
        drop(writes);
        assert_eq!(wrong(&lock, 1, 1), both);
    }

    #[test]
    fn two_writers_at_once_are_seen_and_lose_a_count() {
        let lock = open();
        let (one, other) = (lock.writer(), lock.writer());
        let (mut first, mut second) = (block_on(one.write()), block_on(other.write()));
        (first.ended, second.ended) = (true, true);
        drop(first);
        drop(second);
        assert_eq!(
            wrong(&lock, 0, 2),
            [
                "counter that writers raise when they go out",
                "who met somebody beside a writer",
                "who saw the counters half written"
            ]
        );
    }
}
