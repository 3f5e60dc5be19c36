//! What could wait for a task that lies beneath it on the stack of one thread.
//!
//! A worker that waits for the children of its task may run others meanwhile, which begin above the
//! one that waits: that goes on when they have ended. So none of them must wait for something that
//! the one beneath has to do. Nobody does where
//!
//! 1. who holds something that others ask for waits for no children while it does: then it is on
//!    top of its thread's stack, and goes on; and
//! 2. nobody waits for what another task puts, supplies or sets, or for others to meet, in a cell
//!    where tasks wait for children.
//!
//! It is not looked into which task waits for which: what could wait so is not started. But where a
//! cell has one task at a time whose children have no children, that task alone waits for children,
//! and what its worker runs meanwhile are these, or what they have started in the background. That
//! does not lie above a child that was started later: rayon gives a worker its own newest job first,
//! and a thief the oldest.

use super::pipes::Pipes;
use crate::{
    runtime::Style,
    scenario::{Reach, StepPlan, Variant, fan_out, reach},
    shared::SharedSpec,
    step::{HandleTouch, SharedUse, Times, Touch},
};

/// Why tasks of a variant could wait for what lies beneath them.
pub(super) fn waits(variant: &Variant, style: Style) -> Option<String> {
    let fans_out = variant.loads.iter().any(|load| fan_out(&variant.tasks, &load.task.text) > 0);
    if style != Style::Stealing || !fans_out || one_waits(variant) {
        return None;
    }
    let mut reached = variant.loads.iter().flat_map(|load| reach(&variant.tasks, &load.task.text));
    let why = |at: Reach| {
        let step = &variant.tasks[at.task].steps[at.step];
        let used = step.spec.shared()?;
        held(variant, step, &used).or_else(|| waited(variant, &used))
    };
    let why = reached.find_map(why)?;
    Some(format!("a worker that waits for children runs other tasks meanwhile, and {why}"))
}

/// Whether one task waits for children at a time, and none of these does.
fn one_waits(variant: &Variant) -> bool {
    let tasks = variant.loads.iter().map(|load| load.kind.concurrency());
    if tasks.fold(0, u64::saturating_add) > 1 {
        return false;
    }
    let mut reached = variant.loads.iter().flat_map(|load| reach(&variant.tasks, &load.task.text));
    !reached.any(|at| {
        let children = variant.tasks[at.task].steps[at.step].spec.children();
        children
            .iter()
            .any(|child| is_beside(child.times) && fan_out(&variant.tasks, &child.task.text) > 0)
    })
}

/// What is held while children are waited for.
fn held(variant: &Variant, step: &StepPlan, used: &SharedUse<'_>) -> Option<String> {
    if used.touch != Touch::Holds {
        return None;
    }
    let tasks = Pipes { tasks: &variant.tasks };
    tasks.any(step, &waits_for_children).then(|| {
        let name = &used.name.text;
        format!(
            "one of them may ask for `{name}`, which the one that waits holds; start children outside of it"
        )
    })
}

/// What others have to do first.
fn waited(variant: &Variant, used: &SharedUse<'_>) -> Option<String> {
    let name = used.name.text.as_str();
    let waits = match used.touch {
        Touch::Takes | Touch::Meets | Touch::Awaits => true,
        Touch::Gives => variant.shared.iter().any(|named| {
            let has_room = |spec: &SharedSpec| match spec {
                SharedSpec::Queue(queue) => queue.capacity().is_none(),
                _ => false,
            };
            named.name == name && !has_room(&named.spec)
        }),
        Touch::Supplies(_) | Touch::Holds | Touch::Passes | Touch::Sets | Touch::Clears => false,
    };
    waits.then(|| {
        format!(
            "one of them may wait at `{name}` for the one that waits; use it where no task has children, or another executor"
        )
    })
}

/// Whether a step waits for children that run beside its task.
fn waits_for_children(step: &StepPlan) -> bool {
    let joins = step.spec.handle().is_some_and(|used| used.touch == HandleTouch::Joins);
    joins || step.spec.children().iter().any(|child| is_beside(child.times))
}

