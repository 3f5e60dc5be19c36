//! `cpu`: computes. One file per kernel, plus its two lines in `mod.rs` and `kernel.rs`.
//!
//! The work is a number of iterations. Where the scenario gives a time, the parent measures the
//! kernel once per run and writes the iterations into the plan, so that every trial of every
//! executor does equally many. The result of each call is compared with that of the same
//! computation done in preparation.

mod base64;
mod computation;
mod json;
mod kernel;
mod place;
mod process_pool;
mod sha256;
mod sum_squares;
mod work;
mod worker;
mod workforce;

use std::{marker::PhantomData, num::NonZeroU64, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use self::{
    kernel::{KernelName, iterations_per_second},
    place::ComputePlace,
    process_pool::{Commission, ProcessPool},
    work::{CpuWork, ResultCheck},
};
use super::{
    BuildError, Calibration, Call, Cost, Done, Failure, Lookup, Operation, PoolBeside, Site, Step,
    StepKind, StepOutcome, Workplace,
};
use crate::{
    config::Fields,
    runtime::{Native, Runtime},
    targets::TargetSpec,
    units::serde_duration,
};

pub use worker::serve_commissions;
pub use workforce::{WorkAccount, Workforce};

/// A computation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cpu {
    kernel: KernelName,
    amount: Amount,
    blocking: ComputePlace,
    /// What all slots of a process share; each process finds it out for itself.
    #[serde(skip)]
    known: Arc<ResultCheck>,
}

/// How much is computed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Amount {
    Iterations(NonZeroU64),
    Time {
        #[serde(with = "serde_duration")]
        time: Duration,
        /// The calibration's answer; none before it.
        iterations: Option<NonZeroU64>,
    },
}

impl StepKind for Cpu {
    const KEY: &'static str = "cpu";
    const DOC: &'static str =
        "Computes: a kernel for a number of iterations, or for a time that becomes one.";
    const PROOF: &'static str = "each result is that of the preparation; worker processes have done as many computations as were \
         asked for";

    fn read(op: &mut Fields<'_>, _step: &mut Fields<'_>) -> Option<Self> {
        let kernel = op.required("kernel", "What is computed.");
        let iterations: Option<NonZeroU64> =
            op.optional("iterations", "How many iterations; or give `time`.");
        let time: Option<Duration> = op.optional(
            "time",
            "How long on an idle CPU, turned into iterations once per run; or give `iterations`.",
        );
        let doc = "`inline` computes on the thread that runs the task, `offload` on the executor's pool for blocking work, `own-pool` on a pool apart from the executor, with as many threads as `thread-pool` has, `process-pool` in as many processes of their own.";
        let blocking = op.or("blocking", ComputePlace::Inline, doc);
        let amount = amount(op, iterations, time);
        Some(Self { kernel: kernel?, amount: amount?, blocking, known: Arc::default() })
    }

    fn pool_beside(&self) -> Option<PoolBeside> {
        self.blocking.pool_beside()
    }

    fn cancellable(&self, _: Lookup<'_, '_>) -> bool {
        false
    }

    fn cost<'a>(&self, _target: &dyn Fn(&str) -> Option<&'a TargetSpec>) -> Cost {
        let mean = match self.amount {
            Amount::Iterations(iterations) => nominal(self.kernel, iterations),
            Amount::Time { time, .. } => time,
        };
        // The least is zero: no bound that holds on every machine can be told from the number of
        // iterations.
        Cost { mean, cpu: mean, ..Cost::default() }
    }

    fn calibrate(&mut self, calibration: &mut Calibration) {
        if let Amount::Time { time, iterations } = &mut self.amount {
            *iterations = Some(iterations_in(*time, self.kernel, calibration));
            self.known = Arc::default();
        }
    }

    fn build<R: Runtime>(&self, site: &Site<R>) -> Result<Box<dyn Step>, BuildError> {
        let (kernel, known, iterations) = (self.kernel, self.known.clone(), self.iterations());
        let Some(blocking) = self.blocking.in_this_process() else {
            let pool = ProcessPool::of(site)?;
            return Ok(site.operation(move || Commission::<R::Native> {
                kernel,
                iterations,
                known: known.clone(),
                pool: pool.clone(),
            }));
        };
        let blocking = blocking.at(site)?;
        Ok(site.operation(move || Compute::<R::Native> {
            work: Some(CpuWork::new(kernel, iterations)),
            known: known.clone(),
            blocking: blocking.clone(),
            native: PhantomData,
        }))
    }
}

