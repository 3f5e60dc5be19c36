//! Whether the harness's own accounts agree with each other and with the laws that hold whatever is
//! measured.

use super::cause::{Cause, percent};
use crate::{
    analysis::{Validity, significant},
    measure::{Arrivals, Histo, Measurements},
    scenario::ClientStages,
    store::Row,
    units::format_ns,
};

/// Little's law may be off by this much beside what hangs over the edges of the window.
const LAW: f64 = 0.01;
/// Think times that are drawn may add up to so many standard deviations more or less than their
/// mean says.
const SIGMAS: f64 = 4.0;
/// A pacer may be this late at its p99, in ns: what the timers of an idle machine do.
const PACER_NS: u64 = 200_000;
/// … or later, up to this share of the p99 latency: then it is not what the latencies show.
const PACER_SHARE: f64 = 0.1;

/// Accounts that contradict each other.
pub(super) fn contradiction(row: Row<'_>, measured: &Measurements) -> Option<Cause> {
    let arrivals =
        measured.arrivals.as_ref().and_then(|arrivals| lost_arrivals(arrivals, measured));
    arrivals.or_else(|| little(row, measured))
}

/// Little's law: N clients are always in a task or thinking, so N = X·(R̄ + Z).
///
/// The window's tasks are those that are meant to start in it. A client's cycles follow each other
/// without gaps, so their sum is N times the window but for what hangs over its edges: at most the
/// longest cycle of each client. Where clients come and go, N is their mean, and each that leaves
/// has its own edge.
fn little(row: Row<'_>, measured: &Measurements) -> Option<Cause> {
    let kind = &row.load.kind;
    let stages =
        kind.client_stages().unwrap_or(ClientStages { mean: kind.clients() as f64, leaves: 0 });
    let (clients, window) = (stages.mean, measured.window_ns as f64);
    let edges = kind.clients().saturating_add(stages.leaves);
    let [think, think_spread] = [kind.think().mean(), kind.think().spread()];
    let [think_ns, think_spread_ns] = [think, think_spread].map(|time| time.as_nanos() as f64);
    let latency = &measured.task.latency;
    if clients == 0.0 || window == 0.0 || latency.count() == 0 {
        return None;
    }
    // Of times that are only known to be high there is no mean, and the law says nothing.
    let cycle = latency.mean()? + think_ns;
    let found = latency.count() as f64 * cycle / window;
    let hanging = if kind.tasks().is_some() {
        // The last tasks are waited for, and no client has a next one.
        latency.0.max() as f64
    } else {
        longest_mean(latency, edges).max(longest_of_slices(measured, edges))
    };
    let hanging = (hanging + think_ns) * edges as f64 / clients;
    // The mean think time is that of all draws, and a window has only so many of them.
    let drawn = SIGMAS * think_spread_ns * (latency.count() as f64).sqrt() / (clients * window);
    let tolerance = LAW + hanging / window + drawn;
    let off = found / clients - 1.0;
    let counts =
        measured.completed.abs_diff(latency.count() - measured.task.censored.min(latency.count()));
    (off.abs() > tolerance || counts > kind.clients()).then(|| Cause {
        validity: Validity::Invalid,
        evidence: format!(
            "Little's law does not hold: throughput times latency makes {} clients, and there are {} \
             ({} completed, {} recorded)",
            significant(found),
            significant(clients),
            measured.completed,
            latency.count()
        ),
        severity: off.abs(),
    })
}

/// Mean of the `many` longest values in ns.
fn longest_mean(histo: &Histo, many: u64) -> f64 {
    let recorded: Vec<(u64, u64)> = histo
        .0
        .iter_recorded()
        .map(|value| (value.value_iterated_to(), value.count_at_value()))
        .collect();
    mean_of_first(recorded.into_iter().rev(), many)
}

/// The same of the tasks that ended in the window: some began before it, and are not in the
/// histogram.
fn longest_of_slices(measured: &Measurements, many: u64) -> f64 {
    let mut buckets: Vec<(u64, u64)> = measured
        .slices
        .iter()
        .filter(|slice| slice.from_ns >= 0)
        .flat_map(|slice| slice.latencies.clone())
        .collect();
    buckets.sort_unstable();
    mean_of_first(buckets.into_iter().rev(), many)
}

fn mean_of_first(values: impl Iterator<Item = (u64, u64)>, many: u64) -> f64 {
    let (mut left, mut sum) = (many, 0.0);
    for (value, count) in values {
        let taken = count.min(left);
        sum += value as f64 * taken as f64;
        left -= taken;
    }
    sum / many.max(1) as f64
}

