//! A line of a sweep: the groups that differ in the swept value only.

use super::{CellGroup, CellResult, MetricId, Unit};
use crate::scenario::Param;

/// The groups of a sweep by the swept value, ascending, with the parameters that they share.
pub(super) struct SweepLine<'a> {
    /// The swept parameter.
    pub param: &'a str,
    /// What its values count.
    pub unit: Unit,
    /// The other parameters.
    pub at: Vec<Param>,
    /// Values with their groups.
    pub groups: Vec<(f64, &'a CellGroup)>,
}

impl<'a> SweepLine<'a> {
    /// Every executor that has a cell, in the order of the first group that has it.
    pub fn executors(&self) -> Vec<&'a CellResult> {
        let mut found: Vec<&CellResult> = Vec::new();
        for cell in self.groups.iter().flat_map(|(_, group)| &group.cells) {
            if !found.iter().any(|other| other.executor == cell.executor) {
                found.push(cell);
            }
        }
        found
    }

    /// The values at which an executor takes part in comparisons of a metric, with its cells there.
    pub fn cells(
        &self,
        executor: &str,
        metric: MetricId,
    ) -> Vec<(f64, &'a CellGroup, &'a CellResult)> {
        let cell = |&(value, group): &(f64, &'a CellGroup)| {
            let cell = group.runners(metric).into_iter().find(|cell| cell.executor == executor)?;
            Some((value, group, cell))
        };
        self.groups.iter().filter_map(cell).collect()
    }
}
