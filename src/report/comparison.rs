//! Two stored runs side by side, for a terminal.

use std::fmt::Write as _;

use super::{
    format,
    width::{columns, printable},
};
use crate::{
    analysis::{CellChange, Comparison, RatioVerdict},
    store::Lane,
};

/// The comparison as a table, with its caveat above and what could not be compared below.
pub fn comparison(comparison: &Comparison, color: bool) -> String {
    let mut text = format!("{} → {}\n{}\n\n", printable(&comparison.a), printable(&comparison.b), comparison.caveat);
    for warning in &comparison.warnings {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(text, "! {}", printable(warning));
    }
    let rows: Vec<[String; 5]> = comparison.cells.iter().map(row).collect();
    let head = ["cell", "metric", "before", "after", "times as good"].map(str::to_owned);
    let widths: Vec<usize> =
        (0..5).map(|at| std::iter::once(&head).chain(&rows).map(|row| columns(&row[at])).max().unwrap_or(0)).collect();
    let bold = if color { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let _ = writeln!(text, "{}{}{}", bold.0, line(&head, &widths), bold.1);
    for row in &rows {
        let _ = writeln!(text, "{}", line(row, &widths));
    }
    text.push_str(&means(comparison));
    for (name, runs) in [("only before", &comparison.only_a), ("only after", &comparison.only_b)] {
        for cell in runs {
            let _ = writeln!(text, "{name}: {}", printable(cell));
        }
    }
    for (cell, reason) in &comparison.not_compared {
        let _ = writeln!(text, "not compared: {}: {}", printable(cell), printable(reason));
    }
    text
}

/// The geometric mean of each lane, whose name is said where it is not the only one.
fn means(comparison: &Comparison) -> String {
    let mut text = String::new();
    let means = [(Lane::SameCode, comparison.geometric_mean), (Lane::Idiomatic, comparison.idiomatic_mean)];
    for (lane, mean) in means.into_iter().filter_map(|(lane, mean)| Some((lane, mean?))) {
        let cells = comparison.cells.iter().filter(|cell| cell.lane == lane).count();
        let place =
            if comparison.idiomatic_mean.is_some() { format!(" in the {}", lane.words()) } else { String::new() };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\ngeometric mean of {}{place}: {}", format::plural(cells, "cell"), format::ratio(mean));
    }
    text
}

fn row(change: &CellChange) -> [String; 5] {
    let interval = match change.interval {
        Some((low, high)) => format!(" [{}, {}]", format::ratio(low), format::ratio(high)),
        None => " no interval".to_owned(),
    };
    let words = match change.verdict {
        RatioVerdict::NoDifference => ", no difference shown",
        RatioVerdict::Faster => ", better",
        RatioVerdict::Slower => ", worse",
        RatioVerdict::Baseline | RatioVerdict::NoInterval => "",
    };
    [
        printable(&change.cell),
        format::label(change.metric).to_owned(),
        format::metric(change.metric, change.a.median),
        format::metric(change.metric, change.b.median),
        format!("{}{interval}{words}", format::ratio(change.ratio)),
    ]
}

fn line(row: &[String; 5], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - columns(cell))));
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{MetricId, MetricValue};

    fn value(median: f64) -> MetricValue {
        MetricValue { rounds: vec![(1, median)], median, interval: None }
    }

    #[test]
    fn shows_the_caveat_and_every_cell() {
        let change = CellChange {
            cell: "a::tokio".into(),
            label: "tokio".into(),
            lane: Lane::SameCode,
            metric: MetricId::Makespan,
            a: value(2e6),
            b: value(1e6),
            ratio: 2.0,
            interval: Some((0.9, 2.2)),
            verdict: RatioVerdict::NoDifference,
        };
        let both = Comparison {
            a: "one".into(),
            b: "two".into(),
            caveat: "only a hint",
            cells: vec![change],
            geometric_mean: Some(2.0),
            idiomatic_mean: None,
            only_a: vec!["a::smol".into()],
            only_b: Vec::new(),
            not_compared: Vec::new(),
            warnings: vec!["other host".into()],
        };
        let text = comparison(&both, false);
        for part in ["only a hint", "! other host", "a::tokio", "no difference shown", "only before: a::smol"] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
}
