//! Sentences on claims and SLOs.

use super::words::{collect, interval, list, places, plural};
use crate::{
    analysis::{ClaimResult, ClaimVerdict, Ratio, ScenarioResult, SloResult, significant},
    scenario::{Claim, Direction},
};

/// Each claim beside what was measured: one sentence, over all executors and places that it is
/// about.
pub(super) fn claims(scenario: &ScenarioResult) -> Vec<String> {
    let mut by_claim: Vec<(&Claim, Vec<&ClaimResult>)> = Vec::new();
    for result in &scenario.claims {
        collect(&mut by_claim, &result.claim, result);
    }
    by_claim.iter().map(|(claim, results)| claim_sentence(claim, results)).collect()
}

fn claim_sentence(claim: &Claim, results: &[&ClaimResult]) -> String {
    let text = &claim.text;
    let against = results.first().map(|result| result.against.as_str()).unwrap_or_default();
    let claimed = match claim.direction {
        Direction::AtLeast => "at least ",
        Direction::AtMost => "at most ",
        Direction::About => "about ",
    };
    let factor = significant(claim.factor);
    let verdicts = verdicts(results);
    let measured: Vec<&Ratio> =
        results.iter().filter_map(|result| result.measured.as_ref()).collect();
    let (figures, verdicts) = match (results, measured.as_slice()) {
        (_, []) => {
            return format!(
                "Claim “{text}”: {} was not measured{}.",
                whom(results, against),
                why(results)
            );
        }
        ([_], [one]) => {
            let whom = whom(results, against);
            (
                format!("{}{} was measured for {whom}", significant(one.estimate), interval(one)),
                verdicts[0].1.to_owned(),
            )
        }
        (_, many) => {
            let estimates = || many.iter().map(|ratio| ratio.estimate);
            let least = significant(estimates().fold(f64::INFINITY, f64::min));
            let most = significant(estimates().fold(0.0, f64::max));
            let verdicts: Vec<String> =
                verdicts.iter().map(|(some, word)| format!("{word} for {}", few(some))).collect();
            (format!("{least} to {most} measured against {against}"), verdicts.join(", "))
        }
    };
    format!(
        "Claim “{text}”: {claimed}{factor} is claimed and {figures}: {verdicts}{}.",
        why(results)
    )
}

/// What the first of the results that lack something lacks.
fn why(results: &[&ClaimResult]) -> String {
    let lacking = results.iter().find_map(|result| result.lacking.as_ref());
    lacking.map_or_else(String::new, |why| format!(" ({why})"))
}

/// The results by verdict, with the verdicts' words.
fn verdicts<'a>(results: &[&'a ClaimResult]) -> Vec<(Vec<&'a ClaimResult>, &'static str)> {
    let words = [
        (ClaimVerdict::Agrees, "agrees"),
        (ClaimVerdict::Disagrees, "disagrees"),
        (ClaimVerdict::Inconclusive, "inconclusive"),
        (ClaimVerdict::NotMeasured, "not measured"),
    ];
    let with = |verdict| {
        results.iter().filter(|result| result.verdict == verdict).copied().collect::<Vec<_>>()
    };
    words
        .map(|(verdict, word)| (with(verdict), word))
        .into_iter()
        .filter(|(some, _)| !some.is_empty())
        .collect()
}

/// One or two by name, more by number.
fn few(results: &[&ClaimResult]) -> String {
    let name = |result: &&ClaimResult| format!("{}{}", result.executor, places(&[&result.params]));
    match results {
        [_] | [_, _] => list(&results.iter().map(name).collect::<Vec<_>>()),
        many if many.iter().all(|result| result.params.is_empty()) => {
            plural(many.len(), "executor")
        }
        many => plural(many.len(), "cell"),
    }
}

fn whom(results: &[&ClaimResult], against: &str) -> String {
    match results {
        [one] => format!("{} against {against}{}", one.executor, places(&[&one.params])),
        several => format!("{} against {against}", few(several)),
    }
}

/// Each SLO over all its cells.
pub(super) fn slos(scenario: &ScenarioResult) -> Vec<String> {
    let mut by_slo: Vec<((&str, usize), Vec<&SloResult>)> = Vec::new();
    for result in &scenario.slos {
        collect(&mut by_slo, (&result.slo.assert, result.slo.line), result);
    }
    by_slo.iter().map(|((assert, _), results)| slo(assert, results)).collect()
}

