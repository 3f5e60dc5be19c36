//! Text that differs from call to call: `item-${i}`, `/user/${zipf(1000,1.1)}`, in paths, bodies
//! and SQL parameters.
//!
//! Every value is a pure function of the seed, the call's key and the place in the template, so
//! that all executors do the same work in whatever order they do it.

use std::{borrow::Cow, fmt::Write, sync::Arc};

use rand_distr::{Distribution, Zipf};
use rand_xoshiro::{SplitMix64, rand_core::SeedableRng};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{
    BuildError, Call,
    rows::{RowColumn, RowTables, row_name},
    value::{TakenValue, value_name},
};
use crate::{
    config::{Diagnostics, Field, NAME_HELP, Node, quote},
    draw,
    secret::{self, Lack, Secret},
};

/// What can stand in a template; the remedy of every error.
const KNOWN: &str = "known are `${i}` (the task's index), `${j}` (the child's index in `parallel` or `repeat`), \
    `${uniform(1,100)}` (whole numbers, both bounds included) and `${zipf(1000,1.1)}` (ranks from 1, the first the most \
    frequent), as in `/item/${uniform(1,100)}`; a parameter replaces a whole value only, as in `\"${name}\"`";

/// Where `${env:NAME}` can stand in a template; the remedy where it cannot.
const ENV_PLACES: &str =
    "`${env:NAME}` is filled in in urls, and in the path, the headers and the body of `http`";

/// The same of `${value:NAME}`.
const VALUE_PLACES: &str = "`${value:NAME}` is filled in in the path, the headers, `body` and `body_file` of `http`, and in `args` of `sql`";

/// The same of `${row:TABLE.COLUMN}`.
const ROW_PLACES: &str = "`${row:TABLE.COLUMN}` is filled in in the path, the headers, `body` and `body_file` of `http`, and in `args` of `sql`";

/// Most ranks of a Zipf distribution: up to here every whole number is exact as a float.
const MOST_RANKS: u64 = 1 << 53;

/// Text with keys such as `${i}` that are filled in for every call.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    parts: Vec<TemplatePart>,
}

#[derive(Debug, Clone)]
enum TemplatePart {
    Text(String),
    Key(Key),
    /// `${env:NAME}`, which a plan has.
    Variable(String),
    /// What the environment says, in the process that sends it.
    Secret(Secret),
    /// `${value:NAME}`, which a plan has.
    Value(String),
    /// What a step before has taken, by its name, in the task that runs.
    Taken(String, Arc<TakenValue>),
    /// `${row:TABLE.COLUMN}`, which a plan has.
    Row(String),
    /// That column.
    Column(String, RowColumn),
}

#[derive(Debug, Clone)]
enum Key {
    /// `${i}`
    Task,
    /// `${j}`
    Child,
    /// `${uniform(low,high)}`
    Uniform { low: i64, high: i64 },
    /// `${zipf(n,s)}`
    Zipf(Zipf<f64>),
}

impl Template {
    /// Reads a template; the error names what can stand in it, with an example.
    pub fn parse(text: &str) -> Result<Self, String> {
        parts(text)
            .map(|parts| Self { text: text.to_owned(), parts })
            .map_err(|error| format!("{error}; {KNOWN}"))
    }

