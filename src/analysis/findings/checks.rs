//! Sentences on claims and SLOs.

use super::{collect, interval, list, places, plural};
use crate::{
    analysis::{ClaimResult, ClaimVerdict, ScenarioResult, SloResult, significant},
    scenario::Direction,
};

/// Each claim beside what was measured.
pub(super) fn claims(scenario: &ScenarioResult) -> Vec<String> {
    scenario.claims.iter().map(claim).collect()
}

fn claim(result: &ClaimResult) -> String {
    let claim = &result.claim;
    let claimed = match claim.direction {
        Direction::AtLeast => "at least ",
        Direction::AtMost => "at most ",
        Direction::About => "about ",
    };
    let place = places(&[&result.params]);
    let pair = format!("{} against {}{place}", result.executor, claim.against);
    let Some(measured) = &result.measured else {
        return format!("Claim “{}”: {pair} was not measured.", claim.text);
    };
    let verdict = match result.verdict {
        ClaimVerdict::Agrees => "agrees",
        ClaimVerdict::Disagrees => "disagrees",
        ClaimVerdict::Inconclusive | ClaimVerdict::NotMeasured => "inconclusive",
    };
    format!(
        "Claim “{}”: {claimed}{} is claimed and {} measured for {pair}{}: {verdict}.",
        claim.text,
        significant(claim.factor),
        significant(measured.estimate),
        interval(measured)
    )
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
        results.iter().filter(|result| result.holds == holds).map(|result| result.cell.clone()).collect()
    };
    let (failed, unknown, all) = (with(Some(false)), with(None), plural(results.len(), "cell"));
    let result = match failed.len() {
        0 if unknown.len() == results.len() => return format!("SLO `{assert}` could not be measured in any of {all}."),
        0 if unknown.is_empty() => return format!("SLO `{assert}` holds in {all}."),
        0 => format!("SLO `{assert}` holds where it was measured"),
        failures => format!("SLO `{assert}` does not hold in {failures} of {all}: {}", list(&failed)),
    };
    let rest =
        if unknown.is_empty() { String::new() } else { format!("; it could not be measured in {}", list(&unknown)) };
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
        findings(&analyse(&fixture.build())).into_iter().filter(|sentence| sentence.starts_with(start)).collect()
    }

    #[test]
    fn claims_stand_beside_the_measured_factor() {
        let fixture = Fixture::batch("threads", 6)
            .cell("threads", &[], &[8e6; 6])
            .cell("tokio", &[], &[2e6; 6])
            .claim(Some("tokio"), "threads", 50.0, Direction::AtLeast)
            .claim(Some("smol"), "threads", 2.0, Direction::About);
        let expected = [
            "Claim “tokio is 50x as fast as threads”: at least 50.0 is claimed and 4.00 measured for \
             tokio against threads (95 % interval 4.00 to 4.00): disagrees.",
            "Claim “smol is 2x as fast as threads”: smol against threads was not measured.",
        ];
        assert_eq!(about(fixture, "Claim"), expected);
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
        let fixture = Fixture::closed("threads", 1).cell("threads", &[], &[100.0]).cell("tokio", &[], &[400.0]).cell(
            "smol",
            &[],
            &[],
        );
        let expected = [
            "SLO `request.throughput > 50/s` holds where it was measured; it could not be measured in demo::smol.",
            "SLO `request.throughput > 200/s` does not hold in 1 of 3 cells: demo::threads; \
             it could not be measured in demo::smol.",
        ];
        assert_eq!(about(fixture.slo(slo(50.0)).slo(slo(200.0)), "SLO"), expected);
        let all = Fixture::closed("threads", 1).cell("threads", &[], &[100.0]).slo(slo(50.0));
        assert_eq!(about(all, "SLO"), ["SLO `request.throughput > 50/s` holds in 1 cell."]);
        let none = Fixture::closed("threads", 1).cell("smol", &[], &[]).slo(slo(50.0));
        assert_eq!(about(none, "SLO"), ["SLO `request.throughput > 50/s` could not be measured in any of 1 cell."]);
    }
}
