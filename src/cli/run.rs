//! `regatta run`: measure, store, print, report.

use std::{
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use super::{
    CliError, Command, Terminal,
    folder::Folder,
    input::Selection,
    progress::Progress,
    report::{format, write_page},
    resume,
    verdict::{Demand, exit, undecided},
};
use crate::{
    analysis, clock,
    doctor::{self, Host, Lock, Need},
    exit::Exit,
    plan::{Plan, Planned},
    report,
    run::{self, End, Event, Left},
    scenario::{self, Scenario, ScenarioError},
    step::Calibration,
    store::{self, Header, HostCheck, Line, StoredScenario, Writer},
    trial::{
        TrialPlan, allowed_cpus,
        parent::{self, Runner},
    },
};

/// What an interrupted run has settled already; named one by one, so that an error names the one that was given.
const FIXED: [&str; 13] = [
    "paths", "filter", "executor", "param", "sweep", "rounds", "duration", "warmup", "timeout", "seed", "quick",
    "cpus", "out",
];

/// How long the check before a run watches the host's counters.
const LOOK: Duration = Duration::from_millis(250);

/// Measures scenarios.
#[derive(Debug, Clone, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent switch of the command line")]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// The folder for this run. Default: a new one under `reports/`.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The folder of a run to resume: what is missing is run, and what has failed is run again, unless its work was wrong.
    /// Default: a new run.
    #[arg(long, value_name = "RUN", conflicts_with_all = FIXED)]
    resume: Option<PathBuf>,
    /// What to print at the end: human, html, markdown, json, csv or hlog.
    #[arg(long, value_name = "FORMAT", default_value = "human", value_parser = format)]
    format: String,
    /// Cells that a limit of this host forbids are no reason for exit code 5.
    #[arg(long)]
    skip_refused: bool,
    /// Run although another run is in progress on this host: each disturbs the other.
    #[arg(long)]
    allow_other_runs: bool,
    /// Exit code 3 where a cell is not valid.
    #[arg(long)]
    strict: bool,
    /// Limits that could not be judged are no reason for exit code 3.
    #[arg(long)]
    allow_unjudged: bool,
}

/// A run that is ready to go on.
pub(super) struct Prepared {
    pub folder: PathBuf,
    pub plan: Plan,
    pub writer: Writer,
    /// What is still to be run.
    pub left: Left,
    /// Nothing is left to run.
    pub finished: bool,
}

impl Run {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Exit, CliError> {
        let (runner, events) =
            Runner::new().map_err(|source| CliError::System { what: "cannot find this program's file", source })?;
        // Before anything is written, so that no signal finds a run that nobody ends in good order.
        forward_signals(events)?;
        let _only_run = only_run(self.allow_other_runs)?;
        let mut prepared = match &self.resume {
            Some(folder) => take_up(folder, self.allow_other_runs, terminal)?,
            None => self.prepare(terminal)?,
        };
        let end = if prepared.finished { End::Finished } else { measure(&mut prepared, &runner, terminal)? };
        self.show(&prepared, end, terminal)
    }

    fn prepare(&self, terminal: &Terminal) -> Result<Prepared, CliError> {
        let scenarios = self.selection.scenarios(terminal)?;
        let folder = Folder::of_scenarios(self.out.as_deref(), &scenarios);
        start(&self.selection, &scenarios, &folder, self.allow_other_runs, terminal)
    }

