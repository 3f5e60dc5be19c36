//! HTTP/2 under the executors: with the embedded server in a thread of the test, and with odd ones
//! that write their frames by hand.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use proptest::prelude::*;
use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, Stream, crypto::ring, pki_types::PrivatePkcs8KeyDer,
};

use crate::{
    client::Trust,
    step::{
        Failure, OnTimeout,
        testing::{EXECUTORS, Ran, Rig, errors_of, read_step, read_target, start_target},
    },
    targets::{
        TargetSpec,
        http::{ControlAnswer, HttpEndpoint, HttpTarget, ServedCounts, listen, serve},
    },
};

const ASYNCHRONOUS: [&str; 5] = ["tokio", "tokio-current-thread", "async-std", "smol", "compio"];

/// The embedded server in a thread.
struct Served {
    control: UnixStream,
    thread: JoinHandle<std::io::Result<ServedCounts>>,
    endpoint: HttpEndpoint,
}

impl Served {
    fn start(target: &str) -> Self {
        let TargetSpec::Http(spec) = read_target(&format!("{{ http = {target} }}")).unwrap() else {
            panic!()
        };
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let (control, far) = UnixStream::pair().unwrap();
        let (served, output) = (spec.clone(), far.try_clone().unwrap());
        let thread = thread::spawn(move || serve(&served, 7, listener, far, output));
        let mut line = String::new();
        BufReader::new(&control).read_line(&mut line).unwrap();
        let Ok(ControlAnswer::Ready { address, authority }) = serde_json::from_str(&line) else {
            panic!("{line}")
        };
        let endpoint = Self::endpoint(address, &spec, authority);
        Self { control, thread, endpoint }
    }

    fn endpoint(
        address: std::net::SocketAddr,
        spec: &HttpTarget,
        authority: Option<String>,
    ) -> HttpEndpoint {
        let embedded = Some((spec.clone(), 7));
        let endpoint = HttpEndpoint::new(address, address.to_string(), String::new(), embedded);
        match authority {
            Some(text) => endpoint.encrypted("127.0.0.1", &Trust::Text(text)).unwrap(),
            None => endpoint,
        }
    }

    /// So many calls of each slot; what the server and this side have counted.
    fn run(self, rig: Rig, executor: &str, times: u64) -> (Ran, BTreeMap<String, u64>) {
        let endpoint = Arc::new(self.endpoint);
        let ran = rig.endpoint("api", endpoint.clone()).run(executor, times);
        drop(self.control);
        let mut counts = self.thread.join().unwrap().unwrap().to_map();
        counts.extend(endpoint.connections.counts());
        (ran, counts)
    }
}

fn step(more: &str) -> String {
    format!("{{ http = {{ target = 'api', path = '/a/${{i}}'{more} }} }}")
}

#[test]
fn every_slot_has_its_own_connection_under_every_executor() {
    for executor in EXECUTORS {
        for tls in ["", ", tls = {}"] {
            for (more, connections) in [("", 3), (", connection = 'per-call'", 9)] {
                let server = Served::start(&format!("{{ http2 = {{}}, delay = '1ms'{tls} }}"));
                let (ran, counts) = server.run(Rig::new(&[&step(more)]).slots(3), executor, 3);
                assert_eq!(ran.wrong(), None, "{executor}{tls}{more}");
                let found = ["requests", "requests over HTTP/2", "status 200", "connections"];
                assert_eq!(found.map(|key| counts[key]), [9, 9, 9, connections], "{executor}{tls}");
                assert_eq!(counts["HTTP/2 streams open at most"], 1, "{executor}");
                assert_eq!(counts["connections reopened"], 0, "{executor}");
            }
        }
    }
}

#[test]
fn all_slots_share_the_connections_of_a_target() {
    for executor in ASYNCHRONOUS {
        for tls in ["", ", tls = {}"] {
            let server = Served::start(&format!("{{ http2 = {{ connections = 2 }}{tls} }}"));
            // Two steps, and the children of a fan-out, have the same ones.
            let rig = Rig::new(&[&step(""), "{ parallel = { task = 'child', count = 3 } }"]);
            let rig = rig.task("child", &[&step(", method = 'POST', body = 'x'")]);
            let (ran, counts) = server.run(rig.slots(8), executor, 3);
            assert_eq!(ran.wrong(), None, "{executor}{tls}");
            let found = ["requests", "requests over HTTP/2", "status 200", "connections"];
            assert_eq!(found.map(|key| counts[key]), [96, 96, 96, 2], "{executor}{tls}");
            let most = counts["HTTP/2 streams open at most"];
            assert!((1..=12).contains(&most), "{executor}: {most}");
        }
    }
}

