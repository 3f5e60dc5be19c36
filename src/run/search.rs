//! What comes next in a search for the highest rate: what the analysis asks for, until every cell
//! has its answer.
//!
//! Cells advance side by side, one trial each in a random order, so that what changes on the host
//! changes for all of them: next is a cell that has had the fewest trials of those without an
//! answer.

use std::collections::HashMap;

use super::{
    agenda::{Agenda, Ahead, AskedTrial, Due},
    give_up::Patience,
};
use crate::{
    analysis::{self, RateResult, RateTrial},
    plan::{self, Searchable},
    store::{GivenUp, Outcome, Probe, Run, TrialRecord},
    trial::TrialPlan,
};

/// A search of these cells.
#[derive(Debug)]
pub struct SearchAgenda<'a> {
    cells: &'a [Searchable],
    patience: Patience,
    /// Trials and what was given up before this search began, or was resumed.
    trials_before: usize,
    given_up_before: usize,
}

impl<'a> SearchAgenda<'a> {
    /// On from what `run` has already.
    pub fn new(cells: &'a [Searchable], run: &Run) -> Self {
        let patience = Patience::new(cells.iter().map(Searchable::cell).enumerate());
        let (trials_before, given_up_before) = (run.trials.len(), run.given_up.len());
        Self { cells, patience, trials_before, given_up_before }
    }

    /// How often this search has tried each cell, and how patient it still is; or what it gives up.
    fn replay(&self, run: &Run) -> Result<(Vec<usize>, Patience), GivenUp> {
        let mut patience = self.patience.clone();
        let mut tried = vec![0; self.cells.len()];
        let mut known = run.given_up[self.given_up_before..].iter();
        let mut pass = 0;
        let places = self.places(run);
        let mut is_measured = run.trials[..self.trials_before].iter().any(is_measured_trial);
        for record in &run.trials[self.trials_before..] {
            let Some(&cell) = places.get(record.cell.as_str()) else { continue };
            tried[cell] += 1;
            if tried[cell] > pass {
                pass = tried[cell];
                patience.begins_round();
            }
            // What fails at a rate when lower ones were measured is an answer.
            is_measured |= is_measured_trial(record);
            let lost = if is_measured { Vec::new() } else { patience.saw(cell, &record.outcome) };
            if let Some(new) = lost.into_iter().find(|_| known.next().is_none()) {
                return Err(new);
            }
        }
        Ok((tried, patience))
    }

    /// Of each rate's cell the one that is searched.
    fn places<'r>(&self, run: &'r Run) -> HashMap<&'r str, usize> {
        let names: Vec<String> = self.cells.iter().map(|cell| cell.stored().cell.name).collect();
        let place = |probe: &'r Probe| {
            let searched = names.iter().position(|name| *name == probe.of)?;
            Some((probe.cell.name.as_str(), searched))
        };
        run.probes.iter().filter_map(place).collect()
    }

    fn asked(&self, cell: usize, wanted: RateTrial, run: &Run) -> AskedTrial {
        let at = self.cells[cell].at(wanted.rate);
        let is_known = run.probes.iter().any(|probe| probe.cell.name == at.stored.name);
        let of = self.cells[cell].stored().cell.name;
        AskedTrial {
            probe: (!is_known).then_some(Probe { of, rate: wanted.rate, cell: at.stored }),
            plan: TrialPlan { round: wanted.round, ..at.trial },
            sequence: u32::try_from(run.trials.len() + 1).unwrap_or(u32::MAX),
            attempt: wanted.attempt,
        }
    }
}

impl Agenda for SearchAgenda<'_> {
    fn next(&self, run: &Run) -> Due {
        let (tried, patience) = match self.replay(run) {
            Ok(known) => known,
            Err(given_up) => return Ahead::GiveUp { given_up, saved: None }.into(),
        };
        let wanted = wanted(run, &patience);
        let fewest = wanted.keys().map(|&cell| tried[cell]).min().unwrap_or(0);
        let seed = run.header.seed.wrapping_add((self.trials_before + fewest) as u64);
        let order = plan::order(&vec![1; self.cells.len()], seed);
        let next = order.iter().map(|planned| planned.cell).find_map(|cell| {
            wanted.get(&cell).filter(|_| tried[cell] == fewest).map(|wanted| (cell, *wanted))
        });
        match next {
            Some((cell, wanted)) => Ahead::Trial(Box::new(self.asked(cell, wanted, run))).into(),
            None => Ahead::Nothing.into(),
        }
    }
}

/// The trial that each cell without an answer asks for; not of those that are given up.
fn wanted(run: &Run, patience: &Patience) -> HashMap<usize, RateTrial> {
    let results = analysis::rate_search(run).map_or(Vec::new(), |search| search.cells);
    let asked = results.iter().map(RateResult::trial).enumerate();
    let asked = asked.filter_map(|(cell, trial)| Some((cell, trial?)));
    asked.filter(|(cell, _)| !patience.is_over(*cell)).collect()
}

fn is_measured_trial(record: &TrialRecord) -> bool {
    matches!(record.outcome, Outcome::Measured(_))
}