    /// The template as it is written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text, if it is the same for every call and no variable has to be read for it.
    pub fn constant(&self) -> Option<Cow<'_, str>> {
        match self.parts.as_slice() {
            [] => Some(Cow::Borrowed("")),
            [TemplatePart::Text(text)] => Some(Cow::Borrowed(text)),
            parts => parts
                .iter()
                .all(|part| matches!(part, TemplatePart::Text(_) | TemplatePart::Secret(_)))
                .then(|| self.sample().into()),
        }
    }

    /// Whether the text is the same for every call, whatever the environment says.
    pub fn is_constant(&self) -> bool {
        !self.uses_values()
            && self.rows().next().is_none()
            && !self.parts.iter().any(|part| matches!(part, TemplatePart::Key(_)))
    }

    /// The values that it names, which steps before take.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            TemplatePart::Value(name) | TemplatePart::Taken(name, _) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether it names any.
    pub fn uses_values(&self) -> bool {
        self.values().next().is_some()
    }

    /// Whether texts are filled in that are anybody's: values and rows.
    pub fn fills_in_text(&self) -> bool {
        self.uses_values() || self.rows().next().is_some()
    }

    /// Looks at these values from now on.
    pub fn bind(&mut self, value: &dyn Fn(&str) -> Arc<TakenValue>) {
        for part in &mut self.parts {
            if let TemplatePart::Value(name) = part {
                let value = value(name);
                *part = TemplatePart::Taken(std::mem::take(name), value);
            }
        }
    }

    /// The columns of rows that it names, each as `TABLE.COLUMN`.
    pub fn rows(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            TemplatePart::Row(name) | TemplatePart::Column(name, _) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Looks at these rows from now on.
    pub fn bind_rows(&mut self, tables: &RowTables) -> Result<(), BuildError> {
        for part in &mut self.parts {
            if let TemplatePart::Row(name) = part {
                let column = tables.column(name)?;
                *part = TemplatePart::Column(std::mem::take(name), column);
            }
        }
        Ok(())
    }

    /// A value that it needs and nobody has taken.
    pub fn lacks(&self) -> Option<&str> {
        self.parts.iter().find_map(|part| match part {
            TemplatePart::Value(name) => Some(name.as_str()),
            TemplatePart::Taken(name, value) if !value.is_there() => Some(name.as_str()),
            _ => None,
        })
    }

    /// The variables of the environment that it names.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| {
            if let TemplatePart::Variable(name) = part { Some(name.as_str()) } else { None }
        })
    }

    /// A variable, a value or a row that it names, with its kind and the places where that is
    /// filled in.
    fn filled_elsewhere(&self) -> Option<(&'static str, &str, &'static str)> {
        let variable = self.variables().map(|name| ("env", name, ENV_PLACES));
        let value = self.values().map(|name| ("value", name, VALUE_PLACES));
        variable.chain(value).chain(self.rows().map(|name| ("row", name, ROW_PLACES))).next()
    }

    /// The same template with what the environment says in place of variables. Its text stays as it
    /// is written.
    pub fn resolved(&self) -> Result<Self, Lack> {
        let parts = self.parts.iter().map(|part| match part {
            TemplatePart::Variable(name) => secret::read(name).map(TemplatePart::Secret),
            other => Ok(other.clone()),
        });
        Ok(Self { text: self.text.clone(), parts: parts.collect::<Result<_, _>>()? })
    }

    /// The text with a digit in place of each key, of each value and of each variable that was not
    /// read: what the text itself contributes to every call.
    pub fn sample(&self) -> String {
        let parts = self.parts.iter().map(|part| match part {
            TemplatePart::Text(text) => text.as_str(),
            TemplatePart::Secret(secret) => secret.reveal(),
            TemplatePart::Key(_)
            | TemplatePart::Variable(_)
            | TemplatePart::Value(_)
            | TemplatePart::Taken(..)
            | TemplatePart::Row(_)
            | TemplatePart::Column(..) => "0",
        });
        parts.collect()
    }

    /// Appends the text for one call to `out`, which the caller clears and uses again.
    ///
    /// Two templates with the same `seed` draw the same values at the same places: mix the
    /// template's own place into the step's seed where a step has several.
    pub fn render(&self, call: &Call, seed: u64, out: &mut String) {
        for (place, part) in self.parts.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = match part {
                TemplatePart::Text(text) => out.write_str(text),
                TemplatePart::Secret(secret) => out.write_str(secret.reveal()),
                // What is sent is resolved and bound beforehand.
                TemplatePart::Variable(_) | TemplatePart::Value(_) | TemplatePart::Row(_) => Ok(()),
                TemplatePart::Column(_, column) => out.write_str(column.text(call)),
                TemplatePart::Taken(_, value) => {
                    value.append_to(out);
                    Ok(())
                }
                TemplatePart::Key(Key::Task) => write!(out, "{}", call.task),
                TemplatePart::Key(Key::Child) => write!(out, "{}", call.child),
                TemplatePart::Key(key) => write!(out, "{}", key.value(call, seed, place)),
            };
        }
    }

    /// The number for one call, if the template is a single key, a single column of whole numbers,
    /// or a single value that is one; the same that [`Self::render`]
    /// would print.
    pub fn value(&self, call: &Call, seed: u64) -> Option<i64> {
        match self.parts.as_slice() {
            [TemplatePart::Key(key)] => Some(key.value(call, seed, 0)),
            [TemplatePart::Column(_, column)] => column.number(call),
            [TemplatePart::Taken(_, value)] => value.number(),
            _ => None,
        }
    }
}

