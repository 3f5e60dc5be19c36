//! Ending what was given up: a call that has timed out leaves a statement that the server goes on
//! with.
//!
//! A thread of the harness, off the executor's CPUs, asks the server to cancel each such statement,
//! over a connection of its own, and closes the session. The call's place, in a pool or in its
//! slot, is given back when the server says that the session has gone, so that `max` bounds what
//! the server has and not only what is known here. Nothing of it happens in calls that end by
//! themselves: the thread begins with the first that does not.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use super::{
    admin::Admin,
    session::{GivenUpSession, SessionId},
};
use crate::{client::Fault, clock, measure};

/// How often the server is asked again.
const ROUND: Duration = Duration::from_millis(5);
/// In every so many of these rounds it is asked to cancel once more: one that had not begun with
/// the statement had nothing to cancel.
const REPEAT: u32 = 10;
/// How long a session may take to end: longer than any statement that can be cancelled.
const PATIENCE_NS: u64 = 30_000_000_000;

/// Who ends the sessions that were given up.
#[derive(Default)]
pub struct Undertaker {
    queue: Mutex<Option<Sender<GivenUpSession>>>,
    counts: Arc<BurialCounts>,
    /// Where the harness has its own threads.
    cpus: Vec<usize>,
}

#[derive(Default)]
struct BurialCounts {
    given_up: AtomicU64,
    ended: AtomicU64,
    /// What could not be ended, in words.
    fault: Mutex<Option<String>>,
}

impl std::fmt::Debug for Undertaker {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{} of {} ended",
            self.counts.ended.load(SeqCst),
            self.counts.given_up.load(SeqCst)
        )
    }
}

impl Undertaker {
    /// One that works on these CPUs; none: anywhere.
    pub fn new(cpus: &[usize]) -> Self {
        Self { cpus: cpus.to_vec(), ..Self::default() }
    }

    /// Takes a session over. `admin` opens a connection to the server, unless that has gone.
    pub fn take<A>(&self, given_up: GivenUpSession, admin: impl FnOnce() -> A)
    where
        A: Fn() -> Option<Box<dyn Admin>> + Send + 'static,
    {
        self.counts.given_up.fetch_add(1, SeqCst);
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = queue.get_or_insert_with(|| self.start(admin()));
        // It ends with the last sender only; without a thread the session is closed here, and the
        // proof sees the rest.
        let _ = sender.send(given_up);
    }

    fn start(
        &self,
        open: impl Fn() -> Option<Box<dyn Admin>> + Send + 'static,
    ) -> Sender<GivenUpSession> {
        let (sender, receiver) = channel();
        let (counts, cpus) = (self.counts.clone(), self.cpus.clone());
        let work = move || {
            pin(&cpus);
            measure::note_helper();
            attend(&receiver, &open, &counts);
        };
        // Without a thread the sessions are dropped with the receiver.
        let _ = thread::Builder::new().name("regatta-undertaker".into()).spawn(work);
        sender
    }

    /// Waits until everything that was given up has ended.
    pub(super) fn settle(&self) -> Result<(), String> {
        let until_ns = clock::now_ns() + PATIENCE_NS;
        while self.counts.ended.load(SeqCst) < self.counts.given_up.load(SeqCst) {
            if clock::now_ns() > until_ns {
                return Err("a statement that was given up still runs".into());
            }
            clock::sleep_until(clock::now_ns() + ROUND.as_nanos() as u64);
        }
        self.counts.fault.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }

    /// How many statements were cancelled; nothing where there were none.
    pub(super) fn counts(&self) -> BTreeMap<String, u64> {
        let ended = self.counts.ended.load(SeqCst);
        (ended > 0).then(|| ("statements cancelled".to_owned(), ended)).into_iter().collect()
    }
}

/// Puts this thread where those of the harness are; it works from wherever it is where that cannot
/// be.
fn pin(cpus: &[usize]) {
    let mut set = rustix::thread::CpuSet::new();
    for cpu in cpus {
        set.set(*cpu);
    }
    if !cpus.is_empty() {
        let _ = rustix::thread::sched_setaffinity(None, &set);
    }
}

/// A session that is being ended.
struct Grave {
    given_up: Option<GivenUpSession>,
    session: SessionId,
    place: Option<Box<dyn Send>>,
    rounds: u32,
    until_ns: u64,
}

impl Grave {
    fn new(given_up: GivenUpSession) -> Self {
        let (session, until_ns) = (given_up.session.clone(), clock::now_ns() + PATIENCE_NS);
        Self { given_up: Some(given_up), session, place: None, rounds: 0, until_ns }
    }

    /// Whether the session has ended. A pooler knows it by its connection, which is closed after
    /// the first request.
    fn is_over(&mut self, admin: &mut dyn Admin) -> Result<bool, Fault> {
        if self.rounds.is_multiple_of(REPEAT) {
            admin.cancel(&self.session)?;
        }
        self.rounds += 1;
        if let Some(GivenUpSession { connection, place, .. }) = self.given_up.take() {
            drop(connection);
            self.place = Some(place);
        }
        Ok(!admin.is_there(&self.session)?)
    }
}

/// Ends whatever comes until nobody can send any more.
fn attend(
    receiver: &Receiver<GivenUpSession>,
    open: &impl Fn() -> Option<Box<dyn Admin>>,
    counts: &BurialCounts,
) {
    let (mut graves, mut admin): (Vec<Grave>, Option<Box<dyn Admin>>) = (Vec::new(), None);
    loop {
        match next(receiver, graves.is_empty()) {
            Ok(given_up) => graves.push(Grave::new(given_up)),
            Err(RecvTimeoutError::Disconnected) if graves.is_empty() => return,
            Err(_) => {}
        }
        graves.extend(receiver.try_iter().map(Grave::new));
        if admin.is_none() {
            admin = open();
        }
        let kept = graves.drain(..).filter_map(|grave| kept(grave, &mut admin, counts));
        graves = kept.collect();
    }
}

/// The next session; while others are being ended it is not waited for long.
fn next(
    receiver: &Receiver<GivenUpSession>,
    is_idle: bool,
) -> Result<GivenUpSession, RecvTimeoutError> {
    if is_idle {
        receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
    } else {
        receiver.recv_timeout(ROUND)
    }
}

/// The grave, unless its session has ended or is waited for no longer.
fn kept(
    mut grave: Grave,
    admin: &mut Option<Box<dyn Admin>>,
    counts: &BurialCounts,
) -> Option<Grave> {
    let asked = admin.as_mut().map(|admin| grave.is_over(admin.as_mut()));
    if let Some(Ok(true)) = asked {
        drop(grave);
        counts.ended.fetch_add(1, SeqCst);
        return None;
    }
    if let Some(Err(_)) = asked {
        // Its connection is opened again.
        *admin = None;
    }
    if clock::now_ns() < grave.until_ns {
        return Some(grave);
    }
    let why = match asked {
        Some(Err(fault)) => fault.to_string(),
        Some(Ok(_)) => "the server goes on with it".into(),
        None => "the server cannot be reached".into(),
    };
    let words = format!("a statement that was given up could not be ended: {why}");
    counts.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(words);
    drop(grave);
    counts.ended.fetch_add(1, SeqCst);
    None
}
