//! What a pool for blocking work brings into the window from before it: threads that preparation or
//! warm-up needed, and that wait ever since.

use crate::{analysis::significant, measure::Measurements};

/// A thread that waits wakes so often in a second (crate `blocking` 1.7: it looks every half second
/// whether to end).
const WAKES_PER_SECOND: f64 = 2.0;
/// Their wake-ups are worth a word from this share of all context switches on.
const SHARE: f64 = 0.05;
/// … or, where they are not, from so many threads on: each has a stack of which some is resident.
const MANY: u64 = 32;

/// What is to be said of the round that has most of them; none where they hardly count.
pub(super) fn past(rounds: &[&Measurements]) -> Option<String> {
    let most = rounds.iter().max_by_key(|measured| measured.trial.pool_threads_before)?;
    let threads = most.trial.pool_threads_before;
    let wakes = threads as f64 * WAKES_PER_SECOND * most.window_ns as f64 / 1e9;
    let switches = (most.trial.switches_voluntary + most.trial.switches_involuntary) as f64;
    let counts = threads > 0 && (wakes >= SHARE * switches.max(1.0) || threads >= MANY);
    counts.then(|| {
        format!(
            "{threads} threads of the pool for blocking work were there before the window, from preparation and warm-up; \
             they stay, and their memory and up to {} of the {} context switches are the pool's past",
            significant(wakes.min(switches)),
            significant(switches)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::TrialMeasured;

    fn said(pool_threads_before: u64, switches_voluntary: u64) -> Option<String> {
        let window_ns = 5_000_000_000;
        let trial =
            TrialMeasured { switches_voluntary, pool_threads_before, ..TrialMeasured::default() };
        past(&[&Measurements { window_ns, trial: trial.into(), ..Measurements::default() }])
    }

    #[test]
    fn threads_of_a_pool_from_before_the_window_are_told_where_they_count() {
        assert_eq!((said(0, 0), past(&[])), (None, None));
        // Ten wake-ups of one thread among a million switches are nothing; among a hundred they are
        // a tenth.
        assert_eq!(said(1, 1_000_000), None);
        assert!(said(1, 100).is_some());
        let many = said(200, 1_000_000).expect("two hundred stacks");
        assert!(
            many.starts_with("200 threads")
                && many.contains("up to 2.00k of the 1.00M context switches"),
            "{many}"
        );
    }
}
