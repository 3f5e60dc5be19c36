//! Findings as sentences for headings and captions, computed from the figures. Who leads is decided
//! by the analysis: nothing here names a winner where the intervals leave it open.

use std::cmp::Reverse;

use crate::{
    analysis::{
        Analysis, CellGroup, CellResult, CellStatus, Leader, MetricId, RatioVerdict, ScenarioResult,
    },
    report::{
        format::{digits, label, metric, ns, plural, prose},
        validity::is_unranked,
        view::{self, ClaimHolds},
    },
    store::Lane,
};

/// Lists longer than this are counted and not named in a heading.
const NAMED: usize = 3;

/// Who won how many groups: `tokio is the fastest in 5 of 7 groups`.
///
/// Each lane has a sentence of its own.
pub fn winners(scenarios: &[ScenarioResult]) -> String {
    let of = |lane: Lane| {
        scenarios.iter().filter(|s| s.lane().unwrap_or_default() == lane).collect::<Vec<_>>()
    };
    match (of(Lane::SameCode), of(Lane::Idiomatic)) {
        (all, none) | (none, all) if none.is_empty() => winners_of(&all),
        (same_code, idiomatic) => {
            format!(
                "Same-code lane: {}. Idiomatic lane: {}",
                winners_of(&same_code),
                winners_of(&idiomatic)
            )
        }
    }
}

fn winners_of(scenarios: &[&ScenarioResult]) -> String {
    let groups =
        scenarios.iter().flat_map(|s| s.groups.iter().map(move |g| (g, g.leader(s.primary))));
    let raced: Vec<_> =
        groups.filter(|(_, leader)| !matches!(leader, Leader::NothingToCompare)).collect();
    let lead = leading(scenarios);
    match raced.as_slice() {
        [] if scenarios.iter().flat_map(|s| &s.groups).any(|g| g.cells.iter().any(is_unranked)) => {
            "Nothing to compare: nowhere are two cells valid".into()
        }
        [] => "Nothing to compare: no two executors have figures".into(),
        [(group, leader)] => upper(&led(group, leader, lead)),
        _ => over_groups(&raced, lead),
    }
}

/// What the best one is or has, in the metric by which all scenarios are raced.
fn leading(scenarios: &[&ScenarioResult]) -> &'static str {
    let mut primaries = scenarios.iter().map(|scenario| scenario.primary);
    let first = primaries.next().unwrap_or(MetricId::Makespan);
    let in_time = matches!(first, MetricId::Makespan | MetricId::Throughput);
    if in_time || primaries.any(|other| other != first) {
        "is the fastest"
    } else {
        first.info().lead
    }
}

