//! Printing diagnostics the way rustc prints its own.

use std::path::Path;

use annotate_snippets::{
    AnnotationKind, Group, Level, Origin, Renderer, Snippet, renderer::DecorStyle,
};

use super::{Diagnostic, diagnostic::floor_char_boundary};
use crate::secret;

/// More errors than this are counted, not printed.
const MOST: usize = 20;

/// Characters of a line that are shown on either side of an error's start.
const AROUND: usize = 120;

/// Prints at most 20 errors with source line and caret, and how many more there are.
pub fn render(path: &Path, text: &str, diagnostics: &[Diagnostic], color: bool) -> String {
    let style = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = style.decor_style(DecorStyle::Ascii).term_width(4 * AROUND);
    let path = path.display().to_string();
    let text = &without_tokens(&without_passwords(text));
    let mut blocks: Vec<String> = diagnostics
        .iter()
        .take(MOST)
        .map(|diagnostic| render_one(&renderer, &path, text, diagnostic))
        .collect();
    let more = diagnostics.len().saturating_sub(MOST);
    if more > 0 {
        blocks.push(format!("and {more} more {}", if more == 1 { "error" } else { "errors" }));
    }
    blocks.join("\n\n") + "\n"
}

/// The same text, as long as it was, with stars for the passwords of urls: what is printed may end
/// up in a log.
pub(super) fn without_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        let url = after
            .split(|end: char| end.is_whitespace() || "\"'".contains(end))
            .next()
            .unwrap_or_default();
        let login = url.rsplit_once('@').map_or("", |(login, _)| login);
        let user = login.split_once(':').map_or(login.len(), |(user, _)| user.len() + 1);
        shown += before;
        shown += "://";
        shown += &login[..user];
        shown += &"*".repeat(login.len() - user);
        let beyond = &url[login.len()..];
        let secret = ["password=", "passwd=", "pass="]
            .iter()
            .find_map(|key| Some(beyond.find(key)? + key.len()));
        let (open, hidden) = beyond.split_at(secret.unwrap_or(beyond.len()));
        let end = hidden.find('&').unwrap_or(hidden.len());
        shown += open;
        shown += &"*".repeat(end);
        shown += &hidden[end..];
        rest = &after[url.len()..];
    }
    shown + rest
}

/// The same text, as long as it was, with stars for what headers and queries hold that say who one
/// is.
fn without_tokens(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('=') {
        let (before, after) = rest.split_at(at + 1);
        let length = token_length(&before[..at], after);
        let lead = after.len() - after.trim_start_matches([' ', '\t', '"', '\'']).len();
        let start = if length > 0 { lead } else { 0 };
        shown += before;
        shown += &after[..start];
        shown += &"*".repeat(length);
        rest = &after[start + length..];
    }
    shown + rest
}

/// The bytes of a literal that follows `key=`, quotes apart; none where the key is an ordinary one.
fn token_length(before: &str, after: &str) -> usize {
    let key = before.trim_end().trim_end_matches(['"', '\'']);
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let start = key
        .rfind(|c: char| !is_name(c))
        .map_or(0, |at| at + key[at..].chars().next().map_or(1, char::len_utf8));
    let (lead, name) = key.split_at(start);
    let is_query = lead.ends_with(['?', '&']);
    let value = after.trim_start_matches([' ', '\t']);
    let end = match value.chars().next() {
        _ if is_query && secret::is_secret_parameter(name) => {
            value.find(['&', '"', '\'', ' ', '\n', '$'])
        }
        Some(quote @ ('"' | '\'')) if !is_query && secret::is_secret_header(name) => {
            value[1..].find([quote, '\n']).filter(|&end| !value[1..=end].contains("${"))
        }
        _ => Some(0),
    };
    end.unwrap_or(0)
}

fn render_one(renderer: &Renderer, path: &str, text: &str, diagnostic: &Diagnostic) -> String {
    let (line, column) = diagnostic.position(text);
    let Excerpt { line: shown, span, is_cut } = excerpt(text, diagnostic);
    let snippet =
        Snippet::source(shown).line_start(line).annotation(AnnotationKind::Primary.span(span));
    let title = Level::ERROR.primary_title(diagnostic.message.as_str());
    // The renderer counts columns in what it is shown, so those of a cut line are given by hand.
    let error = if is_cut {
        title.element(Origin::path(path).line(line).char_column(column)).element(snippet)
    } else {
        title.element(snippet.path(path))
    };
    let help = diagnostic
        .help
        .iter()
        .map(|help| Group::with_title(Level::HELP.secondary_title(help.as_str())));
    let rendered = renderer.render(&std::iter::once(error).chain(help).collect::<Vec<_>>());
    // Between a place given by hand and a snippet the renderer draws a gap, as if these were two
    // places.
    rendered.lines().filter(|line| uncoloured(line).trim() != ":::").collect::<Vec<_>>().join("\n")
}

