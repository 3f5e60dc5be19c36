//! The server with real sockets, in a thread of the test.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read},
    net::{Shutdown, TcpStream},
    os::unix::net::UnixStream,
    thread::JoinHandle,
};

use super::*;
use crate::{
    clock::now_ns,
    targets::http::{StatusWeight, body, response_for},
    units::Distribution,
};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

/// A running server and the test's end of its control.
pub(super) struct Running {
    pub address: SocketAddr,
    control: BufReader<UnixStream>,
    thread: JoinHandle<io::Result<ServedCounts>>,
}

impl Running {
    pub fn start(spec: HttpTarget) -> Self {
        Self::start_until(spec, None)
    }

    /// The same, until there is something to read there.
    pub fn start_until(spec: HttpTarget, told: Option<OwnedFd>) -> Self {
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        // A server that hangs fails the test instead of hanging it.
        near.set_read_timeout(PATIENCE).unwrap();
        let output = far.try_clone().unwrap();
        let thread = std::thread::spawn(move || {
            serve_until(&spec, 7, listener, (far, output), told.as_ref())
        });
        let mut running =
            Self { address: ([0, 0, 0, 0], 0).into(), control: BufReader::new(near), thread };
        let ControlAnswer::Ready { address, .. } = running.answer() else { panic!("not ready") };
        running.address = address;
        running
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(PATIENCE).unwrap();
        stream
    }

