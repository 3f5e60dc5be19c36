//! What stands in a scenario file, table by table, before anything is known about how the tables
//! fit together.

use std::{num::NonZeroU32, time::Duration};

use serde_json::{Value as Json, json};

use super::{
    RunSettings,
    overrides::MOST_ROUNDS,
    wire_data::DataTable,
    wire_executors::ExecutorsTable,
    wire_load::{ClaimTable, LoadTable, SloTable},
    wire_step::{WireStep, WireTask},
    wire_value::{Declared, Readable, Scalar},
};
use crate::{
    config::{
        Diagnostics, Field, Fields, NAME_HELP, Name, Node, Section, Span, Value, is_name, mismatch,
        quote,
    },
    shared::SharedSpec,
    targets::TargetSpec,
};

/// The whole file.
#[derive(Debug)]
pub(super) struct File {
    pub run: RunTable,
    pub executors: ExecutorsTable,
    pub targets: Declared<TargetSpec>,
    pub shared: Declared<SharedSpec>,
    pub data: Declared<DataTable>,
    pub tasks: Declared<WireTask>,
    pub load: Declared<LoadTable>,
    pub load_span: Span,
    pub claims: Vec<ClaimTable>,
    pub slos: Vec<SloTable>,
}

impl File {
    /// All steps of all tasks.
    pub fn steps(&self) -> impl Iterator<Item = &WireStep> {
        self.tasks.0.iter().filter_map(|(_, task)| task.as_ref()).flat_map(|task| &task.steps)
    }

    /// Whether all steps, and how they arrive, are known.
    pub fn is_whole(&self) -> bool {
        let tasks =
            self.tasks.0.iter().all(|(_, task)| task.as_ref().is_some_and(|task| task.whole));
        tasks && self.load.0.iter().all(|(_, load)| load.is_some())
    }
}

impl Section for File {
    const DOC: &'static str = "A Regatta scenario: one workload, raced under several executors.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        // The head is the same in every variant, and was read before any of them.
        let _ = Head::read(fields);
        let run = fields.optional("run", "How the scenario is run.");
        let executors = fields.optional("executors", "Who runs the tasks.");
        let targets = fields.optional("targets", "What operations act on, by name.");
        let shared =
            fields.optional("shared", "What tasks wait on together, such as queues, by name.");
        let data = fields.optional("data", "Rows that tasks use, by name.");
        let tasks = fields.required("tasks", "The tasks, by name.");
        let load =
            fields.required("load", "How tasks arrive: one table, or several that begin together.");
        let claims: Option<Readable<ClaimTable>> =
            fields.optional("claim", "What somebody says about an executor against another.");
        let slos: Option<Readable<SloTable>> =
            fields.optional("slo", "Limits that make a run exit with 1.");
        Some(Self {
            run: run.unwrap_or_default(),
            executors: executors.unwrap_or_default(),
            targets: targets.unwrap_or_default(),
            shared: shared.unwrap_or_default(),
            data: data.unwrap_or_default(),
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
    pub(super) const KEYS: &'static [&'static str] =
        &["schema", "name", "question", "params", "sweep"];

    /// Reads the head; nothing if the file says that it is of another schema, for then the rest is
    /// noise.
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let version: Option<Version> = fields.required("schema", "The version of this format: 1.");
        let name: Option<Name> =
            fields.required("name", "The scenario's name; cells are called name::executor::k=v.");
        let question =
            fields.or("question", String::new(), "The question that the scenario answers.");
        let params = fields.optional("params", "Values for `\"${name}\"`, by name.");
        let sweep = fields
            .optional("sweep", "Parameters with several values each: every combination is run.");
        if let Some(name) = name.as_ref().filter(|name| !is_name(&name.text)) {
            fields.reject(
                "name",
                format!("{} is no valid name", quote(&name.text)),
                Some(NAME_HELP.to_owned()),
            );
        }
        if fields.has("schema") {
            version?;
        }
        let name = name.map(|name| name.text).unwrap_or_default();
        Some(Self {
            name,
            question,
            params: params.unwrap_or_default(),
            sweep: sweep.unwrap_or_default(),
        })
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
                let help =
                    "write `schema = 1`, or use a newer regatta if the file was made for one"
                        .to_owned();
                let message = format!("schema {version} is not known; this regatta reads schema 1");
                diagnostics.error(node.span.clone(), message, Some(help));
            }
            _ => mismatch(node, "the number 1", diagnostics),
        }
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
            probe: false,
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
        if rounds > MOST_ROUNDS {
            let help = format!("{MOST_ROUNDS} is the most; 7 to 30 are usual");
            fields.reject("rounds", format!("{rounds} rounds are too many"), Some(help));
        }
        let warmup = fields.or("warmup", usual.warmup, "Run before measuring, and discarded.");
        let duration = fields.or("duration", usual.duration, "How long a closed load is measured.");
        let doc = "After this the trial is killed and recorded as timed out.";
        let timeout = fields.or("timeout", usual.timeout, doc);
        let seed =
            fields.or("seed", usual.seed, "The seed of every draw and of the order of trials.");
        for (key, value) in [("duration", duration), ("timeout", timeout)] {
            if value.is_zero() {
                fields.reject(key, format!("`{key}` must be above zero"), None);
            }
        }
        let doc =
            "Whether a probe beside the tasks measures how late the executor runs what is ready.";
        let probe = fields.or("probe", usual.probe, doc);
        let settings = RunSettings { rounds, warmup, duration, timeout, seed, probe };
        let place = |key| fields.has(key).then(|| fields.span(key));
        Some(Self { settings, duration: place("duration"), timeout: place("timeout") })
    }
}
