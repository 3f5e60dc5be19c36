#!/bin/sh
# Believed: a future of a lock that nobody holds is ready at its first poll. So `lock().now_or_never()` takes a free lock, and tells
#   a held one by `None`.
# What happens: inside a task of tokio, the futures of tokio's own mutex, semaphore and channels draw on a budget of 128 operations
#   a turn. When it is used up, they return `Pending` although the lock is free, so that the task gives way. `now_or_never` reads
#   that as "somebody holds it". Outside of tokio, as under `block_on` of another crate, and with `try_lock`, there is no budget.
#   async-lock has none anywhere.
# Versions: tokio 1.54.1, async-lock 3.5.0, futures-util 0.3.34. Rust 1.95.
# Source: tokio, src/task/coop/mod.rs, `Budget::initial`, and src/sync/batch_semaphore.rs, which asks `poll_proceed` first.
# Seen: tokio's mutex in a task: free 128 times, then said to be held
#       tokio's mutex in a task, with try_lock: free 1000 times
#       tokio's mutex outside of tokio: free 1000 times
#       async-lock's mutex in a task: free 1000 times
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "free"
version = "0.0.0"
edition = "2024"

[dependencies]
async-lock = "=3.5.0"
futures-util = "=0.3.34"
tokio = { version = "=1.54.1", features = ["rt", "sync"] }
TOML
cat > "$work/src/main.rs" <<'RUST'
//! How often a mutex that nobody holds can be taken by one poll.
use futures_util::FutureExt;

const TIMES: u32 = 1000;

fn taken(take: impl Fn() -> bool) -> String {
    match (0..TIMES).position(|_| !take()) {
        None => format!("free {TIMES} times"),
        Some(times) => format!("free {times} times, then said to be held"),
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (tokios, locks) = (tokio::sync::Mutex::new(()), async_lock::Mutex::new(()));
    let in_task = |take: &dyn Fn() -> bool| runtime.block_on(async { taken(take) });
    println!("tokio's mutex in a task: {}", in_task(&|| tokios.lock().now_or_never().is_some()));
    println!("tokio's mutex in a task, with try_lock: {}", in_task(&|| tokios.try_lock().is_ok()));
    println!("tokio's mutex outside of tokio: {}", taken(|| tokios.lock().now_or_never().is_some()));
    println!("async-lock's mutex in a task: {}", in_task(&|| locks.lock().now_or_never().is_some()));
}
RUST
cargo run --quiet --manifest-path "$work/Cargo.toml" > "$work/seen"
cat "$work/seen"
grep -q "^tokio's mutex in a task: free [0-9]* times, then said to be held" "$work/seen" || { echo "changed: a free lock is always ready"; exit 1; }
for who in "tokio's mutex in a task, with try_lock" "tokio's mutex outside of tokio" "async-lock's mutex in a task"; do
    grep -q "^$who: free 1000 times\$" "$work/seen" || { echo "changed: $who is not always free"; exit 1; }
done
echo "as it was: tokio's free lock says that it is not ready after 128 operations"
