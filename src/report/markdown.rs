//! Markdown tables for pull requests and READMEs.

use std::fmt::Write as _;

use crate::{
    analysis::{Analysis, CellResult, Group, MetricId, ScenarioResult},
    report::{
        format::{digits, label, plural},
        sentence, sweeps,
        view::{self, metric_words, quantile_words, ratio_mark, ratio_words},
    },
    store::Header,
};

/// The run as Markdown.
pub fn markdown(header: &Header, analysis: &Analysis) -> String {
    let trials = &analysis.trials;
    let mut out = format!("# {}\n\n", escaped(&header.run));
    if header.quick {
        out.push_str("**quick: not comparable**\n\n");
    }
    let _ =
        writeln!(out, "{} of {} measured, {} failed.", trials.measured, plural(trials.planned, "trial"), trials.failed);
    for warning in &header.warnings {
        let _ = writeln!(out, "\n> ! {}", escaped(warning));
    }
    for scenario in &analysis.scenarios {
        out.push_str(&section(scenario));
    }
    out
}

fn section(scenario: &ScenarioResult) -> String {
    let mut out = format!("\n## {}\n\n{}\n", escaped(&scenario.name), escaped(&scenario.question));
    let _ = writeln!(
        out,
        "\n{}. Ratios are times as fast as {}, with 95 % intervals; {}.",
        escaped(&sentence::winners(std::slice::from_ref(scenario))),
        escaped(&scenario.baseline),
        view::scenario_cpus(scenario),
    );
    for group in &scenario.groups {
        let _ = write!(out, "\n### {}\n\n{}", escaped(&view::group_title(group)), table(group, scenario.primary));
    }
    out.push_str(&over_groups(scenario));
    out.push_str(&slos(scenario));
    out.push_str(&claims(scenario));
    out
}

/// What is shown over several groups: means, crossings and laws.
fn over_groups(scenario: &ScenarioResult) -> String {
    let mut out = String::new();
    if let Some(means) = sweeps::means(scenario) {
        let _ = writeln!(out, "\n{}.", escaped(&means));
    }
    for sweep in &scenario.sweeps {
        let lines = sweeps::lines(sweep);
        if !lines.is_empty() {
            let _ = writeln!(out, "\n### {}\n", escaped(&sentence::upper(&sweeps::over(sweep))));
        }
        for line in lines {
            let _ = writeln!(out, "- {}", escaped(&line));
        }
    }
    out
}

fn table(group: &Group, primary: MetricId) -> String {
    let heads = ["executor", label(primary), "p50", "p99", "CPU per 1000", "peak memory", "ratio", "verdict"];
    let mut out = line(&heads.map(String::from));
    out.push_str("|:--|--:|--:|--:|--:|--:|--:|:--|\n");
    for cell in &group.cells {
        out.push_str(&line(&row(cell, primary)));
    }
    out
}

fn row(cell: &CellResult, primary: MetricId) -> [String; 8] {
    let mark = view::status_mark(&cell.status).0;
    if !cell.has_figures() {
        let reason = format!("{} {}", mark.symbol, view::status_words(cell));
        let blank = String::new;
        return [escaped(&cell.label), blank(), blank(), blank(), blank(), blank(), blank(), escaped(&reason)];
    }
    let verdict = cell.ratio.as_ref().map(|r| ratio_mark(r.verdict)).map(|m| format!("{} {}", m.symbol, m.words));
    let partial = if mark.words == "complete" { String::new() } else { format!("; {}", view::status_words(cell)) };
    [
        escaped(&cell.label),
        metric_words(cell, primary),
        quantile_words(cell, 0.5),
        quantile_words(cell, 0.99),
        metric_words(cell, MetricId::CpuPerThousand),
        metric_words(cell, MetricId::PeakMemory),
        cell.ratio.as_ref().map(ratio_words).unwrap_or_default(),
        escaped(&format!("{}{partial}", verdict.unwrap_or_default())),
    ]
}

fn slos(scenario: &ScenarioResult) -> String {
    let mut out = String::new();
    for summary in view::slos(scenario) {
        let mark = view::slo_mark(summary.holds());
        let _ = writeln!(
            out,
            "\n- SLO {} {}: {} ({})",
            escaped(mark.symbol),
            mark.words,
            escaped(&summary.slo.assert),
            summary.words()
        );
    }
    out
}

