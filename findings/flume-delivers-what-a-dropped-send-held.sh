#!/bin/sh
# Believed: a send that is given up while it waits for room has sent nothing. It is what tokio and async-channel say of theirs
#   (cancel safety), and what everybody builds on who puts a time-out around a send and then tries again.
# What happens: flume's waiting send has put its item into the channel's own line of senders. Where the item was taken from there
#   before the future is dropped, it is delivered, whatever the sender believes: the future was never polled to its end, so
#   that a time-out sees a failure. Who sends it again sends it twice.
# Versions: flume 0.12.0, async-channel 2.5.0, tokio 1.54.1. Rust 1.95.
# Source: flume, src/async.rs, `Drop for SendFut`, which takes its hook out of the line only if it is still there; src/lib.rs,
#   `pull_pending`, which moves waiting items into the queue when another one is received.
# Seen: flume: received [1, 2], the send of 2 was never seen to end
#       tokio: received [1], the send of 2 was never seen to end
#       async-channel: received [1], the send of 2 was never seen to end
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "given-up"
version = "0.0.0"
edition = "2024"

[dependencies]
async-channel = "=2.5.0"
flume = { version = "=0.12.0", default-features = false, features = ["async"] }
tokio = { version = "=1.54.1", features = ["sync"] }
TOML
cat > "$work/src/main.rs" <<'RUST'
//! A send that waits for room, room that is made, and a send that is given up before it is looked at again.
use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

/// Polls the send of 2 once, which must wait; receives the 1; drops the send; and receives what else there is.
fn received<S: Future>(name: &str, send: S, mut receive: impl FnMut() -> Option<u32>) {
    let mut all = Vec::new();
    {
        let mut send = pin!(send);
        let waits = send.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
        assert!(waits, "{name} had room");
        all.extend(receive());
    }
    all.extend(receive());
    println!("{name}: received {all:?}, the send of 2 was never seen to end");
}

fn main() {
    let (to, from) = flume::bounded(1);
    to.send(1).expect("it is open");
    received("flume", to.send_async(2), || from.try_recv().ok());

    let (to, mut from) = tokio::sync::mpsc::channel(1);
    to.try_send(1).expect("there is room");
    received("tokio", to.send(2), || from.try_recv().ok());

    let (to, from) = async_channel::bounded(1);
    to.try_send(1).expect("there is room");
    received("async-channel", to.send(2), || from.try_recv().ok());
}
RUST
cargo run --quiet --manifest-path "$work/Cargo.toml" > "$work/seen"
cat "$work/seen"
grep -q '^flume: received \[1, 2\]' "$work/seen" || { echo "changed: flume keeps what a dropped send held"; exit 1; }
grep -q '^tokio: received \[1\],' "$work/seen" || { echo "changed: tokio delivers it"; exit 1; }
grep -q '^async-channel: received \[1\],' "$work/seen" || { echo "changed: async-channel delivers it"; exit 1; }
echo "as it was: flume delivers what a send held that was given up"
