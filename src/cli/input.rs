//! What several commands take: scenario files and what the command line changes about them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use regex::Regex;

use super::{CliError, Terminal};
use crate::{
    limits::Limits,
    plan::{Machine, Plan},
    scenario::{self, Load, LoadKind, Overrides, Scenario},
    trial, units,
};

/// How long a quick run measures.
const QUICK: Duration = Duration::from_millis(300);

/// Scenarios, and changes to them.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Selection {
    /// Scenario files, folders of them, or `-` for standard input. There is no default.
    #[arg(value_name = "SCENARIO|DIR")]
    pub paths: Vec<PathBuf>,
    /// Only cells whose name, such as `http-fanout::tokio::concurrency=16`, matches; may be repeated, and then all must
    /// match. Default: all cells.
    #[arg(short, long, value_name = "REGEX")]
    pub filter: Vec<Regex>,
    /// Only these executors, such as `tokio,threads`; may be repeated. Default: those of the scenario.
    #[arg(short, long, value_name = "NAME", value_delimiter = ',')]
    pub executor: Vec<String>,
    /// The value of a parameter of the scenario, such as `-p concurrency=4`; may be repeated. Default: the scenario's.
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    pub param: Vec<(String, String)>,
    /// Several values of a parameter, each in cells of its own, such as `-P concurrency=1,2,4`; may be repeated. Default:
    /// the scenario's `[sweep]`.
    #[arg(short = 'P', long = "sweep", value_name = "NAME=A,B,…", value_parser = pair)]
    pub sweep: Vec<(String, String)>,
    /// How often each cell is measured; below 6 there is no 95 % interval. Default: the scenario's `rounds`, or 7.
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,
    /// How long a closed or open load is measured, such as `5s` or `500ms`. Default: the scenario's `duration`, or 5s.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub duration: Option<Duration>,
    /// How long the load runs before it is measured, such as `1s`. Default: the scenario's `warmup`, or 1s.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub warmup: Option<Duration>,
    /// How long a trial may take before it is killed, such as `2m`. Default: the scenario's `timeout`, or 60s.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub timeout: Option<Duration>,
    /// The seed of all draws and of the order of trials, a number. Default: the scenario's `seed`, or 42.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// To see whether it works: one round, no warm-up, and about 300 ms measured. Loads that end by their tasks have fewer of
    /// them, which is said. The figures are stamped "not comparable".
    #[arg(long)]
    pub quick: bool,
    /// The CPUs of the executor, and of targets that Regatta starts: `--cpus executor=0,1 --cpus target=2`. Default: the
    /// last CPU for targets, the others for the executor; all for the executor where there is no such target.
    #[arg(long, value_name = "WHO=CPUS", num_args = 1, value_parser = cpus)]
    pub cpus: Vec<(Who, Vec<usize>)>,
}

/// Who is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// The executor.
    Executor,
    /// The target's process.
    Target,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn time(text: &str) -> Result<Duration, String> {
    units::parse_duration(text).map_err(|error| error.to_string())
}

pub(super) fn cpus(text: &str) -> Result<(Who, Vec<usize>), String> {
    let (who, list) = pair(text)?;
    let who = match who.as_str() {
        "executor" => Who::Executor,
        "target" => Who::Target,
        _ => return Err(format!("expected `executor=…` or `target=…`, found `{who}`")),
    };
    let numbers: Result<Vec<usize>, _> = list.split([',', '+']).map(str::parse).collect();
    Ok((who, numbers.map_err(|_| format!("expected CPU numbers such as `0,1`, found `{list}`"))?))
}

/// Whether a path is the sign for standard input, or output.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

impl Selection {
    /// The changes.
    pub(super) fn overrides(&self) -> Overrides {
        Overrides {
            params: self.param.clone(),
            sweeps: self.sweep.iter().map(|(name, values)| (name.clone(), split(values))).collect(),
            rounds: self.rounds.or(self.quick.then_some(1)),
            duration: self.duration.or(self.quick.then_some(QUICK)),
            warmup: self.warmup.or(self.quick.then_some(Duration::ZERO)),
            longest: self.quick.then(|| self.duration.unwrap_or(QUICK)),
            seed: self.seed,
            timeout: self.timeout,
            executors: self.executor.clone(),
        }
    }

