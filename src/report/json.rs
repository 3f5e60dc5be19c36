//! JSON: all figures of a run in one stable shape.
//!
//! `version` changes when a field changes its meaning or goes; new fields may come at any time.
//! Durations are ns, sizes bytes, rates 1/s, with seven significant digits; a withheld or missing
//! number is `null`. Histograms stay in the run file. A scenario with cells in two lanes comes
//! twice, once for each.
//!
//! Its keys are described in `schema.json`, which tests hold it against (`schema.rs`).

use serde_json::{Map, Value, json};

use crate::{
    analysis::{
        self, Analysis, CellGroup, CellResult, CellStatus, ClaimResult, Crossing, Fit, Law,
        METRICS, Manifest, MeanRatio, MetricId, PairResult, Ratio, ScenarioResult, SloResult,
        StepResult, Sweep,
    },
    measure::{Bound, Delay, Histo},
    report::{
        format::{key, seven_digits},
        validity::evidence,
        view::load_of,
    },
    scenario::Param,
    store::Header,
};

/// The version of the shape.
const VERSION: u32 = 1;

/// Everything that was computed from the run, indented.
pub fn json(header: &Header, analysis: &Analysis) -> String {
    format!("{:#}\n", document(header, analysis))
}

/// The document itself.
pub(super) fn document(header: &Header, analysis: &Analysis) -> Value {
    json!({
        "version": VERSION,
        "run": header.run,
        "started_ms": header.started_ms,
        "command": header.command,
        "seed": header.seed,
        "quick": header.quick,
        "rounds": header.rounds,
        "cpus": header.cpus,
        "environment": header.environment,
        "warnings": header.warnings,
        "checks": header.checks,
        "trials": analysis.trials,
        "scenarios": analysis.scenarios.iter().map(scenario).collect::<Vec<_>>(),
    })
}

fn scenario(scenario: &ScenarioResult) -> Value {
    json!({
        "name": scenario.name,
        "lane": scenario.lane().unwrap_or_default(),
        "load": scenario.load(),
        "question": scenario.question,
        "baseline": scenario.baseline,
        "primary": key(scenario.primary),
        "groups": scenario.groups.iter().map(group).collect::<Vec<_>>(),
        "means": scenario.means.iter().map(mean).collect::<Vec<_>>(),
        "sweeps": scenario.sweeps.iter().map(sweep).collect::<Vec<_>>(),
        "claims": scenario.claims.iter().map(claim).collect::<Vec<_>>(),
        "slos": scenario.slos.iter().map(slo).collect::<Vec<_>>(),
        "manifest": analysis::manifest(scenario).as_ref().map(manifest),
    })
}

fn manifest(manifest: &Manifest) -> Value {
    json!({ "params": params(&manifest.params), "executors": manifest.executors, "facts": manifest.facts })
}

fn group(group: &CellGroup) -> Value {
    json!({
        "params": params(&group.params),
        "load": load_of(group),
        "executor_cpus": group.executor_cpus,
        "cells": group.cells.iter().map(cell).collect::<Vec<_>>(),
    })
}

fn cell(cell: &CellResult) -> Value {
    let metrics: Map<String, Value> = METRICS
        .iter()
        .filter_map(|info| Some((key(info.id).into(), metric(cell, info.id)?)))
        .collect();
    let (status, reason) = status(&cell.status);
    json!({
        "name": cell.name,
        "executor": cell.executor,
        "label": cell.label,
        "status": status,
        "reason": reason,
        "slots": cell.slots,
        "metrics": metrics,
        "ratio": cell.ratio.as_ref().map(ratio),
        "latency_ns": quantiles(&cell.latency),
        "latency_ns_by_round": by_round(cell),
        "service_ns": quantiles(&cell.service),
        "clipped": clipped(cell),
        "scheduling_delay": delay(cell),
        "validity": validity(cell),
        "steadiness": cell.steadiness,
        "arrivals": arrivals(cell),
        "counts": cell.counts,
        "errors": cell.errors,
        "steps": cell.steps.iter().map(step).collect::<Vec<_>>(),
        "failures": cell.failures,
        "least_makespan_ns": cell.least_makespan_ns,
        "shared_cpu_ns": cell.shared_cpu_ns,
        "target_busy": cell.target_busy,
        "facts": cell.facts,
    })
}

