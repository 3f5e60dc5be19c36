//! SLOs: assertions of a scenario, checked in every cell that they are about.

use super::{
    CellGroup, CellResult, CellStatus, MetricId, SloResult, Unjudged, Validity, significant, stats,
};
use crate::{
    measure::{Bound, Histo, Measurements, Stream},
    scenario::{Comparison, Slo, SloMetric},
    store::{Outcome, Rounds, Row},
    units::format_ns,
};

/// Every SLO in every cell that it is about, in the SLOs' order. Cells that make no sense are left
/// out.
pub(super) fn slos(rounds: &Rounds<'_>, slos: &[Slo], groups: &[CellGroup]) -> Vec<SloResult> {
    let mut results = Vec::new();
    for slo in slos {
        let about =
            groups.iter().filter(|group| slo.only.iter().all(|param| group.params.contains(param)));
        for cell in about.flat_map(|group| &group.cells) {
            if !matches!(cell.status, CellStatus::NotApplicable(_)) && concerns(slo, rounds, cell) {
                results.push(evaluate(rounds, slo, cell));
            }
        }
    }
    results
}

/// The load whose figures a result holds.
fn row_of<'a>(rounds: &Rounds<'a>, result: &CellResult) -> Option<Row<'a>> {
    let cell = rounds.run.header.cells.iter().find(|cell| cell.name == result.cell)?;
    cell.rows().find(|row| row.name() == result.name)
}

/// Whether an SLO is about this load of its cell. A name that means another load does not; one of a
/// step means every load that has it.
fn concerns(slo: &Slo, rounds: &Rounds<'_>, result: &CellResult) -> bool {
    let Some(row) = row_of(rounds, result) else { return true };
    if is_load(row, &slo.subject) {
        return true;
    }
    let another = row.cell.rows().any(|other| is_load(other, &slo.subject));
    let has_step = || result.steps.iter().any(|step| step.name == slo.subject);
    !another && (row.load_name().is_none() || has_step())
}

/// Whether a name means the load's task: by the task's own name, or by that of one load of several.
fn is_load(row: Row<'_>, subject: &str) -> bool {
    row.load.task == subject || row.load_name() == Some(subject)
}

/// What an overloaded cell or a busy target shows is so, and is judged. An invalid cell shows
/// nothing. What holds on a disturbed host holds on a quiet one; what does not is not judged.
/// Errors make what is measured better, so that there it is the other way round; only their own
/// rate is judged as it is.
fn evaluate(rounds: &Rounds<'_>, slo: &Slo, cell: &CellResult) -> SloResult {
    let subject = Subject::find(rounds, &slo.subject, cell);
    let measured = subject.as_ref().and_then(|subject| subject.measure(slo.metric));
    let holds = measured.and_then(|measured| measured.holds(slo));
    let holds = match cell.judgement.validity {
        Validity::Invalid => None,
        // A call that fails at once is a fast one: what is too slow even so is too slow.
        Validity::Errors if slo.metric != SloMetric::ErrorRate => {
            holds.filter(|holds| *holds != is_demanding(slo))
        }
        // The latencies are those of the clients that were served.
        Validity::Starved
            if matches!(slo.metric, SloMetric::Latency(_) | SloMetric::MeanLatency) =>
        {
            holds.filter(|holds| *holds != is_demanding(slo))
        }
        Validity::Disturbed => holds.filter(|holds| *holds && is_demanding(slo)),
        _ => holds,
    };
    let (executions, has_times) = subject.map_or((0, false), |subject| {
        (subject.executions.max(subject.bad), subject.latency.count() > 0)
    });
    let is_bound = measured.is_some_and(|measured| measured.is_bound);
    let unjudged = holds.is_none().then(|| match Unjudged::of(slo, cell, executions, has_times) {
        Unjudged::Samples if is_bound => Unjudged::Clipped,
        why => why,
    });
    let measured = measured.map(|measured| measured.value);
    SloResult { slo: slo.clone(), cell: cell.name.clone(), measured, is_bound, holds, unjudged }
}

