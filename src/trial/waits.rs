//! What a trial still waits for: its steps that have begun and not ended, in words.

use std::time::Duration;

use super::{
    proof::{self, numbered_steps},
    wire::{TrialLoad, TrialPlan},
};
use crate::{
    clock,
    load::{self, Lookout},
    scenario::LoadKind,
    step::Ledger,
    units::{format_duration, format_ns},
};

/// What is kept of a trial's `timeout` for clearing up after a load that has given up: so long at
/// most.
const CLEARING: Duration = Duration::from_secs(5);

/// When a load of a process that began then (ns) must come to its end, if the watchdog is not to: a
/// quarter of the `timeout` before, or so much as is kept at most.
pub(super) fn deadline_ns(plan: &TrialPlan, begun_ns: u64) -> u64 {
    let limit = plan.timeout.saturating_sub(CLEARING.min(plan.timeout / 4));
    begun_ns.saturating_add(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX))
}

/// What a closed load that ends by time has given up, such as: 1 of 2 clients still waits in `get`
/// (task request) 5.00s after the end; its call is counted as censored. Nothing where all of its
/// clients have ended.
pub(super) fn of_clients(
    plan: &TrialPlan,
    load: &TrialLoad,
    outcome: &load::LoadOutcome,
    ledger: &Ledger,
) -> Option<String> {
    let LoadKind::Closed { .. } = load.kind else { return None };
    let concurrency = load.kind.concurrency();
    let drained = outcome.closed.as_ref().filter(|drained| drained.left.tasks() > 0)?;
    let (running, waiting, after) =
        (drained.left.running, drained.left.waiting, format_ns(drained.waited_ns));
    let mut words = Vec::new();
    if running > 0 {
        let (verb, whose) =
            if running == 1 { ("waits", "its call is") } else { ("wait", "their calls are") };
        let at = steps(plan, ledger);
        words.push(format!(
            "{running} of {concurrency} clients still {verb} in {at} {after} after the end; {whose} counted as censored"
        ));
    }
    if waiting > 0 {
        let who = if running > 0 {
            format!("{waiting} more")
        } else {
            format!("{waiting} of {concurrency} clients")
        };
        let (have, whose) = if waiting == 1 { ("has", "it is") } else { ("have", "they are") };
        words.push(format!(
            "{who} {have} not begun the next task; {whose} counted as censored, too"
        ));
    }
    Some(words.join("; "))
}

/// Why a trial had no end before its watchdog ended it: which tasks still wait. Nothing where none
/// runs.
pub(super) fn of_tasks(plan: &TrialPlan, lookout: &Lookout, ledger: &Ledger) -> Option<String> {
    let (running, since_ns) = lookout.running();
    let limit = format_duration(plan.timeout);
    let time = format_ns(clock::now_ns().saturating_sub(since_ns?));
    let at = steps(plan, ledger);
    let waits = match running {
        1 => format!("1 task still waits in {at}, for {time}"),
        several => format!("{several} tasks still wait in {at}, the longest for {time}"),
    };
    Some(format!(
        "the trial took longer than {limit} and was killed: {waits}; raise `timeout` under [run] if tasks take so long, or \
         give the step a `timeout`"
    ))
}

/// The steps that have begun and not ended: `get` (task request). Of a combinator only if none of
/// its own is among them.
fn steps(plan: &TrialPlan, ledger: &Ledger) -> String {
    let tallies = ledger.read(proof::steps(plan));
    let begun = numbered_steps(plan).zip(&tallies).map(|((place, step), tally)| {
        let calls = tally.started.saturating_sub(tally.ended).saturating_sub(tally.cancelled);
        (place.words(), calls, step.spec.children().is_empty())
    });
    let open: Vec<(String, u64, bool)> = begun.filter(|(_, calls, _)| *calls > 0).collect();
    let any_leaf = open.iter().any(|(_, _, is_leaf)| *is_leaf);
    let shown: Vec<_> = open.iter().filter(|(_, _, is_leaf)| *is_leaf || !any_leaf).collect();
    match shown.as_slice() {
        [] => "no step".to_owned(),
        [(words, ..)] => words.clone(),
        several => {
            let each: Vec<String> =
                several.iter().map(|(words, calls, _)| format!("{words}, {calls} calls")).collect();
            each.join(" and ")
        }
    }
}
