#!/bin/sh
# Believed: a client connection on which a request is queued writes the request, and then reads its answer. So a stream may
#   wait in `poll_read`: by then the request is on its way.
# What happens: hyper's driver asks the stream for bytes first, in every exchange, and writes the queued request after the
#   stream has said `Pending`. So a stream that waits in `poll_read` hangs: it waits for the answer to a request that has not
#   been sent. Whoever drives hyper over blocking sockets must answer `Pending` to the first read of each exchange.
# Versions: hyper 1.12.0, http-body-util 0.1.3. Rust 1.95.
# Source: hyper, src/proto/h1/dispatch.rs, `poll_loop`: poll_read, poll_write, poll_flush in this order.
# Seen: first exchange: read write read
#       second exchange: read write read
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "order"
version = "0.0.0"
edition = "2024"

[dependencies]
bytes = "=1.10.1"
http-body-util = "=0.1.3"
hyper = { version = "=1.12.0", features = ["client", "http1"] }
TOML
cat > "$work/src/main.rs" <<'RUST'
//! Which of reading and writing a stream is asked for first.
use std::{
    cell::RefCell,
    future::Future,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, client::conn::http1, rt};

/// What was asked for, and the answer as soon as there is a request.
#[derive(Default)]
struct Seen {
    asked: Vec<&'static str>,
    answer: Vec<u8>,
}

#[derive(Clone, Default)]
struct Stream(Rc<RefCell<Seen>>);

impl Stream {
    fn note(&self, what: &'static str) {
        let mut seen = self.0.borrow_mut();
        if seen.asked.last() != Some(&what) {
            seen.asked.push(what);
        }
    }
}

impl rt::Read for Stream {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, mut room: rt::ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        self.note("read");
        let answer = std::mem::take(&mut self.0.borrow_mut().answer);
        if answer.is_empty() {
            return Poll::Pending;
        }
        room.put_slice(&answer);
        Poll::Ready(Ok(()))
    }
}

impl rt::Write for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.note("write");
        self.0.borrow_mut().answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn ready<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn main() {
    let stream = Stream::default();
    let connected = pin!(http1::handshake::<_, Empty<Bytes>>(stream.clone()));
    let (mut sender, mut driver) = ready(connected).expect("a handshake needs no peer").expect("no error");
    for exchange in ["first", "second"] {
        stream.0.borrow_mut().asked.clear();
        let request = Request::get("/").header("host", "localhost").body(Empty::new()).expect("a request");
        let mut answer = pin!(async {
            let answer = sender.send_request(request).await.expect("an answer");
            answer.into_body().collect().await.expect("a body").to_bytes()
        });
        let body = (0..10).find_map(|_| {
            // As a task would that waits for the answer and polls the connection meanwhile.
            ready(answer.as_mut()).or_else(|| {
                let _ = ready(Pin::new(&mut driver));
                None
            })
        });
        assert_eq!(body.as_deref(), Some(&b"ok"[..]));
        println!("{exchange} exchange: {}", stream.0.borrow().asked.join(" "));
    }
}
RUST
cargo run --quiet --manifest-path "$work/Cargo.toml" > "$work/seen"
cat "$work/seen"
for exchange in first second; do
    grep -q "^$exchange exchange: read write" "$work/seen" || { echo "changed: the $exchange exchange begins otherwise"; exit 1; }
done
echo "as it was: hyper reads before it writes"
