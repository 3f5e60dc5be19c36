//! A database server that is killed at any moment of a run, twenty times: no hang, no panic, every
//! trial has its outcome and a reason, and nothing is left on the server.
//!
//! The moments are drawn from a seed, one in each twentieth of a run that nothing disturbed:
//! preparation, load and end all get their share on a fast machine and on a slow one. Nothing that
//! is checked depends on where a kill falls.

use std::{
    thread,
    time::{Duration, Instant},
};

use regatta::{
    client::FaultKind,
    runtime::block_on,
    store::{FailureKind, Outcome},
};

use crate::{
    bench_dir::{BenchDir, Live, assert_complete, wait_for},
    own_mariadb::{self, OwnMariadb},
    own_postgres::{self, OwnPostgres},
};

const KILLS: u64 = 20;
const SCHEMA: &str = "regatta_kills";
const EXECUTORS: &[&str] = &["threads", "tokio", "smol"];
/// Where the connections come from.
const POLICIES: &[&str] = &["keep", "pool", "per-call", "per-task"];
/// What a run may end with: everything was measured, or a trial has failed.
const EXIT_CODES: &[i32] = &[0, 5];

/// A server of the test's own.
trait Victim {
    fn url(&self) -> String;
    fn password(&self) -> &'static str;
    /// Kills it in one of two ways, and starts it again.
    fn kill_and_start(&mut self, way: u64);
    /// Starts it if it has ended by itself, which a server that was killed so often may do.
    fn start_if_ended(&mut self);
    /// Sessions of its user, but for the one that asks.
    fn sessions(&self) -> u64;
    /// Schemas of the name that the runs use.
    fn schemas(&self) -> u64;
}

impl Victim for OwnPostgres {
    fn url(&self) -> String {
        self.url("")
    }

    fn password(&self) -> &'static str {
        own_postgres::PASSWORD
    }

    fn kill_and_start(&mut self, way: u64) {
        if way.is_multiple_of(2) {
            self.kill();
        } else {
            self.kill_master();
        }
        self.up_again();
    }

    fn start_if_ended(&mut self) {
        // Its master restarts what ends.
    }

    fn sessions(&self) -> u64 {
        self.sql("mine", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'me'")
            .parse()
            .unwrap()
    }

    fn schemas(&self) -> u64 {
        self.sql("mine", &format!("SELECT count(*) FROM pg_namespace WHERE nspname = '{SCHEMA}'"))
            .parse()
            .unwrap()
    }
}

impl OwnMariadb {
    fn count(&self, what: &str) -> u64 {
        let mut found = None;
        let mut client = self.open("").unwrap();
        block_on(
            client.query(&format!("SELECT count(*) FROM {what}"), |_, cell| found = cell.number()),
        )
        .unwrap();
        found.unwrap().cast_unsigned()
    }
}

impl Victim for OwnMariadb {
    fn url(&self) -> String {
        self.url("")
    }

    fn password(&self) -> &'static str {
        own_mariadb::PASSWORD
    }

    fn kill_and_start(&mut self, _: u64) {
        self.kill();
        self.start(&[]);
    }

    fn start_if_ended(&mut self) {
        if self.has_ended() {
            self.start(&[]);
        }
    }

    fn sessions(&self) -> u64 {
        self.count("information_schema.processlist WHERE user = 'me' AND id <> connection_id()")
    }

    fn schemas(&self) -> u64 {
        self.count(&format!("information_schema.schemata WHERE schema_name = '{SCHEMA}'"))
    }
}

