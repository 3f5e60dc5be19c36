//! `regatta find-rate`: the highest rate of an open load at which its limits hold, for each
//! executor.

use std::path::{Path, PathBuf};

use super::{
    CliError, Terminal,
    folder::RunFolder,
    header,
    input::Selection,
    lock::Leave,
    page, plan,
    progress::gave_up,
    replay::Plans,
    resume,
    verdict::{self, signal, when},
};
use crate::{
    analysis::{self, RateSearch, Vote},
    exit::Exit,
    plan::{Cell, Searchable, searches},
    report,
    run::{self, RunEnd, RunEvent, SearchAgenda, TrialRunner},
    scenario::{self, Comparison, MOST_RATE, Scenario, Slo},
    store::{Run, Search, StoredCell, TrialRecord, Writer},
    units::{parse_rate, short_duration},
};

/// What an interrupted search has settled already.
const FIXED: [&str; 18] = [
    "paths",
    "filter",
    "executor",
    "param",
    "sweep",
    "rounds",
    "duration",
    "warmup",
    "timeout",
    "seed",
    "quick",
    "cpus",
    "out",
    "limit",
    "start",
    "most",
    "precision",
    "trials",
];

/// Searches for the highest rate.
#[derive(Debug, Clone, clap::Args)]
// A rate takes as many trials as it needs; who asks for rounds is told so.
#[command(mut_arg("rounds", |rounds| rounds.hide(true)))]
pub(super) struct FindRate {
    #[command(flatten)]
    selection: Selection,
    /// What must hold, such as `request.latency.p99 < 25ms`; may be repeated. Default: the
    /// scenario's [[slo]].
    #[arg(long, value_name = "LIMIT")]
    limit: Vec<String>,
    /// The first rate that is tried, such as `1k/s`. Default: the scenario's own, the least of
    /// several.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    start: Option<f64>,
    /// The highest rate that is tried, such as `50k/s`.
    #[arg(long, value_name = "RATE", default_value = "10M/s", value_parser = rate)]
    most: f64,
    /// How near the least rate that fails must be to the highest that passes: from 1% to 50%.
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = share)]
    precision: f64,
    /// Trials of one rate at most: it is decided as soon as one verdict leads by two.
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(2..=99))]
    trials: u32,
    /// The folder for this search. Default: a new one under `reports/`.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The folder of an interrupted search, which goes on where it was. Default: a new search.
    #[arg(long, value_name = "RUN", conflicts_with_all = FIXED)]
    resume: Option<PathBuf>,
    /// What to print at the end.
    #[arg(long, value_name = "FORMAT", default_value = "human", value_parser = ["human", "markdown", "json"])]
    format: String,
    /// Cells that a limit of this host forbids are no reason for exit code 5.
    #[arg(long)]
    skip_refused: bool,
    /// Run although another run is in progress on this host: each disturbs the other.
    #[arg(long)]
    allow_other_runs: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = parse_rate(text).map_err(|error| error.to_string())?;
    match rate {
        ..=0.0 => Err("a rate must be above zero".into()),
        rate if rate > MOST_RATE => {
            Err("no pacer hands over as many arrivals: 1000M/s is the most".into())
        }
        rate => Ok(rate),
    }
}

/// `5%` or `0.05`.
fn share(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let share = match text.strip_suffix('%') {
        Some(percent) => number(percent).map(|percent| percent / 100.0),
        None => number(text),
    };
    share
        .filter(|share| (0.01..=0.5).contains(share))
        .ok_or_else(|| "expected a share from 1% to 50%".to_owned())
}

/// A search that is ready to go on.
struct PreparedSearch {
    folder: PathBuf,
    cells: Vec<Searchable>,
    run: Run,
    writer: Writer,
}

impl FindRate {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Exit, CliError> {
        let leave = Leave::take(self.allow_other_runs)?;
        let mut prepared = match &self.resume {
            Some(folder) => resume(folder, self.allow_other_runs, terminal)?,
            None => self.begin(terminal)?,
        };
        let end = if prepared.run.finished {
            RunEnd::Finished
        } else {
            measure(&mut prepared, &leave.runner, terminal)?
        };
        self.show(&prepared, end, terminal)
    }

