//! The scenarios that a command line names: its paths to files, and their texts to scenarios.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    CliError, Terminal,
    input::{Selection, is_stdin},
};
use crate::scenario::{self, Load, LoadKind, Scenario};

impl Selection {
    /// Reads all scenarios; every file's errors are printed.
    pub(super) fn scenarios(&self, terminal: &Terminal) -> Result<Vec<Scenario>, CliError> {
        if let Some(problem) = self.contradiction() {
            return Err(CliError::Usage(problem));
        }
        let files = self.files()?;
        let overrides = self.overrides();
        let mut scenarios: Vec<Scenario> = Vec::new();
        let mut errors = Vec::new();
        for file in &files {
            match scenario::read(file, &overrides) {
                Ok(scenario) => scenarios.push(scenario),
                Err(error) => errors.push(CliError::from(error)),
            }
        }
        if errors.len() > 1 {
            let count = errors.len();
            for error in &errors {
                terminal.error(error);
            }
            return Err(CliError::Scenarios(count, files.len()));
        }
        if let Some(error) = errors.pop() {
            return Err(error);
        }
        if let Some(error) = same_name(&scenarios) {
            return Err(error);
        }
        self.warn_of_unused(&scenarios, terminal)?;
        for scenario in scenarios.iter().filter(|scenario| !scenario.cut.is_empty()) {
            terminal.note(&format!(
                "--quick cuts {} short: {}",
                scenario.name,
                scenario.cut.join("; ")
            ));
        }
        Ok(scenarios)
    }

    /// `--duration` where a load ends by something else: an error where it changes nothing at all,
    /// or a warning.
    fn warn_of_unused(&self, scenarios: &[Scenario], terminal: &Terminal) -> Result<(), CliError> {
        // What a quick run cuts off follows from it, too.
        if self.duration.is_none() || self.quick {
            return Ok(());
        }
        let unused: Vec<String> = scenarios.iter().filter_map(unaffected).collect();
        let text = || format!("`--duration` changes nothing about {}", unused.join(", nor about "));
        match unused.len() {
            0 => {}
            all if all == scenarios.len() => return Err(CliError::Usage(text())),
            _ => terminal.warn(&text()),
        }
        Ok(())
    }

    /// The files that the paths mean.
    fn files(&self) -> Result<Vec<PathBuf>, CliError> {
        if self.paths.is_empty() {
            return Err(CliError::Usage(
                "name a scenario file or a folder of them, such as `scenarios/headline`; `regatta init` writes a first one"
                    .into(),
            ));
        }
        if self.paths.iter().filter(|path| is_stdin(path)).count() > 1 {
            return Err(CliError::Usage(
                "`-` stands twice, and there is one standard input".into(),
            ));
        }
        let mut files = Vec::new();
        for path in &self.paths {
            let before = files.len();
            collect(path, &mut files)?;
            if files.len() == before {
                let reason = "this folder has no scenario files (*.toml)".into();
                return Err(CliError::BadData { path: path.clone(), reason });
            }
        }
        Ok(files)
    }
}

/// A scenario whose `duration` decides nothing, and what does.
fn unaffected(scenario: &Scenario) -> Option<String> {
    let keys = |load: &Load| match &load.kind {
        LoadKind::Batch { .. } => Some("`tasks` and `repeat`"),
        LoadKind::Closed { tasks: Some(_), .. } => Some("`tasks`"),
        kind if kind.staged().is_some() => Some("`stages`"),
        LoadKind::Closed { .. } | LoadKind::Open { .. } => None,
    };
    let all: Option<Vec<&str>> =
        scenario.variants.iter().flat_map(|variant| &variant.loads).map(keys).collect();
    let (keys, load) = (*all?.first()?, &scenario.variants.first()?.loads.first()?.name);
    Some(format!("{}, which measures for as long as {keys} under [load.{load}] say", scenario.name))
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), CliError> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let unreadable = |source| CliError::Input { path: path.to_owned(), source };
    let entries: Result<Vec<_>, _> = fs::read_dir(path).map_err(unreadable)?.collect();
    let mut paths: Vec<PathBuf> =
        entries.map_err(unreadable)?.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() || path.extension().is_some_and(|extension| extension == "toml") {
            collect(&path, files)?;
        }
    }
    Ok(())
}

/// Cells are found by name, so two scenarios of one run cannot have the same.
fn same_name(scenarios: &[Scenario]) -> Option<CliError> {
    let twin = |(at, scenario): (usize, &Scenario)| {
        let first = scenarios[..at].iter().find(|other| other.name == scenario.name)?;
        let reason = format!(
            "the name `{}` is also that of {}; rename one",
            scenario.name,
            first.path.display()
        );
        Some(CliError::BadData { path: scenario.path.clone(), reason })
    };
    scenarios.iter().enumerate().find_map(twin)
}
