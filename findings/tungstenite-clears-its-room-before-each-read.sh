#!/bin/sh
# Believed: `read_buffer_size` of tungstenite is room that is allocated once. A large one costs memory for each connection and
#   nothing else: its documentation says that 128 KiB, the default, suit a high load, and 4 KiB many connections.
# What happens: before each read all the room that is free is filled with zeros, and what was not read is cut off again
#   afterwards. Messages are cut from the front of the room, so that half of it is free on average, and a small message that
#   comes alone costs the clearing of 64 KiB. Whoever sends one message and waits for the answer reads it in a fraction of
#   the time with a room of 4 KiB (system calls not counted).
# Versions: tungstenite 0.30.0. Rust 1.95.
# Source: tungstenite, src/protocol/frame/mod.rs, `FrameCodec::read_in`: `resize` of the buffer, `read`, `truncate`.
# Seen: default: 70058 bytes cleared for a message of 16 bytes
#       4 KiB: 2060 bytes cleared for a message of 16 bytes
#       default takes 13.2 times as long
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "room"
version = "0.0.0"
edition = "2024"

[dependencies]
tungstenite = { version = "=0.30.0", default-features = false }
TOML
cat > "$work/src/main.rs" <<'RUST'
//! Reads one small message after another, each of which comes alone.
use std::{
    io::{self, Read, Write},
    time::Instant,
};

use tungstenite::{
    WebSocket,
    protocol::{Role, WebSocketConfig},
};

/// A frame of a server: final, binary, 16 bytes of 7.
const FRAME: [u8; 18] = [0x82, 16, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7];
const MESSAGES: u32 = 20_000;

/// Gives a frame for each read, or what there is room for. Where it looks, it leaves a mark in the room behind the frame, and
/// counts what is zero there the next time.
struct Server {
    looks: bool,
    cleared: u64,
    /// Bytes of the frame that are given already.
    given: usize,
}

impl Read for Server {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.looks {
            self.cleared += room.iter().filter(|byte| **byte == 0).count() as u64;
            room.fill(0xff);
        }
        let rest = &FRAME[self.given..];
        let count = rest.len().min(room.len());
        room[..count].copy_from_slice(&rest[..count]);
        self.given = (self.given + count) % FRAME.len();
        Ok(count)
    }
}

impl Write for Server {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes cleared for each message, and the time of one in ns.
fn messages(config: WebSocketConfig, looks: bool) -> (u64, f64) {
    let server = Server { looks, cleared: 0, given: 0 };
    let mut socket = WebSocket::from_raw_socket(server, Role::Client, Some(config));
    let begun = Instant::now();
    for _ in 0..MESSAGES {
        let message = socket.read().expect("a message");
        assert_eq!(message.into_data(), [7; 16].as_slice());
    }
    let each_ns = begun.elapsed().as_nanos() as f64 / f64::from(MESSAGES);
    (socket.get_ref().cleared / u64::from(MESSAGES), each_ns)
}

fn main() {
    let large = WebSocketConfig::default();
    let small = large.read_buffer_size(4 << 10);
    for (name, config) in [("default", large), ("4 KiB", small)] {
        println!("{name}: {} bytes cleared for a message of 16 bytes", messages(config, true).0);
    }
    // The least of several, because others may run beside it.
    let least = |config: WebSocketConfig| (0..20).map(|_| messages(config, false).1).fold(f64::MAX, f64::min);
    println!("default takes {:.1} times as long", least(large) / least(small));
}
RUST
cargo run --quiet --release --manifest-path "$work/Cargo.toml" > "$work/seen"
cat "$work/seen"
cleared() { sed -n "s/^$1: \([0-9]*\) bytes cleared.*/\1/p" "$work/seen"; }
[ "$(cleared default)" -gt 30000 ] || { echo "changed: a message costs less than a quarter of the room"; exit 1; }
[ "$(cleared '4 KiB')" -lt 5000 ] || { echo "changed: a small room is cleared more than once"; exit 1; }
times=$(sed -n 's/^default takes \([0-9]*\)\..*/\1/p' "$work/seen")
[ "$times" -ge 2 ] || { echo "changed: a large room costs a small message little"; exit 1; }
echo "as it was: all free room is cleared before each read"
