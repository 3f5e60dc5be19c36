//! Comments in statements: where they end.

/// Length of the block comment with which a text begins, both its ends included; none where nothing
/// ends it. In PostgreSQL such comments nest.
pub(super) fn block(text: &str, nest: bool) -> Option<usize> {
    let mut depth = 0;
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let close = rest.find("*/")?;
        match rest.find("/*").filter(|open| *open < close && (nest || depth == 0)) {
            Some(open) => {
                depth += 1;
                at += open + 2;
            }
            None if depth == 1 => return Some(at + close + 2),
            None => {
                depth -= 1;
                at += close + 2;
            }
        }
    }
}

/// Length of the comment with which a text begins and which ends with its line.
pub(super) fn line(text: &str) -> usize {
    text.find('\n').map_or(text.len(), |at| at + 1)
}

/// The text of a statement behind the comments and brackets that stand before its first word,
/// whatever server it is for: `#` begins no statement where it begins no comment, and a comment
/// that does not end where comments nest is one of a server where they do not. `/*!` and `/*M!`
/// begin what MySQL and MariaDB execute.
pub(super) fn skipped(query: &str) -> &str {
    let mut rest = query;
    loop {
        rest = rest.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '(');
        let is_executed = rest.starts_with("/*!") || rest.starts_with("/*M!");
        let length = if rest.starts_with("--") || rest.starts_with('#') {
            line(rest)
        } else if rest.starts_with("/*") && !is_executed {
            block(rest, true).or_else(|| block(rest, false)).unwrap_or(rest.len())
        } else {
            return rest;
        };
        rest = &rest[length..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_end_where_their_server_ends_them() {
        for (text, nesting, flat) in [
            ("/**/ SELECT", Some(4), Some(4)),
            ("/* a */ SELECT */", Some(7), Some(7)),
            ("/* /* */ */ SELECT", Some(11), Some(8)),
            ("/*/**/*/ SELECT", Some(8), Some(6)),
            ("/* /* a */ SELECT", None, Some(10)),
            ("/*/ SELECT", None, None),
            ("/* ü", None, None),
        ] {
            assert_eq!((block(text, true), block(text, false)), (nesting, flat), "{text}");
        }
        assert_eq!((line("-- a\nb"), line("# a")), (5, 3));
    }

    #[test]
    fn a_statement_begins_with_its_first_word() {
        for text in [
            "SELECT 1",
            " \n(( SELECT 1",
            "-- INSERT\nSELECT 1",
            "--\n--\n SELECT 1",
            "# DELETE\nSELECT 1",
            "/* INSERT */ SELECT 1",
            "/* a *//* b */(-- c\n(SELECT 1",
            "/* INSERT /* DELETE */ UPDATE */ SELECT 1",
            "/* INSERT /* DELETE */ SELECT 1",
        ] {
            assert_eq!(skipped(text), "SELECT 1", "{text}");
        }
        for none in ["", "-- SELECT 1", "/* SELECT 1", "# SELECT 1", " ( "] {
            assert_eq!(skipped(none), "", "{none}");
        }
        assert_eq!(skipped("/* a */ /*!50000 SELECT */ 1"), "/*!50000 SELECT */ 1");
    }
}
