//! CSV: one row per cell, raw numbers, units in the column names (RFC 4180, with `\n` line ends).

use crate::{
    analysis::{Analysis, CellGroup, CellResult, ScenarioResult, Validity},
    measure::{Delay, Histo},
    report::{
        format::{key, seven_digits, shown},
        validity::evidence,
        view::{load_of, params, ratio_mark, status_mark},
    },
    store::Header,
};

/// Quantiles that get a column each.
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99_9", 0.999), ("p99_99", 0.9999)];

/// What is said of the arrivals of an open load.
const ARRIVALS: [&str; 8] = [
    "offered_per_s",
    "achieved_per_s",
    "scheduled",
    "dropped",
    "delayed",
    "censored",
    "most_in_flight",
    "pacer_p99_ns",
];

/// Every cell of the run as a row.
pub fn csv(_header: &Header, analysis: &Analysis) -> String {
    let mut text = line(&columns());
    for scenario in &analysis.scenarios {
        for group in &scenario.groups {
            for cell in &group.cells {
                text.push_str(&line(&row(scenario, group, cell)));
            }
        }
    }
    text
}

fn columns() -> Vec<String> {
    let first = [
        "scenario",
        "params",
        "load",
        "executor_cpus",
        "executor",
        "label",
        "slots",
        "status",
        "reason",
    ];
    let validity = ["validity", "rounds_judged", "rounds_valid", "evidence", "limit", "steadiness"];
    let ratio = ["ratio_to_baseline", "ratio_low", "ratio_high", "ratio_rounds", "ratio_verdict"];
    let last =
        ["completed", "errors", "timeouts", "clipped", "clipped_at_least_ns", "lane", "load_name"];
    let mut columns: Vec<String> = first.map(String::from).to_vec();
    columns.extend(validity.map(String::from));
    for id in shown() {
        let key = key(id);
        columns.extend([key.into(), format!("{key}_low"), format!("{key}_high")]);
    }
    for stream in ["latency", "service"] {
        columns.extend(QUANTILES.map(|(name, _)| format!("{stream}_{name}_ns")));
    }
    columns.extend(QUANTILES.map(|(name, _)| format!("scheduling_delay_{name}_ns")));
    columns.extend(ARRIVALS.map(String::from));
    columns.extend(ratio.map(String::from));
    columns.extend(last.map(String::from));
    columns
}

fn row(scenario: &ScenarioResult, group: &CellGroup, cell: &CellResult) -> Vec<String> {
    let (status, reason) = status_mark(&cell.status);
    let mut row = vec![
        scenario.name.clone(),
        params(&group.params),
        load_of(group),
        group.executor_cpus.to_string(),
        cell.executor.clone(),
        cell.label.clone(),
        cell.slots.to_string(),
        status.words.to_lowercase(),
        reason.to_string(),
    ];
    row.extend(validity(cell));
    for id in shown() {
        let value = cell.metrics.get(&id);
        let interval = value.and_then(|v| v.interval);
        row.extend([
            number(value.map(|v| v.median)),
            number(interval.map(|i| i.0)),
            number(interval.map(|i| i.1)),
        ]);
    }
    row.extend(quantiles(&cell.latency));
    row.extend(quantiles(&cell.service));
    row.extend(match &cell.delay {
        Some(Delay::Measured(delays)) => quantiles(delays).collect(),
        Some(Delay::NotApplicable(_)) | None => vec![String::new(); QUANTILES.len()],
    });
    row.extend(arrivals(cell));
    row.extend(ratio(cell));
    row.extend(
        [cell.counts.completed, cell.counts.errors, cell.counts.timeouts].map(|n| n.to_string()),
    );
    // Latencies that are only known to be at least so long: quantiles among them are left out.
    let (clipped, from_ns) =
        cell.latency.clipped().map_or_else(Default::default, |(n, ns)| (n, ns.to_string()));
    row.extend([clipped.to_string(), from_ns]);
    row.push(group.lane.unwrap_or_default().words().into());
    // Last, so that the columns of readers that go by place stay where they are.
    row.push(group.load_name.clone().unwrap_or_default());
    row
}

