//! A section: latency over the rate that an open load offers.

use maud::{Markup, html};

use super::{
    latency::limits,
    part::{FieldValue, Page, limit, not_ranked_at, pair, table, verdict},
};
use crate::{
    analysis::{CellGroup, CellResult, ScenarioResult},
    measure::Histo,
    report::{
        chart::{self, Caption, LoadPoint, ident},
        format::{digits, ns, prose},
        line::executors,
        sentence,
        validity::{is_unranked, validity_mark},
        view::params,
    },
    scenario::Param,
};

/// Less than this part of what was offered is not "achieved".
const ACHIEVED: f64 = 0.99;
/// Offered rates closer than this are the same: arrivals are counted in windows that differ a
/// little.
const SAME_RATE: f64 = 0.02;

pub(super) fn render(page: &Page<'_>) -> Option<(String, Markup)> {
    let body = page.per_scenario(|index, scenario| {
        let parts: Vec<Markup> =
            facets(scenario).iter().enumerate().map(|(f, facet)| part(page, (index, f), scenario, facet)).collect();
        let note = html! {
            p.note {
                "Latency from a task's intended start, by the rate that was offered. A hollow marker on hatched ground: less than 99 % of it was achieved, \
                 and the latency is that of a queue that grows as long as the load lasts."
            }
        };
        (!parts.is_empty()).then(|| html! { (note) @for part in &parts { (part) } })
    })?;
    let first =
        page.analysis.scenarios.iter().find_map(|scenario| facets(scenario).into_iter().next())?;
    Some((sentence::upper(&finding(&first)), body))
}

/// Groups that differ only in their rate, by the rate that was offered.
struct Facet<'a> {
    /// The other parameters.
    at: Vec<&'a Param>,
    groups: Vec<(f64, &'a CellGroup)>,
}

/// The rate that a group's load offered; none for other loads.
fn offered(group: &CellGroup) -> Option<f64> {
    group.cells.iter().find_map(CellResult::offered).filter(|rate| *rate > 0.0)
}

fn same(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() < SAME_RATE
}

/// The swept parameter that is the rate: where it differs and the others do not, so does what was
/// offered, and where it does not differ, what was offered does not either.
fn rate_param<'a>(groups: &[(f64, &'a CellGroup)]) -> Option<&'a str> {
    let value = |group: &'a CellGroup, name: &str| {
        group.params.iter().find(|p| p.name == name).map(|p| p.value.as_str())
    };
    let is_rate = |name: &str| {
        let pairs = || groups.iter().flat_map(|a| groups.iter().map(move |b| (a, b)));
        let varies = pairs().any(|(a, b)| value(a.1, name) != value(b.1, name));
        varies && pairs().all(|(a, b)| (value(a.1, name) == value(b.1, name)) == same(a.0, b.0))
    };
    let first = groups.first()?.1;
    first.params.iter().map(|p| p.name.as_str()).find(|name| is_rate(name))
}

fn facets(scenario: &ScenarioResult) -> Vec<Facet<'_>> {
    let groups: Vec<(f64, &CellGroup)> =
        scenario.groups.iter().filter_map(|g| Some((offered(g)?, g))).collect();
    let rate = rate_param(&groups);
    let mut facets: Vec<Facet<'_>> = Vec::new();
    for (offered, group) in groups {
        let at: Vec<&Param> =
            group.params.iter().filter(|p| Some(p.name.as_str()) != rate).collect();
        match facets.iter_mut().find(|facet| facet.at == at) {
            Some(facet) => facet.groups.push((offered, group)),
            None => facets.push(Facet { at, groups: vec![(offered, group)] }),
        }
    }
    for facet in &mut facets {
        facet.groups.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    facets
}

/// Whether less than was offered was achieved.
fn is_short(cell: &CellResult) -> bool {
    matches!((cell.offered(), cell.achieved()), (Some(offered), Some(achieved)) if achieved < ACHIEVED * offered)
}

