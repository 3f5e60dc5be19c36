//! EVIDENCE.md: which tests prove what METHODOLOGY.md claims. It is made from the table in
//! `evidence.toml`, and both are held against the sections and the tests that there are.
//!
//! `REGATTA_UPDATE=1 cargo test --test it evidence` writes the file anew.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use crate::documents::{Heading, headings};

/// The table: what is claimed, in the order of METHODOLOGY's sections, and what is only argued.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Table {
    claim: Vec<Claim>,
    argued: Vec<Argued>,
}

/// Something that a section claims.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    /// The heading in METHODOLOGY.md.
    section: String,
    /// What is claimed, in a sentence.
    says: String,
    /// The tests that prove it, by the names that `cargo test` takes.
    tests: Vec<String>,
}

/// A section without tests.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Argued {
    section: String,
    /// Why no test can decide it.
    why: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|why| panic!("{file}: {why}"))
}

fn table() -> Table {
    toml::from_str(&read("tests/it/evidence.toml")).unwrap()
}

/// Where a test may stand, by its name: `order::name` in an integration test, anything longer in
/// the module of that path, of the code or of the integration tests.
fn places(test: &str) -> Vec<String> {
    let modules: Vec<&str> = test.split("::").collect();
    let modules = &modules[..modules.len() - 1];
    if let [module] = modules {
        return vec![format!("tests/it/{module}.rs"), format!("tests/{module}.rs")];
    }
    let path = modules.iter().filter(|module| **module != "tests").copied();
    let path = path.collect::<Vec<_>>().join("/");
    let of_code = ["", "/mod", "/tests"].map(|end| format!("src/{path}{end}.rs"));
    of_code.into_iter().chain([format!("tests/it/{path}.rs")]).collect()
}

/// The file in which a test stands, if there is one that has it.
fn file_of(test: &str) -> Option<String> {
    let name = test.rsplit("::").next().unwrap_or(test);
    places(test).into_iter().find(|place| {
        let path: PathBuf = root().join(place);
        let text = std::fs::read_to_string(path).unwrap_or_default();
        has_test(&text, name)
    })
}

/// Whether a function of that name is there, with the attribute that makes it a test.
fn has_test(text: &str, name: &str) -> bool {
    text.match_indices(&format!("fn {name}(")).any(|(at, _)| {
        let above = text[..at].rfind('\n').map_or("", |end| &text[..end]);
        let lines = above.lines().rev().map(str::trim);
        lines
            .take_while(|line| line.starts_with("#[") || line.starts_with("//"))
            .any(|line| line == "#[test]")
    })
}

/// The text of EVIDENCE.md.
fn evidence(table: &Table, sections: &[Heading]) -> String {
    let mut text = String::from(
        "# Evidence\n\n\
         What [METHODOLOGY.md](METHODOLOGY.md) claims, section by section, and the tests that prove it. A test makes this file from\n\
         [tests/it/evidence.toml](tests/it/evidence.toml) and fails where a test or a section that is named does not exist, or where a\n\
         section has no evidence. [CONTRIBUTING.md](CONTRIBUTING.md#add-evidence) says how to add to it.\n",
    );
    for heading in sections {
        let claims = table.claim.iter().filter(|claim| claim.section == heading.text);
        let argued = table.argued.iter().find(|argued| argued.section == heading.text);
        let hashes = "#".repeat(heading.level);
        // Writing to a String cannot fail.
        let _ =
            write!(text, "\n{hashes} [{}](METHODOLOGY.md#{})\n", heading.text, heading.anchor());
        if let Some(argued) = argued {
            let _ = write!(text, "\nArgued, not tested: {}.\n", argued.why);
        }
        for claim in claims {
            let _ = write!(text, "\n{}\n\n", claim.says);
            for test in &claim.tests {
                let file = file_of(test).unwrap_or_default();
                let _ = writeln!(text, "- [{test}]({file})");
            }
        }
    }
    text
}

