//! Events: whether all who wait for one are sure to go on. Where one could wait for ever, nobody is
//! started.
//!
//! A wait without a `timeout` is sure to end in two cases:
//!
//! 1. The task has set the event before, in each order of what happens.
//! 2. It is a child of `parallel`, and one that is started with it sets the event on every path
//!    before it waits for it itself: `groups` of that `parallel` say which children do.
//!
//! What is set stays set until it is cleared. So whoever clears it must know that nobody waits, or
//! is about to: one task at a time uses the event, and clears it when all children have ended.
//!
//! For the second case all who wait must be able to wait at once, and the one who sets it must get
//! there: nobody waits while it holds what others need on their way, nor where tasks meet or wait
//! for another event, too. A pool needs a thread for each who waits, one for who sets it, one for
//! each task, and one for the probe of scheduling delay.

use std::collections::HashMap;

use super::crowd;
use crate::{
    runtime::Style,
    scenario::{StepPlan, Task, Variant},
    shared::SharedSpec,
    step::{Child, Ends, Times, Touch},
};

/// Why tasks of a variant could wait for an event for ever under an executor whose pool is so
/// large.
pub(super) fn unset(variant: &Variant, style: Style, pool_size: u64) -> Option<String> {
    variant.shared.iter().find_map(|named| {
        let SharedSpec::Event(_) = &named.spec else { return None };
        let (tasks, event) = (variant.tasks.as_slice(), named.name.as_str());
        let walk = EventWalk { tasks, event, style, known: HashMap::new() };
        let why = walk.variant(variant, pool_size).err()?;
        Some(format!("event `{event}`: {why}"))
    })
}

/// What a part of a task does with an event.
#[expect(clippy::struct_excessive_bools, reason = "each says one thing of the same part")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Awaiting {
    /// Whether it may wait without a limit for somebody else to set it.
    needs: bool,
    /// The same though it was set before: it clears it in between.
    needs_anew: bool,
    /// Whether it sets it on every path before it waits for it.
    leads: bool,
    /// Whether it is set when the part has come to its end.
    is_set: bool,
    /// Whether it may clear it.
    clears: bool,
    /// Whether it may end the task around it early.
    exits: bool,
    /// Children that may wait at once for one of them to set it.
    followers: u64,
}

impl Awaiting {
    /// It, and then another one.
    fn then(self, next: Self) -> Self {
        Self {
            needs: self.needs || next.needs_anew || next.needs && !self.is_set,
            needs_anew: self.needs_anew
                || next.needs_anew
                || next.needs && self.clears && !self.is_set,
            leads: self.leads || !self.needs && !self.exits && next.leads,
            is_set: next.is_set || self.is_set && !next.clears,
            ..self.beside(next)
        }
    }

    /// Either it or another one.
    fn or(self, other: Self) -> Self {
        Self {
            needs: self.needs || other.needs,
            leads: self.leads && other.leads,
            is_set: self.is_set && other.is_set,
            ..self.beside(other)
        }
    }

    /// Both at once: either may set what the other one waits for.
    fn together(self, other: Self) -> Self {
        let leads = self.leads || other.leads;
        Self {
            needs: (self.needs || other.needs) && !leads,
            leads,
            is_set: self.is_set || other.is_set || leads,
            ..self.beside(other)
        }
    }

    /// It, and what holds of its end also where it ends early.
    fn however_it_ends(self) -> Self {
        Self { is_set: self.is_set && !self.exits, ..self }
    }

    /// What is added up in the same way, whichever comes first.
    fn beside(self, other: Self) -> Self {
        Self {
            needs_anew: self.needs_anew || other.needs_anew,
            clears: self.clears || other.clears,
            exits: self.exits || other.exits,
            followers: self.followers.max(other.followers),
            ..self
        }
    }
}

