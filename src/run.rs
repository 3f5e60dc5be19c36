//! A run: the plan's trials one after another, each stored when it ends. Says what happens through events.
//!
//! A trial that something else on this host disturbed is run again at the end of its round, when its neighbours in
//! time are still those that it is compared with. The rule sees the counters of the host and nothing that the trial
//! measured. The run file keeps every attempt; the last one that was measured counts. A run that is
//! taken up runs again what has failed, unless the work was wrong; and of what was disturbed, only what it has itself seen.

use std::collections::BTreeMap;

use crate::{
    analysis, clock,
    plan::{Plan, Planned},
    store::{Line, Outcome, StoreError, TrialRecord, Writer},
    trial::{
        TrialPlan,
        parent::{Interrupted, Runner},
    },
};

/// A disturbed trial is run again at most so often.
const RETRIES: u32 = 2;

/// What happens in a run.
#[derive(Debug)]
pub enum Event<'a> {
    /// A trial begins: its place in the order, from 1, its attempt, from 0, and its plan.
    Begins {
        /// From 1.
        sequence: usize,
        /// From 0.
        attempt: u32,
        /// Its plan, for replaying.
        plan: &'a TrialPlan,
    },
    /// A trial has ended and is stored.
    Ended(&'a TrialRecord),
    /// Something disturbed the trial that has just ended.
    Disturbed {
        /// The trial.
        record: &'a TrialRecord,
        /// What, in words.
        reason: &'a str,
        /// Whether it is run again at the end of its round.
        again: bool,
    },
    /// The trial could not remove something from a server of the user's own: what, and what to do about it.
    LeftBehind(&'a str),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything planned was run.
    Finished,
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
    let rounds = left.chunk_by(|a, b| a.planned.round == b.planned.round);
    let mut trial = |placed: &Placed, again: u32| attempt_trial(plan, placed, again, runner, writer, &mut observe);
    let ended = rounds.into_iter().try_for_each(|round| with_retries(round, &mut trial));
    match ended {
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

/// Runs a round, and then again what was disturbed, in the same order. `trial` says whether it was.
fn with_retries<T: Copy, E>(round: &[T], mut trial: impl FnMut(&T, u32) -> Result<bool, E>) -> Result<(), E> {
    let mut left: Vec<T> = round.to_vec();
    for attempt in 0..=RETRIES {
        let mut disturbed = Vec::new();
        for one in &left {
            if trial(one, attempt)? {
                disturbed.push(*one);
            }
        }
        left = disturbed;
    }
    Ok(())
}

/// Runs a trial once and stores it; says whether it was disturbed. `again` counts how often this run was disturbed in it.
fn attempt_trial(
    plan: &Plan,
    &Placed { sequence, planned, attempts }: &Placed,
    again: u32,
    runner: &Runner,
    writer: &mut Writer,
    observe: &mut impl FnMut(Event<'_>),
) -> Result<bool, Stop> {
    runner.interrupted().map_or(Ok(()), Err)?;
    let (trial, attempt) = (plan.trial(planned), attempts + again);
    observe(Event::Begins { sequence, attempt, plan: &trial });
    let number = u32::try_from(sequence).unwrap_or(u32::MAX);
    let record = runner.run(&trial, number, |left| observe(Event::LeftBehind(left)))?;
    let line = Line::Trial(Box::new(TrialRecord { attempt, ..record }));
    writer.append(&line)?;
    let Line::Trial(record) = &line else { return Ok(false) };
    observe(Event::Ended(record));
    let reason = disturbance(record);
    if let Some(reason) = &reason {
        observe(Event::Disturbed { record, reason, again: again < RETRIES });
    }
    Ok(reason.is_some())
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
        let done: Result<(), ()> = with_retries(round, |&trial, attempt| {
            seen.push(format!("{trial}{attempt}"));
            Ok(disturbed.iter().any(|&(name, until)| name == trial && attempt < until))
        });
        done.expect("nothing stops it");
        seen
    }

    #[test]
    fn disturbed_trials_are_run_again_at_the_end_of_the_round() {
        assert_eq!(order(&['a', 'b', 'c'], &[]), ["a0", "b0", "c0"]);
        assert_eq!(order(&['a', 'b', 'c'], &[('a', 1), ('c', 2)]), ["a0", "b0", "c0", "a1", "c1", "c2"]);
    }

    #[test]
    fn twice_at_most() {
        assert_eq!(order(&['a', 'b'], &[('b', 99)]), ["a0", "b0", "b1", "b2"]);
    }

    #[test]
    fn what_stops_a_trial_stops_the_round() {
        let mut ran = 0;
        let stopped = with_retries(&[1, 2, 3], |&trial, _| {
            ran += 1;
            if trial == 2 { Err("a signal") } else { Ok(true) }
        });
        assert_eq!((stopped, ran), (Err("a signal"), 2));
    }
}
