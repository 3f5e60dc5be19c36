//! The report as one HTML file: no network, readable without scripts, every string of a scenario escaped.
//!
//! A section is one file here and one line in [`SECTIONS`]; its number is the one that the documentation uses.

mod claims;
mod cost;
mod latency;
mod numbers;
mod part;
mod provenance;
mod race;
mod scaling;
mod stability;
mod steps;
mod verdict;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use self::part::Page;
use crate::{
    analysis::{Analysis, ScenarioResult},
    report::{
        chart,
        format::{moment, plural},
        view,
    },
    store::Header,
};

/// A section of the page.
struct Section {
    /// Its number, which stays the same when others are left out.
    number: u8,
    /// What it is called in the table of contents.
    name: &'static str,
    /// Its heading, a sentence computed from the figures, and its body; nothing where there is nothing to show.
    render: fn(&Page<'_>) -> Option<(String, Markup)>,
}

/// All sections, in the order of decisions. Who races a claim asks for its verdict first, so that the claims are the
/// second section, under the number by which the documentation knows them.
const SECTIONS: &[Section] = &[
    Section { number: 1, name: "Verdict", render: verdict::render },
    Section { number: 12, name: "Claimed and measured", render: claims::render },
    Section { number: 2, name: "Who wins, by how much", render: race::render },
    Section { number: 3, name: "Latency by percentile", render: latency::render },
    Section { number: 4, name: "Scaling", render: scaling::render },
    Section { number: 6, name: "Cost", render: cost::render },
    Section { number: 7, name: "Stability", render: stability::render },
    Section { number: 9, name: "Where the time went", render: steps::render },
    Section { number: 10, name: "All numbers", render: numbers::render },
    Section { number: 11, name: "How it was run", render: provenance::render },
];

const SCRIPT: &str = include_str!("script.js");

/// The report as a page.
pub fn html(header: &Header, analysis: &Analysis) -> String {
    let page = Page { header, analysis };
    let sections: Vec<_> =
        SECTIONS.iter().filter_map(|section| (section.render)(&page).map(|rendered| (section, rendered))).collect();
    let style = style();
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            (head(header, &style))
            body {
                a.skip href="#s1" { "Skip to the verdict" }
                (chart::symbols())
                (top(header, analysis))
                nav aria-label="Sections" {
                    ol { @for (section, _) in &sections { li { a href=(anchor(section)) { (section.number) " " (section.name) } } } }
                }
                (legend(analysis))
                main {
                    @for (section, (sentence, body)) in &sections {
                        section id=(format!("s{}", section.number)) {
                            h2 { span.k { (section.number) " · " (section.name) } " " (sentence) }
                            (body)
                        }
                    }
                }
                footer { p { "Written by regatta " (env!("CARGO_PKG_VERSION")) " from the run file alone. Nothing on this page is fetched from a network." } }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    markup.into_string()
}

fn anchor(section: &Section) -> String {
    format!("#s{}", section.number)
}

fn head(header: &Header, style: &str) -> Markup {
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; img-src data:; base-uri 'none'; form-action 'none'",
        hash(style),
        hash(SCRIPT)
    );
    html! {
        head {
            meta charset="utf-8";
            meta http-equiv="Content-Security-Policy" content=(policy);
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (header.run) " – regatta" }
            style { (PreEscaped(style)) }
        }
    }
}

/// A source expression of the content security policy: only exactly this text is allowed.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// The style sheet, with the charts' colours filled in.
fn style() -> String {
    let (light, dark) = chart::variables();
    include_str!("style.css")
        .replace("/*light*/", &light)
        .replace("/*dark*/", &dark)
        .replace("/*executors*/", &chart::rules())
}

fn top(header: &Header, analysis: &Analysis) -> Markup {
    html! {
        header {
            p.brand { "regatta" span { " one workload, every way of being concurrent" } }
            @match analysis.scenarios.as_slice() {
                [one] => { h1 { (one.question) } }
                many => {
                    h1 { (plural(many.len(), "scenario")) " in one run" }
                    ul.questions { @for s in many { li { strong { (s.name) } " " (s.question) } } }
                }
            }
            p.facts {
                span { (header.run) }
                span { (moment(header.started_ms)) }
                span { (cpu_words(analysis)) }
                span { (plural(analysis.trials.measured, "trial")) " measured" }
            }
            @if header.quick { p.stamp { "! quick: not comparable" } }
        }
    }
}

