//! Tests of the tree of tasks.

use std::path::Path;

use super::*;
use crate::scenario::{Overrides, Variant, from_text};

fn variant(tasks: &str) -> Variant {
    let text = format!(
        "schema = 1\nname = \"x\"\n{tasks}\n[load.l]\ntask = \"root\"\nbatch = {{ tasks = 1 }}\n"
    );
    match from_text(Path::new("x.toml"), &text, &Overrides::default()) {
        Ok(mut scenario) => scenario.variants.remove(0),
        Err(error) => panic!("{error}"),
    }
}

fn times_of(variant: &Variant) -> Vec<(usize, usize, f64)> {
    let reached = reach(&variant.tasks, "root");
    reached.into_iter().map(|r| (r.task, r.step, r.times)).collect()
}

const NESTED: &str = "
    [tasks.leaf]
    steps = [{ sleep = { time = '2ms' } }, { noop = {} }]
    [tasks.root]
    steps = [{ repeat = { task = 'middle', times = 3 } }, { repeat = { task = 'leaf', times = 4 } }]
    [tasks.middle]
    steps = [{ repeat = { task = 'leaf', times = 5 } }, { sleep = { time = 'exp(1ms)' } }]";

#[test]
fn executions_multiply_down_the_tree() {
    let expected = [(0, 0, 19.0), (0, 1, 19.0), (1, 0, 1.0), (1, 1, 1.0), (2, 0, 3.0), (2, 1, 3.0)];
    assert_eq!(times_of(&variant(NESTED)), expected);
}

#[test]
fn time_adds_up_down_the_tree() {
    let variant = variant(NESTED);
    for concurrent in [false, true] {
        let cost = time_of_task(&variant.tasks, &variant.targets, "root", concurrent);
        assert_eq!(
            cost,
            Cost {
                least: Duration::from_millis(38),
                mean: Duration::from_millis(41),
                ..Cost::default()
            }
        );
    }
    assert_eq!(time_of_task(&variant.tasks, &[], "nowhere", true), Cost::default());
}

#[test]
fn a_skipped_rest_is_not_waited_for() {
    let variant = variant(
        "[tasks.leaf]
        steps = [{ sleep = { time = '2ms' } }]
        [tasks.root]
        steps = [
          { sleep = { time = '1ms' } },
          { sleep = { time = 'exp(1ms)' }, timeout = '5ms', on_timeout = 'skip' },
          { sleep = { time = '20ms' } },
          { repeat = { task = 'leaf', times = 2 } },
        ]",
    );
    assert_eq!(time_of_task(&variant.tasks, &[], "root", true).least, Duration::from_millis(6));
}

#[test]
fn an_error_of_a_step_that_takes_values_may_end_the_task_at_once() {
    let least = |allow: &str| {
        let variant = variant(&format!(
            "[targets.api]
            http = {{}}
            [tasks.root]
            steps = [
              {{ http = {{ target = 'api', path = '/', take = {{ a = {{ header = 'a' }} }} }}{allow} }},
              {{ http = {{ target = 'api', path = '/${{value:a}}' }} }},
              {{ sleep = {{ time = '5ms' }} }},
            ]"
        ));
        time_of_task(&variant.tasks, &variant.targets, "root", true).least
    };
    assert_eq!(least(""), Duration::from_millis(5));
    assert_eq!(least(", allow = { status = 503 }"), Duration::ZERO);
}

