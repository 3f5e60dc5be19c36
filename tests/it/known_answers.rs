//! Effects that are known beforehand, through the real binary: a server that stands still, and the
//! self-test.

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
};

use regatta::{
    analysis::{Validity, analyse},
    measure::{CpuSetDelta, Measurements, TICK_NS},
    runtime::EXECUTORS,
    store::{Outcome, Run},
};

use crate::bench_dir::BenchDir;

/// How long the server stands still.
const STALL_MS: u64 = 100;

/// A scenario in which the embedded server stands still for a quarter of the time.
fn frozen(load: &str) -> String {
    format!(
        "schema = 1\nname = 'frozen'\n[run]\nrounds = 1\nwarmup = '0s'\nduration = '1200ms'\ntimeout = '60s'\n\
         [targets.api]\nhttp = {{ stall = {{ every = '400ms', for = '{STALL_MS}ms' }} }}\n\
         [tasks.call]\nsteps = [{{ http = {{ target = 'api', path = '/' }} }}]\n[load.l]\ntask = 'call'\n{load}\n"
    )
}

fn measured(run: &Run) -> impl Iterator<Item = (&str, &Measurements)> {
    run.trials.iter().map(|trial| match &trial.outcome {
        Outcome::Measured(measured) => (trial.cell.as_str(), &measured.loads[0]),
        Outcome::Failed(failure) => panic!("{}: {}", trial.cell, failure.reason),
    })
}

/// The client's call that is under way when a standstill begins ends within it or after it; in the
/// first case the next call, which starts at that moment, waits for the rest. So one of them takes
/// half of it, however slow this host is.
#[test]
fn a_standstill_is_seen_on_every_executor() {
    let bench = BenchDir::with(&frozen("closed = { concurrency = 1 }"));
    bench.run("run --quiet --out out s.toml").exits(0);
    let run = bench.stored("out");
    let mut cells = BTreeSet::new();
    for (cell, measured) in measured(&run) {
        let longest = measured.task.latency.0.max();
        assert!(longest >= STALL_MS * 1_000_000 / 2, "{cell}: {longest} ns");
        cells.insert(cell);
    }
    assert_eq!(cells.len(), EXECUTORS.len());
}

/// The stall oracle (METHODOLOGY, "A stall"), in ms: a server that stops for [`STALL_MS`] in every
/// second, and an arrival every millisecond over whole periods.
struct Standstills {
    /// How many are in the window.
    count: f64,
    /// What an arrival takes that meets none.
    service_ms: f64,
    /// How long others may have kept the executor or the server from running, in total.
    lost_ms: f64,
}

const PERIOD_MS: f64 = 1_000.0;
const GAP_MS: f64 = 1.0;
/// What is looked at.
const QUANTILES: [f64; 6] = [0.80, 0.90, 0.95, 0.99, 0.999, 1.0];

impl Standstills {
    /// A request that is sent during a standstill is answered after it, so of the arrivals in one
    /// each waits for what is left of it, but for the gaps at both ends. Neither a slow host nor a
    /// slow executor can make that shorter.
    fn at_least(quantile: f64) -> f64 {
        STALL_MS as f64 - (1.0 - quantile) * PERIOD_MS - 2.0 * GAP_MS
    }

    /// What waits longest is what others make worst: if all that they took came at the end of one
    /// standstill, that one would be longer by it. What has piled up is worked off in the time that
    /// arrivals leave.
    fn at_most(&self, quantile: f64) -> f64 {
        let (stall, free) = (STALL_MS as f64, (1.0 - GAP_MS.recip() * self.service_ms).max(0.0));
        let beyond = (1.0 - quantile) * PERIOD_MS * self.count * free;
        let alike = stall + (self.lost_ms - beyond) / self.count;
        let waited = if alike <= stall { alike } else { stall + self.lost_ms - beyond };
        self.service_ms + waited.max(0.0) + 2.0 * GAP_MS
    }

