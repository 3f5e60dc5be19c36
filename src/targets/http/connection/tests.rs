//! The state machine without sockets: bytes in, bytes out, at times that the test chooses.

use std::time::Duration;

use super::*;
use crate::{
    targets::http::{HttpTarget, answer::response_for, body, request::MOST_BODY},
    units::Distribution,
};

const GET: &[u8] = b"GET /a?q=1 HTTP/1.1\r\nhost: x\r\n\r\n";

fn site(body: u64, delay: Distribution) -> ServedSite {
    ServedSite::new(&HttpTarget { delay, body, ..HttpTarget::default() }, 7)
}

fn at_once(body: u64) -> ServedSite {
    site(body, Distribution::Const(Duration::ZERO))
}

/// Takes what may be sent at `now`, at most `most` bytes at a time.
fn drain(
    connection: &mut ServedConnection,
    now: u64,
    most: usize,
    site: &mut ServedSite,
) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let mut slices = [IoSlice::new(&[]); 3];
        let filled = connection.output(now, site, &mut slices);
        let bytes: Vec<u8> =
            slices[..filled].iter().flat_map(|slice| slice.to_vec()).take(most).collect();
        if bytes.is_empty() {
            return all;
        }
        connection.sent(bytes.len(), site);
        all.extend(bytes);
    }
}

/// What a fresh connection answers to `input`.
fn answer(input: &[u8], site: &mut ServedSite) -> (ServedConnection, String) {
    let mut connection = ServedConnection::new();
    connection.receive(input, 0, site);
    let output = drain(&mut connection, 0, usize::MAX, site);
    (connection, String::from_utf8(output).unwrap())
}

fn ok(body_length: u64) -> String {
    let body = String::from_utf8(body(body_length)).unwrap();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {body_length}\r\n\r\n{body}")
}

#[test]
fn a_request_may_be_cut_anywhere() {
    let post = b"POST /b HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let put = b"PUT /c HTTP/1.1\r\ncontent-length: 4\r\n\r\nabcd";
    let input = [GET, post, put, GET].concat();
    for size in 1..input.len() {
        let mut site = at_once(10);
        let mut connection = ServedConnection::new();
        let mut output = Vec::new();
        for piece in input.chunks(size) {
            connection.receive(piece, 0, &mut site);
            output.extend(drain(&mut connection, 0, usize::MAX, &mut site));
        }
        assert_eq!(String::from_utf8(output).unwrap(), ok(10).repeat(4), "{size}");
        let counts = site.counts.to_map();
        assert_eq!((counts["requests"], counts["status 200"], counts["bytes received"]), (4, 4, 7));
        assert_eq!((counts["path /a"], counts["path /b"], counts["path /c"]), (2, 1, 1));
        assert_eq!(counts["bytes sent"], 40);
    }
}

#[test]
fn a_response_may_be_cut_anywhere() {
    for (length, size) in [(100, 1), (100, 7), (100_000, 999)] {
        let mut site = at_once(length);
        let mut connection = ServedConnection::new();
        connection.receive(&GET.repeat(2), 0, &mut site);
        let output = drain(&mut connection, 0, size, &mut site);
        assert_eq!(String::from_utf8(output).unwrap(), ok(length).repeat(2));
        assert_eq!(site.counts.to_map()["bytes sent"], 2 * length);
    }
}

#[test]
fn order_is_kept_whatever_the_delays() {
    let delay = Distribution::Uniform(Duration::from_micros(1), Duration::from_micros(100));
    let spec = HttpTarget { delay, ..HttpTarget::default() };
    let mut site = site(0, delay);
    let mut connection = ServedConnection::new();
    let due: Vec<u64> = (0..50)
        .map(|id| {
            let head = format!("GET / HTTP/1.1\r\nx-regatta-id: {id}\r\n\r\n");
            connection.receive(head.as_bytes(), 500, &mut site);
            500 + response_for(&spec, 7, id).1.as_nanos() as u64
        })
        .collect();
    // Each goes when it and all before it are due, and not a nanosecond earlier.
    let mut passed = 0;
    while let Some(next) = connection.next_due() {
        assert_eq!(next, due[passed]);
        assert!(drain(&mut connection, next - 1, usize::MAX, &mut site).is_empty());
        let sent = drain(&mut connection, next, usize::MAX, &mut site);
        let count = sent.len() / ok(0).len();
        let expected = due[passed..].iter().take_while(|due| **due <= next).count();
        assert_eq!(count, expected);
        passed += count;
    }
    assert_eq!(passed, 50);
}

