//! The types that a key's value can have.

use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    time::Duration,
};

use serde_json::{Value as Json, json};

use super::{
    Diagnostics, Name, Node, Value, quote, render::without_passwords, shape::shape_hint, suggest,
};
use crate::units::{
    Distribution, Rate, Size, UnitError, duration_hint, parse_duration, parse_rate, parse_size,
    rate_hint, size_hint,
};

/// A type that a key's value can have.
pub trait Field: Sized {
    /// The JSON Schema of the value.
    fn schema() -> Json;
    /// Reads the value; on failure reports why and returns `None`.
    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self>;
}

/// Reports a value of the wrong type: "expected a duration such as `20ms`, found an integer".
pub fn mismatch(node: &Node, expected: &str, diagnostics: &mut Diagnostics) {
    mismatch_with(node, expected, None, diagnostics);
}

/// The same, with what to write instead.
pub fn mismatch_with(
    node: &Node,
    expected: &str,
    help: Option<String>,
    diagnostics: &mut Diagnostics,
) {
    let found = match &node.value {
        Value::Invalid => return,
        Value::Text(text) => format!("the string {}", quote(&without_passwords(text))),
        other => other.kind().to_owned(),
    };
    diagnostics.error(node.span.clone(), format!("expected {expected}, found {found}"), help);
}

/// Whether a task, target, load or step can have this name: it becomes part of cell and metric
/// names.
pub fn is_name(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.bytes().next().is_some_and(fine)
        && text.bytes().all(|byte| fine(byte) || byte == b'-' || byte == b'_')
}

/// What [`is_name`] accepts, in words.
pub const NAME_HELP: &str =
    "names are lower-case letters, digits, `-` and `_`, and start with a letter or digit";

/// Reads a name of the scenario's own choosing, and reports one that cannot stand in a cell's name.
pub fn read_name(name: &Name, diagnostics: &mut Diagnostics) -> Option<()> {
    if is_name(&name.text) {
        return Some(());
    }
    let message = format!("{} is no valid name", quote(&name.text));
    diagnostics.error(name.span.clone(), message, Some(NAME_HELP.to_owned()));
    None
}

/// Reads one of a few words.
pub fn read_choice<T: Copy>(
    node: &Node,
    choices: &[(&'static str, T)],
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let words = || choices.iter().map(|(word, _)| *word);
    let Value::Text(text) = &node.value else {
        mismatch(node, &format!("one of {}", words().collect::<Vec<_>>().join(", ")), diagnostics);
        return None;
    };
    let chosen = choices.iter().find(|(word, _)| word == text).map(|(_, choice)| *choice);
    if chosen.is_none() {
        let help = suggest(text, "choices", words());
        diagnostics.error(node.span.clone(), format!("unknown choice {}", quote(text)), Some(help));
    }
    chosen
}

/// The schema of one of a few words.
pub fn choice_schema<T>(choices: &[(&'static str, T)]) -> Json {
    json!({ "type": "string", "enum": choices.iter().map(|(word, _)| *word).collect::<Vec<_>>() })
}

impl Field for String {
    fn schema() -> Json {
        json!({ "type": "string" })
    }
    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        if let Value::Text(text) = &node.value {
            return Some(text.clone());
        }
        mismatch(node, "a string", diagnostics);
        None
    }
}

impl Field for Name {
    fn schema() -> Json {
        String::schema()
    }
    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        <String as Field>::read(node, diagnostics)
            .map(|text| Self { text, span: node.span.clone() })
    }
}

impl Field for bool {
    fn schema() -> Json {
        json!({ "type": "boolean" })
    }
    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        if let Value::Bool(value) = node.value {
            return Some(value);
        }
        mismatch(node, "`true` or `false`", diagnostics);
        None
    }
}

/// Reads an integer of at least `least` that `T` can hold.
fn read_integer<T: TryFrom<i64>>(
    node: &Node,
    least: i64,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let expected = format!("a whole number of at least {least}");
    let Value::Integer(value) = node.value else {
        mismatch(node, &expected, diagnostics);
        return None;
    };
    let read = T::try_from(value).ok().filter(|_| value >= least);
    if read.is_none() {
        let too_small = format!("expected {expected}, found {value}");
        let message = if value < least { too_small } else { format!("{value} is too large here") };
        diagnostics.error(node.span.clone(), message, None);
    }
    read
}

macro_rules! integers {
    ($($type:ty, $plain:ty, $least:literal;)*) => {$(
        impl Field for $type {
            fn schema() -> Json {
                json!({ "type": "integer", "minimum": $least })
            }
            fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
                <$type>::try_from(read_integer::<$plain>(node, $least, diagnostics)?).ok()
            }
        }
    )*};
}

integers! {
    u16, u16, 0;
    u32, u32, 0;
    u64, u64, 0;
    usize, usize, 0;
    NonZeroU32, u32, 1;
    NonZeroU64, u64, 1;
    NonZeroUsize, usize, 1;
}

impl Field for f64 {
    fn schema() -> Json {
        json!({ "type": "number" })
    }
    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        match node.value {
            Value::Float(value) => Some(value),
            Value::Integer(value) => Some(value as f64),
            _ => {
                mismatch(node, "a number", diagnostics);
                None
            }
        }
    }
}

