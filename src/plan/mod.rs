//! Plans: from scenarios to cells and an ordered list of trials. Pure; executes nothing.

mod beneath;
mod cell;
mod contender;
mod crowd;
mod estimate;
mod events;
mod introduce;
mod meetings;
mod order;
mod peers;
mod pipelines;
mod pipes;
mod rate;
mod refusal;

pub use cell::{Cell, Machine};
pub use estimate::{Estimate, MOST_AGAIN, Time, total};
pub use order::{Planned, order};
pub use rate::{NotSearchable, Searchable, searches};

use self::contender::Contender;
use crate::{
    scenario::{Scenario, StepPlan, Task},
    secret::Lack,
    step::Calibration,
    store::{Absent, StoredCell},
    targets::NamedTarget,
    trial::TrialPlan,
};

/// Everything that a run will do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// All cells, in the order of scenarios, parameters and executors.
    pub cells: Vec<Cell>,
    /// The trials of the cells that are run, in the order in which they are run.
    pub trials: Vec<Planned>,
}

impl Plan {
    /// Plans all cells of the scenarios whose name `keep` accepts.
    pub fn new(
        scenarios: &[Scenario],
        machine: &Machine,
        seed: u64,
        keep: impl Fn(&str) -> bool,
    ) -> Self {
        let cells = scenarios.iter().flat_map(|scenario| cell::cells(scenario, machine));
        let cells: Vec<Cell> = cells.filter(|cell| keep(&cell.stored.name)).collect();
        let rounds: Vec<u32> = cells
            .iter()
            .map(|cell| if cell.stored.absent.is_some() { 0 } else { cell.stored.rounds })
            .collect();
        Self { trials: order(&rounds, seed), cells }
    }

    /// The cells as a run file stores them.
    pub fn stored(&self) -> Vec<StoredCell> {
        self.cells.iter().map(|cell| cell.stored.clone()).collect()
    }

    /// The name of a trial's cell, and its round.
    pub fn name_of(&self, planned: &Planned) -> (String, u32) {
        (self.cells[planned.cell].stored.name.clone(), planned.round)
    }

    /// The plan of one trial.
    pub fn trial(&self, planned: Planned) -> TrialPlan {
        TrialPlan { round: planned.round, ..self.cells[planned.cell].trial.clone() }
    }

    /// Estimated time of all trials.
    pub fn time(&self) -> Time {
        self.time_of(&self.trials)
    }

    /// Estimated time of some trials.
    pub fn time_of<'a>(
        &self,
        trials: impl IntoIterator<Item = &'a Planned, IntoIter: Clone>,
    ) -> Time {
        Time::of(trials.into_iter().map(|planned| &self.cells[planned.cell].estimate))
    }

    /// The most rounds of any cell.
    pub fn rounds(&self) -> u32 {
        self.cells.iter().map(|cell| cell.stored.rounds).max().unwrap_or(0)
    }

    /// Turns CPU work that is given as time into iterations, the same for all cells.
    pub fn calibrate(&mut self, calibration: &mut Calibration) {
        let steps = self
            .cells
            .iter_mut()
            .flat_map(|cell| &mut cell.trial.tasks)
            .flat_map(|task| &mut task.steps);
        steps.for_each(|step| step.spec.calibrate(calibration));
    }

    /// Refuses the cells whose targets or steps lack what only a run needs, such as the environment
    /// variable that holds a url or a token.
    pub fn refuse_unready(&mut self, scenarios: &[Scenario]) {
        for cell in self.cells.iter_mut().filter(|cell| cell.stored.absent.is_none()) {
            let scenario = scenarios.iter().find(|scenario| scenario.name == cell.stored.scenario);
            let place = |lack: &Lack| {
                scenario.zip(lack.variable.as_deref()).and_then(|(s, name)| place(s, name))
            };
            let words = |what: &str, name: &str, lack: &Lack| {
                format!("{}{what} `{name}`: {}", place(lack).unwrap_or_default(), lack.reason)
            };
            let target =
                |target: &NamedTarget| Some(words("target", &target.name, &target.spec.unready()?));
            let steps = |task: &Task| {
                let step = |step: &StepPlan| Some(words("task", &task.name, &step.spec.unready()?));
                task.steps.iter().find_map(step)
            };
            let trial = &cell.trial;
            let why = trial
                .targets
                .iter()
                .find_map(target)
                .or_else(|| trial.tasks.iter().find_map(steps));
            cell.stored.absent = why.map(Absent::Refused);
        }
        self.trials.retain(|trial| self.cells[trial.cell].stored.absent.is_none());
    }

    /// Whether any cell was refused because of a limit of this host.
    pub fn has_refusals(&self) -> bool {
        self.cells.iter().any(|cell| matches!(cell.stored.absent, Some(Absent::Refused(_))))
    }
}

/// Where a scenario names a variable of the environment first, as `FILE:LINE: `; nothing where the
/// command line does.
fn place(scenario: &Scenario, variable: &str) -> Option<String> {
    let named = format!("${{env:{variable}}}");
    let is_named = |line: &str| !line.trim_start().starts_with('#') && line.contains(&named);
    let line = scenario.text.lines().position(is_named)? + 1;
    Some(format!("{}:{line}: ", scenario.path.display()))
}
