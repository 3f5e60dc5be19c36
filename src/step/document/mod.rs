//! `document`: documents read, inserted or changed in a collection behind MongoDB's protocol.
//!
//! What is proven: a step returns, inserts or changes as many documents as `expect` says. Without
//! `expect`, an insert inserts all of its documents, and a `find` without `${…}` on a collection to
//! which nothing is written returns as many as it did in preparation; of all others it is proven
//! that they ran without an error, and that every field of every document was read. Over the whole
//! process the collection must have as many documents in the end as were seeded and inserted, by
//! the server's own count.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use self::{
    call::{Deed, DocumentCalls, DocumentConnectionSlot, DocumentWork},
    operation::DocumentOperation,
};
use super::{BuildError, Cost, Lookup, PlannedStep, Site, Step, StepKind, TargetUse};
use crate::{
    config::{Diagnostics, Field, Fields, Name, Node, Section, choice_schema, read_choice},
    runtime::Runtime,
    targets::{TargetSpec, document::Store},
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
    operation: DocumentOperation,
    connection: DocumentLifetime,
    expect: Option<u64>,
    allow: DocumentAllow,
}

/// How long a connection lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DocumentLifetime {
    /// Opened when the slot is first used; kept, and shared with the other such steps of the task,
    /// by the slot.
    Keep,
    /// Opened and closed by every call.
    PerCall,
}

const KEEPS: &[(&str, DocumentLifetime)] =
    &[("keep", DocumentLifetime::Keep), ("per-call", DocumentLifetime::PerCall)];

impl Field for DocumentLifetime {
    fn schema() -> serde_json::Value {
        choice_schema(KEEPS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, KEEPS, diagnostics)
    }
}

/// `expect`: what must come of it.
struct DocumentExpect {
    documents: u64,
}

impl Section for DocumentExpect {
    const DOC: &'static str = "What must come of a command.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let documents =
            fields.required("documents", "Documents that are returned, inserted or changed.");
        Some(Self { documents: documents? })
    }
}

/// `allow`: what is counted as an error and goes on.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct DocumentAllow {
    errors: bool,
}

impl Section for DocumentAllow {
    const DOC: &'static str = "What is counted as an error and does not fail the trial.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let doc = "Whether refused and lost connections, duplicate keys, time limits and the like are counted, each by its name.";
        Some(Self { errors: fields.or("errors", false, doc) })
    }
}

impl StepKind for Document {
    const KEY: &'static str = "document";
    const DOC: &'static str =
        "Reads, inserts or changes documents in a collection behind MongoDB's protocol.";
    const PROOF: &'static str = "documents are those that `expect` says or preparation saw, field by field; what is in \
         the collection at the end is what the steps say that they did";

    fn read(op: &mut Fields<'_>, step: &mut Fields<'_>) -> Option<Self> {
        let target = op.required("target", "The document target.");
        let find = op
            .optional("find", "Reads what matches: `{ filter = { category = 7 }, batch = 100 }`.");
        let insert =
            op.optional("insert", "Adds documents: `{ documents = [{ task = \"${i}\" }] }`.");
        let update = op.optional(
            "update",
            "Changes what matches: `{ filter = { _id = 1 }, change = { \"$inc\" = { price = 1 } } }`.",
        );
        let connection = op.or(
            "connection",
            DocumentLifetime::Keep,
            "`keep`: opened when the slot is first used, and kept by it; `per-call`: opened and closed by every call.",
        );
        let expect: Option<DocumentExpect> = step.optional(
            "expect",
            "What must come of it: `{ documents = 1 }`, the number returned, inserted or changed.",
        );
        let allow = step.or(
            "allow",
            DocumentAllow::default(),
            "What is counted as an error and does not fail the trial.",
        );
        let given = ["find", "insert", "update"].into_iter().filter(|key| op.has(key)).count();
        if given != 1 && !op.is_describing() {
            let found = if given == 0 { "none" } else { "several" };
            let message =
                format!("expected exactly one of `find`, `insert` and `update`, found {found}");
            op.reject("find", message, Some("write find = { filter = { _id = 1 } }".into()));
        }
        let operation = find
            .map(DocumentOperation::Find)
            .or_else(|| insert.map(DocumentOperation::Insert))
            .or_else(|| update.map(DocumentOperation::Update));
        let expect = expect.map(|expect| expect.documents);
        Some(Self { target: target?, operation: operation?, connection, expect, allow })
    }

    fn targets(&self) -> Vec<TargetUse<'_>> {
        vec![TargetUse { name: &self.target, kind: "document" }]
    }

    fn connects_per_call(&self) -> bool {
        self.connection == DocumentLifetime::PerCall
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        true
    }

    fn cost<'a>(&self, _: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        // A connection takes a greeting; a cursor's batches are not known.
        let exchanges = if self.connection == DocumentLifetime::PerCall { 3 } else { 1 };
        Cost {
            least: Duration::ZERO,
            mean: NOMINAL_EXCHANGE * exchanges,
            cpu: NOMINAL_CPU * exchanges,
        }
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let store: Arc<Store> = site.endpoint(&self.target.text)?;
        let slot: Arc<DocumentConnectionSlot<R::Native>> =
            site.commons.shared(&self.target.text, Default::default);
        let work = Arc::new(self.work(site, store));
        Ok(site.operation(move || DocumentCalls::<R::Native>::new(work.clone(), slot.clone())))
    }
}

impl Document {
    /// What its instances share.
    fn work<R: Runtime>(&self, site: &Site<R>, store: Arc<Store>) -> DocumentWork {
        let is_learned = match &self.operation {
            DocumentOperation::Find(find) => find.filter.is_constant() && self.is_read_only(site),
            DocumentOperation::Insert(_) | DocumentOperation::Update(_) => false,
        };
        let known = self.expected().map(|documents| Arc::new(OnceLock::from(documents)));
        let name = format!("documents of step {}", site.number);
        let learned = || site.trial.commons.shared(&name, OnceLock::new);
        DocumentWork {
            words: format!("{}: {}", site.words(Self::KEY), self.operation.key()),
            store,
            keeps: self.connection == DocumentLifetime::Keep,
            allow_errors: self.allow.errors,
            at_once: site.trial.at_once,
            expected: known.or_else(|| is_learned.then(learned)),
            verb: self.operation.verb(),
            writes: self.operation.writes(),
            deed: Deed::new(&self.operation, site.seed()),
        }
    }

    /// Whether no step of the plan writes to this step's collection.
    fn is_read_only<R>(&self, site: &Site<R>) -> bool {
        let writes = |step: &PlannedStep<'_>| {
            let other = step.parameters.downcast_ref::<Self>();
            other.is_some_and(|other| other.target == self.target && other.operation.writes())
        };
        !site.trial.tasks.steps().iter().any(writes)
    }

    /// How many documents each call must return, insert or change; none: as many as in preparation,
    /// or unknown.
    fn expected(&self) -> Option<u64> {
        self.expect.or(match &self.operation {
            DocumentOperation::Insert(insert) => Some(insert.count()),
            DocumentOperation::Find(_) | DocumentOperation::Update(_) => None,
        })
    }
}

#[cfg(test)]
mod tests;
