//! Tests of fan-outs.

use std::time::Duration;

use crate::{
    runtime::EXECUTORS,
    step::{
        OnTimeout,
        testing::{Ran, Rig, errors_of},
    },
};

const CHOICE: &str = "{ choice = { of = [{ task = 'quick' }, { task = 'late' }] } }";

const FIRST: &str = "{ parallel = { task = 'either', count = 12, until = 'first' } }";

/// Half of the children end at once, and half after so long, as drawn.
fn ran(executor: &str, late: Duration) -> Ran {
    Rig::new(&[FIRST, "{ noop = {} }"])
        .task("either", &[CHOICE])
        .task("quick", &["{ noop = {} }"])
        .task("late", &["{ sleep = { time = '1h' } }"])
        .limited(late, OnTimeout::Ignore)
        .run(executor, 5)
}

#[test]
fn the_first_that_ends_is_enough() {
    for executor in EXECUTORS {
        let ran = ran(executor.name, Duration::from_millis(5));
        assert_eq!(ran.wrong(), None, "{}", executor.name);
        let [parallel, after, either, ..] = ran.tallies[..] else { panic!("five steps") };
        assert_eq!((parallel.ended, after.ended), (5, 5), "{}", executor.name);
        assert!(either.started >= 5, "{}", executor.name);
    }
}

/// Under `threads`, too, where joining in order would wait for those that end late.
#[test]
fn who_ends_late_is_not_waited_for() {
    for executor in ["threads", "tokio", "tokio-current-thread", "async-std", "smol", "compio"] {
        let ran = ran(executor, Duration::from_mins(1));
        let timeouts = ran.timeouts();
        assert_eq!(timeouts, 0, "{executor}: a child that ends at once is first");
    }
}

/// Five tasks of twelve children that take so long and have so much time.
fn until_a_deadline(executor: &str, sleep: &str, within: &str) -> Ran {
    let step = format!(
        "{{ parallel = {{ task = 'child', count = 12, until = 'deadline', within = '{within}' }} }}"
    );
    let sleep = format!("{{ sleep = {{ time = '{sleep}' }} }}");
    Rig::new(&[&step, "{ noop = {} }"]).task("child", &[&sleep]).run(executor, 5)
}

#[test]
fn whoever_has_ended_at_a_deadline_counts_and_the_others_are_time_outs() {
    for executor in EXECUTORS {
        let of = |sleep, within| {
            let ran = until_a_deadline(executor.name, sleep, within);
            let (edge, timeouts) = (ran.edges[0][0], ran.timeouts());
            assert_eq!((ran.wrong(), ran.tallies[1].ended), (None, 5), "{}", executor.name);
            assert_eq!(edge.asked, 60, "{}", executor.name);
            (edge.returned, edge.pending, timeouts)
        };
        assert_eq!(of("1ms", "1h"), (60, 0, 0), "{}", executor.name);
        assert_eq!(of("1h", "5ms"), (0, 60, 60), "{}", executor.name);
        let (ended, pending, timeouts) = of("5ms", "5ms");
        assert_eq!((ended + pending, timeouts), (60, pending), "{}", executor.name);
    }
}

#[test]
fn a_deadline_that_cannot_be_is_refused() {
    let of =
        |keys: &str| errors_of(&format!("{{ parallel = {{ task = 'a', count = 2, {keys} }} }}"));
    let without = "nobody says when the deadline is; add `within`, such as `within = \"50ms\"`";
    assert_eq!(of("until = 'deadline'"), [without]);
    let alone = "there is no deadline; add `until = \"deadline\"`, or leave `within` out";
    assert_eq!(of("within = '5ms'"), [alone]);
    assert_eq!(of("until = 'deadline', within = '5ms', batch = 1").len(), 1);
    assert_eq!(of("until = 'deadline', within = '5ms', errors = 'fail-fast'").len(), 1);
}

#[test]
fn one_task_after_another_starts_no_more_than_the_first() {
    let ran = ran("sequential", Duration::from_millis(5));
    assert_eq!(ran.tallies[2].started, 5);
}

#[test]
fn what_ends_it_cannot_be_said_twice() {
    let text = "{ parallel = { task = 'a', count = 2, until = 'first', errors = 'fail-fast' } }";
    let why = "nobody is waited for after the first; leave `errors` out: the first child ends it, however it ended";
    assert_eq!(errors_of(text), [why]);
}