fn over_groups(raced: &[(&CellGroup, Leader<'_>)], lead: &str) -> String {
    let mut wins: Vec<(&str, usize)> = Vec::new();
    for (_, leader) in raced {
        let Leader::Winner(cell) = leader else { continue };
        match wins.iter_mut().find(|(name, _)| *name == cell.label) {
            Some((_, count)) => *count += 1,
            None => wins.push((&cell.label, 1)),
        }
    }
    wins.sort_by_key(|&(_, count)| Reverse(count));
    let Some((best, count)) = wins.first() else {
        let short = raced.iter().all(|(_, leader)| matches!(leader, Leader::TooFewRounds));
        let why = if short { ": fewer than six rounds give no interval" } else { "" };
        return format!(
            "No executor is shown to be ahead alone in any of {} groups{why}",
            raced.len()
        );
    };
    let others = if wins.len() > NAMED {
        format!(", {} others in {}", wins.len() - 1, wins[1..].iter().map(|w| w.1).sum::<usize>())
    } else {
        wins[1..]
            .iter()
            .fold(String::new(), |text, (name, count)| text + &format!(", {name} in {count}"))
    };
    let open = raced.len() - wins.iter().map(|w| w.1).sum::<usize>();
    let open = if open > 0 { format!("; {open} show no single winner") } else { String::new() };
    format!("{best} {lead} in {count} of {} groups{others}{open}", raced.len())
}

/// Who leads one group: `tokio is the fastest`, or between whom no difference is shown.
pub fn lead(scenario: &ScenarioResult, group: &CellGroup) -> String {
    led(group, &group.leader(scenario.primary), leading(&[scenario]))
}

/// Why nothing is named where figures are shown and not ranked.
pub const TOO_FEW_VALID: &str = "fewer than two cells are valid, and no winner is named";

/// Why a group has no extremes: its cells are not ranked, or for the reason that is `otherwise`
/// true.
fn no_extremes(group: &CellGroup, otherwise: String) -> String {
    if group.cells.iter().any(is_unranked) { TOO_FEW_VALID.into() } else { otherwise }
}

/// Why no group has extremes, as [`no_extremes`].
pub fn none_widest(scenarios: &[ScenarioResult], otherwise: &str) -> String {
    let any =
        scenarios.iter().flat_map(|s| &s.groups).any(|group| group.cells.iter().any(is_unranked));
    upper(if any { TOO_FEW_VALID } else { otherwise })
}

fn led(group: &CellGroup, leader: &Leader<'_>, lead: &str) -> String {
    match leader {
        Leader::Winner(cell) => format!("{} {lead}", cell.label),
        Leader::Shared(cells) if cells.len() == group.cells.len() && cells.len() > NAMED => {
            "no difference is shown between any of them".into()
        }
        Leader::Shared(cells) => {
            let names: Vec<String> = cells.iter().map(|cell| cell.label.clone()).collect();
            format!("no difference is shown between the best: {}", prose(&names))
        }
        Leader::TooFewRounds => "fewer than six rounds: no interval, and no winner is named".into(),
        Leader::NothingToCompare if group.cells.iter().any(is_unranked) => TOO_FEW_VALID.into(),
        Leader::NothingToCompare => "nothing to compare".into(),
    }
}

/// Text that begins with a capital.
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Our own words get a capital at the beginning of a heading; names keep their spelling.
pub fn upper(text: &str) -> String {
    for own in ["no ", "fewer ", "nothing ", "the ", "too ", "how "] {
        if let Some(rest) = text.strip_prefix(own) {
            return format!("{}{}{rest}", own[..1].to_uppercase(), &own[1..]);
        }
    }
    text.to_string()
}

/// The group in which the extremes of something are furthest apart, as a factor.
pub fn widest(
    scenarios: &[ScenarioResult],
    value: impl Fn(&CellResult) -> Option<f64>,
) -> Option<(&ScenarioResult, &CellGroup)> {
    let groups = scenarios.iter().flat_map(|s| s.groups.iter().map(move |g| (s, g)));
    let factors = groups.filter_map(|(s, g)| {
        let [(_, low), (_, high)] = extremes(g, &value)?;
        (low > 0.0).then_some((high / low, s, g))
    });
    factors.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, s, g)| (s, g))
}

/// The lowest and the highest measured value of something over a group's ranked cells: (cell,
/// value).
fn extremes(
    group: &CellGroup,
    value: impl Fn(&CellResult) -> Option<f64>,
) -> Option<[(&CellResult, f64); 2]> {
    let ranked = group.cells.iter().filter(|cell| cell.is_ranked());
    let values: Vec<(&CellResult, f64)> =
        ranked.filter_map(|cell| Some((cell, value(cell)?))).collect();
    let low = values.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let high = values.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1))?;
    (values.len() > 1).then_some([low, high])
}

/// The quantile that has samples enough in every ranked cell: p99, else p50.
fn telling_quantile(group: &CellGroup) -> (&'static str, f64) {
    let enough =
        group.cells.iter().filter(|c| c.is_ranked()).all(|c| c.latency.quantile(0.99).is_some());
    if enough { ("p99", 0.99) } else { ("p50", 0.5) }
}

/// `measured p99 runs from 11.2ms (tokio) to 29.1ms (threads)`, and whether one is shown to be the
/// lowest.
pub fn latency(group: &CellGroup) -> String {
    let (name, q) = telling_quantile(group);
    let Some([(low, a), (high, b)]) =
        extremes(group, |cell| cell.latency.quantile(q).map(|v| v as f64))
    else {
        return no_extremes(group, "too few samples for a quantile of two executors".into());
    };
    format!("{name} runs from {} ({}) to {} ({})", ns(a), low.label, ns(b), high.label)
}

