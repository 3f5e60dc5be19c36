//! Typed access to the keys of a table, and the same access turned into a JSON Schema.

use serde_json::{Map, Value as Json, json};

use super::{
    Diagnostics, Field, Name, Node, Span, Value, mismatch_with, nearest, parameter_schema, quote,
    shape::shape_hint, suggest,
};

/// A table with fixed keys. Implementing it makes the type a [`Field`] whose value is that table.
pub trait Section: Sized {
    /// What the table is for, in one sentence; becomes the schema's description.
    const DOC: &'static str;
    /// Asks for every key, then builds the value.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
}

impl<T: Section> Field for T {
    fn schema() -> Json {
        let mut fields = Fields::describing();
        // What describing yields is thrown away: nothing was read.
        let _ = <T as Section>::read(&mut fields);
        fields.into_schema(T::DOC)
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::of(node, diagnostics)?;
        let value = <T as Section>::read(&mut fields);
        fields.finish(diagnostics);
        value
    }
}

/// The keys of one table, being read or being described.
///
/// Errors collect in the `Fields` itself, so that two tables can be read side by side, until
/// [`Self::finish`] hands them over.
pub struct Fields<'a> {
    mode: Mode<'a>,
}

enum Mode<'a> {
    Reading(FieldsReading<'a>),
    Describing {
        properties: Map<String, Json>,
        required: Vec<&'static str>,
        /// Of these groups of keys one must be there; empty: there are none.
        either: Vec<&'static [&'static str]>,
        /// What other keys have; none: there are none.
        rest: Option<Json>,
    },
}

struct FieldsReading<'a> {
    entries: &'a [(Name, Node)],
    span: Span,
    asked: Vec<&'static str>,
    /// Keys of the scenario's own choosing that were read.
    named: Vec<String>,
    /// Keys that must be there and are not, with what they are for.
    missing: Vec<(&'static str, &'static str)>,
    /// Whether the table is so wrong that nothing should be said about its other keys.
    abandoned: bool,
    found: Diagnostics,
}

