//! What the outputs have in common: words for states and verdicts, and who won.

use std::collections::BTreeSet;

mod claims;

pub use claims::*;

pub use crate::analysis::slo_value;
use crate::{
    analysis::{
        CellGroup, CellResult, CellStatus, ClaimVerdict, LimitingFactor, MetricId, Ratio,
        RatioVerdict, ScenarioResult, SloResult, Steadiness, Validity,
    },
    measure::{Bound, Delay},
    report::{
        format::{NOTHING, bound, digits, metric, ns, plural, prose},
        load::load_words,
        steadiness::steadiness_words,
    },
    scenario::{Param, Slo},
    store::Header,
};

/// A symbol and words, so that nothing is said by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// One character.
    pub symbol: &'static str,
    /// The words.
    pub words: &'static str,
    /// Which colour may support it.
    pub tone: Tone,
}

/// Colours that may support a [`Mark`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// It is well.
    Good,
    /// It is not.
    Bad,
    /// Mind it.
    Warn,
    /// Neither.
    Plain,
}

const fn mark(symbol: &'static str, words: &'static str, tone: Tone) -> Mark {
    Mark { symbol, words, tone }
}

/// What a ratio's interval says.
pub fn ratio_mark(verdict: RatioVerdict) -> Mark {
    match verdict {
        RatioVerdict::Baseline => mark("=", "baseline", Tone::Plain),
        RatioVerdict::Faster => mark("+", "faster", Tone::Good),
        RatioVerdict::Slower => mark("-", "slower", Tone::Bad),
        RatioVerdict::NoDifference => mark("~", "no difference shown", Tone::Plain),
        RatioVerdict::NoInterval => mark("?", "no interval", Tone::Warn),
    }
}

/// Whether a claim holds here.
pub fn claim_mark(verdict: ClaimVerdict) -> Mark {
    match verdict {
        ClaimVerdict::Agrees => mark("+", "agrees", Tone::Good),
        ClaimVerdict::Disagrees => mark("x", "disagrees", Tone::Bad),
        ClaimVerdict::Inconclusive => mark("~", "inconclusive", Tone::Warn),
        ClaimVerdict::NotMeasured => mark("?", "not measured", Tone::Warn),
    }
}

/// Whether an SLO holds.
pub fn slo_mark(holds: Option<bool>) -> Mark {
    match holds {
        Some(true) => mark("+", "pass", Tone::Good),
        Some(false) => mark("x", "FAIL", Tone::Bad),
        None => mark("?", "not measured", Tone::Warn),
    }
}

/// What a cell's figures are worth.
pub fn validity_mark(validity: Validity) -> Mark {
    let (symbol, tone) = match validity {
        Validity::Valid => ("+", Tone::Good),
        Validity::Overloaded
        | Validity::TargetBound
        | Validity::Errors
        | Validity::Starved
        | Validity::Disturbed => ("!", Tone::Warn),
        Validity::Invalid | Validity::Failed => ("x", Tone::Bad),
    };
    mark(symbol, validity.word(), tone)
}

/// What is to be said of a cell's validity: why it is not ranked, which rounds do not count, which
/// calls ended in errors, that it is not steady, that its quantiles are withheld.
pub fn validity_words(cell: &CellResult) -> Vec<String> {
    let judgement = &cell.judgement;
    let mut words = Vec::new();
    if !cell.is_ranked() {
        // Only what speaks for this verdict: rounds may have had others. Why trials failed is told
        // with the state.
        let because = judgement.reason().map(|reason| format!(": {reason}")).unwrap_or_default();
        words.push(format!("{}, not ranked{because}", judgement.validity.word()));
    } else if !judgement.evidence.is_empty() {
        let evidence: Vec<&str> =
            judgement.evidence.iter().map(|evidence| evidence.words.as_str()).collect();
        words.push(format!("not every round is VALID: {}", evidence.join("; ")));
    }
    words.extend(cell.errors.words());
    let unsteady = cell.steadiness.filter(|class| *class != Steadiness::Flat);
    words.extend(unsteady.map(|class| steadiness_words(class).to_owned()));
    words.extend(judgement.clipped.clone());
    words.extend(judgement.pool_past.clone());
    words.extend(judgement.unfinished.clone());
    words.extend(
        judgement.withheld.as_ref().map(|why| format!("operations too short to be timed: {why}")),
    );
    words
}

