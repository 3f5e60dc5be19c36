#!/bin/sh
# Believed: two tasks that take turns on a semaphore with one permit both get in, if not evenly. async-lock's mutex sees to it
#   that who has waited for 500 µs goes first, and the semaphore is of the same crate.
# What happens: the semaphore has no such rule. A permit that is given back wakes who waits, but belongs to nobody: the task that
#   gave it back asks again before the woken one has run, gets it, and so on for ever. On one thread the second task never gets
#   in, however often the first one lets others run while it holds the permit. tokio hands the permit over.
# Versions: async-lock 3.5.0, async-executor 1.14.1, futures-lite 2.6.1, tokio 1.54.1. Rust 1.95.
# Source: async-lock, src/semaphore.rs: who asks tries `try_acquire` first, and a guard that is dropped calls `notify(1)` and
#   hands nothing over.
# Seen: async-lock: 1000 and 1 (the second one is let in when the first one has had enough)
#       tokio: 1000 and 1000
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "permits"
version = "0.0.0"
edition = "2024"

[dependencies]
async-executor = "=1.14.1"
async-lock = "=3.5.0"
futures-lite = "=2.6.1"
tokio = { version = "=1.54.1", features = ["sync"] }
TOML
cat > "$work/src/main.rs" <<'RUST'
//! How often each of two tasks is let in until the first of them has been in a thousand times.
use std::{cell::Cell, future::Future};

use async_executor::LocalExecutor;
use futures_lite::future::{block_on, yield_now};

const TIMES: u32 = 1000;

fn turns<P, F: Future<Output = P>>(acquire: impl Fn() -> F) -> [u32; 2] {
    let counts = [const { Cell::new(0) }; 2];
    let (acquire, all) = (&acquire, &counts);
    let executor = LocalExecutor::new();
    block_on(executor.run(async {
        let tasks = [0, 1].map(|number: usize| {
            executor.spawn(async move {
                while all.iter().all(|count| count.get() < TIMES) {
                    let permit = acquire().await;
                    // Others may run, and wait for the permit.
                    yield_now().await;
                    all[number].set(all[number].get() + 1);
                    drop(permit);
                }
            })
        });
        for task in tasks {
            task.await;
        }
    }));
    drop(executor);
    counts.map(|count| count.get())
}

fn main() {
    let semaphore = async_lock::Semaphore::new(1);
    let [first, second] = turns(|| semaphore.acquire());
    println!("async-lock: {first} and {second}");
    let semaphore = tokio::sync::Semaphore::new(1);
    let [first, second] = turns(|| semaphore.acquire());
    println!("tokio: {first} and {second}");
}
RUST
cargo run --quiet --manifest-path "$work/Cargo.toml" > "$work/seen"
cat "$work/seen"
# The last task may be let in once, when the first one has had enough.
grep -Eq '^async-lock: (1000 and [01]|[01] and 1000)$' "$work/seen" || { echo "changed: async-lock lets both in"; exit 1; }
grep -Eq '^tokio: (1000|999) and (1000|999)$' "$work/seen" || { echo "changed: tokio does not let both in alike"; exit 1; }
echo "as it was: on one thread the semaphore of async-lock lets nobody else in"
