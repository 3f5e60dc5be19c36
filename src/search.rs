//! A search for the highest rate, executed: what the analysis asks for next is run and stored, until every cell has its
//! answer.
//!
//! Cells advance side by side, one trial each in a random order, so that what changes on the host changes for all of them.

use crate::{
    analysis::{self, RateTrial, Vote},
    clock,
    plan::{self, Searchable},
    run::{End, Stop},
    store::{Line, Probe, Run, StoreError, TrialRecord, Writer},
    trial::{TrialPlan, parent::Runner},
};

/// What happens in a search.
#[derive(Debug)]
pub enum Event<'a> {
    /// A trial begins: its place in the order, from 1, and its plan, for replaying.
    Begins {
        /// From 1.
        sequence: usize,
        /// Its plan.
        plan: &'a TrialPlan,
    },
    /// A trial has ended and is stored.
    Ended {
        /// The trial.
        record: &'a TrialRecord,
        /// What it says of its rate.
        vote: &'a Vote,
    },
    /// The trial could not remove something from a server of the user's own: what, and what to do about it.
    LeftBehind(&'a str),
}

/// Where a search stores what it does, on disk and in hand.
struct Book<'a> {
    run: &'a mut Run,
    writer: &'a mut Writer,
}

impl Book<'_> {
    fn note(&mut self, line: Line) -> Result<(), StoreError> {
        self.writer.append(&line)?;
        self.run.take(line);
        Ok(())
    }
}

/// Searches on from what `run` has in it already.
pub fn execute(
    cells: &[Searchable],
    run: &mut Run,
    runner: &Runner,
    writer: &mut Writer,
    mut observe: impl FnMut(Event<'_>),
) -> Result<End, StoreError> {
    let mut book = Book { run, writer };
    let ended = loop {
        match pass(cells, &mut book, runner, &mut observe) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(stop) => break Err(stop),
        }
    };
    match ended {
        Ok(()) => {
            book.note(Line::Finished { at_ms: clock::unix_ms() })?;
            Ok(End::Finished)
        }
        Err(Stop::Signal(signal)) => {
            book.note(Line::Interrupted { signal: signal.into() })?;
            Ok(End::Interrupted(signal))
        }
        Err(Stop::Store(error)) => Err(error),
    }
}

/// One trial of every cell that has no answer yet; whether there was any.
fn pass(
    cells: &[Searchable],
    book: &mut Book<'_>,
    runner: &Runner,
    observe: &mut impl FnMut(Event<'_>),
) -> Result<bool, Stop> {
    let results = analysis::rate_search(book.run).map_or(Vec::new(), |search| search.cells);
    let wanted = cells.iter().zip(&results).filter_map(|(cell, result)| Some((cell, result.trial()?)));
    let wanted: Vec<(&Searchable, RateTrial)> = wanted.collect();
    let seed = book.run.header.seed.wrapping_add(book.run.trials.len() as u64);
    for planned in plan::order(&vec![1; wanted.len()], seed) {
        let (cell, wanted) = wanted[planned.cell];
        trial(cell, wanted, book, runner, observe)?;
    }
    Ok(!wanted.is_empty())
}

/// Runs one trial and stores it.
fn trial(
    cell: &Searchable,
    wanted: RateTrial,
    book: &mut Book<'_>,
    runner: &Runner,
    observe: &mut impl FnMut(Event<'_>),
) -> Result<(), Stop> {
    runner.interrupted().map_or(Ok(()), Err)?;
    let at = cell.at(wanted.rate);
    if !book.run.probes.iter().any(|probe| probe.cell.name == at.stored.name) {
        let of = cell.stored().cell.name;
        book.note(Line::Probe(Box::new(Probe { of, rate: wanted.rate, cell: at.stored })))?;
    }
    let plan = TrialPlan { round: wanted.round, ..at.trial };
    let sequence = book.run.trials.len() + 1;
    observe(Event::Begins { sequence, plan: &plan });
    let number = u32::try_from(sequence).unwrap_or(u32::MAX);
    let record = runner.run(&plan, number, |left| observe(Event::LeftBehind(left)))?;
    book.note(Line::Trial(Box::new(TrialRecord { attempt: wanted.attempt, ..record })))?;
    if let Some(record) = book.run.trials.last()
        && let Some(vote) = analysis::vote_of(book.run, record)
    {
        observe(Event::Ended { record, vote: &vote });
    }
    Ok(())
}
