//! Run files of version 1, as this version has them. They had one load a cell, in words, and what a
//! trial measured of it stood beside what belongs to the trial.
//!
//! Which load a cell had is read from the scenario that the run file holds, and where that does not
//! say it (`--quick` and `--set` change loads), from the words.

use std::{collections::HashMap, path::Path, time::Duration};

use serde_json::{Map, Value, json};

use crate::{
    scenario::{self, Arrival, ClientStage, Load, LoadKind, Overflow, Overrides, Param, Stage},
    units::{Distribution, Rate, parse_rate},
};

/// The keys of a measured trial that belong to its load.
const OF_LOAD: [&str; 9] = [
    "makespans_ns",
    "window_ns",
    "completed",
    "task",
    "steps",
    "clients",
    "arrivals",
    "slices",
    "unfinished",
];

/// The keys of a cell that were its load's.
const OF_CELL: [&str; 9] = [
    "load",
    "load_words",
    "tasks",
    "clients",
    "client_stages",
    "think_ns",
    "think_spread_ns",
    "task",
    "least_task_ns",
];

/// What is known of the loads of a run, for its cells.
#[derive(Default)]
pub(super) struct Loads {
    /// By scenario: each combination of parameters with its load.
    scenarios: HashMap<String, Vec<(Vec<Param>, Load)>>,
}

impl Loads {
    /// Those of the run with this header.
    pub(super) fn of(header: &Value) -> Self {
        let stored = header["scenarios"].as_array().into_iter().flatten();
        let of = |stored: &Value| {
            let (name, text) = (stored["name"].as_str()?, stored["text"].as_str()?);
            let read = scenario::from_text(Path::new(""), text, &Overrides::default()).ok()?;
            let variants = read.variants.into_iter();
            let loads =
                variants.filter_map(|mut variant| Some((variant.params, variant.loads.pop()?)));
            Some((name.to_owned(), loads.collect()))
        };
        Self { scenarios: stored.filter_map(of).collect() }
    }

    /// The header, with loads in its cells.
    pub(super) fn header(&self, mut header: Value) -> Value {
        self.cells(&mut header["cells"]);
        if let Some(searched) = header.pointer_mut("/search/cells").and_then(Value::as_array_mut) {
            for searched in searched {
                self.cell(&mut searched["cell"]);
            }
        }
        header
    }

    /// A line after the header.
    pub(super) fn line(&self, mut line: Value) -> Value {
        if let Some(cell) = line.pointer_mut("/probe/cell") {
            self.cell(cell);
        }
        if let Some(cells) = line.pointer_mut("/resumed/cells") {
            self.cells(cells);
        }
        if let Some(Value::Object(measured)) = line.pointer_mut("/trial/outcome/measured") {
            measurements(measured);
        }
        line
    }

    fn cells(&self, cells: &mut Value) {
        cells.as_array_mut().into_iter().flatten().for_each(|cell| self.cell(cell));
    }

    /// Puts a cell's load where this version has it. What is missing is missed when it is read.
    fn cell(&self, cell: &mut Value) {
        let known = self.known(cell);
        let Some(fields) = cell.as_object_mut() else { return };
        let mut of_load: Map<String, Value> =
            OF_CELL.iter().filter_map(|key| Some(((*key).into(), fields.remove(*key)?))).collect();
        let slots = fields.remove("slots").unwrap_or_default();
        let (name, kind) = match known {
            Some(load) => (load.name, Some(load.kind)),
            None => ("load".to_owned(), of_words(&of_load)),
        };
        let task = of_load.remove("task").unwrap_or_default();
        let least_task_ns = of_load.remove("least_task_ns").unwrap_or_default();
        fields.insert(
            "loads".into(),
            json!([{ "name": name, "task": task, "kind": kind, "slots": slots, "least_task_ns": least_task_ns }]),
        );
    }

