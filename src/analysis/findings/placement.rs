//! Sentences on servers of the user's own that run on the executor's CPUs.

use crate::{analysis::ScenarioResult, measure::PLACEMENT};

/// One for each server, with what keeps the two apart. Each takes time from the other, so that a
/// faster executor slows its own server down.
pub fn shared_cpus(scenario: &ScenarioResult) -> Vec<String> {
    let mut sentences: Vec<String> = Vec::new();
    let facts = scenario.groups.iter().flat_map(|group| &group.cells).flat_map(|cell| &cell.facts);
    for (label, advice) in facts {
        let Some((target, PLACEMENT)) = label.rsplit_once(": ") else { continue };
        let sentence = format!("The server of target {target} {advice}.");
        // Its process may be another one in each trial; its place is told once.
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    sentences
}

#[cfg(test)]
mod tests {
    use crate::{
        analysis::{analyse, findings},
        store::fixture::Fixture,
    };

    #[test]
    fn a_shared_cpu_is_said_once_with_its_remedy() {
        let advice = "shares CPUs 0,1 with the executor; to keep them apart, type this";
        let both = Fixture::closed("threads", 1).cell("threads", &[], &[100.0]).cell(
            "tokio",
            &[],
            &[100.0],
        );
        let placed = |_, measured: &mut crate::measure::Measurements| {
            measured.trial_mut().facts.insert("api: placement".into(), advice.into());
            measured
                .trial_mut()
                .facts
                .insert("api: processes".into(), "python3 (7) and all below it".into());
        };
        let run = both.measured("demo::threads", placed).measured("demo::tokio", placed).build();
        let said: Vec<String> =
            findings(&analyse(&run)).into_iter().filter(|said| said.contains("server")).collect();
        assert_eq!(said, [format!("The server of target api {advice}.")]);
    }
}