fn cpu_words(analysis: &Analysis) -> String {
    let mut words: Vec<String> = analysis.scenarios.iter().map(view::scenario_cpus).collect();
    words.dedup();
    words.join(", ")
}

/// Every executor once, in the order of the charts; a press highlights it everywhere.
fn legend(analysis: &Analysis) -> Markup {
    let mut executors: Vec<(usize, &str)> = Vec::new();
    for cell in analysis.scenarios.iter().flat_map(|s: &ScenarioResult| &s.groups).flat_map(|g| &g.cells) {
        let place = chart::ident(&cell.executor).0;
        if !executors.contains(&(place, cell.executor.as_str())) {
            executors.push((place, &cell.executor));
        }
    }
    executors.sort_unstable();
    html! {
        div.legend role="group" aria-label="Executors: press to highlight" {
            @for (place, name) in executors {
                button type="button" disabled aria-pressed="false" data-e=(place) { (chart::icon(chart::Ident(place))) (name) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn page() -> String {
        html(&fixture::header(), &fixture::analysis())
    }

    #[test]
    fn hostile_strings_are_escaped() {
        let page = page();
        assert!(!page.contains("<script>alert"), "markup from a scenario");
        assert!(!page.contains("</pre>&lt;script&gt;") && !page.contains("# </pre>"));
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(page.matches("<script>").count() == 1, "only ours");
        let quoted = page.split("data-tip=\"").skip(1).filter_map(|rest| rest.split('"').next());
        assert!(quoted.filter(|tip| tip.contains('<')).count() == 0);
    }

    #[test]
    fn nothing_is_fetched() {
        let page = page();
        for source in
            ["http://", "https://", "src=", "@import", "url(", "<link", "<img", "<iframe", " style=", "onclick"]
        {
            assert!(!page.contains(source), "{source}");
        }
        assert!(page.contains("default-src 'none'") || page.contains("default-src &#39;none&#39;"));
    }

    #[test]
    fn every_figure_is_told_in_words_and_numbers() {
        let page = page();
        let figures: Vec<&str> =
            page.split("<figure").skip(1).map(|f| f.split("</figure>").next().unwrap_or("")).collect();
        assert!(figures.len() > 20, "{}", figures.len());
        for figure in figures {
            for part in ["role=\"img\"", "<title id=", "<desc id=", "<figcaption", "<details", "<table", "viewBox="] {
                assert!(figure.contains(part), "{part} is missing in {figure}");
            }
            let desc = figure.split("<desc").nth(1).and_then(|d| d.split_once('>')).expect("a description").1;
            assert!(desc.starts_with(|c: char| c.is_alphanumeric() || c == '&'), "{desc}");
        }
    }

    #[test]
    fn ids_are_unique() {
        let page = page();
        let mut ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn the_page_and_its_script_are_small() {
        assert!(SCRIPT.len() <= 10 * 1024, "{}", SCRIPT.len());
        let size = page().len();
        assert!(size * 70 / 56 < 1_100_000, "{size} bytes for 56 cells");
    }

    #[test]
    fn the_policy_names_the_style_and_the_script_that_are_there() {
        let page = page();
        for text in [&style(), SCRIPT] {
            assert!(page.contains(&hash(text)) && page.contains(text));
        }
    }

    #[test]
    fn a_quick_run_is_stamped() {
        let mut header = fixture::header();
        assert!(!page().contains("quick: not comparable"));
        header.quick = true;
        assert!(html(&header, &fixture::analysis()).contains("quick: not comparable"));
    }

    #[test]
    fn no_winner_is_named_inside_overlapping_intervals() {
        let mut analysis = fixture::analysis();
        analysis.scenarios.remove(0);
        for (index, cell) in analysis.scenarios[0].groups[0].cells.iter_mut().enumerate() {
            // The same values in other rounds: nobody is ahead.
            for value in cell.metrics.values_mut() {
                value.rounds = (1..=7).map(|round| (round, 1e6 + f64::from((round + index as u32) % 7))).collect();
            }
            let ratio = cell.ratio.as_mut().expect("has a ratio");
            (ratio.interval, ratio.verdict) = (Some((0.9, 1.1)), crate::analysis::RatioVerdict::NoDifference);
        }
        let page = html(&fixture::header(), &analysis);
        assert!(!page.contains("is the fastest"));
        assert!(page.contains("no difference shown"));
    }

    #[test]
    fn a_run_without_figures_is_a_page() {
        let empty = Analysis { scenarios: vec![], trials: crate::analysis::TrialCounts::default() };
        assert!(html(&fixture::header(), &empty).contains("How it was run"));
    }
}
