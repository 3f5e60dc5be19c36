//! `regatta selftest`: the harness measured by itself, on this machine.

use std::path::{Path, PathBuf};

use super::{
    CliError, Terminal, folder::RunFolder, input::Selection, lock::Leave, measure, verdict::exit,
};
use crate::{
    analysis::{self, Analysis, SelftestVerdict},
    exit::Exit,
    report,
    run::RunEnd,
    scenario::{self, Overrides, Scenario, ScenarioError},
    store,
};

/// The built-in suite. Each scenario sweeps one parameter over three values: twice the same in
/// other words, and a tenth more. So the three arms are cells like any others, in the same rounds.
const SUITE: &[(&str, &str)] = &[
    ("cpu.toml", include_str!("selftest/cpu.toml")),
    ("http.toml", include_str!("selftest/http.toml")),
    ("sleep.toml", include_str!("selftest/sleep.toml")),
];
/// Passes over all cells.
const ROUNDS: u32 = 10;
/// Fewer rounds give no interval.
const QUICK_ROUNDS: u32 = 6;
/// Who runs a quick self-test.
const QUICK_EXECUTORS: [&str; 2] = ["threads", "tokio"];

/// Tests the harness on this machine.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct SelftestFlags {
    /// How often each cell is measured. Default: 10, or 6 with `--quick`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(scenario::MOST_ROUNDS)))]
    rounds: Option<u32>,
    /// Two executors and six rounds, about half a minute: less can be seen.
    #[arg(long)]
    quick: bool,
    /// The folder for this run. Default: a new one under `reports/`.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What to print at the end.
    #[arg(long, value_name = "FORMAT", default_value = "human", value_parser = ["human", "json"])]
    format: String,
    /// Run although another run is in progress on this host: each disturbs the other.
    #[arg(long)]
    allow_other_runs: bool,
}

impl SelftestFlags {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Exit, CliError> {
        let leave = Leave::take(self.allow_other_runs)?;
        let selection = self.selection();
        let folder = RunFolder::of(self.out.as_deref(), "selftest");
        // Its arms differ by their tasks, of which none may be cut off.
        let scenarios = suite(&Overrides { longest: None, ..selection.overrides() })?;
        let mut prepared =
            measure::start(&selection, &scenarios, &folder, self.allow_other_runs, terminal)?;
        let end = measure::measure(&mut prepared, &leave.runner, terminal)?;
        let mut stored = store::read(&prepared.folder)?;
        let analysis = analysis::analyse(&stored);
        if let RunEnd::Interrupted(signal) = end {
            // What is said of rounds is said of those that there are.
            stored.header.rounds = rounds_measured(&analysis);
            terminal.note(&format!(
                "{signal}: the self-test was interrupted after {}; it cannot be resumed, so start it again",
                report::plural(stored.header.rounds as usize, "round")
            ));
        }
        let found = analysis::selftest(&analysis);
        let render = if self.format == "json" { report::selftest_json } else { report::selftest };
        terminal.result(&render(&stored.header, &found))?;
        terminal.note(&format!(
            "wrote {}; `regatta report` shows every cell",
            prepared.folder.display()
        ));
        let verdict = match found.verdict {
            SelftestVerdict::Pass => Exit::Fine,
            SelftestVerdict::Fail => Exit::Bad,
            SelftestVerdict::Inconclusive => Exit::Inconclusive,
        };
        Ok(exit(&analysis, end, false).or(verdict))
    }

    /// The self-test as a selection of cells on the command line of `run`.
    fn selection(&self) -> Selection {
        let rounds = self.rounds.unwrap_or(if self.quick { QUICK_ROUNDS } else { ROUNDS });
        let executor =
            if self.quick { QUICK_EXECUTORS.map(str::to_owned).to_vec() } else { Vec::new() };
        Selection { rounds: Some(rounds), quick: self.quick, executor, ..Selection::default() }
    }
}

/// The rounds that an interrupted run has of the cell with the most.
fn rounds_measured(analysis: &Analysis) -> u32 {
    let most = analysis.cells().map(|cell| cell.judgement.rounds.len()).max().unwrap_or(0);
    u32::try_from(most).unwrap_or(u32::MAX)
}

fn suite(overrides: &Overrides) -> Result<Vec<Scenario>, ScenarioError> {
    SUITE.iter().map(|(file, text)| scenario::from_text(Path::new(file), text, overrides)).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::{analysis::analyse, cli::arguments::Arguments, store::fixture::Fixture};

    #[test]
    fn no_rounds_at_all_are_a_wrong_command_line() {
        let error = Arguments::try_parse_from(["regatta", "selftest", "--rounds", "0"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("--rounds") && !error.contains("toml"), "{error}");
        assert!(Arguments::try_parse_from(["regatta", "selftest", "--rounds", "1"]).is_ok());
    }

    #[test]
    fn an_interrupted_self_test_has_the_rounds_that_were_measured() {
        let begun = Fixture::batch("threads", 10).cell("threads", &[], &[1e6; 3]).cell(
            "tokio",
            &[],
            &[1e6; 2],
        );
        assert_eq!(rounds_measured(&analyse(&begun.build())), 3);
    }

    /// The analysis takes the arms by their place: a scenario must have three, of which the first
    /// two are the same work.
    #[test]
    fn every_scenario_has_three_arms_and_the_first_two_are_equal() {
        let scenarios = suite(&Overrides::default()).expect("the suite is right");
        for scenario in &scenarios {
            let work = |arm: usize| {
                let variant = &scenario.variants[arm];
                serde_json::to_value((&variant.tasks, &variant.targets, &variant.loads)).unwrap()
            };
            assert_eq!(scenario.variants.len(), 3, "{}", scenario.name);
            assert_eq!(work(0), work(1), "{}", scenario.name);
            assert_ne!(work(0), work(2), "{}", scenario.name);
        }
        assert_eq!(scenarios.len(), SUITE.len());
    }
}
