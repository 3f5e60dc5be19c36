//! A section: throughput, makespan or latency over a swept quantity.

use maud::{Markup, html};

use super::part::{Page, Value, figure, not_ranked_at, table};
use crate::{
    analysis::{CellResult, Group, ScenarioResult, Sweep, Unit},
    report::{
        chart::{self, Caption, CrossingMark, Curve, LawLine, Overlay, Point, ident},
        format::{digits, label, metric},
        line, sentence, sweeps,
        validity::is_unranked,
        view::{params, status_words},
    },
    scenario::Param,
};

pub(super) fn render(page: &Page<'_>) -> Option<(String, Markup)> {
    let mut headings = Vec::new();
    for scenario in &page.analysis.scenarios {
        if let Some((param, _)) = swept(scenario) {
            headings.push(line::heading(scenario, &param));
        }
    }
    let body = page.per_scenario(|index, scenario| {
        let (param, unit) = swept(scenario)?;
        let axis = (param.as_str(), unit);
        let facets = facets(scenario, axis).into_iter().enumerate();
        let figures: Vec<Markup> =
            facets.filter_map(|(facet, groups)| facet_figure((index, facet), scenario, axis, &groups)).collect();
        (!figures.is_empty()).then(|| html! { div.grid { @for f in &figures { (f) } } })
    })?;
    let heading = headings.first().cloned().unwrap_or_default();
    let more = if headings.len() > 1 { format!("; {} more below", headings.len() - 1) } else { String::new() };
    Some((format!("{heading}{more}"), body))
}

/// The first parameter that is swept over a quantity, and its unit.
fn swept(scenario: &ScenarioResult) -> Option<(String, Unit)> {
    scenario.sweeps.first().map(|sweep| (sweep.param.clone(), sweep.unit))
}

/// A swept parameter as a number.
fn number(group: &Group, (param, unit): (&str, Unit)) -> Option<f64> {
    group.params.iter().find(|p| p.name == param).and_then(|p| unit.value(&p.value))
}

