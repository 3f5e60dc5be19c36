//! Peers: whether the tasks of a load can go on by themselves, or could all wait for somebody who
//! never comes. What could is not started.
//!
//! For each queue the items are added up that one run of a load's task has put and not yet taken,
//! step by step and in the worst case. Four things must hold of waits without a `timeout`:
//!
//! 1. Before each `take` the task has an item in the queue. The items are as many as those of all
//!    tasks together, so that there is one for everybody who waits, whoever put it.
//! 2. No `take` with a `timeout` takes more than its task has put, or it would take another's.
//! 3. Where a `put` may wait, no task leaves an item behind, or the queue would be full one day.
//! 4. Where a `put` may wait, the queue has more room than the items that all tasks at once may
//!    have in it while they wait, for room or for what others hold. Were all of them waiting, the
//!    queue would not be full.
//!
//! Tickets of a condition are like items, of which nobody is without room. But there those who wait
//! may be children of a `parallel`, and who supplies the tickets others that are started with them:
//! what all who wait take is not more than what those supply who wait for nothing. Each of those
//! who wait has taken less than it may; so while any of them waits there is a ticket, or one comes.
//!
//! Who holds what in which order is looked at when the scenario is read. So nobody waits for ever,
//! in whatever order an executor runs tasks and children, and however few of them at once.

use std::collections::HashMap;

use super::{crowd, pipes::pipes};
use crate::{
    runtime::Style,
    scenario::{OnTimeout, Reach, StepPlan, Task, Variant, reach},
    shared::{NamedShared, SharedSpec},
    step::{Child, Ends, HandleTouch, Times, Touch},
};

/// The shared objects that the loads' tasks use, and the tasks that they run: another combination
/// of parameters may use others.
pub(super) fn used(variant: &Variant) -> Vec<NamedShared> {
    let reached: Vec<Reach> =
        variant.loads.iter().flat_map(|load| reach(&variant.tasks, &load.task.text)).collect();
    let steps = || reached.iter().map(|at| &variant.tasks[at.task].steps[at.step]);
    let is_used = |named: &&NamedShared| {
        steps().filter_map(|step| step.spec.shared()).any(|used| used.name.text == named.name)
    };
    variant.shared.iter().filter(is_used).cloned().collect()
}

/// Why the tasks of a variant could wait for ever under an executor whose pool is so large.
pub(super) fn missing(variant: &Variant, style: Style, pool_size: u64) -> Option<String> {
    let pipes = pipes(variant);
    let found = variant.shared.iter().filter_map(|named| {
        let (words, capacity) = match &named.spec {
            SharedSpec::Queue(_) if pipes.contains(named.name.as_str()) => return None,
            SharedSpec::Queue(queue) => (&QUEUE, queue.capacity().unwrap_or(u64::MAX)),
            SharedSpec::Condition(_) => (&CONDITION, u64::MAX),
            _ => return None,
        };
        let why = Walk::of(variant, named, style).complaint(variant, words, capacity, pool_size)?;
        Some(format!("{}: {why}", named_as(named)))
    });
    let alone = if style == Style::Serial { "one task at a time; " } else { "" };
    found.map(|why| format!("{alone}{why}")).next()
}

/// Such as: queue `jobs`.
fn named_as(named: &NamedShared) -> String {
    format!("{} `{}`", named.spec.key(), named.name)
}

/// What is said of an object of one kind.
struct PeerWords {
    take: &'static str,
    item: &'static str,
    give: &'static str,
    gives: &'static str,
}

const QUEUE: PeerWords = PeerWords { take: "take", item: "an item", give: "put", gives: "puts" };
const CONDITION: PeerWords =
    PeerWords { take: "await", item: "a ticket", give: "supply", gives: "supplies" };

/// Tasks at once, and the items that they may have in a queue while each of them waits.
#[derive(Debug, Clone, Copy, Default)]
struct AtOnce {
    tasks: u64,
    held: u64,
}

impl AtOnce {
    fn add(&mut self, part: &Part, slots: u64) {
        let each = u64::try_from(part.waits.unwrap_or(0)).unwrap_or(0);
        self.tasks = self.tasks.saturating_add(slots);
        self.held = self.held.saturating_add(each.saturating_mul(slots));
    }
}

/// The least and the most that a number of items may be.
type Range = (i64, i64);

fn hull(a: Range, b: Range) -> Range {
    (a.0.min(b.0), a.1.max(b.1))
}

