//! What stands in `[executors]`.

use std::num::NonZeroUsize;

use serde_json::{Value as Json, json};

use crate::{
    config::{Diagnostics, Field, Fields, Name, Node, Section, quote, suggest},
    runtime::{EXECUTORS, executor},
    units::Size,
};

/// The name of an executor that exists.
#[derive(Debug, Clone)]
pub(super) struct ExecutorName(pub Name);

impl Field for ExecutorName {
    fn schema() -> Json {
        json!({ "type": "string", "enum": EXECUTORS.iter().map(|info| info.name).collect::<Vec<_>>() })
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let name = <Name as Field>::read(node, diagnostics)?;
        if executor(&name.text).is_none() {
            let help = suggest(&name.text, "executors", EXECUTORS.iter().map(|info| info.name));
            diagnostics.error(name.span.clone(), format!("unknown executor {}", quote(&name.text)), Some(help));
            return None;
        }
        Some(Self(name))
    }
}

/// The `[executors]` table.
#[derive(Debug, Clone, Default)]
pub(super) struct ExecutorsTable {
    /// In file order; none: all of them.
    pub names: Option<Vec<ExecutorName>>,
    pub baseline: Option<ExecutorName>,
    pub workers: Option<NonZeroUsize>,
    pub stack_size: Option<Size>,
    pub pool: PoolTable,
}

impl Section for ExecutorsTable {
    const DOC: &'static str = "Who runs the tasks.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let names: Option<Vec<ExecutorName>> = fields.optional("use", "The executors that are raced; default: all.");
        let doc = "Ratios are against this one; default: `thread-pool` if it is used, else the first.";
        let baseline = fields.optional("baseline", doc);
        let doc = "Scheduler threads of every executor that has them; default: the CPUs left for the executor.";
        let workers = fields.optional("workers", doc);
        let doc = "Stack of each thread of `threads` and `thread-pool`; default: the platform's.";
        let stack_size: Option<Size> = fields.optional("stack_size", doc);
        let pool = fields.optional("thread-pool", PoolTable::DOC);
        if names.as_ref().is_some_and(Vec::is_empty) {
            fields.reject("use", "no executor is used", Some("name at least one, or remove `use`".to_owned()));
        }
        if stack_size.is_some_and(|size| size.0 == 0) {
            fields.reject("stack_size", "a stack must be above zero bytes", None);
        }
        Some(Self { names, baseline, workers, stack_size, pool: pool.unwrap_or_default() })
    }
}

/// The `[executors.thread-pool]` table.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolTable {
    pub size: NonZeroUsize,
}

impl Default for PoolTable {
    fn default() -> Self {
        Self { size: NonZeroUsize::MIN.saturating_add(63) }
    }
}

impl Section for PoolTable {
    const DOC: &'static str = "Settings of the `thread-pool` executor.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let doc = "Its threads, and the cap of every executor's pool for blocking work.";
        Some(Self { size: fields.or("size", Self::default().size, doc) })
    }
}
