//! What a scenario means once it is validated. Nothing here knows about TOML.

use std::{borrow::Cow, path::PathBuf, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::Load;
use crate::{
    config::AttachedFile,
    measure::MetricId,
    protocol::Program,
    shared::NamedShared,
    step::{NamedRows, Task},
    targets::NamedTarget,
};

/// One scenario file, validated.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The file it was read from.
    pub path: PathBuf,
    /// The file's text, stored with every run.
    pub text: String,
    /// Its name; cells are called `name::executor::k=v`.
    pub name: String,
    /// The question that it answers.
    pub question: String,
    /// One entry per combination of swept parameters, in file order; one entry with no sweep.
    pub variants: Vec<Variant>,
    /// What somebody claims about it.
    pub claims: Vec<Claim>,
    /// Limits that make a run exit with 1.
    pub slos: Vec<Slo>,
    /// What `--quick` has cut off its loads, in words; the same of several variants once.
    pub cut: Vec<String>,
    /// The files that it names, whose content is a part of its work.
    pub files: Vec<ScenarioFile>,
}

/// A file that a scenario names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScenarioFile {
    /// Its path from the folder in which the run was begun.
    pub path: String,
    /// The SHA-256 of its content, in hexadecimal.
    pub sha256: String,
}

impl ScenarioFile {
    /// A file that was read.
    pub(super) fn of(file: &AttachedFile) -> Self {
        Self { path: file.path.display().to_string(), sha256: file.sha256() }
    }
}

/// A scenario with one combination of parameter values filled in.
#[derive(Debug, Clone)]
pub struct Variant {
    /// Swept parameters and their values, in sweep order (unswept parameters are not listed).
    pub params: Vec<Param>,
    /// How it is run.
    pub run: RunSettings,
    /// By whom it is run.
    pub executors: ExecutorSettings,
    /// What its operations act on.
    pub targets: Vec<NamedTarget>,
    /// What its tasks wait on together.
    pub shared: Vec<NamedShared>,
    /// Rows that its tasks use.
    pub data: Vec<Arc<NamedRows>>,
    /// Its tasks.
    pub tasks: Vec<Task>,
    /// How the tasks arrive: one load at least.
    pub loads: Vec<Load>,
}

/// A parameter's name and its value as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// The name.
    pub name: String,
    /// The value as a user would write it.
    pub value: String,
}

/// `name=value`, as cells' names and reports have it. A value with what separates such pairs is
/// quoted, so that no two lists of parameters read the same.
impl std::fmt::Display for Param {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}={}", self.name, self.shown())
    }
}

impl Param {
    /// The value, in quotes where it could be misread beside others.
    pub fn shown(&self) -> Cow<'_, str> {
        if is_plain(&self.value) {
            Cow::Borrowed(&self.value)
        } else {
            format!("\"{}\"", escaped(&self.value)).into()
        }
    }
}

/// Whether a value can stand beside others without quotes, whether commas or spaces are between
/// them.
fn is_plain(value: &str) -> bool {
    let separates = |c: char| [',', '=', '"'].contains(&c) || c.is_whitespace() || c.is_control();
    !value.contains(separates) && !value.contains("::")
}

/// A text as TOML has it between quotes.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            c if c.is_control() || (c.is_whitespace() && c != ' ') => {
                text.extend(format!("\\u{:04X}", c as u32).chars());
            }
            c => text.push(c),
        }
    }
    text
}

/// The `[run]` table.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// Passes over all cells; below 6 there is no exact 95 % interval.
    pub rounds: u32,
    /// Run before measuring, and discarded.
    pub warmup: Duration,
    /// How long a closed or an open load is measured (unless it ends by tasks, or has stages).
    pub duration: Duration,
    /// After this the watchdog kills the trial and records it as timed out.
    pub timeout: Duration,
    /// The seed of every draw and of the order of trials.
    pub seed: u64,
    /// Whether a probe measures scheduling delay beside the tasks.
    pub probe: bool,
}

/// The `[executors]` table.
#[derive(Debug, Clone)]
pub struct ExecutorSettings {
    /// Names from the executor table or of programs, in the order they are shown.
    pub names: Vec<String>,
    /// Programs that race, by name.
    pub programs: Vec<(String, Program)>,
    /// Ratios are against this one.
    pub baseline: String,
    /// Scheduler threads of every executor that has them; none: the CPUs left for the executor.
    pub workers: Option<usize>,
    /// Threads of the `thread-pool` and `rayon` executors, and the cap of every blocking pool.
    pub pool_size: usize,
    /// Stack of each thread of the `threads`, `thread-pool` and `rayon` executors, in bytes; none: the
    /// platform's default (2 MiB).
    pub stack_size: Option<u64>,
}

