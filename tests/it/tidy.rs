//! The architecture, read from the sources: who may import whom, who may print, where a kind is
//! registered.
//!
//! Each rule is a function from sources to complaints. It must have none about this repository, and
//! some about a source that breaks it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The modules from the ground up, each with all that it imports. A module imports only what stands
/// above it, so that there are no cycles.
const LAYERS: &[(&str, &[&str])] = &[
    ("exit", &[]),
    ("draw", &[]),
    ("atomics", &[]),
    ("clock", &[]),
    ("cgroup", &[]),
    ("limits", &["cgroup"]),
    ("secret", &[]),
    ("measure", &["cgroup"]),
    ("units", &["draw"]),
    ("protocol", &["measure", "units"]),
    ("config", &["secret", "units"]),
    ("runtime", &["atomics", "clock"]),
    ("client", &["atomics", "config", "runtime", "secret"]),
    ("shared", &["atomics", "clock", "config", "draw", "measure", "runtime", "units"]),
    ("targets", &["client", "clock", "config", "draw", "measure", "runtime", "secret", "units"]),
    (
        "step",
        &[
            "atomics", "client", "clock", "config", "draw", "measure", "protocol", "runtime",
            "secret", "shared", "targets", "units",
        ],
    ),
    ("load", &["atomics", "clock", "draw", "measure", "runtime", "step", "units"]),
    (
        "scenario",
        &["config", "load", "measure", "protocol", "runtime", "shared", "step", "targets", "units"],
    ),
    ("store", &["measure", "scenario", "units"]),
    ("analysis", &["measure", "scenario", "store", "units"]),
    ("report", &["analysis", "measure", "scenario", "store", "units"]),
    (
        "trial",
        &[
            "clock", "draw", "load", "measure", "protocol", "runtime", "scenario", "secret",
            "shared", "step", "store", "targets", "units",
        ],
    ),
    (
        "plan",
        &[
            "draw", "limits", "load", "protocol", "runtime", "scenario", "secret", "shared",
            "step", "store", "targets", "trial", "units",
        ],
    ),
    (
        "simulation",
        &[
            "analysis", "client", "clock", "draw", "load", "measure", "plan", "runtime",
            "scenario", "step", "store", "units",
        ],
    ),
    ("doctor", &["cgroup", "clock", "limits", "plan", "runtime", "store", "trial", "units"]),
    ("run", &["analysis", "clock", "plan", "store", "trial"]),
    (
        "cli",
        &[
            "analysis", "clock", "doctor", "exit", "limits", "plan", "protocol", "report", "run",
            "scenario", "step", "store", "trial", "units",
        ],
    ),
];

/// A file may have as many lines, tests apart.
const MOST_LINES: usize = 500;

/// A source file.
pub struct Source {
    /// Below the repository, such as `src/step/noop.rs`.
    pub path: String,
    pub text: String,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// The top-level module: `step`; `lib` and `main` for the roots.
    pub fn module(&self) -> &str {
        let below = self.path.trim_start_matches("src/");
        below.split('/').next().map_or(below, |first| first.trim_end_matches(".rs"))
    }

    fn file(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Whether all of it is there for tests only.
    fn is_test(&self) -> bool {
        let folder = self.path.starts_with("tests/") || self.path.contains("/fixture/");
        folder || ["tests.rs", "testing.rs", "fixture.rs"].contains(&self.file())
    }

    /// What is compiled into the program: neither comments nor tests.
    pub fn code(&self) -> String {
        if self.is_test() {
            return String::new();
        }
        let before_tests = self.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = before_tests.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.flat_map(|line| [line, "\n"]).collect()
    }
}

/// All Rust files under a folder of this repository.
pub fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push(Source { path: name, text: std::fs::read_to_string(&path).unwrap() });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The words that follow `crate::`, also inside braces: `use crate::{clock, plan::Plan}` has two.
fn imports(code: &str) -> BTreeSet<String> {
    let word = |text: &str| {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            found.insert(word(rest));
            continue;
        };
        let mut depth = 1;
        for (at, c) in list.char_indices() {
            depth += i32::from(c == '{') - i32::from(c == '}');
            if depth == 0 {
                break;
            }
            let begins =
                list[..at].trim_end().chars().next_back().is_none_or(|before| before == ',');
            if depth == 1 && begins && c.is_alphabetic() {
                found.insert(word(&list[at..]));
            }
        }
    }
    found
}

