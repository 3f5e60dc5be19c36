//! What stands in a scenario file, table by table, before anything is known about how the tables fit together.

use std::{
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    time::Duration,
};

use serde_json::{Value as Json, json};

use super::{
    Claim, Direction, LoadKind, RunSettings,
    wire_step::{Declared, Readable, WireTask, one_of_schema},
};
use crate::{
    config::{
        Diagnostics, Field, Fields, NAME_HELP, Name, Named, Node, Section, Span, Value, choice_schema, is_name,
        mismatch, quote, read_choice, suggest,
    },
    runtime::{EXECUTORS, executor},
    target::TargetSpec,
    units::Size,
};

/// The whole file.
#[derive(Debug)]
pub(super) struct File {
    pub run: RunTable,
    pub executors: ExecutorsTable,
    pub targets: Declared<TargetSpec>,
    pub tasks: Declared<WireTask>,
    pub load: Declared<LoadTable>,
    pub load_span: Span,
    pub claims: Vec<ClaimTable>,
    pub slos: Vec<SloTable>,
}

impl Section for File {
    const DOC: &'static str = "A Regatta scenario: one workload, raced under several executors.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        // The head is the same in every variant, and was read before any of them.
        let _ = Head::read(fields);
        let run = fields.optional("run", "How the scenario is run.");
        let executors = fields.optional("executors", "Who runs the tasks.");
        let targets = fields.optional("targets", "What operations act on, by name.");
        let tasks = fields.required("tasks", "The tasks, by name.");
        let load = fields.required("load", "How tasks arrive: one table.");
        let claims: Option<Readable<ClaimTable>> =
            fields.optional("claim", "What somebody says about an executor against another.");
        let slos: Option<Readable<SloTable>> = fields.optional("slo", "Limits that make a run exit with 1.");
        Some(Self {
            run: run.unwrap_or_default(),
            executors: executors.unwrap_or_default(),
            targets: targets.unwrap_or_default(),
            tasks: tasks?,
            load: load?,
            load_span: fields.span("load"),
            claims: claims.map_or(Vec::new(), |claims| claims.items),
            slos: slos.map_or(Vec::new(), |slos| slos.items),
        })
    }
}

/// What is read before parameters are filled in.
#[derive(Debug)]
pub(super) struct Head {
    pub name: String,
    pub question: String,
    pub params: Declared<Scalar>,
    pub sweep: Declared<Vec<Scalar>>,
}

impl Head {
    /// The keys of the file that belong to the head, in which parameters are not filled in.
    pub(super) const KEYS: &'static [&'static str] = &["schema", "name", "question", "params", "sweep"];

    /// Reads the head; nothing if the file says that it is of another schema, for then the rest is noise.
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let version: Option<Version> = fields.required("schema", "The version of this format: 1.");
        let name: Option<Name> = fields.required("name", "The scenario's name; cells are called name::executor::k=v.");
        let question = fields.or("question", String::new(), "The question that the scenario answers.");
        let params = fields.optional("params", "Values for `\"${name}\"`, by name.");
        let sweep = fields.optional("sweep", "Parameters with several values each: every combination is run.");
        if let Some(name) = name.as_ref().filter(|name| !is_name(&name.text)) {
            fields.reject("name", format!("{} is no valid name", quote(&name.text)), Some(NAME_HELP.to_owned()));
        }
        if fields.has("schema") {
            version?;
        }
        let name = name.map(|name| name.text).unwrap_or_default();
        Some(Self { name, question, params: params.unwrap_or_default(), sweep: sweep.unwrap_or_default() })
    }
}

/// The version of the format. There is one so far.
struct Version;

impl Field for Version {
    fn schema() -> Json {
        json!({ "type": "integer", "const": 1 })
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        match node.value {
            Value::Integer(1) => return Some(Self),
            Value::Integer(version) => {
                let help = "write `schema = 1`, or use a newer regatta if the file was made for one".to_owned();
                let message = format!("schema {version} is not known; this regatta reads schema 1");
                diagnostics.error(node.span.clone(), message, Some(help));
            }
            _ => mismatch(node, "the number 1", diagnostics),
        }
        None
    }
}

