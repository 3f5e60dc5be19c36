//! Rules between the tables of a file.

use super::{
    LoadKind, Slo, check_tasks, slo,
    sweep::Axis,
    wire::File,
    wire_executors::ExecutorName,
    wire_load::{ClaimTable, LoadTable, SloTable, params},
    wire_value::Scalar,
};
use crate::config::{Diagnostics, Name, position, quote, suggest};

/// Checks everything that no table can know by itself, and looks up what the limits are about. What
/// nothing uses goes to `unused`: another combination of parameters may use it.
pub(super) fn check(
    file: &File,
    axes: &[Axis],
    text: &str,
    diagnostics: &mut Diagnostics,
    unused: &mut Diagnostics,
) -> Vec<Slo> {
    check_loads(file, diagnostics);
    check_executors(file, diagnostics);
    check_claims(file, axes, diagnostics);
    check_tasks::check(file, diagnostics, unused);
    let slos = file.slos.iter().filter_map(|table| read_slo(table, file, axes, text, diagnostics));
    slos.collect()
}

fn check_loads(file: &File, diagnostics: &mut Diagnostics) {
    if file.load.0.is_empty() {
        let help = "add a table such as [load.clients] with `task` and `batch`, `closed` or `open`";
        let message = "expected at least one load, found none";
        diagnostics.error(file.load_span.clone(), message, Some(help.to_owned()));
        return;
    }
    check_load_names(file, diagnostics);
    let read = || file.load.0.iter().filter_map(|(name, load)| Some((name, load.as_ref()?)));
    for (name, load) in read() {
        check_watchdog(file, name, &load.kind, diagnostics);
    }
    // One that needs it is enough, and one that could not be read may be it.
    let whole = read().count() == file.load.0.len();
    let why: Vec<_> = read().filter_map(|(_, load)| without_duration(&load.kind)).collect();
    if let Some(span) = &file.run.duration
        && let [first, ..] = why.as_slice()
        && whole
        && why.len() == file.load.0.len()
    {
        let message = format!("`duration` has no meaning here: {first}");
        diagnostics.error(span.clone(), message, Some("remove `duration`".to_owned()));
    }
}

/// Why a load does not need the run's `duration`; none where it does.
fn without_duration(kind: &LoadKind) -> Option<&'static str> {
    match kind {
        LoadKind::Batch { .. } => Some("a batch ends when its tasks are done"),
        LoadKind::Closed { tasks: Some(_), .. } => Some("the load ends after its `tasks`"),
        load if load.staged().is_some() => Some("the load ends with its last stage"),
        LoadKind::Closed { .. } | LoadKind::Open { .. } => None,
    }
}

/// Limits name a load or a task: where there are several loads, one name may not mean the one's
/// table and the other's task.
fn check_load_names(file: &File, diagnostics: &mut Diagnostics) {
    for (name, _) in &file.load.0 {
        let task_of = |(other, load): &(Name, Option<LoadTable>)| {
            *other != *name && load.as_ref().is_some_and(|load| load.task.text == name.text)
        };
        if file.load.0.iter().any(task_of) {
            let message = format!("`{}` is another load's task, too", name.text);
            let help = "give the load another name".to_owned();
            diagnostics.error(name.span.clone(), message, Some(help));
        }
    }
}

/// A watchdog that barks before a trial can end kills them all.
fn check_watchdog(file: &File, name: &Name, kind: &LoadKind, diagnostics: &mut Diagnostics) {
    let run = &file.run.settings;
    let Some(measured) = kind.measured(run.duration) else { return };
    if run.timeout > run.warmup.saturating_add(measured).saturating_add(kind.drain()) {
        return;
    }
    let help = match kind {
        LoadKind::Open { .. } => {
            "make `timeout` longer than `warmup`, the measured time and `drain` together"
        }
        _ if kind.staged().is_some() => {
            "make `timeout` longer than `warmup` and all stages together"
        }
        _ => "make `timeout` longer than `warmup` and `duration` together",
    };
    let span = file.run.timeout.clone().or(file.run.duration.clone());
    let message = "every trial would be killed before it ends";
    diagnostics.error(span.unwrap_or_else(|| name.span.clone()), message, Some(help.to_owned()));
}

