//! What a member and the hub say to each other.
//!
//! A member says in text frames that it registers and that it leaves, and publishes binary frames.
//! The hub says in a text frame that the room is full and who the member is in it, and delivers
//! binary frames: eight bytes with the number of the message in the room, from 0 and the highest byte
//! first, and then the message as it was published.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest message that the embedded server and the steps take, in bytes; the library's usual limit
/// on a frame.
pub const LONGEST_MESSAGE: usize = 16 << 20;

/// Where the embedded server sends messages back.
pub const ECHO_PATH: &str = "/echo";
/// Where it sends messages to all members of a room.
pub const HUB_PATH: &str = "/hub";

/// What a member asks for. Rooms of the same size and the same number of messages are filled in the
/// order in which members come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Registration {
    /// How many members a room has.
    pub members: u32,
    /// How many messages each of them publishes.
    pub messages: u32,
}

/// What the hub says when the room is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// The number of the room.
    pub room: u64,
    /// The member's own number in it, from 0.
    pub number: u32,
}

/// What a member says when it has got all messages.
pub const LEAVE: &str = "leave";
/// Bytes before each delivered message.
pub const NUMBER_BYTES: usize = 8;

impl fmt::Display for Registration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "register {} {}", self.members, self.messages)
    }
}

impl Registration {
    /// Reads it; none: it is something else, or nobody could register so.
    pub fn parse(text: &str) -> Option<Self> {
        let (members, messages) = text.strip_prefix("register ")?.split_once(' ')?;
        let found = Self { members: members.parse().ok()?, messages: messages.parse().ok()? };
        Some(found).filter(|found| found.members > 0 && found.messages > 0)
    }

    /// How many messages each member gets.
    pub fn deliveries(&self) -> u64 {
        u64::from(self.members) * u64::from(self.messages)
    }
}

impl fmt::Display for Seat {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "full {} {}", self.room, self.number)
    }
}

impl Seat {
    /// Reads it; none: it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let (room, number) = text.strip_prefix("full ")?.split_once(' ')?;
        Some(Self { room: room.parse().ok()?, number: number.parse().ok()? })
    }
}

/// The number of a delivered message in its room, and the message; none: it has no number.
pub fn delivered(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, message) = bytes.split_first_chunk::<NUMBER_BYTES>()?;
    Some((u64::from_be_bytes(*number), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let registration = Registration { members: 16, messages: 3 };
        assert_eq!(Registration::parse(&registration.to_string()), Some(registration));
        let seat = Seat { room: 7, number: 15 };
        assert_eq!(Seat::parse(&seat.to_string()), Some(seat));
        assert_eq!(delivered(b"\0\0\0\0\0\0\x01\x02hello"), Some((258, &b"hello"[..])));
        for none in ["", "register", "register 0 1", "register 1 0", "register a b", "full 1"] {
            assert!(Registration::parse(none).is_none() && Seat::parse(none).is_none(), "{none}");
        }
        assert_eq!(delivered(b"short"), None);
    }
}