/// A single value, which a parameter can have.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scalar(pub Node);

impl Field for Scalar {
    fn schema() -> Json {
        json!({ "type": ["string", "number", "boolean"] })
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        if node.value.is_scalar() {
            return Some(Self(node.clone()));
        }
        mismatch(node, "a single value: a string, a number or a boolean", diagnostics);
        None
    }
}

/// The `[run]` table.
#[derive(Debug, Clone)]
pub(super) struct RunTable {
    pub settings: RunSettings,
    /// Where `duration` stands, if it does.
    pub duration: Option<Span>,
    /// Where `timeout` stands, if it does.
    pub timeout: Option<Span>,
}

impl Default for RunTable {
    fn default() -> Self {
        let settings = RunSettings {
            rounds: 7,
            warmup: Duration::from_secs(1),
            duration: Duration::from_secs(5),
            timeout: Duration::from_secs(60),
            seed: 42,
        };
        Self { settings, duration: None, timeout: None }
    }
}

impl Section for RunTable {
    const DOC: &'static str = "How the scenario is run.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let usual = Self::default().settings;
        let rounds = NonZeroU32::new(usual.rounds)?;
        let doc = "Passes over all cells; below 6 there is no exact 95 % interval.";
        let rounds = fields.or("rounds", rounds, doc).get();
        let warmup = fields.or("warmup", usual.warmup, "Run before measuring, and discarded.");
        let duration = fields.or("duration", usual.duration, "How long a closed load is measured.");
        let doc = "After this the trial is killed and recorded as timed out.";
        let timeout = fields.or("timeout", usual.timeout, doc);
        let seed = fields.or("seed", usual.seed, "The seed of every draw and of the order of trials.");
        for (key, value) in [("duration", duration), ("timeout", timeout)] {
            if value.is_zero() {
                fields.reject(key, format!("`{key}` must be above zero"), None);
            }
        }
        let settings = RunSettings { rounds, warmup, duration, timeout, seed };
        let place = |key| fields.has(key).then(|| fields.span(key));
        Some(Self { settings, duration: place("duration"), timeout: place("timeout") })
    }
}

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

/// The `[load.x]` table.
#[derive(Debug, Clone)]
pub(super) struct LoadTable {
    pub task: Name,
    pub kind: LoadKind,
}

const BATCH: (&str, &str) = ("batch", "All tasks at one instant.");
const CLOSED: (&str, &str) =
    ("closed", "A fixed number of clients, each starting its next task when its last has ended.");
const OPEN: (&str, &str) = ("open", "");

const TASK_DOC: &str = "The task that arrives.";

impl Field for LoadTable {
    fn schema() -> Json {
        one_of_schema("How tasks arrive.", &[BATCH, CLOSED], |key, doc, load| {
            let _: Option<Name> = load.required("task", TASK_DOC);
            let mut kind = Fields::describing();
            let _ = read_load_kind(key, &mut kind);
            load.describe(key, kind.into_schema(doc), true);
        })
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut load = Fields::of(node, diagnostics)?;
        let task = load.required("task", TASK_DOC);
        let open_is_there = load.has(OPEN.0);
        let table = [BATCH, CLOSED, OPEN];
        let known = if open_is_there { &table[..] } else { &table[..2] };
        let chosen = load.one_of(known, "kind of load", "kinds of load").filter(|(key, _)| *key != OPEN.0);
        if open_is_there {
            load.reject(OPEN.0, "open load is not available yet; use batch or closed", None);
        }
        load.finish(diagnostics);
        let (key, value) = chosen?;
        let mut fields = Fields::of(value, diagnostics)?;
        let kind = read_load_kind(key, &mut fields);
        fields.finish(diagnostics);
        Some(Self { task: task?, kind: kind? })
    }
}

