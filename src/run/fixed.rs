//! What comes next in a fixed plan: its trials in their order, round by round.
//!
//! A trial that something else on this host disturbed is run again at the end of its round, when
//! its neighbours in time are still those that it is compared with. The rule sees the counters of
//! the host and nothing that the trial measured. The run file keeps every attempt; the last one
//! that was measured counts. A run that is resumed runs again what has failed, unless the work was
//! wrong; and of what was disturbed, only what it has itself seen. What fails everywhere is given
//! up (`give_up`).

use std::{collections::BTreeMap, slice};

use super::{
    agenda::{Agenda, Ahead, AskedTrial, Disturbance, Due, Notice},
    give_up::Patience,
};
use crate::{
    analysis,
    plan::{MOST_AGAIN, Plan, Planned},
    store::{GivenUp, Outcome, Run, TrialRecord},
};

/// What is to be run: the name of a cell and a round, with the number of the first attempt.
pub type Remaining = BTreeMap<(String, u32), u32>;

/// What is left of a plan.
#[derive(Debug)]
pub struct FixedAgenda<'a> {
    plan: &'a Plan,
    left: Vec<PlannedTrial>,
    patience: Patience,
    /// Trials and what was given up before this run began, or was resumed.
    trials_before: usize,
    given_up_before: usize,
}

/// A trial of the plan.
#[derive(Debug, Clone, Copy)]
struct PlannedTrial {
    /// Its place in the order, from 1.
    sequence: u32,
    planned: Planned,
    /// Attempts that the run file has already.
    attempts: u32,
}

impl<'a> FixedAgenda<'a> {
    /// Of what `run` has not yet of its plan.
    pub fn new(plan: &'a Plan, run: &Run) -> Self {
        let missing = left(run);
        let placed = |(sequence, &planned): (u32, &Planned)| {
            let attempts = *missing.get(&plan.name_of(&planned))?;
            Some(PlannedTrial { sequence, planned, attempts })
        };
        let left: Vec<PlannedTrial> = (1..).zip(&plan.trials).filter_map(placed).collect();
        let cells =
            left.iter().map(|placed| (placed.planned.cell, &plan.cells[placed.planned.cell]));
        let patience = Patience::new(cells);
        let (trials_before, given_up_before) = (run.trials.len(), run.given_up.len());
        Self { plan, left, patience, trials_before, given_up_before }
    }
}

/// What a run has not yet, or what has failed in it and may not fail again.
pub fn left(run: &Run) -> Remaining {
    let missing = run.missing().into_iter();
    missing.map(|((cell, round), attempts)| ((cell.to_owned(), round), attempts)).collect()
}

impl Agenda for FixedAgenda<'_> {
    fn next(&self, run: &Run) -> Due {
        let mut replay = Replay::new(self, run);
        let mut rounds = self.left.chunk_by(|a, b| a.planned.round == b.planned.round);
        match rounds.try_for_each(|round| replay.round(round)) {
            Ok(()) => replay.due(Ahead::Nothing),
            Err(due) => *due,
        }
    }
}

/// Goes through the plan as far as the run has come. What has no trial yet comes next, and stops
/// it.
struct Replay<'a> {
    agenda: &'a FixedAgenda<'a>,
    trials: slice::Iter<'a, TrialRecord>,
    given_up: slice::Iter<'a, GivenUp>,
    patience: Patience,
    /// The disturbed trials of this round.
    disturbed: Vec<Disturbance>,
    /// What has come to pass since the last trial.
    notices: Vec<Notice>,
}

impl<'a> Replay<'a> {
    fn new(agenda: &'a FixedAgenda<'_>, run: &'a Run) -> Self {
        Self {
            agenda,
            trials: run.trials[agenda.trials_before..].iter(),
            given_up: run.given_up[agenda.given_up_before..].iter(),
            patience: agenda.patience.clone(),
            disturbed: Vec::new(),
            notices: Vec::new(),
        }
    }

    fn due(&mut self, ahead: Ahead) -> Due {
        Due { notices: std::mem::take(&mut self.notices), ahead }
    }

