//! A section: throughput, makespan or latency over a swept quantity.

use maud::{Markup, html};

use super::part::{FieldValue, Page, figure, not_ranked_at, table};
use crate::{
    analysis::{CellGroup, CellResult, ScenarioResult, Sweep, Unit},
    report::{
        chart::{self, Caption, CrossingMark, Curve, LawLine, Overlay, Point, ident},
        format::{digits, label, metric},
        line, sentence, sweeps,
        validity::is_unranked,
        view::status_words,
    },
};

pub(super) fn render(page: &Page<'_>) -> Option<(String, Markup)> {
    let of =
        |scenario| params_of(scenario).into_iter().map(move |param| line::heading(scenario, param));
    let headings: Vec<String> = page.analysis.scenarios.iter().flat_map(of).collect();
    let body = page.per_scenario(|index, scenario| {
        let sweeps = scenario.sweeps.iter().enumerate();
        let figures: Vec<Markup> = sweeps
            .filter_map(|(number, sweep)| sweep_figure((index, number), scenario, sweep))
            .collect();
        (!figures.is_empty()).then(|| html! { div.grid { @for f in &figures { (f) } } })
    })?;
    let heading = headings.first().cloned().unwrap_or_default();
    let more = if headings.len() > 1 {
        format!("; {} more below", headings.len() - 1)
    } else {
        String::new()
    };
    Some((format!("{heading}{more}"), body))
}

/// The parameters that are swept over a quantity, each once.
fn params_of(scenario: &ScenarioResult) -> Vec<&str> {
    let mut params: Vec<&str> = scenario.sweeps.iter().map(|sweep| sweep.param.as_str()).collect();
    params.dedup();
    params
}

fn sweep_figure(
    (scenario_index, number): (usize, usize),
    scenario: &ScenarioResult,
    sweep: &Sweep,
) -> Option<Markup> {
    let (id, unit, groups) = (scenario.primary, sweep.unit, line::groups(scenario, sweep));
    let head = format!("{} {}", sentence::capital(label(id)), sweeps::over(sweep));
    let caption = Caption {
        id: format!("scaling-{scenario_index}-{number}"),
        title: head.clone(),
        head,
        finding: line::finding(scenario, sweep),
    };
    let curves: Vec<Curve> = line::executors(&groups)
        .into_iter()
        .map(|cell| curve(scenario, unit, &groups, cell))
        .collect();
    let up = format!("{}, median over rounds with 95 % interval", label(id));
    let overlay =
        Overlay { hatched: hatched(scenario, &groups), ..overlay(scenario, sweep, &groups) };
    let format = (|x| unit.format(x), |v| metric(id, v));
    let chart = chart::scaling(&caption, &curves, &overlay, (&sweep.param, &up), format)?;
    let lines = [sweeps::lines(sweep), sweeps::residuals(sweep)].concat();
    Some(html! {
        div {
            (figure(&caption, &chart, &sweep_table(scenario, sweep, &groups)))
            @for (_, group) in &groups { (not_ranked_at(group)) }
            @if !lines.is_empty() { details { summary { "Crossings and laws" } ul { @for line in &lines { li { (line) } } } } }
        }
    })
}

/// The places of cells that are not ranked.
fn hatched(scenario: &ScenarioResult, groups: &[(f64, &CellGroup)]) -> Vec<(f64, f64)> {
    let cells = groups.iter().flat_map(|&(x, group)| group.cells.iter().map(move |cell| (x, cell)));
    let unranked = cells.filter(|(_, cell)| is_unranked(cell));
    unranked
        .filter_map(|(x, cell)| Some((x, cell.metrics.get(&scenario.primary)?.median)))
        .collect()
}

/// Laws over the measured range, and the crossings of the metric that is drawn, on the line of one
/// of the two.
fn overlay(scenario: &ScenarioResult, sweep: &Sweep, groups: &[(f64, &CellGroup)]) -> Overlay {
    let mut overlay = Overlay::default();
    for law in &sweep.laws {
        let Some(fit) = &law.fit else { continue };
        let tip = format!("{}: {}", law.label, sweeps::fit_words(fit));
        overlay.laws.push(LawLine { ident: ident(&law.executor), tip, points: fit.curve() });
    }
    for pair in sweep.pairs.iter().filter(|pair| pair.metric == scenario.primary) {
        for crossing in &pair.crossings {
            let Some(x) = crossing.estimate else { continue };
            let Some(y) = height(scenario, groups, &pair.executors[0], x) else { continue };
            let tip = sweeps::crossing(sweep, pair, crossing);
            overlay.crossings.push(CrossingMark { at: (x, y), interval: crossing.interval, tip });
        }
    }
    overlay
}