fn read_load_kind(key: &str, fields: &mut Fields<'_>) -> Option<LoadKind> {
    if key == BATCH.0 {
        let tasks: Option<NonZeroU64> = fields.required("tasks", "How many tasks.");
        let doc = "How often within a trial; default: until about a second has been measured.";
        let repeat: Option<NonZeroU32> = fields.optional("repeat", doc);
        return Some(LoadKind::Batch { tasks: tasks?.get(), repeat: repeat.map(NonZeroU32::get) });
    }
    let concurrency: Option<NonZeroU64> = fields.required("concurrency", "How many clients.");
    let doc = "Pause between the end of a task and the intended start of the client's next one.";
    let think = fields.or("think", Duration::ZERO, doc);
    let doc = "Ends after this many tasks over all clients; default: after the run's `duration`.";
    let tasks: Option<NonZeroU64> = fields.optional("tasks", doc);
    if let (Some(concurrency), Some(tasks)) = (concurrency, tasks)
        && tasks < concurrency
    {
        let help = "every client must complete at least one task".to_owned();
        fields.reject("tasks", format!("{tasks} tasks cannot keep {concurrency} clients busy"), Some(help));
    }
    Some(LoadKind::Closed { concurrency: concurrency?.get(), think, tasks: tasks.map(NonZeroU64::get) })
}

/// A `[[claim]]` table.
#[derive(Debug, Clone)]
pub(super) struct ClaimTable {
    pub claim: Claim,
    /// The executors that it names, with their places.
    pub executors: Vec<Name>,
}

const DIRECTIONS: &[(&str, Direction)] =
    &[("at-least", Direction::AtLeast), ("at-most", Direction::AtMost), ("about", Direction::About)];

impl Field for Direction {
    fn schema() -> Json {
        choice_schema(DIRECTIONS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, DIRECTIONS, diagnostics)
    }
}

impl Section for ClaimTable {
    const DOC: &'static str = "What somebody says about an executor against another.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let text = fields.required("text", "Who says it, or in which words.");
        let doc = "The executor that is said to be faster; default: each one is compared.";
        let executor: Option<ExecutorName> = fields.optional("executor", doc);
        let against: Option<ExecutorName> = fields.required("against", "The executor that it is compared with.");
        let doc = "How many times as fast: 50 means that a task takes a fiftieth of the time.";
        let factor: Option<f64> = fields.required("factor", doc);
        let doc = "Whether more (`at-least`) or less (`at-most`) than the factor agrees too.";
        let direction = fields.or("direction", Direction::About, doc);
        let doc = "How far the measured factor may be off: 0.25 is from 1/1.25 to 1.25 of the claimed one.";
        let tolerance = fields.or("tolerance", 0.25, doc);
        if factor.is_some_and(|factor| factor <= 0.0) {
            fields.reject("factor", "a factor must be above zero", None);
        }
        if tolerance < 0.0 {
            fields.reject("tolerance", "a tolerance cannot be negative", None);
        }
        let executors = executor.iter().chain(&against).map(|name| name.0.clone()).collect();
        let (executor, against) = (executor.map(|name| name.0.text), against?.0.text);
        let claim = Claim { text: text?, executor, against, factor: factor?, tolerance, direction };
        Some(Self { claim, executors })
    }
}

/// A `[[slo]]` table.
#[derive(Debug, Clone)]
pub(super) struct SloTable {
    pub assert: Name,
    pub only: Vec<(Name, Scalar)>,
}

impl Section for SloTable {
    const DOC: &'static str = "A limit that makes a run exit with 1.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let assert = fields.required("assert", "Such as `request.latency.p99 < 25ms`.");
        let only: Option<Named<Scalar>> = fields.optional("only", "Only cells with these values of swept parameters.");
        Some(Self { assert: assert?, only: only.map_or(Vec::new(), |named| named.0) })
    }
}