#[test]
fn a_client_that_sends_without_reading_has_to_wait() {
    let mut site = at_once(0);
    let mut connection = ServedConnection::new();
    connection.receive(&GET.repeat(1000), 0, &mut site);
    assert!(!connection.wants_input());
    assert_eq!(site.counts.to_map()["requests"], MOST_WAITING as u64);
    let mut output = drain(&mut connection, 0, usize::MAX, &mut site);
    while connection.resume(0, &mut site) {
        output.extend(drain(&mut connection, 0, usize::MAX, &mut site));
    }
    assert_eq!(String::from_utf8(output).unwrap(), ok(0).repeat(1000));
    assert!(connection.wants_input());
}

#[test]
fn a_connection_ends_when_a_client_says_so() {
    for (head, says) in [
        ("GET / HTTP/1.1\r\nconnection: close\r\n\r\n", "connection: close\r\n"),
        ("GET / HTTP/1.0\r\n\r\n", "connection: close\r\n"),
        ("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", "connection: keep-alive\r\n"),
        ("GET / HTTP/1.1\r\n\r\n", ""),
    ] {
        let (connection, output) = answer(head.as_bytes(), &mut at_once(3));
        assert_eq!(output, ok(3).replace("\r\n\r\n", &format!("\r\n{says}\r\n")));
        assert_eq!(connection.is_finished(), says.contains("close"), "{head}");
        assert!(!connection.has_excess());
    }
}

