//! The hand-written HTTP loop: hyper, or for HTTP/2 the crate h2, on the executor's own stream and
//! tasks, and nothing of Regatta around it.

use std::{
    future::{Future, poll_fn},
    path::Path,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    thread,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Request,
    client::conn::http1::{Connection, SendRequest, handshake},
    header::{HOST, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use regatta::{
    client::{Https, Transport},
    clock, draw,
    measure::{ProcessSample, Watched},
    runtime::{self, Io, Runtime, Visitor},
    scenario::LoadKind,
    targets::{Start, http},
    trial::{TrialPlan, server::ProcessLauncher},
};
use tokio_rustls::client::TlsStream;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    hand_written_http2::Streams,
    support::{Sample, pin as pin_to},
};

/// Runs the plan's requests in this process.
pub fn run(plan: &TrialPlan) -> Sample {
    let scratch = tempfile::tempdir().unwrap();
    let launcher = ProcessLauncher {
        program: Path::new(env!("CARGO_BIN_EXE_regatta")),
        cpus: &plan.target_cpus,
        target: &plan.targets[0].spec,
        seed: 1,
    };
    let start = Start {
        name: "api",
        seed: 1,
        scratch: scratch.path(),
        launcher: &launcher,
        cpus: &[],
        prepares: true,
    };
    let target = plan.targets[0].spec.start(&start).unwrap();
    let endpoint = target.endpoint().downcast::<http::HttpEndpoint>().unwrap();
    pin_to(&plan.executor_cpus);
    let work = Work::new(plan, &endpoint);
    runtime::dispatch(&plan.executor, Loop { plan, work, target: target.watched().unwrap() })
        .unwrap()
}

/// What all clients share.
pub struct Work {
    host: HeaderValue,
    address: std::net::SocketAddr,
    /// Length and digest of the body.
    pub body: (usize, u64),
    /// Connections that are shared by all clients; none: each has its own, `is_http2` or not.
    shared: Option<usize>,
    is_http2: bool,
    https: Option<Https>,
    uri: hyper::Uri,
    clients: u64,
    /// Requests of all clients; none: until `window.1`.
    requests: Option<u64>,
    warmup_ns: u64,
    duration_ns: u64,
}

impl Work {
    fn new(plan: &TrialPlan, endpoint: &http::HttpEndpoint) -> Arc<Self> {
        let LoadKind::Closed { concurrency: clients, tasks: requests, .. } = plan.loads[0].kind
        else {
            panic!("a closed load")
        };
        let body = http::body(endpoint.embedded.as_ref().unwrap().0.body);
        Arc::new(Self {
            host: HeaderValue::from_str(&endpoint.host).unwrap(),
            address: endpoint.address,
            body: (body.len(), xxh3_64(&body)),
            shared: endpoint.http2.and_then(|http2| http2.shared()).map(std::num::NonZero::get),
            is_http2: endpoint.http2.is_some(),
            https: endpoint.tls.clone(),
            uri: format!("{}://{}/item", endpoint.scheme(), endpoint.host).parse().unwrap(),
            clients,
            requests,
            warmup_ns: plan.warmup.as_nanos() as u64,
            duration_ns: plan.duration.as_nanos() as u64,
        })
    }

    fn request(&self, id: u64) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.uri_mut() = hyper::Uri::from_static("/item");
        request.headers_mut().insert(HOST, self.host.clone());
        request
            .headers_mut()
            .insert(HeaderName::from_static(http::ID_HEADER), HeaderValue::from(id));
        request
    }

    /// The same for HTTP/2, where the host stands beside the path.
    pub fn request_on_stream(&self, id: u64) -> Request<()> {
        let mut request = Request::new(());
        *request.uri_mut() = self.uri.clone();
        request
            .headers_mut()
            .insert(HeaderName::from_static(http::ID_HEADER), HeaderValue::from(id));
        request
    }
}

/// A client's part: until when, or how many requests; and from when on they count.
#[derive(Clone, Copy)]
struct Part {
    window: (u64, u64),
    first_id: u64,
    requests: u64,
}