    /// Prints and writes what the run has found; says how the program ends.
    fn show(&self, prepared: &Prepared, end: End, terminal: &Terminal) -> Result<Exit, CliError> {
        let run = store::read(&prepared.folder)?;
        let analysis = analysis::analyse(&run);
        let text = match (self.format.as_str(), report::output(&self.format)) {
            ("human", _) | (_, None) => report::text_in(&run.header, &analysis, terminal.color, Terminal::columns()),
            (_, Some(output)) => output.render(&run, &analysis),
        };
        terminal.result(&text)?;
        terminal.note(&format!("wrote {}", prepared.writer.path().display()));
        if run.trials.is_empty() {
            terminal.note("no trial has ended, so there is no page");
        } else {
            let page = prepared.folder.join("index.html");
            write_page(&page, &report::html(&run.header, &analysis))?;
            terminal.note(&format!("wrote {}", page.display()));
        }
        let go_on = format!("go on with `regatta run --resume {}`", prepared.folder.display());
        match end {
            End::Interrupted(signal) => terminal.note(&format!("{signal}: what was measured is kept; {go_on}")),
            _ if run.missing().is_empty() => {}
            _ => terminal.note(&format!("trials failed, or were not run: when the cause is mended, {go_on}")),
        }
        let &Self { strict, allow_unjudged, skip_refused, .. } = self;
        let demand = Demand { strict, allow_unjudged, skip_refused };
        Ok(exit(&analysis, end, skip_refused).or(undecided(&run.header, &analysis, demand, terminal)))
    }
}

/// The lock that keeps other runs away as long as it lives, unless they are allowed.
pub(super) fn only_run(allow_other_runs: bool) -> Result<Option<Lock>, CliError> {
    if allow_other_runs { Ok(None) } else { Ok(Some(Lock::take(&doctor::lock::path())?)) }
}

/// Plans a run, warns of what may disturb it, and writes its header into its folder.
pub(super) fn start(
    selection: &Selection,
    scenarios: &[Scenario],
    folder: &Folder,
    allow_other_runs: bool,
    terminal: &Terminal,
) -> Result<Prepared, CliError> {
    let (plan, mut header) = open(selection, scenarios, allow_other_runs, terminal)?;
    let (folder, writer) = folder.create(&mut header)?;
    let left = plan.trials.iter().map(|trial| (plan.name_of(trial), 0)).collect();
    Ok(Prepared { folder, plan, writer, left, finished: false })
}

/// Plans a run and warns of what may disturb it: the plan, and the header, which names no folder yet.
pub(super) fn open(
    selection: &Selection,
    scenarios: &[Scenario],
    allow_other_runs: bool,
    terminal: &Terminal,
) -> Result<(Plan, Header), CliError> {
    let (mut plan, seed) = selection.plan(scenarios)?;
    plan.refuse_unready(scenarios);
    let mut calibration = Calibration::default();
    plan.calibrate(&mut calibration);
    let started_ms = clock::unix_ms();
    let checks = check(&plan, allow_other_runs);
    let warnings = warnings(&checks, terminal);
    let header = Header {
        regatta_run: store::VERSION,
        run: String::new(),
        started_ms,
        command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        seed,
        quick: selection.quick,
        rounds: plan.rounds(),
        environment: doctor::describe(),
        cpus: allowed_cpus(),
        scenarios: scenarios.iter().map(stored).collect(),
        cells: plan.stored(),
        warnings,
        checks,
        calibration: calibration.0,
        clock_ns: clock::cost_ns(),
        search: None,
    };
    Ok((plan, header))
}

/// What the checks warn of, said.
pub(super) fn warnings(checks: &[HostCheck], terminal: &Terminal) -> Vec<String> {
    let warnings = doctor::warnings(checks);
    for warning in &warnings {
        terminal.warn(warning);
    }
    warnings
}

/// The doctor's short form: noise only warns, and limits have refused their cells already.
pub(super) fn check(plan: &Plan, allow_other_runs: bool) -> Vec<HostCheck> {
    let mut host = Host::read(LOOK);
    if !allow_other_runs {
        // The lock is this run's own.
        host.other_run = None;
    }
    doctor::examine(&host, &Need::of(plan))
}

fn stored(scenario: &Scenario) -> StoredScenario {
    let executors = scenario.variants.first().map(|variant| variant.executors.clone());
    StoredScenario {
        name: scenario.name.clone(),
        path: scenario.path.display().to_string(),
        question: scenario.question.clone(),
        text: scenario.text.clone(),
        baseline: executors.as_ref().map(|executors| executors.baseline.clone()).unwrap_or_default(),
        executors: executors.map(|executors| executors.names).unwrap_or_default(),
        claims: scenario.claims.clone(),
        slos: scenario.slos.clone(),
    }
}

