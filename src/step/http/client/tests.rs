//! Encrypted connections and waits that are asked for, under every kind of executor: with the
//! embedded server in a thread of the test, and with those that are not who they should be.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    os::unix::net::UnixStream,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

use crate::{
    client::Trust,
    step::{
        Failure, OnTimeout,
        testing::{EXECUTORS, Ran, Rig, read_target, start_target},
    },
    targets::{
        TargetSpec,
        http::{ControlAnswer, HttpEndpoint, HttpTarget, ServedCounts, listen, serve},
    },
};

/// The embedded server in a thread, its place, and the certificate of its authority.
pub(in crate::step::http) struct Running {
    control: UnixStream,
    thread: JoinHandle<std::io::Result<ServedCounts>>,
    address: std::net::SocketAddr,
    authority: String,
    spec: HttpTarget,
}

impl Running {
    pub fn start(target: &str) -> Self {
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
        Self { control, thread, address, authority: authority.unwrap_or_default(), spec }
    }

    /// Who vouches for it.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    pub fn endpoint(&self) -> HttpEndpoint {
        let embedded = Some((self.spec.clone(), 7));
        HttpEndpoint::new(self.address, self.address.to_string(), String::new(), embedded)
    }

    /// Three calls of each of two slots.
    fn run(
        self,
        endpoint: HttpEndpoint,
        more: &str,
        executor: &str,
    ) -> (Ran, BTreeMap<String, u64>) {
        let step = format!("{{ http = {{ target = 'api', path = '/a', {more} }} }}");
        self.run_rig(Rig::new(&[&step]).slots(2), endpoint, executor, 3)
    }

    /// So many calls of each slot of a rig.
    pub fn run_rig(
        self,
        rig: Rig,
        endpoint: HttpEndpoint,
        executor: &str,
        times: u64,
    ) -> (Ran, BTreeMap<String, u64>) {
        let ran = rig.endpoint("api", Arc::new(endpoint)).run(executor, times);
        drop(self.control);
        (ran, self.thread.join().unwrap().unwrap().to_map())
    }
}

#[test]
fn each_connection_is_one_whole_handshake_and_the_server_says_so() {
    for executor in EXECUTORS {
        for (more, connections) in [
            ("connection = 'keep'", 2),
            ("connection = 'per-call'", 6),
            ("method = 'POST', body_size = '300KiB'", 2),
        ] {
            let server = Running::start("{ tls = {}, body = '300KiB' }");
            let trust = Trust::Text(server.authority.clone());
            let endpoint = server.endpoint().encrypted("127.0.0.1", &trust).unwrap();
            let agreed = endpoint.tls.clone().unwrap();
            let (ran, counts) = server.run(endpoint, more, executor);
            assert_eq!(ran.wrong(), None, "{executor} {more}");
            let found = ["connections", "TLS handshakes, full", "requests"].map(|key| counts[key]);
            assert_eq!(found, [connections, connections, 6], "{executor} {more}");
            let others =
                ["TLS handshakes, resumed", "TLS handshakes, failed"].map(|key| counts[key]);
            assert_eq!((others, counts["bytes sent"]), ([0, 0], 6 * 300 * 1024), "{executor}");
            assert_eq!(agreed.agreed(), Some("1.3, TLS13_AES_256_GCM_SHA384, http/1.1"));
        }
    }
}

/// How long two tasks take of three attempts each, all of them refused by the embedded server, and
/// how many requests it has seen.
fn refused_thrice(entry: &str, retry: &str, attempt: &str, executor: &str) -> (Duration, u64) {
    let server = Running::start(&format!("{{ status = [{{ status = 503{entry} }}] }}"));
    let endpoint = server.endpoint();
    let retry = format!("{{ retry = {{ task = 'attempt', attempts = 3, {retry} }} }}");
    let call = "{ http = { target = 'api', path = '/' }, allow = { status = 503 } }";
    // A wait that is not what it should be ends as a failure.
    let rig = Rig::new(&[&retry]).limited(Duration::from_secs(30), OnTimeout::Fail);
    let rig = rig.task("attempt", &[attempt]).task("call", &[call]);
    let began = crate::clock::now_ns();
    let (ran, counts) = server.run_rig(rig, endpoint, executor, 2);
    assert_eq!(ran.wrong(), None, "{executor} {entry} {retry}");
    assert!(ran.outcomes.iter().flatten().all(|done| done.errors > 0), "{:?}", ran.outcomes);
    assert_eq!(counts["status 503"], counts["requests"]);
    let took = Duration::from_nanos(crate::clock::now_ns() - began);
    (took, counts["requests"])
}

