//! What a search for the highest rate has found, cell by cell and rate by rate.

use super::{
    bracket::{Decision, SearchAnswer},
    vote::Votes,
};
use crate::{
    scenario::{Param, Slo},
    store::Lane,
};

/// What a search has found so far.
#[derive(Debug, Clone, PartialEq)]
pub struct RateSearch {
    /// The least rate that fails is at most so much above the highest that passes, as a share.
    pub precision: f64,
    /// One for each searched cell, in order.
    pub cells: Vec<RateResult>,
}

/// The search of one cell.
#[derive(Debug, Clone, PartialEq)]
pub struct RateResult {
    /// The cell's name, without a rate.
    pub cell: String,
    /// The scenario's name.
    pub scenario: String,
    /// The executor's name.
    pub executor: String,
    /// The executor as shown.
    pub label: String,
    /// The parameters, without the rate.
    pub params: Vec<Param>,
    /// Its lane; none where the whole search is of the same-code lane.
    pub lane: Option<Lane>,
    /// The limits that it must meet.
    pub limits: Vec<Slo>,
    /// The rates that were tried, ascending.
    pub rates: Vec<TriedRate>,
    /// What comes next.
    pub state: RateState,
}

/// How far the search of a cell is.
#[derive(Debug, Clone, PartialEq)]
pub enum RateState {
    /// A trial is to be run.
    Trial(RateTrial),
    /// There is an answer.
    Answered(SearchAnswer),
    /// Every trial of the first rate failed, and not because of the rate: why.
    Failed(String),
    /// A limit of the host forbids the cell: why.
    Refused(String),
}

/// A trial that a search asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateTrial {
    /// Arrivals per second.
    pub rate: f64,
    /// The round, from 1.
    pub round: u32,
    /// From 0; above: its last attempt was disturbed.
    pub attempt: u32,
}

/// One rate that was tried.
#[derive(Debug, Clone, PartialEq)]
pub struct TriedRate {
    /// Arrivals per second.
    pub rate: f64,
    /// What its trials say.
    pub votes: Votes,
    /// What they have decided; none: more trials are needed.
    pub decision: Option<Decision>,
    /// Why trials did not meet the limits, or could not be judged: each reason once.
    pub reasons: Vec<String>,
    /// Those of trials that could not be judged, each with what to do about it.
    pub doubts: Vec<(String, &'static str)>,
    /// What was measured of each limit: the median of its trials; none of too few samples.
    pub values: Vec<Option<f64>>,
    /// Trials that gave no figures.
    pub failed: u32,
    /// A round that was disturbed and is to be run again, with the number of the attempt.
    pub again: Option<(u32, u32)>,
    /// Disturbed trials since the last one that was not, every attempt counted.
    pub disturbed: usize,
}

impl TriedRate {
    /// A rate of whose trials no more is known than what they have decided.
    pub fn new(rate: f64, votes: Votes, decision: Option<Decision>) -> Self {
        Self {
            rate,
            votes,
            decision,
            reasons: Vec::new(),
            doubts: Vec::new(),
            values: Vec::new(),
            failed: 0,
            again: None,
            disturbed: 0,
        }
    }

    /// Why a trial did not meet its limits: the first that says so.
    pub fn miss(&self) -> Option<&str> {
        let is_doubt = |reason: &str| self.doubts.iter().any(|(doubt, _)| doubt == reason);
        self.reasons.iter().map(String::as_str).find(|reason| !is_doubt(reason))
    }

    /// What keeps its trials from deciding, and what to do about it. Trials that say nothing do,
    /// unless more of them contradict each other.
    pub fn doubt(&self) -> Option<(&str, &'static str)> {
        let contradicting = self.votes.meets.min(self.votes.misses);
        let doubt = self.doubts.first().filter(|_| self.votes.open > contradicting);
        doubt.map(|(why, remedy)| (why.as_str(), *remedy))
    }

