//! How long what is left of a run will take: first what the plan says, then what trials have taken.
//! Pure.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use crate::{
    plan::{Plan, total},
    run::Remaining,
};

/// What is known of a cell's trials.
#[derive(Debug, Clone, Copy)]
struct CellForecast {
    estimate: Duration,
    /// Their time so far, and how many they were.
    taken: Duration,
    trials: u32,
}

/// How long what is left takes, learned from what has ended.
#[derive(Debug)]
pub(super) struct Forecast {
    cells: HashMap<String, CellForecast>,
    /// What was not run yet: cell and round.
    waiting: BTreeSet<(String, u32)>,
    /// Time of trials that were run for the first time, and what the plan said of them.
    first: Duration,
    expected: Duration,
    /// Time of those that were run again.
    again: Duration,
}

impl Forecast {
    /// Of what is left of a plan.
    pub(super) fn new(plan: &Plan, left: &Remaining) -> Self {
        let cells = plan.cells.iter().map(|cell| (cell.stored.name.clone(), cell.estimate.trial));
        let planned = plan.trials.iter().map(|trial| plan.name_of(trial));
        Self::of(cells, planned.filter(|name| left.contains_key(name)))
    }

    fn of(
        cells: impl IntoIterator<Item = (String, Duration)>,
        waiting: impl IntoIterator<Item = (String, u32)>,
    ) -> Self {
        let known = |estimate| CellForecast { estimate, taken: Duration::ZERO, trials: 0 };
        let (first, expected, again) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        let cells = cells.into_iter().map(|(name, estimate)| (name, known(estimate))).collect();
        Self { cells, waiting: waiting.into_iter().collect(), first, expected, again }
    }

    /// A trial has ended after this time.
    pub(super) fn saw(&mut self, cell: &str, round: u32, took: Duration) {
        let is_first = self.waiting.remove(&(cell.to_owned(), round));
        let Some(known) = self.cells.get_mut(cell) else { return };
        known.taken = known.taken.saturating_add(took);
        known.trials += 1;
        if is_first {
            self.first = self.first.saturating_add(took);
            self.expected = self.expected.saturating_add(known.estimate);
        } else {
            self.again = self.again.saturating_add(took);
        }
    }

    /// These cells are not run any more.
    pub(super) fn give_up(&mut self, cells: &[String]) {
        self.waiting.retain(|(cell, _)| !cells.contains(cell));
    }

    /// Trials that were never run.
    pub(super) fn trials(&self) -> usize {
        self.waiting.len()
    }

    /// How long what is left takes, about: a cell's trials as long as before, those of others by as
    /// much longer than the plan says as all were so far; and as many of them again as were run
    /// again so far.
    pub(super) fn left(&self) -> Duration {
        let once = total(
            self.waiting.iter().filter_map(|(cell, _)| Some(self.of_cell(self.cells.get(cell)?))),
        );
        times(once, 1.0 + share(self.again, self.first))
    }

    fn of_cell(&self, known: &CellForecast) -> Duration {
        match known.trials {
            0 if self.expected.is_zero() => known.estimate,
            0 => times(known.estimate, share(self.first, self.expected)),
            trials => known.taken / trials,
        }
    }
}

/// One time as a share of another; none of no time.
fn share(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() { 0.0 } else { part.as_secs_f64() / whole.as_secs_f64() }
}

fn times(time: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(time.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    /// Two cells of three rounds each, one and two seconds long by the plan.
    fn forecast() -> Forecast {
        let cells = [("a", 1), ("b", 2)].map(|(name, seconds)| (name.to_owned(), S(seconds)));
        let waiting = (1..=3).flat_map(|round| [("a".to_owned(), round), ("b".to_owned(), round)]);
        Forecast::of(cells, waiting)
    }

    #[test]
    fn before_anything_has_ended_the_plan_says_it() {
        assert_eq!((forecast().left(), forecast().trials()), (S(9), 6));
    }

    #[test]
    fn what_has_ended_says_more_than_the_plan() {
        let mut all = forecast();
        all.saw("a", 1, S(3));
        // Two more of `a` as long as the first one; those of `b` are as much longer than planned.
        assert_eq!(all.left(), S(2 * 3 + 3 * 6));
        all.saw("b", 1, S(2));
        assert_eq!(all.left(), S(2 * 3 + 2 * 2));
        for round in [2, 3] {
            all.saw("a", round, S(3));
            all.saw("b", round, S(2));
        }
        assert_eq!((all.left(), all.trials()), (S(0), 0));
    }

    #[test]
    fn trials_that_are_run_again_are_expected_again() {
        let mut all = forecast();
        all.saw("a", 1, S(1));
        all.saw("b", 1, S(2));
        assert_eq!(all.left(), S(6));
        // Half of the round's time once more, and so it may be in the others.
        all.saw("a", 1, S(1));
        all.saw("a", 1, S(1));
        assert!(
            (all.left().as_secs_f64() - 6.0 * (1.0 + 2.0 / 3.0)).abs() < 1e-6,
            "{:?}",
            all.left()
        );
    }

    #[test]
    fn what_is_given_up_takes_no_time() {
        let mut all = forecast();
        all.give_up(&["b".to_owned()]);
        assert_eq!((all.left(), all.trials()), (S(3), 3));
    }
}
