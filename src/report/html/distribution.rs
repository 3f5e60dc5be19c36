//! A section: the whole distribution of latencies, folded, for what quantiles hide.

use maud::{Markup, html};

use super::part::{FieldValue, Page, caption, figure, not_ranked, table};
use crate::{
    analysis::{CellGroup, CellResult, ScenarioResult},
    measure::Histo,
    report::{
        chart::{self, Caption, Steps, ident},
        format::ns,
        sentence,
        validity::is_unranked,
        view::{group_name, group_title},
    },
};

/// Points of a line at most; more cannot be told apart.
const POINTS: u64 = 40;
/// What the table lists; a share below a half needs as many samples below as one above needs above.
const LISTED: [(&str, f64); 7] = [
    ("p1", 0.01),
    ("p10", 0.1),
    ("p25", 0.25),
    ("p50", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p99", 0.99),
];

/// One kind of time that a task takes.
struct Kind {
    name: &'static str,
    /// Its axis.
    what: &'static str,
    of: fn(&CellResult) -> &Histo,
}

const KINDS: [Kind; 3] = [
    Kind { name: "Latency", what: "latency: from intended start to end", of: |cell| &cell.latency },
    Kind {
        name: "Lateness",
        what: "lateness: from intended to actual start",
        of: |cell| &cell.lateness,
    },
    Kind { name: "Service", what: "service: from actual start to end", of: |cell| &cell.service },
];

pub(super) fn render(page: &Page<'_>) -> Option<(String, Markup)> {
    let body = page.per_scenario(|index, scenario| {
        let groups = scenario.groups.iter().enumerate();
        let folded: Vec<Markup> =
            groups.filter_map(|(g, group)| folded((index, g), group)).collect();
        (!folded.is_empty()).then(|| html! { @for group in &folded { (group) } })
    })?;
    let note = html! {
        p.note {
            "A line shows which share of the tasks took at most so long: a step is many tasks with the same latency, a plateau is a gap \
             between two kinds of task. Open loads also show how late tasks started and how long they then took."
        }
    };
    Some((heading(&page.analysis.scenarios), html! { (note) (body) }))
}

/// The group in which a ranked executor's latencies are spread most.
fn heading(scenarios: &[ScenarioResult]) -> String {
    let groups = scenarios.iter().flat_map(|s| s.groups.iter().map(move |g| (s, g)));
    let spreads = groups.filter_map(|(s, g)| Some((spread(g, KINDS[0].of)?.0, s, g)));
    match spreads.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((_, s, g)) => {
            format!(
                "{} in {} at {}",
                sentence::upper(&finding(g, KINDS[0].of)),
                s.title(),
                group_name(g)
            )
        }
        None => "Too few samples of a ranked executor for p10 and p90".into(),
    }
}

fn folded(place: (usize, usize), group: &CellGroup) -> Option<Markup> {
    let open = group.cells.iter().any(|cell| cell.arrivals.is_some());
    let kinds = KINDS.iter().take(if open { KINDS.len() } else { 1 });
    let figures: Vec<Markup> = kinds.filter_map(|kind| kind_figure(place, group, kind)).collect();
    (!figures.is_empty()).then(|| {
        html! {
            details.fold {
                summary { (group_title(group)) ": " (finding(group, KINDS[0].of)) }
                div.grid { @for figure in &figures { (figure) } }
                (not_ranked(group))
            }
        }
    })
}

fn kind_figure(place: (usize, usize), group: &CellGroup, kind: &Kind) -> Option<Markup> {
    let general = caption("distribution", place, group, kind.name, finding(group, kind.of));
    let caption = Caption {
        id: format!("{}-{}", general.id, kind.name.to_lowercase()),
        head: kind.name.into(),
        ..general
    };
    let rows: Vec<Steps> =
        group.cells.iter().filter(|c| (kind.of)(c).count() > 0).map(|c| steps(c, kind)).collect();
    let chart = chart::shares(&caption, &rows, kind.what)?;
    Some(figure(&caption, &chart, &share_table(group, kind)))
}

