//! The terminal's tables: one per scenario and group, aligned by display width, readable without colour.

use std::fmt::Write as _;

use crate::{
    analysis::{Analysis, CellResult, ClaimResult, Group, MetricId, Ratio, ScenarioResult},
    report::{
        format::{digits, label, plural},
        sentence,
        view::{self, Mark, SloSummary, Tone, group_title, metric_words, quantile_words, ratio_mark, stored},
        width::{columns, printable},
    },
    store::Header,
};

/// Tables are kept within this width where the labels allow it.
const WIDTH: usize = 100;

/// Tables for a terminal, with colours if asked for.
pub fn text(header: &Header, analysis: &Analysis, color: bool) -> String {
    let mut out = heading(header, analysis);
    for scenario in &analysis.scenarios {
        out.push('\n');
        out.push_str(&scenario_text(header, scenario, color));
    }
    out
}

/// Tables without colours.
pub fn plain(header: &Header, analysis: &Analysis) -> String {
    text(header, analysis, false)
}

fn heading(header: &Header, analysis: &Analysis) -> String {
    let trials = &analysis.trials;
    let mut out = format!("{}: {} of {}", printable(&header.run), trials.measured, plural(trials.planned, "trial"));
    let _ = writeln!(out, " measured, {} failed", trials.failed);
    if header.quick {
        out.push_str("! quick: not comparable\n");
    }
    for warning in &header.warnings {
        let _ = writeln!(out, "! {}", printable(warning));
    }
    out
}

fn scenario_text(header: &Header, scenario: &ScenarioResult, color: bool) -> String {
    let mut out = wrapped(&format!("{}  {}", printable(&scenario.name), printable(&scenario.question)), 2);
    let rounds = header.cells.iter().filter(|c| c.scenario == scenario.name).map(|c| c.rounds).max().unwrap_or(0);
    let _ = writeln!(
        out,
        "  {}; ratios are times as fast as {}, with 95% intervals over {}",
        view::scenario_cpus(scenario),
        printable(&scenario.baseline),
        plural(rounds as usize, "round"),
    );
    for group in &scenario.groups {
        let _ = write!(out, "\n{}\n{}", printable(&group_title(group)), table(group, scenario.primary, color));
    }
    let path = stored(header, scenario).map(|s| s.path.as_str());
    for summary in view::slos(scenario) {
        out.push_str(&slo_text(&summary, path, color));
    }
    if !scenario.claims.is_empty() {
        out.push_str(&claims_text(scenario, color));
    }
    let _ =
        write!(out, "\n{}", wrapped(&format!("{}.", printable(&sentence::winners(std::slice::from_ref(scenario)))), 2));
    out
}

/// The rows of a group: figures in columns, cells without figures as a reason, notes below.
fn table(group: &Group, primary: MetricId, color: bool) -> String {
    let head = ["executor", label(primary), "p50", "p99", "CPU/1k", "peak mem", "ratio", ""].map(String::from);
    let mut rows = vec![head.to_vec()];
    rows.extend(group.cells.iter().map(|cell| row(cell, primary)));
    let widths: Vec<usize> = (0..head.len())
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|text| columns(text)).max().unwrap_or(0))
        .collect();
    // Two blanks between columns, or one where the table would be too wide.
    let gap = if widths.iter().sum::<usize>() + 2 * (head.len() - 1) > WIDTH { 1 } else { 2 };
    let mut out = aligned(&rows[0], &widths, gap, None, false);
    for (cell, row) in group.cells.iter().zip(&rows[1..]) {
        if cell.has_figures() {
            let mark = cell.ratio.as_ref().map(|r| ratio_mark(r.verdict));
            out.push_str(&aligned(row, &widths, gap, mark, color));
        } else {
            out.push_str(&absent(cell, widths[0], gap, color));
        }
    }
    for cell in group.cells.iter().filter(|c| c.has_figures()) {
        out.push_str(&note(cell, color));
    }
    out
}

fn row(cell: &CellResult, primary: MetricId) -> Vec<String> {
    let label = printable(&cell.label);
    if !cell.has_figures() {
        return vec![label];
    }
    let (ratio, verdict) =
        cell.ratio.as_ref().map_or_else(Default::default, |r| (compact(r), words(ratio_mark(r.verdict))));
    vec![
        label,
        metric_words(cell, primary),
        quantile_words(cell, 0.5),
        quantile_words(cell, 0.99),
        metric_words(cell, MetricId::CpuPerThousand),
        metric_words(cell, MetricId::PeakMemory),
        ratio,
        verdict,
    ]
}