/// Following tasks into the tasks that they run, for one event. The tasks must be validated: no
/// cycles, no unknown names.
struct EventWalk<'a> {
    tasks: &'a [Task],
    event: &'a str,
    style: Style,
    /// By task, and whether a time-out around it limits all its waits.
    known: HashMap<(&'a str, bool), Awaiting>,
}

impl<'a> EventWalk<'a> {
    fn variant(mut self, variant: &'a Variant, pool_size: u64) -> Result<(), String> {
        let (mut all, mut slots, mut users) = (Awaiting::default(), 0u64, 0u64);
        let mut followers = 0u64;
        for load in &variant.loads {
            let at_once = self.style.slots(load.kind.concurrency(), pool_size);
            slots = slots.saturating_add(at_once);
            let whole = self.task(&load.task.text, false)?;
            let uses = whole != Awaiting { exits: whole.exits, ..Awaiting::default() };
            users = users.saturating_add(if uses { at_once } else { 0 });
            followers = followers.saturating_add(whole.followers.saturating_mul(at_once));
            all = if all == Awaiting::default() { whole } else { all.or(whole) };
        }
        if all.needs {
            return Err(self.nobody_sets_it());
        }
        if all.clears && users > 1 {
            return Err(format!(
                "{users} tasks at once use it, and one clears it while another may wait; let one task at a time use \
                 it, or leave `clear` out"
            ));
        }
        if followers > 0 {
            let host = (self.style, pool_size);
            return crowd::can_wait(variant, self.event, followers, slots, host);
        }
        Ok(())
    }

    fn nobody_sets_it(&self) -> String {
        let how = "let the task set it earlier, or start one child with those who wait that sets it before it waits \
             (`groups` of a `parallel`), or give `wait` a `timeout`";
        let alone = if self.style == Style::Serial { "one task at a time; " } else { "" };
        format!("{alone}`wait` may come before anybody has set it; {how}")
    }

    fn task(&mut self, name: &str, limited: bool) -> Result<Awaiting, String> {
        let tasks = self.tasks;
        let Some(task) = tasks.iter().find(|task| task.name == name) else {
            return Ok(Awaiting::default());
        };
        if let Some(known) = self.known.get(&(task.name.as_str(), limited)) {
            return Ok(*known);
        }
        let mut whole = Awaiting::default();
        for step in &task.steps {
            whole = whole.then(self.step(step, limited)?);
        }
        self.known.insert((&task.name, limited), whole);
        Ok(whole)
    }

    fn step(&mut self, plan: &StepPlan, limited: bool) -> Result<Awaiting, String> {
        let within = limited || plan.timeout.is_some();
        let used = plan.spec.shared();
        let own = used.filter(|used| used.name.text == self.event).map(|used| used.touch);
        let own = Awaiting {
            needs: own == Some(Touch::Awaits) && !within,
            leads: own == Some(Touch::Sets),
            is_set: own == Some(Touch::Sets),
            clears: own == Some(Touch::Clears),
            ..Awaiting::default()
        };
        let children = self.children(&plan.spec.children(), within)?;
        let held = used.filter(|used| used.touch == Touch::Holds);
        if let Some(held) = held.filter(|_| children.needs || children.followers > 0) {
            return Err(format!(
                "a task waits for it while it holds `{}`, which who sets it may need; wait outside of it",
                held.name.text
            ));
        }
        let whole = own.then(children);
        let skips = plan.may_skip();
        Ok(Awaiting { exits: whole.exits || skips, ..whole })
    }