/// Arrivals that are neither completed, nor dropped, nor in flight.
fn lost_arrivals(arrivals: &Arrivals, measured: &Measurements) -> Option<Cause> {
    let completed = measured.task.count.saturating_sub(measured.task.censored);
    let accounted = completed + arrivals.dropped + arrivals.censored;
    (accounted != arrivals.scheduled).then(|| Cause {
        validity: Validity::Invalid,
        evidence: format!(
            "{} arrivals were scheduled, and {accounted} are accounted for: {completed} completed, {} dropped, {} in flight",
            arrivals.scheduled, arrivals.dropped, arrivals.censored
        ),
        severity: accounted.abs_diff(arrivals.scheduled) as f64,
    })
}

/// A pacer so late that the latencies show it, and not the executor.
pub(super) fn late_pacer(measured: &Measurements) -> Option<Cause> {
    let pacer = &measured.arrivals.as_ref()?.pacer;
    let (q, late) = [0.99, 0.9].into_iter().find_map(|q| Some((q, pacer.bound(q)?.ns())))?;
    let latency = measured.task.latency.0.value_at_quantile(q);
    (late > PACER_NS && late as f64 > PACER_SHARE * latency as f64).then(|| Cause {
        validity: Validity::Invalid,
        evidence: format!(
            "the pacer was late: p{} of {} beside a latency of {}",
            (q * 100.0).round(),
            format_ns(late),
            format_ns(latency)
        ),
        severity: late as f64,
    })
}

/// Times shorter than this many readings of the clock have no quantiles: the readings would be much
/// of them.
const READINGS: f64 = 20.0;