/// Plans a stored run again, from the scenarios and the command line in its header.
fn take_up(folder: &Path, allow_other_runs: bool, terminal: &Terminal) -> Result<Prepared, CliError> {
    let (mut writer, mut stored) = Writer::open_append(folder)?;
    let bad = |reason: String| CliError::BadData { path: writer.path().to_owned(), reason };
    let command = super::parse(&stored.header.command)
        .map_err(|_| bad("was made by a command line that this program does not understand".into()))?;
    let original = match command.command {
        Command::Run(original) => original,
        Command::FindRate(_) => {
            return Err(bad("is a search: take it up with `regatta find-rate --resume`".into()));
        }
        _ => {
            return Err(bad("was not made by `regatta run`; a self-test cannot be taken up, so start it again".into()));
        }
    };
    let scenarios = scenarios_of(&stored.header, &original.selection)?;
    let (mut plan, _) = original.selection.plan(&scenarios)?;
    plan.refuse_unready(&scenarios);
    plan.calibrate(&mut Calibration(stored.header.calibration.clone()));

    let now = plan.stored();
    let cells = resume::possible_now(&stored.header.cells, &now);
    let finished = stored.finished && cells.is_empty() && stored.missing().is_empty();
    let change = || {
        resume::change(&stored.header, &stored.header.cells, &now)
            .or_else(|| resume::other_server(&stored, plan.cells.iter()))
    };
    if !finished && let Some(why) = change() {
        return Err(bad(why));
    }
    for cell in &cells {
        stored.replace(cell.clone());
    }
    let left = left(&stored);
    if finished {
        terminal.note("the run is finished; only its report is written again");
    } else {
        let (all, left) = (plan.trials.len(), left.len());
        terminal.note(&format!("{} of {all} trials are there; running the others", all - left));
        resume::warn_of_edits(&stored.header, terminal);
        let warnings = warnings(&check(&plan, allow_other_runs), terminal);
        writer.append(&Line::Resumed { at_ms: clock::unix_ms(), cells, warnings })?;
    }
    let folder = writer.path().parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_owned();
    Ok(Prepared { folder, plan, writer, left, finished })
}

/// What is still to be run.
fn left(stored: &store::Run) -> Left {
    stored.missing().into_iter().map(|((cell, round), attempts)| ((cell.to_owned(), round), attempts)).collect()
}

/// The scenarios of a stored run, with what its command line changed.
pub(super) fn scenarios_of(header: &Header, selection: &Selection) -> Result<Vec<Scenario>, ScenarioError> {
    let overrides = selection.overrides();
    let read = |stored: &StoredScenario| scenario::from_text(Path::new(&stored.path), &stored.text, &overrides);
    header.scenarios.iter().map(read).collect()
}

pub(super) fn measure(prepared: &mut Prepared, runner: &Runner, terminal: &Terminal) -> Result<End, CliError> {
    let Prepared { plan, left, .. } = &*prepared;
    let trials = report::plural(left.len(), "trial");
    let mut progress = Progress::new(terminal, plan, left);
    let is_left = |trial: &&Planned| left.contains_key(&plan.name_of(trial));
    let time = plan.time_of(plan.trials.iter().filter(is_left));
    terminal.note(&format!("{trials}, one process each: {}", time.words()));
    let plans = terminal.verbose.then(|| prepared.folder.join("plans"));
    let mut written = Ok(());
    let end = run::execute(&prepared.plan, &prepared.left, runner, &mut prepared.writer, |event| match event {
        Event::Begins { sequence, plan, .. } => {
            if let Some(folder) = plans.as_deref().filter(|_| written.is_ok()) {
                written = write_plan(folder, sequence, plan, terminal);
            }
            progress.begins(&plan.cell, plan.round);
        }
        Event::Ended(record) => progress.ended(record),
        Event::Again(trials) => progress.again(trials),
        Event::Disturbed { round, trials, disturbed } => progress.disturbed(round, trials, disturbed),
        Event::GaveUp(given_up, saved) => progress.gave_up(given_up, saved),
        Event::LeftBehind(left) => progress.left_behind(left),
    })?;
    progress.finish();
    written?;
    Ok(end)
}

