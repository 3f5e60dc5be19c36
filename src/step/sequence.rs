//! The steps of a task, one after another, as a state machine of their own.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
};

use super::{
    exec::{Call, Opening, Step, Work},
    outcome::{Done, Failure, Mishaps, StepEnd, StepOutcome},
};

/// Waits for a started step.
pub struct UntilEnd<'a>(pub &'a mut dyn Step);

impl Future for UntilEnd<'_> {
    type Output = StepOutcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<StepOutcome> {
        self.0.poll(context).map(StepEnd::outcome)
    }
}

/// The steps of a task, built for one slot, and how far the task has come.
///
/// Written out as a state machine, so that a task's state stays where its slot is: a future that an
/// executor starts for each arrival would carry it there and back.
pub struct Sequence {
    steps: Vec<Box<dyn Step>>,
    /// Whether the steps have opened what they keep.
    kept: Kept,
    /// The step that was begun; behind the last one where no task runs.
    at: usize,
    /// Whether a task was asked for that has not begun.
    asked: bool,
    call: Call,
    mishaps: Mishaps,
}

/// How far a sequence's steps have opened what they keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// None of them has begun.
    Closed,
    /// This one has begun.
    Opening(usize),
    /// All of them have.
    Open,
}

impl Sequence {
    /// In this order.
    pub fn new(steps: Vec<Box<dyn Step>>) -> Self {
        Self {
            at: steps.len(),
            asked: false,
            steps,
            kept: Kept::Closed,
            call: Call::default(),
            mishaps: Mishaps::default(),
        }
    }

    /// Gets every step ready, without a connection.
    pub async fn prepare(&mut self) -> StepOutcome {
        for step in &mut self.steps {
            step.start(Work::Prepare);
            UntilEnd(step.as_mut()).await?;
        }
        Ok(Done::default())
    }

    /// Lets every step open what it keeps, unless that was done before.
    pub async fn open(&mut self, when: Opening) -> StepOutcome {
        poll_fn(|context| self.poll_open(when, context)).await.map(|()| Done::default())
    }

    /// Whether the steps have opened what they keep.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.kept == Kept::Open
    }

    /// Goes on with opening; nothing more where all is open.
    pub fn poll_open(
        &mut self,
        when: Opening,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Failure>> {
        loop {
            let at = match self.kept {
                Kept::Open => return Poll::Ready(Ok(())),
                Kept::Closed => 0,
                Kept::Opening(at) => {
                    if let Some(step) = self.steps.get_mut(at) {
                        let opened = ready!(step.poll(context)).outcome();
                        opened.inspect_err(|_| self.kept = Kept::Closed)?;
                    }
                    at + 1
                }
            };
            self.kept = match self.steps.get_mut(at) {
                Some(step) => {
                    step.start(Work::Open(when));
                    Kept::Opening(at)
                }
                None => Kept::Open,
            };
        }
    }

    /// A task is to run: if it is cancelled before it begins, that counts.
    pub fn ask(&mut self) {
        self.asked = true;
    }

    /// Does the steps one after another; before the first time, they open what they keep.
    pub async fn run(&mut self, call: Call) -> StepOutcome {
        self.ask();
        if !self.is_open()
            && let Err(failure) = self.open(Opening::FirstUse).await
        {
            self.stop();
            return Err(failure);
        }
        self.start(call);
        poll_fn(|context| self.poll(context)).await.outcome()
    }

    /// Begins; the task before must have ended or been cancelled.
    pub fn start(&mut self, call: Call) {
        (self.at, self.asked, self.call, self.mishaps) = (0, false, call, Mishaps::default());
        self.begin(call);
    }

    /// Begins the next step, if there is one.
    #[inline]
    fn begin(&mut self, call: Call) {
        if let Some(step) = self.steps.get_mut(self.at) {
            step.start(Work::Run(call));
        }
    }

    /// Goes on with the task that was begun.
    #[inline]
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<StepEnd> {
        while let Some(step) = self.steps.get_mut(self.at) {
            match ready!(step.poll(context)) {
                StepEnd::Done(more) => self.mishaps.add(more),
                early => return Poll::Ready(self.ends_early(early)),
            }
            self.at += 1;
            // Only the first step was issued by the parent; the next one is issued by the end of
            // this one.
            self.begin(Call { issued_ns: 0, ..self.call });
        }
        Poll::Ready(StepEnd::Done(self.mishaps))
    }

    /// The task ends with this step. Apart, so that the way of all others stays short. What the
    /// steps before it have left in the background is given up.
    #[cold]
    fn ends_early(&mut self, early: StepEnd) -> StepEnd {
        for step in &mut self.steps[..self.at] {
            step.cancel();
        }
        self.stop();
        early.after(self.mishaps)
    }

    /// The task ends at this step, before its end, or has not begun.
    fn stop(&mut self) {
        let begun = !std::mem::take(&mut self.asked);
        let at = if begun { self.at } else { 0 };
        if let Some(step) = self.steps.get_mut(at) {
            step.stopped(begun);
        }
        self.at = self.steps.len();
    }

    /// Gives up whatever was begun.
    pub fn cancel(&mut self) {
        self.stop();
        if let Kept::Opening(_) = self.kept {
            self.kept = Kept::Closed;
        }
        for step in &mut self.steps {
            step.cancel();
        }
    }
}
