#!/bin/sh
# Believed: with resumption switched on, a client that has connected before resumes its session with each further connection, so
#   that a burst of connections pays for short handshakes.
# What happens: under TLS 1.3 a ticket is good for one connection, and rustls' client keeps at most 8 for a server. Of 64
#   connections that are opened at once after others have ended, 8 resume and 56 are full handshakes. Under TLS 1.2 the same session
#   resumes all 64. So "TLS with resumption" is another workload for each version, and depends on how many connect at once.
# Versions: rustls 0.23.46 (ring), rcgen 0.14.10. Rust 1.95.
# Source: rustls, src/client/handy.rs, `MAX_TLS13_TICKETS_PER_SERVER`, and `take_tls13_ticket`, which removes the ticket.
# Seen: TLS 1.3: 8 of 64 resumed
#       TLS 1.2: 64 of 64 resumed
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "resumed"
version = "0.0.0"
edition = "2024"

[dependencies]
rcgen = "=0.14.10"
rustls = { version = "=0.23.46", default-features = false, features = ["ring", "std", "tls12"] }
TOML
cat > "$work/src/main.rs" <<'RUST'
//! How many of a burst of connections resume a session; client and server hand each other bytes in memory.
use std::sync::Arc;

use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion, pki_types::PrivateKeyDer,
};

const BURST: usize = 64;

/// Carries bytes to and fro until neither side has any: the server's tickets come after the handshake.
fn talk(client: &mut ClientConnection, server: &mut ServerConnection) {
    let mut wire = Vec::new();
    while client.wants_write() || server.wants_write() {
        wire.clear();
        client.write_tls(&mut wire).expect("memory");
        server.read_tls(&mut wire.as_slice()).expect("memory");
        server.process_new_packets().expect("an honest client");
        wire.clear();
        server.write_tls(&mut wire).expect("memory");
        let mut left = wire.as_slice();
        while !left.is_empty() {
            client.read_tls(&mut left).expect("memory");
            client.process_new_packets().expect("an honest server");
        }
    }
}

fn resumed(name: &str, version: &'static SupportedProtocolVersion) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (certificate, key) = (made.cert.der().clone(), PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key"));
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("it is one");
    let client = ClientConfig::builder_with_protocol_versions(&[version]).with_root_certificates(roots).with_no_client_auth();
    let server = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).expect("they fit");
    let (client, server) = (Arc::new(client), Arc::new(server));
    let open = || {
        let to = "localhost".try_into().expect("a name");
        let client = ClientConnection::new(client.clone(), to).expect("a client");
        (client, ServerConnection::new(server.clone()).expect("a server"))
    };
    // Enough connections, one after another, to fill what the client keeps.
    for _ in 0..BURST {
        let (mut client, mut server) = open();
        talk(&mut client, &mut server);
    }
    let mut burst: Vec<_> = (0..BURST).map(|_| open()).collect();
    for (client, server) in &mut burst {
        talk(client, server);
    }
    let is_resumed = |(client, _): &&(ClientConnection, ServerConnection)| client.handshake_kind() == Some(HandshakeKind::Resumed);
    println!("{name}: {} of {BURST} resumed", burst.iter().filter(is_resumed).count());
}

fn main() {
    rustls::crypto::ring::default_provider().install_default().expect("it is the first");
    resumed("TLS 1.3", &rustls::version::TLS13);
    resumed("TLS 1.2", &rustls::version::TLS12);
}
RUST
cargo run --quiet --manifest-path "$work/Cargo.toml" > "$work/seen"
cat "$work/seen"
count() { sed -n "s/^$1: \([0-9]*\) of .*/\1/p" "$work/seen"; }
[ "$(count 'TLS 1.3')" -le 16 ] || { echo "changed: more of a burst resume under TLS 1.3"; exit 1; }
[ "$(count 'TLS 1.2')" -eq 64 ] || { echo "changed: not all of a burst resume under TLS 1.2"; exit 1; }
echo "as it was: 8 of a burst of 64 connections resume under TLS 1.3, and all under TLS 1.2"
