//! Taking what was read from the environment out of texts, should a server or a library have put it
//! there.

use std::sync::{Mutex, PoisonError};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A value as it may appear in a text, and the variable that it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Form {
    text: String,
    name: String,
}

/// What this process has read so far, the longest forms first.
static KNOWN: Mutex<Vec<Form>> = Mutex::new(Vec::new());

/// From so many characters on, a value is blanked wherever it stands. Shorter ones stand in most
/// texts by chance, so that only a whole word is one of them.
const LEAST: usize = 4;

/// Notes the value of a variable, or a part of it that may stand in a text by itself.
pub fn remember(name: &str, value: &str) {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    add(&mut known, name, value);
}

fn add(known: &mut Vec<Form>, name: &str, value: &str) {
    for text in forms(value) {
        if !known.iter().any(|form| form.text == text) {
            known.push(Form { text, name: name.to_owned() });
        }
    }
    known.sort_by_key(|form| std::cmp::Reverse(form.text.len()));
}

/// The value itself, and what programs make of it that print or send it.
fn forms(value: &str) -> Vec<String> {
    let json = serde_json::to_string(value).unwrap_or_default();
    let html = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    vec![
        value.to_owned(),
        value.trim().to_owned(),
        json.trim_matches('"').to_owned(),
        value.escape_debug().to_string(),
        value.as_bytes().escape_ascii().to_string(),
        html.replace('"', "&quot;"),
        html.replace('"', "&#34;").replace('\'', "&#39;"),
        utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
    ]
    .into_iter()
    .filter(|form| !form.is_empty())
    .collect()
}

/// The text with `${env:NAME}` in place of every value that this process has read from the
/// environment, also where it is cut off.
pub fn blanked(text: &str) -> String {
    blank(text, &KNOWN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// One pass, so that what has been put in is not looked at again.
fn blank(text: &str, known: &[Form]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        if let Some((form, length)) =
            known.iter().find_map(|form| Some((form, found(text, at, &form.text)?)))
        {
            out.extend(["${env:", form.name.as_str(), "}"]);
            at += length;
        } else {
            out.push(next);
            at += next.len_utf8();
        }
    }
    out
}

/// How many bytes at this place are the value, or what is left of it where the text was cut.
fn found(text: &str, at: usize, value: &str) -> Option<usize> {
    let rest = &text[at..];
    let is_long = value.chars().count() >= LEAST;
    if let Some(after) = rest.strip_prefix(value) {
        let ends = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        let apart = ends(text[..at].chars().next_back()) && ends(after.chars().next());
        return (is_long || apart).then_some(value.len());
    }
    let cut = rest
        .find('…')
        .map_or(rest, |end| &rest[..end])
        .trim_end_matches(['`', '"', '\'', ')', '.']);
    (cut.chars().count() >= LEAST && value.starts_with(cut)).then_some(cut.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, secrets: &[(&str, &str)]) -> String {
        let mut known = Vec::new();
        for (name, value) in secrets {
            add(&mut known, name, value);
        }
        blank(text, &known)
    }

    #[test]
    fn values_are_blanked_wherever_they_stand() {
        let token = [("TOKEN", "s3cr3t-token")];
        assert_eq!(
            shown("401: \"s3cr3t-token\" is no token", &token),
            "401: \"${env:TOKEN}\" is no token"
        );
        assert_eq!(shown("xs3cr3t-tokenx", &token), "x${env:TOKEN}x");
        assert_eq!(shown("nothing", &token), "nothing");
        let two = [("SHORT", "s3cr3t"), ("LONG", "s3cr3t-token"), ("ENV", "env")];
        assert_eq!(shown("s3cr3t-token s3cr3t env", &two), "${env:LONG} ${env:SHORT} ${env:ENV}");
    }

    #[test]
    fn short_values_are_blanked_as_words_only() {
        let short = [("PIN", "17")];
        assert_eq!(shown("pin 17 of 1700: a17", &short), "pin ${env:PIN} of 1700: a17");
    }

    #[test]
    fn what_is_left_of_a_value_that_was_cut_off_is_blanked() {
        let token = [("TOKEN", "s3cr3t-token")];
        assert_eq!(shown("said `Bearer s3cr3t-t…`", &token), "said `Bearer ${env:TOKEN}…`");
        assert_eq!(shown("said `Bearer s3cr3`", &token), "said `Bearer ${env:TOKEN}`");
        assert_eq!(shown("said s3c", &token), "said s3c");
    }

    #[test]
    fn encoded_values_are_blanked() {
        let odd = [("ODD", "a\"b<c d/\u{e9}")];
        for text in ["a\\\"b<c d/\u{e9}", "a&quot;b&lt;c d/\u{e9}", "a%22b%3Cc%20d%2F%C3%A9"] {
            assert_eq!(shown(&format!("[{text}]"), &odd), "[${env:ODD}]");
        }
        assert_eq!(shown("line\\nend", &[("LINES", "line\nend")]), "${env:LINES}");
    }
}
