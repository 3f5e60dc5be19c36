//! What a slot is doing, as seen from outside, and who settles its task in the end: the slot, or a
//! load that gives up.
//!
//! ```text
//!           begin               settles: the load has not given up             done
//!   Idle ───────────▶ Running ─────────────────────────────────▶ Settling ─────────────▶ Idle
//!                        │
//!                        │ settles: the load has given up
//!                        ▼
//!                       Left: the task is the load's, which counts it as censored
//! ```
//!
//! The slot goes from state to state by plain stores, for it does so with every task. Only one side
//! may settle a task, so one side has to see what the other has stored just before: the slot says
//! that it settles and then looks whether the load has given up, and the load says that it gives up
//! and then looks what the slot is doing. That takes a full barrier on both sides. The load, which
//! does it once, has the kernel put the slot's there (`membarrier`), so that a task pays for none;
//! where the kernel cannot, the slot has its own. After that the account is closed: a slot that was
//! seen settling has settled, one that was seen idle has nothing to settle, and any other that
//! comes to settle sees that it is too late.

use std::sync::{
    OnceLock,
    atomic::{
        AtomicBool, AtomicU64,
        Ordering::{Acquire, Relaxed, Release, SeqCst},
        compiler_fence, fence,
    },
};

use rustix::thread::{MembarrierCommand, membarrier, membarrier_query};

/// Whether the kernel puts barriers where the slots have none.
fn has_membarrier() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        membarrier_query().contains_command(MembarrierCommand::PrivateExpedited)
            && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
    })
}

/// Whether a load has given up what is in flight.
#[derive(Debug)]
pub(super) struct GiveUpSignal {
    said: AtomicBool,
    /// Whether slots have a barrier of their own with each task.
    fenced: bool,
}

impl Default for GiveUpSignal {
    fn default() -> Self {
        Self { said: AtomicBool::new(false), fenced: !has_membarrier() }
    }
}

impl GiveUpSignal {
    /// From now on no slot settles its task, unless it is doing so. Then [`SlotLog::look`] says
    /// what each slot has left.
    pub(super) fn say(&self) {
        self.said.store(true, SeqCst);
        fence(SeqCst);
        // It was registered for, so that it cannot fail.
        let _ = self.fenced || membarrier(MembarrierCommand::PrivateExpedited).is_ok();
    }

    /// Whether it was said.
    #[inline]
    pub(super) fn is_said(&self) -> bool {
        self.said.load(Relaxed)
    }
}

const IDLE: u64 = 0;
const RUNNING: u64 = 1;
const SETTLING: u64 = 2;
const LEFT: u64 = 3;

/// Written by whoever holds the slot, read by the load.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct SlotLog {
    state: AtomicU64,
    /// Which of the lane's clients the task is of, by its place.
    client: AtomicU64,
    /// When the task started, in ns.
    actual_ns: AtomicU64,
    account: SlotAccount<AtomicU64>,
    /// How often the lane was polled.
    pub(super) polls: AtomicU64,
}

/// What a slot has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SlotAccount<N = u64> {
    /// Tasks that ended by themselves.
    pub(super) ended: N,
    /// Of them, those that were meant to start in the window.
    pub(super) measured: N,
    /// Tasks that completed inside the window.
    pub(super) completed: N,
    /// Clients that have run their last task.
    pub(super) clients: N,
}

/// No client is at this place.
const NOBODY: u64 = u64::MAX;

/// What a slot was seen doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SlotSeen {
    /// Nothing.
    Idle,
    /// A task of the client at this place, which started then (ns), and which nobody but the load
    /// settles any more once it has given up.
    Running(u64, u64),
    /// It is about to be idle, or to leave.
    Settling,
}

impl SlotLog {
    /// A task of the client at this place begins.
    #[inline]
    pub(super) fn begin(&self, client: u64, actual_ns: u64) {
        self.client.store(client, Relaxed);
        self.actual_ns.store(actual_ns, Relaxed);
        self.state.store(RUNNING, Release);
    }

    /// What is settled next is no task: whoever gives the slot up meanwhile must not take it for
    /// the last one.
    pub(super) fn runs_none(&self) {
        self.client.store(NOBODY, Relaxed);
    }

    /// Whether the slot settles what it has run. If not, the load has it, and the slot must leave
    /// it alone.
    #[inline]
    pub(super) fn settles(&self, given_up: &GiveUpSignal) -> bool {
        self.state.store(SETTLING, Relaxed);
        if given_up.fenced {
            fence(SeqCst);
        } else {
            compiler_fence(SeqCst);
        }
        let too_late = given_up.is_said();
        if too_late {
            self.state.store(LEFT, Release);
        }
        !too_late
    }

