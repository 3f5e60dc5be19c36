//! The probe of scheduling delay under every executor: every millisecond is accounted for, and a
//! blocked loop is seen.

use regatta::{
    measure::{Delay, Measurements},
    runtime::EXECUTORS,
};

use crate::race::{measured, race};

const RUN: &str =
    "[run]\nrounds = 1\nwarmup = \"50ms\"\nduration = \"300ms\"\ntimeout = \"60s\"\nprobe = true\n";
const SLEEP: &str = "[tasks.nap]\nsteps = [{ sleep = { time = \"5ms\" } }]\n";

/// Ticks that were recorded; none where there is no probe, which must have a reason.
fn ticks(cell: &str, measured: &Measurements) -> Option<u64> {
    match measured.trial.delay.as_ref().unwrap_or_else(|| panic!("{cell}: nothing of a probe")) {
        Delay::Measured(delays) => Some(delays.count()),
        Delay::NotApplicable(why) => {
            assert!(!why.is_empty(), "{cell}");
            None
        }
    }
}

/// However late a probe runs, each millisecond of the window has its delay.
#[test]
fn every_executor_that_can_runs_a_probe_and_no_tick_is_lost() {
    for load in ["closed = { concurrency = 4 }", "open = { rate = \"100/s\", max_in_flight = 4 }"] {
        for (size, has_free_worker) in [(8, true), (4, false)] {
            let pool = format!("[executors.thread-pool]\nsize = {size}\n");
            let run = race(&format!("{RUN}{pool}{SLEEP}[load.l]\ntask = \"nap\"\n{load}\n"), &[]);
            let all = measured(&run);
            assert_eq!(all.len(), EXECUTORS.len());
            for (cell, measured) in all {
                let can = !cell.contains("::sequential")
                    && (has_free_worker
                        || !["::thread-pool", "::rayon"].iter().any(|pool| cell.contains(pool)));
                let ticks = ticks(cell, measured);
                assert_eq!(ticks.is_some(), can, "{cell} {load}");
                assert!(
                    ticks.is_none_or(|ticks| (299..=301).contains(&ticks)),
                    "{cell} {load}: {ticks:?}"
                );
            }
        }
    }
}

#[test]
fn without_a_probe_nothing_is_recorded() {
    let run = RUN.replace("probe = true\n", "");
    let run = race(
        &format!("{run}{SLEEP}[load.l]\ntask = \"nap\"\nclosed = {{ concurrency = 2 }}\n"),
        &[],
    );
    assert!(measured(&run).iter().all(|(_, measured)| measured.trial.delay.is_none()));
}

/// Whatever becomes ready while a task computes on the only thread waits for as long as the task
/// still takes.
#[test]
fn a_loop_that_computes_keeps_the_probe_waiting() {
    let compute = "[executors]\nuse = [\"tokio-current-thread\", \"smol\"]\nworkers = 1\n[tasks.work]\nsteps = \
                   [{ cpu = { kernel = \"sum-squares\", time = \"20ms\" } }, { sleep = { time = \"5ms\" } }]\n";
    let run = race(
        &format!("{RUN}{compute}[load.l]\ntask = \"work\"\nclosed = {{ concurrency = 2 }}\n"),
        &[],
    );
    for (cell, measured) in measured(&run) {
        let Some(Delay::Measured(delays)) = &measured.trial.delay else {
            panic!("{cell}: no probe")
        };
        let computing = measured.task.service.median().unwrap() - 5_000_000;
        let most = delays.0.max();
        assert!(most + 2_000_000 >= computing / 2, "{cell}: {most} beside {computing}");
    }
}