impl Key {
    fn value(&self, call: &Call, seed: u64, place: usize) -> i64 {
        let drawn = || draw::mix(draw::mix(seed, call.key), place as u64);
        match self {
            Self::Task => call.task.cast_signed(),
            Self::Child => call.child.cast_signed(),
            Self::Uniform { low, high } => uniform(*low, *high, drawn()),
            Self::Zipf(zipf) => zipf.sample(&mut SplitMix64::seed_from_u64(drawn())) as i64,
        }
    }
}

/// A whole number from `low` to `high`, both included: the draw scaled to the number of values
/// (Lemire 2019, without the rejection, whose bias of at most values / 2⁶⁴ nobody can see).
fn uniform(low: i64, high: i64, draw: u64) -> i64 {
    // At most 2⁶⁴ values times a draw below 2⁶⁴: the product always fits.
    let values = (i128::from(high) - i128::from(low) + 1) as u128;
    let offset = ((u128::from(draw) * values) >> 64) as u64;
    low.wrapping_add(offset.cast_signed())
}

/// Splits a template at its keys.
fn parts(text: &str) -> Result<Vec<TemplatePart>, String> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        let (key, after) = after
            .split_once('}')
            .ok_or_else(|| format!("{} lacks its `}}`", quote(&rest[before.len()..])))?;
        if !before.is_empty() {
            parts.push(TemplatePart::Text(before.to_owned()));
        }
        let key = key.trim();
        parts.push(match (secret::variable(key), value_name(key)) {
            (Some(name), _) => TemplatePart::Variable(name.to_owned()),
            (_, Some(name)) => TemplatePart::Value(name.to_owned()),
            _ => match row_name(key) {
                Some(name) => TemplatePart::Row(name.to_owned()),
                None => TemplatePart::Key(parse_key(key)?),
            },
        });
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(TemplatePart::Text(rest.to_owned()));
    }
    Ok(parts)
}

fn parse_key(key: &str) -> Result<Key, String> {
    let shown = || quote(&format!("${{{key}}}"));
    let (name, inside) = match key.split_once('(') {
        Some((name, rest)) => {
            let inside =
                rest.strip_suffix(')').ok_or_else(|| format!("{} lacks its `)`", shown()))?;
            (name.trim(), Some(inside))
        }
        None => (key, None),
    };
    let arguments: Vec<&str> =
        inside.map(|inside| inside.split(',').map(str::trim).collect()).unwrap_or_default();
    match (name, arguments.as_slice()) {
        ("i", []) if inside.is_none() => Ok(Key::Task),
        ("j", []) if inside.is_none() => Ok(Key::Child),
        ("uniform", [low, high]) => {
            parse_uniform(low, high).map_err(|why| format!("{}: {why}", shown()))
        }
        ("zipf", [ranks, exponent]) => {
            parse_zipf(ranks, exponent).map_err(|why| format!("{}: {why}", shown()))
        }
        ("i" | "j", _) => Err(format!("{}: `{name}` takes no arguments", shown())),
        ("uniform" | "zipf", _) => Err(format!("{}: `{name}` takes two arguments", shown())),
        _ if key.starts_with("env:") => {
            Err(format!("{}: the name of a variable is letters, digits and `_`", shown()))
        }
        _ if key.starts_with("value:") => {
            Err(format!("{} has no name of a value: {NAME_HELP}", shown()))
        }
        _ if key.starts_with("row:") => {
            Err(format!("{} lacks a table and a column, as in `${{row:users.id}}`", shown()))
        }
        _ => Err(format!("unknown name in {}", shown())),
    }
}

