//! Executors that cheat. Each is an honest one with a fault put in, raced through the library; the
//! proof must find the fault, whatever the figures look like.

use std::{
    any::Any,
    future::Future,
    io,
    marker::PhantomData,
    net::{SocketAddr, TcpStream},
    path::Path,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use regatta::{
    limits::Limits,
    plan::{Machine, Plan},
    runtime::{
        self, Coordination, Elapsed, ExecutorInfo, Facts, Io, Native, NativeTimers, NativeWork,
        Queue, Runtime, Setup, Tickets, Visitor,
    },
    scenario::{Overrides, from_text},
    step::{ChildEnd, Done, Sequence},
    store::FailureKind,
    trial::{Answer, TrialPlan, allowed_cpus, child::run_on},
};

use super::lossy_shared::{
    FaultyBarrier, FaultyChannel, FaultyCondition, FaultyEvent, FaultyMutex, FaultyRwLock,
    FaultySemaphore,
};

/// What is wrong with an executor.
///
/// It is a value and no type: all of Regatta is compiled once for each executor behind this wrapper,
/// and not once for each fault. So one race runs at a time, and what it runs looks the fault up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Honest,
    /// It throws a waiting task away with each worker that it starts.
    LosesTasks,
    /// Its timer does not wait.
    NeverSleeps,
    /// Every tenth request is not sent: the last answer is given again.
    RepeatsAnswers,
    /// What has a time limit is given up at once.
    HasNoPatience,
    /// Its semaphores have one permit more than they should.
    GrantsOneMore,
    /// Its mutexes let two tasks in.
    LetsTwoIn,
    /// Its read-write locks take every hundredth writer for a reader.
    TakesWritersForReaders,
    /// Its barriers wait for one fewer than they should.
    MissesOne,
    /// Its events let every hundredth waiter go on at once.
    DoesNotWait,
    /// Its conditions lose every thousandth ticket.
    LosesTickets,
    /// Its conditions give every thousandth ticket twice.
    RepeatsTickets,
    /// Its queues lose every thousandth item.
    LosesItems,
    /// Its queues give every thousandth item twice, and lose the one after it.
    RepeatsItems,
    /// Of the children that it starts, it says of this one, counted from 0, that it ended, and has
    /// not run it.
    LosesChild(u64),
}

/// Held by the race that runs.
static TURN: Mutex<()> = Mutex::new(());
/// What is wrong with its executor.
static CURRENT: Mutex<Fault> = Mutex::new(Fault::Honest);

impl Fault {
    /// The one of the race that runs.
    pub fn current() -> Self {
        *CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the race that runs has it.
    pub fn is_there(self) -> bool {
        Self::current() == self
    }
}

/// The executor `R` with a fault, and how many children it has started.
#[derive(Clone)]
struct Faulty<R>(R, Arc<AtomicU64>, Fault);

impl<R> Faulty<R> {
    /// What a child would have answered that is lost, if this is the one.
    fn lost<T: 'static>(&self) -> Option<T> {
        let (steps, outcome) = (Sequence::new(Vec::new()), Some(Ok(Done::default())));
        let nothing: Box<dyn Any> = Box::new(ChildEnd { steps, outcome });
        let nothing = nothing.downcast::<T>().ok()?;
        let number = self.1.fetch_add(1, Relaxed);
        (self.2 == Fault::LosesChild(number)).then_some(*nothing)
    }
}

impl<R: Runtime> Runtime for Faulty<R> {
    const INFO: ExecutorInfo = R::INFO;
    type Native = FaultyNative<R::Native>;
    type Join<T: Send + 'static> = R::Join<T>;

    fn start(setup: &Setup) -> io::Result<Self> {
        Ok(Self(R::start(setup)?, Arc::default(), Fault::current()))
    }

    fn block_on<T: Future>(&self, future: T) -> T::Output {
        self.0.block_on(future)
    }

    fn spawn<T>(&self, future: T) -> io::Result<Self::Join<T::Output>>
    where
        T: Future + Send + 'static,
        T::Output: Send + 'static,
    {
        if let Some(queue) = self.0.queue().filter(|_| self.2 == Fault::LosesTasks) {
            let tickets = Tickets::new(queue, 0);
            if futures_lite::future::block_on(tickets.next_ticket()).is_some() {
                tickets.retire();
            }
        }
        match self.lost() {
            Some(nothing) => self.0.spawn(std::future::ready(nothing)),
            None => self.0.spawn(future),
        }
    }

