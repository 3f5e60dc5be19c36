//! Findings as sentences, computed from the figures. Nothing here names a winner inside overlapping intervals.

use std::collections::BTreeMap;

use crate::{
    analysis::{Analysis, CellResult, CellStatus, ClaimVerdict, Group, MetricId, RatioVerdict, ScenarioResult},
    report::{
        format::{digits, label, metric, ns, plural, prose},
        view::{group_name, has_figures, winner},
    },
};

/// Who won how many groups of a scenario: `tokio is fastest in 5 of 7 groups`.
pub fn winners(scenarios: &[ScenarioResult]) -> String {
    let groups = || scenarios.iter().flat_map(|s| &s.groups);
    let raced = groups().filter(|g| g.cells.iter().filter(|c| has_figures(c)).count() > 1).count();
    if raced == 0 {
        return "Nothing to compare: no two executors have figures".into();
    }
    let mut wins: BTreeMap<&str, usize> = BTreeMap::new();
    for cell in groups().filter_map(winner) {
        *wins.entry(cell.label.as_str()).or_default() += 1;
    }
    let mut wins: Vec<(&str, usize)> = wins.into_iter().collect();
    wins.sort_by_key(|&(name, count)| (std::cmp::Reverse(count), name));
    let Some(&(best, count)) = wins.first() else { return leaders(scenarios, raced) };
    if raced == 1 {
        return format!("{best} is the fastest");
    }
    let others: Vec<String> = wins[1..].iter().map(|(name, count)| format!("{name} in {count}")).collect();
    let rest = if others.is_empty() { String::new() } else { format!(", {}", prose(&others)) };
    format!("{best} is the fastest in {count} of {raced} groups{rest}")
}

/// Without a winner: who is shown to be faster than the baseline.
fn leaders(scenarios: &[ScenarioResult], raced: usize) -> String {
    let mut faster: BTreeMap<&str, usize> = BTreeMap::new();
    let mut intervals = false;
    for cell in scenarios.iter().flat_map(|s| &s.groups).flat_map(|g| &g.cells) {
        let Some(ratio) = &cell.ratio else { continue };
        intervals |= ratio.interval.is_some();
        if ratio.verdict == RatioVerdict::Faster {
            *faster.entry(cell.label.as_str()).or_default() += 1;
        }
    }
    if !intervals {
        return "No winner: fewer than six rounds give no interval".into();
    }
    let names: Vec<String> = faster.keys().map(|name| (*name).to_string()).collect();
    let place = if raced == 1 { String::new() } else { " in at least one group".into() };
    let baseline = match scenarios {
        [one] => one.baseline.as_str(),
        _ => "the baseline",
    };
    if names.is_empty() {
        return format!("Nothing is shown to be faster than {baseline}");
    }
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb} faster than {baseline}{place}; no single winner is shown", prose(&names))
}

/// The group in which the extremes of something are furthest apart, as a factor.
pub fn widest<'a>(
    scenarios: &'a [ScenarioResult],
    value: impl Fn(&CellResult) -> Option<f64>,
) -> Option<(&'a ScenarioResult, &'a Group)> {
    let groups = scenarios.iter().flat_map(|s| s.groups.iter().map(move |g| (s, g)));
    let factors = groups.filter_map(|(s, g)| {
        let [(_, low), (_, high)] = extremes(g, &value)?;
        (low > 0.0).then_some((high / low, s, g))
    });
    factors.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, s, g)| (s, g))
}

