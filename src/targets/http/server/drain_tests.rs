//! The server while it drains, with real sockets.

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
};

use super::{
    tests::{Running, get},
    *,
};
use crate::{targets::http::HttpDrain, units::Distribution};

/// A server that drains all the time, and answers after so long.
fn draining(delay: Duration) -> HttpTarget {
    HttpTarget {
        delay: Distribution::Const(delay),
        drain: Some(HttpDrain { every: Duration::from_millis(1) }),
        ..HttpTarget::default()
    }
}

fn ask(mut stream: &TcpStream, id: u64) {
    stream.write_all(get(id).as_bytes()).unwrap();
}

/// All that comes until the other side closes.
fn rest(mut stream: &TcpStream) -> String {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn what_is_in_flight_at_a_restart_is_answered_and_the_connection_ends() {
    // It drains some fifty times before an answer is due.
    let mut server = Running::start(draining(Duration::from_millis(50)));
    let streams: Vec<_> = (0..8).map(|_| server.connect()).collect();
    // Nothing has come on these: the successor has them.
    server.await_count("drains", |drains| drains > 3);
    for (id, stream) in streams.iter().enumerate() {
        ask(stream, id as u64);
    }
    for stream in &streams {
        let all = rest(stream);
        assert!(all.starts_with("HTTP/1.1 200 OK") && all.contains("connection: close"), "{all}");
        assert_eq!(all.len() - all.find("\r\n\r\n").unwrap() - 4, 1024, "{all}");
    }
    let counts = server.stop();
    let found = ["requests in flight", "requests in flight that were answered"];
    assert_eq!(found.map(|name| counts[&format!("drains, {name}")]), [8, 8]);
    let others = ["requests in flight whose client left", "idle connections closed"];
    assert_eq!(others.map(|name| counts[&format!("drains, {name}")]), [0, 0]);
    assert_eq!((counts["requests"], counts["connections closed"]), (8, 8));
}

#[test]
fn an_idle_connection_is_closed_at_a_restart() {
    let server = Running::start(draining(Duration::ZERO));
    let stream = server.connect();
    ask(&stream, 1);
    let all = rest(&stream);
    assert!(all.starts_with("HTTP/1.1 200 OK"), "{all}");
    let counts = server.stop();
    assert_eq!(counts["connections closed"], 1);
}

#[test]
fn who_leaves_while_the_server_drains_is_no_answer_that_was_lost() {
    let mut server = Running::start(draining(Duration::from_secs(3600)));
    let stream = server.connect();
    ask(&stream, 1);
    server.await_count("requests", |requests| requests == 1);
    server.await_count("drains", |drains| drains > 0);
    server.await_count("drains, requests in flight", |requests| requests == 1);
    drop(stream);
    server.await_count("drains, requests in flight whose client left", |left| left == 1);
    let counts = server.stop();
    assert_eq!(counts["drains, requests in flight that were answered"], 0);
}

#[test]
fn a_server_that_is_told_to_end_answers_what_is_in_flight_and_listens_no_more() {
    let (told, tell) = UnixStream::pair().unwrap();
    let spec =
        HttpTarget { delay: Distribution::Const(Duration::from_secs(2)), ..HttpTarget::default() };
    let mut server = Running::start_until(spec, Some(told.into()));
    let (busy, unused) = (server.connect(), server.connect());
    ask(&busy, 1);
    server.await_count("requests", |requests| requests == 1);
    (&tell).write_all(b"x").unwrap();
    assert_eq!(rest(&unused), "");
    let all = rest(&busy);
    assert!(all.starts_with("HTTP/1.1 200 OK") && all.contains("connection: close"), "{all}");
    let address = server.address;
    // It has ended by itself.
    let counts = server.ended();
    assert_eq!(counts["drains, requests in flight that were answered"], 1);
    assert!(TcpStream::connect(address).is_err());
}
