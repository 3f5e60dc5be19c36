//! Pipelines: queues between groups of one `parallel`, where some only put and others only take. Whether
//! all of them are sure to come to their end.
//!
//! A queue is a pipe if a group of some `parallel` takes from it what another group puts. Then all that
//! use it must be in such groups, each of which only puts or only takes, equally often on every
//! path; and in each `parallel` as many items are put as are taken.
//!
//! Who takes from a pipe takes from no other, and pipes make no ring. Then nobody waits for ever.
//! Suppose that all who are left wait. Nobody waits for room in a pipe from which no pipe follows: those
//! who take from it wait for nothing else, and if they had all ended, all that is put would have been
//! taken. So it is with the pipes before it, one after another. Then all who are left wait for items. But
//! nobody waits for those of the first pipe, for those who put into it wait for nothing and have put all.
//!
//! For that all must be at work at once, so that a pool needs a thread for each. One after another they
//! work only if everything has room in the queue.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    crowd,
    pipes::{Pipes, are_groups, pipes},
};
use crate::{
    runtime::Style,
    scenario::{OnTimeout, StepPlan, Variant, reach},
    shared::SharedSpec,
    step::{Child, Ends, Times, Touch},
};

/// Why those at a pipe could wait for ever under an executor whose pool is so large.
pub(super) fn stuck(variant: &Variant, style: Style, pool_size: u64) -> Option<String> {
    let pipes = pipes(variant);
    let tasks = Pipes { tasks: &variant.tasks };
    let why = |queue: &&str| tasks.why(variant, queue, &pipes, (style, pool_size)).err();
    pipes.iter().find_map(|queue| Some(format!("queue `{queue}`: {}", why(queue)?)))
}

/// Why a pool may lack threads though it has enough for each: who meet at a barrier and who put and
/// take at pipes all keep theirs, and each of those that a variant reaches asks for itself alone.
pub(super) fn crowded(variant: &Variant, style: Style) -> Option<String> {
    if !style.is_pool() {
        return None;
    }
    let (pipes, tasks) = (pipes(variant), Pipes { tasks: &variant.tasks });
    let reached = variant.loads.iter().flat_map(|load| reach(&variant.tasks, &load.task.text));
    let steps: BTreeSet<(usize, usize)> = reached.map(|at| (at.task, at.step)).collect();
    let (mut barriers, mut parallels) = (BTreeSet::new(), 0);
    for step in steps.into_iter().map(|(task, step)| &variant.tasks[task].steps[step]) {
        let used = step.spec.shared().filter(|used| used.touch == Touch::Meets);
        barriers.extend(used.map(|used| used.name.text.as_str()));
        let children = step.spec.children();
        let at_pipes = pipes.iter().any(|queue| tasks.is_pipe(&children, queue));
        parallels += usize::from(are_groups(&children) && at_pipes);
    }
    (barriers.len() + parallels > 1).then(|| {
        format!(
            "those who wait for each other in {} places (barriers, and groups that put and take) keep their threads, and \
             could leave too few for each other; use one such place, or another executor",
            barriers.len() + parallels
        )
    })
}

/// How often a part of a task puts into a queue and takes from it, where that is the same on every
/// path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Flow {
    puts: u64,
    takes: u64,
}

impl Flow {
    fn is_none(self) -> bool {
        self == Self::default()
    }

    fn plus(self, other: Self, times: u64) -> Self {
        let sum = |a: u64, b: u64| a.saturating_add(b.saturating_mul(times));
        Self { puts: sum(self.puts, other.puts), takes: sum(self.takes, other.takes) }
    }
}