/// Exactly one of the two keys.
fn amount(
    op: &mut Fields<'_>,
    iterations: Option<NonZeroU64>,
    time: Option<Duration>,
) -> Option<Amount> {
    let help = || Some("`iterations = 1000`, or `time = \"20us\"`".to_owned());
    match (op.has("iterations"), op.has("time")) {
        (true, true) => op.reject(
            "time",
            "`iterations` and `time` say the same",
            Some("keep one of them".to_owned()),
        ),
        (false, false) => {
            op.reject("iterations", "expected `iterations` or `time`, found neither", help());
        }
        (false, true) if time.is_some_and(|time| time.is_zero()) => {
            op.reject("time", "the time must be above zero", help());
        }
        (false, true) => return Some(Amount::Time { time: time?, iterations: None }),
        (true, false) => return iterations.map(Amount::Iterations),
    }
    None
}

/// How long so many iterations take on an ordinary machine.
fn nominal(kernel: KernelName, iterations: NonZeroU64) -> Duration {
    Duration::from_nanos((iterations.get() as f64 * kernel.0.nominal_ns) as u64)
}

/// How many iterations take that long on this machine.
fn iterations_in(time: Duration, kernel: KernelName, calibration: &mut Calibration) -> NonZeroU64 {
    let measure = || iterations_per_second(kernel.0);
    let speed = *calibration.0.entry(kernel.0.name.to_owned()).or_insert_with(measure);
    NonZeroU64::new((time.as_secs_f64() * speed).round() as u64).unwrap_or(NonZeroU64::MIN)
}

impl Cpu {
    /// The number of iterations. A plan that nobody calibrated is calibrated here, once for all
    /// slots.
    fn iterations(&self) -> u64 {
        match self.amount {
            Amount::Iterations(iterations) | Amount::Time { iterations: Some(iterations), .. } => {
                iterations.get()
            }
            Amount::Time { time, iterations: None } => *self.known.iterations.get_or_init(|| {
                iterations_in(time, self.kernel, &mut Calibration::default()).get()
            }),
        }
    }
}

struct Compute<N> {
    /// None only while it is computed elsewhere.
    work: Option<CpuWork>,
    known: Arc<ResultCheck>,
    blocking: Workplace,
    native: PhantomData<fn() -> N>,
}

impl<N: Native> Compute<N> {
    async fn result(&mut self) -> Result<u64, Failure> {
        // A future that is dropped while it computes takes this whole state with it, so nobody ever
        // sees the gap.
        let Some(mut work) = self.work.take() else {
            return Err(Failure::Wrong("a computation was given up and used again".to_owned()));
        };
        let run = move || {
            let result = work.run();
            (work, result)
        };
        let (work, result) = self.blocking.run::<N, _, _>(run).await;
        self.work = Some(work);
        Ok(result)
    }
}

impl<N: Native> Operation for Compute<N> {
    /// Computes the expected result, in the first slot only: one that must be computed for each of
    /// a thousand slots would take as long as the trial.
    async fn prepare(&mut self) -> StepOutcome {
        if let (None, Some(work)) = (self.known.result.get(), &mut self.work) {
            self.known.result.get_or_init(|| work.run());
        }
        Ok(Done::default())
    }

