//! The contents of a new database: a pure function of the seed and the number of rows, the same on
//! every engine.

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

/// Rows of one INSERT: about 60 KiB, far below what any server takes.
const BATCH: usize = 1000;

/// The table as statements, each with many rows, for `table` as a statement names it. No value
/// needs escaping.
pub(super) fn inserts(table: &str, rows: u64, seed: u64) -> impl Iterator<Item = String> {
    let mut items = items(rows, seed).peekable();
    std::iter::from_fn(move || {
        items.peek()?;
        let row =
            |item: Item| format!("({},{},'{}',{})", item.id, item.category, item.name, item.price);
        let values: Vec<String> = items.by_ref().take(BATCH).map(row).collect();
        Some(format!("INSERT INTO {table}(id, category, name, price) VALUES {}", values.join(",")))
    })
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

    #[test]
    fn inserts_are_the_items_in_order() {
        let statements: Vec<String> = inserts("s.items", 2500, 7).collect();
        let rows = |at: usize| statements[at].matches("),(").count() + 1;
        assert_eq!((statements.len(), rows(0), rows(2)), (3, 1000, 500));
        let item = items(2500, 7).last().unwrap();
        let last = format!("({},{},'{}',{})", item.id, item.category, item.name, item.price);
        assert!(statements[2].ends_with(&last), "{last}");
        assert!(statements.iter().all(|text| text.starts_with("INSERT INTO s.items(")));
        assert!(statements.iter().all(|text| !text.contains('\\') && text.len() < 1 << 17));
        assert_eq!(inserts("items", 0, 7).count(), 0);
    }
}
