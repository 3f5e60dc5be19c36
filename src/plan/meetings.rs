//! Meetings: whether all who wait at a barrier are sure to be let go. Where one could wait for ever,
//! nobody is started. Members of a room at a target meet as at a barrier: the room is full when all
//! are there.
//!
//! Parties are children of `parallel`, each of which arrives equally often on every path, and which
//! nothing gives up. Two ways to meet always come to an end:
//!
//! 1. Each child arrives once, and `count` is a multiple of the parties. Whoever was started comes
//!    sooner or later, and all of them together are a multiple of the parties, whoever meets whom.
//!    So nobody is left over.
//! 2. The children are as many as the parties, and there is one such `parallel` at a time. Then all
//!    of them meet each time, however often.
//!
//! For that all who wait must be able to wait at once, and to get there: nobody meets, or waits for
//! those who meet, while it holds what others need on their way. A pool needs a thread for each
//! party, and beside them one for each task, which may be waiting for a child that another thread has
//! taken, and one for the probe of scheduling delay, which keeps its thread.

use std::collections::HashMap;

use crate::{
    runtime::Style,
    scenario::{StepPlan, Task, Variant, reach},
    shared::SharedSpec,
    step::{Child, Ends, SharedUse, Times, Touch},
};

/// Why tasks of a variant could wait for each other for ever under an executor whose pool is so
/// large.
pub(super) fn unsure(variant: &Variant, style: Style, pool_size: u64) -> Option<String> {
    let places = match MeetingPlace::all(variant) {
        Ok(places) => places,
        Err(why) => return Some(why),
    };
    places.iter().find_map(|place| {
        let others = places.len() > 1;
        let walk = MeetingWalk { tasks: &variant.tasks, place, others, known: HashMap::new() };
        let why = walk.variant(variant, style, pool_size).err()?;
        Some(format!("{}: {why}", place.words()))
    })
}

/// Where so many meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct MeetingPlace<'a> {
    /// `barrier`, or a kind of targets.
    kind: &'static str,
    name: &'a str,
    parties: u64,
}

impl<'a> MeetingPlace<'a> {
    /// All barriers, and all targets at which tasks that are reached meet. An error says where not
    /// all wait for as many.
    fn all(variant: &'a Variant) -> Result<Vec<Self>, String> {
        let barriers = variant.shared.iter().filter_map(|named| match &named.spec {
            SharedSpec::Barrier(barrier) => {
                Some(Self { kind: "barrier", name: &named.name, parties: barrier.parties() })
            }
            _ => None,
        });
        let mut places: Vec<Self> = barriers.collect();
        let mut agreed: Vec<(Self, String)> = Vec::new();
        let reached = variant.loads.iter().flat_map(|load| reach(&variant.tasks, &load.task.text));
        for at in reached {
            let spec = &variant.tasks[at.task].steps[at.step].spec;
            let (Some(used), Some(meeting)) = (spec.shared(), spec.meeting()) else { continue };
            let (kind, name, terms) = (used.kind, used.name.text.as_str(), meeting.terms);
            match agreed.iter().find(|(other, _)| (other.kind, other.name) == (kind, name)) {
                None => agreed.push((Self { kind, name, parties: meeting.parties }, terms)),
                Some((_, other)) if *other == terms => {}
                Some((place, other)) => {
                    return Err(format!(
                        "{}: some come with {other}, and others with {terms}, so that they wait for each other in vain; \
                         give each a target of its own",
                        place.words()
                    ));
                }
            }
        }
        places.extend(agreed.into_iter().map(|(place, _)| place));
        Ok(places)
    }

    fn words(&self) -> String {
        format!("{} `{}`", self.kind, self.name)
    }
}

/// The least and the most arrivals.
type LeastMost = (u64, u64);

fn hull(a: LeastMost, b: LeastMost) -> LeastMost {
    (a.0.min(b.0), a.1.max(b.1))
}

fn sum(a: LeastMost, b: LeastMost) -> LeastMost {
    (a.0.saturating_add(b.0), a.1.saturating_add(b.1))
}