fn sum(a: Range, b: Range) -> Range {
    (a.0.saturating_add(b.0), a.1.saturating_add(b.1))
}

/// What a part of a task does to a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Part {
    /// By how many items there are more at its end than before.
    end: Range,
    /// The same where it ends the task around it early.
    exit: Option<Range>,
    /// The same at any moment, that before it included.
    ever: Range,
    /// Items that its task must have there beforehand, so that no `take` without a limit waits for
    /// ever; none: there is no such `take`.
    needs: Option<i64>,
    /// The most items at a moment at which it may wait without a limit for a place, for what others
    /// hold or for its turn; none: there is no such moment.
    waits: Option<i64>,
    /// Whether a `put` into the queue waits without a limit.
    puts: bool,
    /// Whether a time-out or an error that the scenario allows may happen in it.
    unwell: bool,
    /// Children that may wait at once for what others supply that are started with them.
    followers: u64,
    /// Whether it takes without a limit while it holds what others may need.
    takes_held: bool,
}

impl Part {
    /// It, and then another one.
    fn then(self, next: Self) -> Self {
        let exits = next.exit.map(|exit| sum(self.end, exit));
        let waits = next.waits.map(|waits| self.end.1.saturating_add(waits));
        Self {
            end: sum(self.end, next.end),
            exit: self.exit.into_iter().chain(exits).reduce(hull),
            ever: hull(self.ever, sum(self.end, next.ever)),
            needs: self.needs.max(next.needs.map(|needs| needs.saturating_sub(self.end.0))),
            waits: self.waits.max(waits),
            puts: self.puts || next.puts,
            unwell: self.unwell || next.unwell,
            followers: self.followers.max(next.followers),
            takes_held: self.takes_held || next.takes_held,
        }
    }

    /// Either it or another one.
    fn or(self, other: Self) -> Self {
        Self {
            end: hull(self.end, other.end),
            exit: self.exit.into_iter().chain(other.exit).reduce(hull),
            ever: hull(self.ever, other.ever),
            needs: self.needs.max(other.needs),
            waits: self.waits.max(other.waits),
            puts: self.puts || other.puts,
            unwell: self.unwell || other.unwell,
            followers: self.followers.max(other.followers),
            takes_held: self.takes_held || other.takes_held,
        }
    }

    /// So many times, one after another.
    fn in_order(self, times: u64) -> Self {
        let (mut whole, mut power, mut left) = (Self::default(), self, times);
        while left > 0 {
            if left & 1 == 1 {
                whole = whole.then(power);
            }
            power = power.then(power);
            left >>= 1;
        }
        whole
    }

    /// It, followed by what is done also where it ends early.
    fn however_it_ends(self) -> Self {
        Self { end: self.exit.map_or(self.end, |exit| hull(self.end, exit)), ..self }
    }

    /// Until one ends well, so many times at most: one that ends early is followed by another.
    fn up_to(self, times: u64) -> Self {
        let attempt = self.however_it_ends();
        attempt.or(attempt.in_order(times))
    }

    /// So many times at once. Each has its own share of what is there beforehand. A time-out around
    /// them ends each of them by itself, and then they have come to their end.
    fn at_once(self, count: u64, ends: Ends, limited: bool) -> Self {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let each = |range: Range| (range.0.saturating_mul(count), range.1.saturating_mul(count));
        let cut = ends == Ends::ByAny && self.unwell;
        let early = if cut || limited { Some(self.ever) } else { self.exit };
        let end = early.map_or(self.end, |early| hull(early, self.end));
        // While one waits, another may have ended, or not have begun.
        let waits = self.waits.map(|waits| waits.max(end.1).max(0).saturating_mul(count));
        Self {
            end: each(end),
            exit: cut.then(|| each(end)),
            ever: each(self.ever),
            needs: self.each_needs().map(|needs| needs.saturating_mul(count)),
            waits,
            followers: 0,
            ..self
        }
    }

    /// What each of several at once needs. Where children of theirs wait for each other it is not
    /// looked into who helps whom.
    fn each_needs(&self) -> Option<i64> {
        if self.followers > 0 {
            Some(self.needs.unwrap_or(0).max(1))
        } else {
            self.needs.map(|needs| needs.max(0))
        }
    }