/// What was measured of an SLO.
#[derive(Debug, Clone, Copy)]
pub(super) struct MeasuredTerm {
    /// In the metric's unit.
    value: f64,
    /// Whether that is only what it is at least.
    is_bound: bool,
}

impl MeasuredTerm {
    fn exact(value: f64) -> Self {
        Self { value, is_bound: false }
    }

    fn of(bound: Bound) -> Self {
        Self { value: bound.ns() as f64, is_bound: bound.exact().is_none() }
    }

    /// The value with its unit, behind `≥` where it is only what it is at least.
    pub(super) fn words(self, slo: &Slo) -> String {
        let value = slo_value(slo, self.value);
        if self.is_bound { format!("≥ {value}") } else { value }
    }

    /// The value, where it is known.
    pub(super) fn known(self) -> Option<f64> {
        (!self.is_bound).then_some(self.value)
    }

    /// Whether an SLO holds; none where the value is only known to be high, and that does not
    /// decide it.
    fn holds(self, slo: &Slo) -> Option<bool> {
        let holds = holds(slo.comparison, self.value, slo.limit);
        let is_upper = matches!(slo.comparison, Comparison::Below | Comparison::AtMost);
        (!self.is_bound || holds != is_upper).then_some(holds)
    }
}

/// Whether a better system meets it more easily.
fn is_demanding(slo: &Slo) -> bool {
    let more = matches!(slo.comparison, Comparison::Above | Comparison::AtLeast);
    more == (slo.metric == SloMetric::Throughput)
}

/// What one trial measured of an SLO, and whether it holds there; none of too few samples.
pub(super) fn in_trial(
    slo: &Slo,
    row: Row<'_>,
    measured: &Measurements,
) -> Option<(MeasuredTerm, bool)> {
    let measured = Subject::in_trial(row, &slo.subject, measured)?.measure(slo.metric)?;
    Some((measured, measured.holds(slo)?))
}

/// A measured or limiting value of an SLO with its unit.
pub fn slo_value(slo: &Slo, value: f64) -> String {
    match slo.metric {
        SloMetric::Latency(_) | SloMetric::MeanLatency => format_ns(value.round() as u64),
        SloMetric::Throughput => (MetricId::Throughput.info().format)(value),
        SloMetric::ErrorRate => format!("{}%", significant(value * 100.0)),
    }
}

fn holds(comparison: Comparison, value: f64, limit: f64) -> bool {
    match comparison {
        Comparison::Below => value < limit,
        Comparison::AtMost => value <= limit,
        Comparison::Above => value > limit,
        Comparison::AtLeast => value >= limit,
    }
}

/// What an SLO is about, over all rounds of a cell.
struct Subject<'a> {
    latency: &'a Histo,
    /// Per second, of each round.
    rates: Vec<f64>,
    executions: u64,
    bad: u64,
}

impl<'a> Subject<'a> {
    /// The load's task where the name is its name, else the named step. None without a measured
    /// round.
    fn find(run: &Rounds<'a>, name: &str, cell: &'a CellResult) -> Option<Self> {
        let row = row_of(run, cell)?;
        if is_load(row, name) { Self::task(run, cell) } else { Self::step(run, name, cell) }
    }

    /// The same of one trial.
    fn in_trial(row: Row<'_>, name: &str, measured: &'a Measurements) -> Option<Self> {
        let (stream, completed) = if is_load(row, name) {
            (&measured.task, measured.completed)
        } else {
            let stream = stream(measured, name)?;
            (stream, stream.count)
        };
        Some(Self {
            latency: &stream.latency,
            rates: vec![per_second(completed, measured.window_ns)],
            executions: stream.count,
            bad: stream.errors + stream.timeouts,
        })
    }