/// What a part of a task does at a barrier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Visits {
    /// How often it arrives itself, children that are started at once excluded.
    end: LeastMost,
    /// The same where it ends the task around it early.
    exit: Option<LeastMost>,
    /// The most that a child arrives which it starts at once with others; zero: none does.
    each: u64,
    /// Whether it ever starts more children at once than there are parties.
    spare: bool,
    /// Whether a time-out or an error that the scenario allows may happen in it.
    unwell: bool,
}

impl Visits {
    /// It, and then another one.
    fn then(self, next: Self) -> Self {
        let exits = next.exit.map(|exit| sum(self.end, exit));
        Self {
            end: sum(self.end, next.end),
            exit: self.exit.into_iter().chain(exits).reduce(hull),
            ..self.beside(next)
        }
    }

    /// Either it or another one.
    fn or(self, other: Self) -> Self {
        Self {
            end: hull(self.end, other.end),
            exit: self.exit.into_iter().chain(other.exit).reduce(hull),
            ..self.beside(other)
        }
    }

    /// What is added up in the same way, whichever comes first.
    fn beside(self, other: Self) -> Self {
        Self {
            each: self.each.max(other.each),
            spare: self.spare || other.spare,
            unwell: self.unwell || other.unwell,
            ..self
        }
    }

    /// So many times, one after another.
    fn in_order(self, times: u64) -> Self {
        let all = |range: LeastMost| (range.0.saturating_mul(times), range.1.saturating_mul(times));
        // It may have ended early in any of them.
        let exit = self.exit.map(|exit| hull(exit, sum(all(self.end), exit)));
        Self { end: all(self.end), exit, ..self }
    }

    /// Whether anybody meets in it.
    fn meets(&self) -> bool {
        self.end.1 > 0 || self.each > 0
    }

    /// How often it arrives, if that is the same on every path.
    fn always(&self) -> Option<u64> {
        let (least, most) = self.exit.map_or(self.end, |exit| hull(exit, self.end));
        (least == most).then_some(most)
    }
}

/// Following tasks into the tasks that they run, for one place. The tasks must be validated: no
/// cycles, no unknown names.
struct MeetingWalk<'a> {
    tasks: &'a [Task],
    place: &'a MeetingPlace<'a>,
    /// Whether there are other places.
    others: bool,
    known: HashMap<&'a str, Visits>,
}

impl<'a> MeetingWalk<'a> {
    fn variant(mut self, variant: &'a Variant, style: Style, pool_size: u64) -> Result<(), String> {
        let mut meeting = Vec::new();
        let mut all_slots = 0u64;
        for load in &variant.loads {
            let slots = style.slots(load.kind.concurrency(), pool_size);
            all_slots = all_slots.saturating_add(slots);
            let whole = self.task(&load.task.text)?;
            if whole.always() != Some(0) {
                return Err(
                    "the task of a load meets others by itself, and its last ones may find nobody to meet; put that step \
                     into a task that `parallel` starts"
                        .to_owned(),
                );
            }
            if whole.meets() {
                meeting.push((whole, slots));
            }
        }
        match meeting[..] {
            [] => Ok(()),
            [(whole, slots)] => {
                let others = all_slots.saturating_add(u64::from(variant.run.probe));
                self.can_meet(whole, slots, style, (pool_size, others))
            }
            _ => Err("tasks of several loads meet there, and one load may end first; give each load a place of its own"
                .to_owned()),
        }
    }

    /// Whether those of so many tasks at once can meet.
    fn can_meet(
        &self,
        whole: Visits,
        slots: u64,
        style: Style,
        (pool_size, others): (u64, u64),
    ) -> Result<(), String> {
        let parties = self.place.parties;
        if style == Style::Serial && parties > 1 {
            return Err(format!("it runs one task at a time, and {parties} are to meet"));
        }
        if whole.each > 1 && (whole.spare || slots > 1) {
            return Err(format!(
                "a child arrives {} times, and so some may be left over who meet only themselves; let each arrive once, or \
                 start {parties} in one task at a time",
                whole.each
            ));
        }
        let needed = parties.saturating_add(others);
        if style.is_pool() && pool_size < needed {
            return Err(format!(
                "{parties} who wait and {others} beside them (each task at once, and the probe) need {needed} threads, and the pool \
                 has {pool_size}; raise its `size`"
            ));
        }
        Ok(())
    }

