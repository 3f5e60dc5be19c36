//! From TOML text to a [`Node`] tree, as far as the text allows.

use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue},
};

use super::{Diagnostics, Name, Node, Span, Value};

/// No scenario has more bytes; a file that has was not meant to be one.
pub const MOST_BYTES: usize = 1 << 20;

/// Parts of a dotted key. The TOML parser limits brackets by itself, but not dots, and dropping a
/// table recurses.
const MOST_PARTS: usize = 16;

/// Syntax errors in a file that is meant to be a scenario; beyond that, nothing in it is to be
/// believed.
const MOST_ERRORS: usize = 200;

/// Levels of tables and arrays in one another.
const MOST_LEVELS: usize = 60;

/// Parses a document as far as possible; syntax errors go to `diagnostics`, which then
/// [recover](Diagnostics::recover).
pub fn parse(text: &str, diagnostics: &mut Diagnostics) -> Node {
    let nothing = Node { span: 0..0, value: Value::Table(Vec::new()) };
    if text.len() > MOST_BYTES {
        let help = "a scenario file is at most 1 MiB long; is this the right file?".to_owned();
        diagnostics.error(0..0, "the file is too long", Some(help));
        diagnostics.recover();
        return nothing;
    }
    if let Some(span) = endless_key(text) {
        diagnostics.error(span, format!("a key has more than {MOST_PARTS} parts"), None);
        diagnostics.recover();
        return nothing;
    }
    let (table, mut errors) = DeTable::parse_recoverable(text);
    let hopeless = errors.len() > MOST_ERRORS;
    errors.truncate(MOST_ERRORS);
    let broken: Vec<Span> = errors.iter().map(|error| error.span().unwrap_or(0..0)).collect();
    for (error, span) in errors.iter().zip(&broken) {
        diagnostics.error(span.clone(), error.message(), remedy(text, error.message(), span));
        diagnostics.recover();
    }
    if hopeless {
        return nothing;
    }
    Converter { broken, diagnostics }.table(table.get_ref(), 0..0, 0)
}

impl Value {
    /// Reads a value as the command line gives it: a TOML number, boolean or quoted string, else
    /// plain text.
    pub fn from_argument(text: &str) -> Self {
        let mut diagnostics = Diagnostics::default();
        let node = parse(&format!("value = {text}"), &mut diagnostics);
        let entries = if let Self::Table(entries) = node.value { entries } else { Vec::new() };
        match entries.as_slice() {
            [(_, Node { value, .. })] if diagnostics.is_empty() && value.is_scalar() => {
                value.clone()
            }
            _ => Self::Text(text.to_owned()),
        }
    }
}

/// The remedy for the syntax errors that people make with units.
fn remedy(text: &str, message: &str, span: &Span) -> Option<String> {
    if message.starts_with("duplicate key") {
        return Some("remove one of the two, or rename it".to_owned());
    }
    let line = text.get(span.start..)?.lines().next()?;
    let word = line.split([',', '}', ']', ' ', '#']).next()?;
    let bare = word.starts_with(|c: char| c.is_ascii_digit())
        && word.ends_with(|c: char| c.is_ascii_alphabetic());
    bare.then(|| format!("values with units are written in quotes: \"{word}\""))
}

/// Where a dotted key gets too long. Strings and comments are skipped the way TOML delimits them.
fn endless_key(text: &str) -> Option<Span> {
    let bytes = text.as_bytes();
    let (mut at, mut parts) = (0, 1);
    while at < bytes.len() {
        match bytes[at] {
            b'#' => at = find(bytes, at, b"\n"),
            quote @ (b'"' | b'\'') => {
                at = after_string(bytes, at, quote);
                continue;
            }
            b'.' => parts += 1,
            b'\n' | b'=' | b',' | b'{' | b'[' | b']' => parts = 1,
            _ => {}
        }
        if parts > MOST_PARTS {
            return Some(at..at + 1);
        }
        at += 1;
    }
    None
}

/// The index after the string that starts at `at`; a string of one line ends with its line at the
/// latest.
fn after_string(bytes: &[u8], at: usize, quote: u8) -> usize {
    let triple = [quote; 3];
    let long = bytes[at..].starts_with(&triple);
    let mut next = at + if long { 3 } else { 1 };
    while next < bytes.len() {
        match bytes[next] {
            b'\\' if quote == b'"' => next += 1,
            b'\n' if !long => return next,
            byte if byte == quote && !long => return next + 1,
            _ if long && bytes[next..].starts_with(&triple) => return next + 3,
            _ => {}
        }
        next += 1;
    }
    bytes.len()
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> usize {
    bytes[from..]
        .windows(what.len())
        .position(|window| window == what)
        .map_or(bytes.len(), |at| from + at)
}

/// Turns the parser's borrowed tree into ours.
struct Converter<'a> {
    broken: Vec<Span>,
    diagnostics: &'a mut Diagnostics,
}