fn check_executors(file: &File, diagnostics: &mut Diagnostics) {
    file.executors.check_programs(diagnostics);
    let names = file.executors.names.as_deref().unwrap_or_default();
    check_names("use", names, file, diagnostics);
    check_names("except", &file.executors.except, file, diagnostics);
    let used = file.executors.used();
    if let (true, Some(last)) = (used.is_empty(), file.executors.except.last()) {
        let help = "leave one of them in".to_owned();
        diagnostics.error(last.0.span.clone(), "no executor is left", Some(help));
    }
    if let Some(ExecutorName(baseline)) = &file.executors.baseline
        && file.executors.check(baseline, diagnostics)
        && !used.contains(&baseline.text)
    {
        let way = file.executors.way_in();
        let help = format!("{way}, or take another baseline: {}", used.join(", "));
        diagnostics.error(
            baseline.span.clone(),
            format!("the baseline `{}` is not raced", baseline.text),
            Some(help),
        );
    }
}

/// Reports names of the list `key` that nobody has, or that stand there twice.
fn check_names(key: &str, names: &[ExecutorName], file: &File, diagnostics: &mut Diagnostics) {
    for (at, ExecutorName(name)) in names.iter().enumerate() {
        file.executors.check(name, diagnostics);
        if names[..at].iter().any(|earlier| earlier.0 == *name) {
            let message = format!("`{}` stands twice in `{key}`", name.text);
            diagnostics.error(name.span.clone(), message, None);
        }
    }
}

fn check_claims(file: &File, axes: &[Axis], diagnostics: &mut Diagnostics) {
    let used = file.executors.used();
    for name in file
        .claims
        .iter()
        .flat_map(|table| &table.executors)
        .filter(|name| !used.contains(&name.text))
    {
        if !file.executors.check(name, diagnostics) {
            continue;
        }
        let help = format!("{}; raced are: {}", file.executors.way_in(), used.join(", "));
        let message = format!("the executor `{}` is not raced", name.text);
        diagnostics.error(name.span.clone(), message, Some(help));
    }
    for table in &file.claims {
        check_claimed_load(file, table, diagnostics);
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
            diagnostics.error(
                against.span.clone(),
                "this claim compares cells with themselves",
                Some(help),
            );
        }
    }
}

/// A claim says which load it is about where there are several, and names one that there is.
fn check_claimed_load(file: &File, table: &ClaimTable, diagnostics: &mut Diagnostics) {
    let names = || file.load.0.iter().map(|(name, _)| name.text.as_str());
    match &table.load {
        Some(load) if !names().any(|name| name == load.text) => {
            let message = format!("unknown load {}", quote(&load.text));
            diagnostics.error(
                load.span.clone(),
                message,
                Some(suggest(&load.text, "loads", names())),
            );
        }
        None if names().count() > 1 => {
            let help =
                format!("add `load` with one of: {}", names().collect::<Vec<_>>().join(", "));
            let message = "this claim does not say which load it is about";
            diagnostics.error(table.span.clone(), message, Some(help));
        }
        _ => {}
    }
}

fn read_slo(
    table: &SloTable,
    file: &File,
    axes: &[Axis],
    text: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Slo> {
    check_values(&table.only, axes, diagnostics);
    let span = &table.assert.span;
    let parsed = slo::parse(&table.assert.text);
    let parsed =
        parsed.map_err(|(message, help)| diagnostics.error(span.clone(), message, help)).ok()?;
    let subjects = subjects(file);
    if !subjects.contains(&parsed.subject) {
        // It may stand in a part of the file that could not be read.
        if !file.is_whole() {
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

/// What has a histogram: the task of each load, which its load's name means, too, where there are
/// several; and every named step.
fn subjects(file: &File) -> Vec<&str> {
    let loads = &file.load.0;
    let tasks = loads.iter().filter_map(|(_, load)| Some(load.as_ref()?.task.text.as_str()));
    let names = loads.iter().map(|(name, _)| name.text.as_str()).filter(|_| loads.len() > 1);
    tasks.chain(names).chain(file.steps().filter_map(|step| step.plan.name.as_deref())).collect()
}

/// Reports values that no cell has, because the parameter is not swept or never has the value.
fn check_values(values: &[(Name, Scalar)], axes: &[Axis], diagnostics: &mut Diagnostics) {
    for (name, value) in values {
        let Some(axis) = axes.iter().find(|axis| axis.name == *name) else {
            let help = suggest(
                &name.text,
                "swept parameters",
                axes.iter().map(|axis| axis.name.text.as_str()),
            );
            diagnostics.error(
                name.span.clone(),
                format!("{} is not swept", quote(&name.text)),
                Some(help),
            );
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