    /// Reads all scenarios; every file's errors are printed.
    pub(super) fn scenarios(&self, terminal: &Terminal) -> Result<Vec<Scenario>, CliError> {
        if let Some(problem) = self.contradiction() {
            return Err(CliError::Usage(problem));
        }
        let files = self.files()?;
        let overrides = self.overrides();
        let mut scenarios: Vec<Scenario> = Vec::new();
        let mut errors = Vec::new();
        for file in &files {
            match scenario::read(file, &overrides) {
                Ok(scenario) => scenarios.push(scenario),
                Err(error) => errors.push(CliError::from(error)),
            }
        }
        if errors.len() > 1 {
            let count = errors.len();
            for error in &errors {
                terminal.error(error);
            }
            return Err(CliError::Scenarios(count, files.len()));
        }
        if let Some(error) = errors.pop() {
            return Err(error);
        }
        if let Some(error) = same_name(&scenarios) {
            return Err(error);
        }
        self.warn_of_unused(&scenarios, terminal)?;
        for scenario in scenarios.iter().filter(|scenario| !scenario.cut.is_empty()) {
            terminal.note(&format!("--quick cuts {} short: {}", scenario.name, scenario.cut.join("; ")));
        }
        Ok(scenarios)
    }

    /// `--duration` where a load ends by something else: an error where it changes nothing at all, or a warning.
    fn warn_of_unused(&self, scenarios: &[Scenario], terminal: &Terminal) -> Result<(), CliError> {
        // What a quick run cuts off follows from it, too.
        if self.duration.is_none() || self.quick {
            return Ok(());
        }
        let unused: Vec<String> = scenarios.iter().filter_map(unaffected).collect();
        let text = || format!("`--duration` changes nothing about {}", unused.join(", nor about "));
        match unused.len() {
            0 => {}
            all if all == scenarios.len() => return Err(CliError::Usage(text())),
            _ => terminal.warn(&text()),
        }
        Ok(())
    }

    /// A parameter that is given one value and swept, too: one of them would be for nothing.
    fn contradiction(&self) -> Option<String> {
        let twice = |(name, _): &&(String, String)| self.sweep.iter().any(|(swept, _)| swept == name);
        let (name, value) = self.param.iter().find(twice)?;
        let (_, values) = self.sweep.iter().find(|(swept, _)| swept == name)?;
        Some(format!("`-p {name}={value}` and `-P {name}={values}` contradict each other; keep one of the two"))
    }

    /// The files that the paths mean.
    pub(super) fn files(&self) -> Result<Vec<PathBuf>, CliError> {
        if self.paths.is_empty() {
            return Err(CliError::Usage(
                "name a scenario file or a folder of them, such as `scenarios/headline`; `regatta init` writes a first one"
                    .into(),
            ));
        }
        if self.paths.iter().filter(|path| is_stdin(path)).count() > 1 {
            return Err(CliError::Usage("`-` stands twice, and there is one standard input".into()));
        }
        let mut files = Vec::new();
        for path in &self.paths {
            let before = files.len();
            collect(path, &mut files)?;
            if files.len() == before {
                let reason = "this folder has no scenario files (*.toml)".into();
                return Err(CliError::BadData { path: path.clone(), reason });
            }
        }
        Ok(files)
    }

    /// The plan, and the seed that orders it.
    pub(super) fn plan(&self, scenarios: &[Scenario]) -> Result<(Plan, u64), CliError> {
        let seed = scenarios.iter().flat_map(|s| &s.variants).map(|v| v.run.seed).next().unwrap_or(0);
        let keep = |name: &str| self.filter.iter().all(|filter| filter.is_match(name));
        let machine = self.machine()?;
        let plan = Plan::new(scenarios, &machine, seed, keep);
        if plan.cells.is_empty() {
            let filters: Vec<&str> = self.filter.iter().map(Regex::as_str).collect();
            let reason = format!("no cell matches `{}`; `regatta list` shows the names", filters.join("` and `"));
            return Err(CliError::NothingMatched(reason));
        }
        if machine.target_cpus.is_some() && plan.cells.iter().all(|cell| cell.stored.target_cpus.is_empty()) {
            let reason =
                "`--cpus target=…` changes nothing: no cell has a target in a process of its own, or an open load";
            return Err(CliError::Usage(reason.into()));
        }
        Ok((plan, seed))
    }