    /// Both at once, whoever is first.
    fn beside(self, other: Self) -> Self {
        let both = |a: Option<i64>, b: Option<i64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        // While one waits, another may have ended.
        let held = |part: &Self| part.waits.unwrap_or(0).max(part.end.1).max(0);
        Self {
            end: sum(self.end, other.end),
            exit: self.exit.into_iter().chain(other.exit).reduce(hull),
            ever: sum(self.ever, other.ever),
            needs: both(self.needs, other.needs),
            waits: both(self.waits, other.waits).map(|_| held(&self).saturating_add(held(&other))),
            puts: self.puts || other.puts,
            unwell: self.unwell || other.unwell,
            followers: 0,
            takes_held: self.takes_held || other.takes_held,
        }
    }

    /// It, with a time-out that may end it at any moment.
    fn limited(self, on_timeout: OnTimeout) -> Self {
        let part = Self { unwell: true, ..self };
        match on_timeout {
            OnTimeout::Fail => part,
            OnTimeout::Ignore => Self { end: hull(self.ever, self.end), ..part },
            OnTimeout::Skip => {
                let exit = self.exit.map_or(self.ever, |exit| hull(exit, self.ever));
                Self { exit: Some(exit), ..part }
            }
        }
    }

    /// What is missing where so many tasks do this at once, again and again, over a queue with so
    /// much room.
    fn complaint(&self, words: &PeerWords, capacity: u64, at_once: AtOnce) -> Option<String> {
        let PeerWords { take, item, give, gives } = words;
        if self.needs > Some(0) {
            return Some(format!(
                "`{take}` may wait for {item} that nobody {gives}, for every task can come to wait there; {give} one \
                 earlier in the task, or give `{take}` a `timeout`"
            ));
        }
        if self.needs.is_some() && self.ever.0 < 0 {
            return Some(format!(
                "a `{take}` with a `timeout` may take what another task waits for, whose `{take}` then waits for ever; \
                 give each `{take}` a `timeout`"
            ));
        }
        if !self.puts {
            return None;
        }
        if self.end.1.max(self.exit.map_or(0, |exit| exit.1)) > 0 && capacity == u64::MAX {
            return Some(
                "tasks may leave items behind, so that it grows as long as the load lasts; take what is put"
                    .to_owned(),
            );
        }
        if self.end.1.max(self.exit.map_or(0, |exit| exit.1)) > 0 {
            return Some(
                "tasks may leave items behind until it is full, and then `put` waits for ever; take what is put, or \
                 give `put` a `timeout`"
                    .to_owned(),
            );
        }
        let AtOnce { tasks, held } = at_once;
        (held >= capacity).then(|| {
            format!(
                "{tasks} at once may have {held} items in it while each waits for another, and it has room for {capacity}; \
                 raise its `capacity` above {held}, or run fewer tasks at once"
            )
        })
    }
}

/// Following tasks into the tasks that they run, for one queue. The tasks must be validated: no
/// cycles, no unknown names.
struct Walk<'a> {
    variant: &'a Variant,
    tasks: &'a [Task],
    queue: &'a str,
    style: Style,
    /// Whether those who take there may wait for children that were started with them.
    crowds: bool,
    /// By task, and whether a time-out around it limits all its waits.
    known: HashMap<(&'a str, bool), Part>,
}

impl<'a> Walk<'a> {
    fn of(variant: &'a Variant, named: &'a NamedShared, style: Style) -> Self {
        let (queue, crowds) = (named.name.as_str(), crowd::has_crowds(&named.spec));
        Self { variant, tasks: &variant.tasks, queue, style, crowds, known: HashMap::new() }
    }

    /// What is missing, if something is.
    fn complaint(
        mut self,
        variant: &'a Variant,
        words: &PeerWords,
        capacity: u64,
        pool_size: u64,
    ) -> Option<String> {
        // What each task must have of its own, all of them have together; so it is with loads.
        let (mut any, mut at_once) = (Part::default(), AtOnce::default());
        let mut followers = 0u64;
        for load in &variant.loads {
            let whole = self.task(&load.task.text, false);
            let slots = self.style.slots(load.kind.concurrency(), pool_size);
            at_once.add(&whole, slots);
            followers = followers.saturating_add(whole.followers.saturating_mul(slots));
            any = any.or(whole);
        }
        let in_crowds = || {
            if any.takes_held && followers > 0 {
                let PeerWords { take, gives, .. } = words;
                return Some(format!(
                    "`{take}` waits while something is held that who {gives} may need; wait outside of it"
                ));
            }
            let host = (self.style, pool_size);
            let can_wait = crowd::can_wait(variant, self.queue, followers, at_once.tasks, host);
            can_wait.err().filter(|_| followers > 0)
        };
        any.complaint(words, capacity, at_once).or_else(in_crowds)
    }

