//! Limits that nobody could judge: which, where, why, and what to do about it. A limit that was not
//! judged must not be taken for one that holds.

use super::{Analysis, CellResult, CellStatus, SloResult, Unjudged, Validity};
use crate::{
    scenario::{Slo, SloMetric},
    store::{Header, StoredScenario},
};

/// Samples that must lie above a quantile.
const ABOVE: f64 = 10.0;

impl Unjudged {
    /// Why a limit has no verdict in a cell. `executions` are those of what it is about, and
    /// `has_times` says whether any of them has a latency.
    pub(super) fn of(slo: &Slo, cell: &CellResult, executions: u64, has_times: bool) -> Self {
        match (&cell.status, cell.judgement.validity) {
            (CellStatus::NotApplicable(_), _) => Self::NotApplicable,
            (CellStatus::Refused(_), _) => Self::Refused,
            (CellStatus::Failed(_), _) => Self::Failed,
            (CellStatus::Pending, _) => Self::Pending,
            (_, Validity::Invalid) => Self::Invalid,
            (_, Validity::Disturbed) => Self::Disturbed,
            (_, Validity::Errors) => Self::Errors,
            (_, Validity::Starved) => Self::Starved,
            _ if executions == 0 => Self::NeverRan,
            _ if !has_times
                && matches!(slo.metric, SloMetric::Latency(_) | SloMetric::MeanLatency) =>
            {
                Self::Clock
            }
            _ => Self::Samples,
        }
    }

    /// Why, in words.
    pub fn words(self, slo: &Slo) -> String {
        match self {
            Self::NoCell => "no cell of this run is what it is about".into(),
            Self::NotApplicable => "no executor of this run can run what it is about".into(),
            Self::Refused => "a limit of this host forbids the cell".into(),
            Self::Failed => "no trial was measured".into(),
            Self::Pending => "it was not run yet".into(),
            Self::NeverRan => format!("`{}` was never executed", slo.subject),
            Self::Samples => too_few(slo.metric),
            Self::Clock => format!("`{}` takes no longer than the clock can tell", slo.subject),
            Self::Invalid => "its figures are INVALID".into(),
            Self::Disturbed => {
                "it is DISTURBED, and what does not hold then may hold on a quiet host".into()
            }
            Self::Errors => {
                "too many calls ended in errors, among which a limit that holds shows nothing"
                    .into()
            }
            Self::Starved => {
                "it is STARVED, and the times are those of the clients that were served".into()
            }
            Self::Clipped => {
                "the times are longer than what was told apart, and the limit is longer, too".into()
            }
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::NoCell => "run the cells that it is about, or correct its `only`",
            Self::NotApplicable => "run it under another executor",
            Self::Refused => "raise the limit that `regatta list` names",
            Self::Failed => "see why the trials failed, and run them again with `--resume`",
            Self::Pending => "go on with `--resume`",
            Self::NeverRan => "run more tasks, or name what is executed",
            Self::Samples => "raise `rounds`, or `duration` (of a batch: `tasks` or `repeat`)",
            Self::Clock => "limit the throughput, or a longer step",
            Self::Invalid => Validity::Invalid.remedy(),
            Self::Disturbed => Validity::Disturbed.remedy(),
            Self::Errors => Validity::Errors.remedy(),
            Self::Starved => Validity::Starved.remedy(),
            Self::Clipped => "raise `timeout`, by which times are told apart",
        }
    }
}

fn too_few(metric: SloMetric) -> String {
    match metric {
        SloMetric::Latency(q) if q < 1.0 => {
            // Six decimals tell every quantile that anybody writes, and hide what binary fractions
            // add.
            let percent = (q * 1e8).round() / 1e6;
            format!("too few samples: a p{percent} needs {} of them", (ABOVE / (1.0 - q)).round())
        }
        _ => "too few samples".into(),
    }
}

/// A limit without a verdict, for one reason.
#[derive(Debug, Clone, PartialEq)]
pub struct UnjudgedLimit<'a> {
    /// The limit.
    pub slo: &'a Slo,
    /// The scenario's name.
    pub scenario: &'a str,
    /// Why.
    pub why: Unjudged,
    /// The cells in which it is so, by name; none: there is no cell.
    pub cells: Vec<&'a str>,
    /// In how many cells of the run it was judged.
    pub judged: usize,
}

/// The limits that were not judged, by scenario, limit and reason. Cells that make no sense have
/// nothing to judge. A scenario of which the run has no cell at all is no part of it.
pub fn unjudged<'a>(header: &'a Header, analysis: &'a Analysis) -> Vec<UnjudgedLimit<'a>> {
    let is_run =
        |stored: &&StoredScenario| header.cells.iter().any(|cell| cell.scenario == stored.name);
    let run = header.scenarios.iter().filter(is_run);
    run.flat_map(|stored| stored.slos.iter().flat_map(|slo| of_limit(stored, slo, analysis)))
        .collect()
}

