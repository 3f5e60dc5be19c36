//! What stands in `[load.x]`, `[[claim]]` and `[[slo]]`.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use serde_json::Value as Json;

use super::{
    Claim, Direction, LoadKind, Param,
    wire_executors::ExecutorName,
    wire_stages::{self, check_rate},
    wire_value::{Scalar, one_of_schema},
};
use crate::{
    config::{
        Diagnostics, Field, Fields, Name, Named, Node, Section, Span, choice_schema, read_choice,
    },
    load::{Arrival, Overflow},
    measure::MetricId,
    units::{Distribution, Rate},
};

/// The `[load.x]` table.
#[derive(Debug, Clone)]
pub(super) struct LoadTable {
    pub task: Name,
    pub kind: LoadKind,
}

const BATCH: (&str, &str) = ("batch", "All tasks at one instant.");
const CLOSED: (&str, &str) =
    ("closed", "A fixed number of clients, each starting its next task when its last has ended.");
const OPEN: (&str, &str) = ("open", "Tasks arrive at a rate, whatever has become of those before.");
const KINDS: &[(&str, &str)] = &[BATCH, CLOSED, OPEN];

const TASK_DOC: &str = "The task that arrives.";

impl Field for LoadTable {
    fn schema() -> Json {
        one_of_schema("How tasks arrive.", KINDS, |key, doc, load| {
            let _: Option<Name> = load.required("task", TASK_DOC);
            let mut kind = Fields::describing();
            let _ = read_load_kind(key, &mut kind);
            load.describe(key, kind.into_schema(doc), true);
        })
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut load = Fields::of(node, diagnostics)?;
        let task = load.required("task", TASK_DOC);
        let chosen = load.one_of(KINDS, "kind of load", "kinds of load");
        load.finish(diagnostics);
        let (key, value) = chosen?;
        let schema = || {
            let mut kind = Fields::describing();
            let _ = read_load_kind(key, &mut kind);
            kind.into_schema("")
        };
        let mut fields = Fields::under(key, value, schema, diagnostics)?;
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
    if key == OPEN.0 {
        return read_open(fields);
    }
    let doc = "How many clients; with `stages`: in the warm-up, and where a ramp begins that comes first.";
    let concurrency: Option<NonZeroU64> = fields.required("concurrency", doc);
    let doc = "Pause between the end of a task and the intended start of the client's next one; drawn afresh each time.";
    let think = fields.or("think", Distribution::Const(Duration::ZERO), doc);
    let doc = "Ends after this many tasks over all clients; default: after the run's `duration`.";
    let tasks: Option<NonZeroU64> = fields.optional("tasks", doc);
    if let (Some(concurrency), Some(tasks)) = (concurrency, tasks)
        && tasks < concurrency
    {
        let help = "every client must complete at least one task".to_owned();
        fields.reject(
            "tasks",
            format!("{tasks} tasks cannot keep {concurrency} clients busy"),
            Some(help),
        );
    }
    let stages = wire_stages::clients(fields, concurrency);
    if tasks.is_some() && fields.has("stages") {
        let help = "remove one of them: a load with `stages` ends with the last one".to_owned();
        fields.reject("stages", "`stages` has no meaning beside `tasks`", Some(help));
    }
    let doc = "How long tasks may still take after the end of the window; those that take longer are counted as censored.";
    let drain = fields.or("drain", DRAIN, doc);
    if tasks.is_some() && fields.has("drain") {
        let help = "remove `drain`: the `timeout` under [run] is the limit".to_owned();
        fields.reject(
            "drain",
            "`drain` has no meaning here: the load ends when its `tasks` have ended",
            Some(help),
        );
    }
    let (concurrency, tasks) = (concurrency?.get(), tasks.map(NonZeroU64::get));
    Some(LoadKind::Closed { concurrency, stages: stages?, think, tasks, drain })
}

/// Tasks in flight at most, where the scenario does not say: enough for 10 000 arrivals a second
/// that take 100 ms, and no more sockets or threads than an ordinary host allows.
const MAX_IN_FLIGHT: u64 = 1024;
/// How long tasks may still take after the last arrival, or the end of the window, where the
/// scenario does not say.
const DRAIN: Duration = Duration::from_secs(5);

fn read_open(fields: &mut Fields<'_>) -> Option<LoadKind> {
    let doc = "Arrivals per second; with `stages`: in the warm-up, and where a ramp begins that comes first (0: nothing warms up).";
    let rate: Option<Rate> = fields.required("rate", doc);
    let doc = "The gaps between arrivals: all equal, or drawn from the exponential distribution.";
    let arrival = fields.or("arrival", Arrival::Constant, doc);
    let doc = "Tasks in flight at most, those included that wait for the executor.";
    let default = NonZeroU64::new(MAX_IN_FLIGHT).unwrap_or(NonZeroU64::MIN);
    let max_in_flight = fields.or("max_in_flight", default, doc);
    let doc = "What becomes of an arrival while so many are in flight: it is dropped and counted, or waits for room.";
    let overflow = fields.or("overflow", Overflow::Drop, doc);
    let doc = "How long tasks may still take after the last arrival; those that take longer are counted as censored.";
    let drain = fields.or("drain", DRAIN, doc);
    check_rate(fields, "rate", rate);
    let stages = wire_stages::rates(fields, rate);
    let (rate, stages) = (rate?.0, stages?);
    let max_in_flight = max_in_flight.get();
    Some(LoadKind::Open { rate, arrival, max_in_flight, overflow, stages, drain })
}

const ARRIVALS: &[(&str, Arrival)] =
    &[("constant", Arrival::Constant), ("poisson", Arrival::Poisson)];

impl Field for Arrival {
    fn schema() -> Json {
        choice_schema(ARRIVALS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, ARRIVALS, diagnostics)
    }
}

const OVERFLOWS: &[(&str, Overflow)] = &[("drop", Overflow::Drop), ("delay", Overflow::Delay)];

impl Field for Overflow {
    fn schema() -> Json {
        choice_schema(OVERFLOWS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, OVERFLOWS, diagnostics)
    }
}

/// A `[[claim]]` table.
#[derive(Debug, Clone)]
pub(super) struct ClaimTable {
    pub claim: Claim,
    /// Where its text stands.
    pub span: Span,
    /// The load that it names.
    pub load: Option<Name>,
    /// The executors that it names, with their places.
    pub executors: Vec<Name>,
    /// The values of swept parameters that it names on either side, with their places.
    pub values: Vec<(Name, Scalar)>,
}

const DIRECTIONS: &[(&str, Direction)] = &[
    ("at-least", Direction::AtLeast),
    ("at-most", Direction::AtMost),
    ("about", Direction::About),
];

impl Field for Direction {
    fn schema() -> Json {
        choice_schema(DIRECTIONS)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, DIRECTIONS, diagnostics)
    }
}

