//! Sentences on who leads, by how much, and where no difference is shown.

use super::words::{collect, interval, list, places, plural};
use crate::{
    analysis::{
        CellGroup, CellResult, CellStatus, Leader, MetricId, Ratio, ScenarioResult, significant,
    },
    scenario::Param,
};

/// What the executors had, and what ratios are against.
pub(super) fn conditions(scenario: &ScenarioResult) -> Vec<String> {
    let cpus = scenario.groups.iter().map(|group| group.executor_cpus);
    let (Some(least), Some(most)) = (cpus.clone().min(), cpus.max()) else {
        return Vec::new();
    };
    let cpus = if least == most {
        plural(least, "executor CPU")
    } else {
        format!("{least} to {most} executor CPUs")
    };
    vec![format!("Measured with {cpus}; ratios are against {}.", scenario.baseline)]
}

/// The labels that share a lead, and whether they are all that take part.
type Tie = (Vec<String>, bool);

/// Who leads in a metric: where one alone, where several, and where there are too few rounds to
/// say.
pub(super) fn leads(scenario: &ScenarioResult, metric: MetricId) -> Vec<String> {
    let mut won: Vec<(String, Vec<(&CellGroup, &CellResult)>)> = Vec::new();
    let mut shared: Vec<(Tie, Vec<&CellGroup>)> = Vec::new();
    let mut short: Vec<&CellGroup> = Vec::new();
    for group in &scenario.groups {
        match group.leader(metric) {
            Leader::Winner(cell) => collect(&mut won, cell.label.clone(), (group, cell)),
            Leader::Shared(cells) => {
                let by_all = cells.len() == group.runners(metric).len();
                collect(
                    &mut shared,
                    (cells.iter().map(|cell| cell.label.clone()).collect(), by_all),
                    group,
                );
            }
            Leader::TooFewRounds => short.push(group),
            Leader::NothingToCompare => {}
        }
    }
    let all = scenario.groups.len();
    let mut sentences: Vec<String> =
        won.iter().map(|(_, wins)| winner(scenario, metric, wins, all)).collect();
    sentences.extend(
        shared.iter().map(|((labels, by_all), at)| no_difference(metric, labels, *by_all, at)),
    );
    if !short.is_empty() && metric == scenario.primary {
        sentences.push(format!(
            "Fewer than six rounds{}: there is no interval, and no winner is named.",
            places(&params(&short))
        ));
    }
    sentences
}

fn winner(
    scenario: &ScenarioResult,
    metric: MetricId,
    wins: &[(&CellGroup, &CellResult)],
    all: usize,
) -> String {
    let groups: Vec<&CellGroup> = wins.iter().map(|(group, _)| *group).collect();
    let margins: Vec<(String, Ratio)> =
        wins.iter().filter_map(|win| margin(scenario, metric, *win)).collect();
    let (label, lead) = (&wins[0].1.label, metric.info().lead);
    let place = if wins.len() == 1 {
        places(&params(&groups))
    } else {
        format!(" at {} of {all} parameter combinations", wins.len())
    };
    format!("{label} {lead}{place}{}{}.", by_how_much(&margins), left_out(&groups, metric))
}

/// The winner's ratio to the baseline, or to the next best where it is the baseline.
fn margin(
    scenario: &ScenarioResult,
    metric: MetricId,
    (group, winner): (&CellGroup, &CellResult),
) -> Option<(String, Ratio)> {
    let others = || group.runners(metric).into_iter().filter(|cell| cell.name != winner.name);
    let against = |other: &CellResult| Some((other.label.clone(), winner.ratio_to(other, metric)?));
    let is_baseline = |cell: &&CellResult| cell.label == scenario.baseline;
    match others().find(is_baseline) {
        Some(baseline) => against(baseline),
        None => others().filter_map(against).min_by(|a, b| a.1.estimate.total_cmp(&b.1.estimate)),
    }
}

/// `, by a factor of 4.10 against threads (95 % interval …)`, or the range over several groups.
fn by_how_much(margins: &[(String, Ratio)]) -> String {
    let Some((against, first)) = margins.first() else {
        return String::new();
    };
    if margins.len() == 1 {
        return format!(
            ", by a factor of {} against {against}{}",
            significant(first.estimate),
            interval(first)
        );
    }
    if margins.iter().any(|(other, _)| other != against) {
        return String::new();
    }
    let estimates = || margins.iter().map(|(_, ratio)| ratio.estimate);
    let (least, most) =
        (estimates().fold(f64::INFINITY, f64::min), estimates().fold(0.0, f64::max));
    format!(", by factors of {} to {} against {against}", significant(least), significant(most))
}

