//! A server whose latencies are known in closed form: first in, first out, a fixed number of
//! workers, and pauses.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::SimulatedNative;
use crate::{
    clock, draw,
    runtime::NativeTimers as _,
    step::{Call, Done, Opening, Operation, Repeated, Sequence, StepOutcome},
};

/// How long a worker needs for a call, in ns.
#[derive(Debug, Clone, Copy)]
pub(super) enum Service {
    /// Always as long.
    Constant(u64),
    /// Exponentially distributed about this mean; a function of the seed and the call.
    Exponential(u64),
    /// Always as long (first), but for one call, the so many-th from 0 (second), which is never
    /// answered.
    OneHangs(u64, u64),
}

/// Later than any simulation lasts, in ns.
const NEVER_NS: u64 = 1 << 62;

/// When no worker makes progress: in `[k·every, k·every + length)` of virtual time for every k, in
/// ns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Freeze {
    pub(super) every_ns: u64,
    pub(super) length_ns: u64,
}

/// The server.
pub(super) struct Server {
    service: Service,
    freeze: Option<Freeze>,
    seed: u64,
    /// When each worker has done what it was given.
    free_at: Mutex<Vec<u64>>,
    taken: AtomicU64,
    served: AtomicU64,
    opened: AtomicU64,
}

impl Server {
    /// A server that is idle.
    pub(super) fn new(
        workers: usize,
        service: Service,
        freeze: Option<Freeze>,
        seed: u64,
    ) -> Arc<Self> {
        let free_at = Mutex::new(vec![0; workers]);
        Arc::new(Self {
            service,
            freeze,
            seed,
            free_at,
            taken: AtomicU64::new(0),
            served: AtomicU64::new(0),
            opened: AtomicU64::new(0),
        })
    }

    /// Calls that it has taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    /// Calls that it has completed, by its own count.
    pub(super) fn served(&self) -> u64 {
        self.served.load(Relaxed)
    }

    /// Slots that were used.
    pub(super) fn opened(&self) -> u64 {
        self.opened.load(Relaxed)
    }

    /// When a worker is free, by the calls that have come so far.
    pub(super) fn free_at_ns(&self) -> u64 {
        self.free_at
            .lock()
            .expect("not poisoned")
            .iter()
            .copied()
            .min()
            .expect("a server has workers")
    }

    /// The steps of a slot whose task is one call to this server.
    pub(super) fn steps(self: &Arc<Self>) -> Sequence {
        let server = self.clone();
        Sequence::new(vec![Box::new(Repeated::new(move || Visit(server.clone())))])
    }

    /// Takes a call now; says when it will be done. The least busy worker gets it, so that it is
    /// first in, first out.
    fn admit(&self, now_ns: u64, key: u64) -> u64 {
        let mut free_at = self.free_at.lock().expect("not poisoned");
        let first = free_at.iter_mut().min().expect("a server has workers");
        let number = self.taken.fetch_add(1, Relaxed);
        if matches!(self.service, Service::OneHangs(_, hangs) if hangs == number) {
            // The worker is lost for good.
            *first = NEVER_NS;
        } else {
            *first = self.done_at(now_ns.max(*first), self.service_ns(key));
        }
        *first
    }

    fn service_ns(&self, key: u64) -> u64 {
        match self.service {
            Service::Constant(ns) | Service::OneHangs(ns, _) => ns,
            Service::Exponential(mean_ns) => {
                let unit = draw::unit(draw::mix(self.seed, key));
                (-(1.0 - unit).ln() * mean_ns as f64).round() as u64
            }
        }
    }

    /// When work that begins at `start_ns` and takes `work_ns` is done, in spite of the pauses.
    fn done_at(&self, start_ns: u64, work_ns: u64) -> u64 {
        let Some(Freeze { every_ns, length_ns }) = self.freeze else { return start_ns + work_ns };
        let (mut at_ns, mut left_ns) = (start_ns, work_ns);
        loop {
            let thaw_ns = at_ns - at_ns % every_ns + length_ns;
            at_ns = at_ns.max(thaw_ns);
            let until_freeze_ns = every_ns - at_ns % every_ns;
            if left_ns <= until_freeze_ns {
                return at_ns + left_ns;
            }
            at_ns += until_freeze_ns;
            left_ns -= until_freeze_ns;
        }
    }
}

/// One call to the server.
struct Visit(Arc<Server>);

impl Operation for Visit {
    async fn open(&mut self, _: Opening) -> StepOutcome {
        self.0.opened.fetch_add(1, Relaxed);
        Ok(Done::default())
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        let now_ns = clock::now_ns();
        let done_ns = self.0.admit(now_ns, call.key);
        SimulatedNative::sleep(Duration::from_nanos(done_ns - now_ns)).await;
        self.0.served.fetch_add(1, Relaxed);
        Ok(Done::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_wait_for_the_worker_that_is_free_first() {
        let server = Server::new(2, Service::Constant(100), None, 1);
        let done: Vec<u64> =
            [0, 10, 20, 30, 300].into_iter().map(|at_ns| server.admit(at_ns, 0)).collect();
        assert_eq!(done, [100, 110, 200, 210, 400]);
    }

    #[test]
    fn nothing_is_done_while_it_is_frozen() {
        let freeze = Some(Freeze { every_ns: 1_000, length_ns: 100 });
        let done =
            |at_ns, work_ns| Server::new(1, Service::Constant(work_ns), freeze, 1).admit(at_ns, 0);
        assert_eq!(
            [done(0, 5), done(99, 5), done(100, 5), done(995, 5), done(996, 5)],
            [105, 105, 105, 1_000, 1_101]
        );
        assert_eq!(done(50, 2_000), 2_300);
    }

    #[test]
    fn exponential_times_have_their_mean_and_are_functions_of_the_call() {
        let server = Server::new(1, Service::Exponential(1_000_000), None, 3);
        let mean = (0..20_000).map(|key| server.service_ns(key) as f64).sum::<f64>() / 20_000.0;
        assert!((mean / 1e6 - 1.0).abs() < 0.03, "{mean}");
        assert_eq!(server.service_ns(5), server.service_ns(5));
        assert_ne!(server.service_ns(5), server.service_ns(6));
    }
}
