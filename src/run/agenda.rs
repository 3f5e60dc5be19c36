//! What comes next in a run: a pure function of what its file says so far.

use crate::{
    store::{GivenUp, Probe, Run},
    trial::TrialPlan,
};

/// Decides what comes next.
///
/// It is made when a run begins or is resumed, and asked after each line that is stored. Told the
/// same run, it says the same: whatever it has to know, such as how often a trial was disturbed, it
/// reads from there. Whoever decides by what was measured which cells need more trials is an agenda
/// of its own.
pub trait Agenda {
    /// What comes next in a run that has come so far.
    fn next(&self, run: &Run) -> Due;
}

/// What comes next, and what is to be said before.
#[derive(Debug, Clone)]
pub struct Due {
    /// What follows from the trials that have ended, and was not said yet.
    pub notices: Vec<Notice>,
    /// What comes next.
    pub ahead: Ahead,
}

/// What comes next.
#[derive(Debug, Clone)]
pub enum Ahead {
    /// A trial.
    Trial(Box<AskedTrial>),
    /// Something has failed wherever it was tried, and is not tried any more.
    GiveUp {
        /// What.
        given_up: GivenUp,
        /// So many trials are not run for it; none where nobody knows.
        saved: Option<usize>,
    },
    /// Nothing: all that is left was given up.
    Nothing,
}

/// A trial that comes next.
#[derive(Debug, Clone)]
pub struct AskedTrial {
    /// The rate that it is the first trial of; stored before it.
    pub probe: Option<Probe>,
    /// What it does.
    pub plan: TrialPlan,
    /// Its place in the order, from 1.
    pub sequence: u32,
    /// From 0.
    pub attempt: u32,
}

/// What follows from the trials so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// So many trials of the round that has ended were disturbed, and are run again now.
    Again(usize),
    /// A round has ended in which something disturbed trials.
    Disturbed {
        /// The round, from 1.
        round: u32,
        /// Trials of the round.
        trials: usize,
        /// Those that were disturbed.
        disturbed: Vec<Disturbance>,
    },
}

/// A trial that something disturbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disturbance {
    /// Its cell.
    pub cell: String,
    /// By what, in words, when it was last run.
    pub reason: String,
    /// Whether its last attempt was disturbed, too.
    pub stays: bool,
}

impl From<Ahead> for Due {
    fn from(ahead: Ahead) -> Self {
        Self { notices: Vec::new(), ahead }
    }
}
