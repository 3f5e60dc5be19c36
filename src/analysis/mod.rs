//! Analysis: from a stored run to figures. Pure; knows nothing of how trials are executed.
//!
//! A cell's trials are put together (`cell`), cells that differ only in their executor form a group
//! and get their ratios (`group`, `ratio`), claims and SLOs are set beside them, and `findings`
//! says in words what follows. Groups along a swept number show where executors cross (`sweep`,
//! `crossover`) and how they scale (`law`); `means` is over all groups. `rate` is the search for
//! the highest rate. Metrics are declared in one table (`metrics`); `stats` knows only numbers.

mod cell;
mod change;
mod claims;
mod compare;
mod crossover;
mod errors;
mod findings;
mod group;
mod judgement;
mod law;
mod leader;
mod line;
mod manifest;
mod means;
pub mod metrics;
mod model;
mod number;
mod quantity;
mod rate;
mod ratio;
mod selftest;
mod slo;
pub mod stats;
mod sweep;
mod unjudged;
mod validity;

pub use change::{BAND, ChangeVerdict, MeanChange};
pub use compare::{CellChange, RunComparison, compare};
pub use errors::{Errors, StepErrors};
pub use findings::{findings, shared_cpus};
pub use judgement::{Judgement, LimitingFactor, RoundEvidence, Steadiness, Unjudged, Validity};
pub use leader::Leader;
pub use manifest::{Agreement, Fact, Manifest, manifest, unequal};
#[cfg(test)]
pub(crate) use means::means;
pub use metrics::{AxisKind, Better, METRICS, MetricInfo};
pub use model::{
    Analysis, CellGroup, CellResult, CellStatus, ClaimResult, ClaimVerdict, Counts, Crossing, Fit,
    Law, MeanRatio, MetricValue, PairResult, Ratio, RatioVerdict, ScenarioResult, SloResult,
    StepResult, Sweep, TrialCounts,
};
pub use number::{bound, significant};
pub use quantity::Unit;
pub use rate::{
    Bracket, Decision, RateResult, RateSearch, RateState, RateTrial, SearchAnswer, SearchStep,
    TriedRate, Vote, Votes, rate_leader, rate_search, vote_of,
};
pub use selftest::{MetricNoise, Selftest, SelftestCell, SelftestVerdict, selftest};
pub use slo::slo_value;
#[cfg(test)]
pub(crate) use sweep::sweeps;
pub use unjudged::{UnjudgedLimit, unjudged};
pub use validity::disturbance;

pub use crate::measure::MetricId;
use crate::scenario::Claim;
use crate::store::{Lane, Outcome, Rounds, Run, StoredScenario};
use group::ComparablePart;

/// The figures of a run.
pub fn analyse(run: &Run) -> Analysis {
    let rounds = run.rounds();
    Analysis {
        scenarios: run
            .header
            .scenarios
            .iter()
            .flat_map(|stored| by_part(&rounds, stored))
            .collect(),
        trials: trial_counts(&rounds),
        search: rate_search(run),
    }
}

/// A scenario's figures, those of each lane and load by themselves: no ranking, mean, crossing or
/// law is over both.
fn by_part(rounds: &Rounds<'_>, stored: &StoredScenario) -> Vec<ScenarioResult> {
    let lanes = group::lanes(rounds.run, &stored.name);
    let loads = group::loads(rounds.run, &stored.name);
    let of_load = |load: &Option<String>| {
        let of_lane = |lane: &Lane| {
            let part = ComparablePart { scenario: stored, lane: *lane, load: load.as_deref() };
            part.groups(rounds)
        };
        let all: Vec<Vec<CellGroup>> = lanes.iter().map(of_lane).collect();
        let everywhere: Vec<&CellGroup> = all.iter().flatten().collect();
        let about = |claim: &&Claim| claim.load.is_none() || load.is_none() || claim.load == *load;
        let about: Vec<Claim> = stored.claims.iter().filter(about).cloned().collect();
        let of_claims = |groups: &Vec<CellGroup>| {
            claims::claims(&about, groups, &everywhere, group::primary(groups))
        };
        let claims: Vec<Vec<ClaimResult>> = all.iter().map(of_claims).collect();
        // Not every lane need have every load; a scenario without any cell is shown as such.
        let only = lanes.len() * loads.len() == 1;
        let parts = all.into_iter().zip(claims);
        let parts = parts.filter(|(groups, _)| only || !groups.is_empty());
        let parts = parts.map(|(groups, claims)| scenario(rounds, stored, groups, claims));
        parts.collect::<Vec<_>>()
    };
    loads.iter().flat_map(of_load).collect()
}

