//! Section 12: what is claimed, beside what was measured.

use maud::{Markup, html};

use super::part::{Page, Value, figure, mark, table};
use crate::{
    analysis::{CellResult, ClaimResult, ScenarioResult},
    report::{
        chart::{self, Caption, ClaimRow, ident},
        format::{NOTHING, digits},
        sentence,
        view::{self, claim_mark, claimant, claimed_words, params, ratio_words},
    },
};

pub(super) fn render(page: &Page<'_>) -> Option<(String, Markup)> {
    let body =
        page.per_scenario(|index, scenario| (!scenario.claims.is_empty()).then(|| scenario_claims(index, scenario)))?;
    Some((sentence::claims(&page.analysis.scenarios), body))
}

fn scenario_claims(index: usize, scenario: &ScenarioResult) -> Markup {
    let caption = Caption {
        id: format!("f12-{index}"),
        title: format!("Claimed and measured factors: {}", scenario.name),
        head: "Claimed and measured".into(),
        finding: sentence::claims(std::slice::from_ref(scenario)),
    };
    let rows: Vec<ClaimRow> = scenario.claims.iter().map(|claim| chart_row(scenario, claim)).collect();
    html! {
        div.grid {
        (figure(&caption, &chart::claims(&caption, &rows), &claim_table(scenario)))
        ul.claims {
            @for summary in view::claims(scenario) {
                li {
                    "“" (summary.claim.text) "”: " (claimed_words(&summary)) "."
                    ul { @for result in &summary.results { li { (mark(claim_mark(result.verdict))) " " (words(result)) } } }
                }
            }
        }
        }
    }
}

fn words(result: &ClaimResult) -> String {
    let measured = result.measured.as_ref().map_or_else(String::new, |ratio| format!(": {}", ratio_words(ratio)));
    format!("{}{measured}", claimant(result))
}

fn chart_row(scenario: &ScenarioResult, result: &ClaimResult) -> ClaimRow {
    let cell = cell(scenario, result);
    let mark = claim_mark(result.verdict);
    let measured = result.measured.as_ref();
    ClaimRow {
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
                Value::Text(result.executor.clone()),
                Value::Text(result.against.clone()),
                Value::Text(params(&result.params)),
                Value::number(Some(result.claim.factor), digits),
                Value::Number(
                    result.measured.as_ref().map_or_else(|| NOTHING.into(), ratio_words),
                    result.measured.as_ref().map(|r| r.estimate),
                ),
                Value::Marked(claim_mark(result.verdict)),
            ];
            (None, values)
        })
        .collect();
    table(&["executor", "against", "parameters", "claimed", "measured [95 %]", "verdict"], &rows)
}
