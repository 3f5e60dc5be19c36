//! Encrypted connections, under every kind of executor: to the embedded server in a thread of the
//! test, and to those that are not who they should be.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    os::unix::net::UnixStream,
    sync::Arc,
    thread::{self, JoinHandle},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

use crate::{
    client::Trust,
    step::{
        Failure,
        testing::{EXECUTORS, Ran, Rig, read_target, start_target},
    },
    targets::{
        TargetSpec,
        http::{ControlAnswer, HttpEndpoint, HttpTarget, ServedCounts, listen, serve},
    },
};

/// The embedded server in a thread, its place, and the certificate of its authority.
struct Running {
    control: UnixStream,
    thread: JoinHandle<std::io::Result<ServedCounts>>,
    address: std::net::SocketAddr,
    authority: String,
    spec: HttpTarget,
}

impl Running {
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
        Self { control, thread, address, authority: authority.unwrap_or_default(), spec }
    }

    fn endpoint(&self) -> HttpEndpoint {
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
        let ran = Rig::new(&[&step]).slots(2).endpoint("api", Arc::new(endpoint)).run(executor, 3);
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