impl Pipes<'_> {
    fn why(
        &self,
        variant: &Variant,
        queue: &str,
        pipes: &BTreeSet<&str>,
        (style, pool_size): (Style, u64),
    ) -> Result<(), String> {
        let capacity = variant.shared.iter().find_map(|named| match &named.spec {
            SharedSpec::Queue(of) if named.name == queue => Some(of.capacity().unwrap_or(u64::MAX)),
            _ => None,
        });
        let mut needed = u64::from(variant.run.probe);
        for load in &variant.loads {
            let slots = style.slots(load.kind.concurrency(), pool_size);
            let most = self.outside(&load.task.text, queue)?;
            needed = needed.saturating_add(slots.saturating_mul(most.saturating_add(1)));
        }
        for groups in self.groups() {
            self.balanced(&groups, queue, capacity.filter(|_| style == Style::Serial))?;
        }
        self.ring(variant, queue, pipes)?;
        if style.is_pool() && pool_size < needed {
            return Err(format!(
                "those who put and take at once, each task and the probe need {needed} threads, and the pool has {pool_size}; \
                 raise its `size`"
            ));
        }
        Ok(())
    }

    /// Follows a task to the groups at a queue, and refuses what else touches it. Answers how many are
    /// at work there at once.
    fn outside(&self, task: &str, queue: &str) -> Result<u64, String> {
        let mut most = 0;
        for step in self.steps(task).iter().filter(|step| self.touches(step, queue)) {
            if step.spec.shared().is_some_and(|used| used.name.text == queue) {
                return Err(format!(
                    "groups of a `parallel` put and take there, and the task `{task}` does so as well; let all who use it be \
                     such groups"
                ));
            }
            if let Some(held) = step.spec.shared().filter(|used| used.touch == Touch::Holds) {
                return Err(format!(
                    "groups put and take there while `{}` is held, which others may need on their way; start them outside of it",
                    held.name.text
                ));
            }
            if step.timeout.is_some() && step.on_timeout != OnTimeout::Fail {
                return Err(given_up("a time-out"));
            }
            let children = step.spec.children();
            if are_groups(&children) && self.is_pipe(&children, queue) {
                most = most.max(members(&children));
                continue;
            }
            for child in &children {
                if matches!(child.times, Times::FirstOf(_) | Times::Within { .. })
                    || child.ends == Ends::ByAny
                {
                    return Err(given_up("a `parallel` around them"));
                }
                let times = match child.times {
                    Times::AtOnce(count) | Times::AsCompleted(count) | Times::Beside(count) => {
                        count
                    }
                    Times::SomeAtOnce { most, .. } => most,
                    _ => 1,
                };
                most = most.max(times.saturating_mul(self.outside(&child.task.text, queue)? + 1));
            }
        }
        Ok(most)
    }

    /// Whether the groups of one `parallel` put as many items into a queue as they take from it; where
    /// they come one after another, whether there is room for all.
    fn balanced(&self, groups: &[Child<'_>], queue: &str, room: Option<u64>) -> Result<(), String> {
        let (mut all, mut held) = (Flow::default(), 0i128);
        for group in groups {
            let Times::Beside(count) = group.times else { continue };
            let flow = self.task(&group.task.text, queue)?;
            if flow.puts > 0 && flow.takes > 0 {
                return Err(format!(
                    "`{}` puts and takes there, and others wait for it; let each group do one of both",
                    group.task.text
                ));
            }
            all = all.plus(flow, count);
            let each = i128::from(flow.puts) - i128::from(flow.takes);
            held = held.saturating_add(each.saturating_mul(i128::from(count)));
            if let Some(room) = room
                && !(0..=i128::from(room)).contains(&held)
            {
                return Err(format!(
                    "one task at a time: after all of `{}` there would be {held} items in it, and it has room for {room}; raise \
                     its `capacity`, and name those who put first",
                    group.task.text
                ));
            }
        }
        if all.puts != all.takes {
            return Err(format!(
                "{} items are put and {} taken by the groups of one `parallel`; make them equal",
                all.puts, all.takes
            ));
        }
        Ok(())
    }

    /// What a member of a group does at a queue.
    fn task(&self, task: &str, queue: &str) -> Result<Flow, String> {
        let steps = self.steps(task);
        let mut whole = Flow::default();
        for step in steps {
            whole = whole.plus(self.step(step, queue)?, 1);
        }
        let skips = |step: &StepPlan| {
            let cut = step.spec.children().iter().any(|child| child.ends == Ends::ByAny);
            cut || step.may_skip()
        };
        if !whole.is_none() && steps.iter().any(|step| self.any(step, &skips)) {
            return Err(format!(
                "a time-out, an error of a step with `take` or `fail-fast` may end `{task}` before it has come there; leave it out"
            ));
        }
        Ok(whole)
    }

    fn step(&self, step: &StepPlan, queue: &str) -> Result<Flow, String> {
        if !self.touches(step, queue) {
            return Ok(Flow::default());
        }
        let used = step.spec.shared();
        if step.timeout.is_some() && step.on_timeout != OnTimeout::Fail {
            return Err(given_up("a time-out"));
        }
        match used.map(|used| used.touch) {
            Some(Touch::Gives) => return Ok(Flow { puts: 1, takes: 0 }),
            Some(Touch::Takes) => return Ok(Flow { puts: 0, takes: 1 }),
            Some(_) => {
                let key = step.spec.key();
                return Err(format!(
                    "somebody waits there under a `{key}`, which others may need; leave it before"
                ));
            }
            None => {}
        }
        let mut whole = Flow::default();
        for child in step.spec.children() {
            let once = self.task(&child.task.text, queue)?;
            let times = match child.times {
                Times::InOrder(times) => times,
                _ if once.is_none() => continue,
                _ => {
                    return Err(format!(
                        "how often `{}` comes there, or how many at once, is not the same on every path; run it with `repeat`",
                        child.task.text
                    ));
                }
            };
            whole = whole.plus(once, times);
        }
        Ok(whole)
    }

    /// Whether somebody who takes from a queue takes from another one, or waits for others to come; or
    /// whether pipes make a ring.
    fn ring(&self, variant: &Variant, queue: &str, pipes: &BTreeSet<&str>) -> Result<(), String> {
        let mut next: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for group in self.groups().flatten() {
            let task = &group.task.text;
            let of = |touch: Touch| -> BTreeSet<&str> {
                pipes.iter().copied().filter(|pipe| self.does(task, pipe, touch)).collect()
            };
            let (gives, takes) = (of(Touch::Gives), of(Touch::Takes));
            let meets = |step: &StepPlan| {
                let used = step.spec.shared();
                let elsewhere = used.filter(|used| !pipes.contains(used.name.text.as_str()));
                elsewhere.is_some_and(|used| crowd::waits_for_others(variant, &used))
            };
            let is_there = gives.contains(queue) || takes.contains(queue);
            if is_there && self.steps(task).iter().any(|step| self.any(step, &meets)) {
                return Err(format!(
                    "`{task}` waits there and for others to come; let it do one of both"
                ));
            }
            if takes.contains(queue) && takes.len() > 1 {
                return Err(format!("`{task}` takes from several queues; let it take from one"));
            }
            for from in &takes {
                next.entry(from).or_default().extend(&gives);
            }
        }
        let (mut seen, mut ahead) = (BTreeSet::new(), vec![queue]);
        while let Some(at) = ahead.pop() {
            for after in next.get(at).into_iter().flatten() {
                if *after == queue {
                    return Err(
                        "what is taken from it comes back to it; let items go one way".to_owned()
                    );
                }
                if seen.insert(*after) {
                    ahead.push(after);
                }
            }
        }
        Ok(())
    }
}