/// A child that is skipped ends the task around its `repeat` or `choice`; of those at once it only
/// ends itself, unless they fail fast: then any time-out of a child ends all.
#[test]
fn a_child_that_is_cut_short_may_end_the_task_around_it() {
    let least = |combinator: &str, on_timeout: &str| {
        let variant = variant(&format!(
            "[tasks.leaf]
            steps = [{{ sleep = {{ time = '3ms' }} }}, {{ sleep = {{ time = '20ms' }}, timeout = '1ms', on_timeout = '{on_timeout}' }}, \
             {{ sleep = {{ time = '6ms' }} }}]
            [tasks.root]
            steps = [{{ {combinator} }}, {{ sleep = {{ time = '10ms' }} }}]",
        ));
        time_of_task(&variant.tasks, &variant.targets, "root", true).least.as_millis()
    };
    for (combinator, skipped, ignored) in [
        ("repeat = { task = 'leaf', times = 2 }", 4, 30),
        ("choice = { of = [{ task = 'leaf' }] }", 4, 20),
        ("parallel = { task = 'leaf', count = 2 }", 14, 20),
        ("parallel = { task = 'leaf', count = 2, errors = 'fail-fast' }", 4, 10),
    ] {
        assert_eq!(
            (least(combinator, "skip"), least(combinator, "ignore")),
            (skipped, ignored),
            "{combinator}"
        );
    }
}

#[test]
fn many_levels_are_counted_once_each() {
    let name = |at: usize| if at == 0 { "root".to_owned() } else { format!("t{at}") };
    let level = |at: usize| {
        let step = format!("{{ repeat = {{ task = '{}', times = 2 }} }}", name(at + 1));
        format!("[tasks.{}]\nsteps = [{step}, {step}]\n", name(at))
    };
    let tower: String = (0..30).map(level).collect();
    let variant =
        variant(&format!("{tower}[tasks.t30]\nsteps = [{{ sleep = {{ time = '1ns' }} }}]\n"));
    assert!(times_of(&variant).contains(&(30, 0, 4_f64.powi(30))));
    let expected = Duration::from_nanos(4_u64.pow(30));
    assert_eq!(time_of_task(&variant.tasks, &[], "root", true).least, expected);
}

#[test]
fn children_at_once_cost_the_longest_only_where_they_run_at_once() {
    let variant = variant(
        "[tasks.leaf]\nsteps = [{ sleep = { time = '2ms' } }]\n[tasks.root]\nsteps = [{ repeat = { task = 'leaf', times = 1 } }]",
    );
    let name = crate::config::Name::from("leaf".to_owned());
    let cost = |times, concurrent| {
        let mut clock = Clock {
            tasks: Tasks::new(&variant.tasks),
            targets: &[],
            concurrent,
            known: HashMap::new(),
        };
        clock.task(0);
        clock.child(Child { task: &name, times, ends: Ends::Never })
    };
    let ms = |least, mean| Cost {
        least: Duration::from_millis(least),
        mean: Duration::from_millis(mean),
        ..Cost::default()
    };
    assert_eq!(cost(Times::AtOnce(5), true), ms(2, 2));
    assert_eq!(cost(Times::AtOnce(5), false), ms(10, 10));
    assert_eq!(cost(Times::InOrder(5), true), ms(10, 10));
    let some = Times::SomeAtOnce { count: 5, most: 2 };
    assert_eq!((cost(some, true), cost(some, false)), (ms(6, 6), ms(10, 10)));
    assert_eq!(cost(Times::AsCompleted(5), true), ms(2, 2));
    assert_eq!(cost(Times::AfterEach(5), true), ms(10, 10));
    assert_eq!(cost(Times::Chance(0.5), true), ms(0, 1));
    assert_eq!(cost(Times::Chance(1.0), true), ms(2, 2));
    assert_eq!(cost(Times::AtOnce(u64::MAX), false).least, Duration::from_nanos(u64::MAX));
}

#[test]
fn children_of_fan_outs_multiply_and_those_of_loops_are_built_once() {
    let variant = variant(
        "[tasks.leaf]
        steps = [{ noop = {} }]
        [tasks.middle]
        steps = [{ parallel = { task = 'leaf', count = 5 } }, { parallel = { task = 'leaf', count = 2 } }]
        [tasks.root]
        steps = [{ parallel = { task = 'middle', count = 300, batch = 3 } }, { repeat = { task = 'middle', times = 100 } }]",
    );
    assert_eq!(fan_out(&variant.tasks, "root"), 3 * (1 + 7) + 7);
    assert_eq!((fan_out(&variant.tasks, "leaf"), fan_out(&variant.tasks, "nowhere")), (0, 0));
}
