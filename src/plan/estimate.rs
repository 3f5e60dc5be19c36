//! How long a trial will take, for `list` and the progress bar.

use std::time::Duration;

use crate::{scenario::LoadKind, step::Cost, units::short_duration};

/// Starting a process, its target and its executor, and saying the result.
const OVERHEAD: Duration = Duration::from_millis(90);
/// Without an explicit `repeat`, batches are repeated until this much has been measured.
const ENOUGH: Duration = Duration::from_secs(1);

/// An estimate for one trial of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// One batch, or one task of a closed load.
    pub once: Duration,
    /// The whole trial.
    pub trial: Duration,
    /// The whole trial, where all that may last longer does: an open load that drains.
    pub most: Duration,
    /// Whether it ends by its tasks, and nobody knows how long these take: a server of the user's
    /// own says it.
    pub is_least: bool,
}

/// An estimate for many trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// Where each trial is run once.
    pub once: Duration,
    /// Where each is disturbed, and run again as often as that may be.
    pub most: Duration,
    /// Whether nobody knows how long some of them take.
    pub is_least: bool,
}

/// A disturbed trial is run again so often at most.
pub const MOST_AGAIN: u32 = 2;

impl Time {
    /// Of trials with these estimates.
    pub fn of<'a>(trials: impl Iterator<Item = &'a Estimate> + Clone) -> Self {
        Self {
            once: total(trials.clone().map(|estimate| estimate.trial)),
            most: total(trials.clone().map(|estimate| estimate.most))
                .saturating_mul(1 + MOST_AGAIN),
            is_least: trials.clone().any(|estimate| estimate.is_least),
        }
    }

    /// From a quiet host to one that disturbs every trial; a server's own time is not known.
    pub fn words(&self) -> String {
        let [once, most] = [self.once, self.most].map(short_duration);
        if self.is_least {
            return format!("at least {once}, for how long your own server takes is not known");
        }
        format!(
            "about {once}, and up to {most} where others disturb each trial, which is then run again"
        )
    }
}

impl Estimate {
    /// For a load on `slots` slots and `cpus` CPUs whose tasks cost `task`.
    pub fn new(
        load: &LoadKind,
        task: Cost,
        slots: u64,
        cpus: usize,
        warmup: Duration,
        duration: Duration,
    ) -> Self {
        match *load {
            LoadKind::Batch { tasks, repeat } => {
                let once = time_of(tasks, task, slots, cpus);
                let measured = match repeat {
                    Some(repeat) => once.saturating_mul(repeat),
                    None => once.max(whole_batches(once)),
                };
                let warming = if warmup.is_zero() { Duration::ZERO } else { warmup.max(once) };
                Self::exactly(once, total([OVERHEAD, warming, measured]))
            }
            LoadKind::Closed { concurrency, think, tasks, .. } => {
                let once = task.mean.saturating_add(think.mean());
                let measured = match tasks {
                    Some(tasks) => {
                        time_of(tasks, Cost { mean: once, ..task }, slots.min(concurrency), cpus)
                    }
                    None => load.measured(duration).unwrap_or(duration),
                };
                Self::exactly(once, total([OVERHEAD, warmup, measured]))
            }
            // Draining lasts as long as the tasks that came last, unless they hang.
            LoadKind::Open { .. } => {
                let measured = load.measured(duration).unwrap_or(duration);
                let once = Self::exactly(task.mean, total([OVERHEAD, warmup, measured, task.mean]));
                Self { most: total([once.trial, load.drain()]), ..once }
            }
        }
    }

    /// For loads that begin together, each with its own estimate: a trial lasts as long as the
    /// longest.
    pub fn together(loads: impl Iterator<Item = Self>) -> Self {
        let none = Self::exactly(Duration::ZERO, Duration::ZERO);
        loads.fold(none, |all, load| Self {
            once: all.once.max(load.once),
            trial: all.trial.max(load.trial),
            most: all.most.max(load.most),
            is_least: all.is_least || load.is_least,
        })
    }

    fn exactly(once: Duration, trial: Duration) -> Self {
        Self { once, trial, most: trial, is_least: false }
    }

    /// The same where tasks call a server whose times nobody knows: a load that ends by its tasks
    /// lasts at least so long.
    #[must_use]
    pub fn with_unknown_server(self, load: &LoadKind) -> Self {
        let by_tasks =
            matches!(load, LoadKind::Batch { .. } | LoadKind::Closed { tasks: Some(_), .. });
        Self { is_least: by_tasks, ..self }
    }
}

/// The time of `tasks` tasks: rounds over the slots, or the work for the CPUs if that is longer.
fn time_of(tasks: u64, task: Cost, slots: u64, cpus: usize) -> Duration {
    let waves = tasks.div_ceil(slots.max(1)) as f64;
    let waiting = task.mean.as_secs_f64() * waves;
    let working = task.cpu.as_secs_f64() * tasks as f64 / (cpus as f64).min(slots as f64).max(1.0);
    seconds(waiting.max(working))
}

