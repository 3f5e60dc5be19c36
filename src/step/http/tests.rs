//! Odd servers, under every kind of executor: what they do has a name, a cause and a remedy, and is
//! counted as that.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::net::sockopt::set_socket_linger;
use sha2::Digest as _;

use crate::step::{
    Failure, StepSpec,
    testing::{EXECUTORS, Ran, Rig, errors_of, read_step, start_target},
};

/// What a server does once it has read a request.
#[derive(Clone)]
pub(super) enum Does {
    /// Sends this, and closes.
    Sends(Vec<u8>),
    /// Sends the first to the first one who asks, and so on; the last to all who come then.
    Changes(Vec<Vec<u8>>),
    /// Resets the connection after it has sent this.
    Resets,
}

/// A server that does the same with every connection; its url.
pub(super) fn server(does: Does) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let does = Arc::new((does, AtomicUsize::new(0)));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let does = does.clone();
            thread::spawn(move || {
                let mut lines = BufReader::new(&stream).lines();
                // A connection without a request is only a look whether somebody is there.
                if !lines.by_ref().map_while(Result::ok).any(|line: String| line.is_empty()) {
                    return;
                }
                let (does, asked) = &*does;
                match does {
                    // A client that has read enough does not take the rest.
                    Does::Sends(bytes) => drop((&stream).write_all(bytes)),
                    Does::Changes(all) => {
                        let at = asked.fetch_add(1, Ordering::Relaxed).min(all.len() - 1);
                        drop((&stream).write_all(&all[at]));
                    }
                    Does::Resets => set_socket_linger(&stream, Some(Duration::ZERO)).unwrap(),
                }
            });
        }
    });
    url
}

/// Whose failure it is.
type Class = fn(String) -> Failure;

pub(super) fn sends(bytes: impl AsRef<[u8]>) -> Does {
    Does::Sends(bytes.as_ref().to_vec())
}

/// Three calls under an executor, and what the target counted.
fn ran(does: &Does, rest: &str, executor: &str) -> (Ran, BTreeMap<String, u64>) {
    let step = format!(
        "{{ http = {{ target = \"api\", path = \"/\", connection = \"per-call\" }}{rest} }}"
    );
    ran_step(does, &step, executor)
}

/// The same of a step as it is written.
fn ran_step(does: &Does, step: &str, executor: &str) -> (Ran, BTreeMap<String, u64>) {
    let scratch = tempfile::tempdir().unwrap();
    let url = server(does.clone());
    let mut target =
        start_target(&format!("{{ http = {{ url = \"{url}\" }} }}"), scratch.path()).unwrap();
    let ran = Rig::new(&[step]).endpoint("api", target.endpoint()).run(executor, 3);
    (ran, target.report().unwrap().counts)
}

fn sha256_of(bytes: &[u8]) -> String {
    super::expect::hex(&sha2::Sha256::digest(bytes).into())
}

/// An answer whose head has this after its status line.
pub(super) fn answer(head: &str, body: &str) -> Does {
    sends(format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}"))
}

fn fields(number: usize) -> String {
    (0..number).fold(String::new(), |text, at| text + &format!("X-H{at}: v\r\n"))
}

/// Ways to give no answer, each with the class of its failure, its name, and some of its words.
fn ways_to_give_no_answer() -> [(Does, Class, &'static str, &'static str); 14] {
    let chunked = "Transfer-Encoding: chunked\r\n";
    let settings = b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80";
    let (failed, wrong): (Class, Class) = (Failure::Target, Failure::Wrong);
    [
        (
            sends(""),
            failed,
            "closed",
            "closed the connection and did not answer; if that may happen: `allow",
        ),
        (Does::Resets, failed, "reset", "the server reset the connection and did not answer"),
        (sends("HTTP/1.1 200 OK\r\nConte"), failed, "cut off", "after 22 bytes of its head"),
        (answer("Content-Length: 12\r\n", "Hello"), failed, "cut off", "after 5 bytes of its body"),
        (answer(chunked, "5\r\nHello\r\n"), failed, "cut off", "after 5 bytes of its body"),
        (
            answer(chunked, "5\r\nHello\r\nzz\r\n"),
            wrong,
            "protocol",
            "not sent as HTTP/1.1 demands, after 5 bytes",
        ),
        (
            answer("Content-Length: 5\r\nContent-Length: 6\r\n", "Hello"),
            wrong,
            "protocol",
            "content-length",
        ),
        (
            answer("no field\r\n", ""),
            wrong,
            "protocol",
            "in the line `no field`; correct the server",
        ),
        (
            sends("220 mail ESMTP\r\n"),
            wrong,
            "protocol",
            "invalid HTTP: the answer begins with `220 mail ESMTP",
        ),
        (sends(b"\x15\x03\x01\0\x02\x02\x46"), wrong, "protocol", "the server speaks TLS"),
        (sends(settings), wrong, "protocol", "speaks HTTP/2 and not HTTP/1.1"),
        (answer(&fields(1001), ""), wrong, "oversized", "more than 1000 fields"),
        (
            answer(&format!("A: {}\r\n", "a".repeat(3_000_000)), ""),
            wrong,
            "oversized",
            "the answer's head is longer than",
        ),
        (sends("HTTP/1.1 2x0 OK\r\n\r\n"), wrong, "protocol", "in the line `HTTP/1.1 2x0 OK`"),
    ]
}

