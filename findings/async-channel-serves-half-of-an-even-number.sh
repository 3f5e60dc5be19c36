#!/bin/sh
# Believed: consumers that all wait on one channel take turns, or at least get about as much each.
# What happens: an item of async-channel wakes two consumers. The one that has waited longest takes the item before it looks at
#   its notification, and so passes that on, to another one, when it drops it. The second finds nothing and goes to the end of
#   the line. On one thread an even number of consumers falls into step: the same half gets all items, for ever, and the other
#   half none. An odd number shares evenly. With flume, which wakes one, everybody gets as much. So a benchmark of P producers
#   and C consumers measures half of them for every even C, and all of them for every odd one.
# Versions: async-channel 2.5.0, async-executor 1.14.1, flume 0.12.0, futures-lite 2.6.1. Rust 1.95.
# Source: async-channel, src/lib.rs, `RecvInner::poll_with_strategy`: `try_recv` stands before the poll of the listener, whose
#   drop notifies the next one.
# Seen: async-channel, 2 consumers: 1000 0
#       async-channel, 3 consumers: 334 333 333
#       async-channel, 4 consumers: 500 0 500 0
#       flume, 2 consumers: 500 500
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "turns"
version = "0.0.0"
edition = "2024"

[dependencies]
async-channel = "=2.5.0"
async-executor = "=1.14.1"
flume = { version = "=0.12.0", default-features = false, features = ["async"] }
futures-lite = "=2.6.1"
TOML
cat > "$work/src/main.rs" <<'RUST'
//! How many of 1000 items each of several idle consumers gets.
use std::{cell::RefCell, future::Future};

use async_executor::LocalExecutor;
use futures_lite::future::{block_on, yield_now};

const ITEMS: u32 = 1000;

/// `send` puts one item, after which everybody has time; `receive` takes one, until there are no more.
fn shares<S: Future<Output = ()>, R: Future<Output = bool>>(
    consumers: usize,
    send: impl Fn() -> S,
    close: impl FnOnce(),
    receive: impl Fn() -> R,
) -> Vec<u32> {
    let shares = RefCell::new(vec![0; consumers]);
    let (receive, all) = (&receive, &shares);
    let executor = LocalExecutor::new();
    block_on(executor.run(async {
        let tasks: Vec<_> = (0..consumers)
            .map(|number| {
                executor.spawn(async move {
                    while receive().await {
                        all.borrow_mut()[number] += 1;
                    }
                })
            })
            .collect();
        let patience = async || {
            for _ in 0..10 * consumers {
                yield_now().await;
            }
        };
        patience().await;
        for _ in 0..ITEMS {
            send().await;
            patience().await;
        }
        close();
        for task in tasks {
            task.await;
        }
    }));
    drop(executor);
    shares.take()
}

fn print(name: &str, shares: &[u32]) {
    let words: Vec<String> = shares.iter().map(u32::to_string).collect();
    println!("{name}, {} consumers: {}", shares.len(), words.join(" "));
}

fn main() {
    for consumers in [2, 3, 4] {
        let (sender, receiver) = async_channel::bounded::<u32>(16);
        let send = || async { sender.send(1).await.expect("somebody listens") };
        let close = || {
            sender.close();
        };
        print("async-channel", &shares(consumers, send, close, || async { receiver.recv().await.is_ok() }));
    }
    let (sender, receiver) = flume::bounded::<u32>(16);
    let sender = RefCell::new(Some(sender));
    let send = || {
        let sender = sender.borrow().clone().expect("it is open");
        async move { sender.send_async(1).await.expect("somebody listens") }
    };
    let close = || drop(sender.take());
    print("flume", &shares(2, send, close, || async { receiver.recv_async().await.is_ok() }));
}
RUST
cargo run --quiet --manifest-path "$work/Cargo.toml" > "$work/seen"
cat "$work/seen"
# The least share of a row, in items.
least() { grep "^$1, $2 consumers:" "$work/seen" | cut -d: -f2 | tr ' ' '\n' | grep . | sort -n | head -n 1; }
for consumers in 2 4; do
    [ "$(least async-channel $consumers)" -le 10 ] || { echo "changed: all $consumers consumers get something"; exit 1; }
done
[ "$(least async-channel 3)" -ge 200 ] || { echo "changed: one of three consumers gets little"; exit 1; }
[ "$(least flume 2)" -ge 300 ] || { echo "changed: one of two consumers of flume gets little"; exit 1; }
echo "as it was: half of an even number of consumers gets everything"
