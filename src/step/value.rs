//! A value that a step of a task takes from an answer, and that later steps of the same run use:
//! `${value:NAME}`.

use std::{fmt, sync::Arc};

use crossbeam_utils::atomic::AtomicCell;

use super::{Commons, rows::whole};
use crate::config::is_name;

/// A value as the steps of one sequence share it. One step runs at a time, so that whoever looks
/// takes the text out of its cell and puts it back: no lock, and the text's room is used again.
#[derive(Default)]
pub struct TakenValue {
    there: AtomicCell<Option<Box<TextRoom>>>,
    /// Room of a value that is gone, for the next one.
    spare: AtomicCell<Option<Box<TextRoom>>>,
}

/// Text in a box of its own: a cell without a lock holds one word.
#[derive(Default)]
struct TextRoom(String);

impl fmt::Debug for TakenValue {
    /// Without the value, which may be a secret.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

impl TakenValue {
    /// The value of this name that the steps of one sequence share.
    pub fn of(commons: &Commons, name: &str) -> Arc<Self> {
        commons.shared(&format!("value {name}"), Self::default)
    }

    /// From now on there is none: whoever takes it begins.
    pub fn clear(&self) {
        if let Some(room) = self.there.take() {
            self.spare.store(Some(room));
        }
    }

    /// From now on it is this.
    pub fn set(&self, text: &str) {
        let mut room = self.there.take().or_else(|| self.spare.take()).unwrap_or_default();
        room.0.clear();
        room.0.push_str(text);
        self.there.store(Some(room));
    }

    /// Looks at it, if there is one.
    fn look<T>(&self, look: impl FnOnce(&str) -> T) -> Option<T> {
        let room = self.there.take()?;
        let seen = look(&room.0);
        self.there.store(Some(room));
        Some(seen)
    }

    /// Whether there is one.
    pub fn is_there(&self) -> bool {
        self.look(|_| ()).is_some()
    }

    /// The whole number that it is, if it is one, written as it is printed.
    pub fn number(&self) -> Option<i64> {
        self.look(whole).flatten()
    }

    /// Appends it, if there is one.
    pub fn append_to(&self, out: &mut String) {
        let _ = self.look(|text| out.push_str(text));
    }
}

/// The name in `value:NAME`, which is what stands between `${` and `}`.
pub fn value_name(key: &str) -> Option<&str> {
    key.strip_prefix("value:").filter(|name| is_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_there_from_when_it_is_set_until_it_is_cleared() {
        let value = TakenValue::default();
        let shown = || {
            let mut out = "-".to_owned();
            value.append_to(&mut out);
            (out, value.is_there())
        };
        assert_eq!(shown(), ("-".to_owned(), false));
        for text in ["a longer one", "b", ""] {
            value.set(text);
            assert_eq!(shown(), (format!("-{text}"), true));
            // Looking at it does not use it up.
            assert_eq!(shown(), (format!("-{text}"), true));
        }
        value.clear();
        value.clear();
        assert_eq!(shown(), ("-".to_owned(), false));
        value.set("c");
        assert_eq!(shown(), ("-c".to_owned(), true));
    }

    #[test]
    fn room_is_used_again() {
        let value = TakenValue::default();
        value.set(&"x".repeat(100));
        let place = value.look(str::as_ptr);
        value.clear();
        value.set("y");
        assert_eq!(value.look(str::as_ptr), place);
    }

    #[test]
    fn a_name_is_what_names_are_elsewhere() {
        assert_eq!(
            (value_name("value:a-1"), value_name("value:"), value_name("i")),
            (Some("a-1"), None, None)
        );
    }
}
