//! Verdicts of cells, on recorded runs.

use super::*;
use crate::{
    analysis::{Analysis, CellResult, LimitingFactor, MetricId, Steadiness, analyse, findings},
    measure::{Arrivals, CpuSetDelta, Slice, TargetReport},
    scenario::{Comparison, Slo, SloMetric},
    store::{
        FailureKind,
        fixture::{Fixture, kind},
    },
};

const CELL: &str = "demo::threads";

fn seven() -> Fixture {
    Fixture::closed("threads", 7).cell("threads", &[], &[100.0; 7])
}

fn cell(fixture: Fixture) -> CellResult {
    analyse(&fixture.build()).scenarios[0].groups[0].cells[0].clone()
}

/// All evidence, whatever it speaks for.
fn words(judgement: &Judgement) -> Vec<&str> {
    judgement.evidence.iter().map(|evidence| evidence.words.as_str()).collect()
}

/// Others use 30 % of the executor's CPU.
fn disturb(measured: &mut Measurements) {
    measured.trial_mut().host.executor = Some(CpuSetDelta {
        cpus: 1,
        wall_ns: 20_000_000_000,
        busy_ns: 10_000_000_000,
        own_ns: 4_000_000_000,
        ..CpuSetDelta::default()
    });
}

fn disturbed(fixture: Fixture, cell: &str, which: &'static [u32]) -> Fixture {
    fixture.measured(cell, |round, measured| {
        if which.contains(&round) {
            disturb(measured);
        }
    })
}

#[test]
fn a_cell_without_faults_is_valid_in_every_round() {
    let judgement = cell(seven()).judgement;
    assert_eq!(judgement.validity, Validity::Valid);
    assert!(
        judgement.rounds.iter().all(|(_, validity)| *validity == Validity::Valid)
            && judgement.evidence.is_empty()
    );
}

#[test]
fn six_valid_rounds_and_two_thirds_are_needed() {
    let one = cell(disturbed(seven(), CELL, &[3]));
    assert_eq!(one.judgement.validity, Validity::Valid);
    let said = "in 1 of 7 rounds other processes used 30.0 % of the executor's CPU time";
    assert_eq!(words(&one.judgement), [said]);
    assert_eq!(one.metrics[&MetricId::Throughput].rounds.len(), 6);
    assert_eq!((one.counts.completed, one.latency.count()), (12_000, 12_000));

    let two = cell(disturbed(seven(), CELL, &[3, 7]));
    assert_eq!(two.judgement.validity, Validity::Disturbed);
    // It is shown with all its rounds, and not compared.
    assert_eq!((two.metrics[&MetricId::Throughput].rounds.len(), &two.ratio), (7, &None));

    let many = |rounds: u32| {
        Fixture::closed("threads", rounds).cell("threads", &[], &vec![100.0; rounds as usize])
    };
    assert_eq!(cell(disturbed(many(9), CELL, &[1, 2, 3])).judgement.validity, Validity::Valid);
    assert_eq!(
        cell(disturbed(many(10), CELL, &[1, 2, 3, 4])).judgement.validity,
        Validity::Disturbed
    );
}

#[test]
fn where_few_rounds_are_planned_two_thirds_are_enough() {
    let quick = |rounds: usize| {
        Fixture::closed("threads", rounds as u32).cell("threads", &[], &vec![100.0; rounds])
    };
    assert_eq!(cell(quick(1)).judgement.validity, Validity::Valid);
    assert_eq!(cell(disturbed(quick(1), CELL, &[1])).judgement.validity, Validity::Disturbed);
    assert_eq!(cell(disturbed(quick(3), CELL, &[1])).judgement.validity, Validity::Valid);
    assert_eq!(cell(disturbed(quick(5), CELL, &[1, 2])).judgement.validity, Validity::Disturbed);
}

#[test]
fn the_commonest_cause_names_the_cell() {
    let mixed = seven().measured(CELL, |round, measured| match round {
        1 => disturb(measured),
        2 | 3 => measured.trial_mut().targets = vec![saturated()],
        _ => {}
    });
    let judgement = cell(mixed).judgement;
    assert_eq!(judgement.validity, Validity::TargetBound);
    assert!(
        judgement.evidence[0].words.starts_with("in 2 of 7 rounds the target api was busy"),
        "{judgement:?}"
    );
    assert!(
        judgement.evidence[1].words.starts_with("in 1 of 7 rounds other processes"),
        "{judgement:?}"
    );
    assert_eq!(judgement.reason(), Some(judgement.evidence[0].words.as_str()));
}

fn saturated() -> TargetReport {
    TargetReport {
        name: "api".into(),
        busy: Some(0.97),
        run_delay_ns: Some(0),
        ..TargetReport::default()
    }
}

