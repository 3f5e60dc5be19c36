//! Slips that many make who write their first scenario: each gets one message, in its place, that
//! says what to write.

use std::path::Path;

use regatta::scenario::{Overrides, ScenarioError, from_text};

/// A scenario that is right, whose parts are replaced.
const RIGHT: &str = "schema = 1\nname = \"x\"\n\n[run]\nrounds = 1\n\n[targets.api]\nhttp = {}\n\n[tasks.a]\n\
    steps = [{ http = { target = \"api\", path = \"/\" } }]\n\n[load.l]\ntask = \"a\"\nclosed = { concurrency = 1 }\n";

/// What is right, what stands in its place, the error's line, and what is to be written.
const SLIPS: &[(&str, &str, usize, &str)] = &[
    ("[load.l]", "[load]", 13, "write [load.clients] in place of [load]"),
    (
        "[load.l]\ntask = \"a\"\nclosed",
        "[load]\nclosed",
        13,
        "write [load.clients] in place of [load]",
    ),
    ("[load.l]", "[[load]]", 13, "write [load.NAME] in place of [[load]]"),
    ("[load.l]", "[loads.l]", 13, "write [load.NAME] in place of [loads.NAME]"),
    ("[load.l]", "[lod.l]", 13, "write [load.NAME] in place of [lod.NAME]"),
    ("[targets.api]", "[target.api]", 7, "write [targets.NAME] in place of [target.NAME]"),
    ("[targets.api]", "[targets]", 7, "write [targets.api] in place of [targets]"),
    ("[tasks.a]", "[task.a]", 10, "write [tasks.NAME] in place of [task.NAME]"),
    ("[tasks.a]", "[tasks]", 10, "write [tasks.request] in place of [tasks]"),
    ("[run]", "[runs]", 4, "write [run] in place of [runs]"),
    (
        "\n\n[run]",
        "\n[executor]\nuse = [\"tokio\"]\n[run]",
        3,
        "write [executors] in place of [executor]",
    ),
    (
        "\n\n[run]",
        "\n[slo]\nassert = \"a.latency.p99 < 1s\"\n[run]",
        3,
        "write [[slo]] in place of [slo]",
    ),
    (
        "\n\n[run]",
        "\n[[slos]]\nassert = \"a.latency.p99 < 1s\"\n[run]",
        3,
        "write [[slo]] in place of [[slos]]",
    ),
    ("\n\n[run]", "\nexecutors = [\"tokio\"]\n[run]", 3, "write executors = { use = [\"tokio\"] }"),
    ("\n\n[run]", "\nrounds = 3\n[run]", 3, "`rounds` belongs under [run]"),
    ("\n\n[run]", "\nwarmup = \"1s\"\n[run]", 3, "`warmup` belongs under [run]"),
    ("\n\n[run]", "\nbaseline = \"tokio\"\n[run]", 3, "`baseline` belongs under [executors]"),
    ("rounds = 1", "rounds = \"1\"", 5, "write rounds = 1, without quotes"),
    ("rounds = 1", "rounds = 1.0", 5, "write rounds = 1"),
    ("rounds = 1", "duration = 5", 5, "write \"5s\" for seconds, or \"5ms\" for milliseconds"),
    ("rounds = 1", "duration = \"5\"", 5, "write \"5s\" for seconds"),
    ("rounds = 1", "duration = \"1 s\"", 5, "write \"1s\""),
    ("rounds = 1", "duration = \"5sec\"", 5, "write \"5s\""),
    ("rounds = 1", "duration = \"5 seconds\"", 5, "write \"5s\""),
    ("rounds = 1", "duration = \"0m30s\"", 5, "write \"30s\""),
    ("rounds = 1", "probe = \"true\"", 5, "write probe = true, without quotes"),
    (
        "rounds = 1",
        "rounds = 1\n[executors]\nstack_size = \"10 mb\"",
        7,
        "write \"10MB\" (in thousands) or \"10MiB\"",
    ),
    ("rounds = 1", "rounds = 1\n[executors]\nuse = \"tokio\"", 7, "write use = [\"tokio\"]"),
    ("rounds = 1", "rounds = 1\n[executors]\nuse = [\"Tokio\"]", 7, "did you mean `tokio`?"),
    (
        "http = {}",
        "http = \"http://127.0.0.1:3000\"",
        8,
        "write http = { url = \"http://127.0.0.1:3000\" }",
    ),
    ("closed = { concurrency = 1 }", "closed = 1", 15, "write closed = { concurrency = 1 }"),
    ("closed = { concurrency = 1 }", "open = 100", 15, "write open = { rate = \"100/s\" }"),
    ("closed = { concurrency = 1 }", "open = { rate = 100 }", 15, "write \"100/s\""),
    ("closed = { concurrency = 1 }", "open = { rate = \"100rps\" }", 15, "write \"100/s\""),
    ("closed = { concurrency = 1 }", "open = { rate = \"100 req/s\" }", 15, "write \"100/s\""),
    (
        "closed = { concurrency = 1 }",
        "concurrency = 1",
        15,
        "`concurrency` belongs in closed = { … }",
    ),
    (
        "concurrency = 1 ",
        "concurrency = 1, duration = \"5s\" ",
        15,
        "`duration` belongs under [run]",
    ),
    ("closed =", "warmup = \"1s\"\nclosed =", 15, "`warmup` belongs under [run]"),
    ("task = \"a\"", "task = [\"a\"]", 14, "write task = \"a\""),
    ("[{ http", "[{ sleep = \"10ms\" }, { http", 11, "write sleep = { time = \"10ms\" }"),
    ("[{ http", "[{ sleep = 10 }, { http", 11, "write sleep = { time = \"10ms\" }"),
    ("[{ http", "[{ cpu = \"sha256\" }, { http", 11, "write cpu = { kernel = \"sha256\" }"),
    ("[{ http", "[{ noop = true }, { http", 11, "write noop = {}"),
    ("[{ http", "[\"noop\", { http", 11, "write { noop = {} }"),
    ("[{ http", "[\"sleep 10ms\", { http", 11, "write { sleep = { time = \"10ms\" } }"),
    (
        "[{ http",
        "[{ parallel = \"a\" }, { http",
        11,
        "write parallel = { task = \"a\", count = 1 }",
    ),
    (
        "[{ http = { target = \"api\", path = \"/\" } }]",
        "{ noop = {} }",
        11,
        "write steps = [{ … }]",
    ),
    ("path = \"/\" }", "path = \"/\", method = \"get\" }", 11, "did you mean `GET`?"),
    ("path = \"/\" }", "path = \"/\", timeout = \"1s\" }", 11, "beside a step's operation"),
    (
        "path = \"/\" }",
        "path = \"/\", expect = { status = 200 } }",
        11,
        "`expect` belongs beside a step's operation",
    ),
    (
        "path = \"/\" }",
        "path = \"/\", headers = [\"a: b\"] }",
        11,
        "write headers = { NAME = \"…\" }",
    ),
    ("path = \"/\" }", "path = \"/\", headers = { a = 5 } }", 11, "write a = \"5\", in quotes"),
    ("path = \"/\" }", "path = \"/\" }, expect = 200", 11, "write expect = { status = 200 }"),
    (
        "path = \"/\" }",
        "path = \"/\" }, expect = { status = \"2xx\" }",
        11,
        "write a list, such as [200, 204]",
    ),
    (
        "path = \"/\" }",
        "path = \"/\" }, expect = { status = [\"2xx\"] }",
        11,
        "write a list, such as [200, 204]",
    ),
    (
        "path = \"/\" }",
        "path = \"/\" }, expect = { status = \"200\" }",
        11,
        "write 200, without quotes",
    ),
];