    /// From a trial's own counters: for how long a task waited for a CPU (an average over CPUs, of
    /// which one alone may have been waited for), which counts no ticks. Where the kernel does not
    /// tell, what others used, and ticks for it.
    fn of(measured: &Measurements) -> Self {
        let (host, window_ns) = (&measured.trial.host, measured.window_ns as f64);
        let sets = || [&host.executor, &host.target].into_iter().flatten();
        let taken = |set: &CpuSetDelta| {
            let cpus = f64::from(set.cpus);
            set.external().unwrap() * set.wall_ns as f64 * cpus + 2.0 * TICK_NS as f64 * cpus
        };
        let waited = host.pressure.map(|share| share * window_ns * f64::from(host.cpus));
        let waited_ns = waited.unwrap_or_else(|| sets().map(taken).sum());
        let stolen_ns = sets().map(|set| set.steal_ns as f64).sum::<f64>();
        Self {
            count: measured.window_ns as f64 / 1e6 / PERIOD_MS,
            service_ms: measured.task.latency.median().unwrap() as f64 / 1e6,
            lost_ms: (waited_ns + stolen_ns) / 1e6,
        }
    }
}

/// The stall oracle with the real server and the real clock. Its lower bounds hold in every trial.
/// Its upper bounds need a host that keeps still, so they hold in the rounds that the run itself
/// calls valid.
#[test]
fn arrivals_that_do_not_wait_see_the_whole_standstill_on_every_executor() {
    // Arrivals that find no room wait, and are timed all the same. After a warm-up of a period,
    // standstills are periodic over the window, which holds whole ones, the ends of the window put
    // together.
    let load = "open = { rate = '1k/s', max_in_flight = 200, overflow = 'delay' }";
    let scenario =
        frozen(load).replace("'400ms'", "'1s'").replace("'1200ms'", "'2s'").replace("'0s'", "'1s'");
    let bench = BenchDir::with(&scenario);
    bench.run("run --quiet --out out s.toml").exits(0);
    let run = bench.stored("out");
    let found = |measured: &Measurements, quantile| {
        measured.task.latency.0.value_at_quantile(quantile) as f64 / 1e6
    };
    for (cell, measured) in measured(&run) {
        for quantile in QUANTILES {
            let (found, bound) = (found(measured, quantile), Standstills::at_least(quantile));
            assert!(
                found >= bound,
                "{cell}: p{} is {found} ms, not {bound} ms or more",
                quantile * 100.0
            );
        }
    }
    let (analysis, mut looked_at) = (analyse(&run), 0);
    assert_eq!(analysis.cells().count(), EXECUTORS.len());
    for cell in analysis.cells().filter(|cell| cell.judgement.rounds == [(1, Validity::Valid)]) {
        let (_, trial) = run.rounds().of(&cell.name).next().unwrap();
        let Outcome::Measured(measured) = &trial.outcome else { panic!("{trial:?}") };
        let measured = &measured.loads[0];
        let standstills = Standstills::of(measured);
        for quantile in QUANTILES {
            let (found, bound) = (found(measured, quantile), standstills.at_most(quantile));
            assert!(
                found <= bound,
                "{}: p{} is {found} ms, more than {bound} ms",
                cell.name,
                quantile * 100.0
            );
        }
        looked_at += 1;
    }
    let all = EXECUTORS.len();
    // What the macros print in a test that passes is not shown.
    let _ = writeln!(
        io::stderr(),
        "the standstill's upper bounds were looked at in {looked_at} valid rounds of {all}"
    );
}

#[test]
fn a_self_test_is_a_run_like_any_other() {
    let bench = BenchDir::new();
    // One round gives no interval, so that nothing here depends on how quiet this host is.
    let seen = bench.run("selftest --quick --rounds 1 --format json --out out").exits(3);
    let found: serde_json::Value = serde_json::from_str(&seen.out).unwrap();
    assert_eq!(
        (found["version"].as_u64(), found["verdict"].as_str()),
        (Some(1), Some("inconclusive"))
    );
    let cells = found["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 6, "{cells:#?}");
    assert!(
        cells.iter().all(|cell| cell["false_alarm"].is_null() && cell["found"].is_null()),
        "{cells:#?}"
    );
    let run = bench.stored("out");
    assert!(run.finished && run.header.quick);
    // A trial that other programs disturbed is there twice.
    let cells: BTreeSet<&str> = measured(&run).map(|(cell, _)| cell).collect();
    assert_eq!(cells.len(), 18);
    bench.run("report out --format csv").exits(0);
    bench.run("selftest --rounds 0").exits(2).says(&["--rounds"]);
}