/// Names the cells that have figures but too few rounds to take part.
fn left_out(groups: &[&CellGroup], metric: MetricId) -> String {
    let mut labels: Vec<String> = Vec::new();
    for group in groups {
        let runners = group.runners(metric);
        let out = group
            .cells
            .iter()
            .filter(|cell| cell.has_figures() && !runners.iter().any(|r| r.name == cell.name));
        for cell in out {
            let label = match &cell.status {
                CellStatus::Partial(rounds) => format!("{} ({rounds})", cell.label),
                _ => cell.label.clone(),
            };
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
    }
    if labels.is_empty() { String::new() } else { format!(", not counting {}", list(&labels)) }
}

fn no_difference(
    metric: MetricId,
    labels: &[String],
    by_all: bool,
    groups: &[&CellGroup],
) -> String {
    let (label, labels, places) = (metric.info().label, list(labels), places(&params(groups)));
    if by_all {
        format!("No difference in {label} is shown between {labels}{places}.")
    } else {
        format!("{labels} share the lead in {label}{places}: no difference is shown between them.")
    }
}

fn params<'a>(groups: &[&'a CellGroup]) -> Vec<&'a [Param]> {
    groups.iter().map(|group| group.params.as_slice()).collect()
}

#[cfg(test)]
mod tests {
    use crate::{
        analysis::{analyse, findings},
        store::{FailureKind, fixture::Fixture},
    };

    const ONE: [(&str, &str); 1] = [("concurrency", "1")];
    const EIGHT: [(&str, &str); 1] = [("concurrency", "8")];
    const MANY: [(&str, &str); 1] = [("concurrency", "64")];
    /// Around 100 per second, up and down by a tenth.
    const SLOW: [f64; 6] = [100.0, 110.0, 90.0, 100.0, 110.0, 90.0];
    const SLOW_TOO: [f64; 6] = [110.0, 90.0, 100.0, 110.0, 90.0, 100.0];
    const FAST: [f64; 6] = [400.0, 440.0, 360.0, 400.0, 440.0, 396.0];

    fn said(fixture: Fixture) -> Vec<String> {
        findings(&analyse(&fixture.build()))
    }

    #[test]
    fn a_winner_is_named_with_its_margin() {
        let batch = Fixture::batch("threads", 6)
            .cell("smol", &[], &[3e6; 6])
            .cell("threads", &[], &[8e6; 6])
            .cell("tokio", &[], &[2e6; 6]);
        let expected = [
            "Measured with 1 executor CPU; ratios are against threads.",
            "tokio completes the batch fastest, by a factor of 4.00 against threads (95 % interval 4.00 to 4.00).",
        ];
        assert_eq!(said(batch), expected);
    }

    #[test]
    fn a_baseline_that_wins_is_set_against_the_next_best() {
        let batch = Fixture::batch("tokio", 6)
            .cell("threads", &[], &[8e6; 6])
            .cell("smol", &[], &[3e6; 6])
            .cell("tokio", &[], &[2e6; 6]);
        assert!(
            said(batch)[1]
                .starts_with("tokio completes the batch fastest, by a factor of 1.50 against smol")
        );
    }

    #[test]
    fn wins_over_several_groups_are_counted_and_ties_name_no_winner() {
        let swept = Fixture::closed("threads", 6)
            .cell("threads", &ONE, &SLOW)
            .cell("tokio", &ONE, &SLOW_TOO)
            .cell("threads", &EIGHT, &SLOW)
            .cell("tokio", &EIGHT, &FAST)
            .cell("threads", &MANY, &SLOW)
            .cell("tokio", &MANY, &FAST.map(|rate| 2.0 * rate));
        let said = said(swept);
        let rates = "tokio has the highest throughput at 2 of 3 parameter combinations, \
                     by factors of 4.00 to 8.00 against threads.";
        assert_eq!(said[1], rates);
        assert_eq!(
            said[2],
            "No difference in throughput is shown between threads and tokio at concurrency=1."
        );
        let p99 = said
            .iter()
            .find(|sentence| sentence.contains("p99"))
            .expect("2000 latencies a round have a p99");
        assert!(
            p99.starts_with("tokio has the lowest p99 latency at 2 of 3 parameter combinations"),
            "{p99}"
        );
    }

    #[test]
    fn those_who_are_ahead_together_share_the_lead() {
        let batch = Fixture::batch("threads", 6)
            .cell("threads", &[], &[8e6; 6])
            .cell("tokio", &[], &[2e6; 6])
            .cell("smol", &[], &[2e6; 6]);
        assert_eq!(
            said(batch)[1],
            "tokio and smol share the lead in makespan: no difference is shown between them."
        );
    }

    #[test]
    fn a_cell_with_too_few_rounds_is_not_passed_over_in_silence() {
        let batch = Fixture::batch("threads", 6)
            .cell("threads", &[], &[8e6; 6])
            .cell("tokio", &[], &[2e6; 6])
            .cell("smol", &[], &[1e6; 6])
            .fail("demo::smol", 6, FailureKind::Crashed, "SIGSEGV");
        let said = said(batch);
        assert!(
            said[1].starts_with("tokio completes")
                && said[1].ends_with("not counting smol (5 of 6 rounds)."),
            "{said:?}"
        );
    }

    #[test]
    fn fewer_than_six_rounds_name_no_winner() {
        let short = Fixture::batch("threads", 5).cell("threads", &[], &[8e6; 5]).cell(
            "tokio",
            &[],
            &[2e6; 5],
        );
        assert_eq!(
            said(short)[1..],
            ["Fewer than six rounds: there is no interval, and no winner is named."]
        );
    }
}
