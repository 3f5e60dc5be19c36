//! `json`: one iteration parses a document of about 1 KiB into a tree and writes the tree out
//! again.
//!
//! Parsing allocates a string or a map per node, some 70 per iteration; that is what JSON costs a
//! service, and it exercises the allocator that the executor's threads share. Writing uses a buffer
//! of the kernel's own.

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::computation::Kernel;

/// An order as a web shop would send it.
const DOCUMENT: &str = r#"{"id":"9f1c2a7e-53b0-4c1d-8a8e-0d6b7f2e4c11","placed":"2024-05-17T09:26:53.589Z",
"customer":{"id":48151623,"name":"Ada Lovelace","email":"ada@example.org","tags":["returning","newsletter"],
"address":{"street":"12 St James's Square","city":"London","postcode":"SW1Y 4JH","country":"GB"}},
"items":[{"sku":"BK-0042","title":"Sketch of the Analytical Engine","quantity":1,"price":42.5,"tax":0.0,"gift":false},
{"sku":"PN-1837","title":"Fountain pen, \"fine\" nib","quantity":2,"price":18.25,"tax":3.65,"gift":true},
{"sku":"IN-0007","title":"Ink, bl\u00e4ulich","quantity":3,"price":6.75,"tax":1.35,"gift":false}],
"payment":{"method":"card","authorised":true,"amount":108.0,"currency":"GBP","reference":null},
"shipping":{"carrier":"post","express":false,"weight":1.375,"events":[{"at":1715937000,"what":"packed"},
{"at":1715941800,"what":"collected"},{"at":1716021000,"what":"delivered"}]},
"notes":"Please ring twice.\nThe garden gate sticks."}"#;

/// The buffer that is written to.
pub struct Json {
    text: Vec<u8>,
}

impl Json {
    /// Room for the document.
    pub fn new() -> Self {
        Self { text: Vec::with_capacity(DOCUMENT.len()) }
    }

    /// Parses and writes; false if the document is none.
    fn round(&mut self) -> bool {
        self.text.clear();
        let document = std::hint::black_box(DOCUMENT);
        let Ok(tree) = serde_json::from_str::<Value>(document) else { return false };
        serde_json::to_writer(&mut self.text, &tree).is_ok()
    }
}

impl Kernel for Json {
    fn run(&mut self, iterations: u64) -> u64 {
        (1..=iterations).fold(0, |result, number| {
            // The document is valid and a buffer takes everything; otherwise the result would be
            // another one.
            let seed = if self.round() { result } else { !result };
            xxh3_64_with_seed(&self.text, seed ^ number)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_written_as_it_was_read() {
        let mut kernel = Json::new();
        assert!(kernel.round());
        let (read, written): (Value, Value) = (
            serde_json::from_str(DOCUMENT).unwrap(),
            serde_json::from_slice(&kernel.text).unwrap(),
        );
        assert_eq!(read, written);
        assert_eq!(written["items"][2]["title"], "Ink, bläulich");
        assert!((900..1_300).contains(&kernel.text.len()), "{}", kernel.text.len());
    }
}
