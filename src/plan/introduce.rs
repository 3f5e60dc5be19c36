//! What is known of a plan's programs when they have said who they are, and of its executors when
//! the host was asked.

use std::collections::BTreeMap;

use super::{Cell, Plan};
use crate::{
    protocol::{Hello, Program},
    store::{Absent, StoredProgram},
    trial,
};

impl Plan {
    /// Asks each program of the plan who it is, once, and takes out of it what one cannot do.
    pub fn introduce(&mut self, ask: impl Fn(&Program) -> Result<Hello, String>) {
        let mut asked: BTreeMap<Program, Result<Hello, String>> = BTreeMap::new();
        for cell in &mut self.cells {
            let Some(program) = cell.trial.program.clone() else { continue };
            let hello = asked.entry(program.clone()).or_insert_with(|| ask(&program));
            introduced(cell, hello);
        }
        self.leave_out_absent();
    }

    /// Asks once of each executor of this program in the plan why this host cannot run it, and takes
    /// out of it what it cannot.
    pub fn adapt(&mut self, unavailable: impl Fn(&str) -> Option<String>) {
        let mut asked: BTreeMap<String, Option<String>> = BTreeMap::new();
        for cell in self.cells.iter_mut().filter(|cell| cell.trial.program.is_none()) {
            let name = &cell.trial.executor;
            let why = asked.entry(name.clone()).or_insert_with(|| unavailable(name));
            if cell.stored.absent.is_none() {
                cell.stored.absent = why.clone().map(Absent::NotApplicable);
            }
        }
        self.leave_out_absent();
    }

    fn leave_out_absent(&mut self) {
        self.trials.retain(|trial| self.cells[trial.cell].stored.absent.is_none());
    }
}

/// What is known of a cell when its program has said who it is, or did not.
fn introduced(cell: &mut Cell, hello: &Result<Hello, String>) {
    let hello = match hello {
        Ok(hello) => hello,
        Err(why) => {
            cell.stored.absent.get_or_insert_with(|| Absent::Refused(why.clone()));
            return;
        }
    };
    if cell.stored.absent.is_none() {
        cell.stored.absent = trial::objection(&cell.trial, hello).map(Absent::NotApplicable);
    }
    if let Some(cpus) = hello.cpus {
        cell.stored.working_cpus = cell.stored.working_cpus.min(cpus.max(1));
    }
    if let Some(program) = &mut cell.stored.program {
        *program = StoredProgram {
            command: std::mem::take(&mut program.command),
            name: hello.name.clone(),
            version: hello.version.clone(),
            runtime: hello.runtime.clone(),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, path::Path};

    use super::*;
    use crate::{limits::Limits, plan::Machine, scenario};

    #[test]
    fn what_the_host_does_not_have_is_not_applicable_and_asked_for_once() {
        let read = |name: &str| {
            let text = format!(
                "schema = 1\nname = '{name}'\n[tasks.t]\nsteps = [{{ noop = {{}} }}]\n[load.b]\ntask = 't'\n\
                 batch = {{ tasks = 4 }}\n[executors]\nuse = ['tokio', 'smol']\n"
            );
            scenario::from_text(Path::new("x.toml"), &text, &scenario::Overrides::default())
                .unwrap()
        };
        let machine = Machine {
            cpus: vec![0],
            executor_cpus: None,
            target_cpus: None,
            limits: Limits::default(),
        };
        let mut plan = Plan::new(&[read("x"), read("y")], &machine, 0, |_| true);
        let (cells, trials) = (plan.cells.len(), plan.trials.len());
        let asked = RefCell::new(Vec::new());
        plan.adapt(|name| {
            asked.borrow_mut().push(name.to_owned());
            (name == "smol").then(|| "io_uring is unavailable here: EPERM".to_owned())
        });
        let mut asked = asked.into_inner();
        asked.sort();
        assert_eq!(asked, ["smol", "tokio"]);
        for cell in &plan.cells {
            let why = matches!(&cell.stored.absent, Some(Absent::NotApplicable(why)) if why.ends_with("EPERM"));
            assert_eq!(why, cell.trial.executor == "smol");
        }
        assert_eq!((plan.cells.len(), plan.trials.len()), (cells, trials / 2));
    }
}