    fn task(run: &Rounds<'a>, cell: &'a CellResult) -> Option<Self> {
        let executions = measured(run, cell).map(|measured| measured.task.count).sum();
        let rates =
            cell.metrics.get(&MetricId::Throughput)?.rounds.iter().map(|&(_, rate)| rate).collect();
        Some(Self {
            latency: &cell.latency,
            rates,
            executions,
            bad: cell.counts.errors + cell.counts.timeouts,
        })
    }

    fn step(run: &Rounds<'a>, name: &str, cell: &'a CellResult) -> Option<Self> {
        let step = cell.steps.iter().find(|step| step.name == name)?;
        let rate = |measured: &Measurements| {
            Some(per_second(stream(measured, name)?.count, measured.window_ns))
        };
        Some(Self {
            latency: &step.latency,
            rates: measured(run, cell).filter_map(rate).collect(),
            executions: step.counts.completed,
            bad: step.counts.errors + step.counts.timeouts,
        })
    }

    /// The value in the metric's unit; none of too few samples.
    fn measure(&self, metric: SloMetric) -> Option<MeasuredTerm> {
        let mean = |(value, is_exact): (f64, bool)| MeasuredTerm { value, is_bound: !is_exact };
        match metric {
            SloMetric::Latency(q) if q >= 1.0 => {
                self.latency.greatest_bound().map(MeasuredTerm::of)
            }
            SloMetric::Latency(q) => self.latency.bound(q).map(MeasuredTerm::of),
            SloMetric::MeanLatency => self.latency.mean_bound().map(mean),
            SloMetric::Throughput => stats::median(&self.rates).map(MeasuredTerm::exact),
            SloMetric::ErrorRate => self.error_rate().map(MeasuredTerm::exact),
        }
    }

    /// Errors and time-outs that the scenario allows, as a share of the executions that ended in
    /// any allowed way.
    fn error_rate(&self) -> Option<f64> {
        let all = self.executions.max(self.bad);
        (all > 0).then(|| self.bad as f64 / all as f64)
    }
}

/// What the rounds measured whose figures are the cell's.
fn measured<'a>(rounds: &Rounds<'a>, cell: &CellResult) -> impl Iterator<Item = &'a Measurements> {
    let row = row_of(rounds, cell);
    let counted = rounds.of(&cell.cell).filter(|(round, _)| cell.judgement.counts(*round));
    counted.filter_map(move |(_, trial)| match &trial.outcome {
        Outcome::Measured(measured) => row?.of(measured),
        Outcome::Failed(_) => None,
    })
}

fn stream<'a>(measured: &'a Measurements, step: &str) -> Option<&'a Stream> {
    measured.steps.iter().find(|named| named.name == step).map(|named| &named.stream)
}

