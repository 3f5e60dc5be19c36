//! The histograms of a run as an HdrHistogram log, version 1.3, as the Java tools write it, so that
//! their plotters and any other reader of that format can take them: one line per round, one tag
//! per cell and kind of histogram.

use std::fmt::Write as _;

use crate::{
    analysis::Analysis,
    measure::{Delay, Histo, Measurements},
    report::{
        format::moment,
        validity::{is_unranked, validity_words},
        width::printable,
    },
    store::{Outcome, Run, StoredCell, TrialRecord},
};

/// The column heads, exactly as HdrHistogram's own writer has them.
const HEADS: &str =
    "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"";

/// How many ns one unit of `Interval_Max` has: the Java writer's default, so that the column is in
/// ms.
const MAX_UNIT_NS: f64 = 1e6;

/// All histograms of all measured rounds, in the order of execution. Values are in ns, times in
/// seconds after the start of the run. A comment, which readers of the format skip, names each cell
/// that is not ranked, and why.
pub fn hlog(run: &Run, analysis: &Analysis) -> String {
    let start = run.header.started_ms;
    let seconds = start as f64 / 1e3;
    let mut log = format!(
        "#[Logged with regatta {}; run {}]\n#[Histogram log format version 1.3]\n",
        env!("CARGO_PKG_VERSION"),
        encoded(&run.header.run)
    );
    let _ = writeln!(log, "#[StartTime: {seconds:.3} (seconds since epoch), {}]", moment(start));
    let _ = writeln!(log, "#[BaseTime: {seconds:.3} (seconds since epoch)]");
    for cell in analysis.cells().filter(|cell| is_unranked(cell)) {
        let _ = writeln!(
            log,
            "#[Not ranked: {} {}]",
            encoded(&cell.name),
            printable(&validity_words(cell))
        );
    }
    for cell in analysis.cells() {
        if let Some(why) = &cell.judgement.clipped {
            let _ = writeln!(log, "#[Clipped: {} {}]", encoded(&cell.name), printable(why));
        }
    }
    let _ = writeln!(log, "{HEADS}");
    for (trial, tag_of, measured) in measured(run) {
        let offset = trial.started_ms.saturating_sub(start) as f64 / 1e3;
        for (kind, histo) in kinds(measured).iter().filter(|(_, histo)| histo.count() > 0) {
            let Ok(serde_json::Value::String(text)) = serde_json::to_value(histo) else { continue };
            let (length, most) =
                (measured.window_ns as f64 / 1e9, histo.0.max() as f64 / MAX_UNIT_NS);
            // The format has no word for it, so that a histogram whose highest values are only
            // bounds gets another tag: whoever asks for the cell's times does not take it for
            // exact.
            let clipped = if histo.clipped().is_some() { "/clipped" } else { "" };
            let tag = format!("{}/{kind}{clipped}", encoded(&tag_of));
            let _ = writeln!(log, "Tag={tag},{offset:.3},{length:.3},{most:.3},{text}");
        }
    }
    log
}

/// The trials that count, one of each round, with what they measured of each load and how that is
/// called, in the order of execution.
fn measured(run: &Run) -> impl Iterator<Item = (&TrialRecord, String, &Measurements)> {
    let rounds = run.rounds();
    let of = |cell: &StoredCell| rounds.of(&cell.name).map(|(_, t)| t).collect::<Vec<_>>();
    let mut trials: Vec<(&StoredCell, &TrialRecord)> = run
        .header
        .cells
        .iter()
        .flat_map(|cell| of(cell).into_iter().map(move |t| (cell, t)))
        .collect();
    trials.sort_by_key(|(_, trial)| trial.started_ms);
    trials.into_iter().flat_map(|(cell, trial)| {
        cell.rows().filter_map(move |row| match &trial.outcome {
            Outcome::Measured(measured) => Some((trial, row.name(), row.of(measured)?)),
            Outcome::Failed(_) => None,
        })
    })
}

/// The histograms of a trial with the last part of their tags.
fn kinds(measured: &Measurements) -> Vec<(String, &Histo)> {
    let mut kinds: Vec<(String, &Histo)> = Vec::new();
    let steps =
        measured.steps.iter().map(|step| (format!("{}/", encoded(&step.name)), &step.stream));
    for (prefix, stream) in std::iter::once((String::new(), &measured.task)).chain(steps) {
        let histograms = [
            ("latency", &stream.latency),
            ("service", &stream.service),
            ("lateness", &stream.lateness),
        ];
        kinds.extend(histograms.map(|(name, histo)| (format!("{prefix}{name}"), histo)));
    }
    kinds.extend(measured.arrivals.iter().map(|arrivals| ("pacer".to_string(), &arrivals.pacer)));
    if let Some(Delay::Measured(delays)) = &measured.trial.delay {
        kinds.push(("delay".to_string(), delays));
    }
    kinds
}