#[test]
fn a_call_that_is_given_up_ends_its_stream_and_leaves_the_connection() {
    let blocking = ["sequential", "threads", "thread-pool"].map(|executor| (executor, "per-slot"));
    let own = ASYNCHRONOUS.map(|executor| (executor, "per-slot"));
    let shared = ASYNCHRONOUS.map(|executor| (executor, "shared"));
    for (executor, whose) in blocking.into_iter().chain(own).chain(shared) {
        let connections = if whose == "shared" { "1" } else { "'per-slot'" };
        let server = Served::start(&format!(
            "{{ delay = '1h', http2 = {{ connections = {connections} }} }}"
        ));
        let rig = Rig::new(&[&step("")]).limited(Duration::from_millis(3), OnTimeout::Ignore);
        let (ran, counts) = server.run(rig.slots(2), executor, 40);
        assert_eq!((ran.wrong(), ran.timeouts()), (None, 80), "{executor} {whose}");
        let expected = if whose == "shared" || executor == "sequential" { 1 } else { 2 };
        let slots = if executor == "sequential" { 2 } else { expected };
        assert_eq!(counts["connections"], slots, "{executor} {whose}");
        assert_eq!(counts["connections reopened"], 0, "{executor} {whose}");
        // The last call of a slot may have come to its end before it was sent, and its end may come
        // after that of the server.
        let (requests, abandoned) = (counts["requests"], counts["responses abandoned"]);
        assert!(requests <= 80 && abandoned <= requests, "{executor} {whose}: {counts:?}");
        assert!(abandoned >= 70, "{executor} {whose}: {counts:?}");
    }
}

#[test]
fn a_list_is_followed_and_a_wait_is_heeded_as_over_http_1() {
    for executor in EXECUTORS {
        let list = Served::start("{ http2 = {}, list = { items = 25, page = 10 } }");
        let follow = "{ http = { target = 'api', path = '/list', follow = { by = 'link', items = '/items' } }, \
                      expect = { pages = 3, items = 25 } }";
        let (ran, counts) = list.run(Rig::new(&[follow]), executor, 2);
        assert_eq!(ran.wrong(), None, "{executor}");
        assert_eq!([counts["list pages"], counts["requests over HTTP/2"]], [6, 6], "{executor}");
        let busy = "{ http2 = {}, status = [{ status = 503, retry_after = '1ms' }] }";
        let retry = "{ retry = { task = 'call', attempts = 3, retry_after = true, wait = '1h', longest_wait = '1h' } }";
        let call = "{ http = { target = 'api', path = '/' }, allow = { status = 503 } }";
        let rig = Rig::new(&[retry]).limited(Duration::from_secs(60), OnTimeout::Fail);
        let (ran, counts) = Served::start(busy).run(rig.task("call", &[call]), executor, 2);
        assert_eq!((ran.wrong(), counts["status 503"]), (None, 6), "{executor}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever the sizes, the connections and the executor: every body comes whole, and every
    /// request over HTTP/2.
    #[test]
    fn bodies_flow_whatever_their_sizes(
        body in prop_oneof![0_u64..100, Just(16_384), Just(65_535), 0_u64..6_000_000],
        sent in prop_oneof![0_u64..100, Just(65_536), 0_u64..3_000_000],
        shared in prop::option::of(1_usize..4),
        executor in 0_usize..7,
        slots in 1_usize..5,
        streams in 1_u32..5,
    ) {
        let all = ["tokio", "tokio-current-thread", "async-std", "smol", "compio", "sequential", "threads", "thread-pool"];
        let executor = all[if shared.is_some() { executor % 4 } else { executor }];
        let connections = shared.map_or("'per-slot'".to_owned(), |number| number.to_string());
        let server = Served::start(&format!(
            "{{ body = {body}, http2 = {{ connections = {connections}, streams = {streams} }} }}"
        ));
        let more = format!(", method = 'PUT', body_size = {sent}");
        let (ran, counts) = server.run(Rig::new(&[&step(&more)]).slots(slots), executor, 2);
        let calls = 2 * slots as u64;
        prop_assert_eq!(ran.wrong(), None);
        let found = ["requests over HTTP/2", "status 200", "bytes sent", "bytes received"];
        prop_assert_eq!(found.map(|key| counts[key]), [calls, calls, calls * body, calls * sent]);
        prop_assert!(counts["HTTP/2 streams open at most"] <= u64::from(streams));
    }
}

fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

/// SETTINGS that say nothing, an answer without a body (`:status: 200`), RST_STREAM and GOAWAY.
fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[])
}

