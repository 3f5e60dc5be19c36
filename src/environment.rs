//! What a run records of the host and the program, so that a reader can judge and repeat it.

use std::fs;

use procfs::{CpuInfo, Current as _};

use crate::{clock, trial};

/// Label and value of everything that is recorded, in the order it is shown.
pub fn describe() -> Vec<(String, String)> {
    let known = [
        ("CPU", cpu_model()),
        ("hypervisor", fs::read_to_string("/sys/hypervisor/type").ok().or_else(virtual_machine)),
        ("memory", memory()),
        ("kernel", read("/proc/sys/kernel/osrelease")),
        ("clock source", read("/sys/devices/system/clocksource/clocksource0/current_clocksource")),
        ("clock reading", Some(format!("{:.0} ns", clock::cost_ns()))),
        ("governor", read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        ("mitigations", mitigations()),
        ("regatta", Some(env!("CARGO_PKG_VERSION").into())),
        ("compiler", Some(env!("REGATTA_RUSTC").into())),
        ("profile", Some(format!("{}, opt-level {}", env!("REGATTA_PROFILE"), env!("REGATTA_OPT")))),
        ("target", Some(env!("REGATTA_TARGET").into())),
        ("allocator", Some("system".into())),
    ];
    let present = |(label, value): (&str, Option<String>)| Some((label.to_owned(), value?.trim().to_owned()));
    known.into_iter().filter_map(present).collect()
}

/// What makes figures of this build or host less than they seem.
pub fn warnings() -> Vec<String> {
    let mut warnings = Vec::new();
    if env!("REGATTA_OPT") == "0" {
        warnings.push("this is a debug build, whose figures mean nothing; build with `cargo build --release`".into());
    }
    let cpus = trial::allowed_cpus().len();
    if cpus == 1 {
        warnings.push("executor and target share the only CPU; ratios include the target's work".into());
    }
    let source = read("/sys/devices/system/clocksource/clocksource0/current_clocksource").unwrap_or_default();
    if !["", "tsc", "kvm-clock", "arch_sys_counter"].contains(&source.as_str()) {
        warnings.push(format!("the clock source is {source}, whose readings may cost a system call each"));
    }
    warnings
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn cpu_model() -> Option<String> {
    let info = CpuInfo::current().ok()?;
    let model = info.model_name(0)?.to_owned();
    Some(format!("{model}, {} in all", info.num_cores()))
}

/// A guest's CPUs say so.
fn virtual_machine() -> Option<String> {
    let info = CpuInfo::current().ok()?;
    info.flags(0)?.contains(&"hypervisor").then(|| "yes, a virtual machine".into())
}

fn memory() -> Option<String> {
    let total = procfs::Meminfo::current().ok()?.mem_total;
    Some(crate::units::format_size(total))
}

/// How many of the kernel's CPU mitigations are on.
fn mitigations() -> Option<String> {
    let entries = fs::read_dir("/sys/devices/system/cpu/vulnerabilities").ok()?;
    let states = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let on = states.filter(|state| state.starts_with("Mitigation")).count();
    Some(format!("{on} on"))
}
