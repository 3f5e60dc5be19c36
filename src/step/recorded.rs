//! The recording of a named step: a clock reading before and after whatever it is.

use std::task::{Context, Poll};

use super::{
    exec::{Step, Work},
    outcome::StepEnd,
};
use crate::{
    clock,
    measure::{Ending, Recorder},
};

/// A step with a histogram of its own.
pub struct Recorded {
    inner: Box<dyn Step>,
    recorder: Recorder,
    stream: usize,
    intended_ns: u64,
    actual_ns: u64,
    measured: bool,
}

impl Recorded {
    /// Records `inner` as `stream`.
    pub fn new(inner: Box<dyn Step>, recorder: Recorder, stream: usize) -> Self {
        Self { inner, recorder, stream, intended_ns: 0, actual_ns: 0, measured: false }
    }
}

/// How an end counts.
#[inline]
pub fn ending(ended: &StepEnd) -> Ending {
    match ended {
        StepEnd::Done(mishaps) if mishaps.is_none() => Ending::Done,
        StepEnd::Done(mishaps) | StepEnd::Skipped(mishaps) if mishaps.timeouts() > 0 => {
            Ending::TimedOut
        }
        _ => Ending::Error,
    }
}

impl Step for Recorded {
    fn start(&mut self, work: Work) {
        self.measured = false;
        if let Work::Run(call) = work {
            self.measured = true;
            self.actual_ns = clock::now_ns();
            self.intended_ns = if call.issued_ns > 0 { call.issued_ns } else { self.actual_ns };
        }
        self.inner.start(work);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<StepEnd> {
        let Poll::Ready(ended) = self.inner.poll(context) else { return Poll::Pending };
        if self.measured {
            let now = clock::now_ns();
            self.recorder.record(
                self.stream,
                self.intended_ns,
                self.actual_ns,
                now,
                ending(&ended),
            );
        }
        Poll::Ready(ended)
    }

    fn cancel(&mut self) {
        self.inner.cancel();
    }

    fn stopped(&mut self, begun: bool) {
        self.inner.stopped(begun);
    }
}
