//! A section: the highest rate within the limits, as `find-rate` has found it, and every rate that
//! was tried.

use maud::{Markup, html};

use super::part::{FieldValue, Page, figure, table};
use crate::{
    analysis::{Decision, RateResult, TriedRate, rate_leader},
    report::{
        chart::{self, Caption, RateRow, ident},
        rates::{self, SearchGroup, measured_words, note, rate, rate_words},
        sentence,
    },
};

pub(super) fn render(page: &Page<'_>) -> Option<(String, Markup)> {
    let found = page.analysis.search.as_ref()?;
    let groups = rates::groups(page.header, found);
    let body = html! {
        p.note {
            "A trial passes where the limits hold, nothing is dropped and it is VALID; a rate, where two more trials pass \
             than fail. The highest rate is the highest that passed; the true one lies between it and the least that \
             failed."
        }
        div.grid {
            @for (index, group) in groups.iter().enumerate() { div.whole[groups.len() == 1] { (group_part(index, group, found.precision)) } }
        }
    };
    Some((over(&groups), body))
}

/// What a search has found, for the top of its page; nothing of other runs.
pub(super) fn heading(page: &Page<'_>) -> Option<String> {
    let found = page.analysis.search.as_ref()?;
    Some(over(&rates::groups(page.header, found)))
}

/// Who sustains the highest rate; a name only where it is above all that another's can be.
fn over(groups: &[SearchGroup<'_>]) -> String {
    match groups {
        [one] => sentence::upper(&finding(one)),
        many => format!("The highest rates that were found, in {} groups", many.len()),
    }
}

fn finding(group: &SearchGroup<'_>) -> String {
    match rate_leader(&group.cells) {
        Some(best) => format!(
            "{} sustains the highest rate: {}",
            best.label,
            rate_words(best, best.bounds().0)
        ),
        None => "no executor is shown to sustain a higher rate than all others".into(),
    }
}

fn group_part(index: usize, group: &SearchGroup<'_>, precision: f64) -> Markup {
    let caption = Caption {
        id: format!("rates-{index}"),
        title: format!("Highest rate: {}", group.title()),
        head: group.title(),
        finding: finding(group),
    };
    let rows: Vec<RateRow> = group.cells.iter().map(|cell| row(cell)).collect();
    let heads = group.heads();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let answers = group
        .cells
        .iter()
        .map(|cell| (None, group.row(cell).into_iter().map(FieldValue::Text).collect()));
    html! {
        p.note { (group.terms(precision)) }
        @match chart::rates(&caption, &rows) {
            Some(chart) => (figure(&caption, &chart, &tried_table(group))),
            None => p { "No rate was tried." },
        }
        (table(&heads, &answers.collect()))
        ul { @for cell in &group.cells { li { (cell.label) ": " (note(cell)) } } }
    }
}

fn row(cell: &RateResult) -> RateRow {
    let of = |decision| -> Vec<f64> {
        cell.rates
            .iter()
            .filter(|tried| tried.decision == decision)
            .map(|tried| tried.rate)
            .collect()
    };
    let (passes, fails) = cell.bounds();
    RateRow {
        ident: ident(&cell.executor),
        label: cell.label.clone(),
        passes: of(Some(Decision::Passes)),
        fails: of(Some(Decision::Fails)),
        open: [of(Some(Decision::Undecided)), of(None)].concat(),
        between: passes.zip(fails),
        words: rate_words(cell, passes),
    }
}

/// Every rate that was tried, with its votes.
fn tried_table(group: &SearchGroup<'_>) -> Markup {
    let mut heads =
        vec!["executor".to_owned(), "rate".into(), "verdict".into(), "trials that pass".into()];
    heads.extend(["that fail", "undecided"].map(String::from));
    heads.extend(group.limits.iter().map(measured_words));
    heads.push("why".into());
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let tried =
        group.cells.iter().flat_map(|cell| cell.rates.iter().map(move |tried| (*cell, tried)));
    table(&heads, &tried.map(|(cell, tried)| (None, fields(cell, tried))).collect())
}

fn fields(cell: &RateResult, tried: &TriedRate) -> Vec<FieldValue> {
    let verdict = match tried.decision {
        Some(Decision::Passes) => "+ passes",
        Some(Decision::Fails) => "x fails",
        Some(Decision::Undecided) => "? undecided",
        None => "? not finished",
    };
    let number = |votes: u32| FieldValue::number(Some(f64::from(votes)), |votes| votes.to_string());
    let mut fields =
        vec![FieldValue::Text(cell.label.clone()), FieldValue::number(Some(tried.rate), rate)];
    fields.push(FieldValue::Text(verdict.into()));
    fields.extend([tried.votes.meets, tried.votes.misses, tried.votes.open].map(number));
    fields.extend(
        (0..cell.limits.len()).map(|limit| FieldValue::Text(rates::value(cell, tried, limit))),
    );
    fields.push(FieldValue::Text(tried.reasons.join("; ")));
    fields
}

#[cfg(test)]
mod tests {
    use crate::report::{fixture, html};

    #[test]
    fn a_search_has_a_section_with_every_rate_and_other_runs_have_none() {
        let mut analysis = fixture::small();
        let header = fixture::header_of(&analysis);
        assert!(!html(&header, &analysis).contains("id=\"rates\""));
        analysis.search = Some(fixture::searched());
        let page = html(&header, &analysis);
        let section = page
            .split("<section id=\"rates\">")
            .nth(1)
            .and_then(|rest| rest.split("</section>").next());
        let section = section.unwrap();
        for words in [
            "tokio sustains the highest rate: at least 4.00k/s",
            "page.latency.p99 &lt; 25ms; nothing dropped, VALID; two more trials pass than fail; to 5%",
            "<td>? undecided</td>",
            "refused: too many threads",
            "NOTHING PASSES: not even 1.00/s",
            "aria-label=\"Highest rate: http-fanout\"",
        ] {
            assert!(section.contains(words), "{words}: {section}");
        }
        assert_eq!(section.matches("role=\"img\"").count(), 1, "one chart");
    }
}