    fn task(&mut self, name: &str, limited: bool) -> Part {
        let tasks = self.tasks;
        let Some(task) = tasks.iter().find(|task| task.name == name) else {
            return Part::default();
        };
        if let Some(known) = self.known.get(&(task.name.as_str(), limited)) {
            return *known;
        }
        let step = |before: Part, step| before.then(self.step(step, limited));
        let whole = task.steps.iter().fold(Part::default(), step);
        self.known.insert((&task.name, limited), whole);
        whole
    }

    fn step(&mut self, plan: &StepPlan, limited: bool) -> Part {
        let within = limited || plan.timeout.is_some();
        let own = Part { unwell: !plan.spec.targets().is_empty(), ..self.own(plan, within) };
        let children = self.children(&plan.spec.children(), within);
        let holds = plan.spec.shared().is_some_and(|used| used.touch == Touch::Holds);
        let takes_held = children.takes_held || holds && children.needs.is_some();
        let whole = own.then(Part { takes_held, ..children });
        let whole = if plan.spec.may_end_task() { whole.limited(OnTimeout::Skip) } else { whole };
        if plan.timeout.is_some() { whole.limited(plan.on_timeout) } else { whole }
    }

    /// What a step does by itself.
    fn own(&self, plan: &StepPlan, limited: bool) -> Part {
        let waits = (!limited).then_some(0);
        // Who joins a task waits for what that waits for.
        if plan.spec.handle().is_some_and(|used| used.touch != HandleTouch::Starts) {
            return Part { waits, ..Part::default() };
        }
        let Some(used) = plan.spec.shared() else { return Part::default() };
        match used.touch {
            // Where there is always room nobody waits for it, with a limit or without.
            Touch::Gives if used.name.text == self.queue && self.crowds => {
                Part { end: (1, 1), ever: (0, 1), puts: true, ..Part::default() }
            }
            Touch::Gives if used.name.text == self.queue => {
                Part { end: (1, 1), ever: (0, 1), waits, puts: !limited, ..Part::default() }
            }
            Touch::Supplies(count) if used.name.text == self.queue => {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                Part { end: (count, count), ever: (0, count), ..Part::default() }
            }
            Touch::Takes if used.name.text == self.queue => Part {
                end: (-1, -1),
                ever: (-1, 0),
                needs: (!limited).then_some(1),
                ..Part::default()
            },
            // Who waits for a place in another queue, for what others hold, for its turn, for
            // others to come or for an event has its items in this one meanwhile.
            Touch::Gives | Touch::Holds | Touch::Passes | Touch::Meets | Touch::Awaits => {
                Part { waits, ..Part::default() }
            }
            Touch::Takes if crowd::waits_for_others(self.variant, &used) => {
                Part { waits, ..Part::default() }
            }
            Touch::Takes | Touch::Supplies(_) | Touch::Sets | Touch::Clears => Part::default(),
        }
    }

