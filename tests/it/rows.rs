//! Rows and bodies that stand in files: the same under every executor by the server's own count, and
//! a run goes on only with the files that it began with.

use std::{collections::BTreeMap, fs};

use regatta::store::Outcome;

use crate::bench_dir::BenchDir;

const USERS: &str = "id,name,note\n7,ann,\n8,bob,\n9,eve,\n10,\"zoe\",unseen\n";

/// A batch of ten tasks of which each asks for a user's page and posts an order.
fn scenario(pick: &str) -> String {
    format!(
        r#"
schema = 1
name = "rows"
[run]
rounds = 1
warmup = "0s"
timeout = "60s"
[executors]
use = ["sequential", "threads", "thread-pool", "tokio", "smol"]
baseline = "threads"
[targets.api]
http = {{}}
[targets.db]
sql = {{ rows = 10 }}
[data.users]
csv = "users.csv"
pick = "{pick}"
[tasks.order]
steps = [
  {{ http = {{ target = "api", path = "/user/${{row:users.id}}/${{row:users.name}}", headers = {{ x-user = "${{row:users.id}}" }} }} }},
  {{ sql = {{ target = "db", query = "SELECT name FROM items WHERE id = ?", args = ["${{row:users.id}}"] }}, expect = {{ rows = 1 }} }},
  {{ http = {{ target = "api", path = "/order", method = "POST", body_file = "order.json" }} }},
]
[load.orders]
task = "order"
batch = {{ tasks = 10, repeat = 1 }}
"#
    )
}

fn bench(pick: &str) -> BenchDir {
    let bench = BenchDir::with(&scenario(pick));
    bench.write("users.csv", USERS);
    bench.write("order.json", "{ \"user\": ${row:users.id} }\n");
    bench
}

/// How often each path was asked for, in each trial.
fn paths(bench: &BenchDir, folder: &str) -> Vec<BTreeMap<String, u64>> {
    let of = |outcome: &Outcome| {
        let Outcome::Measured(measured) = outcome else { panic!("{outcome:?}") };
        let counts = &measured.trial.targets[0].counts;
        let paths = counts.iter().filter(|(name, _)| name.starts_with("path "));
        paths.map(|(name, count)| (name.clone(), *count)).collect()
    };
    bench.stored(folder).trials.iter().map(|trial| of(&trial.outcome)).collect()
}

#[test]
fn the_server_is_asked_for_the_same_rows_under_every_executor() {
    let in_turn = bench("in-turn");
    in_turn.run("run s.toml --out run").exits(0);
    let wanted = [("7/ann", 3), ("8/bob", 3), ("9/eve", 2), ("10/zoe", 2)];
    let wanted = wanted.map(|(user, count)| (format!("path /user/{user}"), count));
    let wanted: BTreeMap<_, _> =
        wanted.into_iter().chain([("path /order".to_owned(), 10)]).collect();
    // A disturbed trial is run again, so that there may be more than one of each executor.
    let found = paths(&in_turn, "run");
    assert!(found.len() >= 5 && found.iter().all(|trial| *trial == wanted), "{found:?}");
    let drawn = bench("random");
    drawn.run("run s.toml --out run").exits(0);
    let paths = paths(&drawn, "run");
    assert!(paths.len() >= 5 && paths.iter().all(|trial| *trial == paths[0]), "{paths:?}");
    assert_eq!(paths[0].values().sum::<u64>(), 20);
}

/// What stands behind a `#` would not be sent, and another page would be asked for.
#[test]
fn a_row_that_no_path_can_have_fails_the_trial() {
    let bench = bench("in-turn");
    bench.write("users.csv", USERS.replace("bob", "b#b"));
    bench.run("run s.toml --out run").exits(5).says(&["b#b", "is no path", "sent as they are"]);
}

#[test]
fn a_run_whose_file_has_changed_is_not_resumed() {
    let bench = bench("in-turn");
    bench.run("run s.toml --out run").exits(0);
    let stored = bench.stored("run");
    assert_eq!(stored.header.cells[0].files.len(), 2);
    assert!(!fs::read_to_string(bench.path("run/run.jsonl")).unwrap().contains("unseen"));
    bench.cut_off("run");
    bench.write("users.csv", USERS.replace("zoe", "zoo"));
    bench.run("run --resume run").exits(65).says(&["another value of `file", "users.csv"]);
    bench.write("users.csv", USERS.replace(",unseen", ""));
    bench.run("run --resume run").exits(65).says(&["`users.csv`, line 5: expected 3 values"]);
    fs::remove_file(bench.path("users.csv")).unwrap();
    bench.run("run --resume run").exits(65).says(&["users.csv`: No such file"]);
    bench.write("users.csv", USERS);
    bench.run("run --resume run").exits(0);
}