#[test]
fn a_retry_waits_as_long_as_an_answer_asks_for() {
    let (once, twice) = (
        "{ repeat = { task = 'call', times = 1 } }",
        "{ parallel = { task = 'call', count = 2 } }",
    );
    let tried = "{ retry = { task = 'call', attempts = 1 } }";
    let heeding =
        "{ retry = { task = 'call', attempts = 1, retry_after = true, longest_wait = '1h' } }";
    let asks = ", retry_after = '10ms'";
    let heeds = "retry_after = true, wait = '1h', longest_wait = '1h'";
    for executor in crate::runtime::EXECUTORS.iter().map(|executor| executor.name) {
        for (entry, retry, attempt, requests) in [
            (asks, heeds, once, 6),
            // Through those that run at once, and through another `retry` in between.
            (asks, heeds, twice, 12),
            (asks, heeds, tried, 6),
            (asks, heeds, heeding, 6),
            // Bounded by the step.
            (", retry_after = '24h'", "retry_after = true, longest_wait = '10ms'", once, 6),
            // Nothing is asked for, or nobody heeds it.
            ("", "retry_after = true, wait = '10ms', longest_wait = '1h'", once, 6),
            (", retry_after = '24h'", "wait = '10ms'", once, 6),
        ] {
            let (took, seen) = refused_thrice(entry, retry, attempt, executor);
            assert_eq!(seen, requests, "{executor} {entry} {retry} {attempt}");
            // Two waits of each task.
            assert!(took >= Duration::from_millis(40), "{executor} {entry} {retry}: {took:?}");
        }
    }
}

/// A wait that was asked for is forgotten with its attempt: the next one ends without an answer.
#[test]
fn what_an_answer_before_has_asked_for_holds_no_longer() {
    for executor in crate::runtime::EXECUTORS.iter().map(|executor| executor.name) {
        let server = Running::start("{ status = [{ status = 503, retry_after = '0s' }] }");
        let endpoint = server.endpoint();
        let choice = "{ choice = { of = [{ task = 'call' }, { task = 'late' }] } }";
        let call = "{ http = { target = 'api', path = '/' }, allow = { status = 503 } }";
        let retry = "{ retry = { task = 'attempt', attempts = 9, retry_after = true, wait = '10ms', longest_wait = '1h' } }";
        let rig = Rig::new(&[retry]).task("attempt", &[choice]).task("call", &[call]);
        let rig = rig
            .task("late", &["{ sleep = { time = '1h' } }"])
            .limited(Duration::from_micros(50), OnTimeout::Ignore);
        let began = crate::clock::now_ns();
        let (ran, counts) = server.run_rig(rig, endpoint, executor, 4);
        assert_eq!(ran.wrong(), None, "{executor}");
        let [_, _, calls, late] = ran.tallies[..] else { panic!("four steps") };
        assert_eq!((calls.ended + late.cancelled, counts["requests"]), (36, calls.ended));
        // Each attempt that was late is followed by the step's own wait, unless it is the last.
        let waits = late.cancelled.saturating_sub(4);
        assert!(waits > 4, "{waits}");
        let took = crate::clock::now_ns() - began;
        assert!(took >= waits * 10_000_000, "{executor}: {waits} waits in {took} ns");
    }
}

