//! The terminal's tables: one per scenario and group, aligned by display width, readable without
//! colour.

use std::fmt::Write as _;

use crate::{
    analysis::{
        Analysis, CellGroup, CellResult, CellStatus, MetricId, Ratio, ScenarioResult, shared_cpus,
        unequal,
    },
    report::{
        format::{digits, label, plural},
        sentence, sweeps,
        view::{
            self, ClaimSummary, Mark, SloSummary, Tone, group_title, metric_words, quantile_words,
            ratio_mark, stored,
        },
        width::{columns, printable},
    },
    store::Header,
};

/// Tables are kept within this width where the labels allow it and nothing is known of the
/// terminal.
const WIDTH: usize = 100;

/// What the columns hold, where their heads are too short to say it.
const LEGEND: &str = "Makespan and tasks/s are medians over the rounds; p50 and p99 are over the tasks of all rounds \
                      together, and – where fewer than ten samples lie above. By round: the 95% interval of the \
                      median of the rounds' own quantiles. CPU/1k is CPU time per 1000 tasks.";

/// Columns that a narrow terminal does without, the first one first.
const SPARE: [&str; 3] = ["memory", "CPU/1k", "p50"];

/// How text is laid out.
#[derive(Debug, Clone, Copy)]
struct Layout {
    /// Whether colours support the words.
    color: bool,
    /// Columns of the terminal.
    width: usize,
}

/// Tables for a terminal 100 columns wide, with colours if asked for.
pub fn text(header: &Header, analysis: &Analysis, color: bool) -> String {
    text_in(header, analysis, color, WIDTH)
}

/// Tables for a terminal with so many columns. Where a table does not fit into fewer than 100, it
/// does without memory, then without CPU time, and then without the median latency.
pub fn text_in(header: &Header, analysis: &Analysis, color: bool, width: usize) -> String {
    let layout = Layout { color, width };
    let mut out = heading(header, analysis, layout);
    for scenario in &analysis.scenarios {
        out.push('\n');
        out.push_str(&scenario_text(header, scenario, layout));
    }
    if !analysis.scenarios.is_empty() {
        let _ = write!(out, "\n{}", wrapped(LEGEND, 0, layout));
    }
    out
}

/// Tables without colours.
pub fn plain(header: &Header, analysis: &Analysis) -> String {
    text(header, analysis, false)
}

fn heading(header: &Header, analysis: &Analysis, layout: Layout) -> String {
    let trials = &analysis.trials;
    let mut out = format!(
        "{}: {} of {}",
        printable(&header.run),
        trials.measured,
        plural(trials.planned, "trial")
    );
    let _ = writeln!(out, " measured, {}", trials.failed_words());
    if header.quick {
        out.push_str("! quick: not comparable\n");
    }
    for warning in &header.warnings {
        out.push_str(&wrapped(&format!("! {}", printable(warning)), 2, layout));
    }
    out
}

fn scenario_text(header: &Header, scenario: &ScenarioResult, layout: Layout) -> String {
    let mut out = wrapped(
        &format!("{}  {}", printable(&scenario.title()), printable(&scenario.question)),
        2,
        layout,
    );
    let terms = format!(
        "  {}; ratios are {} as {}, {}",
        view::scenario_cpus(scenario),
        view::times_as(scenario.primary),
        printable(&scenario.baseline),
        view::interval_words(header, scenario),
    );
    out.push_str(&wrapped(&terms, 2, layout));
    for warning in unequal(scenario).into_iter().chain(shared_cpus(scenario)) {
        out.push_str(&wrapped(&format!("! {}", printable(&warning)), 2, layout));
    }
    for group in &scenario.groups {
        let _ = write!(
            out,
            "\n{}\n{}",
            printable(&group_title(group)),
            table(group, view::main_metric(scenario.primary), layout)
        );
    }
    out.push_str(&over_groups(scenario, layout));
    let path = stored(header, scenario).map(|s| s.path.as_str());
    for summary in view::judged(header, scenario) {
        out.push_str(&slo_text(&summary, path, layout));
    }
    for summary in view::claims(scenario) {
        out.push_str(&claim_text(&summary, layout));
    }
    let _ = write!(
        out,
        "\n{}",
        wrapped(
            &format!("{}.", printable(&sentence::winners(std::slice::from_ref(scenario)))),
            2,
            layout
        )
    );
    out
}