    fn spawn_detached<T>(&self, future: T) -> io::Result<()>
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let tenth = self.2 == Fault::LosesTasks && STARTED.fetch_add(1, Relaxed) % 10 == 9;
        if tenth { Ok(()) } else { self.0.spawn_detached(future) }
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

/// The primitives `N` with a fault.
struct FaultyNative<N>(PhantomData<fn() -> N>);

impl<N: Native> Coordination for FaultyNative<N> {
    type Semaphore = FaultySemaphore<N::Semaphore>;
    type Mutex = FaultyMutex<N::Semaphore>;
    type RwLock = FaultyRwLock<N::RwLock>;
    type Barrier = FaultyBarrier<N::Barrier>;
    type Event = FaultyEvent<N::Event>;
    type Condition = FaultyCondition<N::Condition>;
    type Channel = FaultyChannel<N::Channel>;
}

impl<N: Native> Io for FaultyNative<N> {
    type Conn = Stream<N::Conn>;

    async fn connect(address: SocketAddr) -> io::Result<Self::Conn> {
        N::connect(address).await.map(Stream::new)
    }

    fn adopt(stream: TcpStream) -> io::Result<Self::Conn> {
        N::adopt(stream).map(Stream::new)
    }

    fn begin() {
        N::begin();
    }

    fn look<T>(poll: impl FnOnce() -> Poll<T>) -> Poll<T> {
        N::look(poll)
    }
}

impl<N: Native> NativeTimers for FaultyNative<N> {
    async fn sleep(time: Duration) {
        if !Fault::NeverSleeps.is_there() {
            N::sleep(time).await;
        }
    }

    async fn timeout<T>(limit: Duration, future: T) -> Result<T::Output, Elapsed>
    where
        T: Future + Send,
        T::Output: Send,
    {
        if Fault::HasNoPatience.is_there() { Err(Elapsed) } else { N::timeout(limit, future).await }
    }
}

impl<N: Native> NativeWork for FaultyNative<N> {
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

/// A connection that can give its last answer again instead of asking.
struct Stream<C> {
    inner: C,
    last: Vec<u8>,
    due: Vec<u8>,
}

impl<C> Stream<C> {
    fn new(inner: C) -> Self {
        Self { inner, last: Vec::new(), due: Vec::new() }
    }
}

/// Detached tasks that were started in this process, to find every tenth.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// Requests of all connections in this process, to find every tenth.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

impl<C: Read + Unpin> Read for Stream<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.due.is_empty() {
            room.put_slice(&std::mem::take(&mut self.due));
            return Poll::Ready(Ok(()));
        }
        let mut bytes = vec![0; room.remaining()];
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = Pin::new(&mut self.inner).poll_read(context, buffer.unfilled());
        room.put_slice(buffer.filled());
        self.last.extend_from_slice(buffer.filled());
        read
    }
}

impl<C: Write + Unpin> Write for Stream<C> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let tenth = Fault::RepeatsAnswers.is_there() && REQUESTS.fetch_add(1, Relaxed) % 10 == 9;
        if tenth && !self.last.is_empty() {
            self.due = self.last.clone();
            context.waker().wake_by_ref();
            return Poll::Ready(Ok(bytes.len()));
        }
        self.last.clear();
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Races a plan on the executor that it names, with a fault.
struct Race<'a>(&'a TrialPlan);

impl Visitor for Race<'_> {
    type Output = Answer;

    fn visit<R: Runtime>(self) -> Answer {
        run_on::<Faulty<R>>(self.0, Path::new(env!("CARGO_BIN_EXE_regatta"))).answer
    }
}

const BATCH: &str = "batch = { tasks = 40, repeat = 2 }";
const OPEN: &str = "open = { rate = \"400/s\", stages = [{ rate = \"400/s\", for = \"100ms\" }] }";
const CLOSED: &str = "closed = { concurrency = 4, tasks = 40 }";

/// The first trial of a scenario.
pub fn only_trial(text: &str) -> TrialPlan {
    let scenario = from_text(Path::new("scenario.toml"), text, &Overrides::default());
    let scenario = scenario.unwrap_or_else(|error| panic!("{}", error.render(false)));
    let machine = Machine {
        cpus: allowed_cpus(),
        executor_cpus: None,
        target_cpus: None,
        limits: Limits::default(),
    };
    let plan = Plan::new(&[scenario], &machine, 1, |_| true);
    plan.trial(plan.trials[0])
}

