//! Documents as a scenario writes them: TOML tables, with templates for what differs from call to
//! call.

use std::borrow::Cow;

use bson::{
    RawDocument, RawDocumentBuf,
    raw::{CStr, RawArrayBuf},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::{
    config::{Diagnostics, Field, Node, Value, mismatch},
    draw,
    step::{Call, Template},
};

/// A value in a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Pattern {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number, of 64 bits.
    Integer(i64),
    /// Another number.
    Real(f64),
    /// Text; a single key such as `${i}` is a whole number.
    Text(Template),
    /// Several values.
    List(Vec<Pattern>),
    /// A document in the document.
    Table(Shape),
}

/// A document whose values can differ from call to call.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Shape(Vec<(String, Pattern)>);

/// What is drawn for one call: each text has a place of its own, so that its draws are its own.
struct Draws<'a> {
    call: &'a Call,
    seed: u64,
    place: u64,
    text: String,
}

impl Pattern {
    fn is_constant(&self) -> bool {
        match self {
            Self::Text(template) => template.is_constant(),
            Self::List(list) => list.iter().all(Self::is_constant),
            Self::Table(shape) => shape.is_constant(),
            Self::Bool(_) | Self::Integer(_) | Self::Real(_) => true,
        }
    }

    /// Hands the value for one call to `put`, which appends it to a document or to a list.
    fn put(&self, draws: &mut Draws<'_>, put: &mut dyn FnMut(bson::raw::RawBsonRef<'_>)) {
        match self {
            Self::Bool(value) => put((*value).into()),
            Self::Integer(value) => put((*value).into()),
            Self::Real(value) => put((*value).into()),
            Self::Text(template) => draws.text(template, put),
            Self::List(list) => {
                let mut array = RawArrayBuf::new();
                for item in list {
                    item.put(draws, &mut |value| array.push(value));
                }
                put((&array).into());
            }
            Self::Table(shape) => put((&shape.filled(draws)).into()),
        }
    }
}

impl Draws<'_> {
    fn text(&mut self, template: &Template, put: &mut dyn FnMut(bson::raw::RawBsonRef<'_>)) {
        let seed = draw::mix(self.seed, self.place);
        self.place += 1;
        if let Some(number) = template.value(self.call, seed) {
            return put(number.into());
        }
        self.text.clear();
        template.render(self.call, seed, &mut self.text);
        put(self.text.as_str().into());
    }
}

impl Shape {
    /// Whether it is the same for every call.
    pub fn is_constant(&self) -> bool {
        self.0.iter().all(|(_, pattern)| pattern.is_constant())
    }

    /// The document for one call. Two shapes with the same `seed` draw the same values.
    pub fn fill(&self, call: &Call, seed: u64) -> RawDocumentBuf {
        self.filled(&mut Draws { call, seed, place: 0, text: String::new() })
    }

    fn filled(&self, draws: &mut Draws<'_>) -> RawDocumentBuf {
        let mut document = RawDocumentBuf::new();
        for (key, pattern) in &self.0 {
            // Keys with a zero byte were refused when the scenario was read.
            if let Ok(key) = <&CStr>::try_from(key.as_str()) {
                pattern.put(draws, &mut |value| document.append(key, value));
            }
        }
        document
    }
}

/// A shape that is filled once, if it is the same for every call.
pub(super) struct FilledPattern {
    shape: Shape,
    seed: u64,
    constant: Option<RawDocumentBuf>,
}

impl FilledPattern {
    /// With the seed of its draws.
    pub fn new(shape: &Shape, seed: u64) -> Self {
        let constant = shape.is_constant().then(|| shape.fill(&Call::default(), seed));
        Self { shape: shape.clone(), seed, constant }
    }

    /// The document for one call.
    pub fn of(&self, call: &Call) -> Cow<'_, RawDocument> {
        match &self.constant {
            Some(constant) => Cow::Borrowed(constant),
            None => Cow::Owned(self.shape.fill(call, self.seed)),
        }
    }
}

