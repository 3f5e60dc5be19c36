//! Reading a scenario: parse, fill in parameters, read each variant, check it, and build what it
//! means.

use std::{
    collections::{BTreeSet, HashMap},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    ExecutorSettings, Load, NamedTarget, Overrides, Param, Scenario, ScenarioFile, Task, Variant,
    check,
    overrides::{default_baseline, watchdog_problem},
    place::{home, settle},
    sweep::{Combination, Matrix},
    wire::{File, Head},
    wire_data::{CsvRows, DataTable},
    wire_executors::ExecutorsTable,
    wire_load::LoadTable,
};
use crate::{
    config::{Diagnostic, Diagnostics, Field as _, Fields, MOST_BYTES, Node, Value, parse, render},
    protocol::Program,
    shared::NamedShared,
    step::NamedRows,
};

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is wrong.
    #[error("{}", render(path, text, diagnostics, false).trim_end())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Its text.
        text: String,
        /// What is wrong with it, in file order.
        diagnostics: Vec<Diagnostic>,
    },
    /// The command line asks for something that the scenario does not have.
    #[error("{}: {message}", path.display())]
    Override {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the remedy.
        message: String,
    },
}

impl ScenarioError {
    /// The error as it is shown to people, with or without colour.
    pub fn render(&self, color: bool) -> String {
        match self {
            Self::Invalid { path, text, diagnostics } => render(path, text, diagnostics, color),
            Self::Unreadable { source, .. } => format!("error: {self}: {source}\n"),
            Self::Override { .. } => format!("error: {self}\n"),
        }
    }
}

/// How standard input is called where it is a scenario's file.
const STDIN: &str = "<stdin>";

/// Reads a scenario file; `-` is standard input.
pub fn read(path: &Path, overrides: &Overrides) -> Result<Scenario, ScenarioError> {
    if path.as_os_str() == "-" {
        return read_from(io::stdin().lock(), Path::new(STDIN), overrides);
    }
    let unreadable = |source| ScenarioError::Unreadable { path: path.to_owned(), source };
    read_from(std::fs::File::open(path).map_err(unreadable)?, path, overrides)
}

fn read_from(
    file: impl io::Read,
    path: &Path,
    overrides: &Overrides,
) -> Result<Scenario, ScenarioError> {
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to see that it is too much.
    let read = file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|source| ScenarioError::Unreadable { path: path.to_owned(), source })?;
    from_bytes(path, &bytes, overrides)
}

/// Reads a scenario from the bytes of a file, which should be UTF-8.
pub fn from_bytes(
    path: &Path,
    bytes: &[u8],
    overrides: &Overrides,
) -> Result<Scenario, ScenarioError> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return from_text(path, text, overrides),
        // The limit may have cut a character in half; it is the length that is wrong then.
        Err(_) if bytes.len() > MOST_BYTES => {
            return from_text(path, &String::from_utf8_lossy(bytes), overrides);
        }
        Err(error) => error,
    };
    let at = error.valid_up_to();
    let diagnostic = Diagnostic {
        span: at..at,
        message: format!("the file is not UTF-8: byte 0x{:02x}", bytes[at]),
        help: Some("save the file as UTF-8".to_owned()),
    };
    let text = String::from_utf8_lossy(bytes).into_owned();
    Err(ScenarioError::Invalid { path: path.to_owned(), text, diagnostics: vec![diagnostic] })
}

/// Reads a scenario from the text of a file.
pub fn from_text(
    path: &Path,
    text: &str,
    overrides: &Overrides,
) -> Result<Scenario, ScenarioError> {
    let mut diagnostics = Diagnostics::with_homes(home).at(path);
    let scenario = Reader { path, text, overrides }.scenario(&mut diagnostics)?;
    let diagnostics = diagnostics.into_sorted();
    match scenario {
        Some(scenario) if diagnostics.is_empty() => Ok(scenario),
        _ => Err(ScenarioError::Invalid {
            path: path.to_owned(),
            text: text.to_owned(),
            diagnostics,
        }),
    }
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    overrides: &'a Overrides,
}

