//! Errors in scenario files: collected, each once, and sorted by place.

use std::{collections::HashSet, path::Path};

use super::FileRoom;

/// A byte range in a file's text.
pub type Span = std::ops::Range<usize>;

/// One thing wrong with a file, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    /// Byte range in the file's text.
    pub span: Span,
    /// What is wrong, in one line.
    pub message: String,
    /// The remedy, such as "did you mean `cpu`?".
    pub help: Option<String>,
}

/// Collects the errors of one file, dropping exact repeats.
#[derive(Debug, Default)]
pub struct Diagnostics {
    /// In the order in which they were found, which settles ties of place.
    found: Vec<Diagnostic>,
    seen: HashSet<Diagnostic>,
    recovering: bool,
    homes: Option<Homes>,
    files: FileRoom,
}

/// Says of a key where it belongs, if it is one of another table.
pub type Homes = fn(&str) -> Option<String>;

impl Diagnostics {
    /// An empty collection that knows in which tables keys belong.
    pub fn with_homes(homes: Homes) -> Self {
        Self { homes: Some(homes), ..Self::default() }
    }

    /// The same about a file at this path: those that it names are looked for in its folder.
    #[must_use]
    pub fn at(self, path: &Path) -> Self {
        Self { files: FileRoom::beside(path), ..self }
    }

    /// The files that this one names.
    pub fn files(&self) -> &FileRoom {
        &self.files
    }

    /// Where a key belongs that a table does not know, if that is known.
    pub(super) fn home(&self, key: &str) -> Option<String> {
        self.homes.and_then(|homes| homes(key))
    }

    /// Adds a remedy to the latest error, if it is about this place and has none.
    pub(super) fn advise(&mut self, span: &Span, help: impl FnOnce() -> Option<String>) {
        let latest =
            self.found.last_mut().filter(|latest| latest.span == *span && latest.help.is_none());
        if let Some((latest, help)) = latest.and_then(|latest| Some((latest, help()?))) {
            self.seen.remove(latest);
            latest.help = Some(clip(&help, 600));
            self.seen.insert(latest.clone());
        }
    }

    /// Adds an error.
    pub fn error(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        let message = clip(&message.into(), 400);
        self.add(Diagnostic { span, message, help: help.map(|help| clip(&help, 600)) });
    }

    fn add(&mut self, diagnostic: Diagnostic) {
        if self.seen.insert(diagnostic.clone()) {
            self.found.push(diagnostic);
        }
    }

    /// Adds the errors of another collection about the same file.
    pub fn merge(&mut self, other: Self) {
        other.found.into_iter().for_each(|diagnostic| self.add(diagnostic));
    }

    /// Says that the syntax is broken: what is missing or unknown from here on may be there, in the
    /// broken part.
    pub fn recover(&mut self) {
        self.recovering = true;
    }

    /// Whether the syntax is broken, so that nothing should be said about what is missing.
    pub fn is_recovering(&self) -> bool {
        self.recovering
    }

    /// An empty collection about the same file, for a reader that works beside this one.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            recovering: self.recovering,
            homes: self.homes,
            files: self.files.clone(),
            ..Self::default()
        }
    }

    /// Whether nothing is wrong so far.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The errors in file order.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
        self.found
    }
}

impl Diagnostic {
    /// One-based line and column (in characters) of the error's start.
    pub fn position(&self, text: &str) -> (usize, usize) {
        position(text, self.span.start)
    }
}

/// One-based line and column (in characters) of a byte. A byte order mark is not a column.
pub fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = &text[..floor_char_boundary(text, byte)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let in_line = before[line_start..].trim_start_matches('\u{feff}').trim_end_matches('\r');
    (line, in_line.chars().count() + 1)
}

/// The name in `valid` that `wrong` was most likely meant to be, if any is near enough: at most a
/// third of its characters changed, as rustc has it.
pub fn nearest<'a>(wrong: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wrong.len() > 64 {
        return None;
    }
    let wrong = wrong.to_lowercase();
    let limit = wrong.chars().count().max(3) / 3;
    let distances = valid
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wrong, &name.to_lowercase()), name));
    distances
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The remedy for an unknown name: the nearest valid one, and all of them.
pub fn suggest<'a>(wrong: &str, what: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    let valid: Vec<&str> = valid.into_iter().collect();
    let all = match valid.as_slice() {
        [] => format!("there are no {what} here"),
        names => format!("{what}: {}", names.join(", ")),
    };
    match nearest(wrong, valid) {
        Some(name) => format!("did you mean `{name}`? {all}"),
        None => all,
    }
}

/// A name or value between backticks, cut if it is long, with control characters made visible.
pub fn quote(text: &str) -> String {
    let visible: String = text.chars().take(61).flat_map(shown).collect();
    format!("`{}`", clip(&visible, 60))
}

fn shown(character: char) -> Box<dyn Iterator<Item = char>> {
    if character.is_control() {
        Box::new(character.escape_default())
    } else {
        Box::new(std::iter::once(character))
    }
}

/// At most `limit` characters of `text`.
fn clip(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The last character boundary at or before `index`.
pub(super) fn floor_char_boundary(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        let steps = ["sleep", "noop", "http", "cpu", "concurrency"];
        assert_eq!(nearest("cpuu", steps), Some("cpu"));
        assert_eq!(nearest("concurency", steps), Some("concurrency"));
        assert_eq!(nearest("Sleep", steps), Some("sleep"));
        assert_eq!(nearest("selep", steps), Some("sleep"));
        assert_eq!(nearest("banana", steps), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), steps), None);
    }

    #[test]
    fn columns_are_characters() {
        let text = "\u{feff}a = 1\r\näöü = \"x\"\r\n";
        let at = |start: usize| {
            Diagnostic { span: start..start, message: String::new(), help: None }.position(text)
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(3), (1, 1));
        assert_eq!(at(text.find('=').unwrap()), (1, 3));
        assert_eq!(at(text.find('"').unwrap()), (2, 7));
        assert_eq!(at(text.find('ö').unwrap() + 1), (2, 2), "inside a character");
        assert_eq!(at(usize::MAX), (3, 1));
    }

    #[test]
    fn repeats_are_dropped_and_the_rest_sorted() {
        let mut diagnostics = Diagnostics::default();
        diagnostics.error(5..6, "later", None);
        diagnostics.error(1..2, "earlier", None);
        diagnostics.error(5..6, "later", None);
        let messages: Vec<_> = diagnostics.into_sorted().into_iter().map(|d| d.message).collect();
        assert_eq!(messages, ["earlier", "later"]);
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(quote("a\0b"), "`a\\u{0}b`");
        assert!(quote(&"x".repeat(1_000_000)).len() < 70);
    }
}
