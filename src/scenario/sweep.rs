//! Parameters and sweeps: every combination of values that a scenario is run with.

use std::collections::{BTreeMap, BTreeSet};

use super::{Overrides, Param, wire::Head};
use crate::config::{Diagnostics, Name, Node, Value, quote, suggest};

/// Combinations of swept values; more would run for weeks.
const MOST_VARIANTS: usize = 10_000;

/// All parameters, fixed and swept.
#[derive(Debug)]
pub(super) struct Matrix {
    fixed: Vec<(Name, Value)>,
    /// The swept parameters, in file order.
    pub axes: Vec<Axis>,
}

/// A swept parameter.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub name: Name,
    pub values: Vec<Value>,
}

/// One combination: the swept values, and all values by name.
#[derive(Debug)]
pub(super) struct Combination {
    pub params: Vec<Param>,
    pub values: BTreeMap<String, Value>,
}

impl Matrix {
    /// Gathers the parameters of a file; what could not be read has an invalid value, so that its
    /// uses are not reported as unknown.
    pub(super) fn new(head: &Head, diagnostics: &mut Diagnostics) -> Self {
        let fixed = head.params.0.iter().map(|(name, scalar)| {
            (name.clone(), scalar.as_ref().map_or(Value::Invalid, |scalar| scalar.0.value.clone()))
        });
        let axes = head.sweep.0.iter().map(|(name, values)| {
            let Some(values) = values else {
                return Axis { name: name.clone(), values: vec![Value::Invalid] };
            };
            let nodes: Vec<&Node> = values.iter().map(|scalar| &scalar.0).collect();
            Axis { name: name.clone(), values: axis_values(name, &nodes, diagnostics) }
        });
        let axes = axes.collect();
        let matrix = Self { fixed: fixed.collect(), axes };
        for name in matrix.names().filter(|name| name.text == "i" || name.text == "j") {
            let help =
                "`${i}` is the index of the task and `${j}` that of the child; use another name"
                    .to_owned();
            diagnostics.error(
                name.span.clone(),
                format!("a parameter cannot be called `{}`", name.text),
                Some(help),
            );
        }
        matrix
    }

    fn names(&self) -> impl Iterator<Item = &Name> {
        self.fixed.iter().map(|(name, _)| name).chain(self.axes.iter().map(|axis| &axis.name))
    }

    /// Replaces values by those of the command line; an unknown name is an error.
    pub(super) fn apply(&mut self, overrides: &Overrides) -> Result<(), String> {
        for (name, value) in &overrides.params {
            self.set(name, vec![Value::from_argument(value)], false)?;
        }
        for (name, values) in &overrides.sweeps {
            if values.iter().all(String::is_empty) {
                return Err(format!("the sweep over {} has no values", quote(name)));
            }
            let values: Vec<Value> =
                values.iter().map(|value| Value::from_argument(value)).collect();
            if let Some(twice) = first_twice(&values) {
                return Err(format!("{twice} stands twice in the sweep over {}", quote(name)));
            }
            self.set(name, values, true)?;
        }
        Ok(())
    }

    fn set(&mut self, name: &str, values: Vec<Value>, swept: bool) -> Result<(), String> {
        let is_axis = swept || self.axes.iter().any(|axis| axis.name.text == name);
        if is_axis && values.iter().any(names_variable) {
            return Err(format!("{}: {SWEPT_VARIABLE}; {SWEPT_HELP}", quote(name)));
        }
        if let Some(axis) = self.axes.iter_mut().find(|axis| axis.name.text == name) {
            axis.values = values;
            return Ok(());
        }
        let Some((known, value)) = self.fixed.iter_mut().find(|(known, _)| known.text == name)
        else {
            let help = suggest(name, "parameters", self.names().map(|name| name.text.as_str()));
            return Err(format!("unknown parameter {}: {help}", quote(name)));
        };
        match values.as_slice() {
            [single] if !swept => *value = single.clone(),
            _ => self.axes.push(Axis { name: known.clone(), values }),
        }
        Ok(())
    }

