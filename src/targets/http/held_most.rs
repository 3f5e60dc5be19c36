//! The most connections that were open for a while: what a limit is held against.
//!
//! A server sees the end of a connection a little after its client has closed it, and may see the
//! next one before. So for a moment it counts more than there are. Nothing of that lasts.

/// How long so many must be open to count, in ns: much longer than the end of a connection is on
/// its way.
pub(super) const FOR_NS: u64 = 20_000_000;

/// The most that were open for [`FOR_NS`]. It reads no clock while there are no more than before.
#[derive(Debug, Default)]
pub struct HeldMost {
    most: u64,
    /// The least that were open since there were more, and when that is long enough.
    rising: Option<(u64, u64)>,
}

impl HeldMost {
    /// So many are open, when all ends that had come were seen.
    pub fn see(&mut self, open: u64, now_ns: impl FnOnce() -> u64) {
        if open <= self.most {
            self.rising = None;
            return;
        }
        let now = now_ns();
        let (least, until) = self.rising.unwrap_or((open, now.saturating_add(FOR_NS)));
        let least = least.min(open);
        self.rising = Some((least, until)).filter(|_| now < until);
        if now >= until {
            self.most = least;
        }
    }

    /// The most.
    pub fn most(&self) -> u64 {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(open: &[(u64, u64)]) -> u64 {
        let mut held = HeldMost::default();
        for (open, now) in open {
            held.see(*open, || now * FOR_NS / 10);
        }
        held.most()
    }

    #[test]
    fn what_is_open_for_a_while_counts_and_what_is_open_for_a_moment_does_not() {
        assert_eq!(seen(&[(3, 0), (3, 10)]), 3);
        assert_eq!(seen(&[(3, 0), (3, 9)]), 0);
        // Five for a moment; never less than three.
        assert_eq!(seen(&[(3, 0), (5, 5), (4, 10)]), 3);
        // And then four, for a while.
        assert_eq!(seen(&[(3, 0), (5, 5), (4, 10), (4, 11), (4, 21)]), 4);
        // Four for a while, with less in between.
        assert_eq!(seen(&[(3, 0), (3, 10), (4, 11), (3, 15), (4, 16), (4, 22)]), 3);
    }
}
