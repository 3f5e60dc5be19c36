//! `sha256`: one iteration digests 1 KiB, whose first 32 bytes are the digest of the iteration
//! before.

use sha2::Digest;

use super::computation::{Kernel, bytes};

/// What is digested.
const LENGTH: usize = 1024;

/// The block.
pub struct Sha256 {
    start: [u8; LENGTH],
    block: [u8; LENGTH],
}

impl Sha256 {
    /// A block of the same bytes every time.
    pub fn new() -> Self {
        let start = bytes();
        Self { start, block: start }
    }
}

impl Kernel for Sha256 {
    fn run(&mut self, iterations: u64) -> u64 {
        self.block = self.start;
        for _ in 0..iterations {
            let digest = sha2::Sha256::digest(self.block);
            self.block[..32].copy_from_slice(&digest);
        }
        let mut result = [0; 8];
        result.copy_from_slice(&self.block[..8]);
        u64::from_be_bytes(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_digest_is_the_start_of_the_next_block() {
        let mut block = bytes::<LENGTH>();
        for _ in 0..2 {
            let digest: [u8; 32] = sha2::Sha256::digest(block).into();
            block[..32].copy_from_slice(&digest);
        }
        assert_eq!(Sha256::new().run(2).to_be_bytes(), block[..8]);
    }
}
