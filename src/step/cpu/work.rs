//! A computation in this process, and what is to come out of it wherever it is done.

use std::sync::OnceLock;

use super::{computation::Kernel, kernel::KernelName};
use crate::step::{Done, Failure, StepOutcome};

/// What is to come out.
#[derive(Debug, Default)]
pub struct ResultCheck {
    /// Iterations of a plan that was never calibrated.
    pub iterations: OnceLock<u64>,
    /// The result of the right number of iterations.
    pub result: OnceLock<u64>,
}

impl ResultCheck {
    /// Computes what is to come out, if nobody has so far.
    pub fn expect(&self, kernel: KernelName, iterations: u64) {
        self.result.get_or_init(|| CpuWork::new(kernel, iterations).run());
    }

    /// Whether this came out.
    pub fn check(&self, result: u64) -> StepOutcome {
        let expected = *self.result.get_or_init(|| result);
        if result == expected {
            return Ok(Done::default());
        }
        Err(Failure::Wrong(format!(
            "cpu: the kernel's result is {result:#x}, and was {expected:#x} in preparation"
        )))
    }
}

/// What moves to the thread that computes, and back.
pub struct CpuWork {
    kernel: Box<dyn Kernel>,
    iterations: u64,
}

impl CpuWork {
    /// A kernel in its first state.
    pub fn new(kernel: KernelName, iterations: u64) -> Self {
        Self { kernel: (kernel.0.make)(), iterations }
    }

    /// Both black boxes keep the compiler from knowing the iterations or that nobody needs the
    /// result.
    pub fn run(&mut self) -> u64 {
        std::hint::black_box(self.kernel.run(std::hint::black_box(self.iterations)))
    }
}
