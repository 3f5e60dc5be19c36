//! What the trials of one rate decide: a verdict that leads by two.
//!
//! A single trial may pass or fail by chance. Near the limit a trial passes with some probability
//! p, and the trials of a rate are independent processes, so that the lead of one verdict over the
//! other is a random walk that ends at two to either side (Wald, *Sequential Analysis*, 1947). A
//! rate that passes nine times in ten is decided wrongly in one case of 82, with little more than
//! two trials on average; one that passes half of the time is left undecided more often than any
//! other.

use super::bracket::Decision;
use crate::analysis::Validity;

/// By so much one verdict must lead.
const LEAD: u32 = 2;

/// What one trial says of its rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Vote {
    /// Every limit holds.
    Meets,
    /// Some limit does not: why, in words.
    Misses(String),
    /// It gave no figures: why, in words.
    Failed(String),
    /// The host disturbed it: in words.
    Disturbed(String),
    /// The harness does not believe its figures: in words.
    Invalid(String),
    /// It has too few samples to be judged: of what, and what to do about it, in words.
    Open(String),
}

impl Vote {
    /// Why its trial did not pass, or says nothing.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Meets => None,
            Self::Misses(why)
            | Self::Failed(why)
            | Self::Disturbed(why)
            | Self::Invalid(why)
            | Self::Open(why) => Some(why),
        }
    }

    /// What to do about a trial that says nothing, beside what is said already; none where it says
    /// something.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Meets | Self::Misses(_) | Self::Failed(_) => None,
            Self::Disturbed(_) => Some(Validity::Disturbed.remedy()),
            Self::Invalid(_) => Some(Validity::Invalid.remedy()),
            Self::Open(_) => Some(""),
        }
    }
}

/// The votes of a rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Votes {
    /// Trials in which every limit holds.
    pub meets: u32,
    /// Trials in which some does not, and those that failed.
    pub misses: u32,
    /// Trials that could not be judged.
    pub open: u32,
}

impl Votes {
    /// Counts a vote.
    pub fn add(&mut self, vote: &Vote) {
        match vote {
            Vote::Meets => self.meets += 1,
            Vote::Misses(_) | Vote::Failed(_) => self.misses += 1,
            Vote::Disturbed(_) | Vote::Invalid(_) | Vote::Open(_) => self.open += 1,
        }
    }

    /// What is decided; none where another trial, of `most` in all, may still decide.
    pub fn decision(&self, most: u32) -> Option<Decision> {
        let (lead, left) = (self.meets.abs_diff(self.misses), most.saturating_sub(self.all()));
        match lead {
            LEAD.. if self.meets > self.misses => Some(Decision::Passes),
            LEAD.. => Some(Decision::Fails),
            _ => (lead + left < LEAD).then_some(Decision::Undecided),
        }
    }

    /// Trials.
    pub fn all(&self) -> u32 {
        self.meets + self.misses + self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{draw, unit};

    fn decided(meets: u32, misses: u32, open: u32) -> Option<Decision> {
        Votes { meets, misses, open }.decision(5)
    }

    #[test]
    fn a_lead_of_two_decides() {
        assert_eq!(
            [decided(0, 0, 0), decided(1, 0, 0), decided(1, 1, 0), decided(2, 1, 0)],
            [None; 4]
        );
        assert_eq!(
            [decided(2, 0, 0), decided(3, 1, 0), decided(2, 0, 2)],
            [Some(Decision::Passes); 3]
        );
        assert_eq!([decided(0, 2, 0), decided(1, 3, 0)], [Some(Decision::Fails); 2]);
    }

    #[test]
    fn no_trial_is_run_that_cannot_decide() {
        assert_eq!(
            [decided(2, 2, 0), decided(0, 0, 4), decided(1, 0, 4)],
            [Some(Decision::Undecided); 3]
        );
        assert_eq!([decided(0, 0, 3), decided(1, 0, 3)], [None; 2]);
    }

    /// With any number of trials the lead ends at two on the wrong side in q²/(p² + q²) of all
    /// cases.
    #[test]
    fn errors_are_as_rare_as_those_of_a_random_walk() {
        let outcomes = |p: f64| {
            let mut counts = [0_u32; 3];
            for seed in 0..20_000 {
                let mut votes = Votes::default();
                let decision = loop {
                    if let Some(decision) = votes.decision(5) {
                        break decision;
                    }
                    let meets = unit(draw(seed, u64::from(votes.all()), 1)) < p;
                    votes.add(&if meets { Vote::Meets } else { Vote::Misses(String::new()) });
                };
                counts[decision as usize] += 1;
            }
            counts.map(|count| f64::from(count) / 20_000.0)
        };
        let [passes, fails, undecided] = outcomes(0.9);
        assert!(fails < 0.015 && passes > 0.94 && undecided < 0.05, "{passes} {fails} {undecided}");
        let [passes, fails, undecided] = outcomes(0.5);
        assert!(
            (passes - fails).abs() < 0.02 && (undecided - 0.25).abs() < 0.02,
            "{passes} {fails} {undecided}"
        );
    }
}
