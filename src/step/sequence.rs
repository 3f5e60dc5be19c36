//! The steps of a task, one after another, as a state machine of their own.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
};

use super::exec::{Call, Done, Opening, Outcome, Step, Work};

/// Waits for a started step.
pub struct Ended<'a>(pub &'a mut dyn Step);

impl Future for Ended<'_> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        self.0.poll(context)
    }
}

/// The steps of a task, built for one slot, and how far the task has come.
///
/// Written out as a state machine, so that a task's state stays where its slot is: a future that an executor starts for
/// each arrival would carry it there and back.
pub struct Sequence {
    steps: Vec<Box<dyn Step>>,
    /// Whether the steps have opened what they keep.
    kept: Kept,
    /// The step that was begun.
    at: usize,
    call: Call,
    done: Done,
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
        Self { steps, kept: Kept::Closed, at: 0, call: Call::default(), done: Done::default() }
    }

    /// Gets every step ready, without a connection.
    pub async fn prepare(&mut self) -> Outcome {
        for step in &mut self.steps {
            step.start(Work::Prepare);
            Ended(step.as_mut()).await?;
        }
        Ok(Done::default())
    }

    /// Lets every step open what it keeps, unless that was done before.
    pub async fn open(&mut self, when: Opening) -> Outcome {
        poll_fn(|context| self.poll_open(when, context)).await
    }

    /// Whether the steps have opened what they keep.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.kept == Kept::Open
    }

    /// Goes on with opening; nothing more where all is open.
    pub fn poll_open(&mut self, when: Opening, context: &mut Context<'_>) -> Poll<Outcome> {
        loop {
            let at = match self.kept {
                Kept::Open => return Poll::Ready(Ok(Done::default())),
                Kept::Closed => 0,
                Kept::Opening(at) => {
                    if let Some(step) = self.steps.get_mut(at) {
                        ready!(step.poll(context)).inspect_err(|_| self.kept = Kept::Closed)?;
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

    /// Does the steps one after another; before the first time, they open what they keep.
    pub async fn run(&mut self, call: Call) -> Outcome {
        if !self.is_open() {
            self.open(Opening::FirstUse).await?;
        }
        self.start(call);
        poll_fn(|context| self.poll(context)).await
    }

    /// Begins; the task before must have ended or been cancelled.
    pub fn start(&mut self, call: Call) {
        (self.at, self.call, self.done) = (0, call, Done::default());
        self.begin();
    }

    /// Begins the next step, if there is one.
    fn begin(&mut self) {
        if let Some(step) = self.steps.get_mut(self.at) {
            step.start(Work::Run(self.call));
        }
    }

    /// Goes on with the task that was begun.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Outcome> {
        while let Some(step) = self.steps.get_mut(self.at) {
            match ready!(step.poll(context)) {
                Ok(more) => self.done.add(more),
                Err(failure) => return Poll::Ready(Err(failure.after(self.done))),
            }
            self.at += 1;
            // Only the first step was issued by the parent; the next one is issued by the end of this one.
            self.call.issued_ns = 0;
            self.begin();
        }
        Poll::Ready(Ok(self.done))
    }

    /// Gives up whatever was begun.
    pub fn cancel(&mut self) {
        if let Kept::Opening(_) = self.kept {
            self.kept = Kept::Closed;
        }
        for step in &mut self.steps {
            step.cancel();
        }
    }
}
