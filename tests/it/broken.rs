//! Files that are wrong: every error is found, in its place, in words that help.

use std::path::{Path, PathBuf};

use regatta::{
    config::Diagnostic,
    scenario::{Overrides, ScenarioError, from_text, read},
};

/// An error's line, column and a part of its message.
type Expected = (usize, usize, &'static str);

/// Every file in `broken/`, and all errors that are found in it, in file order.
const BROKEN: &[(&str, &[Expected])] = &[
    (
        "baseline",
        &[
            (5, 12, "the baseline `threads` is not raced"),
            (14, 11, "the executor `sequential` is not raced"),
            (15, 10, "a factor must be above zero"),
            (16, 13, "unknown choice `atleast`"),
            (17, 13, "a tolerance cannot be negative"),
            (21, 11, "the executor `sequential` is not raced"),
        ],
    ),
    (
        "claims",
        &[
            (14, 1, "this claim does not say what it compares with"),
            (20, 11, "this claim compares cells with themselves"),
            (25, 10, "unknown choice `latency.p9`"),
            (26, 10, "`sise` is not swept"),
            (27, 25, "`size` never has the value `3`"),
            (32, 11, "this claim compares cells with themselves"),
        ],
    ),
    ("closed-nobody", &[(4, 12, "`duration` has no meaning"), (9, 38, "no client takes part")]),
    (
        "closed-stages",
        &[
            (12, 10, "`stages` has no meaning beside `tasks`"),
            (13, 3, "missing key `for`"),
            (14, 24, "a stage has either `clients` or `to`"),
            (15, 3, "a stage has either `clients` or `to`"),
            (16, 15, "expected a whole number of at least 0, found the string `8/s`"),
            (16, 28, "a stage must be longer than zero"),
            (17, 3, "a stage has either `clients` or `to`"),
            (17, 5, "unknown key `rate`"),
        ],
    ),
    (
        "comment-only",
        &[
            (1, 1, "missing key `schema`"),
            (1, 1, "missing key `name`"),
            (1, 1, "missing key `tasks`"),
            (1, 1, "missing key `load`"),
        ],
    ),
    ("crlf", &[(4, 30, "`äö` is no valid name"), (4, 40, "unknown operation `spin`")]),
    (
        "cycle",
        &[
            (8, 30, "the task `a` runs itself: a → b → c → a"),
            (10, 30, "the task `d` runs itself: d → d"),
        ],
    ),
    (
        "distributions",
        &[
            (5, 22, "`lognormal(2ms, p99=12ms)`, found `gauss(1ms)`"),
            (6, 22, "the second bound in `uniform(1ms,3ms)` must be above the first one"),
            (7, 22, "the mean in `exp(1ms)` must be above zero"),
            (8, 22, "`lognormal(2ms, p99=12ms)`, found `lognormal(2ms)`"),
            (9, 22, "expected a duration such as `20ms`, `1.5s` or `2m`, found `5`"),
            (10, 22, "`lognormal(2ms, p99=12ms)`, found `NaN`"),
            (11, 22, "a duration is shorter than 584 years, found `99999999999999999999s`"),
        ],
    ),
    (
        "duplicate-names",
        &[
            (4, 25, "`tokio` stands twice in `use`"),
            (6, 75, "two steps are called `same`"),
            (6, 105, "the task that is measured is called `a` too"),
        ],
    ),
    ("duplicates", &[(3, 1, "duplicate key"), (11, 8, "duplicate key"), (12, 1, "duplicate key")]),
    (
        "duration-with-batch",
        &[(4, 12, "`duration` has no meaning here: a batch ends when its tasks are done")],
    ),
    (
        "empty",
        &[
            (1, 1, "missing key `schema`"),
            (1, 1, "missing key `name`"),
            (1, 1, "missing key `tasks`"),
            (1, 1, "missing key `load`"),
        ],
    ),
    (
        "except",
        &[
            (4, 20, "unknown executor `fibre`"),
            (4, 29, "`tokio` stands twice in `except`"),
            (5, 12, "the baseline `tokio` is not raced"),
            (14, 11, "the executor `tokio` is not raced"),
        ],
    ),
    ("except-and-use", &[(5, 10, "`use` says already which executors are raced")]),
    (
        "executors",
        &[
            (4, 17, "unknown executor `fibre`"),
            (4, 26, "unknown executor `Smol`"),
            (5, 12, "the baseline `threads` is not raced"),
            (6, 12, "unknown key `tokio`"),
        ],
    ),
    (
        "huge-integer",
        &[
            (4, 8, "the number does not fit into 64 bits"),
            (5, 10, "4294967296 is too large here"),
            (10, 19, "the number does not fit into 64 bits"),
        ],
    ),
    ("key-typo", &[(7, 12, "unknown key `concurency`")]),
    (
        "loads",
        &[
            (10, 7, "`two` is another load's task, too"),
            (12, 37, "4 tasks cannot keep 8 clients busy"),
            (14, 8, "this claim does not say which load it is about"),
            (20, 8, "unknown load `on`"),
        ],
    ),
    (
        "negative-duration",
        &[
            (4, 10, "a duration such as `20ms` cannot be negative, found `-1s`"),
            (6, 29, "a duration such as `20ms` cannot be negative, found `-5ms`"),
            (9, 37, "a duration such as `20ms` cannot be negative, found `-0.5ms`"),
        ],
    ),
    (
        "no-load",
        &[(3, 1, "expected at least one load, found none"), (4, 8, "the task `a` has no steps")],
    ),
    (
        "no-operation",
        &[
            (4, 10, "expected exactly one operation, found none"),
            (4, 29, "expected exactly one operation, found none"),
            (5, 8, "the task `b` has no steps"),
            (7, 1, "expected exactly one kind of load, found none"),
        ],
    ),
    ("not-utf8", &[(3, 4, "the file is not UTF-8: byte 0xff")]),
    ("nul", &[(2, 11, "unexpected key or value")]),
    (
        "open",
        &[
            (12, 11, "unknown choice `uniform`"),
            (13, 17, "expected a whole number of at least 1, found 0"),
            (14, 12, "unknown choice `queue`"),
            (16, 3, "missing key `for`"),
            (17, 25, "a stage has either `rate` or `to`"),
            (18, 3, "a stage has either `rate` or `to`"),
            (19, 10, "expected a rate such as `250/s`, `4k/s` or `30/m`, found an integer"),
            (19, 22, "a stage must be longer than zero"),
            (20, 12, "no pacer hands over as many arrivals"),
        ],
    ),
    (
        "open-duration",
        &[(4, 12, "`duration` has no meaning here: the load ends with its last stage")],
    ),
    ("open-empty", &[(7, 34, "an open load with `stages` needs at least one")]),
    ("open-nothing", &[(7, 33, "nothing arrives: every stage has a rate of zero")]),
    ("open-timeout", &[(4, 11, "every trial would be killed before it ends")]),
    ("open-zero", &[(7, 17, "nothing arrives at a rate of zero")]),
    (
        "paths",
        &[
            (7, 37, "a path cannot have a space"),
            (8, 37, "a path cannot have `<`"),
            (9, 37, "what follows a `#` is never sent"),
            (10, 37, "a path begins with `/`"),
        ],
    ),
    ("schema-99", &[(1, 10, "schema 99 is not known; this regatta reads schema 1")]),
    ("schema-missing", &[(1, 1, "missing key `schema`")]),
    (
        "secrets",
        &[
            (4, 15, "a swept value cannot be taken from the environment"),
            (6, 16, "a user or a password here would end up in every run file"),
            (9, 58, "the value of `authorization` would end up in every run file"),
            (10, 37, "the value of `api_key` would end up in every run file"),
            (10, 74, "the value of `X-Api-Key` would end up in every run file"),
            (10, 74, "the value of `cookie` would end up in every run file"),
            (11, 68, "the name of a variable is letters, digits and `_`"),
        ],
    ),
    (
        "several",
        &[
            (2, 8, "`Upper Case` is no valid name"),
            (4, 10, "expected a whole number of at least 1, found -1"),
            (5, 1, "unknown key `sed`"),
            (7, 8, "unknown executor `tokyo`"),
            (9, 12, "unknown operation `cpuu`"),
            (9, 44, "expected a duration such as `20ms`, `1.5s` or `2m`, found `1 ms`"),
            (9, 71, "missing key `time`"),
            (11, 8, "unknown task `b`"),
            (12, 22, "unknown key `concurrency`"),
            (14, 10, "unknown metric `p99`"),
        ],
    ),
    (
        "shared",
        &[
            (4, 22, "expected a whole number of at least 1, found 0"),
            (8, 11, "unknown key `permits`"),
            (10, 25, "expected at most 1048576 permits"),
            (13, 1, "expected exactly one kind of shared object, found `mutex` and `queue`"),
            (16, 21, "unknown queue `job`"),
            (17, 22, "`a` is a mutex, not a queue"),
            (18, 22, "`s` is a semaphore, not a mutex"),
            (19, 15, "missing key `semaphore`"),
        ],
    ),
    (
        "shared-rings",
        &[
            (19, 29, "`a` is held here, and elsewhere waited for under `b`"),
            (25, 36, "`s` is waited for while it is held"),
        ],
    ),
    (
        "shared-unused",
        &[(3, 9, "nothing uses the queue `jobs`"), (5, 9, "nothing uses the mutex `gate`")],
    ),
    (
        "slips",
        &[
            (3, 1, "`rounds` does not belong here"),
            (4, 1, "`executors` is a table"),
            (6, 12, "expected a duration such as `20ms`, found an integer"),
            (7, 10, "found `1 s`"),
            (8, 9, "expected `true` or `false`, found the string `true`"),
            (9, 2, "unknown table `target`"),
            (10, 8, "expected a table, found the string `http://127.0.0.1:3000`"),
            (13, 13, "expected a table, found the string `10ms`"),
            (14, 42, "unknown key `expect`"),
            (15, 64, "expected a status such as 200, or a list of them"),
            (17, 2, "a load has a name"),
            (19, 17, "expected a rate such as `250/s`, `4k/s` or `30/m`, found an integer"),
        ],
    ),
    (
        "slos",
        &[
            (11, 10, "no measured task or named step is called `b`"),
            (13, 10, "unknown metric `latancy.p99`"),
            (15, 10, "expected a duration such as `20ms`, `1.5s` or `2m`, found `3`"),
            (17, 10, "expected a limit such as `request.latency.p99 < 25ms`"),
            (20, 10, "`m` is not swept"),
            (20, 21, "`n` never has the value `3`"),
            (21, 1, "missing key `assert`"),
        ],
    ),
    (
        "sweep-bad",
        &[
            (4, 1, "a parameter cannot be called `i`"),
            (5, 9, "expected a single value: a string, a number or a boolean, found a table"),
            (7, 1, "the sweep over `empty` has no values"),
            (8, 16, "1 stands twice in this sweep"),
            (9, 9, "expected an array, found an integer"),
        ],
    ),
    ("sweep-huge", &[(8, 1, "the sweep has 20000 combinations; 10000 is the most")]),
    (
        "sweep-unused",
        &[(4, 1, "nothing uses `fanout`: the sweep multiplies the cells without changing them")],
    ),
    (
        "syntax",
        &[
            (2, 10, "invalid basic string, expected `\"`"),
            (4, 12, "string values must be quoted, expected literal string"),
            (5, 10, "expected a whole number of at least 1, found 0"),
            (6, 9, "unclosed table, expected `]`"),
            (7, 22, "invalid inline table element, expected `,`"),
            (8, 1, "missing key for inline table element, expected `,`"),
            (9, 1, "missing comma between key-value pairs, expected `,`"),
            (10, 1, "missing comma between key-value pairs, expected `,`"),
            (10, 33, "unclosed inline table, expected `}`"),
            (10, 33, "unclosed array, expected `]`"),
        ],
    ),
    (
        "target-kind",
        &[
            (4, 1, "unknown kind of target `htp`"),
            (5, 1, "expected exactly one kind of target, found none"),
        ],
    ),
    (
        "timeout-over-noop",
        &[
            (5, 26, "a time-out cannot end `noop`, which runs to its end"),
            (6, 51, "a time-out cannot end `noop` in the task `c`, which runs to its end"),
            (8, 44, "`on_timeout` without `timeout`"),
            (9, 61, "unknown choice `abort`"),
        ],
    ),
    ("top-level-typo", &[(3, 1, "unknown key `qestion`")]),
    (
        "two-operations",
        &[
            (4, 23, "expected exactly one operation, found `noop` and `sleep`"),
            (8, 1, "expected exactly one kind of load, found `batch` and `closed`"),
        ],
    ),
    ("unknown-parameter", &[(6, 43, "unknown parameter `fanuot`")]),
    ("unknown-task", &[(4, 30, "unknown task `cal`"), (8, 8, "unknown task `reqest`")]),
    ("unused", &[(3, 10, "nothing uses the target `api`"), (7, 8, "nothing runs the task `b`")]),
    (
        "values",
        &[
            (4, 8, "a scenario has no use for dates"),
            (6, 5, "expected a finite number"),
            (9, 8, "`b::c` is no valid name"),
            (10, 31, "`Ä` is no valid name"),
            (13, 19, "expected a finite number"),
        ],
    ),
    ("watchdog", &[(4, 11, "every trial would be killed before it ends")]),
    (
        "wrong-type",
        &[
            (4, 10, "expected a duration such as `20ms`, found an integer"),
            (5, 10, "expected a whole number of at least 1, found the string `seven`"),
            (7, 19, "expected a table, found an integer"),
            (9, 8, "expected a string, found an array"),
            (10, 19, "expected a whole number of at least 1, found a float"),
        ],
    ),
    (
        "zero",
        &[
            (4, 10, "expected a whole number of at least 1, found 0"),
            (5, 12, "`duration` must be above zero"),
            (6, 11, "`timeout` must be above zero"),
            (8, 11, "expected a whole number of at least 1, found 0"),
            (9, 14, "a stack must be above zero bytes"),
            (11, 8, "expected a whole number of at least 1, found 0"),
            (13, 58, "expected a whole number of at least 1, found 0"),
            (13, 103, "a time-out must be above zero"),
            (18, 26, "expected a whole number of at least 1, found 0"),
            (18, 37, "expected a whole number of at least 1, found 0"),
        ],
    ),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/broken")
}

/// The text and the errors of a scenario that must be wrong.
fn errors(result: Result<regatta::scenario::Scenario, ScenarioError>) -> (String, Vec<Diagnostic>) {
    match result {
        Err(ScenarioError::Invalid { text, diagnostics, .. }) => (text, diagnostics),
        Err(other) => panic!("{other}"),
        Ok(scenario) => panic!("{} is fine", scenario.path.display()),
    }
}

fn errors_in(text: &str) -> Vec<(usize, usize, String)> {
    let (text, found) = errors(from_text(Path::new("x.toml"), text, &Overrides::default()));
    found.into_iter().map(|d| (d.position(&text).0, d.position(&text).1, d.message)).collect()
}

#[test]
fn every_error_is_found_in_its_place() {
    for (name, expected) in BROKEN {
        let (text, found) =
            errors(read(&folder().join(name).with_extension("toml"), &Overrides::default()));
        let shown: Vec<_> = found.iter().map(|d| (d.position(&text), d.message.as_str())).collect();
        assert_eq!(found.len(), expected.len(), "{name}: {shown:#?}");
        for (&(line, column, part), ((found_line, found_column), message)) in
            expected.iter().zip(&shown)
        {
            assert_eq!((line, column), (*found_line, *found_column), "{name}: {message}");
            assert!(message.contains(part), "{name}:{line}:{column}: {message}");
        }
    }
}

#[test]
fn every_broken_file_stands_in_the_table() {
    let mut files: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert_eq!(files, BROKEN.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
}

#[test]
fn the_printed_error_names_file_line_and_column() {
    for (name, expected) in BROKEN {
        let path = folder().join(name).with_extension("toml");
        let printed = read(&path, &Overrides::default()).unwrap_err().render(false);
        for (line, column, part) in *expected {
            let place = format!("--> {}:{line}:{column}\n", path.display());
            assert!(printed.contains(&place), "{name}: {place} is missing in\n{printed}");
            assert!(printed.contains(part), "{name}: {part} is missing in\n{printed}");
        }
    }
}

#[test]
fn a_tower_of_brackets_is_an_error() {
    for (count, part) in
        [(100, "recurs"), (1 << 20, "too long"), ((1 << 20) - 40, "recurs"), (10 << 20, "too long")]
    {
        let found = errors_in(&format!("schema = 1\nname = \"x\"\nrun = {}", "[".repeat(count)));
        assert!(
            found.iter().any(|(.., message)| message.contains(part)),
            "{count}: {:?}",
            found.first()
        );
    }
    let found = errors_in(&format!("schema = 1\n{}", "{ a = ".repeat(10_000)));
    assert!(!found.is_empty());
}

#[test]
fn a_tower_of_dots_is_an_error() {
    let found = errors_in(&format!("schema = 1\ntasks{} = 1", ".a".repeat(400_000)));
    assert_eq!(found, [(2, 36, "a key has more than 16 parts".to_owned())]);
}

#[test]
fn a_tower_of_tasks_is_an_error() {
    let task = |at: usize| {
        format!("[tasks.t{at}]\nsteps = [{{ repeat = {{ task = \"t{}\", times = 1 }} }}]\n", at + 1)
    };
    let tower = |levels: usize, order: &dyn Fn(usize) -> usize| {
        let tasks: String = (0..levels).map(|at| task(order(at))).collect();
        format!(
            "schema = 1\nname = \"x\"\n{tasks}[tasks.t{levels}]\nsteps = [{{ noop = {{}} }}]\n\
             [load.l]\ntask = \"t0\"\nbatch = {{ tasks = 1 }}\n"
        )
    };
    assert!(from_text(Path::new("x.toml"), &tower(31, &|at| at), &Overrides::default()).is_ok());
    for levels in [32, 33, 5_000] {
        for text in [tower(levels, &|at| at), tower(levels, &|at| levels - 1 - at)] {
            let found = errors_in(&text);
            assert_eq!(found.len(), 1, "{levels}: {found:?}");
            assert!(found[0].2.contains("more than 32 levels"), "{found:?}");
        }
    }
}

#[test]
fn a_long_line_is_not_printed_whole() {
    let text =
        format!("schema = 1\nname = \"{}\"\n{} = 1\n", "x ".repeat(200_000), "k".repeat(400_000));
    let printed =
        from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap_err().render(false);
    assert!(
        printed.contains("is no valid name") && printed.contains("unknown key"),
        "{} bytes",
        printed.len()
    );
    assert!(printed.len() < 10_000, "{} bytes", printed.len());
}

#[test]
fn at_most_twenty_errors_are_printed() {
    let keys: Vec<String> = (0..40).map(|at| format!("wrong-{at} = {at}")).collect();
    let printed = from_text(Path::new("x.toml"), &keys.join("\n"), &Overrides::default())
        .unwrap_err()
        .render(false);
    assert_eq!(printed.matches("error: ").count(), 20, "{printed}");
    assert!(printed.ends_with("and 24 more errors\n"), "{printed}");
}

proptest::proptest! {
    /// Whatever is done to a good file, reading it ends with a scenario or with errors that can be
    /// printed.
    #[test]
    fn no_damage_to_a_file_is_a_crash(
        cuts in proptest::collection::vec((0_usize..2_000, 0_usize..30, "[\\[\\]{}=.,'\"#$a0\\-\n\u{0}]{0,4}"), 1..6)
    ) {
        let mut text = include_str!("valid/full.toml").to_owned();
        for (start, length, inserted) in cuts {
            let start = start % text.len();
            text.replace_range(start..(start + length).min(text.len()), &inserted);
            proptest::prop_assume!(text.len() > 1);
        }
        if let Err(error) = from_text(Path::new("x.toml"), &text, &Overrides::default()) {
            let printed = error.render(false);
            proptest::prop_assert!(printed.contains("error: ") && printed.contains("--> x.toml:"), "{}", printed);
        }
    }
}
