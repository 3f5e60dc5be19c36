//! Whose turn it is among the clients that share a lane.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use super::giving_up::ClientTurn;
use crate::runtime::Ticket;

/// The turns of a lane's clients. Those that are due come first in the order in which they became
/// so, and then the one that is due first; a client that ends is not put back.
pub(super) enum ClientTurns {
    /// There is one client: its turn is the next until it ends. Nothing is allocated, for there may
    /// be 100 000 such lanes.
    One,
    /// There are several.
    Several(Box<Several>),
}

/// Clients by their places.
pub(super) struct Several {
    due: VecDeque<usize>,
    /// When they are due, in ns, and where they are.
    later: BinaryHeap<Reverse<(u64, usize)>>,
}

impl ClientTurns {
    /// Of clients that have not begun.
    pub(super) fn of(clients: &[ClientTurn]) -> Self {
        if let [_] = clients {
            return Self::One;
        }
        let turns = clients.iter().enumerate();
        let later = turns
            .filter_map(|(place, client)| Some(Reverse((client.turn()?.due_ns, place))))
            .collect();
        Self::Several(Box::new(Several { due: VecDeque::with_capacity(clients.len()), later }))
    }

    /// The place and the turn of who is next; none after all have ended.
    #[inline]
    pub(super) fn next(&mut self, clients: &[ClientTurn], now_ns: u64) -> Option<(usize, Ticket)> {
        let place = match self {
            Self::One => 0,
            Self::Several(several) => several.next(now_ns)?,
        };
        Some((place, clients.get(place)?.turn()?))
    }

    /// The client's next turn is due then.
    #[inline]
    pub(super) fn put(&mut self, place: usize, due_ns: u64, now_ns: u64) {
        match self {
            Self::One => {}
            Self::Several(several) if due_ns <= now_ns => several.due.push_back(place),
            Self::Several(several) => several.later.push(Reverse((due_ns, place))),
        }
    }
}

impl Several {
    #[inline]
    fn next(&mut self, now_ns: u64) -> Option<usize> {
        while let Some(Reverse((due_ns, place))) = self.later.peek().copied()
            && due_ns <= now_ns
        {
            self.later.pop();
            self.due.push_back(place);
        }
        self.due.pop_front().or_else(|| self.later.pop().map(|Reverse((_, place))| place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(due_ns: &[u64]) -> Vec<ClientTurn> {
        let tickets = due_ns.iter().zip(0..).map(|(&due_ns, number)| Ticket { number, due_ns });
        tickets.map(ClientTurn::new).collect()
    }

    #[test]
    fn who_is_due_comes_in_order_and_then_who_is_due_first() {
        let clients = clients(&[0, 50, 0, 20]);
        let mut turns = ClientTurns::of(&clients);
        let mut next = |now_ns, put: Option<u64>| {
            let (place, _) = turns.next(&clients, now_ns)?;
            if let Some(due_ns) = put {
                turns.put(place, due_ns, now_ns);
            }
            Some(place)
        };
        // The first goes again at once, behind the third; then nobody is due until the fourth is.
        assert_eq!(
            [next(5, Some(5)), next(6, Some(90)), next(7, Some(80)), next(8, Some(60))]
                .map(Option::unwrap),
            [0, 2, 0, 3]
        );
        assert_eq!([next(55, None), next(55, None)], [Some(1), Some(3)]);
        assert_eq!([next(56, None), next(56, None), next(56, None)], [Some(0), Some(2), None]);
    }

    #[test]
    fn a_client_of_its_own_is_always_next_until_it_ends() {
        let clients = clients(&[70]);
        let mut turns = ClientTurns::of(&clients);
        assert_eq!(
            turns.next(&clients, 0).map(|(place, turn)| (place, turn.due_ns)),
            Some((0, 70))
        );
        clients[0].has(Ticket { number: 1, due_ns: 90 });
        turns.put(0, 90, 75);
        assert_eq!(turns.next(&clients, 80).map(|(_, turn)| turn.due_ns), Some(90));
        clients[0].end();
        assert_eq!(turns.next(&clients, 100), None);
    }
}
