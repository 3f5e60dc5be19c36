//! Values: arguments on their way to the server, and cells of rows where they lie in the buffer.

use bytes::BufMut as _;
use mysql_common::{
    constants::{ColumnFlags, ColumnType},
    io::{BufMutExt as _, ParseBuf},
};

use super::error::{MysqlError, malformed};

/// Set in the type of an argument that has no sign; ours all have one.
const SIGNED: u8 = 0;
/// The first byte of a cell without a value, in the text protocol.
const NULL: u8 = 0xfb;

/// An argument of a prepared statement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MysqlParam<'a> {
    /// No value.
    Null,
    /// A whole number.
    Integer(i64),
    /// Another number.
    Real(f64),
    /// Text, in UTF-8.
    Text(&'a str),
}

impl MysqlParam<'_> {
    fn kind(self) -> ColumnType {
        match self {
            Self::Null => ColumnType::MYSQL_TYPE_NULL,
            Self::Integer(_) => ColumnType::MYSQL_TYPE_LONGLONG,
            Self::Real(_) => ColumnType::MYSQL_TYPE_DOUBLE,
            Self::Text(_) => ColumnType::MYSQL_TYPE_VAR_STRING,
        }
    }

    fn write(self, request: &mut Vec<u8>) {
        match self {
            Self::Null => {}
            Self::Integer(value) => request.put_i64_le(value),
            Self::Real(value) => request.put_f64_le(value),
            Self::Text(value) => request.put_lenenc_str(value.as_bytes()),
        }
    }
}

/// Appends the arguments of COM_STMT_EXECUTE: which are null, their types, their values.
pub(super) fn write_params<'a>(
    params: impl ExactSizeIterator<Item = MysqlParam<'a>> + Clone,
    request: &mut Vec<u8>,
) {
    if params.len() == 0 {
        return;
    }
    let nulls = request.len();
    request.resize(nulls + params.len().div_ceil(8), 0);
    for (at, _) in params.clone().enumerate().filter(|(_, param)| *param == MysqlParam::Null) {
        request[nulls + at / 8] |= 1 << (at % 8);
    }
    // Types follow in every call: the server would remember them, but a call's types may differ
    // from the last one's.
    request.push(1);
    for param in params.clone() {
        request.extend([param.kind() as u8, SIGNED]);
    }
    params.for_each(|param| param.write(request));
}

/// A cell of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ColumnValue<'a> {
    /// No value.
    Null,
    /// A whole number.
    Integer(i64),
    /// A whole number without a sign.
    Unsigned(u64),
    /// Another number.
    Real(f64),
    /// Text, bytes or a decimal number; the text protocol sends all values so. Dates and times of
    /// the prepared protocol in their packed form.
    Bytes(&'a [u8]),
}

impl ColumnValue<'_> {
    /// Its length in bytes; a number has 8.
    pub fn length(self) -> u64 {
        match self {
            Self::Null => 0,
            Self::Integer(_) | Self::Unsigned(_) | Self::Real(_) => 8,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// The number that it is, or that its text says.
    pub fn number(self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(value),
            Self::Unsigned(value) => value.try_into().ok(),
            Self::Bytes(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            Self::Null | Self::Real(_) => None,
        }
    }
}

/// What must be known of a column in order to read its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    kind: ColumnType,
    unsigned: bool,
}

impl Column {
    /// Reads a column's definition.
    pub fn read(packet: &[u8]) -> Result<Self, MysqlError> {
        Self::parse(packet).ok_or_else(|| malformed("a column's definition"))
    }

    /// Catalogue, schema, two names of the table and two of its own come first, then its type.
    fn parse(packet: &[u8]) -> Option<Self> {
        let mut rest = ParseBuf(packet);
        for _ in 0..6 {
            rest.checked_eat_lenenc_str()?;
        }
        // The length of what follows (12), its character set (2) and longest value (4).
        rest.checked_eat(1 + 2 + 4)?;
        let kind = rest.checked_eat_u8()?.try_into().ok()?;
        let flags = ColumnFlags::from_bits_truncate(rest.checked_eat_u16_le()?);
        Some(Self { kind, unsigned: flags.contains(ColumnFlags::UNSIGNED_FLAG) })
    }
}

