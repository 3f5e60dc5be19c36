//! What the command line changes about a scenario.

use std::time::Duration;

use super::{LoadKind, RunSettings, Variant};
use crate::{
    config::{quote, suggest},
    runtime::{EXECUTORS, executor},
    units::format_duration,
};

/// The most passes over all cells; every round beyond a few dozen narrows the intervals by next to nothing.
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
    /// Stages of an open load that take longer in all are shortened to this, in proportion.
    pub longest_stages: Option<Duration>,
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
    /// Why the values make no sense in any scenario, if so. Parameters are looked up in each scenario.
    pub(super) fn problem(&self) -> Option<String> {
        if self.rounds == Some(0) {
            return Some("at least 1 round is needed".to_owned());
        }
        if let Some(rounds) = self.rounds.filter(|rounds| *rounds > MOST_ROUNDS) {
            return Some(format!("{rounds} rounds are too many; {MOST_ROUNDS} is the most"));
        }
        if self.duration.is_some_and(|duration| duration.is_zero()) || self.timeout.is_some_and(|time| time.is_zero()) {
            return Some("durations and time-outs must be above zero".to_owned());
        }
        let unknown = self.executors.iter().find(|name| executor(name).is_none())?;
        let help = suggest(unknown, "executors", EXECUTORS.iter().map(|info| info.name));
        Some(format!("unknown executor {}: {help}", quote(unknown)))
    }

    /// Applies everything but the parameters, which were filled in before the file was read.
    pub(super) fn apply(&self, variant: &mut Variant) {
        let run = &mut variant.run;
        *run = RunSettings {
            rounds: self.rounds.unwrap_or(run.rounds),
            warmup: self.warmup.unwrap_or(run.warmup),
            duration: self.duration.unwrap_or(run.duration),
            timeout: self.timeout.unwrap_or(run.timeout),
            seed: self.seed.unwrap_or(run.seed),
            probe: run.probe,
        };
        if let Some(longest) = self.longest_stages {
            shorten(&mut variant.load.kind, longest);
        }
        if self.executors.is_empty() {
            return;
        }
        let chosen = EXECUTORS.iter().map(|info| info.name).filter(|name| self.executors.iter().any(|n| n == name));
        let executors = &mut variant.executors;
        executors.names = chosen.map(str::to_owned).collect();
        if !executors.names.contains(&executors.baseline) {
            executors.baseline = default_baseline(&executors.names);
        }
    }
}

/// Shortens all stages by the same share, so that they take no longer than this in all.
fn shorten(kind: &mut LoadKind, longest: Duration) {
    let LoadKind::Open { stages, .. } = kind else { return };
    let all_ns: u128 = stages.iter().map(|stage| u128::from(stage.length_ns)).sum();
    for stage in stages.iter_mut().filter(|_| all_ns > longest.as_nanos()) {
        let length_ns = u128::from(stage.length_ns) * longest.as_nanos() / all_ns;
        // It is less than it was, and a stage of no length would be none.
        stage.length_ns = u64::try_from(length_ns).unwrap_or(stage.length_ns).max(1);
    }
}

/// Why the watchdog would kill every trial, now that the command line has had its say.
pub(super) fn watchdog_problem(variant: &Variant) -> Option<String> {
    let RunSettings { warmup, duration, timeout, .. } = variant.run;
    let kind = &variant.load.kind;
    let after = kind.measured(duration)?.saturating_add(kind.drain());
    (timeout <= warmup.saturating_add(after)).then(|| {
        let [warmup, after, timeout] = [warmup, after, timeout].map(format_duration);
        let what = if kind.drain().is_zero() { "of measuring" } else { "of measuring and draining" };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Arrival, Overflow, Stage};

    #[test]
    fn stages_keep_their_proportions_and_short_ones_their_length() {
        let lengths = |ms: &[u64], longest_ms| {
            let stages = ms.iter().map(|ms| Stage { from: 1.0, to: 2.0, length_ns: ms * 1_000_000 });
            let mut kind = LoadKind::Open {
                rate: 1.0,
                arrival: Arrival::Constant,
                max_in_flight: 1,
                overflow: Overflow::Drop,
                stages: stages.collect(),
                drain: Duration::ZERO,
            };
            shorten(&mut kind, Duration::from_millis(longest_ms));
            let LoadKind::Open { stages, .. } = kind else { return Vec::new() };
            stages.iter().map(|stage| stage.length_ns / 1_000_000).collect::<Vec<_>>()
        };
        assert_eq!(lengths(&[1_000, 3_000, 2_000], 300), [50, 150, 100]);
        assert_eq!(lengths(&[100, 150], 300), [100, 150]);
        assert!(lengths(&[], 300).is_empty());
    }
}
