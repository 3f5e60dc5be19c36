//! A home: a thread with a runtime of compio. What belongs to it is used there and dropped there,
//! and who is elsewhere sends it an errand.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use ::compio::{
    driver::ProactorBuilder,
    runtime::{JoinHandle, Runtime as CompioRuntime, RuntimeBuilder},
};

use super::household::Household;

/// Something that is to be done on a home's thread.
pub(super) type Errand = Box<dyn FnOnce() + Send>;

/// Places for tasks that other threads have woken. compio's default is 64; who finds none left
/// spins until there is one, so that two workers that wake many tasks of each other at once would
/// spin for ever.
pub(super) const WAKE_PLACES: usize = 1 << 14;

/// The next home's number.
static NUMBERS: AtomicU64 = AtomicU64::new(NOWHERE + 1);

thread_local! {
    /// What is kept of this thread, if it is a home.
    static RESIDENT: RefCell<Option<Resident>> = const { RefCell::new(None) };
    /// Which home it is: a number, so that what is dropped with the thread can still ask.
    static HERE: Cell<u64> = const { Cell::new(NOWHERE) };
}

const NOWHERE: u64 = 0;

/// A thread with a runtime of compio, as the others see it.
pub(super) struct RingHome {
    number: u64,
    inbox: async_channel::Sender<Errand>,
    /// Whether it is a worker, where tasks live. Otherwise somebody waits there for tasks.
    pub(super) is_worker: bool,
    pub(super) household: Arc<Household>,
}

/// The same, as it sees itself.
struct Resident {
    home: Arc<RingHome>,
    runtime: CompioRuntime,
    /// Does what the home is sent, until it is closed.
    porter: Option<JoinHandle<()>>,
}

impl Drop for Resident {
    /// Does what is still to be done; then the runtime ends, and its tasks are dropped.
    fn drop(&mut self) {
        self.home.close();
        if let Some(porter) = self.porter.take() {
            let _ = self.runtime.block_on(porter);
        }
    }
}

impl RingHome {
    /// Makes this thread a home, unless it is one of this household.
    fn settle(
        household: &Arc<Household>,
        is_worker: bool,
    ) -> io::Result<(Arc<Self>, CompioRuntime)> {
        let of_here = |resident: &Resident| {
            let of_ours = Arc::ptr_eq(&resident.home.household, household);
            of_ours.then(|| (resident.home.clone(), resident.runtime.clone()))
        };
        if let Some(kept) = RESIDENT.with_borrow(|here| here.as_ref().and_then(of_here)) {
            return Ok(kept);
        }
        let mut proactor = ProactorBuilder::new();
        proactor.reuse_thread_pool(household.pool.threads());
        let mut builder = RuntimeBuilder::new();
        let runtime = builder.with_proactor(proactor).sync_queue_size(WAKE_PLACES).build()?;
        leave();
        let (inbox, errands) = async_channel::unbounded::<Errand>();
        let porter = Some(runtime.spawn(carry(errands)));
        let number = NUMBERS.fetch_add(1, Relaxed);
        let home = Arc::new(Self { number, inbox, is_worker, household: household.clone() });
        HERE.set(number);
        RESIDENT.set(Some(Resident { home: home.clone(), runtime: runtime.clone(), porter }));
        Ok((home, runtime))
    }

    /// Makes this thread a worker, says so, and runs what comes until the home is closed.
    pub(super) fn work(household: &Arc<Household>, ready: impl FnOnce(io::Result<Arc<Self>>)) {
        let (home, runtime) = match Self::settle(household, true) {
            Ok(settled) => settled,
            Err(why) => return ready(Err(why)),
        };
        ready(Ok(home));
        let porter = RESIDENT.with_borrow_mut(|here| here.as_mut()?.porter.take());
        if let Some(porter) = porter {
            let _ = runtime.block_on(porter);
        }
        drop(runtime);
        leave();
    }

    /// Runs a future to its end on this thread.
    pub(super) fn block_on<F: Future>(household: &Arc<Household>, future: F) -> F::Output {
        let (_, runtime) = Self::settle(household, false).unwrap_or_else(|why| {
            panic!("io_uring refuses a ring for the thread that waits for tasks: {why}")
        });
        runtime.block_on(future)
    }

    /// The home of the calling thread.
    pub(super) fn here() -> Option<Arc<Self>> {
        let home = |here: &RefCell<Option<Resident>>| Some(here.borrow().as_ref()?.home.clone());
        RESIDENT.try_with(home).ok().flatten()
    }

    /// Whether the calling thread is this home.
    #[inline]
    pub(super) fn is_here(&self) -> bool {
        HERE.get() == self.number
    }

    /// Has something done on its thread; gives it back if the home is closed.
    pub(super) fn run(&self, errand: Errand) -> Result<(), Errand> {
        self.inbox.try_send(errand).map_err(async_channel::TrySendError::into_inner)
    }

    /// Drops something that belongs to it on its thread. Where that has ended, nothing can drop it
    /// any more: then it is left to the end of the process.
    pub(super) fn take_back(&self, belonging: impl Send + 'static) {
        if self.is_here() {
            drop(belonging);
        } else if let Err(errand) = self.run(Box::new(move || drop(belonging))) {
            std::mem::forget(errand);
        }
    }

    /// Lets its thread end when it has done what it was sent.
    pub(super) fn close(&self) {
        self.inbox.close();
    }
}

/// The calling thread is nobody's home any more.
pub(super) fn leave() {
    // Dropped outside of the cell: what goes with it may look where it is.
    let left = RESIDENT.take();
    drop(left);
    HERE.set(NOWHERE);
}

async fn carry(errands: async_channel::Receiver<Errand>) {
    let mut carried = 0_u32;
    while let Ok(errand) = errands.recv().await {
        // What a stranger's destructor does wrong must not end this thread; the hook has said it.
        let _ = catch_unwind(AssertUnwindSafe(errand));
        carried = carried.wrapping_add(1);
        if carried.is_multiple_of(AT_ONCE) {
            // Or a task would begin only when the last of a thousand has been started.
            futures_lite::future::yield_now().await;
        }
    }
}

/// Errands that are done before tasks have their turn: as many as compio runs tasks before it looks
/// after its ring.
const AT_ONCE: u32 = 61;
