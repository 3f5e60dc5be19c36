//! MySQL's and MariaDB's customary blocking client: the crate `mysql`.
//!
//! Statements are given to it as text, as its documentation does: it prepares each once on a
//! connection, and finds it again in a cache of the 32 that were used last. All else is left as it
//! comes, but for two things that would make it other work: it must not leave TCP for the server's
//! socket file, and an UPDATE counts the rows that it finds.

use mysql::{
    Conn, DriverError, Error, OptsBuilder, Params, QueryResult, Row, Value,
    consts::CapabilityFlags,
    prelude::{Protocol as Format, Queryable as _},
};
use mysql_common::proto::codec::error::PacketCodecError;

use super::CustomaryClient;
use crate::{
    client::{
        Fault, FaultKind, cannot_open,
        mysql::{MysqlError as Ours, OPTIONS},
    },
    secret::Secret,
    step::sql::{
        arg::BoundValue,
        effects::StatementAnswer,
        placeholders::{Dialect, Texts},
        session::{Control, Protocol},
        statement::single,
    },
    targets::sql::Server,
};

/// A connection.
pub(in super::super) struct CustomaryMysql {
    conn: Conn,
    is_open: bool,
}

/// A statement.
pub(in super::super) enum CustomaryMysqlStatement {
    /// By its text, which the client keeps prepared; with the number of its arguments.
    Prepared(String, usize),
    /// Its text is sent in every call.
    Text(Texts),
}

impl CustomaryClient for CustomaryMysql {
    const NAME: &'static str = "the customary one, blocking: crate `mysql`";

    type Statement = CustomaryMysqlStatement;

    fn open(server: &Server) -> Result<Self, Fault> {
        let Server { address, schema, .. } = server;
        address.knows_options(OPTIONS).map_err(|why| Fault::new(FaultKind::Refused, why))?;
        let options = OptsBuilder::new()
            .ip_or_hostname(Some(address.host.as_str()))
            .tcp_port(address.port)
            .user(Some(address.user.as_str()))
            .pass(address.password.as_ref().map(Secret::reveal))
            .db_name(Some(schema.as_str()))
            .socket(address.socket.as_ref().map(|path| path.to_string_lossy()))
            .prefer_socket(false)
            .additional_capabilities(CapabilityFlags::CLIENT_FOUND_ROWS)
            // The limit is on the connection of TCP alone: this client has none on logging in.
            .tcp_connect_timeout(Some(address.connect_limit()));
        let mut conn = Conn::new(options).map_err(fault)?;
        let current: Option<Option<String>> =
            conn.query_first("SELECT DATABASE()").map_err(fault)?;
        server.complaint(current.flatten().as_deref()).map_or(Ok(Self { conn, is_open: true }), Err)
    }

    fn session(&self) -> Option<u64> {
        Some(self.conn.connection_id().into())
    }

    fn prepare(
        &mut self,
        query: &str,
        protocol: Protocol,
    ) -> Result<CustomaryMysqlStatement, Fault> {
        let dialect = Dialect::Mysql { backslash: !self.conn.no_backslash_escape() };
        single(query, dialect)?;
        if protocol == Protocol::Simple {
            return Ok(CustomaryMysqlStatement::Text(Texts::of(query, dialect)));
        }
        let prepared = self.conn.prep(query);
        self.settle(prepared).map(|statement| {
            CustomaryMysqlStatement::Prepared(query.to_owned(), statement.num_params().into())
        })
    }

    fn arguments(statement: &CustomaryMysqlStatement) -> usize {
        match statement {
            CustomaryMysqlStatement::Prepared(_, arguments) => *arguments,
            CustomaryMysqlStatement::Text(texts) => texts.arguments(),
        }
    }

    fn run(
        &mut self,
        statement: &CustomaryMysqlStatement,
        args: &[BoundValue],
    ) -> Result<StatementAnswer, Fault> {
        let done = match statement {
            CustomaryMysqlStatement::Prepared(text, _) => {
                let params = Params::Positional(args.iter().map(value).collect());
                self.conn.exec_iter(text, params).and_then(answer)
            }
            CustomaryMysqlStatement::Text(texts) => {
                let text = texts.filled(args, !self.conn.no_backslash_escape());
                self.conn.query_iter(text).and_then(answer)
            }
        };
        self.settle(done)
    }

    fn control(&mut self, control: Control) -> Result<(), Fault> {
        let done = self.conn.query_drop(control.text());
        self.settle(done)
    }

    fn is_open(&self) -> bool {
        self.is_open
    }
}

impl CustomaryMysql {
    /// After an error that is not of a statement nobody knows what would come next on the
    /// connection.
    fn settle<T>(&mut self, done: Result<T, Error>) -> Result<T, Fault> {
        done.map_err(|why| {
            let is_of_server = matches!(&why, Error::MySqlError(_));
            let fault = fault(why);
            self.is_open =
                (is_of_server && !fault.ends_connection()) || fault.kind == FaultKind::Statement;
            fault
        })
    }
}

/// Reads every value of every row of every answer.
fn answer<F: Format>(mut result: QueryResult<'_, '_, '_, F>) -> Result<StatementAnswer, Error> {
    let mut answer = StatementAnswer::default();
    while let Some(rows) = result.iter() {
        answer.changed = answer.changed.saturating_add(rows.affected_rows());
        if !rows.columns().as_ref().is_empty() {
            answer.returned = Some(answer.returned.unwrap_or(0));
        }
        for row in rows {
            answer.received += bytes_in(&row?);
            answer.returned = answer.returned.map(|rows| rows + 1);
        }
    }
    Ok(answer)
}