/// Shows the cells of a row of the text protocol.
pub(super) fn read_text(
    row: &[u8],
    columns: usize,
    mut show: impl FnMut(usize, ColumnValue<'_>),
) -> Result<(), MysqlError> {
    let mut rest = ParseBuf(row);
    for at in 0..columns {
        let cell = match rest.0.first() {
            Some(&NULL) => {
                rest.skip(1);
                ColumnValue::Null
            }
            _ => ColumnValue::Bytes(
                rest.checked_eat_lenenc_str().ok_or_else(|| malformed("a row of text"))?,
            ),
        };
        show(at, cell);
    }
    ends(&rest)
}

/// Shows the cells of a row of the prepared protocol: a zero, a bit for each column that is null
/// after two that are unused, and the values of the others.
pub(super) fn read_binary(
    row: &[u8],
    columns: &[Column],
    mut show: impl FnMut(usize, ColumnValue<'_>),
) -> Result<(), MysqlError> {
    let mut rest = ParseBuf(row);
    let nulls = (rest.checked_eat_u8() == Some(0))
        .then(|| rest.checked_eat((columns.len() + 2).div_ceil(8)))
        .flatten();
    let nulls = nulls.ok_or_else(|| malformed("a row"))?;
    for (at, column) in columns.iter().enumerate() {
        let bit = at + 2;
        let is_null = nulls[bit / 8] & (1 << (bit % 8)) != 0;
        let cell = if is_null { Some(ColumnValue::Null) } else { column.cell(&mut rest) };
        show(at, cell.ok_or_else(|| malformed("a value in a row"))?);
    }
    ends(&rest)
}

fn ends(rest: &ParseBuf<'_>) -> Result<(), MysqlError> {
    if rest.is_empty() { Ok(()) } else { Err(malformed("a row with more values than columns")) }
}

impl Column {
    /// The next value, which is of this column's type; none if the row ends too early.
    fn cell<'a>(self, rest: &mut ParseBuf<'a>) -> Option<ColumnValue<'a>> {
        use ColumnType as Kind;
        Some(match (self.kind, self.unsigned) {
            (Kind::MYSQL_TYPE_NULL, _) => ColumnValue::Null,
            (Kind::MYSQL_TYPE_TINY, false) => ColumnValue::Integer(rest.checked_eat_i8()?.into()),
            (Kind::MYSQL_TYPE_TINY, true) => ColumnValue::Integer(rest.checked_eat_u8()?.into()),
            (Kind::MYSQL_TYPE_SHORT, false) => {
                ColumnValue::Integer(rest.checked_eat_i16_le()?.into())
            }
            (Kind::MYSQL_TYPE_SHORT, true) | (Kind::MYSQL_TYPE_YEAR, _) => {
                ColumnValue::Integer(rest.checked_eat_u16_le()?.into())
            }
            (Kind::MYSQL_TYPE_LONG | Kind::MYSQL_TYPE_INT24, false) => {
                ColumnValue::Integer(rest.checked_eat_i32_le()?.into())
            }
            (Kind::MYSQL_TYPE_LONG | Kind::MYSQL_TYPE_INT24, true) => {
                ColumnValue::Integer(rest.checked_eat_u32_le()?.into())
            }
            (Kind::MYSQL_TYPE_LONGLONG, false) => ColumnValue::Integer(rest.checked_eat_i64_le()?),
            (Kind::MYSQL_TYPE_LONGLONG, true) => ColumnValue::Unsigned(rest.checked_eat_u64_le()?),
            (Kind::MYSQL_TYPE_FLOAT, _) => ColumnValue::Real(rest.checked_eat_f32_le()?.into()),
            (Kind::MYSQL_TYPE_DOUBLE, _) => ColumnValue::Real(rest.checked_eat_f64_le()?),
            // Text and the like; dates and times also begin with their length.
            _ => ColumnValue::Bytes(rest.checked_eat_lenenc_str()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of a column `n` of a table `t`, as MariaDB sends it.
    fn column(kind: u8, flags: u16) -> Column {
        let names = b"\x03def\x04test\x01t\x01t\x01n\x01n\x0c\x3f\x00\x14\x00\x00\x00";
        let [low, high] = flags.to_le_bytes();
        Column::read(&[&names[..], &[kind, low, high, 0, 0, 0]].concat()).unwrap()
    }

    fn cells(row: &[u8], columns: &[Column]) -> Result<Vec<String>, MysqlError> {
        let mut found = Vec::new();
        read_binary(row, columns, |at, cell| found.push(format!("{at} {cell:?}")))?;
        Ok(found)
    }

    #[test]
    fn arguments_are_written_as_the_protocol_says() {
        let mut request = Vec::new();
        let params = [
            MysqlParam::Integer(-2),
            MysqlParam::Null,
            MysqlParam::Text("ab"),
            MysqlParam::Real(1.5),
        ];
        write_params(params.into_iter(), &mut request);
        let values = [&(-2_i64).to_le_bytes()[..], b"\x02ab", &1.5_f64.to_le_bytes()].concat();
        assert_eq!(request, [&[0b10, 1, 8, 0, 6, 0, 253, 0, 5, 0][..], &values].concat());
        request.clear();
        write_params([].into_iter(), &mut request);
        assert!(request.is_empty());
    }

    #[test]
    fn rows_of_the_prepared_protocol_have_typed_cells() {
        let columns = [
            column(8, 0),
            column(8, 32),
            column(1, 0),
            column(1, 32),
            column(5, 0),
            column(253, 0),
            column(3, 0),
        ];
        let row = [
            &[0, 0, 1][..],
            &(-1_i64).to_le_bytes(),
            &u64::MAX.to_le_bytes(),
            &[0xff, 0xff],
            &2.5_f64.to_le_bytes(),
            b"\x02ab",
        ]
        .concat();
        let found = cells(&row, &columns).unwrap();
        let expected = [
            "0 Integer(-1)",
            "1 Unsigned(18446744073709551615)",
            "2 Integer(-1)",
            "3 Integer(255)",
            "4 Real(2.5)",
            "5 Bytes([97, 98])",
            "6 Null",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn rows_that_end_too_early_or_too_late_are_refused() {
        let columns = [column(8, 0)];
        assert!(cells(b"\0\0\0\0\0\0\0\0\0\0", &columns).is_ok());
        for row in [
            &b""[..],
            b"\0",
            b"\x01\0\0\0\0\0\0\0\0\0",
            b"\0\0\0\0\0\0\0\0\0",
            b"\0\0\0\0\0\0\0\0\0\0\0",
        ] {
            assert!(cells(row, &columns).is_err(), "{row:?}");
        }
        assert!(read_text(b"\x01a\xfb", 2, |_, _| {}).is_ok());
        for row in
            [&b"\x01a"[..], b"\x01a\x02b", b"\x01a\x01bc", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff"]
        {
            assert!(read_text(row, 2, |_, _| {}).is_err(), "{row:?}");
        }
    }

    #[test]
    fn lengths_and_numbers() {
        let cells = [
            ColumnValue::Null,
            ColumnValue::Integer(-3),
            ColumnValue::Unsigned(u64::MAX),
            ColumnValue::Real(1.0),
            ColumnValue::Bytes(b"17"),
        ];
        assert_eq!(cells.map(ColumnValue::length), [0, 8, 8, 8, 2]);
        assert_eq!(cells.map(ColumnValue::number), [None, Some(-3), None, None, Some(17)]);
    }
}