#[test]
fn a_disturbance_comes_before_what_it_explains() {
    let both = seven().measured(CELL, |_, measured| {
        disturb(measured);
        measured.trial_mut().targets = vec![saturated()];
        measured.arrivals =
            Some(Arrivals { scheduled: 4_000, dropped: 2_000, ..Arrivals::default() });
    });
    let judgement = cell(both).judgement;
    assert_eq!(judgement.validity, Validity::Disturbed);
    let overloaded = seven().measured(CELL, |_, measured| {
        measured.trial_mut().targets = vec![saturated()];
        measured.arrivals =
            Some(Arrivals { scheduled: 4_000, dropped: 2_000, ..Arrivals::default() });
    });
    let judgement = cell(overloaded).judgement;
    assert_eq!(judgement.validity, Validity::Overloaded);
    assert_eq!(words(&judgement), ["offered 200/s, achieved 100/s, 2000 of 4000 dropped"]);
    assert_eq!(judgement.limit, Some(LimitingFactor::TargetCpu));
}

#[test]
fn accounts_that_contradict_each_other_come_first() {
    let wrong = seven().measured(CELL, |_, measured| {
        disturb(measured);
        measured.completed += 1_000;
    });
    assert_eq!(cell(wrong).judgement.validity, Validity::Invalid);
}

#[test]
fn failed_rounds_count_as_such() {
    let fail = |fixture: Fixture, round| fixture.fail(CELL, round, FailureKind::Crashed, "SIGSEGV");
    let one = cell(fail(seven(), 2)).judgement;
    assert_eq!((one.validity, one.rounds[1]), (Validity::Valid, (2, Validity::Failed)));
    assert_eq!(cell(fail(fail(seven(), 2), 3)).judgement.validity, Validity::Failed);
    assert!(one.evidence.is_empty());
    // What other rounds suffered is no reason of the failure, not even where it is commoner.
    let both = disturbed(fail(fail(seven(), 2), 3), CELL, &[4]);
    let both = cell(both).judgement;
    assert_eq!((both.validity, both.reason()), (Validity::Failed, None));
    assert!(both.evidence[0].words.starts_with("in 1 of 7 rounds other processes"), "{both:?}");
}

#[test]
fn ratios_are_of_rounds_that_count_in_both_cells() {
    let pair = seven().cell("tokio", &[], &[100.0, 400.0, 200.0, 200.0, 200.0, 200.0, 200.0]);
    let pair = disturbed(disturbed(pair, CELL, &[2]), "demo::tokio", &[1]);
    let analysis = analyse(&pair.build());
    let ratio = analysis.scenarios[0].groups[0].cells[1].ratio.clone().expect("five rounds");
    assert_eq!((ratio.rounds, ratio.estimate.round()), (5, 2.0));
}

/// Half of the arrivals are dropped, and the others take two seconds.
fn overload(measured: &mut Measurements) {
    measured.arrivals = Some(Arrivals { scheduled: 4_000, dropped: 2_000, ..Arrivals::default() });
    measured.task.latency = Histo::new();
    measured.task.latency.0.saturating_record_n(2_000_000_000, 2_000);
}

/// Nine rounds of an open load for each of two executors. A limit lies between what rounds without
/// an overload show of its quantile (1 s) and what an overload makes of it (2 s).
fn open_load() -> Fixture {
    let limit = Slo {
        assert: "request.latency.p80 < 1500ms".into(),
        subject: "request".into(),
        metric: SloMetric::Latency(0.8),
        comparison: Comparison::Below,
        limit: 1.5e9,
        only: Vec::new(),
        line: 7,
    };
    let fixture = Fixture::closed("threads", 9).cell("threads", &[], &[100.0; 9]).cell(
        "tokio",
        &[],
        &[100.0; 9],
    );
    fixture
        .slo(limit)
        .with(|run| run.header.cells.iter_mut().for_each(|cell| cell.loads[0].kind = kind("open")))
}

fn overloaded(fixture: Fixture, which: &'static [u32]) -> Fixture {
    fixture.measured("demo::tokio", |round, measured| {
        if which.contains(&round) {
            overload(measured);
        }
    })
}

#[test]
fn what_the_system_did_counts_in_a_valid_cell() {
    assert_eq!(analyse(&open_load().build()).scenarios[0].slos[1].holds, Some(true));
    let analysis = analyse(&overloaded(open_load(), &[2, 5, 7]).build());
    let cell = &analysis.scenarios[0].groups[0].cells[1];
    assert_eq!(cell.judgement.validity, Validity::Valid);
    assert_eq!(
        words(&cell.judgement),
        ["in 3 of 9 rounds offered 200/s, achieved 100/s, 2000 of 4000 dropped"]
    );
    assert_eq!(
        (cell.metrics[&MetricId::Throughput].rounds.len(), cell.latency.count()),
        (9, 18_000)
    );
    assert_eq!(cell.ratio.as_ref().map(|ratio| ratio.rounds), Some(9));
    assert_eq!(cell.arrivals.as_ref().map(|arrivals| arrivals.dropped), Some(6_000));
    assert_eq!(analysis.scenarios[0].slos[1].holds, Some(false));
    assert!(analysis.has_failed_slo());
}