    /// Plans a search and writes its header into its folder.
    fn begin(&self, terminal: &Terminal) -> Result<PreparedSearch, CliError> {
        if self.selection.rounds.is_some() {
            let reason = "a search runs as many trials as a rate needs: limit them with `--trials`";
            return Err(CliError::Usage(reason.into()));
        }
        let mut scenarios = self.selection.scenarios(terminal)?;
        for scenario in &mut scenarios {
            self.set_limits(scenario)?;
            if scenario.slos.is_empty() {
                let name = &scenario.name;
                terminal.note(&format!(
                    "{name} has no [[slo]] and there is no --limit: a trial passes where nothing is dropped and it is \
                     VALID"
                ));
            }
        }
        let (plan, mut header) =
            header::open(&self.selection, &scenarios, self.allow_other_runs, terminal)?;
        let cells = self.searches(&plan.cells, &scenarios)?;
        header.cells =
            cells.iter().filter(|cell| cell.is_refused()).map(|cell| cell.stored().cell).collect();
        header.search = Some(Search {
            cells: cells.iter().map(Searchable::stored).collect(),
            precision: self.precision,
            most_trials: self.trials,
            highest: self.most,
        });
        let (folder, writer) =
            RunFolder::of_scenarios(self.out.as_deref(), &scenarios).create(&mut header)?;
        Ok(PreparedSearch { folder, cells, run: Run::new(header), writer })
    }

    /// The limits of the command line take the place of the scenario's own.
    fn set_limits(&self, scenario: &mut Scenario) -> Result<(), CliError> {
        if !self.limit.is_empty() {
            let read = self.limit.iter().map(|text| scenario::limit(text, scenario));
            let limits: Result<Vec<Slo>, String> = read.collect();
            let usage = |reason| CliError::Usage(format!("{}: {reason}", scenario.path.display()));
            scenario.slos = limits.map_err(usage)?;
        }
        let demand = scenario.slos.iter().find(|slo| fails_at_low_rates(slo));
        demand.map_or(Ok(()), |slo| Err(CliError::Usage(no_limit(slo, &scenario.path))))
    }

    fn searches(
        &self,
        cells: &[Cell],
        scenarios: &[Scenario],
    ) -> Result<Vec<Searchable>, CliError> {
        let of = |name: &str| scenarios.iter().find(|scenario| scenario.name == name);
        let limits = |name: &str| of(name).map_or(&[][..], |scenario| &scenario.slos);
        searches(cells, self.start, self.precision, limits).map_err(|why| {
            let path = of(&why.scenario)
                .map(|scenario| scenario.path.display().to_string())
                .unwrap_or_default();
            CliError::Usage(format!("{path}: {}", why.reason))
        })
    }

    /// Prints what the search has found; says how the program ends.
    fn show(
        &self,
        prepared: &PreparedSearch,
        end: RunEnd,
        terminal: &Terminal,
    ) -> Result<Exit, CliError> {
        let Some(found) = analysis::rate_search(&prepared.run) else { return Ok(Exit::Fine) };
        let header = &prepared.run.header;
        let text = match self.format.as_str() {
            "json" => report::rates_json(header, &found),
            "markdown" => report::rates_markdown(header, &found),
            _ => report::rates(header, &found, Terminal::columns()),
        };
        terminal.result(&text)?;
        let folder = prepared.folder.display();
        terminal.note(&format!("wrote {}", prepared.writer.path().display()));
        let analysis = analysis::analyse(&prepared.run);
        let more = ", with every rate that was tried";
        page::write_new(&prepared.folder, &prepared.run, &analysis, more, terminal)?;
        let go_on = format!("go on with `regatta find-rate --resume {folder}`");
        match end {
            RunEnd::Interrupted(signal) => {
                terminal.note(&format!("{signal}: what was measured is kept; {go_on}"));
            }
            RunEnd::GaveUp => terminal.note(&format!("when the cause is mended, {go_on}")),
            RunEnd::Finished => {}
        }
        Ok(signal(end).or(exit(&found, self.skip_refused)))
    }
}

/// Whether it holds at high rates rather than at low ones: then no rate is the highest that meets
/// it.
fn fails_at_low_rates(slo: &Slo) -> bool {
    matches!(slo.comparison, Comparison::Above | Comparison::AtLeast)
}

fn no_limit(slo: &Slo, scenario: &Path) -> String {
    format!(
        "{}: `{}` does not hold at low rates, so that there is no highest rate at which it does; a search is for limits \
         that high rates violate: name them with `--limit`, such as `{}.latency.p99 < 25ms`",
        scenario.display(),
        slo.assert,
        slo.subject
    )
}

fn exit(found: &RateSearch, skip_refused: bool) -> Exit {
    let incomplete = found.has_failures() || (found.has_refusals() && !skip_refused);
    when(incomplete, Exit::Incomplete).or(verdict::search(found))
}