/// Who imports whom, without oneself.
fn edges(sources: &[Source]) -> BTreeMap<(String, String), String> {
    let mut edges = BTreeMap::new();
    for source in sources.iter().filter(|source| !["lib", "main"].contains(&source.module())) {
        for to in imports(&source.code()) {
            if to != source.module() {
                edges
                    .entry((source.module().to_owned(), to))
                    .or_insert_with(|| source.path.clone());
            }
        }
    }
    edges
}

fn layers_are_kept(sources: &[Source]) -> Vec<String> {
    let edges = edges(sources);
    let permitted: BTreeSet<(String, String)> = LAYERS
        .iter()
        .flat_map(|(from, list)| list.iter().map(|to| ((*from).to_owned(), (*to).to_owned())))
        .collect();
    let excess = edges.iter().filter(|(edge, _)| !permitted.contains(*edge));
    excess
        .map(|((from, to), path)| format!("{path}: `{from}` must not import `{to}` (LAYERS)"))
        .collect()
}

fn no_permission_is_idle(sources: &[Source]) -> Vec<String> {
    let edges = edges(sources);
    let all = LAYERS.iter().flat_map(|(from, list)| list.iter().map(move |to| (*from, *to)));
    let idle =
        all.filter(|(from, to)| !edges.contains_key(&((*from).to_owned(), (*to).to_owned())));
    idle.map(|(from, to)| format!("`{from}` no longer imports `{to}`: take it out of LAYERS"))
        .collect()
}

fn every_module_has_a_layer(sources: &[Source]) -> Vec<String> {
    let known: BTreeSet<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    let modules: BTreeSet<&str> = sources.iter().map(Source::module).collect();
    let unknown = modules
        .iter()
        .filter(|module| !known.contains(*module) && !["lib", "main"].contains(*module));
    unknown.map(|module| format!("`{module}` is not in LAYERS")).collect()
}

/// Files whose code contains one of `words`, apart from those under `home`.
fn only_in(home: &str, words: &[&str], sources: &[Source]) -> Vec<String> {
    let away = sources.iter().filter(|source| !source.path.starts_with(home));
    away.flat_map(|source| {
        let code = source.code();
        words
            .iter()
            .filter(move |word| code.contains(**word))
            .map(move |word| format!("{}: `{word}` belongs to {home}", source.path))
    })
    .collect()
}

fn only_trial_starts_processes(sources: &[Source]) -> Vec<String> {
    only_in(
        "src/trial/",
        &["Command::new(", "process::Command", "process::{Child, Command"],
        sources,
    )
}

fn only_clock_reads_clocks(sources: &[Source]) -> Vec<String> {
    only_in("src/clock.rs", &["Instant::now(", "SystemTime::now(", "clock_gettime("], sources)
}

fn only_cli_prints(sources: &[Source]) -> Vec<String> {
    let mut found = only_in("src/cli/", &["print!(", "println!(", "dbg!(", "stderr()"], sources);
    // The server of a target speaks to its trial through its standard output.
    let others: Vec<Source> = sources
        .iter()
        .filter(|source| {
            !["src/targets/http/mod.rs", "src/targets/websocket/mod.rs"]
                .contains(&source.path.as_str())
        })
        .map(|source| Source::new(&source.path, &source.text))
        .collect();
    found.extend(only_in("src/cli/", &["stdout()"], &others));
    found
}

