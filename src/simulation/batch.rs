//! Oracles of the batch load.

use super::{
    oracle::Oracle,
    rig::run_batch,
    server::{Server, Service},
};
use crate::load::Batch;

const MS: u64 = 1_000_000;

#[test]
fn a_batch_takes_as_many_services_as_each_worker_has_tasks() {
    for (tasks, workers) in [(1, 1), (7, 1), (8, 4), (9, 4), (3, 5), (64, 64)] {
        let server = Server::new(workers, Service::Constant(2 * MS), None, 1);
        let ran = run_batch(Batch { tasks, repeat: Some(5), warmup_ns: 7 * MS }, &server);
        let turns = tasks.div_ceil(workers as u64);
        assert_eq!(
            ran.outcome.makespans_ns,
            [turns * 2 * MS; 5],
            "{tasks} tasks, {workers} workers"
        );
        assert_eq!((ran.outcome.completed, ran.task.count), (5 * tasks, 5 * tasks));
        assert_eq!(ran.served, ran.outcome.total_tasks);
    }
}

/// Every task is meant to start when the batch starts: the tasks of the k-th turn have a latency of
/// k services.
#[test]
fn tasks_of_a_batch_wait_in_turns() {
    let server = Server::new(4, Service::Constant(2 * MS), None, 1);
    let ran = run_batch(Batch { tasks: 400, repeat: Some(1), warmup_ns: 0 }, &server);
    let latency = &ran.task.latency.0;
    for turn in [1, 2, 25, 50, 90, 100] {
        let (found, expected) = (latency.value_at_quantile(turn as f64 / 100.0), turn * 2 * MS);
        assert!(latency.equivalent(found, expected), "turn {turn}: {found}");
    }
    assert!((latency.mean() / (50.5 * 2e6) - 1.0).abs() < 1e-3);
    assert_eq!(ran.task.lateness.0.max(), 0);
    assert_eq!(ran.task.service, ran.task.latency);
}

/// Without `repeat`, batches go on for a second of measured time.
#[test]
fn batches_repeat_for_a_second() {
    let server = Server::new(1, Service::Constant(3 * MS), None, 1);
    let ran = run_batch(Batch { tasks: 1, repeat: None, warmup_ns: 0 }, &server);
    assert_eq!(ran.outcome.makespans_ns.len(), 334);
    assert_eq!(Oracle::constant(3 * MS, 334).check(&ran.task.latency), Ok(()));
}

/// Tasks of a minute and a second are recorded as such.
#[test]
fn tasks_of_more_than_a_minute_have_their_quantiles() {
    let server = Server::new(20, Service::Constant(61_000 * MS), None, 1);
    let ran = run_batch(Batch { tasks: 40, repeat: Some(1), warmup_ns: 0 }, &server);
    assert_eq!(ran.outcome.makespans_ns, [122_000 * MS]);
    assert_eq!((ran.task.clipped, ran.task.latency.clipped()), (0, None));
    for (q, expected) in [(0.5, 61_000 * MS), (0.75, 122_000 * MS)] {
        let found = ran.task.latency.quantile(q).expect("ten lie above");
        assert!(ran.task.latency.0.equivalent(found, expected), "{q}: {found}");
    }
    assert!((ran.task.latency.mean().expect("all are known") / 91.5e9 - 1.0).abs() < 1e-3);
}
