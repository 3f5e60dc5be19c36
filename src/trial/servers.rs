//! Which servers of the user's own trials would act on, asked before any of them is measured.

use std::collections::HashMap;

use super::TrialPlan;
use crate::measure::SERVER_FACTS;

/// What each plan's servers are known by, by the names that a trial's facts have. Servers are asked, each once; one that
/// does not answer is known by its address alone.
pub fn servers<'a>(plans: impl IntoIterator<Item = &'a TrialPlan>) -> Vec<Vec<(String, String)>> {
    let mut asked: HashMap<String, Vec<String>> = HashMap::new();
    let mut of = |plan: &TrialPlan| {
        let mut facts = Vec::new();
        for target in &plan.targets {
            // Targets that differ in nothing lead to the same server. What comes from a plan always has a text.
            let key = serde_json::to_string(&target.spec).unwrap_or_else(|_| format!("{} {}", plan.cell, target.name));
            let known_by = asked.entry(key).or_insert_with(|| target.spec.server()).iter();
            facts.extend(SERVER_FACTS.iter().zip(known_by).map(|(what, value)| {
                let name = format!("{}: {what}", target.name);
                (name, value.clone())
            }));
        }
        facts
    };
    plans.into_iter().map(&mut of).collect()
}
