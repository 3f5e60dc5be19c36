//! A search for the highest rate, executed: what the analysis asks for next is run and stored, until every cell has its
//! answer.
//!
//! Cells advance side by side, one trial each in a random order, so that what changes on the host changes for all of them.

use crate::{
    analysis::{self, RateTrial, Vote},
    clock,
    plan::{self, Searchable},
    run::{End, Patience, Stop},
    store::{GivenUp, Line, Outcome, Probe, Run, StoreError, TrialRecord, Writer},
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
    /// Every cell of a server, or of a scenario, has failed in its first trial.
    GaveUp(&'a GivenUp),
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
    let mut patience = Patience::new(cells.iter().map(Searchable::cell).enumerate());
    let ended = loop {
        match pass(cells, &mut book, runner, &mut patience, &mut observe) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            Err(stop) => break Err(stop),
        }
    };
    let gave_up = (0..cells.len()).any(|cell| patience.is_over(cell));
    match ended {
        Ok(()) if gave_up => Ok(End::GaveUp),
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
    patience: &mut Patience,
    observe: &mut impl FnMut(Event<'_>),
) -> Result<bool, Stop> {
    let results = analysis::rate_search(book.run).map_or(Vec::new(), |search| search.cells);
    let wanted = results.iter().enumerate().filter_map(|(at, result)| Some((at, result.trial()?)));
    let wanted: Vec<(usize, RateTrial)> = wanted.filter(|(at, _)| !patience.is_over(*at)).collect();
    let seed = book.run.header.seed.wrapping_add(book.run.trials.len() as u64);
    patience.begins_round();
    for planned in plan::order(&vec![1; wanted.len()], seed) {
        let (at, wanted) = wanted[planned.cell];
        if !patience.is_over(at) {
            trial(&cells[at], wanted, book, runner, observe)?;
            give_up(at, book, patience, observe)?;
        }
    }
    Ok(!wanted.is_empty())
}

/// Gives up what has never worked. What fails at a rate when lower ones were measured is an answer.
fn give_up(
    cell: usize,
    book: &mut Book<'_>,
    patience: &mut Patience,
    observe: &mut impl FnMut(Event<'_>),
) -> Result<(), Stop> {
    if book.run.trials.iter().any(|trial| matches!(trial.outcome, Outcome::Measured(_))) {
        return Ok(());
    }
    let Some(last) = book.run.trials.last() else { return Ok(()) };
    for given_up in patience.saw(cell, &last.outcome) {
        observe(Event::GaveUp(&given_up));
        book.note(Line::GaveUp(Box::new(given_up)))?;
    }
    Ok(())
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
