//! Whether this host is fit for measuring: a table of checks, each with what it reads and how it judges.
//!
//! Reading ([`host`]) is apart from judging: a judgement is a pure function of the texts that were read and of what
//! the plan needs, so that each is tested with recorded texts. `record` is what a run notes of host and build.

mod cpus;
pub mod host;
mod judge;
mod kernel;
pub mod lock;
mod need;
mod power;
mod record;
mod room;

pub use host::Host;
pub use judge::Judged;
pub use lock::{Lock, LockError};
pub use need::Need;
pub use record::describe;

use crate::store::{Fitness, HostCheck};

/// One check.
pub struct Check {
    /// What is checked.
    pub name: &'static str,
    /// The files that it looks at; see [`host::Files`].
    pub reads: &'static [&'static str],
    /// Whether it compares these files over time.
    pub counts: bool,
    /// How it judges what was read.
    pub judge: fn(&Host, &Need) -> Judged,
}

const fn look(name: &'static str, reads: &'static [&'static str], judge: fn(&Host, &Need) -> Judged) -> Check {
    Check { name, reads, counts: false, judge }
}

const fn count(name: &'static str, reads: &'static [&'static str], judge: fn(&Host, &Need) -> Judged) -> Check {
    Check { name, reads, counts: true, judge }
}

/// All checks, in the order in which they are shown.
pub const CHECKS: &[Check] = &[
    look("build", &[], room::build),
    look("another run", &[], room::other_run),
    look("plan", &[], room::plan),
    look("CPUs", cpus::QUOTA, cpus::enough),
    count("other load", cpus::STAT, cpus::external),
    count("steal", cpus::STAT, cpus::steal),
    count("throttling", cpus::THROTTLE, cpus::throttling),
    look("CPU pressure", cpus::PRESSURE, cpus::pressure),
    look("SMT", cpus::SIBLINGS, cpus::siblings),
    look("governor", power::GOVERNOR, power::governor),
    look("turbo", power::TURBO, power::turbo),
    look("battery", power::BATTERY, power::battery),
    look("clock source", kernel::CLOCK, kernel::clock_source),
    look("timer lateness", &[], kernel::lateness),
    look("address randomisation", kernel::ASLR, kernel::aslr),
    look("huge pages", kernel::HUGE, kernel::huge_pages),
    look("swap", kernel::SWAP, kernel::swap),
    look("threads", &[], room::threads),
    look("open files", &[], room::files),
    look("memory", &[], room::memory),
    look("ephemeral ports", &[], room::ports),
];

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

/// What a run is warned of before it starts, a sentence each. Cells that cannot run are refused one by one and say so
/// themselves.
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
        let host = Host::read(std::time::Duration::from_millis(1));
        assert!(!host.cpus.is_empty() && host.wall_ns >= 1_000_000);
        assert!(host.before.one("/proc/stat").is_some() && host.now.one("/proc/stat").is_some());
        assert!(host.lateness_ns.is_some());
    }
}
