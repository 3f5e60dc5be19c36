//! The fairness manifest: what the trials of each executor reported of themselves, side by side.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{CellGroup, CellResult, ScenarioResult};
use crate::scenario::Param;

/// Facts in which executors of one scenario must not differ, as far as they have them at all.
pub const EQUAL: [&str; 7] = [
    "scheduler threads",
    "CPUs of that thread",
    "cap of the blocking pool",
    "TCP_NODELAY",
    "TCP congestion control",
    "limit of open files",
    "allocator",
];

/// What the executors of one scenario reported, at the parameters for which most of them have
/// facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// The swept parameters' values.
    pub params: Vec<Param>,
    /// The executors as shown, in the order of each fact's values.
    pub executors: Vec<String>,
    /// Facts that differ and must not, then the others that differ, then those that are the same
    /// for all.
    pub facts: Vec<Fact>,
}

/// One fact of every executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What it is about.
    pub name: String,
    /// What each executor's trial reported; none where it does not apply.
    pub values: Vec<Option<String>>,
    /// How they compare.
    pub agreement: Agreement,
}

/// How the executors compare in a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agreement {
    /// They differ and must not.
    Unequal,
    /// They differ, as executors do.
    Differs,
    /// It is the same for all.
    Same,
}

impl Manifest {
    /// The facts that differ.
    pub fn differing(&self) -> impl Iterator<Item = &Fact> {
        self.facts.iter().filter(|fact| fact.agreement != Agreement::Same)
    }

    /// The facts that are the same for all, as one sentence; none if there are none.
    pub fn same(&self) -> Option<String> {
        let same = self.facts.iter().filter(|fact| fact.agreement == Agreement::Same);
        let words = same.filter_map(|fact| {
            Some(format!("{}: {}", fact.name, fact.values.iter().flatten().next()?))
        });
        let words: Vec<String> = words.collect();
        (!words.is_empty()).then(|| format!("The same for all: {}.", words.join("; ")))
    }
}

/// What a scenario's executors reported; none before any trial was measured.
pub fn manifest(scenario: &ScenarioResult) -> Option<Manifest> {
    let telling =
        |group: &CellGroup| group.cells.iter().filter(|cell| !cell.facts.is_empty()).count();
    let most = scenario.groups.iter().map(telling).max().filter(|most| *most > 0)?;
    // The last of several: where load is swept upwards, the most has been started there.
    let group = scenario.groups.iter().rev().find(|group| telling(group) == most)?;
    let cells: Vec<&CellResult> =
        group.cells.iter().filter(|cell| !cell.facts.is_empty()).collect();
    let names: BTreeSet<&str> =
        cells.iter().flat_map(|cell| cell.facts.keys().map(String::as_str)).collect();
    let mut facts: Vec<Fact> = names.into_iter().map(|name| fact(name, &cells)).collect();
    facts.sort_by_key(|fact| fact.agreement);
    let executors = cells.iter().map(|cell| cell.label.clone()).collect();
    Some(Manifest { params: group.params.clone(), executors, facts })
}

fn fact(name: &str, cells: &[&CellResult]) -> Fact {
    let values: Vec<Option<String>> =
        cells.iter().map(|cell| cell.facts.get(name).cloned()).collect();
    let present: BTreeSet<&String> = values.iter().flatten().collect();
    let agreement = if present.len() > 1 && EQUAL.contains(&name) {
        Agreement::Unequal
    } else if present.len() > 1 || values.iter().any(Option::is_none) {
        Agreement::Differs
    } else {
        Agreement::Same
    };
    Fact { name: name.to_owned(), values, agreement }
}

