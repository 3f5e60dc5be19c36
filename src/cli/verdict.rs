//! What the figures of a run come to for a script: the exit code, and in words which limits were
//! not judged.

use super::Terminal;
use crate::{
    analysis::{self, Analysis, RateSearch, Unjudged, UnjudgedLimit},
    exit::Exit,
    run::RunEnd,
    store::Header,
};

/// Cells that are named in a message; more are counted.
const MOST_NAMED: usize = 3;

/// What a command asks of the figures.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Strictness {
    /// Cells that are not valid are a reason for exit code 3.
    pub strict: bool,
    /// Limits that could not be judged are none.
    pub allow_unjudged: bool,
    /// Cells that a limit of the host forbids are no reason for exit code 5, nor for 3.
    pub skip_refused: bool,
}

/// How a run ends: the signal, trials that failed and cells that were refused, limits that do not
/// hold.
pub(super) fn exit(analysis: &Analysis, end: RunEnd, skip_refused: bool) -> Exit {
    let incomplete = analysis.has_failures() || (analysis.has_refusals() && !skip_refused);
    signal(end)
        .or(when(incomplete, Exit::Incomplete))
        .or(when(analysis.has_failed_slo(), Exit::Bad))
}

/// What a search's answers come to, whatever became of its trials.
pub(super) fn search(found: &RateSearch) -> Exit {
    when(found.has_nothing(), Exit::Bad).or(when(found.is_inconclusive(), Exit::Inconclusive))
}

/// The exit code of the signal that ended a run, if one did.
pub(super) fn signal(end: RunEnd) -> Exit {
    match end {
        RunEnd::Interrupted("SIGTERM") => Exit::Terminated,
        RunEnd::Interrupted("SIGHUP") => Exit::HungUp,
        RunEnd::Interrupted(_) => Exit::Interrupted,
        // What was given up has failed.
        RunEnd::Finished | RunEnd::GaveUp => Exit::Fine,
    }
}

/// An exit code if there is a reason for it.
pub(super) fn when(condition: bool, exit: Exit) -> Exit {
    if condition { exit } else { Exit::Fine }
}

/// Exit code 3 for figures that do not decide: a limit that was not judged, unless that is allowed,
/// and whatever is not valid, where that was asked for. Says which limits those are.
pub(super) fn undecided(
    header: &Header,
    analysis: &Analysis,
    demand: Strictness,
    terminal: &Terminal,
) -> Exit {
    let open = open(header, analysis, demand);
    for limit in &open {
        let told = told(limit);
        // Whoever reads only errors must still learn what the exit code is for.
        if demand.allow_unjudged { terminal.warn(&told) } else { terminal.alert(&told) }
    }
    if !open.is_empty() && !demand.allow_unjudged {
        terminal.note("a limit that was not judged does not count as one that holds; `--allow-unjudged` lets it pass");
    }
    let unjudged = !open.is_empty() && !demand.allow_unjudged;
    when(unjudged || demand.strict && analysis.has_invalid_cells(), Exit::Inconclusive)
}

/// The limits that were not judged. Where refused cells are skipped, a limit need not be judged in
/// them, but somewhere.
fn open<'a>(
    header: &'a Header,
    analysis: &'a Analysis,
    demand: Strictness,
) -> Vec<UnjudgedLimit<'a>> {
    let mut all = analysis::unjudged(header, analysis);
    all.retain(|limit| {
        !(demand.skip_refused && limit.why == Unjudged::Refused && limit.judged > 0)
    });
    all
}

