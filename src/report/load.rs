//! A load in words.

use crate::{
    scenario::{Arrival, ClientStage, LoadKind, Overflow},
    units::Rate,
};

/// `batch of 100`; `closed, 64 clients, think time 5ms`; `open, 2k/s poisson, at most 1024 in
/// flight`.
pub fn load_words(load: &LoadKind) -> String {
    match *load {
        LoadKind::Batch { tasks, .. } => format!("batch of {tasks}"),
        LoadKind::Open { .. } => open_words(load),
        LoadKind::Closed { concurrency, ref stages, think, tasks, .. } => {
            let clients = clients_words(concurrency, stages);
            let pause = if think.mean().is_zero() {
                String::new()
            } else {
                format!(", think time {think}")
            };
            let end = tasks.map(|tasks| format!(", {tasks} tasks")).unwrap_or_default();
            format!("closed, {clients}{pause}{end}")
        }
    }
}

/// A load within a sentence: `an open load, 2k/s`.
pub fn load_phrase(load: &LoadKind) -> String {
    let words = load_words(load);
    let rest = words.split_once(", ").map_or("", |(_, rest)| rest);
    match load {
        LoadKind::Batch { .. } => format!("a {words}"),
        LoadKind::Closed { .. } => format!("a closed loop, {rest}"),
        LoadKind::Open { .. } => format!("an open load, {rest}"),
    }
}

/// Such as `64 clients`, or `3 stages of 4 to 64 clients`.
fn clients_words(concurrency: u64, stages: &[ClientStage]) -> String {
    let clients =
        |count| if count == 1 { "1 client".to_owned() } else { format!("{count} clients") };
    let ends = || stages.iter().flat_map(|stage| [stage.from, stage.to]);
    let Some((least, most)) = ends().min().zip(ends().max()) else { return clients(concurrency) };
    let of = if least == most { clients(most) } else { format!("{least} to {}", clients(most)) };
    if stages.len() == 1 {
        format!("1 stage of {of}")
    } else {
        format!("{} stages of {of}", stages.len())
    }
}

/// Such as `open, 2k/s poisson, at most 1024 in flight`.
fn open_words(load: &LoadKind) -> String {
    let LoadKind::Open { rate, arrival, max_in_flight, overflow, stages, .. } = load else {
        return String::new();
    };
    let rates = match stages.as_slice() {
        [] => Rate(*rate).to_string(),
        [only] if only.from.total_cmp(&only.to).is_eq() => Rate(only.to).to_string(),
        stages => {
            let ends = || stages.iter().flat_map(|stage| [stage.from, stage.to]);
            let (least, most) = (ends().fold(f64::INFINITY, f64::min), ends().fold(0.0, f64::max));
            let count = if stages.len() == 1 {
                "1 stage".to_owned()
            } else {
                format!("{} stages", stages.len())
            };
            format!("{count} of {} to {}", Rate(least), Rate(most))
        }
    };
    let arrival = if *arrival == Arrival::Poisson { " poisson" } else { "" };
    let full = if *overflow == Overflow::Delay { ", others wait" } else { "" };
    format!("open, {rates}{arrival}, at most {max_in_flight} in flight{full}")
}
