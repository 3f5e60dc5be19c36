//! `threads`: one OS thread per task or client, started when the task starts.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    thread::{Builder, JoinHandle},
};

use super::{
    ExecutorInfo, Facts, Runtime, Setup, Style,
    blocking::{self, Blocking},
};

/// The stack of a thread where the scenario does not say otherwise: Rust's own default, in bytes.
pub(super) const DEFAULT_STACK: u64 = 2 * 1024 * 1024;

/// Starts a thread per task.
#[derive(Clone)]
pub struct Threads {
    stack_size: usize,
    started: Arc<AtomicU64>,
}

/// A running thread; waiting for it blocks, as `join` does.
pub struct ThreadJoining<T>(Option<JoinHandle<T>>);

impl<T> Future for ThreadJoining<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        // A future is not polled again after it was ready, so the handle is there.
        #[expect(
            clippy::expect_used,
            reason = "polling a finished future breaks the contract of Future"
        )]
        let handle = self.0.take().expect("polled after completion");
        match handle.join() {
            Ok(output) => Poll::Ready(output),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Runtime for Threads {
    const INFO: ExecutorInfo = ExecutorInfo {
        name: "threads",
        doc: "One OS thread per task or client.",
        style: Style::ThreadPerTask,
    };

    type Native = Blocking;
    type Join<T: Send + 'static> = ThreadJoining<T>;

    fn start(setup: &Setup) -> io::Result<Self> {
        let stack_size = setup.stack_size.unwrap_or(DEFAULT_STACK) as usize;
        Ok(Self { stack_size, started: Arc::default() })
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        blocking::block_on(future)
    }

    fn spawn<F>(&self, future: F) -> io::Result<ThreadJoining<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let thread =
            Builder::new().stack_size(self.stack_size).spawn(move || blocking::block_on(future))?;
        self.started.fetch_add(1, Ordering::Relaxed);
        Ok(ThreadJoining(Some(thread)))
    }

    fn spawn_detached<F>(&self, future: F) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // The system frees what belongs to a detached thread when it ends.
        self.spawn(future).map(drop)
    }

    fn facts(&self) -> Facts {
        Facts::from([
            ("threads for tasks".into(), "one per task".into()),
            ("threads started".into(), self.started.load(Ordering::Relaxed).to_string()),
            ("blocking work".into(), "inline".into()),
            ("stream".into(), "blocking socket".into()),
            ("timer".into(), "the kernel's: nanosleep and time-outs of sockets".into()),
        ])
    }
}