/// A `[[claim]]`: what somebody says about an executor against another, or about some cells against
/// others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Who says it, or in which words.
    pub text: String,
    /// The executor that is said to be better; none: each executor is compared.
    pub executor: Option<String>,
    /// The executor that it is compared with; none: with itself, under the values of
    /// `against_only`.
    pub against: Option<String>,
    /// The metric that is compared; none: the scenario's primary one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<MetricId>,
    /// The load whose figures are compared; none: the scenario has but one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<String>,
    /// Only cells with these values of swept parameters; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<Param>,
    /// Values of swept parameters that the cell compared with has instead; empty: the same values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub against_only: Vec<Param>,
    /// "times as good": 50 means that a task takes a fiftieth of the time, or that there are 50
    /// times as many of them.
    pub factor: f64,
    /// How far the measured factor may be from the claimed one and still agree: 0.25 is from 1/1.25
    /// to 1.25 of it.
    pub tolerance: f64,
    /// Whether more than the factor agrees too.
    pub direction: Direction,
}

/// In which direction a claim is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The factor or more.
    AtLeast,
    /// The factor or less.
    AtMost,
    /// The factor within the tolerance.
    About,
}

/// A `[[slo]]`: `assert = "request.latency.p99 < 25ms"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slo {
    /// The assertion as written.
    pub assert: String,
    /// The task or named step it is about.
    pub subject: String,
    /// What of it.
    pub metric: SloMetric,
    /// The comparison: `<`, `<=`, `>`, `>=`.
    pub comparison: Comparison,
    /// The limit in the metric's unit (ns for latencies, 1/s for rates, a share for error rates).
    pub limit: f64,
    /// Only cells with these parameter values; empty: all.
    pub only: Vec<Param>,
    /// Line of the assertion in the scenario file, from 1.
    pub line: usize,
}

/// What an SLO can be about.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SloMetric {
    /// A latency quantile, in (0, 1]; 1 is the maximum.
    Latency(f64),
    /// The mean latency.
    MeanLatency,
    /// Completions per second.
    Throughput,
    /// Errors and time-outs per execution.
    ErrorRate,
}

/// How a measured value is compared with a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// `<`
    #[serde(rename = "<")]
    Below,
    /// `<=`
    #[serde(rename = "<=")]
    AtMost,
    /// `>`
    #[serde(rename = ">")]
    Above,
    /// `>=`
    #[serde(rename = ">=")]
    AtLeast,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(value: &str) -> String {
        Param { name: "k".into(), value: value.into() }.to_string()
    }

    #[test]
    fn only_what_could_be_misread_is_quoted() {
        for plain in [
            "", "8", "-0.5", "true", "exp(2ms)", "250/s", "/a/b?c:d", "fan-out", "\u{e4}", "C:\\x",
            "'x'",
        ] {
            assert_eq!(shown(plain), format!("k={plain}"));
        }
        for (value, quoted) in [
            ("uniform(1ms,3ms)", r#""uniform(1ms,3ms)""#),
            ("/x,b=/y", r#""/x,b=/y""#),
            ("a b", r#""a b""#),
            ("a::b", r#""a::b""#),
            ("\"8\"", r#""\"8\"""#),
            ("a\\,", r#""a\\,""#),
            ("a\nb\u{2028}", r#""a\nb\u2028""#),
        ] {
            assert_eq!(shown(value), format!("k={quoted}"));
        }
    }

    proptest! {
        /// Whatever the values, and whatever stands between the pairs, different values read
        /// differently.
        #[test]
        fn different_values_have_different_names(
            a in proptest::array::uniform2("([,=\"\\\\: \nxy/]|, |y=|::){0,6}"),
            b in proptest::array::uniform2("([,=\"\\\\: \nxy/]|, |y=|::){0,6}"),
        ) {
            for between in [",", " "] {
                let joined = |values: &[String; 2]| {
                    let param = |name: &str, value: &String| Param { name: name.into(), value: value.clone() }.to_string();
                    format!("{}{between}{}", param("x", &values[0]), param("y", &values[1]))
                };
                prop_assert_eq!(a == b, joined(&a) == joined(&b));
            }
        }
    }
}
