//! A run file, read: its header, its trials, and what is still to do.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    GivenUp, Header, Line, Outcome, Probe, StoredCell, StoredLoad, TrialFailure, TrialRecord,
};
use crate::measure::{Measured, Measurements};

/// A run file, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its header.
    pub header: Header,
    /// Its trials in the order of execution. A round that was run again has two; the later one
    /// counts.
    pub trials: Vec<TrialRecord>,
    /// The rates that a search has tried, in order. Their cells are among those of the header.
    pub probes: Vec<Probe>,
    /// Whether everything planned was run, and nothing was resumed since.
    pub finished: bool,
    /// The signals that interrupted it, in order.
    pub interruptions: Vec<String>,
    /// What was given up, in order; it may have been resumed since.
    pub given_up: Vec<GivenUp>,
    /// What the reader noticed, such as a torn last line that was dropped.
    pub notes: Vec<String>,
}

/// A load of a cell: a row of every output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// The cell.
    pub cell: &'a StoredCell,
    /// The load.
    pub load: &'a StoredLoad,
    /// Its place among the cell's loads.
    place: usize,
}

impl<'a> Row<'a> {
    /// The cell's name, and behind it the load's where there are several.
    pub fn name(&self) -> String {
        match self.load_name() {
            Some(load) => format!("{}::{load}", self.cell.name),
            None => self.cell.name.clone(),
        }
    }

    /// The load's name, where the cell has several.
    pub fn load_name(&self) -> Option<&'a str> {
        (self.cell.loads.len() > 1).then_some(self.load.name.as_str())
    }

    /// What a trial of the cell measured of this load.
    pub fn of<'m>(&self, measured: &'m Measured) -> Option<&'m Measurements> {
        measured.loads.get(self.place)
    }
}

/// What these cells have from outside of their scenarios, as the environment of a run has it: the
/// programs that race, each with what it is, and the files that scenarios name, each with its
/// digest.
pub fn contenders_and_files(cells: &[StoredCell]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for cell in cells {
        let program = cell.program.as_ref();
        let program = program.map(|it| (format!("contender {}", cell.executor), it.words()));
        let files = cell.files.iter();
        let files =
            files.map(|file| (format!("file {}", file.path), format!("SHA-256 {}", file.sha256)));
        for (label, words) in program.into_iter().chain(files) {
            if !all.iter().any(|(known, _)| *known == label) {
                all.push((label, words));
            }
        }
    }
    all
}

impl StoredCell {
    /// Its loads.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.loads.iter().enumerate().map(|(place, load)| Row { cell: self, load, place })
    }
}

/// The trials of a run by cell and round. Where a round was run again, only the later trial is in
/// it.
#[derive(Debug, Clone)]
pub struct Rounds<'a> {
    /// The run.
    pub run: &'a Run,
    by_cell: HashMap<&'a str, BTreeMap<u32, &'a TrialRecord>>,
}

impl<'a> Rounds<'a> {
    /// A cell's trials, by round.
    pub fn of(&self, cell: &str) -> impl Iterator<Item = (u32, &'a TrialRecord)> + '_ {
        self.by_cell.get(cell).into_iter().flatten().map(|(&round, &trial)| (round, trial))
    }

    /// Why trials of a cell failed, those included that were measured afterwards.
    pub fn failures_of(&self, cell: &str) -> impl Iterator<Item = &'a TrialFailure> {
        self.run.trials.iter().filter(move |trial| trial.cell == cell).filter_map(|trial| {
            match &trial.outcome {
                Outcome::Failed(failure) => Some(failure),
                Outcome::Measured(_) => None,
            }
        })
    }
}

impl Run {
    /// A run of which nothing but the header is known.
    pub fn new(header: Header) -> Self {
        let (trials, probes, interruptions) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            header,
            trials,
            probes,
            finished: false,
            interruptions,
            given_up: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds what a line says.
    pub fn take(&mut self, line: Line) {
        match line {
            Line::Probe(probe) => {
                self.header.cells.push(probe.cell.clone());
                self.probes.push(*probe);
            }
            Line::Trial(trial) => {
                self.grow(&trial);
                self.trials.push(*trial);
            }
            Line::Interrupted { signal } => self.interruptions.push(signal),
            Line::Resumed { cells, warnings, .. } => {
                self.finished = false;
                for warning in warnings {
                    self.warn(warning);
                }
                for cell in cells {
                    self.replace(cell);
                }
            }
            Line::GaveUp(given_up) => self.given_up.push(*given_up),
            Line::Finished { .. } => self.finished = true,
        }
    }

    /// A check that had warned before has another figure now, and nothing to add.
    fn warn(&mut self, warning: String) {
        let name = |text: &str| text.split(':').next().map(str::to_owned);
        if self.header.warnings.iter().all(|known| name(known) != name(&warning)) {
            self.header.warnings.push(warning);
        }
    }

    /// A cell that had been refused is planned after all.
    pub fn replace(&mut self, planned: StoredCell) {
        if let Some(cell) = self.header.cells.iter_mut().find(|cell| cell.name == planned.name) {
            *cell = planned;
        }
    }

    /// A rate that is searched has as many rounds as it was found to need.
    fn grow(&mut self, trial: &TrialRecord) {
        if self.header.search.is_some()
            && let Some(cell) = self.header.cells.iter_mut().find(|cell| cell.name == trial.cell)
        {
            cell.rounds = cell.rounds.max(trial.round);
            self.header.rounds = self.header.rounds.max(trial.round);
        }
    }

    /// The trials by cell and round: of a round's attempts the last one that was measured, else the
    /// last.
    pub fn rounds(&self) -> Rounds<'_> {
        let mut by_cell: HashMap<&str, BTreeMap<u32, &TrialRecord>> = HashMap::new();
        let is_measured = |trial: &TrialRecord| matches!(trial.outcome, Outcome::Measured(_));
        for trial in &self.trials {
            let counts =
                by_cell.entry(&trial.cell).or_default().entry(trial.round).or_insert(trial);
            // A disturbed attempt says more than one that failed after it.
            if is_measured(trial) || !is_measured(counts) {
                *counts = trial;
            }
        }
        Rounds { run: self, by_cell }
    }

    /// What a resumed run has still to do: each (cell, round) of the plan without a trial, or whose
    /// trials have failed for a reason that may be gone
    /// ([`FailureKind::may_pass`](super::FailureKind::may_pass)), with the attempt that comes next.
    ///
    /// A trial that a signal cut off is never recorded (the line [`Line::Interrupted`] stands for
    /// it), so it is missing. Cells that are not run are not missing.
    pub fn missing(&self) -> BTreeMap<(&str, u32), u32> {
        let rounds = self.rounds();
        let next =
            |cell: &str, round: u32| self.attempts(cell, round).max().map_or(0, |last| last + 1);
        let planned = self.header.cells.iter().filter(|cell| cell.absent.is_none());
        planned
            .flat_map(|cell| {
                let mut missing: BTreeSet<u32> = (1..=cell.rounds).collect();
                let settled = rounds.of(&cell.name).filter(|(_, trial)| !trial.may_pass());
                settled.for_each(|(round, _)| {
                    missing.remove(&round);
                });
                missing
                    .into_iter()
                    .map(move |round| ((cell.name.as_str(), round), next(&cell.name, round)))
            })
            .collect()
    }

    fn attempts(&self, cell: &str, round: u32) -> impl Iterator<Item = u32> {
        self.trials
            .iter()
            .filter(move |trial| trial.cell == cell && trial.round == round)
            .map(|trial| trial.attempt)
    }
}
