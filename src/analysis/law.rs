//! The Universal Scalability Law of each executor in a closed load that is swept over its number of
//! clients.
//!
//! The law is fitted to the medians over the rounds of at least six numbers of clients, and shown
//! where it describes them: it must explain 95 % of the variance of the logarithms, and no median
//! may be more than a fifth away from it. Where it does not, the reason is given in place of the
//! parameters. The peak's interval is that of order statistics over the rounds, each with its own
//! fit.

use super::{CellResult, Fit, Law, MetricId, line::SweepLine, stats, stats::Scalability};
use crate::scenario::LoadKind;

/// Fewer numbers of clients than this do not test a law with three parameters.
const FEWEST: usize = 6;
/// The least share of the variance of ln X that a shown law explains.
const LEAST_R_SQUARED: f64 = 0.95;
/// The farthest that a median may be from a shown law, as a share of it.
const FARTHEST: f64 = 0.2;

/// Each executor's law, where the sweep is over a closed load's clients; none below six values.
pub(super) fn laws(line: &SweepLine<'_>, primary: MetricId) -> Vec<Law> {
    if primary != MetricId::Throughput
        || !line.groups.iter().all(|(value, group)| has_clients(group.load.as_ref(), *value))
    {
        return Vec::new();
    }
    line.executors().into_iter().filter_map(|cell| law(line, cell)).collect()
}

/// Whether a load is closed and has so many clients, all the time and until its time is over.
fn has_clients(load: Option<&LoadKind>, clients: f64) -> bool {
    let Some(LoadKind::Closed { concurrency, stages, .. }) = load else { return false };
    stages.is_empty() && (*concurrency as f64).total_cmp(&clients).is_eq()
}

fn law(line: &SweepLine<'_>, cell: &CellResult) -> Option<Law> {
    let cells = line.cells(&cell.executor, MetricId::Throughput);
    let medians: Vec<(f64, f64)> = cells
        .iter()
        .filter_map(|(n, _, cell)| Some((*n, cell.metrics.get(&MetricId::Throughput)?.median)))
        .collect();
    if medians.len() < FEWEST {
        return None;
    }
    let found = Scalability::fit(&medians);
    let hidden = found.map_or_else(|| Some("no law fits".into()), |law| objection(&law, &medians));
    let fit = found.filter(|_| hidden.is_none()).map(|law| fit(&law, &medians, &by_round(&cells)));
    Some(Law { executor: cell.executor.clone(), label: cell.label.clone(), fit, hidden })
}

/// Why a law is not shown.
fn objection(law: &Scalability, points: &[(f64, f64)]) -> Option<String> {
    let residuals = law.residuals(points);
    let worst = residuals.iter().zip(points).max_by(|a, b| a.0.abs().total_cmp(&b.0.abs()))?;
    let (residual, (n, _)) = worst;
    let r_squared = law.r_squared(points);
    if residual.abs() > FARTHEST {
        return Some(format!("{:.0} % away from it at {n}", 100.0 * residual.abs()));
    }
    (r_squared < LEAST_R_SQUARED)
        .then(|| format!("it explains {:.0} % of the variance", 100.0 * r_squared.max(0.0)))
}

fn fit(law: &Scalability, medians: &[(f64, f64)], rounds: &[Vec<(f64, f64)>]) -> Fit {
    // A round whose throughput never falls has its peak beyond every number.
    let peak =
        |points: &Vec<(f64, f64)>| Some(Scalability::fit(points)?.peak().unwrap_or(f64::INFINITY));
    let peaks: Vec<f64> = rounds.iter().filter_map(peak).collect();
    let interval = stats::median_interval(&peaks).filter(|_| peaks.len() == rounds.len());
    Fit {
        lambda: law.lambda,
        sigma: law.sigma,
        kappa: law.kappa,
        r_squared: law.r_squared(medians),
        residuals: medians.iter().map(|&(n, _)| n).zip(law.residuals(medians)).collect(),
        peak: law.peak(),
        peak_interval: interval.filter(|(low, high)| low.is_finite() && high.is_finite()),
    }
}

/// Throughput over clients in each round that has all of them.
fn by_round(cells: &[(f64, &super::CellGroup, &CellResult)]) -> Vec<Vec<(f64, f64)>> {
    let values = |cell: &CellResult| {
        cell.metrics.get(&MetricId::Throughput).map(|value| value.rounds.clone())
    };
    let columns: Vec<(f64, Vec<(u32, f64)>)> =
        cells.iter().filter_map(|(n, _, cell)| Some((*n, values(cell)?))).collect();
    let first = columns.first().map(|(_, rounds)| rounds.as_slice()).unwrap_or_default();
    let in_round = |round: u32| {
        let value = |(n, rounds): &(f64, Vec<(u32, f64)>)| {
            Some((*n, rounds.iter().find(|(r, _)| *r == round)?.1))
        };
        columns.iter().map(value).collect::<Option<Vec<_>>>()
    };
    first.iter().filter_map(|&(round, _)| in_round(round)).collect()
}

