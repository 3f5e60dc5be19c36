//! Customary clients without a server: who does the work, in what order, and where a client ends.

use std::{
    sync::{Arc, Mutex},
    thread::{self, ThreadId},
};

use super::{
    super::{
        arg::Arg,
        statement::{Effect, Statement},
        work::{ExpectedRows, SqlWork},
    },
    *,
};
use crate::runtime::{Runtime, Setup, Visitor, block_on, dispatch};

/// What a client was asked for, and by which thread.
type Log = Arc<Mutex<Vec<(String, ThreadId)>>>;

/// A client that writes down what it does, and has a fault where a statement's text names its kind.
struct Fake {
    log: Log,
    is_open: bool,
}

impl Fake {
    fn note(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push((what.into(), thread::current().id()));
    }
}

impl CustomaryClient for Fake {
    const NAME: &'static str = "fake";

    type Statement = String;

    fn open(_: &Server) -> Result<Self, Fault> {
        Err(Fault::new(FaultKind::Refused, "there is no server"))
    }

    fn prepare(&mut self, query: &str, _: Protocol) -> Result<String, Fault> {
        self.note(format!("prepare {query}"));
        Ok(query.to_owned())
    }

    fn arguments(_: &String) -> usize {
        1
    }

    fn run(&mut self, statement: &String, args: &[BoundValue]) -> Result<StatementAnswer, Fault> {
        self.note(format!("{statement} {args:?}"));
        match FaultKind::ALL.iter().find(|kind| kind.name() == statement) {
            Some(kind) => Err(Fault::new(*kind, "as it was asked for")),
            None => {
                Ok(StatementAnswer { changed: args.len() as u64, ..StatementAnswer::default() })
            }
        }
    }

    fn control(&mut self, control: Control) -> Result<(), Fault> {
        self.note(control.text());
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.is_open
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.note("closed");
    }
}

/// A session with a fake in it.
fn session(log: &Log) -> Customary<Fake> {
    let client = Fake { log: log.clone(), is_open: true };
    Customary {
        hand: Some(Box::new(Hand {
            client,
            statements: Vec::new(),
            order: Vec::new(),
            args: Vec::new(),
        })),
    }
}

fn said(log: &Log) -> Vec<String> {
    log.lock().unwrap().iter().map(|(what, _)| what.clone()).collect()
}

/// The arguments of statements that have one each: their place.
fn bindings(statements: &[&str]) -> Bindings {
    let statement = |(at, query): (i64, &&str)| Statement {
        query: (*query).into(),
        args: vec![Arg::Integer(at)],
    };
    Bindings::new(&SqlWork {
        words: "task t".into(),
        statements: (0..).zip(statements).map(statement).collect(),
        effects: vec![Effect::Read; statements.len()],
        expected: statements.iter().map(|_| ExpectedRows::Unknown).collect(),
        transaction: true,
        pipeline: false,
        copy: None,
        uses_values: false,
    })
}

/// A transaction of these statements on an executor's primitives, and whether the session can be
/// used after it.
async fn transaction<N: Native>(
    log: &Log,
    statements: &[&str],
) -> (ClientResult<Vec<StatementAnswer>>, bool) {
    let mut session = session(log);
    let mut kept = Vec::new();
    for statement in statements {
        kept.push(
            Session::<N>::prepare(&mut session, statement, Protocol::Prepared).await.unwrap(),
        );
    }
    let done = Session::<N>::in_one_go(&mut session, &kept, &bindings(statements)).await;
    let is_open = Session::<N>::is_open(&session);
    (done, is_open)
}

/// Does a transaction and leaves its session to be dropped, all on an executor.
struct OnExecutor(Log);

impl Visitor for OnExecutor {
    type Output = ThreadId;

    fn visit<R: Runtime>(self) -> ThreadId {
        let runtime = R::start(&Setup { workers: 1, pool_size: 1, stack_size: None }).unwrap();
        let thread = runtime.block_on(async move {
            let (done, is_open) = transaction::<R::Native>(&self.0, &["one", "two"]).await;
            assert!(is_open && done.unwrap().len() == 2);
            thread::current().id()
        });
        runtime.stop();
        thread
    }
}

#[test]
fn a_transaction_is_one_piece_of_work_where_blocking_work_belongs() {
    for (executor, in_place) in
        [("sequential", true), ("threads", true), ("tokio", false), ("smol", false)]
    {
        let log = Log::default();
        let task = dispatch(executor, OnExecutor(log.clone())).unwrap();
        let whole = [
            "prepare one",
            "prepare two",
            "BEGIN",
            "one [Integer(0)]",
            "two [Integer(1)]",
            "COMMIT",
            "closed",
        ];
        assert_eq!(said(&log), whole, "{executor}");
        let log = log.lock().unwrap();
        let (work, end) = log.split_at(6);
        assert!(work[2..].iter().all(|(_, thread)| *thread == work[2].1), "{executor}: in one go");
        assert_eq!(work.iter().all(|(_, thread)| *thread == task), in_place, "{executor}");
        // Also where the work is done in place: tokio lets no runtime be dropped on a thread of
        // another one's.
        assert_ne!(end[0].1, task, "{executor}");
    }
}

/// Gives a call up after its work was handed over, and at whatever moment; the thread of the task.
struct GivenUp(Log);

impl Visitor for GivenUp {
    type Output = ThreadId;