/// Who is shown to have the lowest p99.
pub fn lowest_p99(group: &CellGroup) -> String {
    match group.leader(MetricId::LatencyP99) {
        Leader::Winner(cell) => format!("; {} is shown to have the lowest", cell.label),
        Leader::Shared(_) => "; none is shown to have the lowest alone".into(),
        Leader::TooFewRounds | Leader::NothingToCompare => String::new(),
    }
}

/// `CPU time per 1000 tasks runs from 30ms (sequential) to 52ms (smol)`.
pub fn spread(group: &CellGroup, id: MetricId) -> String {
    match extremes(group, |cell| cell.metrics.get(&id).map(|v| v.median)) {
        Some([(low, a), (high, b)]) => {
            format!(
                "{} runs from {} ({}) to {} ({})",
                label(id),
                metric(id, a),
                low.label,
                metric(id, b),
                high.label
            )
        }
        None => no_extremes(group, format!("{} was not measured for two executors", label(id))),
    }
}

/// The largest distance of a round from its cell's median, in percent, and whose it is.
pub fn stability(scenarios: &[ScenarioResult]) -> String {
    let mut worst: Option<(f64, &str)> = None;
    for scenario in scenarios {
        for cell in scenario.groups.iter().flat_map(|g| &g.cells) {
            let Some(value) = cell.metrics.get(&scenario.primary) else { continue };
            let far = value
                .rounds
                .iter()
                .map(|r| (r.1 / value.median - 1.0).abs() * 100.0)
                .fold(0.0, f64::max);
            if far.is_finite() && worst.is_none_or(|(most, _)| far > most) {
                worst = Some((far, &cell.name));
            }
        }
    }
    match worst {
        Some((percent, cell)) => {
            format!(
                "The round furthest from its cell's median is {} % away from it, in {cell}",
                digits(percent)
            )
        }
        None => "No round was measured".into(),
    }
}

/// The step with the greatest part in the mean time of a task.
pub fn steps(group: &CellGroup) -> String {
    let mut greatest: Vec<String> = Vec::new();
    for cell in &group.cells {
        let Some((name, mean)) = top_steps(cell).into_iter().max_by(|a, b| a.1.total_cmp(&b.1))
        else {
            continue;
        };
        if mean > 0.0 && greatest.iter().all(|known| known != name) {
            greatest.push(name.to_string());
        }
    }
    match greatest.as_slice() {
        [] => "no step has a name of its own".into(),
        [one] => format!("{one} takes the greatest part of a task under every executor"),
        _ => format!(
            "the greatest part of a task is {}, depending on the executor",
            prose(&greatest)
        ),
    }
}

/// Names and mean latencies in ns of a cell's top-level steps.
pub fn top_steps(cell: &CellResult) -> Vec<(&str, f64)> {
    let steps = cell.steps.iter().filter(|s| s.top_level && s.latency.count() > 0);
    steps.filter_map(|s| Some((s.name.as_str(), s.latency.mean()?))).collect()
}

/// How many claims agree. A claim is one, over however many executors and places it is made.
pub fn claims(scenarios: &[ScenarioResult]) -> String {
    let claims: Vec<ClaimHolds> =
        scenarios.iter().flat_map(view::claims).map(|claim| claim.holding()).collect();
    let count = |holding| claims.iter().filter(|&&h| h == holding).count();
    let parts = [
        (count(ClaimHolds::Agrees), "agrees", "agree"),
        (count(ClaimHolds::InPart), "agrees in part", "agree in part"),
        (count(ClaimHolds::Disagrees), "disagrees", "disagree"),
        (count(ClaimHolds::Inconclusive), "is inconclusive", "are inconclusive"),
        (count(ClaimHolds::NotMeasured), "was not measured", "were not measured"),
    ];
    let words: Vec<String> = parts
        .into_iter()
        .filter(|(n, ..)| *n > 0)
        .map(|(n, one, many)| format!("{n} {}", if n == 1 { one } else { many }))
        .collect();
    format!("Of {}, {}", plural(claims.len(), "claim"), prose(&words))
}

