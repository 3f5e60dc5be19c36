#!/bin/sh
# Believed: of two sleeps the one with the earlier deadline ends first.
# What happens: tokio's timers have slots of a millisecond, rounded up, and within one they fire in the order in which they were
#   set. Ten sleeps whose deadlines are 50 µs apart, set from the latest to the earliest, end from the latest to the earliest.
#   So what wakes first says nothing of what was due first, and "as completed" over tokio timers is the order of starting. The
#   timers of async-io, which smol and async-std have, are a map by deadline and end in its order.
# Versions: tokio 1.54.1, async-io 2.6.0, async-executor 1.14.1. Rust 1.95.
# Source: tokio, tokio/src/runtime/time/source.rs, `deadline_to_tick`: rounds up to a millisecond; the lowest level of the
#   wheel keeps a list for each.
# Seen: tokio: in one of 20 trials 45 of 45 pairs ended in the wrong order
#       async-io: in one of 20 trials 0 of 45 pairs ended in the wrong order
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "timers"
version = "0.0.0"
edition = "2024"

[dependencies]
async-executor = "=1.14.1"
async-io = "=2.6.0"
tokio = { version = "=1.54.1", features = ["rt", "time"] }
TOML
cat > "$work/src/main.rs" <<'RUST'
//! In which order ten sleeps end whose deadlines are 50 µs apart, and which are set from the latest to the earliest.
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

const SLEEPS: u32 = 10;
const TRIALS: u32 = 20;

/// The deadline of a sleep; number 0 is due last. All are some milliseconds away, so that all are set before the first is due.
fn deadline(base: Instant, number: u32) -> Instant {
    base + Duration::from_millis(20) + Duration::from_micros(50) * (SLEEPS - number)
}

/// Pairs of which the one that was due later ended first.
fn wrong(order: &[u32]) -> usize {
    let later = |at: usize| order[at + 1..].iter().filter(|&&next| next > order[at]).count();
    (0..order.len()).map(later).sum()
}

fn tokio_order() -> Vec<u32> {
    let ended = Arc::new(Mutex::new(Vec::new()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let base = Instant::now();
        let sleeps: Vec<_> = (0..SLEEPS)
            .map(|number| {
                let ended = ended.clone();
                tokio::spawn(async move {
                    tokio::time::sleep_until(deadline(base, number).into()).await;
                    ended.lock().expect("nobody panics").push(number);
                })
            })
            .collect();
        for sleep in sleeps {
            sleep.await.expect("nobody panics");
        }
    });
    let order = ended.lock().expect("nobody panics").clone();
    order
}

fn async_io_order() -> Vec<u32> {
    let ended = Arc::new(Mutex::new(Vec::new()));
    let executor = async_executor::LocalExecutor::new();
    async_io::block_on(executor.run(async {
        let base = Instant::now();
        let sleeps: Vec<_> = (0..SLEEPS)
            .map(|number| {
                let ended = ended.clone();
                executor.spawn(async move {
                    async_io::Timer::at(deadline(base, number)).await;
                    ended.lock().expect("nobody panics").push(number);
                })
            })
            .collect();
        for sleep in sleeps {
            sleep.await;
        }
    }));
    let order = ended.lock().expect("nobody panics").clone();
    order
}

fn main() {
    let most = (0..TRIALS).map(|_| wrong(&tokio_order())).max().expect("trials");
    println!("tokio: in one of {TRIALS} trials {most} of 45 pairs ended in the wrong order");
    let least = (0..TRIALS).map(|_| wrong(&async_io_order())).min().expect("trials");
    println!("async-io: in one of {TRIALS} trials {least} of 45 pairs ended in the wrong order");
}
RUST
cargo run --quiet --manifest-path "$work/Cargo.toml" > "$work/seen"
cat "$work/seen"
# How many of the deadlines fall into one millisecond is chance; in most trials it is all ten or nearly so.
wrong() { grep "^$1:" "$work/seen" | grep -o '[0-9]* of 45' | cut -d' ' -f1; }
[ "$(wrong tokio)" -ge 30 ] || { echo "changed: tokio's timers end by deadline"; exit 1; }
[ "$(wrong async-io)" -le 5 ] || { echo "changed: async-io's timers do not end by deadline"; exit 1; }
echo "as it was: within a millisecond tokio's timers end in the order in which they were set"