/// What is shown over several groups: means, crossings and laws.
fn over_groups(scenario: &ScenarioResult, layout: Layout) -> String {
    let mut out = String::new();
    if let Some(means) = sweeps::means(scenario) {
        let _ = write!(out, "\n{}", wrapped(&format!("{}.", printable(&means)), 2, layout));
    }
    for sweep in &scenario.sweeps {
        let lines = sweeps::lines(sweep);
        if !lines.is_empty() {
            let _ = write!(out, "\n{}\n", printable(&sweeps::over(sweep)));
        }
        for line in lines {
            out.push_str(&wrapped(&format!("  {}", printable(&line)), 4, layout));
        }
    }
    out
}

/// The rows of a group: figures in columns, cells without figures as a reason, notes below.
fn table(group: &CellGroup, metric: MetricId, layout: Layout) -> String {
    // The rate's unit says what it is in less room than its name.
    let main = if metric == MetricId::Throughput { "tasks/s" } else { label(metric) };
    let head = ["executor", main, "p50", "p99", "CPU/1k", "memory", "ratio", ""].map(String::from);
    let mut rows = vec![head.to_vec()];
    rows.extend(group.cells.iter().map(|cell| row(cell, metric)));
    let mut widths: Vec<usize> = (0..head.len())
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|text| columns(text))
                .max()
                .unwrap_or(0)
        })
        .collect();
    let too_wide = |widths: &[usize], gap: usize| {
        widths.iter().sum::<usize>() + gap * (widths.len() - 1) > layout.width
    };
    for spare in SPARE {
        if layout.width < WIDTH && too_wide(&widths, 1) {
            let Some(column) = rows[0].iter().position(|head| head == spare) else { continue };
            widths.remove(column);
            for row in rows.iter_mut().filter(|row| column < row.len()) {
                row.remove(column);
            }
        }
    }
    // Two blanks between columns, or one where the table would be too wide.
    let gap = if too_wide(&widths, 2) { 1 } else { 2 };
    let mut out = aligned(&rows[0], &widths, gap, None, layout);
    for (cell, row) in group.cells.iter().zip(&rows[1..]) {
        if cell.has_figures() {
            let mark = verdict_mark(cell);
            out.push_str(&aligned(row, &widths, gap, mark, layout));
        } else {
            out.push_str(&absent(cell, widths[0], gap, layout));
        }
    }
    for cell in group.cells.iter().filter(|c| c.has_figures()) {
        out.push_str(&note(cell, layout));
        out.push_str(&validity_notes(cell, layout));
    }
    for limit in
        view::limits(group).into_iter().chain(view::resources(group)).chain(view::unseen(group))
    {
        out.push_str(&wrapped(&format!("  {}", printable(&limit)), 4, layout));
    }
    for delay in view::delays(group) {
        out.push_str(&wrapped(&format!("  {}", printable(&delay)), 4, layout));
    }
    for (name, id) in [("p50", MetricId::LatencyP50), ("p99", MetricId::LatencyP99)] {
        out.push_str(&by_round(group, name, id, layout));
    }
    out
}

/// What is in a cell's last column: how it compares, or why it is not compared.
fn verdict_mark(cell: &CellResult) -> Option<Mark> {
    if cell.is_ranked() {
        cell.ratio.as_ref().map(|ratio| ratio_mark(ratio.verdict))
    } else {
        Some(view::validity_mark(cell.judgement.validity))
    }
}

/// What is to be said of the validity of a cell that has figures.
fn validity_notes(cell: &CellResult, layout: Layout) -> String {
    let mark = view::validity_mark(cell.judgement.validity);
    let symbol = if cell.is_ranked() { "!" } else { mark.symbol };
    let lines = view::validity_words(cell).into_iter().map(|words| {
        let text = format!("{symbol} {}: {}", printable(&cell.label), printable(&words));
        painted_once(&wrapped(&text, 4, layout), mark.words, mark.tone, layout)
    });
    lines.collect()
}

