//! `sum-squares`: the sum of the squares of 1, 2, 3 …, rotated by one bit after each addition.
//!
//! Without the rotation a compiler knows a formula for the sum; with it every iteration needs the
//! one before. It touches no memory, so it is the part of a machine that executors share least.

use super::computation::Kernel;

/// No state: the sum lives in a register.
pub struct SumSquares;

impl Kernel for SumSquares {
    fn run(&mut self, iterations: u64) -> u64 {
        (1..=iterations).fold(0, |sum: u64, n| sum.wrapping_add(n.wrapping_mul(n)).rotate_left(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_squares_by_hand() {
        // ((1·2 + 4)·2 + 9)·2
        assert_eq!(SumSquares.run(3), 42);
    }
}