/// Steps and loads reach executors through the trait alone.
fn steps_name_no_executor(sources: &[Source]) -> Vec<String> {
    const NAMES: [&str; 18] = [
        "tokio::",
        "async_std::",
        "async_executor::",
        "async_io::",
        "blocking::unblock",
        "\"tokio",
        "\"async-std",
        "\"smol",
        "\"compio",
        "compio::",
        "\"threads",
        "\"thread-pool",
        "\"rayon",
        "rayon_core::",
        "\"sequential",
        "ThreadPool",
        "AsyncStd",
        "TokioCurrentThread",
    ];
    let theirs = sources
        .iter()
        .filter(|source| ["shared", "step", "load", "targets"].contains(&source.module()));
    theirs
        .flat_map(|source| {
            let code = source.code();
            let named: Vec<&str> =
                NAMES.iter().copied().filter(|name| code.contains(name)).collect();
            named.into_iter().map(move |name| format!("{}: names an executor: {name}", source.path))
        })
        .collect()
}

fn every_file_says_what_lives_there(sources: &[Source]) -> Vec<String> {
    let silent = sources.iter().filter(|source| !source.text.starts_with("//! "));
    silent.map(|source| format!("{}: begin with `//!` and what lives there", source.path)).collect()
}

fn no_file_is_too_long(sources: &[Source]) -> Vec<String> {
    let length = |source: &Source| {
        if source.is_test() {
            0
        } else {
            source.text.split("#[cfg(test)]\nmod tests {").next().map_or(0, |t| t.lines().count())
        }
    };
    let long = sources.iter().filter(|source| length(source) > MOST_LINES);
    long.map(|source| format!("{}: {} lines; split it", source.path, length(source))).collect()
}

/// Whatever implements the trait of a kind has a line in its folder's table.
fn every_kind_is_in_its_table(sources: &[Source]) -> Vec<String> {
    let mut missing = Vec::new();
    for (module, implements) in [
        ("runtime", "Runtime for "),
        ("shared", "SharedKind for "),
        ("step", "StepKind for "),
        ("targets", "TargetKind for "),
    ] {
        let path = format!("src/{module}/mod.rs");
        let Some(table) = sources.iter().find(|source| source.path == path) else { continue };
        let below = sources.iter().filter(|source| source.module() == module);
        for source in below {
            let code = source.code();
            for line in code.lines().filter(|line| line.starts_with("impl ")) {
                let Some((_, kind)) = line.split_once(implements) else { continue };
                let kind = kind.trim_end_matches(['{', ' ']);
                if !table.code().contains(&format!("::{kind},")) {
                    missing
                        .push(format!("{}: `{kind}` is not in the table of {path}", source.path));
                }
            }
        }
    }
    missing
}

type Rule = fn(&[Source]) -> Vec<String>;

/// Every rule beside a source that breaks it.
const RULES: &[(Rule, &str, &str)] = &[
    (
        layers_are_kept,
        "src/report/html/mod.rs",
        "//! Page.\nuse crate::{\n    analysis::Analysis,\n    trial,\n};\n",
    ),
    (
        layers_are_kept,
        "src/analysis/cell.rs",
        "//! Cells.\nfn f() { crate::runtime::dispatch() }\n",
    ),
    (layers_are_kept, "src/runtime/smol.rs", "//! smol.\nuse crate::step::Call;\n"),
    (every_module_has_a_layer, "src/novelty/mod.rs", "//! New.\n"),
    (
        only_trial_starts_processes,
        "src/plan/mod.rs",
        "//! Plans.\nfn f() { Command::new(\"ls\"); }\n",
    ),
    (only_clock_reads_clocks, "src/load/lane.rs", "//! Lanes.\nfn f() { Instant::now(); }\n"),
    (only_cli_prints, "src/run.rs", "//! Runs.\nfn f() { println!(\"here\"); }\n"),
    (only_cli_prints, "src/run.rs", "//! Runs.\nfn f() { io::stdout().write_all(b\"here\"); }\n"),
    (
        steps_name_no_executor,
        "src/step/sleep.rs",
        "//! Sleeps.\nasync fn f() { tokio::time::sleep(t).await }\n",
    ),
    (
        steps_name_no_executor,
        "src/load/batch.rs",
        "//! Batch.\nfn f() { if name == \"smol\" {} }\n",
    ),
    (every_file_says_what_lives_there, "src/run.rs", "use std::io;\n"),
];

