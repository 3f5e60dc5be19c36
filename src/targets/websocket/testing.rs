//! The embedded server in a thread of a test.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use super::{WebSocketEndpoint, WebSocketTarget, endpoint::proof, server};
use crate::{
    client::Trust,
    targets::http::{ControlAnswer, HttpTls, listen},
};

/// A running server, the test's end of its control, and its endpoint.
pub(crate) struct TestServer {
    control: BufReader<UnixStream>,
    thread: Option<JoinHandle<io::Result<()>>>,
    pub endpoint: Arc<WebSocketEndpoint>,
}

impl TestServer {
    /// Starts it.
    pub fn start(is_encrypted: bool) -> Self {
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        // A server that hangs fails the test instead of hanging it.
        near.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let output = far.try_clone().unwrap();
        let tls = is_encrypted.then(HttpTls::default);
        let spec = WebSocketTarget { url: None, tls };
        let thread = std::thread::spawn(move || server::serve(&spec, listener, far, output));
        let mut control = BufReader::new(near);
        let ControlAnswer::Ready { address, authority } = answer(&mut control) else {
            panic!("not ready")
        };
        let endpoint =
            WebSocketEndpoint::new(address, address.to_string(), super::ECHO_PATH.into(), true);
        let endpoint = match authority {
            Some(text) => endpoint.encrypted("127.0.0.1", &Trust::Text(text)).unwrap(),
            None => endpoint,
        };
        Self { control, thread: Some(thread), endpoint: Arc::new(endpoint) }
    }

    /// Its counts.
    pub fn counts(&mut self) -> BTreeMap<String, u64> {
        self.control.get_mut().write_all(b"counts\n").unwrap();
        let ControlAnswer::Counts(counts) = answer(&mut self.control) else { panic!("no counts") };
        counts
    }

    /// What does not hold, when the server has seen all that it will.
    pub fn unproven(&mut self) -> Vec<String> {
        let mut unproven = Vec::new();
        for _ in 0..10_000 {
            let counts = self.counts();
            let lines = proof("ws", &self.endpoint, &counts).into_iter();
            let wrong = lines.filter(|line| line.expected != line.found);
            unproven = wrong.map(|line| format!("{line:?}")).collect();
            if unproven.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        unproven
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.control.get_mut().write_all(b"stop\n");
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(std::thread::panicking() || ended.is_ok_and(|ended| ended.is_ok()));
        }
    }
}

fn answer(control: &mut BufReader<UnixStream>) -> ControlAnswer {
    let mut line = String::new();
    control.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}
