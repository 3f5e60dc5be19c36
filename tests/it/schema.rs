//! The schema and the reader accept the same files.

use std::path::{Path, PathBuf};

use regatta::scenario::{Overrides, json_schema, read};
use serde_json::Value as Json;

/// All TOML files under a folder of this repository.
pub(crate) fn files_under(folder: &str) -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn json_of(path: &Path) -> Json {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap()
}

fn errors(document: &Json) -> Vec<String> {
    let validator = jsonschema::draft202012::new(&json_schema()).unwrap();
    validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn the_schema_is_a_schema() {
    let schema = json_schema();
    assert!(jsonschema::draft202012::meta::is_valid(&schema), "{schema}");
}

#[test]
fn every_shipped_scenario_is_read_and_fits_the_schema() {
    let files = [files_under("scenarios"), files_under("tests/it/valid")].concat();
    assert!(!files.is_empty());
    for path in files {
        if let Err(error) = read(&path, &Overrides::default()) {
            panic!("{}", error.render(false));
        }
        let errors = errors(&json_of(&path));
        assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
    }
}

#[test]
fn the_shipped_schema_is_that_of_this_version_and_every_scenario_names_it() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/schema.json");
    let current = format!("{:#}\n", json_schema());
    let remedy = "regatta schema > scenarios/schema.json";
    assert!(
        std::fs::read_to_string(&shipped).unwrap() == current,
        "{}: stale; run `{remedy}`",
        shipped.display()
    );
    for path in files_under("scenarios") {
        let text = std::fs::read_to_string(&path).unwrap();
        let named =
            text.lines().next().and_then(|line| line.strip_prefix("#:schema ")).unwrap_or_default();
        let named = path.parent().unwrap().join(named).canonicalize();
        assert_eq!(named.ok(), shipped.canonicalize().ok(), "{}", path.display());
    }
}

/// The places of all tables in a document, except those whose keys the user chooses.
fn fixed_tables(document: &Json, place: &str, found: &mut Vec<String>) {
    let free = ["/params", "/sweep", "/targets", "/tasks", "/load"].contains(&place)
        || place.ends_with("/only");
    match document {
        Json::Object(entries) => {
            if !free {
                found.push(place.to_owned());
            }
            entries
                .iter()
                .for_each(|(key, value)| fixed_tables(value, &format!("{place}/{key}"), found));
        }
        Json::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(at, item)| fixed_tables(item, &format!("{place}/{at}"), found));
        }
        _ => {}
    }
}

#[test]
fn an_unknown_key_fits_nowhere() {
    for path in files_under("tests/it/valid") {
        let document = json_of(&path);
        let mut places = Vec::new();
        fixed_tables(&document, "", &mut places);
        assert!(places.len() > 5, "{places:?}");
        for place in places {
            let mut broken = document.clone();
            broken.pointer_mut(&place).unwrap()["no-such-key"] = Json::from(1);
            assert!(!errors(&broken).is_empty(), "{}: {place}", path.display());
        }
    }
}

#[test]
fn every_key_says_what_it_is_for() {
    fn undocumented(schema: &Json, place: &str, found: &mut Vec<String>) {
        if let Json::Object(entries) = schema {
            for (key, property) in schema["properties"].as_object().into_iter().flatten() {
                if property["description"].as_str().is_none_or(str::is_empty) {
                    found.push(format!("{place}/{key}"));
                }
            }
            entries
                .iter()
                .for_each(|(key, value)| undocumented(value, &format!("{place}/{key}"), found));
        } else if let Json::Array(items) = schema {
            items
                .iter()
                .enumerate()
                .for_each(|(at, item)| undocumented(item, &format!("{place}/{at}"), found));
        }
    }
    let mut found = Vec::new();
    undocumented(&json_schema(), "", &mut found);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_parameter_may_stand_for_a_value_but_not_for_a_key() {
    let document = json_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/valid/full.toml"));
    for (place, value, fine) in [
        ("/run/rounds", "${times}", true),
        ("/run/rounds", "many", false),
        ("/run/warmup", "${think}", true),
        ("/run/warmup", "5", false),
        ("/executors/thread-pool/size", "${times}", true),
        // Some program of the scenario's may be called so; who reads the file looks it up.
        ("/executors/baseline", "tokyo", true),
        ("/executors/baseline", "To kyo", false),
        ("/load/clients/closed/concurrency", "x${times}", false),
    ] {
        let mut changed = document.clone();
        *changed.pointer_mut(place).unwrap() = Json::from(value);
        assert_eq!(errors(&changed).is_empty(), fine, "{place} = {value}: {:?}", errors(&changed));
    }
}

/// What does not fit the schema of outputs in one of them.
pub fn output_misfits(text: &str) -> Vec<String> {
    let document: Json = serde_json::from_str(text).unwrap();
    let kinds = [
        ("regatta_doctor", "doctor"),
        ("regatta_comparison", "comparison"),
        ("precision", "rates"),
        ("scenarios", "report"),
        ("verdict", "selftest"),
    ];
    let kind = kinds.into_iter().find(|(key, _)| document.get(key).is_some());
    let Some((_, kind)) = kind else { return vec!["no known kind of output".to_owned()] };
    let mut schema: Json = serde_json::from_str(regatta::report::OUTPUT_SCHEMA).unwrap();
    schema.as_object_mut().unwrap().remove("oneOf");
    schema["$ref"] = Json::from(format!("#/$defs/{kind}"));
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors = validator.iter_errors(&document);
    errors.map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// What the program prints.
fn printed(arguments: &[&str]) -> String {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_regatta"));
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_printed_for_programs_fits_the_schema_of_outputs() {
    let schema: Json = serde_json::from_str(&printed(&["schema", "--output"])).unwrap();
    let whole = jsonschema::draft202012::new(&schema).unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/sample/run.jsonl");
    for arguments in [
        &["report", "reports/sample"][..],
        &["compare", "reports/sample", "reports/sample"],
        &["doctor"],
    ] {
        // The sample run is made with a release.
        if arguments[0] != "doctor" && !sample.exists() {
            continue;
        }
        let text = printed(&[arguments, &["--format", "json"]].concat());
        assert_eq!(output_misfits(&text), Vec::<String>::new(), "{arguments:?}");
        let mut document: Json = serde_json::from_str(&text).unwrap();
        assert!(whole.is_valid(&document), "{arguments:?} is none of the kinds");
        document["no-such-key"] = Json::from(1);
        assert!(!whole.is_valid(&document), "{arguments:?}");
        assert_eq!(output_misfits(&document.to_string()).len(), 1, "{arguments:?}");
    }
    assert_eq!(printed(&["schema"]), format!("{:#}\n", json_schema()));
}
