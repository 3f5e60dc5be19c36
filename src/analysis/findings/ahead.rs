//! Sentences on who is faster than the baseline, and from where on.

use super::words::{collect, list, places};
use crate::{
    analysis::{CellGroup, MetricId, RatioVerdict, ScenarioResult, Unit},
    scenario::Param,
};

/// Places up to which each is named.
const NAMED: usize = 4;

/// In a sweep, in which groups each executor is shown to be faster than the baseline; executors
/// that are so in the same groups share a sentence. Without a sweep the lead says enough.
pub(super) fn of_baseline(scenario: &ScenarioResult) -> Vec<String> {
    if scenario.groups.len() < 2 {
        return Vec::new();
    }
    let mut ahead: Vec<(String, Vec<usize>)> = Vec::new();
    for (index, group) in scenario.groups.iter().enumerate() {
        let faster = |cell: &&crate::analysis::CellResult| {
            cell.ratio.as_ref().is_some_and(|ratio| ratio.verdict == RatioVerdict::Faster)
        };
        for cell in group.cells.iter().filter(faster) {
            collect(&mut ahead, cell.label.clone(), index);
        }
    }
    let mut shared: Vec<(Vec<usize>, Vec<String>)> = Vec::new();
    for (label, at) in ahead {
        collect(&mut shared, at, label);
    }
    let sentence = |(at, labels): &(Vec<usize>, Vec<String>)| {
        let verb = if labels.len() == 1 { "is" } else { "are" };
        let place = region(&scenario.groups, at);
        match scenario.primary {
            MetricId::Makespan | MetricId::Throughput => {
                format!("{} {verb} faster than {}{place}.", list(labels), scenario.baseline)
            }
            other => {
                format!(
                    "{} {verb} better than {} in {}{place}.",
                    list(labels),
                    scenario.baseline,
                    other.info().label
                )
            }
        }
    };
    shared.iter().map(sentence).collect()
}

/// Where it is so: ` everywhere`, ` from waits=256 on`, or the places.
fn region(groups: &[CellGroup], at: &[usize]) -> String {
    let params: Vec<&[Param]> = at.iter().map(|&index| groups[index].params.as_slice()).collect();
    let to_the_end =
        at.len() > 1 && at.iter().rev().copied().eq((groups.len() - at.len()..groups.len()).rev());
    match params.as_slice() {
        all if all.len() == groups.len() => {
            format!(" at all {} parameter combinations", groups.len())
        }
        [[first], ..] if to_the_end && ascending(groups) => {
            format!(" from {}={} on", first.name, first.value)
        }
        many if many.len() > NAMED => {
            format!(" at {} of {} parameter combinations", many.len(), groups.len())
        }
        some => places(some),
    }
}

/// Whether one parameter is swept, and over quantities that grow.
fn ascending(groups: &[CellGroup]) -> bool {
    let value = |group: &CellGroup| {
        if let [only] = group.params.as_slice() { Some(only.value.clone()) } else { None }
    };
    let Some(texts) = groups.iter().map(value).collect::<Option<Vec<String>>>() else {
        return false;
    };
    let unit = Unit::of(texts.iter().map(String::as_str));
    unit.is_some_and(|unit| texts.iter().map(|text| unit.value(text)).is_sorted())
}

#[cfg(test)]
mod tests {
    use crate::{
        analysis::{analyse, findings},
        store::fixture::Fixture,
    };

    /// Two executors that are four times as fast as threads where `faster` says so.
    fn said(values: [&str; 3], faster: [bool; 3]) -> Vec<String> {
        let mut fixture = Fixture::closed("threads", 6);
        for (value, faster) in values.into_iter().zip(faster) {
            let rate = if faster { 400.0 } else { 100.0 };
            let at = [("waits", value)];
            fixture = fixture.cell("threads", &at, &[100.0; 6]);
            fixture = fixture.cell("tokio", &at, &[rate; 6]).cell("smol", &at, &[rate; 6]);
        }
        let all = findings(&analyse(&fixture.build()));
        all.into_iter().filter(|sentence| sentence.contains("faster than")).collect()
    }

    #[test]
    fn those_ahead_in_the_same_places_share_a_sentence() {
        let grow = ["1", "16", "256"];
        let from = ["tokio and smol are faster than threads from waits=16 on."];
        assert_eq!(said(grow, [false, true, true]), from);
        let two = ["tokio and smol are faster than threads at waits=1 and 16."];
        assert_eq!(said(grow, [true, true, false]), two);
        let all = ["tokio and smol are faster than threads at all 3 parameter combinations."];
        assert_eq!(said(grow, [true; 3]), all);
        assert!(said(grow, [false; 3]).is_empty());
    }

    #[test]
    fn from_a_value_on_needs_values_that_grow() {
        let two = ["tokio and smol are faster than threads at waits=1 and 16."];
        assert_eq!(said(["256", "1", "16"], [false, true, true]), two);
    }
}
