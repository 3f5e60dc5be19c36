//! The sql step against real databases.

use std::task::{Context, Poll, Waker};

use tempfile::TempDir;

use super::{arg::Arg, sqlite::SqliteSession, statement::Effect, *};
use crate::{
    clock,
    runtime::{self, Visitor},
    step::{
        Call, Done, Mishaps, StepEnd, StepSpec, Workplace,
        exec::{Repeated, Work as Order},
        template::ArgTemplate,
        testing::{EXECUTORS, Ran, Rig, errors_of, read_step, read_target, start_target},
    },
    targets::Started,
};

const POINT: &str = "{ sql = { target = 'db', query = 'SELECT name, price FROM items WHERE id = ?', \
    args = ['${uniform(1,100)}'] }, expect = { rows = 1 } }";
const INSERT: &str = "{ sql = { target = 'db', query = 'INSERT INTO log(task, value) VALUES (?, ?)', \
    args = ['${i}', '${uniform(1,9)}'] }, expect = { rows = 1 } }";
const TRANSFER: &str = "{ sql = { target = 'db', transaction = [\
    { query = 'UPDATE items SET price = price - 1 WHERE id = ?', args = ['${uniform(1,100)}'] }, \
    { query = 'UPDATE items SET price = price + 1 WHERE id = ?', args = ['${uniform(1,100)}'] }, \
    { query = 'INSERT INTO log(task, value) VALUES (?, 1)', args = ['${i}'] }] }, expect = { rows = [1, 1, 1] } }";

/// Reads before it writes: only a transaction that has the lock from the beginning can always go on
/// to write.
const READ_AND_WRITE: &str = "{ sql = { target = 'db', transaction = [\
    { query = 'SELECT price FROM items WHERE id = 1' }, { query = 'INSERT INTO log(task) VALUES (?)', args = ['${i}'] }\
    ] }, expect = { rows = [1, 1] } }";

/// A database of 100 items.
struct Bench {
    started: Box<dyn Started>,
    _scratch: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::with("{ sql = { rows = 100 } }")
    }

    fn with(target: &str) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        Self { started: start_target(target, scratch.path()).unwrap(), _scratch: scratch }
    }

    fn rig(&self, steps: &[&str]) -> Rig {
        Rig::new(steps).endpoint("db", self.started.endpoint())
    }

    fn run(&self, step: &str, executor: &str, times: u64) -> Ran {
        self.rig(&[step]).run(executor, times)
    }

    /// Rows of the log, after the proof was seen to hold.
    fn logged(&mut self) -> u64 {
        let report = self.started.report().unwrap();
        for line in &report.proof {
            assert_eq!(line.expected, line.found);
        }
        assert_ne!(report.proof, []);
        report.counts["rows log"]
    }
}

fn inline(step: &str) -> String {
    step.replacen("target = 'db'", "target = 'db', blocking = 'inline'", 1)
}

/// Runs `step` inline and offloaded under all executors, each with a database of its own.
fn everywhere(step: &str, times: u64, check: impl Fn(&mut Bench, &Ran, &str)) {
    for executor in EXECUTORS {
        for step in [step.to_owned(), inline(step)] {
            let mut bench = Bench::new();
            let ran = bench.run(&step, executor, times);
            check(&mut bench, &ran, &format!("{executor}: {step}"));
        }
    }
}

fn sum(ran: &Ran) -> Done {
    ran.tallies[0].done
}

#[test]
fn a_point_read_reads_the_same_everywhere() {
    let once = sum(&Bench::new().run(POINT, "sequential", 20));
    // One argument of 8 bytes; the price has 8 bytes, and the name of "item 1 0123456789abcdef" at
    // least 23.
    assert_eq!(once.sent, 20 * 8);
    assert!(once.received >= 20 * (8 + 23), "{once:?}");
    everywhere(POINT, 20, |_, ran, place| {
        assert_eq!((ran.outcomes.len(), ran.wrong(), sum(ran)), (20, None, once), "{place}");
    });
}