/// A short run under one executor; numbers change what it does.
fn scenario(number: u64) -> String {
    let pick = |all: &[&'static str], by: u64| all[(by % all.len() as u64) as usize];
    let (executor, policy) = (pick(EXECUTORS, number), pick(POLICIES, number / 3));
    let allow = if (number / 2).is_multiple_of(2) { ", allow = { errors = true }" } else { "" };
    let insert = "query = \"INSERT INTO log(task, value) VALUES (?, 1)\", args = [\"${i}\"]";
    let both = "transaction = [{ query = \"UPDATE items SET price = price + 1 WHERE id = ?\", args = [\"${uniform(1,100)}\"] }, \
        { query = \"INSERT INTO log(task, value) VALUES (?, 2)\", args = [\"${i}\"] }]";
    let step = |what: &str, rows: &str| {
        format!(
            "{{ sql = {{ target = \"db\", {what}, connection = \"{policy}\" }}, expect = {{ rows = {rows} }}{allow} }}"
        )
    };
    format!(
        "schema = 1\nname = \"kills\"\n[run]\nrounds = 1\nwarmup = \"0s\"\ntimeout = \"60s\"\n\
         [executors]\nuse = [\"{executor}\"]\n\
         [targets.db]\nsql = {{ url = \"${{env:DATABASE_URL}}\", schema = \"{SCHEMA}\", rows = 100, pool = {{ max = 3 }} }}\n\
         [tasks.work]\nsteps = [{}, {}]\n[load.l]\ntask = \"work\"\nclosed = {{ concurrency = 4, tasks = 200 }}\n",
        step(insert, "1"),
        step(both, "[1, 1]"),
    )
}

fn start(bench: &BenchDir, url: &str, number: u64) -> Live {
    bench.write("s.toml", scenario(number));
    let mut command = bench.command("run --out out s.toml");
    command.env("DATABASE_URL", url);
    Live::new(command)
}

/// A number between 0 and 1 for each `number` (the mixing function of splitmix64).
fn drawn(number: u64) -> f64 {
    let mut z = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// How long a run takes from the begin of its trial to its end when nothing disturbs it.
fn undisturbed(victim: &impl Victim) -> Duration {
    let bench = BenchDir::new();
    let live = start(&bench, &victim.url(), 0);
    bench.process("trial");
    let begin = Instant::now();
    live.end().exits(0);
    begin.elapsed()
}

/// A run in the middle of which the server is killed and started again.
fn killed_in(victim: &mut impl Victim, number: u64, usual: Duration) {
    let bench = BenchDir::new();
    let live = start(&bench, &victim.url(), number);
    bench.process("trial");
    // Each twentieth once, in an order in which executors and policies do not follow the moments.
    let at = ((number * 7 % KILLS) as f64 + drawn(number)) / KILLS as f64;
    thread::sleep(usual.mul_f64(at));
    victim.kill_and_start(number);
    let seen = live.end();
    let place = format!("kill {number}, at {at:.2} of a run: {seen:#?}");
    assert!(EXIT_CODES.contains(&seen.code), "{place}");
    assert!(!seen.err.contains("panicked") && !seen.out.contains("panicked"), "{place}");
    assert!(!format!("{seen:?}").contains(victim.password()), "{place}");
    let stored = bench.stored("out");
    assert_complete(&stored);
    for trial in &stored.trials {
        if let Outcome::Failed(failure) = &trial.outcome {
            let names = |kind: &FaultKind| failure.reason.contains(&format!("{}: ", kind.name()));
            // A connection may be refused, lost, or reset in the moment in which the server has
            // accepted it; and a server that recovers on a busy machine may take longer to answer
            // than a connection may take to open.
            let kinds =
                [FaultKind::Lost, FaultKind::Refused, FaultKind::Reset, FaultKind::ConnectTimeout];
            assert_eq!(failure.kind, FailureKind::Target, "{place}\n{failure:?}");
            assert!(kinds.iter().any(names), "{place}\n{failure:?}");
            // One that was run again for a disturbance has figures already.
            let is_measured =
                stored.trials.iter().any(|trial| matches!(trial.outcome, Outcome::Measured(_)));
            assert!(seen.code == 5 || is_measured, "{place}");
        }
    }
    bench.wait_until_empty();
}

fn survives_twenty_kills(victim: &mut impl Victim) {
    let usual = undisturbed(victim);
    for number in 0..KILLS {
        killed_in(victim, number, usual);
    }
    victim.start_if_ended();
    // A server notices a moment later that a client has gone.
    let wait_until_left =
        || wait_for("the end of all sessions", || (victim.sessions() == 0).then_some(()));
    wait_until_left();
    // Whatever they have left behind, nobody has to clear it away.
    let bench = BenchDir::new();
    start(&bench, &victim.url(), 0).end().exits(0);
    assert_eq!(victim.schemas(), 0);
    wait_until_left();
}

#[test]
fn postgresql_may_be_killed_at_any_moment() {
    let Some(mut server) = OwnPostgres::start(&[]) else { return };
    survives_twenty_kills(&mut server);
}

#[test]
fn mariadb_may_be_killed_at_any_moment() {
    if !own_mariadb::is_installed() {
        return;
    }
    let mut server = OwnMariadb::new();
    server.start(&[]);
    survives_twenty_kills(&mut server);
}
