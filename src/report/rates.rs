//! What a search for the highest rate has found: a table for a terminal, Markdown, and JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{
    format::{NOTHING, digits, seven_digits},
    view,
    width::{columns, printable},
};
use crate::{
    analysis::{Decision, RateResult, RateSearch, RateState, SearchAnswer, TriedRate, slo_value},
    scenario::{Param, Slo},
    store::{Header, Lane, StoredScenario},
};

/// The version of the JSON output.
const VERSION: u32 = 1;

/// The cells of a search that are compared with each other: same scenario, same parameters, same
/// lane.
pub(super) struct SearchGroup<'a> {
    scenario: Option<&'a StoredScenario>,
    params: &'a [Param],
    lane: Option<Lane>,
    pub limits: &'a [Slo],
    pub cells: Vec<&'a RateResult>,
}

pub(super) fn groups<'a>(header: &'a Header, found: &'a RateSearch) -> Vec<SearchGroup<'a>> {
    let mut groups: Vec<SearchGroup<'_>> = Vec::new();
    let mut last = None;
    for cell in &found.cells {
        let key = (&cell.scenario, &cell.params, cell.lane);
        if last != Some(key) {
            let scenario = header.scenarios.iter().find(|stored| stored.name == cell.scenario);
            let RateResult { params, lane, limits, .. } = cell;
            groups.push(SearchGroup { scenario, params, lane: *lane, limits, cells: Vec::new() });
            last = Some(key);
        }
        if let Some(group) = groups.last_mut() {
            group.cells.push(cell);
        }
    }
    groups
}

impl SearchGroup<'_> {
    /// The cell that the others are compared with.
    fn baseline(&self) -> Option<&RateResult> {
        let name = &self.scenario?.baseline;
        self.cells.iter().copied().find(|cell| cell.executor == *name)
    }

    pub fn title(&self) -> String {
        let name = self.scenario.map(|stored| stored.name.as_str()).unwrap_or_default();
        let lane = self.lane.map(|lane| format!(" ({})", lane.words())).unwrap_or_default();
        format!("{} {}", name, view::params(self.params)).trim_end().to_owned() + &lane
    }

    /// `request.latency.p99 < 25ms; nothing dropped, VALID; two more trials pass than fail; to 5%`.
    pub fn terms(&self, precision: f64) -> String {
        let limits = self.limits.iter().map(|limit| limit.assert.as_str());
        let always = "nothing dropped, VALID; two more trials pass than fail";
        let all: Vec<&str> = limits.chain([always]).collect();
        format!(
            "{}; to {}%",
            all.join("; "),
            digits(100.0 * precision).trim_end_matches('0').trim_end_matches('.')
        )
    }

    /// Heads of the table's columns.
    pub fn heads(&self) -> Vec<String> {
        let mut heads = vec!["executor".to_owned(), "highest rate".into(), "fails at".into()];
        heads.extend(self.baseline().map(|baseline| format!("times {}", baseline.label)));
        heads.extend(self.limits.iter().map(measured_words));
        heads.push("trials".into());
        heads
    }

    /// A row of the table.
    pub fn row(&self, cell: &RateResult) -> Vec<String> {
        let (passes, fails) = cell.bounds();
        let mut row =
            vec![cell.label.clone(), rate_words(cell, passes), fails.map_or_else(nothing, rate)];
        if let Some(baseline) = self.baseline() {
            let is_itself = baseline.cell == cell.cell;
            row.push(if is_itself { "1".into() } else { times(cell.times(baseline)) });
        }
        let at = passes.or(fails).and_then(|rate| cell.at(rate));
        row.extend(
            (0..self.limits.len())
                .map(|limit| at.map_or_else(nothing, |tried| value(cell, tried, limit))),
        );
        row.push(cell.rates.iter().map(|tried| tried.votes.all()).sum::<u32>().to_string());
        row
    }
}

/// What a limit measures, such as `request.latency.p99`.
pub(super) fn measured_words(limit: &Slo) -> String {
    limit.assert.split(['<', '>', '=']).next().unwrap_or_default().trim().to_owned()
}

fn nothing() -> String {
    NOTHING.to_owned()
}

pub(super) fn rate(rate: f64) -> String {
    format!("{}/s", digits(rate))
}