fn parse_uniform(low: &str, high: &str) -> Result<Key, String> {
    let bound =
        |text: &str| text.parse::<i64>().map_err(|_| format!("{} is no whole number", quote(text)));
    let (low, high) = (bound(low)?, bound(high)?);
    if low > high {
        return Err("the second bound must not be below the first one".to_owned());
    }
    Ok(Key::Uniform { low, high })
}

fn parse_zipf(ranks: &str, exponent: &str) -> Result<Key, String> {
    let n = ranks.parse::<u64>().ok().filter(|n| (1..=MOST_RANKS).contains(n));
    let n = n.ok_or_else(|| {
        format!("the number of ranks is a whole number from 1 to 2^53, not {}", quote(ranks))
    })?;
    let s = exponent.parse::<f64>().ok().filter(|s| (0.0..=100.0).contains(s));
    let s = s.ok_or_else(|| {
        format!("the exponent is a number from 0 to 100, not {}", quote(exponent))
    })?;
    Zipf::new(n as f64, s).map(Key::Zipf).map_err(|why| why.to_string())
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl TryFrom<String> for Template {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text
    }
}

/// Reads a template in which variables of the environment and values may stand, too.
fn read_any(node: &Node, diagnostics: &mut Diagnostics) -> Option<Template> {
    let text = <String as Field>::read(node, diagnostics)?;
    match parts(&text) {
        Ok(parts) => Some(Template { text, parts }),
        Err(error) => {
            diagnostics.error(node.span.clone(), error, Some(KNOWN.to_owned()));
            None
        }
    }
}

/// Reports a key that is filled in in other places.
fn report_elsewhere(
    node: &Node,
    what: &str,
    name: &str,
    places: &str,
    diagnostics: &mut Diagnostics,
) {
    let shown = quote(&format!("${{{what}:{name}}}"));
    let message = format!("{shown} is not filled in here");
    diagnostics.error(node.span.clone(), message, Some(places.to_owned()));
}

/// A template that may name rows, and values that steps before take, and no variables. Whoever
/// uses it binds [rows](Template::bind_rows) and [values](Template::bind) first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ArgTemplate(pub Template);

impl Field for ArgTemplate {
    fn schema() -> Json {
        <String as Field>::schema()
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let template = read_any(node, diagnostics)?;
        if let Some(name) = template.variables().next() {
            report_elsewhere(node, "env", name, ENV_PLACES, diagnostics);
            return None;
        }
        Some(Self(template))
    }
}

impl Field for Template {
    fn schema() -> Json {
        <String as Field>::schema()
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let template = read_any(node, diagnostics)?;
        if let Some((what, name, places)) = template.filled_elsewhere() {
            report_elsewhere(node, what, name, places, diagnostics);
            return None;
        }
        Some(template)
    }
}

/// A template that may name variables of the environment, and values that steps before take.
/// Whoever uses it [resolves](Template::resolved) it and [binds](Template::bind) it first, in the
/// process that sends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EnvTemplate(pub Template);