#[test]
fn each_slip_has_one_message_that_says_what_to_write() {
    assert!(from_text(Path::new("x.toml"), RIGHT, &Overrides::default()).is_ok());
    for (right, wrong, line, help) in SLIPS {
        assert!(RIGHT.contains(right), "{right}");
        let text = RIGHT.replacen(right, wrong, 1);
        let Err(ScenarioError::Invalid { diagnostics, .. }) =
            from_text(Path::new("x.toml"), &text, &Overrides::default())
        else {
            panic!("{wrong} is fine");
        };
        // A target that nothing uses any more is another matter.
        let found: Vec<_> = diagnostics
            .iter()
            .filter(|found| !found.message.starts_with("nothing uses the target"))
            .collect();
        assert_eq!(found.len(), 1, "{wrong}: {found:#?}");
        assert_eq!(found[0].position(&text).0, *line, "{wrong}: {found:#?}");
        let said = found[0].help.as_deref().unwrap_or_default();
        assert!(said.contains(help), "{wrong}: {}: {said}", found[0].message);
    }
}

#[test]
fn a_password_in_the_wrong_shape_is_not_shown() {
    for wrong in ["http = \"http://me:topsecret@h\"", "sql = \"postgres://me:topsecret@h/db\""] {
        let text = RIGHT.replacen("http = {}", wrong, 1);
        let error = from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap_err();
        assert!(!error.render(false).contains("topsecret"), "{}", error.render(false));
    }
}
