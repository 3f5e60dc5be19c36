//! Validity in words: whether a cell is ranked, why not, what held it back, and what helps.

use super::{
    format::{plural, prose},
    view::{self, Mark},
};
use crate::analysis::{Analysis, CellGroup, CellResult, Judgement, RoundEvidence, Validity};

/// What stands beside everything that is hatched.
pub const HATCHED: &str = "▨";

/// A cell has figures and they are not to be ranked.
pub fn is_unranked(cell: &CellResult) -> bool {
    cell.has_figures() && !cell.is_ranked()
}

/// A validity with its symbol, where what is not valid is hatched.
pub fn validity_mark(validity: Validity) -> Mark {
    let mark = view::validity_mark(validity);
    if validity == Validity::Valid { mark } else { Mark { symbol: HATCHED, ..mark } }
}

/// `OVERLOADED: offered 50.0k/s, achieved 31.2k/s`, or `FAILED: 3 × crashed`.
pub fn validity_words(cell: &CellResult) -> String {
    let words = validity_mark(cell.judgement.validity).words;
    let why = match cell.judgement.validity {
        Validity::Failed => view::failures(&cell.failures).join("; "),
        _ => cell.judgement.reason().unwrap_or_default().to_owned(),
    };
    if why.is_empty() { words.into() } else { format!("{words}: {why}") }
}

/// What speaks against rounds, whatever the cell's own verdict: what speaks for another one is said
/// under its name.
pub fn evidence(judgement: &Judgement) -> Vec<String> {
    let words = |evidence: &RoundEvidence| match evidence.validity {
        own if own == judgement.validity => evidence.words.clone(),
        other => format!("{}: {}", other.word(), evidence.words),
    };
    judgement.evidence.iter().map(words).collect()
}

/// `OVERLOADED: offered 50.0k/s, achieved 31.2k/s; limited by the executor's CPU`.
pub fn unranked_words(cell: &CellResult) -> String {
    let words = validity_words(cell);
    match (cell.judgement.limit, &cell.judgement.limit_evidence) {
        (Some(limit), Some(evidence)) => {
            format!("{words}; limited by {}: {evidence}", limit.words())
        }
        (Some(limit), None) => format!("{words}; limited by {}", limit.words()),
        (None, _) => words,
    }
}

/// `threads OVERLOADED, smol DISTURBED`; nothing where all are ranked.
pub fn unranked(group: &CellGroup) -> Option<String> {
    let cells = group.cells.iter().filter(|cell| is_unranked(cell));
    let words: Vec<String> = cells
        .map(|cell| format!("{} {}", cell.label, validity_mark(cell.judgement.validity).words))
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Each validity other than valid, with the cells that have it; the worst first.
pub fn by_validity(analysis: &Analysis) -> Vec<(Validity, Vec<&CellResult>)> {
    const ALL: [Validity; 7] = [
        Validity::Failed,
        Validity::Invalid,
        Validity::Disturbed,
        Validity::Starved,
        Validity::Errors,
        Validity::TargetBound,
        Validity::Overloaded,
    ];
    let with = |validity| -> Vec<&CellResult> {
        analysis
            .cells()
            .filter(|cell| is_unranked(cell) && cell.judgement.validity == validity)
            .collect()
    };
    ALL.into_iter()
        .map(|validity| (validity, with(validity)))
        .filter(|(_, cells)| !cells.is_empty())
        .collect()
}

/// `12 of 60 cells with figures are not ranked: 10 OVERLOADED and 2 DISTURBED`.
pub fn counted(analysis: &Analysis) -> Option<String> {
    let counts = by_validity(analysis);
    let parts: Vec<String> = counts
        .iter()
        .map(|(validity, cells)| format!("{} {}", cells.len(), validity_mark(*validity).words))
        .collect();
    let unranked: usize = counts.iter().map(|(_, cells)| cells.len()).sum();
    let measured = analysis.cells().filter(|cell| cell.has_figures()).count();
    let are = if unranked == 1 { "is" } else { "are" };
    (unranked > 0).then(|| {
        format!(
            "{unranked} of {} with figures {are} not ranked: {}",
            plural(measured, "cell"),
            prose(&parts)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn cells_without_figures_are_not_counted_twice() {
        let mut analysis = fixture::analysis();
        assert_eq!(counted(&analysis), None);
        let cells = &mut analysis.scenarios[0].groups[6].cells;
        // The refused cell has no figures to rank; the fourth has.
        cells[1].judgement.validity = Validity::Failed;
        cells[3].judgement.validity = Validity::Disturbed;
        let words = counted(&analysis).expect("one is not ranked");
        assert!(words.ends_with("cells with figures is not ranked: 1 DISTURBED"), "{words}");
        assert_eq!(unranked(&analysis.scenarios[0].groups[6]), Some("tokio DISTURBED".into()));
    }

    #[test]
    fn a_failed_cell_is_failed_for_what_failed() {
        let mut cell = fixture::open().groups[1].cells[0].clone();
        cell.judgement.validity = Validity::Failed;
        cell.failures = vec![("crashed: SIGSEGV".into(), 2)];
        assert_eq!(validity_words(&cell), "FAILED: 2 × crashed: SIGSEGV");
        assert_eq!(evidence(&cell.judgement), ["OVERLOADED: offered 1000/s, achieved 900/s"]);
        cell.judgement.validity = Validity::Overloaded;
        assert_eq!(evidence(&cell.judgement), ["offered 1000/s, achieved 900/s"]);
    }

    #[test]
    fn why_a_cell_is_not_ranked_is_said_with_figures() {
        let open = fixture::open();
        let cell = &open.groups[1].cells[0];
        assert_eq!(
            unranked_words(cell),
            "OVERLOADED: offered 1000/s, achieved 900/s; limited by the executor's CPU"
        );
    }
}
