//! `?` in a statement, as each server wants it.

use std::fmt::Write as _;

use super::{arg::BoundValue, comments};

/// Where servers disagree about the end of a quote or a comment. `backslash` says whether the
/// server takes a backslash in a text for the beginning of something else; a session can change
/// that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Comments nest, and dollars quote. A backslash means something in `E'…'`, and in every text
    /// where `standard_conforming_strings` is off.
    Postgres {
        /// See there.
        backslash: bool,
    },
    /// `#` begins a comment. A backslash means nothing where `sql_mode` has `NO_BACKSLASH_ESCAPES`.
    Mysql {
        /// See there.
        backslash: bool,
    },
}

impl Dialect {
    /// All of them.
    const ALL: [Self; 4] = [
        Self::Postgres { backslash: false },
        Self::Postgres { backslash: true },
        Self::Mysql { backslash: true },
        Self::Mysql { backslash: false },
    ];

    /// The same server in a session where a backslash has this meaning.
    fn with_backslash(self, backslash: bool) -> Self {
        match self {
            Self::Postgres { .. } => Self::Postgres { backslash },
            Self::Mysql { .. } => Self::Mysql { backslash },
        }
    }

    fn backslash(self) -> bool {
        let (Self::Postgres { backslash } | Self::Mysql { backslash }) = self;
        backslash
    }

    fn is_postgres(self) -> bool {
        matches!(self, Self::Postgres { .. })
    }

    /// Whether a backslash keeps the quote behind it from ending a text in such quotes.
    fn escapes_in(self, quote: char) -> bool {
        self.backslash() && (quote == '\'' || (quote == '"' && !self.is_postgres()))
    }
}

/// A statement's text, cut for either meaning of a backslash: the session may have the other one
/// when the text is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Texts {
    /// By whether a backslash means something.
    pieces: [Pieces; 2],
    dialect: Dialect,
}

impl Texts {
    /// Cuts a text for a session that is so as yet.
    pub fn of(query: &str, dialect: Dialect) -> Self {
        Self {
            pieces: [false, true]
                .map(|backslash| Pieces::of(query, dialect.with_backslash(backslash))),
            dialect,
        }
    }

    /// How many arguments it takes in the session that it was cut for.
    pub fn arguments(&self) -> usize {
        self.pieces[usize::from(self.backslash())].arguments()
    }

    /// What a backslash meant in the session that it was cut for.
    pub fn backslash(&self) -> bool {
        self.dialect.backslash()
    }

    /// Whether it matters what a backslash means.
    pub fn depends(&self) -> bool {
        self.pieces[0] != self.pieces[1]
    }

    /// The text with the arguments written into it, for a session in which a backslash now means
    /// something or nothing.
    pub fn filled(&self, args: &[BoundValue], backslash: bool) -> String {
        self.pieces[usize::from(backslash)].filled(args, self.dialect.with_backslash(backslash))
    }
}

/// A statement's text, cut at each `?` outside of quotes and comments. `??` is a question mark that
/// is none: PostgreSQL has operators with one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pieces(Vec<String>);