fn claims(scenario: &ScenarioResult) -> String {
    if scenario.claims.is_empty() {
        return String::new();
    }
    let heads = ["claim", "executor", "against", "claimed", "measured", "verdict"];
    let mut out = format!("\n{}|:--|:--|:--|--:|--:|:--|\n", line(&heads.map(String::from)));
    for result in &scenario.claims {
        let mark = view::claim_mark(result.verdict);
        out.push_str(&line(&[
            escaped(&result.claim.text),
            escaped(&result.executor),
            escaped(&result.against),
            digits(result.claim.factor),
            result.measured.as_ref().map_or_else(|| "–".into(), ratio_words),
            format!("{} {}", escaped(mark.symbol), mark.words),
        ]));
    }
    out
}

fn line(fields: &[String]) -> String {
    format!("| {} |\n", fields.join(" | "))
}

/// Text that stays text in Markdown and in the HTML it becomes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '~' | '#' | '!' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn tables_with_escaped_names() {
        insta::assert_snapshot!(markdown(&fixture::header(), &fixture::small()), @r##"
        # 2026-11-21T10-02-11Z-http-fanout

        368 of 378 trials measured, 8 failed.

        > ! turbo is on: frequencies vary (regatta doctor)

        ## http-fanout

        Which executor keeps p99 flat when one request becomes N sub-requests? &lt;script&gt;alert(1)&lt;/script&gt; &amp; "x" \| 'y', =1+1

        tokio-current-thread is the fastest. Ratios are times as fast as thread-pool(64), with 95 % intervals; 1 executor CPU.

        ### concurrency=4096 (closed, 4096 clients)

        | executor | throughput | p50 | p99 | CPU per 1000 | peak memory | ratio | verdict |
        |:--|--:|--:|--:|--:|--:|--:|:--|
        | sequential |  |  |  |  |  |  | – not applicable: one thread cannot hold more than one client |
        | threads |  |  |  |  |  |  | x refused: 4097 threads are above pids.max = 4096: raise it, or lower concurrency |
        | thread-pool(64) | 17.1k/s | 230ms | 442ms | 44.0ms | 24.2MiB | 1.00 | = baseline |
        | tokio | 25.5k/s | 159ms | 298ms | 44.8ms | 10.9MiB | 1.49 [1.47, 1.52] | + faster |
        | tokio-current-thread | 26.0k/s | 158ms | 344ms | 47.8ms | 10.9MiB | 1.52 [1.50, 1.54] | + faster |
        | async-std |  |  |  |  |  |  | ? not run yet |
        | smol | 24.2k/s | 178ms | 401ms | 46.3ms | 11.1MiB | 1.42 | ? no interval; partial: 5 of 7 rounds; 2 × wrong result: 999 of 1000 tasks |

        - SLO x FAIL: request.latency.p99 &lt; 25ms (holds in 0 of 4 cells, not measured in 3)

        ## hundred-calls

        Are 100 calls of 100 ms a hundred times as fast when they overlap?

        tokio is the fastest. Ratios are times as fast as thread-pool(64), with 95 % intervals; 1 executor CPU.

        ### batch of 100

        | executor | makespan | p50 | p99 | CPU per 1000 | peak memory | ratio | verdict |
        |:--|--:|--:|--:|--:|--:|--:|:--|
        | sequential | 10.1s | 90.8ms | 151ms | 28.6ms | 8.58MiB | 0.0160 [0.0157, 0.0162] | - slower |
        | thread-pool(64) | 161ms | 95.4ms | 173ms | 43.8ms | 8.61MiB | 1.00 | = baseline |
        | tokio | 116ms | 98.3ms | 203ms | 43.8ms | 8.57MiB | 1.39 [1.37, 1.41] | + faster |
        | async-std&lt;script&gt;alert(1)&lt;/script&gt; &amp; "x" \| 'y', =1+1 | 121ms | 102ms | 220ms | 47.9ms | 8.58MiB | 1.32 [1.30, 1.34] | + faster |

        | claim | executor | against | claimed | measured | verdict |
        |:--|:--|:--|--:|--:|:--|
        | async is 50 times as fast &lt;script&gt;alert(1)&lt;/script&gt; &amp; "x" \| 'y', =1+1 | tokio | thread-pool | 50.0 | 1.39 [1.37, 1.41] | x disagrees |
        "##);
    }

    #[test]
    fn every_row_has_every_column() {
        let text = markdown(&fixture::header(), &fixture::analysis());
        for line in text.lines().filter(|line| line.starts_with('|')) {
            let bars = line.replace("\\|", "").matches('|').count();
            assert!(bars == 9 || bars == 7, "{line}");
        }
        assert!(!text.contains("<script>"));
    }
}
