//! Markdown tables for pull requests and READMEs.

use std::fmt::Write as _;

use crate::{
    analysis::{Analysis, CellResult, Group, MetricId, ScenarioResult},
    report::{
        format::{digits, label, plural},
        sentence,
        view::{self, metric_words, quantile_words, ratio_mark, ratio_words},
    },
    store::Header,
};

/// The run as Markdown.
pub fn markdown(header: &Header, analysis: &Analysis) -> String {
    let trials = &analysis.trials;
    let mut out = format!("# {}\n\n", escaped(&header.run));
    if header.quick {
        out.push_str("**quick: not comparable**\n\n");
    }
    let _ =
        writeln!(out, "{} of {} measured, {} failed.", trials.measured, plural(trials.planned, "trial"), trials.failed);
    for warning in &header.warnings {
        let _ = writeln!(out, "\n> ! {}", escaped(warning));
    }
    for scenario in &analysis.scenarios {
        out.push_str(&section(scenario));
    }
    out
}

fn section(scenario: &ScenarioResult) -> String {
    let mut out = format!("\n## {}\n\n{}\n", escaped(&scenario.name), escaped(&scenario.question));
    let _ = writeln!(
        out,
        "\n{}. Ratios are times as fast as {}, with 95 % intervals; {}.",
        escaped(&sentence::winners(std::slice::from_ref(scenario))),
        escaped(&scenario.baseline),
        view::scenario_cpus(scenario),
    );
    for group in &scenario.groups {
        let _ = write!(out, "\n### {}\n\n{}", escaped(&view::group_title(group)), table(group, scenario.primary));
    }
    out.push_str(&slos(scenario));
    out.push_str(&claims(scenario));
    out
}

fn table(group: &Group, primary: MetricId) -> String {
    let heads = ["executor", label(primary), "p50", "p99", "CPU per 1000", "peak memory", "ratio", "verdict"];
    let mut out = line(&heads.map(String::from));
    out.push_str("|:--|--:|--:|--:|--:|--:|--:|:--|\n");
    for cell in &group.cells {
        out.push_str(&line(&row(cell, primary)));
    }
    out
}

fn row(cell: &CellResult, primary: MetricId) -> [String; 8] {
    let mark = view::status_mark(&cell.status).0;
    if !cell.has_figures() {
        let reason = format!("{} {}", mark.symbol, view::status_words(cell));
        let blank = String::new;
        return [escaped(&cell.label), blank(), blank(), blank(), blank(), blank(), blank(), escaped(&reason)];
    }
    let verdict = cell.ratio.as_ref().map(|r| ratio_mark(r.verdict)).map(|m| format!("{} {}", m.symbol, m.words));
    let partial = if mark.words == "complete" { String::new() } else { format!("; {}", view::status_words(cell)) };
    [
        escaped(&cell.label),
        metric_words(cell, primary),
        quantile_words(cell, 0.5),
        quantile_words(cell, 0.99),
        metric_words(cell, MetricId::CpuPerThousand),
        metric_words(cell, MetricId::PeakMemory),
        cell.ratio.as_ref().map(ratio_words).unwrap_or_default(),
        escaped(&format!("{}{partial}", verdict.unwrap_or_default())),
    ]
}

fn slos(scenario: &ScenarioResult) -> String {
    let mut out = String::new();
    for summary in view::slos(scenario) {
        let mark = view::slo_mark(summary.holds());
        let (passed, measured) = (summary.passed(), plural(summary.measured(), "cell"));
        let _ = writeln!(
            out,
            "\n- SLO {} {}: {} ({passed} of {measured})",
            escaped(mark.symbol),
            mark.words,
            escaped(&summary.slo.assert)
        );
    }
    out
}

fn claims(scenario: &ScenarioResult) -> String {
    if scenario.claims.is_empty() {
        return String::new();
    }
    let heads = ["claim", "executor", "against", "claimed", "measured", "verdict"];
    let mut out = format!("\n{}|:--|:--|:--|--:|--:|:--|\n", line(&heads.map(String::from)));
    for result in &scenario.claims {
        let mark = view::claim_mark(result.verdict);
        out.push_str(&line(&[
            escaped(&result.claim.text),
            escaped(&result.executor),
            escaped(&result.claim.against),
            digits(result.claim.factor),
            result.measured.as_ref().map_or_else(|| "–".into(), ratio_words),
            format!("{} {}", escaped(mark.symbol), mark.words),
        ]));
    }
    out
}

fn line(fields: &[String]) -> String {
    format!("| {} |\n", fields.join(" | "))
}

/// Text that stays text in Markdown and in the HTML it becomes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '~' | '#' | '!' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
