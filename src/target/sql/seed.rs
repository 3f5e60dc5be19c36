//! The contents of a new database: a pure function of the seed and the number of rows, the same on every engine.

use crate::draw::draw;

/// Categories of items, numbered from 0, all about equally large.
pub const CATEGORIES: u64 = 100;
/// Prices are from 1 to this.
const MOST_PRICE: u64 = 10_000;

/// A row of the table `items`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub id: i64,
    pub category: i64,
    pub name: String,
    pub price: i64,
}

/// The item with an id from 1.
fn item(seed: u64, id: u64) -> Item {
    Item {
        id: id.cast_signed(),
        category: (draw(seed, id, 0) % CATEGORIES).cast_signed(),
        name: format!("item {id} {:016x}", draw(seed, id, 2)),
        price: price(seed, id),
    }
}

fn price(seed: u64, id: u64) -> i64 {
    (draw(seed, id, 1) % MOST_PRICE + 1).cast_signed()
}

/// All rows of the table `items`, by id.
pub(super) fn items(rows: u64, seed: u64) -> impl Iterator<Item = Item> {
    (1..=rows).map(move |id| item(seed, id))
}

/// What all prices come to.
pub(super) fn sum_of_prices(rows: u64, seed: u64) -> i64 {
    (1..=rows).map(|id| price(seed, id)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_items() {
        assert_eq!(sum_of_prices(50, 3), items(50, 3).map(|item| item.price).sum::<i64>());
        assert!(items(50, 3).all(|item| (1..=10_000).contains(&item.price) && (0..100).contains(&item.category)));
    }
}