    fn children(&mut self, children: &[Child<'_>], limited: bool) -> Part {
        let mut chosen: Option<Part> = None;
        let (mut whole, mut groups) = (Part::default(), Vec::new());
        for (at, child) in children.iter().enumerate() {
            let mut once = self.task(&child.task.text, limited);
            // What follows each child follows it however it ended, while others are at work.
            if let Some(next) = children.get(at + 1).filter(|next| is_after_each(next)) {
                let child = Part { exit: None, ..once.however_it_ends() };
                once = child.then(self.task(&next.task.text, limited));
                // One that has ended and is not followed yet has its items there while others wait.
                once.waits = once.waits.map(|waits| waits.max(child.end.1));
            }
            match child.times {
                Times::InOrder(times) => whole = whole.then(once.in_order(times)),
                Times::AfterEach(_) => {}
                // Of those that wait for their turn nobody has begun: that is one of the orders.
                Times::AtOnce(count)
                | Times::SomeAtOnce { count, .. }
                | Times::AsCompleted(count) => {
                    whole = whole.then(once.at_once(count, child.ends, limited));
                }
                // All but one may be given up at any moment, and that ends nothing around them.
                Times::FirstOf(count) => {
                    whole = whole.then(once.at_once(count, Ends::Never, true));
                }
                // So may all, and what was given up is a time-out.
                Times::Within { count, .. } => {
                    let children = Part { unwell: true, ..once.at_once(count, Ends::Never, true) };
                    whole = whole.then(children);
                }
                Times::Beside(count) => groups.push((once, count)),
                Times::UpTo(times) => whole = whole.then(once.up_to(times)),
                // By the rules of the file it touches no queue.
                Times::InBackground => whole = whole.then(once),
                Times::AtMostOnce => whole = whole.then(once.or(Part::default())),
                Times::Chance(_) => chosen = Some(chosen.map_or(once, |other| other.or(once))),
            }
        }
        whole = whole.then(self.groups(&groups, limited));
        whole.then(chosen.unwrap_or_default())
    }

    /// Groups, so many of each at once, of which some may supply what others take.
    fn groups(&self, groups: &[(Part, u64)], limited: bool) -> Part {
        if self.style == Style::Serial {
            let one_by_one = groups.iter().map(|(once, count)| {
                Part { exit: None, ..once.however_it_ends() }.in_order(*count)
            });
            return one_by_one.fold(Part::default(), Part::then);
        }
        let (mut whole, mut supplied, mut followers) = (Part::default(), 0i64, 0u64);
        for (once, count) in groups {
            let all = once.at_once(*count, Ends::Never, limited);
            if all.needs.is_some() {
                followers = followers.saturating_add(*count);
            } else {
                supplied = supplied.saturating_add(all.end.0.max(0));
            }
            // What is taken without a limit is among the needs, and taken only when it is there.
            let least = all.ever.0.saturating_add(all.needs.unwrap_or(0).max(0)).min(0);
            whole = whole.beside(Part { ever: (least, all.ever.1), ..all });
        }
        let solved = self.crowds && !limited && supplied > 0;
        if !solved || whole.needs.is_none_or(|needs| needs <= 0) {
            return whole;
        }
        let needs = whole.needs.map(|needs| needs.saturating_sub(supplied).max(0));
        Part { needs, followers, ..whole }
    }
}

fn is_after_each(child: &Child<'_>) -> bool {
    matches!(child.times, Times::AfterEach(_))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        runtime,
        scenario::{Overrides, from_text},
    };

    const PUT: &str = "{ put = { queue = 'q' } }";
    const TAKE: &str = "{ take = { queue = 'q' } }";
    const PUT_SOON: &str = "{ put = { queue = 'q' }, timeout = '1s', on_timeout = 'ignore' }";
    const TAKE_SOON: &str = "{ take = { queue = 'q' }, timeout = '1s', on_timeout = 'ignore' }";

    /// Why clients of a task could wait for ever, if they could; `more` are other tables.
    fn why(
        executor: &str,
        clients: u64,
        capacity: u64,
        steps: &[&str],
        more: &str,
    ) -> Option<String> {
        let text = format!(
            "schema = 1\nname = 'x'\n[shared.q]\nqueue = {{ capacity = {capacity} }}\n{more}\n[tasks.main]\n\
             steps = [{}]\n[load.l]\ntask = 'main'\nclosed = {{ concurrency = {clients} }}\n",
            steps.join(", ")
        );
        let scenario = from_text(Path::new("x.toml"), &text, &Overrides::default())
            .unwrap_or_else(|error| panic!("{}", error.render(false)));
        let executor = runtime::executor(executor).unwrap();
        let variant = &scenario.variants[0];
        missing(variant, executor.style, variant.executors.pool_size as u64)
    }

    /// Whether eight clients can go on by themselves.
    fn is_fine(capacity: u64, steps: &[&str], more: &str) -> bool {
        why("tokio", 8, capacity, steps, more).is_none()
    }

    #[test]
    fn who_puts_first_is_never_alone_whatever_the_room() {
        for executor in ["sequential", "thread-pool", "tokio"] {
            for clients in [1, 1000] {
                assert_eq!(why(executor, clients, 1, &[PUT, TAKE], ""), None);
                assert_eq!(why(executor, clients, 1, &[PUT, TAKE, PUT, TAKE], ""), None);
            }
        }
    }

    #[test]
    fn who_takes_first_is_not_started() {
        let alone = why("sequential", 8, 4, &[TAKE, PUT], "").unwrap();
        assert!(alone.starts_with("one task at a time; queue `q`: `take` may wait"), "{alone}");
        for steps in [vec![TAKE], vec![TAKE, PUT], vec![PUT, TAKE, TAKE]] {
            let together = why("tokio", 8, 4, &steps, "").unwrap();
            assert!(together.starts_with("queue `q`: `take` may wait"), "{together}");
        }
        // Chance may send all of them to wait.
        let either = "{ choice = { of = [{ task = 'give' }, { task = 'get' }] } }";
        let tasks = format!("[tasks.give]\nsteps = [{PUT}]\n[tasks.get]\nsteps = [{TAKE}]\n");
        assert!(!is_fine(4, &[either], &tasks));
        assert!(!is_fine(4, &[PUT, either], &tasks));
    }