/// How late probes ran in a group, such as `scheduling delay p50, p99, max: tokio 1.1ms, 1.3ms,
/// 4.2ms`, and who ran none and why; nothing where there was no probe.
pub fn delays(group: &CellGroup) -> Vec<String> {
    let measured = |cell: &CellResult| match &cell.delay {
        Some(Delay::Measured(delays)) => {
            let [p50, p99] = [0.5, 0.99].map(|q| bound_words(delays.bound(q)));
            Some(format!("{} {p50}, {p99}, {}", cell.label, bound_words(delays.greatest_bound())))
        }
        Some(Delay::NotApplicable(_)) | None => None,
    };
    let measured: Vec<String> = group.cells.iter().filter_map(measured).collect();
    let first = (!measured.is_empty())
        .then(|| format!("scheduling delay p50, p99, max: {}", measured.join("; ")));
    first.into_iter().chain(without_delays(group)).collect()
}

/// Who of a group ran no probe although one was asked for, and why, such as `no scheduling delay of
/// sequential: it runs one task at a time`.
pub fn without_delays(group: &CellGroup) -> Vec<String> {
    let mut absent: Vec<(&str, Vec<String>)> = Vec::new();
    for cell in &group.cells {
        let Some(Delay::NotApplicable(why)) = &cell.delay else { continue };
        match absent.iter_mut().find(|(known, _)| known == why) {
            Some((_, labels)) => labels.push(cell.label.clone()),
            None => absent.push((why, vec![cell.label.clone()])),
        }
    }
    let words = |(why, labels): (&str, Vec<String>)| {
        format!("no scheduling delay of {}: {why}", prose(&labels))
    };
    absent.into_iter().map(words).collect()
}

/// A group's cells by what limits them: `limited by the executor's CPU: threads and tokio`; nothing
/// where none stands out.
pub fn limits(group: &CellGroup) -> Vec<String> {
    let mut by_factor: Vec<(LimitingFactor, Vec<String>)> = Vec::new();
    for cell in group.cells.iter().filter(|cell| cell.has_figures()) {
        let Some(factor) = cell.judgement.limit else { continue };
        match by_factor.iter_mut().find(|(known, _)| *known == factor) {
            Some((_, labels)) => labels.push(cell.label.clone()),
            None => by_factor.push((factor, vec![cell.label.clone()])),
        }
    }
    by_factor
        .iter()
        .map(|(factor, labels)| format!("limited by {}: {}", factor.words(), prose(labels)))
        .collect()
}

/// Whose memory it was: `memory, harness + executor: threads 10.2MiB + 3.10MiB; …`; nothing where
/// it was not measured.
fn memory(group: &CellGroup) -> Option<String> {
    let has_both = |cell: &&CellResult| cell.metrics.contains_key(&MetricId::ExecutorMemory);
    let parts = group.cells.iter().filter(has_both).map(|cell| {
        let [harness, executor] = [MetricId::HarnessMemory, MetricId::ExecutorMemory]
            .map(|part| metric_words(cell, part));
        format!("{} {harness} + {executor}", cell.label)
    });
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| format!("memory, harness + executor: {}", parts.join("; ")))
}

/// The CPU time of trials whose loads share it, such as `CPU time of all loads together, a trial:
/// threads 1.20s; tokio 1.10s`; nothing where each load has a trial for itself.
fn shared_cpu(group: &CellGroup) -> Option<String> {
    let used = |cell: &CellResult| Some(format!("{} {}", cell.label, ns(cell.shared_cpu_ns?)));
    let used: Vec<String> = group.cells.iter().filter_map(used).collect();
    (!used.is_empty())
        .then(|| format!("CPU time of all loads together, a trial: {}", used.join("; ")))
}

