//! How the steps of a plan are built: the operation, its time limit around it, and its recording
//! around both.

use std::ops::Range;

use super::{
    OnTimeout, StepPlan, Task,
    exec::Step,
    limited::{Defaults, Limited},
    recorded::Recorded,
    site::{BuildError, PlannedStep, PlannedTasks, Site},
    value::TakenValue,
};
use crate::runtime::Runtime;

impl<R: Runtime> PlannedTasks<R> for Vec<Task> {
    fn numbers(&self, task: &str) -> Option<Range<usize>> {
        let mut first = 0;
        for candidate in self {
            let numbers = first..first + candidate.steps.len();
            if candidate.name == task {
                return Some(numbers);
            }
            first = numbers.end;
        }
        None
    }

    fn steps(&self) -> Vec<PlannedStep<'_>> {
        let numbered = self.iter().flat_map(|task| task.steps.iter().map(move |step| (task, step)));
        let planned = numbered.map(|(task, step)| PlannedStep {
            task: &task.name,
            name: step.name.as_deref(),
            parameters: step.spec.parameters(),
        });
        planned.collect()
    }

    fn build(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let plan = self.iter().flat_map(|task| &task.steps).nth(site.number);
        let plan = plan.ok_or_else(|| BuildError(format!("there is no step {}", site.number)))?;
        let mut step = limited(site, plan, plan.spec.build(site)?);
        let recorders = &site.trial.recorders;
        if let Some(stream) = plan.name.as_deref().and_then(|name| recorders.stream_of(name)) {
            step = Box::new(Recorded::new(step, recorders.of_slot(site.slot), stream));
        }
        Ok(step)
    }
}

/// A step with its time limit around it, if it has one.
fn limited<R: Runtime>(site: &Site<R>, plan: &StepPlan, step: Box<dyn Step>) -> Box<dyn Step> {
    let Some(limit) = plan.timeout else { return step };
    let name = plan.name.as_deref().unwrap_or(plan.spec.key());
    let targets = plan.spec.targets();
    let words = match (targets.first(), plan.spec.shared()) {
        (Some(used), _) => format!("`{name}` on target `{}`", used.name.text),
        (_, Some(used)) => format!("`{name}` on {} `{}`", used.kind, used.name.text),
        _ => format!("`{name}`"),
    };
    let (spec, site) = (plan.spec.clone(), site.clone());
    let (stops, means) = (site.tally(), (limit, plan.on_timeout));
    let defaults = defaults(&site, plan);
    Limited::<R::Native>::wrap(step, means, words, stops, defaults, move || spec.build(&site))
}

/// What the values of a step are after a time-out, if the task goes on then.
fn defaults<R: Runtime>(site: &Site<R>, plan: &StepPlan) -> Option<Defaults> {
    if plan.on_timeout != OnTimeout::Ignore || plan.spec.takes().is_empty() {
        return None;
    }
    let value =
        |(name, default): (&str, &str)| (TakenValue::of(&site.commons, name), default.to_owned());
    let values = plan.spec.defaults().into_iter().map(value).collect();
    Some(Defaults { values, counter: Box::new(site.value_counter()) })
}
