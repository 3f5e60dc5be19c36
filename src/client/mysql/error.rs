//! What can go wrong on a connection to MySQL, by kinds that a program can act upon.

use std::io;

use mysql_common::{
    constants::CapabilityFlags,
    io::ParseBuf,
    packets::{ErrPacket, ServerError},
};

use crate::client::{Fault, FaultKind};

/// Something went wrong. After any error but the server's own ([`MysqlError::Server`]) the
/// connection is to be closed; [`super::MysqlClient::is_open`] says so.
#[derive(Debug, thiserror::Error)]
pub enum MysqlError {
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
    /// The server offers no TLS where it is wanted.
    #[error("{0}")]
    Tls(String),
    /// What the server said makes no sense.
    #[error("the server broke the protocol: {0}")]
    Protocol(String),
}

/// By the server's number. Numbers up to 2000 mean the same to MySQL and MariaDB as far as they are
/// listed here; 3000 to 4099 are MySQL's, from 4100 on they are MariaDB's.
fn kind_of_code(code: u16) -> FaultKind {
    match code {
        1044 | 1045 | 1129 | 1130 | 1251 | 1698 | 1820 | 1862 | 3118 | 3955 | 4151 => {
            FaultKind::Login
        }
        1049 => FaultKind::Database,
        1040 | 1203 | 1226 => FaultKind::TooManyConnections,
        1213 | 1614 => FaultKind::Deadlock,
        1205 | 3572 => FaultKind::LockTimeout,
        1020 => FaultKind::Serialization,
        1317 | 1969 | 3024 => FaultKind::Timeout,
        1022 | 1048 | 1062 | 1169 | 1216 | 1217 | 1451 | 1452 | 1557 | 1586 | 3819 | 4025 => {
            FaultKind::Constraint
        }
        1053 | 1077 | 1079 | 1080 | 1152 | 1158..=1161 | 1184 | 1927 | 4031 => FaultKind::Lost,
        1021 | 1037 | 1038 | 1041 | 1114 => FaultKind::Resources,
        _ => FaultKind::Statement,
    }
}

impl MysqlError {
    /// What sort of error it is.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Stream(why) => match why.kind() {
                io::ErrorKind::ConnectionRefused => FaultKind::Refused,
                _ => FaultKind::Lost,
            },
            Self::Server { code, .. } => kind_of_code(*code),
            Self::Login(_) => FaultKind::Login,
            Self::Tls(_) => FaultKind::Tls,
            Self::Protocol(_) => FaultKind::Protocol,
        }
    }

    /// A violation of the protocol.
    pub(super) fn protocol(what: impl Into<String>) -> Self {
        Self::Protocol(what.into())
    }

    /// An ERR packet's words. Before the login they come without an SQLSTATE, whatever was agreed
    /// upon.
    pub(super) fn from_packet(packet: &[u8]) -> Self {
        let with_state = packet.get(3) == Some(&b'#');
        let capabilities =
            if with_state { CapabilityFlags::CLIENT_PROTOCOL_41 } else { CapabilityFlags::empty() };
        match ParseBuf(packet).parse::<ErrPacket<'_>>(capabilities) {
            Ok(ErrPacket::Error(error)) => Self::of_server(&error),
            Ok(ErrPacket::Progress(_)) | Err(_) => {
                Self::protocol("an error packet that cannot be read")
            }
        }
    }

    fn of_server(error: &ServerError<'_>) -> Self {
        Self::Server {
            code: error.error_code(),
            state: error
                .sql_state_ref()
                .map_or_else(|| "HY000".to_owned(), |state| state.as_str().into_owned()),
            message: error.message_str().into_owned(),
        }
    }
}

impl From<MysqlError> for Fault {
    fn from(error: MysqlError) -> Self {
        match error {
            MysqlError::Stream(why) => why.into(),
            error => Self::of_server(error.kind(), &error),
        }
    }
}

/// A packet that ends before what it must contain, or contains what it must not.
pub(super) fn malformed(what: &'static str) -> MysqlError {
    MysqlError::Protocol(format!("{what} cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_packet_is_read_with_and_without_its_state() {
        let error = MysqlError::from_packet(b"\xff\x15\x04#28000Access denied");
        assert_eq!(error.to_string(), "Access denied (error 1045, SQLSTATE 28000)");
        assert_eq!(error.kind(), FaultKind::Login);
        let error = MysqlError::from_packet(b"\xff\x10\x04Too many connections");
        assert_eq!(error.to_string(), "Too many connections (error 1040, SQLSTATE HY000)");
        assert_eq!(error.kind(), FaultKind::TooManyConnections);
        assert_eq!(MysqlError::from_packet(b"\xff\x10").kind(), FaultKind::Protocol);
        assert_eq!(MysqlError::from_packet(b"\xff\x10\x04#28").kind(), FaultKind::Protocol);
    }

    #[test]
    fn kinds_are_told_by_number() {
        let kind =
            |code| MysqlError::Server { code, state: String::new(), message: String::new() }.kind();
        assert_eq!(
            [1213, 1205, 1969, 3024].map(kind),
            [FaultKind::Deadlock, FaultKind::LockTimeout, FaultKind::Timeout, FaultKind::Timeout]
        );
        assert_eq!(
            [1049, 1927, 1053, 1064].map(kind),
            [FaultKind::Database, FaultKind::Lost, FaultKind::Lost, FaultKind::Statement]
        );
        assert_eq!([1021, 1037, 1038, 1041, 1114].map(kind), [FaultKind::Resources; 5]);
        // A cancelled statement, as PostgreSQL's (57014).
        assert_eq!(kind(1317), FaultKind::Timeout);
        let full = Fault::from(MysqlError::from_packet(b"\xff\x10\x04Too many connections"));
        assert!(
            full.message
                .contains("raise the limit: the server's (`max_connections`) or the user's"),
            "{full}"
        );
        let stream = |kind: io::ErrorKind| MysqlError::from(io::Error::from(kind)).kind();
        assert_eq!(stream(io::ErrorKind::ConnectionRefused), FaultKind::Refused);
        assert_eq!(stream(io::ErrorKind::UnexpectedEof), FaultKind::Lost);
        // Of a connection that was there: the system has given the other side up.
        assert_eq!(stream(io::ErrorKind::TimedOut), FaultKind::Lost);
    }
}