/// How far apart the middle eight tenths of the tasks are, for the ranked executor under which they
/// are furthest apart: factor, cell, p10 and p90 in ns.
fn spread(
    group: &CellGroup,
    of: fn(&CellResult) -> &Histo,
) -> Option<(f64, &CellResult, u64, u64)> {
    let ranked = group.cells.iter().filter(|cell| cell.is_ranked());
    let spread = ranked.filter_map(|cell| {
        let (low, high) = (lower(of(cell), 0.1)?, of(cell).quantile(0.9)?);
        (low > 0).then(|| (high as f64 / low as f64, cell, low, high))
    });
    spread.max_by(|a, b| a.0.total_cmp(&b.0))
}

fn finding(group: &CellGroup, of: fn(&CellResult) -> &Histo) -> String {
    match spread(group, of) {
        Some((_, cell, low, high)) => {
            format!(
                "the widest spread is that of {}, with p10 at {} and p90 at {}",
                cell.label,
                ns(low as f64),
                ns(high as f64)
            )
        }
        None => "too few samples of a ranked executor for p10 and p90".into(),
    }
}

/// A quantile of which enough samples lie below as well as above.
fn lower(histo: &Histo, q: f64) -> Option<u64> {
    has_below(histo, q).then(|| histo.quantile(q))?
}

fn has_below(histo: &Histo, q: f64) -> bool {
    histo.count() as f64 * q >= 10.0 - 1e-9
}

fn steps(cell: &CellResult, kind: &Kind) -> Steps {
    let points = points((kind.of)(cell));
    Steps {
        ident: ident(&cell.executor),
        label: cell.label.clone(),
        hatched: is_unranked(cell),
        points,
    }
}

/// Values with the share at or below them: every bucket, or as many of them as can be told apart.
fn points(histo: &Histo) -> Vec<(f64, f64)> {
    let count = histo.count();
    let step = count.div_ceil(POINTS).max(1);
    let (mut below, mut shown) = (0, 0);
    let mut points = Vec::new();
    let clipped = histo.0.clipped_from().unwrap_or(u64::MAX);
    for bucket in histo.0.iter_recorded().take_while(|bucket| bucket.value_iterated_to() < clipped)
    {
        below += bucket.count_at_value();
        if below >= shown + step || below == count || shown == 0 {
            points.push((bucket.value_iterated_to() as f64, below as f64 / count as f64));
            shown = below;
        }
    }
    points
}

fn share_table(group: &CellGroup, kind: &Kind) -> Markup {
    let heads: Vec<&str> =
        std::iter::once("executor").chain(LISTED.map(|l| l.0)).chain(["max", "samples"]).collect();
    let rows: Vec<_> = group
        .cells
        .iter()
        .filter(|cell| (kind.of)(cell).count() > 0)
        .map(|cell| {
            let histo = (kind.of)(cell);
            let quantile =
                |(_, q)| FieldValue::time(has_below(histo, q).then(|| histo.bound(q)).flatten());
            let mut values: Vec<FieldValue> = LISTED.map(quantile).into_iter().collect();
            values.push(FieldValue::time(histo.greatest_bound()));
            values.push(FieldValue::number(Some(histo.count() as f64), |v| format!("{v:.0}")));
            (Some(cell), values)
        })
        .collect();
    table(&heads, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_all_tasks_and_have_few_points() {
        let mut histo = Histo::new();
        for ns in 1..=20_000_u64 {
            histo.0.record(ns * 100).expect("within bounds");
        }
        let points = points(&histo);
        assert!(points.len() <= POINTS as usize + 2, "{}", points.len());
        assert!((points.last().expect("points").1 - 1.0).abs() < 1e-12);
        let near_half = points.iter().find(|p| p.1 >= 0.5).expect("half of all");
        assert!((near_half.0 / 1e6 - 1.0).abs() < 0.05, "{near_half:?}");
        assert!(super::points(&Histo::new()).is_empty());
    }

    #[test]
    fn low_quantiles_need_samples_below() {
        let mut histo = Histo::new();
        histo.0.record_n(5, 99).expect("within bounds");
        assert_eq!((lower(&histo, 0.1), lower(&histo, 0.25)), (None, Some(5)));
    }
}