    /// The load that the scenario gives the cell, if it is the one that the cell says that it had.
    fn known(&self, cell: &Value) -> Option<Load> {
        let params: Vec<Param> = serde_json::from_value(cell["params"].clone()).ok()?;
        let variants = self.scenarios.get(cell["scenario"].as_str()?)?;
        // A rate that a search has tried is a parameter that its scenario does not have.
        let is_its =
            |variant: &&(Vec<Param>, Load)| variant.0.iter().all(|param| params.contains(param));
        let (_, load) = variants.iter().find(is_its)?;
        let (kind, words) = (&load.kind, cell["load_words"].as_str()?);
        let same_rate = match kind {
            LoadKind::Open { rate, stages, .. } => {
                !stages.is_empty() || words.contains(&format!(", {}", Rate(*rate)))
            }
            LoadKind::Batch { .. } | LoadKind::Closed { .. } => true,
        };
        let is_same = cell["load"] == kind.key()
            && cell["tasks"].as_u64() == kind.tasks()
            && cell["clients"].as_u64().unwrap_or(0) == kind.clients()
            && same_rate;
        is_same.then(|| load.clone())
    }
}

/// A load by its words and the numbers beside them. How its stages followed each other is not among
/// them: they are as many, of as many clients or at such rates.
fn of_words(cell: &Map<String, Value>) -> Option<LoadKind> {
    let words = cell.get("load_words")?.as_str()?;
    let number = |key: &str| cell.get(key).and_then(Value::as_u64);
    match cell.get("load")?.as_str()? {
        "batch" => Some(LoadKind::Batch { tasks: number("tasks")?, repeat: None }),
        "closed" => {
            let clients = number("clients").filter(|clients| *clients > 0);
            let concurrency = clients.or_else(|| first_number(words.strip_prefix("closed, ")?))?;
            Some(LoadKind::Closed {
                concurrency,
                stages: client_stages(words, concurrency),
                think: think(words, number("think_ns").unwrap_or(0)),
                tasks: number("tasks"),
                drain: Duration::ZERO,
            })
        }
        "open" => open(words),
        _ => None,
    }
}

fn first_number(words: &str) -> Option<u64> {
    words.split(' ').next()?.parse().ok()
}

fn think(words: &str, mean_ns: u64) -> Distribution {
    let said = words.split_once("think time ").map(|(_, rest)| rest);
    let end = said.map(|said| match said.find(')') {
        Some(end) => end + 1,
        None => said.find(',').unwrap_or(said.len()),
    });
    let text = said.zip(end).map(|(said, end)| said[..end].to_owned());
    let read = text.and_then(|text| Distribution::try_from(text).ok());
    read.unwrap_or(Distribution::Const(Duration::from_nanos(mean_ns)))
}

/// Such as `closed, 4 stages of 0 to 5 clients`.
fn client_stages(words: &str, most: u64) -> Vec<ClientStage> {
    let Some((count, _)) = stages(words) else { return Vec::new() };
    let stage = ClientStage { from: most, to: most, length_ns: 1 };
    vec![stage; usize::try_from(count).unwrap_or(1)]
}

/// How many stages there were, and what stands behind `of`.
fn stages(words: &str) -> Option<(u64, &str)> {
    let (before, of) = words.split_once(" stage").and_then(|(before, rest)| {
        Some((before, rest.trim_start_matches('s').strip_prefix(" of ")?))
    })?;
    Some((before.rsplit(' ').next()?.parse().ok()?, of))
}

/// Such as `open, 2k/s poisson, at most 1024 in flight, others wait`.
fn open(words: &str) -> Option<LoadKind> {
    let mut parts = words.split(", ").skip(1);
    let rates = parts.next()?;
    let max_in_flight = parts.next()?.strip_prefix("at most ")?;
    let rate = |text: &str| parse_rate(text).ok();
    let plain = rates.trim_end_matches(" poisson");
    let (rate, stages) = match stages(words) {
        None => (rate(plain)?, Vec::new()),
        Some((count, of)) => {
            let (least, most) =
                of.split(", ").next()?.trim_end_matches(" poisson").split_once(" to ")?;
            let (from, to) = (rate(least)?, rate(most)?);
            (from, vec![Stage { from, to, length_ns: 1 }; usize::try_from(count).ok()?])
        }
    };
    Some(LoadKind::Open {
        rate,
        arrival: if rates.ends_with(" poisson") { Arrival::Poisson } else { Arrival::Constant },
        max_in_flight: first_number(max_in_flight)?,
        overflow: if words.ends_with("others wait") { Overflow::Delay } else { Overflow::Drop },
        stages,
        drain: Duration::ZERO,
    })
}

