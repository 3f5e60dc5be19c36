//! A run: the plan's trials one after another, each stored when it ends. Says what happens through events.

use std::collections::BTreeSet;

use crate::{
    clock,
    plan::{Plan, Planned},
    store::{Line, StoreError, TrialRecord, Writer},
    trial::{
        TrialPlan,
        parent::{Interrupted, Runner},
    },
};

/// What happens in a run.
#[derive(Debug)]
pub enum Event<'a> {
    /// A trial begins: its place in the order, from 1, and its plan.
    Begins {
        /// From 1.
        sequence: usize,
        /// Its plan, for replaying.
        plan: &'a TrialPlan,
    },
    /// A trial has ended and is stored.
    Ended(&'a TrialRecord),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything planned was run.
    Finished,
    /// A signal ended it: its name.
    Interrupted(&'static str),
}

/// Runs what is not `done` yet.
pub fn execute(
    plan: &Plan,
    done: &BTreeSet<(String, u32)>,
    runner: &Runner,
    writer: &mut Writer,
    mut observe: impl FnMut(Event<'_>),
) -> Result<End, StoreError> {
    let name = |planned: &Planned| (plan.cells[planned.cell].stored.name.clone(), planned.round);
    for (index, planned) in plan.trials.iter().enumerate().filter(|(_, planned)| !done.contains(&name(planned))) {
        if let Some(Interrupted(signal)) = runner.interrupted() {
            return interrupted(writer, signal);
        }
        let trial = plan.trial(*planned);
        observe(Event::Begins { sequence: index + 1, plan: &trial });
        match runner.run(&trial, index as u32 + 1) {
            Err(Interrupted(signal)) => return interrupted(writer, signal),
            Ok(record) => {
                let line = Line::Trial(Box::new(record));
                writer.append(&line)?;
                if let Line::Trial(record) = &line {
                    observe(Event::Ended(record));
                }
            }
        }
    }
    writer.append(&Line::Finished { at_ms: clock::unix_ms() })?;
    Ok(End::Finished)
}

fn interrupted(writer: &mut Writer, signal: &'static str) -> Result<End, StoreError> {
    writer.append(&Line::Interrupted { signal: signal.into() })?;
    Ok(End::Interrupted(signal))
}
