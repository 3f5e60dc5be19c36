//! Adjacent pairs of the two arms, and the ratios that follow from them.

use std::fmt::Write as _;

use regatta::{
    analysis::stats::{hodges_lehmann, median, signed_rank_interval},
    draw,
};

use crate::support::{Arm, Job, Sample};

/// What one executor's pairs have shown.
#[derive(Default)]
struct Pairs {
    throughput: Vec<f64>,
    cpu: Vec<f64>,
    busy: [Vec<f64>; 2],
    per_second: [Vec<f64>; 2],
}

impl Pairs {
    fn add(&mut self, bare: &Sample, regatta: &Sample) {
        let rate = |sample: &Sample| sample.completed as f64 / sample.window_ns as f64 * 1e9;
        let cpu = |sample: &Sample| sample.cpu_ns as f64 / sample.completed as f64;
        self.throughput.push((rate(regatta) / rate(bare)).ln());
        self.cpu.push((cpu(regatta) / cpu(bare)).ln());
        for (at, sample) in [bare, regatta].into_iter().enumerate() {
            self.busy[at].extend(sample.target_busy);
            self.per_second[at].push(rate(sample));
        }
    }
}

/// Runs `count` pairs of Regatta and `other`, which has a name, per executor, round by round, and
/// says what they show.
pub fn race(
    executors: &[&str],
    other: (Arm, &str),
    count: u64,
    job: impl Fn(&str, Arm) -> Job,
) -> String {
    let (other, what) = other;
    let mut all: Vec<Pairs> = executors.iter().map(|_| Pairs::default()).collect();
    for pair in 0..count {
        for (at, executor) in executors.iter().enumerate() {
            let run = |arm| job(executor, arm).in_child();
            // The order inside the pair is drawn, so that whatever drifts favours neither arm.
            let (bare, regatta) = if draw::mix(pair, at as u64).is_multiple_of(2) {
                let bare = run(other);
                (bare, run(Arm::Regatta))
            } else {
                let regatta = run(Arm::Regatta);
                (run(other), regatta)
            };
            all[at].add(&bare, &regatta);
        }
        eprintln!("pair {} of {count}", pair + 1);
    }
    let mut text = format!("Regatta against {what}, ratio [exact 95 % interval]\n");
    for (executor, pairs) in executors.iter().zip(&all) {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{executor:22} throughput {}   CPU for each {}   per second {:.0} and {:.0}   target busy {} and {}",
            ratio(&pairs.throughput),
            ratio(&pairs.cpu),
            median(&pairs.per_second[0]).unwrap_or_default(),
            median(&pairs.per_second[1]).unwrap_or_default(),
            percent(&pairs.busy[0]),
            percent(&pairs.busy[1]),
        );
    }
    text.push_str("two figures: the other, Regatta (medians)");
    text
}

fn ratio(logs: &[f64]) -> String {
    let middle = hodges_lehmann(logs).unwrap_or_default().exp();
    match signed_rank_interval(logs) {
        Some((low, high)) => format!("{middle:.3} [{:.3}, {:.3}]", low.exp(), high.exp()),
        None => format!("{middle:.3} [no interval below 6 pairs]"),
    }
}

fn percent(shares: &[f64]) -> String {
    median(shares).map_or_else(|| "unknown".into(), |share| format!("{:.0} %", share * 100.0))
}