#[test]
fn what_the_host_did_is_left_out_of_an_overloaded_cell_too() {
    let mixed = disturbed(overloaded(open_load(), &[1, 2, 3, 4, 5]), "demo::tokio", &[5, 6]);
    let analysis = analyse(&mixed.build());
    let cell = &analysis.scenarios[0].groups[0].cells[1];
    assert_eq!(cell.judgement.validity, Validity::Overloaded);
    let rounds: Vec<u32> =
        cell.metrics[&MetricId::Throughput].rounds.iter().map(|(round, _)| *round).collect();
    assert_eq!(rounds, [1, 2, 3, 4, 7, 8, 9]);
    assert_eq!(analysis.scenarios[0].slos[1].holds, Some(false));
}

#[test]
fn without_a_valid_baseline_there_is_no_ratio() {
    let pair = disturbed(seven().cell("tokio", &[], &[200.0; 7]), CELL, &[1, 2]);
    assert_eq!(analyse(&pair.build()).scenarios[0].groups[0].cells[1].ratio, None);
}

/// Two executors of which the faster one is disturbed, and a third.
fn disturbed_leader() -> Analysis {
    let slow = [100.0, 101.0, 99.0, 100.0, 101.0, 99.0, 100.0];
    let three = Fixture::closed("threads", 7)
        .cell("threads", &[], &slow)
        .cell("tokio", &[], &slow.map(|rate| 4.0 * rate))
        .cell("smol", &[], &slow.map(|rate| 2.0 * rate));
    analyse(&disturbed(three, "demo::tokio", &[1, 2]).build())
}

#[test]
fn a_cell_that_is_not_valid_takes_no_part_in_rankings() {
    let analysis = disturbed_leader();
    let runners = analysis.scenarios[0].groups[0].runners(MetricId::Throughput);
    assert_eq!(
        runners.iter().map(|cell| cell.label.as_str()).collect::<Vec<_>>(),
        ["threads", "smol"]
    );
    let said = findings(&analysis);
    assert!(said[1].starts_with("smol has the highest throughput"), "{said:?}");
    let why = "tokio is not ranked (DISTURBED): in 2 of 7 rounds other processes used 30.0 % of the executor's CPU \
               time; measure again on a quieter machine.";
    assert!(said.iter().any(|sentence| sentence == why), "{said:?}");
}

#[test]
fn claims_are_not_judged_by_cells_that_are_not_valid() {
    let pair = seven().cell("tokio", &[], &[200.0; 7]).claim(
        Some("tokio"),
        "threads",
        2.0,
        crate::scenario::Direction::About,
    );
    let analysis = analyse(&disturbed(pair, "demo::tokio", &[1, 2]).build());
    assert_eq!(analysis.scenarios[0].claims[0].verdict, crate::analysis::ClaimVerdict::NotMeasured);
}

#[test]
fn operations_of_a_few_clock_readings_keep_throughput_and_lose_quantiles() {
    let short = cell(seven().with(|run| run.header.clock_ns = 1e8));
    assert!(short.judgement.withheld.is_some());
    assert_eq!(
        (short.latency.count(), short.service.count(), short.steps[0].latency.count()),
        (0, 0, 0)
    );
    assert!(
        !short.metrics.contains_key(&MetricId::LatencyP50)
            && short.metrics.contains_key(&MetricId::Throughput)
    );
    assert_eq!(cell(seven()).judgement.withheld, None);
}

#[test]
fn latencies_of_short_work_are_told_where_the_wait_for_it_is_long() {
    let waiting = seven().measured(CELL, |_, measured| {
        let count = measured.task.service.count();
        measured.task.service = Histo::new();
        measured.task.service.0.saturating_record_n(300, count);
    });
    let cell = cell(waiting.with(|run| run.header.clock_ns = 27.0));
    assert_eq!((cell.judgement.withheld, cell.service.count()), (None, 0));
    let told = |id| cell.metrics.contains_key(&id);
    assert!(cell.latency.count() > 0 && told(MetricId::LatencyP50) && !told(MetricId::ServiceP50));
}

#[test]
fn a_cell_that_is_not_flat_is_warned_of() {
    let slice = |at: i64| Slice {
        from_ns: at * 1_000_000_000,
        length_ns: 1_000_000_000,
        latencies: vec![(1_000_000, 100 - 3 * at as u64)],
    };
    let drifting =
        seven().measured(CELL, |_, measured| measured.slices = (0..20).map(slice).collect());
    let analysis = analyse(&drifting.build());
    let cell = &analysis.scenarios[0].groups[0].cells[0];
    assert_eq!((cell.steadiness, cell.slices.len()), (Some(Steadiness::Drifting), 20));
    assert_eq!(cell.slices[0].latencies, [(1_000_000, 700)]);
    let said = findings(&analysis);
    assert!(said.iter().any(|sentence| sentence.starts_with("threads is drifting")), "{said:?}");
}