/// How far each round's own quantile is known, beside that of all rounds together.
fn by_round(group: &CellGroup, name: &str, id: MetricId, layout: Layout) -> String {
    let words = |cell: &CellResult| {
        // No blank inside, so that no line ends there.
        let interval = view::rounds_interval(cell, id)?.replace(", ", ",");
        Some(format!("{} {interval}", printable(&cell.label)))
    };
    let words: Vec<String> = group.cells.iter().filter_map(words).collect();
    if words.is_empty() {
        return String::new();
    }
    wrapped(&format!("{name} by round: {}", words.join(", ")), 2, layout)
}

fn row(cell: &CellResult, metric: MetricId) -> Vec<String> {
    let label = printable(&cell.label);
    if !cell.has_figures() {
        return vec![label];
    }
    let ratio = cell.ratio.as_ref().map(compact).unwrap_or_default();
    let verdict = verdict_mark(cell).map(words).unwrap_or_default();
    vec![
        label,
        metric_words(cell, metric),
        quantile_words(cell, 0.5),
        quantile_words(cell, 0.99),
        metric_words(cell, MetricId::CpuPerThousand),
        metric_words(cell, MetricId::PeakMemory),
        ratio,
        verdict,
    ]
}

fn compact(ratio: &Ratio) -> String {
    match ratio.interval {
        Some((low, high)) => {
            format!("{} [{},{}]", digits(ratio.estimate), digits(low), digits(high))
        }
        None => digits(ratio.estimate),
    }
}

fn words(mark: Mark) -> String {
    format!("{} {}", mark.symbol, mark.words)
}

/// One line: names, ratio and verdict to the left, numbers to the right.
fn aligned(
    row: &[String],
    widths: &[usize],
    gap: usize,
    mark: Option<Mark>,
    layout: Layout,
) -> String {
    let mut line = String::new();
    for (index, (text, &width)) in row.iter().zip(widths).enumerate() {
        let blank = " ".repeat(width.saturating_sub(columns(text)));
        let last = index + 1 == row.len();
        let text = if last {
            painted(text, mark.map_or(Tone::Plain, |m| m.tone), layout.color)
        } else {
            text.clone()
        };
        let left = index == 0 || index + 2 >= row.len();
        let _ = if left { write!(line, "{text}{blank}") } else { write!(line, "{blank}{text}") };
        if !last {
            line.push_str(&" ".repeat(gap));
        }
    }
    format!("{}\n", line.trim_end())
}

/// A cell without figures: its name and why.
fn absent(cell: &CellResult, width: usize, gap: usize, layout: Layout) -> String {
    let label = printable(&cell.label);
    let (mark, _) = view::status_mark(&cell.status);
    let reason = format!("{} {}", mark.symbol, printable(&view::status_words(cell)));
    let blank = " ".repeat(width - columns(&label) + gap);
    let lines = wrapped(&format!("{label}{blank}{reason}"), width + gap + 2, layout);
    painted_once(&lines, mark.words, mark.tone, layout)
}

/// What is to be said of a cell that has figures.
fn note(cell: &CellResult, layout: Layout) -> String {
    let (mark, _) = view::status_mark(&cell.status);
    if cell.status == CellStatus::Complete {
        return String::new();
    }
    let text = format!(
        "{} {}: {}",
        mark.symbol,
        printable(&cell.label),
        printable(&view::status_words(cell))
    );
    painted_once(&wrapped(&text, 4, layout), mark.words, mark.tone, layout)
}

fn slo_text(summary: &SloSummary<'_>, path: Option<&str>, layout: Layout) -> String {
    let mark = view::slo_mark(summary.holds());
    let place =
        path.map(|p| format!("  {}:{}", printable(p), summary.slo.line)).unwrap_or_default();
    let line = format!(
        "SLO {} {}  {}{place}",
        words(mark),
        printable(&summary.slo.assert),
        summary.words()
    );
    let mut out = String::from("\n")
        + &painted_once(&wrapped(&line, 4, layout), &words(mark), mark.tone, layout);
    for result in summary.results.iter().filter(|r| r.holds == Some(false)) {
        let measured = view::slo_measured(result).unwrap_or_default();
        let _ = writeln!(out, "    x {}: {measured}", printable(&result.cell));
    }
    out
}

