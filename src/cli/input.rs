//! What several commands take: scenario files and what the command line changes about them; names
//! of outputs.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use regex::Regex;

use crate::{report, scenario::Overrides, units};

/// How long a quick run measures.
const QUICK: Duration = Duration::from_millis(300);

/// Scenarios, and changes to them.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Selection {
    /// Scenario files, folders of them, or `-` for standard input. There is no default.
    #[arg(value_name = "SCENARIO|DIR")]
    pub paths: Vec<PathBuf>,
    /// Only cells whose name, such as `http-fanout::tokio::concurrency=16`, matches; may be
    /// repeated, and then all must match. Default: all cells.
    #[arg(short, long, value_name = "REGEX")]
    pub filter: Vec<Regex>,
    /// Only these executors, such as `tokio,threads`; may be repeated. Default: those of the
    /// scenario.
    #[arg(short, long, value_name = "NAME", value_delimiter = ',')]
    pub executor: Vec<String>,
    /// The value of a parameter of the scenario, such as `-p concurrency=4`; may be repeated.
    /// Default: the scenario's.
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    pub param: Vec<(String, String)>,
    /// Several values of a parameter, each in cells of its own, such as `-P concurrency=1,2,4`; may
    /// be repeated. Default: the scenario's `[sweep]`.
    #[arg(short = 'P', long = "sweep", value_name = "NAME=A,B,…", value_parser = pair)]
    pub sweep: Vec<(String, String)>,
    /// How often each cell is measured; below 6 there is no 95 % interval. Default: the scenario's
    /// `rounds`, or 7.
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,
    /// How long a closed or open load is measured, such as `5s` or `500ms`. Default: the scenario's
    /// `duration`, or 5s.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub duration: Option<Duration>,
    /// How long the load runs before it is measured, such as `1s`. Default: the scenario's
    /// `warmup`, or 1s.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub warmup: Option<Duration>,
    /// How long a trial may take before it is killed, such as `2m`. Default: the scenario's
    /// `timeout`, or 60s.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub timeout: Option<Duration>,
    /// The seed of all draws and of the order of trials, a number. Default: the scenario's `seed`,
    /// or 42.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// To see whether it works: one round, no warm-up, and about 300 ms measured. Loads that end by
    /// their tasks have fewer of them, which is said. The figures are stamped "not comparable".
    #[arg(long)]
    pub quick: bool,
    /// The CPUs of the executor, and of targets that Regatta starts: `--cpus executor=0,1 --cpus
    /// target=2`. Default: the last CPU for targets, the others for the executor; all for the
    /// executor where there is no such target.
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

/// The name of an output, or which ones there are.
pub(super) fn format(name: &str) -> Result<String, String> {
    let names: Vec<&str> = report::OUTPUTS.iter().map(|output| output.name).collect();
    if names.contains(&name) {
        Ok(name.into())
    } else {
        Err(format!("expected one of {}", names.join(", ")))
    }
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

    /// A parameter that is given one value and swept, too: one of them would be for nothing.
    pub(super) fn contradiction(&self) -> Option<String> {
        let twice =
            |(name, _): &&(String, String)| self.sweep.iter().any(|(swept, _)| swept == name);
        let (name, value) = self.param.iter().find(twice)?;
        let (_, values) = self.sweep.iter().find(|(swept, _)| swept == name)?;
        Some(format!(
            "`-p {name}={value}` and `-P {name}={values}` contradict each other; keep one of the two"
        ))
    }
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
            Selection { param, sweep: vec![pair(sweep).unwrap()], ..Selection::default() }
                .contradiction()
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
