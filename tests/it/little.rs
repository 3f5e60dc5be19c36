//! Little's law at a pool of connections for real: what a trial records as waits must be the queue
//! that somebody else sees.
//!
//! The gauge is in the semaphore of an executor that is otherwise as it is, so that nobody who
//! measures pays for it.

use std::{
    cell::RefCell,
    future::Future,
    io,
    marker::PhantomData,
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    task::Poll,
    time::{Duration, Instant},
};

use regatta::{
    measure::Measurements,
    runtime::{
        self, Coordination, Elapsed, ExecutorInfo, Facts, Io, Native, NativeTimers, NativeWork,
        Queue, Runtime, Semaphore, Setup, Visitor,
    },
    trial::{Answer, TrialPlan, child::run_on},
};

use crate::{lossy::only_trial, own_postgres};

const CLIENTS: u64 = 64;
/// How often preparation asks for a connection: once for all slots.
const PREPARED: u64 = 1;
const CONNECTIONS: usize = 4;
const CALLS: u64 = 1_000;

/// How many tasks wait, added up over time.
struct Gauge {
    waiting: u64,
    since: Instant,
    /// Number of waiting tasks times the seconds for which it was so.
    area_s: f64,
    /// Tasks that have asked for a permit so far.
    asked: u64,
}

impl Gauge {
    /// A task begins to wait, or has waited.
    fn note(&mut self, begins: bool) {
        let now = Instant::now();
        self.area_s += self.waiting as f64 * (now - self.since).as_secs_f64();
        self.since = now;
        if !begins {
            self.waiting -= 1;
            return;
        }
        self.waiting += 1;
        self.asked += 1;
        if self.asked == PREPARED + 1 {
            // Until here preparation has looked whether the statement can be prepared, which nobody
            // measures.
            assert_eq!(self.waiting, 1);
            self.area_s = 0.0;
        }
    }
}

thread_local! {
    /// The gauges of the semaphores that were made on this thread.
    static MADE: RefCell<Vec<Arc<Mutex<Gauge>>>> = const { RefCell::new(Vec::new()) };
}

/// The semaphore `S` with a gauge.
struct Gauged<S> {
    inner: S,
    gauge: Arc<Mutex<Gauge>>,
}

impl<S: Semaphore> Semaphore for Gauged<S> {
    const NAME: &'static str = S::NAME;
    const TURNS: &'static str = S::TURNS;

    fn new(permits: usize) -> Self {
        assert_eq!(permits, CONNECTIONS);
        let gauge = Gauge { waiting: 0, since: Instant::now(), area_s: 0.0, asked: 0 };
        let gauge = Arc::new(Mutex::new(gauge));
        MADE.with_borrow_mut(|made| made.push(gauge.clone()));
        Self { inner: S::new(permits), gauge }
    }

    async fn acquire(&self) {
        self.gauge.lock().unwrap().note(true);
        self.inner.acquire().await;
        self.gauge.lock().unwrap().note(false);
    }

    fn release(&self) {
        self.inner.release();
    }
}

/// The primitives `N` with a gauge in their semaphores.
struct GaugedNative<N>(PhantomData<fn() -> N>);

impl<N: Native> Coordination for GaugedNative<N> {
    type Semaphore = Gauged<N::Semaphore>;
    type Mutex = N::Mutex;
    type RwLock = N::RwLock;
    type Barrier = N::Barrier;
    type Event = N::Event;
    type Condition = N::Condition;
    type Channel = N::Channel;
}

impl<N: Native> Io for GaugedNative<N> {
    type Conn = N::Conn;

    fn connect(address: SocketAddr) -> impl Future<Output = io::Result<Self::Conn>> + Send {
        N::connect(address)
    }

    fn adopt(stream: TcpStream) -> io::Result<Self::Conn> {
        N::adopt(stream)
    }

    fn look<T>(poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
        N::look(poll)
    }

    fn begin() {
        N::begin();
    }
}

impl<N: Native> NativeTimers for GaugedNative<N> {
    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        N::sleep(time)
    }

    fn timeout<T>(
        limit: Duration,
        future: T,
    ) -> impl Future<Output = Result<T::Output, Elapsed>> + Send
    where
        T: Future + Send,
        T::Output: Send,
    {
        N::timeout(limit, future)
    }
}

