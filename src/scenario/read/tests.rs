//! Tests of reading whole scenarios.

use std::time::Duration;

use super::*;
use crate::{
    runtime::EXECUTORS,
    scenario::{Comparison, Direction, LoadKind, OnTimeout, SloMetric},
    units::Distribution,
};

const FULL: &str = include_str!("../../../tests/it/valid/full.toml");

fn read_with(text: &str, overrides: &Overrides) -> Scenario {
    from_text(Path::new("full.toml"), text, overrides).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_table_is_read() {
    let scenario = read_with(FULL, &Overrides::default());
    assert_eq!((scenario.name.as_str(), scenario.variants.len()), ("full", 6));
    let variant = &scenario.variants[1];
    assert_eq!(variant.run.rounds, 9);
    assert_eq!(variant.run.duration, Duration::from_secs(5));
    assert_eq!(variant.executors.names, ["tokio", "thread-pool", "sequential"]);
    assert_eq!(
        (variant.executors.baseline.as_str(), variant.executors.pool_size),
        ("thread-pool", 32)
    );
    assert_eq!(
        (variant.executors.workers, variant.executors.stack_size),
        (Some(2), Some(64 * 1024))
    );
    let step = &variant.tasks[0].steps[0];
    assert_eq!(
        (step.name.as_deref(), step.timeout),
        (Some("pause"), Some(Duration::from_millis(50)))
    );
    assert_eq!((step.on_timeout, step.spec.key()), (OnTimeout::Ignore, "sleep"));
    let think = Distribution::Const(Duration::from_millis(3));
    let drain = Duration::from_secs(5);
    assert_eq!(
        variant.loads[0].kind,
        LoadKind::Closed { concurrency: 1, stages: Vec::new(), think, tasks: None, drain }
    );
    assert_eq!(scenario.claims[0].direction, Direction::AtLeast);
    let slo = &scenario.slos[0];
    assert_eq!(
        (slo.subject.as_str(), slo.metric, slo.comparison),
        ("request", SloMetric::Latency(0.99), Comparison::Below)
    );
    assert_eq!((slo.limit, slo.only[0].value.as_str()), (25e6, "8"));
    assert!(FULL.lines().nth(slo.line - 1).unwrap().starts_with("assert"));
}

#[test]
fn variants_come_in_file_order_with_their_values_filled_in() {
    let scenario = read_with(FULL, &Overrides::default());
    let shown = scenario.variants.iter().map(|variant| {
        variant.params.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    });
    let expected = [
        "concurrency=1,wait=1ms",
        "concurrency=1,wait=exp(2ms)",
        "concurrency=8,wait=1ms",
        "concurrency=8,wait=exp(2ms)",
        "concurrency=64,wait=1ms",
        "concurrency=64,wait=exp(2ms)",
    ];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
    let least = |at: usize| scenario.variants[at].tasks[0].steps[0].spec.cost(&|_| None).least;
    assert_eq!(
        (least(0), least(1)),
        (Duration::from_millis(1), Distribution::Exp(Duration::from_millis(2)).least())
    );
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let text = "schema = 1\nname = 'x'\n[tasks.a]\nsteps = [{ noop = {} }]\n[load.b]\ntask = 'a'\nbatch = { tasks = 1 }";
    let variant = read_with(text, &Overrides::default()).variants.remove(0);
    let seconds = |duration: Duration| duration.as_secs();
    let run = &variant.run;
    assert_eq!(
        (run.rounds, seconds(run.warmup), seconds(run.duration), seconds(run.timeout)),
        (7, 1, 5, 60)
    );
    assert_eq!(
        (run.seed, variant.executors.pool_size, variant.executors.names.len()),
        (42, 64, EXECUTORS.len())
    );
    assert_eq!(variant.executors.baseline, "thread-pool");
    assert_eq!(
        (variant.params.len(), variant.loads[0].kind.clone()),
        (0, LoadKind::Batch { tasks: 1, repeat: None })
    );
}

#[test]
fn the_command_line_changes_parameters_and_settings() {
    let overrides = Overrides {
        params: vec![("wait".into(), "7ms".into())],
        sweeps: vec![("times".into(), vec!["2".into(), "3".into()])],
        rounds: Some(1),
        executors: vec!["smol".into(), "tokio".into()],
        ..Overrides::default()
    };
    let scenario = read_with(FULL, &overrides);
    assert_eq!(scenario.variants.len(), 6);
    let variant = &scenario.variants[1];
    let values: Vec<_> = variant.params.iter().map(|param| param.value.as_str()).collect();
    assert_eq!(values, ["1", "7ms", "3"]);
    assert_eq!(variant.tasks[0].steps[0].spec.cost(&|_| None).least, Duration::from_millis(7));
    assert_eq!((variant.run.rounds, variant.executors.baseline.as_str()), (1, "tokio"));
    assert_eq!(variant.executors.names, ["tokio", "smol"]);
}

#[test]
fn the_command_line_is_checked_too() {
    let message = |overrides| match from_text(Path::new("full.toml"), FULL, &overrides) {
        Err(error @ ScenarioError::Override { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let param =
        |name: &str| Overrides { params: vec![(name.into(), "1".into())], ..Overrides::default() };
    assert!(
        message(param("concurency"))
            .contains("unknown parameter `concurency`: did you mean `concurrency`?")
    );
    let sweeps = vec![("concurrency".to_owned(), Vec::new())];
    assert!(message(Overrides { sweeps, ..Overrides::default() }).contains("no values"));
    let sweep = |values: &[&str]| {
        let sweeps = vec![(
            "concurrency".to_owned(),
            values.iter().map(|value| (*value).to_owned()).collect(),
        )];
        message(Overrides { sweeps, ..Overrides::default() })
    };
    assert!(sweep(&[""]).contains("no values"));
    assert!(sweep(&["3", "4", "3"]).contains("3 stands twice"));
    assert!(
        message(Overrides { rounds: Some(10_001), ..Overrides::default() })
            .contains("10000 is the most")
    );
    let duration = Some(Duration::from_secs(3600));
    assert!(message(Overrides { duration, ..Overrides::default() }).contains("would be killed"));
    let executors = vec!["tokyo".to_owned()];
    assert!(
        message(Overrides { executors, ..Overrides::default() }).contains("did you mean `tokio`?")
    );
    assert!(message(Overrides { rounds: Some(0), ..Overrides::default() }).contains("1 round"));
}

#[test]
fn an_error_of_some_variants_names_the_first_of_them() {
    let overrides = Overrides {
        sweeps: vec![("concurrency".into(), vec!["8".into(), "0".into()])],
        ..Overrides::default()
    };
    let error = from_text(Path::new("full.toml"), FULL, &overrides).unwrap_err().to_string();
    assert!(
        error.contains("found 0 (with concurrency=0, wait=1ms; 2 of 4 combinations)"),
        "{error}"
    );
    assert_eq!(error.matches("error: ").count(), 1, "{error}");
}

#[test]
fn an_error_that_differs_only_in_its_values_is_told_once() {
    let errors = |sweep: &str, load: &str| {
        let text = format!(
            "schema = 1\nname = 'x'\n[sweep]\n{sweep}\n[tasks.t]\nsteps = [{{ noop = {{}} }}]\n[load.l]\ntask = 't'\n{load}"
        );
        let error =
            from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap_err().to_string();
        error
            .lines()
            .filter_map(|line| line.strip_prefix("error: ").map(str::to_owned))
            .collect::<Vec<String>>()
    };
    let open = "open = { rate = '${r}', max_in_flight = '${n}' }";
    let all = errors("r = ['fast', 'slow', 'often']\nn = [1, 2]", open);
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(
        all[0].contains("`fast`") && all[0].ends_with("(with r=fast, n=1; all 6 combinations)"),
        "{all:?}"
    );
    let some = errors("r = ['1/s', '0/s', '-1/s']\nn = [1, 0, -5]", open);
    let ends: Vec<&str> = some.iter().filter_map(|error| error.split("(with ").nth(1)).collect();
    assert!(ends.iter().all(|end| end.ends_with("of 9 combinations)")), "{some:?}");
    // What is wrong in two places is told of both, and so is what is wrong twice in one.
    let twice =
        errors("n = [0, -5]", "batch = { tasks = '${n}', repeat = '${n}', more = 1, less = 2 }");
    assert_eq!(twice.len(), 4, "{twice:?}");
}

#[test]
fn a_missing_file_says_so() {
    let error = read(Path::new("no/such/file.toml"), &Overrides::default()).unwrap_err();
    assert!(error.render(false).starts_with("error: cannot read no/such/file.toml: "), "{error}");
}

/// One of two tasks is run, as a parameter says.
fn either(second: &str) -> String {
    format!(
        "schema = 1\nname = 'x'\n[sweep]\nwhich = ['a', '{second}']\n[tasks.a]\nsteps = [{{ noop = {{}} }}]\n\
         [tasks.b]\nsteps = [{{ noop = {{}} }}]\n[load.l]\ntask = '${{which}}'\nbatch = {{ tasks = 1 }}"
    )
}

#[test]
fn a_task_that_one_variant_runs_is_used() {
    let scenario = read_with(&either("b"), &Overrides::default());
    let tasks: Vec<_> =
        scenario.variants.iter().map(|variant| variant.loads[0].task.text.as_str()).collect();
    assert_eq!(tasks, ["a", "b"]);
    // The command line may leave one of them out.
    let only_b = Overrides { params: vec![("which".into(), "b".into())], ..Overrides::default() };
    assert_eq!(read_with(&either("b"), &only_b).variants.len(), 1);
}

#[test]
fn a_task_that_no_variant_runs_is_an_error() {
    let text = either("a").replace("['a', 'a']", "['a']");
    let error =
        from_text(Path::new("x.toml"), &text, &Overrides::default()).unwrap_err().to_string();
    assert!(error.contains("nothing runs the task `b`"), "{error}");
}