    /// Reports too many combinations, and sweeps that nothing uses.
    pub(super) fn check(&self, used: &BTreeSet<&str>, diagnostics: &mut Diagnostics) {
        for axis in self.axes.iter().filter(|axis| !used.contains(axis.name.text.as_str())) {
            let name = &axis.name.text;
            let message = format!(
                "nothing uses `{name}`: the sweep multiplies the cells without changing them"
            );
            let help = format!("use it as \"${{{name}}}\", or remove it");
            diagnostics.error(axis.name.span.clone(), message, Some(help));
        }
        let size = self.size();
        if let Some(last) = self.axes.last().filter(|_| size > MOST_VARIANTS) {
            let message = format!("the sweep has {size} combinations; {MOST_VARIANTS} is the most");
            diagnostics.error(
                last.name.span.clone(),
                message,
                Some("sweep over fewer values".to_owned()),
            );
        }
    }

    fn size(&self) -> usize {
        self.axes.iter().fold(1, |size, axis| size.saturating_mul(axis.values.len()))
    }

    /// Every combination, the last axis turning fastest. Where there are too many, the first stands
    /// for all.
    pub(super) fn combinations(&self) -> Vec<Combination> {
        if self.size() > MOST_VARIANTS {
            let first: Vec<&Value> =
                self.axes.iter().filter_map(|axis| axis.values.first()).collect();
            return vec![self.combination(&first)];
        }
        let mut picks: Vec<Vec<&Value>> = vec![Vec::new()];
        for axis in &self.axes {
            let longer = picks.iter().flat_map(|pick| {
                axis.values
                    .iter()
                    .map(move |value| pick.iter().copied().chain([value]).collect::<Vec<_>>())
            });
            picks = longer.collect();
        }
        picks.into_iter().map(|pick| self.combination(&pick)).collect()
    }

    fn combination(&self, pick: &[&Value]) -> Combination {
        let swept =
            || self.axes.iter().map(|axis| axis.name.text.clone()).zip(pick.iter().copied());
        let fixed = self.fixed.iter().map(|(name, value)| (name.text.clone(), value.clone()));
        Combination {
            params: swept().map(|(name, value)| Param { name, value: value.to_string() }).collect(),
            values: fixed.chain(swept().map(|(name, value)| (name, value.clone()))).collect(),
        }
    }
}

/// The first value that stood before, as it is written in a cell's name.
fn first_twice(values: &[Value]) -> Option<&Value> {
    let mut seen = BTreeSet::new();
    values.iter().find(|value| !seen.insert(value.to_string()))
}

/// Why two values that read the same cannot stand in one sweep.
const TWICE: &str = "a cell is called by the value as text, so that 1, 1.0 and \"1\" are the same; keep one of them";

/// What no cell can be called after.
const SWEPT_VARIABLE: &str = "a swept value cannot be taken from the environment";
const SWEPT_HELP: &str =
    "a cell is called by it; write `${env:NAME}` in the url, path, header or body itself";

fn names_variable(value: &Value) -> bool {
    matches!(value, Value::Text(text) if text.contains("${env:"))
}

/// The values of a sweep: at least one, and none twice, for it would give two cells the same name.
fn axis_values(name: &Name, nodes: &[&Node], diagnostics: &mut Diagnostics) -> Vec<Value> {
    if nodes.is_empty() {
        let help = "give it at least one value, or remove it".to_owned();
        diagnostics.error(
            name.span.clone(),
            format!("the sweep over `{}` has no values", name.text),
            Some(help),
        );
        return vec![Value::Invalid];
    }
    let mut seen = BTreeSet::new();
    for node in nodes {
        if names_variable(&node.value) {
            diagnostics.error(node.span.clone(), SWEPT_VARIABLE, Some(SWEPT_HELP.to_owned()));
        }
        if !seen.insert(node.value.to_string()) {
            let message = format!("{} stands twice in this sweep", node.value);
            diagnostics.error(node.span.clone(), message, Some(TWICE.to_owned()));
        }
    }
    nodes.iter().map(|node| node.value.clone()).collect()
}
