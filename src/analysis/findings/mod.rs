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
mod words;

pub use self::placement::shared_cpus;
use super::{Analysis, MetricId, ScenarioResult};

/// The findings of a run: for each scenario who leads in its primary metric, who is ahead of the
/// baseline, who leads in p99, who overtakes whom in a sweep, then claims, SLOs, what is not ranked
/// and why, and what went wrong. With several scenarios each sentence begins with its scenario's
/// name, and where a run has two lanes with the lane's.
pub fn findings(analysis: &Analysis) -> Vec<String> {
    let mut sentences = Vec::new();
    for scenario in &analysis.scenarios {
        let is_named = analysis.scenarios.len() > 1 || scenario.is_part();
        let prefix = if is_named { format!("{}: ", scenario.title()) } else { String::new() };
        sentences.extend(
            of_scenario(scenario, analysis.search.is_some())
                .into_iter()
                .map(|sentence| format!("{prefix}{sentence}")),
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
        if scenario.primary == MetricId::LatencyP99 {
            Vec::new()
        } else {
            lead::leads(scenario, MetricId::LatencyP99)
        },
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