/// A sentence on each fact of any group that differs and must not.
pub fn unequal(scenario: &ScenarioResult) -> Vec<String> {
    let mut sentences: Vec<String> = Vec::new();
    for group in &scenario.groups {
        let cells: Vec<&CellResult> = group.cells.iter().collect();
        for name in EQUAL {
            let fact = fact(name, &cells);
            if fact.agreement == Agreement::Unequal {
                let sentence = sentence(&fact, &cells);
                if !sentences.contains(&sentence) {
                    sentences.push(sentence);
                }
            }
        }
    }
    sentences
}

fn sentence(fact: &Fact, cells: &[&CellResult]) -> String {
    let each = cells
        .iter()
        .zip(&fact.values)
        .filter_map(|(cell, value)| Some(format!("{} ({})", value.as_ref()?, cell.label)));
    let each: Vec<String> = each.collect();
    format!(
        "Warning: the executors did not have equal conditions: {}: {}.",
        fact.name,
        each.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::{analyse, findings},
        store::{Outcome, Run, fixture::Fixture},
    };

    /// Trials with these facts, by executor.
    fn run(facts: &[(&str, &[(&str, &str)])]) -> Run {
        let mut fixture = Fixture::batch("threads", 1);
        for (executor, _) in facts {
            fixture = fixture.cell(executor, &[], &[1e6]);
        }
        let own =
            |cell: &str| facts.iter().find(|(executor, _)| cell == format!("demo::{executor}"));
        let mut run = fixture.build();
        for trial in &mut run.trials {
            if let (Outcome::Measured(measured), Some((_, facts))) =
                (&mut trial.outcome, own(&trial.cell))
            {
                let facts = facts.iter().map(|(name, value)| ((*name).into(), (*value).into()));
                **measured =
                    measured.as_ref().clone().with_trial(|trial| trial.facts = facts.collect());
            }
        }
        run
    }

    #[test]
    fn facts_that_differ_come_first_and_equal_ones_are_one_sentence() {
        let run = run(&[
            ("threads", &[("allocator", "system"), ("timer", "kernel"), ("TCP_NODELAY", "on")]),
            (
                "tokio",
                &[
                    ("allocator", "system"),
                    ("timer", "wheel"),
                    ("TCP_NODELAY", "off"),
                    ("extra", "1"),
                ],
            ),
        ]);
        let manifest = manifest(&analyse(&run).scenarios[0]).unwrap();
        assert_eq!(manifest.executors, ["threads", "tokio"]);
        let order: Vec<(&str, Agreement)> =
            manifest.facts.iter().map(|fact| (fact.name.as_str(), fact.agreement)).collect();
        let expected = [
            ("TCP_NODELAY", Agreement::Unequal),
            ("extra", Agreement::Differs),
            ("timer", Agreement::Differs),
            ("allocator", Agreement::Same),
        ];
        assert_eq!(order, expected);
        assert_eq!(manifest.facts[1].values, [None, Some("1".into())]);
        assert_eq!(manifest.same().as_deref(), Some("The same for all: allocator: system."));
        assert_eq!(manifest.differing().count(), 3);
    }

    #[test]
    fn unequal_conditions_are_a_finding() {
        let workers = |of_tokio| {
            let analysis = analyse(&run(&[
                ("threads", &[("stack of that thread", "2MiB")]),
                ("smol", &[("scheduler threads", "2"), ("stack of that thread", "2MiB")]),
                ("tokio", &[("scheduler threads", of_tokio), ("stack of that thread", "8MiB")]),
            ]));
            findings(&analysis)
                .into_iter()
                .filter(|said| said.starts_with("Warning"))
                .collect::<Vec<_>>()
        };
        assert!(workers("2").is_empty());
        let said = "Warning: the executors did not have equal conditions: scheduler threads: 2 (smol), 3 (tokio).";
        assert_eq!(workers("3"), [said]);
    }

    #[test]
    fn without_a_trial_there_is_no_manifest() {
        let analysis = analyse(&Fixture::closed("threads", 7).cell("threads", &[], &[]).build());
        assert_eq!(manifest(&analysis.scenarios[0]), None);
    }
}
