//! The header of a run file, from what the command line asks for and what is found of this host.

use std::time::Duration;

use super::{CliError, Terminal, input::Selection};
use crate::{
    clock,
    doctor::{self, Need},
    plan::Plan,
    scenario::Scenario,
    step::Calibration,
    store::{self, Header, HostCheck, StoredScenario},
    trial::allowed_cpus,
};

/// How long the check before a run watches the host's counters.
const LOOK: Duration = Duration::from_millis(250);

/// Plans a run and warns of what may disturb it: the plan, and the header, which names no folder
/// yet.
pub(super) fn open(
    selection: &Selection,
    scenarios: &[Scenario],
    allow_other_runs: bool,
    terminal: &Terminal,
) -> Result<(Plan, Header), CliError> {
    let (mut plan, seed) = selection.plan(scenarios)?;
    plan.refuse_unready(scenarios);
    let mut calibration = Calibration::default();
    plan.calibrate(&mut calibration);
    let started_ms = clock::unix_ms();
    let checks = check(&plan, allow_other_runs);
    let warnings = warnings(&checks, terminal);
    let cells = plan.stored();
    let environment = doctor::describe().into_iter().chain(store::contenders_and_files(&cells));
    let header = Header {
        regatta_run: store::VERSION,
        run: String::new(),
        started_ms,
        command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        seed,
        quick: selection.quick,
        rounds: plan.rounds(),
        environment: environment.collect(),
        cpus: allowed_cpus(),
        scenarios: scenarios.iter().map(stored).collect(),
        cells,
        warnings,
        checks,
        calibration: calibration.0,
        clock_ns: clock::cost_ns(),
        search: None,
    };
    Ok((plan, header))
}

/// What the checks warn of, said.
pub(super) fn warnings(checks: &[HostCheck], terminal: &Terminal) -> Vec<String> {
    let warnings = doctor::warnings(checks);
    for warning in &warnings {
        terminal.warn(warning);
    }
    warnings
}

/// The doctor's short form: noise only warns, and limits have refused their cells already.
pub(super) fn check(plan: &Plan, allow_other_runs: bool) -> Vec<HostCheck> {
    let mut host = doctor::look(LOOK);
    if !allow_other_runs {
        // The lock is this run's own.
        host.other_run = None;
    }
    doctor::examine(&host, &Need::of(plan))
}

fn stored(scenario: &Scenario) -> StoredScenario {
    let executors = scenario.variants.first().map(|variant| variant.executors.clone());
    StoredScenario {
        name: scenario.name.clone(),
        path: scenario.path.display().to_string(),
        question: scenario.question.clone(),
        text: scenario.text.clone(),
        baseline: executors
            .as_ref()
            .map(|executors| executors.baseline.clone())
            .unwrap_or_default(),
        executors: executors.map(|executors| executors.names).unwrap_or_default(),
        claims: scenario.claims.clone(),
        slos: scenario.slos.clone(),
    }
}
