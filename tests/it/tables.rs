//! The tables that are made from the code and the shipped scenarios, and never by hand: STEPS.md, and
//! the README's table of patterns and executors.
//!
//! `REGATTA_UPDATE=1 cargo test --test it tables` writes both anew.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
};

use regatta::{
    plan::Cell,
    runtime::EXECUTORS,
    scenario::json_schema,
    step::StepSpec,
    store::{Absent, StoredCell},
};
use serde_json::Value as Json;

use crate::{
    coverage::{cells, kinds},
    schema::files_under,
};

const UPDATE: &str = "REGATTA_UPDATE=1 cargo test --test it tables";

/// Why a cell is not raced.
fn reason(cell: &StoredCell) -> Option<&str> {
    match cell.absent.as_ref()? {
        Absent::NotApplicable(why) | Absent::Refused(why) => Some(why),
    }
}

/// The names of all executors of this build, in their order.
fn executors() -> impl Iterator<Item = &'static str> {
    EXECUTORS.iter().map(|executor| executor.name)
}

/// The scenarios of a folder by their names, with their files.
fn files(folder: &str) -> BTreeMap<String, String> {
    let paths = files_under(folder).into_iter();
    let named = paths.filter_map(|path| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let name = path.file_stem()?.to_str()?.to_owned();
        Some((name, file))
    });
    named.collect()
}

/// What a cell of the table of patterns says: raced, raced in part, or why not.
fn mark(cells: &[&StoredCell], reasons: &mut Vec<String>) -> String {
    let absent: BTreeSet<&str> = cells.iter().filter_map(|cell| reason(cell)).collect();
    let Some(why) = absent.first() else {
        return if cells.is_empty() { String::new() } else { "✓".into() };
    };
    let all = cells.iter().all(|cell| cell.absent.is_some());
    let number = reasons.iter().position(|known| known == why).unwrap_or_else(|| {
        reasons.push((*why).to_owned());
        reasons.len() - 1
    });
    format!("{}<sup>{}</sup>", if all { "–" } else { "✓" }, number + 1)
}

/// A row for each pattern, a column for each executor, and the reasons.
fn patterns(cells: &[Cell]) -> String {
    let mut text = String::from("| pattern |");
    executors().for_each(|name| write!(text, " {name} |").unwrap());
    text.push_str("\n|---|");
    executors().for_each(|_| text.push_str(":-:|"));
    let mut reasons = Vec::new();
    for (name, file) in files("scenarios/patterns") {
        write!(text, "\n| [{name}]({file}) |").unwrap();
        for executor in executors() {
            let of = |cell: &&StoredCell| cell.scenario == name && cell.executor == executor;
            let found: Vec<_> = cells.iter().map(|cell| &cell.stored).filter(of).collect();
            write!(text, " {} |", mark(&found, &mut reasons)).unwrap();
        }
    }
    text.push_str("\n\n");
    for (number, why) in reasons.iter().enumerate() {
        writeln!(text, "{}. {why}", number + 1).unwrap();
    }
    text
}

/// The keys of a step, and those that must be there.
fn parameters(step: &str) -> String {
    let schema = json_schema();
    let all = &schema["properties"]["tasks"]["additionalProperties"]["properties"]["steps"];
    let of_step = |entry: &&Json| entry["properties"].get(step).is_some();
    let kinds = all["items"]["oneOf"].as_array().into_iter().flatten();
    let Some(entry) = kinds.into_iter().find(of_step) else { return String::new() };
    let own = &entry["properties"][step];
    let required = own["required"].as_array().cloned().unwrap_or_default();
    let keys = own["properties"].as_object().into_iter().flatten().map(|(key, _)| {
        let must = required.contains(&Json::from(key.as_str()));
        if must { format!("**`{key}`**") } else { format!("`{key}`") }
    });
    keys.collect::<Vec<_>>().join(", ")
}

/// Where a step was not raced, and why: the executors by reason.
fn refusals(step: &str, cells: &[Cell]) -> String {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for executor in executors() {
        let of = |cell: &&Cell| cell.stored.executor == executor && kinds(cell).contains(step);
        let found: Vec<_> = cells.iter().filter(of).collect();
        if found.iter().all(|cell| cell.stored.absent.is_some())
            && let Some(why) = found.first().and_then(|cell| reason(&cell.stored))
        {
            by_reason.entry(why).or_default().push(executor);
        }
    }
    let words = by_reason.iter().map(|(why, names)| format!("{}: {why}", names.join(", ")));
    words.collect::<Vec<_>>().join("; ")
}

/// The scenarios with a step, by their files; the first ones, where there are many.
fn examples(step: &str, cells: &[Cell]) -> String {
    let all = files("scenarios");
    let with = |cell: &&Cell| kinds(cell).contains(step);
    let names: BTreeSet<&str> =
        cells.iter().filter(with).map(|cell| cell.stored.scenario.as_str()).collect();
    let link = |name: &&str| all.get(*name).map(|file| format!("[{name}]({file})"));
    let shown: Vec<_> = names.iter().filter_map(link).take(3).collect();
    let more = names.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &more
}

/// STEPS.md.
fn steps(cells: &[Cell]) -> String {
    let mut text = format!(
        "# Steps\n\n\
         <!-- Made from the code and the shipped scenarios: {UPDATE} -->\n\n\
         Everything that a task can do, what is checked of it in each trial, where it cannot be raced, and which scenarios race it. \
         Keys in bold must be there. [FORMAT.md](FORMAT.md) says what each key means, and what every step has beside them; \
         [METHODOLOGY.md](METHODOLOGY.md) says how the checks work.\n"
    );
    let proofs: BTreeMap<_, _> = StepSpec::PROOFS.iter().copied().collect();
    for (step, doc) in StepSpec::TABLE {
        write!(text, "\n## `{step}`\n\n{doc}\n\n").unwrap();
        let refused = refusals(step, cells);
        let rows = [
            ("keys", parameters(step)),
            ("proof", proofs[step].to_owned()),
            ("not applicable", refused),
            ("raced by", examples(step, cells)),
        ];
        for (what, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
            writeln!(text, "- {what}: {value}").unwrap();
        }
    }
    text
}

/// The document with the part between two marks made anew.
fn with_part(document: &str, part: &str) -> String {
    let (begin, end) =
        ("<!-- patterns: made by tests/it/tables.rs -->\n", "<!-- end of patterns -->");
    let (before, rest) = document.split_once(begin).expect("the mark where the table begins");
    let (_, after) = rest.split_once(end).expect("the mark where the table ends");
    format!("{before}{begin}\n{part}\n{end}{after}")
}

fn holds(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("REGATTA_UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "{file}: stale; run `{UPDATE}`");
}

#[test]
fn the_table_of_steps_is_that_of_the_code() {
    let text = steps(&cells());
    assert!(text.contains("- proof: each result is that of the preparation"));
    holds("STEPS.md", &text);
}

#[test]
fn the_table_of_patterns_is_that_of_the_plan() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    holds("README.md", &with_part(&readme.unwrap(), &patterns(&cells())));
}