/// One trial on an executor with a fault: what it did wrong, if that was found.
fn race(fault: Fault, executor: &str, steps: &str, load: &str) -> Result<(), String> {
    race_text(fault, executor, &scenario(executor, steps, load))
}

/// A scenario of these steps, and a request after them.
fn scenario(executor: &str, steps: &str, load: &str) -> String {
    format!(
        r#"
schema = 1
name = "faulty"
[run]
warmup = "0s"
timeout = "1h"
[executors]
use = ["{executor}"]
baseline = "{executor}"
workers = 2
[executors.thread-pool]
size = 4
[targets.api]
http = {{ body = "1KiB" }}
[tasks.request]
steps = [{steps}, {{ http = {{ target = "api", path = "/" }} }}]
[load.clients]
task = "request"
{load}
"#
    )
}

/// The same of a whole scenario.
pub fn race_text(fault: Fault, executor: &str, text: &str) -> Result<(), String> {
    let plan = only_trial(text);
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    match runtime::dispatch(executor, Race(&plan)).unwrap() {
        Answer::Measured(_) => Ok(()),
        Answer::Failed(failure) => {
            assert_eq!(failure.kind, FailureKind::WrongResult, "{failure:?}");
            Err(failure.reason)
        }
    }
}

#[track_caller]
pub fn found(outcome: Result<(), String>, said: &str) {
    let reason = outcome.expect_err("the fault was not found");
    assert!(reason.contains(said), "`{said}` is not said: {reason}");
}

const SLEEP: &str = "{ sleep = { time = \"2ms\" } }";
const LIMITED: &str = "{ sleep = { time = \"2ms\" }, timeout = \"20s\", on_timeout = \"ignore\" }";
/// Never waited for by those who are tested with it, and much longer than the rest of a task on the
/// slowest host.
const LONG: &str = "{ sleep = { time = \"10s\" } }";
const LONG_LIMITED: &str =
    "{ sleep = { time = \"10s\" }, timeout = \"20s\", on_timeout = \"ignore\" }";

#[test]
fn an_honest_executor_behind_the_same_wrapper_passes() {
    for executor in
        ["sequential", "threads", "thread-pool", "tokio", "tokio-current-thread", "smol"]
    {
        for load in [BATCH, CLOSED, OPEN] {
            race(Fault::Honest, executor, LIMITED, load)
                .unwrap_or_else(|reason| panic!("{executor}, {load}: {reason}"));
        }
    }
}

#[test]
fn a_pool_that_loses_every_tenth_task_is_found_out() {
    found(race(Fault::LosesTasks, "thread-pool", SLEEP, BATCH), "tasks run: expected 80, found 72");
}

#[test]
fn an_executor_that_drops_every_tenth_arrival_is_found_out() {
    for executor in ["threads", "tokio", "smol"] {
        found(
            race(Fault::LosesTasks, executor, SLEEP, OPEN),
            "the executor did not run it to its end",
        );
    }
}

#[test]
fn a_timer_that_does_not_wait_is_found_out() {
    for executor in ["threads", "thread-pool", "tokio", "smol"] {
        found(race(Fault::NeverSleeps, executor, LONG, BATCH), " in ns: expected at least");
        found(
            race(Fault::NeverSleeps, executor, LONG, CLOSED),
            "shortest task in ns: expected at least 10000000000",
        );
    }
}

#[test]
fn an_executor_that_answers_every_tenth_request_itself_is_found_out() {
    for load in [BATCH, CLOSED] {
        found(
            race(Fault::RepeatsAnswers, "tokio", SLEEP, load),
            "operations that target api served: expected",
        );
    }
}

#[test]
fn an_executor_that_gives_a_page_twice_is_found_out() {
    let list = "{ http = { target = \"api\", path = \"/list\", follow = { by = \"link\" } } }";
    let page = "body = \"1KiB\", list = { items = 9, page = 2 }";
    let race = |fault| {
        let text = scenario("tokio", &format!("{SLEEP}, {list}"), CLOSED);
        race_text(fault, "tokio", &text.replace("body = \"1KiB\"", page))
    };
    race(Fault::Honest).unwrap_or_else(|reason| panic!("{reason}"));
    found(race(Fault::RepeatsAnswers), "is not the one that the server has sent");
}