fn ok(stream: u32) -> Vec<u8> {
    frame(1, 5, stream, &[0x88])
}

fn reset(stream: u32, reason: u32) -> Vec<u8> {
    frame(3, 0, stream, &reason.to_be_bytes())
}

fn goaway(last: u32, reason: u32, words: &[u8]) -> Vec<u8> {
    frame(7, 0, 0, &[&last.to_be_bytes()[..], &reason.to_be_bytes(), words].concat())
}

/// A server that sends the first when a client has begun, and then the next with each request;
/// afterwards it closes. Its url.
fn odd(says: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let says = says.clone();
            thread::spawn(move || talk(stream, &says));
        }
    });
    url
}

/// A client that has read enough may be gone at any time.
fn talk(mut stream: TcpStream, says: &[Vec<u8>]) -> Option<()> {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).ok()?;
    let (first, rest) = says.split_first()?;
    stream.write_all(first).ok()?;
    for bytes in rest {
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            stream.read_exact(&mut vec![0; length]).ok()?;
            if head[3] == 1 {
                break;
            }
        }
        stream.write_all(bytes).ok()?;
    }
    // Closed in order: the client's last bytes are read.
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
    Some(())
}

/// So many calls of one slot on a server of the user's own.
fn ran_odd(
    url: &str,
    (http2, more): (&str, &str),
    executor: &str,
    times: u64,
) -> (Ran, BTreeMap<String, u64>) {
    let scratch = tempfile::tempdir().unwrap();
    let target = format!("{{ http = {{ url = '{url}', http2 = {http2} }} }}");
    let mut target = start_target(&target, scratch.path()).unwrap();
    let step = format!("{{ http = {{ target = 'api', path = '/'{more} }}");
    let ran = Rig::new(&[&step]).endpoint("api", target.endpoint()).run(executor, times);
    (ran, target.report().unwrap().counts)
}

/// Whose failure it is.
type Class = fn(String) -> Failure;

/// What a server says, the class of the failure, its name, and some of its words.
fn ways_to_give_no_answer() -> Vec<(Vec<Vec<u8>>, Class, &'static str, &'static str)> {
    let (failed, wrong): (Class, Class) = (Failure::Target, Failure::Wrong);
    let partial = [frame(1, 4, 1, &[0x88]), frame(0, 0, 1, b"half")].concat();
    vec![
        (
            vec![settings(), goaway(1, 11, b"too_many_resets")],
            failed,
            "goaway",
            "GOAWAY (ENHANCE_YOUR_CALM: `too_many_resets`); it takes this client for an attacker",
        ),
        (vec![settings(), goaway(0, 0, b"")], failed, "goaway", "GOAWAY (NO_ERROR)"),
        (
            vec![settings(), reset(1, 8)],
            failed,
            "stream reset",
            "RST_STREAM (CANCEL) before its answer, and not its connection",
        ),
        (
            vec![settings(), [partial.clone(), reset(1, 2)].concat()],
            failed,
            "stream reset",
            "RST_STREAM (INTERNAL_ERROR) in the middle of its answer, after 4 bytes",
        ),
        (vec![settings(), Vec::new()], failed, "closed", "closed the connection before its answer"),
        (
            vec![settings(), partial],
            failed,
            "cut off",
            "in the middle of its answer, after 4 bytes",
        ),
        (
            vec![settings(), frame(1, 5, 1, &[0xff; 9])],
            wrong,
            "protocol",
            "not valid HTTP/2 (PROTOCOL_ERROR)",
        ),
        (
            vec![b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()],
            wrong,
            "protocol",
            "did not begin as HTTP/2 does (found `HTTP/1.1 400 Bad Request",
        ),
        (vec![Vec::new()], failed, "closed", "(it closed the connection)"),
    ]
}

