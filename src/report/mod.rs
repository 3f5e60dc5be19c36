//! Outputs of a run: pure functions of what was stored and what was computed, to text that the
//! command line prints or writes. An output is one file here and one line in [`OUTPUTS`].

mod chart;
mod comparison;
mod csv;
#[cfg(test)]
mod fixture;
mod format;
mod hlog;
mod html;
mod json;
mod line;
mod load;
mod markdown;
mod rates;
mod schema;
mod selftest;
mod sentence;
mod steadiness;
mod sweeps;
mod text;
mod validity;
mod view;
mod width;

pub use self::{
    comparison::{COMPARISONS, ComparisonOutput},
    csv::csv,
    format::plural,
    hlog::hlog,
    html::html,
    json::json,
    load::load_words,
    markdown::markdown,
    rates::{rates, rates_json, rates_markdown},
    schema::OUTPUT_SCHEMA,
    selftest::{selftest, selftest_json},
    text::{text, text_in},
};
use crate::{
    analysis::Analysis,
    store::{Header, Run},
};

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
    render: Render,
}

/// What an output is made of.
#[derive(Debug, Clone, Copy)]
enum Render {
    /// The figures.
    Figures(fn(&Header, &Analysis) -> String),
    /// The trials themselves, and what their figures are worth.
    Trials(fn(&Run, &Analysis) -> String),
}

impl Output {
    /// The output of a run and of its figures.
    pub fn render(&self, run: &Run, analysis: &Analysis) -> String {
        match self.render {
            Render::Figures(render) => render(&run.header, analysis),
            Render::Trials(render) => render(run, analysis),
        }
    }
}

/// All outputs, in documentation order.
pub const OUTPUTS: &[Output] = &[
    Output {
        name: "human",
        extension: "txt",
        doc: "Tables for a terminal.",
        render: Render::Figures(text::plain),
    },
    Output {
        name: "html",
        extension: "html",
        doc: "The report: one page without network or scripts needed.",
        render: Render::Figures(html),
    },
    Output {
        name: "markdown",
        extension: "md",
        doc: "Tables for a pull request or a README.",
        render: Render::Figures(markdown),
    },
    Output {
        name: "json",
        extension: "json",
        doc: "All figures, for programs.",
        render: Render::Figures(json),
    },
    Output {
        name: "csv",
        extension: "csv",
        doc: "One row per cell, for spreadsheets.",
        render: Render::Figures(csv),
    },
    Output {
        name: "hlog",
        extension: "hlog",
        doc: "Every round's histograms, for HdrHistogram's tools.",
        render: Render::Trials(hlog),
    },
];

