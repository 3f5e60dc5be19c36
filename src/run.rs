//! A run: the plan's trials one after another, each stored when it ends. Says what happens through events.
//!
//! A trial that something else on this host disturbed is run again at the end of its round, when its neighbours in
//! time are still those that it is compared with. The rule sees the counters of the host and nothing that the trial
//! measured. The run file keeps every attempt; the last one that was measured counts. A run that is
//! resumed runs again what has failed, unless the work was wrong; and of what was disturbed, only what it has itself seen.
//! What fails everywhere is given up (`give_up`).

mod give_up;

use std::collections::BTreeMap;

pub(crate) use self::give_up::Patience;
use crate::{
    analysis, clock,
    plan::{MOST_AGAIN, Plan, Planned},
    store::{GivenUp, Line, Outcome, StoreError, TrialRecord, Writer},
    trial::{
        TrialPlan,
        parent::{Interrupted, Runner},
    },
};

/// What happens in a run.
#[derive(Debug)]
pub enum Event<'a> {
    /// A trial begins: its place in the order, from 1, and its plan, for replaying.
    Begins {
        /// From 1.
        sequence: usize,
        /// Whether it is run again.
        again: bool,
        /// Its plan, for replaying.
        plan: &'a TrialPlan,
    },
    /// A trial has ended and is stored.
    Ended(&'a TrialRecord),
    /// So many trials of the round that has ended were disturbed, and are run again now.
    Again(usize),
    /// A round has ended in which something disturbed trials.
    Disturbed {
        /// The round, from 1.
        round: u32,
        /// Trials of the round.
        trials: usize,
        /// Those that were disturbed.
        disturbed: &'a [Disturbance],
    },
    /// Something has failed wherever it was tried; so many trials are not run for it.
    GaveUp(&'a GivenUp, usize),
    /// The trial could not remove something from a server of the user's own: what, and what to do about it.
    LeftBehind(&'a str),
}

/// A trial that something disturbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disturbance {
    /// Its cell.
    pub cell: String,
    /// By what, in words, when it was last run.
    pub reason: String,
    /// Whether its last attempt was disturbed, too.
    pub stays: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything planned was run.
    Finished,
    /// What is left was given up.
    GaveUp,
    /// A signal ended it: its name.
    Interrupted(&'static str),
}

/// Why a run, or a search, does not go on.
pub(crate) enum Stop {
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

/// What is to be run: the name of a cell and a round, with the number of the first attempt.
pub type Left = BTreeMap<(String, u32), u32>;

/// A trial of the plan.
#[derive(Clone, Copy)]
struct Placed {
    /// Its place in the order, from 1.
    sequence: usize,
    planned: Planned,
    /// Attempts that the run file has already.
    attempts: u32,
}

/// Runs what is left of the plan.
pub fn execute(
    plan: &Plan,
    left: &Left,
    runner: &Runner,
    writer: &mut Writer,
    mut observe: impl FnMut(Event<'_>),
) -> Result<End, StoreError> {
    let placed = |(sequence, &planned): (usize, &Planned)| {
        left.get(&plan.name_of(&planned)).map(|&attempts| Placed { sequence, planned, attempts })
    };
    let left: Vec<Placed> = (1..).zip(&plan.trials).filter_map(placed).collect();
    let cells = left.iter().map(|placed| (placed.planned.cell, &plan.cells[placed.planned.cell]));
    let patience = Patience::new(cells);
    let disturbed = Vec::new();
    let mut course = Course { plan, left: &left, runner, writer: &mut *writer, patience, disturbed, gave_up: false };
    let rounds = left.chunk_by(|a, b| a.planned.round == b.planned.round);
    let ended = rounds.into_iter().try_for_each(|round| course.round(round, &mut observe));
    match ended {
        Ok(()) if course.gave_up => Ok(End::GaveUp),
        Ok(()) => {
            writer.append(&Line::Finished { at_ms: clock::unix_ms() })?;
            Ok(End::Finished)
        }
        Err(Stop::Signal(signal)) => {
            writer.append(&Line::Interrupted { signal: signal.into() })?;
            Ok(End::Interrupted(signal))
        }
        Err(Stop::Store(error)) => Err(error),
    }
}

/// A run on its way.
struct Course<'a> {
    plan: &'a Plan,
    left: &'a [Placed],
    runner: &'a Runner,
    writer: &'a mut Writer,
    patience: Patience,
    /// The disturbed trials of this round.
    disturbed: Vec<Disturbance>,
    /// Whether something that was planned is not run.
    gave_up: bool,
}

impl Course<'_> {
    fn round(&mut self, round: &[Placed], observe: &mut impl FnMut(Event<'_>)) -> Result<(), Stop> {
        self.patience.begins_round();
        self.disturbed.clear();
        with_retries(round, |step| match step {
            Step::Again(trials) => {
                observe(Event::Again(trials));
                Ok(false)
            }
            Step::Trial(placed, _) if self.patience.is_over(placed.planned.cell) => Ok(false),
            Step::Trial(placed, again) => self.trial(placed, again, observe),
        })?;
        if let Some(first) = round.first().filter(|_| !self.disturbed.is_empty()) {
            let (round, trials) = (first.planned.round, round.len());
            observe(Event::Disturbed { round, trials, disturbed: &self.disturbed });
        }
        Ok(())
    }

    /// Runs a trial once and stores it; says whether it was disturbed. `again` counts how often this run was disturbed in
    /// it.
    fn trial(&mut self, placed: &Placed, again: u32, observe: &mut impl FnMut(Event<'_>)) -> Result<bool, Stop> {
        let &Placed { sequence, planned, attempts } = placed;
        self.runner.interrupted().map_or(Ok(()), Err)?;
        let (trial, attempt) = (self.plan.trial(planned), attempts + again);
        observe(Event::Begins { sequence, again: attempt > 0, plan: &trial });
        let number = u32::try_from(sequence).unwrap_or(u32::MAX);
        let record = self.runner.run(&trial, number, |left| observe(Event::LeftBehind(left)))?;
        let line = Line::Trial(Box::new(TrialRecord { attempt, ..record }));
        self.writer.append(&line)?;
        let Line::Trial(record) = &line else { return Ok(false) };
        observe(Event::Ended(record));
        self.give_up(placed, &record.outcome, observe)?;
        Ok(self.note_disturbance(record))
    }

    /// Gives up what has failed wherever it was tried, where that saves a trial.
    fn give_up(&mut self, placed: &Placed, outcome: &Outcome, observe: &mut impl FnMut(Event<'_>)) -> Result<(), Stop> {
        for given_up in self.patience.saw(placed.planned.cell, outcome) {
            let ahead = self.left.iter().filter(|other| other.sequence > placed.sequence);
            let saved = ahead.filter(|other| given_up.cells.contains(&self.plan.name_of(&other.planned).0)).count();
            if saved > 0 {
                self.gave_up = true;
                self.writer.append(&Line::GaveUp(Box::new(given_up.clone())))?;
                observe(Event::GaveUp(&given_up, saved));
            }
        }
        Ok(())
    }

    /// Whether the trial was disturbed; the round's list of those is kept.
    fn note_disturbance(&mut self, record: &TrialRecord) -> bool {
        let reason = disturbance(record);
        let known = self.disturbed.iter_mut().find(|known| known.cell == record.cell);
        match (known, &reason) {
            (Some(known), Some(reason)) => known.reason.clone_from(reason),
            (Some(known), None) => known.stays = false,
            (None, Some(reason)) => {
                self.disturbed.push(Disturbance { cell: record.cell.clone(), reason: reason.clone(), stays: true });
            }
            (None, None) => {}
        }
        reason.is_some()
    }
}

/// What comes next in a round.
enum Step<'a, T> {
    /// A trial, and how often it was disturbed before.
    Trial(&'a T, u32),
    /// So many trials of the round are run again.
    Again(usize),
}

/// Goes through a round, and then again through what was disturbed, in the same order. `next` says whether a trial was.
fn with_retries<T: Copy, E>(round: &[T], mut next: impl FnMut(Step<'_, T>) -> Result<bool, E>) -> Result<(), E> {
    let mut left: Vec<T> = round.to_vec();
    for attempt in 0..=MOST_AGAIN {
        if attempt > 0 && !left.is_empty() {
            next(Step::Again(left.len()))?;
        }
        let mut disturbed = Vec::new();
        for one in &left {
            if next(Step::Trial(one, attempt))? {
                disturbed.push(*one);
            }
        }
        left = disturbed;
    }
    Ok(())
}

fn disturbance(record: &TrialRecord) -> Option<String> {
    match &record.outcome {
        Outcome::Measured(measured) => analysis::disturbance(&measured.host),
        Outcome::Failed(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is run, with its attempt, where some trials are disturbed in their first attempts.
    fn order(round: &[char], disturbed: &[(char, u32)]) -> Vec<String> {
        let mut seen = Vec::new();
        let done: Result<(), ()> = with_retries(round, |step| match step {
            Step::Again(trials) => {
                seen.push(format!("again {trials}"));
                Ok(false)
            }
            Step::Trial(&trial, attempt) => {
                seen.push(format!("{trial}{attempt}"));
                Ok(disturbed.iter().any(|&(name, until)| name == trial && attempt < until))
            }
        });
        done.expect("nothing stops it");
        seen
    }

    #[test]
    fn disturbed_trials_are_run_again_at_the_end_of_the_round() {
        assert_eq!(order(&['a', 'b', 'c'], &[]), ["a0", "b0", "c0"]);
        assert_eq!(
            order(&['a', 'b', 'c'], &[('a', 1), ('c', 2)]),
            ["a0", "b0", "c0", "again 2", "a1", "c1", "again 1", "c2"]
        );
    }

    #[test]
    fn twice_at_most() {
        assert_eq!(order(&['a', 'b'], &[('b', 99)]), ["a0", "b0", "again 1", "b1", "again 1", "b2"]);
    }

    #[test]
    fn what_stops_a_trial_stops_the_round() {
        let mut ran = 0;
        let stopped = with_retries(&[1, 2, 3], |step| {
            ran += 1;
            if matches!(step, Step::Trial(2, _)) { Err("a signal") } else { Ok(true) }
        });
        assert_eq!((stopped, ran), (Err("a signal"), 2));
    }
}
