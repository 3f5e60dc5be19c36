//! Section 10: all numbers.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{Markup, html};

use super::part::{Page, Value, table};
use crate::{
    analysis::{CellResult, MetricId, ScenarioResult},
    report::{
        csv::csv,
        format::{digits, label, metric, ns, plural, shown},
        json,
        view::{group_name, ratio_mark, status_mark, status_words},
    },
};

const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

pub(super) fn render(page: &Page<'_>) -> Option<(String, Markup)> {
    let cells = page.analysis.scenarios.iter().flat_map(|s| &s.groups).map(|g| g.cells.len()).sum();
    let body = page.per_scenario(|_, scenario| Some(html! { div.sortable { (scenario_table(scenario)) } }))?;
    let csv = data("text/csv", &csv(page.header, page.analysis));
    let json = data("application/json", &json::document(page.header, page.analysis).to_string());
    let run = &page.header.run;
    let body = html! {
        p.note {
            "Medians over rounds; quantiles over all rounds together. "
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
    let mut heads = vec!["executor", "group"];
    heads.extend(metrics.iter().map(|id| label(*id)));
    heads.extend(QUANTILES.map(|q| q.0));
    heads.extend(["ratio", "low", "high", "verdict", "completed", "errors", "time-outs", "state"]);
    let mut rows = Vec::new();
    for group in &scenario.groups {
        let name = group_name(group);
        rows.extend(group.cells.iter().map(|cell| (Some(cell), values(cell, &name, &metrics))));
    }
    table(&heads, &rows)
}

fn values(cell: &CellResult, group: &str, metrics: &[MetricId]) -> Vec<Value> {
    let ratio = cell.ratio.as_ref();
    let whole = |v: u64| Value::number(Some(v as f64), |v| format!("{v:.0}"));
    let mut values = vec![Value::Text(group.into())];
    values.extend(metrics.iter().map(|&id| Value::number(cell.metrics.get(&id).map(|v| v.median), |v| metric(id, v))));
    values.extend(QUANTILES.map(|(_, q)| Value::number(cell.latency.quantile(q).map(|v| v as f64), ns)));
    values.extend([
        Value::number(ratio.map(|r| r.estimate), digits),
        Value::number(ratio.and_then(|r| r.interval).map(|i| i.0), digits),
        Value::number(ratio.and_then(|r| r.interval).map(|i| i.1), digits),
        ratio.map_or_else(|| Value::Text(String::new()), |r| Value::Marked(ratio_mark(r.verdict))),
        whole(cell.counts.completed),
        whole(cell.counts.errors),
        whole(cell.counts.timeouts),
        state(cell),
    ]);
    values
}

fn state(cell: &CellResult) -> Value {
    let words = status_words(cell);
    let mark = status_mark(&cell.status).0;
    if words == mark.words { Value::Marked(mark) } else { Value::Text(format!("{} {words}", mark.symbol)) }
}