    fn round(&mut self, round: &[PlannedTrial]) -> Result<(), Box<Due>> {
        self.patience.begins_round();
        self.disturbed.clear();
        with_retries(round, |stage| match stage {
            RoundStage::Again(trials) => {
                self.notices.push(Notice::Again(trials));
                Ok(false)
            }
            RoundStage::Trial(placed, _) if self.patience.is_over(placed.planned.cell) => Ok(false),
            RoundStage::Trial(placed, again) => self.trial(placed, again),
        })?;
        if let Some(first) = round.first().filter(|_| !self.disturbed.is_empty()) {
            let disturbed = self.disturbed.clone();
            let (round, trials) = (first.planned.round, round.len());
            self.notices.push(Notice::Disturbed { round, trials, disturbed });
        }
        Ok(())
    }

    /// Whether a trial was disturbed, if it has ended. `again` counts how often this run was
    /// disturbed in it.
    fn trial(&mut self, placed: &PlannedTrial, again: u32) -> Result<bool, Box<Due>> {
        let Some(record) = self.trials.next() else {
            let &PlannedTrial { sequence, planned, attempts } = placed;
            let (plan, attempt) = (self.agenda.plan.trial(planned), attempts + again);
            let asked = AskedTrial { probe: None, plan, sequence, attempt };
            return Err(Box::new(self.due(Ahead::Trial(Box::new(asked)))));
        };
        self.notices.clear();
        self.give_up(placed, &record.outcome)?;
        Ok(self.note_disturbance(record))
    }

    /// Gives up what has failed wherever it was tried, where that saves a trial.
    fn give_up(&mut self, placed: &PlannedTrial, outcome: &Outcome) -> Result<(), Box<Due>> {
        for given_up in self.patience.saw(placed.planned.cell, outcome) {
            let saved = self.agenda.saved(placed, &given_up);
            if saved > 0 && self.given_up.next().is_none() {
                let ahead = Ahead::GiveUp { given_up, saved: Some(saved) };
                return Err(Box::new(self.due(ahead)));
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
                self.disturbed.push(Disturbance {
                    cell: record.cell.clone(),
                    reason: reason.clone(),
                    stays: true,
                });
            }
            (None, None) => {}
        }
        reason.is_some()
    }
}

impl FixedAgenda<'_> {
    /// Trials after this one that are not run for what is given up.
    fn saved(&self, placed: &PlannedTrial, given_up: &GivenUp) -> usize {
        let ahead = self.left.iter().filter(|other| other.sequence > placed.sequence);
        ahead.filter(|other| given_up.cells.contains(&self.plan.name_of(&other.planned).0)).count()
    }
}

/// What comes next in a round.
enum RoundStage<'a, T> {
    /// A trial, and how often it was disturbed before.
    Trial(&'a T, u32),
    /// So many trials of the round are run again.
    Again(usize),
}

/// Goes through a round, and then again through what was disturbed, in the same order. `next` says
/// whether a trial was.
fn with_retries<T: Copy, E>(
    round: &[T],
    mut next: impl FnMut(RoundStage<'_, T>) -> Result<bool, E>,
) -> Result<(), E> {
    let mut left: Vec<T> = round.to_vec();
    for attempt in 0..=MOST_AGAIN {
        if attempt > 0 && !left.is_empty() {
            next(RoundStage::Again(left.len()))?;
        }
        let mut disturbed = Vec::new();
        for one in &left {
            if next(RoundStage::Trial(one, attempt))? {
                disturbed.push(*one);
            }
        }
        left = disturbed;
    }
    Ok(())
}

fn disturbance(record: &TrialRecord) -> Option<String> {
    match &record.outcome {
        Outcome::Measured(measured) => analysis::disturbance(&measured.trial.host),
        Outcome::Failed(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is run, with its attempt, where some trials are disturbed in their first attempts.
    fn order(round: &[char], disturbed: &[(char, u32)]) -> Vec<String> {
        let mut seen = Vec::new();
        let done: Result<(), ()> = with_retries(round, |stage| match stage {
            RoundStage::Again(trials) => {
                seen.push(format!("again {trials}"));
                Ok(false)
            }
            RoundStage::Trial(&trial, attempt) => {
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
        assert_eq!(
            order(&['a', 'b'], &[('b', 99)]),
            ["a0", "b0", "again 1", "b1", "again 1", "b2"]
        );
    }

    #[test]
    fn what_stops_a_trial_stops_the_round() {
        let mut ran = 0;
        let stopped = with_retries(&[1, 2, 3], |stage| {
            ran += 1;
            if matches!(stage, RoundStage::Trial(2, _)) { Err("a signal") } else { Ok(true) }
        });
        assert_eq!((stopped, ran), (Err("a signal"), 2));
    }
}
