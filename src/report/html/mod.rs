//! The report as one HTML file: no network, readable without scripts, every string of a scenario
//! escaped.
//!
//! A section is one file here and one line in [`SECTIONS`]. Sections are numbered as they follow
//! each other on the page, without those that have nothing to show; links name them by a word,
//! which stays the same.

mod claims;
mod cost;
mod delay;
mod distribution;
mod heat;
mod latency;
mod load;
mod numbers;
mod part;
mod provenance;
mod race;
mod rates;
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
        validity, view,
    },
    store::Header,
};

/// A section of the page.
struct PageSection {
    /// The name of links to it, which stays the same when others are left out.
    id: &'static str,
    /// What it is called in the table of contents.
    name: &'static str,
    /// Its heading, a sentence computed from the figures, and its body; nothing where there is
    /// nothing to show.
    render: fn(&Page<'_>) -> Option<(String, Markup)>,
}

/// All sections, in the order of decisions. Who searches for a rate or races a claim asks for that
/// first.
const SECTIONS: &[PageSection] = &[
    PageSection { id: "verdict", name: "Verdict", render: verdict::render },
    PageSection { id: "rates", name: "Highest rate", render: rates::render },
    PageSection { id: "claims", name: "Claimed and measured", render: claims::render },
    PageSection { id: "race", name: "Who wins, by how much", render: race::render },
    PageSection { id: "latency", name: "Latency by percentile", render: latency::render },
    PageSection { id: "scaling", name: "Scaling", render: scaling::render },
    PageSection { id: "load", name: "Load against latency", render: load::render },
    PageSection { id: "cost", name: "Cost", render: cost::render },
    PageSection { id: "stability", name: "Stability", render: stability::render },
    PageSection { id: "distribution", name: "Distribution", render: distribution::render },
    PageSection { id: "delay", name: "Scheduling delay", render: delay::render },
    PageSection { id: "steps", name: "Where the time went", render: steps::render },
    PageSection { id: "numbers", name: "All numbers", render: numbers::render },
    PageSection { id: "provenance", name: "How it was run", render: provenance::render },
];

const SCRIPT: &str = include_str!("script.js");

/// The report as a page.
pub fn html(header: &Header, analysis: &Analysis) -> String {
    let page = Page { header, analysis };
    let shown = SECTIONS
        .iter()
        .filter_map(|section| (section.render)(&page).map(|rendered| (section, rendered)));
    let sections: Vec<_> = (1..).zip(shown).collect();
    let style = style();
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            (head(header, &style))
            body {
                a.skip href="#verdict" { "Skip to the verdict" }
                (chart::symbols())
                (top(header, analysis))
                nav aria-label="Sections" {
                    ol { @for (number, (section, _)) in &sections { li { a href={ "#" (section.id) } { (number) " " (section.name) } } } }
                }
                (legend(analysis))
                main {
                    @for (number, (section, (sentence, body))) in &sections {
                        section id=(section.id) {
                            h2 { span.k { (number) " · " (section.name) } " " (sentence) }
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
            @match header.scenarios.as_slice() {
                [one] => { h1 { (one.question) } }
                many => { h1 { (plural(many.len(), "scenario")) " in one run" } }
            }
            @if analysis.scenarios.len() > 1 {
                ul.questions { @for s in &analysis.scenarios { li { strong { (s.title()) } " " (s.question) } } }
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
    let mut words: Vec<String> = Vec::new();
    for cpus in analysis.scenarios.iter().map(view::scenario_cpus) {
        if !words.contains(&cpus) {
            words.push(cpus);
        }
    }
    words.join(", ")
}

/// Every executor once, in the order of the charts; a press highlights it everywhere.
fn legend(analysis: &Analysis) -> Markup {
    let mut executors: Vec<(usize, &str)> = Vec::new();
    for cell in
        analysis.scenarios.iter().flat_map(|s: &ScenarioResult| &s.groups).flat_map(|g| &g.cells)
    {
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
            @if validity::counted(analysis).is_some() {
                span.hatched { (chart::hatched_icon()) (validity::HATCHED) " hatched: not valid, not ranked" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::{
        analysis::{LimitingFactor, RoundEvidence, Validity},
        report::fixture,
    };

    /// The page of all that the fixture has, made once: it is long.
    fn page() -> String {
        static PAGE: LazyLock<String> = LazyLock::new(|| {
            let analysis = fixture::with_open();
            html(&fixture::header_of(&analysis), &analysis)
        });
        PAGE.clone()
    }

    #[test]
    fn numbers_of_cpus_are_listed_once() {
        let mut analysis = fixture::small();
        let first = analysis.scenarios[0].clone();
        analysis.scenarios = vec![first.clone(), first.clone(), first];
        for (scenario, cpus) in analysis.scenarios.iter_mut().zip([2, 1, 2]) {
            scenario.groups.iter_mut().for_each(|group| group.executor_cpus = cpus);
        }
        assert_eq!(cpu_words(&analysis), "2 executor CPUs, 1 executor CPU");
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
        // A pattern of the page itself is drawn, not fetched.
        let page =
            page().replace("fill=\"url(#hatch)\"", "").replace("fill=\"url(#hatch-over)\"", "");
        for source in [
            "http://", "https://", "src=", "@import", "url(", "<link", "<img", "<iframe",
            " style=", "onclick",
        ] {
            assert!(!page.contains(source), "{source}");
        }
        assert!(page.contains("default-src 'none'") || page.contains("default-src &#39;none&#39;"));
    }

    #[test]
    fn every_figure_is_told_in_words_and_numbers() {
        let page = page();
        let figures: Vec<&str> = page
            .split("<figure")
            .skip(1)
            .map(|f| f.split("</figure>").next().unwrap_or(""))
            .collect();
        assert!(figures.len() > 20, "{}", figures.len());
        for figure in figures {
            for part in [
                "role=\"img\"",
                "<title id=",
                "<desc id=",
                "<figcaption",
                "<details",
                "<table",
                "viewBox=",
            ] {
                assert!(figure.contains(part), "{part} is missing in {figure}");
            }
            let desc = figure
                .split("<desc")
                .nth(1)
                .and_then(|d| d.split_once('>'))
                .expect("a description")
                .1;
            assert!(desc.starts_with(|c: char| c.is_alphanumeric() || c == '&'), "{desc}");
        }
    }

    #[test]
    fn ids_are_unique() {
        let page = page();
        let mut ids: Vec<&str> =
            page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn the_page_and_its_script_are_small() {
        assert!(SCRIPT.len() <= 10 * 1024, "{}", SCRIPT.len());
        let size = page().len();
        let cells = fixture::with_open().cells().count();
        assert!(
            size / cells < 23_000,
            "{size} bytes for {cells} cells, of which most are open loads"
        );
        let closed = html(&fixture::header(), &fixture::analysis()).len();
        assert!(
            closed * 70 / 56 < 1_250_000,
            "{closed} bytes for 56 cells of batches and closed loads"
        );
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
        assert!(html(&header, &fixture::small()).contains("quick: not comparable"));
    }

    #[test]
    fn no_winner_is_named_inside_overlapping_intervals() {
        let mut analysis = fixture::analysis();
        analysis.scenarios.remove(0);
        for (index, cell) in analysis.scenarios[0].groups[0].cells.iter_mut().enumerate() {
            // The same values in other rounds: nobody is ahead.
            for value in cell.metrics.values_mut() {
                value.rounds = (1..=7)
                    .map(|round| (round, 1e6 + f64::from((round + index as u32) % 7)))
                    .collect();
            }
            let ratio = cell.ratio.as_mut().expect("has a ratio");
            (ratio.interval, ratio.verdict) =
                (Some((0.9, 1.1)), crate::analysis::RatioVerdict::NoDifference);
        }
        let page = html(&fixture::header(), &analysis);
        assert!(!page.contains("is the fastest"));
        assert!(page.contains("no difference shown"));
    }

    /// The page of the batch alone, with a validity for each of its cells.
    fn batch_page(validity: impl Fn(&str) -> Validity) -> String {
        let mut analysis = fixture::analysis();
        analysis.scenarios.remove(0);
        for cell in &mut analysis.scenarios[0].groups[0].cells {
            cell.judgement.validity = validity(&cell.executor);
            let words = format!("evidence about {}", cell.label);
            cell.judgement.evidence =
                vec![RoundEvidence { validity: cell.judgement.validity, words }];
            cell.judgement.limit = Some(LimitingFactor::TargetCpu);
        }
        html(&fixture::header_of(&analysis), &analysis)
    }

    #[test]
    fn no_winner_is_named_among_cells_that_are_not_valid() {
        let clear = batch_page(|_| Validity::Valid);
        assert!(!clear.contains(validity::HATCHED) && !clear.contains("class=\"r4 hatched"));
        assert!(clear.contains(">VALID</") || clear.contains(" VALID</span>"));
        let none = batch_page(|_| Validity::TargetBound);
        assert!(!none.contains("is the fastest") && !none.contains("is shown to have"));
        assert!(none.contains("Fewer than two cells are valid, and no winner is named"));
        assert!(none.contains("7 of 7 cells with figures are not ranked: 7 TARGET-BOUND"));
        assert!(none.contains(Validity::TargetBound.remedy()));
        let words = "TARGET-BOUND: evidence about smol; limited by the target's CPU";
        assert_eq!(none.matches(words).count(), 2, "in the verdict and in the race");
        assert!(
            none.matches("TARGET-BOUND: evidence about smol</td>").count() >= 2,
            "in the tables"
        );
    }

    #[test]
    fn errors_are_said_among_the_findings_and_many_are_not_ranked() {
        let few = batch_page(|_| Validity::Valid);
        let said = "smol: 0.00857 % of the tasks ended in errors (over whole trials: constraint 9, lost 4).";
        assert!(few.contains(&format!("<li>{said}</li>")), "among the findings");
        let many = batch_page(
            |executor| if executor == "smol" { Validity::Errors } else { Validity::Valid },
        );
        assert!(many.contains("1 of 7 cells with figures is not ranked: 1 ERRORS"));
        assert!(many.contains(Validity::Errors.remedy()) && !many.contains(" and ranked</li>"));
    }

    #[test]
    fn what_is_not_valid_is_hatched_in_every_chart_and_table() {
        let page =
            batch_page(
                |executor| if executor == "tokio" { Validity::Disturbed } else { Validity::Valid },
            );
        let section = |id: &str| {
            let start = page.find(&format!("<section id=\"{id}\"")).expect("a section");
            page[start..].split("</section>").next().unwrap_or_default()
        };
        let row = format!("<tr class=\"r{} hatched\">", chart::ident("tokio").0);
        for id in ["race", "cost", "stability", "steps"] {
            let figure = section(id);
            assert!(figure.contains("url(#hatch"), "section {id}");
            assert!(figure.contains("tokio DISTURBED"), "section {id} says so in words");
            assert!(figure.contains(&row), "section {id} hatches the table's row");
        }
        for id in ["latency", "distribution"] {
            assert!(
                section(id).contains("stroke-dasharray=\"20 14\""),
                "section {id} breaks the line"
            );
            assert!(section(id).contains("tokio DISTURBED"), "section {id} says so in words");
        }
        assert!(
            section("numbers").contains("DISTURBED: evidence about tokio</td>")
                && section("numbers").contains(">the target's CPU</td>")
        );
        assert!(page.contains("hatched: not valid, not ranked"), "the legend says what it means");
    }

    #[test]
    fn nothing_is_compared_with_a_baseline_that_is_not_valid() {
        let pool = |executor: &str| {
            if executor == "thread-pool" { Validity::Invalid } else { Validity::Valid }
        };
        let page = batch_page(pool);
        assert!(page.contains("the baseline is not ranked"));
        assert!(
            page.contains("The baseline is not valid")
                || page.contains("the baseline is not valid")
        );
        assert!(!page.contains("</b> faster") && !page.contains("</b> slower"));
    }

    #[test]
    fn sections_are_numbered_as_they_follow_each_other() {
        let mut small = fixture::small();
        small.scenarios.iter_mut().for_each(|scenario| scenario.claims.clear());
        let claimed = fixture::analysis();
        let mut shown = Vec::new();
        for (analysis, has_claims) in [(&small, false), (&claimed, true)] {
            let page = html(&fixture::header_of(analysis), analysis);
            let headings = page
                .split("<h2><span class=\"k\">")
                .skip(1)
                .filter_map(|rest| rest.split_once(" · "));
            let (numbers, names): (Vec<&str>, Vec<&str>) = headings.unzip();
            let counted: Vec<String> =
                (1..=numbers.len()).map(|number| number.to_string()).collect();
            assert_eq!(numbers, counted);
            assert_eq!(names.iter().any(|name| name.starts_with("Claimed")), has_claims);
            for number in numbers {
                assert!(
                    page.contains(&format!("\">{number} ")),
                    "{number} is in the table of contents"
                );
            }
            shown.push(counted.len());
        }
        assert!(shown[0] < shown[1] && shown[1] <= SECTIONS.len());
    }

    #[test]
    fn a_run_without_figures_is_a_page() {
        let empty = Analysis {
            scenarios: vec![],
            trials: crate::analysis::TrialCounts::default(),
            search: None,
        };
        assert!(html(&fixture::header(), &empty).contains("How it was run"));
    }
}