impl<N: Native> NativeWork for GaugedNative<N> {
    fn yield_now() -> impl Future<Output = ()> + Send {
        N::yield_now()
    }

    fn unblock<T, W>(work: W) -> impl Future<Output = T> + Send
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
    {
        N::unblock(work)
    }
}

/// The executor `R` with these primitives.
#[derive(Clone)]
struct Watched<R>(R);

impl<R: Runtime> Runtime for Watched<R> {
    const INFO: ExecutorInfo = R::INFO;
    type Native = GaugedNative<R::Native>;
    type Join<T: Send + 'static> = R::Join<T>;

    fn start(setup: &Setup) -> io::Result<Self> {
        R::start(setup).map(Self)
    }

    fn block_on<T: Future>(&self, future: T) -> T::Output {
        self.0.block_on(future)
    }

    fn spawn<T>(&self, future: T) -> io::Result<Self::Join<T::Output>>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        self.0.spawn(future)
    }

    fn spawn_detached<T>(&self, future: T) -> io::Result<()>
    where
        T: Future<Output = ()> + Send + 'static,
    {
        self.0.spawn_detached(future)
    }

    fn queue(&self) -> Option<&Arc<Queue>> {
        self.0.queue()
    }

    fn facts(&self) -> Facts {
        self.0.facts()
    }

    fn stop(self) {
        self.0.stop();
    }
}

/// Races a plan on the executor that it names: what was measured, and what the gauge saw.
struct Race<'a>(&'a TrialPlan);

impl Visitor for Race<'_> {
    type Output = (Box<Measurements>, f64);

    fn visit<R: Runtime>(self) -> Self::Output {
        let measured =
            match run_on::<Watched<R>>(self.0, Path::new(env!("CARGO_BIN_EXE_regatta"))).answer {
                Answer::Measured(measured) => measured.loads[0].clone(),
                Answer::Failed(failure) => panic!("{failure:?}"),
            };
        let made = MADE.take();
        assert_eq!(made.len(), 1, "one pool for all tasks");
        let gauge = made[0].lock().unwrap();
        assert_eq!((gauge.waiting, gauge.asked), (0, PREPARED + CALLS));
        (Box::new(measured), gauge.area_s)
    }
}

/// A trial of 64 clients that share four connections.
fn scenario(executor: &str) -> String {
    format!(
        r#"
schema = 1
name = "little"
[run]
warmup = "0s"
timeout = "1h"
[executors]
use = ["{executor}"]
baseline = "{executor}"
[executors.thread-pool]
size = {CLIENTS}
[targets.db.sql]
url = "${{env:REGATTA_TEST_POSTGRES_URL}}"
schema = "regatta_it_little"
rows = 10
pool = {{ max = {CONNECTIONS} }}
[tasks.wait]
steps = [{{ sql = {{ target = "db", query = "SELECT pg_sleep(0.002)" }} }}]
[load.clients]
task = "wait"
closed = {{ concurrency = {CLIENTS}, tasks = {CALLS} }}
"#
    )
}

/// Both are about the same waits, however long they were: that they agree depends on no timing.
#[test]
fn waits_for_a_connection_are_the_queue_that_a_gauge_sees() {
    if own_postgres::shared().is_none() {
        return;
    }
    for executor in ["threads", "thread-pool", "tokio", "tokio-current-thread", "smol"] {
        let plan = only_trial(&scenario(executor));
        let (measured, area_s) = runtime::dispatch(executor, Race(&plan)).unwrap();
        let waits = &measured.steps.iter().find(|step| step.name == "db.pool-wait").unwrap().stream;
        assert_eq!((waits.count, waits.latency.count()), (CALLS, CALLS), "{executor}");
        // Arrivals a second times the mean wait, and the mean of the gauge.
        let window_s = measured.window_ns as f64 / 1e9;
        let by_histogram = CALLS as f64 / window_s * waits.latency.0.mean() / 1e9;
        let by_gauge = area_s / window_s;
        // Four connections are far too few, even where who has one takes it again and again, until
        // its calls are done.
        assert!(by_gauge > CLIENTS as f64 / 4.0, "{executor}: {by_gauge}");
        let off = by_histogram / by_gauge - 1.0;
        assert!(off.abs() < 0.01, "{executor}: histogram {by_histogram}, gauge {by_gauge}");
    }
}
