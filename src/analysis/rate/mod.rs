//! The search for the highest rate that meets a limit (`regatta find-rate`): what was found, and what is to be tried next.
//!
//! All of it follows from the run file, so that a search that was interrupted goes on where it was, and one that has ended
//! is shown again. `vote` counts what the trials of a rate say, `judge` what a single one says, `bracket` encloses the rate.

mod bracket;
mod judge;
mod vote;

pub use bracket::{Answer, Bracket, Decision, Next};
pub use vote::{Vote, Votes};

use super::{disturbance, group, stats};
use crate::{
    scenario::{Param, Slo},
    store::{Absent, Lane, Outcome, Probe, Rounds, Run, Search, SearchedCell, TrialRecord},
};

/// A trial that something else on the host disturbed is run again at most so often.
const RETRIES: u32 = 2;
/// After so many disturbed trials in a row of one rate, or of a whole search that has no other, the host does not let it be
/// decided. A host that disturbs six of ten trials disturbs as many in a row in one of twenty cases.
const HOPELESS: usize = 6;

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
    Answered(Answer),
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

/// What a run that is a search has found; none of other runs.
pub fn rate_search(run: &Run) -> Option<RateSearch> {
    let search = run.header.search.as_ref()?;
    let rounds = run.rounds();
    let mut cells: Vec<RateResult> = search.cells.iter().map(|searched| result(&rounds, search, searched)).collect();
    end_if_hopeless(run, &mut cells);
    Some(RateSearch { precision: search.precision, cells })
}

/// Ends a search of which every trial was disturbed, when each of its cells has had one.
fn end_if_hopeless(run: &Run, cells: &mut [RateResult]) {
    let open = |cell: &&mut RateResult| matches!(cell.state, RateState::Trial(_));
    let all_met = cells.iter_mut().filter(open).all(|cell| !cell.rates.is_empty());
    if all_met && run.trials.len() >= HOPELESS && run.trials.iter().all(is_disturbed) {
        for cell in cells.iter_mut().filter(open) {
            cell.state = RateState::Answered(Answer::Inconclusive { passes: None, fails: None });
        }
    }
}

/// What one trial of a search says; none where it is of no rate that is searched.
pub fn vote_of(run: &Run, record: &TrialRecord) -> Option<Vote> {
    let probe = run.probes.iter().find(|probe| probe.cell.name == record.cell)?;
    let limits = limits(run, probe);
    Some(judge::vote(&probe.cell, &limits.iter().collect::<Vec<_>>(), &record.outcome, run.header.clock_ns))
}

fn result(rounds: &Rounds<'_>, search: &Search, searched: &SearchedCell) -> RateResult {
    let cell = &searched.cell;
    let probes = rounds.run.probes.iter().filter(|probe| probe.of == cell.name);
    let mut rates: Vec<TriedRate> = probes.map(|probe| tried(rounds, probe, search.most_trials)).collect();
    let state = match &cell.absent {
        Some(Absent::Refused(why) | Absent::NotApplicable(why)) => RateState::Refused(why.clone()),
        None => state(search, searched, &rates),
    };
    rates.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    RateResult {
        cell: cell.name.clone(),
        scenario: cell.scenario.clone(),
        executor: cell.executor.clone(),
        label: cell.label.clone(),
        params: cell.params.clone(),
        lane: group::told(rounds.run, cell.lane),
        limits: limits_of(rounds.run, &cell.scenario, &cell.params),
        rates,
        state,
    }
}

/// The rates in the order in which they were tried lead to what comes next.
fn state(search: &Search, searched: &SearchedCell, rates: &[TriedRate]) -> RateState {
    let mut bracket = Bracket::new(searched.start, search.highest, search.precision);
    for tried in rates {
        if tried.disturbed >= HOPELESS {
            return RateState::Answered(bracket.give_up());
        }
        let Some(decision) = tried.decision else { return RateState::Trial(tried.next_trial()) };
        if decision == Decision::Fails && tried.failed == tried.votes.misses && rates.len() == 1 {
            return RateState::Failed(tried.miss().unwrap_or_default().to_owned());
        }
        bracket.tell(tried.rate, decision);
    }
    match bracket.next() {
        Next::Probe(rate) => RateState::Trial(RateTrial { rate, round: 1, attempt: 0 }),
        Next::Answered(answer) => RateState::Answered(answer),
    }
}