/// What is wrong with a table, given METHODOLOGY's sections.
fn complaints(table: &Table, sections: &[Heading]) -> Vec<String> {
    let place = |name: &str| sections.iter().position(|heading| heading.text == name);
    let mut found = Vec::new();
    let named = table.claim.iter().map(|claim| &claim.section);
    let named: Vec<&String> =
        named.chain(table.argued.iter().map(|argued| &argued.section)).collect();
    for name in named.iter().filter(|name| place(name).is_none()) {
        found.push(format!("METHODOLOGY.md has no section \"{name}\""));
    }
    for pair in table.claim.windows(2) {
        if place(&pair[0].section) > place(&pair[1].section) {
            found.push(format!("\"{}\" stands before \"{}\"", pair[0].section, pair[1].section));
        }
    }
    for claim in &table.claim {
        if claim.tests.is_empty() {
            found.push(format!("no test proves: {}", claim.says));
        }
        for test in claim.tests.iter().filter(|test| file_of(test).is_none()) {
            found.push(format!("no test {test} in any of {:?}", places(test)));
        }
    }
    for (at, heading) in sections.iter().enumerate() {
        // A section is also proved by those below it.
        let below = sections[at + 1..].iter().take_while(|below| below.level > heading.level);
        let mut all = std::iter::once(heading).chain(below);
        if !all.any(|heading| named.iter().any(|name| **name == heading.text)) {
            found.push(format!("nothing proves the section \"{}\"", heading.text));
        }
    }
    found
}

fn sections() -> Vec<Heading> {
    headings(&read("METHODOLOGY.md")).into_iter().filter(|heading| heading.level > 1).collect()
}

#[test]
fn every_section_has_its_evidence_and_every_test_that_is_named_exists() {
    let found = complaints(&table(), &sections());
    assert!(found.is_empty(), "tests/it/evidence.toml: {found:#?}");
    let texts: BTreeSet<_> = sections().into_iter().map(|heading| heading.text).collect();
    assert_eq!(texts.len(), sections().len(), "two sections of METHODOLOGY.md have one name");
}

#[test]
fn evidence_is_made_from_its_table() {
    let text = evidence(&table(), &sections());
    if std::env::var_os("REGATTA_UPDATE").is_some() {
        std::fs::write(root().join("EVIDENCE.md"), &text).unwrap();
    }
    let remedy = "REGATTA_UPDATE=1 cargo test --test it evidence";
    assert!(read("EVIDENCE.md") == text, "EVIDENCE.md: stale; run `{remedy}`");
}

#[test]
fn what_is_missing_is_noticed() {
    let sections = &headings("# M\n\n## Order\n\n### Below\n\n## Lonely\n")[1..];
    let fine = "\"evidence::what_is_missing_is_noticed\"";
    let claim = |section: &str, tests: &str| {
        format!("[[claim]]\nsection = \"{section}\"\nsays = \"x\"\ntests = [{tests}]\n")
    };
    let argued = |section: &str| format!("[[argued]]\nsection = \"{section}\"\nwhy = \"y\"\n");
    let complaints = |text: &str| complaints(&toml::from_str(text).unwrap(), sections);
    let all = claim("Below", fine) + &argued("Lonely");
    assert_eq!(complaints(&all), Vec::<String>::new());
    let swapped = claim("Lonely", fine) + &claim("Below", fine);
    for (text, words) in [
        (all.replace("Below", "Above"), "has no section \"Above\""),
        (all.replace("is_missing", "is_there"), "no test evidence::what_is_there"),
        (all.replace(fine, ""), "no test proves: x"),
        (all.replace("Below", "Order"), "nothing proves the section \"Below\""),
        (all.replace("Lonely", "Order"), "nothing proves the section \"Lonely\""),
        (swapped, "\"Lonely\" stands before \"Below\""),
    ] {
        let found = complaints(&text);
        assert!(found.iter().any(|complaint| complaint.contains(words)), "{words}: {found:#?}");
    }
    assert!(has_test("#[test]\n// x\nfn a() {}", "a"));
    assert!(!has_test("#[test]\nfn b() {}\nfn a() {}", "a"));
}