pub(super) fn rate_words(cell: &RateResult, passes: Option<f64>) -> String {
    match (&cell.state, passes) {
        (RateState::Answered(SearchAnswer::AtLeast { .. }), Some(passes)) => {
            format!("at least {}", rate(passes))
        }
        (
            RateState::Answered(SearchAnswer::Inconclusive { .. }) | RateState::Trial(_),
            Some(passes),
        ) => {
            format!("? {}", rate(passes))
        }
        (_, passes) => passes.map_or_else(nothing, rate),
    }
}

fn times(bounds: (Option<f64>, Option<f64>)) -> String {
    match bounds {
        (Some(low), Some(high)) => format!("{} to {}", digits(low), digits(high)),
        (Some(low), None) => format!("at least {}", digits(low)),
        (None, Some(high)) => format!("at most {}", digits(high)),
        (None, None) => nothing(),
    }
}

pub(super) fn value(cell: &RateResult, tried: &TriedRate, limit: usize) -> String {
    let measured = tried.values.get(limit).copied().flatten();
    measured.map_or_else(nothing, |value| slo_value(&cell.limits[limit], value))
}

/// What helps where trials of one rate contradict each other.
const MORE: &str = "try a longer --duration or more --trials";

/// What is to be said of a cell, if anything: why it fails where it does, or why there is no
/// answer.
pub(super) fn note(cell: &RateResult) -> String {
    let because = cell.why().map_or_else(String::new, |why| format!(": {why}"));
    let (passes, fails) = cell.bounds();
    match &cell.state {
        RateState::Answered(SearchAnswer::Found { fails, .. }) => {
            format!("at {}{because}", rate(*fails))
        }
        RateState::Answered(SearchAnswer::AtLeast { .. }) => {
            "no higher rate was allowed (--most)".into()
        }
        RateState::Answered(SearchAnswer::Nothing { fails }) => {
            format!("x NOTHING PASSES: not even {}{because}", rate(*fails))
        }
        RateState::Answered(SearchAnswer::Inconclusive { .. }) => {
            let is_open = |tried: &&TriedRate| {
                tried.decision == Some(Decision::Undecided) || tried.disturbed > 0
            };
            let open = cell.rates.iter().rev().find(is_open);
            let (why, remedy) = open.map_or((None, MORE), |tried| match tried.doubt() {
                Some((why, remedy)) => (Some(why), remedy),
                None => (tried.miss(), MORE),
            });
            let why = why.map_or_else(String::new, |why| format!(" ({why})"));
            let remedy = if remedy.is_empty() { String::new() } else { format!("; {remedy}") };
            let place = match (passes, fails) {
                (Some(passes), Some(fails)) => {
                    format!("between {} and {}", rate(passes), rate(fails))
                }
                (Some(passes), None) => format!("above {}", rate(passes)),
                (None, Some(fails)) => format!("below {}", rate(fails)),
                (None, None) => "at any rate".into(),
            };
            format!("? INCONCLUSIVE: trials do not decide {place}{why}{remedy}")
        }
        RateState::Trial(_) => "? not finished".into(),
        RateState::Failed(why) => format!("x {why}"),
        RateState::Refused(why) => format!("x refused: {why}"),
    }
}

/// The search as tables for a terminal with so many columns.
pub fn rates(header: &Header, found: &RateSearch, width: usize) -> String {
    let mut out = String::new();
    for group in groups(header, found) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{}\n  {}",
            printable(&group.title()),
            printable(&group.terms(found.precision))
        );
        if header.quick {
            out.push_str("  ! quick: not comparable\n");
        }
        let rows: Vec<Vec<String>> = std::iter::once(group.heads())
            .chain(group.cells.iter().map(|cell| group.row(cell)))
            .collect();
        let _ = write!(out, "\n{}\n", table(&rows));
        for cell in &group.cells {
            out.push_str(&wrapped(
                &format!("{}: {}", printable(&cell.label), printable(&note(cell))),
                "   ",
                width,
            ));
        }
        out.push('\n');
    }
    out.push_str(&wrapped(
        "The highest rate is the highest that passed; the true one lies between it and the least that failed. Limits are \
         shown as measured at the highest rate: the median of its trials.",
        "",
        width,
    ));
    out
}

