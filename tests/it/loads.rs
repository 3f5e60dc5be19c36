//! Several loads in one trial, on real executors.

use regatta::{
    runtime::EXECUTORS,
    store::{Absent, Outcome},
};

use crate::race::race;

/// A load of one kind, called `name`, whose tasks nap.
fn load(name: &str, kind: usize) -> String {
    let kinds = [
        "batch = { tasks = 6, repeat = 4 }",
        "closed = { concurrency = 3, drain = \"20s\" }",
        "open = { rate = \"200/s\", max_in_flight = 64, drain = \"20s\" }",
    ];
    format!(
        "[tasks.{name}-task]\nsteps = [{{ sleep = {{ time = \"2ms\" }}, name = \"{name}-nap\" }}]\n\
         [load.{name}]\ntask = \"{name}-task\"\n{}\n",
        kinds[kind]
    )
}

fn scenario(kinds: [usize; 2], more: &str) -> String {
    let timed = if kinds == [0, 0] { "" } else { "duration = \"200ms\"\n" };
    format!(
        "[run]\nrounds = 1\nwarmup = \"50ms\"\n{timed}timeout = \"60s\"\n[executors.thread-pool]\nsize = 4\n{}{}{more}",
        load("one", kinds[0]),
        load("two", kinds[1])
    )
}

/// Each load is measured and proven by itself, with its own named steps, and the counts of steps
/// are those of both.
#[test]
fn every_pair_of_loads_runs_and_is_proven_under_every_executor() {
    for kinds in [[0, 0], [0, 1], [0, 2], [1, 1], [1, 2], [2, 2]] {
        let run = race(&scenario(kinds, ""), &[]);
        let absent = run.header.cells.iter().filter(|cell| cell.absent.is_some());
        let absent: Vec<_> = absent.map(|cell| (cell.executor.as_str(), &cell.absent)).collect();
        let [("sequential", Some(Absent::NotApplicable(why)))] = absent[..] else {
            panic!("{absent:?}")
        };
        assert_eq!(why, "it runs one task at a time, and 2 loads are to run at once");
        for cell in run.header.cells.iter().filter(|cell| cell.absent.is_none()) {
            let (_, trial) = run.rounds().of(&cell.name).next().expect("it has a trial");
            let Outcome::Measured(measured) = &trial.outcome else { panic!("{trial:?}") };
            assert_eq!(measured.loads.len(), 2);
            for (load, (name, kind)) in
                measured.loads.iter().zip([("one", kinds[0]), ("two", kinds[1])])
            {
                assert_eq!(load.name, name);
                assert_eq!(load.steps.len(), 1, "{}: its own step", cell.name);
                assert_eq!(load.steps[0].name, format!("{name}-nap"));
                assert!(load.task.count > 0, "{}: {name}", cell.name);
                if kind == 0 {
                    assert_eq!((load.completed, load.makespans_ns.len()), (24, 4), "{}", cell.name);
                }
                let recorded = format!("{name}: tasks recorded");
                assert!(measured.trial.proof.iter().any(|line| line.what == recorded));
                let calls = format!("task {name}-task, {name}-nap: calls");
                assert!(measured.trial.proof.iter().any(|line| line.what == calls));
            }
        }
        assert_eq!(
            run.trials.iter().filter(|trial| trial.attempt == 0).count(),
            EXECUTORS.len() - 1
        );
    }
}

/// A limit that names a load is judged there only; one that names a load's task means that load.
#[test]
fn a_limit_and_a_claim_are_about_their_own_load() {
    let more = "[[slo]]\nassert = \"one.latency.max < 60s\"\n[[slo]]\nassert = \"two-task.latency.max < 60s\"\n\
                [[slo]]\nassert = \"two-nap.latency.max < 60s\"\n\
                [[claim]]\ntext = \"x\"\nload = \"two\"\nexecutor = \"smol\"\nagainst = \"tokio\"\nfactor = 1\n";
    let text = scenario([1, 1], more);
    let text = text.replace(
        "[executors.thread-pool]\nsize = 4\n",
        "[executors]\nuse = [\"tokio\", \"smol\"]\n",
    );
    let analysis = regatta::analysis::analyse(&race(&text, &[]));
    let [one, two] = &analysis.scenarios[..] else { panic!("a part for each load") };
    assert_eq!((one.load(), two.load()), (Some("one"), Some("two")));
    let about = |part: &regatta::analysis::ScenarioResult| {
        let slos = part.slos.iter().map(|slo| (slo.slo.subject.clone(), slo.cell.clone()));
        slos.collect::<Vec<_>>()
    };
    let scenario = &one.name;
    let of = |subject: &str, load: &str| {
        ["tokio", "smol"]
            .map(|executor| (subject.to_owned(), format!("{scenario}::{executor}::{load}")))
    };
    assert_eq!(about(one), of("one", "one"));
    assert_eq!(about(two), [of("two-task", "two"), of("two-nap", "two")].concat());
    assert_eq!((one.claims.len(), two.claims.len()), (0, 1));
}
