//! Checks of what changes the CPUs' frequency.

use std::collections::BTreeSet;

use super::{Host, Judged, Need};

/// Each CPU's governor.
pub(super) const GOVERNOR: &[&str] = &["/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"];
/// Where turbo is switched: Intel's driver, all others.
pub(super) const TURBO: &[&str] =
    &["/sys/devices/system/cpu/intel_pstate/no_turbo", "/sys/devices/system/cpu/cpufreq/boost"];
/// Kind and state of each power supply.
pub(super) const BATTERY: &[&str] = &["/sys/class/power_supply/*/uevent"];

/// Whether the frequency follows the load.
pub(super) fn governor(host: &Host, _: &Need) -> Judged {
    let names: BTreeSet<&str> =
        host.now.all(GOVERNOR[0]).iter().map(|(_, text)| text.trim()).collect();
    let words = names.iter().copied().collect::<Vec<_>>().join(", ");
    if names.is_empty() {
        Judged::unknown("the kernel does not say, as in most virtual machines")
    } else if names.iter().all(|name| *name == "performance") {
        Judged::fine(words)
    } else {
        Judged::warn(
            format!("{words}: frequencies follow the load"),
            "cpupower frequency-set -g performance",
        )
    }
}

/// Whether the frequency depends on heat and on the other cores.
pub(super) fn turbo(host: &Host, _: &Need) -> Judged {
    let on = |at: usize, value: &str| host.now.one(TURBO[at]).map(|text| text == value);
    let remedy = |at: usize, value: u8| format!("echo {value} | sudo tee {}", TURBO[at]);
    match (on(0, "0"), on(1, "1")) {
        (Some(true), _) => {
            Judged::warn("on: frequencies depend on heat and on the other cores", remedy(0, 1))
        }
        (None, Some(true)) => {
            Judged::warn("on: frequencies depend on heat and on the other cores", remedy(1, 0))
        }
        (Some(false), _) | (None, Some(false)) => Judged::fine("off"),
        (None, None) => Judged::unknown("the kernel does not say, as in most virtual machines"),
    }
}

/// Whether the host saves its battery.
pub(super) fn battery(host: &Host, _: &Need) -> Judged {
    let supplies = host.now.all(BATTERY[0]);
    let discharging = supplies
        .iter()
        .any(|(_, text)| text.lines().any(|line| line == "POWER_SUPPLY_STATUS=Discharging"));
    if discharging {
        Judged::warn("discharging: the host saves power", "connect it to the mains")
    } else if supplies.is_empty() {
        Judged::fine("none")
    } else {
        Judged::fine("not discharging")
    }
}

#[cfg(test)]
mod tests {
    use super::{super::judge::testing::host, *};
    use crate::store::Fitness::{Fine, Unknown, Warn};

    #[test]
    fn every_cpu_has_to_be_at_its_best() {
        let judged =
            |texts: &[&str]| governor(&host(&[(GOVERNOR[0], texts)]), &Need::default()).fitness;
        assert_eq!(judged(&["performance\n", "performance\n"]), Fine);
        assert_eq!(judged(&["performance\n", "powersave\n"]), Warn);
        assert_eq!(judged(&[]), Unknown);
    }

    #[test]
    fn turbo_is_told_by_either_driver() {
        let judged =
            |at: usize, text: &str| turbo(&host(&[(TURBO[at], &[text])]), &Need::default()).fitness;
        assert_eq!((judged(0, "0\n"), judged(0, "1\n")), (Warn, Fine));
        assert_eq!((judged(1, "1\n"), judged(1, "0\n")), (Warn, Fine));
        assert_eq!(turbo(&host(&[]), &Need::default()).fitness, Unknown);
    }

    #[test]
    fn a_battery_may_be_there_but_not_in_use() {
        let judged =
            |texts: &[&str]| battery(&host(&[(BATTERY[0], texts)]), &Need::default()).fitness;
        assert_eq!(judged(&[]), Fine);
        assert_eq!(judged(&["POWER_SUPPLY_TYPE=Battery\nPOWER_SUPPLY_STATUS=Full\n"]), Fine);
        assert_eq!(judged(&["POWER_SUPPLY_TYPE=Battery\nPOWER_SUPPLY_STATUS=Discharging\n"]), Warn);
    }
}
