//! Every pattern with random parameters and a random seed, under every executor: the trial's own
//! proof holds, all do the same work, and none hangs.
//!
//! The cases of a pattern follow from its name, so that a run is like the one before;
//! `PROPTEST_CASES=50 cargo test --test it properties` draws more of them. A case that fails is made
//! smaller first, and then shown as the scenario that it is. That the proof can fail is seen where
//! executors cheat (`lossy`).

mod composition;
mod coordination;
mod operations;

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use regatta::{
    measure::{Measurements, Stream},
    store::{Absent, Outcome, Run, StoredCell},
};

use super::race::race;

/// A scenario of random parameters, and what is known of it beforehand.
#[derive(Debug, Clone, Default)]
struct Case {
    /// Its text after the name.
    text: String,
    /// How often a named step ends, by arithmetic.
    counts: Vec<(&'static str, u64)>,
    /// Named steps that end as often and as well under every executor.
    same: Vec<&'static str>,
}

/// Tasks of a batch, threads of the pools, and the seed.
#[derive(Debug, Clone, Copy)]
struct Size {
    tasks: u64,
    seed: u64,
}

/// Any of it, small.
fn sizes() -> impl Strategy<Value = Size> {
    (1..=4_u64, 0..1_000_u64).prop_map(|(tasks, seed)| Size { tasks, seed })
}

impl Size {
    /// A scenario whose task is `main`, in which so many tasks may wait for each other.
    fn case(self, waiting: u64, text: &str) -> Case {
        let (tasks, seed) = (self.tasks, self.seed);
        let pool = tasks * waiting + tasks;
        let text = format!(
            "[run]\nrounds = 1\nwarmup = \"0s\"\ntimeout = \"60s\"\nseed = {seed}\n\
             [executors]\nworkers = {}\n[executors.thread-pool]\nsize = {pool}\n{text}\n\
             [load.all]\ntask = \"main\"\nbatch = {{ tasks = {tasks}, repeat = 2 }}\n",
            1 + seed % 2
        );
        Case { text, ..Case::default() }
    }

    /// What is done so often in each task is done so often in all.
    fn all(self, in_each: u64) -> u64 {
        self.tasks * 2 * in_each
    }
}

impl Case {
    /// A named step ends so often.
    fn counts(mut self, name: &'static str, count: u64) -> Self {
        self.counts.push((name, count));
        self
    }

    /// A named step ends as often and as well under every executor.
    fn same(mut self, name: &'static str) -> Self {
        self.same.push(name);
        self
    }
}

/// Runs cases of a pattern, and makes one that fails smaller.
fn holds(pattern: &str, cases: impl Strategy<Value = Case>) {
    let ordinary = Config::default();
    let is_set = std::env::var_os("PROPTEST_CASES").is_some();
    let config = Config {
        cases: if is_set { ordinary.cases } else { 2 },
        failure_persistence: None,
        max_shrink_iters: 16,
        ..ordinary
    };
    let mut seed = [0; 32];
    seed.iter_mut().zip(pattern.bytes()).for_each(|(byte, letter)| *byte = letter);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let ran = runner.run(&cases, |case| check(&case).map_err(TestCaseError::fail));
    ran.unwrap_or_else(|why| panic!("{pattern}: {why}"));
}

/// Races a case, and compares what came of it.
fn check(case: &Case) -> Result<(), String> {
    let run = race(&case.text, &[]);
    let measured = all_measured(&run)?;
    let (first, others) = measured.split_first().ok_or("no executor ran it")?;
    for (cell, loads) in &measured {
        for &(name, count) in &case.counts {
            let found = stream(loads, name)?.count;
            if found != count {
                return Err(format!("{cell}: `{name}` ended {found} times, not {count}"));
            }
        }
    }
    for (cell, loads) in others {
        for name in &case.same {
            let (one, other) = (ends(stream(first.1, name)?), ends(stream(loads, name)?));
            if one != other {
                return Err(format!("`{name}`: {} has {one:?}, {cell} {other:?}", first.0));
            }
        }
    }
    Ok(())
}

/// What every cell measured that could be run. A fault, and a cell that is not run for a limit of
/// this host, are errors.
fn all_measured(run: &Run) -> Result<Vec<(&str, &Measurements)>, String> {
    for cell in &run.header.cells {
        if let Some(Absent::Refused(why)) = &cell.absent {
            return Err(format!("{}: {why}", cell.name));
        }
    }
    // Every pattern applies to these.
    for executor in ["tokio", "smol", "compio"] {
        let is_there = |cell: &&StoredCell| cell.executor == executor && cell.absent.is_none();
        let may_lack = regatta::trial::unavailable(executor).is_some();
        if !may_lack && !run.header.cells.iter().any(|cell| is_there(&cell)) {
            return Err(format!("{executor} was not to run it"));
        }
    }
    let planned = run.header.cells.iter().filter(|cell| cell.absent.is_none());
    planned
        .map(|cell| {
            let mut trials = run.trials.iter().filter(|trial| trial.cell == cell.name);
            let trial = trials.next().ok_or_else(|| format!("{}: did not run", cell.name))?;
            match &trial.outcome {
                Outcome::Measured(measured) => Ok((cell.name.as_str(), &measured.loads[0])),
                Outcome::Failed(failure) => Err(format!("{}: {}", cell.name, failure.reason)),
            }
        })
        .collect()
}

/// How often a step ended, with errors and time-outs among that.
fn ends(stream: &Stream) -> (u64, u64, u64) {
    (stream.count, stream.errors, stream.timeouts)
}

fn stream<'a>(loads: &'a Measurements, name: &str) -> Result<&'a Stream, String> {
    let named = loads.steps.iter().find(|step| step.name == name);
    named.map(|step| &step.stream).ok_or_else(|| format!("no step is called `{name}`"))
}