#[test]
fn what_follows_the_last_request_is_ignored() {
    let mut site = at_once(0);
    let input = [b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n", GET].concat();
    let (connection, _) = answer(&input, &mut site);
    assert!(connection.is_finished() && connection.has_excess());
    assert_eq!(site.counts.to_map()["requests"], 1);
}

#[test]
fn head_has_the_length_but_not_the_body() {
    let mut site = at_once(70_000);
    let (_, output) = answer(b"HEAD / HTTP/1.1\r\n\r\n", &mut site);
    assert_eq!(output, "HTTP/1.1 200 OK\r\ncontent-length: 70000\r\n\r\n");
    assert_eq!(site.counts.to_map()["bytes sent"], 0);
}

#[test]
fn a_refusal_comes_after_the_answers_before_it() {
    let chunk =
        format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n", MOST_BODY + 1);
    let long = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n", MOST_BODY + 1);
    let wide = format!("GET / HTTP/1.1\r\na: {}", "x".repeat(20_000));
    for (bad, status) in [("nonsense\r\n\r\n", 400), (&chunk, 413), (&long, 413), (&wide, 431)] {
        let mut site = at_once(0);
        let (connection, output) = answer(&[GET, bad.as_bytes(), GET].concat(), &mut site);
        let rest = output.strip_prefix(&ok(0)).unwrap();
        assert!(rest.starts_with(&format!("HTTP/1.1 {status} ")), "{rest}");
        assert_eq!(rest.matches("HTTP/1.1").count(), 1);
        assert!(connection.is_finished() && connection.has_excess());
        let counts = site.counts.to_map();
        assert_eq!(
            (counts["requests"], counts["requests rejected"], counts["status 200"]),
            (1, 1, 1)
        );
    }
}

#[test]
fn a_client_that_asks_before_sending_a_body_is_answered() {
    let mut site = at_once(0);
    let mut connection = ServedConnection::new();
    connection.receive(
        b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n",
        0,
        &mut site,
    );
    assert_eq!(drain(&mut connection, 0, 9, &mut site), b"HTTP/1.1 100 Continue\r\n\r\n");
    connection.receive(b"ab", 0, &mut site);
    assert_eq!(drain(&mut connection, 0, 9, &mut site), ok(0).as_bytes());
    assert!(!site.counts.to_map().contains_key("status 100"));
}

#[test]
fn what_was_not_sent_whole_is_abandoned() {
    let mut site = at_once(100);
    let mut connection = ServedConnection::new();
    connection.receive(&GET.repeat(3), 0, &mut site);
    let head = ok(100).len() - 100;
    connection.sent(ok(100).len() + head + 40, &mut site);
    connection.abandon(&mut site);
    let counts = site.counts.to_map();
    assert_eq!(
        (counts["responses abandoned"], counts["status 200"], counts["bytes sent"]),
        (2, 1, 140)
    );
}

#[test]
fn a_request_without_an_id_is_drawn_by_path_and_turn() {
    let spec = HttpTarget {
        delay: Distribution::Uniform(Duration::ZERO, Duration::from_secs(1)),
        ..HttpTarget::default()
    };
    let mut site = ServedSite::new(&spec, 7);
    for sequence in 0..3 {
        let mut connection = ServedConnection::new();
        connection.receive(GET, 0, &mut site);
        let id = crate::targets::http::request_id("/a", sequence);
        assert_eq!(connection.next_due(), Some(response_for(&spec, 7, id).1.as_nanos() as u64));
    }
}

const CLOSE: &str = "connection: close\r\n";

fn drains(site: &ServedSite) -> (u64, u64) {
    (site.counts.drains.answered, site.counts.drains.given_up)
}

#[test]
fn what_is_in_flight_when_the_server_drains_is_answered_and_said_to_be_the_last() {
    let mut site = site(5, Distribution::Const(Duration::from_nanos(100)));
    let mut connection = ServedConnection::new();
    connection.receive(&[GET, GET].concat(), 0, &mut site);
    assert_eq!(connection.drain(), AtDrain::Busy(2));
    // The next restart finds none that is new.
    assert_eq!(connection.drain(), AtDrain::Busy(0));
    assert!(!connection.is_finished() && connection.next_due() == Some(100));
    let sent = String::from_utf8(drain(&mut connection, 100, 7, &mut site)).unwrap();
    assert_eq!(sent.matches(CLOSE).count(), 1, "{sent}");
    assert!(sent.find(CLOSE) > sent.rfind("200 OK"), "the last one says so: {sent}");
    assert!(connection.is_finished());
    assert_eq!(drains(&site), (2, 0));
}

#[test]
fn a_connection_on_which_all_is_answered_is_idle_when_the_server_drains() {
    let mut site = at_once(5);
    let (mut connection, _) = answer(GET, &mut site);
    assert_eq!(connection.drain(), AtDrain::Idle);
    assert!(!connection.is_finished());
}

#[test]
fn an_answer_that_is_being_sent_when_the_server_drains_is_sent_as_it_was_begun() {
    let mut site = at_once(5);
    let mut connection = ServedConnection::new();
    connection.receive(GET, 0, &mut site);
    connection.sent(3, &mut site);
    assert_eq!(connection.drain(), AtDrain::Busy(1));
    let sent = String::from_utf8(drain(&mut connection, 0, 4, &mut site)).unwrap();
    assert_eq!(sent, ok(5)[3..]);
    assert!(connection.is_finished());
    assert_eq!(drains(&site), (1, 0));
}

#[test]
fn a_request_that_is_coming_when_the_server_drains_is_answered_when_it_has_come() {
    let put = b"PUT /c HTTP/1.1\r\ncontent-length: 4\r\n\r\nabcd";
    for cut in [5, put.len() - 2] {
        let mut site = at_once(5);
        let mut connection = ServedConnection::new();
        connection.receive(&put[..cut], 0, &mut site);
        assert_eq!(connection.drain(), AtDrain::Busy(1), "{cut}");
        assert_eq!(connection.drain(), AtDrain::Busy(0), "{cut}");
        connection.receive(&put[cut..], 0, &mut site);
        let sent = String::from_utf8(drain(&mut connection, 0, 99, &mut site)).unwrap();
        assert!(sent.contains("200 OK") && sent.contains(CLOSE), "{sent}");
        assert!(connection.is_finished() && drains(&site) == (1, 0), "{cut}");
    }
}

#[test]
fn who_leaves_before_the_answer_that_is_owed_is_counted() {
    for (input, owed) in [(GET, 1), (&GET[..9], 1), (&[GET, &GET[..9]].concat()[..], 2)] {
        let mut site = site(5, Distribution::Const(Duration::from_nanos(100)));
        let mut connection = ServedConnection::new();
        connection.receive(input, 0, &mut site);
        assert_eq!(connection.drain(), AtDrain::Busy(owed));
        connection.abandon(&mut site);
        assert_eq!(drains(&site), (0, owed));
    }
}