    #[test]
    fn many_puts_need_room_for_all_that_wait_at_once() {
        // One that waits to put its second item has one in the queue.
        let two = [PUT, PUT, TAKE, TAKE];
        assert!(!is_fine(8, &two, "") && is_fine(9, &two, ""));
        // One at a time needs no more than its own; the pool has 64 threads, and not 100 clients.
        assert!(why("sequential", 8, 1, &two, "").is_some());
        assert_eq!(why("sequential", 8, 2, &two, ""), None);
        assert!(why("thread-pool", 100, 64, &two, "").is_some());
        assert_eq!(why("thread-pool", 100, 65, &two, ""), None);
        assert!(why("threads", 100, 65, &two, "").is_some());
        let many = "{ repeat = { task = 'give', times = 1000000000000 } }";
        let back = many.replace("give", "get");
        let tasks = format!("[tasks.give]\nsteps = [{PUT}]\n[tasks.get]\nsteps = [{TAKE}]\n");
        assert!(!is_fine(1_000_000, &[many, &back], &tasks));
        let some = |steps: &str| steps.replace("1000000000000", "10");
        assert!(!is_fine(72, &[&some(many), &some(&back)], &tasks));
        assert!(is_fine(73, &[&some(many), &some(&back)], &tasks));
    }

    #[test]
    fn children_at_once_count_as_many() {
        let all = |task: &str| format!("{{ parallel = {{ task = '{task}', count = 4 }} }}");
        let tasks = format!("[tasks.give]\nsteps = [{PUT}]\n[tasks.get]\nsteps = [{TAKE}]\n");
        // While the last of them puts, three of each of the eight tasks have ended, or all but one
        // that waits.
        assert!(is_fine(33, &[&all("give"), &all("get")], &tasks));
        assert!(!is_fine(24, &[&all("give"), &all("get")], &tasks));
        let pairs = format!("[tasks.pair]\nsteps = [{PUT}, {TAKE}]\n");
        assert!(is_fine(1, &[&all("pair")], &pairs));
        let backward = format!("[tasks.pair]\nsteps = [{TAKE}, {PUT}]\n");
        assert!(!is_fine(100, &[&all("pair")], &backward));
        assert!(is_fine(
            100,
            &[PUT, PUT, PUT, PUT, &all("pair"), TAKE, TAKE, TAKE, TAKE],
            &backward
        ));
        assert!(!is_fine(100, &[PUT, PUT, PUT, &all("pair"), TAKE, TAKE, TAKE], &backward));
    }

    #[test]
    fn a_log_in_that_may_end_without_its_token_leaves_items_behind() {
        let fine = |allow: &str| {
            let take = "take = { token = { header = 'x-token' } }";
            let login = format!("{{ http = {{ target = 'api', path = '/', {take} }}{allow} }}");
            let uses = "{ http = { target = 'api', path = '/${value:token}' } }";
            is_fine(100, &[PUT, &login, uses, TAKE], "[targets.api]\nhttp = {}")
        };
        assert!(fine(""));
        assert!(!fine(", allow = { status = 503 }"));
    }

    #[test]
    fn what_follows_each_child_is_one_with_it() {
        let each = |task: &str, then: &str| {
            format!("{{ parallel = {{ task = '{task}', count = 4, then = '{then}' }} }}")
        };
        let nap = "{ sleep = { time = '1s' }, timeout = '1ms', on_timeout = 'skip' }";
        let (give, get) = (
            format!("[tasks.give]\nsteps = [{PUT}]\n"),
            format!("[tasks.get]\nsteps = [{TAKE}]\n"),
        );
        let both = format!("{give}{get}");
        // All but one may have ended, which waits for room, and nobody is followed before it.
        let gives = each("give", "get");
        assert!(!is_fine(32, &[&gives], &both) && is_fine(33, &[&gives], &both));
        assert!(!is_fine(100, &[&each("get", "give")], &both));
        let pairs = format!(
            "[tasks.two]\nsteps = [{PUT}, {PUT}]\n[tasks.back]\nsteps = [{TAKE}, {TAKE}]\n"
        );
        let twice = each("two", "back").replace("count = 4", "count = 2");
        assert!(!is_fine(32, &[&twice], &pairs) && is_fine(33, &[&twice], &pairs));
        // It follows, however the child has ended.
        let naps = format!("{get}[tasks.naps]\nsteps = [{PUT}, {nap}]\n");
        assert!(is_fine(33, &[&each("naps", "get")], &naps));
        let soon = format!("{get}[tasks.soon]\nsteps = [{nap}, {PUT}]\n");
        assert!(!is_fine(33, &[&each("soon", "get")], &soon));
    }

