//! Along a sweep: its groups in the order of the swept quantity, who has cells there, and whose
//! throughput falls.

use crate::{
    analysis::{CellGroup, CellResult, MetricId, ScenarioResult, Sweep},
    report::{
        format::{label, prose},
        view::params,
    },
};

/// More falls than this are counted in a heading, and one is named.
const NAMED: usize = 3;

/// The groups of a sweep by the swept value, ascending: those that have the sweep's other
/// parameters.
pub fn groups<'a>(scenario: &'a ScenarioResult, sweep: &Sweep) -> Vec<(f64, &'a CellGroup)> {
    let value = |group: &CellGroup| {
        let swept = group.params.iter().find(|param| param.name == sweep.param)?;
        sweep.unit.value(&swept.value)
    };
    let is_of = |group: &&CellGroup| {
        group.params.iter().filter(|param| param.name != sweep.param).eq(&sweep.at)
    };
    let of = scenario.groups.iter().filter(is_of);
    let mut groups: Vec<(f64, &CellGroup)> =
        of.filter_map(|group| Some((value(group)?, group))).collect();
    groups.sort_by(|a, b| a.0.total_cmp(&b.0));
    groups
}

/// A cell of every executor that has one in any of the groups, in the order in which they come.
pub fn executors<'a>(groups: &[(f64, &'a CellGroup)]) -> Vec<&'a CellResult> {
    let mut found: Vec<&CellResult> = Vec::new();
    for cell in groups.iter().flat_map(|(_, group)| &group.cells) {
        if !found.iter().any(|other| other.executor == cell.executor) {
            found.push(cell);
        }
    }
    found
}

/// Whose throughput falls along one sweep: `Throughput falls: threads after concurrency=256`.
pub fn finding(scenario: &ScenarioResult, sweep: &Sweep) -> String {
    let name = |peak: &CellGroup| {
        params(&peak.params.iter().filter(|p| p.name == sweep.param).cloned().collect::<Vec<_>>())
    };
    let fallen: Vec<String> =
        falls(scenario, sweep).iter().map(|(cell, peak)| after(cell, &name(peak))).collect();
    said(scenario.primary, &sweep.param, &fallen)
}

/// As [`finding`], over every sweep of a parameter: where there are several, with the other
/// parameters.
pub fn heading(scenario: &ScenarioResult, param: &str) -> String {
    let sweeps: Vec<&Sweep> = scenario.sweeps.iter().filter(|sweep| sweep.param == param).collect();
    if let [one] = sweeps.as_slice() {
        return finding(scenario, one);
    }
    let lines: usize = sweeps.iter().map(|sweep| executors(&groups(scenario, sweep)).len()).sum();
    let fallen: Vec<String> = sweeps
        .iter()
        .flat_map(|sweep| falls(scenario, sweep))
        .map(|(cell, peak)| after(cell, &params(&peak.params)))
        .collect();
    match fallen.as_slice() {
        [first, ..] if fallen.len() > NAMED && scenario.primary == MetricId::Throughput => {
            format!(
                "Throughput falls as {param} grows on {} of {lines} lines, such as {first}",
                fallen.len()
            )
        }
        few => said(scenario.primary, param, few),
    }
}

fn said(primary: MetricId, param: &str, fallen: &[String]) -> String {
    if primary != MetricId::Throughput {
        return format!("How the {} changes with {param}", label(primary));
    }
    if fallen.is_empty() {
        return format!("No executor is shown to lose throughput as {param} grows");
    }
    format!("Throughput falls: {}", prose(fallen))
}

fn after(cell: &CellResult, peak: &str) -> String {
    format!("{} after {peak}", cell.label)
}

/// The executors whose throughput falls along a sweep, each with the group where it is highest.
fn falls<'a>(scenario: &'a ScenarioResult, sweep: &Sweep) -> Vec<(&'a CellResult, &'a CellGroup)> {
    let groups = groups(scenario, sweep);
    let peak =
        |cell: &'a CellResult| Some((cell, peak_before_a_fall(&groups, cell, scenario.primary)?));
    executors(&groups).into_iter().filter_map(peak).collect()
}