impl Field for EnvTemplate {
    fn schema() -> Json {
        <String as Field>::schema()
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_any(node, diagnostics).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn template(text: &str) -> Template {
        Template::parse(text).unwrap()
    }

    fn rendered(text: &str, call: Call, seed: u64) -> String {
        let mut out = String::new();
        template(text).render(&call, seed, &mut out);
        out
    }

    fn calls() -> impl Iterator<Item = Call> {
        (0..2_000).map(|task| Call {
            task,
            child: task % 7,
            key: draw::mix(3, task),
            ..Call::default()
        })
    }

    #[test]
    fn indices_are_filled_in_and_other_text_stays() {
        let call = Call { task: 12, child: 3, ..Call::default() };
        assert_eq!(rendered("/a/${i}/${j}?x=$1&{}", call, 1), "/a/12/3?x=$1&{}");
        assert_eq!(rendered("${ i }${i}", call, 1), "1212");
        assert_eq!(rendered("", call, 1), "");
    }

    #[test]
    fn rendering_appends() {
        let mut out = "before ".to_owned();
        template("${i}").render(&Call { task: 5, ..Call::default() }, 0, &mut out);
        assert_eq!(out, "before 5");
    }

    #[test]
    fn draws_depend_on_seed_call_and_place_alone() {
        let call = Call { task: 1, key: 77, ..Call::default() };
        let text = "${uniform(0,1000000)} ${uniform(0,1000000)}";
        assert_eq!(
            rendered(text, call, 5),
            rendered(text, Call { task: 2, issued_ns: 9, ..call }, 5)
        );
        assert_ne!(rendered(text, call, 5), rendered(text, call, 6));
        assert_ne!(rendered(text, call, 5), rendered(text, Call { key: 78, ..call }, 5));
        let text = rendered(text, call, 5);
        let (first, second) = text.split_once(' ').unwrap();
        assert_ne!(first, second);
    }

    #[test]
    fn uniform_includes_both_bounds_and_nothing_else() {
        let dice = template("${uniform(-1,4)}");
        let mut seen: Vec<i64> = calls().map(|call| dice.value(&call, 9).unwrap()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [-1, 0, 1, 2, 3, 4]);
        assert_eq!(template("${uniform(5,5)}").value(&Call::default(), 1), Some(5));
    }

    #[test]
    fn uniform_covers_all_of_64_bits() {
        assert_eq!(uniform(i64::MIN, i64::MAX, 0), i64::MIN);
        assert_eq!(uniform(i64::MIN, i64::MAX, u64::MAX), i64::MAX);
        assert_eq!(uniform(i64::MIN + 1, i64::MAX, u64::MAX), i64::MAX);
        assert_eq!(uniform(0, 9, u64::MAX), 9);
    }

    #[test]
    fn zipf_prefers_the_first_ranks() {
        let zipf = template("${zipf(100,1.1)}");
        let mut counts = [0_u32; 101];
        for call in calls() {
            counts[zipf.value(&call, 4).unwrap() as usize] += 1;
        }
        assert_eq!(counts[0], 0);
        // With s = 1.1 the first of 100 ranks has a share of 1 / Σ k^-1.1 = 0.235, and the second
        // 0.110.
        assert!((400..=540).contains(&counts[1]) && (160..=280).contains(&counts[2]), "{counts:?}");
        assert!(counts[50..].iter().sum::<u32>() > 0);
    }

    #[test]
    fn the_value_is_what_is_printed() {
        for text in ["${i}", "${j}", "${uniform(1,9)}", "${zipf(9,0)}"] {
            for call in calls().take(50) {
                assert_eq!(
                    template(text).value(&call, 2).unwrap().to_string(),
                    rendered(text, call, 2)
                );
            }
        }
        assert_eq!(template("x${i}").value(&Call::default(), 2), None);
        assert_eq!(template("7").value(&Call::default(), 2), None);
        assert_eq!(
            (template("7").constant().as_deref(), template("${i}").constant()),
            (Some("7"), None)
        );
        assert_eq!(template("/a b/${i}?x=${uniform(1,9)}").sample(), "/a b/0?x=0");
    }

    #[test]
    fn errors_name_what_is_known() {
        for (text, wrong) in [
            ("a${k}", "unknown name in `${k}`"),
            ("${env:a b}", "the name of a variable is"),
            ("a${i", "`${i` lacks its `}`"),
            ("${}", "unknown name in `${}`"),
            ("${i()}", "`i` takes no arguments"),
            ("${uniform}", "`uniform` takes two arguments"),
            ("${uniform(1,2}", "lacks its `)`"),
            ("${uniform(1,x)}", "`x` is no whole number"),
            ("${uniform(2,1)}", "must not be below"),
            ("${zipf(0,1)}", "from 1 to 2^53"),
            ("${zipf(9,nan)}", "from 0 to 100"),
        ] {
            let error = Template::parse(text).unwrap_err();
            assert!(
                error.contains(wrong) && error.contains("`/item/${uniform(1,100)}`"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn the_error_stands_where_the_text_does() {
        let mut diagnostics = Diagnostics::default();
        let node = parse("path = 'a${k}'", &mut diagnostics);
        assert_eq!(<Template as Field>::read(node.get("path").unwrap(), &mut diagnostics), None);
        let found = diagnostics.into_sorted();
        assert_eq!(
            (found[0].span.clone(), found[0].message.as_str()),
            (7..14, "unknown name in `${k}`")
        );
        assert_eq!(found[0].help.as_deref(), Some(KNOWN));
    }

    #[test]
    fn variables_are_filled_in_once_and_their_values_are_no_templates() {
        let path = std::env::var("PATH").unwrap();
        let written = "/${i}/${env:PATH}";
        let resolved = template(written).resolved().unwrap();
        let mut out = String::new();
        resolved.render(&Call { task: 5, ..Call::default() }, 0, &mut out);
        assert_eq!((out.as_str(), resolved.text()), (format!("/5/{path}").as_str(), written));
        assert!(!format!("{resolved:?}").contains(&path));
        assert_eq!(serde_json::to_string(&resolved).unwrap(), format!("\"{written}\""));
        assert_eq!(
            template("a${env:PATH}").resolved().unwrap().constant().as_deref(),
            Some(format!("a{path}").as_str())
        );
        assert_eq!(
            (template("a${env:PATH}").constant(), template("a${env:PATH}").is_constant()),
            (None, true)
        );
        let value = Template {
            parts: vec![TemplatePart::Secret(Secret::new("${i}"))],
            ..template("${env:X}")
        };
        assert_eq!(value.constant().as_deref(), Some("${i}"));
        let lack = template("${env:REGATTA_NO_SUCH}").resolved().unwrap_err();
        assert_eq!(lack.variable.as_deref(), Some("REGATTA_NO_SUCH"));
    }

    #[test]
    fn variables_stand_only_where_they_are_filled_in() {
        let mut diagnostics = Diagnostics::default();
        let node = parse("path = 'a${env:TOKEN}'", &mut diagnostics);
        let node = node.get("path").unwrap();
        assert_eq!(
            EnvTemplate::read(node, &mut diagnostics).unwrap().0.variables().collect::<Vec<_>>(),
            ["TOKEN"]
        );
        assert_eq!(<Template as Field>::read(node, &mut diagnostics), None);
        let found = diagnostics.into_sorted();
        assert_eq!(found[0].message, "`${env:TOKEN}` is not filled in here");
    }

    #[test]
    fn it_is_stored_as_its_text() {
        let stored = serde_json::to_string(&template("a${i}")).unwrap();
        assert_eq!(stored, "\"a${i}\"");
        assert_eq!(serde_json::from_str::<Template>(&stored).unwrap(), template("a${i}"));
        assert!(serde_json::from_str::<Template>("\"${k}\"").is_err());
    }
}
