//! OP_MSG as bytes, after MongoDB's "Wire Protocol" and "OP_MSG" specifications.
//!
//! A message is a header of four little-endian 32-bit numbers (length, id, id that it answers,
//! opcode), 32 flags, sections, and a CRC-32C of all that, if the first flag says so. A section of
//! kind 0 is the command or the answer, one document; a section of kind 1 is a list of documents
//! that belongs to the command under a name of its own.

use bson::RawDocument;

use super::error::MongoError;

/// The opcode of OP_MSG.
const OP_MSG: i32 = 2013;
/// Bytes of the header.
pub(super) const HEADER: usize = 16;
/// Bytes of the flags, or of a checksum.
const WORD: usize = 4;

/// The last four bytes are a checksum.
const CHECKSUM_PRESENT: u32 = 1;
/// Another message follows without being asked for.
const MORE_TO_COME: u32 = 1 << 1;
/// Flags that a receiver must know, or refuse the message; the others may be ignored.
const REQUIRED: u32 = 0xffff;

/// A section of kind 1: documents that follow the command under a name of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct DocumentSequence<'a> {
    /// The name, such as `documents`.
    pub name: &'static str,
    /// The documents, one behind the other.
    pub documents: &'a [u8],
}

impl DocumentSequence<'_> {
    /// Bytes of the section behind its kind: its length, its name with a zero, and the documents.
    fn length(&self) -> usize {
        WORD + self.name.len() + 1 + self.documents.len()
    }
}

/// The length of a message, in bytes.
pub(super) fn length(command: &RawDocument, sequence: Option<DocumentSequence<'_>>) -> usize {
    HEADER
        + WORD
        + 1
        + command.as_bytes().len()
        + sequence.map_or(0, |sequence| 1 + sequence.length())
}

/// Appends a message without flags. What is too long for its length to be a 32-bit number must not
/// come here.
pub(super) fn write(
    out: &mut Vec<u8>,
    id: i32,
    command: &RawDocument,
    sequence: Option<DocumentSequence<'_>>,
) {
    let length = length(command, sequence);
    out.reserve(length);
    for number in [length as u32, id.cast_unsigned(), 0, OP_MSG.cast_unsigned(), 0] {
        out.extend(number.to_le_bytes());
    }
    out.push(0);
    out.extend(command.as_bytes());
    if let Some(sequence) = sequence {
        out.push(1);
        out.extend((sequence.length() as u32).to_le_bytes());
        out.extend(sequence.name.as_bytes());
        out.push(0);
        out.extend(sequence.documents);
    }
}

/// The number at a place that is known to be there.
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + WORD).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes)
}

/// The length that a header claims for its message; bounded by `most` bytes.
pub(super) fn claimed(header: &[u8], most: usize) -> Result<usize, MongoError> {
    // First of all: of something else than OP_MSG, the length says nothing.
    let opcode = number(header, 12).cast_signed();
    if opcode != OP_MSG {
        return Err(MongoError::Protocol(format!("opcode {opcode} instead of {OP_MSG} (OP_MSG)")));
    }
    let claimed = number(header, 0).cast_signed();
    let bytes = usize::try_from(claimed).unwrap_or(0);
    if bytes < HEADER + WORD {
        return Err(MongoError::Protocol(format!("a message that claims to have {claimed} bytes")));
    }
    if bytes > most {
        return Err(MongoError::Oversized {
            what: "answer",
            bytes: bytes as u64,
            most: most as u64,
        });
    }
    Ok(bytes)
}