/// Where an executor's median is highest, if the intervals there and at its last value are apart.
fn peak_before_a_fall<'a>(
    groups: &[(f64, &'a CellGroup)],
    like: &CellResult,
    id: MetricId,
) -> Option<&'a CellGroup> {
    let ranked = groups.iter().filter_map(|&(_, group)| {
        let cell = group.cell(&like.executor).filter(|cell| cell.is_ranked())?;
        Some((group, cell.metrics.get(&id)?))
    });
    let values: Vec<_> = ranked.collect();
    let (at, peak) = values.iter().max_by(|a, b| a.1.median.total_cmp(&b.1.median))?;
    let (_, end) = values.last()?;
    let apart = matches!((peak.interval, end.interval), (Some(peak), Some(end)) if end.1 < peak.0);
    apart.then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{analysis::analyse, store::fixture::Fixture};

    /// Parameters, and the rates of threads and tokio at them.
    type At<'a> = (&'a [(&'a str, &'a str)], [f64; 2]);

    /// Seven rounds of threads and tokio at these parameters, in this order.
    fn scenario(cells: &[At<'_>]) -> ScenarioResult {
        let fixture =
            cells.iter().fold(Fixture::closed("threads", 7), |fixture, (at, [threads, tokio])| {
                fixture.cell("threads", at, &[*threads; 7]).cell("tokio", at, &[*tokio; 7])
            });
        analyse(&fixture.build()).scenarios.remove(0)
    }

    #[test]
    fn a_sweep_that_was_planned_downwards_is_read_upwards() {
        let at = |n: &'static str| [("concurrency", n)];
        let rising =
            scenario(&[(&at("16"), [900.0; 2]), (&at("4"), [300.0; 2]), (&at("1"), [100.0; 2])]);
        let values: Vec<f64> =
            groups(&rising, &rising.sweeps[0]).iter().map(|(value, _)| *value).collect();
        assert_eq!(values, [1.0, 4.0, 16.0]);
        assert_eq!(
            heading(&rising, "concurrency"),
            "No executor is shown to lose throughput as concurrency grows"
        );
        let falling = scenario(&[
            (&at("16"), [300.0, 900.0]),
            (&at("4"), [500.0; 2]),
            (&at("1"), [100.0; 2]),
        ]);
        assert_eq!(
            finding(&falling, &falling.sweeps[0]),
            "Throughput falls: threads after concurrency=4"
        );
    }

    /// Both rise with concurrency, and fall as the wait gets longer; only threads fall at a wait of
    /// 1 ms.
    fn crossed() -> ScenarioResult {
        let at = |wait: &'static str, n: &'static str| [("wait", wait), ("concurrency", n)];
        scenario(&[
            (&at("1ms", "1"), [900.0, 900.0]),
            (&at("1ms", "16"), [800.0, 9_000.0]),
            (&at("4ms", "1"), [200.0, 200.0]),
            (&at("4ms", "16"), [3_000.0, 3_000.0]),
        ])
    }

    #[test]
    fn a_sweep_is_told_by_itself_and_all_of_a_parameter_with_the_others() {
        let scenario = crossed();
        let told = |param: &str, at: &str| {
            let of = |sweep: &&Sweep| sweep.param == param && sweep.at[0].value == at;
            finding(&scenario, scenario.sweeps.iter().find(of).expect("a sweep"))
        };
        assert_eq!(told("concurrency", "1ms"), "Throughput falls: threads after concurrency=1");
        assert_eq!(
            told("concurrency", "4ms"),
            "No executor is shown to lose throughput as concurrency grows"
        );
        assert_eq!(
            told("wait", "1"),
            "Throughput falls: threads after wait=1ms and tokio after wait=1ms"
        );
        assert_eq!(told("wait", "16"), "Throughput falls: tokio after wait=1ms");
        assert_eq!(
            heading(&scenario, "concurrency"),
            "Throughput falls: threads after wait=1ms concurrency=1"
        );
    }

    #[test]
    fn many_falls_are_counted() {
        let at = |wait: &'static str, n: &'static str| [("wait", wait), ("concurrency", n)];
        let scenario = scenario(&[
            (&at("1ms", "1"), [900.0; 2]),
            (&at("1ms", "16"), [9_000.0; 2]),
            (&at("4ms", "1"), [200.0; 2]),
            (&at("4ms", "16"), [3_000.0; 2]),
        ]);
        let many = "Throughput falls as wait grows on 4 of 4 lines, such as threads after wait=1ms concurrency=1";
        assert_eq!(heading(&scenario, "wait"), many);
        assert_eq!(
            heading(&scenario, "concurrency"),
            "No executor is shown to lose throughput as concurrency grows"
        );
    }

    #[test]
    fn an_executor_that_the_first_group_lacks_is_there() {
        let fixture = Fixture::closed("threads", 7).cell("threads", &[("n", "1")], &[100.0; 7]);
        let fixture = ["2", "4"].iter().fold(fixture, |fixture, n| {
            let at = [("n", *n)];
            fixture.cell("threads", &at, &[100.0; 7]).cell(
                "tokio",
                &at,
                &[if *n == "2" { 400.0 } else { 90.0 }; 7],
            )
        });
        let scenario = analyse(&fixture.build()).scenarios.remove(0);
        let names = |cells: Vec<&CellResult>| {
            cells.iter().map(|cell| cell.label.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(executors(&groups(&scenario, &scenario.sweeps[0]))), ["threads", "tokio"]);
        assert_eq!(heading(&scenario, "n"), "Throughput falls: tokio after n=2");
    }
}
