//! What `--quick` cuts off, so that a look at whether everything works is short: loads that end by
//! their tasks have fewer of them, and stages are shorter.

use std::time::Duration;

use super::{Load, LoadKind, Variant, tree::time_of_task};
use crate::{
    runtime::{Style, executor},
    step::Cost,
    units::format_duration,
};

/// What a task is taken for that calls a server of the user's own, whose times nobody knows.
const OWN_SERVER: Duration = Duration::from_millis(5);
/// A batch without `repeat` is repeated so often at most.
const MOST_REPEATS: u32 = 1_000;

/// Cuts the loads short, so that each one's slowest executor measures for about this long, and says
/// how. One task is the least.
pub(super) fn cut(variant: &mut Variant, longest: Duration) -> Option<String> {
    let paces: Vec<Pace> = variant.loads.iter().map(|load| Pace::slowest(variant, load)).collect();
    let several = paces.len() > 1;
    let cut = variant.loads.iter_mut().zip(paces).filter_map(|(load, slowest)| {
        let words = cut_load(&mut load.kind, &slowest, longest)?;
        Some(if several { format!("{}: {words}", load.name) } else { words })
    });
    let cut: Vec<String> = cut.collect();
    (!cut.is_empty()).then(|| cut.join("; "))
}

fn cut_load(kind: &mut LoadKind, slowest: &Pace, longest: Duration) -> Option<String> {
    match kind {
        LoadKind::Batch { tasks, repeat } => {
            let before = (*tasks, *repeat);
            *tasks = slowest.tasks_in(longest, *tasks);
            let once = slowest.time_of(*tasks);
            let most = u32::try_from(times_in(longest, once))
                .map_or(MOST_REPEATS, |most| most.clamp(1, MOST_REPEATS));
            *repeat = Some(repeat.map_or(most, |asked| asked.min(most)));
            let fewer =
                (*tasks < before.0).then(|| format!("{tasks} tasks instead of {}", before.0));
            let seldom = repeat.zip(before.1).filter(|(now, before)| now < before);
            let seldom = seldom.map(|(now, before)| format!("repeat = {now} instead of {before}"));
            joined([fewer, seldom])
        }
        LoadKind::Closed { tasks: Some(tasks), .. } => {
            let before = *tasks;
            *tasks = slowest.tasks_in(longest, before);
            (*tasks < before).then(|| format!("{tasks} tasks instead of {before}"))
        }
        LoadKind::Open { .. } | LoadKind::Closed { tasks: None, .. } => shorten(kind, longest),
    }
}

/// How often a time is in a longer one; without end where it is none.
fn times_in(longest: Duration, time: Duration) -> u64 {
    longest
        .as_nanos()
        .checked_div(time.as_nanos())
        .map_or(u64::MAX, |times| u64::try_from(times).unwrap_or(u64::MAX))
}

