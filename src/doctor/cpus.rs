//! Checks of the CPUs: how many there are, and who else uses them.

use std::collections::BTreeMap;

use super::{Host, Judged, Need};
use crate::cgroup;

/// Quotas of control groups, version 2 and 1.
pub(super) const QUOTA: &[&str] =
    &["cgroup:cpu.max", "cgroup:cpu.cfs_quota_us", "cgroup:cpu.cfs_period_us"];
/// Times of each CPU.
pub(super) const STAT: &[&str] = &["/proc/stat"];
/// Counters of throttling: of control groups, and of CPUs that are too hot.
pub(super) const THROTTLE: &[&str] = &["cgroup:cpu.stat", HOT];
const HOT: &str = "/sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count";
/// Tasks that wait for a CPU.
pub(super) const PRESSURE: &[&str] = &["/proc/pressure/cpu"];
/// CPUs of one core.
pub(super) const SIBLINGS: &[&str] =
    &["/sys/devices/system/cpu/cpu*/topology/thread_siblings_list"];

/// Share of the CPUs that others may use.
const MOST_EXTERNAL: f64 = 0.20;
/// Share of the CPUs that the hypervisor may steal.
const MOST_STEAL: f64 = 0.05;
/// Share of time in which a task may wait for a CPU, in per cent over 10 s.
const MOST_PRESSURE: f64 = 10.0;
/// A tick of `/proc/stat`, in ns: `USER_HZ` is 100 on every architecture of Linux that Rust runs
/// on.
const TICK_NS: u64 = 10_000_000;
/// Below this many ticks of all CPUs together nothing is said.
const FEWEST_TICKS: u64 = 10;

/// Affinity and quota against the CPUs that a cell is placed on.
pub(super) fn enough(host: &Host, need: &Need) -> Judged {
    let allowed = host.cpus.len();
    let quota = quota(host);
    let words = match quota {
        Some(quota) => format!("{allowed} allowed, control group's quota {quota:.1}"),
        None => format!("{allowed} allowed"),
    };
    let effective = quota.map_or(allowed as f64, |quota| quota.min(allowed as f64));
    if allowed == 0 {
        Judged::unknown("the CPUs that may be used cannot be read")
    } else if effective < need.cpus as f64 {
        let remedy =
            "raise the quota, or place cells on fewer CPUs: `--cpus executor=… --cpus target=…`";
        Judged::warn(format!("{words}; a cell is placed on {}", need.cpus), remedy)
    } else if need.shared_cpu || (need.cells == 0 && allowed == 1) {
        let remedy = "ratios include the target's work; allow a second CPU";
        Judged::warn(format!("{words}; executor and target share a CPU"), remedy)
    } else if let Some((cell, workers, cpus)) = &need.crowded {
        let remedy = "lower `workers` under [executors], unless that is what you measure";
        Judged::warn(format!("{words}; {cell} has {workers} workers on {cpus} CPUs"), remedy)
    } else {
        Judged::fine(words)
    }
}

/// The least quota of any control group, in CPUs.
fn quota(host: &Host) -> Option<f64> {
    let new = host.now.all("cgroup:cpu.max").iter().filter_map(|(_, text)| {
        let (quota, period) = text.trim().split_once(' ')?;
        share(quota, period)
    });
    let (quotas, periods) =
        (host.now.all("cgroup:cpu.cfs_quota_us"), host.now.all("cgroup:cpu.cfs_period_us"));
    let old =
        quotas.iter().zip(periods).filter_map(|((_, quota), (_, period))| share(quota, period));
    new.chain(old).min_by(f64::total_cmp)
}

/// None for `max` (version 2) and -1 (version 1): no limit.
fn share(quota: &str, period: &str) -> Option<f64> {
    let quota = quota.trim().parse::<f64>().ok().filter(|quota| *quota > 0.0)?;
    let period = period.trim().parse::<f64>().ok().filter(|period| *period > 0.0)?;
    Some(quota / period)
}

/// Ticks of one CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ticks {
    busy: u64,
    steal: u64,
}