#[test]
fn each_way_to_give_no_answer_has_its_words_its_class_and_its_name() {
    for (says, class, name, said) in ways_to_give_no_answer() {
        let blocking = ["threads", "sequential"].map(|executor| (executor, "{}"));
        let own = ["tokio", "smol"].map(|executor| (executor, "{}"));
        let shared = ASYNCHRONOUS.map(|executor| (executor, "{ connections = 1 }"));
        for (executor, http2) in blocking.into_iter().chain(own).chain(shared) {
            let url = odd(says.clone());
            let (ran, _) = ran_odd(&url, (http2, ", method = 'POST' }"), executor, 1);
            let Some(Err(failure)) = ran.outcomes.first() else {
                panic!("{said}, {executor}: {ran:?}")
            };
            let words = failure.to_string();
            assert_eq!(*failure, class(words.clone()), "{executor} {http2}");
            assert!(words.contains(said), "`{said}` is not said under {executor}: {words}");
            assert!(!words.contains("broken pipe"), "{words}");
            let is_shared = http2 != "{}";
            if is_shared && says.len() == 1 {
                // Preparation has met it before.
                continue;
            }
            // A connection that is kept would end between two calls, sooner or later.
            let (times, life) = if is_shared { (1, "") } else { (3, ", connection = 'per-call'") };
            let lenient = format!("{life} }}, allow = {{ errors = true }}");
            let (ran, counts) = ran_odd(&url, (http2, &lenient), executor, times);
            let errors: u64 = ran.tallies.iter().map(|tally| tally.done.errors).sum();
            assert_eq!((ran.wrong(), errors), (None, times), "{executor} {http2} {said}");
            let counted = counts.get(&format!("errors: {name}"));
            assert_eq!(counted, Some(&times), "{said}, {executor} {http2}: {counts:?}");
        }
    }
}

/// A server that ends each connection after one answer, as one does that is restarted.
#[test]
fn a_connection_that_was_ended_is_opened_again_and_counted() {
    for method in ["GET", "POST"] {
        let own = EXECUTORS.map(|executor| (executor, "{}"));
        let shared = ASYNCHRONOUS.map(|executor| (executor, "{ connections = 1 }"));
        for (executor, http2) in own.into_iter().chain(shared) {
            let url = odd(vec![settings(), [ok(1), goaway(1, 0, b"")].concat()]);
            let more = format!(", method = '{method}' }}, expect = {{ bytes = 0 }}");
            let (ran, counts) = ran_odd(&url, (http2, &more), executor, 4);
            assert_eq!(ran.wrong(), None, "{executor} {http2} {method}");
            let found = ["connections opened", "connections reopened"].map(|key| counts[key]);
            assert_eq!(found, [4, 3], "{executor} {http2} {method}");
        }
    }
}

/// What the server has refused was not done, so that even a change goes again, on the connection that
/// stays.
#[test]
fn a_stream_that_was_refused_goes_again() {
    let own = EXECUTORS.map(|executor| (executor, "{}"));
    let shared = ASYNCHRONOUS.map(|executor| (executor, "{ connections = 1 }"));
    for (executor, http2) in own.into_iter().chain(shared) {
        let url = odd(vec![settings(), reset(1, 7), ok(3)]);
        let (ran, counts) = ran_odd(&url, (http2, ", method = 'POST' }"), executor, 1);
        assert_eq!(ran.wrong(), None, "{executor} {http2}");
        assert_eq!(counts["connections opened"], 1, "{executor} {http2}");
    }
}

/// A server that speaks TLS and these protocols, and answers nobody; its url.
fn encrypted(protocols: &[&str]) -> String {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(own.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = config
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key.into())
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut session = ServerConnection::new(config.clone()).unwrap();
            let _ = Stream::new(&mut session, &mut stream).read(&mut [0; 99]);
        }
    });
    url
}

