//! `?` in a statement, as each server wants it.

/// The text with `$1`, `$2`, … in place of each `?` outside of quotes and comments.
pub(super) fn numbered(query: &str) -> String {
    let mut numbered = String::with_capacity(query.len() + 8);
    let mut count = 0;
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        let length = token(rest, first);
        if first == '?' {
            count += 1;
            numbered.push_str(&format!("${count}"));
        } else {
            numbered.push_str(&rest[..length]);
        }
        rest = &rest[length..];
    }
    numbered
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
            assert_eq!(numbered(text), expected);
        }
    }
}
