//! What can go wrong with a database server, by name, so that it can be counted.

use std::io;

/// A fault of a server, or of the way to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// Which of the known kinds it is.
    pub kind: FaultKind,
    /// What happened, in words, without any password.
    pub message: String,
}

/// Writes the kinds of faults, their names and sentences from one line each.
macro_rules! kinds {
    ($($kind:ident $name:literal $doc:literal,)*) => {
        /// The kinds of faults that are counted apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum FaultKind {
            $(#[doc = $doc] $kind,)*
        }

        impl FaultKind {
            /// All kinds, in documentation order: the number of a kind is its place here.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Its name in run files and messages.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }
        }
    };
}

kinds! {
    Refused "refused" "Nothing listens at the address.",
    Unresolved "name not resolved" "The host's name has no address.",
    Unreachable "unreachable" "There is no way to the host, or a firewall forbids it.",
    ConnectTimeout "connect timeout" "A connection took too long to open.",
    Ports "no local port" "This host has no port left for another connection.",
    Files "too many open files" "The limit on open files is reached.",
    Login "login" "The server does not accept the user or the password.",
    Database "missing database" "The server has no such database.",
    TooManyConnections "too many connections" "The server's limit on connections is reached.",
    Tls "tls" "The server offers no TLS, or its certificate is not the expected one.",
    Lost "lost" "The connection ended while it was in use.",
    Reset "reset" "The server reset the connection.",
    Closed "closed" "The server closed the connection and did not answer.",
    CutOff "cut off" "The connection ended in the middle of an answer.",
    GoAway "goaway" "The server ended an HTTP/2 connection with GOAWAY.",
    StreamReset "stream reset" "The server ended the stream of an HTTP/2 request, and not its connection.",
    Timeout "timeout" "The server ended a statement, at its own time limit or because somebody cancelled it.",
    PoolTimeout "pool timeout" "No connection of the pool became free in time.",
    Deadlock "deadlock" "The server ended a transaction because it and another one waited for each other.",
    LockTimeout "lock timeout" "Another transaction held a lock for longer than the server waits.",
    Serialization "serialization" "The server ended a transaction because another one had changed what it read.",
    Constraint "constraint" "A row would have broken a constraint.",
    Resources "insufficient resources" "The server's disk, its memory or another of its resources is used up.",
    Protocol "protocol" "The server's answer makes no sense in its protocol.",
    Oversized "oversized" "A message is larger than the server or the client accepts.",
    Statement "statement" "The server does not accept a statement.",
}

impl Fault {
    /// A fault with its words.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A fault that the server has told of in its own words, with the remedy where one is known.
    pub fn of_server(kind: FaultKind, said: impl std::fmt::Display) -> Self {
        let remedy = match kind {
            FaultKind::TooManyConnections => {
                "; raise the limit: the server's (`max_connections`) or the user's"
            }
            _ => "",
        };
        Self::new(kind, format!("{said}{remedy}"))
    }

    /// What can be lowered so that fewer connections are needed, to be said after a fault that
    /// calls for it.
    pub fn lower(&self, at_once: &str) -> String {
        match self.kind {
            FaultKind::TooManyConnections => format!(", or lower {at_once}"),
            _ => String::new(),
        }
    }

    /// The same fault, its words said after where it happened.
    #[must_use]
    pub fn at(self, place: impl std::fmt::Display) -> Self {
        Self { message: format!("{place}: {}", self.message), ..self }
    }

    /// Whether the connection cannot be used any more.
    pub fn ends_connection(&self) -> bool {
        use FaultKind::{PoolTimeout, Protocol, Resources, StreamReset};
        (self.is_the_server_s() && !matches!(self.kind, Resources | StreamReset))
            || self.is_the_system_s()
            || matches!(self.kind, PoolTimeout | Protocol)
    }

    /// See [`FaultKind::is_the_server_s`].
    pub fn is_the_server_s(&self) -> bool {
        self.kind.is_the_server_s()
    }