/// The lowest and the highest measured value of something over a group's cells: (cell, value).
fn extremes<'a>(group: &'a Group, value: impl Fn(&CellResult) -> Option<f64>) -> Option<[(&'a CellResult, f64); 2]> {
    let values: Vec<(&CellResult, f64)> = group.cells.iter().filter_map(|cell| Some((cell, value(cell)?))).collect();
    let low = values.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let high = values.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (values.len() > 1).then_some([low, high])
}

/// The quantile that has samples enough in every cell with figures: p99, else p50.
fn telling_quantile(group: &Group) -> (&'static str, f64) {
    let enough = group.cells.iter().filter(|c| has_figures(c)).all(|c| c.latency.quantile(0.99).is_some());
    if enough { ("p99", 0.99) } else { ("p50", 0.5) }
}

/// `p99 runs from 11.2ms (tokio) to 29.1ms (threads)`.
pub fn latency(group: &Group) -> String {
    let (name, q) = telling_quantile(group);
    match extremes(group, |cell| cell.latency.quantile(q).map(|v| v as f64)) {
        Some([(low, a), (high, b)]) => {
            format!("{name} runs from {} ({}) to {} ({})", ns(a), low.label, ns(b), high.label)
        }
        None => "too few samples for a quantile of two executors".into(),
    }
}

/// `threads reaches its highest throughput at concurrency=256 and falls behind from there`.
pub fn scaling(scenario: &ScenarioResult, param: &str) -> String {
    let id = scenario.primary;
    if id == MetricId::Makespan {
        return format!("How the makespan grows with {param}");
    }
    let mut peaks: Vec<(String, String)> = Vec::new();
    let Some(last) = scenario.groups.last() else { return String::new() };
    for cell in &last.cells {
        let values = scenario.groups.iter().filter_map(|group| {
            let same = group.cells.iter().find(|c| c.executor == cell.executor && has_figures(c))?;
            Some((group, same.metrics.get(&id)?))
        });
        let values: Vec<_> = values.collect();
        let Some(peak) = (0..values.len()).max_by(|&a, &b| values[a].1.median.total_cmp(&values[b].1.median)) else {
            continue;
        };
        let end = values.len() - 1;
        // Only where the intervals of the peak and of the end are apart has it fallen.
        let fell = matches!((values[peak].1.interval, values[end].1.interval), (Some(p), Some(e)) if e.1 < p.0);
        if peak < end && fell {
            peaks.push((cell.label.clone(), group_name(values[peak].0)));
        }
    }
    if peaks.is_empty() {
        return format!("No executor is shown to lose throughput as {param} grows");
    }
    let words: Vec<String> = peaks.iter().map(|(label, at)| format!("{label} after {at}")).collect();
    format!("Throughput falls again: {}", prose(&words))
}

/// `CPU time per 1000 tasks runs from 30ms (sequential) to 52ms (smol)`.
pub fn spread(group: &Group, id: MetricId) -> String {
    match extremes(group, |cell| cell.metrics.get(&id).map(|v| v.median)) {
        Some([(low, a), (high, b)]) => {
            format!("{} runs from {} ({}) to {} ({})", label(id), metric(id, a), low.label, metric(id, b), high.label)
        }
        None => format!("{} was not measured for two executors", label(id)),
    }
}

/// The largest distance of a round from its cell's median, in percent, and whose it is.
pub fn stability(scenarios: &[ScenarioResult]) -> String {
    let mut worst: Option<(f64, &str)> = None;
    for scenario in scenarios {
        for cell in scenario.groups.iter().flat_map(|g| &g.cells) {
            let Some(value) = cell.metrics.get(&scenario.primary) else { continue };
            let far = value.rounds.iter().map(|r| (r.1 / value.median - 1.0).abs() * 100.0).fold(0.0, f64::max);
            if far.is_finite() && worst.is_none_or(|(most, _)| far > most) {
                worst = Some((far, &cell.name));
            }
        }
    }
    match worst {
        Some((percent, cell)) => {
            format!("No round is further than {} % from its cell's median; the furthest is of {cell}", digits(percent))
        }
        None => "No round was measured".into(),
    }
}

/// The step with the greatest part in the mean time of a task.
pub fn steps(group: &Group) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cell in &group.cells {
        let means: Vec<(&str, f64)> = top_steps(cell);
        let total: f64 = means.iter().map(|m| m.1).sum();
        let Some((name, mean)) = means.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)) else { continue };
        if !parts.contains(&name.to_string()) && total > 0.0 && mean > 0.0 {
            parts.push(name.to_string());
        }
    }
    match parts.as_slice() {
        [] => "no step has a name of its own".into(),
        [one] => format!("{one} takes the greatest part of a task under every executor"),
        _ => format!("the greatest part of a task is {}, depending on the executor", prose(&parts)),
    }
}

/// Names and mean latencies in ns of a cell's top-level steps.
pub fn top_steps(cell: &CellResult) -> Vec<(&str, f64)> {
    let steps = cell.steps.iter().filter(|s| s.top_level && s.latency.count() > 0);
    steps.map(|s| (s.name.as_str(), s.latency.0.mean())).collect()
}

/// How many claims agree.
pub fn claims(scenarios: &[ScenarioResult]) -> String {
    let claims = || scenarios.iter().flat_map(|s| &s.claims);
    let count = |verdict| claims().filter(|c| c.verdict == verdict).count();
    let parts = [
        (count(ClaimVerdict::Agrees), "agrees", "agree"),
        (count(ClaimVerdict::Disagrees), "disagrees", "disagree"),
        (count(ClaimVerdict::Inconclusive), "is inconclusive", "are inconclusive"),
        (count(ClaimVerdict::NotMeasured), "was not measured", "were not measured"),
    ];
    let words: Vec<String> = parts
        .into_iter()
        .filter(|(n, ..)| *n > 0)
        .map(|(n, one, many)| format!("{n} {}", if n == 1 { one } else { many }))
        .collect();
    format!("Of {}, {}", plural(claims().count(), "claim"), prose(&words))
}

/// What a reader must know of the run's validity: cells that are not complete, by state.
pub fn validity(analysis: &Analysis) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for cell in analysis.scenarios.iter().flat_map(|s| &s.groups).flat_map(|g| &g.cells) {
        let word = match cell.status {
            CellStatus::Complete => continue,
            CellStatus::Partial(_) => "partial",
            CellStatus::Failed(_) => "failed",
            CellStatus::NotApplicable(_) => "not applicable",
            CellStatus::Refused(_) => "refused by this host",
            CellStatus::Pending => "not run yet",
        };
        *counts.entry(word).or_default() += 1;
    }
    counts.into_iter().map(|(word, count)| format!("{} {word}", plural(count, "cell"))).collect()
}