    fn answer(&mut self) -> ControlAnswer {
        let mut line = String::new();
        self.control.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn counts(&mut self) -> std::collections::BTreeMap<String, u64> {
        self.control.get_mut().write_all(b"counts\n").unwrap();
        let ControlAnswer::Counts(counts) = self.answer() else { panic!("no counts") };
        counts
    }

    /// Asks for the counts until one of them is as it should be; one that is not there is 0.
    pub fn await_count(&mut self, name: &str, is_fine: impl Fn(u64) -> bool) {
        let mut found = || is_fine(self.counts().get(name).copied().unwrap_or(0));
        assert!((0..1_000_000).any(|_| found()), "no {name}");
    }

    pub fn stop(mut self) -> std::collections::BTreeMap<String, u64> {
        self.control.get_mut().write_all(b"stop\n").unwrap();
        self.ended()
    }

    /// The counts of one that ends by itself.
    pub fn ended(self) -> std::collections::BTreeMap<String, u64> {
        self.thread.join().unwrap().unwrap().to_map()
    }
}

/// Reads one response: its status and body.
fn response(stream: &mut BufReader<TcpStream>) -> (u16, Vec<u8>) {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let status = line[9..12].parse().unwrap();
    let mut length = 0;
    loop {
        line.clear();
        stream.read_line(&mut line).unwrap();
        match line.trim_end().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (status, body)
}

pub(super) fn get(id: u64) -> String {
    format!("GET /item HTTP/1.1\r\nhost: x\r\nx-regatta-id: {id}\r\n\r\n")
}

fn delayed(delay: Distribution) -> HttpTarget {
    HttpTarget { delay, ..HttpTarget::default() }
}

#[test]
fn a_kept_connection_serves_many_requests_and_the_counts_agree() {
    let mut server = Running::start(HttpTarget {
        status: vec![
            StatusWeight { status: 200, weight: 3.0, retry_after: None },
            StatusWeight { status: 500, weight: 1.0, retry_after: None },
        ],
        ..HttpTarget::default()
    });
    let spec = HttpTarget {
        status: vec![
            StatusWeight { status: 200, weight: 3.0, retry_after: None },
            StatusWeight { status: 500, weight: 1.0, retry_after: None },
        ],
        ..HttpTarget::default()
    };
    let mut stream = BufReader::new(server.connect());
    let mut failures = 0;
    for id in 0..100 {
        stream.get_mut().write_all(get(id).as_bytes()).unwrap();
        let (status, content) = response(&mut stream);
        assert_eq!(status, response_for(&spec, 7, id).0);
        assert_eq!(content, body(1024));
        failures += u64::from(status == 500);
    }
    let counts = server.counts();
    assert_eq!((counts["requests"], counts["path /item"], counts["connections"]), (100, 100, 1));
    assert_eq!((counts["status 500"], counts["status 200"]), (failures, 100 - failures));
    assert_eq!((counts["bytes sent"], counts["connections open"]), (102_400, 1));
    drop(stream);
    server.stop();
}

#[test]
fn pipelined_answers_keep_their_order_and_are_never_early() {
    let delay = Distribution::Uniform(Duration::from_micros(100), Duration::from_millis(20));
    let server = Running::start(HttpTarget {
        status: (200..220)
            .map(|status| StatusWeight { status, weight: 1.0, retry_after: None })
            .filter(|s| s.status != 204)
            .collect(),
        ..delayed(delay)
    });
    let spec = HttpTarget {
        status: (200..220)
            .map(|status| StatusWeight { status, weight: 1.0, retry_after: None })
            .filter(|s| s.status != 204)
            .collect(),
        ..delayed(delay)
    };
    let mut stream = BufReader::new(server.connect());
    let start = now_ns();
    let requests: String = (0..60).map(get).collect();
    stream.get_mut().write_all(requests.as_bytes()).unwrap();
    for id in 0..60 {
        let (status, delay) = response_for(&spec, 7, id);
        assert_eq!(response(&mut stream).0, status, "{id}");
        assert!(u128::from(now_ns() - start) >= delay.as_nanos());
    }
    assert_eq!(server.stop()["requests"], 60);
}

#[test]
fn many_connections_wait_at_once() {
    let server = Running::start(delayed(Distribution::Const(Duration::from_millis(2))));
    let mut streams: Vec<_> = (0..200).map(|_| BufReader::new(server.connect())).collect();
    for round in 0..3 {
        let start = now_ns();
        for stream in &mut streams {
            stream.get_mut().write_all(get(round).as_bytes()).unwrap();
        }
        for stream in &mut streams {
            assert_eq!(response(stream).0, 200);
        }
        assert!(now_ns() - start >= 2_000_000);
    }
    let counts = server.stop();
    assert_eq!((counts["requests"], counts["connections open at most"]), (600, 200));
}

#[test]
fn large_bodies_go_both_ways_to_a_slow_reader() {
    let length = 4 << 20;
    let mut server = Running::start(HttpTarget { body: length, ..HttpTarget::default() });
    let mut stream = BufReader::new(server.connect());
    let head = format!("POST /up HTTP/1.1\r\ncontent-length: {length}\r\n\r\n");
    // Three responses are more than the sockets' buffers hold: the server has to wait for the
    // reader.
    for _ in 0..3 {
        stream.get_mut().write_all(head.as_bytes()).unwrap();
        stream.get_mut().write_all(&body(length)).unwrap();
    }
    assert!(server.counts()["bytes sent"] < 3 * length);
    for _ in 0..3 {
        assert!(response(&mut stream) == (200, body(length)));
    }
    let counts = server.stop();
    assert_eq!((counts["bytes received"], counts["bytes sent"]), (3 * length, 3 * length));
}

#[test]
fn chunks_are_understood() {
    let server = Running::start(HttpTarget::default());
    let mut stream = BufReader::new(server.connect());
    let head = "POST /c HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
    stream.get_mut().write_all(head.as_bytes()).unwrap();
    stream.get_mut().write_all(b"2\r\nyo\r\n0\r\n\r\n").unwrap();
    assert_eq!(response(&mut stream).0, 200);
    assert_eq!(server.stop()["bytes received"], 7);
}

#[test]
fn a_connection_is_closed_when_asked() {
    let mut server = Running::start(delayed(Distribution::Const(Duration::from_millis(1))));
    let mut stream = BufReader::new(server.connect());
    stream.get_mut().write_all(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n").unwrap();
    assert_eq!(response(&mut stream).0, 200);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    let counts = server.counts();
    assert_eq!((counts["connections closed"], counts["responses abandoned"]), (1, 0));
    server.stop();
}

#[test]
fn nonsense_is_refused_in_a_way_that_the_client_can_read() {
    let server = Running::start(HttpTarget::default());
    let mut stream = BufReader::new(server.connect());
    stream.get_mut().write_all(b"nonsense\r\n\r\n").unwrap();
    // Still sending when the refusal is on its way: it must not be lost by a reset.
    stream.get_mut().write_all(&vec![b'x'; 300_000]).unwrap();
    assert_eq!(response(&mut stream).0, 400);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    stream.get_mut().shutdown(Shutdown::Write).unwrap();
    let counts = server.stop();
    assert_eq!((counts["requests rejected"], counts["requests"]), (1, 0));
}

#[test]
fn a_peer_that_leaves_is_counted() {
    let mut server = Running::start(delayed(Distribution::Const(Duration::from_secs(3600))));
    let mut stream = server.connect();
    stream.write_all(get(1).as_bytes()).unwrap();
    server.await_count("requests", |count| count > 0);
    drop(stream);
    server.await_count("connections closed", |count| count > 0);
    assert_eq!(server.stop()["responses abandoned"], 1);
}

#[test]
fn accepted_sockets_send_without_nagle() {
    let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let server = HttpServer::new(&HttpTarget::default(), 1, listener).unwrap();
    let (accepted, _) = loop {
        match server.listener.as_ref().unwrap().accept() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            accepted => break accepted.unwrap(),
        }
    };
    assert!(accepted.nodelay().unwrap());
}

#[test]
fn a_paused_listener_accepts_again() {
    let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = HttpServer::new(&HttpTarget::default(), 1, listener).unwrap();
    server.pause().unwrap();
    let _client = TcpStream::connect(address).unwrap();
    let paused_until = server.timers.earliest().unwrap();
    let mut events = Vec::with_capacity(EVENTS);
    while server.site.counts.connections == 0 {
        server.wait(&mut events).unwrap();
        server.handle(&events).unwrap();
    }
    assert!(now_ns() >= paused_until);
    assert_eq!(server.site.counts.accepts_refused, 1);
}

#[test]
fn the_end_of_its_input_ends_the_server() {
    let Running { control, thread, .. } = Running::start(HttpTarget::default());
    control.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(thread.join().unwrap().unwrap().requests, 0);
}

#[test]
fn an_unknown_command_is_answered_with_the_known_ones() {
    let mut server = Running::start(HttpTarget::default());
    server.control.get_mut().write_all(b"help\n").unwrap();
    let ControlAnswer::Error(text) = server.answer() else { panic!("no error") };
    assert!(text.contains("`help`") && text.contains("`counts`"));
    server.stop();
}

#[test]
fn a_server_that_stands_still_answers_nobody_meanwhile() {
    let (every, length) = (Duration::from_millis(600), Duration::from_millis(500));
    let started = now_ns();
    let server = Running::start(HttpTarget {
        stall: Some(Stall { every, length }),
        ..HttpTarget::default()
    });
    let mut client = BufReader::new(server.connect());
    // One request at a time without a pause: one of them is under way when a standstill begins. If
    // it was answered just before, the next one waits for what is left; so one of the two takes
    // half of it, however slow the host is.
    let enough = length.as_nanos() as u64 / 2;
    let (mut before, mut longest) = (now_ns(), 0);
    while longest < enough && before - started < 20_000_000_000 {
        client.get_mut().write_all(get(0).as_bytes()).unwrap();
        response(&mut client);
        let after = now_ns();
        longest = longest.max(after - before);
        before = after;
    }
    assert!(longest >= enough, "no request has waited");
    drop(client);
    server.stop();
}

/// One client knows HTTP/1.1 only, and comes in the middle.
#[test]
fn a_connection_is_what_its_first_bytes_say_and_requests_are_counted_apart() {
    let running = Running::start(HttpTarget::default());
    let ask = |first: &[u8], rest: &[u8]| {
        let mut stream = running.connect();
        // However they are cut on their way.
        stream.write_all(first).unwrap();
        std::thread::yield_now();
        stream.write_all(rest).unwrap();
        let mut answer = [0; 9];
        stream.read_exact(&mut answer).unwrap();
        answer
    };
    // SETTINGS, and GET / as HPACK has it in its static table.
    let rest =
        b"TP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84";
    let settings = ask(b"PRI * HT", rest);
    assert_eq!(settings[3..], [4, 0, 0, 0, 0, 0]);
    assert_eq!(&ask(b"P", b"UT / HTTP/1.1\r\n\r\n"), b"HTTP/1.1 ");
    let mut running = running;
    while running.counts()["requests"] < 2 {}
    let counts = running.stop();
    assert_eq!([counts["requests"], counts["requests over HTTP/2"]], [2, 1]);
}