    fn children(&mut self, children: &[Child<'_>], limited: bool) -> Result<Awaiting, String> {
        let mut chosen: Option<Awaiting> = None;
        let (mut whole, mut beside) = (Awaiting::default(), Vec::new());
        for child in children {
            let once = self.task(&child.task.text, limited)?;
            match child.times {
                // What a round leaves behind meets the next one; a third would find what that found.
                Times::InOrder(times) => {
                    whole = whole.then(once);
                    whole = if times > 1 { whole.then(once) } else { whole };
                }
                // An attempt may have ended early, and another one well.
                Times::UpTo(times) => {
                    let attempt = once.however_it_ends();
                    whole = whole.then(attempt);
                    whole = if times > 1 { whole.then(attempt) } else { whole };
                }
                Times::AtOnce(count) | Times::AsCompleted(count) => {
                    whole = whole.then(self.at_once(&[(child, count)], limited)?);
                }
                Times::Beside(count) => beside.push((child, count)),
                Times::AtMostOnce => {
                    wait_for_nobody(once, child)?;
                    whole = whole.then(Awaiting { leads: false, is_set: false, ..once });
                }
                Times::FirstOf(_)
                | Times::Within { .. }
                | Times::InBackground
                | Times::SomeAtOnce { .. }
                | Times::AfterEach(_) => {
                    wait_for_nobody(once, child)?;
                    let some = Awaiting { leads: false, is_set: false, exits: false, ..once };
                    whole = whole.then(some);
                }
                Times::Chance(_) => chosen = Some(chosen.map_or(once, |other| other.or(once))),
            }
        }
        if !beside.is_empty() {
            whole = whole.then(self.at_once(&beside, limited)?);
        }
        Ok(whole.then(chosen.unwrap_or_default()))
    }

    /// So many at once of each task, of whom some may set what the others wait for.
    fn at_once(
        &mut self,
        children: &[(&Child<'_>, u64)],
        limited: bool,
    ) -> Result<Awaiting, String> {
        let mut crowd = Awaiting::default();
        let mut followers = 0u64;
        let mut cut = false;
        for (child, count) in children {
            cut |= child.ends == Ends::ByAny;
            let once = self.task(&child.task.text, limited)?;
            if once.clears || once.followers > 0 {
                return Err(format!(
                    "`{}` is started several times at once, and clears it or starts others who wait; do so in one task at a \
                     time, when all children have ended",
                    child.task.text
                ));
            }
            if once.needs && child.ends == Ends::ByAny {
                return wait_for_nobody(once, child).map(|()| crowd);
            }
            followers = followers.saturating_add(if once.needs { *count } else { 0 });
            // One after another in the order of their numbers, or in any order.
            let serial = self.style == Style::Serial;
            let once = Awaiting { exits: false, ..once.however_it_ends() };
            crowd = if serial { crowd.then(once) } else { crowd.together(once) };
        }
        let solved = crowd.leads && !crowd.needs && self.style != Style::Serial;
        let followers = if solved { followers } else { 0 };
        Ok(Awaiting { exits: cut, followers, ..crowd })
    }
}

/// Children that are not all at work at once, or may be given up.
fn wait_for_nobody(once: Awaiting, child: &Child<'_>) -> Result<(), String> {
    if !once.needs && once.followers == 0 && !once.clears {
        return Ok(());
    }
    Err(format!(
        "`{}` waits for it or clears it, and is given up or started after others; let children that a `parallel` starts \
         and waits for all at once wait, and clear it afterwards",
        child.task.text
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        runtime,
        scenario::{Overrides, from_text},
    };

    const WAIT: &str = "{ wait = { event = 'e' } }";
    const SET: &str = "{ set = { event = 'e' } }";
    const CLEAR: &str = "{ clear = { event = 'e' } }";
    const NOOP: &str = "{ noop = {} }";
    const NAP: &str = "{ sleep = { time = '1s' }, timeout = '1ms', on_timeout = 'skip' }";
    /// Three wait, and one sets it.
    const GROUPS: &str =
        "{ parallel = { groups = [{ task = 'follow', count = 3 }, { task = 'lead' }] } }";
    /// Whoever leads comes first.
    const LEAD_FIRST: &str =
        "{ parallel = { groups = [{ task = 'lead' }, { task = 'follow', count = 3 }] } }";

    /// Why so many clients of `main` could wait for ever, if they could; `one` is what other children
    /// do.
    fn why(
        (executor, size): (&str, u64),
        clients: u64,
        [main, one, follow, lead]: [&str; 4],
        more: &str,
    ) -> Option<String> {
        let text = format!(
            "schema = 1\nname = 'x'\n[executors.thread-pool]\nsize = {size}\n[shared.e]\nevent = {{}}\n{more}\n\
             [tasks.follow]\nsteps = [{follow}]\n[tasks.lead]\nsteps = [{lead}]\n[tasks.one]\nsteps = [{one}]\n\
             [tasks.main]\nsteps = [{main}]\n[load.l]\ntask = 'main'\nclosed = {{ concurrency = {clients} }}\n\
             [tasks.unused]\nsteps = [{{ repeat = {{ task = 'one', times = 1 }} }}, {{ repeat = {{ task = 'follow', \
             times = 1 }} }}, {{ repeat = {{ task = 'lead', times = 1 }} }}, {CLEAR}, {WAIT}, {SET}]\n\
             [load.other]\ntask = 'unused'\nclosed = {{ concurrency = 1 }}\n"
        );
        let scenario = from_text(Path::new("x.toml"), &text, &Overrides::default())
            .unwrap_or_else(|error| panic!("{}", error.render(false)));
        let executor = runtime::executor(executor).unwrap();
        let mut variant = scenario.variants[0].clone();
        // It is there for the rule that every task and object is used.
        variant.loads.truncate(1);
        unset(&variant, executor.style, variant.executors.pool_size as u64)
    }

    /// Whether so many clients under tokio are sure to go on.
    fn is_fine(clients: u64, tasks: [&str; 4]) -> bool {
        why(("tokio", 64), clients, tasks, "").is_none()
    }

    fn crowd(count: u64) -> String {
        format!("{{ parallel = {{ task = 'one', count = {count} }} }}")
    }

    #[test]
    fn who_sets_it_before_it_waits_goes_on_under_every_executor() {
        let steps = format!("{SET}, {WAIT}, {WAIT}");
        for executor in ["sequential", "thread-pool", "threads", "tokio"] {
            assert_eq!(why((executor, 1), 8, [&steps, NOOP, NOOP, NOOP], ""), None);
        }
        assert!(is_fine(8, [&format!("{SET}, {}", crowd(5)), WAIT, NOOP, NOOP]));
        for steps in [WAIT, &format!("{WAIT}, {SET}"), &format!("{SET}, {CLEAR}, {WAIT}")] {
            let why = why(("tokio", 1), 1, [steps, NOOP, NOOP, NOOP], "").unwrap();
            assert!(why.contains("`wait` may come before anybody has set it"), "{why}");
        }
        let limited = WAIT.replace("} }", "}, timeout = '1s', on_timeout = 'ignore' }");
        assert!(is_fine(8, [&limited, NOOP, NOOP, NOOP]));
    }

    #[test]
    fn a_group_that_sets_it_on_every_path_is_waited_for() {
        assert!(is_fine(8, [GROUPS, NOOP, WAIT, SET]));
        assert!(is_fine(8, [GROUPS, NOOP, WAIT, &format!("{SET}, {WAIT}")]));
        for lead in [NOOP, &format!("{NAP}, {SET}"), &format!("{WAIT}, {SET}")] {
            assert!(!is_fine(8, [GROUPS, NOOP, WAIT, lead]), "{lead}");
        }
        let drawn = "{ choice = { of = [{ task = 'follow', weight = 3 }, { task = 'lead' }] } }";
        assert!(!is_fine(8, [&crowd(4), drawn, WAIT, SET]));
    }

    #[test]
    fn one_at_a_time_waits_for_nobody_and_a_pool_needs_threads() {
        let alone = why(("sequential", 1), 1, [GROUPS, NOOP, WAIT, SET], "").unwrap();
        assert!(alone.starts_with("event `e`: one task at a time; "), "{alone}");
        assert_eq!(why(("sequential", 1), 1, [LEAD_FIRST, NOOP, WAIT, SET], ""), None);
        let pool =
            |size, clients| why(("thread-pool", size), clients, [GROUPS, NOOP, WAIT, SET], "");
        assert_eq!((pool(5, 1), pool(9, 2)), (None, None));
        assert!(pool(4, 1).is_some() && pool(8, 2).is_some());
    }

    #[test]
    fn it_is_cleared_by_one_task_at_a_time_when_nobody_waits() {
        let rounds = format!("{GROUPS}, {CLEAR}");
        assert!(is_fine(1, [&rounds, NOOP, WAIT, SET]) && !is_fine(2, [&rounds, NOOP, WAIT, SET]));
        assert!(!is_fine(1, [GROUPS, NOOP, WAIT, &format!("{SET}, {CLEAR}")]));
        let twice = format!("{rounds}, {rounds}");
        assert!(is_fine(1, [&twice, NOOP, WAIT, SET]));
    }

    #[test]
    fn nobody_waits_with_what_others_need_nor_in_two_places() {
        let gate = "[shared.m]\nmutex = {}\n[tasks.inner]\nsteps = [{ wait = { event = 'e' } }]";
        let held = "{ lock = { mutex = 'm', task = 'inner' } }";
        let why_held = why(("tokio", 64), 1, [GROUPS, NOOP, held, SET], gate).unwrap();
        assert!(why_held.contains("while it holds `m`"), "{why_held}");
        let other = "[shared.f]\nevent = {}";
        let (both, lead) = (
            format!("{WAIT}, {{ set = {{ event = 'f' }} }}"),
            format!("{{ wait = {{ event = 'f' }} }}, {SET}"),
        );
        let why_two = why(("tokio", 64), 1, [GROUPS, NOOP, &both, &lead], other).unwrap();
        assert!(why_two.contains("at `f`, too"), "{why_two}");
    }

    #[test]
    fn what_one_round_leaves_behind_meets_the_next_one() {
        let round = format!("[tasks.round]\nsteps = [{WAIT}, {CLEAR}]");
        let rounds = |times| {
            let steps = format!("{SET}, {{ repeat = {{ task = 'round', times = {times} }} }}");
            why(("tokio", 64), 1, [&steps, NOOP, NOOP, NOOP], &round)
        };
        assert_eq!(rounds(1), None);
        assert!(rounds(2).unwrap().contains("before anybody has set it"));
    }

    #[test]
    fn a_clean_up_that_is_skipped_ends_who_leads() {
        let lead = format!(
            "{{ spawn = {{ task = 'one', handle = 'h' }} }}, {{ cancel = {{ handle = 'h', cleanup = 'undo' }} }}, {SET}"
        );
        let of = |undo: &str| {
            let undo = format!("[tasks.undo]\nsteps = [{undo}]");
            why(("tokio", 64), 1, [GROUPS, NOOP, WAIT, &lead], &undo)
        };
        assert_eq!(of(NOOP), None);
        assert!(of(NAP).is_some());
    }

    #[test]
    fn a_log_in_that_may_end_without_its_token_ends_who_leads() {
        let of = |allow: &str| {
            let take = "take = { token = { header = 'x-token' } }";
            let login = format!("{{ http = {{ target = 'api', path = '/', {take} }}{allow} }}");
            let lead = format!(
                "{login}, {{ http = {{ target = 'api', path = '/${{value:token}}' }} }}, {SET}"
            );
            why(("tokio", 64), 1, [GROUPS, NOOP, WAIT, &lead], "[targets.api]\nhttp = {}")
        };
        assert_eq!(of(""), None);
        assert!(of(", allow = { status = 503 }").is_some());
        assert!(of(", allow = { errors = true }").is_some());
    }

    #[test]
    fn nested_groups_are_not_started() {
        let groups = "{ parallel = { task = 'group', count = 2 } }";
        let group = format!("[tasks.group]\nsteps = [{GROUPS}]");
        assert!(why(("tokio", 64), 1, [groups, NOOP, WAIT, SET], &group).is_some());
    }
}
