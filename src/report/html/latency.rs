//! A section: latency by percentile.

use maud::{Markup, html};

use super::part::{FieldValue, Page, caption, figure, not_ranked, table, withheld};
use crate::{
    analysis::{CellGroup, CellResult, ScenarioResult},
    measure::Histo,
    report::{
        chart::{self, Curve, Point, ident},
        format::ns,
        load::load_phrase,
        sentence,
        validity::is_unranked,
        view::group_name,
    },
    scenario::{Comparison, LoadKind, SloMetric},
};

/// Shares of tasks above whole nines.
const POWERS: [f64; 6] = [1.0, 0.1, 0.01, 1e-3, 1e-4, 1e-5];
/// Points of a curve per nine.
const PER_NINE: usize = 12;

pub(super) fn render(page: &Page<'_>) -> Option<(String, Markup)> {
    let body = page.per_scenario(|index, scenario| {
        let groups = scenario.groups.iter().enumerate();
        let figures: Vec<Markup> =
            groups.filter_map(|(g, group)| group_figure(page, (index, g), scenario, group)).collect();
        let note = html! {
            p.note {
                "From a task's intended start to its end, all rounds together, in " (loads(scenario))
                ". A line ends where fewer than ten samples remain above it; a broken line is not ranked."
            }
        };
        (!figures.is_empty()).then(|| html! { (note) div.grid { @for f in &figures { (f) } } })
    })?;
    let widest = sentence::widest(&page.analysis.scenarios, |cell| {
        cell.latency.quantile(0.99).map(|v| v as f64)
    });
    let heading = widest.map_or_else(
        || {
            sentence::none_widest(
                &page.analysis.scenarios,
                "too few samples for a p99 of two executors",
            )
        },
        |(s, g)| {
            format!(
                "{} in {} at {}, where executors differ most",
                sentence::upper(&sentence::latency(g)),
                s.title(),
                group_name(g)
            )
        },
    );
    Some((heading, body))
}

fn loads(scenario: &ScenarioResult) -> String {
    let loads: Vec<&LoadKind> = scenario.groups.iter().filter_map(|g| g.load.as_ref()).collect();
    match loads.as_slice() {
        [one] => load_phrase(one),
        [LoadKind::Batch { .. }, ..] => "batches".into(),
        [LoadKind::Open { .. }, ..] => "open loads: arrivals do not wait for completions".into(),
        _ => "closed loops, which is not a response time under an offered load".into(),
    }
}

fn group_figure(
    page: &Page<'_>,
    place: (usize, usize),
    scenario: &ScenarioResult,
    group: &CellGroup,
) -> Option<Markup> {
    let caption = caption(
        "latency",
        place,
        group,
        "Latency by percentile",
        format!("{}{}", sentence::latency(group), sentence::lowest_p99(group)),
    );
    let curves: Vec<Curve> =
        group.cells.iter().filter(|c| c.latency.count() > 0).map(curve).collect();
    let hatched =
        |curve: &Curve| group.cells.iter().any(|c| c.label == curve.label && is_unranked(c));
    let chart = chart::nines(&caption, &curves, &limits(page, scenario, group, None), hatched)?;
    Some(
        html! { div { (figure(&caption, &chart, &quantile_table(group))) (not_ranked(group)) (withheld(group)) } },
    )
}

/// The limits of latencies of the task that arrives: of one quantile, or of any.
pub(super) fn limits(
    page: &Page<'_>,
    scenario: &ScenarioResult,
    group: &CellGroup,
    quantile: Option<f64>,
) -> Vec<(String, f64)> {
    let mut cells = page.header.cells.iter().filter(|cell| cell.scenario == scenario.name);
    let row = cells.find_map(|cell| {
        cell.rows().find(|row| row.load_name() == scenario.load()).map(|row| row.load)
    });
    let is_task = |subject: &str| {
        row.is_some_and(|load| load.task == subject || scenario.load() == Some(subject))
    };
    let about_task = |s: &&crate::report::view::SloSummary<'_>| {
        let of_quantile = |q: f64| quantile.is_none_or(|wanted| (q - wanted).abs() < 1e-9);
        matches!(s.slo.metric, SloMetric::Latency(q) if of_quantile(q))
            && matches!(s.slo.comparison, Comparison::Below | Comparison::AtMost)
            && is_task(&s.slo.subject)
            && s.slo.only.iter().all(|p| group.params.contains(p))
    };
    let slos = crate::report::view::slos(scenario);
    slos.iter().filter(about_task).map(|s| (s.slo.assert.clone(), s.slo.limit)).collect()
}