/// A claim, and below it a line for each executor that it is about.
fn claim_text(summary: &ClaimSummary<'_>, layout: Layout) -> String {
    let mut out = String::from("\n");
    out.push_str(&wrapped(&format!("claim \"{}\"", printable(&summary.claim.text)), 6, layout));
    out.push_str(&wrapped(&format!("  {}", printable(&view::claimed_words(summary))), 2, layout));
    let whom: Vec<String> =
        summary.results.iter().map(|result| printable(&view::claimant(result))).collect();
    let width = whom.iter().map(|text| columns(text)).max().unwrap_or(0);
    for (result, whom) in summary.results.iter().zip(whom) {
        let mark = view::claim_mark(result.verdict);
        let measured = result.measured.as_ref().map_or_else(String::new, compact);
        let pad = " ".repeat(width - columns(&whom));
        let lacking = result
            .lacking
            .as_ref()
            .map_or_else(String::new, |why| format!(" ({})", printable(why)));
        let line =
            wrapped(&format!("  {:<14}  {whom}{pad}  {measured}{lacking}", words(mark)), 4, layout);
        out.push_str(&painted_once(&line, mark.words, mark.tone, layout));
    }
    out
}

fn painted(text: &str, tone: Tone, color: bool) -> String {
    let code = match tone {
        Tone::Good => "32",
        Tone::Bad => "31",
        Tone::Warn => "33",
        Tone::Plain => "",
    };
    if color && !code.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.into() }
}

/// Colours the first occurrence of some words in text whose layout is done.
fn painted_once(text: &str, words: &str, tone: Tone, layout: Layout) -> String {
    text.replacen(words, &painted(words, tone, layout.color), 1)
}