    async fn call(&mut self, _call: Call) -> StepOutcome {
        let result = self.result().await?;
        self.known.check(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::{
        StepSpec,
        testing::{EXECUTORS, Rig, errors_of, read_step},
    };

    fn cpu(text: &str) -> Cpu {
        let Ok(StepSpec::Cpu(cpu)) = read_step(text) else { panic!("{text}") };
        cpu
    }

    #[test]
    fn every_kernel_runs_under_every_executor_inline_and_offloaded() {
        for executor in EXECUTORS {
            for kernel in ["sum-squares", "sha256", "base64", "json"] {
                for blocking in ["inline", "offload", "own-pool", "process-pool"] {
                    let text = format!(
                        "{{ cpu = {{ kernel = '{kernel}', iterations = 7, blocking = '{blocking}' }} }}"
                    );
                    let ran = Rig::new(&[&text]).slots(3).workers(2).run(executor, 4);
                    assert_eq!((ran.wrong(), ran.outcomes.len()), (None, 12), "{executor} {text}");
                    assert_eq!(ran.tallies[0].ended, 12, "{executor} {text}");
                    let done = if blocking == "process-pool" { 12 } else { 0 };
                    assert_eq!(ran.work.map(|work| work.done), Some(done), "{executor} {text}");
                }
            }
        }
    }

    #[test]
    fn a_different_result_fails() {
        for executor in EXECUTORS {
            for blocking in ["inline", "offload", "own-pool", "process-pool"] {
                let cpu = cpu(&format!(
                    "{{ cpu = {{ kernel = 'json', iterations = 2, blocking = '{blocking}' }} }}"
                ));
                cpu.known.result.set(1).unwrap();
                let rig = Rig::new(&["{ noop = {} }"]).step(StepSpec::Cpu(cpu)).workers(1);
                let ran = rig.run(executor, 2);
                assert!(
                    ran.wrong().unwrap().contains("was 0x1 in preparation"),
                    "{executor}: {ran:?}"
                );
                assert_eq!(ran.outcomes.iter().filter(|outcome| outcome.is_err()).count(), 2);
            }
        }
    }

    #[test]
    fn time_becomes_iterations_once_per_kernel() {
        let mut calibration = Calibration::default();
        calibration.0.insert("sha256".into(), 1e6);
        let mut twenty = cpu("{ cpu = { kernel = 'sha256', time = '20us' } }");
        twenty.calibrate(&mut calibration);
        assert_eq!(twenty.iterations(), 20);
        let mut shortest = cpu("{ cpu = { kernel = 'sha256', time = '1ns' } }");
        shortest.calibrate(&mut calibration);
        assert_eq!(shortest.iterations(), 1);
        let mut fixed = cpu("{ cpu = { kernel = 'json', iterations = 3 } }");
        fixed.calibrate(&mut calibration);
        assert_eq!((fixed.iterations(), calibration.0.len()), (3, 1));
        let mut measured = cpu("{ cpu = { kernel = 'sum-squares', time = '1ms' } }");
        measured.calibrate(&mut calibration);
        assert!(measured.iterations() > 1 && calibration.0.contains_key("sum-squares"));
        let stored: Cpu = serde_json::from_str(&serde_json::to_string(&twenty).unwrap()).unwrap();
        assert_eq!(stored.amount, twenty.amount);
    }

    #[test]
    fn an_uncalibrated_plan_is_calibrated_once_for_all_slots() {
        let cpu = cpu("{ cpu = { kernel = 'sum-squares', time = '1us' } }");
        let known = cpu.known.clone();
        let ran = Rig::new(&["{ noop = {} }"])
            .step(StepSpec::Cpu(cpu.clone()))
            .slots(3)
            .run("threads", 2);
        assert_eq!(ran.wrong(), None);
        assert_eq!(known.iterations.get(), Some(&cpu.iterations()));
    }

    #[test]
    fn costs_are_estimated() {
        let cost = |text| cpu(text).cost(&|_| None);
        let timed = cost("{ cpu = { kernel = 'json', time = '20us' } }");
        let mean = Duration::from_micros(20);
        assert_eq!(timed, Cost { least: Duration::ZERO, mean, cpu: mean });
        assert_eq!(
            cost("{ cpu = { kernel = 'sha256', iterations = 10 } }").mean,
            Duration::from_micros(8)
        );
    }

    #[test]
    fn exactly_one_amount() {
        let errors = |rest: &str| errors_of(&format!("{{ cpu = {{ {rest} }} }}"));
        assert_eq!(errors("kernel = 'json'").len(), 1);
        assert!(errors("kernel = 'json'")[0].contains("`time = \"20us\"`"));
        assert!(errors("kernel = 'json', iterations = 1, time = '1us'")[0].contains("keep one"));
        assert!(errors("kernel = 'json', time = '0s'")[0].contains("above zero"));
        assert!(errors("kernel = 'json', iterations = 0")[0].contains("at least 1"));
        assert!(errors("kernel = 'jsom', iterations = 1")[0].contains("did you mean `json`?"));
        assert!(
            errors("kernel = 'json', iterations = 1, blocking = 'of'")[0]
                .contains("inline, offload")
        );
    }
}
