//! What a call has done so far, the same for every engine: bytes, and rows that it added and took
//! away.

use super::{arg::BoundValue, statement::Effect, work::SqlWork};
use crate::{step::Done, targets::sql::Account};

/// What came back for one statement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StatementAnswer {
    /// Rows that were returned; none for a statement that returns none, such as an INSERT.
    pub returned: Option<u64>,
    /// Rows that were changed.
    pub changed: u64,
    /// Bytes of all values of all rows.
    pub received: u64,
}

/// What a call has done so far.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub done: Done,
    pub inserted: u64,
    pub deleted: u64,
    pub unknown: bool,
}

impl Effects {
    /// Adds what statement `at` did, and compares its rows with what they must be.
    pub fn add(
        &mut self,
        work: &SqlWork,
        at: usize,
        args: &[BoundValue],
        answer: StatementAnswer,
    ) -> Result<(), String> {
        self.done.received += answer.received;
        self.done.sent += args.iter().map(BoundValue::length).sum::<u64>();
        // MariaDB says of `INSERT … RETURNING` what it returned, and not what it changed, which is
        // as many.
        let rows = answer.returned.unwrap_or(answer.changed);
        match work.effects[at] {
            Effect::Read | Effect::Update => {}
            Effect::Insert => self.inserted += rows,
            Effect::Delete => self.deleted += rows,
            Effect::Unknown => self.unknown = true,
        }
        work.compare(at, rows, answer.returned.is_some())
    }

    /// Enters what was committed.
    pub fn enter(&self, account: &Account) {
        account.commit(self.inserted, self.deleted);
        if self.unknown {
            account.lose_track();
        }
    }
}