/// Whole batches of length `once` until enough has been measured.
fn whole_batches(once: Duration) -> Duration {
    if once.is_zero() {
        ENOUGH
    } else {
        seconds(once.as_secs_f64() * (ENOUGH.as_secs_f64() / once.as_secs_f64()).ceil())
    }
}

/// So many seconds; what no duration can hold is the longest one, for a scenario may ask for absurd
/// numbers.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// The sum of durations, or the longest one where no duration can hold it.
pub fn total(times: impl IntoIterator<Item = Duration>) -> Duration {
    times.into_iter().fold(Duration::ZERO, Duration::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Distribution;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn batch(slots: u64, mean: u64, cpu: u64) -> Duration {
        let cost = Cost { least: MS(0), mean: MS(mean), cpu: MS(cpu) };
        let load = LoadKind::Batch { tasks: 100, repeat: Some(1) };
        Estimate::new(&load, cost, slots, 2, MS(0), MS(0)).once
    }

    #[test]
    fn waits_overlap_and_work_does_not() {
        assert_eq!(batch(1, 20, 0), MS(2_000));
        assert_eq!(batch(100, 20, 0), MS(20));
        assert_eq!(batch(64, 20, 0), MS(40));
        assert_eq!(batch(1, 5, 5), MS(500));
        assert_eq!(batch(100, 5, 5), MS(250));
    }

    #[test]
    fn many_trials_take_a_time_from_once_to_three_times() {
        let load = LoadKind::Batch { tasks: 1, repeat: Some(1) };
        let one =
            Estimate::new(&load, Cost { mean: MS(910), ..Cost::default() }, 1, 1, MS(0), MS(0));
        let time = Time::of([one, one].iter());
        assert_eq!((time.once, time.most, time.is_least), (MS(2_000), MS(6_000), false));
        let words =
            "about 2.0 s, and up to 6.0 s where others disturb each trial, which is then run again";
        assert_eq!(time.words(), words);
    }

    #[test]
    fn a_drain_may_take_its_whole_time() {
        let load = LoadKind::Open {
            rate: 1.0,
            arrival: crate::load::Arrival::Constant,
            max_in_flight: 1,
            overflow: crate::load::Overflow::Drop,
            stages: Vec::new(),
            drain: MS(5_000),
        };
        let one = Estimate::new(&load, Cost::default(), 1, 1, MS(0), MS(910));
        assert_eq!((one.trial, one.most), (MS(1_000), MS(6_000)));
    }

    #[test]
    fn a_server_s_own_time_is_not_known_where_the_load_waits_for_it() {
        let is_least = |load: LoadKind| {
            let one = Estimate::new(&load, Cost::default(), 1, 1, MS(0), MS(1_000))
                .with_unknown_server(&load);
            assert_eq!(Time::of([one].iter()).words().starts_with("at least "), one.is_least);
            one.is_least
        };
        let think = Distribution::Const(MS(0));
        let closed = |tasks| LoadKind::Closed {
            concurrency: 1,
            stages: Vec::new(),
            think,
            tasks,
            drain: MS(0),
        };
        assert!(is_least(LoadKind::Batch { tasks: 1, repeat: None }) && is_least(closed(Some(9))));
        assert!(!is_least(closed(None)));
    }

    #[test]
    fn absurd_numbers_saturate() {
        let cost = Cost { least: Duration::MAX, mean: Duration::MAX, cpu: Duration::MAX };
        for repeat in [None, Some(u32::MAX)] {
            let load = LoadKind::Batch { tasks: u64::MAX, repeat };
            assert_eq!(Estimate::new(&load, cost, 1, 1, Duration::MAX, MS(0)).trial, Duration::MAX);
        }
        let think = Distribution::Const(Duration::MAX);
        let (concurrency, tasks, drain) = (u64::MAX, Some(u64::MAX), Duration::MAX);
        let load = LoadKind::Closed { concurrency, stages: Vec::new(), think, tasks, drain };
        assert_eq!(
            Estimate::new(&load, cost, u64::MAX, 1, MS(0), Duration::MAX).trial,
            Duration::MAX
        );
        assert_eq!(total([Duration::MAX, MS(1)]), Duration::MAX);
    }

    #[test]
    fn short_batches_are_repeated_for_a_second() {
        let cost = Cost { mean: MS(300), ..Cost::default() };
        let load = LoadKind::Batch { tasks: 1, repeat: None };
        assert_eq!(Estimate::new(&load, cost, 1, 1, MS(0), MS(0)).trial, OVERHEAD + MS(1_200));
    }
}