#[test]
fn a_range_read_reads_every_row() {
    let step = "{ sql = { target = 'db', query = 'SELECT id, price FROM items WHERE id BETWEEN ? AND ?', \
        args = [11, 30] }, expect = { rows = 20 } }";
    everywhere(step, 3, |_, ran, place| {
        assert_eq!((ran.wrong(), sum(ran).received), (None, 3 * 20 * 16), "{place}");
    });
}

#[test]
fn inserts_are_all_there() {
    everywhere(INSERT, 12, |bench, ran, place| {
        assert_eq!((ran.wrong(), bench.logged()), (None, 12), "{place}");
    });
}

#[test]
fn transactions_move_money_and_lose_none() {
    everywhere(TRANSFER, 12, |bench, ran, place| {
        let before = Bench::new().started.report().unwrap().counts["sum items.price"];
        let after = bench.started.report().unwrap().counts["sum items.price"];
        assert_eq!((ran.wrong(), bench.logged(), after), (None, 12, before), "{place}");
    });
}

#[test]
fn deletes_are_counted_too() {
    let mut bench = Bench::new();
    let delete =
        "{ sql = { target = 'db', query = 'DELETE FROM items WHERE id = ?', args = ['${i}'] } }";
    assert_eq!(bench.run(delete, "threads", 5).wrong(), None);
    // There is no item 0.
    assert_eq!(bench.started.report().unwrap().counts["rows items"], 96);
    assert_eq!(bench.logged(), 0);
}

#[test]
fn a_transaction_that_fails_leaves_nothing() {
    for last in [
        "{ query = 'INSERT INTO log(id) VALUES (1)' }",
        "{ query = 'UPDATE items SET price = 0 WHERE id = 101' }",
    ] {
        let step = format!(
            "{{ sql = {{ target = 'db', transaction = [{{ query = 'INSERT INTO log(id) VALUES (1)' }}, {last}] }}, \
             expect = {{ rows = [1, 1] }} }}"
        );
        everywhere(&step, 2, |bench, ran, place| {
            let wrong = ran.wrong().unwrap();
            assert!(
                wrong.contains("UNIQUE constraint")
                    || wrong.contains("rows changed: expected 1, found 0"),
                "{wrong}"
            );
            // Both calls failed in the same way: the first one left neither a row nor an open
            // transaction.
            assert_eq!(ran.outcomes[0], ran.outcomes[1], "{place}");
            assert_eq!(bench.logged(), 0, "{place}");
        });
    }
}

#[test]
fn eight_writers_at_once_lose_nothing() {
    for executor in ["threads", "tokio", "tokio-current-thread", "smol"] {
        for step in [INSERT, TRANSFER, READ_AND_WRITE]
            .into_iter()
            .flat_map(|step| [step.to_owned(), inline(step)])
        {
            let mut bench = Bench::new();
            let ran = bench.rig(&[&step]).slots(8).run(executor, 25);
            assert_eq!((ran.wrong(), bench.logged()), (None, 200), "{executor}: {step}");
        }
    }
}

#[test]
fn writers_with_a_round_trip_do_not_block_each_other_for_ever() {
    for executor in ["threads", "tokio-current-thread"] {
        let mut bench = Bench::with("{ sql = { rows = 100, delay = '1ms' } }");
        let ran = bench.rig(&[&inline(TRANSFER)]).slots(8).run(executor, 3);
        assert_eq!((ran.wrong(), bench.logged()), (None, 24), "{executor}");
    }
}

#[test]
fn each_statement_waits_for_its_round_trip() {
    let bench = Bench::with("{ sql = { rows = 100, delay = '1ms' } }");
    for (step, trips) in [(POINT, 1), (TRANSFER, 5)] {
        let from = clock::now_ns();
        assert_eq!(bench.run(step, "tokio", 4).wrong(), None);
        assert!(clock::now_ns() - from >= 4 * trips * 1_000_000, "{step}");
    }
}

#[test]
fn another_number_of_rows_is_wrong() {
    let step = POINT.replace("rows = 1 ", "rows = 2 ");
    everywhere(&step, 1, |_, ran, place| {
        let wrong = ran.wrong().unwrap();
        assert!(
            wrong.contains(
                "task main, step sql: query `SELECT name, price FROM items WHERE id = ?`"
            ),
            "{wrong}"
        );
        assert!(wrong.contains("rows returned: expected 2, found 1"), "{place}: {wrong}");
    });
}

