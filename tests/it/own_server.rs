//! A server of the user's own, which behaves as a test wants: it answers, keeps silent, closes, or
//! talks nonsense.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
};

use crate::bench_dir::wait_for;

/// What the server does with a request.
#[derive(Debug, Clone, Copy)]
pub enum Reply {
    /// 200 and five bytes.
    Fine,
    /// Another status and the same bytes.
    Status(u16),
    /// The same as [`Reply::Fine`], once the gate is opened.
    Hold,
    /// The connection is closed.
    Close,
    /// The connection is closed in the middle of the answer, so that nothing is sent again.
    CutOff,
    /// Something that is no HTTP.
    Nonsense,
}

#[derive(Default)]
struct State {
    requests: AtomicU64,
    held: AtomicU64,
    open: Mutex<bool>,
    opened: Condvar,
}

/// The server, until the test ends.
pub struct OwnServer {
    url: String,
    state: Arc<State>,
}

impl OwnServer {
    /// Listens, and answers request number n (from 0, over all connections) as `reply` says.
    pub fn start(reply: impl Fn(u64) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<State> = Arc::default();
        let (shared, reply) = (state.clone(), Arc::new(reply));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, reply) = (shared.clone(), reply.clone());
                thread::spawn(move || talk(&stream, &shared, &*reply));
            }
        });
        Self { url, state }
    }

    /// One that answers `fine` requests and then holds all others until the gate is opened.
    pub fn gated(fine: u64) -> Self {
        Self::start(move |request| if request < fine { Reply::Fine } else { Reply::Hold })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until a request is held: from then on the trial that made it cannot go on by itself.
    pub fn wait_until_held(&self) {
        wait_for("a held request", || (self.state.held.load(SeqCst) > 0).then_some(()));
    }

    /// Answers everything that is held, and holds nothing from now on.
    pub fn open(&self) {
        *self.state.open.lock().unwrap() = true;
        self.state.opened.notify_all();
    }
}

fn talk(stream: &TcpStream, state: &State, reply: &dyn Fn(u64) -> Reply) {
    let mut lines = BufReader::new(stream).lines();
    loop {
        // A request without a body ends with an empty line.
        loop {
            match lines.next() {
                Some(Ok(line)) if line.is_empty() => break,
                Some(Ok(_)) => {}
                _ => return,
            }
        }
        let answer = match reply(state.requests.fetch_add(1, SeqCst)) {
            Reply::Fine => answer(200),
            Reply::Status(status) => answer(status),
            Reply::Nonsense => "SSH-2.0-nonsense\r\n\r\n".into(),
            Reply::Close => return,
            Reply::CutOff => {
                // Whether or not somebody reads it, that is all.
                let _ = { stream }.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 5\r\n\r\nhe");
                return;
            }
            Reply::Hold => {
                state.held.fetch_add(1, SeqCst);
                let open = state.open.lock().unwrap();
                drop(state.opened.wait_while(open, |open| !*open).unwrap());
                answer(200)
            }
        };
        let mut out = stream;
        if out.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn answer(status: u16) -> String {
    format!("HTTP/1.1 {status} X\r\ncontent-length: 5\r\n\r\nhello")
}