#[test]
fn a_time_limit_that_ends_at_once_is_found_out() {
    found(
        race(Fault::HasNoPatience, "tokio", &LONG_LIMITED.replace("ignore", "fail"), BATCH),
        "took longer than its limit",
    );
    for load in [BATCH, CLOSED] {
        let outcome = race(Fault::HasNoPatience, "tokio", LONG_LIMITED, load);
        assert!(outcome.is_err(), "work that was given up at once counts as done");
    }
}

/// Tasks of one client, so that children are started in a known order, and children that each
/// starts on the way to its last step: one of a thousand is lost.
const TASKS: u64 = 63;
const CHILDREN: u64 = 16;

/// Scenarios whose tasks first start sixteen children that all end well, and then do something that
/// does not always. What is cancelled there runs tasks of its own: a child that is cut short loosens
/// the account of its task.
const WITH_CHILDREN: [(&str, &str); 11] = [
    (
        "fail-fast",
        "{ parallel = { task = \"risky\", count = 16, errors = \"fail-fast\" } }]\n\
         [tasks.risky]\nsteps = [{ choice = { of = [{ task = \"fine\", weight = 99 }, { task = \"slow\" }] } }]\n\
         [tasks.fine]\nsteps = [{ noop = {} }, { yield = {} }]\n\
         [tasks.slow]\nsteps = [{ sleep = { time = \"1m\" }, timeout = \"1ms\", on_timeout = \"skip\" }, { noop = {} }",
    ),
    (
        "first of several",
        "{ parallel = { task = \"risky\", count = 4, until = \"first\" } }]\n\
         [tasks.risky]\nsteps = [{ choice = { of = [{ task = \"fine\", weight = 9 }, { task = \"slow\" }] } }]\n\
         [tasks.fine]\nsteps = [{ yield = {} }]\n\
         [tasks.slow]\nsteps = [{ sleep = { time = \"1m\" }, timeout = \"1ms\", on_timeout = \"skip\" }, { noop = {} }",
    ),
    (
        "a deadline",
        "{ parallel = { task = \"risky\", count = 16, until = \"deadline\", within = \"1m\" } }]\n\
         [tasks.risky]\nsteps = [{ choice = { of = [{ task = \"fine\", weight = 9 }, { task = \"slow\" }] } }]\n\
         [tasks.fine]\nsteps = [{ yield = {} }]\n\
         [tasks.slow]\nsteps = [{ sleep = { time = \"1m\" }, timeout = \"1ms\", on_timeout = \"skip\" }, { noop = {} }",
    ),
    (
        "a background task",
        "{ spawn = { task = \"risky\", handle = \"it\" } }, { join = { handle = \"it\" } }]\n\
         [tasks.risky]\nsteps = [{ choice = { of = [{ task = \"fine\", weight = 9 }, { task = \"slow\" }] } }]\n\
         [tasks.fine]\nsteps = [{ yield = {} }]\n\
         [tasks.slow]\nsteps = [{ sleep = { time = \"1m\" }, timeout = \"1ms\", on_timeout = \"skip\" }, { noop = {} }",
    ),
    (
        "batches",
        "{ parallel = { task = \"risky\", count = 16, batch = 5 } }]\n\
         [tasks.risky]\nsteps = [{ choice = { of = [{ task = \"fine\", weight = 9 }, { task = \"slow\" }] } }]\n\
         [tasks.fine]\nsteps = [{ yield = {} }]\n\
         [tasks.slow]\nsteps = [{ sleep = { time = \"1m\" }, timeout = \"1ms\", on_timeout = \"skip\" }, { noop = {} }",
    ),
    (
        "a window",
        "{ parallel = { task = \"risky\", count = 16, at_once = 5 } }]\n\
         [tasks.risky]\nsteps = [{ choice = { of = [{ task = \"fine\", weight = 9 }, { task = \"slow\" }] } }]\n\
         [tasks.fine]\nsteps = [{ yield = {} }]\n\
         [tasks.slow]\nsteps = [{ sleep = { time = \"1m\" }, timeout = \"1ms\", on_timeout = \"skip\" }, { noop = {} }",
    ),
    (
        "as completed",
        "{ parallel = { task = \"risky\", count = 16, then = \"fine\", consume = \"completion\" } }]\n\
         [tasks.risky]\nsteps = [{ choice = { of = [{ task = \"fine\", weight = 9 }, { task = \"slow\" }] } }]\n\
         [tasks.fine]\nsteps = [{ yield = {} }]\n\
         [tasks.slow]\nsteps = [{ sleep = { time = \"1m\" }, timeout = \"1ms\", on_timeout = \"skip\" }, { noop = {} }",
    ),
    (
        "retries",
        "{ retry = { task = \"risky\", attempts = 4 } }, { noop = {} }]\n\
         [tasks.risky]\nsteps = [{ choice = { of = [{ task = \"well\", weight = 9 }, { task = \"slow\" }] } }]\n\
         [tasks.slow]\nsteps = [{ sleep = { time = \"1m\" }, timeout = \"1ms\", on_timeout = \"skip\" }, { noop = {} }",
    ),
    (
        "time-outs",
        "{ choice = { of = [{ task = \"well\", weight = 99 }, { task = \"slow\" }] } }, { noop = {} }]\n\
         [tasks.slow]\nsteps = [{ sleep = { time = \"1m\" }, timeout = \"1ms\", on_timeout = \"skip\" }, { noop = {} }",
    ),
    (
        "allowed errors",
        "{ http = { target = \"api\", path = \"/\" }, allow = { status = 503 } }, { noop = {} }",
    ),
    (
        "weighted choice",
        "{ choice = { of = [{ task = \"well\", weight = 7 }, { task = \"other\", weight = 3 }] } }, { noop = {} }]\n\
         [tasks.other]\nsteps = [{ noop = {} }, { repeat = { task = \"well\", times = 3 } }",
    ),
];

