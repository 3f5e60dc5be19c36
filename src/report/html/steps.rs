//! A section: where a task's time went.

use maud::{Markup, html};

use super::part::{FieldValue, Page, bar_row, caption, figure, not_ranked, table};
use crate::{
    analysis::{CellGroup, CellResult},
    report::{
        chart::{self, STEPS, Segment},
        format::ns,
        sentence,
    },
};

pub(super) fn render(page: &Page<'_>) -> Option<(String, Markup)> {
    let body = page.per_scenario(|index, scenario| {
        let groups = scenario.groups.iter().enumerate();
        let figures: Vec<Markup> = groups.filter_map(|(g, group)| group_figure((index, g), group)).collect();
        let note = html! {
            p.note {
                "Bars add up the mean latencies of a task's own named steps, which follow one another. Steps inside "
                code { "parallel" } " overlap, so that they are in the tables and not in the bars."
            }
        };
        (!figures.is_empty()).then(|| html! { (note) div.grid { @for f in &figures { (f) } } })
    })?;
    let first =
        page.analysis.scenarios.iter().flat_map(|s| &s.groups).find(|g| !names(g).is_empty())?;
    Some((sentence::upper(&sentence::steps(first)), body))
}

/// Names of the top-level steps, in scenario order.
fn names(group: &CellGroup) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in group.cells.iter().flat_map(sentence::top_steps) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn group_figure(place: (usize, usize), group: &CellGroup) -> Option<Markup> {
    let names = names(group);
    if names.is_empty() {
        return None;
    }
    let caption = caption("steps", place, group, "Steps of a task", sentence::steps(group));
    let cells = group.cells.iter().filter(|c| !sentence::top_steps(c).is_empty());
    let rows: Vec<_> = cells.map(|c| (bar_row(c), segments(c, &names))).collect();
    let chart = chart::stacked(&caption, &rows, "mean latency of the steps of a task", ns);
    let chart = html! { (chart) (key(&names)) };
    Some(html! { div { (figure(&caption, &chart, &step_table(group))) (not_ranked(group)) } })
}

fn segments(cell: &CellResult, names: &[&str]) -> Vec<Segment> {
    let place = |name: &str| names.iter().position(|n| *n == name).unwrap_or(0);
    let steps = sentence::top_steps(cell).into_iter();
    steps
        .map(|(name, mean)| Segment {
            step: place(name),
            name: name.into(),
            value: mean,
            words: ns(mean),
        })
        .collect()
}

/// Which tint is which step; from the sixth on they share one.
fn key(names: &[&str]) -> Markup {
    html! {
        ul.key {
            @for (index, name) in names.iter().enumerate() {
                li { svg.ic viewBox="0 0 14 14" width="14" height="14" aria-hidden="true" { rect class=(format!("t{}", index.min(STEPS.len() - 1))) width="14" height="14" fill="currentColor" {} } (name) }
            }
        }
    }
}

fn step_table(group: &CellGroup) -> Markup {
    let mut rows = Vec::new();
    for cell in &group.cells {
        for step in &cell.steps {
            let quantile = |q| FieldValue::time(step.latency.bound(q));
            let mean = step.latency.mean();
            rows.push((
                Some(cell),
                vec![
                    FieldValue::Text(step.name.clone()),
                    FieldValue::Text(if step.top_level {
                        "in the bar".into()
                    } else {
                        "overlaps".into()
                    }),
                    FieldValue::number(mean, ns),
                    quantile(0.5),
                    quantile(0.99),
                    FieldValue::number(Some(step.counts.completed as f64), |v| format!("{v:.0}")),
                    FieldValue::number(Some(step.counts.errors as f64), |v| format!("{v:.0}")),
                    FieldValue::number(Some(step.counts.timeouts as f64), |v| format!("{v:.0}")),
                ],
            ));
        }
    }
    table(
        &["executor", "step", "shown", "mean", "p50", "p99", "completed", "errors", "time-outs"],
        &rows,
    )
}
