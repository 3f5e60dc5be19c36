//! The hand-written WebSocket loop: tokio-tungstenite's way over the same library of frames, tokio's
//! own stream and tasks, and nothing of Regatta around it.

use std::{
    io,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use regatta::{
    clock,
    measure::{ProcessSample, Watched},
    scenario::LoadKind,
    targets::{Start, websocket::WebSocketEndpoint},
    trial::{TrialPlan, server::ProcessLauncher},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
};
use tungstenite::{
    Error, Message,
    protocol::{Role, WebSocketConfig, WebSocketContext},
};

use crate::{
    SIZE,
    support::{Sample, pin as pin_to},
};

/// Runs the plan's messages in this process.
pub fn run(plan: &TrialPlan) -> Sample {
    let scratch = tempfile::tempdir().unwrap();
    let launcher = ProcessLauncher {
        program: Path::new(env!("CARGO_BIN_EXE_regatta")),
        cpus: &plan.target_cpus,
        target: &plan.targets[0].spec,
        seed: 1,
    };
    let start = Start {
        name: "ws",
        seed: 1,
        scratch: scratch.path(),
        launcher: &launcher,
        cpus: &[],
        prepares: true,
    };
    let target = plan.targets[0].spec.start(&start).unwrap();
    let endpoint = target.endpoint().downcast::<WebSocketEndpoint>().unwrap();
    pin_to(&plan.executor_cpus);
    let LoadKind::Closed { concurrency, tasks, .. } = plan.loads[0].kind else {
        panic!("a closed load")
    };
    let runtime = match plan.executor.as_str() {
        "tokio" => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(plan.setup.workers)
            .enable_all()
            .build(),
        _ => tokio::runtime::Builder::new_current_thread().enable_all().build(),
    };
    let runtime = runtime.unwrap();
    let warmed_ns = clock::now_ns() + plan.warmup.as_nanos() as u64;
    let window = (warmed_ns, warmed_ns + plan.duration.as_nanos() as u64);
    let each = tasks.map_or(u64::MAX, |tasks| tasks / concurrency);
    let edges = std::thread::spawn({
        let (target, cpus) = (target.watched().unwrap(), plan.target_cpus.clone());
        move || {
            pin_to(&cpus);
            clock::sleep_until(window.0);
            let before = cpu_ns(&target);
            clock::sleep_until(window.1);
            (before, cpu_ns(&target))
        }
    });
    let completed = runtime.block_on(async {
        let clients: Vec<_> = (0..concurrency)
            .map(|at| tokio::spawn(client(endpoint.address, at, window, each)))
            .collect();
        let mut completed = 0;
        for client in clients {
            completed += client.await.unwrap();
        }
        completed
    });
    let (before, after) = edges.join().unwrap();
    let window_ns = window.1 - window.0;
    let target_busy = Some((after.1 - before.1) as f64 / window_ns as f64);
    Sample { window_ns, completed, cpu_ns: after.0 - before.0, target_busy }
}

/// CPU time of this process and of the target so far, in ns.
fn cpu_ns(target: &Watched) -> (u64, u64) {
    let own = ProcessSample::take();
    (own.cpu_user_ns + own.cpu_system_ns, target.times().unwrap().cpu_ns)
}

/// Sends messages one after another; how many came back inside the window.
async fn client(address: std::net::SocketAddr, at: u64, window: (u64, u64), messages: u64) -> u64 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    upgrade(&mut stream, address).await;
    let config = WebSocketConfig::default().read_buffer_size(8 << 10);
    let mut context = WebSocketContext::new(Role::Client, Some(config));
    let body = regatta::targets::http::body(SIZE);
    let (mut sent, mut completed) = (0, 0);
    while sent < messages {
        let mut bytes = body.clone();
        bytes[..8].copy_from_slice(&(at << 32 | sent).to_be_bytes());
        let bytes = Bytes::from(bytes);
        let back = echo(&mut context, &mut stream, bytes.clone()).await;
        assert_eq!(back, bytes);
        sent += 1;
        let now_ns = clock::now_ns();
        completed += u64::from((window.0..window.1).contains(&now_ns));
        if now_ns >= window.1 {
            break;
        }
    }
    completed
}

async fn upgrade(stream: &mut TcpStream, address: std::net::SocketAddr) {
    let request = format!(
        "GET /echo HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
}

async fn echo(context: &mut WebSocketContext, stream: &mut TcpStream, bytes: Bytes) -> Bytes {
    let mut next = Some(Message::Binary(bytes));
    let mut unflushed = true;
    std::future::poll_fn(|polled| {
        let mut stream = Polled { stream, context: polled };
        if let Some(message) = next.take() {
            is_done(context.write(&mut stream, message));
        }
        if unflushed {
            unflushed = !is_done(context.flush(&mut stream));
        }
        match context.read(&mut stream) {
            Ok(Message::Binary(back)) => Poll::Ready(back),
            Err(Error::Io(why)) if why.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            other => panic!("{other:?}"),
        }
    })
    .await
}

fn is_done(written: Result<(), Error>) -> bool {
    match written {
        Ok(()) => true,
        Err(Error::Io(why)) if why.kind() == io::ErrorKind::WouldBlock => false,
        Err(why) => panic!("{why}"),
    }
}

/// A stream for the length of one poll, as tokio-tungstenite has it.
struct Polled<'a, 'w> {
    stream: &'a mut TcpStream,
    context: &'a mut Context<'w>,
}

fn now<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl io::Read for Polled<'_, '_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let mut room = ReadBuf::new(room);
        now(Pin::new(&mut *self.stream).poll_read(self.context, &mut room))?;
        Ok(room.filled().len())
    }
}

impl io::Write for Polled<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        now(Pin::new(&mut *self.stream).poll_write(self.context, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        now(Pin::new(&mut *self.stream).poll_flush(self.context))
    }
}