fn compact(ratio: &Ratio) -> String {
    match ratio.interval {
        Some((low, high)) => format!("{} [{},{}]", digits(ratio.estimate), digits(low), digits(high)),
        None => digits(ratio.estimate),
    }
}

fn words(mark: Mark) -> String {
    format!("{} {}", mark.symbol, mark.words)
}

/// One line: names, ratio and verdict to the left, numbers to the right.
fn aligned(row: &[String], widths: &[usize], gap: usize, mark: Option<Mark>, color: bool) -> String {
    let mut line = String::new();
    for (index, (text, &width)) in row.iter().zip(widths).enumerate() {
        let blank = " ".repeat(width.saturating_sub(columns(text)));
        let last = index + 1 == row.len();
        let text = if last { painted(text, mark.map_or(Tone::Plain, |m| m.tone), color) } else { text.clone() };
        let left = index == 0 || index + 2 >= row.len();
        let _ = if left { write!(line, "{text}{blank}") } else { write!(line, "{blank}{text}") };
        if !last {
            line.push_str(&" ".repeat(gap));
        }
    }
    format!("{}\n", line.trim_end())
}

/// A cell without figures: its name and why.
fn absent(cell: &CellResult, width: usize, gap: usize, color: bool) -> String {
    let label = printable(&cell.label);
    let (mark, _) = view::status_mark(&cell.status);
    let reason = format!("{} {}", mark.symbol, printable(&view::status_words(cell)));
    let blank = " ".repeat(width - columns(&label) + gap);
    let lines = wrapped(&format!("{label}{blank}{reason}"), width + gap + 2);
    painted_once(&lines, mark.words, mark.tone, color)
}

/// What is to be said of a cell that has figures.
fn note(cell: &CellResult, color: bool) -> String {
    let (mark, _) = view::status_mark(&cell.status);
    if mark.words == "complete" {
        return String::new();
    }
    let text = format!("{} {}: {}", mark.symbol, printable(&cell.label), printable(&view::status_words(cell)));
    painted_once(&wrapped(&text, 4), mark.words, mark.tone, color)
}

fn slo_text(summary: &SloSummary<'_>, path: Option<&str>, color: bool) -> String {
    let mark = view::slo_mark(summary.holds());
    let place = path.map(|p| format!("  {}:{}", printable(p), summary.slo.line)).unwrap_or_default();
    let mut out = format!(
        "\nSLO {} {}  {} of {}{place}\n",
        painted(&words(mark), mark.tone, color),
        printable(&summary.slo.assert),
        summary.passed(),
        plural(summary.measured(), "cell"),
    );
    for result in summary.results.iter().filter(|r| r.holds == Some(false)) {
        let measured = result.measured.map(|v| view::slo_value(&result.slo, v)).unwrap_or_default();
        let _ = writeln!(out, "    x {}: {measured}", printable(&result.cell));
    }
    out
}

fn claims_text(scenario: &ScenarioResult, color: bool) -> String {
    let mut out = String::from("\nclaims\n");
    for result in &scenario.claims {
        out.push_str(&claim_text(result, color));
    }
    out
}

fn claim_text(result: &ClaimResult, color: bool) -> String {
    let mark = view::claim_mark(result.verdict);
    let measured =
        result.measured.as_ref().map_or_else(|| "not measured".into(), |r| format!("measured {}", compact(r)));
    let text = format!(
        "  {} {} against {}: claimed {}, {measured}",
        words(mark),
        printable(&result.executor),
        printable(&result.claim.against),
        digits(result.claim.factor),
    );
    let source = wrapped(&format!("      \"{}\"", printable(&result.claim.text)), 7);
    painted_once(&wrapped(&text, 4), mark.words, mark.tone, color) + &source
}

fn painted(text: &str, tone: Tone, color: bool) -> String {
    let code = match tone {
        Tone::Good => "32",
        Tone::Bad => "31",
        Tone::Warn => "33",
        Tone::Plain => "",
    };
    if color && !code.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.into() }
}

/// Colours the first occurrence of some words in text whose layout is done.
fn painted_once(text: &str, words: &str, tone: Tone, color: bool) -> String {
    text.replacen(words, &painted(words, tone, color), 1)
}

/// Breaks a line at blanks to fit the width; later lines are indented.
fn wrapped(text: &str, indent: usize) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split_inclusive(' ') {
        let filled = columns(&line) + columns(word.trim_end()) > WIDTH;
        if filled && !line.trim().is_empty() {
            let _ = writeln!(out, "{}", line.trim_end());
            line = " ".repeat(indent);
        }
        line.push_str(word);
    }
    format!("{out}{}\n", line.trim_end())
}
