//! What the command line changes about a scenario.

use std::time::Duration;

use super::{ExecutorSettings, RunSettings, Variant, quick};
use crate::{
    config::{quote, suggest},
    runtime::EXECUTORS,
    units::format_duration,
};

/// The most passes over all cells; every round beyond a few dozen narrows the intervals by next to
/// nothing.
pub const MOST_ROUNDS: u32 = 10_000;

/// Changes to a scenario from outside its file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `-p name=value`: a parameter's value; one that is swept gets this value alone.
    pub params: Vec<(String, String)>,
    /// `-P name=1,2,4`: a sweep over a parameter, in place of its value or its sweep.
    pub sweeps: Vec<(String, Vec<String>)>,
    /// Passes over all cells.
    pub rounds: Option<u32>,
    /// How long a closed load is measured; without meaning for a batch.
    pub duration: Option<Duration>,
    /// `--quick`: stages and loads that end by their tasks are cut down to about this long.
    pub longest: Option<Duration>,
    /// Run before measuring.
    pub warmup: Option<Duration>,
    /// The seed of every draw.
    pub seed: Option<u64>,
    /// The watchdog of a trial.
    pub timeout: Option<Duration>,
    /// The executors that are raced; empty: those of the file.
    pub executors: Vec<String>,
}

impl Overrides {
    /// Why the values make no sense in any scenario, if so. Parameters are looked up in each
    /// scenario.
    pub(super) fn problem(&self) -> Option<String> {
        if self.rounds == Some(0) {
            return Some("at least 1 round is needed".to_owned());
        }
        if let Some(rounds) = self.rounds.filter(|rounds| *rounds > MOST_ROUNDS) {
            return Some(format!("{rounds} rounds are too many; {MOST_ROUNDS} is the most"));
        }
        if self.duration.is_some_and(|duration| duration.is_zero())
            || self.timeout.is_some_and(|time| time.is_zero())
        {
            return Some("durations and time-outs must be above zero".to_owned());
        }
        None
    }

    /// Why executors that were asked for are none of a scenario, if so.
    pub(super) fn unknown(&self, variant: &Variant) -> Option<String> {
        let known = || known(&variant.executors);
        let unknown = self.executors.iter().find(|name| !known().any(|known| known == *name))?;
        let help = suggest(unknown, "executors", known());
        Some(format!("unknown executor {}: {help}", quote(unknown)))
    }

    /// Applies everything but the parameters, which were filled in before the file was read. Says
    /// what was cut off.
    pub(super) fn apply(&self, variant: &mut Variant) -> Option<String> {
        let run = &mut variant.run;
        *run = RunSettings {
            rounds: self.rounds.unwrap_or(run.rounds),
            warmup: self.warmup.unwrap_or(run.warmup),
            duration: self.duration.unwrap_or(run.duration),
            timeout: self.timeout.unwrap_or(run.timeout),
            seed: self.seed.unwrap_or(run.seed),
            probe: run.probe,
        };
        if !self.executors.is_empty() {
            self.choose(&mut variant.executors);
        }
        self.longest.and_then(|longest| quick::cut(variant, longest))
    }

    /// Keeps the executors that were asked for.
    fn choose(&self, executors: &mut ExecutorSettings) {
        let chosen = known(executors).filter(|name| self.executors.iter().any(|n| n == name));
        executors.names = chosen.map(str::to_owned).collect();
        if !executors.names.contains(&executors.baseline) {
            executors.baseline = default_baseline(&executors.names);
        }
    }
}

/// All that can race in a scenario.
fn known(executors: &ExecutorSettings) -> impl Iterator<Item = &str> {
    let programs = executors.programs.iter().map(|(name, _)| name.as_str());
    EXECUTORS.iter().map(|info| info.name).chain(programs)
}

/// Why the watchdog would kill every trial, now that the command line has had its say.
pub(super) fn watchdog_problem(variant: &Variant) -> Option<String> {
    let RunSettings { warmup, duration, timeout, .. } = variant.run;
    let kinds = variant.loads.iter().map(|load| &load.kind);
    let timed = kinds.filter_map(|kind| Some((kind.measured(duration)?, kind.drain())));
    let (after, drain) =
        timed.map(|(measured, drain)| (measured.saturating_add(drain), drain)).max()?;
    (timeout <= warmup.saturating_add(after)).then(|| {
        let [warmup, after, timeout] = [warmup, after, timeout].map(format_duration);
        let what = if drain.is_zero() { "of measuring" } else { "of measuring and draining" };
        format!(
            "every trial would be killed before it ends: the time-out is {timeout}, a warm-up of {warmup} and \
             {after} {what} take longer; raise `timeout`"
        )
    })
}

/// `thread-pool` if it is raced, else the first.
pub(super) fn default_baseline(names: &[String]) -> String {
    let pool = names.iter().find(|name| *name == "thread-pool");
    pool.or(names.first()).cloned().unwrap_or_default()
}
