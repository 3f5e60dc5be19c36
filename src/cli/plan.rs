//! Plans, from scenarios and what the command line says of them.

use std::path::Path;

use regex::Regex;

use super::{
    CliError,
    input::{Selection, Who},
};
use crate::{
    limits::Limits,
    plan::{Machine, Plan},
    scenario::{self, Scenario, ScenarioError},
    step::Calibration,
    store::{Header, StoredScenario},
    trial,
};

impl Selection {
    /// The plan, and the seed that orders it.
    pub(super) fn plan(&self, scenarios: &[Scenario]) -> Result<(Plan, u64), CliError> {
        let seed =
            scenarios.iter().flat_map(|s| &s.variants).map(|v| v.run.seed).next().unwrap_or(0);
        let keep = |name: &str| self.filter.iter().all(|filter| filter.is_match(name));
        let machine = self.machine()?;
        let mut plan = Plan::new(scenarios, &machine, seed, keep);
        plan.introduce(trial::hello);
        plan.adapt(trial::unavailable);
        if plan.cells.is_empty() {
            let filters: Vec<&str> = self.filter.iter().map(Regex::as_str).collect();
            let reason = format!(
                "no cell matches `{}`; `regatta list` shows the names",
                filters.join("` and `")
            );
            return Err(CliError::NothingMatched(reason));
        }
        if machine.target_cpus.is_some()
            && plan.cells.iter().all(|cell| cell.stored.target_cpus.is_empty())
        {
            let reason = "`--cpus target=…` changes nothing: no cell has a target in a process of its own, or an open load";
            return Err(CliError::Usage(reason.into()));
        }
        Ok((plan, seed))
    }

    fn machine(&self) -> Result<Machine, CliError> {
        let cpus = trial::allowed_cpus();
        let of =
            |who| self.cpus.iter().find(|(placed, _)| *placed == who).map(|(_, cpus)| cpus.clone());
        for (at, (who, _)) in self.cpus.iter().enumerate() {
            if self.cpus[..at].iter().any(|(placed, _)| placed == who) {
                let who = if *who == Who::Executor { "executor" } else { "target" };
                return Err(CliError::Usage(format!(
                    "`--cpus {who}=…` stands twice; name all its CPUs in one"
                )));
            }
        }
        if let Some(wrong) =
            self.cpus.iter().flat_map(|(_, list)| list).find(|cpu| !cpus.contains(cpu))
        {
            return Err(CliError::Usage(format!(
                "CPU {wrong} is not one of those that may be used: {cpus:?}"
            )));
        }
        Ok(Machine {
            executor_cpus: of(Who::Executor),
            target_cpus: of(Who::Target),
            cpus,
            limits: Limits::read(),
        })
    }
}

/// The scenarios of a stored run, with what its command line changed.
pub(super) fn scenarios_of(
    header: &Header,
    selection: &Selection,
) -> Result<Vec<Scenario>, ScenarioError> {
    let overrides = selection.overrides();
    let read = |stored: &StoredScenario| {
        scenario::from_text(Path::new(&stored.path), &stored.text, &overrides)
    };
    header.scenarios.iter().map(read).collect()
}

/// The plan of a stored run, again.
pub(super) fn again(
    header: &Header,
    selection: &Selection,
    scenarios: &[Scenario],
) -> Result<Plan, CliError> {
    let (mut plan, _) = selection.plan(scenarios)?;
    plan.refuse_unready(scenarios);
    plan.calibrate(&mut Calibration(header.calibration.clone()));
    Ok(plan)
}