/// A connection, whatever is spoken on it.
enum Spoken<S: hyper::rt::Read + hyper::rt::Write + Unpin> {
    Lines(Box<Lines<S>>),
    Streams(Box<Streams<S>>),
}

/// A connection of HTTP/1.1 with its two ends.
struct Lines<S: hyper::rt::Read + hyper::rt::Write> {
    sender: SendRequest<Full<Bytes>>,
    driver: Connection<S, Full<Bytes>>,
}

/// A connection and what is asked for on it.
struct Client<S: hyper::rt::Read + hyper::rt::Write + Unpin> {
    spoken: Spoken<S>,
    work: Arc<Work>,
}

impl<S: hyper::rt::Read + hyper::rt::Write + Unpin> Client<S> {
    /// Sends requests one after another; returns itself and how many completed inside the window.
    async fn run(mut self, part: Part) -> (Self, u64) {
        let mut now_ns = clock::now_ns();
        let (mut sent, mut completed) = (0, 0);
        while now_ns < part.window.1 && sent < part.requests {
            self.get(draw::mix(7, part.first_id + sent)).await;
            sent += 1;
            now_ns = clock::now_ns();
            completed += u64::from((part.window.0..part.window.1).contains(&now_ns));
        }
        (self, completed)
    }

    async fn get(&mut self, id: u64) {
        match &mut self.spoken {
            Spoken::Lines(lines) => lines.get(id, &self.work).await,
            Spoken::Streams(streams) => streams.get(id, &self.work).await,
        }
    }
}

impl<S: hyper::rt::Read + hyper::rt::Write + Unpin> Lines<S> {
    async fn get(&mut self, id: u64, work: &Work) {
        let Self { sender, driver } = self;
        let exchange = async {
            sender.ready().await.unwrap();
            let response = sender.send_request(work.request(id)).await.unwrap();
            assert_eq!(response.status(), 200);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!((body.len(), xxh3_64(&body)), work.body);
        };
        let mut exchange = pin!(exchange);
        poll_fn(|context| {
            if exchange.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            assert!(
                Pin::new(&mut *driver).poll(context).is_pending(),
                "the server has closed the connection"
            );
            exchange.as_mut().poll(context)
        })
        .await;
    }
}

struct Loop<'a> {
    plan: &'a TrialPlan,
    work: Arc<Work>,
    target: Watched,
}

/// What requests go over: the executor's stream `C`, or the library of TLS over it.
trait Layer<C> {
    type Stream: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static;

    fn over(stream: C, work: &Work) -> impl Future<Output = Self::Stream> + Send;
}

struct AsIs;

impl<C: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static> Layer<C> for AsIs {
    type Stream = C;

    async fn over(stream: C, _: &Work) -> C {
        stream
    }
}

struct OverTls;

impl<C: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static> Layer<C> for OverTls {
    type Stream = Box<TokioIo<TlsStream<TokioIo<C>>>>;

    async fn over(stream: C, work: &Work) -> Self::Stream {
        match work.https.as_ref().unwrap().encrypt(stream).await.unwrap() {
            Transport::Tls(encrypted) => encrypted,
            Transport::Plain(_) => unreachable!("it was encrypted"),
        }
    }
}

/// CPU time of this process and of the target so far, in ns.
fn cpu_ns(target: &Watched) -> (u64, u64) {
    let own = ProcessSample::take();
    (own.cpu_user_ns + own.cpu_system_ns, target.times().unwrap().cpu_ns)
}

impl Visitor for Loop<'_> {
    type Output = Sample;

    fn visit<R: Runtime>(self) -> Sample {
        if self.work.https.is_some() { self.run::<R, OverTls>() } else { self.run::<R, AsIs>() }
    }
}

/// The executor's stream.
type Conn<R> = <<R as Runtime>::Native as Io>::Conn;

