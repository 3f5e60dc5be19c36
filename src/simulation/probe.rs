//! The probe of scheduling delay on an executor that is known to be blocked.

use std::time::Duration;

use super::{SimulatedNative, open::MS, simulate};
use crate::{
    clock::{self, Virtual},
    load::RunningProbe,
    measure::{Histo, Recorders},
    runtime::{NativeTimers as _, Runtime},
};

/// The delays over a second in which a task blocks the executor for 50 ms after each of `at_ms`.
fn delays(at_ms: &'static [u64]) -> Histo {
    simulate(|runtime| {
        let recorders = Recorders::new(1, Vec::new());
        let start_ns = clock::now_ns();
        recorders.set_window(start_ns, start_ns + 1_000 * MS);
        let probe =
            RunningProbe::start(runtime, &recorders).expect("virtual tasks can always be started");
        runtime.block_on(async {
            for at in at_ms {
                let at_ns = start_ns + at * MS + MS / 2;
                SimulatedNative::sleep(Duration::from_nanos(at_ns - clock::now_ns())).await;
                // Time passes and nothing else runs: a call that blocks.
                Virtual::advance_to(clock::now_ns() + 50 * MS);
            }
            SimulatedNative::sleep(Duration::from_nanos(start_ns + 1_000 * MS - clock::now_ns()))
                .await;
        });
        probe.end(runtime);
        recorders.delays()
    })
}

#[test]
fn a_probe_is_punctual_where_nothing_blocks() {
    let delays = delays(&[]);
    assert!(delays.count() >= 999, "{}", delays.count());
    // The least value of a histogram is 1 ns.
    assert_eq!(delays.0.max(), 1);
}

/// While the executor is blocked for 50 ms, 50 ticks fall due. The first waits for 49.5 ms and the
/// last for half of one.
#[test]
fn every_tick_that_a_blocked_executor_misses_is_late_by_what_is_left() {
    const ONCE: &[u64] = &[100];
    const OFTEN: &[u64] = &[100, 300, 700];
    for at in [ONCE, OFTEN] {
        let (delays, times) = (delays(at), at.len() as u64);
        assert_eq!(delays.0.count_between(MS / 4, u64::MAX), 50 * times);
        for late_ms in [10, 25, 49] {
            assert_eq!(
                delays.0.count_between(late_ms * MS, u64::MAX),
                (50 - late_ms) * times,
                "{late_ms} ms"
            );
        }
        assert!(delays.0.equivalent(delays.0.max(), 49 * MS + MS / 2), "{}", delays.0.max());
        assert!(delays.count() >= 999, "{}", delays.count());
    }
}