/// Looks an output up by name.
pub fn output(name: &str) -> Option<&'static Output> {
    OUTPUTS.iter().find(|output| output.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{self, Lane};

    #[test]
    fn every_output_names_the_idiomatic_lane_and_ranks_each_by_itself() {
        let run = Run { finished: true, ..Run::new(fixture::header()) };
        let mut analysis = fixture::analysis();
        for one in OUTPUTS {
            assert!(
                !one.render(&run, &analysis).contains("idiomatic"),
                "{}: there is none",
                one.name
            );
        }
        analysis.scenarios[0].groups.iter_mut().for_each(|group| group.lane = Some(Lane::SameCode));
        analysis.scenarios[1]
            .groups
            .iter_mut()
            .for_each(|group| group.lane = Some(Lane::Idiomatic));
        for (name, words) in [
            ("human", "batch of 100, idiomatic lane"),
            ("markdown", "batch of 100, idiomatic lane"),
            ("html", "batch of 100, idiomatic lane"),
            ("csv", ",idiomatic lane,"),
            ("json", "\"lane\": \"idiomatic\""),
        ] {
            let text =
                output(name).unwrap_or_else(|| panic!("no output {name}")).render(&run, &analysis);
            assert!(text.contains(words), "{name}: no {words}");
        }
        // The two scenarios have one ranking each, and none over all eight groups.
        let won = sentence::winners(&analysis.scenarios);
        let apart = "Same-code lane: tokio-current-thread is the fastest in 5 of 7 groups, ";
        assert!(won.starts_with(apart), "{won}");
        assert!(
            won.contains(". Idiomatic lane: No difference is shown between the best: tokio, "),
            "{won}"
        );
    }

    #[test]
    fn outputs_are_told_apart_and_never_empty() {
        let run = Run { finished: true, ..Run::new(fixture::header()) };
        let analysis = fixture::analysis();
        for (index, one) in OUTPUTS.iter().enumerate() {
            assert!(!one.render(&run, &analysis).is_empty(), "{}", one.name);
            assert!(
                OUTPUTS[..index].iter().all(|o| o.name != one.name && o.extension != one.extension)
            );
            assert!(one.doc.ends_with('.'));
        }
        assert!(output("html").is_some());
        assert!(output("pdf").is_none());
    }

    /// A run in which two executors have latencies that were cut off at 60 s, in an open load whose
    /// ratios are of p99.
    fn clipped() -> Run {
        use crate::{
            measure::Arrivals,
            scenario::{Comparison, Slo, SloMetric},
            store::fixture::Fixture,
        };
        let slo = |limit: f64| Slo {
            assert: format!("request.latency.p99 < {}s", limit / 1e9),
            subject: "request".into(),
            metric: SloMetric::Latency(0.99),
            comparison: Comparison::Below,
            limit,
            only: Vec::new(),
            line: 7,
        };
        let cut = |_, measured: &mut crate::measure::Measurements| {
            let steps = measured.steps.iter_mut().map(|step| &mut step.stream);
            for stream in std::iter::once(&mut measured.task).chain(steps) {
                for times in [&mut stream.latency, &mut stream.service, &mut stream.lateness] {
                    times.0.clipped_record_n(61_000_000_000, 100, 60_000_000_000);
                }
                stream.clipped = 100;
                stream.count += 100;
            }
            let arrivals = Arrivals { scheduled: measured.task.count, ..Arrivals::default() };
            (measured.completed, measured.arrivals) = (measured.task.count, Some(arrivals));
        };
        let fixture = Fixture::closed("threads", 6).cell("threads", &[], &[100.0; 6]).cell(
            "tokio",
            &[],
            &[100.0; 6],
        );
        let fixture = fixture.measured("demo::threads", cut).measured("demo::tokio", cut);
        let fixture = fixture.slo(slo(5e7)).slo(slo(120e9));
        fixture
            .with(|run| {
                run.header
                    .cells
                    .iter_mut()
                    .for_each(|cell| cell.loads[0].kind = store::fixture::kind("open"));
            })
            .build()
    }

    #[test]
    fn no_output_shows_a_time_that_was_cut_off_as_if_it_were_exact() {
        let run = clipped();
        let analysis = crate::analysis::analyse(&run);
        for one in OUTPUTS {
            let text = one.render(&run, &analysis);
            for (at, _) in text.match_indices("60.0s") {
                let before = &text[..at];
                let is_bound = before.ends_with("≥ ")
                    || before.ends_with("latencies were ")
                    || before.ends_with("times were ");
                assert!(
                    is_bound,
                    "{}: {}",
                    one.name,
                    &before[before.len().saturating_sub(80)..].escape_debug()
                );
            }
            // Neither as the highest value of the slot, nor as the lowest.
            for digits in ["59995324416", "60028878847", "6.00288", "60028.879"] {
                let unsaid = text.matches(digits).count();
                let said = text.matches(&format!("\"at_least_ns\": {digits}")).count()
                    + text.matches(&format!("\"at_least\": {digits}")).count()
                    + text.matches(&format!(",600,{digits}")).count()
                    + if one.name == "hlog" { text.matches("/clipped,").count() } else { 0 };
                assert!(unsaid <= said, "{}: {unsaid} times {digits}, {said} as a bound", one.name);
            }
            let says = ["human", "html", "markdown"].contains(&one.name);
            assert_eq!(
                text.contains("≥ 60.0s"),
                says || one.name == "json" || one.name == "hlog",
                "{}",
                one.name
            );
        }
        let misfits = schema::misfits("report", &json(&run.header, &analysis));
        assert!(misfits.is_empty(), "{misfits:#?}");
        let slos: Vec<_> = analysis.scenarios[0].slos.iter().map(|slo| slo.holds).collect();
        assert_eq!(slos, [Some(false), Some(false), None, None]);
        // A figure that is only a bound leads nowhere, and has no ratio.
        assert!(
            !analysis
                .cells()
                .any(|cell| cell.metrics.contains_key(&crate::measure::MetricId::LatencyP99))
        );
    }
}
