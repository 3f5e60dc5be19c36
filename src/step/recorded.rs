//! The recording of a named step: a clock reading before and after whatever it is.

use std::task::{Context, Poll};

use super::{
    exec::{Step, Work},
    outcome::{Failure, StepOutcome},
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

/// How an outcome counts.
pub fn ending(outcome: &StepOutcome) -> Ending {
    match outcome {
        Ok(done) | Err(Failure::Skipped(done)) if done.timeouts > 0 => Ending::TimedOut,
        Ok(done) if done.errors == 0 => Ending::Done,
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

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<StepOutcome> {
        let Poll::Ready(outcome) = self.inner.poll(context) else { return Poll::Pending };
        if self.measured {
            let now = clock::now_ns();
            self.recorder.record(
                self.stream,
                self.intended_ns,
                self.actual_ns,
                now,
                ending(&outcome),
            );
        }
        Poll::Ready(outcome)
    }

    fn cancel(&mut self) {
        self.inner.cancel();
    }

    fn stopped(&mut self, begun: bool) {
        self.inner.stopped(begun);
    }
}
