//! Where the highest rate lies, as far as it is known, and which rate is to be tried next. Pure: it
//! measures nothing.
//!
//! Rates are doubled until one does not pass, or halved until one does. Then the highest rate that
//! passes is enclosed by bisection on a logarithmic scale. A rate at which trials contradict each
//! other is neither: the highest that passes is sought below it, and the least that fails above it,
//! so that the answer says how wide the noise is.

/// What the trials of a rate have decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Every limit holds.
    Passes,
    /// Some limit does not.
    Fails,
    /// The trials contradict each other, or could not be judged.
    Undecided,
}

/// What is known of a cell's highest rate. Rates are in arrivals per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SearchAnswer {
    /// It lies between these two, which are as near to each other as was asked for.
    Found {
        /// The highest rate that passes.
        passes: f64,
        /// The least rate that fails.
        fails: f64,
    },
    /// The highest rate that may be tried passes.
    AtLeast {
        /// That rate.
        passes: f64,
    },
    /// Not even the lowest rate that is tried passes.
    Nothing {
        /// That rate.
        fails: f64,
    },
    /// The noise does not decide between these two.
    Inconclusive {
        /// The highest rate that passes, if any does.
        passes: Option<f64>,
        /// The least rate that fails, if any does.
        fails: Option<f64>,
    },
}

/// What comes next in a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SearchStep {
    /// Try this rate.
    Probe(f64),
    /// There is an answer.
    Answered(SearchAnswer),
}

/// By what a rate is multiplied or divided until it is enclosed.
const STEP: f64 = 2.0;
/// No rate is tried that is less than the first one by more than this.
const DEPTH: f64 = 1024.0;
/// So many rates without a decision are tried in search of one that fails, or of one that passes.
const MOST_OPEN: usize = 3;

/// A search for one cell.
#[derive(Debug, Clone)]
pub struct Bracket {
    start: f64,
    highest: f64,
    precision: f64,
    known: Vec<(f64, Decision)>,
}

impl Bracket {
    /// Begins at the rate `start`, goes no higher than `highest`, and ends where the rates that
    /// enclose the answer differ by no more than `precision`, as a share.
    pub fn new(start: f64, highest: f64, precision: f64) -> Self {
        Self { start: start.min(highest), highest, precision, known: Vec::new() }
    }

    /// Notes what was decided at a rate.
    pub fn tell(&mut self, rate: f64, decision: Decision) {
        self.known.push((rate, decision));
    }

    /// What comes next.
    pub fn next(&self) -> SearchStep {
        let Some(passes) = self.rates(Decision::Passes).reduce(f64::max) else {
            return self.downwards();
        };
        let fails = self.rates(Decision::Fails).reduce(f64::min);
        let open: Vec<f64> =
            self.rates(Decision::Undecided).filter(|rate| *rate > passes).collect();
        let ceiling = open.iter().copied().chain(fails).reduce(f64::min);
        match ceiling {
            None if passes >= self.highest => {
                SearchStep::Answered(SearchAnswer::AtLeast { passes })
            }
            None => SearchStep::Probe((passes * STEP).min(self.highest)),
            Some(ceiling) => match self.between(passes, ceiling) {
                Some(rate) => SearchStep::Probe(rate),
                None => self.upper_end(passes, fails, &open),
            },
        }
    }

    /// What is known where no more is tried.
    pub fn give_up(&self) -> SearchAnswer {
        let passes = self.rates(Decision::Passes).reduce(f64::max);
        SearchAnswer::Inconclusive { passes, fails: self.rates(Decision::Fails).reduce(f64::min) }
    }

    /// The highest rate that passes is found; so is the least that fails, unless rates without a
    /// decision lie between.
    fn upper_end(&self, passes: f64, fails: Option<f64>, open: &[f64]) -> SearchStep {
        let undecided =
            SearchStep::Answered(SearchAnswer::Inconclusive { passes: Some(passes), fails });
        match (open.iter().copied().reduce(f64::max), fails) {
            (None, Some(fails)) => SearchStep::Answered(SearchAnswer::Found { passes, fails }),
            (Some(top), Some(fails)) => {
                self.between(top, fails).map_or(undecided, SearchStep::Probe)
            }
            (Some(top), None) if open.len() < MOST_OPEN && top < self.highest => {
                SearchStep::Probe((top * STEP).min(self.highest))
            }
            (_, None) => undecided,
        }
    }

    /// Nothing has passed yet.
    fn downwards(&self) -> SearchStep {
        let Some(&(rate, decision)) = self.known.iter().min_by(|a, b| a.0.total_cmp(&b.0)) else {
            return SearchStep::Probe(self.start);
        };
        let fails = self.rates(Decision::Fails).reduce(f64::min);
        // What is undecided at rates so far apart does not depend on the rate: the host is to
        // blame.
        if self.rates(Decision::Undecided).count() >= MOST_OPEN {
            return SearchStep::Answered(SearchAnswer::Inconclusive { passes: None, fails });
        }
        if rate > self.start / DEPTH * STEP.sqrt() {
            return SearchStep::Probe(three_digits(rate / STEP));
        }
        SearchStep::Answered(match decision {
            Decision::Fails => SearchAnswer::Nothing { fails: rate },
            Decision::Passes | Decision::Undecided => {
                SearchAnswer::Inconclusive { passes: None, fails }
            }
        })
    }