impl Field for Shape {
    fn schema() -> Json {
        json!({ "type": "object" })
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            mismatch(node, "a document such as { category = 7 }", diagnostics);
            return None;
        };
        let mut shape = Vec::with_capacity(entries.len());
        for (name, value) in entries {
            if name.text.contains('\0') {
                diagnostics.error(name.span.clone(), "a key cannot have a zero byte", None);
                return None;
            }
            shape.push((name.text.clone(), pattern(value, diagnostics)?));
        }
        Some(Self(shape))
    }
}

fn pattern(node: &Node, diagnostics: &mut Diagnostics) -> Option<Pattern> {
    match &node.value {
        Value::Bool(value) => Some(Pattern::Bool(*value)),
        Value::Integer(value) => Some(Pattern::Integer(*value)),
        Value::Float(value) if value.is_finite() => Some(Pattern::Real(*value)),
        Value::Text(_) => <Template as Field>::read(node, diagnostics).map(Pattern::Text),
        Value::Array(items) => items
            .iter()
            .map(|item| pattern(item, diagnostics))
            .collect::<Option<_>>()
            .map(Pattern::List),
        Value::Table(_) => Shape::read(node, diagnostics).map(Pattern::Table),
        Value::Float(_) | Value::Invalid => {
            mismatch(node, "a finite number", diagnostics);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;
    use crate::config::parse;

    fn shape(text: &str) -> Result<Shape, String> {
        let mut diagnostics = Diagnostics::default();
        let node = parse(&format!("shape = {text}"), &mut diagnostics);
        let read = Shape::read(node.get("shape").unwrap(), &mut diagnostics);
        read.ok_or_else(|| diagnostics.into_sorted().remove(0).message)
    }

    #[test]
    fn every_kind_of_value_becomes_its_own() {
        let shape = shape(
            "{ b = true, n = 7, x = 0.5, t = 'a ${i}', k = '${i}', '$in' = [1, 'y'], d.e = 1 }",
        )
        .unwrap();
        let call = Call { task: 3, ..Call::default() };
        let expected = rawdoc! {
            "b": true, "n": 7_i64, "x": 0.5, "t": "a 3", "k": 3_i64, "$in": [1_i64, "y"], "d": { "e": 1_i64 },
        };
        assert_eq!(shape.fill(&call, 1), expected);
        assert!(!shape.is_constant());
        let stored = serde_json::to_string(&shape).unwrap();
        assert_eq!(serde_json::from_str::<Shape>(&stored).unwrap(), shape);
    }

    #[test]
    fn draws_differ_by_place_and_call_and_by_nothing_else() {
        let shape = shape("{ a = '${uniform(1,1000000)}', b = { c = ['${uniform(1,1000000)}'] } }")
            .unwrap();
        let of = |key, seed| shape.fill(&Call { key, ..Call::default() }, seed);
        assert_eq!(of(1, 1), of(1, 1));
        assert!(of(1, 1) != of(2, 1) && of(1, 1) != of(1, 2));
        let once = of(1, 1);
        let inner = once.get_document("b").unwrap().get_array("c").unwrap().get_i64(0).unwrap();
        assert_ne!(once.get_i64("a").unwrap(), inner);
    }

    #[test]
    fn what_is_constant_is_filled_once() {
        let filled = FilledPattern::new(&shape("{ category = 7 }").unwrap(), 1);
        assert!(matches!(filled.of(&Call::default()), Cow::Borrowed(_)));
        let filled = FilledPattern::new(&shape("{ category = '${i}' }").unwrap(), 1);
        assert!(matches!(filled.of(&Call::default()), Cow::Owned(_)));
    }

    #[test]
    fn what_is_no_document_is_told() {
        assert!(shape("7").unwrap_err().contains("a document such as"));
        assert!(shape("{ a = inf }").unwrap_err().contains("a finite number"));
        assert!(shape("{ a = '${k}' }").unwrap_err().contains("unknown name in `${k}`"));
        assert!(shape("{ \"a\\u0000\" = 1 }").unwrap_err().contains("zero byte"));
    }
}