#[test]
fn what_sqlite_does_not_understand_fails_in_preparation() {
    for (query, args, reason) in [
        ("SELECT * FROM itms", "[]", "no such table: itms"),
        ("SELECT nam FROM items", "[]", "no such column: nam (at byte 7 of the query)"),
        ("SELEC 1", "[]", "syntax error"),
        ("SELECT ?, ?", "[1]", "it has 2 `?`, and `args` has 1 values"),
    ] {
        let step = format!("{{ sql = {{ target = 'db', query = '{query}', args = {args} }} }}");
        everywhere(&step, 5, |_, ran, place| {
            let wrong = ran.wrong().unwrap();
            assert!(
                wrong.contains(reason) && wrong.contains(&format!("step sql: query `{query}`")),
                "{wrong}"
            );
            assert_eq!((ran.outcomes.len(), ran.tallies[0].started), (1, 0), "{place}");
        });
    }
}

#[test]
fn arguments_keep_their_types() {
    for (arg, kind) in [
        ("7", "integer"),
        ("0.5", "real"),
        ("'7'", "text"),
        ("'${i}'", "integer"),
        ("'x${i}'", "text"),
    ] {
        let query = format!("\"SELECT 1 WHERE typeof(?) = '{kind}'\"");
        let step = format!(
            "{{ sql = {{ target = 'db', query = {query}, args = [{arg}] }}, expect = {{ rows = 1 }} }}"
        );
        assert_eq!(Bench::new().run(&step, "sequential", 2).wrong(), None, "{arg}");
    }
}

#[test]
fn text_is_rendered_afresh_for_each_call() {
    let query = "\"SELECT 1 WHERE ? = 'n' || ?\"";
    let step = format!(
        "{{ sql = {{ target = 'db', query = {query}, args = ['n${{i}}', '${{i}}'] }}, expect = {{ rows = 1 }} }}"
    );
    assert_eq!(Bench::new().run(&step, "sequential", 12).wrong(), None);
}

fn session(
    bench: &Bench,
    query: &str,
    expected: ExpectedRows,
) -> Result<Box<SqliteSession>, String> {
    let database: Arc<Database> = bench.started.endpoint().downcast().unwrap();
    let Engine::Sqlite { path } = &database.engine else { panic!("not embedded") };
    let statement = Statement { query: query.into(), args: Vec::new() };
    let work = SqlWork {
        words: "task t, step s".into(),
        effects: vec![statement.effect()],
        statements: vec![statement],
        expected: vec![expected],
        transaction: false,
        pipeline: false,
        copy: None,
        uses_values: false,
    };
    SqliteSession::open(path, database.account(), Arc::new(work))
}

#[test]
fn a_constant_query_must_go_on_as_it_began() {
    let bench = Bench::new();
    let mut reader = session(
        &bench,
        "SELECT id FROM items WHERE id < 11",
        ExpectedRows::learned(Arc::default()),
    )
    .unwrap();
    reader.learn().unwrap();
    assert_eq!(reader.run().unwrap().received, 80);
    session(&bench, "DELETE FROM items WHERE id = 3", ExpectedRows::Unknown)
        .unwrap()
        .run()
        .unwrap();
    assert!(reader.run().unwrap_err().ends_with("rows returned: expected 10, found 9"));
}

#[test]
fn what_varies_by_itself_is_not_learned() {
    let constant =
        |query: &str, args: Vec<Arg>| Statement { query: query.into(), args }.is_constant();
    assert!(constant("SELECT * FROM items WHERE id < ?", vec![Arg::Integer(5)]));
    assert!(!constant(
        "SELECT * FROM items WHERE id < ?",
        vec![Arg::Text(ArgTemplate("${i}".to_owned().try_into().unwrap()))]
    ));
    assert!(constant("-- now\n/* at random */ SELECT * FROM items", Vec::new()));
    assert!(!constant("SELECT * FROM items WHERE random() > 0", Vec::new()));
    assert!(!constant("SELECT 1 WHERE current_timestamp > '2030'", Vec::new()));
    assert!(!constant("DELETE FROM items", Vec::new()));
}

