//! Tests of the bounds that hold whatever happens.

use std::time::Duration;

use super::*;
use crate::{
    measure::Histo,
    step::{
        OnTimeout, Task,
        testing::{read_step, read_target},
    },
    targets::NamedTarget,
    trial::proof::tests::plan,
    units::Distribution,
};

/// Two requests a task, by four clients.
fn requests(tasks: Option<u64>) -> TrialPlan {
    let step = |text: &str| step::StepPlan {
        name: None,
        timeout: None,
        on_timeout: OnTimeout::Fail,
        spec: read_step(text).unwrap(),
    };
    let mut plan = plan();
    let get = "{ http = { target = 'api', path = '/' } }";
    plan.tasks = vec![
        Task { name: "task".into(), steps: vec![step("{ repeat = { task = 'get', times = 2 } }")] },
        Task { name: "get".into(), steps: vec![step(get)] },
    ];
    let spec = read_target("{ http = {} }").unwrap();
    plan.targets = vec![NamedTarget { name: "api".into(), spec }];
    let (think, drain) = (Distribution::Const(Duration::ZERO), Duration::ZERO);
    let stages = Vec::new();
    plan.loads[0].kind = LoadKind::Closed { concurrency: 4, stages, think, tasks, drain };
    plan.loads[0].least_task_ns = 1_000_000;
    (plan.warmup, plan.duration) = (Duration::from_millis(1), Duration::from_millis(10));
    plan
}

/// Ten tasks before a window of 10 ms and forty in it, as a referee has seen it who was told so.
fn seen() -> RaceSeen {
    let ms = |ms: u64| 1_000_000_000 + ms * 1_000_000;
    RaceSeen {
        go_ns: ms(0),
        opened_ns: ms(2),
        closed_ns: ms(13),
        ended_ns: ms(14),
        still: true,
        served_before: vec![Some(20)],
        served_after: vec![Some(100)],
        edges: Default::default(),
        servers: Vec::new(),
        peak_threads: 0,
        prepared_memory_bytes: 0,
        peak_memory_bytes: 0,
    }
}

fn said() -> LoadAccount {
    LoadAccount {
        slots: 4,
        window_ns: 10_000_000,
        before: 10,
        ended: 50,
        completed: 40,
        ..LoadAccount::default()
    }
}

/// The first difference that a part of the judgement finds.
fn refused(
    plan: &TrialPlan,
    (seen, said): (&RaceSeen, &LoadAccount),
    part: &str,
) -> Option<String> {
    let pairs = [(&plan.loads[0], said)];
    let mut judge = Judge { proof: Proof::default(), plan, pairs: &pairs, seen };
    match part {
        "loads" => judge.loads(),
        "window" => judge.window(),
        _ => judge.served(),
    }
    judge.proof.verdict().err()
}

#[test]
fn what_a_target_had_served_at_the_edges_is_compared() {
    let plan = requests(Some(40));
    let of = |seen: &RaceSeen| refused(&plan, (seen, &said()), "served");
    assert_eq!(of(&seen()), None);
    let early = RaceSeen { served_before: vec![Some(24)], ..seen() };
    assert!(of(&early).unwrap().contains("served before the window: expected 20, found 24"));
    let late = RaceSeen { served_after: vec![Some(96)], ..seen() };
    assert!(of(&late).unwrap().contains("served in the window: expected 80, found 76"));
    // A server of the user's own does not say.
    assert_eq!(of(&RaceSeen { served_before: vec![None], ..seen() }), None);
}

