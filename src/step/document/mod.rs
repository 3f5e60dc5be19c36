//! `document`: documents read, inserted or changed in a collection behind MongoDB's protocol.
//!
//! What is proven: a step returns, inserts or changes as many documents as `expect` says. Without `expect`, an insert
//! inserts all of its documents, and a `find` without `${…}` on a collection to which nothing is written returns as
//! many as it did in preparation; of all others it is proven that they ran without an error, and that every field of
//! every document was read. Over the whole process the collection must have as many documents in the end as were
//! seeded and inserted, by the server's own count.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use self::{
    call::{Calls, Shelf, Work},
    operation::Operation,
};
use super::{BuildError, Cost, Lookup, Site, Step, StepKind, StepSpec, TargetUse};
use crate::{
    config::{Diagnostics, Field, Fields, Name, Node, Section, choice_schema, read_choice},
    runtime::Runtime,
    target::{TargetSpec, document::Store},
};

mod call;
mod operation;
mod pattern;

/// An estimate of one exchange with a server on this host, for `list`.
const NOMINAL_EXCHANGE: Duration = Duration::from_micros(100);
/// The part of it that keeps a CPU of ours busy.
const NOMINAL_CPU: Duration = Duration::from_micros(20);

/// A command to a collection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Document {
    target: Name,
    operation: Operation,
    connection: Keep,
    expect: Option<u64>,
    allow: Allow,
}

/// How long a connection lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Keep {
    /// Opened when the slot is first used; kept, and shared with the other such steps of the task, by the slot.
    Keep,
    /// Opened and closed by every call.
    PerCall,
}

const KEEPS: &[(&str, Keep)] = &[("keep", Keep::Keep), ("per-call", Keep::PerCall)];

impl Field for Keep {
    fn schema() -> serde_json::Value {
        choice_schema(KEEPS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, KEEPS, diagnostics)
    }
}

/// `expect`: what must come of it.
struct Expect {
    documents: u64,
}

impl Section for Expect {
    const DOC: &'static str = "What must come of a command.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let documents = fields.required("documents", "Documents that are returned, inserted or changed.");
        Some(Self { documents: documents? })
    }
}

/// `allow`: what is counted as an error and goes on.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Allow {
    errors: bool,
}

impl Section for Allow {
    const DOC: &'static str = "What is counted as an error and does not fail the trial.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let doc = "Whether refused and lost connections, duplicate keys, time limits and the like are counted, each by its name.";
        Some(Self { errors: fields.or("errors", false, doc) })
    }
}

impl StepKind for Document {
    const KEY: &'static str = "document";
    const DOC: &'static str = "Reads, inserts or changes documents in a collection behind MongoDB's protocol.";

    fn read(op: &mut Fields<'_>, step: &mut Fields<'_>) -> Option<Self> {
        let target = op.required("target", "The document target.");
        let find = op.optional("find", "Reads what matches: `{ filter = { category = 7 }, batch = 100 }`.");
        let insert = op.optional("insert", "Adds documents: `{ documents = [{ task = \"${i}\" }] }`.");
        let update = op.optional(
            "update",
            "Changes what matches: `{ filter = { _id = 1 }, change = { \"$inc\" = { price = 1 } } }`.",
        );
        let connection = op.or(
            "connection",
            Keep::Keep,
            "`keep`: opened when the slot is first used, and kept by it; `per-call`: opened and closed by every call.",
        );
        let expect: Option<Expect> = step
            .optional("expect", "What must come of it: `{ documents = 1 }`, the number returned, inserted or changed.");
        let allow = step.or("allow", Allow::default(), "What is counted as an error and does not fail the trial.");
        let given = ["find", "insert", "update"].into_iter().filter(|key| op.has(key)).count();
        if given != 1 && !op.is_describing() {
            let found = if given == 0 { "none" } else { "several" };
            let message = format!("expected exactly one of `find`, `insert` and `update`, found {found}");
            op.reject("find", message, Some("write find = { filter = { _id = 1 } }".into()));
        }
        let operation = find
            .map(Operation::Find)
            .or_else(|| insert.map(Operation::Insert))
            .or_else(|| update.map(Operation::Update));
        let expect = expect.map(|expect| expect.documents);
        Some(Self { target: target?, operation: operation?, connection, expect, allow })
    }

    fn targets(&self) -> Vec<TargetUse<'_>> {
        vec![TargetUse { name: &self.target, kind: "document" }]
    }

    fn connects_per_call(&self) -> bool {
        self.connection == Keep::PerCall
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    fn cost<'a>(&self, _: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        // A connection takes a greeting; a cursor's batches are not known.
        let exchanges = if self.connection == Keep::PerCall { 3 } else { 1 };
        Cost { least: Duration::ZERO, mean: NOMINAL_EXCHANGE * exchanges, cpu: NOMINAL_CPU * exchanges }
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let store: Arc<Store> = site.endpoint(&self.target.text)?;
        let shelf: Arc<Shelf<R::Native>> = site.commons.shared(&self.target.text, Default::default);
        let work = Arc::new(Work::new(self, site, store));
        Ok(site.operation(move || Calls::<R::Native>::new(work.clone(), shelf.clone())))
    }
}

impl Document {
    /// Whether no step of the plan writes to this step's collection.
    fn is_read_only<R>(&self, site: &Site<R>) -> bool {
        let mut steps = site.trial.tasks.iter().flat_map(|task| &task.steps);
        !steps.any(|step| {
            matches!(&step.spec, StepSpec::Document(other) if other.target == self.target && other.operation.writes())
        })
    }

    /// How many documents each call must return, insert or change; none: as many as in preparation, or unknown.
    fn expected(&self) -> Option<u64> {
        self.expect.or(match &self.operation {
            Operation::Insert(insert) => Some(insert.count()),
            Operation::Find(_) | Operation::Update(_) => None,
        })
    }

    /// The task and the name of a step, for messages.
    fn words<R>(&self, site: &Site<R>) -> String {
        let mut steps = site.trial.tasks.iter().flat_map(|task| task.steps.iter().map(move |step| (task, step)));
        let (task, step) = match steps.nth(site.number) {
            Some((task, step)) => (task.name.as_str(), step.name.as_deref()),
            None => ("?", None),
        };
        format!("task {task}, step {}: {}", step.unwrap_or("document"), self.operation.key())
    }
}

#[cfg(test)]
mod tests;