fn curve(cell: &CellResult) -> Curve {
    let marked = [0.5, 0.9, 0.99, 0.999, 0.9999];
    let mut points: Vec<Point> = grid(&cell.latency)
        .into_iter()
        .map(|(p, value)| Point { x: p, y: value as f64, interval: None, tip: String::new() })
        .collect();
    for p in marked {
        let nearest = points.iter_mut().find(|point| (point.x - p).abs() < 1e-9);
        if let Some(point) = nearest {
            point.tip = format!("{}, p{}: {}", cell.label, trimmed(p), ns(point.y));
        }
    }
    Curve { ident: ident(&cell.executor), label: cell.label.clone(), points }
}

fn trimmed(p: f64) -> String {
    let percent = format!("{:.2}", p * 100.0);
    percent.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// The latency at probabilities that are evenly spaced by nines, in one pass over the histogram.
fn grid(histo: &Histo) -> Vec<(f64, u64)> {
    let count = histo.count();
    let mut wanted = probabilities(count).into_iter().peekable();
    let mut points = Vec::new();
    let mut below = 0;
    // Where times are only known to be high, a line would be a figure: it ends there.
    let clipped = histo.0.clipped_from().unwrap_or(u64::MAX);
    for bucket in histo.0.iter_recorded().take_while(|bucket| bucket.value_iterated_to() < clipped)
    {
        below += bucket.count_at_value();
        while let Some(&p) = wanted.peek() {
            // The least value with a share of p at or below it; the slack is for rounding in p ×
            // count.
            if (below as f64) < p * count as f64 - 1e-6 {
                break;
            }
            points.push((p, bucket.value_iterated_to()));
            wanted.next();
        }
    }
    points
}

/// Probabilities from 0 by equal parts of nines, with the median, to where ten samples remain.
fn probabilities(count: u64) -> Vec<f64> {
    let enough = |p: &f64| count as f64 * (1.0 - p) >= 10.0 - 1e-9;
    let steps = 0..POWERS.len() * PER_NINE;
    // Whole nines exactly, so that p90 is 0.9 and not a neighbour.
    let at = |step: usize| {
        1.0 - POWERS[step / PER_NINE] * 10_f64.powf(-((step % PER_NINE) as f64) / PER_NINE as f64)
    };
    let mut all: Vec<f64> = steps.map(at).chain([0.5]).filter(enough).collect();
    all.sort_by(f64::total_cmp);
    all
}

fn quantile_table(group: &CellGroup) -> Markup {
    let rows: Vec<_> = group
        .cells
        .iter()
        .map(|cell| {
            let quantiles = cell.latency.quantiles();
            let mut values: Vec<FieldValue> =
                quantiles.iter().map(|q| FieldValue::time(q.value)).collect();
            values.push(FieldValue::time(cell.latency.greatest_bound()));
            values
                .push(FieldValue::number(Some(cell.latency.count() as f64), |v| format!("{v:.0}")));
            (Some(cell), values)
        })
        .collect();
    table(
        &["executor", "p50", "p75", "p90", "p95", "p99", "p99.9", "p99.99", "max", "samples"],
        &rows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixture::{clients, kind};

    #[test]
    fn a_load_stands_within_a_sentence() {
        let loads = [kind("open"), clients(1), kind("batch")];
        assert_eq!(
            loads.each_ref().map(load_phrase),
            [
                "an open load, 100/s, at most 100 in flight",
                "a closed loop, 1 client",
                "a batch of 100"
            ]
        );
    }

    #[test]
    fn curves_agree_with_quantiles_and_stop_where_samples_run_out() {
        let mut histo = Histo::new();
        for ns in 1..=1000_u64 {
            histo.0.record(ns * 1000).expect("within bounds");
        }
        let points = grid(&histo);
        for (p, value) in &points {
            let exact = histo.0.value_at_quantile(*p);
            assert!(value.abs_diff(exact) <= 1100, "p{p}: {value} and {exact}");
        }
        let last = points.last().expect("points").0;
        assert!((last - 0.99).abs() < 1e-9, "1000 samples end at p99, not at {last}");
        assert!(grid(&Histo::new()).is_empty());
    }
}