fn tried(rounds: &Rounds<'_>, probe: &Probe, most_trials: u32) -> TriedRate {
    let run = rounds.run;
    let limits = limits(run, probe);
    let limits: Vec<&Slo> = limits.iter().collect();
    let trials: Vec<&TrialRecord> = rounds.of(&probe.cell.name).map(|(_, trial)| trial).collect();
    let (mut votes, mut reasons, mut doubts, mut failed) = (Votes::default(), Vec::new(), Vec::new(), 0);
    for trial in &trials {
        let vote = judge::vote(&probe.cell, &limits, &trial.outcome, run.header.clock_ns);
        votes.add(&vote);
        failed += u32::from(matches!(vote, Vote::Failed(_)));
        let Some(why) = vote.why().filter(|why| !reasons.iter().any(|known| known == why)) else { continue };
        reasons.push(why.to_owned());
        doubts.extend(vote.remedy().map(|remedy| (why.to_owned(), remedy)));
    }
    // Of all attempts: one that failed is not run again, although the disturbed one before it counts.
    let last = run.trials.iter().rfind(|trial| trial.cell == probe.cell.name);
    let again = last.filter(|trial| is_disturbed(trial) && trial.attempt < RETRIES);
    let again = again.map(|trial| (trial.round, trial.attempt + 1));
    let of_rate = run.trials.iter().rev().filter(|trial| trial.cell == probe.cell.name);
    let disturbed = of_rate.take_while(|trial| is_disturbed(trial)).count();
    let hopeless = (disturbed >= HOPELESS).then_some(Decision::Undecided);
    let decision = votes.decision(most_trials).filter(|_| again.is_none()).or(hopeless);
    let measured = |limit: &&Slo| {
        let values = trials.iter().filter_map(|trial| match &trial.outcome {
            Outcome::Measured(measured) => judge::value(limit, &probe.cell, measured, run.header.clock_ns),
            Outcome::Failed(_) => None,
        });
        // A median without those that are only known to be high would be too low.
        stats::median(&values.map(|(value, _)| value.known()).collect::<Option<Vec<_>>>()?)
    };
    let values = limits.iter().map(measured).collect();
    TriedRate { reasons, doubts, values, failed, again, disturbed, ..TriedRate::new(probe.rate, votes, decision) }
}

fn is_disturbed(trial: &TrialRecord) -> bool {
    matches!(&trial.outcome, Outcome::Measured(measured) if disturbance(&measured.host).is_some())
}

/// The limits of a probe's cell.
fn limits(run: &Run, probe: &Probe) -> Vec<Slo> {
    limits_of(run, &probe.cell.scenario, &probe.cell.params)
}

/// The scenario's limits that are about a cell with these parameters.
fn limits_of(run: &Run, scenario: &str, params: &[Param]) -> Vec<Slo> {
    let all = run.header.scenarios.iter().filter(|stored| stored.name == scenario).flat_map(|stored| &stored.slos);
    all.filter(|slo| slo.only.iter().all(|param| params.contains(param))).cloned().collect()
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

    /// What keeps its trials from deciding, and what to do about it. Trials that say nothing do, unless more of them
    /// contradict each other.
    pub fn doubt(&self) -> Option<(&str, &'static str)> {
        let contradicting = self.votes.meets.min(self.votes.misses);
        let doubt = self.doubts.first().filter(|_| self.votes.open > contradicting);
        doubt.map(|(why, remedy)| (why.as_str(), *remedy))
    }

    fn next_trial(&self) -> RateTrial {
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
            RateState::Answered(Answer::Found { passes, fails }) => (Some(passes), Some(fails)),
            RateState::Answered(Answer::AtLeast { passes }) => (Some(passes), None),
            RateState::Answered(Answer::Nothing { fails }) => (None, Some(fails)),
            RateState::Answered(Answer::Inconclusive { passes, fails }) => (passes, fails),
            RateState::Trial(_) => {
                let of = |decision| self.rates.iter().filter(move |tried| tried.decision == Some(decision));
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

    /// From how many to how many times another cell's highest rate this one is, as far as both are known.
    pub fn times(&self, other: &Self) -> (Option<f64>, Option<f64>) {
        let ((passes, fails), (other_passes, other_fails)) = (self.bounds(), other.bounds());
        let ratio = |above: Option<f64>, below: Option<f64>| Some(above? / below?);
        (ratio(passes, other_fails), ratio(fails, other_passes))
    }
}

/// The cell whose highest rate is above every other's, wherever the true ones lie between their bounds. Cells that have
/// none are not compared, and one alone is above nobody.
pub fn rate_leader<'a>(cells: &[&'a RateResult]) -> Option<&'a RateResult> {
    let answered = |cell: &&&RateResult| matches!(cell.state, RateState::Answered(_) | RateState::Trial(_));
    let compared: Vec<&RateResult> = cells.iter().filter(answered).copied().collect();
    let is_ahead = |cell: &&&'a RateResult| {
        let passes = cell.bounds().0;
        let mut others = compared.iter().filter(|other| other.cell != cell.cell);
        others.all(|other| passes.zip(other.bounds().1).is_some_and(|(passes, fails)| fails <= passes))
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
        self.cells.iter().any(|cell| matches!(cell.state, RateState::Answered(Answer::Nothing { .. })))
    }

    /// Whether in some cell the noise does not decide.
    pub fn is_inconclusive(&self) -> bool {
        self.cells.iter().any(|cell| matches!(cell.state, RateState::Answered(Answer::Inconclusive { .. })))
    }
}

#[cfg(test)]
mod tests;
