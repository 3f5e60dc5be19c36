//! The hub: who is in which room, and who gets which message. It knows no socket.
//!
//! A room is full when as many have registered as it has members; then all of them are told, and
//! whatever one of them publishes is numbered and goes to all, itself included. Who leaves is gone.
//! Who is lost before the room is full makes room for another one; afterwards nobody could get all
//! messages any more, so that the others are to be lost, too.

use std::{collections::HashMap, mem};

use super::words::{Registration, Seat};
use crate::targets::http::Token;

/// What the hub has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HubCounts {
    /// Registrations.
    pub registered: u64,
    /// Members that left when they had got all messages.
    pub unregistered: u64,
    /// Members whose connection ended before.
    pub lost: u64,
    /// Rooms that became full.
    pub rooms: u64,
    /// Messages that were published.
    pub published: u64,
    /// Deliveries that follow: for each published message the members of its room.
    pub due: u64,
}

/// Where a member is.
#[derive(Debug, Clone, Copy)]
enum MemberPlace {
    /// In a room that is not full.
    Waiting(Registration),
    /// In the room of this number.
    In(u64),
}

/// A room that is full.
#[derive(Debug)]
struct Room {
    terms: Registration,
    /// Who is still there.
    members: Vec<Token>,
    published: u64,
}

/// All rooms.
#[derive(Debug, Default)]
pub struct Hub {
    /// What was counted.
    pub counts: HubCounts,
    places: HashMap<Token, MemberPlace>,
    filling: HashMap<Registration, Vec<Token>>,
    rooms: HashMap<u64, Room>,
}

impl Hub {
    /// Somebody registers. If that makes a room full: its members, and what each of them is told.
    pub fn register(
        &mut self,
        who: Token,
        terms: Registration,
    ) -> Result<Vec<(Token, Seat)>, &'static str> {
        if self.places.contains_key(&who) {
            return Err("a member has registered twice");
        }
        self.counts.registered += 1;
        self.places.insert(who, MemberPlace::Waiting(terms));
        let waiting = self.filling.entry(terms).or_default();
        waiting.push(who);
        if waiting.len() < terms.members as usize {
            return Ok(Vec::new());
        }
        let members = mem::take(waiting);
        let room = self.counts.rooms;
        self.counts.rooms += 1;
        let seats = members.iter().zip(0..).map(|(&who, number)| (who, Seat { room, number }));
        let told = seats.collect();
        self.places.extend(members.iter().map(|&who| (who, MemberPlace::In(room))));
        self.rooms.insert(room, Room { terms, members, published: 0 });
        Ok(told)
    }

    /// A member publishes a message: its number, and who gets it.
    pub fn publish(&mut self, who: Token) -> Result<(u64, &[Token]), &'static str> {
        let Some(MemberPlace::In(room)) = self.places.get(&who) else {
            return Err("nothing can be published outside of a full room");
        };
        // Who is in a room finds it.
        let room = self.rooms.get_mut(room).ok_or("there is no such room")?;
        if room.published == room.terms.deliveries() {
            return Err("more messages were published than a room has");
        }
        let number = room.published;
        room.published += 1;
        self.counts.published += 1;
        self.counts.due += u64::from(room.terms.members);
        Ok((number, &room.members))
    }

    /// A member has got all messages.
    pub fn leave(&mut self, who: Token) -> Result<(), &'static str> {
        match self.places.get(&who) {
            Some(MemberPlace::In(room))
                if self
                    .rooms
                    .get(room)
                    .is_some_and(|room| room.published == room.terms.deliveries()) => {}
            _ => return Err("a member has left before all messages were published"),
        }
        self.counts.unregistered += 1;
        self.remove(who);
        Ok(())
    }

    /// A connection has ended: those who cannot get all messages any more because of that, and are
    /// no members either from now on.
    pub fn lose(&mut self, who: Token) -> Vec<Token> {
        let Some(place) = self.places.get(&who).copied() else { return Vec::new() };
        self.counts.lost += 1;
        self.remove(who);
        let MemberPlace::In(number) = place else { return Vec::new() };
        // The others get what was published, however this one ended.
        let has_all = |room: &Room| room.published == room.terms.deliveries();
        if self.rooms.get(&number).is_none_or(has_all) {
            return Vec::new();
        }
        let others = self.rooms.remove(&number).map_or_else(Vec::new, |room| room.members);
        for other in &others {
            self.places.remove(other);
        }
        self.counts.lost += others.len() as u64;
        others
    }

    fn remove(&mut self, who: Token) {
        match self.places.remove(&who) {
            Some(MemberPlace::Waiting(terms)) => {
                self.filling.entry(terms).or_default().retain(|other| *other != who);
            }
            Some(MemberPlace::In(number)) => {
                let Some(room) = self.rooms.get_mut(&number) else { return };
                room.members.retain(|other| *other != who);
                if room.members.is_empty() {
                    self.rooms.remove(&number);
                }
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Registration = Registration { members: 2, messages: 1 };

    fn full() -> Hub {
        let mut hub = Hub::default();
        assert_eq!(hub.register(Token(1), TERMS).unwrap(), []);
        let told = hub.register(Token(2), TERMS).unwrap();
        let seat = |number| Seat { room: 0, number };
        assert_eq!(told, [(Token(1), seat(0)), (Token(2), seat(1))]);
        hub
    }

    #[test]
    fn all_get_what_anybody_publishes_and_then_leave() {
        let mut hub = full();
        assert_eq!(hub.publish(Token(2)).unwrap(), (0, &[Token(1), Token(2)][..]));
        assert!(hub.leave(Token(2)).is_err(), "one message is not published yet");
        assert_eq!(hub.publish(Token(1)).unwrap(), (1, &[Token(1), Token(2)][..]));
        assert!(hub.publish(Token(1)).is_err(), "a room has so many messages");
        hub.leave(Token(2)).unwrap();
        assert_eq!(hub.lose(Token(2)), []);
        assert_eq!(hub.lose(Token(1)), []);
        let counts =
            HubCounts { registered: 2, unregistered: 1, lost: 1, rooms: 1, published: 2, due: 4 };
        assert_eq!(hub.counts, counts);
        assert!(hub.rooms.is_empty() && hub.places.is_empty());
    }

    #[test]
    fn who_is_lost_makes_room_or_takes_the_others_along() {
        let mut hub = Hub::default();
        hub.register(Token(7), TERMS).unwrap();
        assert_eq!(hub.lose(Token(7)), []);
        assert_eq!(hub.register(Token(1), TERMS).unwrap(), []);
        assert_eq!(full().lose(Token(1)), [Token(2)]);
    }

    #[test]
    fn rooms_of_other_terms_are_other_rooms() {
        let mut hub = Hub::default();
        let other = Registration { messages: 2, ..TERMS };
        hub.register(Token(1), TERMS).unwrap();
        assert_eq!(hub.register(Token(2), other).unwrap(), []);
        assert!(hub.register(Token(1), TERMS).is_err(), "one member, one place");
        assert!(hub.publish(Token(1)).is_err(), "the room is not full");
    }
}