/// The document of an answer to request `id`: a whole message, as long as its header claims.
pub(super) fn body(message: &[u8], id: i32) -> Result<&RawDocument, MongoError> {
    let answers = number(message, 8).cast_signed();
    if answers != id {
        return Err(MongoError::Protocol(format!(
            "an answer to request {answers} instead of {id}"
        )));
    }
    let flags = number(message, HEADER);
    if flags & MORE_TO_COME != 0 {
        return Err(MongoError::protocol(
            "more messages are to come (moreToCome), which nobody asked for",
        ));
    }
    if flags & REQUIRED & !CHECKSUM_PRESENT != 0 {
        return Err(MongoError::Protocol(format!("unknown flags {flags:#06x}")));
    }
    let end = if flags & CHECKSUM_PRESENT == 0 { message.len() } else { before_checksum(message)? };
    match message.get(HEADER + WORD..end).and_then(<[u8]>::split_first) {
        Some((0, document)) => Ok(RawDocument::from_bytes(document)?),
        Some((kind, _)) => {
            Err(MongoError::Protocol(format!("a section of kind {kind} instead of one document")))
        }
        None => Err(MongoError::protocol("an answer without a document")),
    }
}

/// Where the checksum begins, if it is right.
fn before_checksum(message: &[u8]) -> Result<usize, MongoError> {
    // `claimed` saw to it that there are at least as many bytes.
    let end = message.len() - WORD;
    let (expected, found) = (crc32c::crc32c(&message[..end]), number(message, end));
    if expected != found {
        return Err(MongoError::Protocol(format!(
            "checksum {found:#010x} instead of {expected:#010x}"
        )));
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    /// An answer to request 7.
    fn answer(flags: u32) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, 7, &rawdoc! { "ok": 1 }, None);
        out[8] = 7;
        out[HEADER..HEADER + WORD].copy_from_slice(&flags.to_le_bytes());
        out
    }

    /// The same with a checksum.
    fn checked(flags: u32) -> Vec<u8> {
        let mut out = answer(flags | CHECKSUM_PRESENT);
        out[0] += 4;
        out.extend(crc32c::crc32c(&out).to_le_bytes());
        out
    }

    fn why(message: &[u8]) -> String {
        body(message, 7).unwrap_err().to_string()
    }

    #[test]
    fn the_checksum_is_the_castagnoli_one() {
        // The check value of CRC-32/ISCSI in the catalogue of parametrised CRC algorithms.
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn an_answer_is_one_document_with_or_without_a_checksum() {
        for message in [answer(0), checked(0), answer(1 << 16), checked(1 << 31)] {
            assert_eq!(claimed(&message, 1000).unwrap(), message.len());
            assert_eq!(body(&message, 7).unwrap().get_i32("ok").unwrap(), 1);
        }
    }

    #[test]
    fn whatever_else_is_refused() {
        let mut broken = checked(0);
        broken[25] ^= 1;
        assert!(why(&broken).contains("checksum"));
        assert!(why(&answer(MORE_TO_COME)).contains("moreToCome"));
        assert!(why(&answer(1 << 2)).contains("unknown flags 0x0004"));
        assert!(
            body(&answer(0), 8)
                .unwrap_err()
                .to_string()
                .contains("an answer to request 7 instead of 8")
        );
        let mut second_kind = answer(0);
        second_kind[HEADER + WORD] = 1;
        assert!(why(&second_kind).contains("kind 1"));
        assert!(why(&answer(0)[..HEADER + WORD]).contains("without a document"));
        let mut trailing = answer(0);
        trailing.push(0);
        assert!(why(&trailing).contains("wrong answer"));
    }

    #[test]
    fn lengths_are_bounded_before_anything_is_read() {
        let header = |length: i32, opcode: i32| {
            [length, 0, 7, opcode]
                .iter()
                .flat_map(|number| number.to_le_bytes())
                .collect::<Vec<u8>>()
        };
        assert!(matches!(
            claimed(&header(101, OP_MSG), 100),
            Err(MongoError::Oversized { bytes: 101, most: 100, .. })
        ));
        for length in [i32::MIN, -1, 0, 19] {
            assert!(matches!(claimed(&header(length, OP_MSG), 100), Err(MongoError::Protocol(_))));
        }
        assert!(claimed(&header(100, 1), 100).unwrap_err().to_string().contains("opcode 1 "));
        assert_eq!(claimed(&header(100, OP_MSG), 100).unwrap(), 100);
        // What a web server says.
        assert!(claimed(b"HTTP/1.1 400 Bad", 48_000_000).is_err());
    }
}