fn limit(change: impl Fn(&mut Measurements)) -> Option<LimitingFactor> {
    cell(seven().measured(CELL, |_, measured| change(measured))).judgement.limit
}

/// The executor's CPU over the window, with so much used by the trial.
fn used(measured: &mut Measurements, share: f64) {
    let wall_ns = measured.window_ns;
    measured.trial_mut().cpu_user_ns = (share * wall_ns as f64) as u64;
    measured.trial_mut().cpu_system_ns = 0;
    let own_ns = measured.trial_mut().cpu_user_ns;
    measured.trial_mut().host.executor =
        Some(CpuSetDelta { cpus: 1, wall_ns, busy_ns: own_ns, own_ns, ..CpuSetDelta::default() });
}

#[test]
fn what_stands_out_is_the_limit() {
    // Tasks of 1 s that compute for 25 µs.
    assert_eq!(limit(|_| {}), Some(LimitingFactor::RoundTrip));
    assert_eq!(limit(|measured| used(measured, 0.85)), Some(LimitingFactor::ExecutorCpu));
    assert_eq!(
        limit(|measured| measured.trial_mut().targets = vec![saturated()]),
        Some(LimitingFactor::TargetCpu)
    );
    let disks = |measured: &mut Measurements| {
        used(measured, 0.1);
        measured.trial_mut().host.executor.as_mut().expect("just set").iowait_ns =
            measured.window_ns / 4;
    };
    assert_eq!(limit(disks), Some(LimitingFactor::Io));
    let paced = |measured: &mut Measurements| {
        measured.arrivals = Some(Arrivals { scheduled: 2_000, ..Arrivals::default() });
    };
    assert_eq!(limit(paced), Some(LimitingFactor::Rate));
    // Interrupts of its traffic fill the executor's CPU, too.
    let interrupted = |measured: &mut Measurements| {
        used(measured, 0.6);
        let set = measured.trial_mut().host.executor.as_mut().expect("just set");
        set.interrupts_ns = set.wall_ns / 4;
        set.busy_ns += set.interrupts_ns;
    };
    assert_eq!(limit(interrupted), Some(LimitingFactor::ExecutorCpu));
}

#[test]
fn tasks_that_wait_for_a_worker_are_limited_by_the_pool() {
    let waits = |executor: &str| {
        let fixture = Fixture::closed(executor, 7).cell(executor, &[], &[100.0; 7]);
        let name = format!("demo::{executor}");
        let fixture = fixture.measured(&name, |_, measured| {
            measured.task.service = Histo::new();
            measured.task.service.0.saturating_record_n(100_000_000, measured.task.count);
        });
        cell(fixture).judgement.limit
    };
    assert_eq!(waits("thread-pool"), Some(LimitingFactor::Pool));
    assert_eq!(waits("sequential"), Some(LimitingFactor::Concurrency));
}

#[test]
fn nothing_that_stands_out_is_no_limit() {
    // Half of a core, in tasks that compute for half of their time.
    let half = |measured: &mut Measurements| {
        used(measured, 0.5);
        measured.task.service = Histo::new();
        measured.task.service.0.saturating_record_n(10_000_000, measured.task.count);
    };
    assert_eq!(limit(half), None);
}

/// A dead server makes an executor the fastest.
#[test]
fn a_cell_whose_calls_failed_is_shown_and_not_ranked() {
    let fixture = || {
        Fixture::closed("threads", 7).cell("threads", &[], &[100.0; 7]).cell(
            "tokio",
            &[],
            &[900.0; 7],
        )
    };
    let failing = |from: u32| {
        let failing = fixture().measured("demo::tokio", |round, measured| {
            measured.task.errors =
                if round >= from { measured.task.count } else { measured.task.count / 100 };
        });
        analyse(&failing.build()).scenarios[0].groups[0].cells[1].clone()
    };
    let few = failing(8);
    assert!(few.is_ranked() && few.ratio.is_some(), "{:?}", few.judgement);
    let last = failing(7);
    assert!(last.is_ranked());
    assert_eq!(words(&last.judgement), ["in 1 of 7 rounds 100.0 % of the tasks ended in errors"]);
    let two = failing(6);
    assert_eq!(
        (two.judgement.validity, two.is_ranked(), &two.ratio),
        (Validity::Errors, false, &None)
    );
    assert!(two.has_figures() && two.metrics.contains_key(&MetricId::Throughput));
}