#[test]
fn nothing_is_learned_where_something_is_written() {
    let count = "{ sql = { target = 'db', query = 'SELECT * FROM log' } }";
    let mut bench = Bench::new();
    let ran = bench.rig(&[INSERT, count]).run("sequential", 5);
    assert_eq!((ran.wrong(), bench.logged()), (None, 5));
    // 1 + 2 + 3 + 4 + 5 rows of three numbers.
    assert_eq!(ran.tallies[1].done.received, 15 * 24);
}

#[test]
fn a_statement_without_a_known_effect_spoils_no_proof() {
    let step = "{ sql = { target = 'db', query = 'REPLACE INTO items(id, price) VALUES (1, 1)' }, expect = { rows = 1 } }";
    let mut bench = Bench::new();
    assert_eq!(bench.run(step, "sequential", 3).wrong(), None);
    assert_eq!(bench.started.report().unwrap().proof, []);
}

/// A step of one statement, for an executor known by name.
struct Build {
    database: Arc<Database>,
    work: Arc<SqlWork>,
}

impl Visitor for Build {
    type Output = Box<dyn Step>;

    fn visit<R: Runtime>(self) -> Self::Output {
        let Self { database, work } = self;
        let Engine::Sqlite { path } = &database.engine else { panic!("not embedded") };
        let path = path.as_path().into();
        let (blocking, native) = (Workplace::Offload, PhantomData);
        let way = Way::<R::Native> { database, path, work, trips: 1, seed: 1, blocking, native };
        Box::new(Repeated::new(move || SqliteCalls::new(way.clone())))
    }
}

#[test]
fn a_call_after_a_cancelled_one_opens_a_new_connection() {
    let mut bench = Bench::new();
    let database: Arc<Database> = bench.started.endpoint().downcast().unwrap();
    let statement =
        Statement { query: "INSERT INTO log(task) VALUES (1)".into(), args: Vec::new() };
    let work = Arc::new(SqlWork {
        words: String::new(),
        effects: vec![statement.effect()],
        statements: vec![statement],
        expected: vec![ExpectedRows::known(1)],
        pipeline: false,
        copy: None,
        uses_values: false,
        transaction: false,
    });
    let mut step = runtime::dispatch("sequential", Build { database, work }).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    for order in [Order::Prepare, Order::Run(Call::default())] {
        step.start(order);
        assert_eq!(step.poll(&mut context), Poll::Ready(StepEnd::Done(Mishaps::default())));
    }
    step.start(Order::Run(Call::default()));
    step.cancel();
    assert_eq!(bench.logged(), 1);
    step.start(Order::Run(Call::default()));
    assert_eq!(step.poll(&mut context), Poll::Ready(StepEnd::Done(Mishaps::default())));
    assert_eq!(bench.logged(), 2);
}

#[test]
fn costs_count_the_round_trips() {
    let target = read_target("{ sql = { delay = 'uniform(1ms,3ms)' } }").unwrap();
    let cost = |step: &str| read_step(step).unwrap().cost(&|_| Some(&target));
    let ms = Duration::from_millis;
    assert_eq!((cost(POINT).least, cost(TRANSFER).least), (ms(1), ms(5)));
    assert_eq!(cost(TRANSFER).mean, ms(10) + NOMINAL_STATEMENT * 5 + NOMINAL_HOP);
    assert_eq!(cost(&inline(POINT)).mean, ms(2) + NOMINAL_STATEMENT);
    assert_eq!(cost(&inline(POINT)).cpu, NOMINAL_STATEMENT);
}