fn bytes_in(row: &Row) -> u64 {
    (0..row.len()).filter_map(|at| row.as_ref(at)).map(length).sum()
}

/// A value's length in bytes; a number has 8, and dates and times as many as they have in the
/// prepared protocol.
fn length(value: &Value) -> u64 {
    match *value {
        Value::NULL | Value::Date(0, 0, 0, 0, 0, 0, 0) | Value::Time(_, 0, 0, 0, 0, 0) => 0,
        Value::Bytes(ref bytes) => bytes.len() as u64,
        Value::Int(_)
        | Value::UInt(_)
        | Value::Float(_)
        | Value::Double(_)
        | Value::Time(.., 0) => 8,
        Value::Date(_, _, _, 0, 0, 0, 0) => 4,
        Value::Date(.., 0) => 7,
        Value::Date(..) => 11,
        Value::Time(..) => 12,
    }
}

fn value(bound: &BoundValue) -> Value {
    match bound {
        BoundValue::Integer(value) => Value::Int(*value),
        BoundValue::Real(value) => Value::Double(*value),
        BoundValue::Text(text) => Value::Bytes(text.clone().into_bytes()),
    }
}

/// The kind and the words of an error.
fn fault(why: Error) -> Fault {
    match why {
        Error::MySqlError(why) => {
            Ours::Server { code: why.code, state: why.state, message: why.message }.into()
        }
        Error::IoError(why) | Error::CodecError(PacketCodecError::Io(why)) => why.into(),
        Error::CodecError(PacketCodecError::PacketTooLarge) => {
            Fault::new(FaultKind::Oversized, why.to_string())
        }
        Error::CodecError(why) => Fault::new(FaultKind::Protocol, why.to_string()),
        Error::DriverError(why) => driver_fault(&why),
        Error::UrlError(_) | Error::FromValueError(_) | Error::FromRowError(_) => {
            Fault::new(FaultKind::Statement, why.to_string())
        }
    }
}

/// An error that the client has found by itself.
fn driver_fault(why: &DriverError) -> Fault {
    let kind = match why {
        DriverError::CouldNotConnect(Some((_, said, cause))) => {
            return cannot_open(&(*cause).into(), said);
        }
        DriverError::CouldNotConnect(None) => FaultKind::Refused,
        DriverError::ConnectTimeout => FaultKind::ConnectTimeout,
        DriverError::Timeout => FaultKind::Timeout,
        DriverError::UnknownAuthPlugin(_)
        | DriverError::OldMysqlPasswordDisabled
        | DriverError::CleartextPluginDisabled
        | DriverError::InvalidParsecSalt => FaultKind::Login,
        DriverError::TlsNotSupported => FaultKind::Tls,
        DriverError::PacketTooLarge => FaultKind::Oversized,
        DriverError::MismatchedStmtParams(..)
        | DriverError::Params(_)
        | DriverError::MixedParams => FaultKind::Statement,
        _ => FaultKind::Protocol,
    };
    Fault::new(kind, why.to_string())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn values_are_as_long_as_they_were_on_the_way() {
        let lengths = [
            (Value::NULL, 0),
            (Value::Bytes(b"abc".to_vec()), 3),
            (Value::Int(-1), 8),
            (Value::Float(0.5), 8),
            (Value::Date(0, 0, 0, 0, 0, 0, 0), 0),
            (Value::Date(2024, 2, 29, 0, 0, 0, 0), 4),
            (Value::Date(2024, 2, 29, 1, 0, 0, 0), 7),
            (Value::Date(2024, 2, 29, 0, 0, 0, 1), 11),
            (Value::Time(false, 0, 0, 0, 0, 0), 0),
            (Value::Time(true, 0, 0, 0, 1, 0), 8),
            (Value::Time(false, 0, 0, 0, 0, 1), 12),
        ];
        for (value, expected) in lengths {
            assert_eq!(length(&value), expected, "{value:?}");
        }
    }

    #[test]
    fn errors_have_the_kinds_that_the_other_lane_gives_them() {
        let server = |code| {
            Error::MySqlError(mysql::MySqlError {
                state: "HY000".into(),
                message: "m".into(),
                code,
            })
        };
        for (error, kind) in [
            (server(1213), FaultKind::Deadlock),
            (server(1205), FaultKind::LockTimeout),
            (server(1040), FaultKind::TooManyConnections),
            (server(1045), FaultKind::Login),
            (server(1064), FaultKind::Statement),
            (server(1927), FaultKind::Lost),
            (Error::IoError(io::ErrorKind::BrokenPipe.into()), FaultKind::Lost),
            (Error::CodecError(PacketCodecError::PacketsOutOfSync), FaultKind::Protocol),
            (Error::CodecError(PacketCodecError::PacketTooLarge), FaultKind::Oversized),
            (Error::DriverError(DriverError::ConnectTimeout), FaultKind::ConnectTimeout),
            (Error::DriverError(DriverError::UnknownAuthPlugin("x".into())), FaultKind::Login),
            (Error::DriverError(DriverError::MismatchedStmtParams(1, 2)), FaultKind::Statement),
            (Error::DriverError(DriverError::UnexpectedPacket), FaultKind::Protocol),
        ] {
            assert_eq!(fault(error).kind, kind);
        }
        assert_eq!(fault(server(1064)).message, "m (error 1064, SQLSTATE HY000)");
    }
}
