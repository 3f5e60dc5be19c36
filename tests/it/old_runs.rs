//! Run files of version 1: a part of a run that was stored by it is shown, and not gone on with.

use std::path::Path;

use regatta::{
    analysis::analyse,
    scenario::LoadKind,
    store::{self, Outcome},
};

use crate::bench_dir::BenchDir;

const FILE: &str = "tests/it/old_runs/run.jsonl";

#[test]
fn a_run_of_version_1_has_typed_loads_and_all_its_figures() {
    let run = store::read(Path::new(FILE)).expect("it is read");
    assert_eq!((run.header.regatta_run, run.header.cells.len()), (1, 21));
    let kind = |scenario: &str| {
        let cell = run.header.cells.iter().find(|cell| cell.scenario == scenario);
        let load = &cell.expect("it is there").loads[0];
        (load.name.clone(), load.kind.clone())
    };
    // As the scenario says it, which the run file holds.
    let LoadKind::Batch { tasks: 100, repeat } = kind("http-100").1 else { panic!("a batch") };
    assert!(repeat.is_some(), "words do not say how often");
    assert_ne!(kind("http-100").0, "load");
    for trial in &run.trials {
        let Outcome::Measured(measured) = &trial.outcome else { panic!("{trial:?}") };
        let [load] = &measured.loads[..] else { panic!("one load") };
        assert!(load.completed > 0 && load.task.latency.count() > 0, "{}", trial.cell);
        let cpu_ns = load.trial.cpu_user_ns + load.trial.cpu_system_ns;
        assert!(cpu_ns > 0 && load.beside == 0, "{}", trial.cell);
        assert_eq!(measured.trial.facts["allocator"], "system");
    }
    let analysis = analyse(&run);
    assert_eq!(analysis.scenarios.len(), 3);
    assert!(analysis.cells().all(|cell| cell.metrics.len() > 5));
}

#[test]
fn a_run_of_version_1_is_shown_and_not_gone_on_with() {
    let bench = BenchDir::new();
    std::fs::create_dir(bench.path("old")).expect("a new folder");
    std::fs::copy(FILE, bench.path("old/run.jsonl")).expect("it can be copied");
    let shown = bench.run("report old --format human").exits(0);
    assert!(shown.out.contains("batch of 100") && shown.out.contains("tokio"), "{}", shown.out);
    let refused = bench.run("run --resume old").exits(65);
    for words in ["format 1", "format 2", "`regatta report` still shows it"] {
        assert!(refused.err.contains(words), "{words}: {}", refused.err);
    }
    let after = std::fs::read(bench.path("old/run.jsonl")).expect("it is still there");
    assert_eq!(after, std::fs::read(FILE).expect("it is there"), "nothing is added");
}
