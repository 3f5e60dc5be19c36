//! CSV: one row per cell, raw numbers, units in the column names (RFC 4180, with `\n` line ends).

use crate::{
    analysis::{Analysis, CellResult, Group, ScenarioResult},
    measure::Histo,
    report::{
        format::{key, shown},
        view::{params, ratio_mark, status_mark},
    },
    store::Header,
};

/// Quantiles that get a column each.
const QUANTILES: [(&str, f64); 5] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99_9", 0.999), ("p99_99", 0.9999)];

/// Every cell of the run as a row.
pub fn csv(_header: &Header, analysis: &Analysis) -> String {
    let mut text = line(&columns());
    for scenario in &analysis.scenarios {
        for group in &scenario.groups {
            for cell in &group.cells {
                text.push_str(&line(&row(scenario, group, cell)));
            }
        }
    }
    text
}

fn columns() -> Vec<String> {
    let first = ["scenario", "params", "load", "executor_cpus", "executor", "label", "slots", "status", "reason"];
    let ratio = ["ratio_to_baseline", "ratio_low", "ratio_high", "ratio_rounds", "ratio_verdict"];
    let last = ["completed", "errors", "timeouts"];
    let mut columns: Vec<String> = first.map(String::from).to_vec();
    for id in shown() {
        let key = key(id);
        columns.extend([key.into(), format!("{key}_low"), format!("{key}_high")]);
    }
    for stream in ["latency", "service"] {
        columns.extend(QUANTILES.map(|(name, _)| format!("{stream}_{name}_ns")));
    }
    columns.extend(ratio.map(String::from));
    columns.extend(last.map(String::from));
    columns
}

fn row(scenario: &ScenarioResult, group: &Group, cell: &CellResult) -> Vec<String> {
    let (status, reason) = status_mark(&cell.status);
    let mut row = vec![
        scenario.name.clone(),
        params(&group.params),
        group.load.clone(),
        group.executor_cpus.to_string(),
        cell.executor.clone(),
        cell.label.clone(),
        cell.slots.to_string(),
        status.words.to_lowercase(),
        reason.to_string(),
    ];
    for id in shown() {
        let value = cell.metrics.get(&id);
        let interval = value.and_then(|v| v.interval);
        row.extend([number(value.map(|v| v.median)), number(interval.map(|i| i.0)), number(interval.map(|i| i.1))]);
    }
    row.extend(quantiles(&cell.latency));
    row.extend(quantiles(&cell.service));
    row.extend(ratio(cell));
    row.extend([cell.counts.completed, cell.counts.errors, cell.counts.timeouts].map(|n| n.to_string()));
    row
}

fn ratio(cell: &CellResult) -> [String; 5] {
    let Some(ratio) = &cell.ratio else { return Default::default() };
    [
        number(Some(ratio.estimate)),
        number(ratio.interval.map(|i| i.0)),
        number(ratio.interval.map(|i| i.1)),
        ratio.rounds.to_string(),
        ratio_mark(ratio.verdict).words.into(),
    ]
}

fn quantiles(histo: &Histo) -> impl Iterator<Item = String> {
    QUANTILES.map(|(_, q)| histo.quantile(q).map(|ns| ns.to_string()).unwrap_or_default()).into_iter()
}

fn number(value: Option<f64>) -> String {
    value.filter(|v| v.is_finite()).map(|v| v.to_string()).unwrap_or_default()
}

fn line(fields: &[String]) -> String {
    let fields: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
    fields.join(",") + "\n"
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn quotes_what_needs_it() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,\"b\"\nc"), "\"a,\"\"b\"\"\nc\"");
    }

    #[test]
    fn every_cell_is_a_row_with_every_column() {
        let mut analysis = fixture::analysis();
        analysis.scenarios.truncate(1);
        let text = csv(&fixture::header(), &analysis);
        let mut lines = text.lines();
        let columns = lines.next().expect("a heading").split(',').count();
        let rows: Vec<&str> = lines.collect();
        assert_eq!(rows.len(), 49);
        // Only quoted fields hold commas that do not separate.
        let plain: Vec<&&str> = rows.iter().filter(|row| !row.contains("\"\"")).collect();
        for row in plain {
            let outside: String = row.split('"').step_by(2).collect();
            assert_eq!(outside.matches(',').count() + 1, columns, "{row}");
        }
    }
}