#[test]
fn each_way_to_give_no_answer_has_its_words_its_class_and_its_name() {
    for (does, class, name, said) in ways_to_give_no_answer() {
        for executor in EXECUTORS {
            let (ran, _) = ran_strict(&does, executor);
            let Some(Err(failure)) = ran.outcomes.first() else {
                panic!("{said}, {executor}: {ran:?}")
            };
            let words = failure.to_string();
            assert_eq!(*failure, class(words.clone()), "{executor}");
            assert!(words.contains(said), "`{said}` is not said under {executor}: {words}");
            assert!(!words.contains("still running"), "{words}");
            let (ran, counts) = ran_lenient(&does, executor);
            let errors: u64 = ran.tallies.iter().map(|tally| tally.done.errors).sum();
            assert_eq!((ran.wrong(), errors), (None, 3), "{executor}");
            assert_eq!(
                counts.get(&format!("errors: {name}")),
                Some(&3),
                "{said}, {executor}: {counts:?}"
            );
        }
    }
}

fn ran_strict(does: &Does, executor: &str) -> (Ran, BTreeMap<String, u64>) {
    ran(does, "", executor)
}

fn ran_lenient(does: &Does, executor: &str) -> (Ran, BTreeMap<String, u64>) {
    ran(does, ", allow = { errors = true }", executor)
}

#[test]
fn many_fields_and_folded_ones_are_answers() {
    for head in [fields(120), fields(900), "X-Long: a\r\n b\r\n\tc\r\n".to_owned()] {
        let does = answer(&format!("{head}Content-Length: 5\r\n"), "Hello");
        for executor in EXECUTORS {
            let (ran, _) = ran(&does, ", expect = { bytes = 5 }", executor);
            assert_eq!((ran.wrong(), ran.outcomes.len()), (None, 3), "{executor}");
        }
    }
}

#[test]
fn a_body_is_read_in_chunks_and_has_the_digest_of_the_whole() {
    let length = (2 << 20) + 13;
    let body = String::from_utf8(crate::targets::http::body(length)).unwrap();
    let does = answer(&format!("Content-Length: {length}\r\n"), &body);
    let sha256 = sha256_of(body.as_bytes());
    let wrong = "0".repeat(64);
    for executor in EXECUTORS {
        for chunk in ["1KiB", "64KiB", "16MiB"] {
            let step = |sha256: &str| {
                format!(
                    "{{ http = {{ target = \"api\", path = \"/\", chunk = \"{chunk}\", connection = \"per-call\" }}, \
                     expect = {{ bytes = {length}, sha256 = \"{sha256}\" }} }}"
                )
            };
            let right = ran_step(&does, &step(&sha256), executor).0;
            assert_eq!(right.wrong(), None, "{executor} {chunk}");
            assert_eq!(right.tallies[0].done.received, 3 * length, "{executor} {chunk}");
            let wrong = ran_step(&does, &step(&wrong), executor).0.wrong();
            assert!(wrong.is_some_and(|why| why.contains("SHA-256")), "{executor} {chunk}");
        }
    }
}

#[test]
fn a_body_that_comes_in_other_bytes_of_the_same_length_is_found_wherever_it_is() {
    // The server changes with each connection: the first one is preparation's.
    let length = 300_000_usize;
    let bytes = crate::targets::http::body(length as u64);
    let sha256 = sha256_of(&bytes);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let right = [head.as_bytes(), &bytes].concat();
    let step = format!(
        "{{ http = {{ target = \"api\", path = \"/\", chunk = \"4KiB\", connection = \"per-call\" }}, \
         expect = {{ sha256 = \"{sha256}\" }} }}"
    );
    for (executor, at) in
        EXECUTORS.into_iter().zip([0, 4096, length / 2, length - 1].into_iter().cycle())
    {
        let mut other = right.clone();
        other[head.len() + at] ^= 1;
        let does = Does::Changes(vec![right.clone(), other]);
        let wrong = ran_step(&does, &step, executor).0.wrong().unwrap();
        assert!(wrong.contains("is not the one that the server has sent"), "{executor}: {wrong}");
    }
}

#[test]
fn a_head_that_does_not_fit_into_a_chunk_says_so() {
    let does = answer(&format!("A: {}\r\nContent-Length: 0\r\n", "a".repeat(5_000)), "");
    let step = |chunk: &str| {
        format!(
            "{{ http = {{ target = \"api\", path = \"/\", chunk = \"{chunk}\", connection = \"per-call\" }} }}"
        )
    };
    for executor in EXECUTORS {
        let wrong = ran_step(&does, &step("4KiB"), executor).0.wrong().unwrap();
        assert!(wrong.contains("or write a larger `chunk`"), "{executor}: {wrong}");
        assert_eq!(ran_step(&does, &step("8KiB"), executor).0.wrong(), None, "{executor}");
    }
    for chunk in ["1023", "17MiB", "0"] {
        let wrong = errors_of(&step(chunk));
        assert!(wrong.len() == 1 && wrong[0].contains("from 1KiB to 16MiB"), "{chunk}: {wrong:?}");
    }
}

