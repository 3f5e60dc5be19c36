//! What a kernel is, and what kernels compute on.

use rand_xoshiro::{
    SplitMix64,
    rand_core::{Rng, SeedableRng},
};

/// A computation in a loop, with the buffers that it needs.
pub trait Kernel: Send {
    /// Does `iterations` iterations from the same beginning, and gives a result that depends on
    /// every one of them.
    fn run(&mut self, iterations: u64) -> u64;
}

/// Bytes that look random and are always the same.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SplitMix64::seed_from_u64(0x7265_6761_7474_6121).fill_bytes(&mut bytes);
    bytes
}