#[test]
fn encrypted_answers_are_as_late_as_they_are_to_be() {
    let server = Running::start("{ tls = {}, delay = '20ms' }");
    let trust = Trust::Text(server.authority.clone());
    let endpoint = server.endpoint().encrypted("localhost", &trust).unwrap();
    let began = crate::clock::now_ns();
    let (ran, _) = server.run(endpoint, "connection = 'per-call'", "threads");
    assert_eq!(ran.wrong(), None);
    assert!(crate::clock::now_ns() - began >= 60_000_000);
}

/// What is said of a server that is not as a client expects; it is the target's failure.
fn refused(target: &str, encrypted: Option<(&str, Trust)>, executor: &str) -> String {
    let server = Running::start(target);
    let endpoint = match encrypted {
        Some((host, Trust::Text(_))) => {
            let trust = Trust::Text(server.authority.clone());
            server.endpoint().encrypted(host, &trust)
        }
        Some((host, trust)) => server.endpoint().encrypted(host, &trust),
        None => Ok(server.endpoint()),
    };
    let (ran, counts) = server.run(endpoint.unwrap(), "connection = 'keep'", executor);
    assert_eq!(counts["requests"], 0);
    match ran.outcomes.into_iter().find_map(Result::err) {
        Some(Failure::Target(why) | Failure::Wrong(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// The certificate of an authority, as PEM.
fn authority(name: &str) -> String {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.distinguished_name.push(DnType::CommonName, name);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
}

#[test]
fn who_is_not_who_it_should_be_is_refused_with_a_remedy() {
    let (own, folder) = (|| Trust::Text(String::new()), tempfile::tempdir().unwrap());
    let stranger = folder.path().join("stranger.pem");
    std::fs::write(&stranger, authority("a stranger")).unwrap();
    let other = || Trust::File(stranger.clone());
    for executor in EXECUTORS {
        let why = refused("{ tls = {} }", Some(("else.where", own())), executor);
        assert!(why.contains("is not for `else.where` but for "), "{executor}: {why}");
        assert!(why.contains("name one of these hosts in the url"), "{executor}: {why}");
        let why = refused("{ tls = {} }", Some(("127.0.0.1", other())), executor);
        assert!(why.contains("nobody who is trusted has signed"), "{executor}: {why}");
        assert!(why.contains("tls = { ca = \"ca.pem\" }"), "{executor}: {why}");
        let why = refused("{}", Some(("127.0.0.1", Trust::Anybody)), executor);
        assert!(why.contains("speaks no TLS: write `http://` in the url"), "{executor}: {why}");
        let why = refused("{ tls = {} }", None, executor);
        assert!(
            why.contains("the server speaks TLS: write `https://` in the url"),
            "{executor}: {why}"
        );
    }
}

#[test]
fn a_server_of_one_s_own_is_trusted_by_the_file_that_is_named_or_unchecked() {
    let scratch = tempfile::tempdir().unwrap();
    for (checked, said) in [(true, "checked, by the authorities in "), (false, "NOT CHECKED")] {
        for executor in EXECUTORS {
            let server = Running::start("{ tls = {}, body = 64 }");
            let ca = scratch.path().join("ca.pem");
            std::fs::write(&ca, &server.authority).unwrap();
            let tls = if checked { format!("ca = {ca:?}") } else { "verify = 'none'".into() };
            let url = format!("https://localhost:{}", server.address.port());
            let target = format!("{{ http = {{ url = '{url}', tls = {{ {tls} }} }} }}");
            let target = start_target(&target, scratch.path()).unwrap();
            let step = "{ http = { target = 'api', path = '/a' }, expect = { bytes = 64 } }";
            let ran = Rig::new(&[step]).endpoint("api", target.endpoint()).run(executor, 3);
            assert_eq!(ran.wrong(), None, "{executor}");
            let facts = target.facts();
            assert!(facts.iter().any(|(_, fact)| fact.starts_with(said)), "{facts:?}");
            assert!(facts.iter().any(|(_, fact)| fact.starts_with("none is resumed")), "{facts:?}");
        }
    }
}
