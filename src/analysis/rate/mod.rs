//! The search for the highest rate that meets a limit (`regatta find-rate`): what was found, and
//! what is to be tried next.
//!
//! All of it follows from the run file, so that a search that was interrupted goes on where it was,
//! and one that has ended is shown again. `vote` counts what the trials of a rate say, `judge` what
//! a single one says, `bracket` encloses the rate.

mod bracket;
mod judge;
mod result;
mod vote;

pub use bracket::{Bracket, Decision, SearchAnswer, SearchStep};
pub use result::{RateResult, RateSearch, RateState, RateTrial, TriedRate, rate_leader};
pub use vote::{Vote, Votes};

use super::{disturbance, group, stats};
use crate::{
    scenario::{Param, Slo},
    store::{Absent, Outcome, Probe, Rounds, Row, Run, Search, SearchedCell, TrialRecord},
};

/// A trial that something else on the host disturbed is run again at most so often.
const RETRIES: u32 = 2;
/// After so many disturbed trials in a row of one rate, or of a whole search that has no other, the
/// host does not let it be decided. A host that disturbs six of ten trials disturbs as many in a
/// row in one of twenty cases.
const HOPELESS: usize = 6;

/// What a run that is a search has found; none of other runs.
pub fn rate_search(run: &Run) -> Option<RateSearch> {
    let search = run.header.search.as_ref()?;
    let rounds = run.rounds();
    let mut cells: Vec<RateResult> =
        search.cells.iter().map(|searched| result(&rounds, search, searched)).collect();
    end_if_hopeless(run, &mut cells);
    Some(RateSearch { precision: search.precision, cells })
}

/// Ends a search of which every trial was disturbed, when each of its cells has had one.
fn end_if_hopeless(run: &Run, cells: &mut [RateResult]) {
    let open = |cell: &&mut RateResult| matches!(cell.state, RateState::Trial(_));
    let all_met = cells.iter_mut().filter(open).all(|cell| !cell.rates.is_empty());
    if all_met && run.trials.len() >= HOPELESS && run.trials.iter().all(is_disturbed) {
        for cell in cells.iter_mut().filter(open) {
            cell.state =
                RateState::Answered(SearchAnswer::Inconclusive { passes: None, fails: None });
        }
    }
}

/// What one trial of a search says; none where it is of no rate that is searched.
pub fn vote_of(run: &Run, record: &TrialRecord) -> Option<Vote> {
    let probe = run.probes.iter().find(|probe| probe.cell.name == record.cell)?;
    let limits = limits(run, probe);
    Some(judge::vote(
        only(probe)?,
        &limits.iter().collect::<Vec<_>>(),
        &record.outcome,
        run.header.clock_ns,
    ))
}

fn result(rounds: &Rounds<'_>, search: &Search, searched: &SearchedCell) -> RateResult {
    let cell = &searched.cell;
    let probes = rounds.run.probes.iter().filter(|probe| probe.of == cell.name);
    let mut rates: Vec<TriedRate> =
        probes.map(|probe| tried(rounds, probe, search.most_trials)).collect();
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
        SearchStep::Probe(rate) => RateState::Trial(RateTrial { rate, round: 1, attempt: 0 }),
        SearchStep::Answered(answer) => RateState::Answered(answer),
    }
}

fn tried(rounds: &Rounds<'_>, probe: &Probe, most_trials: u32) -> TriedRate {
    let run = rounds.run;
    let limits = limits(run, probe);
    let limits: Vec<&Slo> = limits.iter().collect();
    let trials: Vec<&TrialRecord> = rounds.of(&probe.cell.name).map(|(_, trial)| trial).collect();
    let (mut votes, mut reasons, mut doubts, mut failed) =
        (Votes::default(), Vec::new(), Vec::new(), 0);
    for trial in &trials {
        let Some(row) = only(probe) else { continue };
        let vote = judge::vote(row, &limits, &trial.outcome, run.header.clock_ns);
        votes.add(&vote);
        failed += u32::from(matches!(vote, Vote::Failed(_)));
        let Some(why) = vote.why().filter(|why| !reasons.iter().any(|known| known == why)) else {
            continue;
        };
        reasons.push(why.to_owned());
        doubts.extend(vote.remedy().map(|remedy| (why.to_owned(), remedy)));
    }
    // Of all attempts: one that failed is not run again, although the disturbed one before it
    // counts.
    let last = run.trials.iter().rfind(|trial| trial.cell == probe.cell.name);
    let again = last.filter(|trial| is_disturbed(trial) && trial.attempt < RETRIES);
    let again = again.map(|trial| (trial.round, trial.attempt + 1));
    let of_rate = run.trials.iter().rev().filter(|trial| trial.cell == probe.cell.name);
    let disturbed = of_rate.take_while(|trial| is_disturbed(trial)).count();
    let hopeless = (disturbed >= HOPELESS).then_some(Decision::Undecided);
    let decision = votes.decision(most_trials).filter(|_| again.is_none()).or(hopeless);
    let measured = |limit: &&Slo| {
        let values = trials.iter().filter_map(|trial| match &trial.outcome {
            Outcome::Measured(measured) => {
                let row = only(probe)?;
                judge::value(limit, row, row.of(measured)?, run.header.clock_ns)
            }
            Outcome::Failed(_) => None,
        });
        // A median without those that are only known to be high would be too low.
        stats::median(&values.map(|(value, _)| value.known()).collect::<Option<Vec<_>>>()?)
    };
    let values = limits.iter().map(measured).collect();
    TriedRate {
        reasons,
        doubts,
        values,
        failed,
        again,
        disturbed,
        ..TriedRate::new(probe.rate, votes, decision)
    }
}

fn is_disturbed(trial: &TrialRecord) -> bool {
    matches!(&trial.outcome, Outcome::Measured(measured) if disturbance(&measured.trial.host).is_some())
}

/// The only load of a probe's cell.
fn only(probe: &Probe) -> Option<Row<'_>> {
    probe.cell.rows().next()
}

/// The limits of a probe's cell.
fn limits(run: &Run, probe: &Probe) -> Vec<Slo> {
    limits_of(run, &probe.cell.scenario, &probe.cell.params)
}

/// The scenario's limits that are about a cell with these parameters.
fn limits_of(run: &Run, scenario: &str, params: &[Param]) -> Vec<Slo> {
    let all = run
        .header
        .scenarios
        .iter()
        .filter(|stored| stored.name == scenario)
        .flat_map(|stored| &stored.slos);
    all.filter(|slo| slo.only.iter().all(|param| params.contains(param))).cloned().collect()
}

#[cfg(test)]
mod tests;
