//! What sweeps and means over cells show, in words that all outputs share.

use crate::{
    analysis::{Crossing, Fit, Law, MeanRatio, MetricId, PairResult, ScenarioResult, Sweep, Unit},
    report::{
        format::{digits, label, metric, plural, prose},
        view::{params, ratio_words},
    },
};

/// `over concurrency`, or `over concurrency at fanout=16`.
pub fn over(sweep: &Sweep) -> String {
    if sweep.at.is_empty() {
        format!("over {}", sweep.param)
    } else {
        format!("over {} at {}", sweep.param, params(&sweep.at))
    }
}

/// A number of clients.
fn clients(value: f64) -> String {
    Unit::Number.format(value)
}

/// What a sweep shows, a line each: crossings by metric with how many pairs have none, then laws.
pub fn lines(sweep: &Sweep) -> Vec<String> {
    let mut metrics: Vec<MetricId> = sweep.pairs.iter().map(|pair| pair.metric).collect();
    metrics.dedup();
    let mut lines: Vec<String> =
        metrics.into_iter().flat_map(|metric| of_metric(sweep, metric)).collect();
    lines.extend(sweep.laws.iter().map(law));
    lines
}

fn of_metric(sweep: &Sweep, metric: MetricId) -> Vec<String> {
    let (crossed, others): (Vec<&PairResult>, Vec<&PairResult>) = sweep
        .pairs
        .iter()
        .filter(|pair| pair.metric == metric)
        .partition(|pair| !pair.crossings.is_empty());
    let mut lines: Vec<String> = crossed
        .iter()
        .flat_map(|pair| pair.crossings.iter().map(|c| crossing(sweep, pair, c)))
        .collect();
    if !others.is_empty() {
        let which = if crossed.is_empty() { "" } else { " other" };
        let pairs = if others.len() == 1 { "pair".to_owned() } else { "pairs".to_owned() };
        lines.push(format!(
            "{}: no crossing shown between {}{which} {pairs} of executors",
            label(metric),
            others.len()
        ));
    }
    lines
}

/// `throughput: threads and tokio cross at 210 [180, 240]; below it threads is ahead, above it
/// tokio`.
pub fn crossing(sweep: &Sweep, pair: &PairResult, crossing: &Crossing) -> String {
    let [a, b] = &pair.labels;
    let (below, above) = (&crossing.below, &crossing.above);
    format!(
        "{}: {a} and {b} cross {}; below it {below} is ahead, above it {above}",
        label(pair.metric),
        place(sweep.unit, crossing)
    )
}

/// `at 210 [180, 240]`, or between which values where too few rounds have both.
pub fn place(unit: Unit, crossing: &Crossing) -> String {
    let value = |value| unit.format(value);
    match (crossing.estimate, crossing.interval) {
        (Some(at), Some((low, high))) => {
            format!("at {} [{}, {}]", value(at), value(low), value(high))
        }
        _ => format!("between {} and {}", value(crossing.from), value(crossing.to)),
    }
}

fn law(law: &Law) -> String {
    match (&law.fit, &law.hidden) {
        (Some(fit), _) => format!("Universal Scalability Law: {} {}", law.label, fit_words(fit)),
        (None, hidden) => {
            let why = hidden.as_deref().unwrap_or("no law fits");
            format!("Universal Scalability Law: not shown for {}: {why}", law.label)
        }
    }
}

/// How far each median is from its executor's law, a line for each law that is shown.
pub fn residuals(sweep: &Sweep) -> Vec<String> {
    let of = |(law, fit): (&Law, &Fit)| {
        let left: Vec<String> = fit
            .residuals
            .iter()
            .map(|&(n, left)| format!("{:+.1} % at {}", 100.0 * left, clients(n)))
            .collect();
        format!("Residuals of the law of {}: {}", law.label, left.join(", "))
    };
    sweep.laws.iter().filter_map(|law| Some((law, law.fit.as_ref()?))).map(of).collect()
}

/// `λ = 398/s, σ = 0.0150, κ = 3.0e-8, R² = 0.998, peak at 702 clients [650, 760]`.
pub fn fit_words(fit: &Fit) -> String {
    let rate = metric(MetricId::Throughput, fit.lambda);
    let words = format!(
        "λ = {rate}, σ = {}, κ = {}, R² = {:.3}",
        digits(fit.sigma),
        kappa(fit.kappa),
        fit.r_squared
    );
    format!("{words}, {}", peak(fit))
}

/// A coherence, which may be very small.
pub fn kappa(value: f64) -> String {
    if value > 0.0 { format!("{value:.1e}") } else { "0".into() }
}

/// `peak at 702 clients [650, 760]`, and whether so many were measured.
pub fn peak(fit: &Fit) -> String {
    let Some(peak) = fit.peak else { return "no peak".into() };
    let interval =
        fit.peak_interval.map(|(low, high)| format!(" [{}, {}]", clients(low), clients(high)));
    let beyond = fit.residuals.last().is_some_and(|(most, _)| peak > *most);
    let beyond = if beyond { ", more than were measured" } else { "" };
    format!("peak at {} clients{}{beyond}", clients(peak), interval.unwrap_or_default())
}

