//! Outputs of a run: pure functions of what was stored and what was computed, to text that the command line prints
//! or writes. An output is one file here and one line in [`OUTPUTS`].

mod chart;
mod comparison;
mod csv;
#[cfg(test)]
mod fixture;
mod format;
mod html;
mod json;
mod markdown;
mod selftest;
mod sentence;
mod sweeps;
mod text;
mod view;
mod width;

pub use self::{
    comparison::comparison,
    csv::csv,
    format::plural,
    html::html,
    json::json,
    markdown::markdown,
    selftest::{selftest, selftest_json},
    text::{text, text_in},
};
use crate::{analysis::Analysis, store::Header};

/// One kind of output.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// Its name on the command line.
    pub name: &'static str,
    /// The extension of a file that holds it.
    pub extension: &'static str,
    /// What it is for, in one sentence.
    pub doc: &'static str,
    /// Writes it.
    pub render: fn(&Header, &Analysis) -> String,
}

/// All outputs, in documentation order.
pub const OUTPUTS: &[Output] = &[
    Output { name: "human", extension: "txt", doc: "Tables for a terminal.", render: text::plain },
    Output {
        name: "html",
        extension: "html",
        doc: "The report: one page without network or scripts needed.",
        render: html,
    },
    Output { name: "markdown", extension: "md", doc: "Tables for a pull request or a README.", render: markdown },
    Output { name: "json", extension: "json", doc: "All figures, for programs.", render: json },
    Output { name: "csv", extension: "csv", doc: "One row per cell, for spreadsheets.", render: csv },
];

/// Looks an output up by name.
pub fn output(name: &str) -> Option<&'static Output> {
    OUTPUTS.iter().find(|output| output.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_told_apart_and_never_empty() {
        let (header, analysis) = (fixture::header(), fixture::analysis());
        for (index, one) in OUTPUTS.iter().enumerate() {
            assert!(!(one.render)(&header, &analysis).is_empty(), "{}", one.name);
            assert!(OUTPUTS[..index].iter().all(|o| o.name != one.name && o.extension != one.extension));
            assert!(one.doc.ends_with('.'));
        }
        assert!(output("html").is_some());
        assert!(output("pdf").is_none());
    }
}
