//! Two stored runs side by side: for a terminal, Markdown, JSON, CSV.

use std::fmt::Write as _;

use super::{
    csv, format, markdown,
    width::{columns, printable},
};
use crate::analysis::{CellChange, RunComparison};

/// One kind of output of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct ComparisonOutput {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is for, in one sentence.
    pub doc: &'static str,
    /// Writes it, in colours or not.
    pub render: fn(&RunComparison, bool) -> String,
}

/// All outputs of a comparison, in documentation order.
pub const COMPARISONS: &[ComparisonOutput] = &[
    ComparisonOutput { name: "human", doc: "A table for a terminal.", render: comparison },
    ComparisonOutput { name: "markdown", doc: "A table for a pull request.", render: in_markdown },
    ComparisonOutput { name: "json", doc: "All figures, for programs.", render: in_json },
    ComparisonOutput { name: "csv", doc: "One row per cell, for spreadsheets.", render: in_csv },
];

/// What the words behind a ratio mean.
const LEGEND: &str =
    "Better and worse: the whole 95 % interval is beyond ±5 %. Within 5 %: all of it is inside.";

/// The version of the JSON output.
const VERSION: u32 = 1;

const HEAD: [&str; 5] = ["cell", "metric", "before", "after", "times as good"];

/// The comparison as a table, with its caveat above and what could not be compared below.
pub fn comparison(comparison: &RunComparison, color: bool) -> String {
    let mut text = format!(
        "{} → {}\n{}\n\n",
        printable(&comparison.a),
        printable(&comparison.b),
        comparison.caveat
    );
    for warning in &comparison.warnings {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(text, "! {}", printable(warning));
    }
    let rows: Vec<[String; 5]> = comparison.cells.iter().map(row).collect();
    let head = HEAD.map(str::to_owned);
    let widths: Vec<usize> = (0..5)
        .map(|at| {
            std::iter::once(&head).chain(&rows).map(|row| columns(&row[at])).max().unwrap_or(0)
        })
        .collect();
    let bold = if color { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let _ = writeln!(text, "{}{}{}", bold.0, line(&head, &widths), bold.1);
    for row in &rows {
        let _ = writeln!(text, "{}", line(row, &widths));
    }
    let _ = writeln!(text, "\n{LEGEND}");
    for said in means(comparison).into_iter().chain(left_out(comparison)) {
        let _ = writeln!(text, "{}", printable(&said));
    }
    text
}

fn in_markdown(comparison: &RunComparison, _color: bool) -> String {
    let escaped = markdown::escaped;
    let mut text = format!(
        "{} → {}: {}.\n\n",
        escaped(&comparison.a),
        escaped(&comparison.b),
        comparison.caveat
    );
    for warning in &comparison.warnings {
        let _ = writeln!(text, "> Warning: {}\n", escaped(warning));
    }
    text.push_str(&markdown::line(&HEAD.map(str::to_owned)));
    text.push_str(&markdown::line(&["---", "---", "--:", "--:", "---"].map(str::to_owned)));
    for change in &comparison.cells {
        text.push_str(&markdown::line(&row(change).map(|field| escaped(&field))));
    }
    let _ = writeln!(text, "\n{LEGEND}");
    for said in means(comparison).into_iter().chain(left_out(comparison)) {
        let _ = writeln!(text, "\n- {}", escaped(&said));
    }
    text
}

/// The comparison as it is, with a version.
fn in_json(comparison: &RunComparison, _color: bool) -> String {
    format!("{:#}", serde_json::json!({ "regatta_comparison": VERSION, "comparison": comparison }))
}

fn in_csv(comparison: &RunComparison, _color: bool) -> String {
    let head = [
        "cell",
        "lane",
        "metric",
        "before",
        "after",
        "ratio",
        "ratio_low",
        "ratio_high",
        "verdict",
    ];
    let rows = comparison.cells.iter().map(|change| {
        let (low, high) = change.interval.unzip();
        let [ratio, low, high] = [Some(change.ratio), low, high].map(csv::number);
        let (cell, lane, metric) =
            (change.cell.clone(), change.lane.words().to_owned(), format::key(change.metric));
        let [before, after] = [&change.a, &change.b].map(|value| csv::number(Some(value.median)));
        [
            cell,
            lane,
            metric.to_owned(),
            before,
            after,
            ratio,
            low,
            high,
            change.verdict.words().to_owned(),
        ]
    });
    let lines = rows.map(|row| csv::line(&row));
    std::iter::once(csv::line(&head.map(str::to_owned))).chain(lines).collect()
}

/// The mean change of each lane, whose name is said where it is not the only one.
fn means(comparison: &RunComparison) -> Vec<String> {
    let sentence = |mean: &crate::analysis::MeanChange| {
        let place = if comparison.means.len() > 1 {
            format!(" in the {}", mean.lane.words())
        } else {
            String::new()
        };
        let (cells, change) =
            (format::plural(mean.cells, "cell"), change(mean.ratio, mean.interval));
        format!("geometric mean of {cells}{place}: {change}, {}", mean.verdict.words())
    };
    comparison.means.iter().map(sentence).collect()
}

/// What is in one run only, and what could not be compared.
fn left_out(comparison: &RunComparison) -> impl Iterator<Item = String> + '_ {
    let before = comparison.only_a.iter().map(|cell| format!("only before: {cell}"));
    let after = comparison.only_b.iter().map(|cell| format!("only after: {cell}"));
    let not = comparison
        .not_compared
        .iter()
        .map(|(cell, reason)| format!("not compared: {cell}: {reason}"));
    before.chain(after).chain(not)
}