/// Resumes a stored search: all that it has found follows from its run file.
fn resume(
    folder: &Path,
    allow_other_runs: bool,
    terminal: &Terminal,
) -> Result<PreparedSearch, CliError> {
    let mut taken: resume::ResumedRun<FindRate> = resume::open(
        folder,
        "find-rate",
        |_| "is no search; resume it with `regatta run --resume`",
    )?;
    let (header, original) = (&taken.run.header, &taken.original);
    let mut scenarios = plan::scenarios_of(header, &original.selection)?;
    for scenario in &mut scenarios {
        original.set_limits(scenario)?;
    }
    let plan = plan::again(header, &original.selection, &scenarios)?;
    let cells = original.searches(&plan.cells, &scenarios)?;
    if taken.run.finished {
        terminal.note("the search is finished");
    } else {
        let now: Vec<StoredCell> = cells.iter().map(|cell| cell.stored().cell).collect();
        let searched = header.search.iter().flat_map(|search| &search.cells);
        let before: Vec<StoredCell> = searched.map(|searched| searched.cell.clone()).collect();
        taken.ensure_unchanged(&before, &now, cells.iter().map(Searchable::cell))?;
        let trials = report::plural(taken.run.trials.len(), "trial");
        terminal.note(&format!("{trials} are there; the search goes on"));
        taken.goes_on(&plan, Vec::new(), allow_other_runs, terminal)?;
    }
    Ok(PreparedSearch { folder: taken.folder(), cells, run: taken.run, writer: taken.writer })
}

fn measure(
    prepared: &mut PreparedSearch,
    trials: &impl TrialRunner,
    terminal: &Terminal,
) -> Result<RunEnd, CliError> {
    let PreparedSearch { folder, cells, run, writer } = prepared;
    let mut plans = Plans::new(folder, terminal);
    let agenda = SearchAgenda::new(cells, run);
    let end = run::execute(&agenda, run, trials, writer, |event| match event {
        RunEvent::Begins { sequence, plan } => plans.begins(sequence, plan),
        RunEvent::Ended { record, run } => {
            if let Some(vote) = analysis::vote_of(run, record) {
                terminal.note(&line(record, &vote));
            }
        }
        RunEvent::GaveUp { given_up, saved } => terminal.warn(&gave_up(given_up, saved)),
        RunEvent::LeftBehind(left) => terminal.alert(left),
        // A search speaks of each disturbed trial itself.
        RunEvent::Noticed(_) => {}
    })?;
    plans.end()?;
    Ok(end)
}

/// One line for each trial: how long a search takes is known only when it has ended.
fn line(record: &TrialRecord, vote: &Vote) -> String {
    let wall = short_duration(std::time::Duration::from_nanos(record.wall_ns));
    let words = match vote {
        Vote::Meets => "passes".to_owned(),
        Vote::Misses(why) => format!("does not pass: {why}"),
        Vote::Failed(why) | Vote::Disturbed(why) => why.clone(),
        Vote::Invalid(why) | Vote::Open(why) => format!("cannot be judged: {why}"),
    };
    let again = if record.attempt > 0 { " again" } else { "" };
    format!("trial {} {} #{}{again} {words} ({wall})", record.sequence, record.cell, record.round)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cli::help;

    #[test]
    fn a_search_is_taken_up_with_the_flags_it_began_with() {
        let command = help::command();
        let find_rate = command.find_subcommand("find-rate").unwrap();
        let free = [
            "resume",
            "format",
            "skip_refused",
            "allow_other_runs",
            "color",
            "quiet",
            "verbose",
            "help",
        ];
        let all = find_rate.get_arguments().map(|argument| argument.get_id().as_str());
        let settled: BTreeSet<&str> = all.filter(|id| !free.contains(id)).collect();
        assert_eq!(settled, FIXED.into_iter().collect());
    }

    #[test]
    fn what_is_refused_is_not_offered() {
        let help = help::command()
            .find_subcommand_mut("find-rate")
            .unwrap()
            .render_long_help()
            .to_string();
        assert!(help.contains("--trials") && !help.contains("--rounds"), "{help}");
    }

    #[test]
    fn shares_and_rates_are_read() {
        assert_eq!((share("5%"), share("0.25"), rate("4k/s")), (Ok(0.05), Ok(0.25), Ok(4_000.0)));
        assert!(rate("1000M/s").is_ok() && rate("1001M/s").is_err());
        assert!(
            share("0").is_err()
                && share("60%").is_err()
                && share("x").is_err()
                && rate("0/s").is_err()
        );
    }
}
