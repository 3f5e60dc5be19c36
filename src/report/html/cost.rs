//! A section: what is paid in CPU time, memory and context switches.

use maud::{Markup, html};

use super::part::{FieldValue, Page, bar_row, caption, figure, not_ranked, table};
use crate::{
    analysis::{CellGroup, CellResult, MetricId},
    report::{
        chart::{self, BarRow, Base, Panel},
        format::{label, metric},
        sentence,
        view::group_name,
    },
};

/// What is drawn, with short titles that name the unit of work.
const DRAWN: [(MetricId, &str, Base); 3] = [
    (MetricId::CpuPerThousand, "CPU per 1000 tasks", Base::Ten),
    (MetricId::MemoryPerSlot, "memory per slot", Base::Two),
    (MetricId::Switches, "switches per task", Base::Ten),
];
/// What the table adds.
const LISTED: [MetricId; 9] = [
    MetricId::CpuPerThousand,
    MetricId::CpuUser,
    MetricId::CpuSystem,
    MetricId::Switches,
    MetricId::MemoryPerSlot,
    MetricId::ExecutorMemory,
    MetricId::HarnessMemory,
    MetricId::PeakMemory,
    MetricId::Threads,
];

pub(super) fn render(page: &Page<'_>) -> Option<(String, Markup)> {
    let body = page.per_scenario(|index, scenario| {
        let groups = scenario.groups.iter().enumerate();
        let figures: Vec<Markup> =
            groups.filter_map(|(g, group)| group_figure((index, g), group)).collect();
        (!figures.is_empty()).then(|| html! { div.grid { @for f in &figures { (f) } } })
    })?;
    let cpu = |cell: &CellResult| cell.metrics.get(&MetricId::CpuPerThousand).map(|v| v.median);
    let heading = sentence::widest(&page.analysis.scenarios, cpu).map_or_else(
        || {
            sentence::none_widest(
                &page.analysis.scenarios,
                "CPU time was not measured for two executors",
            )
        },
        |(s, g)| {
            format!(
                "{} in {} at {}",
                sentence::spread(g, MetricId::CpuPerThousand),
                s.title(),
                group_name(g)
            )
        },
    );
    Some((heading, body))
}

fn group_figure(place: (usize, usize), group: &CellGroup) -> Option<Markup> {
    let rows: Vec<&CellResult> = group.cells.iter().filter(|c| !c.metrics.is_empty()).collect();
    if rows.is_empty() {
        return None;
    }
    let caption =
        caption("cost", place, group, "Cost", sentence::spread(group, MetricId::CpuPerThousand));
    let formats = DRAWN.map(|(id, ..)| move |v: f64| metric(id, v));
    let panels: Vec<Panel<'_>> = DRAWN
        .iter()
        .zip(&formats)
        .map(|((id, title, base), format)| Panel {
            title,
            base: *base,
            values: rows.iter().map(|c| c.metrics.get(id).map(|v| v.median)).collect(),
            format,
        })
        .collect();
    let names: Vec<BarRow> = rows.iter().map(|cell| bar_row(cell)).collect();
    let chart = chart::panels(&caption, &names, &panels);
    Some(html! { div { (figure(&caption, &chart, &cost_table(&rows))) (not_ranked(group)) } })
}

fn cost_table(rows: &[&CellResult]) -> Markup {
    let heads: Vec<&str> = std::iter::once("executor").chain(LISTED.map(label)).collect();
    let rows: Vec<_> = rows
        .iter()
        .map(|cell| {
            let value = |id: MetricId| {
                FieldValue::number(cell.metrics.get(&id).map(|v| v.median), |v| metric(id, v))
            };
            (Some(*cell), LISTED.map(value).into_iter().collect())
        })
        .collect();
    table(&heads, &rows)
}