impl Converter<'_> {
    fn table(&mut self, table: &DeTable<'_>, span: Span, level: usize) -> Node {
        let mut entries: Vec<(Name, Node)> = table
            .iter()
            .map(|(key, value)| {
                let name = Name { text: key.get_ref().to_string(), span: key.span() };
                (name, self.value(value, level + 1))
            })
            .collect();
        // The parser's map is sorted by name; people read in file order.
        entries.sort_by_key(|(name, _)| name.span.start);
        Node { span, value: Value::Table(entries) }
    }

    fn value(&mut self, spanned: &Spanned<DeValue<'_>>, level: usize) -> Node {
        let span = spanned.span();
        if level > MOST_LEVELS {
            return self.invalid(span, "tables and arrays are nested too deeply", None);
        }
        let value = match spanned.get_ref() {
            DeValue::Table(table) => return self.table(table, span, level),
            DeValue::Array(array) => {
                Value::Array(array.iter().map(|item| self.value(item, level + 1)).collect())
            }
            _ if self.is_broken(&span) => Value::Invalid,
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Integer(integer) => return self.integer(integer, span),
            DeValue::Float(float) => match float.as_str().replace('_', "").parse::<f64>() {
                Ok(value) if value.is_finite() => Value::Float(value),
                _ => return self.invalid(span, "expected a finite number", None),
            },
            DeValue::Datetime(_) => {
                return self.invalid(
                    span,
                    "a scenario has no use for dates",
                    Some("put text in quotes"),
                );
            }
        };
        Node { span, value }
    }

    fn integer(&mut self, integer: &DeInteger<'_>, span: Span) -> Node {
        match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(value) => Node { span, value: Value::Integer(value) },
            Err(_) => self.invalid(
                span,
                "the number does not fit into 64 bits",
                Some("the largest is 9223372036854775807"),
            ),
        }
    }

    /// Whether the parser complained about this value, so that what it made of it is a guess.
    fn is_broken(&self, span: &Span) -> bool {
        self.broken.iter().any(|error| error.start <= span.end && span.start <= error.end)
    }

    fn invalid(&mut self, span: Span, message: &str, help: Option<&str>) -> Node {
        self.diagnostics.error(span.clone(), message, help.map(str::to_owned));
        Node { span, value: Value::Invalid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<(usize, usize, String)> {
        let mut diagnostics = Diagnostics::default();
        parse(text, &mut diagnostics);
        let place = |d: super::super::Diagnostic| {
            let (line, column) = d.position(text);
            (line, column, d.message)
        };
        diagnostics.into_sorted().into_iter().map(place).collect()
    }

    #[test]
    fn keys_keep_their_order_and_place() {
        let mut diagnostics = Diagnostics::default();
        let node =
            parse("z = 1\na = { y = 'x', b = [1.5, true] }\n[t.u]\nk = 0x10\n", &mut diagnostics);
        assert!(diagnostics.is_empty());
        let Value::Table(entries) = &node.value else { panic!("{node:?}") };
        let names: Vec<_> =
            entries.iter().map(|(name, _)| (name.text.as_str(), name.span.start)).collect();
        assert_eq!(names, [("z", 0), ("a", 6), ("t", 40)]);
        assert_eq!(entries[0].1, Node { span: 4..5, value: Value::Integer(1) });
    }

    #[test]
    fn several_syntax_errors_are_found() {
        let found = errors("a = 5s\nb = 1\nb = 2\nc = \"open\nd = 99999999999999999999\n");
        let lines: Vec<_> = found.iter().map(|(line, ..)| *line).collect();
        assert!(
            lines.contains(&1) && lines.contains(&3) && lines.contains(&4) && lines.contains(&5),
            "{found:?}"
        );
    }

    #[test]
    fn depth_is_an_error_and_not_a_crash() {
        for text in [
            format!("a = {}", "[".repeat(500_000)),
            format!("a = {}", "{a=".repeat(300_000)),
            format!("a{} = 1", ".a".repeat(500_000)),
            format!("[a{}]", ".a".repeat(500_000)),
            format!("\"ä\"{} = 1", ".'ä'".repeat(200_000)),
            format!("a = {}{}", "[".repeat(70), "]".repeat(70)),
            format!("a = {}1{}", "{a.a.a.a.a.a.a.a.a.a.a=".repeat(70), "}".repeat(70)),
            "]".repeat(1_000_000),
            "[".repeat(1_000_000),
            "[".repeat(10_000_000),
        ] {
            assert!(!errors(&text).is_empty(), "{}", &text[..40]);
        }
    }

    #[test]
    fn a_file_of_errors_is_given_up_soon() {
        assert_eq!(errors(&"a\nb = 1\n".repeat(50_000)).len(), MOST_ERRORS);
        assert_eq!(
            errors(&"a".repeat(MOST_BYTES + 1)),
            [(1, 1, "the file is too long".to_owned())]
        );
    }

    #[test]
    fn dots_outside_keys_are_no_depth() {
        let dots = ".a".repeat(100);
        for text in [
            format!("k = \"{dots}\""),
            format!("# {dots}"),
            format!("k = '{dots}' # \"{dots}"),
            format!("k = '''\n'{dots}'''"),
            format!("k = \"\\\"{dots}\""),
        ] {
            assert_eq!(errors(&text), [], "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "([\\[\\]{}='\"#\n.a0 ]|\\PC){0,60}") {
            errors(&text);
        }
    }
}
