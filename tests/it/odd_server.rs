//! Servers of HTTP whose connections live as a test wants: each test says what is done with one.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
};

/// What a server has seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Connections on which anything was asked.
    pub used: AtomicU64,
    /// Requests, received whole.
    pub requests: AtomicU64,
    /// Of them, those that change something: POST and PATCH.
    pub changes: AtomicU64,
    /// Connections with a change that the server has closed.
    pub closed: AtomicU64,
}

/// A connection as the server has it.
pub struct Talk {
    reader: BufReader<TcpStream>,
    /// What all connections have seen.
    pub seen: Arc<Seen>,
    /// Requests on this connection.
    pub requests: u64,
    /// The path of the last request.
    pub path: String,
    /// Whether the last request wants no body.
    head: bool,
    /// Whether the last request, or one before it, changes something.
    changes: bool,
    /// Whether it ends with a reset.
    resets: bool,
}

impl Talk {
    /// Reads a request to its end; false if there is none any more.
    pub fn next(&mut self) -> bool {
        let mut length = 0;
        let mut first = String::new();
        if self.reader.read_line(&mut first).unwrap_or(0) == 0 {
            return false;
        }
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).unwrap_or(0) == 0 {
                return false;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            length =
                line.strip_prefix("content-length: ").map_or(length, |text| text.parse().unwrap());
        }
        if self.reader.read_exact(&mut vec![0; length]).is_err() {
            return false;
        }
        self.seen.requests.fetch_add(1, SeqCst);
        self.seen.used.fetch_add(u64::from(self.requests == 0), SeqCst);
        let changes = ["POST", "PATCH"].iter().any(|method| first.starts_with(method));
        self.seen.changes.fetch_add(u64::from(changes), SeqCst);
        self.changes |= changes;
        self.head = first.starts_with("HEAD");
        self.requests += 1;
        self.path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        true
    }

    /// Sends these bytes; a client that is gone does not want them.
    pub fn send(&mut self, bytes: &str) {
        let _ = self.reader.get_mut().write_all(bytes.as_bytes());
    }

    /// Answers with five bytes and these headers.
    pub fn answer(&mut self, headers: &str) {
        let body = if self.head { "" } else { "hello" };
        self.send(&format!("HTTP/1.1 200 OK\r\n{headers}content-length: 5\r\n\r\n{body}"));
    }

    /// Resets the connection, instead of closing it in order.
    pub fn reset(mut self) {
        self.resets = true;
        rustix::net::sockopt::set_socket_linger(
            self.reader.get_ref(),
            Some(std::time::Duration::ZERO),
        )
        .unwrap();
    }
}

/// Closes the connection before anybody learns of it.
impl Drop for Talk {
    fn drop(&mut self) {
        if !self.resets {
            let _ = self.reader.get_ref().shutdown(Shutdown::Both);
        }
        self.seen.closed.fetch_add(u64::from(self.changes), SeqCst);
    }
}

/// The server, until the test ends.
pub struct OddServer {
    url: String,
    seen: Arc<Seen>,
}

impl OddServer {
    /// Serves every connection as `serve` says, all at once.
    pub fn start(serve: impl Fn(Talk) + Send + Sync + 'static) -> Self {
        let serve = Arc::new(serve);
        Self::listening(move |listener, seen| {
            for stream in listener.incoming().flatten() {
                let (serve, talk) = (serve.clone(), talk(stream, &seen));
                thread::spawn(move || serve(talk));
            }
        })
    }

    /// Serves one connection at a time: who comes next waits until the one before is closed.
    pub fn one_at_a_time(serve: impl Fn(Talk) + Send + 'static) -> Self {
        Self::listening(move |listener, seen| {
            listener.incoming().flatten().for_each(|stream| serve(talk(stream, &seen)));
        })
    }

    /// Serves so many connections, and listens no longer than that. The target takes one, to see
    /// that anybody listens.
    pub fn of_few(most: usize, serve: impl Fn(Talk) + Send + Sync + 'static) -> Self {
        let serve = Arc::new(serve);
        Self::listening(move |listener, seen| {
            for stream in listener.incoming().flatten().take(most) {
                let (serve, talk) = (serve.clone(), talk(stream, &seen));
                thread::spawn(move || serve(talk));
            }
        })
    }

    fn listening(accept: impl FnOnce(TcpListener, Arc<Seen>) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::<Seen>::default();
        let shared = seen.clone();
        thread::spawn(move || accept(listener, shared));
        Self { url, seen }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it has seen.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }
}

fn talk(stream: TcpStream, seen: &Arc<Seen>) -> Talk {
    stream.set_nodelay(true).unwrap();
    Talk {
        reader: BufReader::new(stream),
        seen: seen.clone(),
        requests: 0,
        path: String::new(),
        head: false,
        changes: false,
        resets: false,
    }
}