impl Pieces {
    /// Cuts a text.
    pub fn of(query: &str, dialect: Dialect) -> Self {
        let mut pieces = vec![String::new()];
        for token in tokens(query, dialect) {
            match pieces.last_mut() {
                Some(piece) if token == "??" => piece.push('?'),
                Some(piece) if token != "?" => piece.push_str(token),
                _ => pieces.push(String::new()),
            }
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

    /// The text with the arguments written into it.
    fn filled(&self, args: &[BoundValue], dialect: Dialect) -> String {
        let mut text = String::with_capacity(self.0.iter().map(|piece| piece.len() + 24).sum());
        for (at, piece) in self.0.iter().enumerate() {
            if let Some(value) = at.checked_sub(1).and_then(|at| args.get(at)) {
                literal(value, dialect, &mut text);
            }
            text.push_str(piece);
        }
        text
    }
}

/// Writes a value as a literal of SQL.
fn literal(value: &BoundValue, dialect: Dialect, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = match value {
        // A sign must not become a part of what stands before it.
        BoundValue::Integer(value) if *value < 0 => write!(out, "({value})"),
        BoundValue::Integer(value) => write!(out, "{value}"),
        BoundValue::Real(value) => write!(out, "({value:?})"),
        BoundValue::Text(text) => {
            // What this means does not depend on the session. The space keeps it from joining a
            // word before it.
            let says_so = dialect.is_postgres() && text.contains('\\');
            quote(text, if says_so { " E" } else { "" }, says_so || dialect.backslash(), out);
            Ok(())
        }
    };
}

/// Writes a text in quotes, with what makes of a quote, and of a backslash where it means
/// something, no more than itself.
fn quote(text: &str, prefix: &str, backslash: bool, out: &mut String) {
    out.push_str(prefix);
    out.push('\'');
    for letter in text.chars() {
        if letter == '\'' || (backslash && letter == '\\') {
            out.push(letter);
        }
        out.push(letter);
    }
    out.push('\'');
}

/// Whether a text has a second statement behind a `;`, to whatever server it is sent.
pub(super) fn is_several(query: &str) -> bool {
    Dialect::ALL.into_iter().all(|dialect| has_second(query, dialect))
}

/// Whether a text has a second statement behind a `;`. What is made, such as a trigger, may have
/// statements inside.
pub(super) fn has_second(query: &str, dialect: Dialect) -> bool {
    let first = comments::skipped(query).get(..6).unwrap_or_default();
    if first.eq_ignore_ascii_case("create") {
        return false;
    }
    let mut behind = false;
    tokens(query, dialect).any(|token| {
        let is_end = token == ";";
        let is_nothing = token.trim().is_empty() || comments::skipped(token).is_empty();
        behind |= is_end;
        behind && !is_end && !is_nothing
    })
}

/// A text's tokens, in order: together they are the text.
fn tokens(text: &str, dialect: Dialect) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let length = token(rest, rest.chars().next()?, dialect);
        let (token, after) = rest.split_at(length);
        rest = after;
        Some(token)
    })
}