#[test]
fn a_server_of_one_s_own_must_agree_to_http_2() {
    let scratch = tempfile::tempdir().unwrap();
    let run = |url: &str, executor: &str| {
        let target =
            format!("{{ http = {{ url = '{url}', http2 = {{}}, tls = {{ verify = 'none' }} }} }}");
        let target = start_target(&target, scratch.path()).unwrap();
        let step = "{ http = { target = 'api', path = '/' } }";
        let ran = Rig::new(&[step]).endpoint("api", target.endpoint()).run(executor, 2);
        (ran.wrong(), target.facts())
    };
    for executor in EXECUTORS {
        for protocols in [&[][..], &["http/1.1"]] {
            let (wrong, _) = run(&encrypted(protocols), executor);
            let wrong = wrong.unwrap();
            assert!(wrong.contains("does not agree to HTTP/2; let it (ALPN `h2`)"), "{wrong}");
        }
        let server = Served::start("{ tls = {} }");
        let url = format!("https://localhost:{}", server.endpoint.address.port());
        let (wrong, facts) = run(&url, executor);
        assert_eq!(wrong, None, "{executor}");
        let fact = |what: &str| facts.iter().find(|(label, _)| label.ends_with(what)).unwrap();
        assert_eq!(fact(": HTTP version").1, "HTTP/2, agreed upon by ALPN");
        assert!(fact(": HTTP/2 streams at once").1.starts_with("128 on a connection"));
        assert!(fact(": TLS").1.ends_with(", h2"), "{facts:?}");
        drop(server.control);
        let counts = server.thread.join().unwrap().unwrap().to_map();
        assert_eq!([counts["requests"], counts["requests over HTTP/2"]], [2, 2]);
    }
}

#[test]
fn what_does_not_go_over_http_2_is_refused_with_a_remedy() {
    let complaint = |http2: &str, more: &str| {
        let target = read_target(&format!("{{ http = {{ http2 = {http2} }} }}")).unwrap();
        read_step(&format!("{{ http = {{ target = 'api', path = '/'{more} }} }}"))
            .unwrap()
            .complaint(&target)
    };
    let (found, help) = complaint("{}", ", chunk = '4KiB'").unwrap();
    assert!(found.contains("into frames") && help.contains("remove `chunk`"), "{found}; {help}");
    let (found, help) = complaint("{ connections = 3 }", ", connection = 'per-call'").unwrap();
    assert!(found.contains("share the 3 HTTP/2") && help.contains("per-slot"), "{found}; {help}");
    assert_eq!(complaint("{}", ", connection = 'per-call'"), None);
    let te = errors_of("{ http = { target = 'api', path = '/', headers = { te = 'trailers' } } }");
    assert_eq!(te.len(), 1);
    for (wrong, said) in [
        ("{ connections = 0 }", "a whole number from 1 to 10000"),
        ("{ connections = 'one' }", "\"per-slot\""),
        ("{ streams = 0 }", "from 1 to 10000"),
    ] {
        let errors = read_target(&format!("{{ http = {{ http2 = {wrong} }} }}")).unwrap_err();
        assert!(errors.len() == 1 && errors[0].contains(said), "{wrong}: {errors:?}");
    }
    let errors = read_target("{ http = { url = 'http://h', http2 = { streams = 9 } } }");
    assert!(errors.unwrap_err()[0].contains("`streams` is about the embedded server"));
}

/// The host stands beside the path, the user's own in place of the url's, and the server counts the
/// path.
#[test]
fn one_s_own_host_takes_the_place_of_the_url_s() {
    for executor in EXECUTORS {
        let host = step(", headers = { Host = 'example.org', x-a = 'b' }");
        let (ran, counts) = Served::start("{ http2 = {} }").run(Rig::new(&[&host]), executor, 2);
        assert_eq!((ran.wrong(), counts["path /a/0"]), (None, 1), "{executor}");
        let wrong = step(", headers = { Host = 'a b' }");
        let (ran, _) = Served::start("{ http2 = {} }").run(Rig::new(&[&wrong]), executor, 1);
        assert!(ran.wrong().unwrap().contains("`Host` cannot be"), "{ran:?}");
    }
}
