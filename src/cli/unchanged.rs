//! What must be as it was when a run or a search is resumed: the plan, the program, the host and
//! the CPUs. Trials of different hosts are not one measurement.

use std::{collections::BTreeMap, fs};

use super::Terminal;
use crate::{
    doctor,
    plan::Cell,
    store::{self, Absent, Header, Outcome, Run, StoredCell, TrialRecord},
    trial,
};

/// What is measured anew for each run, and is a little different each time.
const VARIES: &str = "clock reading";
/// Longer values of the environment are not shown in messages.
const MOST_SHOWN: usize = 60;

/// Cells that a limit had refused, and that this host has room for now.
pub(super) fn possible_now(before: &[StoredCell], now: &[StoredCell]) -> Vec<StoredCell> {
    let was_refused = |cell: &StoredCell| matches!(cell.absent, Some(Absent::Refused(_)));
    let both = before.iter().zip(now);
    both.filter(|(before, now)| was_refused(before) && now.absent.is_none())
        .map(|(_, now)| now.clone())
        .collect()
}

/// Why trials of now would not be like those that are stored; nothing, if all is as it was.
pub(super) fn change(header: &Header, before: &[StoredCell], now: &[StoredCell]) -> Option<String> {
    if now.iter().map(|cell| &cell.name).ne(before.iter().map(|cell| &cell.name)) {
        return Some(
            "was planned differently by another version of this program; start anew".into(),
        );
    }
    let cells = || before.iter().zip(now).find_map(|(before, now)| moved(before, now));
    let found: Vec<_> =
        doctor::describe().into_iter().chain(store::contenders_and_files(now)).collect();
    let why = environment(&header.environment, &found).or_else(cells)?;
    Some(format!("{why}; resume it as it was begun, or start anew"))
}

/// What is different about the host or this program.
fn environment(before: &[(String, String)], now: &[(String, String)]) -> Option<String> {
    let value = |of: &[(String, String)], label: &str| {
        of.iter()
            .find(|(known, _)| known == label)
            .map_or("unknown".to_owned(), |(_, value)| value.clone())
    };
    let labels = before.iter().chain(now).map(|(label, _)| label).filter(|label| *label != VARIES);
    let changed = labels.map(|label| (label, value(before, label), value(now, label)));
    let (label, before, now) = changed.into_iter().find(|(_, before, now)| before != now)?;
    Some(if before.len().max(now.len()) > MOST_SHOWN {
        format!("was begun with another value of `{label}` than is found here")
    } else {
        format!("was begun with `{label}` {before}, and here it is {now}")
    })
}

/// What is different about where a cell runs.
fn moved(before: &StoredCell, now: &StoredCell) -> Option<String> {
    let name = &before.name;
    match (&before.absent, &now.absent) {
        (None, Some(Absent::Refused(why))) => {
            Some(format!("has {name} in its plan, which is refused now: {why}"))
        }
        (None, None) if place(before) != place(now) => Some(format!(
            "was begun with {} for {name}, and here it would have {}",
            place(before),
            place(now)
        )),
        _ => None,
    }
}

/// What a cell has of the host, in words.
fn place(cell: &StoredCell) -> String {
    let StoredCell { loads, workers, executor_cpus, target_cpus, .. } = cell;
    let slots: Vec<String> = loads.iter().map(|load| load.slots.to_string()).collect();
    format!(
        "{} slots, {workers} workers, CPUs {executor_cpus:?} and {target_cpus:?} of targets",
        slots.join(" and ")
    )
}

/// Why trials of now would act on another server than those that are stored: its url stands in the
/// environment, or its name leads elsewhere. The servers are asked.
pub(super) fn other_server<'a>(run: &Run, cells: impl Iterator<Item = &'a Cell>) -> Option<String> {
    let cells: Vec<&Cell> = cells.filter(|cell| cell.stored.absent.is_none()).collect();
    let now = trial::servers(cells.iter().map(|cell| &cell.trial));
    let name = |cell: &Cell| cell.stored.name.clone();
    cells.iter().zip(&now).find_map(|(cell, now)| another(facts(run, &name(cell))?, now))
}

/// What is different about a server.
fn another(before: &BTreeMap<String, String>, now: &[(String, String)]) -> Option<String> {
    let (label, before, now) = now
        .iter()
        .map(|(label, now)| (label, before.get(label).unwrap_or(now), now))
        .find(|(_, b, n)| b != n)?;
    Some(format!(
        "was measured with `{label}` {before}, and here it is {now}; resume it with the server that it was begun with, or \
         start anew with another `--out`"
    ))
}

/// The facts of a planned cell's latest measured trial. A search has trials of its cells at rates.
fn facts<'a>(run: &'a Run, cell: &str) -> Option<&'a BTreeMap<String, String>> {
    let of = |trial: &TrialRecord| {
        let probe = run.probes.iter().find(|probe| probe.cell.name == trial.cell);
        probe.map_or(trial.cell == cell, |probe| probe.of == cell)
    };
    run.trials.iter().rev().filter(|trial| of(trial)).find_map(|trial| match &trial.outcome {
        Outcome::Measured(measured) => Some(&measured.trial.facts),
        Outcome::Failed(_) => None,
    })
}

