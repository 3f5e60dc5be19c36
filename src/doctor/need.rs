//! What a plan needs of the host.

use std::collections::BTreeSet;

use crate::{
    plan::{Cell, Plan},
    store::Absent,
};

/// What a plan needs of the host; the default is that of no plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Need {
    /// CPUs of executors.
    pub executor_cpus: BTreeSet<usize>,
    /// CPUs of targets.
    pub target_cpus: BTreeSet<usize>,
    /// Most CPUs that one cell is placed on.
    pub cpus: usize,
    /// Whether an executor has to share its CPU with a target.
    pub shared_cpu: bool,
    /// A cell with more scheduler threads than CPUs: its name, both numbers.
    pub crowded: Option<(String, usize, usize)>,
    /// Most memory that the slots of one cell take, in bytes.
    pub memory: u64,
    /// Whether tasks open and close connections to other hosts.
    pub remote_connections: bool,
    /// Cells that the host's limits forbid, and why.
    pub refused: Vec<(String, String)>,
    /// Cells in all.
    pub cells: usize,
    /// Executors of this program that it has cells of, whether they can run or not.
    pub executors: BTreeSet<String>,
}

impl Need {
    /// What a plan needs.
    pub fn of(plan: &Plan) -> Self {
        let mut need = Self { cells: plan.cells.len(), ..Self::default() };
        for cell in &plan.cells {
            if cell.trial.program.is_none() {
                need.executors.insert(cell.trial.executor.clone());
            }
            match &cell.stored.absent {
                Some(Absent::Refused(why)) => {
                    need.refused.push((cell.stored.name.clone(), why.clone()));
                }
                Some(Absent::NotApplicable(_)) => {}
                None => need.add(cell),
            }
        }
        need
    }

    fn add(&mut self, cell: &Cell) {
        let (executor, target) = (&cell.stored.executor_cpus, &cell.stored.target_cpus);
        let both: BTreeSet<usize> = executor.iter().chain(target).copied().collect();
        self.cpus = self.cpus.max(both.len());
        self.executor_cpus.extend(executor);
        self.target_cpus.extend(target);
        let has_process = cell.trial.targets.iter().any(|target| target.spec.has_process());
        self.shared_cpu |=
            has_process && (target.is_empty() || target.iter().any(|cpu| executor.contains(cpu)));
        if self.crowded.is_none() && !executor.is_empty() && cell.stored.workers > executor.len() {
            self.crowded = Some((cell.stored.name.clone(), cell.stored.workers, executor.len()));
        }
        self.memory = self.memory.max(cell.memory);
        self.remote_connections |= cell.remote_connections;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{limits::Limits, plan::Machine, scenario};

    #[test]
    fn a_plan_says_what_it_needs() {
        let text = "schema = 1\nname = 'x'\n[targets.api]\nhttp = {}\n[tasks.get]\nsteps = [{ http = { target = 'api', path \
                    = '/' } }]\n[load.b]\ntask = 'get'\nbatch = { tasks = 100 }\n[executors]\nuse = ['tokio']\nworkers = 3\n";
        let read = scenario::from_text(Path::new("x.toml"), text, &scenario::Overrides::default())
            .unwrap();
        let need = |cpus: &[usize]| {
            let machine = Machine {
                cpus: cpus.to_vec(),
                executor_cpus: None,
                target_cpus: None,
                limits: Limits::default(),
            };
            Need::of(&Plan::new(std::slice::from_ref(&read), &machine, 0, |_| true))
        };
        let three = need(&[0, 1, 2]);
        assert_eq!((three.cpus, three.shared_cpu), (3, false));
        assert_eq!((&three.executor_cpus, &three.target_cpus), (&[0, 1].into(), &[2].into()));
        assert_eq!(three.crowded, Some(("x::tokio".into(), 3, 2)));
        assert!(
            three.memory >= 100 * 1024 && three.refused.is_empty() && !three.remote_connections
        );
        assert!(need(&[0]).shared_cpu);
    }
}
