//! The free slots of an open load. The one that was given back last is taken first, about: its
//! connection and its steps are still in the CPU's caches, and hardly more slots are in use than
//! there are tasks in flight.

use crate::atomics::{
    AtomicCell, AtomicU32,
    Ordering::{AcqRel, Relaxed, Release},
};

/// A stack without a lock, of things that each have a place of their own. Whoever takes from it
/// takes all that is there, so that no place is put back under the eyes of somebody who has just
/// read what lies below it; and lays it on what was held already, so that what was given back since
/// comes first.
pub(super) struct Free<T> {
    /// The topmost place, from 1; 0 where nothing is free.
    top: AtomicU32,
    places: Vec<FreePlace<T>>,
}

struct FreePlace<T> {
    item: AtomicCell<Option<Box<T>>>,
    /// The place below, while this one is free.
    below: AtomicU32,
}

/// What somebody has taken and not used yet: the topmost place, from 1.
#[derive(Debug, Default)]
pub(super) struct HeldSlots(u32);

impl<T> Free<T> {
    /// So many places, all empty.
    pub(super) fn new(places: usize) -> Self {
        let empty = || FreePlace { item: AtomicCell::new(None), below: AtomicU32::new(0) };
        Self { top: AtomicU32::new(0), places: (0..places).map(|_| empty()).collect() }
    }

    /// The topmost item of all that is free, which is held from then on, and of what was held
    /// before.
    pub(super) fn take(&self, held: &mut HeldSlots) -> Option<Box<T>> {
        if self.top.load(Relaxed) != 0 {
            let freed = self.top.swap(0, AcqRel);
            self.lay_on(freed, held);
        }
        let place = self.places.get((held.0 as usize).checked_sub(1)?)?;
        held.0 = place.below.load(Relaxed);
        place.item.take()
    }

    /// Lays what was free on what is held: each place is passed once for each time that it was
    /// given back.
    fn lay_on(&self, freed: u32, held: &mut HeldSlots) {
        let mut next = freed;
        while let Some(place) = (next as usize).checked_sub(1).and_then(|at| self.places.get(at)) {
            next = place.below.load(Relaxed);
            if next == 0 {
                place.below.store(held.0, Relaxed);
                held.0 = freed;
            }
        }
    }

    /// Puts the item of a place (from 0) there. A place that there is not loses its item.
    pub(super) fn put(&self, place: usize, item: Box<T>) {
        let Some(there) = self.places.get(place) else { return };
        there.item.store(Some(item));
        let mut top = self.top.load(Relaxed);
        loop {
            there.below.store(top, Relaxed);
            match self.top.compare_exchange_weak(top, place as u32 + 1, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    /// Whatever lies in its place, be it free or held.
    pub(super) fn drain(&self) -> impl Iterator<Item = Box<T>> {
        self.places.iter().filter_map(|place| place.item.take())
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;

    #[test]
    fn the_last_is_taken_first() {
        let (free, mut held) = (Free::new(3), HeldSlots::default());
        let mut take = || free.take(&mut held).map(|item| *item);
        assert_eq!(take(), None);
        for place in 0..3 {
            free.put(place, Box::new(place));
        }
        assert_eq!((take(), take()), (Some(2), Some(1)));
        // What was put back since comes before what is held.
        free.put(1, Box::new(1));
        free.put(2, Box::new(2));
        assert_eq!((take(), take(), take(), take()), (Some(2), Some(1), Some(0), None));
        free.put(1, Box::new(1));
        assert_eq!(free.drain().collect::<Vec<_>>(), [Box::new(1)]);
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
                    let (mut turns, mut held) = (0, HeldSlots::default());
                    while turns < 20_000 {
                        let Some(mut item) = free.take(&mut held) else { continue };
                        item.1 += 1;
                        turns += 1;
                        free.put(item.0, item);
                    }
                    // What is still held is there for the others again.
                    let held: Vec<_> = std::iter::from_fn(|| free.take(&mut held)).collect();
                    for item in held {
                        free.put(item.0, item);
                    }
                    turns
                })
            })
            .collect();
        let turns: u64 = takers.into_iter().map(|taker| taker.join().unwrap()).sum();
        let left: Vec<_> = free.drain().collect();
        assert_eq!(left.iter().map(|item| item.1).sum::<u64>(), turns);
        let mut places: Vec<usize> = left.iter().map(|item| item.0).collect();
        places.sort_unstable();
        assert_eq!(places, (0..PLACES).collect::<Vec<_>>());
    }
}
