//! A section: what is claimed, beside what was measured.

use maud::{Markup, html};

use super::part::{FieldValue, Page, figure, mark, table};
use crate::{
    analysis::{CellResult, ClaimResult, ClaimVerdict, ScenarioResult},
    report::{
        chart::{self, Caption, ClaimRow, ident},
        format::{NOTHING, digits, plural, prose},
        sentence,
        validity::is_unranked,
        view::{
            self, ClaimSummary, claim_mark, claimant, claimed_words, holding_mark, params,
            ratio_words, times_as,
        },
    },
};

/// From so many claims on, a table over all of them comes first.
const MANY: usize = 3;

pub(super) fn render(page: &Page<'_>) -> Option<(String, Markup)> {
    let scenarios = &page.analysis.scenarios;
    let several = scenarios.len() > 1;
    let body = page.per_scenario(|index, scenario| {
        let part = || html! { @if several { p.note { (scenario.question) } } (scenario_claims(index, scenario)) };
        (!scenario.claims.is_empty()).then(part)
    })?;
    let claims: Vec<(&ScenarioResult, ClaimSummary<'_>)> = scenarios
        .iter()
        .flat_map(|s| view::claims(s).into_iter().map(move |claim| (s, claim)))
        .collect();
    let body = html! {
        (contradictions(&claims))
        @if claims.len() >= MANY { (overview(&claims)) }
        (body)
    };
    Some((sentence::claims(scenarios), body))
}

/// A sentence for each claim that disagrees somewhere.
fn contradictions(claims: &[(&ScenarioResult, ClaimSummary<'_>)]) -> Markup {
    let sentences: Vec<String> =
        claims.iter().filter_map(|(scenario, claim)| contradiction(scenario, claim)).collect();
    html! {
        @if !sentences.is_empty() {
            ul.claims { @for sentence in sentences { li { (mark(claim_mark(ClaimVerdict::Disagrees))) " " (sentence) } } }
        }
    }
}

/// `http-100, “…”: claimed at least 50.0 times as fast as sequential, with a tolerance of 10%;
/// measured 20.1 [19.2, 21.0] with tokio and 18.0 [17.1, 18.8] with smol.`
fn contradiction(scenario: &ScenarioResult, claim: &ClaimSummary<'_>) -> Option<String> {
    let disagreeing =
        claim.results.iter().filter(|result| result.verdict == ClaimVerdict::Disagrees);
    let measured: Vec<String> = disagreeing
        .filter_map(|result| {
            Some(format!("{} with {}", ratio_words(result.measured.as_ref()?), claimant(result)))
        })
        .collect();
    let (name, text, claimed) = (scenario.title(), &claim.claim.text, claimed_words(claim));
    (!measured.is_empty())
        .then(|| format!("{name}, “{text}”: claimed {claimed}; measured {}.", prose(&measured)))
}

/// Every claim of the run in a line.
fn overview(claims: &[(&ScenarioResult, ClaimSummary<'_>)]) -> Markup {
    let line = |(scenario, claim): &(&ScenarioResult, ClaimSummary<'_>)| {
        let fields = vec![
            FieldValue::Text(scenario.title()),
            FieldValue::Text(claim.claim.text.clone()),
            FieldValue::Text(claimed_words(claim)),
            FieldValue::Text(claim.measured()),
            FieldValue::Text(plural(claim.results.len(), "comparison")),
            FieldValue::Marked(holding_mark(claim.holding())),
        ];
        (None, fields)
    };
    let heads = ["scenario", "claim", "claimed", "measured", "over", "verdict"];
    table(&heads, &claims.iter().map(line).collect())
}

fn scenario_claims(index: usize, scenario: &ScenarioResult) -> Markup {
    let caption = Caption {
        id: format!("claims-{index}"),
        title: format!("Claimed and measured factors: {}", scenario.title()),
        head: "Claimed and measured".into(),
        finding: sentence::claims(std::slice::from_ref(scenario)),
    };
    let rows: Vec<ClaimRow> =
        scenario.claims.iter().map(|claim| chart_row(scenario, claim)).collect();
    html! {
        div.grid {
            (figure(&caption, &chart::claims(&caption, &rows, &times(&scenario.claims)), &claim_table(scenario)))
            ul.claims {
                @for summary in view::claims(scenario) {
                    li {
                        (mark(holding_mark(summary.holding()))) " “" (summary.claim.text) "”: " (claimed_words(&summary)) "."
                        ul { @for result in &summary.results { li { (mark(claim_mark(result.verdict))) " " (words(result)) } } }
                    }
                }
            }
        }
    }
}

/// What the factors of claims are, in words that are true of all of them.
fn times(claims: &[ClaimResult]) -> String {
    let mut words: Vec<String> = claims.iter().map(|claim| times_as(claim.metric)).collect();
    words.dedup();
    if let [one] = words.as_slice() { one.clone() } else { "times as good".into() }
}

fn words(result: &ClaimResult) -> String {
    let measured = result
        .measured
        .as_ref()
        .map_or_else(String::new, |ratio| format!(": {}", ratio_words(ratio)));
    let lacking = result.lacking.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
    format!("{}{measured}{lacking}", claimant(result))
}

fn chart_row(scenario: &ScenarioResult, result: &ClaimResult) -> ClaimRow {
    let cell = cell(scenario, result);
    let mark = claim_mark(result.verdict);
    let measured = result.measured.as_ref();
    ClaimRow {
        hatched: cell.is_some_and(is_unranked),
        ident: ident(cell.map_or(result.executor.as_str(), |c| c.executor.as_str())),
        label: claimant(result),
        claimed: result.claim.factor,
        measured: measured.map(|r| (r.estimate, r.interval)),
        words: format!(
            "{} {} ({})",
            mark.symbol,
            mark.words,
            measured.map_or_else(|| NOTHING.into(), |r| digits(r.estimate))
        ),
    }
}

/// The cell that a claim is about: its label and parameters are those of the claim.
fn cell<'a>(scenario: &'a ScenarioResult, result: &ClaimResult) -> Option<&'a CellResult> {
    let group = scenario.groups.iter().find(|g| g.params == result.params)?;
    group.cells.iter().find(|c| c.label == result.executor)
}

fn claim_table(scenario: &ScenarioResult) -> Markup {
    let rows: Vec<_> = scenario
        .claims
        .iter()
        .map(|result| {
            let values = vec![
                FieldValue::Text(result.executor.clone()),
                FieldValue::Text(result.against.clone()),
                FieldValue::Text(params(&result.params)),
                FieldValue::number(Some(result.claim.factor), digits),
                FieldValue::Number(
                    result.measured.as_ref().map_or_else(|| NOTHING.into(), ratio_words),
                    result.measured.as_ref().map(|r| r.estimate),
                ),
                FieldValue::Marked(claim_mark(result.verdict)),
            ];
            (None, values)
        })
        .collect();
    table(&["executor", "against", "parameters", "claimed", "measured [95 %]", "verdict"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::MetricId,
        report::{fixture, html},
    };

    #[test]
    fn the_axis_says_what_the_factors_are() {
        let mut analysis = fixture::small();
        let page = |analysis: &_| html(&fixture::header_of(analysis), analysis);
        let axis = |words: &str| format!(">{words}: ◇ claimed");
        assert!(page(&analysis).contains(&axis("times as fast")));
        analysis.scenarios[1].claims[0].metric = MetricId::MemoryPerSlot;
        let memory = axis(&times_as(MetricId::MemoryPerSlot));
        assert!(
            memory.starts_with(">times as good in ") && page(&analysis).contains(&memory),
            "{memory}"
        );
        let mut faster = analysis.scenarios[1].claims[0].clone();
        faster.metric = MetricId::Makespan;
        analysis.scenarios[1].claims.push(faster);
        assert!(page(&analysis).contains(&axis("times as good")));
    }
}
