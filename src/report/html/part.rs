//! Parts that sections share: figures, tables, names and marks.

use maud::{Markup, html};

use crate::{
    analysis::{
        Analysis, CellGroup, CellResult, CellStatus, LimitingFactor, Ratio, RatioVerdict,
        ScenarioResult,
    },
    measure::Bound,
    report::{
        chart::{BarRow, Caption, icon, ident},
        format::NOTHING,
        sentence,
        validity::{self, HATCHED, validity_words},
        view::{
            Mark, Tone, bound_words, group_name, group_title, ratio_mark, status_mark, status_words,
        },
    },
    store::Header,
};

/// What every section reads.
pub struct Page<'a> {
    /// What was run.
    pub header: &'a Header,
    /// What came of it.
    pub analysis: &'a Analysis,
}

impl Page<'_> {
    /// A part per scenario; scenarios without one are left out. Names head the parts where there
    /// are several.
    pub fn per_scenario(
        &self,
        part: impl Fn(usize, &ScenarioResult) -> Option<Markup>,
    ) -> Option<Markup> {
        let scenarios = self.analysis.scenarios.iter().enumerate();
        let parts: Vec<_> =
            scenarios.filter_map(|(index, s)| part(index, s).map(|markup| (s, markup))).collect();
        let named = self.analysis.scenarios.len() > 1
            || parts.iter().any(|(scenario, _)| scenario.is_part());
        let markup = html! {
            @for (scenario, part) in &parts {
                @if named { h3 { (scenario.title()) } }
                (part)
            }
        };
        (!parts.is_empty()).then_some(markup)
    }
}

/// A caption for a group's figure.
pub fn caption(
    section: &str,
    place: (usize, usize),
    group: &CellGroup,
    what: &str,
    finding: String,
) -> Caption {
    let (scenario, index) = place;
    Caption {
        id: format!("{section}-{scenario}-{index}"),
        title: format!("{what}: {}", group_title(group)),
        head: group_title(group),
        finding,
    }
}

/// A chart with its finding and the same data as a table.
pub fn figure(caption: &Caption, chart: &Markup, table: &Markup) -> Markup {
    html! {
        figure {
            figcaption { strong { (caption.head) } " " span { (finding(&caption.finding)) } }
            div.chart tabindex="0" role="group" aria-label=(caption.title) { (chart) }
            details { summary { "The same as a table" } (table) }
        }
    }
}

/// Two charts that share an axis beside each other, with one table.
pub fn pair(caption: &Caption, charts: &[Markup], table: &Markup) -> Markup {
    html! {
        figure.pair {
            figcaption { strong { (caption.head) } " " span { (finding(&caption.finding)) } }
            div {
                @for chart in charts { div.chart tabindex="0" role="group" aria-label=(caption.title) { (chart) } }
            }
            details { summary { "The same as a table" } (table) }
        }
    }
}

/// How a cell's bars are named.
pub fn bar_row(cell: &CellResult) -> BarRow {
    BarRow {
        ident: ident(&cell.executor),
        label: cell.label.clone(),
        hatched: validity::is_unranked(cell),
    }
}

/// Which cells of a group are hatched and why, for the foot of its figures; nothing where all are
/// ranked.
pub fn not_ranked(group: &CellGroup) -> Markup {
    html! {
        @if let Some(words) = validity::unranked(group) {
            p.unranked { (HATCHED) " not ranked: " (words) }
        }
    }
}

/// Of which cells quantiles are withheld, and why.
pub fn withheld(group: &CellGroup) -> Markup {
    html! {
        @for cell in &group.cells {
            @for why in [&cell.judgement.withheld, &cell.judgement.clipped].into_iter().flatten() {
                p.unranked { "– " (cell.label) ": " (why) }
            }
        }
    }
}

/// As [`not_ranked`], where a figure is of several groups.
pub fn not_ranked_at(group: &CellGroup) -> Markup {
    html! {
        @if let Some(words) = validity::unranked(group) {
            p.unranked { (HATCHED) " not ranked at " (group_name(group)) ": " (words) }
        }
    }
}

/// Why a cell is not ranked, with its evidence; else what its state or its ratio says.
pub fn verdict(group: &CellGroup, cell: &CellResult) -> FieldValue {
    let state = status_mark(&cell.status).0;
    if validity::is_unranked(cell) {
        return FieldValue::Text(format!("{HATCHED} {}", validity_words(cell)));
    }
    match ranked_ratio(group, cell) {
        Some(ratio) if cell.status == CellStatus::Complete => {
            FieldValue::Marked(ratio_mark(ratio.verdict))
        }
        Some(ratio) => {
            let mark = ratio_mark(ratio.verdict);
            FieldValue::Text(format!("{} {}; {}", mark.symbol, mark.words, status_words(cell)))
        }
        None if cell.ratio.is_some() => FieldValue::Text("? the baseline is not ranked".into()),
        None if cell.status == CellStatus::Complete => FieldValue::Marked(state),
        None => FieldValue::Text(format!("{} {}", state.symbol, status_words(cell))),
    }
}

