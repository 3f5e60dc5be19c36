#!/bin/sh
# Believed: a read that is given up has read nothing, so that a time-out around it costs nothing but the time. That is what tokio,
#   async-std and smol promise of theirs: they read only when they are polled and something is there.
# What happens: compio hands its buffer to the kernel, which fills it when something comes, whether anybody polls the read or not. Where it
#   is dropped after that, the buffer goes with it: the bytes are read from the socket and are nowhere. The next read waits for what
#   comes after them, and a protocol over the stream is out of step from then on. Bytes are lost without an error.
# Versions: compio 0.19.2 with compio-runtime 0.12.6 (io_uring), tokio 1.54.1. Rust 1.95, Linux 6.18.
# Source: compio-runtime, src/future/future.rs, `Drop for Submit` (what is dropped cancels its operation, and drops what came of it).
# Seen: compio: 0 of 10 bytes are read after a read was given up
#       tokio: 10 of 10 bytes are read after a read was given up
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "given-up-read"
version = "0.0.0"
edition = "2024"

[dependencies]
compio = { version = "=0.19.2", default-features = false, features = ["runtime", "io-uring", "net", "io", "time"] }
futures-lite = "=2.6.1"
tokio = { version = "=1.54.1", features = ["rt", "net", "time", "io-util"] }
TOML
cat > "$work/src/main.rs" <<'RUST'
//! A read that waits; ten bytes that come; the read is given up; and another read, for half a second.
use std::{future::Future, io::Write, net::TcpListener, pin::Pin, sync::mpsc, thread, time::Duration};

const MOMENT: Duration = Duration::from_millis(100);

/// A server that sends ten bytes when it is asked to, and keeps the connection.
fn server() -> (std::net::SocketAddr, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let (ask, asked) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        while asked.recv().is_ok() {
            stream.write_all(b"0123456789").expect("it is open");
        }
    });
    (address, ask)
}

/// Polls a read once, which must wait.
async fn begin<F: Future>(read: Pin<&mut F>) {
    let begun = futures_lite::future::poll_once(read).await;
    assert!(begun.is_none(), "nothing was sent so far");
}

async fn on_compio() -> usize {
    use compio::{BufResult, io::AsyncRead, net::TcpStream, time};
    let (address, ask) = server();
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    {
        let mut read = Box::pin(stream.read(Vec::with_capacity(64)));
        begin(read.as_mut()).await;
        time::sleep(MOMENT).await;
        ask.send(()).expect("it waits");
        time::sleep(MOMENT).await;
    }
    match time::timeout(5 * MOMENT, stream.read(Vec::with_capacity(64))).await {
        Ok(BufResult(read, _)) => read.expect("it is open"),
        Err(_) => 0,
    }
}

async fn on_tokio() -> usize {
    use tokio::{io::AsyncReadExt as _, net::TcpStream, time};
    let (address, ask) = server();
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let mut room = [0; 64];
    {
        let mut read = Box::pin(stream.read(&mut room));
        begin(read.as_mut()).await;
        time::sleep(MOMENT).await;
        ask.send(()).expect("it waits");
        time::sleep(MOMENT).await;
    }
    let mut room = [0; 64];
    match time::timeout(5 * MOMENT, stream.read(&mut room)).await {
        Ok(read) => read.expect("it is open"),
        Err(_) => 0,
    }
}

fn main() {
    let compio = compio::runtime::Runtime::new().expect("io_uring");
    println!("compio: {} of 10 bytes are read after a read was given up", compio.block_on(on_compio()));
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("epoll");
    println!("tokio: {} of 10 bytes are read after a read was given up", tokio.block_on(on_tokio()));
}
RUST
cargo run --quiet --manifest-path "$work/Cargo.toml" > "$work/seen"
cat "$work/seen"
grep -q '^compio: 0 of 10' "$work/seen" || { echo "changed: compio keeps what a given-up read has read"; exit 1; }
grep -q '^tokio: 10 of 10' "$work/seen" || { echo "changed: tokio loses it"; exit 1; }
echo "as it was: compio loses what a given-up read has read"