fn joined(parts: [Option<String>; 2]) -> Option<String> {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// How fast the executor is that does the fewest tasks at once.
struct Pace {
    slots: u64,
    task: Cost,
}

impl Pace {
    fn slowest(variant: &Variant, load: &Load) -> Self {
        let used = || {
            variant.executors.names.iter().filter_map(|name| executor(name)).map(|info| info.style)
        };
        let (at_once, pool_size) = (load.kind.concurrency(), variant.executors.pool_size as u64);
        let slots = used().map(|style| style.slots(at_once, pool_size)).min().unwrap_or(at_once);
        let serial = used().any(|style| style == Style::Serial);
        let cost = time_of_task(&variant.tasks, &variant.targets, &load.task.text, !serial);
        let has_server = variant.targets.iter().any(|target| target.spec.is_own_server());
        let think = load.kind.think().mean();
        let mean = if has_server { cost.mean.max(OWN_SERVER) } else { cost.mean };
        Self { slots: slots.max(1), task: Cost { mean: mean.saturating_add(think), ..cost } }
    }

    /// So many of the tasks as end in this time.
    fn tasks_in(&self, time: Duration, tasks: u64) -> u64 {
        let waves = times_in(time, self.task.mean).max(1);
        let worked = times_in(time, self.task.cpu);
        tasks.min(waves.saturating_mul(self.slots).min(worked).max(1))
    }

    fn time_of(&self, tasks: u64) -> Duration {
        let many = |time: Duration, count: u64| {
            u32::try_from(count).map_or(Duration::MAX, |n| time.saturating_mul(n))
        };
        many(self.task.mean, tasks.div_ceil(self.slots)).max(many(self.task.cpu, tasks))
    }
}

/// Shortens all stages by the same share, so that they take no longer than this in all.
fn shorten(kind: &mut LoadKind, longest: Duration) -> Option<String> {
    let all = kind.staged().filter(|all| *all > longest)?;
    let lengths_ns: Vec<&mut u64> = match kind {
        LoadKind::Batch { .. } => Vec::new(),
        LoadKind::Closed { stages, .. } => {
            stages.iter_mut().map(|stage| &mut stage.length_ns).collect()
        }
        LoadKind::Open { stages, .. } => {
            stages.iter_mut().map(|stage| &mut stage.length_ns).collect()
        }
    };
    for length_ns in lengths_ns {
        let shorter_ns = u128::from(*length_ns) * longest.as_nanos() / all.as_nanos();
        // It is less than it was, and a stage of no length would be none.
        *length_ns = u64::try_from(shorter_ns).unwrap_or(*length_ns).max(1);
    }
    Some(format!("stages of {} instead of {}", format_duration(longest), format_duration(all)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        load::{Arrival, Overflow, Stage},
        scenario::{Overrides, from_text},
    };

    #[test]
    fn stages_keep_their_proportions_and_short_ones_their_length() {
        let lengths = |ms: &[u64], longest_ms| {
            let stages =
                ms.iter().map(|ms| Stage { from: 1.0, to: 2.0, length_ns: ms * 1_000_000 });
            let mut kind = LoadKind::Open {
                rate: 1.0,
                arrival: Arrival::Constant,
                max_in_flight: 1,
                overflow: Overflow::Drop,
                stages: stages.collect(),
                drain: Duration::ZERO,
            };
            let said = shorten(&mut kind, Duration::from_millis(longest_ms));
            let LoadKind::Open { stages, .. } = kind else { return (Vec::new(), said) };
            (stages.iter().map(|stage| stage.length_ns / 1_000_000).collect::<Vec<_>>(), said)
        };
        let said = Some("stages of 300ms instead of 6s".to_owned());
        assert_eq!(lengths(&[1_000, 3_000, 2_000], 300), (vec![50, 150, 100], said));
        assert_eq!(lengths(&[100, 150], 300), (vec![100, 150], None));
        assert_eq!(lengths(&[], 300), (Vec::new(), None));
    }

    /// What becomes of a load of 300 ms at most, and what is said of it.
    fn quick(executors: &str, step: &str, load: &str) -> (LoadKind, String) {
        let target = if step.contains("api") {
            "[targets.api]\nhttp = { url = 'http://127.0.0.1:1' }\n"
        } else {
            ""
        };
        let text = format!(
            "schema = 1\nname = 'x'\n{target}[tasks.t]\nsteps = [{{ {step} }}]\n[load.l]\ntask = 't'\n{load}\n[executors]\nuse \
             = [{executors}]\n"
        );
        let quick = Overrides { longest: Some(Duration::from_millis(300)), ..Overrides::default() };
        let scenario = from_text(Path::new("x.toml"), &text, &quick).unwrap();
        (scenario.variants[0].loads[0].kind.clone(), scenario.cut.join("; "))
    }

    const NAP: &str = "sleep = { time = '20ms' }";

    #[test]
    fn a_batch_has_as_many_tasks_as_the_slowest_executor_does_in_time() {
        let batch = |tasks, repeat| LoadKind::Batch { tasks, repeat: Some(repeat) };
        let load = "batch = { tasks = 100, repeat = 5 }";
        let said = "15 tasks instead of 100, repeat = 1 instead of 5".to_owned();
        assert_eq!(quick("'sequential', 'tokio'", NAP, load), (batch(15, 1), said));
        assert_eq!(quick("'tokio'", NAP, load), (batch(100, 5), String::new()));
        let many = "batch = { tasks = 100000, repeat = 1 }";
        assert_eq!(quick("'thread-pool', 'tokio'", NAP, many).0, batch(15 * 64, 1));
        // Without `repeat`, a second is not waited for.
        assert_eq!(
            quick("'sequential'", NAP, "batch = { tasks = 5 }"),
            (batch(5, 3), String::new())
        );
        assert_eq!(quick("'sequential'", "noop = {}", "batch = { tasks = 5 }").0, batch(5, 1_000));
        // One task is the least.
        assert_eq!(
            quick("'tokio'", "sleep = { time = '1h' }", "batch = { tasks = 1, repeat = 2 }").0,
            batch(1, 1)
        );
        // Work is done one after another where there are more tasks than CPUs.
        assert_eq!(
            quick("'tokio'", "cpu = { kernel = 'sha256', time = '10ms' }", load).0,
            batch(30, 1)
        );
    }

    #[test]
    fn a_server_whose_times_nobody_knows_gets_few_calls() {
        let get = "http = { target = 'api', path = '/' }";
        let (kind, _) = quick("'sequential'", get, "batch = { tasks = 1000 }");
        assert_eq!(kind, LoadKind::Batch { tasks: 60, repeat: Some(1) });
    }

    #[test]
    fn a_closed_load_that_ends_by_its_tasks_has_fewer() {
        let tasks = |load: &str| {
            let (kind, said) = quick("'sequential', 'tokio'", NAP, load);
            let LoadKind::Closed { tasks, .. } = kind else { panic!("{kind:?}") };
            (tasks, said)
        };
        let said = "15 tasks instead of 10000".to_owned();
        assert_eq!(tasks("closed = { concurrency = 64, tasks = 10000 }"), (Some(15), said));
        assert_eq!(tasks("closed = { concurrency = 64 }"), (None, String::new()));
    }
}
