//! A section: how late each executor runs what is ready, as a probe beside the tasks has seen it.

use maud::{Markup, html};

use super::part::{FieldValue, Page, not_ranked, table};
use crate::{
    analysis::{CellGroup, CellResult, MetricId},
    measure::{Delay, Histo},
    report::{
        sentence,
        view::{group_name, group_title, without_delays},
    },
};

/// The quantiles that are shown.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

pub(super) fn render(page: &Page<'_>) -> Option<(String, Markup)> {
    let body = page.per_scenario(|_, scenario| {
        let groups: Vec<Markup> = scenario.groups.iter().filter_map(of_group).collect();
        (!groups.is_empty()).then(|| html! { div.grid { @for group in &groups { (group) } } })
    })?;
    let p99 = |cell: &CellResult| cell.metrics.get(&MetricId::DelayP99).map(|value| value.median);
    let heading = sentence::widest(&page.analysis.scenarios, p99).map_or_else(
        || "How late each executor runs what is ready".to_string(),
        |(s, g)| {
            format!(
                "{} in {} at {}",
                sentence::spread(g, MetricId::DelayP99),
                s.title(),
                group_name(g)
            )
        },
    );
    let body = html! {
        p.note {
            "A probe beside the tasks asks its executor to run it every millisecond. What is shown is how late it ran, the \
             executor's timer included: an event loop that is blocked keeps everything else waiting."
        }
        (body)
    };
    Some((sentence::capital(&heading), body))
}

fn of_group(group: &CellGroup) -> Option<Markup> {
    let rows: Vec<(Option<&CellResult>, Vec<FieldValue>)> = group
        .cells
        .iter()
        .filter_map(|cell| match &cell.delay {
            Some(Delay::Measured(delays)) => Some((Some(cell), values(delays))),
            _ => None,
        })
        .collect();
    let absent: Vec<String> =
        without_delays(group).iter().map(|words| sentence::upper(words)).collect();
    let heads: Vec<&str> =
        ["executor"].into_iter().chain(QUANTILES.map(|(name, _)| name)).chain(["max"]).collect();
    (!rows.is_empty() || !absent.is_empty()).then(|| {
        html! {
            div {
                p { strong { (group_title(group)) } }
                @if !rows.is_empty() { (table(&heads, &rows)) }
                @for words in &absent { p.note { (words) } }
                (not_ranked(group))
            }
        }
    })
}

fn values(delays: &Histo) -> Vec<FieldValue> {
    let quantile = |(_, q)| FieldValue::time(delays.bound(q));
    let most = FieldValue::time(delays.greatest_bound());
    QUANTILES.map(quantile).into_iter().chain([most]).collect()
}
