//! The TOML document as a tree of owned values with spans, with parameters substituted.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::diagnostic::{Diagnostics, Span, quote, suggest};

/// One value of the document.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// What a [`Node`] holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A string.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A float.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// An array.
    Array(Vec<Node>),
    /// A table: keys in file order, each with its span.
    Table(Vec<(Name, Node)>),
    /// Something that was already reported; reading it fails in silence.
    Invalid,
}

/// A name and where it stands. Equality and order look at the text alone; stored plans keep only
/// the text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Name {
    /// The name.
    pub text: String,
    /// Where it stands in the scenario file (empty after a plan was stored and read).
    pub span: Span,
}

impl Name {
    /// Reports that it names nothing: `what` it should name, in the singular and the plural, and the
    /// names that there are.
    pub fn report_unknown<'a>(
        &self,
        what: &str,
        plural: &str,
        valid: impl Iterator<Item = &'a str>,
        diagnostics: &mut Diagnostics,
    ) {
        let message = format!("unknown {what} {}", quote(&self.text));
        let help = suggest(&self.text, plural, valid);
        diagnostics.error(self.span.clone(), message, Some(help));
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self { text, span: 0..0 }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.text
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Value {
    /// What it is, with an article.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Bool(_) => "a boolean",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
            Self::Invalid => "an invalid value",
        }
    }

    /// Whether it is a single value, which a parameter can have.
    pub fn is_scalar(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Integer(_) | Self::Float(_) | Self::Bool(_))
    }
}

impl std::fmt::Display for Value {
    /// Prints a single value as a cell's name shows it: text without quotes.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => out.write_str(text),
            Self::Integer(value) => write!(out, "{value}"),
            Self::Float(value) => write!(out, "{value}"),
            Self::Bool(value) => write!(out, "{value}"),
            other => out.write_str(other.kind()),
        }
    }
}

impl Node {
    /// A copy in which every string that is exactly `${name}` is replaced by the parameter's value
    /// (with the span of the use). An unknown name is an error. `${i}` and other per-task names
    /// inside longer text stay.
    #[must_use]
    pub fn substitute(
        &self,
        params: &BTreeMap<String, Value>,
        diagnostics: &mut Diagnostics,
    ) -> Node {
        let value = match &self.value {
            Value::Text(text) => match parameter(text) {
                Some(name) => self.looked_up(name, params, diagnostics),
                None => self.value.clone(),
            },
            Value::Array(items) => Value::Array(
                items.iter().map(|item| item.substitute(params, diagnostics)).collect(),
            ),
            Value::Table(entries) => Value::Table(
                entries
                    .iter()
                    .map(|(name, node)| (name.clone(), node.substitute(params, diagnostics)))
                    .collect(),
            ),
            other => other.clone(),
        };
        Node { span: self.span.clone(), value }
    }

    fn looked_up(
        &self,
        name: &str,
        params: &BTreeMap<String, Value>,
        diagnostics: &mut Diagnostics,
    ) -> Value {
        params.get(name).cloned().unwrap_or_else(|| {
            let help = suggest(name, "parameters", params.keys().map(String::as_str));
            diagnostics.error(
                self.span.clone(),
                format!("unknown parameter {}", quote(name)),
                Some(help),
            );
            Value::Invalid
        })
    }

    /// Adds the names of all parameters that [`Self::substitute`] would look up.
    pub fn parameters<'a>(&'a self, found: &mut BTreeSet<&'a str>) {
        match &self.value {
            Value::Text(text) => found.extend(parameter(text)),
            Value::Array(items) => items.iter().for_each(|item| item.parameters(found)),
            Value::Table(entries) => entries.iter().for_each(|(_, node)| node.parameters(found)),
            _ => {}
        }
    }

    /// The value under `key`, if this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name.text == key).map(|(_, node)| node)
    }

    /// The entries of a table; nothing for other values.
    pub fn entries(&self) -> &[(Name, Node)] {
        if let Value::Table(entries) = &self.value { entries } else { &[] }
    }
}

/// The parameter that a string names by being `${name}` as a whole. `${i}`, `${j}` and calls such
/// as `${uniform(0,9)}` are not parameters: they differ from task to task, and the steps draw them.
/// Nor is `${env:NAME}`, which only the process that needs it looks up, nor `${value:NAME}`, which a
/// step takes, nor `${row:TABLE.COLUMN}`, which is another one in each task.
fn parameter(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    let is_other = name == "i"
        || name == "j"
        || name.starts_with("env:")
        || name.starts_with("value:")
        || name.starts_with("row:")
        || name.contains(['(', '{', '}', '$']);
    (!is_other).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_strings_are_substituted_and_other_text_is_not() {
        let mut diagnostics = Diagnostics::default();
        let text = "a = '${n}'\nb = ['${n}', 'x${n}', '${i}', '${j}', '${uniform(1,9)}', '${m}', '${env:N}', '${value:v}', '${row:t.c}']\n";
        let node = super::super::parse(text, &mut diagnostics);
        let mut used = BTreeSet::new();
        node.parameters(&mut used);
        assert_eq!(used, BTreeSet::from(["m", "n"]));
        let params = BTreeMap::from([("n".to_owned(), Value::Integer(3))]);
        let filled = node.substitute(&params, &mut diagnostics);
        assert_eq!(filled.get("a"), Some(&Node { span: 4..10, value: Value::Integer(3) }));
        let Some(Node { value: Value::Array(items), .. }) = filled.get("b") else {
            panic!("{filled:?}")
        };
        let shown: Vec<_> = items.iter().map(|item| item.value.to_string()).collect();
        let filled = ["3", "x${n}", "${i}", "${j}", "${uniform(1,9)}", "an invalid value"];
        assert_eq!(shown, [&filled[..], &["${env:N}", "${value:v}", "${row:t.c}"]].concat());
        let found = diagnostics.into_sorted();
        assert_eq!(found.len(), 1);
        assert!(found[0].message.contains("unknown parameter `m`"));
    }

    #[test]
    fn arguments_are_typed_like_toml() {
        assert_eq!(Value::from_argument("16"), Value::Integer(16));
        assert_eq!(Value::from_argument("true"), Value::Bool(true));
        assert_eq!(Value::from_argument("0.5"), Value::Float(0.5));
        assert_eq!(Value::from_argument("20ms"), Value::Text("20ms".into()));
        assert_eq!(Value::from_argument("'16'"), Value::Text("16".into()));
        assert_eq!(Value::from_argument("[1]"), Value::Text("[1]".into()));
        assert_eq!(Value::from_argument("1\nb = 2"), Value::Text("1\nb = 2".into()));
        assert_eq!(Value::from_argument(""), Value::Text(String::new()));
    }
}
