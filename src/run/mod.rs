//! A run: one trial after another, each stored when it ends, until nothing is left. Says what
//! happens through events.
//!
//! There is one loop, and what comes next is an agenda's affair: a pure function of the run file
//! ([`Agenda`]). A fixed plan has one ([`FixedAgenda`]), a search for the highest rate another
//! ([`SearchAgenda`]).

mod agenda;
mod fixed;
mod give_up;
mod search;
#[cfg(test)]
mod tests;

pub use self::{
    agenda::{Agenda, Ahead, AskedTrial, Disturbance, Due, Notice},
    fixed::{FixedAgenda, Remaining, left},
    search::SearchAgenda,
};
use crate::{
    clock,
    store::{GivenUp, Line, Run, StoreError, TrialRecord, Writer},
    trial::{
        TrialPlan,
        parent::{Interrupted, Runner},
    },
};

/// What happens in a run.
#[derive(Debug)]
pub enum RunEvent<'a> {
    /// A trial begins: its place in the order, from 1, and its plan, for replaying.
    Begins {
        /// From 1.
        sequence: u32,
        /// Its plan.
        plan: &'a TrialPlan,
    },
    /// A trial has ended and is stored.
    Ended {
        /// The trial.
        record: &'a TrialRecord,
        /// The run with it.
        run: &'a Run,
    },
    /// Something that follows from the trials so far.
    Noticed(&'a Notice),
    /// Something has failed wherever it was tried.
    GaveUp {
        /// What.
        given_up: &'a GivenUp,
        /// So many trials are not run for it; none where nobody knows.
        saved: Option<usize>,
    },
    /// The trial could not remove something from a server of the user's own: what, and what to do
    /// about it.
    LeftBehind(&'a str),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// Everything planned was run.
    Finished,
    /// What is left was given up.
    GaveUp,
    /// A signal ended it: its name.
    Interrupted(&'static str),
}

/// Who runs trials, one at a time.
pub trait TrialRunner {
    /// Whether a signal has arrived between trials.
    fn interrupted(&self) -> Option<Interrupted>;

    /// Runs one trial to its end. `left_behind` is told what it could not remove.
    fn run(
        &self,
        plan: &TrialPlan,
        sequence: u32,
        left_behind: &mut dyn FnMut(&str),
    ) -> Result<TrialRecord, Interrupted>;
}

impl TrialRunner for Runner {
    fn interrupted(&self) -> Option<Interrupted> {
        Self::interrupted(self)
    }

    fn run(
        &self,
        plan: &TrialPlan,
        sequence: u32,
        left_behind: &mut dyn FnMut(&str),
    ) -> Result<TrialRecord, Interrupted> {
        Self::run(self, plan, sequence, left_behind)
    }
}

/// Why a run does not go on.
enum Stop {
    /// A signal came.
    Signal(&'static str),
    /// Nothing can be stored.
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Interrupted> for Stop {
    fn from(Interrupted(signal): Interrupted) -> Self {
        Self::Signal(signal)
    }
}

/// Runs what the agenda asks for, on from what `run` has already.
pub fn execute(
    agenda: &impl Agenda,
    run: &mut Run,
    trials: &impl TrialRunner,
    writer: &mut Writer,
    observe: impl FnMut(RunEvent<'_>),
) -> Result<RunEnd, StoreError> {
    let mut course = RunCourse { run, writer, trials, observe, gave_up: false };
    let ended = loop {
        match course.advance(agenda) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(stop) => break Err(stop),
        }
    };
    match ended {
        Ok(()) if course.gave_up => Ok(RunEnd::GaveUp),
        Ok(()) => {
            course.store(Line::Finished { at_ms: clock::unix_ms() })?;
            Ok(RunEnd::Finished)
        }
        Err(Stop::Signal(signal)) => {
            course.store(Line::Interrupted { signal: signal.into() })?;
            Ok(RunEnd::Interrupted(signal))
        }
        Err(Stop::Store(error)) => Err(error),
    }
}

/// A run on its way: in hand and on disk.
struct RunCourse<'a, T, O> {
    run: &'a mut Run,
    writer: &'a mut Writer,
    trials: &'a T,
    observe: O,
    /// Whether something that was planned is not run.
    gave_up: bool,
}

impl<T: TrialRunner, O: FnMut(RunEvent<'_>)> RunCourse<'_, T, O> {
    /// Does what comes next; whether there was anything.
    fn advance(&mut self, agenda: &impl Agenda) -> Result<bool, Stop> {
        let Due { notices, ahead } = agenda.next(self.run);
        for notice in &notices {
            (self.observe)(RunEvent::Noticed(notice));
        }
        match ahead {
            Ahead::Trial(asked) => self.trial(*asked)?,
            Ahead::GiveUp { given_up, saved } => self.give_up(given_up, saved)?,
            Ahead::Nothing => return Ok(false),
        }
        Ok(true)
    }

    /// Runs a trial once and stores it.
    fn trial(&mut self, asked: AskedTrial) -> Result<(), Stop> {
        let AskedTrial { probe, plan, sequence, attempt } = asked;
        self.trials.interrupted().map_or(Ok(()), Err)?;
        if let Some(probe) = probe {
            self.store(Line::Probe(Box::new(probe)))?;
        }
        let observe = &mut self.observe;
        observe(RunEvent::Begins { sequence, plan: &plan });
        let left_behind = &mut |left: &str| observe(RunEvent::LeftBehind(left));
        let record = self.trials.run(&plan, sequence, left_behind)?;
        self.store(Line::Trial(Box::new(TrialRecord { attempt, ..record })))?;
        if let Some(record) = self.run.trials.last() {
            (self.observe)(RunEvent::Ended { record, run: self.run });
        }
        Ok(())
    }

    fn give_up(&mut self, given_up: GivenUp, saved: Option<usize>) -> Result<(), Stop> {
        self.gave_up = true;
        self.store(Line::GaveUp(Box::new(given_up.clone())))?;
        (self.observe)(RunEvent::GaveUp { given_up: &given_up, saved });
        Ok(())
    }

    fn store(&mut self, line: Line) -> Result<(), StoreError> {
        self.writer.append(&line)?;
        self.run.take(line);
        Ok(())
    }
}
