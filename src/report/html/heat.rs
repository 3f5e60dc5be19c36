//! The second part of the stability: latency over the time of a window.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::part::{FieldValue, caption, figure, not_ranked, table};
use crate::{
    analysis::{CellGroup, CellResult, ScenarioResult, Steadiness},
    measure::Slice,
    report::{
        chart::{self, Caption, HEAT, HEAT_SHARES, HeatRow, Tile, ident},
        format::{NOTHING, digits, ns, prose},
        steadiness::{steadiness_word, steadiness_words},
        validity::is_unranked,
    },
};

/// The heat maps of a scenario; nothing where nothing was sliced.
pub(super) fn over_time(index: usize, scenario: &ScenarioResult) -> Option<Markup> {
    let groups = scenario.groups.iter().enumerate();
    let figures: Vec<Markup> =
        groups.filter_map(|(g, group)| group_figure((index, g), group)).collect();
    let note = html! {
        p.note {
            "Latency over time, all rounds together: the darker a tile, the larger the share of that slice's tasks with \
             latencies of that height. What was measured in the warm-up is shown here and counts nowhere else."
        }
    };
    (!figures.is_empty()).then(|| html! { (note) div.grid { @for f in &figures { (f) } } })
}

fn group_figure(place: (usize, usize), group: &CellGroup) -> Option<Markup> {
    let general = caption("stability", place, group, "Latency over time", steadiness(group));
    let caption = Caption { id: format!("{}-heat", general.id), ..general };
    let cells = || group.cells.iter().filter(|cell| !cell.slices.is_empty());
    let resolution = Resolution::of(cells());
    let rows: Vec<HeatRow> = cells().map(|cell| row(cell, &resolution)).collect();
    let chart = chart::heat(&caption, &rows)?;
    let chart = html! { (chart) (key()) };
    Some(html! { div { (figure(&caption, &chart, &slice_table(group))) (not_ranked(group)) } })
}

/// `threads drifting; tokio and smol flat`.
fn steadiness(group: &CellGroup) -> String {
    const ALL: [Steadiness; 4] =
        [Steadiness::Unsteady, Steadiness::Drifting, Steadiness::Warming, Steadiness::Flat];
    let with = |steadiness| -> Vec<String> {
        let cells = group.cells.iter().filter(|cell| cell.steadiness == Some(steadiness));
        cells.map(|cell| cell.label.clone()).collect()
    };
    let parts: Vec<String> = ALL
        .into_iter()
        .map(|steadiness| (with(steadiness), steadiness))
        .filter(|(labels, _)| !labels.is_empty())
        .map(|(labels, steadiness)| format!("{} {}", prose(&labels), steadiness_word(steadiness)))
        .collect();
    if parts.is_empty() {
        "how steady the cells were is not known".into()
    } else {
        parts.join("; ")
    }
}

/// Where the buckets of slices begin: only their upper ends are stored, and empty ones are left
/// out.
struct Resolution {
    ends: BTreeSet<u64>,
    /// The usual ratio between the ends of neighbours.
    ratio: f64,
}

impl Resolution {
    fn of<'a>(cells: impl Iterator<Item = &'a CellResult>) -> Self {
        let ends: BTreeSet<u64> =
            cells.flat_map(|c| &c.slices).flat_map(|s| &s.latencies).map(|l| l.0).collect();
        let neighbours = ends.iter().zip(ends.iter().skip(1));
        let mut ratios: Vec<f64> =
            neighbours.map(|(low, high)| *high as f64 / (*low).max(1) as f64).collect();
        ratios.sort_by(f64::total_cmp);
        let ratio = ratios.get(ratios.len() / 2).copied().unwrap_or(2.0);
        Self { ends, ratio }
    }

    /// Lower and upper end: down to the next bucket, or as far as buckets usually reach.
    fn bucket(&self, end: u64) -> (f64, f64) {
        let below = self.ends.range(..end).next_back().map(|below| *below as f64);
        let near = below.filter(|below| end as f64 / below <= self.ratio * 1.25);
        (near.unwrap_or(end as f64 / self.ratio), end as f64)
    }
}

fn row(cell: &CellResult, resolution: &Resolution) -> HeatRow {
    HeatRow {
        ident: ident(&cell.executor),
        label: cell.label.clone(),
        words: cell.steadiness.map(steadiness_word).unwrap_or_default().into(),
        hatched: is_unranked(cell),
        tiles: cell.slices.iter().flat_map(|slice| tiles(slice, resolution)).collect(),
    }
}

