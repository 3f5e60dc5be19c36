//! Rules about shared objects: every name is declared, used, and of the right kind; and what is
//! held while something else is waited for makes no ring.

use std::collections::{BTreeMap, BTreeSet};

use super::{wire::File, wire_step::WireStep};
use crate::{
    config::{Diagnostics, Name},
    step::{SharedUse, Touch},
    targets::TargetSpec,
};

/// Reports names of objects that are not declared, or are of another kind.
pub(super) fn names(file: &File, diagnostics: &mut Diagnostics) {
    let at_targets =
        |used: &SharedUse<'_>| TargetSpec::TABLE.iter().any(|(key, _)| *key == used.kind);
    // Targets have a check of their own.
    let used = file.steps().filter_map(|step| step.plan.spec.shared());
    for used in used.filter(|used| !at_targets(used)) {
        let name = &used.name.text;
        let of_kind = file
            .shared
            .0
            .iter()
            .filter(|(_, spec)| spec.as_ref().is_none_or(|spec| spec.key() == used.kind));
        if !file.shared.has(name) {
            let valid = of_kind.map(|(name, _)| name.text.as_str());
            used.name.report_unknown(used.kind, &plural(used.kind), valid, diagnostics);
        } else if let Some(spec) = file.shared.get(name).filter(|spec| spec.key() != used.kind) {
            let message = format!("`{name}` is a {}, not a {}", spec.key(), used.kind);
            let help = format!("name a {} of a [shared.NAME] table", used.kind);
            diagnostics.error(used.name.span.clone(), message, Some(help));
        }
    }
}

/// Such as: queues, mutexes.
fn plural(kind: &str) -> String {
    format!("{kind}{}", if kind.ends_with('x') { "es" } else { "s" })
}

/// Reports objects that no step names.
pub(super) fn unused(file: &File, diagnostics: &mut Diagnostics) {
    let used: BTreeSet<&str> = file
        .steps()
        .filter_map(|step| step.plan.spec.shared())
        .map(|used| used.name.text.as_str())
        .collect();
    for (name, spec) in file.shared.0.iter().filter(|(name, _)| !used.contains(name.text.as_str()))
    {
        let kind = spec.as_ref().map_or("object", |spec| spec.key());
        diagnostics.error(
            name.span.clone(),
            format!("nothing uses the {kind} `{}`", name.text),
            Some(format!("use the {kind}, or remove it")),
        );
    }
}

/// Reports what is waited for while it is held, and orders that make a ring: two tasks could wait
/// for each other for ever. The tasks must run no ring of tasks.
pub(super) fn order(file: &File, diagnostics: &mut Diagnostics) {
    let held = HeldOrder::of(file);
    let mut told = BTreeSet::new();
    for (outer, below) in &held.under {
        // A task that several steps run is told of once.
        for inner in below.iter().filter(|inner| told.insert((*outer, inner.span.start))) {
            if inner.text == *outer {
                let message = format!("`{outer}` is waited for while it is held");
                let help = "a task would wait for itself; take it once, around all that needs it";
                diagnostics.error(inner.span.clone(), message, Some(help.to_owned()));
            } else if *outer < inner.text.as_str() && held.reaches(&inner.text, outer) {
                let message = format!(
                    "`{outer}` is held here, and elsewhere waited for under `{}`",
                    inner.text
                );
                let help = "two tasks would wait for each other; take both in the same order";
                diagnostics.error(inner.span.clone(), message, Some(help.to_owned()));
            }
        }
    }
}

/// What is held while other things are waited for.
struct HeldOrder<'a> {
    /// By the name of what is held: all that is waited for under it, at any depth.
    under: BTreeMap<&'a str, Vec<&'a Name>>,
}

impl<'a> HeldOrder<'a> {
    fn of(file: &'a File) -> Self {
        let mut under: BTreeMap<&str, Vec<&Name>> = BTreeMap::new();
        for step in file.steps() {
            if let Some(outer) = holds(step) {
                let below = under.entry(&outer.text).or_default();
                collect(file, step, &mut BTreeSet::new(), below);
            }
        }
        Self { under }
    }

    /// Whether `to` is waited for under `from`, or under what is waited for under it.
    fn reaches(&self, from: &str, to: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = vec![from];
        while let Some(at) = next.pop() {
            let below = self.under.get(at).into_iter().flatten();
            for name in below.map(|name| name.text.as_str()) {
                if name == to {
                    return true;
                }
                if seen.insert(name) {
                    next.push(name);
                }
            }
        }
        false
    }
}

/// What a step holds while its children run.
fn holds(step: &WireStep) -> Option<&Name> {
    let used = step.plan.spec.shared()?;
    (used.touch == Touch::Holds).then_some(used.name)
}

/// All that the children of a step hold, and theirs.
fn collect<'a>(
    file: &'a File,
    step: &'a WireStep,
    seen: &mut BTreeSet<&'a str>,
    found: &mut Vec<&'a Name>,
) {
    for child in step.plan.spec.children() {
        let name = child.task.text.as_str();
        let Some(task) = file.tasks.get(name).filter(|_| seen.insert(name)) else { continue };
        for step in &task.steps {
            found.extend(holds(step));
            collect(file, step, seen, found);
        }
    }
}