/// Length of what begins here and has to stay together: a quoted text, a comment, a word, or one
/// letter.
fn token(text: &str, first: char, dialect: Dialect) -> usize {
    let until = |from: usize, end: &str| {
        text[from..].find(end).map_or(text.len(), |at| from + at + end.len())
    };
    let is_postgres = dialect.is_postgres();
    match first {
        '\'' | '"' | '`' => quoted(text, first, dialect.escapes_in(first)),
        'e' | 'E' if is_postgres && text[1..].starts_with('\'') => 1 + escaped(&text[1..]),
        '-' if text.starts_with("--") => comments::line(text),
        '#' if !is_postgres => comments::line(text),
        '/' if text.starts_with("/*") => comments::block(text, is_postgres).unwrap_or(text.len()),
        '?' if text.starts_with("??") => 2,
        '$' if is_postgres => dollars(text).map_or(1, |tag| until(tag.len(), tag)),
        // A dollar in a word begins no quoted text.
        _ if is_in_word(first) => {
            text.find(|letter| !is_in_word(letter) && letter != '$').unwrap_or(text.len())
        }
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

/// Length of what follows the `E` of PostgreSQL's `E'…'`. It goes on in the next line, where that
/// begins with a quote.
fn escaped(text: &str) -> usize {
    let end = quoted(text, '\'', true);
    let rest = text[end..].trim_start();
    let between = text.len() - rest.len();
    let goes_on = rest.starts_with('\'') && text[end..between].contains('\n');
    if goes_on { between + escaped(rest) } else { end }
}

/// What begins and ends a text that PostgreSQL quotes with dollars: `$$`, or with a name between
/// them. An argument of its own, such as `$1`, is none.
fn dollars(text: &str) -> Option<&str> {
    let name = text[1..].split_once('$')?.0;
    let is_name =
        name.chars().all(is_in_word) && !name.starts_with(|first: char| first.is_ascii_digit());
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

    const PG: Dialect = Dialect::Postgres { backslash: false };
    const PG_OFF: Dialect = Dialect::Postgres { backslash: true };

    #[test]
    fn only_arguments_are_numbered() {
        for (text, expected) in [
            ("SELECT 1", "SELECT 1"),
            ("a = ? AND b IN (?,?)", "a = $1 AND b IN ($2,$3)"),
            (
                "a = '?' AND \"b?\" = ? -- why?\n AND c = ?",
                "a = '?' AND \"b?\" = $1 -- why?\n AND c = $2",
            ),
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
            assert_eq!(Pieces::of(text, PG).numbered(), expected);
        }
    }

    #[test]
    fn quotes_and_comments_end_where_the_server_ends_them() {
        let mysql = |backslash| Dialect::Mysql { backslash };
        for (text, dialect, arguments) in [
            ("/* ? /* ? */ ? */ ?", PG, 1),
            ("/* ? /* ? */ ?", mysql(true), 1),
            ("? # it's ?\n, ?", mysql(true), 2),
            ("data #> ? AND ?", PG, 2),
            (r"'it\'s ?' ?", mysql(true), 1),
            (r#""it\"s ?" ?"#, mysql(true), 1),
            (r"'\\' ?", mysql(true), 1),
            (r"'\' ?", mysql(false), 1),
            (r"'\' ?", PG, 1),
            (r"'it\'s ?' ?", PG_OFF, 1),
            (r#""\" ?"#, PG_OFF, 1),
            (r"E'it\'s ?' ?", PG, 1),
            (r"(e'\\' ?", PG, 1),
            ("E'a' \n '\\' ?' ?", PG, 1),
            ("E'a' '\\' ?", PG, 1),
            (r"name'\' ?", PG, 1),
            (r"E'it\'s ?' ?", mysql(false), 1),
            (r"U&'\' ?", PG, 1),
            (r"`\` ?", mysql(true), 1),
            ("$$ ? $$", PG, 0),
            ("$$ ? $$", mysql(true), 1),
            (r"'\", mysql(true), 0),
        ] {
            assert_eq!(Pieces::of(text, dialect).arguments(), arguments, "{text}");
        }
    }

    proptest! {
        /// However quotes, comments, words, arguments and question marks follow each other, only
        /// the arguments are cut out.
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
            let pieces = Pieces::of(&text, PG);
            prop_assert_eq!((pieces.numbered(), pieces.arguments()), (expected, arguments));
        }

        /// Whatever the text is, nothing of it gets lost.
        #[test]
        fn no_text_panics(text: String, backslash: Option<bool>) {
            let dialect = backslash.map_or(PG, |backslash| Dialect::Mysql { backslash });
            let pieces = Pieces::of(&text, dialect);
            let args = vec![BoundValue::Integer(1); pieces.arguments()];
            let (digits, marks) = (pieces.filled(&args, dialect), text.matches('?').count());
            has_second(&text, dialect);
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
        let texts = Texts::of("VALUES (?, ?, 1-?, LIKE?)", PG);
        let args = [
            BoundValue::Text("it's".into()),
            BoundValue::Real(0.5),
            BoundValue::Integer(-1),
            BoundValue::Text(r"\'".into()),
        ];
        assert_eq!((texts.arguments(), texts.depends()), (4, false));
        // Whatever the session says of backslashes.
        for backslash in [false, true] {
            assert_eq!(
                texts.filled(&args, backslash),
                r"VALUES ('it''s', (0.5), 1-(-1), LIKE E'\\''')"
            );
        }
        let texts = Texts::of("VALUES (?, ?, 1-?, LIKE?)", Dialect::Mysql { backslash: true });
        let filled = |backslash| texts.filled(&args, backslash);
        assert_eq!(filled(false), r"VALUES ('it''s', (0.5), 1-(-1), LIKE'\''')");
        assert_eq!(filled(true), r"VALUES ('it''s', (0.5), 1-(-1), LIKE'\\''')");
    }

    #[test]
    fn a_text_is_cut_as_the_session_is_when_it_is_sent() {
        let texts = Texts::of(r"SELECT '\', ?, '\'", Dialect::Mysql { backslash: false });
        assert!(texts.depends());
        let filled = |backslash| texts.filled(&[BoundValue::Integer(7)], backslash);
        assert_eq!((texts.arguments(), filled(false).as_str()), (1, r"SELECT '\', 7, '\'"));
        assert_eq!(filled(true), r"SELECT '\', ?, '\'");
    }

    #[test]
    fn a_second_statement_is_found() {
        for several in [
            "SELECT 1; SELECT 2",
            "SELECT 1;;SELECT 2;",
            "/* a */ SELECT ';';\n-- b\nDELETE FROM a",
            "; x",
            "a;'b'",
        ] {
            assert!(is_several(several), "{several}");
        }
        for one in [
            "SELECT 1",
            "SELECT 1;",
            "SELECT ';'; -- SELECT 2",
            "SELECT 1 /* ; */ ; /* a */ ;\n",
            "CREATE TRIGGER t BEGIN a; b; END",
        ] {
            assert!(!is_several(one), "{one}");
        }
        // It depends on the server.
        assert!(
            has_second("SELECT $$ ; $$", Dialect::Mysql { backslash: true })
                && !is_several("SELECT $$ ; $$")
        );
        assert!(
            has_second(r"SELECT '\'; SELECT '", PG) && !has_second(r"SELECT '\'; SELECT '", PG_OFF)
        );
    }
}