/// Whether children run beside the task that starts them.
fn is_beside(times: Times) -> bool {
    match times {
        Times::AtOnce(_)
        | Times::Beside(_)
        | Times::SomeAtOnce { .. }
        | Times::AsCompleted(_)
        | Times::FirstOf(_)
        | Times::Within { .. }
        | Times::InBackground => true,
        Times::InOrder(_)
        | Times::AfterEach(_)
        | Times::AtMostOnce
        | Times::Chance(_)
        | Times::UpTo(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        runtime::executor,
        scenario::{self, Overrides},
    };

    const THINGS: [(&str, &str); 5] = [
        ("m", "mutex = {}"),
        ("s", "semaphore = { permits = 2 }"),
        ("q", "queue = { capacity = 500 }"),
        ("e", "event = {}"),
        ("l", "rate-limit = { rate = '1000/s' }"),
    ];

    /// Why a load whose task has these steps cannot run under this executor. There are tasks `fan`
    /// that starts two children, and `nap`; what nobody uses is left out.
    fn why(name: &str, steps: &str) -> Option<String> {
        why_of((name, 4), steps, FAN)
    }

    /// The same for so many clients, whose `fan` is something else.
    fn why_of((name, clients): (&str, u64), steps: &str, fan: &str) -> Option<String> {
        let tasks = [
            ("fan", fan),
            ("deep", "{ repeat = { task = 'fan', times = 2 } }"),
            ("nap", "{ sleep = { time = 0 } }"),
        ];
        let mut used = steps.to_owned();
        let mut text = format!(
            "schema = 1\nname = 'x'\n[load.l]\ntask = 't'\nclosed = {{ concurrency = {clients} }}\n[tasks.t]\nsteps = [{steps}]\n"
        );
        for (task, steps) in [1, 0, 2].map(|at: usize| tasks[at]) {
            if used.contains(&format!("'{task}'")) {
                used += steps;
                text.extend(["[tasks.", task, "]\nsteps = [", steps, "]\n"]);
            }
        }
        for (name, kind) in THINGS.iter().filter(|(name, _)| used.contains(&format!("'{name}'"))) {
            text.extend(["[shared.", name, "]\n", kind, "\n"]);
        }
        let read = scenario::from_text(Path::new("x.toml"), &text, &Overrides::default());
        let variant = read.unwrap_or_else(|why| panic!("{}", why.render(false))).variants.remove(0);
        waits(&variant, executor(name).expect("there is one").style)
    }

    const FAN: &str = "{ parallel = { task = 'nap', count = 2 } }";
    const QUEUE: &str = "{ put = { queue = 'q' } }, { take = { queue = 'q' } }";
    const OVER_NAP: [&str; 2] = [
        "{ lock = { mutex = 'm', task = 'nap' } }",
        "{ acquire = { semaphore = 's', task = 'nap' } }",
    ];

    #[test]
    fn what_is_held_for_nobody_who_waits_and_what_needs_nobody_can_run() {
        for steps in OVER_NAP {
            assert_eq!(why("rayon", &format!("{FAN}, {steps}")), None, "{steps}");
        }
        assert_eq!(why("rayon", &format!("{FAN}, {{ throttle = {{ limit = 'l' }} }}")), None);
        assert_eq!(why("rayon", QUEUE), None, "nobody has children");
        assert_eq!(why("thread-pool", &format!("{FAN}, {QUEUE}")), None, "it runs no strangers");
    }

    #[test]
    fn what_is_held_over_children_is_not_run_however_deep_they_are() {
        for over in ["fan", "deep"] {
            let steps = OVER_NAP[0].replace("nap", over);
            let why = |name| why(name, &steps);
            let said = why("rayon").expect("a stranger may ask for it");
            assert!(said.contains("may ask for `m`"), "{said}");
            assert_eq!(why("thread-pool"), None);
        }
    }

    /// Those who meet are children of the only task.
    #[test]
    fn children_of_one_task_may_wait_for_each_other() {
        let steps = "{ parallel = { groups = [{ task = 'fan', count = 2 }] } }";
        let meet = "{ put = { queue = 'q' } }, { take = { queue = 'q' } }";
        assert_eq!(why_of(("rayon", 1), steps, meet), None);
        assert!(why_of(("rayon", 2), steps, meet).is_some());
        let deeper = format!("{meet}, {FAN}");
        assert!(why_of(("rayon", 1), steps, &deeper).is_some());
    }

    #[test]
    fn who_may_wait_for_a_task_that_waits_is_not_run() {
        let said = why("rayon", &format!("{FAN}, {QUEUE}")).expect("it may wait");
        assert!(said.contains("may wait at `q`"), "{said}");
        let event = "{ set = { event = 'e' } }, { wait = { event = 'e' } }";
        let said = why("rayon", &format!("{FAN}, {event}")).expect("it may wait");
        assert!(said.contains("may wait at `e`"), "{said}");
    }
}