/// A run goes on with the text that it began with.
pub(super) fn warn_of_edits(header: &Header, terminal: &Terminal) {
    for scenario in &header.scenarios {
        if fs::read_to_string(&scenario.path).is_ok_and(|text| text != scenario.text) {
            let path = &scenario.path;
            terminal.warn(&format!(
                "{path} has changed since; the run goes on with the text that it began with"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        measure::TrialMeasured,
        scenario::ScenarioFile,
        store::{Probe, fixture::Fixture},
    };

    #[test]
    fn another_server_is_named_and_what_was_not_known_is_none() {
        let told = |at: &str, is: &str| {
            vec![
                ("db: address".to_owned(), at.to_owned()),
                ("db: server".to_owned(), is.to_owned()),
            ]
        };
        let before: BTreeMap<String, String> =
            told("postgres://me@a:5432", "PostgreSQL 15").into_iter().collect();
        assert_eq!(another(&before, &told("postgres://me@a:5432", "PostgreSQL 15")), None);
        let moved = another(&before, &told("postgres://me@b:5432", "PostgreSQL 15")).unwrap();
        let said = "was measured with `db: address` postgres://me@a:5432, and here it is postgres://me@b:5432;";
        assert!(moved.starts_with(said) && moved.contains("another `--out`"), "{moved}");
        let replaced = another(&before, &told("postgres://me@a:5432", "PostgreSQL 16")).unwrap();
        assert!(
            replaced.contains("`db: server` PostgreSQL 15, and here it is PostgreSQL 16"),
            "{replaced}"
        );
        // Files of older versions do not know where it was; a server that does not answer says
        // nothing.
        assert_eq!(another(&BTreeMap::new(), &told("postgres://me@b:5432", "PostgreSQL 16")), None);
        assert_eq!(another(&before, &told("postgres://me@a:5432", "")[..1]), None);
    }

    #[test]
    fn a_search_s_cells_have_their_trials_at_rates() {
        let known = |run: &mut Run, rate: &str| {
            let Outcome::Measured(measured) = &mut run.trials[0].outcome else {
                panic!("measured")
            };
            let there = |trial: &mut TrialMeasured| {
                trial.facts.insert("db: address".into(), "there".into());
            };
            **measured = measured.as_ref().clone().with_trial(there);
            let cell = StoredCell {
                name: format!("demo::threads::rate={rate}"),
                ..run.header.cells[0].clone()
            };
            run.trials[0].cell.clone_from(&cell.name);
            run.probes.push(Probe { of: "demo::threads".into(), rate: 1.0, cell });
        };
        let run = Fixture::batch("threads", 1)
            .cell("threads", &[], &[2e6])
            .with(|run| known(run, "1"))
            .build();
        assert_eq!(facts(&run, "demo::threads").unwrap()["db: address"], "there");
        assert_eq!(facts(&run, "demo::tokio"), None);
    }

    fn labels(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn other_cpus_and_new_refusals_are_named() {
        let run = Fixture::batch("threads", 1).cell("threads", &[], &[2e6]).build();
        let before = StoredCell { executor_cpus: vec![0, 1], ..run.header.cells[0].clone() };
        assert_eq!(moved(&before, &before), None);
        let why = moved(&before, &StoredCell { executor_cpus: vec![0], ..before.clone() }).unwrap();
        assert!(
            why.contains("CPUs [0, 1]")
                && why.contains("would have")
                && why.contains("CPUs [0] and"),
            "{why}"
        );
        let refused =
            StoredCell { absent: Some(Absent::Refused("no room".into())), ..before.clone() };
        assert!(moved(&before, &refused).unwrap().contains("refused now: no room"));
        assert_eq!(moved(&refused, &before), None);
        assert_eq!(possible_now(&[refused], std::slice::from_ref(&before)), [before]);
    }

    #[test]
    fn a_file_that_holds_something_else_is_named() {
        let mut run = Fixture::batch("threads", 1).cell("threads", &[], &[2e6]).build();
        let with = |digest: &str| {
            let file = ScenarioFile { path: "data/users.csv".into(), sha256: digest.repeat(64) };
            StoredCell { files: vec![file], ..run.header.cells[0].clone() }
        };
        let (before, now) = (with("a"), with("b"));
        let environment = doctor::describe().into_iter();
        run.header.environment =
            environment.chain(store::contenders_and_files(std::slice::from_ref(&before))).collect();
        let cells = [before.clone()];
        assert_eq!(change(&run.header, &cells, &cells), None);
        let why = change(&run.header, &cells, &[now]).unwrap();
        assert!(why.contains("was begun with another value of `file data/users.csv`"), "{why}");
    }

    #[test]
    fn another_host_is_named() {
        let before = labels(&[("CPU", "A"), ("clock reading", "21 ns"), ("kernel", "6.1")]);
        let same = labels(&[("CPU", "A"), ("clock reading", "22 ns"), ("kernel", "6.1")]);
        assert_eq!(environment(&before, &same), None);
        let other = labels(&[("CPU", "A"), ("kernel", "6.2")]);
        assert_eq!(
            environment(&before, &other).unwrap(),
            "was begun with `kernel` 6.1, and here it is 6.2"
        );
        let less = environment(&before, &labels(&[("CPU", "A")])).unwrap();
        assert!(less.contains("here it is unknown"), "{less}");
        let more =
            environment(&labels(&[]), &labels(&[("crates", &"tokio 1.0 ".repeat(10))])).unwrap();
        assert_eq!(more, "was begun with another value of `crates` than is found here");
    }
}
