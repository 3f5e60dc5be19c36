//! `?` in a statement, as each server wants it.

use std::fmt::Write as _;

use super::{bound::Bound, comments};

/// Where servers disagree about the end of a quote or a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Comments nest, and dollars quote.
    Postgres,
    /// `#` begins a comment; `backslash` says whether the server takes a backslash in a text for the beginning of
    /// something else.
    Mysql {
        /// See there.
        backslash: bool,
    },
}

/// A statement's text, cut at each `?` outside of quotes and comments. `??` is a question mark that is none: PostgreSQL
/// has operators with one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pieces(Vec<String>);

impl Pieces {
    /// Cuts a text.
    pub fn of(query: &str, dialect: Dialect) -> Self {
        let mut pieces = vec![String::new()];
        let mut rest = query;
        while let Some(first) = rest.chars().next() {
            let length = token(rest, first, dialect);
            let (token, after) = rest.split_at(length);
            match pieces.last_mut() {
                Some(piece) if token == "??" => piece.push('?'),
                Some(piece) if token != "?" => piece.push_str(token),
                _ => pieces.push(String::new()),
            }
            rest = after;
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

/// Length of what begins here and has to stay together: a quoted text, a comment, a word, or one letter.
fn token(text: &str, first: char, dialect: Dialect) -> usize {
    let until = |from: usize, end: &str| text[from..].find(end).map_or(text.len(), |at| from + at + end.len());
    let is_postgres = dialect == Dialect::Postgres;
    match first {
        '\'' | '"' | '`' => quoted(text, first, dialect == Dialect::Mysql { backslash: true } && first != '`'),
        '-' if text.starts_with("--") => comments::line(text),
        '#' if !is_postgres => comments::line(text),
        '/' if text.starts_with("/*") => comments::block(text, is_postgres).unwrap_or(text.len()),
        '?' if text.starts_with("??") => 2,
        '$' if is_postgres => dollars(text).map_or(1, |tag| until(tag.len(), tag)),
        // A dollar in a word begins no quoted text.
        _ if is_in_word(first) => text.find(|letter| !is_in_word(letter) && letter != '$').unwrap_or(text.len()),
        _ => first.len_utf8(),
    }
}

/// Length of a text in quotes, both included.
fn quoted(text: &str, quote: char, backslash: bool) -> usize {
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        if letter == quote {
            return at + quote.len_utf8();
        }
        if backslash && letter == '\\' {
            letters.next();
        }
    }
    text.len()
}

/// What begins and ends a text that PostgreSQL quotes with dollars: `$$`, or with a name between them. An argument of
/// its own, such as `$1`, is none.
fn dollars(text: &str) -> Option<&str> {
    let name = text[1..].split_once('$')?.0;
    let is_name = name.chars().all(is_in_word) && !name.starts_with(|first: char| first.is_ascii_digit());
    is_name.then(|| &text[..name.len() + 2])
}

/// Whether a letter can stand in the middle of a name.
fn is_in_word(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric() || !letter.is_ascii()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            ("DO $$ SELECT '?' $$; ?", "DO $$ SELECT '?' $$; $1"),
            ("$body$ ? $$ ? $body$ ?", "$body$ ? $$ ? $body$ $1"),
            ("$open$ ?", "$open$ ?"),
            ("a$x$ ? b$x$", "a$x$ $1 b$x$"),
            ("a = $1$ AND ?", "a = $1$ AND $1"),
            ("$ü$ ? $ü$ ?", "$ü$ ? $ü$ $1"),
            ("data ?? ? AND data ??| ? AND data ??&?", "data ? $1 AND data ?| $2 AND data ?&$3"),
            ("'??' ???", "'??' ?$1"),
        ] {
            assert_eq!(Pieces::of(text, Dialect::Postgres).numbered(), expected);
        }
    }

    #[test]
    fn quotes_and_comments_end_where_the_server_ends_them() {
        let mysql = |backslash| Dialect::Mysql { backslash };
        for (text, dialect, arguments) in [
            ("/* ? /* ? */ ? */ ?", Dialect::Postgres, 1),
            ("/* ? /* ? */ ?", mysql(true), 1),
            ("? # it's ?\n, ?", mysql(true), 2),
            ("data #> ? AND ?", Dialect::Postgres, 2),
            (r"'it\'s ?' ?", mysql(true), 1),
            (r#""it\"s ?" ?"#, mysql(true), 1),
            (r"'\\' ?", mysql(true), 1),
            (r"'\' ?", mysql(false), 1),
            (r"'\' ?", Dialect::Postgres, 1),
            (r"`\` ?", mysql(true), 1),
            ("$$ ? $$", Dialect::Postgres, 0),
            ("$$ ? $$", mysql(true), 1),
            (r"'\", mysql(true), 0),
        ] {
            assert_eq!(Pieces::of(text, dialect).arguments(), arguments, "{text}");
        }
    }

    proptest! {
        /// However quotes, comments, words, arguments and question marks follow each other, only the arguments are cut out.
        #[test]
        fn arguments_are_found_between_anything(parts in prop::collection::vec(prop::sample::select(PARTS), 0..12)) {
            let (mut text, mut expected, mut arguments) = (String::new(), String::new(), 0);
            for (part, stays) in parts {
                text += part;
                expected += &stays.map_or_else(|| { arguments += 1; format!("${arguments}") }, ToOwned::to_owned);
                // What would join two parts to something else.
                text.push(' ');
                expected.push(' ');
            }
            let pieces = Pieces::of(&text, Dialect::Postgres);
            prop_assert_eq!((pieces.numbered(), pieces.arguments()), (expected, arguments));
        }

        /// Whatever the text is, nothing of it gets lost.
        #[test]
        fn no_text_panics(text: String, backslash: Option<bool>) {
            let dialect = backslash.map_or(Dialect::Postgres, |backslash| Dialect::Mysql { backslash });
            let pieces = Pieces::of(&text, dialect);
            let args = vec![Bound::Integer(1); pieces.arguments()];
            let (digits, marks) = (pieces.filled(&args, true), text.matches('?').count());
            prop_assert!(pieces.arguments() <= marks && digits.len() <= text.len() && digits.len() + marks / 2 >= text.len());
        }
    }

    /// Parts of statements, with what they become; none: an argument.
    const PARTS: &[(&str, Option<&str>)] = &[
        ("?", None),
        ("??", Some("?")),
        ("??|", Some("?|")),
        ("word", Some("word")),
        ("a$b$", Some("a$b$")),
        ("$1", Some("$1")),
        ("'? ''?'", Some("'? ''?'")),
        ("\"?\"", Some("\"?\"")),
        ("/* ? */", Some("/* ? */")),
        ("-- ?\n", Some("-- ?\n")),
        ("$$ ? $x$ $$", Some("$$ ? $x$ $$")),
        ("$ü_1$ ? $$ $ü_1$", Some("$ü_1$ ? $$ $ü_1$")),
    ];

    #[test]
    fn values_are_written_so_that_nothing_else_is_meant() {
        let pieces = Pieces::of("VALUES (?, ?, 1-?)", Dialect::Postgres);
        let args = [Bound::Text("it's \\".into()), Bound::Real(0.5), Bound::Integer(-1)];
        assert_eq!(pieces.arguments(), 3);
        assert_eq!(pieces.filled(&args, false), "VALUES ('it''s \\', (0.5), 1-(-1))");
        assert_eq!(pieces.filled(&args, true), "VALUES ('it''s \\\\', (0.5), 1-(-1))");
    }
}