impl Field for MetricId {
    fn schema() -> Json {
        choice_schema(Self::NAMES)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, Self::NAMES, diagnostics)
    }
}

impl Section for ClaimTable {
    const DOC: &'static str = "What somebody says about an executor against another.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let text = fields.required("text", "Who says it, or in which words.");
        let doc = "The executor that is said to be better; default: each one is compared.";
        let executor: Option<ExecutorName> = fields.optional("executor", doc);
        let doc = "The executor that it is compared with; default: itself, with the values of `against_only`.";
        let against: Option<ExecutorName> = fields.optional("against", doc);
        let doc = "What is compared; default: a batch's makespan, a closed load's throughput, an open load's p99, or p50 where samples are few.";
        let metric = fields.optional("metric", doc);
        let doc = "The load whose figures are compared, where there are several.";
        let load: Option<Name> = fields.optional("load", doc);
        let only: Option<Named<Scalar>> =
            fields.optional("only", "Only cells with these values of swept parameters.");
        let doc = "Values of swept parameters that the cell compared with has instead; default: the same ones.";
        let against_only: Option<Named<Scalar>> = fields.optional("against_only", doc);
        let doc = "How many times as good: 50 means that a task takes a fiftieth of the time.";
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
        if !fields.has("against") && !fields.has("against_only") {
            let help = "name an executor with `against`, or values of swept parameters with `against_only`".to_owned();
            fields.reject("against", "this claim does not say what it compares with", Some(help));
        }
        let executors = executor.iter().chain(&against).map(|name| name.0.clone()).collect();
        let (only, against_only) =
            (only.map_or(Vec::new(), |n| n.0), against_only.map_or(Vec::new(), |n| n.0));
        let claim = Claim {
            text: text?,
            executor: executor.map(|name| name.0.text),
            against: against.map(|name| name.0.text),
            metric,
            load: load.as_ref().map(|load| load.text.clone()),
            only: params(&only),
            against_only: params(&against_only),
            factor: factor?,
            tolerance,
            direction,
        };
        let (span, load) = (fields.span("text"), load);
        Some(Self {
            claim,
            span,
            load,
            executors,
            values: only.into_iter().chain(against_only).collect(),
        })
    }
}

/// Values as cells show them.
pub(super) fn params(values: &[(Name, Scalar)]) -> Vec<Param> {
    values
        .iter()
        .map(|(name, value)| Param { name: name.text.clone(), value: value.0.value.to_string() })
        .collect()
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
        let only: Option<Named<Scalar>> =
            fields.optional("only", "Only cells with these values of swept parameters.");
        Some(Self { assert: assert?, only: only.map_or(Vec::new(), |named| named.0) })
    }
}
