//! The free slots of an open load. The one that was given back last is taken first: its connection and its steps are
//! still in the CPU's caches, and no more slots are in use than there are tasks in flight.

use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use crossbeam_utils::atomic::AtomicCell;

/// A stack without a lock, of things that each have a place of their own.
pub(super) struct Free<T> {
    /// In the lower half the number of the topmost place, from 1, or 0 where nothing is free. In the upper half how
    /// often that has changed, so that whoever has read it before a change does not write it after.
    top: AtomicU64,
    places: Vec<Place<T>>,
}

struct Place<T> {
    item: AtomicCell<Option<Box<T>>>,
    /// The place below, while this one is free.
    below: AtomicU32,
}

/// The topmost place and one more change.
fn changed(top: u64, place: u32) -> u64 {
    (((top >> 32) + 1) << 32) | u64::from(place)
}

impl<T> Free<T> {
    /// So many places, all empty.
    pub(super) fn new(places: usize) -> Self {
        let empty = || Place { item: AtomicCell::new(None), below: AtomicU32::new(0) };
        Self { top: AtomicU64::new(0), places: (0..places).map(|_| empty()).collect() }
    }

    /// The item that was put back last.
    pub(super) fn take(&self) -> Option<Box<T>> {
        let mut top = self.top.load(Acquire);
        loop {
            let place = self.places.get((top as u32).checked_sub(1)? as usize)?;
            let below = place.below.load(Relaxed);
            match self.top.compare_exchange_weak(top, changed(top, below), AcqRel, Acquire) {
                Ok(_) => return place.item.take(),
                Err(now) => top = now,
            }
        }
    }

    /// Puts the item of a place (from 0) there. A place that there is not loses its item.
    pub(super) fn put(&self, place: usize, item: Box<T>) {
        let Some(there) = self.places.get(place) else { return };
        there.item.store(Some(item));
        let mut top = self.top.load(Relaxed);
        loop {
            there.below.store(top as u32, Relaxed);
            match self.top.compare_exchange_weak(top, changed(top, place as u32 + 1), Release, Relaxed) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;

    #[test]
    fn the_last_is_taken_first() {
        let free = Free::new(3);
        assert_eq!(free.take(), None);
        for place in 0..3 {
            free.put(place, Box::new(place));
        }
        assert_eq!((free.take(), free.take()), (Some(Box::new(2)), Some(Box::new(1))));
        free.put(2, Box::new(2));
        assert_eq!((free.take(), free.take(), free.take()), (Some(Box::new(2)), Some(Box::new(0)), None));
    }

    #[test]
    fn nothing_is_lost_or_doubled_between_threads() {
        const PLACES: usize = 8;
        let free = Arc::new(Free::new(PLACES));
        for place in 0..PLACES {
            free.put(place, Box::new((place, 0_u64)));
        }
        let takers: Vec<_> = (0..4)
            .map(|_| {
                let free = free.clone();
                thread::spawn(move || {
                    let mut turns = 0;
                    while turns < 20_000 {
                        let Some(mut item) = free.take() else { continue };
                        item.1 += 1;
                        turns += 1;
                        free.put(item.0, item);
                    }
                })
            })
            .collect();
        for taker in takers {
            taker.join().unwrap();
        }
        let left: Vec<_> = std::iter::from_fn(|| free.take()).collect();
        assert_eq!(left.iter().map(|item| item.1).sum::<u64>(), 80_000);
        let mut places: Vec<usize> = left.iter().map(|item| item.0).collect();
        places.sort_unstable();
        assert_eq!(places, (0..PLACES).collect::<Vec<_>>());
    }
}
