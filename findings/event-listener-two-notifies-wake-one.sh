#!/bin/sh
# Believed: `notify(1)` wakes one listener, so that two of them wake two, as two calls of `notify_one` do on a condition variable
#   of std or on the `Notify` of tokio.
# What happens: `notify(n)` sees to it that n listeners are notified in all. One that was notified and has not run yet counts, so
#   that a second `notify(1)` right after the first one does nothing: of two who wait, one stays asleep. The words for what
#   is believed are `notify(1.additional())`. It is a lost wake-up wherever an event stands for a number of things, such as items
#   or permits.
# Versions: event-listener 5.4.1, tokio 1.54.1. Rust 1.95.
# Source: event-listener, src/notify.rs, `Notify` ("if there are already n notified listeners, this is a no-op") beside `Additional`.
# Seen: notify(1) twice: 1 of 2 woken
#       notify(1.additional()) twice: 2 of 2 woken
#       tokio's notify_one twice: 2 of 2 woken
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
event-listener = "=5.4.1"
tokio = { version = "=1.54.1", features = ["sync"] }
TOML
cat > "$work/src/main.rs" <<'RUST'
//! Two who wait, two notifications, and how many of the two are ready then.
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Waker},
};

use event_listener::{Event, IntoNotification};

/// How many of them are ready.
fn ready<F: Future>(waiting: &mut [Pin<Box<F>>]) -> usize {
    let mut context = Context::from_waker(Waker::noop());
    waiting.iter_mut().filter_map(|one| one.as_mut().poll(&mut context).is_ready().then_some(())).count()
}

fn main() {
    for (name, twice) in [
        ("notify(1)", (|event: &Event| _ = event.notify(1)) as fn(&Event)),
        ("notify(1.additional())", |event| _ = event.notify(1.additional())),
    ] {
        let event = Event::new();
        let mut waiting = [Box::pin(event.listen()), Box::pin(event.listen())];
        assert_eq!(ready(&mut waiting), 0);
        twice(&event);
        twice(&event);
        println!("{name} twice: {} of 2 woken", ready(&mut waiting));
    }
    let notify = tokio::sync::Notify::new();
    let mut waiting = [Box::pin(notify.notified()), Box::pin(notify.notified())];
    assert_eq!(ready(&mut waiting), 0);
    notify.notify_one();
    notify.notify_one();
    println!("tokio's notify_one twice: {} of 2 woken", ready(&mut waiting));
}
RUST
cargo run --quiet --manifest-path "$work/Cargo.toml" > "$work/seen"
cat "$work/seen"
grep -q '^notify(1) twice: 1 of 2' "$work/seen" || { echo "changed: notify(1) twice does not wake one"; exit 1; }
grep -q '^notify(1.additional()) twice: 2 of 2' "$work/seen" || { echo "changed: additional() does not wake another one"; exit 1; }
grep -q "^tokio's notify_one twice: 2 of 2" "$work/seen" || { echo "changed: tokio's second notify_one wakes nobody"; exit 1; }
echo "as it was: a second notify(1) is no second wake-up"
