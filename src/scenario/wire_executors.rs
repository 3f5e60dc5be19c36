//! What stands in `[executors]`.

use std::num::NonZeroUsize;

use serde_json::{Value as Json, json};

use super::wire_value::Declared;
use crate::{
    config::{Diagnostics, Field, Fields, Name, Node, Section, quote, read_name, suggest},
    runtime::{EXECUTORS, executor},
    units::Size,
};

/// The name of an executor, or of a program of the scenario. Whether there is one is seen when the
/// whole table was read.
#[derive(Debug, Clone)]
pub(super) struct ExecutorName(pub Name);

impl Field for ExecutorName {
    fn schema() -> Json {
        let names: Vec<_> = EXECUTORS.iter().map(|info| info.name).collect();
        json!({ "anyOf": [{ "type": "string", "enum": names }, { "type": "string", "pattern": NAMES }] })
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        <Name as Field>::read(node, diagnostics).map(Self)
    }
}

/// What programs can be called.
const NAMES: &str = "^[a-z0-9][a-z0-9_-]*$";

/// The `[executors.NAME]` table of a program.
#[derive(Debug, Clone)]
pub(super) struct ProgramTable {
    pub command: Vec<String>,
}

impl Section for ProgramTable {
    const DOC: &'static str =
        "A program that races under this name; it speaks the protocol of PROTOCOL.md.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let doc = "The program and its arguments; it runs in the folder of this file.";
        let command: Option<Vec<String>> = fields.required("program", doc);
        if command.as_ref().is_some_and(|words| words.first().is_none_or(String::is_empty)) {
            let help = "name it, as in program = [\"python3\", \"racer.py\"]".to_owned();
            fields.reject("program", "no program is named", Some(help));
        }
        Some(Self { command: command? })
    }
}

/// The `[executors]` table.
#[derive(Debug, Clone, Default)]
pub(super) struct ExecutorsTable {
    /// In file order; none: all of them.
    pub names: Option<Vec<ExecutorName>>,
    /// Those that are left out of all of them.
    pub except: Vec<ExecutorName>,
    pub baseline: Option<ExecutorName>,
    pub workers: Option<NonZeroUsize>,
    pub stack_size: Option<Size>,
    pub pool: PoolTable,
    pub programs: Declared<ProgramTable>,
}

impl ExecutorsTable {
    /// All that can race: executors, then the programs of this file.
    pub(super) fn known(&self) -> impl Iterator<Item = &str> {
        EXECUTORS.iter().map(|info| info.name).chain(self.programs.names())
    }

    /// Those that race, in the order in which they are shown.
    pub(super) fn used(&self) -> Vec<String> {
        let is_left_out = |name: &str| self.except.iter().any(|left| left.0.text == name);
        match &self.names {
            Some(names) => names.iter().map(|name| name.0.text.clone()).collect(),
            None => self.known().filter(|name| !is_left_out(name)).map(str::to_owned).collect(),
        }
    }

    /// What is to be done for one that is not raced.
    pub(super) fn way_in(&self) -> &'static str {
        if self.names.is_some() { "add it to `use`" } else { "remove it from `except`" }
    }

    /// Reports a name that nobody has; says whether somebody does.
    pub(super) fn check(&self, name: &Name, diagnostics: &mut Diagnostics) -> bool {
        let is_known = self.known().any(|known| known == name.text);
        if !is_known {
            let help = suggest(&name.text, "executors", self.known());
            let message = format!("unknown executor {}", quote(&name.text));
            diagnostics.error(name.span.clone(), message, Some(help));
        }
        is_known
    }

    /// Reports programs that cannot be called so.
    pub(super) fn check_programs(&self, diagnostics: &mut Diagnostics) {
        for (name, _) in &self.programs.0 {
            if read_name(name, diagnostics).is_some() && executor(&name.text).is_some() {
                let message = format!("`{}` is an executor of this program", name.text);
                let help = "give the program another name".to_owned();
                diagnostics.error(name.span.clone(), message, Some(help));
            }
        }
    }
}

impl Section for ExecutorsTable {
    const DOC: &'static str = "Who runs the tasks.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let names: Option<Vec<ExecutorName>> =
            fields.optional("use", "The executors that are raced; default: all.");
        let doc = "Or: those that are not raced, of all.";
        let except: Option<Vec<ExecutorName>> = fields.optional("except", doc);
        let doc =
            "Ratios are against this one; default: `thread-pool` if it is used, else the first.";
        let baseline = fields.optional("baseline", doc);
        let doc = "Scheduler threads of every executor that has them; default: the CPUs left for the executor.";
        let workers = fields.optional("workers", doc);
        let doc = "Stack of each thread of `threads`, `thread-pool` and `rayon`; default: the platform's.";
        let stack_size: Option<Size> = fields.optional("stack_size", doc);
        let pool = fields.optional("thread-pool", PoolTable::DOC);
        let programs = Declared(fields.rest("program"));
        if names.as_ref().is_some_and(Vec::is_empty) {
            fields.reject(
                "use",
                "no executor is used",
                Some("name at least one, or remove `use`".to_owned()),
            );
        }
        if names.is_some() && except.is_some() {
            let help = "keep one of the two".to_owned();
            fields.reject("except", "`use` says already which executors are raced", Some(help));
        }
        if stack_size.is_some_and(|size| size.0 == 0) {
            fields.reject("stack_size", "a stack must be above zero bytes", None);
        }
        let pool = pool.unwrap_or_default();
        let except = except.unwrap_or_default();
        Some(Self { names, except, baseline, workers, stack_size, pool, programs })
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
    const DOC: &'static str = "Settings of the `thread-pool` and `rayon` executors.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let doc = "Threads of `thread-pool` and of `rayon`, and the cap of every executor's pool for blocking work.";
        Some(Self { size: fields.or("size", Self::default().size, doc) })
    }
}