fn of_limit<'a>(
    stored: &'a StoredScenario,
    slo: &'a Slo,
    analysis: &'a Analysis,
) -> Vec<UnjudgedLimit<'a>> {
    let lanes = analysis.scenarios.iter().filter(|scenario| scenario.name == stored.name);
    let results: Vec<&SloResult> = lanes
        .clone()
        .flat_map(|scenario| &scenario.slos)
        .filter(|result| result.slo == *slo)
        .collect();
    let judged = results.iter().filter(|result| result.holds.is_some()).count();
    let limit = |why, cells| UnjudgedLimit { slo, scenario: &stored.name, why, cells, judged };
    if results.is_empty() {
        let about =
            |group: &&super::CellGroup| slo.only.iter().all(|param| group.params.contains(param));
        let has_cells = lanes.flat_map(|scenario| &scenario.groups).any(|group| about(&group));
        return vec![limit(
            if has_cells { Unjudged::NotApplicable } else { Unjudged::NoCell },
            Vec::new(),
        )];
    }
    let mut found: Vec<UnjudgedLimit<'a>> = Vec::new();
    for (result, why) in results.iter().filter_map(|result| Some((result, result.unjudged?))) {
        match found.iter_mut().find(|known| known.why == why) {
            Some(known) => known.cells.push(&result.cell),
            None => found.push(limit(why, vec![result.cell.as_str()])),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::analyse,
        measure::Measurements,
        scenario::{Comparison, Param},
        store::{Absent, FailureKind, fixture::Fixture},
    };

    fn slo(subject: &str, metric: SloMetric, only: &[(&str, &str)]) -> Slo {
        Slo {
            assert: format!("{subject} as written"),
            subject: subject.into(),
            metric,
            comparison: Comparison::Below,
            limit: 1e18,
            only: only
                .iter()
                .map(|(name, value)| Param { name: (*name).into(), value: (*value).into() })
                .collect(),
            line: 7,
        }
    }

    /// Reasons, the cells of each, and in how many cells the limit was judged.
    fn found(fixture: Fixture) -> Vec<(Unjudged, Vec<String>, usize)> {
        let run = fixture.build();
        let analysis = analyse(&run);
        let all = unjudged(&run.header, &analysis);
        all.iter()
            .map(|one| {
                (one.why, one.cells.iter().map(|&cell| cell.to_owned()).collect(), one.judged)
            })
            .collect()
    }

    const MOST: SloMetric = SloMetric::Latency(1.0);

    fn closed() -> Fixture {
        Fixture::closed("threads", 1).cell("threads", &[], &[100.0])
    }

    #[test]
    fn what_is_judged_everywhere_is_not_told() {
        assert_eq!(found(closed().slo(slo("request", MOST, &[]))), []);
        assert_eq!(found(closed()), []);
    }

    #[test]
    fn a_limit_without_a_cell_was_not_judged() {
        assert_eq!(
            found(closed().slo(slo("request", MOST, &[("n", "64")]))),
            [(Unjudged::NoCell, vec![], 0)]
        );
        // A scenario that was left out as a whole was not asked for.
        let left_out = |run: &mut crate::store::Run| {
            let mut other = run.header.scenarios[0].clone();
            (other.name, other.slos) = ("other".into(), vec![slo("request", MOST, &[])]);
            run.header.scenarios.push(other);
        };
        assert_eq!(found(closed().with(left_out)), []);
    }

    #[test]
    fn what_makes_no_sense_has_nothing_to_judge_unless_nothing_else_is_there() {
        let absent = || Absent::NotApplicable("one at a time".into());
        let both = closed().absent("sequential", &[], absent()).slo(slo("request", MOST, &[]));
        assert_eq!(found(both), []);
        let alone = Fixture::closed("threads", 1).absent("threads", &[], absent()).slo(slo(
            "request",
            MOST,
            &[],
        ));
        assert_eq!(found(alone), [(Unjudged::NotApplicable, vec![], 0)]);
    }

    #[test]
    fn every_reason_is_told_with_its_cells() {
        let all = closed()
            .cell("tokio", &[], &[])
            .fail("demo::tokio", 1, FailureKind::Crashed, "SIGSEGV")
            .cell("smol", &[], &[])
            .cell("async-std", &[], &[])
            .absent("sequential", &[], Absent::Refused("no room".into()));
        let expected = [
            (Unjudged::Failed, vec!["demo::tokio".to_owned()], 1),
            (Unjudged::Pending, vec!["demo::smol".to_owned(), "demo::async-std".to_owned()], 1),
            (Unjudged::Refused, vec!["demo::sequential".to_owned()], 1),
        ];
        assert_eq!(found(all.slo(slo("request", MOST, &[]))), expected);
    }

    #[test]
    fn figures_that_do_not_decide_say_why() {
        let one = |limit: Slo, change: fn(&mut Measurements)| {
            let changed =
                closed().slo(limit).measured("demo::threads", |_, measured| change(measured));
            let all = found(changed);
            assert_eq!(all.len(), 1, "{all:?}");
            (all[0].0, all[0].2)
        };
        let p9999 = || slo("request", SloMetric::Latency(0.9999), &[]);
        assert_eq!(one(p9999(), |_| {}), (Unjudged::Samples, 0));
        assert_eq!(
            one(slo("request", MOST, &[]), |measured| measured.completed *= 2),
            (Unjudged::Invalid, 0)
        );
        let errors = |measured: &mut Measurements| measured.task.errors = measured.task.count;
        assert_eq!(one(slo("request", MOST, &[]), errors), (Unjudged::Errors, 0));
        let never = |measured: &mut Measurements| measured.steps.clear();
        assert_eq!(one(slo("call", MOST, &[]), never), (Unjudged::NeverRan, 0));
        assert_eq!(
            one(p9999(), |measured| measured.trial_mut().host.throttled_ns = 1),
            (Unjudged::Disturbed, 0)
        );
        assert_eq!(
            Unjudged::Samples.words(&p9999()),
            "too few samples: a p99.99 needs 100000 of them"
        );
    }
}
