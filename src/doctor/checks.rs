//! The table of checks, and what their judgements come to.

use std::time::Duration;

use super::{Host, Judged, Need, cpus, kernel, power, room};
use crate::store::{Fitness, HostCheck};

/// One check.
pub struct Check {
    /// What is checked.
    pub name: &'static str,
    /// The files that it looks at; see [`Files`](super::host::Files).
    pub reads: &'static [&'static str],
    /// Whether it compares these files over time.
    pub counts: bool,
    /// How it judges what was read.
    pub judge: fn(&Host, &Need) -> Judged,
}

const fn now(
    name: &'static str,
    reads: &'static [&'static str],
    judge: fn(&Host, &Need) -> Judged,
) -> Check {
    Check { name, reads, counts: false, judge }
}

const fn over_time(
    name: &'static str,
    reads: &'static [&'static str],
    judge: fn(&Host, &Need) -> Judged,
) -> Check {
    Check { name, reads, counts: true, judge }
}

/// All checks, in the order in which they are shown.
pub const CHECKS: &[Check] = &[
    now("build", &[], room::build),
    now("another run", &[], room::other_run),
    now("plan", &[], room::plan),
    now("executors", &[], room::executors),
    now("CPUs", cpus::QUOTA, cpus::enough),
    over_time("other load", cpus::STAT, cpus::external),
    over_time("steal", cpus::STAT, cpus::steal),
    over_time("throttling", cpus::THROTTLE, cpus::throttling),
    now("CPU pressure", cpus::PRESSURE, cpus::pressure),
    now("SMT", cpus::SIBLINGS, cpus::siblings),
    now("governor", power::GOVERNOR, power::governor),
    now("turbo", power::TURBO, power::turbo),
    now("battery", power::BATTERY, power::battery),
    now("clock source", kernel::CLOCK, kernel::clock_source),
    now("timer lateness", &[], kernel::lateness),
    now("address randomisation", kernel::ASLR, kernel::aslr),
    now("huge pages", kernel::HUGE, kernel::huge_pages),
    now("swap", kernel::SWAP, kernel::swap),
    now("threads", &[], room::threads),
    now("open files", &[], room::files),
    now("memory", &[], room::memory),
    now("ephemeral ports", &[], room::ports),
];

/// Looks at the host, and compares its counters over `window`.
pub fn look(window: Duration) -> Host {
    let counters = CHECKS.iter().filter(|check| check.counts).flat_map(|check| check.reads);
    let all = CHECKS.iter().flat_map(|check| check.reads);
    Host::read(window, counters.copied(), all.copied())
}

/// Makes all checks on what was read.
pub fn examine(host: &Host, need: &Need) -> Vec<HostCheck> {
    let made = CHECKS.iter().map(|check| {
        let Judged { fitness, value, remedy } = (check.judge)(host, need);
        HostCheck { name: check.name.into(), fitness, value, remedy }
    });
    made.collect()
}

/// Whether nothing refuses.
pub fn is_fit(checks: &[HostCheck]) -> bool {
    checks.iter().all(|check| check.fitness != Fitness::Refuse)
}

/// What a run is warned of before it starts, a sentence each. Cells that cannot run are refused one
/// by one and say so themselves.
pub fn warnings(checks: &[HostCheck]) -> Vec<String> {
    let told = checks.iter().filter(|check| check.fitness >= Fitness::Warn && check.name != "plan");
    told.map(|check| format!("{}: {}; {}", check.name, check.value, check.remedy)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_check_has_a_name_of_its_own_and_answers_an_empty_host() {
        let names: BTreeSet<&str> = CHECKS.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), CHECKS.len());
        let checks = examine(&Host::default(), &Need::default());
        for check in &checks {
            // What cannot be read is said to be unknown, and never found wanting.
            assert!(!check.value.is_empty(), "{check:?}");
            assert!(check.fitness < Fitness::Warn || !check.remedy.is_empty(), "{check:?}");
        }
        assert!(is_fit(&checks));
    }

    #[test]
    fn what_is_not_fine_is_told_with_its_remedy() {
        let check = |name: &str, fitness| HostCheck {
            name: name.into(),
            fitness,
            value: "so".into(),
            remedy: "mend it".into(),
        };
        let all = [
            check("a", Fitness::Fine),
            check("b", Fitness::Warn),
            check("c", Fitness::Refuse),
            check("d", Fitness::Unknown),
            check("plan", Fitness::Refuse),
        ];
        assert_eq!(warnings(&all), ["b: so; mend it", "c: so; mend it"]);
        assert!(!is_fit(&all) && is_fit(&all[..2]));
    }

    #[test]
    fn this_host_can_be_read() {
        let host = look(std::time::Duration::from_millis(1));
        assert!(!host.cpus.is_empty() && host.wall_ns >= 1_000_000);
        assert!(host.before.one("/proc/stat").is_some() && host.now.one("/proc/stat").is_some());
        assert!(host.lateness_ns.is_some());
    }
}
