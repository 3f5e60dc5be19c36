//! Messages in the width of a terminal: lines end between words, and never inside of what one
//! copies. Pure.

/// A text in lines of at most so many columns, as far as its words allow. What stands between
/// backticks, as commands do, and words without a space, as paths are, are never cut.
pub(super) fn wrap(text: &str, columns: usize) -> String {
    let lines: Vec<String> = text.split('\n').map(|line| wrap_line(line, columns)).collect();
    lines.join("\n")
}

/// The lines after the first one are indented, so that messages can be told apart.
fn wrap_line(line: &str, columns: usize) -> String {
    const INDENT: &str = "  ";
    let mut text = String::new();
    let mut used = 0;
    for word in words(line) {
        let length = width(word);
        if used > 0 && used + 1 + length > columns {
            text.push('\n');
            text.push_str(INDENT);
            used = INDENT.len();
        } else if used > 0 {
            text.push(' ');
            used += 1;
        }
        text.push_str(word);
        used += length;
    }
    text
}

/// The parts between which a line may end: words, and commands with all of theirs. A backtick that
/// is never closed keeps nothing together.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let (word, more) = rest.split_at(end_of_word(rest));
        words.push(word);
        // Only one space is between words; others belong to the text, as those of an indent do.
        rest = more.strip_prefix(' ').unwrap_or(more);
    }
    words
}

fn end_of_word(text: &str) -> usize {
    let mut is_quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '`' if is_quoted => is_quoted = false,
            '`' => is_quoted = text[at + 1..].contains('`'),
            ' ' if !is_quoted && at > 0 => return at,
            _ => {}
        }
    }
    text.len()
}

/// Columns of a text; sequences that set colours have none.
fn width(text: &str) -> usize {
    let mut columns = 0;
    let mut in_escape = false;
    for c in text.chars() {
        match c {
            '\x1b' => in_escape = true,
            'm' if in_escape => in_escape = false,
            _ if !in_escape => columns += 1,
            _ => {}
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "warning: the SLO `request.latency.p99 < 25ms` could not be judged in fan-out::tokio: too few samples; go \
                        on with `regatta run --resume reports/2026-11-21T10-02-11Z-fan-out` when it is quieter";

    #[test]
    fn lines_end_between_words() {
        let shown = wrap(SAID, 40);
        let expected = "warning: the SLO\n  `request.latency.p99 < 25ms` could not\n  be judged in fan-out::tokio: too few\n  \
                        samples; go on with\n  `regatta run --resume reports/2026-11-21T10-02-11Z-fan-out`\n  when it is \
                        quieter";
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_one_copies_stays_whole_at_any_width() {
        for columns in 0..200 {
            let shown = wrap(SAID, columns);
            for whole in [
                "`request.latency.p99 < 25ms`",
                "`regatta run --resume reports/2026-11-21T10-02-11Z-fan-out`",
            ] {
                assert!(shown.contains(whole), "{columns}: {shown}");
            }
            assert_eq!(
                shown.split_whitespace().collect::<Vec<_>>(),
                SAID.split_whitespace().collect::<Vec<_>>()
            );
            let long = |line: &&str| width(line) > columns && words(line.trim_start()).len() > 1;
            assert_eq!(shown.lines().find(long), None, "{columns}");
        }
    }

    #[test]
    fn what_fits_is_as_it_was() {
        for text in [SAID, "", "a\n\n  b  c", "an ` open backtick"] {
            assert_eq!(wrap(text, 400), text);
        }
        assert_eq!(wrap("\x1b[31;1merror\x1b[0m: no", 9), "\x1b[31;1merror\x1b[0m: no");
        assert_eq!(wrap("an ` open backtick", 8), "an `\n  open\n  backtick");
    }
}
