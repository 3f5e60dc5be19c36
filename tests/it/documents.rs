//! The documents name commands, keys and files that exist.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value as Json;

const DOCUMENTS: [&str; 10] = [
    "README.md",
    "ARCHITECTURE.md",
    "METHODOLOGY.md",
    "EVIDENCE.md",
    "FORMAT.md",
    "RUNFILE.md",
    "PROTOCOL.md",
    "OUTPUTS.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn document(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// The lines of all ```sh blocks.
fn shell_lines(text: &str) -> Vec<String> {
    let blocks = text.split("```sh\n").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap_or_default().lines());
    lines
        .map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned())
        .filter(|l| !l.is_empty())
        .collect()
}

/// The arguments after `regatta`, where the line is one of its command lines.
fn arguments(line: &str) -> Option<Vec<String>> {
    let rest = ["regatta ", "cargo run --release -- "]
        .iter()
        .find_map(|start| line.strip_prefix(start))?;
    Some(rest.split_whitespace().map(|word| word.trim_matches('\'').to_owned()).collect())
}

/// A folder in which what the documents talk about is there: shipped scenarios, `my-race.toml`.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shipped = root().join("scenarios");
        if shipped.is_dir() {
            std::os::unix::fs::symlink(shipped, folder.path().join("scenarios")).unwrap();
        }
        std::fs::copy(
            root().join("tests/it/documents/my-race.toml"),
            folder.path().join("my-race.toml"),
        )
        .unwrap();
        Self(folder)
    }

    /// Whether the program understands the arguments, without measuring anything: `run` is only
    /// listed.
    fn try_out(&self, arguments: &[String]) -> Result<(), String> {
        let mut arguments = arguments.to_vec();
        if arguments[0] == "run" {
            arguments[0] = "list".into();
            drop_with_value(&mut arguments, &["--out", "--resume", "--format"]);
            arguments.retain(|argument| {
                !["--skip-refused", "--allow-unjudged"].contains(&argument.as_str())
            });
            if arguments.len() == 1 {
                arguments.push("my-race.toml".into());
            }
        }
        if ["selftest", "find-rate"].contains(&arguments[0].as_str()) {
            arguments.push("--help".into());
        }
        let run = |arguments: &[String]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_regatta"));
            let output = command
                .args(arguments)
                .current_dir(self.0.path())
                .stdin(Stdio::null())
                .output()
                .unwrap();
            (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        if arguments[0] == "init" {
            std::fs::remove_file(self.0.path().join("my-race.toml")).unwrap();
        }
        let (code, said) = run(&arguments);
        // What these act on is there only after a run, so that a missing file (65) is as far as
        // they can come.
        let is_one_of = |names: &[&str]| names.contains(&arguments[0].as_str());
        // The doctor may find this host unfit (69), as while another run is in progress.
        let fine = code == 0
            // Programs of examples are not there.
            || code == 1 && is_one_of(&["conformance"])
            || code == 65 && is_one_of(&["report", "compare", "trial"])
            || code == 69 && is_one_of(&["doctor"]);
        if fine {
            Ok(())
        } else {
            Err(format!("`regatta {}` ends with {code}: {said}", arguments.join(" ")))
        }
    }
}

fn drop_with_value(arguments: &mut Vec<String>, names: &[&str]) {
    while let Some(at) = arguments.iter().position(|argument| names.contains(&argument.as_str())) {
        arguments.drain(at..=at + 1);
    }
}

#[test]
fn every_command_line_is_understood() {
    let mut tried = 0;
    for name in ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "scenarios/README.md"] {
        for arguments in shell_lines(&document(name)).iter().filter_map(|line| arguments(line)) {
            let needs =
                |folder: &str| arguments.iter().any(|argument| argument.starts_with(folder));
            if needs("scenarios/") && !root().join("scenarios").is_dir() {
                continue;
            }
            Place::new().try_out(&arguments).unwrap_or_else(|why| panic!("{name}: {why}"));
            tried += 1;
        }
    }
    assert!(tried >= 10, "{tried} command lines");
}

