//! What the measured path is made of: one clock reading, one recorded measurement, one draw from a
//! distribution.
//!
//! `cargo bench --bench recording`

#![allow(clippy::disallowed_macros, reason = "benchmarks print")]

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use regatta::{
    clock, draw,
    measure::{Ending, Recorders},
    units::Distribution,
};

/// The clock, which every operation reads twice.
fn clock_reading(criterion: &mut Criterion) {
    criterion.bench_function("clock/now_ns", |bencher| bencher.iter(clock::now_ns));
}

/// One operation into its histograms. The latencies spread over four decades, as those of a service
/// do: a single value would keep its counter in a register's reach.
fn record(criterion: &mut Criterion) {
    let latencies: Vec<u64> = (0..4096).map(|at| 1_000 << (draw::mix(7, at) % 14)).collect();
    let recorders = Recorders::new(4, vec![("call".into(), true)]);
    let recorder = recorders.of_slot(0);
    let mut group = criterion.benchmark_group("record");
    for (name, window) in
        [("inside the window", (0, u64::MAX)), ("outside the window", (u64::MAX, 0))]
    {
        recorders.set_window(window.0, window.1);
        let mut at = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                at = (at + 1) % latencies.len();
                recorder.record(0, 1_000, 1_100, 1_100 + black_box(latencies[at]), Ending::Done);
            });
        });
    }
    group.finish();
}

/// A draw, as the embedded server's delays and `choice` make it: a pure function of seed and index.
fn distributions(criterion: &mut Criterion) {
    let ms = Duration::from_millis;
    let mut group = criterion.benchmark_group("distribution");
    let mut index = 0;
    for distribution in [
        Distribution::Const(ms(2)),
        Distribution::Exp(ms(2)),
        Distribution::Uniform(ms(1), ms(3)),
        Distribution::LogNormal { median: ms(2), p99: ms(12) },
    ] {
        group.bench_function(distribution.to_string(), |bencher| {
            bencher.iter(|| {
                index += 1;
                distribution.sample(black_box(index))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, clock_reading, record, distributions);
criterion_main!(benches);
