//! Rules between the tables of a file.

use super::{
    LoadKind, Slo, check_tasks, slo,
    sweep::Axis,
    wire::File,
    wire_executors::ExecutorName,
    wire_load::{SloTable, params},
    wire_value::Scalar,
};
use crate::config::{Diagnostics, Name, position, quote, suggest};

/// Checks everything that no table can know by itself, and looks up what the limits are about. What nothing uses goes to
/// `unused`: another combination of parameters may use it.
pub(super) fn check(
    file: &File,
    axes: &[Axis],
    text: &str,
    diagnostics: &mut Diagnostics,
    unused: &mut Diagnostics,
) -> Vec<Slo> {
    check_load(file, diagnostics);
    check_executors(file, diagnostics);
    check_claims(file, axes, diagnostics);
    check_tasks::check(file, diagnostics, unused);
    let slos = file.slos.iter().filter_map(|table| read_slo(table, file, axes, text, diagnostics));
    slos.collect()
}

fn check_load(file: &File, diagnostics: &mut Diagnostics) {
    let [(_, load)] = file.load.0.as_slice() else {
        check_number_of_loads(file, diagnostics);
        return;
    };
    let Some(load) = load else { return };
    let Some(span) = &file.run.duration else {
        check_watchdog(file, &load.kind, diagnostics);
        return;
    };
    let why = match &load.kind {
        LoadKind::Batch { .. } => "a batch ends when its tasks are done",
        LoadKind::Closed { tasks: Some(_), .. } => "the load ends after its `tasks`",
        LoadKind::Open { stages, .. } if !stages.is_empty() => "the load ends with its last stage",
        LoadKind::Closed { .. } | LoadKind::Open { .. } => {
            check_watchdog(file, &load.kind, diagnostics);
            return;
        }
    };
    let message = format!("`duration` has no meaning here: {why}");
    diagnostics.error(span.clone(), message, Some("remove `duration`".to_owned()));
}

fn check_number_of_loads(file: &File, diagnostics: &mut Diagnostics) {
    match file.load.0.get(1) {
        Some((second, _)) => {
            let help = "keep one [load.x] table; the others belong into scenarios of their own".to_owned();
            diagnostics.error(second.span.clone(), "a scenario has exactly one load", Some(help));
        }
        None => diagnostics.error(
            file.load_span.clone(),
            "expected exactly one load, found none",
            Some("add a table such as [load.clients] with `task` and `batch`, `closed` or `open`".to_owned()),
        ),
    }
}

/// A watchdog that barks before a trial can end kills them all.
fn check_watchdog(file: &File, kind: &LoadKind, diagnostics: &mut Diagnostics) {
    let run = &file.run.settings;
    let Some(measured) = kind.measured(run.duration) else { return };
    if run.timeout > run.warmup.saturating_add(measured).saturating_add(kind.drain()) {
        return;
    }
    let help = match kind {
        LoadKind::Open { .. } => "make `timeout` longer than `warmup`, the measured time and `drain` together",
        _ => "make `timeout` longer than `warmup` and `duration` together",
    };
    let load = || file.load.0.first().map(|(name, _)| name.span.clone());
    if let Some(span) = file.run.timeout.clone().or(file.run.duration.clone()).or_else(load) {
        diagnostics.error(span, "every trial would be killed before it ends", Some(help.to_owned()));
    }
}

fn check_executors(file: &File, diagnostics: &mut Diagnostics) {
    let names = file.executors.names.as_deref().unwrap_or_default();
    for (at, ExecutorName(name)) in names.iter().enumerate() {
        if names[..at].iter().any(|earlier| earlier.0 == *name) {
            diagnostics.error(name.span.clone(), format!("`{}` stands twice in `use`", name.text), None);
        }
    }
    if let Some(ExecutorName(baseline)) = &file.executors.baseline
        && !is_used(file, &baseline.text)
    {
        let help = format!("add it to `use`, or take another baseline: {}", used(names));
        diagnostics.error(
            baseline.span.clone(),
            format!("the baseline `{}` is not in `use`", baseline.text),
            Some(help),
        );
    }
}