impl<'a> Fields<'a> {
    /// The keys of a table that is to be read; any other value is reported.
    pub fn of(node: &'a Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            let is_list = matches!(&node.value, Value::Array(items) if items.iter().any(|item| !item.entries().is_empty()));
            let help =
                is_list.then(|| "it is one table: write [ and ] in place of [[ and ]]".to_owned());
            mismatch_with(node, "a table", help, diagnostics);
            return None;
        };
        let (span, found) = (node.span.clone(), diagnostics.fork());
        let (asked, named, missing) = (Vec::new(), Vec::new(), Vec::new());
        Some(Self {
            mode: Mode::Reading(FieldsReading {
                entries,
                span,
                asked,
                named,
                missing,
                abandoned: false,
                found,
            }),
        })
    }

    /// The keys of the table under `key`; any other value is reported with the table to write.
    /// `schema` is asked then only.
    pub fn under(
        key: &str,
        node: &'a Node,
        schema: impl FnOnce() -> Json,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        if matches!(node.value, Value::Table(_) | Value::Invalid) {
            return Self::of(node, diagnostics);
        }
        mismatch_with(node, "a table", shape_hint(key, &schema(), node), diagnostics);
        None
    }

    /// No table: every key that is asked for becomes a property of a schema.
    pub fn describing() -> Self {
        let (required, either) = (Vec::new(), Vec::new());
        Self { mode: Mode::Describing { properties: Map::new(), required, either, rest: None } }
    }

    /// A key that must be there.
    pub fn required<T: Field>(&mut self, key: &'static str, doc: &'static str) -> Option<T> {
        let value = self.field(key, doc, None);
        match &mut self.mode {
            Mode::Describing { required, .. } => required.push(key),
            Mode::Reading(reading) if reading.entry(key).is_none() => {
                reading.missing.push((key, doc));
            }
            Mode::Reading(_) => {}
        }
        value
    }

    /// A key that may be missing.
    pub fn optional<T: Field>(&mut self, key: &'static str, doc: &'static str) -> Option<T> {
        self.field(key, doc, None)
    }

    /// A key with a default, which the documentation names.
    pub fn or<T: Field + serde::Serialize>(
        &mut self,
        key: &'static str,
        default: T,
        doc: &'static str,
    ) -> T {
        let shown = self.is_describing().then(|| default_text(&default));
        self.field(key, doc, shown).unwrap_or(default)
    }

    /// Reports an error about a key's value (or about the table where the key is missing), for
    /// rules between keys.
    pub fn reject(&mut self, key: &'static str, message: impl Into<String>, help: Option<String>) {
        let span = self.span(key);
        if let Mode::Reading(reading) = &mut self.mode {
            reading.found.error(span, message, help);
        }
    }

    /// Whether the key stands in the table, with a good value or a bad one.
    pub fn has(&self, key: &str) -> bool {
        matches!(&self.mode, Mode::Reading(reading) if reading.entry(key).is_some())
    }

    /// Where the key's value stands; the table itself where the key is missing.
    pub fn span(&self, key: &str) -> Span {
        match &self.mode {
            Mode::Reading(reading) => {
                reading.entry(key).map_or(reading.span.clone(), |(_, node)| node.span.clone())
            }
            Mode::Describing { .. } => 0..0,
        }
    }

    /// Whether a schema is being made.
    pub fn is_describing(&self) -> bool {
        matches!(self.mode, Mode::Describing { .. })
    }

    /// The one key out of `table` (keys and sentences) that is there, and its value; none or
    /// several are reported. `what` and `plural` name such keys, as in "operation" and
    /// "operations". Ask for the other keys first.
    pub fn one_of(
        &mut self,
        table: &[(&'static str, &str)],
        what: &str,
        plural: &str,
    ) -> Option<(&'static str, &'a Node)> {
        let Mode::Reading(reading) = &mut self.mode else { return None };
        let known = table.iter().filter_map(|(key, _)| Some((*key, reading.entry(key)?)));
        let mut present: Vec<(&'static str, &'a (Name, Node))> = known.collect();
        present.sort_by_key(|(_, (name, _))| name.span.start);
        reading.asked.extend(table.iter().map(|(key, _)| *key));
        match present.as_slice() {
            [(key, (_, node))] => return Some((key, node)),
            [] => reading.complain_about_none(table, what, plural),
            [_, (_, (second, _)), ..] => {
                let keys = present
                    .iter()
                    .map(|(key, _)| format!("`{key}`"))
                    .collect::<Vec<_>>()
                    .join(" and ");
                let message = format!("expected exactly one {what}, found {keys}");
                reading.found.error(
                    second.span.clone(),
                    message,
                    Some("keep one and remove the others".to_owned()),
                );
            }
        }
        reading.abandoned = true;
        None
    }

    /// The tables with the key `mark` under names of the scenario's own choosing, which nobody asks
    /// for: in file order, and none for one that could not be read.
    pub fn rest<T: Field>(&mut self, mark: &str) -> Vec<(Name, Option<T>)> {
        let reading = match &mut self.mode {
            Mode::Describing { rest, .. } => {
                *rest = Some(T::schema());
                return Vec::new();
            }
            Mode::Reading(reading) => reading,
        };
        let marked = |node: &Node| node.entries().iter().any(|(name, _)| name.text == mark);
        let tables = reading
            .entries
            .iter()
            .filter(|(name, node)| marked(node) && !reading.asked.contains(&name.text.as_str()));
        let read = tables.map(|(name, node)| (name.clone(), T::read(node, &mut reading.found)));
        let read: Vec<_> = read.collect();
        reading.named.extend(read.iter().map(|(name, _)| name.text.clone()));
        read
    }

    /// Adds a property to a schema by hand; nothing while reading.
    pub fn describe(&mut self, key: &'static str, schema: Json, is_required: bool) {
        if let Mode::Describing { properties, required, .. } = &mut self.mode {
            properties.insert(key.to_owned(), schema);
            required.extend(is_required.then_some(key));
        }
    }

    /// Says that the keys of one of these groups must be there, and which is the usual one: the first.
    /// Nothing while reading, where the reader looks itself.
    pub fn either(&mut self, groups: &[&'static [&'static str]]) {
        if let Mode::Describing { either, .. } = &mut self.mode {
            either.extend(groups);
        }
    }

    /// Reports missing keys and keys that nobody asked for, and hands over all errors.
    pub fn finish(self, diagnostics: &mut Diagnostics) {
        let Mode::Reading(mut reading) = self.mode else { return };
        if !reading.abandoned {
            reading.complain_about_unknown();
        }
        reading.complain_about_missing();
        diagnostics.merge(reading.found);
    }

    /// Hands over the errors of values, for a reader that looks at a few keys and leaves the table
    /// to another.
    pub fn leave(self, diagnostics: &mut Diagnostics) {
        if let Mode::Reading(reading) = self.mode {
            diagnostics.merge(reading.found);
        }
    }

    /// The schema of the table whose keys were described.
    pub fn into_schema(self, doc: &str) -> Json {
        let Mode::Describing { properties, required, either, rest } = self.mode else {
            return Json::Null;
        };
        let mut schema = json!({
            "type": "object",
            "description": doc,
            "properties": properties,
            "required": required,
            "additionalProperties": rest.unwrap_or(Json::Bool(false)),
        });
        if !either.is_empty() {
            let groups = either.iter().map(|keys| json!({ "required": keys }));
            schema["oneOf"] = groups.collect();
        }
        schema
    }

    fn field<T: Field>(
        &mut self,
        key: &'static str,
        doc: &'static str,
        default: Option<Json>,
    ) -> Option<T> {
        match &mut self.mode {
            Mode::Describing { properties, .. } => {
                properties.insert(key.to_owned(), property(T::schema(), doc, default));
                None
            }
            Mode::Reading(reading) => {
                reading.asked.push(key);
                let (_, node) = reading.entry(key)?;
                let value = T::read(node, &mut reading.found);
                if value.is_none() {
                    reading.found.advise(&node.span, || shape_hint(key, &T::schema(), node));
                }
                value
            }
        }
    }
}

