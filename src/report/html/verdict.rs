//! A section: may I trust this, and what won.

use maud::{Markup, html};

use super::{
    part::{Page, mark},
    rates,
};
use crate::{
    analysis::{Analysis, CellResult, ScenarioResult, Validity, findings},
    report::{
        format::plural,
        sentence,
        validity::{self, HATCHED, validity_mark},
        view::{self, slo_mark, slo_measured, stored},
    },
};

#[expect(
    clippy::unnecessary_wraps,
    reason = "the type of every section; this one always has something to show"
)]
pub(super) fn render(page: &Page<'_>) -> Option<(String, Markup)> {
    let analysis = page.analysis;
    let body = html! {
        @if page.header.quick {
            p.stamp { "! quick: not comparable. One short round shows that everything runs, not how fast." }
        }
        div.cards {
            div.card {
                h3 { "Validity" }
                ul {
                    li { (plural(analysis.trials.planned, "trial")) " planned, " (analysis.trials.measured) " measured, " (analysis.trials.failed_words()) }
                    @for words in sentence::validity(analysis) { li { (words) } }
                    (not_ranked(analysis))
                    @for warning in &page.header.warnings { li { span.m.warn { b aria-hidden="true" { "!" } " warning" } " " (warning) } }
                    @if page.header.warnings.is_empty() { li { "No warning of the check before the run" } }
                }
            }
            @if analysis.scenarios.iter().any(|s| !view::judged(page.header, s).is_empty()) {
                div.card { h3 { "Service levels" } ul { @for s in &analysis.scenarios { (slos(page, s)) } } }
            }
            div.card.findings {
                h3 { "Findings" }
                ul { @for finding in &findings(analysis) { (finding_item(finding)) } }
            }
        }
    };
    let heading = rates::heading(page).unwrap_or_else(|| sentence::winners(&analysis.scenarios));
    Some((heading, body))
}

/// How many cells are not ranked, what to do about each kind, and which they are.
fn not_ranked(analysis: &Analysis) -> Markup {
    html! {
        @if let Some(words) = validity::counted(analysis) {
            li { span.m.warn { b aria-hidden="true" { (HATCHED) } } " " (words) }
            @for (validity, cells) in validity::by_validity(analysis) {
                li {
                    (mark(validity_mark(validity))) ": " (validity.remedy()) "."
                    details {
                        summary { (plural(cells.len(), "cell")) }
                        ul { @for cell in cells { li { (cell.name) ": " (validity::unranked_words(cell)) } } }
                    }
                }
            }
        } @else if analysis.cells().any(CellResult::has_figures) {
            li { "Every cell with figures is " (mark(validity_mark(Validity::Valid))) " and ranked" }
        }
    }
}

/// Sentences longer than this are folded: they list cells.
const LONG: usize = 260;

fn finding_item(finding: &str) -> Markup {
    if finding.chars().count() <= LONG {
        return html! { li { (finding) } };
    }
    let start: String = finding.chars().take(LONG / 2).collect();
    let start = start.rsplit_once(' ').map_or(start.as_str(), |(words, _)| words);
    html! { li { details { summary { (start) " …" } (finding) } } }
}

fn slos(page: &Page<'_>, scenario: &ScenarioResult) -> Markup {
    let path = stored(page.header, scenario).map(|s| s.path.as_str());
    html! {
        @for summary in view::judged(page.header, scenario) {
            li {
                (mark(slo_mark(summary.holds()))) " " code { (summary.slo.assert) } " " (summary.words())
                @if let Some(path) = path { span.where { " " (path) ":" (summary.slo.line) } }
                @let broken: Vec<_> = summary.results.iter().filter(|r| r.holds == Some(false)).collect();
                @if !broken.is_empty() {
                    details {
                        summary { (plural(broken.len(), "cell")) " outside the limit" }
                        ul { @for r in broken { li { (r.cell) ": " (slo_measured(r).unwrap_or_default()) } } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        analysis::findings,
        report::{fixture, html, markdown, text::plain},
        store::Search,
    };

    #[test]
    fn a_limit_that_a_search_has_exceeded_is_no_failed_slo() {
        let mut analysis = fixture::small();
        let mut header = fixture::header_of(&analysis);
        let said = |header: &_, analysis: &_| {
            [html(header, analysis), markdown(header, analysis), plain(header, analysis)]
        };
        assert!(
            said(&header, &analysis)
                .iter()
                .all(|text| text.contains("FAIL</span>") || text.contains(" FAIL"))
        );
        assert!(findings(&analysis).iter().any(|said| said.contains("SLO `")));
        let search = Search { cells: Vec::new(), precision: 0.05, most_trials: 5, highest: 1e7 };
        (analysis.search, header.search) = (Some(fixture::searched()), Some(search));
        let [page, markdown, text] = said(&header, &analysis);
        assert!(
            !page.contains("FAIL</span>") && !markdown.contains(" FAIL") && !text.contains(" FAIL")
        );
        assert!(!findings(&analysis).iter().any(|said| said.contains("SLO `")));
        let verdict = page
            .split("<section id=\"verdict\">")
            .nth(1)
            .and_then(|rest| rest.split("</h2>").next());
        assert!(
            verdict.is_some_and(|heading| heading.contains("tokio sustains the highest rate")),
            "{verdict:?}"
        );
    }
}
