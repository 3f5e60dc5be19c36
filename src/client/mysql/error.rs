//! What can go wrong on a connection to MySQL, by kinds that a program can act upon.

use std::io;

use mysql_common::{
    constants::CapabilityFlags,
    io::ParseBuf,
    packets::{ErrPacket, ServerError},
};

/// Something went wrong. After any error but the server's own ([`Error::Server`]) the connection is to be closed;
/// [`super::Client::is_open`] says so.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream failed or ended.
    #[error("{0}")]
    Stream(#[from] io::Error),
    /// The server's own words.
    #[error("{message} (error {code}, SQLSTATE {state})")]
    Server {
        /// Its number, as in the server's documentation.
        code: u16,
        /// Its class, for other databases' eyes: `HY000` where the server said none.
        state: String,
        /// The message.
        message: String,
    },
    /// A way of logging in that this client does not go.
    #[error("{0}")]
    Login(String),
    /// What the server said makes no sense.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
}

/// What sort of error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Nobody listens there.
    Refused,
    /// User, password or host were not accepted, or a right is missing.
    Login,
    /// There is no such database.
    Database,
    /// The connection broke: server gone, shut down, or connection killed.
    Lost,
    /// A time-out of the stream, or the server's limit on a statement's time.
    Timeout,
    /// The transaction was rolled back as the victim of a dead-lock (1213).
    Deadlock,
    /// Another transaction held a lock for too long (1205).
    LockWait,
    /// The transaction met newer data than it may see.
    Serialization,
    /// The server has no connection left for us (1040, 1203, 1226).
    TooManyConnections,
    /// Anything else that the server finds wrong with a statement.
    Statement,
    /// What the server said makes no sense.
    Protocol,
}

impl Kind {
    /// Its name in counts and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Login => "login",
            Self::Database => "no such database",
            Self::Lost => "lost",
            Self::Timeout => "timeout",
            Self::Deadlock => "deadlock",
            Self::LockWait => "lock wait",
            Self::Serialization => "serialization",
            Self::TooManyConnections => "too many connections",
            Self::Statement => "statement",
            Self::Protocol => "protocol",
        }
    }

    /// By the server's number. Numbers up to 2000 mean the same to MySQL and MariaDB as far as they are listed here;
    /// 3000 to 4099 are MySQL's, from 4100 on they are MariaDB's.
    fn of_code(code: u16) -> Self {
        match code {
            1044 | 1045 | 1129 | 1130 | 1251 | 1698 | 1820 | 1862 | 3118 | 3955 | 4151 => Self::Login,
            1049 => Self::Database,
            1040 | 1203 | 1226 => Self::TooManyConnections,
            1213 | 1614 => Self::Deadlock,
            1205 | 3572 => Self::LockWait,
            1020 => Self::Serialization,
            1969 | 3024 => Self::Timeout,
            1053 | 1077 | 1079 | 1080 | 1152 | 1158..=1161 | 1184 | 1927 | 4031 => Self::Lost,
            _ => Self::Statement,
        }
    }
}

impl Error {
    /// What sort of error it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Stream(why) => match why.kind() {
                io::ErrorKind::ConnectionRefused => Kind::Refused,
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Kind::Timeout,
                _ => Kind::Lost,
            },
            Self::Server { code, .. } => Kind::of_code(*code),
            Self::Login(_) => Kind::Login,
            Self::Protocol(_) => Kind::Protocol,
        }
    }

    /// A violation of the protocol.
    pub(super) fn protocol(what: impl Into<String>) -> Self {
        Self::Protocol(what.into())
    }

    /// An ERR packet's words. Before the login they come without an SQLSTATE, whatever was agreed upon.
    pub(super) fn from_packet(packet: &[u8]) -> Self {
        let with_state = packet.get(3) == Some(&b'#');
        let capabilities = if with_state { CapabilityFlags::CLIENT_PROTOCOL_41 } else { CapabilityFlags::empty() };
        match ParseBuf(packet).parse::<ErrPacket<'_>>(capabilities) {
            Ok(ErrPacket::Error(error)) => Self::of_server(&error),
            Ok(ErrPacket::Progress(_)) | Err(_) => Self::protocol("an error packet that cannot be read"),
        }
    }

    fn of_server(error: &ServerError<'_>) -> Self {
        Self::Server {
            code: error.error_code(),
            state: error.sql_state_ref().map_or_else(|| "HY000".to_owned(), |state| state.as_str().into_owned()),
            message: error.message_str().into_owned(),
        }
    }
}

/// A packet that ends before what it must contain, or contains what it must not.
pub(super) fn malformed(what: &'static str) -> Error {
    Error::Protocol(format!("{what} cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_packet_is_read_with_and_without_its_state() {
        let error = Error::from_packet(b"\xff\x15\x04#28000Access denied");
        assert_eq!(error.to_string(), "Access denied (error 1045, SQLSTATE 28000)");
        assert_eq!(error.kind(), Kind::Login);
        let error = Error::from_packet(b"\xff\x10\x04Too many connections");
        assert_eq!(error.to_string(), "Too many connections (error 1040, SQLSTATE HY000)");
        assert_eq!(error.kind(), Kind::TooManyConnections);
        assert_eq!(Error::from_packet(b"\xff\x10").kind(), Kind::Protocol);
        assert_eq!(Error::from_packet(b"\xff\x10\x04#28").kind(), Kind::Protocol);
    }

    #[test]
    fn kinds_are_told_by_number() {
        let kind = |code| Error::Server { code, state: String::new(), message: String::new() }.kind();
        assert_eq!([1213, 1205, 1969, 3024].map(kind), [Kind::Deadlock, Kind::LockWait, Kind::Timeout, Kind::Timeout]);
        assert_eq!([1049, 1927, 1053, 1064].map(kind), [Kind::Database, Kind::Lost, Kind::Lost, Kind::Statement]);
        let stream = |kind: io::ErrorKind| Error::from(io::Error::from(kind)).kind();
        assert_eq!(stream(io::ErrorKind::ConnectionRefused), Kind::Refused);
        assert_eq!(stream(io::ErrorKind::UnexpectedEof), Kind::Lost);
        assert_eq!(stream(io::ErrorKind::TimedOut), Kind::Timeout);
    }
}