/// Breaks a line at blanks to fit the width; later lines are indented.
fn wrapped(text: &str, indent: usize, layout: Layout) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split_inclusive(' ') {
        let filled = columns(&line) + columns(word.trim_end()) > layout.width;
        if filled && !line.trim().is_empty() {
            let _ = writeln!(out, "{}", line.trim_end());
            line = " ".repeat(indent);
        }
        line.push_str(word);
    }
    format!("{out}{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::{Judgement, LimitingFactor, RoundEvidence, Steadiness, Validity},
        report::fixture,
    };

    #[test]
    fn every_state_has_a_row_and_every_claim_a_line() {
        insta::assert_snapshot!(text(&fixture::header(), &fixture::small(), false), @r#"
        2026-11-21T10-02-11Z-http-fanout: 368 of 378 trials measured, 8 failed
        ! turbo is on: frequencies vary (regatta doctor)

        http-fanout  Which executor keeps p99 flat when one request becomes N sub-requests?
          <script>alert(1)</script> & "x" | 'y', =1+1
          1 executor CPU; ratios are times as fast as thread-pool(64), with 95% intervals over 7 rounds

        concurrency=4096 (closed, 4096 clients)
        executor              tasks/s    p50    p99  CPU/1k   memory  ratio
        sequential            – not applicable: one thread cannot hold more than one client
        threads               x refused: 4097 threads are above pids.max = 4096: raise it, or lower
                                concurrency
        thread-pool(64)       17.1k/s  230ms  442ms  44.0ms  24.2MiB  1.00              = baseline
        tokio                 25.5k/s  159ms  298ms  44.8ms  10.9MiB  1.49 [1.47,1.52]  + faster
        tokio-current-thread  26.0k/s  158ms  344ms  47.8ms  10.9MiB  1.52 [1.50,1.54]  + faster
        async-std             ? not run yet
        smol                  24.2k/s  178ms  401ms  46.3ms  11.1MiB  1.42              ? no interval
        ! smol: partial: 5 of 7 rounds; 2 × wrong result: 999 of 1000 tasks
        ! smol: 0.00857 % of the tasks ended in errors (over whole trials: constraint 9, lost 4)
        p99 by round: thread-pool(64) [445ms,468ms], tokio [313ms,327ms], tokio-current-thread [327ms,339ms]

        SLO x FAIL request.latency.p99 < 25ms  holds in 0 of 4 cells, not measured in 3
            scenarios/http-fanout.toml:31
            x http-fanout::thread-pool::concurrency=4096: 442ms
            x http-fanout::tokio::concurrency=4096: 298ms
            x http-fanout::tokio-current-thread::concurrency=4096: 344ms
            x http-fanout::smol::concurrency=4096: 401ms

        tokio-current-thread is the fastest.

        hundred-calls  Are 100 calls of 100 ms a hundred times as fast when they overlap?
          1 executor CPU; ratios are times as fast as thread-pool(64), with 95% intervals over 7 rounds

        batch of 100
        executor                                             makespan    p50   p99 CPU/1k  memory ratio
        sequential                                              10.1s 90.8ms 151ms 28.6ms 8.58MiB 0.0160 [0.0157,0.0162] - slower
        thread-pool(64)                                         161ms 95.4ms 173ms 43.8ms 8.61MiB 1.00                   = baseline
        tokio                                                   116ms 98.3ms 203ms 43.8ms 8.57MiB 1.39 [1.37,1.41]       + faster
        async-std<script>alert(1)</script> & "x" | 'y', =1+1    121ms  102ms 220ms 47.9ms 8.58MiB 1.32 [1.30,1.34]       + faster
          scheduling delay p50, p99, max: thread-pool(64) 1.92ms, 3.80ms, 4.53ms; tokio 1.96ms, 4.01ms,
            4.52ms; async-std<script>alert(1)</script> & "x" | 'y', =1+1 2.04ms, 3.95ms, 5.35ms
          no scheduling delay of sequential: one task runs after another, and nothing beside them
        p99 by round: sequential [166ms,174ms], thread-pool(64) [186ms,195ms], tokio [197ms,204ms],
          async-std<script>alert(1)</script> & "x" | 'y', =1+1 [216ms,225ms]

        claim "async is 50 times as fast <script>alert(1)</script> & "x" | 'y', =1+1"
          about 50.0 times as fast as thread-pool, with a tolerance of 25%
          x disagrees     tokio  1.39 [1.37,1.41]

        tokio is the fastest.

        Makespan and tasks/s are medians over the rounds; p50 and p99 are over the tasks of all rounds
        together, and – where fewer than ten samples lie above. By round: the 95% interval of the median of
        the rounds' own quantiles. CPU/1k is CPU time per 1000 tasks.
        "#);
    }

    #[test]
    fn quantiles_have_their_intervals_over_rounds() {
        let text = text(&fixture::header(), &fixture::analysis(), false);
        let line = text
            .lines()
            .find(|line| line.starts_with("p99 by round: "))
            .expect("seven rounds each");
        assert!(
            line.starts_with("p99 by round: sequential [") && line.contains("], threads ["),
            "{line}"
        );
    }

    #[test]
    fn what_is_shown_over_several_groups_follows_them() {
        let text = text(&fixture::header(), &fixture::analysis(), false);
        let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} is not in {text}"));
        let last_group = at("concurrency=4096 (closed");
        assert!(
            last_group < at("eometric mean") && at("eometric mean") < at("\nover concurrency\n")
        );
        assert!(at("\nover concurrency\n") < at("Universal Scalability Law: tokio λ"));
        assert!(at("Universal Scalability Law: tokio λ") < at("\nSLO "));
    }

    #[test]
    fn lines_fit_and_colours_only_support_words() {
        let (header, mut analysis) = (fixture::header(), fixture::analysis());
        analysis.scenarios.truncate(1);
        for line in text_in(&header, &analysis, false, 80).lines() {
            assert!(columns(line) <= 80, "{} columns: {line}", columns(line));
        }
        let plain = text(&header, &analysis, false);
        for line in plain.lines() {
            assert!(columns(line) <= WIDTH, "{} columns: {line}", columns(line));
        }
        assert!(!plain.contains('\u{1b}'));
        let coloured = text(&header, &analysis, true);
        let mut stripped = coloured.replace("\u{1b}[0m", "");
        for code in ["31", "32", "33"] {
            stripped = stripped.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert_eq!(stripped, plain);
        assert_ne!(coloured, plain);
    }

    #[test]
    fn a_cell_that_is_not_valid_says_so_and_has_no_ratio() {
        let (header, mut analysis) = (fixture::header(), fixture::small());
        let group = &mut analysis.scenarios[1].groups[0];
        group.cells[2].ratio = None;
        group.cells[2].steadiness = Some(Steadiness::Warming);
        group.cells[2].judgement = Judgement {
            validity: Validity::Disturbed,
            evidence: vec![RoundEvidence {
                validity: Validity::Disturbed,
                words: "in 2 of 7 rounds other processes used 30.0 % of the executor's CPU time"
                    .into(),
            }],
            limit: Some(LimitingFactor::ExecutorCpu),
            unseen: Some("5 of 7 rounds are below 100ms, the shortest 62.0ms".into()),
            ..Judgement::default()
        };
        let text = text(&header, &analysis, false);
        let after = text.split("batch of 100").nth(1).expect("the second scenario");
        let lines: Vec<&str> = after.lines().skip(1).take(11).collect();
        insta::assert_snapshot!(lines.join("\n"), @r##"
        executor                                             makespan    p50   p99 CPU/1k  memory ratio
        sequential                                              10.1s 90.8ms 151ms 28.6ms 8.58MiB 0.0160 [0.0157,0.0162] - slower
        thread-pool(64)                                         161ms 95.4ms 173ms 43.8ms 8.61MiB 1.00                   = baseline
        tokio                                                   116ms 98.3ms 203ms 43.8ms 8.57MiB                        ! DISTURBED
        async-std<script>alert(1)</script> & "x" | 'y', =1+1    121ms  102ms 220ms 47.9ms 8.58MiB 1.32 [1.30,1.34]       + faster
        ! tokio: DISTURBED, not ranked: in 2 of 7 rounds other processes used 30.0 % of the executor's CPU
            time
        ! tokio: warming: it became faster within the window, raise `warmup`
          limited by the executor's CPU: tokio
          too short to tell whether others disturbed them: tokio (5 of 7 rounds are below 100ms, the
            shortest 62.0ms)
        "##);
    }

    #[test]
    fn narrow_terminals_do_without_memory_and_cpu_time() {
        let (header, analysis) = (fixture::header(), fixture::small());
        let heads = |width: usize| {
            let text = text_in(&header, &analysis, false, width);
            let head =
                text.lines().find(|line| line.starts_with("executor")).expect("a table").to_owned();
            head.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(heads(100), "executor tasks/s p50 p99 CPU/1k memory ratio");
        assert_eq!(heads(80), "executor tasks/s p50 p99 CPU/1k ratio");
        assert_eq!(heads(72), "executor tasks/s p50 p99 ratio");
    }

    #[test]
    fn unequal_conditions_are_said_above_the_tables() {
        let (header, mut analysis) = (fixture::header(), fixture::small());
        let plain = |analysis: &Analysis| text(&header, analysis, false);
        assert!(!plain(&analysis).contains("equal conditions"));
        analysis.scenarios[1].groups[0].cells[2]
            .facts
            .insert("allocator".into(), "jemalloc".into());
        let text = plain(&analysis);
        let said = text.split_once(
            "! Warning: the executors did not have equal conditions: allocator: system",
        );
        let (before, after) = said.unwrap_or_else(|| panic!("{text}"));
        assert!(
            before.contains("\nhundred-calls ") && after.contains("jemalloc (tokio)"),
            "{text}"
        );
        assert!(after.contains("\nbatch of 100\n"), "above the table: {text}");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let (header, mut analysis) = (fixture::header(), fixture::small());
        analysis.scenarios[0].groups[0].cells[3].label = "to\u{1b}[2Jkio".into();
        assert!(text(&header, &analysis, false).contains("to\u{FFFD}[2Jkio"));
    }
}