/// Reads text with a unit. A bare zero needs no unit.
fn read_unit<T>(
    node: &Node,
    expected: &str,
    parse: impl Fn(&str) -> Result<T, UnitError>,
    hint: fn(&str) -> Option<String>,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let parsed = match &node.value {
        Value::Text(text) if text.len() <= 100 => parse(text).map_err(|error| (error, hint(text))),
        Value::Integer(0) => parse("0").map_err(|error| (error, None)),
        other => {
            let is_number = matches!(other, Value::Integer(_) | Value::Float(_));
            let help = if is_number { hint(&other.to_string()) } else { None };
            mismatch_with(node, expected, help, diagnostics);
            return None;
        }
    };
    parsed.map_err(|(error, help)| diagnostics.error(node.span.clone(), error.0, help)).ok()
}

/// The schema of text with a unit: `pattern` is as strict as an editor needs, the reader is
/// stricter.
fn unit_schema(pattern: &str, examples: Json) -> Json {
    json!({ "type": ["string", "integer"], "pattern": pattern, "examples": examples })
}

const NUMBER: &str = "[0-9]+(\\.[0-9]+)?";
const TIME: &str = "(h|m|s|ms|us|µs|μs|ns)";

impl Field for Duration {
    fn schema() -> Json {
        let mut schema =
            unit_schema(&format!("^({NUMBER}{TIME}|0)$"), json!(["20us", "2ms", "1.5s", "1m"]));
        schema["minimum"] = json!(0);
        schema["maximum"] = json!(0);
        schema
    }
    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_unit(node, "a duration such as `20ms`", parse_duration, duration_hint, diagnostics)
    }
}

impl Field for Size {
    fn schema() -> Json {
        let mut schema = unit_schema(
            &format!("^{NUMBER}(|B|[KMGT]iB|[kMGT]B)$"),
            json!(["256B", "16KiB", "4kB"]),
        );
        schema["minimum"] = json!(0);
        schema
    }
    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        if let Value::Integer(bytes) = node.value
            && let Ok(bytes) = u64::try_from(bytes)
        {
            return Some(Self(bytes));
        }
        read_unit(
            node,
            "a size such as `16KiB`",
            |text| parse_size(text).map(Self),
            size_hint,
            diagnostics,
        )
    }
}

impl Field for Rate {
    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?[kM]?/(s|m|min|h)$", "examples": ["250/s", "4k/s", "30/m"] })
    }
    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let parse = |text: &str| parse_rate(text).map(Self);
        read_unit(node, "a rate such as `250/s`, `4k/s` or `30/m`", parse, rate_hint, diagnostics)
    }
}

impl Field for Distribution {
    fn schema() -> Json {
        let pattern = format!("^({NUMBER}{TIME}|0|(const|exp|uniform|lognormal) ?\\(.*\\))$");
        let examples = json!(["5ms", "exp(1ms)", "uniform(1ms,3ms)", "lognormal(2ms, p99=12ms)"]);
        let mut schema = unit_schema(&pattern, examples);
        schema["minimum"] = json!(0);
        schema["maximum"] = json!(0);
        schema
    }
    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let expected = "a duration such as `20ms` or a distribution such as `exp(1ms)`";
        read_unit(node, expected, str::parse, duration_hint, diagnostics)
    }
}

impl<T: Field> Field for Vec<T> {
    fn schema() -> Json {
        json!({ "type": "array", "items": parameter_schema(T::schema()) })
    }
    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Value::Array(items) = &node.value else {
            mismatch(node, "an array", diagnostics);
            return None;
        };
        // All items are read before the first bad one is allowed to spoil the array.
        let read: Vec<Option<T>> = items.iter().map(|item| T::read(item, diagnostics)).collect();
        read.into_iter().collect()
    }
}

/// Reads the value of a key of the scenario's own choosing; one of the wrong shape is reported with
/// what to write.
pub fn read_named<T: Field>(name: &Name, node: &Node, diagnostics: &mut Diagnostics) -> Option<T> {
    let value = T::read(node, diagnostics);
    if value.is_none() {
        diagnostics.advise(&node.span, || shape_hint(&name.text, &T::schema(), node));
    }
    value
}

/// A table whose keys are names of the scenario's own choosing, in file order.
#[derive(Debug, Clone, PartialEq)]
pub struct Named<T>(pub Vec<(Name, T)>);

impl<T: Field> Field for Named<T> {
    fn schema() -> Json {
        json!({ "type": "object", "additionalProperties": parameter_schema(T::schema()) })
    }
    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            mismatch(node, "a table", diagnostics);
            return None;
        };
        let read: Vec<Option<(Name, T)>> = entries
            .iter()
            .map(|(name, value)| Some((name.clone(), read_named(name, value, diagnostics)?)))
            .collect();
        read.into_iter().collect::<Option<_>>().map(Self)
    }
}

impl<T: Field> Field for BTreeMap<String, T> {
    fn schema() -> Json {
        Named::<T>::schema()
    }
    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let named = <Named<T> as Field>::read(node, diagnostics)?;
        Some(named.0.into_iter().map(|(name, value)| (name.text, value)).collect())
    }
}

/// `"${name}"` is allowed wherever a single value is. Tables and arrays are spelt out, and free
/// text takes it anyway.
pub fn parameter_schema(schema: Json) -> Json {
    let is_compound = schema["type"] == "object" || schema["type"] == "array";
    let is_free_text = schema == json!({ "type": "string" });
    if is_compound || is_free_text {
        return schema;
    }
    json!({ "anyOf": [schema, { "type": "string", "pattern": "^\\$\\{[A-Za-z0-9_-]+\\}$" }] })
}

#[cfg(test)]
mod tests;