fn tiles(slice: &Slice, resolution: &Resolution) -> Vec<Tile> {
    let (from, all) = (slice.from_ns as f64 / 1e9, slice.completed() as f64);
    let time = (from, from + slice.length_ns as f64 / 1e9);
    let share = |tasks: u64| tasks as f64 / all.max(1.0);
    let buckets = slice.latencies.iter();
    buckets
        .map(|&(end, tasks)| Tile { time, latency: resolution.bucket(end), share: share(tasks) })
        .collect()
}

/// Which shade is which share.
fn key() -> Markup {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    html! {
        ul.key {
            li { "share of a slice's tasks:" }
            @for level in 0..HEAT.len() {
                li {
                    svg.ic viewBox="0 0 14 14" width="14" height="14" aria-hidden="true" { rect class=(format!("h{level}")) width="14" height="14" fill="currentColor" {} }
                    @if level == 0 { "less than " (percent(HEAT_SHARES[1])) } @else { "from " (percent(HEAT_SHARES[level])) }
                }
            }
        }
    }
}

/// The upper end of the bucket in which a slice's median is.
fn median(slice: &Slice) -> Option<f64> {
    let half = slice.completed().div_ceil(2);
    let mut ordered = slice.latencies.clone();
    ordered.sort_unstable();
    let mut below = 0;
    let reaches_half = |(_, tasks): &&(u64, u64)| {
        below += tasks;
        below >= half && half > 0
    };
    ordered.iter().find(reaches_half).map(|(end, _)| *end as f64)
}

fn slice_table(group: &CellGroup) -> Markup {
    let heads = [
        "executor",
        "over time",
        "slices of warm-up",
        "slices measured",
        "fewest tasks/s",
        "most tasks/s",
        "lowest p50 up to",
        "highest p50 up to",
    ];
    let cells = group.cells.iter().filter(|cell| !cell.slices.is_empty());
    table(&heads, &cells.map(|cell| (Some(cell), values(cell))).collect())
}

fn values(cell: &CellResult) -> Vec<FieldValue> {
    let measured: Vec<&Slice> = cell.slices.iter().filter(|slice| slice.from_ns >= 0).collect();
    let rates =
        || measured.iter().map(|s| s.completed() as f64 / (s.length_ns.max(1) as f64 / 1e9));
    let medians = || measured.iter().filter_map(|slice| median(slice));
    let count = |count: usize| FieldValue::number(Some(count as f64), |v| format!("{v:.0}"));
    vec![
        FieldValue::Text(cell.steadiness.map_or(NOTHING, steadiness_words).into()),
        count(cell.slices.len() - measured.len()),
        count(measured.len()),
        FieldValue::number(rates().reduce(f64::min), digits),
        FieldValue::number(rates().reduce(f64::max), digits),
        FieldValue::number(medians().reduce(f64::min), ns),
        FieldValue::number(medians().reduce(f64::max), ns),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn buckets_reach_down_to_the_next_one_and_not_across_gaps() {
        let mut cell = fixture::open().groups[0].cells[3].clone();
        let slice = |latencies: &[(u64, u64)]| Slice {
            from_ns: 0,
            length_ns: 1,
            latencies: latencies.to_vec(),
        };
        cell.slices = vec![slice(&[(1000, 1), (2000, 1), (4000, 1)]), slice(&[(64_000, 1)])];
        let resolution = Resolution::of(std::iter::once(&cell));
        assert_eq!(resolution.bucket(4000), (2000.0, 4000.0));
        assert_eq!(resolution.bucket(64_000), (32_000.0, 64_000.0));
    }

    #[test]
    fn steadiness_is_said_in_words() {
        let words = steadiness(&fixture::open().groups[0]);
        assert!(
            words.starts_with("tokio unsteady; thread-pool(64) drifting; threads warming; "),
            "{words}"
        );
    }

    #[test]
    fn a_slices_median_is_in_a_bucket() {
        let slice = Slice { from_ns: 0, length_ns: 1, latencies: vec![(10, 3), (20, 1), (30, 3)] };
        assert_eq!(median(&slice), Some(20.0));
        assert_eq!(median(&Slice::default()), None);
    }
}
