//! Who leads a group in one metric, and whether that is shown at all.
//!
//! A valid cell takes part with six rounds or more. It wins where its ratio to each of the others
//! has an interval above 1; as all of these tests must pass, no correction for their number is
//! needed (an intersection–union test). Otherwise the lead is shared by the cells that no other
//! cell is shown to be better than.

use super::{CellGroup, CellResult, MetricId, RatioVerdict};

/// Who leads a group.
#[derive(Debug, Clone)]
pub enum Leader<'a> {
    /// One cell is better than each of the others.
    Winner(&'a CellResult),
    /// No difference is shown between these.
    Shared(Vec<&'a CellResult>),
    /// Cells have figures, but fewer than two of them have six rounds.
    TooFewRounds,
    /// There are no two cells to compare.
    NothingToCompare,
}

impl CellGroup {
    /// Who leads in a metric.
    pub fn leader(&self, metric: MetricId) -> Leader<'_> {
        let runners = self.runners(metric);
        if runners.len() < 2 {
            let ranked = self.cells.iter().filter(|cell| cell.is_ranked());
            let with_figures = ranked.filter(|cell| cell.metrics.contains_key(&metric)).count();
            return if with_figures < 2 { Leader::NothingToCompare } else { Leader::TooFewRounds };
        }
        let better = |a: &CellResult, b: &CellResult| is_better(a, b, metric);
        let beats_all = |cell: &&CellResult| {
            runners.iter().all(|other| other.name == cell.name || better(cell, other))
        };
        match runners.iter().copied().find(beats_all) {
            Some(winner) => Leader::Winner(winner),
            None => Leader::Shared(unbeaten(&runners, better)),
        }
    }

    /// The cells that take part in comparisons of a metric.
    pub fn runners(&self, metric: MetricId) -> Vec<&CellResult> {
        let has_interval = |cell: &&CellResult| {
            cell.metrics.get(&metric).is_some_and(|value| value.interval.is_some())
        };
        self.cells.iter().filter(|cell| cell.is_ranked()).filter(has_interval).collect()
    }
}

fn is_better(cell: &CellResult, other: &CellResult, metric: MetricId) -> bool {
    cell.ratio_to(other, metric).is_some_and(|ratio| ratio.verdict == RatioVerdict::Faster)
}

/// The cells that none is better than. "No difference shown" is not transitive: a single cell may
/// be left that is not shown to be better than one that a third beats. That one then shares the
/// lead, as it was not shown to be behind.
fn unbeaten<'a>(
    runners: &[&'a CellResult],
    better: impl Fn(&CellResult, &CellResult) -> bool,
) -> Vec<&'a CellResult> {
    let is_unbeaten = |cell: &&CellResult| !runners.iter().any(|other| better(other, cell));
    let mut leading: Vec<&CellResult> = runners.iter().copied().filter(is_unbeaten).collect();
    if let [single] = leading[..] {
        let close = |other: &&&CellResult| other.name != single.name && !better(single, other);
        leading.extend(runners.iter().find(close));
    }
    if leading.is_empty() { runners.to_vec() } else { leading }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{analysis::analyse, store::fixture::Fixture};

    /// The labels of who leads in makespan, behind `!` where it is one alone.
    fn leader(cells: &[(&str, &[f64])]) -> String {
        let rounds = cells.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
        let fixture = Fixture::batch("threads", rounds as u32);
        let fixture = cells
            .iter()
            .fold(fixture, |fixture, (executor, values)| fixture.cell(executor, &[], values));
        let analysis = analyse(&fixture.build());
        match analysis.scenarios[0].groups[0].leader(MetricId::Makespan) {
            Leader::Winner(cell) => format!("!{}", cell.label),
            Leader::Shared(cells) => {
                cells.iter().map(|cell| cell.label.as_str()).collect::<Vec<_>>().join(" ")
            }
            Leader::TooFewRounds => "too few rounds".into(),
            Leader::NothingToCompare => "nothing".into(),
        }
    }

    const FAST: &[f64] = &[1e6, 1.1e6, 1e6, 1.2e6, 1e6, 1.1e6];
    const ABOUT_AS_FAST: &[f64] = &[1.1e6, 1e6, 1.2e6, 1e6, 1.1e6, 1e6];
    const SLOW: &[f64] = &[3e6, 3e6, 3e6, 3e6, 3e6, 3e6];

    #[test]
    fn a_winner_is_better_than_every_other() {
        assert_eq!(leader(&[("threads", SLOW), ("tokio", FAST)]), "!tokio");
        assert_eq!(
            leader(&[("threads", SLOW), ("tokio", FAST), ("smol", ABOUT_AS_FAST)]),
            "tokio smol"
        );
    }

    #[test]
    fn too_few_rounds_name_nobody() {
        assert_eq!(leader(&[("threads", &SLOW[..5]), ("tokio", &FAST[..5])]), "too few rounds");
        assert_eq!(leader(&[("threads", SLOW), ("tokio", &FAST[..5])]), "too few rounds");
        assert_eq!(leader(&[("threads", SLOW), ("tokio", &FAST[..5]), ("smol", FAST)]), "!smol");
        assert_eq!(leader(&[("threads", SLOW)]), "nothing");
    }

    #[test]
    fn where_no_difference_is_not_transitive_the_lead_is_shared() {
        let of = |better_than: &[(&str, &str)], labels: [&str; 3]| {
            let cells = labels.map(blank);
            let runners: Vec<&CellResult> = cells.iter().collect();
            let better = |a: &CellResult, b: &CellResult| {
                better_than.contains(&(a.label.as_str(), b.label.as_str()))
            };
            unbeaten(&runners, better).iter().map(|cell| cell.label.clone()).collect::<Vec<_>>()
        };
        assert_eq!(of(&[("a", "b"), ("b", "c")], ["a", "b", "c"]), ["a", "c"]);
        assert_eq!(of(&[("a", "b"), ("b", "c"), ("c", "a")], ["a", "b", "c"]), ["a", "b", "c"]);
        assert_eq!(of(&[("a", "c")], ["a", "b", "c"]), ["a", "b"]);
    }

    fn blank(label: &str) -> CellResult {
        let analysis = analyse(&Fixture::batch("threads", 1).cell(label, &[], &[]).build());
        analysis.scenarios[0].groups[0].cells[0].clone()
    }
}
