#!/bin/sh
# Believed: who waits at a barrier and is given up (by a time-out, a select, a cancelled task) has not arrived: the others wait
#   for somebody in its place. All other primitives of these crates forget a wait that is dropped.
# What happens: the barriers of tokio and of async-lock (which is that of smol and of async-std) count an arrival when the wait
#   is polled first, and do not take it back. So of two parties one is let through alone, and whatever was to be ready by then
#   is not. A time-out around `wait` breaks the barrier for all others, silently.
# Versions: tokio 1.54.1, async-lock 3.5.0. Rust 1.95.
# Source: tokio, tokio/src/sync/barrier.rs, `wait_internal`: `state.arrived += 1`, and nothing that undoes it on drop.
#   async-lock, src/barrier.rs: `state.count += 1` likewise.
# Seen: tokio, two parties, one of them given up: the other one is let through alone
#       async-lock, two parties, one of them given up: the other one is let through alone
#       tokio's semaphore, one permit, a wait given up: the permit is free
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "barrier"
version = "0.0.0"
edition = "2024"

[dependencies]
async-lock = "=3.5.0"
tokio = { version = "=1.54.1", features = ["sync"] }
TOML
cat > "$work/src/main.rs" <<'RUST'
//! Whether an arrival that was given up still counts.
use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

/// Asks once, and gives up.
fn goes_through(wait: impl Future) -> bool {
    pin!(wait).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn said(through: bool) -> &'static str {
    if through { "is let through alone" } else { "waits" }
}

fn main() {
    let barrier = tokio::sync::Barrier::new(2);
    assert!(!goes_through(barrier.wait()), "the first one waits for the second");
    println!("tokio, two parties, one of them given up: the other one {}", said(goes_through(barrier.wait())));

    let barrier = async_lock::Barrier::new(2);
    assert!(!goes_through(barrier.wait()), "the first one waits for the second");
    println!("async-lock, two parties, one of them given up: the other one {}", said(goes_through(barrier.wait())));

    let semaphore = tokio::sync::Semaphore::new(1);
    let permit = semaphore.try_acquire().expect("it is free");
    assert!(!goes_through(semaphore.acquire()));
    drop(permit);
    let is_free = if semaphore.try_acquire().is_ok() { "free" } else { "gone" };
    println!("tokio's semaphore, one permit, a wait given up: the permit is {is_free}");
}
RUST
cargo run --quiet --manifest-path "$work/Cargo.toml" > "$work/seen"
cat "$work/seen"
for crate in tokio async-lock; do
    grep -q "^$crate, two parties, .* let through alone$" "$work/seen" || { echo "changed: the barrier of $crate"; exit 1; }
done
grep -q 'the permit is free$' "$work/seen" || { echo "changed: the semaphore of tokio"; exit 1; }
echo "as it was: a barrier counts who was given up"
