//! A connection that is logged in: statements as text and prepared, one at a time.

use bytes::BufMut as _;
use hyper::rt::{Read, Write};
use mysql_common::{
    constants::{CapabilityFlags, Command, StatusFlags},
    io::ParseBuf,
    packets::StmtPacket,
};

use super::{
    error::{MysqlError, malformed},
    packet::Packets,
    resultset::{Answers, Format, Summary, skip_eof},
    value::{Column, ColumnValue, MysqlParam, write_params},
};
use crate::client::FaultKind;

/// A connection that is logged in.
///
/// A call that is dropped before it has ended leaves it unusable, and so does any error that is not
/// the server's own: [`MysqlClient::is_open`] is false from then on.
pub struct MysqlClient<S> {
    packets: Packets<S>,
    capabilities: CapabilityFlags,
    server: MysqlServer,
    /// Whether the last answer was read to its end.
    is_open: bool,
    columns: Vec<Column>,
}

/// What the server said about itself and this connection.
#[derive(Debug)]
pub(super) struct MysqlServer {
    pub version: String,
    pub connection_id: u32,
    pub backslash: bool,
}

/// A prepared statement, on the connection that prepared it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreparedStatement {
    id: u32,
    params: u16,
    columns: u16,
}

impl PreparedStatement {
    /// How many arguments it takes.
    pub fn params(self) -> usize {
        self.params.into()
    }

    /// How many columns it returns; none if it returns no rows.
    pub fn columns(self) -> usize {
        self.columns.into()
    }
}

impl<S> MysqlClient<S> {
    pub(super) fn new(
        packets: Packets<S>,
        capabilities: CapabilityFlags,
        server: MysqlServer,
    ) -> Self {
        Self { packets, capabilities, server, is_open: true, columns: Vec::new() }
    }

    /// The server's version, such as `10.11.6-MariaDB`.
    pub fn version(&self) -> &str {
        &self.server.version
    }

    /// The server's number for this connection, as in `SHOW PROCESSLIST`.
    pub fn connection_id(&self) -> u32 {
        self.server.connection_id
    }

    /// Whether the server now takes a backslash in a text for the beginning of something else:
    /// usually it does (it depends on `sql_mode`). It says so with every answer.
    pub fn escapes_with_backslash(&self) -> bool {
        self.server.backslash
    }

    /// Whether another request can be made.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// The stream, if nothing is buffered.
    #[cfg(test)]
    pub(super) fn into_stream(mut self) -> Option<S> {
        self.packets.begin();
        self.packets.into_stream()
    }

    /// Columns for which there is room.
    #[cfg(test)]
    pub(super) fn columns_held(&self) -> usize {
        self.columns.capacity()
    }

    /// Puts a command into what is sent next.
    fn command(&mut self, command: Command, write: impl FnOnce(&mut Vec<u8>)) {
        self.packets.begin();
        self.packets.append(|request| {
            request.push(command as u8);
            write(request);
        });
    }
}

impl<S: Read + Write + Unpin> MysqlClient<S> {
    /// Sends statements as text, separated by `;`, and shows each value of their answers with its
    /// column's number.
    pub async fn query(
        &mut self,
        text: &str,
        show: impl FnMut(usize, ColumnValue<'_>),
    ) -> Result<Summary, MysqlError> {
        self.command(Command::COM_QUERY, |request| request.extend(text.as_bytes()));
        self.exchange(Format::Text, show).await
    }

    /// Sends statements as text, and does not look at what they return.
    pub async fn run(&mut self, text: &str) -> Result<Summary, MysqlError> {
        self.query(text, |_, _| {}).await
    }

    /// Prepares a statement.
    pub async fn prepare(&mut self, text: &str) -> Result<PreparedStatement, MysqlError> {
        self.command(Command::COM_STMT_PREPARE, |request| request.extend(text.as_bytes()));
        self.is_open = false;
        let prepared = self.read_prepared().await;
        self.settle(prepared)
    }

    /// Runs a prepared statement, and shows each value of its answer with its column's number.
    ///
    /// # Panics
    /// If there are not as many arguments as the statement takes.
    pub async fn execute<'a>(
        &mut self,
        statement: PreparedStatement,
        params: impl ExactSizeIterator<Item = MysqlParam<'a>> + Clone,
        show: impl FnMut(usize, ColumnValue<'_>),
    ) -> Result<Summary, MysqlError> {
        assert_eq!(params.len(), statement.params(), "arguments of a prepared statement");
        self.command(Command::COM_STMT_EXECUTE, |request| {
            request.put_u32_le(statement.id);
            // No cursor, and one execution.
            request.put_u8(0);
            request.put_u32_le(1);
            write_params(params, request);
        });
        self.exchange(Format::Binary, show).await
    }

    /// Forgets a prepared statement. The server does not answer.
    pub async fn close(&mut self, statement: PreparedStatement) -> Result<(), MysqlError> {
        self.command(Command::COM_STMT_CLOSE, |request| request.put_u32_le(statement.id));
        self.is_open = false;
        let sent = self.packets.send().await;
        self.settle(sent)
    }

    /// Asks whether the server is there.
    pub async fn ping(&mut self) -> Result<(), MysqlError> {
        self.command(Command::COM_PING, |_| {});
        self.exchange(Format::Text, |_, _| {}).await.map(drop)
    }

    /// Says goodbye, so that the server counts no aborted connection.
    pub async fn quit(mut self) -> Result<(), MysqlError> {
        self.command(Command::COM_QUIT, |_| {});
        self.packets.send().await?;
        self.packets.shut_down().await
    }

    /// Sends what was appended and reads the whole answer.
    async fn exchange(
        &mut self,
        format: Format,
        show: impl FnMut(usize, ColumnValue<'_>),
    ) -> Result<Summary, MysqlError> {
        self.is_open = false;
        let answered = async {
            self.packets.send().await?;
            let Self { packets, capabilities, columns, .. } = self;
            Answers { packets, capabilities: *capabilities, format, columns }.read(show).await
        };
        let answered = answered.await.map(|(summary, status)| {
            self.server.backslash =
                !status.contains(StatusFlags::SERVER_STATUS_NO_BACKSLASH_ESCAPES);
            summary
        });
        self.settle(answered)
    }

    async fn read_prepared(&mut self) -> Result<PreparedStatement, MysqlError> {
        self.packets.send().await?;
        self.packets.read().await?;
        let packet = self.packets.payload();
        if packet[0] == 0xff {
            return Err(MysqlError::from_packet(packet));
        }
        let read: StmtPacket =
            ParseBuf(packet).parse(()).map_err(|_| malformed("a prepared statement"))?;
        for definitions in
            [read.num_params(), read.num_columns()].into_iter().filter(|count| *count > 0)
        {
            // Their types come again with every answer.
            for _ in 0..definitions {
                self.packets.read().await?;
            }
            skip_eof(&mut self.packets, self.capabilities).await?;
        }
        Ok(PreparedStatement {
            id: read.statement_id(),
            params: read.num_params(),
            columns: read.num_columns(),
        })
    }

    /// An answer that was read to its end leaves the connection usable, also if it is an error of
    /// the statement.
    fn settle<T>(&mut self, answered: Result<T, MysqlError>) -> Result<T, MysqlError> {
        self.is_open = match &answered {
            Ok(_) => true,
            Err(error @ MysqlError::Server { .. }) => error.kind() != FaultKind::Lost,
            Err(_) => false,
        };
        answered
    }
}