/// Which limit was not judged, where, why, and what to do.
fn told(limit: &UnjudgedLimit<'_>) -> String {
    let UnjudgedLimit { slo, scenario, why, cells, .. } = limit;
    let named = cells.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
    let place = match cells.len() {
        0 => format!(" of {scenario}"),
        1..=MOST_NAMED => format!(" in {named}"),
        all => format!(" in {named} and {} more", all - MOST_NAMED),
    };
    let (assert, words, remedy) = (&slo.assert, why.words(slo), why.remedy());
    format!("the SLO `{assert}` could not be judged{place}: {words}; {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::analyse,
        cli::terminal::{Color, Global},
        scenario::{Comparison, Slo, SloMetric},
        store::{Absent, Run, fixture::Fixture},
    };

    fn slo(metric: SloMetric) -> Slo {
        Slo {
            assert: "request as written".into(),
            subject: "request".into(),
            metric,
            comparison: Comparison::Below,
            limit: 1e18,
            only: Vec::new(),
            line: 7,
        }
    }

    fn code(run: &Run, demand: Strictness) -> Exit {
        let terminal = Terminal::new(&Global { color: Color::Never, quiet: true, verbose: false });
        undecided(&run.header, &analyse(run), demand, &terminal)
    }

    const FEW: SloMetric = SloMetric::Latency(0.9999);
    const MOST: SloMetric = SloMetric::Latency(1.0);

    #[test]
    fn a_limit_that_was_not_judged_is_inconclusive_unless_that_is_allowed() {
        let closed = || Fixture::closed("threads", 1).cell("threads", &[], &[100.0]);
        let allowed = Strictness { allow_unjudged: true, ..Strictness::default() };
        let run = closed().slo(slo(FEW)).build();
        assert_eq!(
            [Strictness::default(), allowed].map(|demand| code(&run, demand)),
            [Exit::Inconclusive, Exit::Fine]
        );
        // One limit that holds makes up for no other one; few samples of a quick run are few
        // samples.
        let run = closed().slo(slo(MOST)).slo(slo(FEW)).with(|run| run.header.quick = true).build();
        assert_eq!(code(&run, Strictness::default()), Exit::Inconclusive);
        assert_eq!(code(&closed().slo(slo(MOST)).build(), Strictness::default()), Exit::Fine);
        // One cell makes up for no other one.
        let run = closed().cell("tokio", &[], &[]).slo(slo(MOST)).build();
        assert_eq!(code(&run, Strictness::default()), Exit::Inconclusive);
    }

    #[test]
    fn refused_cells_are_skipped_where_that_was_asked_for_and_others_were_judged() {
        let refused = |fixture: Fixture| {
            fixture.absent("tokio", &[], Absent::Refused("no room".into())).slo(slo(MOST))
        };
        let skip = Strictness { skip_refused: true, ..Strictness::default() };
        let both = refused(Fixture::closed("threads", 1).cell("threads", &[], &[100.0])).build();
        assert_eq!(
            [Strictness::default(), skip].map(|demand| code(&both, demand)),
            [Exit::Inconclusive, Exit::Fine]
        );
        let alone = refused(Fixture::closed("tokio", 1)).build();
        assert_eq!(code(&alone, skip), Exit::Inconclusive);
    }

    #[test]
    fn what_is_not_valid_is_inconclusive_where_that_was_asked_for() {
        let run = Fixture::closed("threads", 1).cell("threads", &[], &[100.0]);
        let run = run
            .measured("demo::threads", |_, measured| measured.trial_mut().host.throttled_ns = 1)
            .build();
        let strict = Strictness { strict: true, ..Strictness::default() };
        assert_eq!(
            [Strictness::default(), strict].map(|demand| code(&run, demand)),
            [Exit::Fine, Exit::Inconclusive]
        );
    }

    #[test]
    fn a_message_names_the_limit_the_cells_the_cause_and_the_remedy() {
        let limit = slo(FEW);
        let of = |cells| {
            told(&UnjudgedLimit {
                slo: &limit,
                scenario: "demo",
                why: Unjudged::Disturbed,
                cells,
                judged: 0,
            })
        };
        let why = "it is DISTURBED, and what does not hold then may hold on a quiet host; measure again on a quieter machine";
        assert_eq!(
            of(vec!["a", "b"]),
            format!("the SLO `request as written` could not be judged in a, b: {why}")
        );
        assert!(of(vec!["a", "b", "c", "d", "e"]).contains(" in a, b, c and 2 more: it is"));
        assert!(of(Vec::new()).contains(" could not be judged of demo: it is"));
    }
}