/// A ratio and its interval.
fn change(ratio: f64, interval: Option<(f64, f64)>) -> String {
    let interval =
        interval.map(|(low, high)| format!(" [{}, {}]", format::ratio(low), format::ratio(high)));
    format!("{}{}", format::ratio(ratio), interval.unwrap_or_default())
}

fn row(of: &CellChange) -> [String; 5] {
    [
        printable(&of.cell),
        format::label(of.metric).to_owned(),
        format::metric(of.metric, of.a.median),
        format::metric(of.metric, of.b.median),
        format!("{}, {}", change(of.ratio, of.interval), of.verdict.words()),
    ]
}

fn line(row: &[String; 5], widths: &[usize]) -> String {
    let cells = row
        .iter()
        .zip(widths)
        .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - columns(cell))));
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::{ChangeVerdict, MeanChange, MetricId, MetricValue},
        store::Lane,
    };

    fn value(median: f64) -> MetricValue {
        MetricValue { rounds: vec![(1, median)], median, interval: None }
    }

    fn both() -> RunComparison {
        let change = CellChange {
            cell: "a::tokio::x=1,2".into(),
            label: "tokio".into(),
            lane: Lane::SameCode,
            metric: MetricId::Makespan,
            a: value(2e6),
            b: value(1e6),
            ratio: 2.0,
            interval: Some((0.9, 2.2)),
            verdict: ChangeVerdict::NoDifference,
        };
        let (interval, verdict) = (Some((1.1, 1.2)), ChangeVerdict::Better);
        RunComparison {
            a: "one".into(),
            b: "two".into(),
            caveat: "only a hint",
            cells: vec![change],
            means: vec![MeanChange {
                lane: Lane::SameCode,
                cells: 3,
                ratio: 1.15,
                interval,
                verdict,
            }],
            only_a: vec!["a::smol".into()],
            only_b: Vec::new(),
            not_compared: vec![("a::threads".into(), "no figures".into())],
            warnings: vec!["other host".into()],
        }
    }

    #[test]
    fn shows_the_caveat_and_every_cell() {
        for output in COMPARISONS.iter().filter(|output| output.name != "csv") {
            let text = (output.render)(&both(), false).replace('\\', "");
            for part in
                ["only a hint", "other host", "a::tokio", "a::smol", "a::threads", "no figures"]
            {
                assert!(text.contains(part), "{}: {part} is missing in\n{text}", output.name);
            }
        }
        let text = comparison(&both(), false);
        assert!(text.contains("2.00× [0.900×, 2.20×], no difference shown"), "{text}");
        assert!(text.contains("geometric mean of 3 cells: 1.15× [1.10×, 1.20×], better"), "{text}");
    }

    #[test]
    fn rows_and_json_hold_raw_numbers() {
        let expected = "cell,lane,metric,before,after,ratio,ratio_low,ratio_high,verdict\n\"a::tokio::x=1,2\",same-code \
                        lane,makespan_ns,2000000,1000000,2,0.9,2.2,no difference shown\n";
        assert_eq!(in_csv(&both(), false), expected);
        let text = in_json(&both(), false);
        assert_eq!(crate::report::schema::misfits("comparison", &text), Vec::<String>::new());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&value["regatta_comparison"], &value["comparison"]["cells"][0]["ratio"]),
            (&1.into(), &2.0.into())
        );
        assert_eq!(value["comparison"]["means"][0]["verdict"], "better");
    }
}