#[test]
fn a_customary_client_is_of_a_server_and_runs_to_its_end() {
    let step = |driver: &str| {
        read_step(&format!(
            "{{ sql = {{ target = 'db', query = 'SELECT 1', driver = '{driver}' }} }}"
        ))
        .unwrap()
    };
    let server = read_target("{ sql = { url = '${env:DATABASE_URL}' } }").unwrap();
    for (driver, is_idiomatic) in [("same", false), ("customary", true)] {
        let step = step(driver);
        assert_eq!(
            (step.is_idiomatic(), step.cancellable(&|_| Some(&server))),
            (is_idiomatic, !is_idiomatic)
        );
        assert_eq!(step.complaint(&server), None);
    }
    let cost = |driver: &str| step(driver).cost(&|_| Some(&server)).mean;
    assert_eq!(cost("customary"), cost("same") + NOMINAL_HOP);
    let (message, help) =
        step("customary").complaint(&read_target("{ sql = {} }").unwrap()).unwrap();
    assert_eq!(
        (message.as_str(), help.as_str()),
        ("`driver` is about servers, and `db` is embedded SQLite", "remove `driver`")
    );
}

#[test]
fn effects_are_read_off_the_text() {
    for (query, effect) in [
        ("select 1", Effect::Read),
        ("VALUES (1)", Effect::Read),
        ("WITH t AS (SELECT 1) SELECT * FROM t", Effect::Read),
        ("WITH t AS (SELECT 1) INSERT INTO log(task) SELECT * FROM t", Effect::Unknown),
        (" insert into log(task) values (1)", Effect::Insert),
        ("INSERT OR IGNORE INTO log(id) VALUES (1)", Effect::Insert),
        ("INSERT OR REPLACE INTO log(id) VALUES (1)", Effect::Unknown),
        ("INSERT INTO log(id) VALUES (1) ON CONFLICT DO UPDATE SET task = 1", Effect::Unknown),
        ("REPLACE INTO log(id) VALUES (1)", Effect::Unknown),
        ("UPDATE log SET task = 1", Effect::Update),
        ("UPDATE OR REPLACE log SET id = 1", Effect::Unknown),
        ("DELETE FROM log", Effect::Delete),
        ("CREATE TABLE t(x)", Effect::Unknown),
        ("PRAGMA cache_size", Effect::Unknown),
        ("-- update\nSELECT 1", Effect::Read),
        ("/* delete */ SELECT 1", Effect::Read),
        ("# insert\nSELECT 1", Effect::Read),
        ("(SELECT 1) UNION (SELECT 2)", Effect::Read),
        ("( /* with */ VALUES (1))", Effect::Read),
        ("/* a /* b */ UPDATE */ WITH t AS (SELECT 1) SELECT * FROM t", Effect::Read),
        ("/* SELECT */ INSERT INTO log(task) VALUES (1)", Effect::Insert),
        ("/* REPLACE */ UPDATE log SET task = 1", Effect::Update),
        ("-- SELECT\nDELETE FROM log", Effect::Delete),
        // In doubt.
        ("INSERT INTO log(id) VALUES (1) -- no update", Effect::Unknown),
    ] {
        assert_eq!(Statement { query: query.into(), args: Vec::new() }.effect(), effect, "{query}");
    }
}

#[test]
fn a_step_survives_being_stored() {
    for step in [POINT, INSERT, TRANSFER] {
        let spec = read_step(&inline(step)).unwrap();
        let stored = serde_json::to_string(&spec).unwrap();
        let read: StepSpec = serde_json::from_str(&stored).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), stored);
        let StepSpec::Sql(sql) = read else { panic!("{stored}") };
        assert_eq!(sql.blocking, Some(BlockingChoice::Inline));
    }
    let args = [
        Arg::Integer(1),
        Arg::Real(1.0),
        Arg::Text(ArgTemplate("${i}".to_owned().try_into().unwrap())),
    ];
    let stored = serde_json::to_string(&args).unwrap();
    assert_eq!(stored, "[1,1.0,\"${i}\"]");
    assert_eq!(serde_json::from_str::<Vec<Arg>>(&stored).unwrap(), args);
}

