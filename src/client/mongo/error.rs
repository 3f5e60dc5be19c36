//! All that can go wrong on a connection to a server that speaks MongoDB's protocol.

use std::io;

use super::super::{Fault, FaultKind};

/// Why a command was not done, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum MongoError {
    /// The connection ended, or could not be written to.
    #[error("the connection was lost: {0}")]
    Lost(#[from] io::Error),
    /// A document or a message is larger than the server or this client accepts; nothing of it was
    /// sent or read.
    #[error("the {what} has {bytes} bytes, where at most {most} are allowed")]
    Oversized {
        /// `document`, `command` or `answer`.
        what: &'static str,
        /// Its length.
        bytes: u64,
        /// The bound.
        most: u64,
    },
    /// The answer is not one to the command, or no OP_MSG at all.
    #[error("wrong answer: {0}; is this a server of MongoDB's protocol, 3.6 or newer?")]
    Protocol(String),
    /// The server does not accept the user, or cannot prove that it knows the password.
    #[error("login: {0}")]
    Login(String),
    /// The server refused the command: `ok: 0`.
    #[error("the server refused `{command}`: {message} (code {code})")]
    Command {
        /// The command's name.
        command: &'static str,
        /// The server's number for it, 0 if it gave none.
        code: i32,
        /// The server's words.
        message: String,
    },
    /// The command was done, but some of its writes were not: `writeErrors`, `writeConcernError`.
    #[error("the server did {done} of {of} writes of `{command}`: {message} (code {code})")]
    Writes {
        /// The command's name.
        command: &'static str,
        /// The first error's number.
        code: i32,
        /// The first error's words.
        message: String,
        /// Documents that were inserted or matched.
        done: u64,
        /// Documents that were sent.
        of: u64,
    },
}

/// The server's numbers of errors that have a name of their own in reports, from MongoDB's
/// `error_codes.yml`: Unauthorized, AuthenticationFailed, LockTimeout, MaxTimeMSExpired,
/// ExceededTimeLimit, ShutdownInProgress, PrimarySteppedDown, NotWritablePrimary,
/// InterruptedAtShutdown, WriteConflict, and the violation of a unique index under its present and
/// its former numbers.
fn kind_of(code: i32) -> FaultKind {
    match code {
        13 | 18 => FaultKind::Login,
        24 => FaultKind::LockTimeout,
        50 | 262 => FaultKind::Timeout,
        91 | 189 | 10_107 | 11_600 => FaultKind::Lost,
        112 => FaultKind::Serialization,
        11_000 | 11_001 | 12_582 => FaultKind::Constraint,
        _ => FaultKind::Statement,
    }
}

impl MongoError {
    /// The name under which it is counted.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Lost(_) => FaultKind::Lost,
            Self::Oversized { .. } => FaultKind::Oversized,
            Self::Protocol(_) => FaultKind::Protocol,
            Self::Login(_) => FaultKind::Login,
            Self::Command { code, .. } | Self::Writes { code, .. } => kind_of(*code),
        }
    }

    /// An answer that makes no sense.
    pub(super) fn protocol(why: impl Into<String>) -> Self {
        Self::Protocol(why.into())
    }
}

/// An answer that is no BSON.
impl From<bson::error::Error> for MongoError {
    fn from(why: bson::error::Error) -> Self {
        Self::Protocol(why.to_string())
    }
}

impl From<MongoError> for Fault {
    fn from(why: MongoError) -> Self {
        Self::new(why.kind(), why.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_the_name_of_its_kind() {
        let command = |code| MongoError::Command { command: "find", code, message: "m".into() };
        let names = [
            (MongoError::from(io::Error::from(io::ErrorKind::BrokenPipe)), "lost"),
            (MongoError::Oversized { what: "answer", bytes: 2, most: 1 }, "oversized"),
            (MongoError::protocol("x"), "protocol"),
            (MongoError::Login("x".into()), "login"),
            (command(18), "login"),
            (command(50), "timeout"),
            (command(112), "serialization"),
            (command(59), "statement"),
            (
                MongoError::Writes {
                    command: "insert",
                    code: 11_000,
                    message: "m".into(),
                    done: 1,
                    of: 2,
                },
                "constraint",
            ),
        ];
        for (error, name) in names {
            let words = error.to_string();
            let fault = Fault::from(error);
            assert_eq!((fault.kind.name(), fault.message), (name, words));
        }
    }
}