/// What is to be said of a group's memory, of CPU time that loads share, and of folders that are on
/// no disk.
pub fn resources(group: &CellGroup) -> impl Iterator<Item = String> {
    let disks: BTreeSet<String> = group.cells.iter().flat_map(CellResult::not_on_a_disk).collect();
    memory(group).into_iter().chain(shared_cpu(group)).chain(disks)
}

/// A group's cells of which nobody can tell whether others disturbed them, and why; nothing where
/// there are none.
pub fn unseen(group: &CellGroup) -> Option<String> {
    let short =
        || group.cells.iter().filter_map(|cell| Some((cell, cell.judgement.unseen.as_ref()?)));
    let labels: Vec<String> = short().map(|(cell, _)| cell.label.clone()).collect();
    let (_, why) = short().next()?;
    Some(format!("too short to tell whether others disturbed them: {} ({why})", prose(&labels)))
}

/// A cell's state and its reason.
pub fn status_mark(status: &CellStatus) -> (Mark, &str) {
    match status {
        CellStatus::Complete => (mark("+", "complete", Tone::Good), ""),
        CellStatus::Partial(why) => (mark("!", "partial", Tone::Warn), why),
        CellStatus::Failed(why) => (mark("x", "FAILED", Tone::Bad), why),
        CellStatus::NotApplicable(why) => (mark("–", "not applicable", Tone::Plain), why),
        CellStatus::Refused(why) => (mark("x", "refused", Tone::Bad), why),
        CellStatus::Pending => (mark("?", "not run yet", Tone::Warn), ""),
    }
}

/// A cell's state in one phrase, such as `refused: …`; nothing for a complete one.
pub fn status_words(cell: &CellResult) -> String {
    let (mark, why) = status_mark(&cell.status);
    // The state of a cell that failed already gives the reason.
    let others: Vec<_> =
        cell.failures.iter().filter(|(reason, _)| reason != why).cloned().collect();
    let failures = failures(&others);
    let details: Vec<&str> = std::iter::once(why)
        .chain(failures.iter().map(String::as_str))
        .filter(|text| !text.is_empty())
        .collect();
    if details.is_empty() {
        mark.words.into()
    } else {
        format!("{}: {}", mark.words, details.join("; "))
    }
}

/// `3 × crashed: SIGSEGV`, for each reason.
pub fn failures(failures: &[(String, usize)]) -> Vec<String> {
    failures.iter().map(|(reason, count)| format!("{count} × {reason}")).collect()
}

/// `concurrency=64 fanout=16`.
pub fn params(params: &[Param]) -> String {
    let words: Vec<String> = params.iter().map(ToString::to_string).collect();
    words.join(" ")
}

/// What a group is called: its parameters, else its load; and its lane, where there is something to
/// say of that.
pub fn group_name(group: &CellGroup) -> String {
    let name = if group.params.is_empty() { load_of(group) } else { params(&group.params) };
    name + &lane_words(group)
}

/// The load of a group in words.
pub fn load_of(group: &CellGroup) -> String {
    group.load.as_ref().map(load_words).unwrap_or_default()
}

/// `, idiomatic lane`, where there is something to say of lanes.
fn lane_words(group: &CellGroup) -> String {
    group.lane.map(|lane| format!(", {}", lane.words())).unwrap_or_default()
}

/// A group's parameters and load: `concurrency=64 (closed, 64 clients)`.
pub fn group_title(group: &CellGroup) -> String {
    let lane = lane_words(group);
    if group.params.is_empty() {
        format!("{}{lane}", load_of(group))
    } else {
        format!("{} ({}{lane})", params(&group.params), load_of(group))
    }
}

/// `1 executor CPU`.
pub fn cpus(group: &CellGroup) -> String {
    plural(group.executor_cpus, "executor CPU")
}

/// The executor CPUs of a whole scenario, such as `1 executor CPU` or `1 to 2 executor CPUs`.
pub fn scenario_cpus(scenario: &ScenarioResult) -> String {
    let least = scenario.groups.iter().map(|g| g.executor_cpus).min().unwrap_or(0);
    let most = scenario.groups.iter().map(|g| g.executor_cpus).max().unwrap_or(0);
    if least == most {
        plural(most, "executor CPU")
    } else {
        format!("{least} to {most} executor CPUs")
    }
}

