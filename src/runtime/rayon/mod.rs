//! `rayon`: the customary pool of OS threads with work stealing.
//!
//! Jobs are rayon's own: a child that a worker starts goes on that worker's deque, from which it
//! takes the newest first and others steal the oldest. A worker that waits for children runs other
//! jobs meanwhile, also strangers', and comes back when such a job has ended: so the latency of a
//! task includes others' work. That is what users of rayon get (`rayon::scope`), and is measured.
//!
//! **Tasks.** Users give a request to rayon from outside: it waits in the injector, first in first
//! out, and a worker looks there last. Clients of ours live in the pool, and what a worker gives to
//! rayon goes on its deque. So tasks wait in an [`office`], which is looked at when rayon has no
//! job: in the same order, at the same place. A worker that has none to do sleeps in rayon and is
//! called by a job of rayon's. Each lane has a worker for a turn at a time, so that there is no
//! limit on how many tasks have begun while others wait.
//!
//! **Depth.** Each job that a waiting worker begins lies above the one that waits. Where half of a
//! thread's stack is used, its worker begins nothing of others' any more: it runs the children of
//! its own that nobody has begun, and else sleeps.
//!
//! **Waits end.** Order all that has begun by when it did. A task waits for children, which begin
//! later; and what lies beneath another on a stack waits for that, which has begun later. So nobody
//! waits for what began before, and the last one to begin waits for nobody, or for children that
//! nobody has begun: its worker finds these first, on its own deque or by itself. That holds as
//! long as tasks wait for nothing else that lies beneath them, such as a lock whose holder waits for
//! children. Planning refuses what could (`plan/beneath.rs`). Who waits for a lock, a queue or an
//! event blocks its thread and runs nothing else.

mod crew;
mod office;
#[cfg(test)]
mod tests;

use std::{future::Future, io, sync::Arc};

use self::crew::Crew;
use super::{
    ExecutorInfo, Facts, Runtime, Setup, Style, Tickets,
    blocking::{self, Blocking},
    job::{MEANWHILE, PoolJob, PoolJoin},
    lane::Turns,
    queue::Job,
    threads::DEFAULT_STACK,
};

/// A pool of rayon's.
#[derive(Clone)]
pub struct Rayon(Arc<Crew>);

impl Rayon {
    fn give<F>(&self, future: F) -> io::Result<Arc<PoolJob<F, Arc<Crew>>>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let job = Arc::new(PoolJob::new(self.0.clone(), future));
        let given = job.clone();
        self.0.give(move || given.run())?;
        Ok(job)
    }
}

impl Runtime for Rayon {
    const INFO: ExecutorInfo = ExecutorInfo {
        name: "rayon",
        doc: "A fixed number of OS threads that steal each other's work, and run others' while they wait.",
        style: Style::Stealing,
    };

    type Native = Blocking;
    type Join<T: Send + 'static> = PoolJoin<T>;

    fn start(setup: &Setup) -> io::Result<Self> {
        let stack_size = setup.stack_size.unwrap_or(DEFAULT_STACK) as usize;
        Crew::start(setup.pool_size, stack_size).map(Self)
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        blocking::block_on(future)
    }

    fn spawn<F>(&self, future: F) -> io::Result<PoolJoin<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.give(future).map(PoolJoin::of)
    }

    fn spawn_detached<F>(&self, future: F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.give(future).map(drop)
    }

    fn spawn_lane<F>(
        &self,
        tickets: &Tickets,
        _number: usize,
        future: F,
    ) -> io::Result<PoolJoin<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let Some(desk) = tickets.desk() else { return self.spawn(future) };
        let lane = Arc::new(Turns::new(desk, self.0.clone(), future));
        tickets.serve(0, lane.clone());
        Ok(PoolJoin::of(lane))
    }

    fn tickets(&self, load: usize) -> Option<Tickets> {
        Some(Tickets::by_turns(Arc::new(self.0.clone()), load))
    }

    fn facts(&self) -> Facts {
        let workers = self.0.workers();
        Facts::from([
            ("threads for tasks".into(), format!("{workers} in a pool, which steal")),
            (
                MEANWHILE.into(),
                "runs other jobs to their end, strangers' too, while half of its stack is free"
                    .into(),
            ),
            ("blocking work".into(), "inline".into()),
            ("stream".into(), "blocking socket".into()),
            ("timer".into(), "the kernel's: nanosleep and time-outs of sockets".into()),
        ])
    }

    fn stop(self) {
        self.0.close();
    }
}