/// Writes a trial's plan and says how to replay it.
pub(super) fn write_plan(
    folder: &Path,
    sequence: usize,
    plan: &TrialPlan,
    terminal: &Terminal,
) -> Result<(), CliError> {
    let path = folder.join(format!("{sequence:04}.json"));
    let text = serde_json::to_string_pretty(plan).map_err(std::io::Error::from);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, text?))
        .map_err(|source| CliError::Output { path: path.clone(), source })?;
    terminal.command(&format!("replay: {} trial --plan {}", quoted(&program()), quoted(&absolute(&path))));
    Ok(())
}

/// This program as a shell finds it from any folder.
fn program() -> PathBuf {
    let called = PathBuf::from(std::env::args_os().next().unwrap_or_default());
    // A bare name was found in PATH, and will be again.
    if called.components().count() == 1 && !called.is_absolute() { called } else { absolute(&called) }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A path as one word of a shell's command line.
fn quoted(path: &Path) -> String {
    if path.to_str().is_none() {
        // Bytes that are no text have no other way into a shell's words.
        return format!("$'{}'", path.as_os_str().as_bytes().escape_ascii());
    }
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%=,".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// The first signal ends the run in good order, the second one at once.
pub(super) fn forward_signals(events: std::sync::mpsc::Sender<parent::Event>) -> Result<(), CliError> {
    let mut heard = vec![SIGINT, SIGTERM];
    if !ignores_hang_up() {
        heard.push(SIGHUP);
    }
    let signals = Signals::new(heard);
    let mut signals = signals.map_err(|source| CliError::System { what: "cannot listen for signals", source })?;
    std::thread::spawn(move || {
        let mut arrived = signals.forever();
        while let Some(signal) = arrived.next() {
            let (name, exit) = match signal {
                SIGTERM => ("SIGTERM", Exit::Terminated),
                SIGHUP => ("SIGHUP", Exit::HungUp),
                _ => ("SIGINT", Exit::Interrupted),
            };
            if events.send(parent::Event::Signal(name)).is_err() || arrived.next().is_some() {
                std::process::exit(i32::from(exit.code()));
            }
        }
    });
    Ok(())
}

/// Whether the hang-up signal was ignored when this program began, as `nohup` does so that a run outlives its terminal.
fn ignores_hang_up() -> bool {
    let status = procfs::process::Process::myself().and_then(|process| process.status());
    // Signal 1 is the lowest bit.
    status.is_ok_and(|status| status.sigign & 1 == 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::Arguments;

    #[test]
    fn any_path_is_one_word_of_a_shell() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};
        let said = |bytes: &[u8]| quoted(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(said(b"a/b.json"), "a/b.json");
        assert_eq!(said(b"it's"), r"'it'\''s'");
        assert_eq!(said(b"x\xff'y"), r"$'x\xff\'y'");
    }

    #[test]
    fn a_run_is_taken_up_with_the_flags_it_began_with() {
        let command = Arguments::command();
        let run = command.find_subcommand("run").unwrap();
        let free = [
            "resume",
            "format",
            "skip_refused",
            "allow_other_runs",
            "strict",
            "allow_unjudged",
            "color",
            "quiet",
            "verbose",
            "help",
        ];
        let all = run.get_arguments().map(|argument| argument.get_id().as_str());
        let settled: BTreeSet<&str> = all.filter(|id| !free.contains(id)).collect();
        assert_eq!(settled, FIXED.into_iter().collect());
        for flag in ["--rounds=3", "--quick", "--cpus=executor=0", "s.toml"] {
            assert!(Arguments::try_parse_from(["regatta", "run", "--resume", "run", flag]).is_err(), "{flag}");
        }
        assert!(Arguments::try_parse_from(["regatta", "run", "--resume", "run", "--skip-refused"]).is_ok());
    }
}