    fn machine(&self) -> Result<Machine, CliError> {
        let cpus = trial::allowed_cpus();
        let of = |who| self.cpus.iter().find(|(placed, _)| *placed == who).map(|(_, cpus)| cpus.clone());
        for (at, (who, _)) in self.cpus.iter().enumerate() {
            if self.cpus[..at].iter().any(|(placed, _)| placed == who) {
                let who = if *who == Who::Executor { "executor" } else { "target" };
                return Err(CliError::Usage(format!("`--cpus {who}=…` stands twice; name all its CPUs in one")));
            }
        }
        if let Some(wrong) = self.cpus.iter().flat_map(|(_, list)| list).find(|cpu| !cpus.contains(cpu)) {
            return Err(CliError::Usage(format!("CPU {wrong} is not one of those that may be used: {cpus:?}")));
        }
        Ok(Machine { executor_cpus: of(Who::Executor), target_cpus: of(Who::Target), cpus, limits: Limits::read() })
    }
}

/// A scenario whose `duration` decides nothing, and what does.
fn unaffected(scenario: &Scenario) -> Option<String> {
    let keys = |load: &Load| match &load.kind {
        LoadKind::Batch { .. } => Some("`tasks` and `repeat`"),
        LoadKind::Closed { tasks: Some(_), .. } => Some("`tasks`"),
        LoadKind::Open { stages, .. } if !stages.is_empty() => Some("`stages`"),
        LoadKind::Closed { .. } | LoadKind::Open { .. } => None,
    };
    let all: Option<Vec<&str>> = scenario.variants.iter().map(|variant| keys(&variant.load)).collect();
    let (keys, load) = (*all?.first()?, &scenario.variants.first()?.load.name);
    Some(format!("{}, which measures for as long as {keys} under [load.{load}] say", scenario.name))
}

/// Splits at commas that are not inside parentheses, so that distributions can be swept.
fn split(values: &str) -> Vec<String> {
    let mut depth = 0;
    let parts = values.split(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    parts.map(|part| part.trim().to_owned()).collect()
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), CliError> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let unreadable = |source| CliError::Input { path: path.to_owned(), source };
    let entries: Result<Vec<_>, _> = fs::read_dir(path).map_err(unreadable)?.collect();
    let mut paths: Vec<PathBuf> = entries.map_err(unreadable)?.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() || path.extension().is_some_and(|extension| extension == "toml") {
            collect(&path, files)?;
        }
    }
    Ok(())
}

/// Cells are found by name, so two scenarios of one run cannot have the same.
fn same_name(scenarios: &[Scenario]) -> Option<CliError> {
    let twin = |(at, scenario): (usize, &Scenario)| {
        let first = scenarios[..at].iter().find(|other| other.name == scenario.name)?;
        let reason = format!("the name `{}` is also that of {}; rename one", scenario.name, first.path.display());
        Some(CliError::BadData { path: scenario.path.clone(), reason })
    };
    scenarios.iter().enumerate().find_map(twin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweeps_split_outside_parentheses() {
        assert_eq!(split("1, 2,4"), ["1", "2", "4"]);
        assert_eq!(split("uniform(1ms,3ms),exp(2ms)"), ["uniform(1ms,3ms)", "exp(2ms)"]);
    }

    #[test]
    fn a_parameter_has_a_value_or_a_sweep() {
        let both = |param: &str, sweep: &str| {
            let param = vec![pair(param).unwrap()];
            Selection { param, sweep: vec![pair(sweep).unwrap()], ..Selection::default() }.contradiction()
        };
        let problem = both("n=4", "n=1,2").expect("they contradict each other");
        assert!(problem.contains("`-p n=4`") && problem.contains("`-P n=1,2`"), "{problem}");
        assert_eq!(both("n=4", "m=1,2"), None);
    }

    #[test]
    fn cpus_are_read() {
        assert_eq!(cpus("executor=0,1"), Ok((Who::Executor, vec![0, 1])));
        assert!(cpus("client=0").is_err() && cpus("target=x").is_err());
    }
}