/// Where an executor's line is at a value: straight between medians, on logarithmic axes.
fn height(
    scenario: &ScenarioResult,
    groups: &[(f64, &CellGroup)],
    executor: &str,
    x: f64,
) -> Option<f64> {
    let value =
        |group: &CellGroup| Some(group.cell(executor)?.metrics.get(&scenario.primary)?.median);
    let known: Vec<(f64, f64)> =
        groups.iter().filter_map(|&(x, group)| Some((x, value(group)?))).collect();
    let ends = known.windows(2).find(|ends| ends[0].0 <= x && x <= ends[1].0)?;
    let [(left, low), (right, high)] = [ends[0], ends[1]];
    let share = (x / left).ln() / (right / left).ln();
    Some(low * (high / low).powf(share))
}

fn same<'a>(group: &'a CellGroup, cell: &CellResult) -> Option<&'a CellResult> {
    group.cells.iter().find(|c| c.executor == cell.executor)
}

fn curve(
    scenario: &ScenarioResult,
    unit: Unit,
    groups: &[(f64, &CellGroup)],
    cell: &CellResult,
) -> Curve {
    let points = groups.iter().map(|&(x, group)| {
        let value = same(group, cell).and_then(|c| c.metrics.get(&scenario.primary));
        let y = value.map_or(f64::NAN, |v| v.median);
        let tip = value.map(|v| {
            format!("{} at {}: {}", cell.label, unit.format(x), metric(scenario.primary, v.median))
        });
        Point { x, y, interval: value.and_then(|v| v.interval), tip: tip.unwrap_or_default() }
    });
    Curve { ident: ident(&cell.executor), label: cell.label.clone(), points: points.collect() }
}

fn sweep_table(scenario: &ScenarioResult, sweep: &Sweep, groups: &[(f64, &CellGroup)]) -> Markup {
    let heads: Vec<String> =
        groups.iter().map(|(x, _)| format!("{}={}", sweep.param, sweep.unit.format(*x))).collect();
    let heads: Vec<&str> =
        std::iter::once("executor").chain(heads.iter().map(String::as_str)).collect();
    let rows: Vec<_> = line::executors(groups)
        .into_iter()
        .map(|cell| {
            let value = |group: &CellGroup| match same(group, cell) {
                Some(c) => match c.metrics.get(&scenario.primary) {
                    Some(v) => FieldValue::number(Some(v.median), |v| metric(scenario.primary, v)),
                    None => FieldValue::Text(status_words(c)),
                },
                None => FieldValue::number(None, digits),
            };
            (Some(cell), groups.iter().map(|(_, group)| value(group)).collect())
        })
        .collect();
    table(&heads, &rows)
}

#[cfg(test)]
mod tests {
    use crate::{
        analysis::analyse,
        report::html,
        store::fixture::{Fixture, clients, noisy},
    };

    /// The section of a run of threads and tokio over a wait and so many clients; tokio overtakes
    /// between 4 and 16.
    fn section() -> String {
        let waits = ["1ms", "4ms"]
            .iter()
            .flat_map(|wait| ["1", "2", "4", "8", "16", "32"].map(|n| (*wait, n)));
        let fixture =
            waits.zip(0..).fold(Fixture::closed("threads", 7), |fixture, ((wait, n), seed)| {
                let (at, clients) =
                    ([("wait", wait), ("clients", n)], n.parse::<f64>().expect("a number"));
                let threads =
                    fixture.cell("threads", &at, &noisy(200.0 * clients.sqrt(), 0.01, 7, seed));
                threads.cell("tokio", &at, &noisy(70.0 * clients, 0.01, 7, seed + 50))
            });
        let of = |n: &str| clients(n.parse().expect("a number"));
        let run = fixture.loads(|cell| of(&cell.params[1].value)).build();
        let page = html(&run.header, &analyse(&run));
        let section = page
            .split("<section id=\"scaling\">")
            .nth(1)
            .and_then(|rest| rest.split("</section>").next());
        section.expect("a section").to_owned()
    }

    #[test]
    fn every_swept_parameter_has_its_charts_with_crossings_and_laws() {
        let section = section();
        for at in [
            "clients at wait=1ms",
            "clients at wait=4ms",
            "wait at clients=1",
            "wait at clients=32",
        ] {
            assert!(
                section.contains(&format!("<strong>Throughput over {at}</strong>")),
                "{at}: {section}"
            );
        }
        assert_eq!(
            section.matches("role=\"img\"").count(),
            8,
            "two lines over clients, six over waits"
        );
        assert_eq!(
            section.matches("Universal Scalability Law: tokio λ = ").count(),
            2,
            "a law at each wait"
        );
        assert!(section.matches("threads and tokio cross at ").count() >= 2, "{section}");
        assert!(section.contains("Residuals of the law of tokio: "), "{section}");
        assert!(section.contains("; 1 more below</h2>"), "a heading for each parameter");
    }
}
