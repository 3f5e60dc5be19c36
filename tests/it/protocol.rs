//! PROTOCOL.md beside the program: its vectors, its session, and the schema of its messages.

use std::{collections::BTreeSet, path::Path, time::Duration};

use regatta::{
    draw,
    load::{
        Stage,
        open::{Arrival, Schedule},
    },
    measure::Histo,
    protocol::{self, RacerSaid, RefereeSaid},
    units::Distribution,
};
use serde_json::Value as Json;

fn document() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("PROTOCOL.md")).unwrap()
}

/// The value of a row of the table of vectors.
fn vector(what: &str) -> String {
    let text = document();
    let row = text.lines().find(|line| line.starts_with(&format!("| {what} |")));
    let row = row.unwrap_or_else(|| panic!("no vector of {what}"));
    row.split('|').nth(2).unwrap().trim().to_owned()
}

#[test]
fn the_vectors_are_those_of_our_draws() {
    let (seed, task, step) = (42, 3, 2);
    let key = draw::mix(seed, task);
    let drawn = draw::mix(draw::mix(seed, step), key);
    let child = draw::mix(key, 2);
    let ms = Duration::from_millis;
    let time = |time: Distribution| time.sample(drawn).as_nanos().to_string();
    for (what, value) in [
        ("mix(0, 0)", draw::mix(0, 0)),
        ("mix(1, 2)", draw::mix(1, 2)),
        ("mix(2⁶⁴ − 1, 2⁶⁴ − 1)", draw::mix(u64::MAX, u64::MAX)),
        ("key", key),
        ("draw", drawn),
        ("key of child 1", child),
        ("draw of child 1", draw::mix(draw::mix(seed, step), child)),
        ("think", draw::draw(seed, task, u64::MAX - 1)),
    ] {
        assert_eq!(vector(what), value.to_string(), "{what}");
    }
    for (what, value) in [
        ("uniform from 1000000 to 3000000", time(Distribution::Uniform(ms(1), ms(3)))),
        ("exp of 2000000", time(Distribution::Exp(ms(2)))),
        (
            "lognormal of 2000000 and 12000000",
            time(Distribution::LogNormal { median: ms(2), p99: ms(12) }),
        ),
    ] {
        assert_eq!(vector(what), value, "{what}");
    }
    let stage = Stage { from: 1_000.0, to: 1_000.0, length_ns: 1_000_000_000 };
    let arrivals = Schedule::new(vec![stage], Arrival::Poisson, seed).take(3);
    let arrivals: Vec<String> = arrivals.map(|ns| ns.to_string()).collect();
    assert_eq!(vector("Poisson arrivals at 1000 per second"), arrivals.join(", "));
}

#[test]
fn the_histogram_of_the_document_is_read() {
    let text = document();
    let shown = text.lines().find(|line| line.starts_with("Twice 1000 ns")).unwrap();
    let encoded = shown.split('`').nth(1).unwrap();
    let read: Histo = serde_json::from_value(encoded.into()).unwrap();
    let mut expected = Histo::new();
    expected.0.record_n(1_000, 2).unwrap();
    expected.0.record(5_000_000).unwrap();
    assert_eq!(read, expected);
}

/// What does not fit in the schema of a side's messages.
fn misfits(side: &str, message: &Json) -> Vec<String> {
    let mut schema: Json = serde_json::from_str(protocol::SCHEMA).unwrap();
    schema.as_object_mut().unwrap().remove("oneOf");
    schema["$ref"] = format!("#/$defs/{side}").into();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors = validator.iter_errors(message);
    errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The session, with whole histograms.
fn session() -> Vec<(String, String)> {
    let text = document();
    let block = text.split("```text\nracer ").nth(1).unwrap().split("```").next().unwrap();
    let whole = serde_json::to_value(Histo::new()).unwrap();
    let lines = format!("racer {block}").replace("HISTFAAAA…", whole.as_str().unwrap());
    let split = |line: &str| {
        let (side, message) = line.split_once(' ').unwrap();
        (side.to_owned(), message.trim().to_owned())
    };
    lines.lines().map(split).collect()
}

#[test]
fn the_session_of_the_document_is_understood_and_fits_the_schema() {
    let mut names = Vec::new();
    for (side, text) in session() {
        let message: Json = serde_json::from_str(&text).unwrap();
        let (kind, back) = if side == "racer" {
            let said: RacerSaid = protocol::parse(&text).unwrap();
            ("said", serde_json::to_value(&said).unwrap())
        } else {
            let told: RefereeSaid = protocol::parse(&text).unwrap();
            ("told", serde_json::to_value(&told).unwrap())
        };
        assert_eq!(misfits(kind, &message), [""; 0], "{text}");
        assert_eq!(misfits(kind, &back), [""; 0], "{back}");
        names.push(message.as_object().unwrap().keys().next().unwrap().clone());
    }
    let order = ["hello", "brief", "ready", "go", "opens", "read", "closes", "read", "account"];
    assert_eq!(names, order);
}

/// Keys that messages have and the schema does not describe.
fn undescribed(message: &Json, schema: &Json) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match message {
        Json::Object(entries) => {
            for (key, value) in entries {
                if !schema.to_string().contains(&format!("\"{key}\":")) {
                    found.insert(key.clone());
                }
                found.extend(undescribed(value, schema));
            }
        }
        Json::Array(items) => {
            for item in items {
                found.extend(undescribed(item, schema));
            }
        }
        _ => {}
    }
    found
}

#[test]
fn the_schema_describes_every_key_of_our_messages() {
    let schema: Json = serde_json::from_str(protocol::SCHEMA).unwrap();
    assert!(jsonschema::draft202012::meta::is_valid(&schema));
    for (_, text) in session() {
        let mut message: Json = serde_json::from_str(&text).unwrap();
        if let Some(account) = message.get_mut("account") {
            // Facts have labels of the racer's own choosing.
            account["facts"] = Json::Null;
        }
        assert_eq!(undescribed(&message, &schema), BTreeSet::new(), "{text}");
    }
    let strange = serde_json::json!({ "go": { "mood": 1 } });
    assert_eq!(undescribed(&strange, &schema), BTreeSet::from(["mood".to_owned()]));
    assert_ne!(misfits("said", &serde_json::json!({ "failed": { "kind": "target" } })), [""; 0]);
}