/// With fewer rounds there is no interval.
const LEAST_ROUNDS: u32 = 6;

/// Whether a scenario's ratios have intervals: `with 95% intervals over 7 rounds`. The rounds of a
/// search are as many as each rate needed.
pub fn interval_words(header: &Header, scenario: &ScenarioResult) -> String {
    let rounds = header
        .cells
        .iter()
        .filter(|cell| cell.scenario == scenario.name)
        .map(|cell| cell.rounds)
        .max();
    let mut ratios = scenario
        .groups
        .iter()
        .flat_map(|group| &group.cells)
        .filter_map(|cell| cell.ratio.as_ref());
    match rounds {
        Some(rounds) if rounds >= LEAST_ROUNDS => {
            format!("with 95% intervals over {rounds} rounds")
        }
        _ if ratios.any(|ratio| ratio.interval.is_some()) => "with 95% intervals".into(),
        _ => "without intervals, which need six rounds".into(),
    }
}

/// `[1.47, 1.73]`, nothing without an interval.
pub fn interval(ratio: &Ratio) -> Option<String> {
    ratio.interval.map(|(low, high)| format!("[{}, {}]", bound(low), bound(high)))
}

/// `1.59 [1.47, 1.73]`.
pub fn ratio_words(ratio: &Ratio) -> String {
    match interval(ratio) {
        Some(interval) => format!("{} {interval}", digits(ratio.estimate)),
        None => digits(ratio.estimate),
    }
}

/// A cell's metric with its unit, or a dash.
pub fn metric_words(cell: &CellResult, id: MetricId) -> String {
    cell.metrics.get(&id).map_or_else(|| NOTHING.into(), |value| metric(id, value.median))
}

/// A cell's latency quantile, or a dash where it is withheld.
pub fn quantile_words(cell: &CellResult, q: f64) -> String {
    bound_words(cell.latency.bound(q))
}

/// A time with its unit, behind `≥` where that is all that is known of it; a dash where there is
/// none.
pub fn bound_words(time: Option<Bound>) -> String {
    match time {
        None => NOTHING.into(),
        Some(Bound::Exact(value)) => ns(value as f64),
        Some(Bound::AtLeast(value)) => format!("≥ {}", ns(value as f64)),
    }
}

/// What was measured of an SLO with its unit, behind `≥` where that is all that is known of it.
pub fn slo_measured(result: &SloResult) -> Option<String> {
    let value = slo_value(&result.slo, result.measured?);
    Some(if result.is_bound { format!("≥ {value}") } else { value })
}

/// The exact 95 % interval of the median of the rounds' own values of a metric: `[438ms, 447ms]`.
pub fn rounds_interval(cell: &CellResult, id: MetricId) -> Option<String> {
    let (low, high) = cell.metrics.get(&id)?.interval?;
    Some(format!("[{}, {}]", metric(id, low), metric(id, high)))
}

/// One assertion and its results over the cells.
pub struct SloSummary<'a> {
    /// The assertion.
    pub slo: &'a Slo,
    /// Its results.
    pub results: Vec<&'a SloResult>,
}

impl SloSummary<'_> {
    /// Cells in which it holds.
    pub fn passed(&self) -> usize {
        self.results.iter().filter(|r| r.holds == Some(true)).count()
    }

    /// Cells in which it could be measured.
    pub fn measured(&self) -> usize {
        self.results.iter().filter(|r| r.holds.is_some()).count()
    }

    /// `holds in 3 of 4 cells`, and in how many it could not be measured.
    pub fn words(&self) -> String {
        if self.measured() == 0 {
            return format!("could not be judged in any of {}", plural(self.results.len(), "cell"));
        }
        let words = format!("holds in {} of {}", self.passed(), plural(self.measured(), "cell"));
        match self.results.len() - self.measured() {
            0 => words,
            left => format!("{words}, not measured in {left}"),
        }
    }

    /// Whether it holds wherever it was measured.
    pub fn holds(&self) -> Option<bool> {
        (self.measured() > 0).then(|| self.passed() == self.measured())
    }
}