fn scenario(
    rounds: &Rounds<'_>,
    stored: &StoredScenario,
    groups: Vec<CellGroup>,
    claims: Vec<ClaimResult>,
) -> ScenarioResult {
    let run = rounds.run;
    let primary = group::primary(&groups);
    ScenarioResult {
        name: stored.name.clone(),
        question: stored.question.clone(),
        baseline: label(run, stored, &stored.baseline),
        primary,
        claims,
        sweeps: sweep::sweeps(&groups, primary),
        means: means::means(&groups, &stored.baseline, primary),
        slos: slo::slos(rounds, &stored.slos, &groups),
        groups,
    }
}

/// An executor as the scenario's cells show it.
fn label(run: &Run, scenario: &StoredScenario, executor: &str) -> String {
    let mut cells = run.header.cells.iter().filter(|cell| cell.scenario == scenario.name);
    cells
        .find(|cell| cell.executor == executor)
        .map_or_else(|| executor.to_owned(), |cell| cell.label.clone())
}

/// Counts each round of a cell once, by its last trial.
fn trial_counts(rounds: &Rounds<'_>) -> TrialCounts {
    let mut counts = TrialCounts::default();
    for cell in &rounds.run.header.cells {
        if cell.absent.is_none() {
            counts.planned += cell.rounds as usize;
        }
        for (_, trial) in rounds.of(&cell.name) {
            match trial.outcome {
                Outcome::Measured(_) => counts.measured += 1,
                Outcome::Failed(_) => counts.failed += 1,
            }
        }
        counts.failed_before += rounds.failures_of(&cell.name).count();
    }
    counts.failed_before -= counts.failed;
    counts
}

impl Analysis {
    /// Whether an SLO was measured and does not hold.
    pub fn has_failed_slo(&self) -> bool {
        self.scenarios
            .iter()
            .flat_map(|scenario| &scenario.slos)
            .any(|slo| slo.holds == Some(false))
    }

    /// Whether a cell has figures that do not mean what they seem to mean.
    pub fn has_invalid_cells(&self) -> bool {
        self.cells().any(|cell| cell.has_figures() && !cell.is_ranked())
    }

    /// Whether a trial failed.
    pub fn has_failures(&self) -> bool {
        self.trials.failed > 0
    }

    /// Whether a limit of the host forbade a cell.
    pub fn has_refusals(&self) -> bool {
        self.cells().any(|cell| matches!(cell.status, CellStatus::Refused(_)))
    }

    /// Whether everything planned was run, however it ended.
    pub fn is_complete(&self) -> bool {
        self.trials.measured + self.trials.failed >= self.trials.planned
    }