#[test]
fn the_architecture_is_kept() {
    let sources = sources("src");
    assert!(sources.len() > 100, "{} files", sources.len());
    let rules = RULES.iter().map(|(rule, ..)| *rule);
    let all = rules.chain([
        no_permission_is_idle as Rule,
        no_file_is_too_long,
        every_kind_is_in_its_table,
    ]);
    let complaints: BTreeSet<String> = all.flat_map(|rule| rule(&sources)).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn every_rule_can_be_broken() {
    for (at, (rule, path, text)) in RULES.iter().enumerate() {
        assert!(
            !rule(&[Source::new(path, text)]).is_empty(),
            "rule {at} does not see what is wrong in {path}"
        );
    }
    assert!(!no_permission_is_idle(&[]).is_empty());
    let long = "//! Long.\n".repeat(MOST_LINES + 1);
    assert!(!no_file_is_too_long(&[Source::new("src/run.rs", &long)]).is_empty());
    let table =
        Source::new("src/step/mod.rs", "//! Steps.\nspec::steps! {\n    Noop => noop::Noop,\n}\n");
    let noop = Source::new("src/step/noop.rs", "//! Nothing.\nimpl StepKind for Noop {\n");
    let lost = Source::new("src/step/lost.rs", "//! Lost.\nimpl StepKind for Lost {\n");
    assert_eq!(every_kind_is_in_its_table(&[table, noop, lost]).len(), 1);
}

#[test]
fn comments_and_tests_are_no_code() {
    let text = "//! A.\n// crate::trial\nuse crate::clock;\n\n#[cfg(test)]\nmod tests {\n    use crate::trial;\n}\n";
    assert_eq!(
        imports(&Source::new("src/plan/order.rs", text).code()),
        BTreeSet::from(["clock".to_owned()])
    );
    let list = "use crate::{\n    clock, draw,\n    plan::{Plan, Planned},\n    trial,\n};\npub(crate) fn f() {}";
    assert_eq!(imports(list), ["clock", "draw", "plan", "trial"].map(String::from).into());
    assert!(imports("use crate::{\n    store::{Line},\n};\nuse self::x;").len() == 1);
}

#[test]
fn layers_have_no_cycles() {
    for (at, (module, list)) in LAYERS.iter().enumerate() {
        for to in *list {
            assert!(
                LAYERS[..at].iter().any(|(above, _)| above == to),
                "`{module}` imports `{to}`, which is not above it"
            );
        }
    }
}

/// A stored run is rendered by programs that know nothing of how it was made.
#[test]
fn analysis_and_report_see_no_execution() {
    for (module, list) in
        LAYERS.iter().filter(|(module, _)| ["analysis", "report"].contains(module))
    {
        for hidden in ["trial", "load", "runtime", "step", "targets", "plan", "run", "cli"] {
            assert!(!list.contains(&hidden), "{module} must not import {hidden}");
        }
    }
    let runtime = LAYERS.iter().find(|(module, _)| *module == "runtime").unwrap();
    assert!(!runtime.1.contains(&"step"));
}

#[test]
fn tests_say_what_they_are_about() {
    let complaints = [
        every_file_says_what_lives_there(&sources("tests")),
        every_file_says_what_lives_there(&sources("benches")),
    ];
    assert!(complaints.concat().is_empty(), "{complaints:#?}");
}
