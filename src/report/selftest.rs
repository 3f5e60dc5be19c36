//! What a self-test has found, for a terminal and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    view::ratio_words,
    width::{columns, printable},
};
use crate::{
    analysis::{MetricNoise, Ratio, Selftest, SelftestCell, SelftestVerdict, significant},
    store::Header,
};

/// The version of the JSON output.
const VERSION: u32 = 1;

/// The self-test as tables for a terminal.
pub fn selftest(header: &Header, found: &Selftest) -> String {
    let mut out = String::from("Noise of each metric, where the work is the same\n\n");
    let noise = found.metrics.iter().map(noise_row);
    out.push_str(&table(["metric", "false alarms", "noise", "detectable"], noise));
    let metric = "makespan of a batch, throughput of a closed load";
    let _ = writeln!(out, "\nThe same work, and a tenth more of it ({metric}; times as good)\n");
    out.push_str(&table(
        ["cell", "same work", "+10 %", "detectable, found"],
        found.cells.iter().map(cell_row),
    ));
    let _ = write!(
        out,
        "\nA false alarm is a 95 % interval that leaves 1 out: about one in twenty is chance. Noise is the standard\n\
         deviation of a round's ratio. Detectable is the least effect that {} show.\n\n",
        super::plural(header.rounds as usize, "round")
    );
    if header.quick {
        out.push_str("quick: short trials; the figures are not comparable\n");
    }
    for reason in &found.reasons {
        let _ = writeln!(out, "{reason}");
    }
    let _ = writeln!(out, "{}", words(found.verdict));
    out
}

fn words(verdict: SelftestVerdict) -> &'static str {
    match verdict {
        SelftestVerdict::Pass => {
            "+ PASS: on this machine the harness finds what is there, and nothing else"
        }
        SelftestVerdict::Fail => {
            "x FAIL: do not believe comparisons that were made on this machine now"
        }
        SelftestVerdict::Inconclusive => "~ inconclusive: this says nothing about the harness",
    }
}

fn noise_row(noise: &MetricNoise) -> [String; 4] {
    let alarms = format!("{} of {}", noise.false_alarms, noise.compared);
    [
        noise.metric.info().label.into(),
        alarms,
        percent(noise.noise_percent),
        percent(noise.detectable_percent),
    ]
}

fn cell_row(cell: &SelftestCell) -> [String; 4] {
    let ratio = |ratio: &Option<Ratio>| ratio.as_ref().map_or_else(|| "–".into(), ratio_words);
    let stated = cell.injected.as_ref().and_then(|ratio| ratio.detectable_percent);
    let found = match (cell.found(), cell.must_be_found()) {
        (Some(true), _) => "found",
        (Some(false), true) => "OVERLOOKED",
        (Some(false), false) => "not found, not promised",
        (None, _) => "no interval",
    };
    let name = format!("{} {}", printable(&cell.scenario), cell.executor);
    [name, ratio(&cell.same), ratio(&cell.injected), format!("{}, {found}", percent(stated))]
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{} %", significant(value)))
}

/// Left-aligned columns.
fn table(head: [&str; 4], rows: impl Iterator<Item = [String; 4]>) -> String {
    let rows: Vec<[String; 4]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let width = |at: usize| rows.iter().map(|row| columns(&row[at])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..4).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(text, width)| format!("{text}{}", " ".repeat(width - columns(text))));
        let line = cells.collect::<Vec<_>>().join("  ");
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

/// The self-test for programs.
pub fn selftest_json(header: &Header, found: &Selftest) -> String {
    let noise = |noise: &MetricNoise| {
        json!({
            "metric": noise.metric.name(),
            "compared": noise.compared,
            "false_alarms": noise.false_alarms,
            "noise_percent": noise.noise_percent,
            "detectable_percent": noise.detectable_percent,
        })
    };
    let cell = |cell: &SelftestCell| {
        json!({
            "scenario": cell.scenario,
            "executor": cell.executor,
            "metric": cell.metric.name(),
            "same": cell.same.as_ref().map(ratio),
            "injected": cell.injected.as_ref().map(ratio),
            "false_alarm": cell.false_alarm(),
            "must_be_found": cell.must_be_found(),
            "found": cell.found(),
        })
    };
    let value = json!({
        "version": VERSION,
        "run": header.run,
        "quick": header.quick,
        "rounds": header.rounds,
        "verdict": found.verdict,
        "reasons": found.reasons,
        "metrics": found.metrics.iter().map(noise).collect::<Vec<_>>(),
        "cells": found.cells.iter().map(cell).collect::<Vec<_>>(),
    });
    format!("{value:#}\n")
}

fn ratio(ratio: &Ratio) -> Value {
    let (low, high) = ratio.interval.unzip();
    json!({
        "estimate": ratio.estimate,
        "low": low,
        "high": high,
        "rounds": ratio.rounds,
        "detectable_percent": ratio.detectable_percent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::{MetricId, RatioVerdict, SelftestVerdict},
        report::{fixture, schema::misfits},
    };

    #[test]
    fn what_programs_are_told_fits_the_schema() {
        let ratio = |interval| Ratio {
            estimate: 0.9,
            interval,
            rounds: 7,
            verdict: RatioVerdict::Slower,
            detectable_percent: Some(2.5),
        };
        let cell = |same, injected| SelftestCell {
            scenario: "sleeping".into(),
            executor: "tokio".into(),
            metric: MetricId::Throughput,
            same,
            injected,
        };
        let noise = MetricNoise {
            metric: MetricId::MemoryPerSlot,
            compared: 3,
            false_alarms: 0,
            noise_percent: None,
            detectable_percent: Some(4.0),
        };
        let found = Selftest {
            cells: vec![cell(None, None), cell(Some(ratio(None)), Some(ratio(Some((0.8, 0.95)))))],
            metrics: vec![noise],
            verdict: SelftestVerdict::Inconclusive,
            reasons: vec!["too few rounds".into()],
        };
        let text = selftest_json(&fixture::header(), &found);
        assert_eq!(misfits("selftest", &text), Vec::<String>::new());
    }
}
