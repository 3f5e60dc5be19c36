//! What a scenario may say, and what is known of a step before it runs. What it does is in
//! `tests/it/mongo.rs`.

use super::*;
use crate::step::{
    StepSpec,
    testing::{errors_of, read_step},
};

fn document(text: &str) -> Document {
    match read_step(text).unwrap_or_else(|found| panic!("{text}: {found:?}")) {
        StepSpec::Document(step) => step,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_command_is_read_and_stored() {
    for (text, expected) in [
        (
            "{ document = { target = 'd', find = { filter = {}, batch = 5, limit = 9, take = 7 } } }",
            None,
        ),
        (
            "{ document = { target = 'd', find = { filter = { a = '${i}' } } }, expect = { documents = 3 } }",
            Some(3),
        ),
        (
            "{ document = { target = 'd', insert = { documents = [{ a = 1 }, { a = '${i}' }], copies = 4 } } }",
            Some(8),
        ),
        (
            "{ document = { target = 'd', update = { filter = { a = 1 }, change = { '$inc' = { a = 1 } } } } }",
            None,
        ),
    ] {
        let step = document(text);
        assert_eq!((step.expected(), step.cancellable(&|_| None)), (expected, true), "{text}");
        assert_eq!(step.operation.writes(), step.operation.key() != "find");
        let stored = serde_json::to_string(&step).unwrap();
        let again: Document = serde_json::from_str(&stored).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), stored);
    }
}

#[test]
fn a_connection_of_its_own_costs_a_greeting() {
    let kept = document("{ document = { target = 'd', find = { filter = {} } } }");
    let opened = document(
        "{ document = { target = 'd', find = { filter = {} }, connection = 'per-call' } }",
    );
    assert!(!kept.connects_per_call() && opened.connects_per_call());
    assert!(opened.cost(&|_| None).mean > kept.cost(&|_| None).mean);
}

#[test]
fn what_cannot_be_is_told_with_a_remedy() {
    for (step, said) in [
        ("target = 'd'", "exactly one of `find`, `insert` and `update`, found none; write find"),
        ("target = 'd', find = { filter = {} }, insert = { documents = [{}] }", "found several"),
        ("target = 'd', find = { filter = {}, batch = 0 }", "expected at least 1"),
        ("target = 'd', find = { filter = {}, take = 0 }", "expected at least 1"),
        ("target = 'd', find = { filter = { a = '${k}' } }", "unknown name in `${k}`"),
        ("target = 'd', insert = { documents = [] }", "at least one document"),
        (
            "target = 'd', insert = { documents = [{}], copies = 1000001 }",
            "at most 1000000 documents",
        ),
        ("target = 'd', insert = { documents = [7] }", "a document such as"),
        ("target = 'd', update = { filter = {} }", "change"),
        ("find = { filter = {} }", "target"),
    ] {
        let found = errors_of(&format!("{{ document = {{ {step} }} }}"));
        assert!(found.iter().any(|message| message.contains(said)), "{step}: {found:?}");
    }
}