/// Busy and stolen ticks of the allowed CPUs.
fn ticks(stat: &str, cpus: &[usize]) -> Option<Ticks> {
    let each: BTreeMap<usize, Ticks> = stat.lines().filter_map(of_cpu).collect();
    let mut sum = Ticks::default();
    for cpu in cpus {
        let ticks = each.get(cpu)?;
        sum = Ticks { busy: sum.busy + ticks.busy, steal: sum.steal + ticks.steal };
    }
    Some(sum)
}

/// `cpu0 user nice system idle iowait irq softirq steal guest guest_nice`.
fn of_cpu(line: &str) -> Option<(usize, Ticks)> {
    let mut fields = line.strip_prefix("cpu")?.split(' ');
    let cpu = fields.next()?.parse().ok()?;
    let fields: Vec<u64> = fields.filter_map(|field| field.parse().ok()).collect();
    let at = |index: usize| fields.get(index).copied().unwrap_or(0);
    Some((cpu, Ticks { busy: at(0) + at(1) + at(2) + at(5) + at(6), steal: at(7) }))
}

/// Shares of the allowed CPUs' time since the first reading: used by others, and stolen.
fn shares(host: &Host) -> Option<(f64, f64)> {
    let (before, after) =
        (ticks(host.before.one(STAT[0])?, &host.cpus)?, ticks(host.now.one(STAT[0])?, &host.cpus)?);
    let whole = host.wall_ns * host.cpus.len() as u64;
    if whole < FEWEST_TICKS * TICK_NS {
        return None;
    }
    let share = |ns: u64| ns as f64 / whole as f64;
    let busy_ns = after.busy.saturating_sub(before.busy) * TICK_NS;
    let steal_ns = after.steal.saturating_sub(before.steal) * TICK_NS;
    Some((share(busy_ns.saturating_sub(host.own_cpu_ns)), share(steal_ns)))
}

const UNSEEN: &str = "too short a look, or /proc/stat cannot be read";

/// What other processes use.
pub(super) fn external(host: &Host, _: &Need) -> Judged {
    let Some((external, _)) = shares(host) else { return Judged::unknown(UNSEEN) };
    let words = format!("{:.0} % of the CPUs are used by others", external * 100.0);
    if external > MOST_EXTERNAL {
        Judged::warn(words, "end what else runs here (`top` shows it)")
    } else {
        Judged::fine(words)
    }
}

/// What the hypervisor takes.
pub(super) fn steal(host: &Host, _: &Need) -> Judged {
    let Some((_, steal)) = shares(host) else { return Judged::unknown(UNSEEN) };
    let words = format!("{:.1} % of the CPUs' time is stolen by the hypervisor", steal * 100.0);
    if steal > MOST_STEAL {
        Judged::warn(
            words,
            "use a host with CPUs of its own, or measure when its neighbours are quiet",
        )
    } else {
        Judged::fine(words)
    }
}

/// Whether the counters of throttling move.
pub(super) fn throttling(host: &Host, _: &Need) -> Judged {
    let groups = |files: &[(String, String)]| -> u64 {
        files.iter().filter_map(|(_, text)| cgroup::entry(text, "nr_throttled")).sum()
    };
    let hot = |files: &[(String, String)]| -> u64 {
        files.iter().filter_map(|(_, text)| text.trim().parse::<u64>().ok()).sum()
    };
    let group_file = THROTTLE[0];
    let by_group =
        groups(host.now.all(group_file)).saturating_sub(groups(host.before.all(group_file)));
    let by_heat = hot(host.now.all(HOT)).saturating_sub(hot(host.before.all(HOT)));
    if by_group > 0 {
        Judged::warn(
            format!("the control group's quota stopped it {by_group} times"),
            "raise the quota, or end what uses it up",
        )
    } else if by_heat > 0 {
        Judged::warn(
            format!("CPUs slowed down {by_heat} times because they are too hot"),
            "let it cool down",
        )
    } else if host.now.all(group_file).is_empty() && host.now.all(HOT).is_empty() {
        Judged::unknown("neither control groups nor CPUs have counters of it")
    } else {
        Judged::fine("no counter moves")
    }
}

