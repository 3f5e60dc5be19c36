//! A section: how it was run, and how to run it again.

use maud::{Markup, html};

use super::part::{FieldValue, Page, table};
use crate::{
    analysis::{self, Agreement, Manifest},
    report::{
        format::{NOTHING, metric, moment, ns, plural},
        load::load_words,
        view::params,
    },
    store::{Absent, Fitness, Row, StoredCell, StoredScenario},
};

#[expect(
    clippy::unnecessary_wraps,
    reason = "the type of every section; this one always has something to show"
)]
pub(super) fn render(page: &Page<'_>) -> Option<(String, Markup)> {
    let header = page.header;
    // Texts and facts of one scenario are at hand; those of many would bury the rest of the page.
    let only = header.scenarios.len() == 1;
    let body = html! {
        h3 { "Run it again" }
        pre { code { (command(&header.command)) } }
        p.note { "Show a stored run again without running anything: " code { "regatta report" } " and the path of this page's folder." }
        h3 { "Order" }
        p {
            (plural(header.rounds as usize, "round")) "; each visits every cell once, in an order drawn anew from seed "
            code { (header.seed) } ". Every trial is a fresh process. Started " (moment(header.started_ms)) "."
        }
        h3 { "Environment" }
        (environment(page))
        @if let Some(checks) = checks(page) { (checks) }
        h3 { "The same for every executor?" }
        @if only { (manifests(page)) } @else { details { summary { "What the trials of each scenario reported of themselves" } (manifests(page)) } }
        h3 { "Cells" }
        details { summary { (plural(header.cells.len(), "planned cell")) } (cells(&header.cells)) }
        h3 { "Scenarios" }
        @for scenario in &header.scenarios { (text(scenario, only)) }
    };
    let heading = format!(
        "Seed {} and {} give the same work again",
        header.seed,
        if header.scenarios.len() == 1 { "this file" } else { "these files" }
    );
    Some((heading, body))
}

fn command(arguments: &[String]) -> String {
    let words: Vec<String> = arguments.iter().map(|argument| quoted(argument)).collect();
    words.join(" ")
}

/// An argument as a POSIX shell reads it back.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.into();
    }
    format!("'{}'", argument.replace('\'', "'\\''"))
}

fn environment(page: &Page<'_>) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Table: environment" {
            table.pairs { tbody {
                @for (label, value) in &page.header.environment { tr { th scope="row" { (label) } td { (value) } } }
            } }
        }
    }
}

/// What the check before the run found; older runs have none.
fn checks(page: &Page<'_>) -> Option<Markup> {
    let checks = &page.header.checks;
    let word = |fitness| match fitness {
        Fitness::Fine => "✓ fine",
        Fitness::Unknown => "? unknown",
        Fitness::Warn => "! warning",
        Fitness::Refuse => "✗ unfit",
    };
    let fine = checks.iter().filter(|check| check.fitness == Fitness::Fine).count();
    (!checks.is_empty()).then(|| {
        html! {
            h3 { "The host before the run" }
            details {
                summary { (fine) " of " (plural(checks.len(), "check")) " fine" }
                div.scroll tabindex="0" role="group" aria-label="Table: checks of the host" {
                    table {
                        thead { tr { @for head in ["check", "judgement", "found", "remedy"] { th scope="col" { (head) } } } }
                        tbody {
                            @for check in checks {
                                tr class=[(check.fitness >= Fitness::Warn).then_some("differs")] {
                                    th scope="row" { (check.name) }
                                    td { (word(check.fitness)) }
                                    td { (check.value) }
                                    td { (check.remedy) }
                                }
                            }
                        }
                    }
                }
            }
        }
    })
}

/// What the trials reported of themselves: one table per scenario, of the group in which most
/// executors have facts.
fn manifests(page: &Page<'_>) -> Markup {
    html! {
        @for scenario in &page.analysis.scenarios {
            @if let Some(manifest) = analysis::manifest(scenario) { (table_of_facts(&scenario.title(), &manifest)) }
        }
    }
}

/// Rows that differ; the others in one sentence.
fn table_of_facts(scenario: &str, manifest: &Manifest) -> Markup {
    let place = if manifest.params.is_empty() {
        String::new()
    } else {
        format!(" at {}", params(&manifest.params))
    };
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| NOTHING.into());
    html! {
        p.note { (scenario) (place) ": what the kernel and the executor say of each trial's process." }
        @if manifest.differing().next().is_some() {
            div.scroll tabindex="0" role="group" aria-label=(format!("Table: facts of {scenario}")) {
                table {
                    thead { tr { th scope="col" { "fact" } th scope="col" { "same?" } @for executor in &manifest.executors { th scope="col" { (executor) } } } }
                    tbody {
                        @for fact in manifest.differing() {
                            tr class=[(fact.agreement == Agreement::Unequal).then_some("differs")] {
                                th scope="row" { (fact.name) }
                                td { @if fact.agreement == Agreement::Unequal { "! must be equal" } @else { "≠ differs" } }
                                @for found in &fact.values { td { (value(found)) } }
                            }
                        }
                    }
                }
            }
        }
        @if let Some(same) = manifest.same() { p { (same) } }
    }
}

fn cells(cells: &[StoredCell]) -> Markup {
    let rows: Vec<_> =
        cells.iter().flat_map(StoredCell::rows).map(|row| (None, values(row))).collect();
    table(
        &[
            "cell",
            "load",
            "slots",
            "workers",
            "executor CPUs",
            "target CPUs",
            "least task time",
            "rounds",
            "not run because",
        ],
        &rows,
    )
}

fn values(row: Row<'_>) -> Vec<FieldValue> {
    let cell = row.cell;
    let list = |cpus: &[usize]| cpus.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let why = match &cell.absent {
        None => String::new(),
        Some(Absent::NotApplicable(why)) => format!("not applicable: {why}"),
        Some(Absent::Refused(why)) => format!("refused: {why}"),
    };
    vec![
        FieldValue::Text(row.name()),
        FieldValue::Text(load_words(&row.load.kind)),
        FieldValue::number(Some(row.load.slots as f64), |v| format!("{v:.0}")),
        FieldValue::number(Some(cell.workers as f64), |v| {
            metric(crate::analysis::MetricId::Threads, v)
        }),
        FieldValue::Text(list(&cell.executor_cpus)),
        FieldValue::Text(list(&cell.target_cpus)),
        FieldValue::number(Some(row.load.least_task_ns as f64), ns),
        FieldValue::number(Some(f64::from(cell.rounds)), |v| format!("{v:.0}")),
        FieldValue::Text(why),
    ]
}

fn text(scenario: &StoredScenario, open: bool) -> Markup {
    html! {
        details open[open] {
            summary { (scenario.name) " (" (scenario.path) ")" }
            pre tabindex="0" { code { (scenario.text) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_pasted() {
        let arguments = ["regatta", "run", "a b.toml", "it's", ""].map(String::from);
        assert_eq!(command(&arguments), r"regatta run 'a b.toml' 'it'\''s' ''");
    }
}