fn with_children(fault: Fault, executor: &str, then: &str) -> Result<(), String> {
    with_such_children(fault, executor, "", then)
}

/// The same, with more to be said of the first sixteen children, such as `, batch = 4`.
fn with_such_children(fault: Fault, executor: &str, how: &str, then: &str) -> Result<(), String> {
    let fails =
        "[targets.api]\nhttp = { status = [{ status = 200, weight = 9 }, { status = 503 }] }";
    let target = if then.contains("api") { fails } else { "" };
    let text = format!(
        "schema = 1\nname = \"children\"\n[run]\nwarmup = \"0s\"\ntimeout = \"1h\"\n\
         [executors]\nuse = [\"{executor}\"]\nbaseline = \"{executor}\"\n[executors.thread-pool]\nsize = 20\n\
         {target}\n\
         [tasks.request]\nsteps = [{{ parallel = {{ task = \"well\", count = {CHILDREN}{how} }} }}, {then}]\n\
         [tasks.well]\nsteps = [{{ noop = {{}} }}, {{ yield = {{}} }}]\n\
         [load.clients]\ntask = \"request\"\nclosed = {{ concurrency = 1, tasks = {TASKS} }}\n"
    );
    race_text(fault, executor, &text)
}

#[test]
fn one_child_of_a_thousand_is_missed_where_others_are_cut_short() {
    for (what, then) in WITH_CHILDREN {
        for executor in runtime::EXECUTORS.iter().map(|executor| executor.name) {
            with_children(Fault::Honest, executor, then)
                .unwrap_or_else(|why| panic!("{what}, {executor}: {why}"));
            // The sixth of the last task: no other is lost, for its place has nothing to run any
            // more.
            let before = match (what, executor) {
                ("fail-fast" | "batches" | "as completed" | "a deadline", _) => 2 * CHILDREN,
                ("first of several", "sequential") | ("a background task", _) => CHILDREN + 1,
                ("first of several", _) => CHILDREN + 4,
                _ => CHILDREN,
            };
            let lost = with_children(Fault::LosesChild((TASKS - 1) * before + 5), executor, then);
            let why = lost.expect_err(&format!("{what}, {executor}: the loss was not found"));
            assert!(
                why.contains("task well, noop (step 1): calls: expected "),
                "{what}, {executor}: {why}"
            );
        }
    }
}

#[test]
fn one_child_of_a_batch_or_of_those_taken_as_they_end_is_missed() {
    let (_, then) = WITH_CHILDREN[0];
    for executor in runtime::EXECUTORS.iter().map(|executor| executor.name) {
        let (batch, window) = (", batch = 4", ", at_once = 4");
        let taken = ", then = \"fine\", consume = \"completion\"";
        for how in [batch, window, taken] {
            with_such_children(Fault::Honest, executor, how, then)
                .unwrap_or_else(|why| panic!("{executor}{how}: {why}"));
        }
        for how in [batch, taken] {
            let sixth = Fault::LosesChild((TASKS - 1) * 2 * CHILDREN + 5);
            let lost = with_such_children(sixth, executor, how, then);
            found(lost, "task well, noop (step 1): calls: expected ");
        }
    }
}