/// How long tasks wait for a CPU.
pub(super) fn pressure(host: &Host, _: &Need) -> Judged {
    super::judge::of_file(host, PRESSURE[0], |text| {
        let average =
            |text: &str| text.split("some avg10=").nth(1)?.split(' ').next()?.parse::<f64>().ok();
        match average(text) {
            None => Judged::unknown("/proc/pressure/cpu says nothing of 10 s"),
            Some(share) if share > MOST_PRESSURE => Judged::warn(
                format!("some task waited for a CPU during {share:.0} % of the last 10 s"),
                "wait until what else runs here has ended",
            ),
            Some(share) => Judged::fine(format!(
                "some task waited for a CPU during {share:.0} % of the last 10 s"
            )),
        }
    })
}

/// Whether an executor's CPU and a target's are threads of one core.
pub(super) fn siblings(host: &Host, need: &Need) -> Judged {
    let lists: Vec<Vec<usize>> =
        host.now.all(SIBLINGS[0]).iter().map(|(_, text)| list(text)).collect();
    if lists.is_empty() {
        return Judged::unknown("the kernel does not say which CPUs are of one core");
    }
    let pair = lists.iter().find_map(|core| {
        let executor = core.iter().find(|cpu| need.executor_cpus.contains(cpu))?;
        let target = core.iter().find(|cpu| need.target_cpus.contains(cpu) && *cpu != executor)?;
        Some((executor, target))
    });
    match pair {
        Some((executor, target)) => Judged::warn(
            format!("CPU {executor} (executor) and CPU {target} (target) are threads of one core"),
            "choose CPUs of different cores: `--cpus executor=… --cpus target=…`",
        ),
        None if lists.iter().any(|core| core.len() > 1) => {
            Judged::fine("on; executor and target have cores of their own")
        }
        None => Judged::fine("off"),
    }
}

