//! A section: all numbers.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{Markup, html};

use super::part::{FieldValue, Page, limit, sortable, verdict};
use crate::{
    analysis::{CellGroup, CellResult, MetricId, ScenarioResult},
    report::{
        csv::csv,
        format::{NOTHING, bound, digits, label, metric, plural, shown},
        json,
        view::{group_name, rounds_interval},
    },
};

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// Quantiles of the rounds themselves, which have an interval.
const BY_ROUND: [(&str, MetricId); 2] =
    [("p50 by round", MetricId::LatencyP50), ("p99 by round", MetricId::LatencyP99)];

pub(super) fn render(page: &Page<'_>) -> Option<(String, Markup)> {
    let cells = page.analysis.scenarios.iter().flat_map(|s| &s.groups).map(|g| g.cells.len()).sum();
    let body = page.per_scenario(|_, scenario| Some(scenario_table(scenario)))?;
    let csv = data("text/csv", &csv(page.header, page.analysis));
    let json = data("application/json", &json::document(page.header, page.analysis).to_string());
    let run = &page.header.run;
    let body = html! {
        p.note {
            "Medians over rounds; quantiles over all rounds together; by round: the 95 % interval of the median of the rounds' own quantiles. "
            a download=(format!("{run}.csv")) href=(csv) { "Download as CSV" } " · "
            a download=(format!("{run}.json")) href=(json) { "as JSON" } " (raw numbers, with units in the names)."
        }
        (body)
    };
    Some((format!("{} in full", plural(cells, "cell")), body))
}

/// A download without a network: the data is in the link.
fn data(kind: &str, text: &str) -> String {
    format!("data:{kind};base64,{}", STANDARD.encode(text))
}

/// Metrics that some cell of the scenario has.
fn present(scenario: &ScenarioResult) -> Vec<MetricId> {
    let cells = || scenario.groups.iter().flat_map(|g| &g.cells);
    shown().filter(|id| cells().any(|c| c.metrics.contains_key(id))).collect()
}

fn scenario_table(scenario: &ScenarioResult) -> Markup {
    let metrics = present(scenario);
    let (primary, others): (Vec<MetricId>, Vec<MetricId>) =
        metrics.into_iter().partition(|id| *id == scenario.primary);
    let mut heads = vec!["executor", "group", "verdict"];
    heads.extend(primary.iter().map(|id| label(*id)));
    heads.extend(["ratio", "low", "high"]);
    heads.extend(QUANTILES.map(|q| q.0));
    heads.extend(BY_ROUND.map(|(head, _)| head));
    heads.extend(others.iter().map(|id| label(*id)));
    heads.extend(["completed", "errors", "time-outs", "limited by"]);
    let mut rows = Vec::new();
    for group in &scenario.groups {
        let name = group_name(group);
        rows.extend(
            group
                .cells
                .iter()
                .map(|cell| (Some(cell), values(group, cell, &name, &primary, &others))),
        );
    }
    sortable(&heads, &rows)
}

fn values(
    group: &CellGroup,
    cell: &CellResult,
    name: &str,
    primary: &[MetricId],
    others: &[MetricId],
) -> Vec<FieldValue> {
    let ratio = cell.ratio.as_ref();
    let of = |id: &MetricId| {
        FieldValue::number(cell.metrics.get(id).map(|v| v.median), |v| metric(*id, v))
    };
    let whole = |v: u64| FieldValue::number(Some(v as f64), |v| format!("{v:.0}"));
    let mut values = vec![FieldValue::Text(name.into()), verdict(group, cell)];
    values.extend(primary.iter().map(of));
    values.extend([
        FieldValue::number(ratio.map(|r| r.estimate), digits),
        FieldValue::number(ratio.and_then(|r| r.interval).map(|i| i.0), bound),
        FieldValue::number(ratio.and_then(|r| r.interval).map(|i| i.1), bound),
    ]);
    values.extend(QUANTILES.map(|(_, q)| FieldValue::time(cell.latency.bound(q))));
    values.extend(BY_ROUND.map(|(_, id)| by_round(cell, id)));
    values.extend(others.iter().map(of));
    values.extend([
        whole(cell.counts.completed),
        whole(cell.counts.errors),
        whole(cell.counts.timeouts),
        limit(cell),
    ]);
    values
}

/// The exact 95 % interval of the median of the rounds' own quantiles.
fn by_round(cell: &CellResult, id: MetricId) -> FieldValue {
    FieldValue::Text(rounds_interval(cell, id).unwrap_or_else(|| NOTHING.into()))
}
