//! Values found again by a small token; a token of a value that was removed finds nothing.

/// Names a value in a [`Slab`]: its place in the low half, the place's generation in the high half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

impl Token {
    fn new(place: u32, generation: u32) -> Self {
        Self(u64::from(generation) << 32 | u64::from(place))
    }

    fn place(self) -> usize {
        self.0 as u32 as usize
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Reuses places, so that it grows only to the most values held at once.
#[derive(Debug)]
pub struct Slab<T> {
    entries: Vec<SlabEntry<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct SlabEntry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    /// Holds nothing.
    pub fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    /// Stores a value.
    pub fn insert(&mut self, value: T) -> Token {
        if let Some(place) = self.free.pop() {
            let entry = &mut self.entries[place as usize];
            entry.value = Some(value);
            return Token::new(place, entry.generation);
        }
        self.entries.push(SlabEntry { generation: 0, value: Some(value) });
        Token::new(self.entries.len() as u32 - 1, 0)
    }

    /// The value, unless it was removed.
    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let entry = self.entries.get_mut(token.place())?;
        if entry.generation == token.generation() { entry.value.as_mut() } else { None }
    }

    /// The tokens of all values.
    pub fn tokens(&self) -> Vec<Token> {
        let entries = self.entries.iter().enumerate();
        let held = entries.filter(|(_, entry)| entry.value.is_some());
        held.map(|(place, entry)| Token::new(place as u32, entry.generation)).collect()
    }

    /// Takes the value out; its token is void from now on.
    pub fn remove(&mut self, token: Token) -> Option<T> {
        let entry = self.entries.get_mut(token.place())?;
        if entry.generation != token.generation() {
            return None;
        }
        let value = entry.value.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(token.place() as u32);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_place_does_not_answer_to_its_old_token() {
        let mut slab = Slab::new();
        let first = slab.insert("first");
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second");
        assert_eq!(second.place(), first.place());
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get_mut(second), Some(&mut "second"));
        assert_eq!(slab.tokens(), [second]);
        assert_eq!(slab.get_mut(Token(u64::MAX)), None);
    }
}