    /// The slot has settled: whoever sees it idle sees all that it has counted.
    #[inline]
    pub(super) fn done(&self, account: &SlotAccount) {
        let SlotAccount { ended, measured, completed, clients } = &self.account;
        ended.store(account.ended, Relaxed);
        measured.store(account.measured, Relaxed);
        completed.store(account.completed, Relaxed);
        clients.store(account.clients, Relaxed);
        self.state.store(IDLE, Release);
    }

    /// What the slot is doing.
    pub(super) fn look(&self) -> SlotSeen {
        match self.state.load(Acquire) {
            IDLE => SlotSeen::Idle,
            SETTLING => SlotSeen::Settling,
            _ => SlotSeen::Running(self.client.load(Relaxed), self.actual_ns.load(Relaxed)),
        }
    }

    /// What the slot has settled, as of when it was seen last.
    pub(super) fn account(&self) -> SlotAccount {
        let get = |count: &AtomicU64| count.load(Relaxed);
        let SlotAccount { ended, measured, completed, clients } = &self.account;
        SlotAccount {
            ended: get(ended),
            measured: get(measured),
            completed: get(completed),
            clients: get(clients),
        }
    }
}

impl SlotAccount {
    pub(super) fn add(&mut self, other: Self) {
        self.ended += other.ended;
        self.measured += other.measured;
        self.completed += other.completed;
        self.clients += other.clients;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn ended(ended: u64) -> SlotAccount {
        SlotAccount { ended, ..SlotAccount::default() }
    }

    #[test]
    fn a_slot_settles_what_nobody_has_given_up() {
        let (log, given_up) = (SlotLog::default(), GiveUpSignal::default());
        assert_eq!(log.look(), SlotSeen::Idle);
        log.begin(3, 77);
        assert_eq!(log.look(), SlotSeen::Running(3, 77));
        assert!(log.settles(&given_up));
        assert_eq!(log.look(), SlotSeen::Settling);
        log.done(&ended(1));
        assert_eq!((log.look(), log.account()), (SlotSeen::Idle, ended(1)));
    }

    #[test]
    fn what_was_given_up_is_not_settled_and_stays_as_it_was() {
        let (log, given_up) = (SlotLog::default(), GiveUpSignal::default());
        log.begin(1, 50);
        given_up.say();
        assert_eq!(log.look(), SlotSeen::Running(1, 50));
        assert!(!log.settles(&given_up));
        assert_eq!((log.look(), log.account()), (SlotSeen::Running(1, 50), ended(0)));
    }

    #[test]
    fn one_that_was_settling_goes_on() {
        let (log, given_up) = (SlotLog::default(), GiveUpSignal::default());
        log.begin(0, 1);
        assert!(log.settles(&given_up));
        given_up.say();
        assert_eq!(log.look(), SlotSeen::Settling);
        log.done(&ended(1));
        assert_eq!((log.look(), log.account()), (SlotSeen::Idle, ended(1)));
    }

    /// Tasks that take no time are given up at a moment of chance, a thousand times: whoever
    /// settles, each is counted once. This finds a slot that settles too late. A missing barrier it
    /// did not find on x86, where the window is a few instructions long: the barriers rest on the
    /// argument above.
    #[test]
    fn each_task_is_settled_by_one_side_whenever_the_load_gives_up() {
        for trial in 0..1_000_u64 {
            let (log, given_up) = (Arc::new(SlotLog::default()), Arc::new(GiveUpSignal::default()));
            let lane = {
                let (log, given_up) = (log.clone(), given_up.clone());
                std::thread::spawn(move || {
                    for task in 1.. {
                        log.begin(0, task);
                        if !log.settles(&given_up) {
                            return task;
                        }
                        log.done(&ended(task));
                    }
                    0
                })
            };
            while log.account().ended < trial % 50 {
                std::thread::yield_now();
            }
            given_up.say();
            let seen = loop {
                match log.look() {
                    SlotSeen::Settling => std::thread::yield_now(),
                    seen => break seen,
                }
            };
            let settled = log.account().ended;
            let refused = lane.join().unwrap();
            // All but the one that the lane was refused; nothing was settled after the load had
            // looked.
            assert_eq!((log.account().ended, refused), (settled, settled + 1), "trial {trial}");
            assert!(
                seen == SlotSeen::Idle || seen == SlotSeen::Running(0, refused),
                "trial {trial}: {seen:?}"
            );
        }
    }
}