impl<'a> FieldsReading<'a> {
    fn entry(&self, key: &str) -> Option<&'a (Name, Node)> {
        self.entries.iter().find(|(name, _)| name.text == key)
    }

    fn complain_about_missing(&mut self) {
        if self.found.is_recovering() {
            return;
        }
        for (key, doc) in std::mem::take(&mut self.missing) {
            let help = Some(format!("`{key}`: {doc}"));
            self.found.error(self.span.clone(), format!("missing key `{key}`"), help);
        }
    }

    fn complain_about_none(&mut self, table: &[(&'static str, &str)], what: &str, plural: &str) {
        let strangers =
            self.entries.iter().filter(|(name, _)| !self.asked.contains(&name.text.as_str()));
        // A misspelt key that holds a table was meant to be the one.
        let meant = strangers.max_by_key(|(_, node)| matches!(node.value, Value::Table(_)));
        let keys = table.iter().map(|(key, _)| *key);
        if let Some((name, _)) = meant {
            let is_near = nearest(&name.text, keys.clone()).is_some();
            let home = if is_near { None } else { self.found.home(&name.text) };
            let help = home.unwrap_or_else(|| suggest(&name.text, plural, keys));
            self.found.error(
                name.span.clone(),
                format!("unknown {what} {}", quote(&name.text)),
                Some(help),
            );
        } else if !self.found.is_recovering() {
            let help = format!("{plural}: {}", keys.collect::<Vec<_>>().join(", "));
            self.found.error(
                self.span.clone(),
                format!("expected exactly one {what}, found none"),
                Some(help),
            );
        }
    }

    /// A misspelt key is not missing too.
    fn complain_about_unknown(&mut self) {
        for (name, _) in self.entries.iter().filter(|(name, _)| {
            !self.asked.contains(&name.text.as_str()) && !self.named.contains(&name.text)
        }) {
            let meant = nearest(&name.text, self.asked.iter().copied());
            let home = if meant.is_none() { self.found.home(&name.text) } else { None };
            // Who writes the key here does not know yet what else is to be written.
            self.missing.retain(|(key, _)| Some(*key) != meant && home.is_none());
            let help = home
                .unwrap_or_else(|| suggest(&name.text, "valid keys", self.asked.iter().copied()));
            self.found.error(
                name.span.clone(),
                format!("unknown key {}", quote(&name.text)),
                Some(help),
            );
        }
    }
}

/// A key's schema with its documentation, open to a parameter in place of a single value.
fn property(schema: Json, doc: &str, default: Option<Json>) -> Json {
    let mut property = parameter_schema(schema);
    property["description"] = json!(doc);
    if let Some(default) = default {
        property["default"] = default;
    }
    property
}

/// A default as a user would write it. Serde knows a `Duration` as seconds and nanoseconds.
fn default_text<T: serde::Serialize>(default: &T) -> Json {
    let json = serde_json::to_value(default).unwrap_or(Json::Null);
    match (json["secs"].as_u64(), json["nanos"].as_u64()) {
        (Some(secs), Some(nanos)) => {
            json!(crate::units::format_duration(std::time::Duration::new(secs, nanos as u32)))
        }
        _ => json,
    }
}

#[cfg(test)]
mod tests;
