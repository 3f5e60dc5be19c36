//! What stands in `[tasks.x]` and `[targets.x]`.

use std::time::Duration;

use serde_json::Value as Json;

use super::{
    OnTimeout, StepPlan,
    wire_value::{Readable, one_of_schema},
};
use crate::{
    config::{
        Diagnostics, Field, Fields, NAME_HELP, Name, Node, Section, Span, Value, choice_schema,
        is_name, mismatch_with, quote, read_choice, table_with,
    },
    step::StepSpec,
    targets::TargetSpec,
};

/// A `[tasks.x]` table.
#[derive(Debug, Clone)]
pub(super) struct WireTask {
    /// The steps that could be read.
    pub steps: Vec<WireStep>,
    /// Whether these are all.
    pub whole: bool,
}

impl Section for WireTask {
    const DOC: &'static str = "A unit of work: steps done one after another.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let steps: Option<Readable<WireStep>> =
            fields.required("steps", "The steps, one inline table each.");
        let Readable { items, whole } = steps?;
        Some(Self { steps: items, whole })
    }
}

/// A step and the places in the file that checks point at.
#[derive(Debug, Clone)]
pub(super) struct WireStep {
    pub plan: StepPlan,
    pub name: Option<Name>,
    pub timeout_span: Span,
}

const ON_TIMEOUT: &[(&str, OnTimeout)] =
    &[("fail", OnTimeout::Fail), ("skip", OnTimeout::Skip), ("ignore", OnTimeout::Ignore)];

impl Field for OnTimeout {
    fn schema() -> Json {
        choice_schema(ON_TIMEOUT)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, ON_TIMEOUT, diagnostics)
    }
}

/// The keys that every step has.
struct Common {
    name: Option<Name>,
    timeout: Option<Duration>,
    on_timeout: Option<OnTimeout>,
}

impl Common {
    fn read(step: &mut Fields<'_>) -> Self {
        let name: Option<Name> = step.optional("name", "A named step has a histogram of its own.");
        let timeout: Option<Duration> = step.optional("timeout", "How long the step may take.");
        let doc = "What a time-out means: `fail` ends the trial, `skip` ends the task, `ignore` goes on; default `fail`.";
        let on_timeout = step.optional("on_timeout", doc);
        if let Some(name) = name.as_ref().filter(|name| !is_name(&name.text)) {
            step.reject(
                "name",
                format!("{} is no valid name", quote(&name.text)),
                Some(NAME_HELP.to_owned()),
            );
        }
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            step.reject("timeout", "a time-out must be above zero", None);
        }
        if on_timeout.is_some() && !step.has("timeout") {
            let help = "add `timeout`, or remove `on_timeout`".to_owned();
            step.reject("on_timeout", "`on_timeout` without `timeout`", Some(help));
        }
        Self { name, timeout, on_timeout }
    }
}

/// The schema of the table under an operation's key.
fn operation_schema(key: &str) -> Json {
    let mut op = Fields::describing();
    let _ = StepSpec::read(key, &mut op, &mut Fields::describing());
    op.into_schema("")
}

/// The table that was meant by words such as `sleep 10ms`.
fn step_hint(text: &str) -> Option<String> {
    let (word, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let (key, _) = StepSpec::TABLE.iter().find(|(key, _)| *key == word)?;
    let value = if rest.is_empty() { Value::Invalid } else { Value::Text(rest.trim().to_owned()) };
    Some(format!("write {{ {key} = {} }}", table_with(&operation_schema(key), &value)?))
}

impl Field for WireStep {
    fn schema() -> Json {
        one_of_schema(
            "A step: exactly one operation, and what every step has.",
            StepSpec::TABLE,
            |key, doc, step| {
                let mut op = Fields::describing();
                Common::read(step);
                let _ = StepSpec::read(key, &mut op, step);
                step.describe(key, op.into_schema(doc), true);
            },
        )
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        if let Value::Text(text) = &node.value {
            mismatch_with(node, "a table", step_hint(text), diagnostics);
            return None;
        }
        let mut step = Fields::of(node, diagnostics)?;
        let common = Common::read(&mut step);
        // Keys such as `expect` belong to an operation, so without one nothing is known about them.
        let spec =
            step.one_of(StepSpec::TABLE, "operation", "operations").and_then(|(key, value)| {
                let mut op = Fields::under(key, value, || operation_schema(key), diagnostics)?;
                let spec = StepSpec::read(key, &mut op, &mut step);
                op.finish(diagnostics);
                spec
            });
        let timeout_span = step.span("timeout");
        step.finish(diagnostics);
        let Common { name, timeout, on_timeout } = common;
        let step_name = name.as_ref().map(|name| name.text.clone());
        let plan = StepPlan {
            name: step_name,
            timeout,
            on_timeout: on_timeout.unwrap_or_default(),
            spec: spec?,
        };
        Some(Self { plan, name, timeout_span })
    }
}

impl Field for TargetSpec {
    fn schema() -> Json {
        one_of_schema("A target, by exactly one kind.", TargetSpec::TABLE, |key, doc, target| {
            let mut kind = Fields::describing();
            let _ = TargetSpec::read(key, &mut kind);
            target.describe(key, kind.into_schema(doc), true);
        })
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        if let Value::Text(text) = &node.value {
            let kind =
                if text.contains("://") && !text.starts_with("http") { "sql" } else { "http" };
            let value = if text.contains("://") { "{ url = \"…\" }" } else { "{}" };
            mismatch_with(
                node,
                "a table",
                Some(format!("write {{ {kind} = {value} }}")),
                diagnostics,
            );
            return None;
        }
        let mut target = Fields::of(node, diagnostics)?;
        let chosen = target.one_of(TargetSpec::TABLE, "kind of target", "kinds of target");
        target.finish(diagnostics);
        let (key, value) = chosen?;
        let schema = || {
            let mut kind = Fields::describing();
            let _ = TargetSpec::read(key, &mut kind);
            kind.into_schema("")
        };
        let mut kind = Fields::under(key, value, schema, diagnostics)?;
        let spec = TargetSpec::read(key, &mut kind);
        kind.finish(diagnostics);
        spec
    }
}