fn check_claims(file: &File, axes: &[Axis], diagnostics: &mut Diagnostics) {
    for name in file.claims.iter().flat_map(|table| &table.executors).filter(|name| !is_used(file, &name.text)) {
        let help = format!("add it to `use`; in use: {}", used(file.executors.names.as_deref().unwrap_or_default()));
        diagnostics.error(name.span.clone(), format!("the executor `{}` is not in `use`", name.text), Some(help));
    }
    for table in &file.claims {
        check_values(&table.values, axes, diagnostics);
        let claim = &table.claim;
        // Values that the cells have anyway do not make others of them.
        let differs = claim.against_only.iter().any(|value| !claim.only.contains(value));
        if let Some(against) = table.executors.last()
            && claim.executor.is_some()
            && claim.executor == claim.against
            && !differs
        {
            let help = "name another executor, or other values with `against_only`".to_owned();
            diagnostics.error(against.span.clone(), "this claim compares cells with themselves", Some(help));
        }
    }
}

fn is_used(file: &File, name: &str) -> bool {
    file.executors.names.as_ref().is_none_or(|names| names.iter().any(|used| used.0.text == name))
}

fn used(names: &[ExecutorName]) -> String {
    names.iter().map(|name| name.0.text.as_str()).collect::<Vec<_>>().join(", ")
}

fn read_slo(table: &SloTable, file: &File, axes: &[Axis], text: &str, diagnostics: &mut Diagnostics) -> Option<Slo> {
    check_values(&table.only, axes, diagnostics);
    let span = &table.assert.span;
    let parsed = slo::parse(&table.assert.text);
    let parsed = parsed.map_err(|(message, help)| diagnostics.error(span.clone(), message, help)).ok()?;
    let subjects = subjects(file);
    if !subjects.contains(&parsed.subject) {
        // It may stand in a part of the file that could not be read.
        if !check_tasks::is_whole(file) {
            return None;
        }
        let help = suggest(parsed.subject, "measured tasks and steps", subjects);
        let message = format!("no measured task or named step is called {}", quote(parsed.subject));
        diagnostics.error(span.clone(), message, Some(help));
        return None;
    }
    Some(Slo {
        assert: table.assert.text.clone(),
        subject: parsed.subject.to_owned(),
        metric: parsed.metric,
        comparison: parsed.comparison,
        limit: parsed.limit,
        only: params(&table.only),
        line: position(text, span.start).0,
    })
}

/// What has a histogram: the task of the load, and every named step.
fn subjects(file: &File) -> Vec<&str> {
    let loads = file.load.0.iter().filter_map(|(_, load)| Some(load.as_ref()?.task.text.as_str()));
    loads.chain(check_tasks::steps(file).filter_map(|step| step.plan.name.as_deref())).collect()
}

/// Reports values that no cell has, because the parameter is not swept or never has the value.
fn check_values(values: &[(Name, Scalar)], axes: &[Axis], diagnostics: &mut Diagnostics) {
    for (name, value) in values {
        let Some(axis) = axes.iter().find(|axis| axis.name == *name) else {
            let help = suggest(&name.text, "swept parameters", axes.iter().map(|axis| axis.name.text.as_str()));
            diagnostics.error(name.span.clone(), format!("{} is not swept", quote(&name.text)), Some(help));
            continue;
        };
        let shown = value.0.value.to_string();
        let values: Vec<String> = axis.values.iter().map(ToString::to_string).collect();
        if !values.contains(&shown) {
            let help = format!("values: {}", values.join(", "));
            let message = format!("`{}` never has the value {}", name.text, quote(&shown));
            diagnostics.error(value.0.span.clone(), message, Some(help));
        }
    }
}
