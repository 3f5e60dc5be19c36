#!/bin/sh
# Believed: blocking work that waits for a thread of the pool is treated alike when its handle is dropped before it has begun.
# What happens: the crate `blocking` (smol) forgets it, for its task is cancelled with its handle. tokio runs it, for dropping a
#   JoinHandle detaches; only `abort` forgets it. So after a time-out around `unblock` the pool is free for the next, and after the
#   same around `spawn_blocking` it works off what nobody waits for: under overload the two differ in what they still do.
# Versions: tokio 1.54.1, blocking 1.7.0. Rust 1.95.
# Source: tokio, src/runtime/task/join.rs (`Drop`); blocking, src/lib.rs, `unblock` returns an async-task `Task`, which cancels when dropped.
# Seen: blocking: 0 of 20 dropped jobs ran
#       tokio: 20 of 20 dropped jobs ran
#       tokio, aborted: 0 of 20 dropped jobs ran
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "dropped"
version = "0.0.0"
edition = "2024"

[dependencies]
blocking = "=1.7.0"
futures-lite = "=2.6.1"
tokio = { version = "=1.54.1", features = ["rt"] }
TOML
cat > "$work/src/main.rs" <<'RUST'
//! Whether jobs run that wait for the only thread of a pool when their handles are dropped.
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

const JOBS: u32 = 20;

/// A job that keeps the thread until it is told to go on, and the one who tells.
fn gate() -> (impl FnOnce() + Send + 'static, mpsc::Sender<()>) {
    let (open, gate) = mpsc::channel::<()>();
    let wait = move || {
        let _ = gate.recv();
    };
    (wait, open)
}

fn say(who: &str, ran: &AtomicU32) {
    println!("{who}: {} of {JOBS} dropped jobs ran", ran.load(SeqCst));
}

fn of_blocking() {
    let (wait, open) = gate();
    let (first, ran) = (blocking::unblock(wait), Arc::new(AtomicU32::new(0)));
    thread::sleep(Duration::from_millis(100));
    for _ in 0..JOBS {
        let ran = ran.clone();
        drop(blocking::unblock(move || ran.fetch_add(1, SeqCst)));
    }
    drop(open);
    futures_lite::future::block_on(first);
    futures_lite::future::block_on(blocking::unblock(|| ()));
    say("blocking", &ran);
}

fn of_tokio(who: &str, aborts: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().expect("a runtime");
    let (wait, open) = gate();
    let (first, ran) = (runtime.spawn_blocking(wait), Arc::new(AtomicU32::new(0)));
    thread::sleep(Duration::from_millis(100));
    for _ in 0..JOBS {
        let ran = ran.clone();
        let job = runtime.spawn_blocking(move || ran.fetch_add(1, SeqCst));
        if aborts {
            job.abort();
        }
    }
    drop(open);
    let last = runtime.spawn_blocking(|| ());
    runtime.block_on(async { (first.await, last.await) }).1.expect("it ends");
    say(who, &ran);
}

fn main() {
    of_blocking();
    of_tokio("tokio", false);
    of_tokio("tokio, aborted", true);
}
RUST
BLOCKING_MAX_THREADS=1 cargo run --quiet --manifest-path "$work/Cargo.toml" > "$work/seen"
cat "$work/seen"
grep -q '^blocking: 0 of' "$work/seen" || { echo "changed: blocking runs dropped jobs"; exit 1; }
grep -q '^tokio: 20 of' "$work/seen" || { echo "changed: tokio forgets dropped jobs"; exit 1; }
grep -q '^tokio, aborted: 0 of' "$work/seen" || { echo "changed: tokio runs aborted jobs"; exit 1; }
echo "as it was: tokio runs blocking work that was dropped before it began, and blocking does not"
