//! Sentences on calls and trials that failed and on what was not run.

use std::collections::BTreeSet;

use super::words::{collect, list, places, plural};
use crate::{
    analysis::{Analysis, CellGroup, CellResult, CellStatus, ScenarioResult},
    scenario::Param,
};

/// Executor, what keeps it from running, reason.
type Why<'a> = (&'a str, &'a str, &'a str);

/// Cells up to which the errors of each are said.
const EACH: usize = 3;

/// Calls that ended in errors: of a few cells each, of many their number and the worst.
pub(super) fn errors(scenario: &ScenarioResult) -> Vec<String> {
    let erring: Vec<(String, &CellResult, String)> = cells(scenario)
        .filter_map(|(group, cell)| {
            Some((
                format!("{}{}", cell.label, places(&[&group.params])),
                cell,
                cell.errors.words()?,
            ))
        })
        .collect();
    if erring.len() <= EACH {
        return erring.iter().map(|(name, _, words)| format!("{name}: {words}.")).collect();
    }
    let worst =
        erring.iter().max_by(|(_, a, _), (_, b, _)| a.errors.share().total_cmp(&b.errors.share()));
    let sentence = |(name, _, words): &(String, &CellResult, String)| {
        format!(
            "Calls of {} ended in errors, most in {name}: {words}.",
            plural(erring.len(), "cell")
        )
    };
    worst.map(sentence).into_iter().collect()
}

/// Failed trials by reason, with the cells they are in.
pub(super) fn failures(scenario: &ScenarioResult) -> Vec<String> {
    let mut by_reason: Vec<(&str, Vec<(String, usize)>)> = Vec::new();
    for (group, cell) in cells(scenario) {
        for (reason, count) in &cell.failures {
            collect(
                &mut by_reason,
                reason,
                (format!("{}{}", cell.label, places(&[&group.params])), *count),
            );
        }
    }
    let sentence = |(reason, cells): &(&str, Vec<(String, usize)>)| {
        let names: Vec<String> = cells.iter().map(|(name, _)| name.clone()).collect();
        let trials = plural(cells.iter().map(|(_, count)| count).sum(), "trial");
        format!("{trials} of {} failed: {reason}.", list(&names))
    };
    by_reason.iter().map(sentence).collect()
}

