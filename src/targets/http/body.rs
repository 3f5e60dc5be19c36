//! The bodies that the embedded server answers with: of any length, in bounded memory.
//!
//! The first mebibyte is drawn byte by byte. What follows are pieces of it, each from another place,
//! so that a gibibyte takes a mebibyte, and a piece that is lost or swapped still shows.

use bytes::Bytes;

use crate::draw::mix;

/// What is drawn byte by byte, in bytes.
const DRAWN: u64 = 1 << 20;
/// Length of the pieces that follow, in bytes.
const PIECE: u64 = 64 << 10;

/// The body of `length` bytes that the embedded server answers with: printable ASCII without a
/// period, so that a client can compute its digest and a lost or swapped piece shows.
pub fn body(length: u64) -> Vec<u8> {
    ServedBody::new(length).runs().flatten().copied().collect()
}

/// The same body without the memory for all of it.
#[derive(Debug)]
pub struct ServedBody {
    drawn: Bytes,
    length: u64,
}

impl ServedBody {
    /// A body of this many bytes.
    pub fn new(length: u64) -> Self {
        let byte = |place| b'!' + (mix(0, place) % 94) as u8;
        Self { drawn: (0..length.min(DRAWN)).map(byte).collect(), length }
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The bytes from a place on, as far as they lie together; none: the body ends there.
    pub fn at(&self, place: u64) -> &[u8] {
        let Some(after) = place.checked_sub(DRAWN) else {
            return self.drawn.get(place as usize..).unwrap_or_default();
        };
        let (piece, within) = (after / PIECE, after % PIECE);
        let start = mix(1, piece) % (DRAWN - PIECE + 1) + within;
        let run = (PIECE - within).min(self.length.saturating_sub(place));
        self.drawn.get(start as usize..(start + run) as usize).unwrap_or_default()
    }

    /// The same bytes, shared.
    pub fn piece(&self, place: u64) -> Bytes {
        self.drawn.slice_ref(self.at(place))
    }

    /// All of it, one run of bytes after another.
    pub fn runs(&self) -> impl Iterator<Item = &[u8]> {
        let mut place = 0;
        std::iter::from_fn(move || {
            let run = self.at(place);
            place += run.len() as u64;
            (!run.is_empty()).then_some(run)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_printable_and_aperiodic() {
        let long = body(10_000);
        assert!(long.iter().all(u8::is_ascii_graphic));
        assert_eq!(body(100), long[..100]);
        for period in 1..1000 {
            assert_ne!(long[..1000], long[period..1000 + period], "{period}");
        }
    }

    #[test]
    fn it_has_its_length_and_begins_like_a_longer_one() {
        let long = body(DRAWN + 3 * PIECE);
        for length in [0, 1, DRAWN - 1, DRAWN, DRAWN + 1, DRAWN + PIECE, DRAWN + 2 * PIECE + 7] {
            assert!(body(length) == long[..length as usize], "{length}");
        }
    }

    #[test]
    fn it_is_the_same_from_whatever_place_it_is_read() {
        let length = DRAWN + 2 * PIECE + 77;
        let (served, whole) = (ServedBody::new(length), body(length));
        for place in
            [0, 5, DRAWN - 1, DRAWN, DRAWN + 1, DRAWN + PIECE - 1, DRAWN + PIECE, length - 1]
        {
            let run = served.at(place);
            assert!(!run.is_empty() && whole[place as usize..].starts_with(run), "{place}");
        }
        assert!(served.at(length).is_empty() && served.at(length + 1).is_empty());
    }

    #[test]
    fn the_first_pieces_are_all_different() {
        let served = ServedBody::new(1 << 30);
        let runs: Vec<_> = served.runs().skip(1).take(200).collect();
        for (at, run) in runs.iter().enumerate() {
            assert!(runs[..at].iter().all(|other| other != run), "{at}");
        }
    }

    #[test]
    fn a_tebibyte_takes_a_mebibyte() {
        let served = ServedBody::new(1 << 40);
        assert_eq!(served.drawn.len(), 1 << 20);
        assert_eq!(served.at((1 << 40) - 10).len(), 10);
    }
}