impl Reader<'_> {
    fn scenario(&self, diagnostics: &mut Diagnostics) -> Result<Option<Scenario>, ScenarioError> {
        let root = settle(parse(self.text, diagnostics), diagnostics);
        let Some(head) = read_head(&root, diagnostics) else { return Ok(None) };
        let mut matrix = Matrix::new(&head, diagnostics);
        let axes = matrix.axes.clone();
        let problem = self.overrides.problem().or_else(|| matrix.apply(self.overrides).err());
        if let Some(message) = problem.filter(|_| diagnostics.is_empty()) {
            return Err(ScenarioError::Override { path: self.path.to_owned(), message });
        }
        if !diagnostics.is_recovering() {
            matrix.check(&used_parameters(&root), diagnostics);
        }
        let mut scenario = Scenario {
            path: self.path.to_owned(),
            text: self.text.to_owned(),
            name: head.name,
            question: head.question,
            variants: Vec::new(),
            claims: Vec::new(),
            slos: Vec::new(),
            cut: Vec::new(),
            files: Vec::new(),
        };
        let combinations = matrix.combinations();
        let mut tally = ErrorTally::default();
        for combination in &combinations {
            let (mut found, mut unused) = (diagnostics.fork(), diagnostics.fork());
            let file = read_file(&root, combination, &mut found);
            if let Some(file) = file.as_ref().filter(|_| !found.is_recovering()) {
                let slos = check::check(file, &axes, self.text, &mut found, &mut unused);
                // Claims and limits hold for all variants, and are the same in each.
                scenario.slos = slos;
                scenario.claims = file.claims.iter().map(|table| table.claim.clone()).collect();
                scenario.variants.extend(build(file, combination, self.path));
            }
            // Fewer values by the command line leave something unused in a file that is right.
            if !self.overrides.params.is_empty() || !self.overrides.sweeps.is_empty() {
                unused = diagnostics.fork();
            }
            tally.add(found, unused, &combination.params);
        }
        tally.report(combinations.len(), diagnostics);
        scenario.files = diagnostics.files().all().iter().map(ScenarioFile::of).collect();
        let unknown = scenario.variants.iter().find_map(|variant| self.overrides.unknown(variant));
        if let Some(message) = unknown.filter(|_| diagnostics.is_empty()) {
            return Err(ScenarioError::Override { path: self.path.to_owned(), message });
        }
        for variant in &mut scenario.variants {
            let cut = self.overrides.apply(variant).filter(|cut| !scenario.cut.contains(cut));
            scenario.cut.extend(cut);
        }
        let problem = scenario.variants.iter().find_map(watchdog_problem);
        match problem.filter(|_| diagnostics.is_empty()) {
            Some(message) => Err(ScenarioError::Override { path: self.path.to_owned(), message }),
            None => Ok(Some(scenario)),
        }
    }
}

/// Reads what is the same in all variants.
fn read_head(root: &Node, diagnostics: &mut Diagnostics) -> Option<Head> {
    let mut fields = Fields::of(root, diagnostics)?;
    let head = Head::read(&mut fields);
    fields.leave(diagnostics);
    head
}

/// The names of the parameters that the file uses outside its head.
fn used_parameters(root: &Node) -> BTreeSet<&str> {
    let mut used = BTreeSet::new();
    let body = root.entries().iter().filter(|(name, _)| !Head::KEYS.contains(&name.text.as_str()));
    body.for_each(|(_, node)| node.parameters(&mut used));
    used
}

/// Reads the whole file with one combination of values.
fn read_file(
    root: &Node,
    combination: &Combination,
    diagnostics: &mut Diagnostics,
) -> Option<File> {
    let entries = root.entries().iter().map(|(name, node)| {
        let is_head = Head::KEYS.contains(&name.text.as_str());
        let node =
            if is_head { node.clone() } else { node.substitute(&combination.values, diagnostics) };
        (name.clone(), node)
    });
    let filled = Node { span: root.span.clone(), value: Value::Table(entries.collect()) };
    File::read(&filled, diagnostics)
}

/// What a checked file means; `None` where an error was reported.
fn build(file: &File, combination: &Combination, path: &Path) -> Option<Variant> {
    let loads = file.load.0.iter().map(|(name, load)| {
        let LoadTable { task, kind, .. } = load.as_ref()?;
        Some(Load { name: name.text.clone(), task: task.clone(), kind: kind.clone() })
    });
    let targets = file
        .targets
        .0
        .iter()
        .map(|(name, spec)| Some(NamedTarget { name: name.text.clone(), spec: spec.clone()? }));
    let shared = file
        .shared
        .0
        .iter()
        .map(|(name, spec)| Some(NamedShared { name: name.text.clone(), spec: spec.clone()? }));
    let data = file.data.0.iter().map(|(name, table)| {
        let DataTable { csv, pick } = table.clone()?;
        let CsvRows { columns, rows } = csv;
        Some(Arc::new(NamedRows { name: name.text.clone(), pick, columns, rows }))
    });
    let tasks = file.tasks.0.iter().map(|(name, task)| {
        let steps = task.as_ref()?.steps.iter().map(|step| step.plan.clone()).collect();
        Some(Task { name: name.text.clone(), steps })
    });
    Some(Variant {
        params: combination.params.clone(),
        run: file.run.settings.clone(),
        executors: build_executors(&file.executors, path),
        targets: targets.collect::<Option<_>>()?,
        shared: shared.collect::<Option<_>>()?,
        data: data.collect::<Option<_>>()?,
        tasks: tasks.collect::<Option<_>>()?,
        loads: loads.collect::<Option<_>>()?,
    })
}