/// Times that are only known to be at least so long; quantiles among them are `null`.
fn clipped(cell: &CellResult) -> Vec<Value> {
    let own =
        [("latency", &cell.latency), ("service", &cell.service), ("lateness", &cell.lateness)];
    let steps = cell.steps.iter().map(|step| (step.name.as_str(), &step.latency));
    let all =
        own.into_iter().chain(steps).filter_map(|(what, times)| Some((what, times.clipped()?)));
    all.map(|(what, (values, from_ns))| json!({ "what": what, "values": values, "at_least_ns": from_ns })).collect()
}

/// What a probe has seen; nothing where there was none.
fn delay(cell: &CellResult) -> Option<Value> {
    cell.delay.as_ref().map(|delay| match delay {
        Delay::Measured(delays) => {
            json!({ "delay_ns": quantiles(delays), "max_ns": delays.greatest(), "reason": null })
        }
        Delay::NotApplicable(reason) => {
            json!({ "delay_ns": null, "max_ns": null, "reason": reason })
        }
    })
}

/// What the figures are worth; nothing of a cell without figures.
fn validity(cell: &CellResult) -> Option<Value> {
    let judgement = &cell.judgement;
    cell.has_figures().then(|| {
        json!({
            "verdict": judgement.validity,
            "ranked": cell.is_ranked(),
            "rounds": judgement.rounds,
            "evidence": evidence(judgement),
            "limit": judgement.limit,
            "limit_evidence": judgement.limit_evidence,
            "unseen": judgement.unseen,
            "withheld": judgement.withheld,
            "clipped": judgement.clipped,
            "pool_past": judgement.pool_past,
            "unfinished": judgement.unfinished,
        })
    })
}

/// What became of the arrivals of an open load; nothing of other loads.
fn arrivals(cell: &CellResult) -> Option<Value> {
    let arrivals = cell.arrivals.as_ref()?;
    Some(json!({
        "scheduled": arrivals.scheduled,
        "dropped": arrivals.dropped,
        "delayed": arrivals.delayed,
        "censored": arrivals.censored,
        "most_in_flight": arrivals.most_in_flight,
        "offered_per_s": cell.offered().map(number),
        "achieved_per_s": cell.achieved().map(number),
        "pacer_ns": quantiles(&arrivals.pacer),
        "lateness_ns": quantiles(&cell.lateness),
    }))
}

fn status(status: &CellStatus) -> (&'static str, Option<&str>) {
    match status {
        CellStatus::Complete => ("complete", None),
        CellStatus::Partial(why) => ("partial", Some(why)),
        CellStatus::Failed(why) => ("failed", Some(why)),
        CellStatus::NotApplicable(why) => ("not-applicable", Some(why)),
        CellStatus::Refused(why) => ("refused", Some(why)),
        CellStatus::Pending => ("pending", None),
    }
}

fn metric(cell: &CellResult, id: MetricId) -> Option<Value> {
    let value = cell.metrics.get(&id)?;
    let (low, high) = value.interval.unzip();
    let rounds: Vec<(u32, Value)> =
        value.rounds.iter().map(|&(round, v)| (round, number(v))).collect();
    Some(
        json!({ "median": number(value.median), "low": low.map(number), "high": high.map(number), "rounds": rounds }),
    )
}

fn ratio(ratio: &Ratio) -> Value {
    let (low, high) = ratio.interval.unzip();
    json!({
        "estimate": number(ratio.estimate),
        "low": low.map(number),
        "high": high.map(number),
        "rounds": ratio.rounds,
        "verdict": ratio.verdict,
        "detectable_percent": ratio.detectable_percent.map(number),
    })
}

/// Intervals of the rounds' own quantiles, beside those of all rounds merged.
fn by_round(cell: &CellResult) -> Map<String, Value> {
    let interval = |(name, id): (&str, MetricId)| {
        let (low, high) = cell.metrics.get(&id)?.interval?;
        Some((name.to_owned(), json!([number(low), number(high)])))
    };
    [("p50", MetricId::LatencyP50), ("p99", MetricId::LatencyP99)]
        .into_iter()
        .filter_map(interval)
        .collect()
}

fn mean(mean: &MeanRatio) -> Value {
    json!({
        "executor": mean.executor,
        "label": mean.label,
        "kind": "geometric mean of ratios",
        "cells": mean.cells,
        "of": mean.of,
        "ratio": mean.ratio.as_ref().map(ratio),
    })
}

fn sweep(sweep: &Sweep) -> Value {
    json!({
        "param": sweep.param,
        "at": params(&sweep.at),
        "unit": sweep.unit,
        "values": sweep.values.iter().copied().map(number).collect::<Vec<_>>(),
        "pairs": sweep.pairs.iter().map(pair).collect::<Vec<_>>(),
        "laws": sweep.laws.iter().map(law).collect::<Vec<_>>(),
    })
}