    pub(super) fn next_trial(&self) -> RateTrial {
        let (round, attempt) = self.again.unwrap_or((self.votes.all() + 1, 0));
        RateTrial { rate: self.rate, round, attempt }
    }
}

impl RateResult {
    /// A rate that was tried.
    pub fn at(&self, rate: f64) -> Option<&TriedRate> {
        self.rates.iter().find(|tried| tried.rate.total_cmp(&rate).is_eq())
    }

    /// The trial that comes next, unless there is an answer.
    pub fn trial(&self) -> Option<RateTrial> {
        if let RateState::Trial(trial) = self.state { Some(trial) } else { None }
    }

    /// The highest rate that passes and the least that fails, as far as they are known.
    pub fn bounds(&self) -> (Option<f64>, Option<f64>) {
        match self.state {
            RateState::Answered(SearchAnswer::Found { passes, fails }) => {
                (Some(passes), Some(fails))
            }
            RateState::Answered(SearchAnswer::AtLeast { passes }) => (Some(passes), None),
            RateState::Answered(SearchAnswer::Nothing { fails }) => (None, Some(fails)),
            RateState::Answered(SearchAnswer::Inconclusive { passes, fails }) => (passes, fails),
            RateState::Trial(_) => {
                let of = |decision| {
                    self.rates.iter().filter(move |tried| tried.decision == Some(decision))
                };
                let passes = of(Decision::Passes).map(|tried| tried.rate).reduce(f64::max);
                (passes, of(Decision::Fails).map(|tried| tried.rate).reduce(f64::min))
            }
            RateState::Failed(_) | RateState::Refused(_) => (None, None),
        }
    }

    /// Why the least rate that is known to fail does so.
    pub fn why(&self) -> Option<&str> {
        self.at(self.bounds().1?)?.miss()
    }

    /// From how many to how many times another cell's highest rate this one is, as far as both are
    /// known.
    pub fn times(&self, other: &Self) -> (Option<f64>, Option<f64>) {
        let ((passes, fails), (other_passes, other_fails)) = (self.bounds(), other.bounds());
        let ratio = |above: Option<f64>, below: Option<f64>| Some(above? / below?);
        (ratio(passes, other_fails), ratio(fails, other_passes))
    }
}

/// The cell whose highest rate is above every other's, wherever the true ones lie between their
/// bounds. Cells that have none are not compared, and one alone is above nobody.
pub fn rate_leader<'a>(cells: &[&'a RateResult]) -> Option<&'a RateResult> {
    let answered =
        |cell: &&&RateResult| matches!(cell.state, RateState::Answered(_) | RateState::Trial(_));
    let compared: Vec<&RateResult> = cells.iter().filter(answered).copied().collect();
    let is_ahead = |cell: &&&'a RateResult| {
        let passes = cell.bounds().0;
        let mut others = compared.iter().filter(|other| other.cell != cell.cell);
        others.all(|other| {
            passes.zip(other.bounds().1).is_some_and(|(passes, fails)| fails <= passes)
        })
    };
    let leader = cells.iter().filter(answered).find(is_ahead).copied();
    leader.filter(|_| compared.len() > 1)
}

impl RateSearch {
    /// Whether a limit of the host forbids a cell.
    pub fn has_refusals(&self) -> bool {
        self.cells.iter().any(|cell| matches!(cell.state, RateState::Refused(_)))
    }

    /// Whether a trial gave no figures.
    pub fn has_failures(&self) -> bool {
        self.cells.iter().flat_map(|cell| &cell.rates).any(|tried| tried.failed > 0)
    }

    /// Whether in some cell not even the lowest rate passes.
    pub fn has_nothing(&self) -> bool {
        self.cells
            .iter()
            .any(|cell| matches!(cell.state, RateState::Answered(SearchAnswer::Nothing { .. })))
    }

    /// Whether in some cell the noise does not decide.
    pub fn is_inconclusive(&self) -> bool {
        self.cells.iter().any(|cell| {
            matches!(cell.state, RateState::Answered(SearchAnswer::Inconclusive { .. }))
        })
    }
}
