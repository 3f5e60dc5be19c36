//! What a scenario says of messages.

use serde::{Deserialize, Serialize};

use super::message::IDENTITY_BYTES;
use crate::{
    config::{Fields, Section},
    targets::websocket::{LONGEST_MESSAGE, words::Registration},
    units::{Size, format_size},
};

/// Most bytes of messages under way: so many have room in the sockets of both sides, so that nobody
/// who blocks while it writes waits for one who does the same.
const MOST_UNDER_WAY: u64 = 64 << 10;
/// Most messages that a call sends.
const MOST_MESSAGES: u64 = 1_000_000;
/// Most members of a room.
const MOST_MEMBERS: u64 = 100_000;
/// Most bytes that wait for a member of a room that reads slowly.
const MOST_WAITING: u64 = 64 << 20;

/// Length of a message where nothing is said.
const USUAL_SIZE: Size = Size(128);

/// Messages that are sent and come back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct EchoSpec {
    /// How many in each call.
    pub messages: u64,
    /// Length of each, in bytes.
    pub size: Size,
    /// How many are under way at most.
    pub in_flight: u64,
    /// Whether they are text, and not binary.
    pub text: bool,
}

/// A room in which everybody gets what anybody sends.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct BroadcastSpec {
    /// How many members a room has, and how many messages each of them publishes.
    pub terms: Registration,
    /// Length of each message, in bytes.
    pub size: Size,
}

fn size(fields: &mut Fields<'_>) -> Size {
    let doc =
        "Length of each message, from 32B to 8MiB, of which 32 say whose it is and which one.";
    let size = fields.or("size", USUAL_SIZE, doc);
    if !(IDENTITY_BYTES as u64..=LONGEST_MESSAGE as u64 / 2).contains(&size.0) {
        fields.reject("size", "expected a size from 32B to 8MiB", None);
    }
    size
}

fn messages(fields: &mut Fields<'_>, usual: u64, doc: &'static str) -> u64 {
    let messages = fields.or("messages", usual, doc);
    if !(1..=MOST_MESSAGES).contains(&messages) {
        fields.reject("messages", format!("expected 1 to {MOST_MESSAGES} messages"), None);
    }
    messages
}

impl Section for EchoSpec {
    const DOC: &'static str =
        "Messages that are sent and must come back, each as it was, once, in their order.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let messages = messages(fields, 1, "How many messages each call sends.");
        let size = size(fields);
        let doc = "How many messages may be under way; 1: each is sent when the one before it has come back.";
        let in_flight = fields.or("in_flight", 1, doc);
        let text = fields.or("text", false, "Whether they are text messages, and not binary ones.");
        if in_flight == 0 || in_flight > messages {
            let help = format!("write `in_flight` from 1 to {messages}");
            fields.reject("in_flight", "no call has so many messages under way", Some(help));
        } else if in_flight > 1 && in_flight.saturating_mul(size.0) > MOST_UNDER_WAY {
            let message = format!(
                "{in_flight} messages of {} may not have room in the sockets, so that both sides could wait for each \
                 other",
                format_size(size.0)
            );
            let help = format!("keep in_flight × size within {}", format_size(MOST_UNDER_WAY));
            fields.reject("in_flight", message, Some(help));
        }
        Some(Self { messages, size, in_flight, text })
    }
}

impl Section for BroadcastSpec {
    const DOC: &'static str = "A room at the embedded server's hub: who calls this registers, publishes messages, gets those of all members, and unregisters.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let doc = "How many members a room has. They are children of one or more `parallel`, and wait for each other.";
        let members: Option<u64> = fields.required("members", doc);
        let doc = "How many messages each member publishes: the next one when the last one has come back.";
        let messages = messages(fields, 1, doc);
        let size = size(fields);
        let members = members?;
        if !(1..=MOST_MEMBERS).contains(&members) {
            fields.reject("members", format!("expected 1 to {MOST_MEMBERS} members"), None);
        }
        let each = members.saturating_mul(messages).saturating_mul(size.0);
        if each > MOST_WAITING {
            let message = format!(
                "each member gets {} in one call, and the server must be able to hold that for who reads slowly",
                format_size(each)
            );
            let help =
                format!("keep members × messages × size within {}", format_size(MOST_WAITING));
            fields.reject("members", message, Some(help));
        }
        let members = u32::try_from(members).unwrap_or(u32::MAX);
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        Some(Self { terms: Registration { members, messages }, size })
    }
}
