//! A section: who wins, by how much, and is it real.

use maud::{Markup, html};

use super::part::{FieldValue, Page, caption, figure, limit, ranked_ratio, table, verdict};
use crate::{
    analysis::{CellGroup, CellResult, ScenarioResult},
    report::{
        chart::{self, RatioRow, ident},
        format::{NOTHING, bound, digits, metric, ratio},
        sentence,
        validity::{HATCHED, is_unranked, unranked_words, validity_mark},
        view::{cpus, ratio_mark, status_mark, times_as},
    },
};

pub(super) fn render(page: &Page<'_>) -> Option<(String, Markup)> {
    let scenarios: Vec<_> =
        page.analysis.scenarios.iter().enumerate().filter(|(_, s)| !s.groups.is_empty()).collect();
    if scenarios.is_empty() {
        return None;
    }
    let named = page.analysis.scenarios.len() > 1 || page.analysis.scenarios[0].is_part();
    // Scenarios of one group stand side by side; a sweep has the whole width.
    let body = html! {
        div.grid {
            @for (index, scenario) in scenarios {
                div.whole[!named || scenario.groups.len() > 1] {
                    @if named { h3 { (scenario.title()) } }
                    (figures(index, scenario))
                }
            }
        }
    };
    let body = html! {
        p.note {
            "Dots are Hodges–Lehmann estimates of the ratio per round, lines exact 95 % intervals; the grey band is ±5 %: \
             a difference inside it rarely matters, even where it is shown. "
            "An interval that contains 1 means: no difference shown."
        }
        (body)
    };
    Some((sentence::winners(&page.analysis.scenarios), body))
}

fn figures(index: usize, scenario: &ScenarioResult) -> Markup {
    let figures = || {
        scenario
            .groups
            .iter()
            .enumerate()
            .map(|(g, group)| group_figure((index, g), scenario, group))
    };
    if scenario.groups.len() == 1 {
        return html! { @for figure in figures() { (figure) } };
    }
    html! { div.grid { @for figure in figures() { (figure) } } }
}

fn group_figure(place: (usize, usize), scenario: &ScenarioResult, group: &CellGroup) -> Markup {
    let times = times_as(scenario.primary);
    let finding = format!(
        "{}; {}; {}",
        sentence::lead(scenario, group),
        sentence::against_baseline(group),
        cpus(group)
    );
    let caption = caption(
        "race",
        place,
        group,
        &sentence::capital(&format!("{times} as {}", scenario.baseline)),
        finding,
    );
    let rows: Vec<RatioRow> = group.cells.iter().map(|cell| row(group, cell)).collect();
    let chart = chart::ratios(
        &caption,
        &rows,
        &reach(scenario),
        &format!("{times} as {}", scenario.baseline),
    );
    html! { div { (figure(&caption, &chart, &ratio_table(scenario, group))) (why_not_ranked(group)) } }
}

/// The extreme ratios of a scenario's ranked cells: its groups share one axis.
fn reach(scenario: &ScenarioResult) -> Vec<f64> {
    let cells = || scenario.groups.iter().flat_map(|g| &g.cells).filter(|cell| cell.is_ranked());
    let ratios = || cells().filter_map(|c| c.ratio.as_ref());
    let low = ratios().map(|r| r.interval.map_or(r.estimate, |i| i.0)).fold(1.0, f64::min);
    let high = ratios().map(|r| r.interval.map_or(r.estimate, |i| i.1)).fold(1.0, f64::max);
    vec![low, high]
}

/// The cells that are hatched, with evidence and limit.
fn why_not_ranked(group: &CellGroup) -> Markup {
    let cells: Vec<&CellResult> = group.cells.iter().filter(|cell| is_unranked(cell)).collect();
    html! {
        @if !cells.is_empty() {
            ul.unranked { @for cell in cells { li { (HATCHED) " " (cell.label) " " (unranked_words(cell)) } } }
        }
    }
}

fn row(group: &CellGroup, cell: &CellResult) -> RatioRow {
    let state = status_mark(&cell.status).0;
    let words = match ranked_ratio(group, cell) {
        _ if is_unranked(cell) => {
            format!("{HATCHED} {}, not ranked", validity_mark(cell.judgement.validity).words)
        }
        Some(r) => format!(
            "{} {} {}",
            ratio(r.estimate),
            ratio_mark(r.verdict).symbol,
            ratio_mark(r.verdict).words
        ),
        None if cell.ratio.is_some() => "? the baseline is not ranked".into(),
        None if cell.has_figures() => "? no ratio".into(),
        None => format!("{} {}", state.symbol, state.words),
    };
    let value = cell.ratio.as_ref().map(|r| (r.estimate, r.interval));
    RatioRow {
        ident: ident(&cell.executor),
        label: cell.label.clone(),
        value,
        words,
        hatched: is_unranked(cell),
    }
}

fn ratio_table(scenario: &ScenarioResult, group: &CellGroup) -> Markup {
    let primary = crate::report::format::label(scenario.primary);
    let rows: Vec<_> =
        group.cells.iter().map(|cell| (Some(cell), values(scenario, group, cell))).collect();
    table(
        &[
            "executor",
            primary,
            "ratio",
            "low",
            "high",
            "rounds",
            "shows from",
            "limited by",
            "verdict",
        ],
        &rows,
    )
}

fn values(scenario: &ScenarioResult, group: &CellGroup, cell: &CellResult) -> Vec<FieldValue> {
    let r = cell.ratio.as_ref();
    let value = cell.metrics.get(&scenario.primary).map(|v| v.median);
    vec![
        FieldValue::number(value, |v| metric(scenario.primary, v)),
        FieldValue::number(r.map(|r| r.estimate), digits),
        FieldValue::number(r.and_then(|r| r.interval).map(|i| i.0), bound),
        FieldValue::number(r.and_then(|r| r.interval).map(|i| i.1), bound),
        FieldValue::Number(
            r.map_or_else(|| NOTHING.into(), |r| r.rounds.to_string()),
            r.map(|r| r.rounds as f64),
        ),
        FieldValue::number(r.and_then(|r| r.detectable_percent), |v| format!("{} %", digits(v))),
        limit(cell),
        verdict(group, cell),
    ]
}
