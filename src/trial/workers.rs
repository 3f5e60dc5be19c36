//! The worker processes of a trial: what `blocking = "process-pool"` computes in.
//!
//! Each is this program again, in the trial's process group and on the executor's CPUs, at the other
//! end of a stream socket, which is its standard input. It ends when that does, and the kernel kills
//! it with the trial.

use std::{
    io::{self, BufRead, BufReader, Read as _, Write as _},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{error::TrialError, place, wire::TrialPlan};
use crate::{
    measure::{ProcessSet, SHARED_TURNS},
    runtime::{Coordination, Semaphore as _},
    scenario::reach,
    step::{PoolBeside, WorkAccount, Workforce, serve_commissions},
};

/// What they are called in the fairness manifest.
const OBJECT: &str = "worker processes";

/// What a worker says when it is ready.
const READY: u8 = b'r';

/// The worker processes of a trial; most have none. Dropping them kills them.
#[derive(Default)]
pub(super) struct Workers {
    children: Vec<Child>,
    workforce: Option<Arc<Workforce>>,
}

/// The order to a worker: the first line that it reads.
#[derive(Debug, Serialize, Deserialize)]
struct WorkerOrder {
    /// The process that started it.
    parent: u32,
}

impl Workers {
    /// As many as the pool for blocking work has threads, if a step of the plan has its work done
    /// there. They run where this thread does.
    pub(super) fn start(plan: &TrialPlan, program: &Path) -> Result<Self, TrialError> {
        let mut workers = Self::default();
        if !wants_workers(plan) {
            return Ok(workers);
        }
        let refused =
            |source| TrialError::System { what: "a worker process could not be started", source };
        let mut lines = Vec::new();
        for _ in 0..plan.setup.pool_size {
            let (child, line) = start(program).map_err(refused)?;
            workers.children.push(child);
            lines.push(line);
        }
        // They get ready at the same time.
        for line in &mut lines {
            greet(line).map_err(refused)?;
        }
        workers.workforce = Some(Arc::new(Workforce::of(lines)));
        Ok(workers)
    }

    /// What the steps need to know.
    pub(super) fn workforce(&self) -> Option<&Arc<Workforce>> {
        self.workforce.as_ref()
    }

    /// Their counters.
    pub(super) fn processes(&self) -> ProcessSet {
        ProcessSet::of(self.children.iter().map(Child::id))
    }

    /// What was counted of them.
    pub(super) fn account(&self) -> Option<WorkAccount> {
        self.workforce().map(|workforce| workforce.account())
    }

    /// How one has ended that should be there. The end of its line is seen before its own end: it is
    /// waited for, for a moment.
    pub(super) fn fallen(&mut self) -> Option<String> {
        const APART: Duration = Duration::from_millis(1);
        const LOOKS: u32 = 200;
        if self.children.is_empty() {
            return None;
        }
        for _ in 0..LOOKS {
            if let Some(words) = self.ended() {
                return Some(words);
            }
            std::thread::sleep(APART);
        }
        None
    }

    fn ended(&mut self) -> Option<String> {
        let size = self.children.len();
        let mut ends = self
            .children
            .iter_mut()
            .enumerate()
            .filter_map(|(number, child)| Some((number, child.try_wait().ok()??)));
        let (number, how) = ends.next()?;
        Some(format!(
            "worker process {number} of {size} has ended during the trial ({how}); if nobody killed it, the system ran \
             out of memory (`dmesg` tells): lower `size` under [executors.thread-pool]"
        ))
    }

    /// The fairness manifest's lines on them.
    pub(super) fn facts<N: Coordination>(&self, plan: &TrialPlan) -> Vec<(String, String)> {
        if self.children.is_empty() {
            return Vec::new();
        }
        let size = self.children.len();
        let waiting = format!("{SHARED_TURNS}{OBJECT}");
        let of = |what: &str| format!("{OBJECT}: {what}");
        let placed = format!("{size}, on CPUs {}", place::words(&plan.executor_cpus));
        vec![
            // The names by which those are known that tasks wait for.
            (OBJECT.to_owned(), N::Semaphore::NAME.to_owned()),
            (waiting, N::Semaphore::TURNS.to_owned()),
            (of("number"), placed),
            (of("reached by"), "a stream socket each".to_owned()),
            (of("counted as the trial's"), "CPU time, context switches, memory".to_owned()),
        ]
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for child in &mut self.children {
            // An error means that it has already ended, which is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whether a step that the loads come to computes in worker processes.
fn wants_workers(plan: &TrialPlan) -> bool {
    let mut reached = plan.loads.iter().flat_map(|load| reach(&plan.tasks, &load.task));
    reached.any(|at| {
        let step = &plan.tasks[at.task].steps[at.step].spec;
        step.pool_beside() == Some(PoolBeside::Processes)
    })
}

#[expect(clippy::disallowed_methods, reason = "the trial layer starts processes")]
fn start(program: &Path) -> io::Result<(Child, UnixStream)> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let order = serde_json::to_string(&WorkerOrder { parent: std::process::id() })?;
    writeln!(ours, "{order}")?;
    let child = Command::new(program)
        .arg("worker")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .spawn()?;
    Ok((child, ours))
}

/// Waits until it is ready.
fn greet(line: &mut UnixStream) -> io::Result<()> {
    let mut said = [0];
    line.read_exact(&mut said).map_err(|why| {
        io::Error::new(why.kind(), format!("it has ended before it was ready: {why}"))
    })
}

/// What runs inside a worker's process, until nobody is at the other end of its standard input.
pub fn work() -> io::Result<()> {
    let line = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut first = String::new();
    // Nothing comes after the line before it was answered, so that nothing is read too far.
    BufReader::new(&line).read_line(&mut first)?;
    let order: WorkerOrder = serde_json::from_str(&first)?;
    if !place::die_with_parent(order.parent) {
        return Ok(());
    }
    (&line).write_all(&[READY])?;
    serve_commissions(line)
}