    fn rates(&self, decision: Decision) -> impl Iterator<Item = f64> {
        self.known.iter().filter(move |(_, known)| *known == decision).map(|(rate, _)| *rate)
    }

    /// A rate between two; none where they are near enough.
    fn between(&self, low: f64, high: f64) -> Option<f64> {
        let middle = three_digits((low * high).sqrt());
        (high / low > 1.0 + self.precision && low < middle && middle < high).then_some(middle)
    }
}

/// Rates have three significant digits, so that their names are short and say all of them.
fn three_digits(rate: f64) -> f64 {
    format!("{rate:.2e}").parse().unwrap_or(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks for rates until there is an answer, which must come soon; also the number of rates.
    fn search(mut bracket: Bracket, decide: impl Fn(f64) -> Decision) -> (SearchAnswer, usize) {
        for probes in 0..60 {
            match bracket.next() {
                SearchStep::Probe(rate) => bracket.tell(rate, decide(rate)),
                SearchStep::Answered(answer) => return (answer, probes),
            }
        }
        panic!("no answer: {bracket:?}")
    }

    fn threshold(capacity: f64) -> impl Fn(f64) -> Decision {
        move |rate| if rate <= capacity { Decision::Passes } else { Decision::Fails }
    }

    #[test]
    fn a_threshold_is_enclosed_wherever_the_search_begins() {
        for start in [1.0, 100.0, 999.0, 7_777.0, 100_000.0] {
            for precision in [0.01, 0.05, 0.5] {
                let (answer, probes) =
                    search(Bracket::new(start, 1e7, precision), threshold(1_234.5));
                let SearchAnswer::Found { passes, fails } = answer else { panic!("{answer:?}") };
                assert!(passes <= 1_234.5 && 1_234.5 < fails, "{start}: {answer:?}");
                assert!(fails / passes <= 1.0 + precision + 1e-9, "{start}: {answer:?}");
                assert!(probes < 25, "{probes}");
            }
        }
    }

    #[test]
    fn what_has_no_end_within_bounds_is_said() {
        let all = search(Bracket::new(1_000.0, 3_000.0, 0.05), |_| Decision::Passes);
        assert_eq!(all, (SearchAnswer::AtLeast { passes: 3_000.0 }, 3));
        let above = search(Bracket::new(9_000.0, 3_000.0, 0.05), |_| Decision::Passes);
        assert_eq!(above, (SearchAnswer::AtLeast { passes: 3_000.0 }, 1));
        let (none, probes) = search(Bracket::new(1_024.0, 1e7, 0.05), |_| Decision::Fails);
        let SearchAnswer::Nothing { fails } = none else { panic!("{none:?}") };
        assert!((0.9..1.1).contains(&fails) && probes == 11, "{fails} after {probes}");
    }

    #[test]
    fn noise_is_enclosed_and_not_decided() {
        let noisy = |rate: f64| match rate {
            low if low <= 900.0 => Decision::Passes,
            high if high > 1_500.0 => Decision::Fails,
            _ => Decision::Undecided,
        };
        for start in [100.0, 1_000.0, 10_000.0] {
            let (answer, _) = search(Bracket::new(start, 1e7, 0.05), noisy);
            let SearchAnswer::Inconclusive { passes: Some(passes), fails: Some(fails) } = answer
            else {
                panic!("{answer:?}")
            };
            assert!(passes <= 900.0 && passes * 1.06 > 900.0, "{answer:?}");
            assert!(fails > 1_500.0 && fails < 1_500.0 * 1.06, "{answer:?}");
        }
        let (answer, probes) = search(Bracket::new(100.0, 1e7, 0.05), |_| Decision::Undecided);
        assert_eq!(
            (answer, probes),
            (SearchAnswer::Inconclusive { passes: None, fails: None }, MOST_OPEN)
        );
        let never_fails = |rate| if rate <= 900.0 { Decision::Passes } else { Decision::Undecided };
        let (answer, _) = search(Bracket::new(100.0, 1e7, 0.05), never_fails);
        assert!(
            matches!(answer, SearchAnswer::Inconclusive { passes: Some(_), fails: None }),
            "{answer:?}"
        );
    }

    #[test]
    fn rates_have_three_digits() {
        let shown = [1_234.5, 0.012_345, 99_999.0].map(|rate| three_digits(rate).to_string());
        assert_eq!(shown, ["1230", "0.0123", "100000"]);
    }
}
