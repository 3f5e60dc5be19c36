#!/bin/sh
# Believed: an idle thread of the crate blocking, the pool behind smol, async-std, async-fs and others, ends when it has had nothing
#   to do for a while, as its documentation says. A pool that grew in a burst is gone soon after.
# What happens: since 1.7.0 an idle thread that times out looks again and waits again, for the life of the process. Each wakes twice a
#   second: a hundred threads of one burst make two hundred switches a second in a process that does nothing. With 1.6.2
#   they end.
# Versions: blocking 1.7.0 and 1.6.2. Rust 1.95.
# Source: blocking, src/lib.rs, `Executor::main_loop`, the branch after `wait_timeout`.
# Seen: 1.7.0: 100 of 100 threads are there after 3 s, and 579 switches in the next 3 s
#       1.6.2: 0 of 100 threads are there after 3 s, and 0 switches in the next 3 s
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat > "$work/src/main.rs" <<'RUST'
//! A burst of blocking work, and what is left of its threads.
use std::{
    fs,
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

const THREADS: usize = 100;

/// Threads beside the first one, and how often they were switched to.
fn threads() -> (usize, u64) {
    let own = std::process::id().to_string();
    let others = fs::read_dir("/proc/self/task").expect("Linux").filter_map(|entry| {
        let entry = entry.ok()?;
        let status = fs::read_to_string(entry.path().join("status")).ok()?;
        (entry.file_name().to_string_lossy() != own).then_some(status)
    });
    let switches = |status: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    };
    others.fold((0, 0), |(count, all), status| (count + 1, all + switches(&status)))
}

fn main() {
    let all = Arc::new(Barrier::new(THREADS + 1));
    let tasks: Vec<_> = (0..THREADS)
        .map(|_| {
            let all = all.clone();
            blocking::unblock(move || all.wait())
        })
        .collect();
    all.wait();
    tasks.into_iter().for_each(|task| {
        futures_lite::future::block_on(task);
    });
    thread::sleep(Duration::from_secs(3));
    let (left, before) = threads();
    thread::sleep(Duration::from_secs(3));
    let (_, after) = threads();
    let switches = after.saturating_sub(before);
    println!("{left} of {THREADS} threads are there after 3 s, and {switches} switches in the next 3 s");
}
RUST
for version in 1.7.0 1.6.2; do
    cat > "$work/Cargo.toml" <<TOML
[package]
name = "burst"
version = "0.0.0"
edition = "2024"

[dependencies]
blocking = "=$version"
futures-lite = "=2.6.1"
TOML
    rm -f "$work/Cargo.lock"
    said=$(cargo run --quiet --manifest-path "$work/Cargo.toml")
    echo "$version: $said" | tee -a "$work/seen"
done
left() { sed -n "s/^$1: \([0-9]*\) of 100.*/\1/p" "$work/seen"; }
switches() { sed -n "s/^$1: .* and \([0-9]*\) switches.*/\1/p" "$work/seen"; }
[ "$(left 1.7.0)" -ge 95 ] || { echo "changed: idle threads of 1.7.0 end"; exit 1; }
[ "$(switches 1.7.0)" -ge 300 ] || { echo "changed: idle threads of 1.7.0 sleep"; exit 1; }
[ "$(left 1.6.2)" -le 5 ] || { echo "changed: idle threads of 1.6.2 stay"; exit 1; }
echo "as it was: idle threads of blocking 1.7.0 stay, and wake"