/// Up to which of the offered rates each executor kept up: `highest rate achieved: 4.00k/s by tokio
/// and smol, …`.
fn finding(facet: &Facet<'_>) -> String {
    let mut by_rate: Vec<(f64, Vec<String>)> = Vec::new();
    let mut never = Vec::new();
    for cell in executors(&facet.groups) {
        let kept = |(_, group): &&(f64, &CellGroup)| {
            find(group, cell).is_some_and(|c| c.is_ranked() && !is_short(c))
        };
        match facet.groups.iter().rev().find(kept) {
            Some((rate, _)) => match by_rate.iter_mut().find(|(known, _)| same(*known, *rate)) {
                Some((_, labels)) => labels.push(cell.label.clone()),
                None => by_rate.push((*rate, vec![cell.label.clone()])),
            },
            None => never.push(cell.label.clone()),
        }
    }
    by_rate.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut parts: Vec<String> = by_rate
        .iter()
        .map(|(rate, labels)| format!("{}/s by {}", digits(*rate), prose(labels)))
        .collect();
    if !never.is_empty() {
        parts.push(format!("none by {}", prose(&never)));
    }
    let at = if facet.at.is_empty() { String::new() } else { format!(" at {}", at(facet)) };
    format!("the highest rate that was offered, achieved and valid{at}: {}", parts.join(", "))
}

fn at(facet: &Facet<'_>) -> String {
    params(&facet.at.iter().map(|p| (*p).clone()).collect::<Vec<_>>())
}

fn find<'a>(group: &'a CellGroup, like: &CellResult) -> Option<&'a CellResult> {
    group.cells.iter().find(|cell| cell.executor == like.executor)
}

fn part(
    page: &Page<'_>,
    (index, number): (usize, usize),
    scenario: &ScenarioResult,
    facet: &Facet<'_>,
) -> Markup {
    let head =
        if facet.at.is_empty() { "Latency over the offered rate".to_string() } else { at(facet) };
    let caption = Caption {
        id: format!("load-{index}-{number}"),
        title: if facet.at.is_empty() {
            head.clone()
        } else {
            format!("Latency over the offered rate: {head}")
        },
        head,
        finding: finding(facet),
    };
    let table = rate_table(facet);
    let charts =
        if facet.groups.len() > 1 { charts(page, scenario, facet, &caption) } else { Vec::new() };
    let notes = html! { @for (_, group) in &facet.groups { (not_ranked_at(group)) } };
    if charts.is_empty() {
        // A single rate is no curve.
        return html! { h4 { (caption.head) } p.note { (sentence::upper(&caption.finding)) "." } (table) };
    }
    html! { (pair(&caption, &charts, &table)) details.unranked { summary { "Which cells are not ranked" } (notes) } }
}

/// p50 and p99 beside each other, on the same axis.
fn charts(
    page: &Page<'_>,
    scenario: &ScenarioResult,
    facet: &Facet<'_>,
    caption: &Caption,
) -> Vec<Markup> {
    let quantiles = [("p50", 0.5), ("p99", 0.99)];
    let cells = || facet.groups.iter().flat_map(|(_, group)| &group.cells);
    let reach: Vec<f64> = cells()
        .flat_map(|cell| quantiles.map(|(_, q)| cell.latency.quantile(q)))
        .flatten()
        .map(|value| value as f64)
        .collect();
    let chart = |(name, q): (&str, f64)| {
        let limits = limits(page, scenario, facet.groups.first()?.1, Some(q));
        let lines: Vec<_> = executors(&facet.groups)
            .into_iter()
            .map(|cell| (ident(&cell.executor), cell.label.clone(), points(facet, cell, (name, q))))
            .collect();
        let caption = Caption {
            id: format!("{}-{name}", caption.id),
            title: format!("{name}: {}", caption.title),
            ..caption.clone()
        };
        chart::load(&caption, &lines, &reach, &limits, name)
    };
    quantiles.into_iter().filter_map(chart).collect()
}

