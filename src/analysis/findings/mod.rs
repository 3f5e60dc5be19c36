//! What follows from the figures, in plain sentences computed from them.
//!
//! Where intervals overlap no winner is named, and where something was not measured it is said.

mod ahead;
mod checks;
mod lead;
mod placement;
mod sweeps;
mod trouble;
mod validity;

pub use self::placement::shared_cpus;
use super::{Analysis, MetricId, Ratio, ScenarioResult, bound};
use crate::scenario::Param;

/// The findings of a run: for each scenario who leads in its primary metric, who is ahead of the baseline, who leads in p99,
/// who overtakes whom in a sweep, then claims, SLOs, what is not ranked and why, and what went wrong.
/// With several scenarios each sentence begins with its scenario's name, and where a run has two lanes with the lane's.
pub fn findings(analysis: &Analysis) -> Vec<String> {
    let mut sentences = Vec::new();
    for scenario in &analysis.scenarios {
        let is_named = analysis.scenarios.len() > 1 || scenario.lane().is_some();
        let prefix = if is_named { format!("{}: ", scenario.title()) } else { String::new() };
        sentences.extend(
            of_scenario(scenario, analysis.search.is_some()).into_iter().map(|sentence| format!("{prefix}{sentence}")),
        );
    }
    sentences.extend(trouble::not_run_yet(analysis));
    sentences
}

fn of_scenario(scenario: &ScenarioResult, is_searched: bool) -> Vec<String> {
    let parts = [
        lead::conditions(scenario),
        lead::leads(scenario, scenario.primary),
        ahead::of_baseline(scenario),
        if scenario.primary == MetricId::LatencyP99 { Vec::new() } else { lead::leads(scenario, MetricId::LatencyP99) },
        sweeps::means(scenario).into_iter().collect(),
        sweeps::crossings(scenario),
        checks::claims(scenario),
        // A search looks for rates at which they do not hold.
        if is_searched { Vec::new() } else { checks::slos(scenario) },
        super::manifest::unequal(scenario),
        shared_cpus(scenario),
        validity::not_ranked(scenario),
        validity::not_steady(scenario),
        validity::withheld(scenario).into_iter().collect(),
        validity::clipped(scenario),
        validity::pool_past(scenario),
        trouble::not_on_a_disk(scenario),
        validity::unseen(scenario).into_iter().collect(),
        trouble::errors(scenario),
        trouble::failures(scenario),
        trouble::not_run(scenario),
    ];
    parts.into_iter().flatten().collect()
}

/// `a`, `a and b`, `a, b and c`.
fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [single] => single.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Where it is, by the swept parameters of some groups: ` at concurrency=1, 8 and 64`; nothing without a sweep.
fn places(groups: &[&[Param]]) -> String {
    let place = |params: &&[Param]| params.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let places: Vec<String> = groups.iter().map(place).filter(|place| !place.is_empty()).collect();
    match groups {
        _ if places.is_empty() => String::new(),
        [[single], ..] if groups.iter().all(|params| params.len() == 1) => {
            let values: Vec<String> = groups.iter().map(|params| params[0].shown().into_owned()).collect();
            format!(" at {}={}", single.name, list(&values))
        }
        _ => format!(" at {}", list(&places)),
    }
}

/// `1 trial`, `3 trials`.
fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// ` (95 % interval 3.90 to 4.30)`, or that there is none.
fn interval(ratio: &Ratio) -> String {
    match ratio.interval {
        Some((low, high)) => format!(" (95 % interval {} to {})", bound(low), bound(high)),
        None => " (no interval)".into(),
    }
}

/// Adds an item to the entry with this key, keeping the order in which keys came.
fn collect<K: PartialEq, V>(entries: &mut Vec<(K, Vec<V>)>, key: K, item: V) {
    match entries.iter_mut().find(|(known, _)| *known == key) {
        Some((_, items)) => items.push(item),
        None => entries.push((key, vec![item])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_named_by_their_swept_parameters() {
        let param = |name: &str, value: &str| Param { name: name.into(), value: value.into() };
        let single = [[param("n", "1")], [param("n", "8")], [param("n", "64")]];
        let pairs = [[param("n", "1"), param("k", "2")], [param("n", "8"), param("k", "2")]];
        assert_eq!(places(&[&[]]), "");
        assert_eq!(places(&single.each_ref().map(|params| &params[..])), " at n=1, 8 and 64");
        assert_eq!(places(&pairs.each_ref().map(|params| &params[..])), " at n=1,k=2 and n=8,k=2");
    }
}