/// Five tasks, each of 10 children.
fn bounded(executor: &str, bound: &str) -> Ran {
    Rig::new(&[&format!("{{ parallel = {{ task = 'child', count = 10, {bound} }} }}")])
        .task("child", &["{ sleep = { time = '2ms' } }"])
        .run(executor, 5)
}

#[test]
fn no_more_children_are_at_work_than_a_bound_lets() {
    for executor in EXECUTORS {
        for (bound, most) in
            [("batch = 4", 4), ("at_once = 4", 4), ("batch = 99", 10), ("at_once = 1", 1)]
        {
            let ran = bounded(executor.name, bound);
            let edge = ran.edges[0][0];
            assert_eq!(ran.wrong(), None, "{}, {bound}", executor.name);
            assert_eq!((edge.asked, edge.returned), (50, 50), "{}, {bound}", executor.name);
            assert!(
                (1..=most).contains(&edge.most_at_once),
                "{}, {bound}: {edge:?}",
                executor.name
            );
            assert_eq!(ran.tallies[1].ended, 50, "{}, {bound}", executor.name);
        }
    }
}

/// Where children end in threads of their own, whoever waits for them sees that first, and the
/// time-out after it.
#[test]
fn after_a_time_out_no_further_batch_begins() {
    for executor in EXECUTORS {
        for bound in ["batch = 2", "at_once = 2"] {
            let ran =
                Rig::new(&[&format!("{{ parallel = {{ task = 'long', count = 9, {bound} }} }}")])
                    .limited(Duration::from_millis(5), OnTimeout::Ignore)
                    .task("long", &["{ sleep = { time = '1h' } }"])
                    .run(executor.name, 2);
            let timeouts = ran.timeouts();
            assert_eq!((ran.wrong(), timeouts), (None, 2), "{}, {bound}", executor.name);
            assert!(ran.tallies[1].started <= 4, "{}, {bound}", executor.name);
        }
    }
}

#[test]
fn after_an_error_no_further_batch_begins() {
    const TEXT: &str =
        "{ parallel = { task = 'late', count = 12, batch = 4, errors = 'fail-fast' } }";
    for executor in EXECUTORS {
        let ran = Rig::new(&[TEXT])
            .task("late", &["{ sleep = { time = '1h' } }"])
            .limited(Duration::from_millis(1), OnTimeout::Ignore)
            .run(executor.name, 3);
        assert_eq!(ran.edges[0][0].asked, 12, "{}", executor.name);
        assert!(ran.outcomes.iter().all(Result::is_err), "{}", executor.name);
    }
}

#[test]
fn what_does_not_go_with_a_bound_is_said() {
    let of =
        |more| errors_of(&format!("{{ parallel = {{ task = 'a', count = 5000000000, {more} }} }}"));
    let late = "not all children are waited for, and some may not have begun; leave `batch` out, or lower `count`";
    assert_eq!(of("batch = 2, until = 'first'"), [late]);
    let many = "expected at most 4294967295 with `at_once`; ";
    let twice = "how many are at once is said twice; leave `batch` or `at_once` out";
    assert_eq!(of("batch = 2, at_once = 2"), [many, twice]);
    let first = "a window does not end with the first error; leave it out, or say `batch`";
    assert_eq!(of("at_once = 2, errors = 'fail-fast'"), [many, first]);
}

const EACH: &str =
    "{ parallel = { task = 'either', count = 10, then = 'after', consume = 'ORDER' } }";

#[test]
fn each_child_is_followed_once_in_either_order() {
    for executor in EXECUTORS {
        for order in ["order", "completion"] {
            let ran = Rig::new(&[&EACH.replace("ORDER", order)])
                .task("either", &[CHOICE])
                .task("quick", &["{ noop = {} }"])
                .task("late", &["{ sleep = { time = 'uniform(0ms,2ms)' } }"])
                .task("after", &["{ yield = {} }"])
                .run(executor.name, 5);
            assert_eq!(ran.wrong(), None, "{}, {order}", executor.name);
            let [child, after] = ran.edges[0][..] else { panic!("two tasks") };
            assert_eq!((child.asked, child.returned), (50, 50), "{}, {order}", executor.name);
            assert_eq!((after.asked, after.returned), (50, 50), "{}, {order}", executor.name);
            assert_eq!((child.seen_late, ran.tallies[4].ended), (0, 50), "{}", executor.name);
        }
    }
}