    fn visit<R: Runtime>(self) -> ThreadId {
        let runtime = R::start(&Setup { workers: 1, pool_size: 1, stack_size: None }).unwrap();
        let thread = runtime.block_on(async move {
            let mut session = session(&self.0);
            let kept = Session::<R::Native>::prepare(&mut session, "one", Protocol::Prepared)
                .await
                .unwrap();
            let args = [BoundValue::Integer(0)];
            let mut call = Box::pin(Session::<R::Native>::run(&mut session, &kept, &args));
            // A quick pool has the answer at once; then there is nothing to give up.
            let _ = futures_lite::future::poll_once(&mut call).await;
            while said(&self.0).len() < 2 {
                thread::yield_now();
            }
            // By now the work has mostly ended, and its outcome lies where nobody will fetch it.
            thread::sleep(std::time::Duration::from_millis(1));
            drop(call);
            drop(session);
            while said(&self.0).len() < 3 {
                thread::yield_now();
            }
            thread::current().id()
        });
        runtime.stop();
        thread
    }
}

#[test]
fn a_call_that_is_given_up_ends_its_client_where_that_may_block() {
    for executor in ["tokio", "tokio-current-thread", "smol"] {
        for _ in 0..20 {
            let log = Log::default();
            let task = dispatch(executor, GivenUp(log.clone())).unwrap();
            assert_eq!(said(&log), ["prepare one", "one [Integer(0)]", "closed"], "{executor}");
            assert_ne!(log.lock().unwrap()[2].1, task, "{executor}");
        }
    }
}

#[test]
fn a_fault_rolls_back_and_a_lost_connection_is_closed_at_once() {
    use crate::runtime::Blocking as InPlace;
    let run = |second: &str| {
        let log = Log::default();
        let (done, is_open) = block_on(transaction::<InPlace>(&log, &["first", second, "third"]));
        let (fault, at) = done.unwrap_err();
        (fault.kind, at, is_open, said(&log).split_off(3))
    };
    let (kind, at, is_open, said) = run("deadlock");
    assert_eq!((kind, at, is_open), (FaultKind::Deadlock, Some(1), true));
    assert_eq!(
        said,
        ["BEGIN", "first [Integer(0)]", "deadlock [Integer(1)]", "ROLLBACK", "closed"]
    );
    let (kind, at, is_open, said) = run("lost");
    assert_eq!((kind, at, is_open), (FaultKind::Lost, Some(1), false));
    assert_eq!(said, ["BEGIN", "first [Integer(0)]", "lost [Integer(1)]", "closed"]);
}

#[test]
fn what_was_lost_is_not_used_again() {
    use crate::runtime::Blocking as InPlace;
    let log = Log::default();
    let mut session = session(&log);
    session.hand.as_mut().unwrap().client.is_open = false;
    let prepared =
        block_on(Session::<InPlace>::prepare(&mut session, "x", Protocol::Prepared)).unwrap();
    assert!(!Session::<InPlace>::is_open(&session));
    let fault = block_on(Session::<InPlace>::run(&mut session, &prepared, &[])).unwrap_err();
    assert_eq!(
        (fault.kind, said(&log)),
        (FaultKind::Lost, vec!["prepare x".to_owned(), "closed".into()])
    );
}

#[test]
fn arguments_are_taken_along_in_room_that_is_kept() {
    let log = Log::default();
    let mut hand = session(&log).hand.take().unwrap();
    let kept = |at| KeptStatement { at, arguments: 0 };
    let text = |text: &str| BoundValue::Text(text.into());
    let first = [text("a long text that needs room"), BoundValue::Integer(1)];
    hand.resume([(kept(3), &first[..]), (kept(4), &[])].into_iter());
    let BoundValue::Text(room) = &hand.args[0][0] else { panic!("{:?}", hand.args) };
    let place = room.as_ptr();
    hand.resume([(kept(5), &[text("short")][..])].into_iter());
    let BoundValue::Text(room) = &hand.args[0][0] else { panic!("{:?}", hand.args) };
    assert_eq!((room.as_str(), room.as_ptr(), hand.args[0].len()), ("short", place, 1));
    assert_eq!(hand.order, [5]);
    hand.resume(
        [(kept(0), &[BoundValue::Real(0.5), text("x"), BoundValue::Integer(2)][..])].into_iter(),
    );
    assert_eq!(hand.args[0], [BoundValue::Real(0.5), text("x"), BoundValue::Integer(2)]);
}

#[test]
fn only_a_plain_connection_is_to_be_had() {
    let why = |query: &str| {
        complaint(&Address::parse(&format!("postgres://me:geheim@h/db{query}")).unwrap())
    };
    assert_eq!((why(""), why("?sslmode=disable"), why("?sslmode=verify-full")), (None, None, None));
    let why = why("?sslmode=require").unwrap();
    assert!(
        why.contains("does not encrypt")
            && why.contains("remove `driver`")
            && !why.contains("geheim"),
        "{why}"
    );
}

#[test]
fn nobody_there_is_refused() {
    // The system gives port 1 to nobody.
    let place = |scheme: &str, query: &str| {
        let address =
            Address::parse(&format!("{scheme}://me:geheim@127.0.0.1:1/db{query}")).unwrap();
        Server::of_test(address)
    };
    let faults = [
        CustomaryPostgres::open(&place("postgres", "")).err().unwrap(),
        CustomaryMysql::open(&place("mysql", "")).err().unwrap(),
        CustomaryPostgres::open(&place("postgres", "?frob=1")).err().unwrap(),
        CustomaryMysql::open(&place("mysql", "?frob=1")).err().unwrap(),
    ];
    for fault in faults {
        assert_eq!(fault.kind, FaultKind::Refused, "{fault}");
        assert!(!fault.message.contains("geheim"), "{fault}");
        assert!(
            fault.message.contains("start the server, or") || fault.message.contains("`frob`"),
            "{fault}"
        );
    }
}
