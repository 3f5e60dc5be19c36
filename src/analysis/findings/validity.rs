//! Sentences on cells whose figures do not mean what they seem to mean: which, why, and what to do
//! about it.

use super::words::{collect, list, places, plural};
use crate::analysis::{CellGroup, CellResult, ScenarioResult, Steadiness, Validity};

/// Cells up to which each is named.
const NAMED: usize = 3;

/// Cells with figures that are not ranked, by verdict.
pub(super) fn not_ranked(scenario: &ScenarioResult) -> Vec<String> {
    let mut by_verdict: Vec<(Validity, Vec<(String, &CellResult)>)> = Vec::new();
    // Why trials failed is said elsewhere.
    let unranked =
        |cell: &CellResult| !cell.is_ranked() && cell.judgement.validity != Validity::Failed;
    for (name, cell) in measured(scenario).filter(|(_, cell)| unranked(cell)) {
        collect(&mut by_verdict, cell.judgement.validity, (name, cell));
    }
    let sentence = |(validity, cells): &(Validity, Vec<(String, &CellResult)>)| {
        let (who, verb) = whom(cells);
        let why = cells.iter().find_map(|(_, cell)| cell.judgement.reason());
        let why = why.map(|evidence| format!(": {evidence}")).unwrap_or_default();
        format!("{who} {verb} not ranked ({}){why}; {}.", validity.word(), validity.remedy())
    };
    by_verdict.iter().map(sentence).collect()
}

/// Cells that were not the same throughout their window, by class.
pub(super) fn not_steady(scenario: &ScenarioResult) -> Vec<String> {
    let mut by_class: Vec<(Steadiness, Vec<(String, &CellResult)>)> = Vec::new();
    for (name, cell) in measured(scenario).filter(|(_, cell)| cell.is_ranked()) {
        if let Some(class) = cell.steadiness.filter(|class| *class != Steadiness::Flat) {
            collect(&mut by_class, class, (name, cell));
        }
    }
    let sentence = |(class, cells): &(Steadiness, Vec<(String, &CellResult)>)| {
        let (who, verb) = whom(cells);
        match class {
            Steadiness::Warming => {
                format!("{who} {verb} still warming up when the window begins; raise `warmup`.")
            }
            Steadiness::Drifting => {
                format!(
                    "{who} {verb} drifting over the window; the figures depend on its length, raise `duration`."
                )
            }
            _ => format!("{who} {verb} unsteady: throughput jumps within the window."),
        }
    };
    by_class.iter().map(sentence).collect()
}

/// Cells whose operations are too short for the clock.
pub(super) fn withheld(scenario: &ScenarioResult) -> Option<String> {
    let short: Vec<(String, &CellResult)> =
        measured(scenario).filter(|(_, cell)| cell.judgement.withheld.is_some()).collect();
    let why = short.first()?.1.judgement.withheld.as_ref()?;
    Some(format!("Operations of {} are too short to be timed one by one: {why}.", whom(&short).0))
}

/// Cells with times that are only known to be high.
pub(super) fn clipped(scenario: &ScenarioResult) -> Vec<String> {
    let clipped = measured(scenario)
        .filter_map(|(name, cell)| Some(format!("{name}: {}.", cell.judgement.clipped.as_ref()?)));
    clipped.collect()
}

/// Cells in which threads of a pool are left from before the window.
pub(super) fn pool_past(scenario: &ScenarioResult) -> Vec<String> {
    let past = measured(scenario).filter_map(|(name, cell)| {
        Some(format!("{name}: {}.", cell.judgement.pool_past.as_ref()?))
    });
    past.collect()
}

/// Cells of which nobody knows whether others disturbed them.
pub(super) fn unseen(scenario: &ScenarioResult) -> Option<String> {
    let short: Vec<(String, &CellResult)> =
        measured(scenario).filter(|(_, cell)| cell.judgement.unseen.is_some()).collect();
    let why = short.first()?.1.judgement.unseen.as_ref()?;
    Some(format!(
        "Windows of {} are too short to tell whether others disturbed them ({why}); raise `repeat` or `duration`.",
        whom(&short).0
    ))
}

fn measured(scenario: &ScenarioResult) -> impl Iterator<Item = (String, &CellResult)> {
    let name = |group: &CellGroup, cell: &CellResult| {
        format!("{}{}", cell.label, places(&[&group.params]))
    };
    let cells = scenario
        .groups
        .iter()
        .flat_map(move |group| group.cells.iter().map(move |cell| (name(group, cell), cell)));
    cells.filter(|(_, cell)| cell.has_figures())
}

/// Some by name, many by number and an example; and the verb that follows.
fn whom(cells: &[(String, &CellResult)]) -> (String, &'static str) {
    let names: Vec<String> = cells.iter().map(|(name, _)| name.clone()).collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    let who = if names.len() <= NAMED {
        list(&names)
    } else {
        format!("{}, such as {},", plural(names.len(), "cell"), names[0])
    };
    (who, verb)
}

#[cfg(test)]
mod tests {
    use crate::{
        analysis::{analyse, findings},
        measure::TargetReport,
        store::fixture::Fixture,
    };

    fn bound(executors: &[&str]) -> Vec<String> {
        let saturated =
            TargetReport { name: "api".into(), busy: Some(0.99), ..TargetReport::default() };
        let mut fixture = Fixture::closed(executors[0], 6);
        for executor in executors {
            fixture = fixture.cell(executor, &[], &[100.0; 6]);
            fixture = fixture.measured(&format!("demo::{executor}"), |_, measured| {
                measured.trial_mut().targets = vec![saturated.clone()];
            });
        }
        let all = findings(&analyse(&fixture.build()));
        all.into_iter().filter(|sentence| sentence.contains("not ranked")).collect()
    }

    #[test]
    fn few_are_named_and_many_counted() {
        let why = "not ranked (TARGET-BOUND): the target api was busy for 99.0 % of its CPU time and waited for a CPU \
                   for 0.0 % of the window; the executors were not compared: give the target more CPUs, or tasks \
                   more work of their own.";
        assert_eq!(bound(&["threads", "tokio"]), [format!("threads and tokio are {why}")]);
        assert_eq!(
            bound(&["threads", "tokio", "smol", "async-std"]),
            [format!("4 cells, such as threads, are {why}")]
        );
    }
}