/// Why the quantiles of times with this median are withheld, if they are. `clock_ns` is what a
/// reading costs.
pub(in crate::analysis) fn too_short(times: &Histo, clock_ns: f64) -> Option<String> {
    let median = times.median()?;
    let share = clock_ns / median.max(1) as f64;
    (clock_ns > 0.0 && (median as f64) < READINGS * clock_ns).then(|| {
        format!(
            "half of them take {} or less, of which a reading of the clock takes {}: quantiles are withheld",
            format_ns(median),
            percent(share)
        )
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        measure::{Slice, Stream},
        scenario::LoadKind,
        store::{
            Run,
            fixture::{CLIENTS, Fixture, clients},
        },
        units::Distribution,
    };

    /// A closed load over 20 s with 100 tasks/s, of which the tests change what was measured for
    /// 100 clients.
    fn run(change: impl FnMut(u32, &mut Measurements)) -> Run {
        let fixture = Fixture::closed("threads", 1).cell("threads", &[], &[100.0]);
        fixture
            .measured("demo::threads", change)
            .with(|run| run.header.cells[0].loads[0].kind = clients(100))
            .build()
    }

    /// A closed load whose clients pause.
    fn thinking(concurrency: u64, pause: Distribution) -> LoadKind {
        let LoadKind::Closed { stages, tasks, drain, .. } = clients(concurrency) else {
            panic!("it is closed")
        };
        LoadKind::Closed { concurrency, stages, think: pause, tasks, drain }
    }

    fn judged(run: &Run) -> Option<String> {
        let crate::store::Outcome::Measured(measured) = &run.trials[0].outcome else { return None };
        let row = run.header.cells[0].rows().next()?;
        contradiction(row, row.of(measured)?).map(|cause| cause.evidence)
    }

    #[test]
    fn little_s_law_holds_for_what_is_right() {
        let right = Fixture::closed("threads", 1).cell("threads", &[], &[1000.0]).build();
        assert_eq!(judged(&right), None);
    }

    #[test]
    fn lost_records_break_little_s_law() {
        let half = run(|_, measured| {
            let mut stream = Stream { count: 1_000, ..Stream::default() };
            stream.latency.0.saturating_record_n(1_000_000_000, 1_000);
            measured.task = stream;
            measured.completed = 1_000;
        });
        let said = judged(&half).expect("half of the tasks are gone");
        assert!(
            said.starts_with("Little's law does not hold: throughput times latency makes 50"),
            "{said}"
        );
    }

    #[test]
    fn think_time_is_part_of_a_cycle() {
        let mut right = Fixture::closed("threads", 1).cell("threads", &[], &[1000.0]).build();
        // Tasks of 0.11 s and 0.11 s between them: as many of them need twice the clients.
        let kind = |clients| thinking(clients, Distribution::Const(Duration::from_millis(110)));
        right.header.cells[0].loads[0].kind = kind(CLIENTS);
        assert!(judged(&right).is_some());
        right.header.cells[0].loads[0].kind = kind(2 * CLIENTS);
        assert_eq!(judged(&right), None);
    }

    #[test]
    fn think_times_that_are_drawn_need_not_add_up_to_their_mean() {
        // One client that thinks for 1 s on average: of a window of 20 s it has thought 10 times,
        // and more than 1 s each time.
        let of_one = |think: Distribution| {
            let mut run = run(|_, measured| {
                let mut stream = Stream { count: 10, ..Stream::default() };
                stream.latency.0.saturating_record_n(1_000_000, 10);
                measured.task = stream;
                measured.completed = 10;
            });
            run.header.cells[0].loads[0].kind = thinking(1, think);
            judged(&run)
        };
        assert!(of_one(Distribution::Const(Duration::from_secs(1))).is_some());
        assert_eq!(of_one(Distribution::Exp(Duration::from_secs(1))), None);
    }

    #[test]
    fn tasks_that_are_counted_and_not_recorded_are_seen() {
        assert_eq!(judged(&run(|_, measured| measured.completed += 100)), None);
        assert!(judged(&run(|_, measured| measured.completed += 101)).is_some());
    }

    #[test]
    fn what_hangs_over_the_edges_is_allowed_for() {
        // 100 clients of 5 s in a window of 20 s: three cycles are recorded where four fit.
        let few = |window: u64| {
            run(move |_, measured| {
                let mut stream = Stream { count: 300, ..Stream::default() };
                stream.latency.0.saturating_record_n(5_000_000_000, 300);
                measured.task = stream;
                measured.completed = 300;
                measured.window_ns = window;
            })
        };
        assert_eq!(judged(&few(20_000_000_000)), None);
        assert!(judged(&few(40_000_000_000)).is_some());
    }

    #[test]
    fn a_pause_at_the_first_edge_is_seen_in_the_slices() {
        // All clients wait for 2 s at the window's start: those tasks are meant to start before it.
        let paused = |sliced: bool| {
            run(move |_, measured| {
                let mut stream = Stream { count: 1_800, ..Stream::default() };
                stream.latency.0.saturating_record_n(1_000_000_000, 1_800);
                measured.task = stream;
                measured.completed = 1_900;
                if sliced {
                    measured.slices = vec![Slice {
                        from_ns: 0,
                        length_ns: 1,
                        latencies: vec![(4_000_000_000, 100)],
                    }];
                }
            })
        };
        assert_eq!(judged(&paused(true)), None);
        assert!(judged(&paused(false)).is_some());
    }

    fn arrivals(scheduled: u64, late_ns: u64) -> Measurements {
        let mut arrivals = Arrivals { scheduled, dropped: 30, censored: 10, ..Arrivals::default() };
        arrivals.pacer.0.saturating_record_n(late_ns, 10_000);
        let mut task = Stream { count: 9_970, censored: 10, ..Stream::default() };
        task.latency.0.saturating_record_n(3_000_000, 9_970);
        Measurements { task, arrivals: Some(arrivals), ..Measurements::default() }
    }

    #[test]
    fn every_arrival_is_completed_dropped_or_in_flight() {
        let lost = |measured: Measurements| {
            lost_arrivals(measured.arrivals.as_ref().expect("open"), &measured)
        };
        assert!(lost(arrivals(10_000, 1)).is_none());
        let cause = lost(arrivals(10_001, 1)).expect("one is lost");
        assert!(
            cause.evidence.contains("10001 arrivals were scheduled, and 10000 are accounted for")
        );
    }

    #[test]
    fn a_pacer_may_be_a_little_late_and_more_where_latencies_are_long() {
        assert!(late_pacer(&arrivals(10_000, 199_000)).is_none());
        assert!(late_pacer(&arrivals(10_000, 290_000)).is_none());
        let cause = late_pacer(&arrivals(10_000, 320_000)).expect("more than a tenth of 3 ms");
        assert!(cause.evidence.starts_with("the pacer was late: p99 of 320"), "{}", cause.evidence);
    }

    #[test]
    fn operations_of_a_few_clock_readings_have_no_quantiles() {
        let mut histo = Histo::new();
        histo.0.saturating_record_n(500, 100);
        assert_eq!(too_short(&histo, 25.0), None);
        let said = too_short(&histo, 25.1).expect("below 20 readings");
        assert!(said.contains("5.0 %"), "{said}");
        assert_eq!(too_short(&histo, 0.0), None);
    }
}
