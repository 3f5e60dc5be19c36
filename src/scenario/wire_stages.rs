//! What stands in `stages`: how a load changes over time, by rate or by number of clients.

use std::{num::NonZeroU64, time::Duration};

use crate::{
    config::{Fields, Section},
    load::{ClientStage, Stage, attendance},
    units::Rate,
};

/// No rate is above this: an arrival each nanosecond is more than any pacer hands over.
pub const MOST_RATE: f64 = 1e9;

/// Rejects rates that no load can have.
pub(super) fn check_rate(fields: &mut Fields<'_>, key: &'static str, rate: Option<Rate>) {
    let Some(Rate(rate)) = rate else { return };
    if rate > MOST_RATE {
        let help =
            "`1000M/s` is the most; `regatta find-rate` says what this host can do".to_owned();
        fields.reject(key, "no pacer hands over as many arrivals", Some(help));
    }
}

/// The stages of an open load that begins with this rate; empty where it has none, and nothing
/// where they are wrong.
pub(super) fn rates(fields: &mut Fields<'_>, rate: Option<Rate>) -> Option<Vec<Stage>> {
    let doc = "The rate over time, instead of `duration`: stages one after another.";
    let tables: Option<Vec<RateTable>> = fields.optional("stages", doc);
    let example = "{ rate = \"1k/s\", for = \"5s\" }";
    let tables = present(fields, tables, "an open load", example)?;
    let rate = rate?.0;
    let stages = ramped(rate, tables.into_iter().map(|table| table.0));
    let stages: Vec<Stage> =
        stages.map(|(from, to, length_ns)| Stage { from, to, length_ns }).collect();
    check_arrivals(fields, rate, &stages);
    Some(stages)
}

/// The stages of a closed load that begins with so many clients; empty where it has none, and
/// nothing where they are wrong.
pub(super) fn clients(
    fields: &mut Fields<'_>,
    concurrency: Option<NonZeroU64>,
) -> Option<Vec<ClientStage>> {
    let doc = "The number of clients over time, instead of `duration`: stages one after another.";
    let tables: Option<Vec<ClientTable>> = fields.optional("stages", doc);
    let example = "{ clients = 16, for = \"5s\" }";
    let tables = present(fields, tables, "a closed load", example)?;
    let stages = ramped(concurrency?.get(), tables.into_iter().map(|table| table.0));
    let stages: Vec<ClientStage> =
        stages.map(|(from, to, length_ns)| ClientStage { from, to, length_ns }).collect();
    if !stages.is_empty() && attendance(&stages).0 <= 0.0 {
        let help = format!("give one stage some clients, such as `{example}`");
        fields.reject("stages", "no client takes part: every stage has none", Some(help));
    }
    Some(stages)
}

/// The stages as far as there are any; an empty list says nothing, and is an error.
fn present<T>(
    fields: &mut Fields<'_>,
    tables: Option<Vec<T>>,
    load: &str,
    example: &str,
) -> Option<Vec<T>> {
    if tables.as_ref().is_some_and(Vec::is_empty) {
        let help = format!("add a stage such as `{example}`, or remove `stages`");
        fields.reject("stages", format!("{load} with `stages` needs at least one"), Some(help));
    }
    if tables.is_none() && fields.has("stages") { None } else { Some(tables.unwrap_or_default()) }
}

/// Rejects loads in which nothing ever arrives. A rate of zero is where a ramp begins or ends, or a
/// pause between stages.
fn check_arrivals(fields: &mut Fields<'_>, rate: f64, stages: &[Stage]) {
    if stages.is_empty() && !fields.has("stages") && rate <= 0.0 {
        let help =
            "write a rate such as `250/s`, or add `stages`: a ramp may begin with 0".to_owned();
        fields.reject("rate", "nothing arrives at a rate of zero", Some(help));
    } else if !stages.is_empty() && stages.iter().all(|stage| stage.mass() <= 0.0) {
        let help = "give one stage a rate above zero, such as `{ to = \"100/s\", for = \"5s\" }`"
            .to_owned();
        fields.reject("stages", "nothing arrives: every stage has a rate of zero", Some(help));
    }
}

/// A stage as it is written: what it holds, or reaches at its end.
struct Written<T> {
    value: T,
    ramps: bool,
    length: Duration,
}

/// Value at the start, value at the end and length in ns of each stage. A ramp begins where the
/// stage before it ended.
fn ramped<T: Copy>(
    start: T,
    written: impl Iterator<Item = Written<T>>,
) -> impl Iterator<Item = (T, T, u64)> {
    let mut before = start;
    written.map(move |stage| {
        let from = if stage.ramps { before } else { stage.value };
        before = stage.value;
        (from, stage.value, u64::try_from(stage.length.as_nanos()).unwrap_or(u64::MAX))
    })
}

/// Reads the length of a stage, and takes what it holds or what it ramps to; both, or none, is an
/// error.
fn read_stage<T>(
    fields: &mut Fields<'_>,
    key: &'static str,
    hold: Option<T>,
    ramp: Option<T>,
) -> Option<Written<T>> {
    let length: Option<Duration> = fields.required("for", "Its length.");
    if length.is_some_and(|length| length.is_zero()) {
        fields.reject("for", "a stage must be longer than zero", None);
    }
    if !fields.is_describing() && fields.has(key) == fields.has("to") {
        let help = format!("`{key}` holds a number, `to` ramps to it");
        fields.reject("to", format!("a stage has either `{key}` or `to`"), Some(help));
    }
    let ramps = hold.is_none();
    Some(Written { value: hold.or(ramp)?, ramps, length: length? })
}

/// A stage of an open load.
struct RateTable(Written<f64>);

impl Section for RateTable {
    const DOC: &'static str =
        "A stretch of time with a rate: `rate` holds it, `to` ramps to it from the rate before.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let hold: Option<Rate> = fields
            .optional("rate", "Arrivals per second, from its start to its end; 0 is a pause.");
        let ramp: Option<Rate> = fields.optional(
            "to",
            "Arrivals per second at its end, which may be 0; the rate changes linearly.",
        );
        for (key, rate) in [("rate", hold), ("to", ramp)] {
            check_rate(fields, key, rate);
        }
        read_stage(fields, "rate", hold.map(|rate| rate.0), ramp.map(|rate| rate.0)).map(Self)
    }
}

/// A stage of a closed load.
struct ClientTable(Written<u64>);

impl Section for ClientTable {
    const DOC: &'static str = "A stretch of time with a number of clients: `clients` holds it, `to` ramps to it from the number before.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let hold = fields.optional("clients", "Clients, from its start to its end; 0 is a pause.");
        let ramp = fields.optional(
            "to",
            "Clients at its end, which may be 0; they join or leave one by one, evenly.",
        );
        read_stage(fields, "clients", hold, ramp).map(Self)
    }
}
