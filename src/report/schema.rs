//! The JSON Schema of all outputs that are JSON. Whoever adds a key to one of them adds it to
//! `schema.json`: tests hold every output against it.

/// The schema of what `report`, `find-rate`, `compare`, `doctor` and `selftest` print with
/// `--format json` (JSON Schema, draft 2020-12); each of them is one of its `$defs`.
pub const OUTPUT_SCHEMA: &str = include_str!("schema.json");

/// What does not fit in a document of one kind, such as `report`.
#[cfg(test)]
pub fn misfits(kind: &str, text: &str) -> Vec<String> {
    let mut schema: serde_json::Value = serde_json::from_str(OUTPUT_SCHEMA).expect("is JSON");
    schema.as_object_mut().expect("is an object").remove("oneOf");
    schema["$ref"] = format!("#/$defs/{kind}").into();
    let document = serde_json::from_str(text).expect("is JSON");
    let validator = jsonschema::draft202012::new(&schema).expect("is a schema");
    let errors = validator.iter_errors(&document);
    errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        report::{fixture, json},
        store::Lane,
    };

    /// All schemas of objects within a schema, by their place.
    fn objects(schema: &Value, place: &str, found: &mut Vec<(String, Value)>) {
        match schema {
            Value::Object(entries) => {
                if schema["type"] == "object" {
                    found.push((place.to_owned(), schema.clone()));
                }
                entries.iter().for_each(|(key, value)| {
                    objects(value, &format!("{place}/{key}"), found);
                });
            }
            Value::Array(items) => items.iter().for_each(|item| objects(item, place, found)),
            _ => {}
        }
    }

    #[test]
    fn the_schema_is_one_and_allows_no_key_that_it_does_not_describe() {
        let schema: Value = serde_json::from_str(OUTPUT_SCHEMA).expect("is JSON");
        assert!(jsonschema::draft202012::meta::is_valid(&schema));
        let mut found = Vec::new();
        objects(&schema, "", &mut found);
        assert!(found.len() > 40, "{}", found.len());
        for (place, object) in found {
            let Some(properties) = object["properties"].as_object() else {
                assert!(object["additionalProperties"].is_object(), "{place}: any key");
                continue;
            };
            assert_eq!(object["additionalProperties"], false, "{place}");
            for (key, property) in properties {
                let said = property["description"].as_str().is_some_and(|words| !words.is_empty());
                assert!(said, "{place}/{key} has no description");
            }
            // What may be left out is a metric that does not apply.
            let may_lack = ["/$defs/metrics", "/latency_ns_by_round"];
            if !may_lack.iter().any(|end| place.ends_with(end)) {
                let keys: Vec<&String> = properties.keys().collect();
                let mut required: Vec<&str> = object["required"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                required.sort_unstable();
                assert_eq!(required, keys, "{place}: each of its keys is always there");
            }
        }
    }

    #[test]
    fn every_run_of_the_fixtures_fits() {
        let mut in_lanes = fixture::analysis();
        let [first, second] = in_lanes.scenarios.as_mut_slice() else { panic!("two scenarios") };
        first.groups.iter_mut().for_each(|group| group.lane = Some(Lane::SameCode));
        second.groups.iter_mut().for_each(|group| group.lane = Some(Lane::Idiomatic));
        let searched =
            crate::analysis::Analysis { search: Some(fixture::searched()), ..fixture::with_open() };
        for analysis in [fixture::analysis(), fixture::with_open(), in_lanes, searched] {
            let text = json(&fixture::header_of(&analysis), &analysis);
            let found = misfits("report", &text);
            assert!(found.is_empty(), "{:#?}", &found[..found.len().min(10)]);
        }
    }

    #[test]
    fn a_key_that_is_new_and_one_that_is_gone_do_not_fit() {
        let analysis = fixture::with_open();
        let text = json(&fixture::header_of(&analysis), &analysis);
        let whole: Value = serde_json::from_str(&text).expect("is JSON");
        let cell = "/scenarios/2/groups/0/cells/1";
        for place in
            ["", "/trials", "/scenarios/0", cell, "/scenarios/1/claims/0", "/scenarios/0/slos/0"]
                .map(str::to_owned)
                .into_iter()
                .chain(
                    ["metrics", "validity", "arrivals", "latency_ns", "errors"]
                        .map(|key| format!("{cell}/{key}")),
                )
        {
            let mut more = whole.clone();
            more.pointer_mut(&place).unwrap_or_else(|| panic!("no {place}"))["no-such-key"] =
                json!(1);
            assert_eq!(misfits("report", &more.to_string()).len(), 1, "{place}");
            let mut less = whole.clone();
            let table =
                less.pointer_mut(&place).and_then(Value::as_object_mut).expect("is a table");
            let key = table.keys().next().cloned().expect("has a key");
            table.remove(&key);
            let fits = misfits("report", &less.to_string()).is_empty();
            assert_eq!(fits, place.ends_with("/metrics"), "{place} without {key}");
        }
    }
}