/// `0-3,8` as numbers.
fn list(text: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse::<usize>().ok()?)
    };
    text.trim().split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::judge::testing::{files, host},
        *,
    };
    use crate::store::Fitness::{Fine, Unknown, Warn};

    #[test]
    fn quotas_and_affinity_are_held_against_the_plan() {
        let need = |cpus| Need { cpus, cells: 1, ..Need::default() };
        let judged = |texts: &[(&str, &[&str])], cpus| enough(&host(texts), &need(cpus)).fitness;
        assert_eq!(judged(&[("cgroup:cpu.max", &["max 100000\n"])], 2), Fine);
        assert_eq!(judged(&[("cgroup:cpu.max", &["200000 100000\n"])], 2), Fine);
        assert_eq!(judged(&[("cgroup:cpu.max", &["max 100000\n", "199000 100000\n"])], 2), Warn);
        assert_eq!(judged(&[("cgroup:cpu.max", &["150000 100000\n"])], 1), Fine);
        let old = |quota: &'static str| -> Vec<(&str, Vec<&str>)> {
            vec![
                ("cgroup:cpu.cfs_quota_us", vec![quota]),
                ("cgroup:cpu.cfs_period_us", vec!["100000\n"]),
            ]
        };
        for (quota, fitness) in [("-1\n", Fine), ("150000\n", Warn)] {
            let texts = old(quota);
            let texts: Vec<(&str, &[&str])> =
                texts.iter().map(|(name, texts)| (*name, texts.as_slice())).collect();
            assert_eq!(judged(&texts, 2), fitness, "{quota}");
        }
        assert_eq!(judged(&[], 3), Warn);
        let alone = Host { cpus: vec![0], ..host(&[]) };
        assert_eq!(enough(&alone, &Need::default()).fitness, Warn);
        assert_eq!(enough(&alone, &need(1)).fitness, Fine);
        assert_eq!(enough(&host(&[]), &Need { shared_cpu: true, ..need(1) }).fitness, Warn);
        let crowded = Need { crowded: Some(("x::tokio".into(), 4, 1)), ..need(1) };
        assert_eq!(enough(&host(&[]), &crowded).fitness, Warn);
    }

    /// A second on two CPUs in which they were busy and robbed for so many ticks, and this process
    /// used so many.
    fn second(busy: u64, steal: u64, own: u64) -> Host {
        let stat = |busy: u64, steal: u64| {
            format!(
                "cpu  9 9 9 9\ncpu0 {busy} 5 10 500 9 1 2 {steal} 0 0\ncpu1 7 0 0 0 0 0 0 0 0 0\ncpu2 1 1 1\nintr 5\n"
            )
        };
        Host {
            before: files(&[("/proc/stat", &[&stat(100, 3)])]),
            wall_ns: 1_000_000_000,
            own_cpu_ns: own * TICK_NS,
            ..host(&[("/proc/stat", &[&stat(100 + busy, 3 + steal)])])
        }
    }

    #[test]
    fn what_others_use_is_what_is_left_of_the_busy_time() {
        let need = Need::default();
        assert_eq!(external(&second(40, 0, 0), &need).fitness, Fine);
        assert_eq!(external(&second(41, 0, 0), &need).fitness, Warn);
        assert_eq!(external(&second(41, 0, 1), &need).fitness, Fine);
        assert_eq!(steal(&second(0, 10, 0), &need).fitness, Fine);
        assert_eq!(steal(&second(0, 11, 0), &need).fitness, Warn);
        let short = Host { wall_ns: 40_000_000, ..second(41, 11, 0) };
        assert_eq!(
            (external(&short, &need).fitness, steal(&short, &need).fitness),
            (Unknown, Unknown)
        );
        // A CPU that is allowed and not in the file is no CPU that is idle.
        let absent = Host { cpus: vec![0, 7], ..second(41, 11, 0) };
        assert_eq!(external(&absent, &need).fitness, Unknown);
    }

    #[test]
    fn counters_of_throttling_may_stand_but_not_move() {
        let judged = |before: &str, after: &str, hot: (&str, &str)| {
            let texts = |group: &str, hot: &str| {
                files(&[("cgroup:cpu.stat", &[group]), (HOT, &[hot, "4\n"])])
            };
            let host =
                Host { before: texts(before, hot.0), now: texts(after, hot.1), ..Host::default() };
            throttling(&host, &Need::default()).fitness
        };
        assert_eq!(judged("nr_throttled 3\n", "nr_throttled 3\n", ("2\n", "2\n")), Fine);
        assert_eq!(judged("nr_throttled 3\n", "nr_throttled 4\n", ("2\n", "2\n")), Warn);
        assert_eq!(judged("nr_throttled 3\n", "nr_throttled 3\n", ("2\n", "3\n")), Warn);
        assert_eq!(throttling(&host(&[]), &Need::default()).fitness, Unknown);
    }

    #[test]
    fn pressure_is_that_of_ten_seconds() {
        let judged = |share: &str| {
            let text = format!(
                "some avg10={share} avg60=99.00 avg300=9.00 total=5\nfull avg10=50.00 avg60=0 total=0\n"
            );
            pressure(&host(&[("/proc/pressure/cpu", &[&text])]), &Need::default()).fitness
        };
        assert_eq!((judged("10.00"), judged("10.01"), judged("x")), (Fine, Warn, Unknown));
    }

    #[test]
    fn executor_and_target_should_not_be_threads_of_one_core() {
        let need = |executor: usize, target: usize| Need {
            executor_cpus: [executor].into(),
            target_cpus: [target].into(),
            ..Need::default()
        };
        let host = host(&[(SIBLINGS[0], &["0-1\n", "0-1\n", "2,6\n"])]);
        assert_eq!(siblings(&host, &need(0, 1)).fitness, Warn);
        assert_eq!(siblings(&host, &need(6, 2)).fitness, Warn);
        assert_eq!(siblings(&host, &need(0, 2)).fitness, Fine);
        // Sharing the CPU itself is another check's matter.
        assert_eq!(siblings(&host, &need(0, 0)).fitness, Fine);
        assert_eq!(
            siblings(&super::super::judge::testing::host(&[]), &need(0, 1)).fitness,
            Unknown
        );
    }
}
