//! A section: noise and drift, a dot per round, and what happened within the rounds.

use maud::{Markup, html};

use super::{
    heat,
    part::{FieldValue, Page, caption, figure, not_ranked, table},
};
use crate::{
    analysis::{CellGroup, CellResult, ScenarioResult},
    report::{
        chart::{self, RoundRow, ident},
        format::{digits, label, metric},
        sentence,
        validity::is_unranked,
    },
};

pub(super) fn render(page: &Page<'_>) -> Option<(String, Markup)> {
    let body = page.per_scenario(|index, scenario| {
        let parts = [rounds(index, scenario), heat::over_time(index, scenario)];
        parts
            .iter()
            .any(Option::is_some)
            .then(|| html! { @for part in parts.iter().flatten() { (part) } })
    })?;
    Some((sentence::stability(&page.analysis.scenarios), body))
}

fn rounds(index: usize, scenario: &ScenarioResult) -> Option<Markup> {
    let groups = scenario.groups.iter().enumerate();
    let figures: Vec<Markup> =
        groups.filter_map(|(g, group)| group_figure((index, g), scenario, group)).collect();
    let note = html! { p.note { "Each dot is one trial in a process of its own; within a row the first round is the highest, so that a drift leans." } };
    (!figures.is_empty()).then(|| html! { (note) div.grid { @for f in &figures { (f) } } })
}

fn group_figure(
    place: (usize, usize),
    scenario: &ScenarioResult,
    group: &CellGroup,
) -> Option<Markup> {
    let rows: Vec<RoundRow> = group.cells.iter().filter_map(|cell| row(scenario, cell)).collect();
    let furthest = rows
        .iter()
        .flat_map(|r| r.rounds.iter().map(move |(round, percent)| (percent.abs(), r, round)))
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    let finding = format!(
        "Furthest from its median: {} in round {}, by {} %",
        furthest.1.label,
        furthest.2,
        digits(furthest.0)
    );
    let caption = caption("stability", place, group, "Rounds", finding);
    let chart = chart::rounds(&caption, &rows, label(scenario.primary));
    Some(
        html! { div { (figure(&caption, &chart, &round_table(scenario, group))) (not_ranked(group)) } },
    )
}

fn row(scenario: &ScenarioResult, cell: &CellResult) -> Option<RoundRow> {
    let value = cell.metrics.get(&scenario.primary)?;
    let rounds =
        value.rounds.iter().map(|(round, v)| (*round, (v / value.median - 1.0) * 100.0)).collect();
    Some(RoundRow {
        ident: ident(&cell.executor),
        label: cell.label.clone(),
        rounds,
        hatched: is_unranked(cell),
    })
}

fn round_table(scenario: &ScenarioResult, group: &CellGroup) -> Markup {
    let id = scenario.primary;
    let measured = || group.cells.iter().filter_map(|c| Some((c, c.metrics.get(&id)?)));
    let last = measured().flat_map(|(_, v)| v.rounds.iter().map(|r| r.0)).max().unwrap_or(0);
    let heads: Vec<String> = (1..=last).map(|round| format!("round {round}")).collect();
    let heads: Vec<&str> =
        std::iter::once("executor").chain(heads.iter().map(String::as_str)).collect();
    let rows: Vec<_> = measured()
        .map(|(cell, value)| {
            let mut by_round = vec![None; last as usize];
            for (round, v) in &value.rounds {
                if let Some(slot) = by_round.get_mut(round.saturating_sub(1) as usize) {
                    *slot = Some(*v);
                }
            }
            (
                Some(cell),
                by_round.into_iter().map(|v| FieldValue::number(v, |v| metric(id, v))).collect(),
            )
        })
        .collect();
    table(&heads, &rows)
}