/// The geometric means of a scenario, called so; nothing where there are none.
pub fn means(scenario: &ScenarioResult) -> Option<String> {
    let of = scenario.means.first()?.of;
    let with = scenario
        .means
        .iter()
        .filter_map(|mean| Some(format!("{} {}", mean.label, ratio_words(mean.ratio.as_ref()?))));
    let with: Vec<String> = with.collect();
    let missing = |mean: &&MeanRatio| mean.ratio.is_none();
    let without: Vec<String> = scenario
        .means
        .iter()
        .filter(missing)
        .map(|mean| format!("{} ({} of {of} comparable)", mean.label, mean.cells))
        .collect();
    let cells = plural(of, "cell");
    Some(match (with.is_empty(), without.is_empty()) {
        (true, _) => format!("No geometric mean of ratios over {cells}: {}", prose(&without)),
        (false, true) => {
            format!("Geometric means of the ratios over {cells} each: {}", prose(&with))
        }
        (false, false) => {
            format!(
                "Geometric means of the ratios over {cells} each: {}; none for {}",
                prose(&with),
                prose(&without)
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_sweep_is_told_in_lines() {
        let analysis = fixture::analysis();
        let sweep = &analysis.scenarios[0].sweeps[0];
        assert_eq!(over(sweep), "over concurrency");
        insta::assert_snapshot!(lines(sweep).join("\n"), @r"
        throughput: threads and async-std cross at 31.5 [20, 36.7]; below it threads is ahead, above it async-std
        throughput: thread-pool(64) and async-std cross at 61.2 [44.5, 71.4]; below it thread-pool(64) is ahead, above it async-std
        throughput: no crossing shown between 13 other pairs of executors
        p99 latency: threads and thread-pool(64) cross at 71.9 [66.3, 95.6]; below it threads is ahead, above it thread-pool(64)
        p99 latency: threads and tokio cross at 19.9 [10.1, 21.5]; below it threads is ahead, above it tokio
        p99 latency: threads and tokio-current-thread cross at 29.6 [21.5, 32.3]; below it threads is ahead, above it tokio-current-thread
        p99 latency: threads and smol cross at 80.1 [73.3, 103]; below it threads is ahead, above it smol
        p99 latency: thread-pool(64) and tokio cross at 7.2 [5.72, 13.7]; below it thread-pool(64) is ahead, above it tokio
        p99 latency: thread-pool(64) and tokio-current-thread cross at 19.1 [12.1, 23]; below it thread-pool(64) is ahead, above it tokio-current-thread
        p99 latency: thread-pool(64) and smol cross at 104 [54.2, 157]; below it thread-pool(64) is ahead, above it smol
        p99 latency: no crossing shown between 8 other pairs of executors
        Universal Scalability Law: threads λ = 380/s, σ = 0.0200, κ = 2.0e-5, R² = 1.000, peak at 221 clients [219, 226]
        Universal Scalability Law: thread-pool(64) λ = 390/s, σ = 0.0209, κ = 4.0e-7, R² = 1.000, peak at 1.56k clients [1.49k, 1.64k]
        Universal Scalability Law: tokio λ = 396/s, σ = 0.0152, κ = 1.8e-8, R² = 1.000, peak at 7.46k clients, more than were measured
        Universal Scalability Law: tokio-current-thread λ = 398/s, σ = 0.0150, κ = 1.8e-8, R² = 1.000, peak at 7.31k clients, more than were measured
        Universal Scalability Law: smol λ = 391/s, σ = 0.0154, κ = 1.3e-7, R² = 1.000, peak at 2.71k clients, more than were measured
        ");
    }

    #[test]
    fn means_are_called_geometric_and_say_who_has_none() {
        let analysis = fixture::analysis();
        insta::assert_snapshot!(means(&analysis.scenarios[0]).unwrap_or_default(), @"Geometric means of the ratios over 7 cells each: tokio 1.21 [1.21, 1.22] and tokio-current-thread 1.22 [1.22, 1.23]; none for sequential (1 of 7 comparable), threads (6 of 7 comparable), async-std (5 of 7 comparable) and smol (6 of 7 comparable)");
        assert_eq!(means(&analysis.scenarios[1]), None);
    }

    #[test]
    fn a_crossing_without_an_interval_is_between_two_values() {
        let crossing = Crossing {
            below: "threads".into(),
            above: "tokio".into(),
            from: 64.0,
            to: 256.0,
            estimate: None,
            interval: None,
            rounds: 0,
        };
        assert_eq!(place(Unit::Number, &crossing), "between 64 and 256");
        assert_eq!(place(Unit::Rate, &crossing), "between 64/s and 256/s");
        let known = Crossing {
            estimate: Some(210.4),
            interval: Some((180.0, 240.0)),
            rounds: 7,
            ..crossing
        };
        assert_eq!(place(Unit::Number, &known), "at 210 [180, 240]");
    }
}