/// A line without its colour codes, which are `ESC [ … m`.
fn uncoloured(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

/// The part of an error's first line that is shown, and the error's place in it.
struct Excerpt {
    line: String,
    span: std::ops::Range<usize>,
    is_cut: bool,
}

fn excerpt(text: &str, diagnostic: &Diagnostic) -> Excerpt {
    let start = floor_char_boundary(text, diagnostic.span.start);
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
    let line_end = line_start + text[line_start..line_end].trim_end_matches('\r').len();
    let line_start = line_end - text[line_start..line_end].trim_start_matches('\u{feff}').len();
    let start = start.clamp(line_start, line_end);
    let from = text[line_start..start]
        .char_indices()
        .rev()
        .nth(AROUND)
        .map_or(line_start, |(at, _)| line_start + at);
    let to =
        text[start..line_end].char_indices().nth(AROUND).map_or(line_end, |(at, _)| start + at);
    let end = floor_char_boundary(text, diagnostic.span.end).clamp(start, to);
    let ellipsis = |is_cut: bool| if is_cut { "…" } else { "" };
    let (lead, trail) = (ellipsis(from > line_start), ellipsis(to < line_end));
    let shift = |at: usize| at - from + lead.len();
    let line = format!("{lead}{}{trail}", &text[from..to]);
    Excerpt { line, span: shift(start)..shift(end), is_cut: from > line_start || to < line_end }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(span: std::ops::Range<usize>) -> Diagnostic {
        Diagnostic {
            span,
            message: "unknown step `cpuu`".into(),
            help: Some("did you mean `cpu`?".into()),
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        for (text, shown) in [
            ("u = \"postgres://me:p:w@h/db\" # me:a@b", "u = \"postgres://me:***@h/db\" # me:a@b"),
            (
                "a = 'mysql://me:ä@h', b = 'mysql://u@h:1/d'",
                "a = 'mysql://me:**@h', b = 'mysql://u@h:1/d'",
            ),
            ("u = 'http://h/?password=pw&x=1'", "u = 'http://h/?password=**&x=1'"),
            ("u = 'http://h:80/a@b'", "u = 'http://h:****@b'"),
            ("://", "://"),
        ] {
            assert_eq!(without_passwords(text), shown);
        }
        let text = "url = \"postgres://me:topsecret@h\"\n";
        let printed = render(Path::new("a.toml"), text, &[diagnostic(6..33)], false);
        assert!(
            printed.contains("postgres://me:*********@h") && !printed.contains("topsecret"),
            "{printed}"
        );
    }

    #[test]
    fn tokens_are_not_shown() {
        for (text, shown) in [
            (
                "headers = { Authorization = \"Bearer a=b\", accept = 'x' }",
                "headers = { Authorization = \"**********\", accept = 'x' }",
            ),
            (
                "{ \"X-Api-Key\" = 'abc', cookie='\u{e4}' }",
                "{ \"X-Api-Key\" = '***', cookie='**' }",
            ),
            ("headers.authorization = \"abc", "headers.authorization = \"abc"),
            ("authorization = \"Bearer ${env:T}\"", "authorization = \"Bearer ${env:T}\""),
            (
                "path = '/a?x=1&api_key=abc&y=token=2' # cookie = 5",
                "path = '/a?x=1&api_key=***&y=token=2' # cookie = 5",
            ),
            ("path = '/a?token=${env:T}'", "path = '/a?token=${env:T}'"),
            ("=", "="),
        ] {
            assert_eq!(without_tokens(text), shown);
        }
    }

    #[test]
    fn looks_like_rustc() {
        let text = "# Zeile eins\r\nsteps = [ { cpuu = {} } ]\r\n";
        let start = text.find("cpuu").unwrap();
        insta::assert_snapshot!(render(Path::new("a.toml"), text, &[diagnostic(start..start + 4)], false), @r"
        error: unknown step `cpuu`
         --> a.toml:2:13
          |
        2 | steps = [ { cpuu = {} } ]
          |             ^^^^
          |
        help: did you mean `cpu`?
        ");
    }

    #[test]
    fn colour_is_switchable() {
        let shown = |color| render(Path::new("a.toml"), "cpuu", &[diagnostic(0..4)], color);
        assert!(shown(true).contains('\u{1b}'));
        assert!(!shown(false).contains('\u{1b}'));
    }

    #[test]
    fn at_most_twenty_are_printed() {
        let many: Vec<_> = (0..25).map(|at| diagnostic(at..at + 1)).collect();
        let shown = render(Path::new("a.toml"), &"x".repeat(30), &many, false);
        assert_eq!(shown.matches("error: ").count(), 20);
        assert!(shown.ends_with("and 5 more errors\n"), "{shown}");
    }

    #[test]
    fn a_long_line_is_cut_and_keeps_its_column() {
        let text = format!("{}cpuu{}", "ä".repeat(5_000_000), "ö".repeat(5_000_000));
        let shown =
            render(Path::new("a.toml"), &text, &[diagnostic(10_000_000..10_000_004)], false);
        assert!(shown.len() < 2_000, "{} bytes", shown.len());
        assert!(shown.contains("a.toml:1:5000001") && !shown.contains(":::"), "{shown}");
        let caret = shown.lines().find(|line| line.contains("^^^^")).unwrap();
        let source =
            shown.lines().find(|line| line.contains("cpuu") && line.starts_with('1')).unwrap();
        let column = |line: &str, part: &str| line[..line.find(part).unwrap()].chars().count();
        assert_eq!(column(caret, "^"), column(source, "cpuu"));
    }

    #[test]
    fn any_span_of_any_text_can_be_printed() {
        let text = "\u{feff}a\0\t= \"ä\"\r\n\r\n\u{1b}[31m🙂";
        for start in 0..=text.len() + 1 {
            for end in start..=text.len() + 1 {
                let shown = render(Path::new("a.toml"), text, &[diagnostic(start..end)], false);
                assert!(
                    !shown.contains('\u{1b}') && shown.contains("-->"),
                    "{start}..{end}: {shown}"
                );
                let (line, column) = diagnostic(start..end).position(text);
                assert!(
                    shown.contains(&format!("a.toml:{line}:{column}\n")),
                    "{start}..{end}: {line}:{column} {shown}"
                );
            }
        }
        assert!(render(Path::new("a.toml"), "", &[diagnostic(0..0)], false).contains("a.toml:1:1"));
    }
}