/// The other parameters, and the groups that have them, by the swept value.
type Facet<'a> = (Vec<&'a Param>, Vec<(f64, &'a Group)>);

/// Groups that differ only in the parameter, by its value.
fn facets<'a>(scenario: &'a ScenarioResult, axis: (&str, Unit)) -> Vec<Vec<(f64, &'a Group)>> {
    let mut facets: Vec<Facet<'_>> = Vec::new();
    for group in &scenario.groups {
        let Some(x) = number(group, axis) else { continue };
        let others: Vec<&Param> = group.params.iter().filter(|p| p.name != axis.0).collect();
        match facets.iter_mut().find(|f| f.0 == others) {
            Some(facet) => facet.1.push((x, group)),
            None => facets.push((others, vec![(x, group)])),
        }
    }
    for facet in &mut facets {
        facet.1.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    facets.into_iter().map(|f| f.1).collect()
}

fn facet_figure(
    (scenario_index, facet): (usize, usize),
    scenario: &ScenarioResult,
    (param, unit): (&str, Unit),
    groups: &[(f64, &Group)],
) -> Option<Markup> {
    let id = scenario.primary;
    let others: Vec<Param> = groups.first()?.1.params.iter().filter(|p| p.name != param).cloned().collect();
    let at = if others.is_empty() { String::new() } else { format!(" at {}", params(&others)) };
    let sweep = scenario.sweep(param, &others);
    let caption = Caption {
        id: format!("scaling-{scenario_index}-{facet}"),
        title: format!("{} over {param}{at}", sentence::capital(label(id))),
        head: format!("{} over {param}{at}", sentence::capital(label(id))),
        finding: sweep.map(|sweep| line::finding(scenario, sweep)).unwrap_or_default(),
    };
    let curves: Vec<Curve> = executors(groups).into_iter().map(|cell| curve(scenario, unit, groups, cell)).collect();
    let up = format!("{}, median over rounds with 95 % interval", label(id));
    let mut overlay = sweep.map(|sweep| overlay(scenario, sweep, groups)).unwrap_or_default();
    overlay.hatched = hatched(scenario, groups);
    let chart = chart::scaling(&caption, &curves, &overlay, (param, &up), (|x| unit.format(x), |v| metric(id, v)))?;
    let lines = sweep.map(sweeps::lines).unwrap_or_default();
    Some(html! {
        div {
            (figure(&caption, &chart, &facet_table(scenario, (param, unit), groups)))
            @for (_, group) in groups { (not_ranked_at(group)) }
            @if !lines.is_empty() { details { summary { "Crossings and laws" } ul { @for line in &lines { li { (line) } } } } }
        }
    })
}

/// The places of cells that are not ranked.
fn hatched(scenario: &ScenarioResult, groups: &[(f64, &Group)]) -> Vec<(f64, f64)> {
    let cells = groups.iter().flat_map(|&(x, group)| group.cells.iter().map(move |cell| (x, cell)));
    let unranked = cells.filter(|(_, cell)| is_unranked(cell));
    unranked.filter_map(|(x, cell)| Some((x, cell.metrics.get(&scenario.primary)?.median))).collect()
}

/// Laws over the measured range, and the crossings of the metric that is drawn, on the line of one of the two.
fn overlay(scenario: &ScenarioResult, sweep: &Sweep, groups: &[(f64, &Group)]) -> Overlay {
    let mut overlay = Overlay::default();
    for law in &sweep.laws {
        let Some(fit) = &law.fit else { continue };
        let tip = format!("{}: {}", law.label, sweeps::fit_words(fit));
        overlay.laws.push(LawLine { ident: ident(&law.executor), tip, points: fit.curve() });
    }
    for pair in sweep.pairs.iter().filter(|pair| pair.metric == scenario.primary) {
        for crossing in &pair.crossings {
            let Some(x) = crossing.estimate else { continue };
            let Some(y) = height(scenario, groups, &pair.executors[0], x) else { continue };
            let tip = sweeps::crossing(sweep, pair, crossing);
            overlay.crossings.push(CrossingMark { at: (x, y), interval: crossing.interval, tip });
        }
    }
    overlay
}

/// Where an executor's line is at a value: straight between medians, on logarithmic axes.
fn height(scenario: &ScenarioResult, groups: &[(f64, &Group)], executor: &str, x: f64) -> Option<f64> {
    let value = |group: &Group| Some(group.cell(executor)?.metrics.get(&scenario.primary)?.median);
    let known: Vec<(f64, f64)> = groups.iter().filter_map(|&(x, group)| Some((x, value(group)?))).collect();
    let ends = known.windows(2).find(|ends| ends[0].0 <= x && x <= ends[1].0)?;
    let [(left, low), (right, high)] = [ends[0], ends[1]];
    let share = (x / left).ln() / (right / left).ln();
    Some(low * (high / low).powf(share))
}

/// A cell of each executor, in the order of the first group.
fn executors<'a>(groups: &[(f64, &'a Group)]) -> Vec<&'a CellResult> {
    groups.first().map(|(_, group)| group.cells.iter().collect()).unwrap_or_default()
}

fn same<'a>(group: &'a Group, cell: &CellResult) -> Option<&'a CellResult> {
    group.cells.iter().find(|c| c.executor == cell.executor)
}

fn curve(scenario: &ScenarioResult, unit: Unit, groups: &[(f64, &Group)], cell: &CellResult) -> Curve {
    let points = groups.iter().map(|&(x, group)| {
        let value = same(group, cell).and_then(|c| c.metrics.get(&scenario.primary));
        let y = value.map_or(f64::NAN, |v| v.median);
        let tip =
            value.map(|v| format!("{} at {}: {}", cell.label, unit.format(x), metric(scenario.primary, v.median)));
        Point { x, y, interval: value.and_then(|v| v.interval), tip: tip.unwrap_or_default() }
    });
    Curve { ident: ident(&cell.executor), label: cell.label.clone(), points: points.collect() }
}

fn facet_table(scenario: &ScenarioResult, (param, unit): (&str, Unit), groups: &[(f64, &Group)]) -> Markup {
    let heads: Vec<String> = groups.iter().map(|(x, _)| format!("{param}={}", unit.format(*x))).collect();
    let heads: Vec<&str> = std::iter::once("executor").chain(heads.iter().map(String::as_str)).collect();
    let rows: Vec<_> = executors(groups)
        .into_iter()
        .map(|cell| {
            let value = |group: &Group| match same(group, cell) {
                Some(c) => match c.metrics.get(&scenario.primary) {
                    Some(v) => Value::number(Some(v.median), |v| metric(scenario.primary, v)),
                    None => Value::Text(status_words(c)),
                },
                None => Value::number(None, digits),
            };
            (Some(cell), groups.iter().map(|(_, group)| value(group)).collect())
        })
        .collect();
    table(&heads, &rows)
}
