//! `base64`: one iteration encodes 1 KiB and decodes it again; the first bytes count the
//! iterations.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::computation::{Kernel, bytes};

/// What is encoded.
const LENGTH: usize = 1024;
/// What it becomes: four characters for every three bytes begun.
const ENCODED: usize = LENGTH.div_ceil(3) * 4;

/// The bytes, their text, and the bytes that come back.
pub struct Base64 {
    plain: [u8; LENGTH],
    text: [u8; ENCODED],
    back: [u8; LENGTH],
}

impl Base64 {
    /// The same bytes every time.
    pub fn new() -> Self {
        Self { plain: bytes(), text: [0; ENCODED], back: [0; LENGTH] }
    }
}

impl Kernel for Base64 {
    fn run(&mut self, iterations: u64) -> u64 {
        let mut result = 0;
        for number in 0..iterations {
            self.plain[..8].copy_from_slice(&number.to_le_bytes());
            // Both buffers are as long as they must be; were they not, the lengths would give
            // another result.
            let encoded = STANDARD.encode_slice(self.plain, &mut self.text).unwrap_or(0);
            let decoded = STANDARD.decode_slice(&self.text[..encoded], &mut self.back).unwrap_or(0);
            result = xxh3_64_with_seed(&self.back[..decoded], result ^ encoded as u64);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_encoded_comes_back() {
        let mut kernel = Base64::new();
        kernel.run(300);
        assert_eq!(kernel.plain, kernel.back);
        assert_eq!(kernel.plain[..2], [43, 1]);
        assert_eq!(STANDARD.encode(kernel.plain).as_bytes(), kernel.text);
    }
}