/// A step, what is wrong in it, and the message.
const MISTAKES: &[(&str, &str, &str)] = &[
    (
        "{ sql = { target = 'db' } }",
        "{ target = 'db' }",
        "exactly one of `query` and `transaction`, found none",
    ),
    ("{ sql = { target = 'db', query = 'SELECT 1', transaction = [] } }", "[]", "found both"),
    ("{ sql = { query = 'SELECT 1' } }", "{ query = 'SELECT 1' }", "missing key `target`"),
    ("{ sql = { target = 'db', query = ' ' } }", "' '", "this is no statement"),
    (
        "{ sql = { target = 'db', query = 'begin' } }",
        "'begin'",
        "`BEGIN` cannot be a step by itself",
    ),
    (
        "{ sql = { target = 'db', query = '/* x */ commit' } }",
        "'/* x */ commit'",
        "`COMMIT` cannot be a step",
    ),
    ("{ sql = { target = 'db', query = '-- SELECT 1' } }", "'-- SELECT 1'", "this is no statement"),
    (
        "{ sql = { target = 'db', query = 'SELECT ?', args = [true] } }",
        "true",
        "expected a number or text",
    ),
    ("{ sql = { target = 'db', query = 'SELECT ?', args = ['${k}'] } }", "'${k}'", "unknown name"),
    ("{ sql = { target = 'db', query = 'SELECT 1', blocking = 'of' } }", "'of'", "unknown choice"),
    ("{ sql = { target = 'db', transaction = [{ qury = 'x' }] } }", "qury", "unknown key `qury`"),
    (
        "{ sql = { target = 'db', query = 'SELECT 1', driver = 'theirs' } }",
        "'theirs'",
        "unknown choice",
    ),
    (
        "{ sql = { target = 'db', driver = 'customary', transaction = [{ query = 'SELECT 1' }], pipeline = true } }",
        "true",
        "`pipeline` is not for `driver = \"customary\"`",
    ),
    (
        "{ sql = { target = 'db', query = 'SELECT 1; SELECT 2' } }",
        "'SELECT 1; SELECT 2'",
        "several statements in one text",
    ),
    (
        "{ sql = { target = 'db', transaction = [{ query = 'SELECT 1; SELECT 2;' }] } }",
        "'SELECT 1; SELECT 2;'",
        "several statements in one text",
    ),
    (
        "{ sql = { target = 'db', transaction = [] } }",
        "[]",
        "a transaction needs at least one statement",
    ),
    (
        "{ sql = { target = 'db', transaction = [{ query = 'SELECT 1' }], args = [1] } }",
        "[1]",
        "belongs to a query",
    ),
    (
        "{ sql = { target = 'db', query = 'SELECT 1' }, expect = { rows = [1] } }",
        "{ rows = [1] }",
        "not a list",
    ),
    ("{ sql = { target = 'db', query = 'SELECT 1' }, expect = { rows = -1 } }", "-1", "at least 0"),
    (
        "{ sql = { target = 'db', query = 'SELECT 1' }, expect = { row = 1 } }",
        "row",
        "unknown key `row`",
    ),
    (
        "{ sql = { target = 'db', transaction = [{ query = 'SELECT 1' }] }, expect = { rows = 1 } }",
        "{ rows = 1 }",
        "one number of rows for each of the 1 statements",
    ),
];

#[test]
fn mistakes_are_named_where_they_stand() {
    for (step, at, message) in MISTAKES {
        let found = read_step(step).unwrap_err();
        // The rig puts `step = ` before the text.
        let places: Vec<(&str, &str)> = found
            .iter()
            .map(|found| (&step[found.span.start - 7..found.span.end - 7], found.message.as_str()))
            .collect();
        assert!(
            places.iter().any(|(place, text)| place == at && text.contains(message)),
            "{step}: {places:?}"
        );
    }
    assert_eq!(errors_of(TRANSFER), [""; 0]);
}

#[test]
fn the_schema_knows_every_key() {
    let (mut op, mut step) = (Fields::describing(), Fields::describing());
    assert!(Sql::read(&mut op, &mut step).is_none());
    let (op, step) = (op.into_schema(""), step.into_schema(""));
    let keys = |schema: &serde_json::Value| {
        schema["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        keys(&op),
        [
            "args",
            "blocking",
            "connection",
            "copy",
            "driver",
            "pipeline",
            "protocol",
            "query",
            "target",
            "transaction"
        ]
    );
    assert_eq!(keys(&step), ["allow", "expect"]);
    assert_eq!(op["required"], serde_json::json!(["target"]));
}
