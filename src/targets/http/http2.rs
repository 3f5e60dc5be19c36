//! What a scenario says of HTTP/2.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use crate::config::{Diagnostics, Field, Fields, Node, Section, Value, mismatch};

/// Requests that the embedded server lets one connection have open at once where nothing is said:
/// as many as nginx does.
const USUAL_STREAMS: u32 = 128;
/// Most of them.
const MOST_STREAMS: u32 = 10_000;
/// Most connections that are shared.
const MOST_SHARED: i64 = 10_000;

/// Requests go over HTTP/2: who has which connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Http2 {
    /// Whose the connections are.
    pub connections: Http2Connections,
    /// Requests that the embedded server lets one connection have open at once.
    pub streams: u32,
}

/// Whose the connections are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Http2Connections {
    /// Each instance of a step has its own, and the call itself drives it.
    PerSlot,
    /// So many are shared by all instances of all steps; each is driven by a task of the executor.
    Shared(NonZeroUsize),
}

/// What `connections` says in place of a number.
const PER_SLOT: &str = "per-slot";

impl Field for Http2Connections {
    fn schema() -> serde_json::Value {
        serde_json::json!({
            "anyOf": [{ "const": PER_SLOT }, { "type": "integer", "minimum": 1, "maximum": MOST_SHARED }]
        })
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text == PER_SLOT => return Some(Self::PerSlot),
            Value::Integer(number) if (1..=MOST_SHARED).contains(number) => {
                return NonZeroUsize::new(*number as usize).map(Self::Shared);
            }
            _ => {}
        }
        let expected = format!("\"{PER_SLOT}\", or a whole number from 1 to {MOST_SHARED}");
        mismatch(node, &expected, diagnostics);
        None
    }
}

impl Section for Http2 {
    const DOC: &'static str = "Requests over HTTP/2, over connections of one's own or shared ones.";

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let doc = "`per-slot`: every instance of a step has its own; or how many are shared by all instances of all steps.";
        let connections = fields.or("connections", Http2Connections::PerSlot, doc);
        let doc = "The embedded server only: requests that one connection may have open at once, from 1 to 10000.";
        let streams = fields.or("streams", USUAL_STREAMS, doc);
        if !(1..=MOST_STREAMS).contains(&streams) {
            let help = "with fewer than the tasks at once, the others wait for their turn";
            fields.reject("streams", "expected a number from 1 to 10000", Some(help.into()));
        }
        Some(Self { connections, streams })
    }
}

impl Http2 {
    /// Whether it says something of the embedded server.
    pub(super) fn says_streams(&self) -> bool {
        self.streams != USUAL_STREAMS
    }

    /// Whose the connections are, in words for a report.
    pub(super) fn words(&self) -> String {
        match self.connections {
            Http2Connections::PerSlot => {
                "one for each instance of a step, driven by its calls".to_owned()
            }
            Http2Connections::Shared(number) => format!(
                "{number}, shared by all instances of all steps, each driven by a task of the executor"
            ),
        }
    }

    /// How many connections all instances share; none: each has its own.
    pub fn shared(&self) -> Option<NonZeroUsize> {
        match self.connections {
            Http2Connections::PerSlot => None,
            Http2Connections::Shared(number) => Some(number),
        }
    }
}

/// Requests that the embedded server lets one connection have open at once.
pub(super) fn streams(http2: Option<&Http2>) -> u32 {
    http2.map_or(USUAL_STREAMS, |http2| http2.streams)
}