/// How many of a group's ranked executors are shown to be faster or slower than the baseline.
pub fn against_baseline(group: &CellGroup) -> String {
    let is_baseline =
        |c: &&CellResult| c.ratio.as_ref().is_some_and(|r| r.verdict == RatioVerdict::Baseline);
    if group.cells.iter().find(is_baseline).is_some_and(|baseline| !baseline.is_ranked()) {
        return "the baseline is not valid, so that nothing is compared with it".into();
    }
    let ranked = || group.cells.iter().filter(|cell| cell.is_ranked());
    let count = |verdict| {
        ranked().filter_map(|c| c.ratio.as_ref()).filter(|r| r.verdict == verdict).count()
    };
    let counts = [
        (count(RatioVerdict::Faster), "faster"),
        (count(RatioVerdict::Slower), "slower"),
        (count(RatioVerdict::NoDifference), "without a difference shown"),
        (count(RatioVerdict::NoInterval), "without an interval"),
    ];
    let words: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if words.is_empty() {
        "nothing to compare with the baseline".into()
    } else {
        format!("against the baseline {}", prose(&words))
    }
}

/// What a reader must know of the run's validity: cells that are not complete, by state.
pub fn validity(analysis: &Analysis) -> Vec<String> {
    type State = (&'static str, fn(&CellStatus) -> bool);
    const STATES: [State; 5] = [
        ("failed", |s| matches!(s, CellStatus::Failed(_))),
        ("partial", |s| matches!(s, CellStatus::Partial(_))),
        ("refused by this host", |s| matches!(s, CellStatus::Refused(_))),
        ("not applicable", |s| matches!(s, CellStatus::NotApplicable(_))),
        ("not run yet", |s| matches!(s, CellStatus::Pending)),
    ];
    let count =
        |is: fn(&CellStatus) -> bool| analysis.cells().filter(|cell| is(&cell.status)).count();
    let counted = STATES.into_iter().map(|(word, is)| (count(is), word)).filter(|(n, _)| *n > 0);
    counted.map(|(n, word)| format!("{} {word}", plural(n, "cell"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{analysis::Validity, report::fixture};

    /// The batch of the fixture, its cells with this validity.
    fn batch(validity: Validity) -> ScenarioResult {
        let mut scenario = fixture::small().scenarios.remove(1);
        scenario.groups[0].cells.iter_mut().for_each(|cell| cell.judgement.validity = validity);
        scenario
    }

    #[test]
    fn figures_that_are_not_ranked_are_not_called_missing() {
        let scenario = batch(Validity::Disturbed);
        let group = &scenario.groups[0];
        assert!(
            group.cells.iter().any(|cell| cell.metrics.contains_key(&MetricId::CpuPerThousand)),
            "there are some"
        );
        assert_eq!(latency(group), TOO_FEW_VALID);
        assert_eq!(spread(group, MetricId::CpuPerThousand), TOO_FEW_VALID);
        assert_eq!(
            none_widest(std::slice::from_ref(&scenario), "nothing was measured"),
            upper(TOO_FEW_VALID)
        );
    }

    #[test]
    fn figures_that_are_missing_are_called_so() {
        let mut scenario = batch(Validity::Valid);
        assert!(latency(&scenario.groups[0]).contains(" runs from "));
        for cell in &mut scenario.groups[0].cells {
            cell.metrics.clear();
            cell.latency = crate::measure::Histo::new();
        }
        let group = &scenario.groups[0];
        assert_eq!(latency(group), "too few samples for a quantile of two executors");
        assert!(
            spread(group, MetricId::CpuPerThousand).ends_with("was not measured for two executors")
        );
        assert_eq!(
            none_widest(std::slice::from_ref(&scenario), "nothing was measured"),
            "Nothing was measured"
        );
    }
}
