//! Nothing that can be raced is left unraced: a shipped scenario has every kind of step and of shared
//! object, under every executor, or says that it cannot be run and why. And each kind of step has a
//! section of its own in FORMAT.md.

use std::collections::{BTreeMap, BTreeSet};

use regatta::{
    limits::Limits,
    plan::{Cell, Machine, Plan},
    runtime::EXECUTORS,
    scenario::{Overrides, read},
    shared::SharedSpec,
    step::StepSpec,
};

use crate::schema::files_under;

/// What no shipped scenario races somewhere, though nothing keeps it from running there: the kind,
/// the executors, and why that would say nothing.
const LEFT_OUT: &[(&str, &[&str], &str)] = &[
    ("read", SEQUENTIAL, ALONE),
    ("write", SEQUENTIAL, ALONE),
    ("rwlock", SEQUENTIAL, ALONE),
    ("throttle", SEQUENTIAL, ALONE),
    ("rate-limit", SEQUENTIAL, ALONE),
    (
        "retry",
        SEQUENTIAL,
        "all others wait while one waits to try again, which `repeat` shows, too",
    ),
];
const SEQUENTIAL: &[&str] = &["sequential"];
const ALONE: &str = "its one task never meets another";

/// The cells of all shipped scenarios, on a machine that has enough of everything.
pub fn cells() -> Vec<Cell> {
    let scenarios = files_under("scenarios").into_iter().map(|path| {
        read(&path, &Overrides::default()).unwrap_or_else(|error| panic!("{}", error.render(false)))
    });
    let machine = Machine {
        cpus: vec![0, 1],
        executor_cpus: None,
        target_cpus: None,
        limits: Limits::default(),
    };
    Plan::new(&scenarios.collect::<Vec<_>>(), &machine, 42, |_| true).cells
}

/// The kinds that a cell uses.
pub fn kinds(cell: &Cell) -> BTreeSet<&'static str> {
    let steps = cell.trial.tasks.iter().flat_map(|task| &task.steps).map(|step| step.spec.key());
    steps.chain(cell.trial.shared.iter().map(|shared| shared.spec.key())).collect()
}

/// The keys of all kinds.
fn all_kinds() -> impl Iterator<Item = &'static str> {
    StepSpec::TABLE.iter().chain(SharedSpec::TABLE).map(|(key, _)| *key)
}

#[test]
fn every_kind_is_raced_under_every_executor_or_says_why_not() {
    let mut reached: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for cell in cells() {
        // A cell that is absent says why: that is an answer, too.
        for kind in kinds(&cell) {
            reached.entry(kind).or_default().insert(cell.stored.executor.clone());
        }
    }
    let mut missing = Vec::new();
    for kind in all_kinds() {
        let left_out = LEFT_OUT.iter().find(|(left, ..)| *left == kind).map_or(&[][..], |it| it.1);
        for executor in EXECUTORS.iter().map(|executor| executor.name) {
            let raced = reached.get(kind).is_some_and(|executors| executors.contains(executor));
            if raced == left_out.contains(&executor) {
                missing.push(format!("{kind} under {executor}"));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "no scenario races these, or they are left out in vain: {missing:#?}"
    );
}

#[test]
fn every_step_is_documented_under_its_own_name() {
    let format = include_str!("../../FORMAT.md");
    let headings = || format.lines().filter(|line| line.starts_with("####"));
    let undocumented: Vec<&str> = StepSpec::TABLE
        .iter()
        .map(|(key, _)| *key)
        .filter(|key| !headings().any(|line| line.contains(&format!("`{key}`"))))
        .collect();
    assert!(undocumented.is_empty(), "FORMAT.md has no section of its own for {undocumented:?}");
}