/// Cells that make no sense or that a limit forbids, by executor and reason.
pub(super) fn not_run(scenario: &ScenarioResult) -> Vec<String> {
    let mut by_reason: Vec<(Why<'_>, Vec<&[Param]>)> = Vec::new();
    for (group, cell) in cells(scenario) {
        let (verb, reason) = match &cell.status {
            CellStatus::NotApplicable(reason) => ("is not applicable", reason),
            CellStatus::Refused(reason) => ("exceeds a limit of this host", reason),
            _ => continue,
        };
        collect(&mut by_reason, (&cell.label, verb, reason), &group.params);
    }
    let sentence = |((label, verb, reason), at): &(Why<'_>, Vec<&[Param]>)| {
        format!("{label} {verb}{}: {reason}.", places(at))
    };
    by_reason.iter().map(sentence).collect()
}

/// Folders in which steps wait for a disk, and that are on none.
pub(super) fn not_on_a_disk(scenario: &ScenarioResult) -> Vec<String> {
    let told = cells(scenario).flat_map(|(_, cell)| cell.not_on_a_disk());
    told.collect::<BTreeSet<_>>().into_iter().map(|words| format!("{words}.")).collect()
}

/// Planned trials without a record, over all scenarios.
pub(super) fn not_run_yet(analysis: &Analysis) -> Option<String> {
    let done = analysis.trials.measured + analysis.trials.failed;
    let missing = analysis.trials.planned.checked_sub(done).filter(|missing| *missing > 0)?;
    Some(format!(
        "The run is not complete: {missing} of {} were not run.",
        plural(analysis.trials.planned, "planned trial")
    ))
}

fn cells(scenario: &ScenarioResult) -> impl Iterator<Item = (&CellGroup, &CellResult)> {
    scenario.groups.iter().flat_map(|group| group.cells.iter().map(move |cell| (group, cell)))
}

#[cfg(test)]
mod tests {
    use crate::{
        analysis::{analyse, findings},
        measure::TargetReport,
        store::{Absent, FailureKind, fixture::Fixture},
    };

    /// Seven rounds of 2000 tasks in each cell, of which so many fail.
    fn failing(cells: &[(&str, u64)]) -> Vec<String> {
        let mut fixture = Fixture::closed(cells[0].0, 7);
        for (executor, failed) in cells {
            let counts =
                [("errors: refused".to_owned(), *failed), ("connections opened".to_owned(), 64)]
                    .into();
            let report = TargetReport { counts, ..TargetReport::default() };
            fixture = fixture.cell(executor, &[], &[100.0; 7]).measured(
                &format!("demo::{executor}"),
                |_, measured| {
                    (measured.task.errors, measured.steps[0].stream.errors) = (*failed, *failed);
                    measured.trial_mut().targets = vec![report.clone()];
                },
            );
        }
        findings(&analyse(&fixture.build()))
            .into_iter()
            .filter(|said| said.contains("ended in errors"))
            .collect()
    }

    #[test]
    fn a_disk_that_is_none_is_told_once() {
        let on = |system: &str| {
            let fixture = Fixture::closed("threads", 1).cell("threads", &[], &[100.0]).cell(
                "tokio",
                &[],
                &[100.0],
            );
            let fact = ("disk: file system".to_owned(), system.to_owned());
            let note = |_, measured: &mut crate::measure::Measurements| {
                measured.trial_mut().facts.extend([fact.clone()]);
            };
            let fixture = fixture.measured("demo::threads", note).measured("demo::tokio", note);
            let said = findings(&analyse(&fixture.build()));
            said.into_iter().filter(|said| said.contains("disk")).collect::<Vec<_>>()
        };
        let told = "`disk` is on tmpfs, which is in memory: fsync does nothing there; give `path` on a disk.";
        assert_eq!(on("tmpfs, which is in memory: fsync does nothing there"), [told]);
        assert!(on("tmpfs, which is in memory").is_empty() && on("ext4").is_empty());
    }

    #[test]
    fn calls_that_ended_in_errors_are_said_however_few() {
        assert!(failing(&[("threads", 0)]).is_empty());
        let few = "0.0500 % of the tasks and 0.0500 % of the calls of `call` ended in errors (over whole trials: refused 7).";
        assert_eq!(failing(&[("threads", 0), ("tokio", 1)]), [format!("tokio: {few}")]);
        let all = "100 % of the tasks and 100 % of the calls of `call` ended in errors (over whole trials: refused 14000).";
        let unranked = "smol is not ranked (ERRORS): 100.0 % of the tasks ended in errors; what fails is not the work \
                        that was compared: see why calls fail, and measure again.";
        let many = failing(&[("threads", 1), ("tokio", 1), ("smol", 2000), ("async-std", 1)]);
        assert_eq!(
            many,
            [unranked.to_owned(), format!("Calls of 4 cells ended in errors, most in smol: {all}")]
        );
    }

    #[test]
    fn what_failed_and_what_was_not_run_is_said() {
        let (one, many) = ([("concurrency", "1")], [("concurrency", "64")]);
        let senseless = || Absent::NotApplicable("one task at a time".into());
        let fixture = Fixture::batch("threads", 2)
            .cell("threads", &one, &[1e6, 1e6])
            .cell("threads", &many, &[])
            .fail("demo::threads::concurrency=1", 1, FailureKind::TimedOut, "no end after 60s")
            .fail("demo::threads::concurrency=64", 1, FailureKind::TimedOut, "no end after 60s")
            .absent("sequential", &one, senseless())
            .absent("sequential", &many, senseless())
            .absent("tokio", &many, Absent::Refused("RLIMIT_NOFILE is 64".into()));
        let expected = [
            "2 trials of threads at concurrency=1 and threads at concurrency=64 failed: no end after 60s.",
            "sequential is not applicable at concurrency=1 and 64: one task at a time.",
            "tokio exceeds a limit of this host at concurrency=64: RLIMIT_NOFILE is 64.",
            "The run is not complete: 1 of 4 planned trials were not run.",
        ];
        assert_eq!(findings(&analyse(&fixture.build()))[1..], expected);
    }

    #[test]
    fn with_several_scenarios_each_sentence_names_its_own() {
        let fixture = Fixture::batch("threads", 1).cell("threads", &[], &[1e6]).with(|run| {
            let mut other = run.header.scenarios[0].clone();
            other.name = "other".into();
            run.header.scenarios.push(other);
        });
        let said = findings(&analyse(&fixture.build()));
        assert_eq!(said, ["demo: Measured with 1 executor CPU; ratios are against threads."]);
    }
}
