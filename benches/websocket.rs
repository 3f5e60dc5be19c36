//! WebSocket echoes through Regatta and through a hand-written loop with the same library of frames
//! (tungstenite), on the same runtime: 16 connections in a closed loop against the embedded server,
//! which has the last CPU; the clients have the others.
//!
//! The hand-written loop is what tokio-tungstenite does inside: the library is given tokio's stream
//! for the length of each poll. It makes a message of the same length, compares what comes back byte
//! by byte, reads the clock once for each, and has none of Regatta's steps, slots, recording and
//! proof.
//!
//! `cargo bench --bench websocket` measures adjacent pairs of about a second per arm, in random order
//! inside the pair, each arm in a fresh process, and prints ratios with exact intervals (Hodges and
//! Lehmann). `REGATTA_PAIRS` says how many pairs; there are 6 by default. The server has no delay, so
//! that it is busy: with one CPU for the clients and one for the server the client is the limit, for
//! it does more for each message, and the output says how busy the server was.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be run may panic")]
#![allow(clippy::disallowed_macros, reason = "benchmarks print")]

#[path = "support/hand_written_echo.rs"]
mod hand_written_echo;
#[path = "support/pairs.rs"]
mod pairs;
#[allow(dead_code, reason = "its load ends by time")]
mod support;

use support::{Arm, Job, trial_of, was_child};

/// The executors that are tokio.
const EXECUTORS: [&str; 2] = ["tokio", "tokio-current-thread"];

/// Length of a message, in bytes.
const SIZE: u64 = 128;

const SCENARIO: &str = r#"
schema = 1
name = "echo"
question = "What does the harness cost a WebSocket message?"
[run]
warmup = "200ms"
duration = "1s"
[executors]
baseline = "tokio"
use = ["tokio", "tokio-current-thread"]
workers = 1
[targets.ws]
websocket = {}
[tasks.echo]
steps = [ { websocket = { target = "ws", echo = { size = "SIZE" } } } ]
[load.clients]
task = "echo"
closed = { concurrency = 16 }
"#;

fn main() {
    if was_child(|_, plan| hand_written_echo::run(plan)) {
        return;
    }
    let wanted = std::env::var("REGATTA_PAIRS").ok().and_then(|count| count.parse().ok());
    let scenario = SCENARIO.replace("SIZE", &format!("{SIZE}B"));
    let other = (Arm::Bare, "the hand-written loop");
    let result = pairs::race(&EXECUTORS, other, wanted.unwrap_or(6), |executor, arm| Job {
        arm,
        plan: trial_of(&scenario, executor),
    });
    println!("{result}");
}