/// Half of the children wait for what follows another one: whoever looks at the children in the
/// order in which they were started waits for ever, unless the first one is of the other half.
#[test]
fn who_has_ended_is_followed_while_others_are_at_work() {
    let text = EACH.replace("ORDER", "completion");
    for executor in ["threads", "tokio", "tokio-current-thread", "async-std", "smol", "compio"] {
        let ran = Rig::new(&[&text])
            .limited(Duration::from_mins(1), OnTimeout::Fail)
            .shared("q", "{ queue = { capacity = 100 } }")
            .task("either", &[CHOICE])
            .task("quick", &["{ noop = {} }"])
            .task("late", &["{ take = { queue = 'q' } }"])
            .task("after", &["{ put = { queue = 'q' } }"])
            .run(executor, 5);
        assert_eq!((ran.wrong(), ran.unproven), (None, Vec::new()), "{executor}");
        assert!(ran.tallies[3].ended > 0, "{executor}");
    }
}

#[test]
fn after_a_time_out_nobody_is_followed() {
    for executor in EXECUTORS {
        for order in ["order", "completion"] {
            let ran = Rig::new(&[&EACH.replace("ORDER", order)])
                .limited(Duration::from_millis(5), OnTimeout::Ignore)
                .task("either", &["{ sleep = { time = '1h' } }"])
                .task("after", &["{ noop = {} }"])
                .run(executor.name, 2);
            let timeouts = ran.timeouts();
            assert_eq!((ran.wrong(), timeouts), (None, 2), "{}, {order}", executor.name);
            assert_eq!(ran.tallies[2].started, 0, "{}, {order}", executor.name);
        }
    }
}

#[test]
fn what_does_not_go_with_a_task_that_follows_is_said() {
    let of =
        |more: &str| errors_of(&format!("{{ parallel = {{ task = 'a', count = 2, {more} }} }}"));
    let add = "add `then`, or leave `consume` out";
    let nothing = format!("there is nothing that follows each child; {add}");
    assert_eq!(of("consume = 'completion'"), [nothing]);
    let all = "all children that are followed by a task are started at once and waited for";
    for (key, more) in
        [("until", "'first'"), ("errors", "'fail-fast'"), ("batch", "2"), ("at_once", "2")]
    {
        let found = of(&format!("then = 'b', {key} = {more}"));
        assert_eq!(found, [format!("{all}; leave `{key}` or `then` out")]);
    }
}

#[test]
fn groups_are_at_work_together_and_counted_apart() {
    const GROUPS: &str = "{ parallel = { groups = [{ task = 'produces', count = 3 }, { task = 'consumes', count = 4 }] } }";
    // The pool of the rig has four threads and could end up with nobody but those who put, and who
    // waits for them; planning asks for a thread for each.
    let others = EXECUTORS.iter().filter(|executor| !executor.style.is_pool());
    for executor in others.map(|executor| executor.name) {
        // One after another they need room for all.
        let room = if executor == "sequential" { 12 } else { 1 };
        let ran = Rig::new(&[GROUPS])
            .task("produces", &["{ repeat = { task = 'put', times = 4 } }"])
            .task("consumes", &["{ repeat = { task = 'take', times = 3 } }"])
            .task("put", &["{ put = { queue = 'q' } }"])
            .task("take", &["{ take = { queue = 'q' } }"])
            .shared("q", &format!("{{ queue = {{ capacity = {room} }} }}"))
            .run(executor, 5);
        assert_eq!((ran.wrong(), ran.unproven.len()), (None, 0), "{executor}: {:?}", ran.unproven);
        let returned: Vec<u64> = ran.edges[0].iter().map(|edge| edge.returned).collect();
        assert_eq!(returned, [15, 20], "{executor}");
        assert_eq!((ran.tallies[3].ended, ran.tallies[4].ended), (60, 60), "{executor}");
    }
}

#[test]
fn who_is_started_is_said_once() {
    let of = |keys: &str| errors_of(&format!("{{ parallel = {{ {keys} }} }}"));
    let groups = "groups = [{ task = 'a' }]";
    assert_eq!(of(groups), <[&str; 0]>::default());
    assert_eq!(of("batch = 1"), ["nobody is started; add `task` and `count`, or `groups`"]);
    let count = "how often it is started is not said; add `count`, such as `count = 16`";
    assert_eq!(of("task = 'a'"), [count]);
    let twice = "groups are all started at once and all waited for; leave `count` or `groups` out";
    assert_eq!(of(&format!("{groups}, count = 2")), [twice]);
}