    fn task(&mut self, name: &str) -> Result<Visits, String> {
        let tasks = self.tasks;
        let Some(task) = tasks.iter().find(|task| task.name == name) else {
            return Ok(Visits::default());
        };
        if let Some(known) = self.known.get(task.name.as_str()) {
            return Ok(*known);
        }
        let mut whole = Visits::default();
        for step in &task.steps {
            whole = whole.then(self.step(step)?);
        }
        self.known.insert(&task.name, whole);
        Ok(whole)
    }

    fn step(&mut self, plan: &StepPlan) -> Result<Visits, String> {
        let used = plan.spec.shared();
        let is_here = |used: SharedUse<'_>| {
            used.touch == Touch::Meets
                && (used.kind, used.name.text.as_str()) == (self.place.kind, self.place.name)
        };
        let arrives = used.is_some_and(is_here);
        let may_fail = !plan.spec.targets().is_empty() || plan.timeout.is_some();
        let own = Visits {
            end: if arrives { (1, 1) } else { (0, 0) },
            unwell: may_fail,
            ..Visits::default()
        };
        let children = self.children(&plan.spec.children())?;
        if let Some(held) = used.filter(|used| used.touch == Touch::Holds && children.meets()) {
            return Err(format!(
                "a task meets others, or waits for those who meet, while it holds `{}`, which somebody may need to \
                 come; meet outside of it",
                held.name.text
            ));
        }
        let whole = own.then(children);
        let skips = plan.may_skip();
        // Nothing that arrives has a time limit, by the rules of the file.
        let exit = skips.then_some((0, 0)).into_iter().chain(whole.exit).reduce(hull);
        Ok(Visits { exit, ..whole })
    }

    fn children(&mut self, children: &[Child<'_>]) -> Result<Visits, String> {
        let mut chosen: Option<Visits> = None;
        let mut whole = Visits::default();
        for child in children {
            let once = self.task(&child.task.text)?;
            match child.times {
                Times::FirstOf(_)
                | Times::Within { .. }
                | Times::InBackground
                | Times::AtMostOnce
                | Times::UpTo(_)
                | Times::SomeAtOnce { .. }
                | Times::AfterEach(_)
                    if once.meets() =>
                {
                    return Err(format!(
                        "not all of `{}` may come at once, for it is given up, tried again or started after others; start \
                         it as the `task` of a `parallel` that starts and waits for all",
                        child.task.text
                    ));
                }
                Times::InOrder(times) => whole = whole.then(once.in_order(times)),
                Times::AtOnce(count)
                | Times::AsCompleted(count)
                | Times::SomeAtOnce { count, .. }
                | Times::AfterEach(count) => whole = whole.then(self.at_once(once, count, child)?),
                // Beside others who meet there nobody knows who meets whom.
                Times::Beside(count) => {
                    let group = self.at_once(once, count, child)?;
                    let spare = group.spare || (group.meets() && whole.meets());
                    whole = whole.then(Visits { spare, ..group });
                }
                Times::FirstOf(_) => whole = whole.then(Visits { exit: None, ..once }),
                // Whoever has not ended then is a time-out.
                Times::Within { .. } => {
                    whole = whole.then(Visits { exit: None, unwell: true, ..once });
                }
                Times::UpTo(_) | Times::InBackground | Times::AtMostOnce => {
                    whole = whole.then(once);
                }
                Times::Chance(_) if self.others && once.meets() => {
                    return Err(format!(
                        "`{}` is one of several by choice, and there are other places to meet: two could wait at one each; let all \
                         come to them in the same order",
                        child.task.text
                    ));
                }
                Times::Chance(_) => chosen = Some(chosen.map_or(once, |other| other.or(once))),
            }
        }
        Ok(whole.then(chosen.unwrap_or_default()))
    }

    /// So many at once. Nobody arrives for them outside.
    fn at_once(&self, once: Visits, count: u64, child: &Child<'_>) -> Result<Visits, String> {
        let (name, parties) = (&child.task.text, self.place.parties);
        let cut = child.ends == Ends::ByAny && once.unwell;
        let whole = Visits {
            exit: cut.then_some((0, 0)),
            each: once.end.1,
            spare: count > parties,
            unwell: once.unwell,
            ..Visits::default()
        };
        if !once.meets() {
            return Ok(Visits { spare: false, ..whole });
        }
        if once.each > 0 {
            return Err(format!(
                "`{name}` is started several times at once, and starts others who meet; let one task at a time do so"
            ));
        }
        if once.always().is_none() {
            return Err(format!(
                "a run of `{name}` does not always arrive equally often, so that others may wait for it in vain; let it \
                 arrive on every path"
            ));
        }
        if child.ends == Ends::ByAny {
            return Err(format!(
                "`{name}` may be cancelled while others wait for it; leave `errors = \"fail-fast\"` out"
            ));
        }
        if !count.is_multiple_of(parties) {
            return Err(format!(
                "{count} of `{name}` are started, and {parties} meet at a time, so that {} are left over; make `count` a \
                 multiple of that",
                count % parties
            ));
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        runtime,
        scenario::{Overrides, from_text},
    };

    const ARRIVE: &str = "{ arrive = { barrier = 'b' } }";
    const NAP: &str = "{ sleep = { time = '1s' }, timeout = '1ms', on_timeout = 'skip' }";

    /// Why so many clients of a task could wait for ever, if they could: `party` is what the
    /// children of `main` do, of whom four meet, and `size` that of the pool.
    fn why(
        (executor, size): (&str, u64),
        clients: u64,
        steps: &str,
        party: &str,
        more: &str,
    ) -> Option<String> {
        let text = format!(
            "schema = 1\nname = 'x'\n[executors.thread-pool]\nsize = {size}\n[shared.b]\nbarrier = {{ parties = 4 }}\n{more}\n\
             [tasks.party]\nsteps = [{party}]\n[tasks.main]\nsteps = [{steps}]\n[load.l]\ntask = 'main'\n\
             closed = {{ concurrency = {clients} }}\n"
        );
        let scenario = from_text(Path::new("x.toml"), &text, &Overrides::default())
            .unwrap_or_else(|error| panic!("{}", error.render(false)));
        let executor = runtime::executor(executor).unwrap();
        let variant = &scenario.variants[0];
        unsure(variant, executor.style, variant.executors.pool_size as u64)
    }

    fn all(count: u64) -> String {
        format!("{{ parallel = {{ task = 'party', count = {count} }} }}")
    }

    /// Whether clients under tokio are sure to go on.
    fn is_fine(clients: u64, steps: &str, party: &str, more: &str) -> bool {
        why(("tokio", 64), clients, steps, party, more).is_none()
    }

    #[test]
    fn who_comes_to_several_barriers_comes_in_one_order() {
        let other = "[shared.c]\nbarrier = { parties = 4 }\n[tasks.one]\nsteps = [{ arrive = { barrier = 'b' } }, \
                     { arrive = { barrier = 'c' } }]\n[tasks.two]\nsteps = [{ arrive = { barrier = 'c' } }, { arrive = \
                     { barrier = 'b' } }]";
        let either = "{ choice = { of = [{ task = 'one' }, { task = 'two' }] } }";
        let crossed = why(("tokio", 64), 1, &all(4), either, other).unwrap();
        assert!(crossed.contains("let all come to them in the same order"), "{crossed}");
        let in_order = "{ repeat = { task = 'one', times = 1 } }";
        let alone = other.split("\n[tasks.two]").next().unwrap();
        assert!(is_fine(1, &all(4), in_order, alone));
    }

    #[test]
    fn children_that_arrive_once_meet_whoever_comes() {
        for executor in ["threads", "tokio", "tokio-current-thread", "smol"] {
            for (clients, count) in [(1, 4), (8, 4), (8, 12)] {
                assert_eq!(why((executor, 1), clients, &all(count), ARRIVE, ""), None);
            }
        }
        assert!(is_fine(8, &format!("{}, {NAP}, {}", all(4), all(8)), ARRIVE, ""));
        for count in [1, 3, 5, 6] {
            let left = why(("tokio", 64), 1, &all(count), ARRIVE, "").unwrap();
            assert!(left.contains(&format!("so that {} are left over", count % 4)), "{left}");
        }
    }

    #[test]
    fn who_arrives_several_times_does_so_with_the_same_ones_alone() {
        let twice = format!("{ARRIVE}, {ARRIVE}");
        assert!(is_fine(1, &all(4), &twice, ""));
        assert!(!is_fine(2, &all(4), &twice, "") && !is_fine(1, &all(8), &twice, ""));
        let rounds = "{ repeat = { task = 'round', times = 100 } }";
        let round = format!("[tasks.round]\nsteps = [{ARRIVE}]");
        assert!(is_fine(1, &all(4), rounds, &round) && !is_fine(2, &all(4), rounds, &round));
    }

    #[test]
    fn one_at_a_time_never_meets_anybody_and_a_pool_needs_threads() {
        let alone = why(("sequential", 1), 1, &all(4), ARRIVE, "").unwrap();
        assert!(alone.ends_with("it runs one task at a time, and 4 are to meet"), "{alone}");
        let pool = |size, clients| why(("thread-pool", size), clients, &all(4), ARRIVE, "");
        assert_eq!((pool(5, 1), pool(7, 3)), (None, None));
        assert!(pool(4, 1).is_some() && pool(6, 3).is_some());
        // The pool has 8 threads for clients, however many there are, and none is left.
        assert!(pool(8, 100).unwrap().contains("need 12 threads, and the pool has 8"));
    }

    #[test]
    fn who_may_not_come_is_not_waited_for() {
        let alone = format!("{ARRIVE}, {}", all(4));
        assert!(!is_fine(1, &alone, "{ noop = {} }", ""), "a client has nobody to meet");
        assert!(!is_fine(1, &all(4), &format!("{NAP}, {ARRIVE}"), ""));
        assert!(is_fine(1, &all(4), &format!("{}, {ARRIVE}", NAP.replace("skip", "ignore")), ""));
        let some = "{ choice = { of = [{ task = 'come' }, { task = 'stay' }] } }";
        let tasks = |stay: &str| {
            format!("[tasks.come]\nsteps = [{ARRIVE}]\n[tasks.stay]\nsteps = [{stay}]")
        };
        assert!(!is_fine(1, &all(4), some, &tasks("{ noop = {} }")));
        assert!(is_fine(1, &all(4), some, &tasks(&format!("{{ noop = {{}} }}, {ARRIVE}"))));
        let retry = "{ retry = { task = 'come', attempts = 2 } }";
        assert!(!is_fine(1, &all(4), retry, &format!("[tasks.come]\nsteps = [{ARRIVE}]")));
        let first = all(4).replace("count = 4", "count = 4, until = 'first'");
        assert!(!is_fine(1, &first, ARRIVE, ""));
        for bound in ["batch = 4", "at_once = 4", "then = 'come'"] {
            let bounded = all(4).replace("count = 4", &format!("count = 4, {bound}"));
            let come = format!("[tasks.come]\nsteps = [{ARRIVE}]");
            let more = if bound.contains("come") { come.as_str() } else { "" };
            assert!(!is_fine(1, &bounded, ARRIVE, more), "{bound}");
        }
        let as_they_end = "count = 4, then = 'look', consume = 'completion'";
        let look = "[tasks.look]\nsteps = [{ noop = {} }]";
        assert!(is_fine(1, &all(4).replace("count = 4", as_they_end), ARRIVE, look));
        let fast = all(4).replace("count = 4", "count = 4, errors = 'fail-fast'");
        assert!(!is_fine(1, &fast, ARRIVE, ""));
    }

    #[test]
    fn nobody_arrives_with_what_others_need() {
        let gate = "[shared.s]\nsemaphore = { permits = 4 }\n";
        let held = "{ acquire = { semaphore = 's', task = 'come' } }";
        let come = format!("{gate}[tasks.come]\nsteps = [{ARRIVE}]");
        let why = why(("tokio", 64), 1, &all(4), held, &come).unwrap();
        assert!(why.contains("while it holds `s`"), "{why}");
        // Who holds something around all of them waits for them with it: others who are to meet
        // there as well may need it on their way.
        let outside = format!("{gate}[tasks.all]\nsteps = [{}]", all(4));
        assert!(!is_fine(8, &held.replace("come", "all"), ARRIVE, &outside));
        let noop = format!("{gate}[tasks.look]\nsteps = [{{ noop = {{}} }}]");
        let before = format!("{}, {ARRIVE}", held.replace("come", "look"));
        assert!(is_fine(8, &all(4), &before, &noop));
    }

    /// The same of members of a room: `more` are further tables of the file.
    fn why_of_room(executor: &str, size: u64, steps: &str, more: &str) -> Option<String> {
        let text = format!(
            "schema = 1\nname = 'x'\n[executors.thread-pool]\nsize = {size}\n[targets.hub]\nwebsocket = {{}}\n{more}\n\
             [tasks.member]\nsteps = [{MEMBER}]\n[tasks.main]\nsteps = [{steps}]\n[load.l]\ntask = 'main'\n\
             closed = {{ concurrency = 2 }}\n"
        );
        let scenario = from_text(Path::new("x.toml"), &text, &Overrides::default())
            .unwrap_or_else(|error| panic!("{}", error.render(false)));
        let variant = &scenario.variants[0];
        let style = runtime::executor(executor).unwrap().style;
        unsure(variant, style, variant.executors.pool_size as u64)
    }

    const MEMBER: &str =
        "{ websocket = { target = 'hub', broadcast = { members = 4, messages = 2 } } }";

    #[test]
    fn members_of_a_room_meet_as_at_a_barrier() {
        let all = |count: u64| format!("{{ parallel = {{ task = 'member', count = {count} }} }}");
        for executor in ["threads", "tokio", "tokio-current-thread", "smol"] {
            assert_eq!(why_of_room(executor, 64, &all(8), ""), None, "{executor}");
        }
        let why = |executor, size, steps: &str| why_of_room(executor, size, steps, "").unwrap();
        let left = why("tokio", 64, &all(6));
        assert!(left.starts_with("websocket `hub`: 6 of `member` are started"), "{left}");
        assert!(why("sequential", 64, &all(4)).contains("4 are to meet"));
        assert!(why("thread-pool", 5, &all(4)).contains("need 6 threads, and the pool has 5"));
        assert_eq!(why_of_room("thread-pool", 6, &all(4), ""), None);
        let alone = format!("{MEMBER}, {}", all(4));
        assert!(why("tokio", 64, &alone).contains("may find nobody to meet"));
        let other =
            format!("[tasks.other]\nsteps = [{}]", MEMBER.replace("messages = 2", "messages = 3"));
        let both = format!("{}, {{ parallel = {{ task = 'other', count = 4 }} }}", all(4));
        let apart = why_of_room("tokio", 64, &both, &other).unwrap();
        assert!(apart.contains("messages = 2") && apart.contains("give each a target"), "{apart}");
        let barrier = "[shared.b]\nbarrier = { parties = 4 }\n[tasks.come]\nsteps = [{ arrive = { barrier = 'b' } }]";
        let two = format!("{}, {{ parallel = {{ task = 'come', count = 4 }} }}", all(4));
        assert_eq!(why_of_room("tokio", 64, &two, barrier), None);
    }

    #[test]
    fn nested_and_shared_meetings_are_not_started() {
        let group = format!("[tasks.group]\nsteps = [{}]", all(4));
        let groups = "{ parallel = { task = 'group', count = 2 } }";
        assert!(!is_fine(1, groups, ARRIVE, &group));
        let second = "[load.m]\ntask = 'main'\nclosed = { concurrency = 1 }";
        assert!(!is_fine(1, &all(4), ARRIVE, second));
    }
}