    /// See [`FaultKind::is_the_system_s`].
    pub fn is_the_system_s(&self) -> bool {
        self.kind.is_the_system_s()
    }

    /// Whether the server has certainly undone, or never done, what it was asked for.
    pub fn leaves_nothing(&self) -> bool {
        use FaultKind::{Closed, CutOff, GoAway, Lost, Protocol, Reset, StreamReset};
        !matches!(self.kind, Lost | Reset | Closed | CutOff | GoAway | StreamReset | Protocol)
    }
}

impl FaultKind {
    /// Whether the server, or the way to it, has failed: it cannot be reached, does not let anybody
    /// in, has gone away, or has run out of something. What a server that works says of a statement
    /// is an answer.
    pub fn is_the_server_s(self) -> bool {
        use FaultKind::{
            Closed, ConnectTimeout, CutOff, Database, GoAway, Login, Lost, Refused, Reset,
            Resources, StreamReset, Tls, TooManyConnections, Unreachable, Unresolved,
        };
        matches!(
            self,
            Refused
                | Unresolved
                | Unreachable
                | ConnectTimeout
                | Login
                | Database
                | TooManyConnections
                | Tls
                | Lost
                | Reset
                | Closed
                | CutOff
                | GoAway
                | StreamReset
                | Resources
        )
    }

    /// Whether this host has refused what a connection needs.
    pub fn is_the_system_s(self) -> bool {
        matches!(self, Self::Ports | Self::Files)
    }

    /// Whether there was no connection, so that the server knows nothing of the call.
    pub fn is_unconnected(self) -> bool {
        use FaultKind::{
            ConnectTimeout, Files, PoolTimeout, Ports, Refused, Unreachable, Unresolved,
        };
        matches!(
            self,
            Refused | Unresolved | Unreachable | ConnectTimeout | Ports | Files | PoolTimeout
        )
    }
}

/// Of an open connection.
impl From<io::Error> for Fault {
    fn from(why: io::Error) -> Self {
        Self::new(FaultKind::Lost, format!("the connection was lost: {why}"))
    }
}

/// An error's words, and what lies under them.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own_and_their_number() {
        let names: std::collections::BTreeSet<_> =
            FaultKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), FaultKind::ALL.len());
        assert!(FaultKind::ALL.iter().enumerate().all(|(at, kind)| *kind as usize == at));
    }

    #[test]
    fn only_a_connection_that_is_of_no_use_leaves_a_doubt() {
        let lost = Fault::from(io::Error::from(io::ErrorKind::BrokenPipe)).at("task t");
        assert!(
            lost.message.starts_with("task t: the connection was lost") && !lost.leaves_nothing()
        );
        let nonsense = Fault::new(FaultKind::Protocol, "");
        assert!(!nonsense.leaves_nothing() && nonsense.ends_connection());
        assert!(Fault::new(FaultKind::Deadlock, "").leaves_nothing());
        assert_eq!(Fault::new(FaultKind::TooManyConnections, "").lower("`x`"), ", or lower `x`");
        assert_eq!(lost.lower("`x`"), "");
        assert!(!Fault::new(FaultKind::Deadlock, "").ends_connection() && lost.ends_connection());
    }

    #[test]
    fn a_fault_is_the_server_s_the_system_s_or_an_answer() {
        use FaultKind::{
            Constraint, Deadlock, LockTimeout, Protocol, Serialization, Statement, Timeout,
        };
        for kind in FaultKind::ALL {
            assert!(!(kind.is_the_server_s() && kind.is_the_system_s()), "{kind:?}");
            // Who was never connected has got no answer.
            assert!(
                !kind.is_unconnected()
                    || kind.is_the_server_s()
                    || kind.is_the_system_s()
                    || *kind == FaultKind::PoolTimeout,
                "{kind:?}"
            );
        }
        for answer in
            [Deadlock, LockTimeout, Serialization, Constraint, Statement, Timeout, Protocol]
        {
            assert!(!answer.is_the_server_s() && !answer.is_the_system_s(), "{answer:?}");
        }
    }
}