/// The results of each assertion together, in the scenario's order.
pub fn slos(scenario: &ScenarioResult) -> Vec<SloSummary<'_>> {
    let mut summaries: Vec<SloSummary<'_>> = Vec::new();
    for result in &scenario.slos {
        match summaries.iter_mut().find(|s| *s.slo == result.slo) {
            Some(summary) => summary.results.push(result),
            None => summaries.push(SloSummary { slo: &result.slo, results: vec![result] }),
        }
    }
    summaries
}

/// As [`slos`], of a run that is judged by them. A search looks for rates at which they do not
/// hold: they are among what it tells of each rate, and a rate that fails is no failure of the run.
pub fn judged<'a>(header: &Header, scenario: &'a ScenarioResult) -> Vec<SloSummary<'a>> {
    if header.search.is_some() { Vec::new() } else { slos(scenario) }
}

/// What a ratio of a metric says: `times as fast`, or `times as good in p99 latency`.
pub fn times_as(metric: MetricId) -> String {
    match metric {
        MetricId::Makespan | MetricId::Throughput => "times as fast".into(),
        other => format!("times as good in {}", other.info().label),
    }
}

/// The metric of the column beside the latencies, which have columns of their own.
pub fn main_metric(primary: MetricId) -> MetricId {
    match primary {
        MetricId::LatencyP50 | MetricId::LatencyP99 => MetricId::Throughput,
        other => other,
    }
}

/// The scenario as the run stored it.
pub fn stored<'a>(
    header: &'a Header,
    scenario: &ScenarioResult,
) -> Option<&'a crate::store::StoredScenario> {
    header.scenarios.iter().find(|s| s.name == scenario.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{analysis::RoundEvidence, report::fixture};

    #[test]
    fn a_reason_is_given_once() {
        let mut cell = fixture::small().scenarios[0].groups[0].cells[3].clone();
        cell.status = CellStatus::Failed("crashed: SIGSEGV".into());
        cell.failures = vec![("crashed: SIGSEGV".into(), 5), ("timed out".into(), 2)];
        assert_eq!(status_words(&cell), "FAILED: crashed: SIGSEGV; 2 × timed out");
    }

    #[test]
    fn only_what_speaks_for_a_verdict_is_its_reason() {
        let mut cell = fixture::small().scenarios[0].groups[0].cells[3].clone();
        let evidence = |validity, words: &str| RoundEvidence { validity, words: words.into() };
        cell.judgement.validity = Validity::Failed;
        cell.judgement.evidence = vec![evidence(Validity::Disturbed, "other processes used 30 %")];
        assert_eq!(validity_words(&cell), ["FAILED, not ranked"]);
        cell.judgement
            .evidence
            .push(evidence(Validity::Errors, "half of the tasks ended in errors"));
        cell.judgement.validity = Validity::Errors;
        assert_eq!(
            validity_words(&cell),
            ["ERRORS, not ranked: half of the tasks ended in errors"]
        );
        cell.judgement.validity = Validity::Valid;
        let all = "not every round is VALID: other processes used 30 %; half of the tasks ended in errors";
        assert_eq!(validity_words(&cell), [all]);
    }

    #[test]
    fn fewer_than_six_rounds_promise_no_intervals() {
        let (mut header, mut analysis) = (fixture::header(), fixture::small());
        assert_eq!(
            interval_words(&header, &analysis.scenarios[0]),
            "with 95% intervals over 7 rounds"
        );
        header.cells.iter_mut().for_each(|cell| cell.rounds = 1);
        assert_eq!(
            interval_words(&header, &analysis.scenarios[0]),
            "with 95% intervals",
            "a rate of a search"
        );
        let cells = analysis.scenarios[0].groups.iter_mut().flat_map(|group| &mut group.cells);
        cells.filter_map(|cell| cell.ratio.as_mut()).for_each(|ratio| ratio.interval = None);
        assert_eq!(
            interval_words(&header, &analysis.scenarios[0]),
            "without intervals, which need six rounds"
        );
    }
}
