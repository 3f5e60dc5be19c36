#!/bin/sh
# Believed: on tokio's multi-threaded runtime a task that was woken is run by whichever worker has nothing to do. So a task that
#   keeps its worker busy holds up nobody but itself, as long as other workers are idle.
# What happens: each worker keeps the task that was woken last in a slot of its own, to run it next, and other workers do not
#   steal from that slot. A task that wakes another one and then computes for a while keeps it waiting all that time, beside
#   idle workers. A second wake-up pushes the first task into the queue that can be stolen from. smol's executor runs the woken
#   task at once. So "the delay of a task that somebody else wakes" and "of one that the busy task itself wakes" are two figures.
# Versions: tokio 1.54.1, async-executor 1.14.1 (that of smol). Rust 1.95.
# Source: tokio, src/runtime/scheduler/multi_thread/worker.rs, `Core::lifo_slot`, and queue.rs, `steal_into`, which does not look there.
# Seen: tokio: woken by the busy task: waits until it ends
#       tokio: woken by the busy task, and then another one: runs meanwhile
#       smol: woken by the busy task: runs meanwhile
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "woken"
version = "0.0.0"
edition = "2024"

[dependencies]
async-channel = "=2.5.0"
async-executor = "=1.14.1"
futures-lite = "=2.6.1"
tokio = { version = "=1.54.1", features = ["rt-multi-thread", "sync"] }
TOML
cat > "$work/src/main.rs" <<'RUST'
//! Whether a task runs while the one that has woken it computes, beside three idle workers.
use std::{
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

const BUSY: Duration = Duration::from_millis(300);

fn compute() {
    let begin = Instant::now();
    while begin.elapsed() < BUSY {
        std::hint::spin_loop();
    }
}

fn say(who: &str, waited: Duration) {
    let how = if waited >= BUSY / 2 { "waits until it ends" } else { "runs meanwhile" };
    println!("{who}: {how}");
}

fn tokio_waits(also_wakes_another: bool) -> Duration {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().expect("threads");
    let (seen, waited) = mpsc::channel();
    let [first, second] = [(); 2].map(|()| Arc::new(tokio::sync::Notify::new()));
    let (told, other) = (first.clone(), second.clone());
    runtime.spawn(async move {
        told.notified().await;
        seen.send(Instant::now()).expect("somebody listens");
    });
    runtime.spawn(async move { other.notified().await });
    // All workers have gone to sleep by then.
    thread::sleep(Duration::from_millis(200));
    let (begun, begin) = mpsc::channel();
    runtime.spawn(async move {
        begun.send(Instant::now()).expect("somebody listens");
        first.notify_one();
        if also_wakes_another {
            second.notify_one();
        }
        compute();
    });
    let began = begin.recv().expect("it begins");
    waited.recv().expect("it ends") - began
}

fn smol_waits() -> Duration {
    let executor: &'static async_executor::Executor<'_> = Box::leak(Box::default());
    for _ in 0..4 {
        thread::spawn(|| futures_lite::future::block_on(executor.run(std::future::pending::<()>())));
    }
    let (seen, waited) = mpsc::channel();
    let (tell, told) = async_channel::bounded::<()>(1);
    executor
        .spawn(async move {
            told.recv().await.expect("somebody tells");
            seen.send(Instant::now()).expect("somebody listens");
        })
        .detach();
    thread::sleep(Duration::from_millis(200));
    let (begun, begin) = mpsc::channel();
    executor
        .spawn(async move {
            begun.send(Instant::now()).expect("somebody listens");
            tell.try_send(()).expect("there is room");
            compute();
        })
        .detach();
    let began = begin.recv().expect("it begins");
    waited.recv().expect("it ends") - began
}

fn main() {
    say("tokio: woken by the busy task", tokio_waits(false));
    say("tokio: woken by the busy task, and then another one", tokio_waits(true));
    say("smol: woken by the busy task", smol_waits());
}
RUST
cargo run --quiet --release --manifest-path "$work/Cargo.toml" > "$work/seen"
cat "$work/seen"
grep -q '^tokio: woken by the busy task: waits until it ends' "$work/seen" || { echo "changed: the woken task is stolen"; exit 1; }
grep -q '^tokio: woken by the busy task, and then another one: runs meanwhile' "$work/seen" || { echo "changed: the first of two waits, too"; exit 1; }
grep -q '^smol: woken by the busy task: runs meanwhile' "$work/seen" || { echo "changed: smol's task waits, too"; exit 1; }
echo "as it was: the task that a busy task wakes last waits for it, beside idle workers"
