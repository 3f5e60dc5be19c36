//! A session of the server whose call was given up, and how the server is told of it.

use crate::client::CancelKey;

/// How the server is told which session it is.
#[derive(Debug, Clone)]
pub enum SessionId {
    /// By the key that PostgreSQL gave to it.
    Key(CancelKey),
    /// By its number in MySQL.
    Number(u64),
}

/// A session that was in use when its call was given up.
pub struct GivenUpSession {
    /// Which one it is.
    pub session: SessionId,
    /// This side of it: closed once the server was asked to cancel what it does.
    pub connection: Box<dyn Send>,
    /// What is given back, by being dropped, when the server has ended it.
    pub place: Box<dyn Send>,
}
