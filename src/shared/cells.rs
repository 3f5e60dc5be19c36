//! Counters of those who use an object: one cell each, so that nobody counts where another does.
//!
//! A user that is lost with a cancelled call leaves its cell to the one that takes its place: the
//! cells are as many as users at once, however many calls are cancelled.

use std::{
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Adds without a locked instruction: a cell has one owner at a time.
#[inline]
pub(super) fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(by), Relaxed);
}

/// The cells of all users. Locked when users come and go.
pub(super) struct UserCells<T>(Arc<Mutex<All<T>>>);

struct All<T> {
    cells: Vec<Arc<T>>,
    /// The numbers of those that nobody owns.
    free: Vec<usize>,
}

fn locked<T>(all: &Mutex<All<T>>) -> MutexGuard<'_, All<T>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Default for UserCells<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(All { cells: Vec::new(), free: Vec::new() })))
    }
}

impl<T: Default> UserCells<T> {
    /// A cell for another user.
    pub(super) fn own(&self) -> OwnedCell<T> {
        let mut all = locked(&self.0);
        let number = all.free.pop().unwrap_or_else(|| {
            all.cells.push(Arc::default());
            all.cells.len() - 1
        });
        OwnedCell { cell: all.cells[number].clone(), number, all: self.0.clone() }
    }

    /// A sum over all cells.
    pub(super) fn sum(&self, counter: impl Fn(&T) -> &AtomicU64) -> u64 {
        let all = locked(&self.0);
        let counts = all.cells.iter().map(|cell| counter(cell).load(Relaxed));
        counts.fold(0, u64::wrapping_add)
    }
}

/// A cell, for its owner.
pub(super) struct OwnedCell<T> {
    cell: Arc<T>,
    number: usize,
    all: Arc<Mutex<All<T>>>,
}

impl<T> OwnedCell<T> {
    /// Its number among the cells, from 0.
    #[inline]
    pub(super) fn number(&self) -> u64 {
        self.number as u64
    }
}

impl<T> Deref for OwnedCell<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.cell
    }
}

impl<T> Drop for OwnedCell<T> {
    fn drop(&mut self) {
        locked(&self.all).free.push(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_that_takes_another_s_place_goes_on_with_its_account() {
        let cells = UserCells::<AtomicU64>::default();
        let other = cells.own();
        for lost in 1..=1_000 {
            let cell = cells.own();
            bump(&cell, 2);
            bump(&other, 1);
            assert_eq!((cell.number(), cells.sum(|count| count)), (1, 3 * lost));
        }
    }
}
