//! The table of all kernels, and how fast they are on this machine.

use serde::{Deserialize, Serialize};

use super::{
    base64::Base64, computation::Kernel, json::Json, sha256::Sha256, sum_squares::SumSquares,
};
use crate::{
    clock,
    config::{Diagnostics, Field, Node, choice_schema, read_choice},
};

/// What is known of a kernel without running it.
pub struct KernelInfo {
    /// Its name in scenarios.
    pub name: &'static str,
    /// Time per iteration on an ordinary machine of 2024 in ns; only for estimates of how long a
    /// run takes.
    pub nominal_ns: f64,
    /// Makes its state.
    pub make: fn() -> Box<dyn Kernel>,
}

/// All kernels. To add one: write its file, declare it in `mod.rs`, and name it here.
static KERNELS: [KernelInfo; 4] = [
    KernelInfo { name: "sum-squares", nominal_ns: 0.7, make: || Box::new(SumSquares) },
    KernelInfo { name: "sha256", nominal_ns: 800.0, make: || Box::new(Sha256::new()) },
    KernelInfo { name: "base64", nominal_ns: 1_300.0, make: || Box::new(Base64::new()) },
    KernelInfo { name: "json", nominal_ns: 6_000.0, make: || Box::new(Json::new()) },
];

/// A kernel by name.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KernelName(pub &'static KernelInfo);

impl KernelName {
    /// Its place among all kernels, by which another process of this program knows it.
    pub fn place(self) -> u64 {
        let place = KERNELS.iter().position(|info| info.name == self.0.name);
        place.map_or(u64::MAX, |place| place as u64)
    }
}

/// The state of every kernel, by its place.
pub fn all() -> Vec<Box<dyn Kernel>> {
    KERNELS.iter().map(|info| (info.make)()).collect()
}

fn choices() -> [(&'static str, KernelName); 4] {
    KERNELS.each_ref().map(|info| (info.name, KernelName(info)))
}

impl std::fmt::Debug for KernelName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.0.name)
    }
}

impl TryFrom<String> for KernelName {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        KERNELS
            .iter()
            .find(|info| info.name == name)
            .map(Self)
            .ok_or_else(|| format!("there is no kernel `{name}`"))
    }
}

impl From<KernelName> for String {
    fn from(kernel: KernelName) -> Self {
        kernel.0.name.to_owned()
    }
}

impl Field for KernelName {
    fn schema() -> serde_json::Value {
        choice_schema(&choices())
    }

    fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        read_choice(node, &choices(), diagnostics)
    }
}

/// Length of one timed burst, in ns: shorter than the turn that the system's scheduler gives a
/// thread, so that on a busy machine too some bursts run through. All together take about 50 ms.
const BURST_NS: u64 = 1_000_000;
const BURSTS: u32 = 30;

/// Iterations per second of a kernel on this thread now: the fastest of many bursts, for other work
/// only ever makes them slower.
pub fn iterations_per_second(info: &KernelInfo) -> f64 {
    let mut kernel = (info.make)();
    let mut time = |iterations: u64| {
        let start = clock::now_ns();
        std::hint::black_box(kernel.run(std::hint::black_box(iterations)));
        (clock::now_ns() - start).max(1)
    };
    let mut fastest =
        |bursts: u32, iterations: u64| (0..bursts).map(|_| time(iterations)).min().unwrap_or(1);
    // Doubling warms caches and the clock frequency up on the way; three bursts each, so that one
    // interruption does not end it too early. A kernel that no compiler could make this fast stops
    // at 2⁴⁰.
    let mut iterations = 1;
    while fastest(3, iterations) < BURST_NS && iterations < 1 << 40 {
        iterations *= 2;
    }
    iterations as f64 * 1e9 / fastest(BURSTS, iterations) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_the_same_again_and_depend_on_the_iterations() {
        for info in &KERNELS {
            let mut kernel = (info.make)();
            let results: Vec<u64> =
                [0, 1, 2, 3, 50].into_iter().map(|iterations| kernel.run(iterations)).collect();
            let again: Vec<u64> =
                [0, 1, 2, 3, 50].into_iter().map(|n| (info.make)().run(n)).collect();
            assert_eq!(results, again, "{}", info.name);
            for pair in results.windows(2) {
                assert_ne!(pair[0], pair[1], "{}: {results:?}", info.name);
            }
        }
    }

    #[test]
    fn names_are_stored_and_unknown_ones_refused() {
        let stored: Vec<KernelName> = serde_json::from_str(r#"["json", "sha256"]"#).unwrap();
        assert_eq!(serde_json::to_string(&stored).unwrap(), r#"["json","sha256"]"#);
        assert!(serde_json::from_str::<KernelName>("\"md5\"").is_err());
    }

    #[test]
    fn speed_is_a_positive_number() {
        let speed = iterations_per_second(&KERNELS[0]);
        assert!(speed.is_finite() && speed > 1.0, "{speed}");
    }
}
