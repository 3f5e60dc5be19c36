//! The first bytes of what a server has sent, for a message: one line, and never anything that a
//! terminal would obey.

/// What helps where a server ends connections.
pub(super) const ALLOW: &str = "if that may happen: `allow = { errors = true }`";

/// Most characters that are shown.
const MOST: usize = 200;

/// The first bytes as text in quotes; what is no text, and what controls a terminal, is escaped.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    // A character has at most four bytes; one that is cut at the end is left out with what follows.
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MOST * 4)]);
    let mut shown = String::new();
    for (at, character) in text.chars().enumerate() {
        if at == MOST {
            break;
        }
        match character {
            '\u{fffd}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                shown.extend(character.escape_unicode());
            }
            _ if character.is_control() => shown.extend(character.escape_default()),
            _ => shown.push(character),
        }
    }
    let more = if text.chars().count() > MOST || bytes.len() > MOST * 4 { "…" } else { "" };
    format!("`{shown}`{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_short_line_that_no_terminal_obeys() {
        assert_eq!(excerpt(b"{\"error\":\"no token\"}"), "`{\"error\":\"no token\"}`");
        assert_eq!(excerpt(b"a\r\n\tb\x1b[2J\x07"), "`a\\r\\n\\tb\\u{1b}[2J\\u{7}`");
        assert_eq!(excerpt("caf\u{e9} \u{202e}x".as_bytes()), "`caf\u{e9} \\u{202e}x`");
        assert_eq!(excerpt(b"\x15\x03\xff"), "`\\u{15}\\u{3}\\u{fffd}`");
        let long = excerpt("\u{e9}".repeat(1000).as_bytes());
        assert!(
            long.ends_with("`…") && long.chars().filter(|&found| found == '\u{e9}').count() == MOST,
            "{long}"
        );
        assert_eq!(excerpt(&[b'a'; MOST]), format!("`{}`", "a".repeat(MOST)));
    }
}
