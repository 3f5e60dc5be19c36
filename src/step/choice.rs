//! `choice`: runs one of several tasks, drawn by weight; the same one for the same task on every
//! executor.

use serde::{Deserialize, Serialize};

use super::{
    BuildError, Call, Child, Cost, Done, Ends, Lookup, Opening, Operation, Sequence, Site, Step,
    StepKind, StepOutcome, Times, site::ChildTask,
};
use crate::{
    config::{Fields, Name, Section},
    draw,
    runtime::Runtime,
    targets::TargetSpec,
};

/// A weighted choice.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Choice {
    of: Vec<Branch>,
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
        "Runs one of several tasks, drawn by weight; the same draw on every executor.";
    const PROOF: &'static str = "one child for each call that ended well, by a draw that is the same under every \
         executor";

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
        Some(Self { of: of? })
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

struct Chosen {
    branches: Vec<Sequence>,
    rebuild: Vec<ChildTask>,
    spec: Choice,
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
        let branch = self.spec.pick(draw::mix(self.seed, call.key));
        self.rebuild[branch].asked();
        let outcome = self.branches[branch].run(call.of_child(branch as u64)).await;
        self.rebuild[branch].returned();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(task: &str, weight: f64) -> Branch {
        Branch { task: Name::from(task.to_owned()), weight }
    }

    #[test]
    fn shares_match_weights() {
        let choice = Choice { of: vec![branch("a", 7.0), branch("b", 2.0), branch("c", 1.0)] };
        let mut counts = [0_u32; 3];
        for task in 0..10_000 {
            counts[choice.pick(draw::draw(1, task, 2))] += 1;
        }
        assert!((6_800..7_200).contains(&counts[0]), "{counts:?}");
        assert!((850..1_150).contains(&counts[2]), "{counts:?}");
        assert_eq!(choice.pick(u64::MAX), 2);
    }
}
