//! Markdown tables for pull requests and READMEs.

use std::fmt::Write as _;

use crate::{
    analysis::{
        self, Agreement, Analysis, CellGroup, CellResult, CellStatus, Fact, MetricId,
        ScenarioResult,
    },
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
    let _ = writeln!(
        out,
        "{} of {} measured, {}.",
        trials.measured,
        plural(trials.planned, "trial"),
        trials.failed_words()
    );
    for warning in &header.warnings {
        let _ = writeln!(out, "\n> ! {}", escaped(warning));
    }
    for scenario in &analysis.scenarios {
        out.push_str(&section(header, scenario));
    }
    out
}

fn section(header: &Header, scenario: &ScenarioResult) -> String {
    let mut out =
        format!("\n## {}\n\n{}\n", escaped(&scenario.title()), escaped(&scenario.question));
    let _ = writeln!(
        out,
        "\n{}. Ratios are {} as {}, {}; {}.",
        escaped(&sentence::winners(std::slice::from_ref(scenario))),
        view::times_as(scenario.primary),
        escaped(&scenario.baseline),
        view::interval_words(header, scenario),
        view::scenario_cpus(scenario),
    );
    for group in &scenario.groups {
        let _ = write!(
            out,
            "\n### {}\n\n{}",
            escaped(&view::group_title(group)),
            table(group, view::main_metric(scenario.primary))
        );
    }
    out.push_str(&over_groups(scenario));
    out.push_str(&slos(header, scenario));
    out.push_str(&claims(scenario));
    out.push_str(&manifest(scenario));
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

/// What differs between the executors by their own trials' account, and what is the same for all.
fn manifest(scenario: &ScenarioResult) -> String {
    let Some(manifest) = analysis::manifest(scenario) else { return String::new() };
    let mut out = String::from("\n#### The same for every executor?\n");
    let heads = ["fact", "same?"].into_iter().chain(manifest.executors.iter().map(String::as_str));
    let heads: Vec<String> = heads.map(escaped).collect();
    let rows: Vec<String> = manifest.differing().map(|fact| line(&fact_row(fact))).collect();
    if !rows.is_empty() {
        let _ = write!(out, "\n{}|{}\n{}", line(&heads), ":--|".repeat(heads.len()), rows.concat());
    }
    if let Some(same) = manifest.same() {
        let _ = writeln!(out, "\n{}", escaped(&same));
    }
    out
}

fn fact_row(fact: &Fact) -> Vec<String> {
    let same = if fact.agreement == Agreement::Unequal { "! must be equal" } else { "≠ differs" };
    let values = fact.values.iter().map(|value| value.as_deref().unwrap_or("–"));
    [fact.name.as_str(), same].into_iter().chain(values).map(escaped).collect()
}

fn table(group: &CellGroup, primary: MetricId) -> String {
    let heads = [
        "executor",
        label(primary),
        "p50",
        "p99",
        "CPU per 1000",
        "peak memory",
        "ratio",
        "verdict",
    ];
    let mut out = line(&heads.map(String::from));
    out.push_str("|:--|--:|--:|--:|--:|--:|--:|:--|\n");
    for cell in &group.cells {
        out.push_str(&line(&row(cell, primary)));
    }
    let resources = view::resources(group);
    for limit in view::limits(group)
        .into_iter()
        .chain(resources)
        .chain(view::unseen(group))
        .chain(view::delays(group))
    {
        let _ = writeln!(out, "\n- {}", escaped(&limit));
    }
    out
}

fn row(cell: &CellResult, primary: MetricId) -> [String; 8] {
    if !cell.has_figures() {
        let mark = view::status_mark(&cell.status).0;
        let reason = format!("{} {}", mark.symbol, view::status_words(cell));
        let blank = String::new;
        return [
            escaped(&cell.label),
            blank(),
            blank(),
            blank(),
            blank(),
            blank(),
            blank(),
            escaped(&reason),
        ];
    }
    [
        escaped(&cell.label),
        metric_words(cell, primary),
        quantile_words(cell, 0.5),
        quantile_words(cell, 0.99),
        metric_words(cell, MetricId::CpuPerThousand),
        metric_words(cell, MetricId::PeakMemory),
        cell.ratio.as_ref().map(ratio_words).unwrap_or_default(),
        escaped(&verdict(cell)),
    ]
}

/// How a cell that has figures compares, or why it does not; then what else is to be said of it.
fn verdict(cell: &CellResult) -> String {
    let words = view::validity_words(cell);
    let partial = (cell.status != CellStatus::Complete).then(|| view::status_words(cell));
    let compared =
        cell.ratio.as_ref().map(|ratio| ratio_mark(ratio.verdict)).filter(|_| cell.is_ranked());
    let compared = compared.map(|mark| format!("{} {}", mark.symbol, mark.words));
    let said: Vec<String> = compared.into_iter().chain(words).chain(partial).collect();
    let symbol =
        if cell.is_ranked() { "" } else { view::validity_mark(cell.judgement.validity).symbol };
    format!("{symbol} {}", said.join("; ")).trim_start().to_owned()
}

fn slos(header: &Header, scenario: &ScenarioResult) -> String {
    let mut out = String::new();
    for summary in view::judged(header, scenario) {
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
        let lacking = result.lacking.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
        out.push_str(&line(&[
            escaped(&result.claim.text),
            escaped(&result.executor),
            escaped(&result.against),
            digits(result.claim.factor),
            result.measured.as_ref().map_or_else(|| "–".into(), ratio_words),
            format!("{} {}{}", escaped(mark.symbol), mark.words, escaped(&lacking)),
        ]));
    }
    out
}

pub(super) fn line(fields: &[String]) -> String {
    format!("| {} |\n", fields.join(" | "))
}

/// Text that stays text in Markdown and in the HTML it becomes.
pub(super) fn escaped(text: &str) -> String {
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
    use crate::{
        analysis::{LimitingFactor, RoundEvidence, Validity},
        report::fixture,
    };

    #[test]
    fn tables_with_escaped_names() {
        insta::assert_snapshot!(markdown(&fixture::header(), &fixture::small()), @r#"
        # 2026-11-21T10-02-11Z-http-fanout

        368 of 378 trials measured, 8 failed.

        > ! turbo is on: frequencies vary (regatta doctor)

        ## http-fanout

        Which executor keeps p99 flat when one request becomes N sub-requests? &lt;script&gt;alert(1)&lt;/script&gt; &amp; "x" \| 'y', =1+1

        tokio-current-thread is the fastest. Ratios are times as fast as thread-pool(64), with 95% intervals over 7 rounds; 1 executor CPU.

        ### concurrency=4096 (closed, 4096 clients)

        | executor | throughput | p50 | p99 | CPU per 1000 | peak memory | ratio | verdict |
        |:--|--:|--:|--:|--:|--:|--:|:--|
        | sequential |  |  |  |  |  |  | – not applicable: one thread cannot hold more than one client |
        | threads |  |  |  |  |  |  | x refused: 4097 threads are above pids.max = 4096: raise it, or lower concurrency |
        | thread-pool(64) | 17.1k/s | 230ms | 442ms | 44.0ms | 24.2MiB | 1.00 | = baseline |
        | tokio | 25.5k/s | 159ms | 298ms | 44.8ms | 10.9MiB | 1.49 [1.47, 1.52] | + faster |
        | tokio-current-thread | 26.0k/s | 158ms | 344ms | 47.8ms | 10.9MiB | 1.52 [1.50, 1.54] | + faster |
        | async-std |  |  |  |  |  |  | ? not run yet |
        | smol | 24.2k/s | 178ms | 401ms | 46.3ms | 11.1MiB | 1.42 | ? no interval; 0.00857 % of the tasks ended in errors (over whole trials: constraint 9, lost 4); partial: 5 of 7 rounds; 2 × wrong result: 999 of 1000 tasks |

        - SLO x FAIL: request.latency.p99 &lt; 25ms (holds in 0 of 4 cells, not measured in 3)

        #### The same for every executor?

        | fact | same? | sequential | threads | thread-pool(64) | tokio | tokio-current-thread | async-std | smol |
        |:--|:--|:--|:--|:--|:--|:--|:--|:--|
        | executor | ≠ differs | sequential | threads | thread-pool | tokio | tokio-current-thread | async-std | smol |
        | threads | ≠ differs | 1 | one per task | 1 | 1 | 1 | 1 | 1 |

        The same for all: allocator: system; nodelay: true; stack: 2MiB.

        ## hundred-calls

        Are 100 calls of 100 ms a hundred times as fast when they overlap?

        tokio is the fastest. Ratios are times as fast as thread-pool(64), with 95% intervals over 7 rounds; 1 executor CPU.

        ### batch of 100

        | executor | makespan | p50 | p99 | CPU per 1000 | peak memory | ratio | verdict |
        |:--|--:|--:|--:|--:|--:|--:|:--|
        | sequential | 10.1s | 90.8ms | 151ms | 28.6ms | 8.58MiB | 0.0160 [0.0157, 0.0162] | - slower |
        | thread-pool(64) | 161ms | 95.4ms | 173ms | 43.8ms | 8.61MiB | 1.00 | = baseline |
        | tokio | 116ms | 98.3ms | 203ms | 43.8ms | 8.57MiB | 1.39 [1.37, 1.41] | + faster |
        | async-std&lt;script&gt;alert(1)&lt;/script&gt; &amp; "x" \| 'y', =1+1 | 121ms | 102ms | 220ms | 47.9ms | 8.58MiB | 1.32 [1.30, 1.34] | + faster |

        - scheduling delay p50, p99, max: thread-pool(64) 1.92ms, 3.80ms, 4.53ms; tokio 1.96ms, 4.01ms, 4.52ms; async-std&lt;script&gt;alert(1)&lt;/script&gt; &amp; "x" \| 'y', =1+1 2.04ms, 3.95ms, 5.35ms

        - no scheduling delay of sequential: one task runs after another, and nothing beside them

        | claim | executor | against | claimed | measured | verdict |
        |:--|:--|:--|--:|--:|:--|
        | async is 50 times as fast &lt;script&gt;alert(1)&lt;/script&gt; &amp; "x" \| 'y', =1+1 | tokio | thread-pool | 50.0 | 1.39 [1.37, 1.41] | x disagrees |

        #### The same for every executor?

        | fact | same? | sequential | thread-pool(64) | tokio | async-std&lt;script&gt;alert(1)&lt;/script&gt; &amp; "x" \| 'y', =1+1 |
        |:--|:--|:--|:--|:--|:--|
        | executor | ≠ differs | sequential | thread-pool | tokio | async-std |

        The same for all: allocator: system; nodelay: true; stack: 2MiB; threads: 1.
        "#);
    }

    #[test]
    fn a_cell_that_is_not_valid_says_so_and_has_no_ratio() {
        let mut analysis = fixture::small();
        let cell = &mut analysis.scenarios[1].groups[0].cells[2];
        cell.ratio = None;
        cell.judgement.validity = Validity::TargetBound;
        let words = "the target api was busy for 97.0 % of its CPU time".to_owned();
        cell.judgement.evidence = vec![RoundEvidence { validity: Validity::TargetBound, words }];
        cell.judgement.limit = Some(LimitingFactor::TargetCpu);
        let text = markdown(&fixture::header(), &analysis);
        let end = "|  | \\! TARGET-BOUND, not ranked: the target api was busy for 97.0 % of its CPU time |";
        let row = text.lines().filter(|line| line.contains("TARGET-BOUND")).collect::<Vec<_>>();
        assert!(row.len() == 1 && row[0].ends_with(end), "{row:?}");
        assert!(text.contains("\n- limited by the target's CPU: tokio\n"));
    }

    #[test]
    fn every_row_has_every_column() {
        let text = markdown(&fixture::header(), &fixture::analysis());
        let bars = |line: &str| line.replace("\\|", "").matches('|').count();
        let tables: Vec<Vec<&str>> = text
            .split("\n\n")
            .map(|part| part.lines().filter(|line| line.starts_with('|')).collect::<Vec<_>>())
            .filter(|rows| !rows.is_empty())
            .collect();
        assert!(tables.len() > 4, "{text}");
        for rows in tables {
            // A heading, a line of colons, and at least one row.
            assert!(
                rows.len() > 2 && rows.iter().all(|row| bars(row) == bars(rows[0])),
                "{rows:#?}"
            );
        }
        assert!(!text.contains("<script>"));
    }
}