#[test]
fn every_example_of_the_help_is_understood() {
    let help = |command: &str| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_regatta")).args(["help", command]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let mut tried = 0;
    for command in crate::command_line::COMMANDS {
        for line in help(command).lines().filter_map(|line| line.strip_prefix("  ")) {
            let Some(arguments) = arguments(line).filter(|_| line.starts_with("regatta ")) else {
                continue;
            };
            Place::new()
                .try_out(&arguments)
                .unwrap_or_else(|why| panic!("help of {command}: {why}"));
            tried += 1;
        }
    }
    assert!(tried >= 2 * crate::command_line::COMMANDS.len(), "{tried} examples");
}

#[test]
fn a_command_line_that_does_not_exist_is_noticed() {
    let place = Place::new();
    for line in [
        "regatta gate my-race.toml",
        "regatta run my-race.toml --turbo",
        "regatta report x --format pdf",
    ] {
        assert!(place.try_out(&arguments(line).unwrap()).is_err(), "{line}");
    }
    assert_eq!(
        shell_lines("a\n```sh\nregatta list x  # why\n\n```\n```toml\nx\n```\n"),
        ["regatta list x"]
    );
}

/// All keys of a schema's tables, at any depth, each with its default.
fn keys(schema: &Json, found: &mut BTreeSet<(String, Option<String>)>) {
    match schema {
        Json::Object(entries) => {
            for (key, property) in schema["properties"].as_object().into_iter().flatten() {
                let default = Some(&property["default"]);
                let shown = default.filter(|value| {
                    value.is_number() || value.is_boolean() || *value != "" && value.is_string()
                });
                found.insert((key.clone(), shown.map(Json::to_string)));
            }
            entries.values().for_each(|value| keys(value, found));
        }
        Json::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

/// Whether a line is about a key: a row of a table with the key's default, or the heading of a
/// kind.
fn is_about(line: &str, key: &str, default: Option<&str>) -> bool {
    let row = line.starts_with(&format!("| `{key}` |"));
    let heading =
        line.starts_with(&format!("#### `{key}`")) || line.starts_with(&format!("`{key}`: "));
    heading || row && default.is_none_or(|default| line.contains(&format!("| `{default}` |")))
}

#[test]
fn every_key_is_documented_with_its_default() {
    let mut all = BTreeSet::new();
    keys(&regatta::scenario::json_schema(), &mut all);
    assert!(all.len() > 40, "{all:?}");
    let text = document("FORMAT.md");
    let documented = |(key, default): &&(String, Option<String>)| {
        text.lines().any(|line| is_about(line, key, default.as_deref()))
    };
    let missing: Vec<_> = all.iter().filter(|entry| !documented(entry)).collect();
    assert!(missing.is_empty(), "FORMAT.md needs rows for these keys and defaults: {missing:?}");
    assert!(!documented(&&("no-such-key".to_owned(), None)));
    assert!(!documented(&&("rounds".to_owned(), Some("8".to_owned()))));
}

#[test]
fn every_key_of_the_outputs_is_documented() {
    let schema = serde_json::from_str(regatta::report::OUTPUT_SCHEMA).unwrap();
    let mut all = BTreeSet::new();
    keys(&schema, &mut all);
    assert!(all.len() > 100, "{}", all.len());
    let text = document("OUTPUTS.md");
    let is_part = |c: char| c.is_alphanumeric() || "_.".contains(c);
    let words: BTreeSet<&str> = text.split(|c| !is_part(c)).collect();
    let missing: Vec<_> = all.iter().filter(|(key, _)| !words.contains(key.as_str())).collect();
    assert!(missing.is_empty(), "OUTPUTS.md does not name {missing:?}");
    assert!(!words.contains("no_such_key"));
}

/// The targets of all links, as far as they are files of this repository.
fn linked_files(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    local.map(|target| target.split('#').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_linked_file_is_there() {
    for name in DOCUMENTS {
        for file in linked_files(&document(name)) {
            // The sample run is made with a release.
            let there = root().join(&file).exists() || file.starts_with("reports/sample/");
            assert!(there, "{name} links to {file}");
        }
    }
}

/// A heading of a document.
pub struct Heading {
    /// How many `#` it has.
    pub level: usize,
    /// Its text, without backquotes.
    pub text: String,
}

impl Heading {
    /// What a link to it has after `#`: small letters, digits, `-` and `_`.
    pub fn anchor(&self) -> String {
        let small = self.text.to_lowercase().replace(' ', "-");
        small.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    }
}

/// The headings of a document; lines of blocks of code are none.
pub fn headings(text: &str) -> Vec<Heading> {
    let prose = text.split("```").step_by(2);
    let lines = prose.flat_map(str::lines).filter(|line| line.starts_with('#'));
    let heading = |line: &str| {
        let text = line.trim_start_matches('#');
        Heading { level: line.len() - text.len(), text: text.trim().replace('`', "") }
    };
    lines.map(heading).collect()
}

fn has_anchor(document: &str, anchor: &str) -> bool {
    headings(document).iter().any(|heading| heading.anchor() == anchor)
}

#[test]
fn every_linked_section_is_there() {
    let mut looked_at = 0;
    for name in DOCUMENTS {
        let text = document(name);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let links = targets.filter(|target| !target.contains("://"));
        for (file, anchor) in links.filter_map(|target| target.split_once('#')) {
            let file = if file.is_empty() { name } else { file };
            assert!(has_anchor(&document(file), anchor), "{name} links to {file}#{anchor}");
            looked_at += 1;
        }
    }
    assert!(looked_at > 20, "{looked_at}");
    assert!(has_anchor("# a\n\n## How it *is*, `now`\n", "how-it-is-now"));
    assert!(!has_anchor("# a\n\n```sh\n# b\n```\n", "b"));
}

/// Sections that are named in words: `METHODOLOGY, "Order"`, also over the lines of a comment.
fn named_sections(text: &str, document: &str) -> Vec<String> {
    let words = text.split_whitespace().filter(|word| !["//", "///", "//!"].contains(word));
    let text = words.collect::<Vec<_>>().join(" ");
    let rest = text.split(document).skip(1);
    let named = rest.filter_map(|rest| {
        let rest = rest.strip_prefix(".md").unwrap_or(rest);
        rest.strip_prefix(", \"")?.split('"').next()
    });
    named.map(str::to_owned).collect()
}

#[test]
fn every_section_that_is_named_is_there() {
    let mut texts: Vec<_> = DOCUMENTS.map(|name| (name.to_owned(), document(name))).into();
    let mut folders = vec![root().join("src"), root().join("tests")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                texts.push((path.display().to_string(), text));
            }
        }
    }
    let mut looked_at = 0;
    for cited in ["METHODOLOGY", "FORMAT", "RUNFILE", "OUTPUTS"] {
        let there = headings(&document(&format!("{cited}.md")));
        for (name, text) in texts.iter().filter(|(name, _)| !name.ends_with("documents.rs")) {
            for section in named_sections(text, cited) {
                let known = there.iter().any(|heading| heading.text == section);
                assert!(known, "{name} names {cited}, \"{section}\"");
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 10, "{looked_at}");
    let text = "/// (METHODOLOGY,\n/// \"A stall\") and METHODOLOGY.md, \"Order\"";
    assert_eq!(named_sections(text, "METHODOLOGY"), ["A stall", "Order"]);
}

#[test]
fn documents_use_plain_paths() {
    for name in DOCUMENTS {
        let text = document(name);
        for foreign in ["/root/", "/home/", env!("CARGO_MANIFEST_DIR")] {
            assert!(!text.contains(foreign), "{name} has {foreign}");
        }
    }
}

/// The first scenario of the README, which has no target of one's own, is a scenario.
#[test]
fn scenarios_in_documents_are_scenarios() {
    for name in ["README.md", "CONTRIBUTING.md", "FORMAT.md"] {
        for block in document(name).split("```toml\n").skip(1) {
            let text = block.split("```").next().unwrap_or_default();
            if text.contains("schema =") || text.contains("schema  ") {
                let read = regatta::scenario::from_text(
                    Path::new(name),
                    text,
                    &regatta::scenario::Overrides::default(),
                );
                assert!(
                    read.is_ok(),
                    "{}",
                    read.err().map(|why| why.render(false)).unwrap_or_default()
                );
            }
        }
    }
}
