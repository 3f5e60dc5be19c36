//! `choice`: runs one of several tasks, drawn by weight or in turn; the same one for the same task
//! on every executor.

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Child, Cost, Done, Ends, Lookup, Opening, Operation, Sequence, Site, Step,
    StepKind, StepOutcome, Times, site::ChildTask,
};
use crate::{
    config::{Diagnostics, Field, Fields, Name, Node, Section, choice_schema, read_choice},
    draw,
    runtime::Runtime,
    targets::TargetSpec,
};

/// A weighted choice.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Choice {
    of: Vec<Branch>,
    #[serde(default)]
    by: ChosenBy,
}

/// What decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ChosenBy {
    /// A draw.
    #[default]
    Draw,
    /// `${j}`, the number of the child that the choice is a step of.
    Number,
}

const DECIDERS: &[(&str, ChosenBy)] = &[("draw", ChosenBy::Draw), ("number", ChosenBy::Number)];

impl Field for ChosenBy {
    fn schema() -> serde_json::Value {
        choice_schema(DECIDERS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, DECIDERS, diagnostics)
    }
}

/// A task and how often it is chosen, relative to the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Branch {
    task: Name,
    weight: f64,
}

impl Section for Branch {
    const DOC: &'static str = "A task and how often it is chosen, relative to the others.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let task = fields.required("task", "The task that is run.");
        let weight = fields.or("weight", 1.0, "How often, relative to the other branches.");
        if !(weight > 0.0 && weight <= 1e9) {
            fields.reject("weight", "expected a weight above 0 and at most 1e9", None);
        }
        Some(Self { task: task?, weight })
    }
}

impl StepKind for Choice {
    const KEY: &'static str = "choice";
    const DOC: &'static str =
        "Runs one of several tasks, drawn by weight or in turn; the same one on every executor.";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let of: Option<Vec<Branch>> =
            op.required("of", "The tasks to choose from: `[{ task = \"a\", weight = 7 }, …]`.");
        if of.as_ref().is_some_and(Vec::is_empty) {
            op.reject(
                "of",
                "there is nothing to choose from",
                Some("name at least one task".into()),
            );
        }
        let by = op.or(
            "by",
            ChosenBy::Draw,
            "What decides: a draw by weight, or `${j}`, the number of the child that this is a step of: of every so many in \
             turn, as many as each weight says.",
        );
        let whole = |of: &Vec<Branch>| of.iter().all(|branch| branch.weight.fract() == 0.0);
        if by == ChosenBy::Number && !of.as_ref().is_none_or(whole) {
            op.reject("of", "expected whole weights, for the tasks are run in turn", None);
        }
        Some(Self { of: of?, by })
    }

    fn turns(&self) -> Option<Vec<u64>> {
        let weights = self.of.iter().map(|branch| branch.weight as u64);
        (self.by == ChosenBy::Number).then(|| weights.collect())
    }

    fn children(&self) -> Vec<Child<'_>> {
        let total = self.total();
        let chance = |branch: &Branch| Times::Chance(branch.weight / total);
        self.of
            .iter()
            .map(|branch| Child { task: &branch.task, times: chance(branch), ends: Ends::BySkip })
            .collect()
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        Cost::default()
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let children = site.children(self.of.iter().map(|branch| branch.task.text.as_str()))?;
        let (seed, spec) = (site.seed(), self.clone());
        Ok(site.operation(move || Chosen {
            branches: children.iter().map(ChildTask::build).collect(),
            rebuild: children.clone(),
            turns: spec.turns(),
            spec: spec.clone(),
            seed,
        }))
    }
}

impl Choice {
    fn total(&self) -> f64 {
        self.of.iter().map(|branch| branch.weight).sum()
    }

    /// The branch for a draw.
    fn pick(&self, draw: u64) -> usize {
        let mut left = draw::unit(draw) * self.total();
        let passed = |branch: &Branch| {
            left -= branch.weight;
            left < 0.0
        };
        // Rounding may leave a hair above the last branch.
        self.of.iter().position(passed).unwrap_or(self.of.len() - 1)
    }
}

/// The branch whose turn it is: of every so many numbers, each has as many as its weight.
fn in_turn(turns: &[u64], number: u64) -> usize {
    let mut left = number % turns.iter().sum::<u64>().max(1);
    let passed = |weight: &u64| {
        let is_here = left < *weight;
        left = left.saturating_sub(*weight);
        is_here
    };
    turns.iter().position(passed).unwrap_or(0)
}

struct Chosen {
    branches: Vec<Sequence>,
    rebuild: Vec<ChildTask>,
    spec: Choice,
    /// Where it is decided by number.
    turns: Option<Vec<u64>>,
    seed: u64,
}

impl Operation for Chosen {
    async fn prepare(&mut self) -> StepOutcome {
        for branch in &mut self.branches {
            branch.prepare().await?;
        }
        Ok(Done::default())
    }

    /// Looks in preparation whether each branch can be opened. One that is kept opens when it is
    /// first chosen: before that it would hold a connection that others wait for.
    async fn open(&mut self, when: Opening) -> StepOutcome {
        if when == Opening::Preparation {
            for branch in &self.rebuild {
                branch.try_out().await?;
            }
        }
        Ok(Done::default())
    }

    async fn call(&mut self, call: Call) -> StepOutcome {
        let branch = match &self.turns {
            Some(turns) => in_turn(turns, call.child),
            None => self.spec.pick(draw::mix(self.seed, call.key)),
        };
        self.rebuild[branch].asked();
        let outcome = self.branches[branch].run(call.of_child(branch as u64)).await;
        self.rebuild[branch].returned();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        runtime::EXECUTORS,
        step::testing::{Rig, errors_of},
    };

    fn branch(task: &str, weight: f64) -> Branch {
        Branch { task: Name::from(task.to_owned()), weight }
    }

    #[test]
    fn shares_match_weights() {
        let of = vec![branch("a", 7.0), branch("b", 2.0), branch("c", 1.0)];
        let choice = Choice { of, by: ChosenBy::Draw };
        let mut counts = [0_u32; 3];
        for task in 0..10_000 {
            counts[choice.pick(draw::draw(1, task, 2))] += 1;
        }
        assert!((6_800..7_200).contains(&counts[0]), "{counts:?}");
        assert!((850..1_150).contains(&counts[2]), "{counts:?}");
        assert_eq!(choice.pick(u64::MAX), 2);
    }
    #[test]
    fn by_number_each_has_its_turns_whoever_runs_them() {
        let picks: Vec<usize> = (0..8).map(|number| in_turn(&[2, 1], number)).collect();
        assert_eq!(picks, [0, 0, 1, 0, 0, 1, 0, 0]);
        let rig = Rig::new(&["{ parallel = { task = 'child', count = 7 } }"])
            .task("child", &["{ choice = { of = [{ task = 'a', weight = 2 }, { task = 'b' }], by = 'number' } }"])
            .task("a", &["{ noop = {} }"])
            .task("b", &["{ noop = {} }"]);
        for executor in EXECUTORS {
            let ran = rig.run(executor.name, 3);
            let [.., a, b] = ran.tallies[..] else { panic!("four steps") };
            assert_eq!((ran.wrong(), a.ended, b.ended), (None, 15, 6), "{}", executor.name);
        }
    }

    #[test]
    fn turns_are_whole() {
        let half = "{ choice = { of = [{ task = 'a', weight = 0.5 }], by = 'number' } }";
        assert!(errors_of(half)[0].contains("expected whole weights"));
        assert_eq!(errors_of(&half.replace("number", "draw")), [""; 0]);
    }
}