/// Names to the left, all others to the right.
fn table(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| {
        rows.iter().filter_map(|row| row.get(at)).map(|text| columns(text)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (text, width))| {
            let blank = " ".repeat(width - columns(text));
            if at == 0 {
                format!("{}{blank}", printable(text))
            } else {
                format!("{blank}{}", printable(text))
            }
        });
        let _ = writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    out
}

/// Breaks a line at blanks; later ones are indented.
fn wrapped(text: &str, indent: &str, width: usize) -> String {
    let (mut out, mut line) = (String::new(), String::new());
    for word in text.split(' ') {
        if !line.trim().is_empty() && columns(&line) + 1 + columns(word) > width {
            let _ = writeln!(out, "{}", line.trim_end());
            line = indent.into();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    format!("{out}{}\n", line.trim_end())
}

/// The search as Markdown.
pub fn rates_markdown(header: &Header, found: &RateSearch) -> String {
    let mut out = format!("# {}\n", super::markdown::escaped(&header.run));
    if header.quick {
        out.push_str("\n**quick: not comparable**\n");
    }
    let line = |row: &[String]| {
        let cells: Vec<String> = row.iter().map(|text| super::markdown::escaped(text)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    for group in groups(header, found) {
        let (title, terms) = (group.title(), group.terms(found.precision));
        let heads = group.heads();
        let _ = write!(
            out,
            "\n## {}\n\n{}\n\n",
            super::markdown::escaped(&title),
            super::markdown::escaped(&terms)
        );
        let _ = writeln!(out, "{}|:--|{}", line(&heads), "--:|".repeat(heads.len() - 1));
        group.cells.iter().for_each(|cell| out.push_str(&line(&group.row(cell))));
        out.push('\n');
        for cell in &group.cells {
            let _ = writeln!(
                out,
                "- {}",
                super::markdown::escaped(&format!("{}: {}", cell.label, note(cell)))
            );
        }
    }
    out
}

/// The search for programs.
pub fn rates_json(header: &Header, found: &RateSearch) -> String {
    let value = json!({
        "version": VERSION,
        "run": header.run,
        "quick": header.quick,
        "precision": found.precision,
        "cells": found.cells.iter().map(cell_json).collect::<Vec<_>>(),
    });
    format!("{value:#}\n")
}

fn cell_json(cell: &RateResult) -> Value {
    let (answer, reason) = match &cell.state {
        RateState::Answered(SearchAnswer::Found { .. }) => ("found", cell.why()),
        RateState::Answered(SearchAnswer::AtLeast { .. }) => ("at-least", None),
        RateState::Answered(SearchAnswer::Nothing { .. }) => ("nothing", cell.why()),
        RateState::Answered(SearchAnswer::Inconclusive { .. }) => ("inconclusive", cell.why()),
        RateState::Trial(_) => ("unfinished", None),
        RateState::Failed(why) => ("failed", Some(why.as_str())),
        RateState::Refused(why) => ("refused", Some(why.as_str())),
    };
    let (passes, fails) = cell.bounds();
    let params: serde_json::Map<String, Value> =
        cell.params.iter().map(|param| (param.name.clone(), param.value.clone().into())).collect();
    json!({
        "cell": cell.cell,
        "scenario": cell.scenario,
        "executor": cell.executor,
        "label": cell.label,
        "params": params,
        "lane": cell.lane.unwrap_or_default(),
        "limits": cell.limits.iter().map(|limit| &limit.assert).collect::<Vec<_>>(),
        "answer": answer,
        "passes_per_s": passes,
        "fails_per_s": fails,
        "reason": reason,
        "rates": cell.rates.iter().map(tried_json).collect::<Vec<_>>(),
    })
}

fn tried_json(tried: &TriedRate) -> Value {
    let decision = tried.decision.map(|decision| match decision {
        Decision::Passes => "passes",
        Decision::Fails => "fails",
        Decision::Undecided => "undecided",
    });
    json!({
        "rate_per_s": tried.rate,
        "decision": decision,
        "meets": tried.votes.meets,
        "misses": tried.votes.misses,
        "open": tried.votes.open,
        "failed": tried.failed,
        "reasons": tried.reasons,
        "values": tried.values.iter().map(|value| value.map(seven_digits)).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::{Validity, Votes},
        report::fixture,
    };

    #[test]
    fn executors_stand_side_by_side_and_every_state_has_its_words() {
        insta::assert_snapshot!(rates(&fixture::header(), &fixture::searched(), 100), @r#"
        http-fanout
          page.latency.p99 < 25ms; nothing dropped, VALID; two more trials pass than fail; to 5%

        executor         highest rate  fails at  times thread-pool  page.latency.p99  trials
        thread-pool           1.00k/s   1.04k/s                  1            21.0ms       4
        tokio        at least 4.00k/s         –      at least 3.85            3.00ms       2
        smol                ? 2.00k/s   4.00k/s       1.92 to 4.00            9.00ms       8
        threads                     –         –                  –                 –       0
        sequential                  –    1.00/s    at most 0.00100            31.0ms       2

        thread-pool: at 1.04k/s: `page.latency.p99 < 25ms` does not hold: 31.0ms
        tokio: no higher rate was allowed (--most)
        smol: ? INCONCLUSIVE: trials do not decide between 2.00k/s and 4.00k/s (`page.latency.p99 < 25ms`
            does not hold: 31.0ms); try a longer --duration or more --trials
        threads: x refused: too many threads
        sequential: x NOTHING PASSES: not even 1.00/s: `page.latency.p99 < 25ms` does not hold: 31.0ms

        The highest rate is the highest that passed; the true one lies between it and the least that failed.
        Limits are shown as measured at the highest rate: the median of its trials.
        "#);
    }

    #[test]
    fn what_keeps_trials_from_deciding_has_its_own_remedy() {
        let mut smol = fixture::searched().cells.remove(2);
        let miss = smol.rates[1].reasons[0].clone();
        let said = |smol: &mut RateResult, open: u32, why: &str, remedy: &'static str| {
            smol.rates[1].votes = Votes { meets: 1, misses: 1, open };
            // The one that says nothing came first.
            smol.rates[1].reasons = vec![why.into(), miss.clone()];
            smol.rates[1].doubts = vec![(why.into(), remedy)];
            note(smol)
        };
        let between = "? INCONCLUSIVE: trials do not decide between 2.00k/s and 4.00k/s";
        let (late, idle) = ("INVALID: the pacer was late", Validity::Invalid.remedy());
        assert_eq!(said(&mut smol, 3, late, idle), format!("{between} ({late}); {idle}"));
        let (busy, quiet) = ("DISTURBED: others used 30 %", Validity::Disturbed.remedy());
        assert_eq!(said(&mut smol, 2, busy, quiet), format!("{between} ({busy}); {quiet}"));
        let few = "too few samples: raise --duration";
        assert_eq!(said(&mut smol, 2, few, ""), format!("{between} ({few})"));
        assert_eq!(said(&mut smol, 1, busy, quiet), format!("{between} ({miss}); {MORE}"));
    }

    #[test]
    fn programs_are_told_every_rate() {
        let text = rates_json(&fixture::header(), &fixture::searched());
        assert_eq!(crate::report::schema::misfits("rates", &text), Vec::<String>::new());
        let value: Value = serde_json::from_str(&text).unwrap();
        let answers: Vec<&str> = value["cells"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|c| c["answer"].as_str())
            .collect();
        assert_eq!(answers, ["found", "at-least", "inconclusive", "refused", "nothing"]);
        let smol = &value["cells"][2];
        assert_eq!(
            (smol["passes_per_s"].as_f64(), smol["fails_per_s"].as_f64()),
            (Some(2_000.0), Some(4_000.0))
        );
        assert_eq!(smol["rates"][1]["decision"], "undecided");
        let markdown = rates_markdown(&fixture::header(), &fixture::searched());
        assert!(
            markdown.contains("| tokio | at least 4.00k/s |") && !markdown.contains("<25ms"),
            "{markdown}"
        );
    }

    #[test]
    fn lanes_are_tables_of_their_own() {
        let mut found = fixture::searched();
        let idiomatic = RateResult { lane: Some(Lane::Idiomatic), ..found.cells[0].clone() };
        found.cells.iter_mut().for_each(|cell| cell.lane = Some(Lane::SameCode));
        found.cells.push(idiomatic);
        let header = fixture::header();
        let titles: Vec<String> = groups(&header, &found).iter().map(SearchGroup::title).collect();
        assert_eq!(titles, ["http-fanout (same-code lane)", "http-fanout (idiomatic lane)"]);
        assert!(rates_json(&header, &found).contains("\"lane\": \"idiomatic\""));
    }
}