    #[test]
    fn what_has_a_time_limit_never_waits_for_ever_but_may_take_what_is_another_s() {
        assert!(is_fine(1, &[TAKE_SOON], "") && is_fine(1, &[PUT_SOON], ""));
        assert!(is_fine(1, &[TAKE_SOON, PUT_SOON], ""));
        assert!(!is_fine(100, &[PUT, TAKE, TAKE_SOON], ""));
        assert!(!is_fine(100, &[PUT_SOON, TAKE], ""));
        // What is not taken in time is left behind.
        assert!(!is_fine(100, &[PUT, TAKE_SOON], ""));
        assert!(is_fine(100, &[PUT_SOON, TAKE_SOON], ""));
        // A task that is cut off between the two leaves its item.
        let nap = "{ sleep = { time = '1s' }, timeout = '1ms', on_timeout = 'skip' }";
        assert!(!is_fine(100, &[PUT, nap, TAKE], ""));
        assert!(is_fine(100, &[nap, PUT, TAKE], ""));
        let around =
            "{ repeat = { task = 'pair', times = 3 }, timeout = '1s', on_timeout = 'skip' }";
        let pairs = format!("[tasks.pair]\nsteps = [{PUT}, {TAKE}]\n");
        assert!(is_fine(100, &[around], &pairs));
        assert!(!is_fine(100, &[PUT, TAKE, around], &pairs));
        // Children that a time-out around them ends are not all that was asked for.
        let all = "{ parallel = { task = 'give', count = 2 } }";
        let soon = all.replace(" } }", " }, timeout = '1s', on_timeout = 'skip' }");
        let gives = format!("[tasks.give]\nsteps = [{PUT}]\n");
        assert!(is_fine(100, &[all, TAKE, TAKE], &gives));
        assert!(!is_fine(100, &[&soon, TAKE, TAKE], &gives));
    }

    #[test]
    fn siblings_that_are_cancelled_leave_items() {
        let all = "{ parallel = { task = 'pair', count = 4, errors = 'fail-fast' } }";
        let pairs = format!("[tasks.pair]\nsteps = [{PUT}, {TAKE}]\n");
        assert!(is_fine(100, &[all], &pairs));
        let nap = "{ sleep = { time = '1s' }, timeout = '1ms', on_timeout = 'ignore' }";
        let pairs = format!("[tasks.pair]\nsteps = [{nap}, {PUT}, {TAKE}]\n");
        assert!(!is_fine(100, &[all], &pairs));
    }

    #[test]
    fn who_waits_for_what_others_hold_has_its_items_in_the_queue() {
        let lock = |task: &str| format!("{{ lock = {{ mutex = 'm', task = '{task}' }} }}");
        let tables = format!(
            "[shared.m]\nmutex = {{}}\n[tasks.give]\nsteps = [{PUT}]\n[tasks.get]\nsteps = [{TAKE}]\n"
        );
        // All eight may have put, and one that puts again waits with the mutex in its hand.
        assert!(!is_fine(8, &[&lock("give"), &lock("get")], &tables));
        assert!(is_fine(9, &[&lock("give"), &lock("get")], &tables));
    }

    const SUPPLY: &str = "{ supply = { condition = 'c' } }";
    const AWAIT: &str = "{ await = { condition = 'c' } }";

    /// Why clients could wait for ever of these groups, if they could.
    fn why_in_crowd(
        (executor, size): (&str, u64),
        [main, giver, taker]: [&str; 3],
        more: &str,
    ) -> Option<String> {
        let text = format!(
            "schema = 1\nname = 'x'\n[executors.thread-pool]\nsize = {size}\n[shared.c]\ncondition = {{}}\n{more}\n\
             [tasks.giver]\nsteps = [{giver}]\n[tasks.taker]\nsteps = [{taker}]\n[tasks.main]\nsteps = [{main}]\n[load.l]\n\
             task = 'main'\nclosed = {{ concurrency = 2 }}\n"
        );
        let scenario = from_text(Path::new("x.toml"), &text, &Overrides::default())
            .unwrap_or_else(|error| panic!("{}", error.render(false)));
        let executor = runtime::executor(executor).unwrap();
        let variant = &scenario.variants[0];
        missing(variant, executor.style, variant.executors.pool_size as u64)
    }

