//! What is asked of a database server before and after a trial. What differs between servers is
//! behind [`Admin`]: one file each.

use super::SessionId;
use crate::{client::Fault, clock};

/// How long a server that was lost may take to come back, and the session of a trial that was
/// killed to end.
pub(super) const RESTART_NS: u64 = 10_000_000_000;
/// How often a server is asked.
pub(super) const GLANCE_NS: u64 = 5_000_000;

/// To whom a schema belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// There is none of that name.
    Nobody,
    /// Regatta has made it: one that a killed trial left behind.
    Regatta,
    /// Somebody else has.
    Somebody,
}

/// What is asked of a server before and after a trial, over a connection of its own. Everything
/// here blocks.
pub(super) trait Admin: Send {
    /// Takes the schema's name for this connection, until that ends; false while another one has
    /// it.
    fn lock(&mut self) -> Result<bool, Fault>;
    /// To whom the schema belongs.
    fn owner(&mut self) -> Result<Owner, Fault>;
    /// Creates the schema with its mark and its two tables.
    fn create(&mut self) -> Result<(), Fault>;
    /// Fills the table `items`, and lets the server gather what it knows of its tables.
    fn fill(&mut self, rows: u64, seed: u64) -> Result<(), Fault>;
    /// A whole number out of the schema; none where it is none.
    fn number(&mut self, query: &str) -> Result<Option<i64>, Fault>;
    /// Asks the server to cancel what a session of a step does.
    fn cancel(&mut self, session: &SessionId) -> Result<(), Fault>;
    /// Whether a session of a step is still there. Behind a pooler that was asked to cancel nobody
    /// can say: it counts as gone.
    fn is_there(&mut self, session: &SessionId) -> Result<bool, Fault>;
    /// How many sessions of this trial's steps the server has; behind a pooler, whose sessions stay
    /// for others: in how many a statement of theirs runs.
    fn sessions(&mut self) -> Result<u64, Fault>;
    /// What is between this process and the server and has sessions of its own, in words.
    fn pooler(&self) -> Option<&'static str> {
        None
    }
    /// What the server says that it is; none where nobody asked.
    fn version(&mut self) -> Option<String> {
        None
    }
    /// Ends what is left of this trial's sessions, and of killed trials' that still work in the
    /// schema, and drops the schema. Sessions of others are left alone; who keeps it from being
    /// dropped is said.
    fn remove(&mut self) -> Result<(), Fault>;
}

/// Takes the schema's name; the session of a trial that was killed may have it a moment longer.
pub(super) fn locked(admin: &mut dyn Admin) -> Result<bool, Fault> {
    let until_ns = clock::now_ns() + RESTART_NS;
    while !admin.lock()? {
        if clock::now_ns() > until_ns {
            return Ok(false);
        }
        clock::sleep_until(clock::now_ns() + 10 * GLANCE_NS);
    }
    Ok(true)
}