/// Moves what belongs to the load into a load of its own.
fn measurements(measured: &mut Map<String, Value>) {
    let mut load: Map<String, Value> =
        OF_LOAD.iter().filter_map(|key| Some(((*key).into(), measured.remove(*key)?))).collect();
    load.insert("name".into(), "load".into());
    measured.insert("loads".into(), Value::Array(vec![Value::Object(load)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(load: &str, words: &str, clients: u64, tasks: Option<u64>) -> Option<LoadKind> {
        let cell = json!({ "load": load, "load_words": words, "clients": clients, "tasks": tasks, "think_ns": 5_000_000 });
        of_words(cell.as_object()?)
    }

    #[test]
    fn every_load_is_read_from_its_words() {
        assert_eq!(
            words("batch", "batch of 100", 0, Some(100)),
            Some(LoadKind::Batch { tasks: 100, repeat: None })
        );
        let Some(LoadKind::Closed { concurrency: 64, think, tasks: Some(500), stages, .. }) = words(
            "closed",
            "closed, 64 clients, think time uniform(1ms,3ms), 500 tasks",
            64,
            Some(500),
        ) else {
            panic!("a closed load")
        };
        assert_eq!((think.to_string().as_str(), stages.len()), ("uniform(1ms,3ms)", 0));
        // The oldest files have the clients in words only.
        let Some(LoadKind::Closed { concurrency: 1, think, .. }) =
            words("closed", "closed, 1 client, think time 5ms", 0, None)
        else {
            panic!("a closed load")
        };
        assert_eq!(think, Distribution::Const(Duration::from_millis(5)));
        let Some(LoadKind::Closed { concurrency: 5, stages, .. }) =
            words("closed", "closed, 4 stages of 0 to 5 clients", 5, None)
        else {
            panic!("a closed load")
        };
        assert_eq!(stages.len(), 4);
        let Some(LoadKind::Open { rate, arrival, max_in_flight: 1024, overflow, stages, .. }) =
            words("open", "open, 2k/s poisson, at most 1024 in flight, others wait", 0, None)
        else {
            panic!("an open load")
        };
        assert_eq!((rate, arrival, overflow), (2_000.0, Arrival::Poisson, Overflow::Delay));
        assert!(stages.is_empty());
        let Some(LoadKind::Open { stages, .. }) =
            words("open", "open, 2 stages of 200/s to 600/s, at most 8 in flight", 0, None)
        else {
            panic!("an open load")
        };
        assert_eq!((stages.len(), stages[0].from, stages[0].to), (2, 200.0, 600.0));
    }

    #[test]
    fn the_scenario_says_it_better_unless_the_cell_had_another_load() {
        let text = "schema = 1\nname = 'x'\n[tasks.t]\nsteps = [{ noop = {} }]\n[load.calls]\ntask = 't'\n\
            batch = { tasks = 9, repeat = 4 }\n[executors]\nuse = ['tokio']\n";
        let header = json!({ "scenarios": [{ "name": "x", "text": text }], "cells": [] });
        let of = |tasks: u64| {
            let mut cell = json!({ "scenario": "x", "params": [], "load": "batch", "clients": 0, "tasks": tasks,
                "load_words": "batch of 9", "task": "t", "slots": 3, "least_task_ns": 0 });
            Loads::of(&header).cell(&mut cell);
            (cell["loads"][0]["name"].clone(), cell["loads"][0]["kind"]["batch"]["repeat"].clone())
        };
        assert_eq!(of(9), (json!("calls"), json!(4)));
        assert_eq!(of(4).0, json!("load"), "cut short");
    }
}