    const CROWD: &str =
        "{ parallel = { groups = [{ task = 'taker', count = 3 }, { task = 'giver' }] } }";
    const THREE: &str = "{ supply = { condition = 'c', count = 3 } }";

    #[test]
    fn a_ticket_is_like_an_item_for_which_there_is_room() {
        let condition = "[shared.c]\ncondition = {}";
        let is_fine = |steps: &[&str]| is_fine(1, &[steps, &[PUT, TAKE]].concat(), condition);
        assert!(is_fine(&[SUPPLY, AWAIT]) && is_fine(&[THREE, SUPPLY, AWAIT]));
        let why = why("tokio", 8, 1, &[AWAIT, SUPPLY, PUT, TAKE], condition).unwrap();
        assert!(why.contains("`await` may wait for a ticket that nobody supplies"), "{why}");
    }

    #[test]
    fn groups_may_wait_for_what_others_supply_that_wait_for_nothing() {
        fn fine(tasks: [&str; 3]) -> bool {
            why_in_crowd(("tokio", 64), tasks, "").is_none()
        }
        assert!(fine([CROWD, THREE, AWAIT]));
        assert!(!fine([CROWD, &THREE.replace('3', "2"), AWAIT]));
        assert!(!fine([CROWD, &format!("{AWAIT}, {THREE}"), AWAIT]));
        assert!(!fine([CROWD, THREE, &format!("{AWAIT}, {AWAIT}")]));
        assert!(!fine([&CROWD.replace("count = 3", "count = 4"), THREE, AWAIT]));
        let nap = "{ sleep = { time = '1s' }, timeout = '1ms', on_timeout = 'skip' }";
        assert!(!fine([CROWD, &format!("{nap}, {THREE}"), AWAIT]));
    }

    #[test]
    fn who_runs_one_at_a_time_waits_for_nobody_and_a_pool_needs_threads() {
        let alone = |main| why_in_crowd(("sequential", 1), [main, THREE, AWAIT], "");
        let first =
            "{ parallel = { groups = [{ task = 'giver' }, { task = 'taker', count = 3 }] } }";
        assert!(alone(CROWD).unwrap().starts_with("one task at a time; "));
        assert_eq!(alone(first), None);
        let pool = |size| why_in_crowd(("thread-pool", size), [first, THREE, AWAIT], "");
        // Three in each of two tasks, one who supplies, and the two tasks themselves.
        assert_eq!(pool(9), None);
        assert!(pool(8).unwrap().contains("need 9 threads, and the pool has 8"));
    }

    #[test]
    fn nobody_waits_for_tickets_with_what_others_need_nor_in_two_places() {
        let door =
            "[shared.m]\nmutex = {}\n[tasks.inner]\nsteps = [{ await = { condition = 'c' } }]";
        let held = "{ lock = { mutex = 'm', task = 'inner' } }";
        let why = why_in_crowd(("tokio", 64), [CROWD, THREE, held], door).unwrap();
        assert!(why.contains("waits while something is held"), "{why}");
        let event = "[shared.e]\nevent = {}";
        let giver =
            format!("{{ set = {{ event = 'e' }} }}, {{ wait = {{ event = 'e' }} }}, {THREE}");
        let why = why_in_crowd(("tokio", 64), [CROWD, &giver, AWAIT], event).unwrap();
        assert!(why.contains("at `e`, too"), "{why}");
    }

    #[test]
    fn a_queue_without_a_bound_is_never_full_and_does_not_grow_for_ever() {
        let any = |steps: &[&str]| {
            let queue = "[shared.u]\nqueue = { capacity = 'unbounded' }";
            let steps: Vec<String> = steps.iter().map(|step| step.replace("'q'", "'u'")).collect();
            let steps: Vec<&str> = steps.iter().map(String::as_str).chain([PUT, TAKE]).collect();
            why("tokio", 1000, 1, &steps, queue)
        };
        assert_eq!(any(&[PUT, PUT, PUT, TAKE, TAKE, TAKE]), None);
        assert!(
            any(&[PUT, PUT, TAKE]).unwrap().contains("so that it grows as long as the load lasts")
        );
        assert!(
            any(&[TAKE, PUT]).unwrap().contains("`take` may wait for an item that nobody puts")
        );
    }
}