    /// All cells of all scenarios.
    pub fn cells(&self) -> impl Iterator<Item = &CellResult> {
        self.scenarios.iter().flat_map(|scenario| &scenario.groups).flat_map(|group| &group.cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        scenario::{Direction, Param},
        store::{Absent, FailureKind, Lane, fixture::Fixture},
    };

    fn fixture() -> Fixture {
        Fixture::batch("thread-pool", 3).cell("thread-pool", &[], &[1e6, 1e6]).cell(
            "tokio",
            &[],
            &[1e6, 1e6, 1e6],
        )
    }

    #[test]
    fn a_run_in_progress_is_analysed_as_it_stands() {
        let analysis = analyse(&fixture().build());
        assert_eq!(
            analysis.trials,
            TrialCounts { planned: 6, measured: 5, ..TrialCounts::default() }
        );
        assert!(!analysis.is_complete() && !analysis.has_failures() && !analysis.has_refusals());
        assert_eq!(analysis.scenarios[0].baseline, "thread-pool(64)");
        assert_eq!(analysis.scenarios[0].question, "Which executor is fastest?");
    }

    #[test]
    fn failures_and_refusals_are_seen() {
        let failed =
            fixture().fail("demo::thread-pool", 3, FailureKind::WrongResult, "99 of 100 tasks");
        let analysis = analyse(&failed.build());
        assert_eq!(
            analysis.trials,
            TrialCounts { planned: 6, measured: 5, failed: 1, failed_before: 0 }
        );
        assert!(analysis.is_complete() && analysis.has_failures());
        let refused = fixture().absent("threads", &[], Absent::Refused("too many".into()));
        let analysis = analyse(&refused.build());
        assert_eq!(analysis.trials.planned, 6);
        assert!(analysis.has_refusals() && !analysis.has_failures());
    }

    #[test]
    fn a_run_without_trials_has_no_figures_and_no_panic() {
        let analysis = analyse(&Fixture::closed("threads", 7).cell("threads", &[], &[]).build());
        assert_eq!(analysis.scenarios[0].groups[0].cells[0].status, CellStatus::Pending);
    }

    /// In the same-code lane tokio is twice as fast as threads, in the idiomatic one half as fast;
    /// each at two sizes.
    fn two_lanes() -> Fixture {
        let mut fixture = Fixture::closed("threads", 6);
        for (driver, rate) in [("same", 200.0), ("customary", 50.0)] {
            for clients in ["1", "8"] {
                let at = [("driver", driver), ("clients", clients)];
                fixture = fixture.cell("threads", &at, &[100.0; 6]).cell("tokio", &at, &[rate; 6]);
            }
        }
        fixture.with(|run| {
            for cell in
                run.header.cells.iter_mut().filter(|cell| cell.params[0].value == "customary")
            {
                cell.lane = Lane::Idiomatic;
            }
        })
    }

    #[test]
    fn lanes_are_ranked_and_averaged_apart() {
        let analysis = analyse(&two_lanes().build());
        let titles: Vec<String> = analysis.scenarios.iter().map(ScenarioResult::title).collect();
        assert_eq!(titles, ["demo (same-code lane)", "demo (idiomatic lane)"]);
        for (scenario, mean) in analysis.scenarios.iter().zip([2.0, 0.5]) {
            assert_eq!(scenario.groups.len(), 2);
            assert!(scenario.groups.iter().all(|group| group.lane == scenario.lane()));
            let ratio = scenario.means[0].ratio.as_ref().expect("comparable in both groups");
            assert!((ratio.estimate - mean).abs() < 1e-9, "{ratio:?}");
            assert_eq!(
                (scenario.sweeps.len(), scenario.sweeps[0].pairs[0].crossings.len()),
                (1, 0)
            );
        }
        let said = findings(&analysis);
        let won =
            |lane: &str| format!("demo ({lane} lane): tokio has the highest throughput at 2 of 2");
        assert!(said.iter().any(|sentence| sentence.starts_with(&won("same-code"))), "{said:?}");
        assert!(!said.iter().any(|sentence| sentence.starts_with(&won("idiomatic"))), "{said:?}");
    }

    #[test]
    fn a_claim_may_set_one_lane_against_the_other() {
        let fixture =
            two_lanes().claim(Some("tokio"), "tokio", 4.0, Direction::About).with(|run| {
                let claim = &mut run.header.scenarios[0].claims[0];
                let driver =
                    |value: &str| vec![Param { name: "driver".into(), value: value.into() }];
                (claim.only, claim.against_only) = (driver("same"), driver("customary"));
            });
        let analysis = analyse(&fixture.build());
        let verdicts = |at: usize| {
            analysis.scenarios[at].claims.iter().map(|claim| claim.verdict).collect::<Vec<_>>()
        };
        assert_eq!((verdicts(0), verdicts(1).len()), (vec![ClaimVerdict::Agrees; 2], 0));
    }

    #[test]
    fn where_there_is_one_lane_only_the_idiomatic_one_is_named() {
        assert_eq!(analyse(&fixture().build()).scenarios[0].title(), "demo");
        let idiomatic = fixture()
            .with(|run| run.header.cells.iter_mut().for_each(|cell| cell.lane = Lane::Idiomatic))
            .build();
        let analysis = analyse(&idiomatic);
        assert_eq!(
            (analysis.scenarios.len(), analysis.scenarios[0].title().as_str()),
            (1, "demo (idiomatic lane)")
        );
        let said = findings(&analysis);
        assert!(said[0].starts_with("demo (idiomatic lane): Measured with"), "{said:?}");
    }

    /// The JSON output is this type as it is: no value of it may fail to serialise.
    #[test]
    fn an_analysis_serialises() {
        let json = serde_json::to_value(analyse(&fixture().build())).expect("serialises");
        assert_eq!(
            json["scenarios"][0]["groups"][0]["cells"][1]["metrics"]["makespan"]["median"],
            1e6
        );
    }
}
