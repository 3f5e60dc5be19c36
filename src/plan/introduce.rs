//! What is known of a plan's programs when they have said who they are.

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
