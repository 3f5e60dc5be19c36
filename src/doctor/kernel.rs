//! Checks of how the kernel is set.

use super::{Host, Judged, Need, judge::of_file};
use crate::units;

/// The clock's source.
pub(super) const CLOCK: &[&str] =
    &["/sys/devices/system/clocksource/clocksource0/current_clocksource"];
/// Address space layout randomisation.
pub(super) const ASLR: &[&str] = &["/proc/sys/kernel/randomize_va_space"];
/// Transparent huge pages.
pub(super) const HUGE: &[&str] = &["/sys/kernel/mm/transparent_hugepage/enabled"];
/// Swap in use.
pub(super) const SWAP: &[&str] = &["/proc/meminfo"];

/// Sources that a process reads without a system call.
const FAST_CLOCKS: [&str; 3] = ["tsc", "kvm-clock", "arch_sys_counter"];
/// How late 99 of 100 wake-ups may be, in ns.
const MOST_LATENESS_NS: u64 = 200_000;
/// Swap that may be in use, in KiB: what the kernel puts away when nobody is short of memory.
const MOST_SWAP_KIB: u64 = 64 * 1024;

/// Whether reading the clock costs a system call.
pub(super) fn clock_source(host: &Host, _: &Need) -> Judged {
    of_file(host, CLOCK[0], |source| {
        if FAST_CLOCKS.contains(&source) {
            Judged::fine(source)
        } else {
            Judged::warn(
                format!("{source}, whose readings may cost a system call each"),
                "boot with clocksource=tsc, if the CPU's counter is stable",
            )
        }
    })
}

/// How late a sleeping thread wakes.
pub(super) fn lateness(host: &Host, _: &Need) -> Judged {
    let Some(late) = host.lateness_ns else { return Judged::unknown("not tried") };
    let words = format!("99 of 100 sleeping threads wake at most {} late", units::format_ns(late));
    if late > MOST_LATENESS_NS {
        Judged::warn(
            words,
            "end what else runs here; forbid deep idle states (cpupower idle-set -D 10)",
        )
    } else {
        Judged::fine(words)
    }
}

/// With fixed addresses every trial has the same layout, which may be a lucky one.
pub(super) fn aslr(host: &Host, _: &Need) -> Judged {
    of_file(host, ASLR[0], |text| match text {
        "0" => Judged::warn(
            "off: every trial has the same, perhaps lucky, layout",
            "sysctl kernel.randomize_va_space=2",
        ),
        _ => Judged::fine("on"),
    })
}

/// Pages that are collected in the background change what memory costs, and when.
pub(super) fn huge_pages(host: &Host, _: &Need) -> Judged {
    of_file(host, HUGE[0], |text| {
        let chosen = text.split('[').nth(1).and_then(|rest| rest.split(']').next());
        match chosen {
            Some("always") => Judged::warn(
                "always: memory figures are in steps of 2 MiB",
                format!("echo madvise | sudo tee {}", HUGE[0]),
            ),
            Some(other) => Judged::fine(other),
            None => Judged::unknown(format!("not understood: {text}")),
        }
    })
}

/// Whether memory was short.
pub(super) fn swap(host: &Host, _: &Need) -> Judged {
    of_file(host, SWAP[0], |text| {
        let kib = |key: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        };
        let (Some(total), Some(free)) = (kib("SwapTotal"), kib("SwapFree")) else {
            return Judged::unknown("/proc/meminfo says nothing of swap");
        };
        let used = total.saturating_sub(free);
        let words = format!("{} MiB in use", used / 1024);
        if used > MOST_SWAP_KIB {
            Judged::warn(words, "end what uses the memory, then `swapoff -a && swapon -a`")
        } else {
            Judged::fine(words)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{super::judge::testing::host, *};
    use crate::store::Fitness::{self, Fine, Unknown, Warn};

    fn judged(judge: fn(&Host, &Need) -> Judged, pattern: &str, text: &str) -> Fitness {
        assert_eq!(judge(&host(&[]), &Need::default()).fitness, Unknown);
        judge(&host(&[(pattern, &[text])]), &Need::default()).fitness
    }

    #[test]
    fn slow_clocks_are_warned_of() {
        for (source, fitness) in
            [("tsc\n", Fine), ("kvm-clock\n", Fine), ("hpet\n", Warn), ("acpi_pm\n", Warn)]
        {
            assert_eq!(judged(clock_source, CLOCK[0], source), fitness, "{source}");
        }
    }

    #[test]
    fn late_wake_ups_are_warned_of() {
        let judged =
            |ns| lateness(&Host { lateness_ns: ns, ..Host::default() }, &Need::default()).fitness;
        assert_eq!(
            (judged(Some(200_000)), judged(Some(200_001)), judged(None)),
            (Fine, Warn, Unknown)
        );
    }

    #[test]
    fn settings_of_the_kernel_are_read() {
        assert_eq!((judged(aslr, ASLR[0], "2\n"), judged(aslr, ASLR[0], "0\n")), (Fine, Warn));
        assert_eq!(judged(huge_pages, HUGE[0], "always [madvise] never\n"), Fine);
        assert_eq!(judged(huge_pages, HUGE[0], "[always] madvise never\n"), Warn);
        assert_eq!(judged(huge_pages, HUGE[0], "always\n"), Unknown);
    }

    #[test]
    fn a_little_swap_is_nothing() {
        let text =
            |free: u64| format!("MemTotal: 8 kB\nSwapTotal:  2000000 kB\nSwapFree:  {free} kB\n");
        assert_eq!(judged(swap, SWAP[0], &text(2_000_000 - MOST_SWAP_KIB)), Fine);
        assert_eq!(judged(swap, SWAP[0], &text(1_999_999 - MOST_SWAP_KIB)), Warn);
        assert_eq!(judged(swap, SWAP[0], "SwapTotal: 0 kB\nSwapFree: 0 kB\n"), Fine);
        assert_eq!(judged(swap, SWAP[0], "MemTotal: 8 kB\n"), Unknown);
    }
}