/// A cell's ratio where both it and the baseline are ranked.
pub fn ranked_ratio<'a>(group: &CellGroup, cell: &'a CellResult) -> Option<&'a Ratio> {
    let is_baseline =
        |c: &&CellResult| c.ratio.as_ref().is_some_and(|r| r.verdict == RatioVerdict::Baseline);
    let baseline = group.cells.iter().find(is_baseline);
    let ranked = cell.is_ranked() && baseline.is_none_or(CellResult::is_ranked);
    cell.ratio.as_ref().filter(|_| ranked)
}

/// What held a cell back.
pub fn limit(cell: &CellResult) -> FieldValue {
    FieldValue::Text(cell.judgement.limit.map_or(NOTHING, LimitingFactor::words).into())
}

/// A finding as a sentence: a capital first (unless it is a name) and a full stop.
fn finding(text: &str) -> String {
    format!("{}.", sentence::upper(text).trim_end_matches('.'))
}

/// Rows of a table: the cell that a row is about, which is its first field, and the other fields.
pub type TableRows<'a> = Vec<(Option<&'a CellResult>, Vec<FieldValue>)>;

/// A table that scrolls by itself where it is too wide.
pub fn table(head: &[&str], rows: &TableRows<'_>) -> Markup {
    table_with(head, rows, false)
}

/// A table that the script makes sortable.
pub fn sortable(head: &[&str], rows: &TableRows<'_>) -> Markup {
    table_with(head, rows, true)
}

fn table_with(head: &[&str], rows: &TableRows<'_>, sortable: bool) -> Markup {
    html! {
        div.scroll.sortable[sortable] tabindex="0" role="group" aria-label=(format!("Table: {}", head.join(", "))) {
            table {
                thead { tr { @for (index, name) in head.iter().enumerate() { th.n[numeric(rows, index)] scope="col" { (name) } } } }
                tbody { @for (cell, values) in rows { (row(*cell, values, sortable)) } }
            }
        }
    }
}

/// Whether a column holds numbers, whose heading then stands at the right as they do.
fn numeric(rows: &TableRows<'_>, column: usize) -> bool {
    rows.first().is_some_and(|(cell, values)| {
        let value = column.checked_sub(usize::from(cell.is_some())).and_then(|at| values.get(at));
        matches!(value, Some(FieldValue::Number(..)))
    })
}

fn row(cell: Option<&CellResult>, values: &[FieldValue], sortable: bool) -> Markup {
    let class = cell.map(|cell| {
        let hatched = if validity::is_unranked(cell) { " hatched" } else { "" };
        format!("r{}{hatched}", ident(&cell.executor).0)
    });
    html! {
        tr class=[class] {
            @if let Some(cell) = cell { th scope="row" { (name(cell)) } }
            @for value in values { (value.field(sortable)) }
        }
    }
}

/// Fields longer than this are sentences.
const LONG_FIELD: usize = 40;

/// A field of a table.
pub enum FieldValue {
    /// Text.
    Text(String),
    /// A number: as shown, and by which it is sorted.
    Number(String, Option<f64>),
    /// A symbol with words.
    Marked(Mark),
}

impl FieldValue {
    /// A number, or a dash.
    pub fn number(value: Option<f64>, format: impl Fn(f64) -> String) -> Self {
        Self::Number(value.map_or_else(|| NOTHING.into(), format), value)
    }

    /// A time in ns, behind `≥` where that is all that is known of it, or a dash.
    pub fn time(value: Option<Bound>) -> Self {
        Self::Number(bound_words(value), value.map(|value| value.ns() as f64))
    }

    /// The field; the number behind it is only written where it is needed to sort.
    fn field(&self, sortable: bool) -> Markup {
        match self {
            Self::Text(text) => {
                // A sentence gets a column in which it is not a tower.
                let class = (text.chars().count() > LONG_FIELD).then_some("w");
                html! { td class=[class] { (text) } }
            }
            Self::Number(text, value) => {
                let by = value.filter(|_| sortable).map(|v| format!("{v:.4e}"));
                html! { td.n data-v=[by] { (text) } }
            }
            Self::Marked(m) => html! { td { (mark(*m)) } },
        }
    }
}

/// An executor's marker and label.
pub fn name(cell: &CellResult) -> Markup {
    html! { (icon(ident(&cell.executor))) (cell.label) }
}

/// A symbol with words, supported by a colour.
pub fn mark(mark: Mark) -> Markup {
    let class = match mark.tone {
        Tone::Good => "m good",
        Tone::Bad => "m bad",
        Tone::Warn => "m warn",
        Tone::Plain => "m",
    };
    html! { span class=(class) { b aria-hidden="true" { (mark.symbol) } " " (mark.words) } }
}