fn build_executors(table: &ExecutorsTable, path: &Path) -> ExecutorSettings {
    let names = table.used();
    let programs = table.programs.0.iter().filter_map(|(name, program)| {
        let command = program.as_ref()?.command.clone();
        Some((name.text.clone(), Program::of(command, path)))
    });
    let baseline = table.baseline.as_ref().map(|name| name.0.text.clone());
    ExecutorSettings {
        baseline: baseline.unwrap_or_else(|| default_baseline(&names)),
        names,
        programs: programs.collect(),
        workers: table.workers.map(std::num::NonZeroUsize::get),
        pool_size: table.pool.size.get(),
        stack_size: table.stack_size.map(|size| size.0),
    }
}

/// The errors of all variants, each told once: with the values of the first variant that has it,
/// and how many have it.
#[derive(Default)]
struct ErrorTally {
    /// In the order in which they were found.
    found: Vec<Found>,
    /// Where an error is among them, in its own words, and in those that are the same with other
    /// values.
    exact: HashMap<Diagnostic, usize>,
    alike: HashMap<(Diagnostic, usize), usize>,
    /// What variants do not use, and how many of them do not.
    unused: HashMap<Diagnostic, usize>,
}

/// An error of a scenario.
struct Found {
    /// As the first variant has it.
    diagnostic: Diagnostic,
    /// Variants that have it.
    count: usize,
    /// The values of the first one.
    values: String,
    /// Whether others have it in other words, for other values stand in these.
    varies: bool,
}

impl ErrorTally {
    fn add(&mut self, diagnostics: Diagnostics, unused: Diagnostics, params: &[Param]) {
        for diagnostic in unused.into_sorted() {
            *self.unused.entry(diagnostic).or_default() += 1;
        }
        // Two errors of one variant stay two, however alike they are.
        let mut seen: HashMap<Diagnostic, usize> = HashMap::new();
        for diagnostic in diagnostics.into_sorted() {
            let alike = without_values(&diagnostic, params);
            let nth = seen.entry(alike.clone()).or_default();
            *nth += 1;
            let known = self
                .exact
                .get(&diagnostic)
                .or_else(|| self.alike.get(&(alike.clone(), *nth)))
                .copied();
            let at = known.unwrap_or_else(|| {
                let values: Vec<_> = params.iter().map(ToString::to_string).collect();
                let (diagnostic, values) = (diagnostic.clone(), values.join(", "));
                self.found.push(Found { diagnostic, count: 0, values, varies: false });
                self.found.len() - 1
            });
            self.alike.entry((alike, *nth)).or_insert(at);
            self.exact.entry(diagnostic.clone()).or_insert(at);
            self.found[at].count += 1;
            self.found[at].varies |= self.found[at].diagnostic != diagnostic;
        }
    }

    fn report(self, variants: usize, diagnostics: &mut Diagnostics) {
        for Found { diagnostic: Diagnostic { span, message, help }, count, values, varies } in
            self.found
        {
            let message = match count {
                1 if variants > 1 => format!("{message} (with {values})"),
                _ if count < variants => {
                    format!("{message} (with {values}; {count} of {variants} combinations)")
                }
                _ if varies => format!("{message} (with {values}; all {variants} combinations)"),
                _ => message,
            };
            diagnostics.error(span, message, help);
        }
        // A task or a target that one variant uses is there for that one.
        for (Diagnostic { span, message, help }, _) in
            self.unused.into_iter().filter(|(_, count)| *count == variants)
        {
            diagnostics.error(span, message, help);
        }
    }
}

/// An error without what is different about it in another combination: the values, and figures that
/// follow from them.
fn without_values(diagnostic: &Diagnostic, params: &[Param]) -> Diagnostic {
    // Values stand between backticks or quotes, or behind "found"; a single letter elsewhere is
    // part of a word.
    let hidden = |text: String, value: &str| {
        let quoted = [format!("`{value}`"), format!("\"{value}\""), format!("found {value}")];
        quoted.iter().fold(text, |text, quoted| text.replace(quoted, "$"))
    };
    let plain = |text: &str| {
        let named = params.iter().fold(text.to_owned(), |text, param| hidden(text, &param.value));
        named.chars().filter(|c| !c.is_ascii_digit()).collect::<String>()
    };
    let Diagnostic { span, message, help } = diagnostic;
    Diagnostic { span: span.clone(), message: plain(message), help: help.as_deref().map(plain) }
}

#[cfg(test)]
mod tests;
