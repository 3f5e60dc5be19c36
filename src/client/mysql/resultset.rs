//! Answers: result sets and OK packets, read to the end.

use hyper::rt::{Read, Write};
use mysql_common::{
    constants::{CapabilityFlags, MAX_PAYLOAD_LEN, StatusFlags},
    io::ParseBuf,
    packets::{CommonOkPacket, OkPacket, OkPacketDeserializer, OldEofPacket, ResultSetTerminator},
};

use super::{
    error::{MysqlError, malformed},
    packet::Packets,
    value::{Column, ColumnValue, read_binary, read_text},
};

/// First byte of an answer without rows.
const OK: u8 = 0x00;
/// First byte of what ends rows.
const END: u8 = 0xfe;
/// First byte of an answer that asks the client for a file.
const LOCAL_INFILE: u8 = 0xfb;
/// First byte of an error.
const ERR: u8 = 0xff;
/// The old EOF packet is shorter than this; a row that begins with the same byte is longer.
const LONGEST_EOF: usize = 9;
/// More columns than a table can have in either server.
const MOST_COLUMNS: u64 = 4096;

/// What a request came to, over all of its statements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows that were returned.
    pub rows: u64,
    /// Rows that were inserted or deleted, or found by an UPDATE, changed or not.
    pub affected: u64,
    /// Bytes in the values that were returned; a number of the prepared protocol has 8.
    pub received: u64,
    /// Statements that were answered.
    pub statements: u64,
    /// Of them, those that return rows, be it none.
    pub result_sets: u64,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// As text: the answer to COM_QUERY.
    Text,
    /// By type: the answer to COM_STMT_EXECUTE.
    Binary,
}

/// Reads answers of one format.
pub(super) struct Answers<'a, S> {
    pub packets: &'a mut Packets<S>,
    pub capabilities: CapabilityFlags,
    pub format: Format,
    /// Room for the columns of a result set, reused.
    pub columns: &'a mut Vec<Column>,
}

impl<S: Read + Write + Unpin> Answers<'_, S> {
    /// Reads until the last statement's answer has ended, and shows every cell with the number of
    /// its column. Says also how the session is then.
    pub async fn read(
        &mut self,
        mut show: impl FnMut(usize, ColumnValue<'_>),
    ) -> Result<(Summary, StatusFlags), MysqlError> {
        let mut summary = Summary::default();
        loop {
            let status = self.read_one(&mut summary, &mut show).await?;
            summary.statements += 1;
            if !status.contains(StatusFlags::SERVER_MORE_RESULTS_EXISTS) {
                return Ok((summary, status));
            }
        }
    }

    async fn read_one(
        &mut self,
        summary: &mut Summary,
        show: &mut impl FnMut(usize, ColumnValue<'_>),
    ) -> Result<StatusFlags, MysqlError> {
        self.packets.read().await?;
        let packet = self.packets.payload();
        match packet[0] {
            OK => {
                let ok = ok_packet(packet, self.capabilities)?;
                summary.affected = summary.affected.saturating_add(ok.affected_rows());
                Ok(ok.status_flags())
            }
            ERR => Err(MysqlError::from_packet(packet)),
            LOCAL_INFILE => {
                Err(MysqlError::protocol("it asks for a file, which was never offered"))
            }
            _ => {
                let count = ParseBuf(packet)
                    .checked_eat_lenenc_int()
                    .filter(|count| (1..=MOST_COLUMNS).contains(count));
                let count = count.ok_or_else(|| malformed("a number of columns"))?;
                self.read_columns(count).await?;
                summary.result_sets += 1;
                self.read_rows(summary, show).await
            }
        }
    }

    async fn read_columns(&mut self, count: u64) -> Result<(), MysqlError> {
        self.columns.clear();
        for _ in 0..count {
            self.packets.read().await?;
            self.columns.push(Column::read(self.packets.payload())?);
        }
        skip_eof(self.packets, self.capabilities).await
    }

    async fn read_rows(
        &mut self,
        summary: &mut Summary,
        show: &mut impl FnMut(usize, ColumnValue<'_>),
    ) -> Result<StatusFlags, MysqlError> {
        loop {
            self.packets.read().await?;
            let packet = self.packets.payload();
            match packet[0] {
                ERR => return Err(MysqlError::from_packet(packet)),
                END if ends_rows(packet, self.capabilities) => {
                    return status_at_end(packet, self.capabilities);
                }
                _ => {}
            }
            summary.rows += 1;
            let received = &mut summary.received;
            let show = |at, cell: ColumnValue<'_>| {
                *received += cell.length();
                show(at, cell);
            };
            match self.format {
                Format::Text => read_text(packet, self.columns.len(), show)?,
                Format::Binary => read_binary(packet, self.columns, show)?,
            }
        }
    }
}

/// Reads an OK packet.
pub(super) fn ok_packet(
    packet: &[u8],
    capabilities: CapabilityFlags,
) -> Result<OkPacket<'_>, MysqlError> {
    let read = ParseBuf(packet).parse::<OkPacketDeserializer<'_, CommonOkPacket>>(capabilities);
    read.map(OkPacketDeserializer::into_inner).map_err(|_| malformed("an OK packet"))
}

/// Reads the packet that follows definitions, unless it was agreed to leave it out.
pub(super) async fn skip_eof<S: Read + Write + Unpin>(
    packets: &mut Packets<S>,
    capabilities: CapabilityFlags,
) -> Result<(), MysqlError> {
    if capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF) {
        return Ok(());
    }
    packets.read().await?;
    let packet = packets.payload();
    match packet[0] {
        ERR => Err(MysqlError::from_packet(packet)),
        END if packet.len() < LONGEST_EOF => Ok(()),
        _ => Err(MysqlError::protocol("definitions do not end where they must")),
    }
}

/// Whether a packet that begins like the end of rows is it. A row of text may begin so, with a
/// value of 16 MiB.
fn ends_rows(packet: &[u8], capabilities: CapabilityFlags) -> bool {
    let is_new = capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF);
    packet.len() < if is_new { MAX_PAYLOAD_LEN } else { LONGEST_EOF }
}

fn status_at_end(packet: &[u8], capabilities: CapabilityFlags) -> Result<StatusFlags, MysqlError> {
    let rest = &mut ParseBuf(packet);
    let read = if capabilities.contains(CapabilityFlags::CLIENT_DEPRECATE_EOF) {
        rest.parse::<OkPacketDeserializer<'_, ResultSetTerminator>>(capabilities)
            .map(OkPacketDeserializer::into_inner)
    } else {
        rest.parse::<OkPacketDeserializer<'_, OldEofPacket>>(capabilities)
            .map(OkPacketDeserializer::into_inner)
    };
    read.map(|end| end.status_flags()).map_err(|_| malformed("the end of rows"))
}