fn slo(assert: &str, results: &[&SloResult]) -> String {
    let with = |holds: Option<bool>| -> Vec<String> {
        results
            .iter()
            .filter(|result| result.holds == holds)
            .map(|result| result.cell.clone())
            .collect()
    };
    let (failed, unknown, all) = (with(Some(false)), with(None), plural(results.len(), "cell"));
    let result = match failed.len() {
        0 if unknown.len() == results.len() => {
            return format!("SLO `{assert}` could not be measured in any of {all}.");
        }
        0 if unknown.is_empty() => return format!("SLO `{assert}` holds in {all}."),
        0 => format!("SLO `{assert}` holds where it was measured"),
        failures => {
            format!("SLO `{assert}` does not hold in {failures} of {all}: {}", list(&failed))
        }
    };
    let rest = if unknown.is_empty() {
        String::new()
    } else {
        format!("; it could not be measured in {}", list(&unknown))
    };
    format!("{result}{rest}.")
}

#[cfg(test)]
mod tests {
    use crate::{
        analysis::{analyse, findings},
        scenario::{Comparison, Direction, Slo, SloMetric},
        store::fixture::Fixture,
    };

    fn about(fixture: Fixture, start: &str) -> Vec<String> {
        findings(&analyse(&fixture.build()))
            .into_iter()
            .filter(|sentence| sentence.starts_with(start))
            .collect()
    }

    #[test]
    fn claims_stand_beside_the_measured_factor() {
        let fixture = Fixture::batch("threads", 6)
            .cell("threads", &[], &[8e6; 6])
            .cell("tokio", &[], &[2e6; 6])
            .claim(Some("tokio"), "threads", 50.0, Direction::AtLeast)
            .claim(Some("smol"), "threads", 2.0, Direction::About);
        let expected = [
            "Claim “tokio is 50x as fast as threads”: at least 50.0 is claimed and 4.00 (95 % interval 4.00 to 4.00) \
             was measured for tokio against threads: disagrees.",
            "Claim “smol is 2x as fast as threads”: smol against threads was not measured \
             (smol is not in this run).",
        ];
        assert_eq!(about(fixture, "Claim"), expected);
    }

    #[test]
    fn a_claim_about_many_executors_is_one_sentence() {
        let fixture = Fixture::batch("sequential", 6)
            .cell("sequential", &[], &[8e6; 6])
            .cell("threads", &[], &[4e6; 6])
            .cell("tokio", &[], &[2e6; 6])
            .cell("async-std", &[], &[2e6; 6])
            .cell("smol", &[], &[2e6; 6])
            .claim(None, "sequential", 4.0, Direction::AtLeast);
        let found = about(fixture, "Claim");
        assert_eq!(found.len(), 1, "{found:?}");
        let figures = "at least 4.00 is claimed and 2.00 to 4.00 measured against sequential: \
                       agrees for 3 executors, disagrees for threads.";
        assert!(found[0].ends_with(figures), "{}", found[0]);
    }

    #[test]
    fn slos_name_the_cells_in_which_they_do_not_hold() {
        let slo = |limit: f64| Slo {
            assert: format!("request.throughput > {limit}/s"),
            subject: "request".into(),
            metric: SloMetric::Throughput,
            comparison: Comparison::Above,
            limit,
            only: Vec::new(),
            line: limit as usize,
        };
        let fixture = Fixture::closed("threads", 1)
            .cell("threads", &[], &[100.0])
            .cell("tokio", &[], &[400.0])
            .cell("smol", &[], &[]);
        let expected = [
            "SLO `request.throughput > 50/s` holds where it was measured; it could not be measured in demo::smol.",
            "SLO `request.throughput > 200/s` does not hold in 1 of 3 cells: demo::threads; \
             it could not be measured in demo::smol.",
        ];
        assert_eq!(about(fixture.slo(slo(50.0)).slo(slo(200.0)), "SLO"), expected);
        let all = Fixture::closed("threads", 1).cell("threads", &[], &[100.0]).slo(slo(50.0));
        assert_eq!(about(all, "SLO"), ["SLO `request.throughput > 50/s` holds in 1 cell."]);
        let none = Fixture::closed("threads", 1).cell("smol", &[], &[]).slo(slo(50.0));
        assert_eq!(
            about(none, "SLO"),
            ["SLO `request.throughput > 50/s` could not be measured in any of 1 cell."]
        );
    }
}