impl Loop<'_> {
    fn run<R: Runtime, L: Layer<Conn<R>>>(self) -> Sample {
        let runtime = R::start(&self.plan.setup).unwrap();
        let mut clients: Vec<_> = connect_all::<R, L>(&runtime, &self.work);
        let work = &self.work;
        let warmed_ns = clock::now_ns() + work.warmup_ns;
        let endless = Part { window: (0, warmed_ns), first_id: 1 << 40, requests: u64::MAX };
        let sample = if let Some(requests) = work.requests {
            all(&runtime, &mut clients, |_| endless);
            let before = cpu_ns(&self.target);
            let start_ns = clock::now_ns();
            let completed = all(&runtime, &mut clients, |at| {
                let extra = u64::from(at < requests % work.clients);
                Part {
                    window: (0, u64::MAX),
                    first_id: at << 32,
                    requests: requests / work.clients + extra,
                }
            });
            sample(completed, clock::now_ns() - start_ns, before, cpu_ns(&self.target))
        } else {
            let window = (warmed_ns, warmed_ns + work.duration_ns);
            thread::scope(|scope| {
                let edges = scope.spawn(|| {
                    pin_to(&self.plan.target_cpus);
                    clock::sleep_until(window.0);
                    let before = cpu_ns(&self.target);
                    clock::sleep_until(window.1);
                    (before, cpu_ns(&self.target))
                });
                let part = |at: u64| Part { window, first_id: at << 32, requests: u64::MAX };
                let completed = all(&runtime, &mut clients, part);
                let (before, after) = edges.join().unwrap();
                sample(completed, work.duration_ns, before, after)
            })
        };
        drop(clients);
        runtime.stop();
        sample
    }
}

fn sample(completed: u64, window_ns: u64, before: (u64, u64), after: (u64, u64)) -> Sample {
    let target_busy = Some((after.1 - before.1) as f64 / window_ns as f64);
    Sample { window_ns, completed, cpu_ns: after.0 - before.0, target_busy }
}

fn connect<R: Runtime, L: Layer<Conn<R>>>(runtime: &R, work: &Arc<Work>) -> Client<L::Stream> {
    let work = work.clone();
    let opened = runtime.spawn(async move {
        let stream = R::Native::connect(work.address).await.unwrap();
        let stream = L::over(stream, &work).await;
        let spoken = if work.is_http2 {
            Spoken::Streams(Box::new(Streams::open(stream).await))
        } else {
            let (sender, driver) = handshake(stream).await.unwrap();
            Spoken::Lines(Box::new(Lines { sender, driver }))
        };
        Client { spoken, work }
    });
    runtime.block_on(opened.unwrap())
}

/// A client's connection: its own, or one of a few that are each driven by a task.
fn connect_all<R: Runtime, L: Layer<Conn<R>>>(
    runtime: &R,
    work: &Arc<Work>,
) -> Vec<Client<L::Stream>> {
    let Some(shared) = work.shared else {
        return (0..work.clients).map(|_| connect::<R, L>(runtime, work)).collect();
    };
    let opened = (0..shared).map(|_| match connect::<R, L>(runtime, work).spoken {
        Spoken::Streams(mut streams) => {
            let driver = streams.take_driver();
            let drives = async move { drop(driver.await) };
            runtime.spawn_detached(drives).unwrap();
            streams
        }
        Spoken::Lines(_) => unreachable!("only HTTP/2 is shared"),
    });
    let opened: Vec<_> = opened.collect();
    let of = |at: u64| Client {
        spoken: Spoken::Streams(Box::new(opened[at as usize % shared].beside())),
        work: work.clone(),
    };
    (0..work.clients).map(of).collect()
}

/// Runs all clients at once; returns how many requests completed.
fn all<R: Runtime, S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static>(
    runtime: &R,
    clients: &mut Vec<Client<S>>,
    part: impl Fn(u64) -> Part,
) -> u64 {
    let running: Vec<_> = clients
        .drain(..)
        .enumerate()
        .map(|(at, client)| runtime.spawn(client.run(part(at as u64))).unwrap())
        .collect();
    runtime.block_on(async {
        let mut total = 0;
        for ended in running {
            let (client, completed) = ended.await;
            clients.push(client);
            total += completed;
        }
        total
    })
}
