//! Tests of reading and describing tables.

use std::time::Duration;

use super::*;
use crate::units::Distribution;

#[derive(Debug, PartialEq)]
struct Inner {
    time: Distribution,
}

impl Section for Inner {
    const DOC: &'static str = "An inner table.";
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let time = fields.required("time", "How long.");
        Some(Self { time: time? })
    }
}

#[derive(Debug, PartialEq)]
struct Outer {
    count: u32,
    think: Duration,
    inner: Option<Inner>,
}

impl Section for Outer {
    const DOC: &'static str = "An outer table.";
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let count = fields.required("count", "How many.");
        let think = fields.or("think", Duration::from_millis(20), "Pause.");
        let inner = fields.optional("inner", "More.");
        if count == Some(13) {
            fields.reject("count", "13 is unlucky", None);
        }
        Some(Self { count: count?, think, inner })
    }
}

fn read(text: &str) -> (Option<Outer>, Vec<(Span, String, String)>) {
    let mut diagnostics = Diagnostics::default();
    let node = super::super::parse(text, &mut diagnostics);
    let outer = <Outer as Field>::read(&node, &mut diagnostics);
    let found = diagnostics.into_sorted().into_iter();
    (outer, found.map(|d| (d.span, d.message, d.help.unwrap_or_default())).collect())
}

#[test]
fn reads_what_is_there_and_defaults_the_rest() {
    let (outer, errors) = read("count = 3\ninner = { time = 'exp(1ms)' }");
    assert_eq!(errors, []);
    let inner = Inner { time: Distribution::Exp(Duration::from_millis(1)) };
    assert_eq!(
        outer,
        Some(Outer { count: 3, think: Duration::from_millis(20), inner: Some(inner) })
    );
}

#[test]
fn all_errors_are_reported_at_once() {
    let (outer, errors) = read("cuont = 3\nthink = 5\ninner = { tim = 1 }");
    assert_eq!(outer, None);
    let messages: Vec<_> = errors.iter().map(|(_, message, _)| message.as_str()).collect();
    let expected = [
        "unknown key `cuont`",
        "expected a duration such as `20ms`, found an integer",
        "unknown key `tim`",
    ];
    assert_eq!(messages, expected);
    assert_eq!(errors[0].2, "did you mean `count`? valid keys: count, think, inner");
    assert_eq!(errors[2].0, 30..33);
    let (_, errors) = read("inner = {}");
    assert_eq!(errors[0].1, "missing key `count`");
    assert_eq!(errors[1], (8..10, "missing key `time`".to_owned(), "`time`: How long.".to_owned()));
}

#[test]
fn rules_between_keys_point_at_the_key() {
    let (_, errors) = read("think = '1s'\ncount = 13");
    assert_eq!(errors, [(21..23, "13 is unlucky".to_owned(), String::new())]);
}

#[test]
fn broken_syntax_makes_nothing_missing() {
    let (_, errors) = read("count = 3x\nthink = 5");
    let messages: Vec<_> = errors.iter().map(|(_, message, _)| message.as_str()).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert_eq!(messages[1], "expected a duration such as `20ms`, found an integer");
}

#[test]
fn the_same_function_describes_the_table() {
    let schema = Outer::schema();
    assert_eq!(schema["required"], json!(["count"]));
    assert_eq!(schema["additionalProperties"], json!(false));
    assert_eq!(schema["properties"]["think"]["default"], json!("20ms"));
    assert_eq!(
        schema["properties"]["inner"]["properties"]["time"]["description"],
        json!("How long.")
    );
    assert_eq!(schema["properties"]["count"]["anyOf"][0]["minimum"], json!(0));
}