#[test]
fn calls_that_never_connected_are_counted_apart() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    for executor in EXECUTORS {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = format!("http://{}", socket.local_addr().unwrap());
        let mut target =
            start_target(&format!("{{ http = {{ url = \"{own}\" }} }}"), scratch.path()).unwrap();
        // From now on nobody listens.
        drop(socket);
        let step = "{ http = { target = \"api\", path = \"/\", connection = \"per-call\" }, allow = { errors = true } }";
        let ran = Rig::new(&[step]).endpoint("api", target.endpoint()).slots(2).run(executor, 5);
        assert_eq!(ran.wrong(), None, "{executor}");
        let report = target.report().unwrap();
        assert_eq!((report.unanswered.unconnected, report.unanswered.lost), (10, 0), "{executor}");
        assert_eq!(report.counts.get("errors: refused"), Some(&10), "{executor}");
        let gone = target.answers().unwrap_err().to_string();
        assert!(gone.contains("any more") && gone.contains("start the server again"), "{gone}");
    }
    assert!(
        start_target(&format!("{{ http = {{ url = \"{url}\" }} }}"), scratch.path())
            .unwrap()
            .answers()
            .is_ok()
    );
}

#[test]
fn a_host_of_one_s_own_is_sent_once() {
    for name in ["host", "Host", "HOST"] {
        let endpoint = crate::targets::http::HttpEndpoint::new(
            ([127, 0, 0, 1], 1).into(),
            "own:1".into(),
            String::new(),
            None,
        );
        let text = format!(
            "{{ http = {{ target = \"api\", path = \"/\", headers = {{ {name} = \"shop.example\" }} }} }}"
        );
        let StepSpec::Http(spec) = crate::step::testing::read_step(&text).unwrap() else {
            panic!()
        };
        let shared = super::HttpShared::new(&spec, Arc::new(endpoint), 1, Arc::default()).unwrap();
        let (request, _) =
            shared.request(&crate::step::Call::default(), &mut String::new()).unwrap();
        let hosts: Vec<_> = request.headers().get_all(hyper::header::HOST).iter().collect();
        assert_eq!(hosts, ["shop.example"], "{name}");
    }
}

#[test]
fn a_path_that_grows_too_long_says_so() {
    let base = "a".repeat(super::headers::LONGEST_PATH - 8);
    let endpoint = crate::targets::http::HttpEndpoint::new(
        ([127, 0, 0, 1], 1).into(),
        "own:1".into(),
        String::new(),
        None,
    );
    let text = format!("{{ http = {{ target = \"api\", path = \"/{base}${{i}}\" }} }}");
    let StepSpec::Http(spec) = crate::step::testing::read_step(&text).unwrap() else { panic!() };
    let shared = super::HttpShared::new(&spec, Arc::new(endpoint), 1, Arc::default()).unwrap();
    let of = |task| {
        shared
            .request(&crate::step::Call { task, ..Default::default() }, &mut String::new())
            .map(drop)
    };
    assert_eq!(of(1_234_567), Ok(()));
    let wrong = of(12_345_678).unwrap_err();
    assert!(wrong.contains("65535 bytes, and at most 65534"), "{wrong}");
}

#[test]
fn what_was_told_is_heard() {
    let text = "{ http = { target = 'api', path = '/x/${i}', method = 'POST', body_size = '2KiB', \
                connection = 'per-call', headers = { a = 'b-${j}' } }, expect = { status = [200, 201] }, \
                allow = { status = 503 } }";
    let spec = read_step(text).expect("reads");
    let told = spec.told().expect("there are words for it");
    let heard = StepSpec::heard(&told).expect("it is understood");
    let stored = |spec: &StepSpec| serde_json::to_value(spec).expect("is stored");
    assert_eq!(stored(&heard), stored(&spec));
    for verb in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
        let text = format!("{{ http = {{ target = 'api', path = '/', method = '{verb}' }} }}");
        let spec = read_step(&text).expect("reads");
        let heard = spec.told().and_then(|told| StepSpec::heard(&told)).expect("is understood");
        assert_eq!(stored(&heard), stored(&spec));
    }
}

#[test]
fn what_there_are_no_words_for_is_named() {
    for (more, said) in [
        ("path = '/${uniform(1,9)}' }", "`${uniform(1,9)}`"),
        ("path = '/', headers = { a = '${env:TOKEN}' } }", "`${env:TOKEN}`"),
        ("path = '/', chunk = '4KiB' }", "`chunk`"),
        ("path = '/' }, allow = { errors = true }", "`allow = { errors = true }`"),
    ] {
        let spec = read_step(&format!("{{ http = {{ target = 'api', {more} }}")).expect("reads");
        let why = spec.told().expect_err("has no words");
        assert!(why.contains(said), "{why}");
    }
}