fn validity(cell: &CellResult) -> [String; 6] {
    if !cell.has_figures() {
        return Default::default();
    }
    let judgement = &cell.judgement;
    let valid =
        judgement.rounds.iter().filter(|(_, validity)| *validity == Validity::Valid).count();
    [
        judgement.validity.word().into(),
        judgement.rounds.len().to_string(),
        valid.to_string(),
        evidence(judgement).join("; "),
        judgement.limit.map(|limit| limit.words().into()).unwrap_or_default(),
        cell.steadiness.map(|class| format!("{class:?}").to_lowercase()).unwrap_or_default(),
    ]
}

/// What arrived in an open load; of others only what was given up, if something was.
fn arrivals(cell: &CellResult) -> [String; ARRIVALS.len()] {
    let Some(arrivals) = &cell.arrivals else {
        let given_up =
            ARRIVALS.map(|name| if name == "censored" { cell.counts.censored } else { 0 });
        return given_up.map(|count| if count > 0 { count.to_string() } else { String::new() });
    };
    let counts = [
        arrivals.scheduled,
        arrivals.dropped,
        arrivals.delayed,
        arrivals.censored,
        arrivals.most_in_flight,
    ];
    let [scheduled, dropped, delayed, censored, most] = counts.map(|count| count.to_string());
    let pacer = arrivals.pacer.quantile(0.99).map(|ns| ns.to_string()).unwrap_or_default();
    [
        number(cell.offered()),
        number(cell.achieved()),
        scheduled,
        dropped,
        delayed,
        censored,
        most,
        pacer,
    ]
}

fn ratio(cell: &CellResult) -> [String; 5] {
    let Some(ratio) = &cell.ratio else { return Default::default() };
    [
        number(Some(ratio.estimate)),
        number(ratio.interval.map(|i| i.0)),
        number(ratio.interval.map(|i| i.1)),
        ratio.rounds.to_string(),
        ratio_mark(ratio.verdict).words.into(),
    ]
}

fn quantiles(histo: &Histo) -> impl Iterator<Item = String> {
    QUANTILES
        .map(|(_, q)| histo.quantile(q).map(|ns| ns.to_string()).unwrap_or_default())
        .into_iter()
}

pub(super) fn number(value: Option<f64>) -> String {
    value.filter(|v| v.is_finite()).map(|v| seven_digits(v).to_string()).unwrap_or_default()
}

pub(super) fn line(fields: &[String]) -> String {
    let fields: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
    fields.join(",") + "\n"
}

fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn rows_hold_raw_numbers() {
        let mut analysis = fixture::small();
        analysis.scenarios.remove(0);
        analysis.scenarios[0].groups[0].cells.drain(..2);
        let text = csv(&fixture::header(), &analysis);
        let mut lines = text.lines().map(|line| line.split(','));
        let (columns, values) = (lines.next().expect("a heading"), lines.next().expect("a row"));
        let pairs: Vec<String> =
            columns.zip(values).map(|(column, value)| format!("{column}={value}")).collect();
        let rows_of_three: Vec<String> = pairs.chunks(3).map(|three| three.join(" | ")).collect();
        insta::assert_snapshot!(rows_of_three.join("\n"), @r#"
        scenario=hundred-calls | params= | load=batch of 100
        executor_cpus=1 | executor=tokio | label=tokio
        slots=5 | status=complete | reason=
        validity=VALID | rounds_judged=0 | rounds_valid=0
        evidence= | limit= | steadiness=
        makespan_ns=115783600 | makespan_ns_low=114097700 | makespan_ns_high=115885500
        throughput_per_s= | throughput_per_s_low= | throughput_per_s_high=
        cpu_s_per_1000_tasks=0.04376661 | cpu_s_per_1000_tasks_low=0.04354181 | cpu_s_per_1000_tasks_high=0.04390697
        cpu_user_ns_per_task=26243.15 | cpu_user_ns_per_task_low=26140.07 | cpu_user_ns_per_task_high=26304.41
        cpu_system_ns_per_task=17498.52 | cpu_system_ns_per_task_low=17430.47 | cpu_system_ns_per_task_high=17576.19
        context_switches_per_task=0.8109595 | context_switches_per_task_low=0.7975178 | context_switches_per_task_high=0.8161117
        peak_memory_bytes=8981352 | peak_memory_bytes_low=8962789 | peak_memory_bytes_high=9033319
        harness_memory_bytes= | harness_memory_bytes_low= | harness_memory_bytes_high=
        executor_memory_bytes= | executor_memory_bytes_low= | executor_memory_bytes_high=
        memory_bytes_per_slot=620.1014 | memory_bytes_per_slot_low=617.3063 | memory_bytes_per_slot_high=622.3895
        threads_max=2 | threads_max_low=2 | threads_max_high=2
        latency_p50_ns=98303999 | latency_p90_ns=137756671 | latency_p99_ns=203030527
        latency_p99_9_ns=249954303 | latency_p99_99_ns= | service_p50_ns=98303999
        service_p90_ns=137756671 | service_p99_ns=203030527 | service_p99_9_ns=249954303
        service_p99_99_ns= | scheduling_delay_p50_ns=1958911 | scheduling_delay_p90_ns=2732031
        scheduling_delay_p99_ns=4005887 | scheduling_delay_p99_9_ns= | scheduling_delay_p99_99_ns=
        offered_per_s= | achieved_per_s= | scheduled=
        dropped= | delayed= | censored=
        most_in_flight= | pacer_p99_ns= | ratio_to_baseline=1.386921
        ratio_low=1.366117 | ratio_high=1.407725 | ratio_rounds=7
        ratio_verdict=faster | completed=140000 | errors=12
        timeouts=3 | clipped=0 | clipped_at_least_ns=
        lane=same-code lane | load_name=
        "#);
    }

    #[test]
    fn quotes_what_needs_it() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,\"b\"\nc"), "\"a,\"\"b\"\"\nc\"");
    }

    #[test]
    fn every_cell_is_a_row_with_every_column() {
        let mut analysis = fixture::analysis();
        analysis.scenarios.truncate(1);
        let text = csv(&fixture::header(), &analysis);
        let mut lines = text.lines();
        let columns = lines.next().expect("a heading").split(',').count();
        let rows: Vec<&str> = lines.collect();
        assert_eq!(rows.len(), 49);
        // Only quoted fields hold commas that do not separate.
        let plain: Vec<&&str> = rows.iter().filter(|row| !row.contains("\"\"")).collect();
        for row in plain {
            let outside: String = row.split('"').step_by(2).collect();
            assert_eq!(outside.matches(',').count() + 1, columns, "{row}");
        }
    }

    #[test]
    fn open_loads_say_what_arrived() {
        let mut analysis = fixture::small();
        analysis.scenarios = vec![fixture::open()];
        let text = csv(&fixture::header(), &analysis);
        let mut lines = text.lines();
        let heads: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let of = |line: &str, name: &str| {
            let at = heads.iter().position(|head| *head == name).expect("a column");
            // From the right: texts with commas stand to the left.
            line.rsplit(',').nth(heads.len() - 1 - at).unwrap_or_default().to_owned()
        };
        // 1000 arrivals a second for 35 s, of which `sequential` can do 900.
        let line = lines
            .find(|line| line.contains("rate=1000/s") && line.contains(",sequential,"))
            .expect("a row");
        assert_eq!(
            ["offered_per_s", "achieved_per_s", "scheduled"].map(|name| of(line, name)),
            ["1000", "900", "35000"]
        );
    }
}
