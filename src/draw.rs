//! Random draws that are pure functions of their keys, so that every executor does the same work in
//! any order.

/// Mixes two words into 64 well-spread bits: the finaliser of SplitMix64 (Steele, Lea, Flood,
/// OOPSLA 2014) over their combination.
#[inline]
pub fn mix(a: u64, b: u64) -> u64 {
    let mut z = a ^ b.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The draw of one step of one task under one seed.
#[inline]
pub fn draw(seed: u64, task: u64, step: u64) -> u64 {
    mix(mix(seed, task), step)
}

/// A draw as a number in `[0, 1)` with 53 random bits.
#[inline]
pub fn unit(draw: u64) -> f64 {
    (draw >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_keys_give_unrelated_draws() {
        let mean = (0..10_000).map(|task| unit(draw(7, task, 1))).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        assert_ne!(draw(1, 2, 3), draw(1, 3, 2));
        assert_eq!(draw(1, 2, 3), draw(1, 2, 3));
    }
}
