//! What a run records of the host and the program, so that a reader can judge and repeat it.

use std::fs;

use procfs::{CpuInfo, Current as _, Meminfo};

use crate::{clock, units};

/// Settings of the kernel that figures depend on, below `/proc/sys`.
const SYSCTLS: [&str; 9] = [
    "net/ipv4/tcp_congestion_control",
    "net/ipv4/tcp_tw_reuse",
    "net/core/somaxconn",
    "net/ipv4/ip_local_port_range",
    "kernel/sched_autogroup_enabled",
    "kernel/sched_rt_runtime_us",
    "kernel/sched_cfs_bandwidth_slice_us",
    "kernel/sched_rr_timeslice_ms",
    "kernel/io_uring_disabled",
];

/// Label and value of everything that is recorded, in the order it is shown.
pub fn describe() -> Vec<(String, String)> {
    let known = [
        ("CPU", cpu_model()),
        ("microcode", microcode()),
        ("hypervisor", fs::read_to_string("/sys/hypervisor/type").ok().or_else(virtual_machine)),
        ("memory", Meminfo::current().ok().map(|info| units::format_size(info.mem_total))),
        ("kernel", read("/proc/sys/kernel/osrelease")),
        ("kernel build", read("/proc/sys/kernel/version")),
        ("clock source", read("/sys/devices/system/clocksource/clocksource0/current_clocksource")),
        ("clock reading", Some(format!("{:.0} ns", clock::cost_ns()))),
        ("governor", read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        ("mitigations", mitigations()),
    ];
    let sysctls = SYSCTLS.iter().map(|path| {
        let value = read(&format!("/proc/sys/{path}")).map(|text| text.replace('\t', " "));
        (path.rsplit('/').next().unwrap_or(path), value)
    });
    let build = [
        ("regatta", Some(env!("CARGO_PKG_VERSION").into())),
        ("compiler", Some(env!("REGATTA_RUSTC").into())),
        (
            "profile",
            Some(format!("{}, opt-level {}", env!("REGATTA_PROFILE"), env!("REGATTA_OPT"))),
        ),
        ("target", Some(env!("REGATTA_TARGET").into())),
        ("allocator", Some("system".into())),
        (
            "crates",
            Some(env!("REGATTA_CRATES").into()).filter(|crates: &String| !crates.is_empty()),
        ),
    ];
    let present =
        |(label, value): (&str, Option<String>)| Some((label.to_owned(), value?.trim().to_owned()));
    known.into_iter().chain(sysctls).chain(build).filter_map(present).collect()
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn cpu_model() -> Option<String> {
    let info = CpuInfo::current().ok()?;
    let model = info.model_name(0)?.to_owned();
    Some(format!("{model}, {} in all", info.num_cores()))
}

fn microcode() -> Option<String> {
    CpuInfo::current().ok()?.get_field(0, "microcode").map(Into::into)
}

/// A guest's CPUs say so.
fn virtual_machine() -> Option<String> {
    let info = CpuInfo::current().ok()?;
    info.flags(0)?.contains(&"hypervisor").then(|| "yes, a virtual machine".into())
}

/// The kernel's CPU mitigations that are on, by name.
fn mitigations() -> Option<String> {
    let entries = fs::read_dir("/sys/devices/system/cpu/vulnerabilities").ok()?;
    let mut on: Vec<String> = entries
        .flatten()
        .filter(|entry| {
            fs::read_to_string(entry.path()).is_ok_and(|state| state.starts_with("Mitigation"))
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    on.sort();
    Some(if on.is_empty() { "0 on".into() } else { format!("{} on: {}", on.len(), on.join(", ")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crates_that_race_are_recorded_with_their_versions() {
        let described = describe();
        let value = |label: &str| {
            described.iter().find(|(known, _)| known == label).map(|(_, value)| value.as_str())
        };
        let crates = value("crates").unwrap();
        for name in
            ["tokio", "async-std", "async-executor", "async-io", "blocking", "hyper", "rusqlite"]
        {
            let version =
                crates.split(", ").find_map(|one| one.strip_prefix(name)?.strip_prefix(' '));
            assert!(
                version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit())),
                "{crates}"
            );
        }
        assert!(value("kernel").is_some() && value("profile").is_some());
    }
}
