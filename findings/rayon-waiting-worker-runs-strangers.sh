#!/bin/sh
# Believed: a worker of rayon that waits for its `join` or `scope` helps with that work, and the call takes as long as its own two
#   halves at most.
# What happens: a worker that waits takes whatever job it finds, a stranger's from the pool's own queue, too, and comes back only when
#   that job has ended. A join of 0 and 50 ms, whose longer half another worker has taken, takes as long as the stranger's 400 ms.
#   So the latency of a request on such a pool includes other requests' work, and a lock that is held around `join` may be asked for
#   by the very thread that holds it. A pool with one queue, whose waiting worker runs only jobs of its own task, has neither.
# Versions: rayon 1.12.0. Rust 1.95.
# Source: rayon-core, src/registry.rs, `WorkerThread::wait_until_cold`, which calls `find_work`.
# Seen: the join of 0 and 50 ms took the stranger's time: true; the stranger ran on the thread that waited: true
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "strangers"
version = "0.0.0"
edition = "2024"

[dependencies]
rayon = "=1.12.0"
TOML
cat > "$work/src/main.rs" <<'RUST'
//! Who runs a job that comes while a worker waits for one half of its `join`.
use std::{
    sync::mpsc,
    thread::{self, sleep},
    time::{Duration, Instant},
};

const HALF: Duration = Duration::from_millis(50);
const STRANGER: Duration = Duration::from_millis(400);

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    let (ran_on, stranger) = mpsc::channel();
    let (call, called) = mpsc::channel::<()>();
    let (come, comes) = mpsc::channel::<()>();
    let (pool, waited) = (&pool, mpsc::channel());
    thread::scope(|scope| {
        // Another request, from outside of the pool.
        scope.spawn(move || {
            called.recv().expect("it is called");
            pool.spawn(move || {
                ran_on.send(thread::current().id()).expect("somebody listens");
                sleep(STRANGER);
            });
            come.send(()).expect("somebody listens");
        });
        pool.install(|| {
            let begin = Instant::now();
            let (second_begun, begun) = mpsc::channel();
            rayon::join(
                // The other worker takes the second half meanwhile, and then the stranger comes.
                move || {
                    begun.recv().expect("it begins");
                    call.send(()).expect("somebody listens");
                    comes.recv().expect("it comes");
                },
                move || {
                    second_begun.send(()).expect("somebody listens");
                    sleep(HALF);
                },
            );
            waited.0.send((begin.elapsed(), thread::current().id())).expect("somebody listens");
        });
    });
    let (took, waiter) = waited.1.recv().expect("it ends");
    let there = stranger.recv().expect("it runs") == waiter;
    println!(
        "the join of 0 and 50 ms took the stranger's time: {}; the stranger ran on the thread that waited: {there}",
        took >= STRANGER
    );
}
RUST
cargo run --quiet --release --manifest-path "$work/Cargo.toml" > "$work/seen"
cat "$work/seen"
grep -q "took the stranger's time: true; the stranger ran on the thread that waited: true" "$work/seen" || { echo "changed: a waiting worker leaves strangers alone"; exit 1; }
echo "as it was: a worker that waits for its join runs a stranger's job to its end"