fn points(facet: &Facet<'_>, like: &CellResult, (name, q): (&str, f64)) -> Vec<LoadPoint> {
    let point = |(offered, group): &(f64, &CellGroup)| {
        let cell = find(group, like)?;
        let latency = cell.latency.quantile(q).map(|value| value as f64);
        let state = if is_unranked(cell) {
            format!(", {}", validity_mark(cell.judgement.validity).words)
        } else {
            String::new()
        };
        Some(LoadPoint {
            offered: *offered,
            latency: latency.unwrap_or(f64::NAN),
            short: is_short(cell),
            hatched: is_unranked(cell),
            tip: format!(
                "{} at {}/s: {name} {}, {}/s achieved{state}",
                cell.label,
                digits(*offered),
                latency.map(ns).unwrap_or_default(),
                cell.achieved().map(digits).unwrap_or_default()
            ),
        })
    };
    facet.groups.iter().filter_map(point).collect()
}

fn rate_table(facet: &Facet<'_>) -> Markup {
    let heads = [
        "executor",
        "offered/s",
        "achieved/s",
        "dropped",
        "delayed",
        "censored",
        "p50",
        "p99",
        "pacer p99",
        "limited by",
        "verdict",
    ];
    let mut rows = Vec::new();
    for (_, group) in &facet.groups {
        rows.extend(group.cells.iter().map(|cell| (Some(cell), values(group, cell))));
    }
    table(&heads, &rows)
}

fn values(group: &CellGroup, cell: &CellResult) -> Vec<FieldValue> {
    let arrivals = cell.arrivals.as_ref();
    let count =
        |value: Option<u64>| FieldValue::number(value.map(|v| v as f64), |v| format!("{v:.0}"));
    let time = |histo: Option<&Histo>, q| FieldValue::time(histo.and_then(|h| h.bound(q)));
    vec![
        FieldValue::number(cell.offered(), digits),
        FieldValue::number(cell.achieved(), digits),
        count(arrivals.map(|a| a.dropped)),
        count(arrivals.map(|a| a.delayed)),
        count(arrivals.map(|a| a.censored)),
        time(Some(&cell.latency), 0.5),
        time(Some(&cell.latency), 0.99),
        time(arrivals.map(|a| &a.pacer), 0.99),
        limit(cell),
        verdict(group, cell),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn the_rate_is_found_by_what_was_offered() {
        let scenario = fixture::open();
        let facets = facets(&scenario);
        assert_eq!(facets.len(), 2, "one per length of the body");
        assert_eq!(at(&facets[1]), "body=16KiB");
        let rates: Vec<f64> = facets[0].groups.iter().map(|(rate, _)| *rate).collect();
        assert_eq!(rates, [500.0, 1000.0, 2000.0, 4000.0, 8000.0]);
        assert!(
            super::facets(&fixture::analysis().scenarios[0]).is_empty(),
            "a closed load offers no rate"
        );
    }

    #[test]
    fn the_highest_rate_is_named_only_where_it_was_achieved_and_is_valid() {
        let scenario = fixture::open();
        let facets = facets(&scenario);
        let words = finding(&facets[0]);
        assert!(words.contains("8.00k/s by tokio, tokio-current-thread and smol"), "{words}");
        assert!(words.ends_with("500/s by sequential"), "{words}");
        let bound = finding(&facets[1]);
        assert!(bound.ends_with("none by tokio"), "target-bound at every rate: {bound}");
    }

    #[test]
    fn an_executor_that_the_lowest_rate_lacks_has_its_line_and_its_words() {
        let mut scenario = fixture::open();
        let lowest = scenario
            .groups
            .iter_mut()
            .find(|group| offered(group).is_some_and(|rate| same(rate, 500.0)));
        lowest.expect("a group").cells.retain(|cell| cell.executor == "smol");
        let facets = facets(&scenario);
        let words = finding(&facets[0]);
        assert!(words.contains("8.00k/s by smol, tokio and tokio-current-thread"), "{words}");
        assert!(words.ends_with("none by sequential"), "{words}");
    }

    #[test]
    fn a_point_says_what_was_achieved() {
        let scenario = fixture::open();
        let facet = &facets(&scenario)[0];
        let points = points(facet, executors(&facet.groups)[0], ("p99", 0.99));
        assert_eq!(
            points.iter().map(|p| p.short).collect::<Vec<_>>(),
            [false, true, true, true, true]
        );
        assert!(points[1].tip.ends_with("900/s achieved, OVERLOADED"), "{}", points[1].tip);
    }
}