fn pair(pair: &PairResult) -> Value {
    json!({
        "metric": key(pair.metric),
        "executors": pair.executors,
        "crossings": pair.crossings.iter().map(crossing).collect::<Vec<_>>(),
        "ahead": pair.ahead,
    })
}

fn crossing(crossing: &Crossing) -> Value {
    let (low, high) = crossing.interval.unzip();
    json!({
        "below": crossing.below,
        "above": crossing.above,
        "from": number(crossing.from),
        "to": number(crossing.to),
        "estimate": crossing.estimate.map(number),
        "low": low.map(number),
        "high": high.map(number),
        "rounds": crossing.rounds,
    })
}

fn law(law: &Law) -> Value {
    json!({
        "executor": law.executor,
        "label": law.label,
        "fit": law.fit.as_ref().map(fit),
        "hidden": law.hidden,
    })
}

fn fit(fit: &Fit) -> Value {
    let (low, high) = fit.peak_interval.unzip();
    json!({
        "lambda_per_s": number(fit.lambda),
        "sigma": number(fit.sigma),
        "kappa": number(fit.kappa),
        "r_squared": number(fit.r_squared),
        "residuals": fit.residuals.iter().map(|&(n, left)| [number(n), number(left)]).collect::<Vec<_>>(),
        "peak": fit.peak.map(number),
        "peak_low": low.map(number),
        "peak_high": high.map(number),
    })
}

/// Seven significant digits; whole numbers without a fraction.
fn number(value: f64) -> Value {
    let rounded = seven_digits(value);
    if rounded.fract() == 0.0 && rounded.abs() < 1e15 {
        json!(rounded as i64)
    } else {
        json!(rounded)
    }
}

fn step(step: &StepResult) -> Value {
    json!({
        "name": step.name,
        "top_level": step.top_level,
        "counts": step.counts,
        "latency_ns": quantiles(&step.latency),
    })
}

fn claim(result: &ClaimResult) -> Value {
    json!({
        "text": result.claim.text,
        "executor": result.executor,
        "metric": key(result.metric),
        "against": result.against,
        "factor": result.claim.factor,
        "tolerance": result.claim.tolerance,
        "direction": result.claim.direction,
        "params": params(&result.params),
        "measured": result.measured.as_ref().map(ratio),
        "verdict": result.verdict,
    })
}

fn slo(result: &SloResult) -> Value {
    json!({
        "assert": result.slo.assert,
        "line": result.slo.line,
        "cell": result.cell,
        "measured": result.measured.filter(|_| !result.is_bound),
        "at_least": result.measured.filter(|_| result.is_bound),
        "limit": result.slo.limit,
        "holds": result.holds,
        "unjudged": result.unjudged.map(|why| why.words(&result.slo)),
    })
}

fn params(params: &[Param]) -> Map<String, Value> {
    params.iter().map(|p| (p.name.clone(), p.value.clone().into())).collect()
}

fn quantiles(histo: &Histo) -> Map<String, Value> {
    histo.quantiles().into_iter().map(|q| (q.name, q.value.and_then(Bound::exact).into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn reads_back_with_a_version_and_every_cell() {
        let text = json(&fixture::header(), &fixture::analysis());
        let read: Value = serde_json::from_str(&text).expect("is JSON");
        assert_eq!(read["version"], 1);
        assert_eq!(read["scenarios"][0]["groups"].as_array().map(Vec::len), Some(7));
        let cell = &read["scenarios"][0]["groups"][6]["cells"][6];
        assert_eq!(cell["status"], "partial");
        let by_name = json!({ "constraint": 9, "lost": 4 });
        let errors =
            json!({ "tasks": 140_000, "failed_tasks": 12, "steps": [], "by_name": by_name });
        assert_eq!(cell["errors"], errors);
        assert_eq!(cell["ratio"]["low"], Value::Null);
        assert_eq!(cell["ratio"]["verdict"], "no-interval");
        assert!(cell["metrics"]["throughput_per_s"]["median"].is_number());
        assert_eq!(
            (&cell["validity"]["verdict"], &cell["validity"]["ranked"]),
            (&json!("VALID"), &json!(true))
        );
        assert_eq!(read["scenarios"][0]["groups"][6]["cells"][0]["validity"], Value::Null);
    }
}