/// A tag ends at a comma, a space or a line's end, and its parts are joined by `/`: such
/// characters, and the `%` that stands for them, are percent-encoded, so that no two names become
/// the same.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() || [',', '/', '%', ']'].contains(&c) {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                let _ = write!(out, "%{byte:02X}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::analyse,
        measure::{Arrivals, TargetReport},
        store::{FailureKind, fixture::Fixture},
    };

    fn log_of(run: &Run) -> String {
        hlog(run, &analyse(run))
    }

    fn tags(log: &str) -> Vec<&str> {
        log.lines().filter_map(|line| line.strip_prefix("Tag=")?.split(',').next()).collect()
    }

    #[test]
    fn heads_are_those_of_the_java_writer() {
        let log = log_of(&Fixture::batch("threads", 1).cell("threads", &[], &[2e6]).build());
        let lines: Vec<&str> = log.lines().collect();
        assert!(lines[0].starts_with("#[Logged with regatta "));
        assert_eq!(lines[1], "#[Histogram log format version 1.3]");
        assert_eq!(
            lines[2],
            "#[StartTime: 1700000000.000 (seconds since epoch), 2023-11-14 22:13:20 UTC]"
        );
        assert_eq!(lines[3], "#[BaseTime: 1700000000.000 (seconds since epoch)]");
        assert_eq!(lines[4], HEADS);
        // The round began a second after the run, took 2 ms, and its slowest task as long.
        assert!(lines[5].starts_with("Tag=demo::threads/latency,1.000,0.002,2.0"), "{}", lines[5]);
        assert!(lines[5].contains(",HISTFAAA"), "V2 with deflate, {}", lines[5]);
    }

    #[test]
    fn there_is_a_line_per_round_and_kind_that_was_measured() {
        let run = Fixture::batch("threads", 2)
            .cell("threads", &[("mix", "a, b/c")], &[2e6, 2e6])
            .cell("tokio", &[], &[1e6, 1e6])
            .fail("demo::tokio", 2, FailureKind::TimedOut, "no end")
            .measured("demo::tokio", |_, measured| {
                let mut arrivals = Arrivals::default();
                arrivals.pacer.0.saturating_record(5_000);
                measured.arrivals = Some(arrivals);
                measured.task.lateness.0.saturating_record(6_000);
            })
            .build();
        let threads = ["latency", "service", "call/latency", "call/service"];
        let tokio = ["latency", "service", "lateness", "call/latency", "call/service", "pacer"];
        let threads = threads.map(|kind| format!("demo::threads::mix=a%2C%20b%2Fc/{kind}"));
        let expected: Vec<String> =
            [threads.as_slice(), &threads, &tokio.map(|kind| format!("demo::tokio/{kind}"))]
                .concat();
        assert_eq!(tags(&log_of(&run)), expected);
    }

    #[test]
    fn a_cell_that_is_not_ranked_is_named_in_a_comment_before_all_intervals() {
        let saturated =
            TargetReport { name: "api".into(), busy: Some(0.99), ..TargetReport::default() };
        let at = [("mix", "a, b")];
        let run = Fixture::closed("threads", 6)
            .cell("threads", &at, &[100.0; 6])
            .cell("tokio", &at, &[100.0; 6])
            .measured("demo::tokio::mix=a, b", |_, measured| {
                measured.trial_mut().targets = vec![saturated.clone()];
            })
            .build();
        let log = log_of(&run);
        let lines: Vec<&str> = log.lines().collect();
        assert!(
            lines[4].starts_with(
                "#[Not ranked: demo::tokio::mix=a%2C%20b TARGET-BOUND: the target api "
            ),
            "{log}"
        );
        assert_eq!(lines[5], HEADS);
        assert!(lines[6..].iter().all(|line| line.starts_with("Tag=")), "threads is valid");
        assert!(
            tags(&log).iter().any(|tag| tag.starts_with("demo::tokio::mix=a%2C%20b/")),
            "its rounds are still there"
        );
    }

    #[test]
    fn of_a_round_that_was_run_again_the_last_counts() {
        let run = Fixture::batch("threads", 1).cell("threads", &[], &[2e6]).with(|run| {
            let mut again = run.trials[0].clone();
            again.started_ms += 9_000;
            run.trials.push(again);
        });
        let log = log_of(&run.build());
        assert_eq!(tags(&log).len(), 4);
        assert!(log.contains("/latency,10.000,"), "{log}");
    }
}