#[test]
fn a_window_is_no_longer_than_the_referee_waited() {
    let plan = requests(Some(40));
    let of =
        |window_ns: u64| refused(&plan, (&seen(), &LoadAccount { window_ns, ..said() }), "window");
    assert_eq!((of(10_000_000), of(11_000_000)), (None, None));
    assert!(of(11_000_001).unwrap().contains("by the referee's clock"));
    // By time it is as long as the brief says, and the lines of its edges are about there.
    let plan = requests(None);
    let of = |seen: RaceSeen, window_ns: u64| {
        refused(&plan, (&seen, &LoadAccount { window_ns, ..said() }), "window")
    };
    let timed = || RaceSeen { still: false, ..seen() };
    assert_eq!(of(timed(), 10_000_000), None);
    assert!(of(timed(), 9_000_000).unwrap().contains("window in ns: expected 10000000"));
    let short = RaceSeen { closed_ns: seen().go_ns + 10_500_000, ..timed() };
    assert!(of(short, 10_000_000).unwrap().contains("ns from `go` to `closes`"));
    let late = RaceSeen { opened_ns: seen().closed_ns - 4_000_000, ..timed() };
    assert!(of(late, 10_000_000).unwrap().contains("ns from `opens` to `closes`"));
    let early = RaceSeen { opened_ns: seen().go_ns + 500_000, ..timed() };
    assert!(of(early, 10_000_000).unwrap().contains("ns from `go` to `opens`"));
}

#[test]
fn clients_end_no_more_than_fits_into_the_window() {
    // Four clients end ten tasks of 1 ms each in 10 ms, and one more that had begun before.
    let plan = requests(None);
    let of = |completed| refused(&plan, (&seen(), &LoadAccount { completed, ..said() }), "loads");
    assert_eq!(of(44), None);
    assert!(of(45).unwrap().contains("tasks that fit into the window: expected 0 to 44, found 45"));
    // Forty tasks of four clients take 10 ms at least.
    let plan = requests(Some(40));
    let of = |window_ns| refused(&plan, (&seen(), &LoadAccount { window_ns, ..said() }), "loads");
    assert_eq!(of(10_000_000), None);
    assert!(of(9_999_999).unwrap().contains("window in ns: expected at least 10000000"));
}

#[test]
fn the_times_of_all_tasks_fit_into_the_race() {
    let plan = requests(Some(40));
    let of = |ns: u64, services: u64| {
        let mut task = wire::TimesAccount::default();
        task.latency.0.record_n(ns, 40).unwrap();
        task.service.0.record_n(ns, services).unwrap();
        refused(&plan, (&seen(), &LoadAccount { task, ..said() }), "loads")
    };
    // Four slots in 14 ms.
    assert_eq!(of(1_390_000, 40), None);
    assert!(of(1_450_000, 40).unwrap().contains("time in all tasks in ns"));
    assert!(of(1_000_000, 39).unwrap().contains("service times recorded: expected 40, found 39"));
    assert_eq!(Histo::default().count(), 0);
}

#[test]
fn draws_are_those_of_the_tasks_that_were_run() {
    let mut plan = requests(Some(40));
    let spec = "{ http = { status = [{ status = 200 }, { status = 503 }] } }";
    plan.targets[0].spec = read_target(spec).unwrap();
    let said = LoadAccount { before: 0, ended: 40, ..said() };
    let pairs = [(&plan.loads[0], &said)];
    let answers = draws::answers(&plan, &pairs, "api").unwrap();
    assert_eq!(answers.values().sum::<u64>(), 80);
    let report = |wrong: u64| TargetReport {
        name: "api".into(),
        counts: answers.iter().map(|(status, n)| (format!("status {status}"), n + wrong)).collect(),
        ..TargetReport::default()
    };
    let of = |wrong| {
        let seen = seen();
        let mut judge = Judge { proof: Proof::default(), plan: &plan, pairs: &pairs, seen: &seen };
        assert_eq!(judge.draws(&[report(wrong)]), None);
        judge.proof.verdict().err()
    };
    assert_eq!(of(0), None);
    assert!(of(1).unwrap().contains("answers 200 of target api"));
    // What nobody can know is said to be unproven.
    let warmed = LoadAccount { before: 10, ..said.clone() };
    let pairs = [(&plan.loads[0], &warmed)];
    assert!(draws::answers(&plan, &pairs, "api").unwrap_err().contains("warm-up"));
}