fn per_second(count: u64, window_ns: u64) -> f64 {
    if window_ns == 0 { 0.0 } else { count as f64 * 1e9 / window_ns as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::{Analysis, analyse},
        scenario::Param,
        store::{Absent, FailureKind, fixture::Fixture},
    };

    fn slo(subject: &str, metric: SloMetric, comparison: Comparison, limit: f64) -> Slo {
        Slo {
            assert: "as written".into(),
            subject: subject.into(),
            metric,
            comparison,
            limit,
            only: Vec::new(),
            line: 7,
        }
    }

    /// 2000 tasks a round: nine tenths of the latencies are 1 s, the rest 2 s; those of the step
    /// are half of it.
    fn fixture() -> Fixture {
        Fixture::closed("threads", 2).cell("threads", &[], &[100.0, 100.0])
    }

    fn found(fixture: Fixture) -> Vec<(Option<f64>, Option<bool>)> {
        analyse(&fixture.build()).scenarios[0]
            .slos
            .iter()
            .map(|result| (result.measured, result.holds))
            .collect()
    }

    #[track_caller]
    fn check(slo: Slo, value: f64, holds: bool) {
        let (measured, found) = found(fixture().slo(slo))[0];
        let measured = measured.expect("is measured");
        assert!((measured / value - 1.0).abs() < 0.001, "{measured} is not {value}");
        assert_eq!(found, Some(holds));
    }

    #[test]
    fn every_metric_of_tasks_and_of_steps() {
        check(slo("request", SloMetric::Latency(0.5), Comparison::Below, 1.1e9), 1e9, true);
        check(slo("request", SloMetric::Latency(0.99), Comparison::Below, 1.1e9), 2e9, false);
        check(slo("call", SloMetric::Latency(0.99), Comparison::Below, 1.1e9), 1e9, true);
        check(slo("call", SloMetric::Latency(1.0), Comparison::AtMost, 0.9e9), 1e9, false);
        check(slo("request", SloMetric::MeanLatency, Comparison::Below, 1e9), 1.1e9, false);
        check(slo("request", SloMetric::Throughput, Comparison::AtLeast, 100.0), 100.0, true);
        check(slo("call", SloMetric::Throughput, Comparison::Above, 100.0), 100.0, false);
    }

    #[test]
    fn error_rates_count_errors_and_timeouts_of_all_rounds() {
        let limit = |subject| slo(subject, SloMetric::ErrorRate, Comparison::AtMost, 0.01);
        let failing = fixture().slo(limit("request")).slo(limit("call")).measured(
            "demo::threads",
            |_, measured| {
                measured.task.errors = 30;
                measured.task.timeouts = 10;
            },
        );
        assert_eq!(found(failing), [(Some(0.02), Some(false)), (Some(0.0), Some(true))]);
    }

    #[test]
    fn a_quantile_of_too_few_samples_decides_nothing() {
        // 4000 latencies have a p99.7 (twelve lie above) but no p99.9.
        let at = |q| slo("request", SloMetric::Latency(q), Comparison::Below, 1.0);
        assert_eq!(found(fixture().slo(at(0.999))), [(None, None)]);
        assert_eq!(found(fixture().slo(at(0.997)))[0].1, Some(false));
    }

    #[test]
    fn only_cells_with_the_parameters_and_no_senseless_ones() {
        let mut at_64 = slo("request", SloMetric::Throughput, Comparison::Above, 150.0);
        at_64.only = vec![Param { name: "concurrency".into(), value: "64".into() }];
        let (one, many) = ([("concurrency", "1")], [("concurrency", "64")]);
        let fixture = Fixture::closed("threads", 1)
            .cell("threads", &one, &[100.0])
            .cell("threads", &many, &[200.0])
            .absent("sequential", &many, Absent::NotApplicable("one at a time".into()))
            .slo(at_64);
        let analysis = analyse(&fixture.build());
        let cells: Vec<&str> =
            analysis.scenarios[0].slos.iter().map(|result| result.cell.as_str()).collect();
        assert_eq!(cells, ["demo::threads::concurrency=64"]);
        assert!(!analysis.has_failed_slo());
    }

    #[test]
    fn what_holds_among_errors_is_not_judged() {
        let request = |metric, comparison, limit| slo("request", metric, comparison, limit);
        let failing = fixture()
            .slo(request(SloMetric::Latency(0.5), Comparison::Below, 1.1e9))
            .slo(request(SloMetric::Latency(0.5), Comparison::Below, 0.9e9))
            .slo(request(SloMetric::Throughput, Comparison::Above, 50.0))
            .slo(request(SloMetric::Throughput, Comparison::Below, 150.0))
            .slo(request(SloMetric::ErrorRate, Comparison::AtMost, 1.0))
            .slo(request(SloMetric::ErrorRate, Comparison::Below, 0.1))
            .measured("demo::threads", |_, measured| measured.task.errors = measured.task.count);
        let analysis = analyse(&failing.build());
        let holds: Vec<Option<bool>> =
            analysis.scenarios[0].slos.iter().map(|result| result.holds).collect();
        assert_eq!(holds, [None, Some(false), None, Some(true), Some(true), Some(false)]);
        let among = |holds: Option<bool>| holds.is_none().then_some(Unjudged::Errors);
        let why: Vec<Option<Unjudged>> =
            analysis.scenarios[0].slos.iter().map(|result| result.unjudged).collect();
        assert_eq!(why, holds.into_iter().map(among).collect::<Vec<_>>());
    }

    #[test]
    fn what_does_not_hold_on_a_disturbed_host_is_not_judged() {
        let throughput =
            |comparison, limit| slo("request", SloMetric::Throughput, comparison, limit);
        let disturbed = fixture()
            .slo(throughput(Comparison::Above, 50.0))
            .slo(throughput(Comparison::Above, 150.0))
            .slo(throughput(Comparison::Below, 150.0))
            .measured("demo::threads", |_, measured| measured.trial_mut().host.throttled_ns = 1);
        let holds: Vec<Option<bool>> =
            found(disturbed).into_iter().map(|(_, holds)| holds).collect();
        assert_eq!(holds, [Some(true), None, None]);
        let late = slo("request", SloMetric::Latency(0.9999), Comparison::Below, 1.0);
        let disturbed = |_, measured: &mut Measurements| measured.trial_mut().host.throttled_ns = 1;
        let analysis = analyse(&fixture().slo(late).measured("demo::threads", disturbed).build());
        assert_eq!(
            analysis.scenarios[0].slos[0].unjudged,
            Some(Unjudged::Disturbed),
            "more samples would not help"
        );
        let invalid = fixture().slo(throughput(Comparison::Above, 50.0));
        let invalid = invalid.measured("demo::threads", |_, measured| measured.completed *= 2);
        assert_eq!(found(invalid), [(Some(200.0), None)]);
        let analysis = analyse(&fixture().slo(throughput(Comparison::Above, 50.0)).build());
        assert!(analysis.scenarios[0].slos[0].unjudged.is_none() && !analysis.has_invalid_cells());
    }

    #[test]
    fn what_has_no_figures_is_not_judged() {
        let asked = fixture()
            .cell("tokio", &[], &[])
            .fail("demo::tokio", 1, FailureKind::Crashed, "SIGSEGV")
            .slo(slo("request", SloMetric::ErrorRate, Comparison::AtMost, 0.0))
            .slo(slo("unheard-of", SloMetric::ErrorRate, Comparison::AtMost, 0.0));
        let analysis: Analysis = analyse(&asked.build());
        let holds: Vec<Option<bool>> =
            analysis.scenarios[0].slos.iter().map(|result| result.holds).collect();
        assert_eq!(holds, [Some(true), None, None, None]);
        assert!(!analysis.has_failed_slo());
    }

    #[test]
    fn a_bound_decides_what_it_can_and_no_more() {
        use Comparison::{Above, AtLeast, AtMost, Below};
        let of = |metric, comparison, limit| {
            let fixture = Fixture::closed("threads", 1).cell("threads", &[], &[100.0]);
            let fixture = fixture.measured("demo::threads", |_, measured| {
                measured.task.latency.0.clipped_record_n(61_000_000_000, 2_000, 60_000_000_000);
            });
            let run = fixture.slo(slo("request", metric, comparison, limit)).build();
            let result = analyse(&run).scenarios[0].slos[0].clone();
            (result.is_bound, result.holds)
        };
        for metric in [SloMetric::Latency(0.99), SloMetric::Latency(1.0)] {
            for (comparison, holds) in [
                (Below, Some(false)),
                (AtMost, Some(false)),
                (Above, Some(true)),
                (AtLeast, Some(true)),
            ] {
                assert_eq!(
                    of(metric, comparison, 5e7),
                    (true, holds),
                    "{metric:?} {comparison:?} 50ms"
                );
                assert_eq!(
                    of(metric, comparison, 120e9),
                    (true, None),
                    "{metric:?} {comparison:?} 120s"
                );
            }
        }
        // Half of the values are a minute or more, so that the mean is half of that at least.
        assert_eq!(of(SloMetric::MeanLatency, Below, 20e9), (true, Some(false)));
        assert_eq!(of(SloMetric::MeanLatency, Below, 40e9), (true, None));
        assert_eq!(of(SloMetric::Latency(0.25), Below, 20e9), (false, Some(true)));
    }
}
