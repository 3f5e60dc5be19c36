//! The state machine without sockets: a client of the same library at the other end of a pipe, at
//! times that the test chooses.

use std::time::Duration;

use h2::client::{self, ResponseFuture, SendRequest};

use super::*;
use crate::{
    targets::http::{HttpTarget, answer::response_for, body, http2::Http2},
    units::Distribution,
};

/// A server and a client, and the bytes between them.
struct Pair {
    server: ServedMultiplex,
    site: ServedSite,
    spec: HttpTarget,
    near: Pipe,
    driver: client::Connection<TokioIo<Pipe>, Bytes>,
    sender: SendRequest<Bytes>,
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl Pair {
    fn new(spec: HttpTarget) -> Self {
        let mut site = ServedSite::new(&spec, 7);
        site.counts.expect_streams(site.streams);
        let near = Pipe::default();
        let greeting =
            client::Builder::new().enable_push(false).handshake(TokioIo::new(near.clone()));
        let Poll::Ready(Ok((sender, driver))) = std::pin::pin!(greeting).poll(&mut context())
        else {
            panic!("a pipe takes the first bytes at once")
        };
        let server = ServedMultiplex::new(site.streams);
        let mut pair = Self { server, site, spec, near, driver, sender };
        pair.pump(0);
        pair
    }

    fn of(body: u64, delay: Distribution, streams: u32) -> Self {
        let connections = crate::targets::http::Http2Connections::PerSlot;
        let http2 = Some(Http2 { connections, streams });
        Self::new(HttpTarget { delay, body, http2, ..HttpTarget::default() })
    }

    /// Lets bytes go to and fro until nothing moves any more, at `now`.
    fn pump(&mut self, now: u64) {
        loop {
            let _ = Pin::new(&mut self.driver).poll(&mut context());
            let mut there = Vec::new();
            self.near.take(&mut there);
            if !there.is_empty() {
                self.server.receive(&there, now, &mut self.site);
            }
            self.server.resume(now, &mut self.site);
            let mut slices = [IoSlice::new(&[]); 2];
            let filled = self.server.output(&mut slices);
            let back: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
            self.near.give(&back);
            self.server.sent(back.len(), &mut self.site);
            if there.is_empty() && back.is_empty() {
                return;
            }
        }
    }

    fn ask(&mut self, method: &str, id: u64, upload: &[u8]) -> ResponseFuture {
        let request = Request::builder().method(method).uri("http://h/a?b=1");
        let request = request.header(ID_HEADER, id).body(()).unwrap();
        let _ = self.sender.poll_ready(&mut context());
        let (response, mut stream) = self.sender.send_request(request, upload.is_empty()).unwrap();
        if !upload.is_empty() {
            stream.send_data(Bytes::copy_from_slice(upload), true).unwrap();
        }
        response
    }

    fn counts(&self) -> std::collections::BTreeMap<String, u64> {
        self.site.counts.to_map()
    }
}

/// The status and the body of an answer, once all of it is there.
fn answered(pair: &mut Pair, mut response: ResponseFuture) -> Option<(u16, Vec<u8>)> {
    let Poll::Ready(answer) = Pin::new(&mut response).poll(&mut context()) else { return None };
    let (head, mut stream) = answer.unwrap().into_parts();
    let mut all = Vec::new();
    for _ in 0..10_000 {
        match stream.poll_data(&mut context()) {
            Poll::Ready(Some(data)) => {
                let data = data.unwrap();
                stream.flow_control().release_capacity(data.len()).unwrap();
                all.extend(data);
            }
            Poll::Ready(None) => return Some((head.status.as_u16(), all)),
            Poll::Pending => pair.pump(0),
        }
    }
    panic!("the body stops after {} bytes", all.len())
}

#[test]
fn answers_leave_in_the_order_in_which_they_are_due() {
    let delay = Distribution::Uniform(Duration::from_millis(1), Duration::from_millis(900));
    let mut pair = Pair::of(9, delay, 128);
    let mut open: Vec<_> = (0..20)
        .map(|id| {
            let due = 5 + response_for(&pair.spec, 7, id).1.as_nanos() as u64;
            (due, pair.ask("GET", id, b""))
        })
        .collect();
    pair.pump(5);
    let order: Vec<u64> = open.iter().map(|(due, _)| *due).collect();
    assert!(!order.is_sorted());
    assert_eq!(pair.counts()["HTTP/2 streams open at most"], 20);
    while let Some(due) = pair.server.next_due() {
        assert_eq!(Some(due), open.iter().map(|(due, _)| *due).min());
        pair.pump(due - 1);
        assert_eq!(pair.server.next_due(), Some(due));
        pair.pump(due);
        let place = open.iter().position(|(at, _)| *at == due).unwrap();
        let (_, response) = open.swap_remove(place);
        assert_eq!(answered(&mut pair, response), Some((200, body(9))));
    }
    assert!(open.is_empty(), "{} left before they were due", open.len());
    let counts = pair.counts();
    let found = ["requests", "requests over HTTP/2", "status 200", "bytes sent", "path /a"];
    assert_eq!(found.map(|key| counts[key]), [20, 20, 20, 180, 20]);
}

#[test]
fn a_long_body_flows_both_ways_and_is_counted() {
    let length = (9 << 20) + 5;
    let mut pair = Pair::of(length, Distribution::Const(Duration::ZERO), 128);
    let upload = vec![7; 3 << 20];
    let response = pair.ask("POST", 1, &upload);
    pair.pump(0);
    let (status, got) = answered(&mut pair, response).unwrap();
    assert_eq!((status, got == body(length)), (200, true));
    pair.pump(0);
    let counts = pair.counts();
    assert_eq!([counts["bytes received"], counts["bytes sent"]], [3 << 20, length]);
    assert_eq!([counts["status 200"], counts["responses abandoned"]], [1, 0]);
}

#[test]
fn no_more_streams_are_open_than_are_allowed() {
    let mut pair = Pair::of(9, Distribution::Const(Duration::from_secs(1)), 2);
    let mut asked = vec![pair.ask("GET", 0, b"")];
    let mut others: Vec<_> = (1..5).map(|_| pair.sender.clone()).collect();
    for (id, sender) in others.iter_mut().enumerate() {
        let request = Request::get("http://h/").header(ID_HEADER, id).body(()).unwrap();
        asked.push(sender.send_request(request, true).unwrap().0);
    }
    pair.pump(0);
    assert_eq!(pair.counts()["requests"], 2);
    while let Some(due) = pair.server.next_due() {
        pair.pump(due);
    }
    let counts = pair.counts();
    assert_eq!((counts["requests"], counts["HTTP/2 streams open at most"]), (5, 2));
    assert_eq!(counts["HTTP/2 streams allowed at once"], 2);
}

#[test]
fn what_a_client_gives_up_is_abandoned_and_the_others_are_answered() {
    let mut pair = Pair::of(9, Distribution::Const(Duration::from_secs(1)), 128);
    for round in 0..2 {
        let mut asked: Vec<_> = (0..600_u64)
            .map(|id| {
                let mut sender = pair.sender.clone();
                let request = Request::get("http://h/").header(ID_HEADER, id).body(()).unwrap();
                sender.send_request(request, true).unwrap().0
            })
            .collect();
        pair.pump(0);
        // Those that wait for their turn are never sent.
        let stays = asked.swap_remove(0);
        drop(asked);
        pair.pump(0);
        while let Some(due) = pair.server.next_due() {
            pair.pump(due);
        }
        assert_eq!(answered(&mut pair, stays), Some((200, body(9))), "{round}");
    }
    let counts = pair.counts();
    assert_eq!(counts["status 200"], 2);
    assert_eq!(counts["responses abandoned"], counts["requests"] - 2);
    assert!(counts["requests"] >= 256, "{counts:?}");
}

#[test]
fn a_connection_that_is_gone_abandons_what_it_leaves() {
    let mut pair = Pair::of(9, Distribution::Const(Duration::from_secs(1)), 128);
    let _asked = [pair.ask("GET", 0, b""), pair.ask("GET", 1, b"")];
    pair.pump(0);
    pair.server.abandon(&mut pair.site);
    assert_eq!(pair.counts()["responses abandoned"], 2);
}

#[test]
fn what_cannot_be_served_is_refused_and_the_connection_stays() {
    let mut pair = Pair::of(9, Distribution::Const(Duration::ZERO), 128);
    let mut strange = |name: &str, value: &str| {
        let request = Request::post("http://h/").header(name, value).body(()).unwrap();
        let response = pair.sender.send_request(request, name == ID_HEADER).unwrap().0;
        pair.pump(0);
        answered(&mut pair, response).map(|(status, _)| status)
    };
    assert_eq!(strange(ID_HEADER, "seven"), Some(400));
    assert_eq!(strange("content-length", &(MOST_BODY + 1).to_string()), Some(413));
    let response = pair.ask("HEAD", 1, b"");
    pair.pump(0);
    assert_eq!(answered(&mut pair, response), Some((200, Vec::new())));
    let counts = pair.counts();
    assert_eq!((counts["requests"], counts["requests rejected"]), (1, 2));
    assert!(!pair.server.is_finished());
}

#[test]
fn nonsense_after_the_preface_ends_the_connection() {
    let mut site = ServedSite::new(&HttpTarget::default(), 7);
    let mut server = ServedMultiplex::new(128);
    server.receive(&[PREFACE, &[0xff; 64]].concat(), 0, &mut site);
    let mut slices = [IoSlice::new(&[]); 2];
    assert_eq!(server.output(&mut slices), 1);
    let length = slices[0].len();
    server.sent(length, &mut site);
    assert!(server.is_finished() && server.has_excess());
    assert_eq!(site.counts.rejected, 1);
}

#[test]
fn a_server_that_drains_says_goaway_and_answers_what_is_open() {
    let mut pair = Pair::of(5, Distribution::Const(Duration::from_nanos(100)), 8);
    let mut response = pair.ask("GET", 1, b"");
    pair.pump(0);
    assert_eq!(pair.server.drain(), AtDrain::Busy(0));
    pair.pump(1);
    assert!(!pair.server.is_finished());
    assert!(Pin::new(&mut response).poll(&mut context()).is_pending());
    pair.pump(100);
    let Poll::Ready(Ok(answer)) = Pin::new(&mut response).poll(&mut context()) else {
        panic!("the stream was open")
    };
    assert_eq!(answer.status(), 200);
    drop(answer);
    pair.pump(101);
    assert!(pair.server.is_finished());
}
