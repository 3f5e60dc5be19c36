//! A message: who it is of and which one, and a body of which every byte is known.
//!
//! It is text in both kinds of frames: two numbers in hexadecimal, and a body that is the same for
//! all messages of a step.

use bytes::{Bytes, BytesMut};

use crate::targets::http;

/// Bytes of the two numbers, and so of the shortest message.
pub(super) const IDENTITY_BYTES: usize = 32;

/// What a message is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MessageId {
    /// Whose: the call's or the member's.
    pub of: u64,
    /// Which one of these.
    pub number: u64,
}

/// Why something that came is not the message that had to come, such as: 3 bytes came.
pub(super) type Flaw = String;

/// Makes and checks messages of one length.
#[derive(Debug)]
pub(super) struct Messages {
    body: Bytes,
    room: BytesMut,
}

impl Messages {
    /// Messages of `size` bytes, of which there are at least [`IDENTITY_BYTES`].
    pub fn new(size: usize) -> Self {
        let body = http::body(size.saturating_sub(IDENTITY_BYTES) as u64);
        Self { body: body.into(), room: BytesMut::new() }
    }

    /// A message. Its memory is used again when nobody has it any more.
    pub fn make(&mut self, id: MessageId) -> Bytes {
        self.room.reserve(IDENTITY_BYTES + self.body.len());
        self.room.extend_from_slice(&hex(id.of));
        self.room.extend_from_slice(&hex(id.number));
        self.room.extend_from_slice(&self.body);
        self.room.split().freeze()
    }

    /// Whether what came is this message, byte by byte: cheaper than [`Self::look_at`], which says
    /// what it is instead.
    pub fn is(&self, came: &[u8], id: MessageId) -> bool {
        let (of, number) = (hex(id.of), hex(id.number));
        let rest = came.strip_prefix(of.as_slice());
        rest.and_then(|rest| rest.strip_prefix(number.as_slice())) == Some(&self.body[..])
    }

    /// What a message is known by that came; an error says which byte of it cannot be.
    pub fn look_at(&self, came: &[u8]) -> Result<MessageId, Flaw> {
        let expected = IDENTITY_BYTES + self.body.len();
        if came.len() != expected {
            return Err(format!("{} bytes came where {expected} were sent", came.len()));
        }
        let (identity, body) = came.split_at(IDENTITY_BYTES);
        let (of, number) = identity.split_at(IDENTITY_BYTES / 2);
        let changed = |at: usize| format!("byte {} is not as it was sent", at + 1);
        if body != self.body {
            let same = body.iter().zip(&self.body).take_while(|(came, sent)| came == sent);
            return Err(changed(IDENTITY_BYTES + same.count()));
        }
        let of = unhex(of).map_err(changed)?;
        let number = unhex(number).map_err(|at| changed(at + IDENTITY_BYTES / 2))?;
        Ok(MessageId { of, number })
    }
}

fn hex(number: u64) -> [u8; IDENTITY_BYTES / 2] {
    let digit = |at: usize| b"0123456789abcdef"[(number >> (60 - 4 * at)) as usize & 15];
    std::array::from_fn(digit)
}

/// An error is the place of what is no digit.
fn unhex(digits: &[u8]) -> Result<u64, usize> {
    let mut number = 0;
    for (at, digit) in digits.iter().enumerate() {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return Err(at),
        };
        number = number << 4 | u64::from(value);
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_message_is_known() {
        for size in [IDENTITY_BYTES, 125, 3000] {
            let mut messages = Messages::new(size);
            let id = MessageId { of: 0x0123_4567_89ab_cdef, number: 42 };
            let sent = messages.make(id);
            assert_eq!((sent.len(), messages.look_at(&sent)), (size, Ok(id)));
            assert!(messages.is(&sent, id));
            assert!(!messages.is(&sent, MessageId { of: 1, ..id }));
            assert!(!messages.is(&sent, MessageId { number: 43, ..id }));
            assert!(std::str::from_utf8(&sent).is_ok());
            for at in 0..size {
                let mut came = sent.to_vec();
                came[at] ^= 1;
                let found = messages.look_at(&came);
                assert_ne!(found, Ok(id), "{at}");
                assert!(!messages.is(&came, id), "{at}");
            }
            assert!(messages.look_at(&sent[1..]).unwrap_err().contains("bytes came where"));
        }
        let mut messages = Messages::new(40);
        let mut came = messages.make(MessageId { of: 1, number: 2 }).to_vec();
        came[39] = b'\0';
        assert_eq!(messages.look_at(&came).unwrap_err(), "byte 40 is not as it was sent");
        came[17] = b'X';
        came[39] = messages.body[7];
        assert_eq!(messages.look_at(&came).unwrap_err(), "byte 18 is not as it was sent");
    }
}