/// How many children the groups of one `parallel` have.
fn members(groups: &[Child<'_>]) -> u64 {
    let counts =
        groups.iter().map(|group| if let Times::Beside(count) = group.times { count } else { 0 });
    counts.fold(0, u64::saturating_add)
}

fn given_up(by: &str) -> String {
    format!("{by} may give up those who put or take, and others wait for them; leave it out")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        runtime,
        scenario::{Overrides, from_text},
    };

    const GROUPS: &str = "{ parallel = { groups = [{ task = 'many', count = 3 }, { task = 'taker', count = 12 }] } }";

    /// Why eight clients of these steps could wait for ever, if they could.
    fn why(executor: &str, steps: &str, more: &str) -> Option<String> {
        let text = format!(
            "schema = 1\nname = 'x'\n[shared.q]\nqueue = {{ capacity = 4 }}\n[shared.r]\nqueue = {{ capacity = 4 }}\n\
             [tasks.main]\nsteps = [{steps}]\n\
             [tasks.many]\nsteps = [{{ repeat = {{ task = 'putter', times = 4 }} }}]\n\
             [tasks.putter]\nsteps = [{{ put = {{ queue = 'q' }} }}]\n\
             [tasks.taker]\nsteps = [{{ take = {{ queue = 'q' }} }}]\n{more}\n[load.l]\ntask = 'main'\n\
             closed = {{ concurrency = 8 }}\n"
        );
        let scenario = from_text(Path::new("x.toml"), &text, &Overrides::default());
        let scenario = scenario.unwrap_or_else(|error| panic!("{}", error.render(false)));
        let executor = runtime::executor(executor).unwrap();
        let variant = &scenario.variants[0];
        let crowded = crowded(variant, executor.style);
        crowded.or_else(|| stuck(variant, executor.style, variant.executors.pool_size as u64))
    }

    fn finds(executor: &str, steps: &str, more: &str, what: &str) {
        let found = why(executor, steps, more).unwrap_or_default();
        assert!(found.contains(what), "{executor}: {found}");
    }

    const USES_R: &str =
        "[tasks.other]\nsteps = [{ put = { queue = 'r' } }, { take = { queue = 'r' } }]";

    fn with_r(steps: &str) -> String {
        format!("{steps}, {{ repeat = {{ task = 'other', times = 1 }} }}")
    }

    #[test]
    fn groups_that_put_as_much_as_they_take_come_to_their_end() {
        for executor in ["tokio", "tokio-current-thread", "threads", "smol"] {
            assert_eq!(why(executor, &with_r(GROUPS), USES_R), None, "{executor}");
        }
        // Eight tasks of fifteen, and each of the eight itself.
        finds("thread-pool", &with_r(GROUPS), USES_R, "need 128 threads, and the pool has 64");
        finds(
            "sequential",
            &with_r(GROUPS),
            USES_R,
            "there would be 12 items in it, and it has room for 4",
        );
    }

    #[test]
    fn what_may_wait_for_ever_is_found() {
        let of = |steps: &str, what| finds("tokio", &with_r(steps), USES_R, what);
        of(&GROUPS.replace("count = 12", "count = 11"), "12 items are put and 11 taken");
        of(&format!("{GROUPS}, {{ put = {{ queue = 'q' }} }}"), "the task `main` does so as well");
        let limited = GROUPS.replace("] } }", "] }, timeout = '1s', on_timeout = 'ignore' }");
        of(&limited, "a time-out may give up those who put or take");
    }

    #[test]
    fn members_that_may_end_early_or_lack_what_is_held_are_found() {
        let of = |steps: &str, more: &str, what| {
            finds("tokio", &with_r(steps), &format!("{USES_R}\n{more}"), what);
        };
        let fails = "{ parallel = { task = 'one', count = 2, errors = 'fail-fast' } }";
        let risky = format!(
            "[tasks.one]\nsteps = [{{ noop = {{}} }}]\n[tasks.early]\nsteps = [{fails}, {{ put = {{ queue = 'q' }} }}]"
        );
        let early = "{ parallel = { groups = [{ task = 'early', count = 12 }, { task = 'taker', count = 12 }] } }";
        of(&format!("{early}, {GROUPS}"), &risky, "`fail-fast` may end `early`");
        let gate = format!("[shared.m]\nmutex = {{}}\n[tasks.inside]\nsteps = [{GROUPS}]");
        of("{ lock = { mutex = 'm', task = 'inside' } }", &gate, "while `m` is held");
    }

    #[test]
    fn a_pool_has_one_place_where_others_are_waited_for() {
        let two = format!("{GROUPS}, {GROUPS}");
        assert_eq!(why("tokio", &with_r(&two), USES_R), None);
        finds("thread-pool", &with_r(&two), USES_R, "in 2 places");
    }

    #[test]
    fn a_line_of_queues_is_fine_and_a_ring_is_not() {
        let of = |groups: &str, sink: &str| {
            let main = format!(
                "{{ parallel = {{ groups = [{groups}{{ task = 'stage', count = 4 }}, {{ task = 'sink', count = 4 }}] }} }}, {GROUPS}"
            );
            let more = format!(
                "[tasks.stage]\nsteps = [{{ take = {{ queue = 'q' }} }}, {{ put = {{ queue = 'r' }} }}]\n\
                 [tasks.sink]\nsteps = [{{ take = {{ queue = 'r' }} }}{sink}]"
            );
            why("tokio", &main, &more).unwrap_or_default()
        };
        assert_eq!(of("{ task = 'many' }, ", ""), "");
        let ring = of("", ", { put = { queue = 'q' } }");
        assert!(ring.contains("what is taken from it comes back to it"), "{ring}");
    }
}
