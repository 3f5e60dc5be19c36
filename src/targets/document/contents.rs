//! The contents of a new collection: a pure function of the seed and the number of documents.

use bson::{RawDocumentBuf, rawdoc};

use crate::draw::draw;

/// Categories of documents, numbered from 0, all about equally large.
const CATEGORIES: u64 = 100;
/// Prices are from 1 to this.
const MOST_PRICE: u64 = 10_000;
/// The field that is added up for the proof.
pub(super) const PRICE: &str = "price";

/// The document with an id from 1: as large as a row of `items` in an SQL target.
pub(super) fn document(seed: u64, id: u64) -> RawDocumentBuf {
    rawdoc! {
        "_id": id.cast_signed(),
        "category": (draw(seed, id, 0) % CATEGORIES).cast_signed(),
        "name": format!("item {id} {:016x}", draw(seed, id, 2)),
        "price": price(seed, id),
    }
}

fn price(seed: u64, id: u64) -> i64 {
    (draw(seed, id, 1) % MOST_PRICE + 1).cast_signed()
}

/// What all prices come to.
pub(super) fn sum_of_prices(documents: u64, seed: u64) -> i64 {
    (1..=documents).map(|id| price(seed, id)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_documents() {
        let prices = (1..=50).map(|id| document(3, id).get_i64(PRICE).unwrap());
        assert_eq!(prices.sum::<i64>(), sum_of_prices(50, 3));
        let categories = (1..=50).map(|id| document(3, id).get_i64("category").unwrap());
        assert!(categories.into_iter().all(|category| (0..100).contains(&category)));
        assert_ne!(document(3, 1), document(4, 1));
    }
}