impl Fit {
    /// X at N.
    pub fn at(&self, n: f64) -> f64 {
        Scalability { lambda: self.lambda, sigma: self.sigma, kappa: self.kappa }.at(n)
    }

    /// Points of the law over the measured range, evenly spaced by the logarithm of N.
    pub fn curve(&self) -> Vec<(f64, f64)> {
        const STEPS: u32 = 24;
        let (Some((least, _)), Some((most, _))) = (self.residuals.first(), self.residuals.last())
        else {
            return Vec::new();
        };
        let at = |step| least * (most / least).powf(f64::from(step) / f64::from(STEPS));
        (0..=STEPS).map(|step| (at(step), self.at(at(step)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::analyse,
        scenario::ClientStage,
        store::fixture::{Fixture, clients, kind, noisy},
    };

    const SWEEP: [u32; 7] = [1, 4, 16, 64, 256, 1024, 4096];

    /// The laws of tokio in a load swept over `clients`, at the rates that are given, within 2 %.
    fn laws_of(
        clients: &[u32],
        rate: impl Fn(f64) -> f64,
        load: impl Fn(u32) -> LoadKind,
    ) -> Vec<Law> {
        let fixture = clients.iter().fold(Fixture::closed("tokio", 7), |fixture, &n| {
            let rates = noisy(rate(f64::from(n)), 0.02, 7, u64::from(n));
            fixture.cell("tokio", &[("concurrency", n.to_string().as_str())], &rates)
        });
        let named = fixture.loads(|cell| load(cell.params[0].value.parse().expect("a number")));
        analyse(&named.build()).scenarios.remove(0).sweeps.remove(0).laws
    }

    fn closed(n: u32) -> LoadKind {
        clients(u64::from(n))
    }

    fn rate(n: f64) -> f64 {
        Scalability { lambda: 400.0, sigma: 0.015, kappa: 2e-6 }.at(n)
    }

    #[test]
    fn a_swept_closed_load_has_its_law_and_peak() {
        let laws = laws_of(&SWEEP, rate, closed);
        let [Law { label, fit: Some(fit), hidden: None, .. }] = laws.as_slice() else {
            panic!("{laws:?}")
        };
        assert_eq!(label, "tokio");
        assert!(
            (fit.lambda / 400.0 - 1.0).abs() < 0.05 && (fit.sigma / 0.015 - 1.0).abs() < 0.1,
            "{fit:?}"
        );
        assert!(fit.r_squared > 0.99 && fit.residuals.len() == 7, "{fit:?}");
        let (low, high) = fit.peak_interval.expect("seven rounds");
        // √((1 − 0.015) / 2e-6) = 702.
        assert!(low <= 702.0 && 702.0 <= high, "{fit:?}");
        assert!(fit.peak.is_some_and(|peak| low <= peak && peak <= high), "{fit:?}");
    }

    #[test]
    fn what_the_law_does_not_describe_is_hidden_with_the_reason() {
        let knee = laws_of(&SWEEP, |n| 400.0 * n.min(64.0), closed);
        assert!(
            knee[0].fit.is_none()
                && knee[0].hidden.as_ref().is_some_and(|why| why.contains("away")),
            "{knee:?}"
        );
        let cliff = laws_of(&SWEEP, |n| if n > 500.0 { 20.0 } else { 400.0 * n }, closed);
        assert!(cliff[0].fit.is_none(), "{cliff:?}");
        let constant = laws_of(&SWEEP, |_| 400.0, closed);
        let why = constant[0].hidden.as_deref().expect("nothing to explain");
        assert!(why.contains("of the variance"), "{why}");
    }

    #[test]
    fn fewer_than_six_values_have_no_law() {
        assert!(laws_of(&SWEEP[..5], rate, closed).is_empty());
        assert_eq!(laws_of(&SWEEP[..6], rate, closed).len(), 1);
    }

    #[test]
    fn other_sweeps_have_no_law() {
        assert!(laws_of(&SWEEP, rate, |_| closed(64)).is_empty());
        assert!(laws_of(&SWEEP, rate, |_| kind("open")).is_empty());
        // Some of the clients take part for a while only.
        let stages = |n| match closed(n) {
            LoadKind::Closed { concurrency, think, tasks, drain, .. } => {
                let stages = vec![ClientStage { from: 1, to: concurrency, length_ns: 1 }];
                LoadKind::Closed { concurrency, stages, think, tasks, drain }
            }
            other => other,
        };
        assert!(laws_of(&SWEEP, rate, stages).is_empty());
    }
}
