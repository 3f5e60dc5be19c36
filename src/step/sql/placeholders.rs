//! `?` in a statement, as each server wants it.

use std::fmt::Write as _;

use super::bound::Bound;

/// A statement's text, cut at each `?` outside of quotes and comments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pieces(Vec<String>);

impl Pieces {
    /// Cuts a text.
    pub fn of(query: &str) -> Self {
        let mut pieces = vec![String::new()];
        let mut rest = query;
        while let Some(first) = rest.chars().next() {
            let length = token(rest, first);
            match pieces.last_mut() {
                Some(piece) if first != '?' => piece.push_str(&rest[..length]),
                _ => pieces.push(String::new()),
            }
            rest = &rest[length..];
        }
        Self(pieces)
    }

    /// How many arguments it takes.
    pub fn arguments(&self) -> usize {
        self.0.len() - 1
    }

    /// The text with `$1`, `$2`, … in place of the arguments.
    pub fn numbered(&self) -> String {
        let mut text = String::new();
        for (at, piece) in self.0.iter().enumerate() {
            if at > 0 {
                // Writing to a String cannot fail.
                let _ = write!(text, "${at}");
            }
            text.push_str(piece);
        }
        text
    }

    /// The text with the arguments written into it. `backslash` says whether the server takes a backslash in a text for
    /// the beginning of something else.
    pub fn filled(&self, args: &[Bound], backslash: bool) -> String {
        let mut text = String::with_capacity(self.0.iter().map(|piece| piece.len() + 24).sum());
        for (at, piece) in self.0.iter().enumerate() {
            if let Some(value) = at.checked_sub(1).and_then(|at| args.get(at)) {
                literal(value, backslash, &mut text);
            }
            text.push_str(piece);
        }
        text
    }
}

/// Writes a value as a literal of SQL.
fn literal(value: &Bound, backslash: bool, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = match value {
        // A sign must not become a part of what stands before it.
        Bound::Integer(value) if *value < 0 => write!(out, "({value})"),
        Bound::Integer(value) => write!(out, "{value}"),
        Bound::Real(value) => write!(out, "({value:?})"),
        Bound::Text(text) => {
            out.push('\'');
            for letter in text.chars() {
                if letter == '\'' || (backslash && letter == '\\') {
                    out.push(letter);
                }
                out.push(letter);
            }
            out.push('\'');
            Ok(())
        }
    };
}

/// Length of what begins here and has to stay together: a quoted text, a comment, or one letter.
fn token(text: &str, first: char) -> usize {
    let until = |from: usize, end: &str| text[from..].find(end).map_or(text.len(), |at| from + at + end.len());
    match first {
        '\'' | '"' | '`' => until(1, first.encode_utf8(&mut [0; 4])),
        '-' if text.starts_with("--") => until(2, "\n"),
        '/' if text.starts_with("/*") => until(2, "*/"),
        _ => first.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_arguments_are_numbered() {
        for (text, expected) in [
            ("SELECT 1", "SELECT 1"),
            ("a = ? AND b IN (?,?)", "a = $1 AND b IN ($2,$3)"),
            ("a = '?' AND \"b?\" = ? -- why?\n AND c = ?", "a = '?' AND \"b?\" = $1 -- why?\n AND c = $2"),
            ("/* ? */ ?", "/* ? */ $1"),
            ("'it''s ?' ?", "'it''s ?' $1"),
            ("'ü?' ? ü?", "'ü?' $1 ü$2"),
            ("'open ?", "'open ?"),
        ] {
            assert_eq!(Pieces::of(text).numbered(), expected);
        }
    }

    #[test]
    fn values_are_written_so_that_nothing_else_is_meant() {
        let pieces = Pieces::of("VALUES (?, ?, 1-?)");
        let args = [Bound::Text("it's \\".into()), Bound::Real(0.5), Bound::Integer(-1)];
        assert_eq!(pieces.arguments(), 3);
        assert_eq!(pieces.filled(&args, false), "VALUES ('it''s \\', (0.5), 1-(-1))");
        assert_eq!(pieces.filled(&args, true), "VALUES ('it''s \\\\', (0.5), 1-(-1))");
    }
}
